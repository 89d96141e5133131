//! What was done: Process (class 7003) or Network Remediation Activity (class 7004).
//!
//! `command_uid` is the number of the journal entry. Freezing counts as Evict: D3FEND, whose tactics OCSF took over,
//! files process suspension under process eviction.

use serde::Serialize;

use super::head::{About, Class, Line, Named};
use super::objects::ProcessObject;
use crate::{Action, Host, Lang, Outcome, OutcomeState, Severity, Text};

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
    /// `freeze`, `thaw`, `kill` or `cut_socket`.
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

const NETWORK: Class = Class { uid: 7004, name: "Network Remediation Activity", ..PROCESS };

/// Status, severity and detail. A failure is medium: the incident beside it already says how urgent it is.
fn ending(state: &OutcomeState, lang: Lang) -> (Named, Severity, Option<String>) {
    let (status, severity, detail) = match state {
        OutcomeState::Done => (Named(1, "Success"), Severity::Informational, None),
        OutcomeState::Already => {
            let text = Text::new("it was so already", "此前已是如此");
            (Named(1, "Success"), Severity::Informational, Some(text))
        }
        OutcomeState::Gone => {
            let text =
                Text::new("the process is no longer the one that was judged", "该进程已不是当初判定的进程");
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
    match exe.as_str() {
        "" => format!("{} {pid}: {status}", words.of(lang)),
        exe => format!("{} {pid} ({exe}): {status}", words.of(lang)),
    }
}

fn target(outcome: &Outcome) -> Target<'_> {
    let process = ProcessObject::of(&outcome.target, None).with_container(&outcome.target);
    match outcome.action {
        Action::Freeze { .. } | Action::Thaw { .. } | Action::Kill { .. } => Target::Process { process },
        Action::CutSocket { cookie, .. } => Target::Connection {
            connection_info: Connection { direction_id: 0, direction: "Unknown", uid: cookie.to_string() },
            actor: Actor { process },
        },
    }
}
