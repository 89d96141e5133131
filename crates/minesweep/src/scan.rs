//! `minesweep scan`: one look at the live host.

use minesweep_agent::scan;
use minesweep_model::{Incident, Report, Severity};

use crate::{
    Failure,
    cli::{CONTENT, CURRENCY, Context, Entry, JSON, PRICE, RUNTIME_DIR, SENSOR},
    output::{Form, Printer},
    stop::Stop,
};

/// The subcommand.
pub const ENTRY: Entry = Entry {
    name: "scan",
    about: ("Look at this machine once, about ten seconds", "对本机做一次检查，约十秒"),
    flags: &[JSON],
    settings: &[&SENSOR, &PRICE, &CURRENCY, &CONTENT, &RUNTIME_DIR],
    run,
};

fn run(context: &Context) -> Result<u8, Failure> {
    let stop = Stop::on_signals()?;
    let form = if context.has("json") { Form::Json } else { Form::Text };
    eprintln!("{}", context.say("looking at this machine for about ten seconds", "正在检查本机，约需十秒"));
    let reports = scan(&context.config, &mut || stop.is_set()).map_err(Failure::other)?;
    let mut printer = Printer::new(form, context.lang, &context.config.currency);
    for report in &reports {
        if !printer.print(report)? {
            break;
        }
    }
    let incidents = reports.iter().filter(|report| incident(report).is_some()).count();
    let is_bad = reports.iter().any(is_bad);
    if form == Form::Text && !is_bad {
        println!("{}", context.say("no mining found", "未发现挖矿"));
    }
    tracing::info!(incidents, "scan ended");
    Ok(u8::from(is_bad))
}

fn incident(report: &Report) -> Option<&Incident> {
    match report {
        Report::Incident { incident, .. } => Some(incident),
        Report::Host(_) | Report::Detection(_) | Report::Outcome(_) | Report::Load(_) => None,
    }
}

/// An incident, or a detection from severity high.
fn is_bad(report: &Report) -> bool {
    match report {
        Report::Incident { .. } => true,
        Report::Detection(detection) => detection.severity >= Severity::High,
        Report::Host(_) | Report::Outcome(_) | Report::Load(_) => false,
    }
}
