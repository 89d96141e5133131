//! `minesweep quarantine`: what was taken out of its place, and how to have it back or hand it on.

use std::path::Path;

use minesweep_agent::restore;
use minesweep_model::{OutcomeState, Report};
use minesweep_respond::{RespondError, Stored, export, quarantine};

use crate::{
    Failure,
    cli::{Context, DATA_DIR, Entry, Flag, JSON_OBJECTS},
    output::{Form, Printer, clean, day},
};

/// The subcommand.
pub const ENTRY: Entry = Entry {
    name: "quarantine",
    about: (
        "List what was taken out of its place, put it back, or export it",
        "列出、恢复或导出已隔离的文件",
    ),
    flags: &[ACT, ITEM, FILE, JSON_OBJECTS],
    settings: &[&DATA_DIR],
    run,
};

const ACT: Flag = Flag {
    name: "ACT",
    value: Some("list|restore|export"),
    env: None,
    help: ("what to do: list, restore or export", "操作：list、restore 或 export"),
};
const ITEM: Flag = Flag {
    name: "ITEM",
    value: Some("ITEM"),
    env: None,
    help: ("restore, export: number of the item", "restore、export：编号"),
};
const FILE: Flag = Flag {
    name: "FILE",
    value: Some("FILE"),
    env: None,
    help: (
        "export: a new file for the content; it is harmful as it was",
        "export：新文件；内容与原样一样有害",
    ),
};

fn run(context: &Context) -> Result<u8, Failure> {
    let item = context.value("ITEM").and_then(|text| text.parse().ok());
    match (context.value("ACT"), item, context.value("FILE")) {
        (Some("list"), None, None) => list(context),
        (Some("restore"), Some(item), None) => put_back(context, item),
        (Some("export"), Some(item), Some(file)) => hand_out(context, item, Path::new(file)),
        _ => Err(Failure::usage(
            "quarantine takes: list, restore ITEM, export ITEM FILE",
            "quarantine 的用法：list、restore 编号、export 编号 文件",
        )),
    }
}

fn list(context: &Context) -> Result<u8, Failure> {
    let items = quarantine(&context.config.data_dir).map_err(RespondError::from).map_err(Failure::other)?;
    if items.is_empty() && !context.has("json") {
        println!("{}", context.say("the quarantine is empty", "隔离区是空的"));
    }
    let mut code = 0;
    for item in items {
        match item {
            Ok(stored) => show(context, &stored)?,
            Err(damaged) => {
                eprintln!("minesweep: {}", Failure::other(RespondError::from(damaged)).of(context.lang));
                code = 1;
            }
        }
    }
    Ok(code)
}

fn put_back(context: &Context, item: u64) -> Result<u8, Failure> {
    let outcome = restore(&context.config, item).map_err(Failure::other)?;
    let is_back = matches!(outcome.state, OutcomeState::Done | OutcomeState::Already);
    let form = if context.has("json") { Form::Json } else { Form::Text };
    Printer::new(form, context.lang, &context.config.currency).print(&Report::Outcome(Box::new(outcome)))?;
    Ok(if is_back { 0 } else { 2 })
}

fn hand_out(context: &Context, item: u64, file: &Path) -> Result<u8, Failure> {
    let stored =
        export(&context.config.data_dir, item, file).map_err(RespondError::from).map_err(Failure::other)?;
    show(context, &stored)?;
    Ok(0)
}

fn show(context: &Context, stored: &Stored) -> Result<(), Failure> {
    if context.has("json") {
        println!("{}", serde_json::to_string(stored).map_err(Failure::other)?);
        return Ok(());
    }
    let path = clean(&String::from_utf8_lossy(&stored.path.0));
    let root = clean(&stored.root.to_string_lossy());
    let below = if root == "/" { String::new() } else { format!(" ({root})") };
    println!("{:>6} {} {:>10} {path}{below} {}", stored.item, day(stored.at_ms), stored.size, stored.sha256);
    Ok(())
}
