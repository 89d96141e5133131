//! Eradication on this machine: look, plan, apply, look again, and say it all in a certificate.
//!
//! Nothing outside our data folder is changed without `apply`. What comes back while we look again is planned anew, at
//! most five times; then it is named as left. Starts no process.

use std::{
    collections::BTreeSet,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use minesweep_detect::eradicate::{Suspects, plan};
use minesweep_host::{cpu::Sampler, survey};
use minesweep_model::{
    Bytes, Incident, Outcome, OutcomeState, Process, Report, Severity,
    clean::{CleanPlan, Does, Remedy, Risk, Spot, Survey},
};
use minesweep_respond::{Options, Responder};

use crate::{AgentError, Config, FileScope, node::now_ms, scan, scan_root};

/// Rounds of plan and apply.
const ROUNDS: u32 = 5;
/// What guards wait before they start a miner again is seconds; the look after the last round waits for them.
const RESPAWN_WAIT: Duration = Duration::from_secs(5);

/// What was found, and what is to be done about it.
#[derive(Clone, Debug)]
pub struct Findings {
    /// What the scan said.
    pub reports: Vec<Report>,
    /// The plan.
    pub plan: CleanPlan,
    /// Busy share of all processors while it was looked at, 0 to 100.
    pub busy_percent: f64,
    suspects: Suspects,
}

/// What came of an application.
#[derive(Clone, Debug)]
pub struct Cleaned {
    /// One for each step that was tried, in order.
    pub outcomes: Vec<Outcome>,
    /// Rounds that changed something; more than one when something came back.
    pub rounds: u32,
    /// What the last look found; an empty plan when nothing is left.
    pub after: Findings,
    /// From the first change to the last, milliseconds.
    pub took_ms: u64,
    /// Unix milliseconds at the end.
    pub at_ms: u64,
}

impl Cleaned {
    /// Nothing bad runs or can start again, as far as was looked.
    pub fn is_clean(&self) -> bool {
        !self.after.plan.steps.iter().any(|step| step.risk != Risk::Review)
    }
}

/// Looks at this machine for about ten seconds and plans. Changes nothing.
///
/// # Errors
/// When not root, a rule is refused, no sensor runs, or /proc cannot be read.
pub fn findings(config: &Config, is_over: &mut dyn FnMut() -> bool) -> Result<Findings, AgentError> {
    look(config, Vec::new(), is_over)
}

/// Looks at the files of a disk that does not run, and plans. Changes nothing.
///
/// # Errors
/// When the root cannot be opened or a rule is refused.
pub fn findings_offline(
    config: &Config,
    root: &Path,
    is_over: &mut dyn FnMut() -> bool,
) -> Result<Findings, AgentError> {
    let (reports, _) = scan_root(config, FileScope::Quick, root, is_over)?;
    let survey = survey::offline(root, now_ms()).map_err(system("the disk"))?;
    let mut suspects = Suspects::default();
    for report in &reports {
        if let Report::Detection(detection) = report
            && let Some(file) = detection.file.as_ref().filter(|_| detection.severity >= Severity::High)
        {
            suspects.causes.push(detection.uid.clone());
            // The scan names files as they lie here; the plan is about the disk's own paths.
            let below = Path::new(&file.path).strip_prefix(root).unwrap_or(Path::new(&file.path));
            suspects.files.push(Bytes(Path::new("/").join(below).into_os_string().into_encoded_bytes()));
        }
    }
    let plan = plan(&survey, &suspects, root.as_os_str().as_encoded_bytes());
    Ok(Findings { reports, plan, busy_percent: 0.0, suspects })
}

/// Carries a plan for a disk that does not run out, and looks at it again.
///
/// # Errors
/// When nothing can be written down, or looking again fails.
pub fn apply_offline(
    config: &Config,
    root: &Path,
    plan: &CleanPlan,
    is_over: &mut dyn FnMut() -> bool,
) -> Result<Cleaned, AgentError> {
    let start = Instant::now();
    let mut responder = Responder::start(&Options { data_dir: config.data_dir.clone() })?;
    let mut cleaning = responder.clean(root, now_ms())?;
    let steps: Vec<_> = plan.steps.iter().filter(|step| step.risk != Risk::Review).cloned().collect();
    let outcomes = cleaning.carry_out(&steps, &cause(plan), now_ms());
    cleaning.end()?;
    let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let after = findings_offline(config, root, is_over)?;
    Ok(Cleaned { outcomes, rounds: 1, after, took_ms, at_ms: now_ms() })
}

/// Carries a plan out, looks again, and goes on with what came back. `plan` may be an edited one.
///
/// # Errors
/// When nothing can be written down, or looking again fails.
pub fn apply(
    config: &Config,
    plan: &CleanPlan,
    is_over: &mut dyn FnMut() -> bool,
) -> Result<Cleaned, AgentError> {
    let root = Path::new(std::ffi::OsStr::new("/"));
    let mut responder = Responder::start(&Options { data_dir: config.data_dir.clone() })?;
    let mut cleaning = responder.clean(root, now_ms())?;
    let (mut outcomes, mut rounds, start) = (Vec::new(), 0, Instant::now());
    let mut taken = BTreeSet::new();
    let mut next = plan.clone();
    let mut took_ms = 0;
    let after = loop {
        let steps: Vec<_> = next.steps.iter().filter(|step| step.risk != Risk::Review).cloned().collect();
        if !steps.is_empty() {
            rounds += 1;
            taken.extend(steps.iter().filter_map(|step| named(&step.does)));
            outcomes.extend(cleaning.carry_out(&steps, &cause(plan), now_ms()));
            took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
        thread::sleep(RESPAWN_WAIT);
        let again = look_for_what_returned(&taken)?;
        if again.steps.is_empty() || rounds >= ROUNDS || is_over() {
            break look(config, taken.iter().cloned().collect(), is_over)?;
        }
        next = again;
    };
    cleaning.end()?;
    Ok(Cleaned { outcomes, rounds, after, took_ms, at_ms: now_ms() })
}

/// A quick look, without a scan: does anything run or name what was taken away?
fn look_for_what_returned(taken: &BTreeSet<Bytes>) -> Result<CleanPlan, AgentError> {
    let survey = survey::live(now_ms()).map_err(system("/proc"))?;
    let suspects = Suspects {
        files: taken.iter().cloned().collect(),
        spared: survey::ourselves().map_err(system("/proc"))?,
        ..Suspects::default()
    };
    Ok(plan(&survey, &suspects, b"/"))
}

fn look(
    config: &Config,
    files: Vec<Bytes>,
    is_over: &mut dyn FnMut() -> bool,
) -> Result<Findings, AgentError> {
    let mut sampler = Sampler::new().map_err(system("/proc/stat"))?;
    sampler.sample().map_err(system("/proc/stat"))?;
    let reports = scan(config, is_over)?;
    sampler.sample().map_err(system("/proc/stat"))?;
    let survey = survey::live(now_ms()).map_err(system("/proc"))?;
    let (processes, causes) = named_by(&reports, &survey);
    let spared = survey::ourselves().map_err(system("/proc"))?;
    let suspects = Suspects { processes, files, causes, spared };
    let plan = plan(&survey, &suspects, b"/");
    Ok(Findings { reports, plan, busy_percent: sampler.busy_percent(), suspects })
}

impl Findings {
    /// Incidents that the scan opened.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.reports.iter().filter_map(|report| match report {
            Report::Incident { incident, .. } => Some(&**incident),
            _ => None,
        })
    }

    /// Processes that were proved bad before anything was linked.
    pub fn proved(&self) -> &[Process] {
        &self.suspects.processes
    }
}

