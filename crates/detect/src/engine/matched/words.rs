//! What a match says to people, and what tells it apart from the next one of the same process.

use std::net::{IpAddr, SocketAddr};

use minesweep_model::Text;

use crate::{
    ids,
    sigma::{Channel, Field, Record},
};

/// Longest quoted part of a sentence, characters.
const QUOTE_CHARS: usize = 200;

/// What was seen, with names.
pub(super) fn why<R: Record>(record: &R, channel: Channel, counted: Option<&Text>) -> Text {
    let sentence = sentence(record, channel);
    match counted {
        None => sentence,
        Some(counted) => Text::new(
            format!("{}; last: {}", counted.en, sentence.en),
            format!("{}；最后一次：{}", counted.zh, sentence.zh),
        ),
    }
}

fn sentence<R: Record>(record: &R, channel: Channel) -> Text {
    let of = |name: &str| quoted(record, name);
    let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    let image = or(of("Image"), &of("Comm"));
    let (who, who_zh) = (or(image.clone(), "a process"), or(image, "某进程"));
    match channel {
        Channel::ProcessCreation => {
            let (parent, line) = (of("ParentImage"), or(of("CommandLine"), &who));
            let (en, zh) = (or(parent.clone(), "a process"), or(parent, "某进程"));
            Text::new(format!("{en} started {who}: {line}"), format!("{zh} 启动了 {who_zh}：{line}"))
        }
        Channel::NetworkConnection => {
            let (ip, port, name) = (of("DestinationIp"), of("DestinationPort"), of("DestinationHostname"));
            let end = if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
            let end = if name.is_empty() { end } else { format!("{name} ({end})") };
            if of("Initiated") == "false" {
                let source = of("SourceIp");
                return Text::new(
                    format!("{who} took a connection from {source} on {end}"),
                    format!("{who_zh} 在 {end} 接受了来自 {source} 的连接"),
                );
            }
            Text::new(format!("{who} connected to {end}"), format!("{who_zh} 连接了 {end}"))
        }
        Channel::DnsQuery => {
            let name = of("QueryName");
            Text::new(format!("{who} asked for the name {name}"), format!("{who_zh} 查询了域名 {name}"))
        }
        Channel::Log => {
            let (program, message) = (of("Program"), or(of("Message"), &quoted(record, "")));
            let (en, zh) = (or(program.clone(), "a log"), or(program, "日志"));
            Text::new(format!("{en} says: {message}"), format!("{zh} 记录：{message}"))
        }
        Channel::FileEvent
        | Channel::FileDelete
        | Channel::FileRename
        | Channel::FileAccess
        | Channel::FileChange => file(record, &who, &who_zh, channel),
    }
}

fn file<R: Record>(record: &R, who: &str, who_zh: &str, channel: Channel) -> Text {
    let of = |name: &str| quoted(record, name);
    let (path, source, other, value) = (of("TargetFilename"), of("SourceFilename"), of("Other"), of("Value"));
    let act = match (of("Act"), channel) {
        (act, Channel::FileEvent) if act.is_empty() => "write".to_owned(),
        (act, Channel::FileDelete) if act.is_empty() => "remove".to_owned(),
        (act, Channel::FileRename) if act.is_empty() => "rename".to_owned(),
        (act, Channel::FileAccess) if act.is_empty() => "read".to_owned(),
        (act, _) => act,
    };
    let (en, zh) = match act.as_str() {
        "create" => (format!("made {path}"), format!("创建了 {path}")),
        "write" => (format!("wrote {path}"), format!("写入了 {path}")),
        "read" => (format!("read {path}"), format!("读取了 {path}")),
        "remove" => (format!("removed {path}"), format!("删除了 {path}")),
        "rename" => (format!("renamed {source} to {path}"), format!("将 {source} 重命名为 {path}")),
        "link" => (format!("linked {source} as {path}"), format!("将 {source} 链接为 {path}")),
        "symlink" => {
            (format!("made {path} a link to {other}"), format!("创建了指向 {other} 的符号链接 {path}"))
        }
        "mode" => (format!("set the mode of {path} to {value}"), format!("将 {path} 的权限设为 {value}")),
        "owner" => (format!("gave {path} to {value}"), format!("将 {path} 的属主设为 {value}")),
        "flags" => (format!("set the flags of {path} to {value}"), format!("将 {path} 的标志设为 {value}")),
        "xattr" => {
            (format!("set the attribute {other} of {path}"), format!("设置了 {path} 的扩展属性 {other}"))
        }
        "mount" => (format!("mounted {other} on {path}"), format!("将 {other} 挂载到 {path}")),
        "unmount" => (format!("unmounted {path}"), format!("卸载了 {path}")),
        "memfd" => (format!("made the memory file {path}"), format!("创建了内存文件 {path}")),
        _ => (format!("changed {path}"), format!("更改了 {path}")),
    };
    Text::new(format!("{who} {en}"), format!("{who_zh} {zh}"))
}

/// The other end of a record of fields.
pub(super) fn remote<R: Record>(record: &R) -> Option<SocketAddr> {
    let of = |name: &str| text(record, name);
    let end = if of("Initiated") == "false" {
        ("SourceIp", "SourcePort")
    } else {
        ("DestinationIp", "DestinationPort")
    };
    Some(SocketAddr::new(of(end.0).parse().ok()?, of(end.1).parse().ok()?))
}

/// A number for what was seen: the same thing again has the same.
pub(super) fn thing<R: Record>(record: &R, channel: Channel, counted: Option<&Text>) -> u64 {
    let names: &[&str] = match channel {
        Channel::ProcessCreation => &["CommandLine"],
        Channel::NetworkConnection => &["DestinationIp", "DestinationPort"],
        Channel::DnsQuery => &["QueryName"],
        Channel::Log => {
            return log_thing(&text(record, "Program"), &text(record, "Message"), counted.is_some());
        }
        Channel::FileEvent
        | Channel::FileDelete
        | Channel::FileRename
        | Channel::FileAccess
        | Channel::FileChange => &["TargetFilename", "Act", "Other"],
    };
    if counted.is_some() {
        return 0;
    }
    ids::thing(&names.iter().map(|name| text(record, name)).collect::<Vec<_>>().join("\0"))
}

/// Lines differ in ports, pids and times; addresses are what tells attackers apart.
fn log_thing(program: &str, message: &str, is_counted: bool) -> u64 {
    let is_address = |word: &&str| {
        word.trim_matches(|c: char| !c.is_ascii_hexdigit() && c != ':').parse::<IpAddr>().is_ok()
    };
    let addresses: Vec<&str> = message.split_whitespace().filter(is_address).collect();
    if is_counted {
        return ids::thing(&addresses.join(" "));
    }
    let words: String = message.chars().filter(|c| !c.is_ascii_digit()).collect();
    ids::thing(&format!("{program}\0{words}\0{}", addresses.join(" ")))
}

fn text<R: Record>(record: &R, name: &str) -> String {
    let field = if name.is_empty() { Field::text() } else { Field::named(name) };
    record.value(&field).texts().first().map(ToString::to_string).unwrap_or_default()
}

/// A value as it may stand in a sentence: without control characters, and cut.
fn quoted<R: Record>(record: &R, name: &str) -> String {
    let text = text(record, name);
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(QUOTE_CHARS).collect();
    if text.chars().nth(QUOTE_CHARS).is_some() {
        short.push('…');
    }
    short
}
