//! `minesweep journal` and `minesweep undo`: what was changed here, and the way back.

use minesweep_agent::{changes, undo};
use minesweep_model::{OutcomeState, Report};
use minesweep_respond::RespondError;

use crate::{
    Failure,
    cli::{Context, DATA_DIR, Entry, Flag, JSON},
    output::{Form, Printer, day},
};

/// The subcommand `journal`.
pub const JOURNAL: Entry = Entry {
    name: "journal",
    about: ("List what was changed on this machine", "列出对本机做过的改动"),
    flags: &[JSON],
    settings: &[&DATA_DIR],
    run: list,
};

/// The subcommand `undo`.
pub const UNDO: Entry = Entry {
    name: "undo",
    about: (
        "Take back one change, or without an id the newest set",
        "撤销一项改动；不指定编号则撤销最近一组改动",
    ),
    flags: &[ID, JSON],
    settings: &[&DATA_DIR],
    run: take_back,
};

const ID: Flag =
    Flag { name: "ID", value: Some("ID"), env: None, help: ("entry of the journal", "日志条目编号") };

fn printer(context: &Context) -> Printer {
    let form = if context.has("json") { Form::Json } else { Form::Text };
    Printer::new(form, context.lang, &context.config.currency)
}

fn list(context: &Context) -> Result<u8, Failure> {
    let mut printer = printer(context);
    let changes = changes(&context.config).map_err(Failure::other)?;
    if changes.is_empty() && !context.has("json") {
        println!("{}", context.say("nothing was changed on this machine", "没有对本机做过改动"));
    }
    for change in changes {
        if !context.has("json") {
            let mark = if change.is_over {
                context.say("over", "已了结")
            } else {
                context.say("open", "未了结")
            };
            print!("{:>6} {mark} {} ", change.outcome.entry, day(change.outcome.at_ms));
        }
        if !printer.print(&Report::Outcome(Box::new(change.outcome)))? {
            break;
        }
    }
    Ok(0)
}

fn take_back(context: &Context) -> Result<u8, Failure> {
    let entry = context
        .value("ID")
        .map(|text| {
            text.parse::<u64>().map_err(|_| {
                Failure::usage(
                    format!("undo takes the number of an entry, not {text:?}; see minesweep journal"),
                    format!("undo 需要条目编号，而不是 {text:?}；运行 minesweep journal 查看"),
                )
            })
        })
        .transpose()?;
    let is_all = entry.is_none();
    if is_all && changes(&context.config).map_err(Failure::other)?.is_empty() {
        return Ok(nothing(context));
    }
    let (outcomes, cannot) = match undo(&context.config, entry) {
        Err(RespondError::NothingToUndo) if is_all => return Ok(nothing(context)),
        undone => undone.map_err(Failure::other)?,
    };
    let mut printer = printer(context);
    let mut is_back = true;
    for outcome in outcomes {
        is_back &= !matches!(outcome.state, OutcomeState::Failed(_));
        printer.print(&Report::Outcome(Box::new(outcome)))?;
    }
    for stays in cannot {
        eprintln!(
            "{} {}: {}",
            context.say("cannot be undone: entry", "无法撤销：条目"),
            stays.entry,
            stays.why
        );
    }
    Ok(if is_back { 0 } else { 2 })
}

/// Without a change that can be taken back everything is as it was: that is no failure.
fn nothing(context: &Context) -> u8 {
    eprintln!("{}", context.say("there is nothing to undo", "没有可撤销的改动"));
    0
}
