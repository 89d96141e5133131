//! What was done: Process (class 7003), Network (7004) or File Remediation Activity (7002), and 7001 for units.
//!
//! `command_uid` is the number of the journal entry. Freezing counts as Evict: D3FEND, whose tactics OCSF took over,
//! files process suspension under process eviction.

use serde::Serialize;

use super::head::{About, Class, Line, Named};
use super::objects::{File, ProcessObject};
use crate::{Action, Host, Lang, Outcome, OutcomeState, Severity, Text, clean::Remedy};

#[derive(Serialize)]
struct Body<'a> {
    command_uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_detail: Option<String>,
    #[serde(flatten)]
    target: Target<'a>,
    unmapped: Unmapped<'a>,
}

/// Where the class keeps the process.
#[derive(Serialize)]
#[serde(untagged)]
enum Target<'a> {
    Process { process: ProcessObject<'a> },
    Connection { connection_info: Connection, actor: Actor<'a> },
    File { file: File<'a> },
    Nobody {},
}

#[derive(Serialize)]
struct Connection {
    /// 0: an outcome does not say who opened it.
    direction_id: u32,
    direction: &'static str,
    /// The kernel's socket cookie.
    uid: String,
}

#[derive(Serialize)]
struct Actor<'a> {
    process: ProcessObject<'a>,
}

#[derive(Serialize)]
struct Unmapped<'a> {
    /// `freeze`, `thaw`, `kill`, `cut_socket`, or the name of a remedy on a disk.
    action: &'static str,
    /// Incident or detection that asked for it.
    cause: &'a str,
}

pub(super) fn line<'a>(outcome: &'a Outcome, host: &'a Host, lang: Lang) -> impl Serialize + 'a {
    let deed = Deed::of(&outcome.action);
    let (status, severity, detail) = ending(&outcome.state, lang);
    let about = About {
        class: deed.class,
        activity: deed.activity,
        status,
        severity,
        time: outcome.at_ms,
        uid: format!("{}/{}", outcome.cause, outcome.entry),
        story: Some(&outcome.cause),
        message: message(&deed.words, outcome, status.1, lang),
    };
    let body = Body {
        command_uid: outcome.entry.to_string(),
        status_detail: detail,
        target: target(outcome),
        unmapped: Unmapped { action: deed.name, cause: &outcome.cause },
    };
    Line::new(about, body, host, lang)
}

/// An action in OCSF's words and in ours.
struct Deed {
    name: &'static str,
    class: Class,
    activity: Named,
    words: Text,
}

impl Deed {
    fn of(action: &Action) -> Self {
        let evict = Named(2, "Evict");
        let (name, class, activity, words) = match action {
            Action::Freeze { .. } => ("freeze", PROCESS, evict, Text::new("freeze process", "冻结进程")),
            Action::Thaw { .. } => {
                ("thaw", PROCESS, Named(3, "Restore"), Text::new("thaw process", "解冻进程"))
            }
            Action::Kill { .. } => ("kill", PROCESS, evict, Text::new("kill process", "终止进程")),
            Action::CutSocket { .. } => {
                ("cut_socket", NETWORK, evict, Text::new("cut a connection of process", "切断进程的连接"))
            }
            Action::Disk { remedy, .. } => return Self::on_disk(remedy),
        };
        Self { name, class, activity, words }
    }

