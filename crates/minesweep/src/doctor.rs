//! `minesweep doctor`: what this host lets us see, and the remedy where it does not.

use minesweep_agent::{Check, CheckState};

use crate::{
    Failure,
    cli::{Context, Entry, JSON_OBJECTS, RUNTIME_DIR, SENSOR},
};

/// The subcommand.
pub const ENTRY: Entry = Entry {
    name: "doctor",
    about: ("Say what this host lets us see, and what is blind", "检查本机可观测的范围与盲区"),
    flags: &[JSON_OBJECTS],
    settings: &[&SENSOR, &RUNTIME_DIR],
    run,
};

fn run(context: &Context) -> Result<u8, Failure> {
    let checks = minesweep_agent::doctor(&context.config);
    for check in &checks {
        print(check, context);
    }
    Ok(u8::from(checks.iter().any(|check| check.state != CheckState::Ok)))
}

fn state(state: CheckState) -> &'static str {
    match state {
        CheckState::Ok => "ok",
        CheckState::Degraded => "degraded",
        CheckState::Missing => "missing",
    }
}

fn print(check: &Check, context: &Context) {
    if context.has("json") {
        println!(
            "{}",
            serde_json::json!({"name": check.name, "state": state(check.state), "text": check.text})
        );
        return;
    }
    let word = match check.state {
        CheckState::Ok => context.say("ok      ", "正常"),
        CheckState::Degraded => context.say("degraded", "降级"),
        CheckState::Missing => context.say("missing ", "缺失"),
    };
    println!("{word}  {:<18} {}", check.name, check.text.of(context.lang));
}
