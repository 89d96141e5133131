//! A recorded run, a capture, or records in Sigma's field names, through the same line as the live one.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use minesweep_detect::{FieldsRecord, Output};
use minesweep_model::{Event, Report, What};
use minesweep_traffic::pcap;

use crate::{
    AgentError, Config, Line, load_rules,
    recording::{Recording, RecordingError, read_line},
};

/// Largest capture read, bytes.
const CAPTURE_BYTES: u64 = 1 << 30;

/// Replays a file and tells what a watch would have told. `rules` replaces the rules of the run.
///
/// # Errors
/// When the file is unreadable, of an unknown kind, or a rule is refused.
pub fn replay(path: &Path, config: &Config, sink: &mut dyn FnMut(Report)) -> Result<(), AgentError> {
    let unreadable = |source| RecordingError::Unreadable { path: path.to_owned(), source };
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(64).read_to_end(&mut start)).map_err(unreadable)?;
    if Recording::recognises(&start) {
        return recording(path, config, sink);
    }
    if start.trim_ascii_start().first() == Some(&b'{') {
        return records(path, config, sink);
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(CAPTURE_BYTES).read_to_end(&mut bytes)).map_err(unreadable)?;
    let capture =
        pcap::events(&bytes).map_err(|source| AgentError::Capture { path: path.to_owned(), source })?;
    let mut line = Line::new(config.engine(None), load_rules(config)?);
    for event in &capture.events {
        pass(&mut line, event, sink);
    }
    Ok(())
}

fn recording(path: &Path, config: &Config, sink: &mut dyn FnMut(Report)) -> Result<(), AgentError> {
    let mut recording = Recording::open(path)?;
    let run = &recording.header;
    // The recording may be a stranger's: its settings are taken, but no path it names is read.
    let rules = load_rules(config)?;
    let mut line = Line::new(run.config.engine(run.own_pid), rules);
    while let Some(event) = recording.next_event()? {
        pass(&mut line, &event, sink);
    }
    Ok(())
}

/// Records in Sigma's field names, one JSON object a line. A line of a log source that no rule can be about is
/// counted, and said at the end: a file of another system must not look like a clean one.
fn records(path: &Path, config: &Config, sink: &mut dyn FnMut(Report)) -> Result<(), AgentError> {
    let unreadable = |source| RecordingError::Unreadable { path: path.to_owned(), source };
    let mut line = Line::new(config.engine(None), load_rules(config)?);
    let mut lines = BufReader::new(Box::new(File::open(path).map_err(unreadable)?) as Box<dyn Read>);
    let (mut number, mut skipped, mut reason) = (0_u64, 0_u64, String::new());
    while let Some(text) = read_line(&mut lines).map_err(unreadable)? {
        number += 1;
        if text.trim_ascii().is_empty() {
            continue;
        }
        let record: FieldsRecord = serde_json::from_slice(&text)
            .map_err(|source| RecordingError::Record { path: path.to_owned(), number, source })?;
        match line.absorb_fields(&record, number) {
            Ok(outputs) => outputs.into_iter().for_each(|output| tell(output, sink)),
            Err(why) => (skipped, reason) = (skipped + 1, why),
        }
    }
    if skipped > 0 {
        tracing::warn!(path = %path.display(), skipped, reason, "records were left out");
    }
    Ok(())
}

fn tell(output: Output, sink: &mut dyn FnMut(Report)) {
    match output {
        Output::Detection(detection) => sink(Report::Detection(detection)),
        Output::Incident { change, incident } => sink(Report::Incident { change, incident }),
        Output::Look(_) => {}
    }
}

/// One event through the line, in the order in which a node tells.
fn pass(line: &mut Line, event: &Event, sink: &mut dyn FnMut(Report)) {
    if let What::Host(host) = &event.what {
        sink(Report::Host(host.clone()));
    }
    for output in line.absorb(event) {
        tell(output, sink);
    }
    if let What::Outcome(outcome) = &event.what {
        sink(Report::Outcome(outcome.clone()));
    }
}
