//! Logs to stderr, as text or JSON; stdout belongs to findings.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::Failure;

/// Starts logging at a level (`warn`, `info`, `debug`, or what tracing takes as a filter).
pub fn start(level: Option<&str>, format: Option<&str>) -> Result<(), Failure> {
    let level = level.unwrap_or("warn");
    let bad = |error| {
        Failure::usage(
            format!("--log does not take {level:?}; it takes error, warn, info or debug: {error}"),
            format!("--log 不接受 {level:?}；可以是 error、warn、info 或 debug：{error}"),
        )
    };
    let filter = EnvFilter::try_new(level).map_err(bad)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        Some("json") => builder.json().try_init(),
        _ => builder.with_target(false).with_ansi(io::stderr().is_terminal()).try_init(),
    };
    started.map_err(|error| {
        Failure::usage(format!("cannot start the log: {error}"), format!("无法启动日志：{error}"))
    })
}
