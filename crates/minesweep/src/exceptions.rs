//! `minesweep exceptions`: what is not told on this machine, by whom, until when; and new ones from a detection.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use minesweep_agent::{ListedException, preview_exceptions, read_exceptions};
use minesweep_detect::ExceptionDraft;

use crate::{
    Failure,
    cli::{CONTENT, Context, EXCEPTIONS, Entry, Flag, JSON_OBJECTS, RULES},
    output::day,
};

/// The subcommand.
pub const ENTRY: Entry = Entry {
    name: "exceptions",
    about: (
        "List, add, try or remove exceptions: what is not told here, by whom, until when",
        "列出、添加、试算或删除例外：本机不告警的内容、负责人与期限",
    ),
    flags: &[ACT, FILE, FROM, OWNER, REASON, DAYS, RECORDING, JSON_OBJECTS],
    settings: &[&EXCEPTIONS, &CONTENT, &RULES],
    run,
};

const ACT: Flag = Flag {
    name: "ACT",
    value: Some("list|add|preview|remove"),
    env: None,
    help: ("what to do: list, add, preview or remove", "操作：list、add、preview 或 remove"),
};
const FILE: Flag = Flag {
    name: "FILE",
    value: Some("WHICH"),
    env: None,
    help: ("preview: a file of exceptions; remove: the id of one", "preview：例外文件；remove：例外的编号"),
};
const FROM: Flag = Flag {
    name: "from",
    value: Some("FILE"),
    env: None,
    help: (
        "add: a detection as watch or scan prints it with --json; - is standard input",
        "add：watch 或 scan 以 --json 输出的一条告警；- 表示标准输入",
    ),
};
const OWNER: Flag =
    Flag {
        name: "owner", value: Some("NAME"), env: None, help: ("add: who answers for it", "add：负责人")
    };
const REASON: Flag =
    Flag { name: "reason", value: Some("TEXT"), env: None, help: ("add: why it is right", "add：理由") };
const DAYS: Flag = Flag {
    name: "days",
    value: Some("NUMBER"),
    env: None,
    help: ("add: how long it holds (default 90, at most 366)", "add：有效天数（默认 90，最多 366）"),
};
const RECORDING: Flag = Flag {
    name: "recording",
    value: Some("FILE"),
    env: None,
    help: (
        "preview: a recording of watch --record, JSON lines or a pcap to try it on",
        "preview：用于试算的 watch --record 记录、JSON 行或 pcap 文件",
    ),
};

/// Longest detection that is read, bytes: OCSF lines have a few KiB.
const LINE_LIMIT_BYTES: u64 = 1 << 20;
const DAY_MS: u64 = 86_400_000;

fn run(context: &Context) -> Result<u8, Failure> {
    match context.value("ACT") {
        Some("list") => list(context),
        Some("add") => add(context),
        Some("preview") => preview(context),
        Some("remove") => remove(context),
        _ => Err(Failure::usage(
            "exceptions takes: list, add --from DETECTION, preview FILE --recording FILE, remove ID",
            "exceptions 的用法：list、add --from 告警、preview 文件 --recording 记录、remove 编号",
        )),
    }
}

fn list(context: &Context) -> Result<u8, Failure> {
    let listed = read_exceptions(&context.config, now_ms()).map_err(Failure::other)?;
    for one in &listed {
        if context.has("json") {
            println!("{}", serde_json::to_string(one).map_err(Failure::other)?);
        } else {
            print(context, one);
        }
    }
    if listed.is_empty() && !context.has("json") {
        println!("{}", context.say("no exceptions", "没有例外"));
    }
    Ok(u8::from(listed.iter().any(|one| one.refused.is_some())))
}

fn print(context: &Context, one: &ListedException) {
    if let Some(reason) = &one.refused {
        println!("{:<8} {}: {reason}", context.say("refused", "已拒绝"), one.path);
        return;
    }
    let state =
        if one.is_expired { context.say("ended", "已到期") } else { context.say("holds", "有效") };
    let until = context.say("until", "至");
    let (rules, hosts) = (one.rules.join(" "), one.hosts.join(" "));
    println!("{state:<8} {} {until} {} {rules} @ {hosts}", one.id, day(one.expires_ms));
    println!("         {}: {} ({})", one.owner, one.reason, one.title);
}