    fn on_disk(remedy: &Remedy) -> Self {
        let (evict, restore, harden) = (Named(2, "Evict"), Named(3, "Restore"), Named(4, "Harden"));
        let (name, class, activity, words) = match remedy {
            Remedy::Quarantine { .. } => {
                ("quarantine", FILE, evict, Text::new("quarantine file", "隔离文件"))
            }
            Remedy::Restore { .. } => ("restore", FILE, restore, Text::new("put file back", "还原文件")),
            Remedy::DropLines { .. } => {
                ("drop_lines", FILE, evict, Text::new("drop lines of file", "删除文件中的行"))
            }
            Remedy::Replace { .. } => (
                "replace",
                FILE,
                restore,
                Text::new("give file its package's content", "恢复软件包原有的文件内容"),
            ),
            Remedy::SetFlags { .. } => (
                "set_flags",
                FILE,
                restore,
                Text::new("set the chattr flags of file", "设置文件的 chattr 标志"),
            ),
            Remedy::Unmount { .. } => ("unmount", FILE, evict, Text::new("unmount", "卸载挂载点")),
            Remedy::StopUnit { .. } => ("stop_unit", UNIT, evict, Text::new("stop unit", "停止单元")),
            Remedy::StartUnit { .. } => ("start_unit", UNIT, restore, Text::new("start unit", "启动单元")),
            Remedy::ReloadUnits => {
                ("reload_units", UNIT, harden, Text::new("have units read again", "重新读取单元"))
            }
        };
        Self { name, class, activity, words }
    }
}

const PROCESS: Class = Class {
    uid: 7003,
    name: "Process Remediation Activity",
    category_uid: 7,
    category_name: "Remediation",
    profiles: &["container", "host"],
};

const FILE: Class = Class { uid: 7002, name: "File Remediation Activity", ..PROCESS };
const UNIT: Class = Class { uid: 7001, name: "Remediation Activity", ..PROCESS };
const NETWORK: Class = Class { uid: 7004, name: "Network Remediation Activity", ..PROCESS };

/// Status, severity and detail. A failure is medium: the incident beside it already says how urgent it is.
fn ending(state: &OutcomeState, lang: Lang) -> (Named, Severity, Option<String>) {
    let (status, severity, detail) = match state {
        OutcomeState::Planned => {
            let text = Text::new("planned, not done", "已计划，尚未执行");
            (Named(99, "Planned"), Severity::Informational, Some(text))
        }
        OutcomeState::Done => (Named(1, "Success"), Severity::Informational, None),
        OutcomeState::Already => {
            let text = Text::new("it was so already", "此前已是如此");
            (Named(1, "Success"), Severity::Informational, Some(text))
        }
        OutcomeState::Gone => {
            let text = Text::new("it is no longer what was judged", "已不是当初判定的对象");
            (Named(3, "Does Not Exist"), Severity::Informational, Some(text))
        }
        OutcomeState::Failed(why) => {
            return (Named(2, "Failure"), Severity::Medium, Some(why.clone()));
        }
    };
    (status, severity, detail.map(|text| text.of(lang).to_owned()))
}

fn message(words: &Text, outcome: &Outcome, status: &str, lang: Lang) -> String {
    let pid = outcome.target.key.pid;
    let exe = &outcome.target.exe;
    if let Action::Disk { .. } = outcome.action {
        return format!("{} {exe}: {status}", words.of(lang));
    }
    match exe.as_str() {
        "" => format!("{} {pid}: {status}", words.of(lang)),
        exe => format!("{} {pid} ({exe}): {status}", words.of(lang)),
    }
}

fn target(outcome: &Outcome) -> Target<'_> {
    let process = || ProcessObject::of(&outcome.target, None).with_container(&outcome.target);
    match &outcome.action {
        Action::Disk { remedy, .. } => match **remedy {
            Remedy::StopUnit { .. } | Remedy::StartUnit { .. } | Remedy::ReloadUnits => Target::Nobody {},
            Remedy::Quarantine { .. }
            | Remedy::Restore { .. }
            | Remedy::DropLines { .. }
            | Remedy::Replace { .. }
            | Remedy::SetFlags { .. }
            | Remedy::Unmount { .. } => Target::File { file: File::at(&outcome.target.exe) },
        },
        Action::Freeze { .. } | Action::Thaw { .. } | Action::Kill { .. } => {
            Target::Process { process: process() }
        }
        Action::CutSocket { cookie, .. } => Target::Connection {
            connection_info: Connection { direction_id: 0, direction: "Unknown", uid: cookie.to_string() },
            actor: Actor { process: process() },
        },
    }
}
