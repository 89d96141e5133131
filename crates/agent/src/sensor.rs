//! Which sensor runs: eBPF where the kernel allows it, else the process connector with /proc.

use std::io;

use minesweep_host::{
    ProcSensor, SensorError, Source,
    bpf::{self, BpfSensor, Options, Task},
    hidden, proc,
};
use minesweep_model::{Event, Process, ProcessKey, What};

use crate::{AgentError, SensorChoice};

/// Starts the wished sensor, or the best that runs.
pub fn start(choice: SensorChoice) -> Result<Box<dyn Source>, AgentError> {
    match choice {
        SensorChoice::Bpf => Ok(Box::new(BpfSensor::start(Options::default())?)),
        SensorChoice::Proc => Ok(Box::new(ProcSensor::start()?)),
        // The kernel's hooks name processes by the first pid namespace: from within another one nobody could be found.
        SensorChoice::Auto if proc::is_in_container() => Ok(Box::new(ProcSensor::start()?)),
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
    let tasks = bpf::iterate_tasks().unwrap_or_else(|error| {
        // The pids are then tried one by one, which finds most of them as well.
        tracing::info!(%error, "the kernel's own list of processes cannot be read");
        Vec::new()
    });
    let pids: Vec<u32> = tasks.iter().map(|task| task.pid).collect();
    let events = hidden::find(&pids)?.into_iter().filter_map(|hidden| {
        let told = || tasks.iter().find(|task| task.pid == hidden.pid).map(as_told);
        let process = hidden.process.or_else(told)?;
        let process = Process { is_hidden: true, ..process };
        Some(Event { at_ms: now_ms, what: What::Running(Box::new(process)) })
    });
    Ok(events.collect())
}

/// What the kernel's list alone tells of a process.
fn as_told(task: &Task) -> Process {
    let key = ProcessKey { pid: task.pid, start_ticks: task.start_ticks };
    Process { parent_pid: task.parent_pid, comm: task.comm.clone(), ..Process::unknown(key) }
}
