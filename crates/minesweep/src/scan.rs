//! `minesweep scan`: one look at the live host and its files, or at the files of a mounted disk.

use std::path::Path;

use minesweep_agent::{FileScan, FileScope, scan_root, scan_with_files};
use minesweep_model::{Incident, Report, Severity, Text};

use crate::{
    Failure,
    cli::{CONTENT, CURRENCY, Context, EXCEPTIONS, Entry, Flag, JSON, PRICE, RULES, RUNTIME_DIR, SENSOR},
    output::{Form, Printer},
    stop::Stop,
};

/// The subcommand.
pub const ENTRY: Entry = Entry {
    name: "scan",
    about: ("Look at this machine once, about ten seconds", "对本机做一次检查，约十秒"),
    flags: &[JSON, FILES, ROOT],
    settings: &[&SENSOR, &PRICE, &CURRENCY, &CONTENT, &RULES, &EXCEPTIONS, &RUNTIME_DIR],
    run,
};

const FILES: Flag = Flag {
    name: "files",
    value: Some("quick|full"),
    env: None,
    help: (
        "look through files too: quick takes homes, cron, units, web roots and shared folders; full all local disks",
        "同时检查文件：quick 检查主目录、cron、systemd 单元、网站目录和共享目录；full 检查所有本地磁盘",
    ),
};
const ROOT: Flag = Flag {
    name: "root",
    value: Some("DIR"),
    env: None,
    help: (
        "look at the files of a mounted disk instead of this machine; all of them unless --files says quick",
        "检查已挂载磁盘上的文件而不是本机；除非 --files 为 quick，否则检查全部文件",
    ),
};

fn run(context: &Context) -> Result<u8, Failure> {
    let stop = Stop::on_signals()?;
    let form = if context.has("json") { Form::Json } else { Form::Text };
    let (reports, files) = look(context, &mut || stop.is_set())?;
    eprintln!("{}", files_text(&files).of(context.lang));
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

/// What is asked for: a mounted disk, or this machine.
fn look(context: &Context, is_over: &mut dyn FnMut() -> bool) -> Result<(Vec<Report>, FileScan), Failure> {
    let scope = scope(context.value(FILES.name))?;
    if let Some(root) = context.path(ROOT.name) {
        eprintln!("{}", context.say("looking at the files of the disk", "正在检查磁盘上的文件"));
        let scope = scope.unwrap_or(FileScope::Full);
        return scan_root(&context.config, scope, Path::new(&root), is_over).map_err(Failure::other);
    }
    match scope {
        None => eprintln!(
            "{}",
            context.say("looking at this machine for about ten seconds", "正在检查本机，约需十秒")
        ),
        Some(_) => {
            eprintln!("{}", context.say("looking at this machine and its files", "正在检查本机及其文件"))
        }
    }
    scan_with_files(&context.config, scope.unwrap_or(FileScope::Live), is_over).map_err(Failure::other)
}

fn scope(value: Option<&str>) -> Result<Option<FileScope>, Failure> {
    match value {
        None => Ok(None),
        Some("quick") => Ok(Some(FileScope::Quick)),
        Some("full") => Ok(Some(FileScope::Full)),
        Some(other) => Err(Failure::usage(
            format!("--files does not take {other:?}; it takes quick, full"),
            format!("--files 不接受 {other:?}；可以是 quick、full"),
        )),
    }
}

/// How much was read, and what was not.
fn files_text(files: &FileScan) -> Text {
    let FileScan { read, read_bytes, passed, cut, untold, walk, .. } = files;
    let (mib, unread) = (read_bytes >> 20, walk.unread + walk.beyond);
    let mut text = Text::new(
        format!(
            "{read} files read, {mib} MiB, {cut} of them not to the end; {passed} files passed over, {unread} names could not be read"
        ),
        format!(
            "已读取 {read} 个文件，{mib} MiB，其中 {cut} 个未读完；略过 {passed} 个文件，{unread} 个名称无法读取"
        ),
    );
    if *untold > 0 {
        text.en.push_str(&format!("; {untold} more files match and are not listed"));
        text.zh.push_str(&format!("；另有 {untold} 个符合规则的文件未列出"));
    }
    if files.is_ended_early {
        text.en.push_str("; ended before all files were read");
        text.zh.push_str("；在读完所有文件之前结束");
    }
    text
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
