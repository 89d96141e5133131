//! Sentences for people about commands, in both languages, with the command in them.

use minesweep_model::{Process, Severity, Text};

use super::{Found, cut, descriptors::Hand};
use crate::tree::base_name;

/// Most bytes of a command that are quoted.
const QUOTE_LIMIT: usize = 400;

fn quoted(text: &str) -> String {
    cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), QUOTE_LIMIT)
}

fn who(process: &Process) -> String {
    let name = base_name(&process.exe);
    if name.is_empty() {
        format!("pid {}", process.key.pid)
    } else {
        format!("{name} (pid {})", process.key.pid)
    }
}

/// What a command does, and the command.
pub(crate) fn found(found: &Found, form: &str) -> Text {
    let form = quoted(form);
    match found {
        Found::DownloadRun { from } => {
            let from = quoted(from);
            Text::new(
                format!("what is fetched from {from} is run: {form}"),
                format!("从 {from} 取得的内容被直接执行：{form}"),
            )
        }
        Found::Decoded { how, text } => {
            let how = how.join(", ");
            let (en, zh) = if text.is_empty() {
                (String::new(), String::new())
            } else {
                (format!("; it says: {}", quoted(text)), format!("；解码后为：{}", quoted(text)))
            };
            Text::new(
                format!("an encoded command ({how}) is decoded and run: {form}{en}"),
                format!("编码的命令（{how}）被解码并执行：{form}{zh}"),
            )
        }
        Found::Reverse { end, how } => {
            let end = quoted(end.as_deref().unwrap_or("?"));
            let (en, zh) = if *how == "listen" {
                (
                    format!("a shell is offered to whoever connects to {end}"),
                    format!("在 {end} 上开放了 shell"),
                )
            } else {
                (format!("a shell is handed to {end}"), format!("shell 被交给 {end}"))
            };
            Text::new(format!("{en}: {form}"), format!("{zh}：{form}"))
        }
        Found::Renamed { tool, to, by } => {
            let to = quoted(to);
            Text::new(
                format!("{by} gives {tool} the name {to}: {form}"),
                format!("{by} 把 {tool} 改名为 {to}：{form}"),
            )
        }
        Found::Scanner { tool, target } => {
            let target = quoted(target);
            Text::new(
                format!("{tool} asks many machines ({target}): {form}"),
                format!("{tool} 扫描大量主机（{target}）：{form}"),
            )
        }
        Found::ScannerInstalled { tool } => {
            Text::new(format!("{tool} is installed: {form}"), format!("安装了 {tool}：{form}"))
        }
    }
}

/// A fetched file runs.
pub(crate) fn fetched_file(path: &str, url: &str, process: &Process) -> Text {
    if url.is_empty() {
        let (path, form) = (quoted(path), quoted(&process.argv.join(" ")));
        return Text::new(
            format!("{path}, made a moment ago by a script that had a connection, is run: {form}"),
            format!("刚由已建立网络连接的脚本生成的 {path} 被执行：{form}"),
        );
    }
    let (path, url, form) = (quoted(path), quoted(url), quoted(&process.argv.join(" ")));
    Text::new(
        format!("{path}, fetched from {url} a moment ago, is run: {form}"),
        format!("刚从 {url} 取得的 {path} 被执行：{form}"),
    )
}

/// Two processes of one pipeline.
pub(crate) fn piped(first: &str, second: &str) -> String {
    format!("{first} | {second}")
}

/// A shell in somebody's hand.
pub(crate) fn hand(hand: &Hand<'_>, process: &Process) -> Text {
    let (shell, remote) = (who(process), hand.remote);
    let form = quoted(&process.argv.join(" "));
    match hand.relay {
        None => Text::new(
            format!("input and output of {shell} are a connection with {remote}: {form}"),
            format!("{shell} 的输入输出就是与 {remote} 的连接：{form}"),
        ),
        Some(relay) => {
            let (exe, pid) = (quoted(&relay.exe), relay.process.pid);
            Text::new(
                format!("{exe} (pid {pid}) passes on between {shell} and {remote}: {form}"),
                format!("{exe}（进程 {pid}）在 {shell} 与 {remote} 之间中转：{form}"),
            )
        }
    }
}

/// A tool runs under another name.
pub(crate) fn under_other_name(tool: &str, process: &Process) -> Text {
    let (exe, form) = (quoted(&process.exe), quoted(&process.argv.join(" ")));
    Text::new(
        format!("{exe} is the system's {tool} under another name: {form}"),
        format!("{exe} 是改了名的系统工具 {tool}：{form}"),
    )
}

/// A program is asked as a tool is.
pub(crate) fn asked_like(tool: &str, process: &Process) -> Text {
    let (exe, form) = (quoted(&process.exe), quoted(&process.argv.join(" ")));
    Text::new(
        format!("{exe} is used as one uses {tool}: {form}"),
        format!("{exe} 的用法与 {tool} 相同：{form}"),
    )
}

/// A service starts a shell.
pub(crate) fn served(service: &Process, form: &str, severity: Severity) -> Text {
    let (service, form) = (who(service), quoted(form));
    match severity {
        Severity::Critical | Severity::High => Text::new(
            format!("{service}, which serves others, started what it has no reason to start: {form}"),
            format!("对外服务 {service} 启动了它没有理由启动的命令：{form}"),
        ),
        Severity::Medium | Severity::Low | Severity::Informational => Text::new(
            format!("{service}, which serves others, started: {form}"),
            format!("对外服务 {service} 启动了：{form}"),
        ),
    }
}
