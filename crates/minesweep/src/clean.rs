//! `minesweep clean`: what belongs to the miner, in order; with `--apply` it is taken away, and proved.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use minesweep_agent::{Findings, apply, apply_offline, findings, findings_offline, planned};
use minesweep_model::{
    FORMAT, Lang, Report,
    clean::{CleanPlan, CleanStep, Does, Risk},
};

use crate::{
    Failure,
    certificate::Certificate,
    cli::{CONTENT, CURRENCY, Context, DATA_DIR, Entry, Flag, JSON, PRICE, RULES, RUNTIME_DIR, SENSOR},
    output::{Form, Printer, clean},
    stop::Stop,
};

/// The subcommand.
pub const ENTRY: Entry = Entry {
    name: "clean",
    about: (
        "Plan how to take a miner away with all that starts it; apply the plan with --apply",
        "规划如何清除挖矿程序及其所有启动项；用 --apply 执行",
    ),
    flags: &[APPLY, ROOT, PLAN, PLAN_OUT, JSON],
    settings: &[&SENSOR, &PRICE, &CURRENCY, &CONTENT, &RULES, &DATA_DIR, &RUNTIME_DIR],
    run,
};

const APPLY: Flag = Flag {
    name: "apply",
    value: None,
    env: None,
    help: ("carry the plan out; without it nothing is changed", "执行计划；不加此项则不做任何改动"),
};
const ROOT: Flag = Flag {
    name: "root",
    value: Some("DIR"),
    env: None,
    help: ("look at a mounted disk and not at this machine", "检查已挂载的磁盘，而不是本机"),
};
const PLAN: Flag = Flag {
    name: "plan",
    value: Some("FILE"),
    env: None,
    help: ("with --apply: carry out this plan, as edited", "与 --apply 合用：执行该（可编辑过的）计划"),
};
const PLAN_OUT: Flag = Flag {
    name: "plan-out",
    value: Some("FILE"),
    env: None,
    help: ("write the plan to a file, to be read and edited", "把计划写入文件，供阅读和编辑"),
};

fn run(context: &Context) -> Result<u8, Failure> {
    let stop = Stop::on_signals()?;
    let form = if context.has("json") { Form::Json } else { Form::Text };
    let root = context.value("root").map(PathBuf::from);
    let mut is_over = || stop.is_set();
    let mut found = match &root {
        Some(root) => findings_offline(&context.config, root, &mut is_over),
        None => {
            eprintln!(
                "{}",
                context.say("looking at this machine for about ten seconds", "正在检查本机，约需十秒")
            );
            findings(&context.config, &mut is_over)
        }
    }
    .map_err(Failure::other)?;
    if let Some(file) = context.value("plan") {
        found.plan = read_plan(Path::new(&file))?;
    }
    let mut printer = Printer::new(form, context.lang, &context.config.currency);
    for report in &found.reports {
        if !printer.print(report)? {
            return Ok(1);
        }
    }
    if !context.has("apply") {
        return show(context, &found, &mut printer, form);
    }
    let done = match &root {
        Some(root) => apply_offline(&context.config, root, &found.plan, &mut is_over),
        None => apply(&context.config, &found.plan, &mut is_over),
    }
    .map_err(Failure::other)?;
    for outcome in &done.outcomes {
        printer.print(&Report::Outcome(Box::new(outcome.clone())))?;
    }
    let certificate = Certificate::of(&found, &done);
    let written = write_certificate(context, &certificate)?;
    if form == Form::Text {
        println!("{}", certificate.markdown(context.lang));
    }
    eprintln!("{} {}", context.say("certificate:", "证书："), written.display());
    Ok(u8::from(!done.is_clean()))
}

/// The plan, for a person or as lines, and to a file when one is named.
fn show(context: &Context, found: &Findings, printer: &mut Printer, form: Form) -> Result<u8, Failure> {
    if let Some(file) = context.value("plan-out") {
        write_plan(Path::new(&file), &found.plan)?;
    }
    match form {
        Form::Json => {
            for outcome in planned(&found.plan) {
                if !printer.print(&Report::Outcome(Box::new(outcome)))? {
                    break;
                }
            }
        }
        Form::Text => print!("{}", plan_text(&found.plan, context.lang)),
    }
    Ok(u8::from(!found.plan.steps.is_empty()))
}

