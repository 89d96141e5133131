//! `minesweep watch`: the agent in the foreground, no server; findings as they happen.

use std::time::Instant;

use minesweep_agent::Node;

use crate::{
    Failure,
    cli::{
        CONTENT, CURRENCY, Context, DATA_DIR, EXCEPTIONS, Entry, Flag, JSON, MODE, PRICE, RULES, RUNTIME_DIR,
        SENSOR,
    },
    output::{Form, Printer},
    stop::Stop,
};

/// The subcommand.
pub const ENTRY: Entry = Entry {
    name: "watch",
    about: ("Watch this machine and print findings as they happen", "监视本机，实时输出发现"),
    flags: &[JSON, FOR, RECORD],
    settings: &[&MODE, &SENSOR, &PRICE, &CURRENCY, &CONTENT, &RULES, &EXCEPTIONS, &DATA_DIR, &RUNTIME_DIR],
    run,
};

const FOR: Flag = Flag {
    name: "for",
    value: Some("DUR"),
    env: None,
    help: ("end after 90s, 10m or 2h", "在 90s、10m 或 2h 后结束"),
};
const RECORD: Flag = Flag {
    name: "record",
    value: Some("FILE"),
    env: None,
    help: ("also write each event to a file for replay", "同时把每个事件写入文件以供回放"),
};

fn run(context: &Context) -> Result<u8, Failure> {
    let until = context.duration("for")?.map(|length| Instant::now() + length);
    let form = if context.has("json") { Form::Json } else { Form::Text };
    let stop = Stop::on_signals()?;
    let mut printer = Printer::new(form, context.lang, &context.config.currency);
    let mut node = Node::start(&context.config, context.path("record").as_deref()).map_err(Failure::other)?;
    eprintln!("{}", node.greeting().of(context.lang));
    let mut trouble = None;
    node.run(&mut || stop.is_set() || until.is_some_and(|until| Instant::now() >= until), &mut |report| {
        match printer.print(&report) {
            Ok(true) => {}
            Ok(false) => stop.now(),
            Err(error) => {
                trouble = Some(error);
                stop.now();
            }
        }
    })
    .map_err(Failure::other)?;
    trouble.map_or(Ok(0), Err)
}
