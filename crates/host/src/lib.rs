#![allow(unsafe_code, reason = "system calls and kernel records; each block says why it holds")]
//! The read side of Linux: sensors that say what happens, and looks that say what is.
//!
//! Starts no program and changes nothing. Two sensors give the same [`Event`]s: eBPF where the kernel allows it,
//! the netlink process connector with `/proc` elsewhere. What neither sees is named by [`Source::blind`].

pub mod bpf;
pub mod cpu;
pub mod facts;
pub mod gpu;
pub mod hidden;
pub mod hiding;
pub mod logs;
pub mod look;
pub mod memory;
mod netlink;
pub mod nvml;
pub mod proc;
mod sensor;
pub mod sockets;
pub mod survey;
mod take;
pub mod view;
mod wake;
pub mod walk;

pub use sensor::ProcSensor;

use std::{io, os::fd::OwnedFd, time::Duration};

use minesweep_model::{Blind, Event, HookCount};

/// A sensor. Reading it never changes the machine.
pub trait Source: Send {
    /// `bpf` or `proc`.
    fn name(&self) -> &'static str;

    /// Waits at most `wait` for something to happen and appends what came, at most [`BATCH`] events.
    ///
    /// # Errors
    /// When the kernel no longer answers; the agent then falls back to the next sensor.
    fn next(&mut self, wait: Duration, out: &mut Vec<Event>) -> Result<(), SensorError>;

    /// From now on [`Source::next`] also returns when this descriptor is readable, with nothing new perhaps.
    fn wake_on(&mut self, fd: OwnedFd);

    /// Records made, seen and lost since the start, by hook.
    fn counts(&self) -> Vec<HookCount>;

    /// What this sensor cannot see here, and why.
    fn blind(&self) -> Vec<Blind>;

    /// Asks for more rounding samples for some seconds, for processes that are suspected but hardly ever switched. A
    /// sensor without such samples has nothing to do.
    ///
    /// # Errors
    /// When no thread can be started.
    fn sample_closely(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Most events handed over at once.
pub const BATCH: usize = 4096;

/// Why a sensor cannot run.
#[derive(Debug, thiserror::Error)]
pub enum SensorError {
    /// A kernel feature is missing or refused.
    #[error("the {sensor} sensor cannot use {what}")]
    Refused {
        /// The sensor.
        sensor: &'static str,
        /// The object.
        what: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}