/// The plan as a person reads it before signing.
pub fn plan_text(plan: &CleanPlan, lang: Lang) -> String {
    let say = |en: &'static str, zh: &'static str| if lang == Lang::Zh { zh } else { en };
    let mut text = String::new();
    if plan.steps.is_empty() {
        text.push_str(say("nothing to do\n", "无需处理\n"));
    } else {
        text.push_str(say("PLAN, in order; nothing is changed yet:\n", "计划（按顺序；尚未改动）：\n"));
    }
    for step in &plan.steps {
        text.push_str(&step_text(step, lang));
    }
    for (title, lines) in [
        (
            say("LEFT ALONE:\n", "保留：\n"),
            plan.kept.iter().map(|text| text.of(lang).to_owned()).collect::<Vec<_>>(),
        ),
        (say("COULD NOT LOOK AT:\n", "未能检查：\n"), plan.blind.clone()),
    ] {
        if !lines.is_empty() {
            text.push_str(title);
            for line in lines {
                text.push_str(&format!("     {}\n", clean(&line)));
            }
        }
    }
    text
}

fn step_text(step: &CleanStep, lang: Lang) -> String {
    let (action, target) = match &step.does {
        Does::Freeze(process) => ("freeze".to_owned(), format!("{} ({})", process.key.pid, process.exe)),
        Does::Kill(process) => ("kill".to_owned(), format!("{} ({})", process.key.pid, process.exe)),
        Does::Change(remedy) => {
            let root = minesweep_model::Bytes::default();
            let action = minesweep_model::Action::Disk { root, remedy: remedy.clone() };
            let words = minesweep_agent::action_text(&action).of(lang).to_owned();
            (words, String::from_utf8_lossy(remedy.subject()).into_owned())
        }
    };
    let review = match (step.risk, lang) {
        (Risk::Review, Lang::Zh) => "【需人工确认】",
        (Risk::Review, Lang::En) => "[review] ",
        (Risk::Low | Risk::Medium, _) => "",
    };
    let why = step.evidence.iter().map(|text| clean(text)).collect::<Vec<_>>().join("; ");
    format!("{:>4} {review}{action} {}\n       {} ({why})\n", step.id, clean(&target), step.reason.of(lang))
}

fn write_plan(file: &Path, plan: &CleanPlan) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(plan).map_err(Failure::other)?;
    text.push(b'\n');
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut out = options.open(file).map_err(|failed| cannot("write", "写入", file, &failed))?;
    out.write_all(&text).map_err(|failed| cannot("write", "写入", file, &failed))
}

fn read_plan(file: &Path) -> Result<CleanPlan, Failure> {
    let text = fs::read(file).map_err(|failed| cannot("read", "读取", file, &failed))?;
    let plan: CleanPlan = serde_json::from_slice(&text)
        .map_err(|failed| cannot("understand the plan", "理解计划", file, &failed))?;
    if plan.v > FORMAT {
        return Err(Failure::usage(
            format!(
                "the plan {} is of version {}, newer than this program: use the newer one",
                file.display(),
                plan.v
            ),
            format!("计划 {} 的版本为 {}，比本程序新：请使用更新的程序", file.display(), plan.v),
        ));
    }
    Ok(plan)
}

fn write_certificate(context: &Context, certificate: &Certificate) -> Result<PathBuf, Failure> {
    let folder = context.config.data_dir.join("certificates");
    let failed = |failed: std::io::Error| cannot("write a certificate in", "写入证书到", &folder, &failed);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
    let json = folder.join(format!("{}.json", certificate.name()));
    let text = serde_json::to_string_pretty(&certificate.json()).map_err(Failure::other)?;
    fs::write(&json, text).map_err(failed)?;
    fs::write(json.with_extension("md"), certificate.markdown(context.lang)).map_err(failed)?;
    fs::write(json.with_extension("html"), certificate.html(context.lang)).map_err(failed)?;
    Ok(json)
}

fn cannot(what: &str, zh: &str, file: &Path, failed: &dyn std::fmt::Display) -> Failure {
    Failure::usage(
        format!("cannot {what} {}: {failed}", file.display()),
        format!("无法{zh} {}：{failed}", file.display()),
    )
}
