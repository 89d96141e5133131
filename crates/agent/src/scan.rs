//! One look at the live host: watch for ten seconds, look closely at whoever works hard, say what was found.
//!
//! Long enough for a RandomX thread to be seen in three rounding modes (docs/spec/verdict.md), short enough to wait
//! for. Changes nothing, whatever mode is set.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use minesweep_detect::Output;
use minesweep_host::facts;
use minesweep_model::{Change, Event, Mode, Report, What};

use crate::{AgentError, Config, FileScan, FileScope, Line, Node, files::scan_files, node::now_ms};

/// Time the sensor is given.
const LENGTH: Duration = Duration::from_secs(10);

/// Time the look for hidden things is given on a machine that has no processor to spare.
const LONGEST: Duration = Duration::from_secs(60);

/// When the busy processes are known and looked at: after two samples of CPU time.
const LOOK_AT: Duration = Duration::from_secs(5);

/// Most processes looked at only because they work hard.
const BUSY: usize = 16;

/// Looks once. Each incident comes back in its last state.
///
/// # Errors
/// When not root, a rule is refused, or no sensor runs.
pub fn scan(config: &Config, is_over: &mut dyn FnMut() -> bool) -> Result<Vec<Report>, AgentError> {
    scan_with_files(config, FileScope::Live, is_over).map(|(reports, _)| reports)
}

/// As [`scan`], with files; what is more than [`FileScope::Live`] is waited for.
///
/// # Errors
/// As [`scan`].
pub fn scan_with_files(
    config: &Config,
    scope: FileScope,
    is_over: &mut dyn FnMut() -> bool,
) -> Result<(Vec<Report>, FileScan), AgentError> {
    let config = Config { mode: Mode::Observe, ..config.clone() };
    let mut node = Node::start(&config, None)?;
    let (mut reports, start, mut has_looked) = (Vec::new(), Instant::now(), false);
    let mut sink = |report| reports.push(report);
    node.begin(&mut sink)?;
    node.dig();
    let (rules, ends_files) = (node.rules(), Arc::new(AtomicBool::new(false)));
    let ends = ends_files.clone();
    // Beside the live look, which waits more than it works.
    let files = thread::Builder::new()
        .name("scan".into())
        .spawn(move || scan_files(scope, Path::new("/"), &rules, &mut || ends.load(Ordering::Relaxed)))
        .map_err(|source| AgentError::System { what: "a thread for files", source })?;
    let is_due = |node: &Node| {
        let end = if node.is_digging() { LONGEST } else { LENGTH };
        start.elapsed() < end
    };
    // A plain look is to be short; who asks for files waits for them.
    let waits_for_files = scope != FileScope::Live;
    while (is_due(&node) || (waits_for_files && !files.is_finished())) && !is_over() {
        node.step(&mut sink)?;
        if !has_looked && start.elapsed() >= LOOK_AT {
            for key in node.busy().iter().copied().take(BUSY).collect::<Vec<_>>() {
                node.look(key);
            }
            has_looked = true;
        }
    }
    ends_files.store(true, Ordering::Relaxed);
    let mut scan = files.join().map_err(|_| AgentError::System {
        what: "files; the thread for them ended by a defect",
        source: io::Error::other("a panic"),
    })?;
    node.take_files(std::mem::take(&mut scan.scanned));
    node.finish(&mut sink)?;
    Ok((last_states(reports), scan))
}

/// Looks through the files below the root of a mounted disk. Nothing of the machine that runs is looked at.
///
/// # Errors
/// When a rule is refused or the folder cannot be opened.
pub fn scan_root(
    config: &Config,
    scope: FileScope,
    root: &Path,
    is_over: &mut dyn FnMut() -> bool,
) -> Result<(Vec<Report>, FileScan), AgentError> {
    std::fs::read_dir(root).map_err(|source| AgentError::System { what: "the folder of --root", source })?;
    let rules = crate::load_rules(config)?;
    let host = facts::host();
    let mut scan = scan_files(scope, root, &rules, is_over);
    let mut line = Line::new(config.engine(None), rules);
    let mut reports = vec![Report::Host(host.clone())];
    let scanned =
        std::mem::take(&mut scan.scanned).into_iter().map(|scanned| What::Scanned(Box::new(scanned)));
    for what in std::iter::once(What::Host(host)).chain(scanned) {
        for output in line.absorb(&Event { at_ms: now_ms(), what }) {
            match output {
                Output::Detection(detection) => reports.push(Report::Detection(detection)),
                Output::Incident { change, incident } => reports.push(Report::Incident { change, incident }),
                Output::Look(_) => {}
            }
        }
    }
    Ok((last_states(reports), scan))
}

/// Each incident once, as it stands at the end; everything else as it came.
fn last_states(reports: Vec<Report>) -> Vec<Report> {
    let mut kept = Vec::new();
    let mut incidents = BTreeMap::new();
    for report in reports {
        match report {
            Report::Incident { incident, .. } => {
                incidents.insert(incident.uid.clone(), incident);
            }
            Report::Host(_) | Report::Detection(_) | Report::Outcome(_) | Report::Load(_) => {
                kept.push(report)
            }
        }
    }
    kept.extend(
        incidents.into_values().map(|incident| Report::Incident { change: Change::Created, incident }),
    );
    kept
}
