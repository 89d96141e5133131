//! `minesweep rules`: every rule against its cases, and the list of those in use.

use std::collections::BTreeMap;

use minesweep_agent::{RuleLine, RuleState, rules_list, rules_test};

use crate::{
    Failure,
    cli::{CONTENT, Context, Entry, Flag, JSON_OBJECTS, RULES},
};

/// The subcommand.
pub const ENTRY: Entry = Entry {
    name: "rules",
    about: (
        "Test rules: one case fires, near misses stay quiet; or list those in use",
        "测试规则：应触发的触发，相近的不触发；或列出使用中的规则",
    ),
    flags: &[ACT, PATH, JSON_OBJECTS],
    settings: &[&CONTENT, &RULES],
    run,
};

const ACT: Flag = Flag {
    name: "ACT",
    value: Some("test|list"),
    env: None,
    help: ("what to do: test or list", "操作：test 或 list"),
};
const PATH: Flag = Flag {
    name: "PATH",
    value: Some("PATH"),
    env: None,
    help: (
        "test: file or folder of rules; none: the built-in ones",
        "test：规则文件或目录；省略则为内置规则",
    ),
};

fn run(context: &Context) -> Result<u8, Failure> {
    match context.value("ACT") {
        Some("test") => test(context),
        Some("list") => list(context),
        _ => Err(Failure::usage("rules takes: test [PATH], list", "rules 的用法：test [PATH]、list")),
    }
}

fn test(context: &Context) -> Result<u8, Failure> {
    let (path, content) = (context.path("PATH"), context.config.content.as_deref());
    let lines = rules_test(path.as_deref(), content).map_err(Failure::other)?;
    let wrong = lines.iter().filter(|line| !line.is_right).count();
    for line in &lines {
        if context.has("json") {
            println!("{}", serde_json::to_string(line).map_err(Failure::other)?);
        } else {
            print(context, line);
        }
    }
    if !context.has("json") {
        coverage(context, &lines);
        eprintln!(
            "{} {}{} {wrong}",
            context.say("rules", "规则"),
            lines.len(),
            context.say(", wrong", "，有误"),
        );
    }
    Ok(u8::from(wrong > 0))
}

fn print(context: &Context, line: &RuleLine) {
    let state = match line.state {
        RuleState::Loaded => context.say("loaded", "已加载"),
        RuleState::Refused => context.say("refused", "已拒绝"),
    };
    let blind = if line.blind.is_empty() {
        String::new()
    } else {
        let what = context.say("not seen on this system: ", "本系统不提供的字段：");
        format!("{what}{}", line.blind.join(", "))
    };
    let cases = context.say("cases", "个用例");
    println!("{state:<8} {:<28} {:>3} {cases}  {}{blind}", line.rule, line.cases, line.reason);
}

/// How many rules are about each technique.
fn coverage(context: &Context, lines: &[RuleLine]) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for technique in lines.iter().filter(|line| line.is_right).flat_map(|line| &line.techniques) {
        *counts.entry(technique).or_default() += 1;
    }
    if counts.is_empty() {
        return;
    }
    println!();
    println!("{} {}", context.say("ATT&CK techniques covered:", "覆盖的 ATT&CK 技术："), counts.len());
    for (technique, count) in counts {
        println!("  {technique:<12} {count}");
    }
}

fn list(context: &Context) -> Result<u8, Failure> {
    for rule in rules_list(&context.config).map_err(Failure::other)? {
        if context.has("json") {
            println!("{}", serde_json::to_string(&rule).map_err(Failure::other)?);
        } else {
            let severity = rule.severity.map_or("", |severity| severity.caption());
            println!("{:<7} {:<36} {severity:<13} {}", rule.kind, rule.rule, rule.title.of(context.lang));
        }
    }
    Ok(0)
}
