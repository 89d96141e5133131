//! `minesweep rules test`: every rule against its cases.

use minesweep_agent::{RuleState, rules_test};

use crate::{
    Failure,
    cli::{CONTENT, Context, Entry, Flag, JSON_OBJECTS},
};

/// The subcommand.
pub const ENTRY: Entry = Entry {
    name: "rules",
    about: ("Test rules: one case fires, near misses stay quiet", "测试规则：应触发的触发，相近的不触发"),
    flags: &[ACT, PATH, JSON_OBJECTS],
    settings: &[&CONTENT],
    run,
};

const ACT: Flag =
    Flag { name: "ACT", value: Some("test"), env: None, help: ("what to do: test", "操作：test") };
const PATH: Flag = Flag {
    name: "PATH",
    value: Some("PATH"),
    env: None,
    help: ("file or folder of rules; none: the built-in ones", "规则文件或目录；省略则为内置规则"),
};

fn run(context: &Context) -> Result<u8, Failure> {
    if context.value("ACT") != Some("test") {
        return Err(Failure::usage("rules takes: test [PATH]", "rules 的用法：test [PATH]"));
    }
    let (path, content) = (context.path("PATH"), context.config.content.as_deref());
    let lines = rules_test(path.as_deref(), content).map_err(Failure::other)?;
    let mut wrong = 0_u32;
    for line in &lines {
        wrong += u32::from(!line.is_right);
        if context.has("json") {
            println!("{}", serde_json::to_string(line).map_err(Failure::other)?);
        } else {
            let state = match line.state {
                RuleState::Loaded => context.say("loaded", "已加载"),
                RuleState::Refused => context.say("refused", "已拒绝"),
            };
            println!(
                "{state:<8} {:<28} {:>3} {}  {}",
                line.rule,
                line.cases,
                context.say("cases", "个用例"),
                line.reason
            );
        }
    }
    if !context.has("json") {
        eprintln!(
            "{} {}{} {wrong}",
            context.say("rules", "规则"),
            lines.len(),
            context.say(", wrong", "，有误"),
        );
    }
    Ok(u8::from(wrong > 0))
}
