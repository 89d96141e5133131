//! `minesweep replay FILE`: a recorded run, records or a capture through the same engines.

use minesweep_agent::replay;
use minesweep_model::Report;

use crate::{
    Failure,
    cli::{CONTENT, CURRENCY, Context, EXCEPTIONS, Entry, Flag, JSON, PRICE, RULES},
    output::{Form, Printer},
};

/// The subcommand.
pub const ENTRY: Entry = Entry {
    name: "replay",
    about: (
        "Run a recording of watch --record, records in Sigma's field names, or a pcap, through the engines",
        "用检测引擎回放 watch --record 的记录、Sigma 字段名的 JSON 记录或 pcap 文件",
    ),
    flags: &[FILE, JSON],
    settings: &[&PRICE, &CURRENCY, &CONTENT, &RULES, &EXCEPTIONS],
    run,
};

const FILE: Flag = Flag {
    name: "FILE",
    value: Some("FILE"),
    env: None,
    help: ("the recording, JSON lines or capture", "记录文件、JSON 行文件或抓包文件"),
};

fn run(context: &Context) -> Result<u8, Failure> {
    let Some(path) = context.path("FILE") else {
        return Err(Failure::usage(
            "replay needs a FILE: a recording of watch --record, JSON lines in Sigma's field names, or a pcap",
            "replay 需要 FILE：watch --record 的记录、Sigma 字段名的 JSON 行或 pcap 文件",
        ));
    };
    let form = if context.has("json") { Form::Json } else { Form::Text };
    let mut printer = Printer::new(form, context.lang, &context.config.currency);
    let (mut found, mut trouble) = (false, None);
    replay(&path, &context.config, &mut |report| {
        found |= matches!(report, Report::Detection(_) | Report::Incident { .. });
        if trouble.is_none() {
            trouble = printer.print(&report).err();
        }
    })
    .map_err(Failure::other)?;
    if form == Form::Text && !found {
        println!("{}", context.say("no mining found", "未发现挖矿"));
    }
    trouble.map_or(Ok(u8::from(found)), Err)
}
