//! Which sensor runs: eBPF where the kernel allows it, else the process connector with /proc.

use std::io;

use minesweep_host::{
    ProcSensor, SensorError, Source,
    bpf::{self, BpfSensor, Options},
    hidden,
};
use minesweep_model::{Event, What};

use crate::{AgentError, SensorChoice};

/// Starts the wished sensor, or the best that runs.
pub fn start(choice: SensorChoice) -> Result<Box<dyn Source>, AgentError> {
    match choice {
        SensorChoice::Bpf => Ok(Box::new(BpfSensor::start(Options::default())?)),
        SensorChoice::Proc => Ok(Box::new(ProcSensor::start()?)),
        SensorChoice::Auto => match BpfSensor::start(Options::default()) {
            Ok(sensor) => Ok(Box::new(sensor)),
            Err(error) => {
                tracing::warn!(%error, "no eBPF here, using the process connector");
                Ok(Box::new(ProcSensor::start()?))
            }
        },
    }
}

/// The next sensor after one has failed while running.
pub fn fall_back(failed: &str, error: SensorError) -> Result<Box<dyn Source>, AgentError> {
    if failed == "bpf" { Ok(Box::new(ProcSensor::start()?)) } else { Err(error.into()) }
}

/// Processes that the kernel runs and a listing of /proc does not show.
pub fn unlisted(now_ms: u64) -> io::Result<Vec<Event>> {
    // Without eBPF the pids are tried one by one, which finds them as well.
    let tasks = bpf::iterate_tasks().unwrap_or_default();
    let pids: Vec<u32> = tasks.iter().map(|task| task.pid).collect();
    let hidden = hidden::find(&pids)?;
    let events = hidden.into_iter().filter_map(|hidden| {
        let mut process = hidden.process?;
        process.is_hidden = true;
        Some(Event { at_ms: now_ms, what: What::Running(Box::new(process)) })
    });
    Ok(events.collect())
}
