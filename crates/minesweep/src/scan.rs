//! `minesweep scan`: one look at the live host.

use minesweep_agent::scan;
use minesweep_model::{Incident, Report, Severity, Text};

use crate::{
    Failure,
    cli::{CONTENT, CURRENCY, Context, Entry, JSON, PRICE, RULES, RUNTIME_DIR, SENSOR},
    output::{Form, Printer},
    stop::Stop,
};

/// The subcommand.
pub const ENTRY: Entry = Entry {
    name: "scan",
    about: ("Look at this machine once, about ten seconds", "对本机做一次检查，约十秒"),
    flags: &[JSON],
    settings: &[&SENSOR, &PRICE, &CURRENCY, &CONTENT, &RULES, &RUNTIME_DIR],
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
        let signs = reports.iter().filter(|report| matches!(report, Report::Detection(_))).count();
        println!("{}", ending(signs).of(context.lang));
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

/// The last line of a scan that found no mining. What was seen all the same is not passed over; it changes no exit code.
fn ending(signs: usize) -> Text {
    match signs {
        0 => Text::new("no mining found", "未发现挖矿"),
        1 => Text::new(
            "mining is not proven: the sign above has honest causes too; look at what it names",
            "不能证明存在挖矿：上述迹象也可能有正当原因；请查看其所指的对象",
        ),
        signs => Text::new(
            format!(
                "mining is not proven: the {signs} signs above have honest causes too; look at what they name"
            ),
            format!("不能证明存在挖矿：上述 {signs} 条迹象也可能有正当原因；请查看其所指的对象"),
        ),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_that_prove_nothing_are_not_passed_over_at_the_end() {
        assert_eq!(ending(0).en, "no mining found");
        for (signs, en, zh) in [(1, "the sign above", "上述迹象"), (2, "the 2 signs above", "2 条迹象")]
        {
            let text = ending(signs);
            assert!(text.en.contains("not proven") && text.en.contains(en), "{text:?}");
            assert!(text.zh.contains("不能证明") && text.zh.contains(zh), "{text:?}");
        }
    }
}
