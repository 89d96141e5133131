//! A recorded run, or a capture, through the same line as the live one.

use std::{fs::File, io::Read, path::Path};

use minesweep_detect::Output;
use minesweep_model::{Event, Report, What};
use minesweep_traffic::pcap;

use crate::{
    AgentError, Config, Line, load_rules,
    recording::{Recording, RecordingError},
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
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(CAPTURE_BYTES).read_to_end(&mut bytes)).map_err(unreadable)?;
    let capture =
        pcap::events(&bytes).map_err(|source| AgentError::Capture { path: path.to_owned(), source })?;
    let mut line = Line::new(config.engine(None), load_rules(config.content.as_deref())?);
    for event in &capture.events {
        pass(&mut line, event, sink);
    }
    Ok(())
}

fn recording(path: &Path, config: &Config, sink: &mut dyn FnMut(Report)) -> Result<(), AgentError> {
    let mut recording = Recording::open(path)?;
    let run = &recording.header;
    // The recording may be a stranger's: its settings are taken, but no path it names is read.
    let rules = load_rules(config.content.as_deref())?;
    let mut line = Line::new(run.config.engine(run.own_pid), rules);
    while let Some(event) = recording.next_event()? {
        pass(&mut line, &event, sink);
    }
    Ok(())
}

/// One event through the line, in the order in which a node tells.
fn pass(line: &mut Line, event: &Event, sink: &mut dyn FnMut(Report)) {
    if let What::Host(host) = &event.what {
        sink(Report::Host(host.clone()));
    }
    for output in line.absorb(event) {
        match output {
            Output::Detection(detection) => sink(Report::Detection(detection)),
            Output::Incident { change, incident } => sink(Report::Incident { change, incident }),
            Output::Look(_) => {}
        }
    }
    if let What::Outcome(outcome) = &event.what {
        sink(Report::Outcome(outcome.clone()));
    }
}
