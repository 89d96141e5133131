//! One look at the live host: watch for ten seconds, look closely at whoever works hard, say what was found.
//!
//! Long enough for a RandomX thread to be seen in three rounding modes (docs/spec/verdict.md), short enough to wait
//! for. Changes nothing, whatever mode is set.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use minesweep_model::{Change, Mode, Report};

use crate::{AgentError, Config, Node};

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
    let config = Config { mode: Mode::Observe, ..config.clone() };
    let mut node = Node::start(&config, None)?;
    let (mut reports, start, mut has_looked) = (Vec::new(), Instant::now(), false);
    let mut sink = |report| reports.push(report);
    node.begin(&mut sink)?;
    node.dig();
    let is_due = |node: &Node| {
        let end = if node.is_digging() { LONGEST } else { LENGTH };
        start.elapsed() < end
    };
    while is_due(&node) && !is_over() {
        node.step(&mut sink)?;
        if !has_looked && start.elapsed() >= LOOK_AT {
            for key in node.busy().iter().copied().take(BUSY).collect::<Vec<_>>() {
                node.look(key);
            }
            has_looked = true;
        }
    }
    node.finish(&mut sink)?;
    Ok(last_states(reports))
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