fn add(context: &Context) -> Result<u8, Failure> {
    let needed = || {
        Failure::usage(
            "exceptions add needs --from DETECTION, --owner NAME and --reason TEXT",
            "exceptions add 需要 --from 告警、--owner 负责人与 --reason 理由",
        )
    };
    let from = context.path("from").ok_or_else(needed)?;
    let (owner, reason) = context.value("owner").zip(context.value("reason")).ok_or_else(needed)?;
    let days: u64 = match context.value("days").unwrap_or("90").parse() {
        Ok(days @ 1..=366) => days,
        _ => return Err(Failure::usage("--days takes 1 to 366", "--days 可以是 1 到 366")),
    };
    let line = read_line(&from).map_err(|error| unreadable(&from, &error))?;
    let draft: ExceptionDraft = serde_json::from_str(&line).map_err(|error| no_detection(&from, &error))?;
    let begin_ms = now_ms() / DAY_MS * DAY_MS;
    let text = draft
        .text(owner, reason, now_ms(), begin_ms + days * DAY_MS)
        .map_err(|reason| no_detection(&from, &reason))?;
    let path = write(&context.config.exceptions, draft.rule(), &text)
        .map_err(|error| unwritten(&context.config.exceptions, &error))?;
    if context.has("json") {
        println!("{}", serde_json::json!({ "path": path, "text": text }));
    } else {
        print!("{text}");
        let told =
            context.say("written; the agent uses it from its next start", "已写入；代理下次启动后生效");
        eprintln!("{}: {told}", path.display());
    }
    Ok(0)
}

/// The first line of a file, or of standard input.
fn read_line(from: &Path) -> io::Result<String> {
    let input: Box<dyn Read> =
        if from == Path::new("-") { Box::new(io::stdin()) } else { Box::new(fs::File::open(from)?) };
    let mut text = String::new();
    input.take(LINE_LIMIT_BYTES).read_to_string(&mut text)?;
    Ok(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned())
}

/// Puts it into the folder under a name that is free; what is there stays.
fn write(folder: &Path, rule: &str, text: &str) -> io::Result<PathBuf> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    let safe: String = rule
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' })
        .collect();
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for number in 1..1000 {
        let path = folder.join(format!("{}-{number}.yml", safe.trim_start_matches('.')));
        match OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn preview(context: &Context) -> Result<u8, Failure> {
    let Some((file, recording)) = context.path("FILE").zip(context.path("recording")) else {
        return Err(Failure::usage(
            "exceptions preview needs FILE and --recording FILE",
            "exceptions preview 需要例外文件与 --recording 记录文件",
        ));
    };
    let text = fs::read_to_string(&file).map_err(|error| unreadable(&file, &error))?;
    let preview = preview_exceptions(&text, &recording, &context.config).map_err(Failure::other)?;
    if context.has("json") {
        println!("{}", serde_json::to_string(&preview).map_err(Failure::other)?);
        return Ok(0);
    }
    let (hidden, of) = (context.say("would have hidden", "会隐藏"), context.say("of", "/"));
    println!("{hidden} {} {of} {}", preview.hidden, preview.detections);
    for detection in &preview.examples {
        println!("  {} {} {}", day(detection.at_ms), detection.rule, detection.why.of(context.lang));
    }
    Ok(0)
}

fn remove(context: &Context) -> Result<u8, Failure> {
    let Some(id) = context.value("FILE") else {
        return Err(Failure::usage(
            "exceptions remove needs an ID; see list",
            "exceptions remove 需要编号；见 list",
        ));
    };
    let listed = read_exceptions(&context.config, now_ms()).map_err(Failure::other)?;
    let Some(found) = listed.iter().find(|one| one.id == id || one.path == id) else {
        return Err(Failure::usage(
            format!("there is no exception {id}; exceptions list shows those that are"),
            format!("没有编号为 {id} 的例外；用 exceptions list 查看"),
        ));
    };
    let beside: Vec<&str> = listed
        .iter()
        .filter(|one| one.path == found.path && one.id != found.id)
        .map(|one| one.id.as_str())
        .collect();
    if !beside.is_empty() {
        let others = beside.join(", ");
        return Err(Failure::usage(
            format!("{} also holds {others}; take {id} out by hand", found.path),
            format!("{} 中还有 {others}；请手动删去 {id}", found.path),
        ));
    }
    fs::remove_file(&found.path).map_err(|error| unwritten(Path::new(&found.path), &error))?;
    if context.has("json") {
        println!("{}", serde_json::json!({ "removed": found.path }));
    } else {
        println!("{}: {}", found.path, context.say("removed", "已删除"));
    }
    Ok(0)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    Failure::usage(format!("cannot read {path}: {error}"), format!("无法读取 {path}：{error}"))
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    Failure::usage(format!("cannot change {path}: {error}"), format!("无法改动 {path}：{error}"))
}

fn no_detection(path: &Path, reason: &dyn std::fmt::Display) -> Failure {
    let path = path.display();
    Failure::usage(
        format!("no exception can be made of {path}: {reason}"),
        format!("无法由 {path} 生成例外：{reason}"),
    )
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
