//! Logs to stderr, as text or JSON; stdout belongs to findings.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::Failure;

/// Starts logging. `MINESWEEP_LOG` sets the level (`warn`, `info`, `debug`).
pub fn start(format: Option<&str>) -> Result<(), Failure> {
    let filter = EnvFilter::try_from_env("MINESWEEP_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        Some("json") => builder.json().try_init(),
        _ => builder.with_target(false).try_init(),
    };
    started.map_err(|error| Failure::usage(format!("cannot start the log: {error}")))
}