/// The processes that incidents prove bad: where mining was proved those that a rule for mining named; else, of a grave
/// incident, those that run a program out of a place where programs hide.
fn named_by(reports: &[Report], survey: &Survey) -> (Vec<Process>, Vec<String>) {
    let hideouts: BTreeSet<&[u8]> = survey
        .items
        .iter()
        .filter(|item| item.spot == Spot::Hideout)
        .map(|item| item.place.path.0.as_slice())
        .collect();
    let (mut processes, mut causes) = (Vec::new(), Vec::new());
    for report in reports {
        let Report::Incident { incident, .. } = report else { continue };
        let is_mining = incident.is_mining() && !incident.mining.has_ended;
        let named: Vec<Process> = incident
            .findings
            .iter()
            .filter(|finding| !is_mining || finding.rule.starts_with("mining."))
            .filter_map(|finding| finding.subject.clone())
            .filter(|process| {
                is_mining
                    || (incident.severity >= Severity::High && hideouts.contains(process.exe.as_bytes()))
            })
            .collect();
        if !named.is_empty() {
            causes.push(incident.uid.clone());
            processes.extend(named);
        }
    }
    (processes, causes)
}

fn cause(plan: &CleanPlan) -> String {
    plan.causes.first().cloned().unwrap_or_else(|| "clean".to_owned())
}

/// Paths that must not come back.
fn named(does: &Does) -> Option<Bytes> {
    match does {
        Does::Freeze(_) => None,
        Does::Kill(_) => None,
        Does::Change(remedy) => match &**remedy {
            Remedy::Quarantine { place } => Some(place.path.clone()),
            _ => None,
        },
    }
}

/// Steps of a plan as outcomes that are only planned, for whoever reads lines.
pub fn planned(plan: &CleanPlan) -> Vec<Outcome> {
    use minesweep_model::{Action, ProcessKey};
    let step = |does: &Does| match does {
        Does::Freeze(process) => (Action::Freeze { process: process.key }, Process::clone(process)),
        Does::Kill(process) => (Action::Kill { process: process.key }, Process::clone(process)),
        Does::Change(remedy) => {
            let exe = String::from_utf8_lossy(remedy.subject()).into_owned();
            let nobody = Process::unknown(ProcessKey { pid: 0, start_ticks: 0 });
            (Action::Disk { root: plan.root.clone(), remedy: remedy.clone() }, Process { exe, ..nobody })
        }
    };
    plan.steps
        .iter()
        .map(|planned| {
            let (action, target) = step(&planned.does);
            let state = OutcomeState::Planned;
            Outcome { entry: 0, at_ms: plan.at_ms, cause: cause(plan), action, target, state }
        })
        .collect()
}

fn system(what: &'static str) -> impl Fn(std::io::Error) -> AgentError {
    move |source| AgentError::System { what, source }
}
