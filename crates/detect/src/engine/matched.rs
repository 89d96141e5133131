//! From events to records for Sigma rules, and from what matched to hits.
//!
//! A record is a view: a field is made when a rule asks for it. One event may be several records: a renamed file is a
//! rename, and a file that has come into being under its new name.

use std::borrow::Cow;

use minesweep_model::{
    Event, FileAct, FileEvent, Flow, LogLine, Origin, Process, ProcessKey, Protocol, Utterance, What,
};

use super::{Engine, Output};
use crate::{
    content_rule::Hit,
    ids,
    sigma::{
        Channel, Field, FieldsRecord, Found, Known, Record, Service, Unit, Value, is_audit, unix_ms, utc,
    },
    tree::{Entry, Tree},
};

mod audit;
mod words;

/// Most ancestors that a rule sees.
const ANCESTORS_LIMIT: usize = 16;

impl Engine {
    /// The event is worth matching: what is told again when more is known of it was matched before, and what ran before
    /// we came is nothing that happened.
    pub(super) fn is_news(&self, event: &Event) -> bool {
        match &event.what {
            What::Running(process) => {
                let known = self.tree.process(process.key);
                process.started_ms >= self.began_ms
                    && known.is_none_or(|known| known.exe != process.exe || known.argv != process.argv)
            }
            What::Exec(_)
            | What::Connect(_)
            | What::Accept(_)
            | What::Said(_)
            | What::File(_)
            | What::Log(_) => true,
            _ => false,
        }
    }

    /// Matches an event against all rules in Sigma.
    pub(super) fn matched(&mut self, event: &Event, out: &mut Vec<Output>) {
        let rules = self.rules.clone();
        let Some((seen, key)) = self.seen(&event.what) else { return };
        let mut hits: Vec<(Found, Channel)> = Vec::new();
        let Self { tree, flows, correlator, .. } = self;
        for channel in seen.channels() {
            if !rules.sigma().wants(*channel) {
                continue;
            }
            let name = seen.remote().and_then(|end| flows.named(end.ip()));
            let record = Live {
                tree,
                entry: key.and_then(|key| tree.get(key)),
                seen,
                channel: *channel,
                at_ms: event.at_ms,
                name,
            };
            let found = rules.sigma().matching(*channel, &record, correlator, event.at_ms);
            hits.extend(found.into_iter().map(|found| (found, *channel)));
        }
        let unit = |found: &Found| rules.sigma().units().get(found.unit);
        // Those that yield to most come last, to know what the others said.
        hits.sort_by_key(|(found, _)| unit(found).map_or(0, |unit| unit.yields_to.len()));
        for (found, channel) in hits {
            let Some(unit) = unit(&found).filter(|unit| !self.is_said(unit, key)) else { continue };
            let name = seen.remote().and_then(|end| self.flows.named(end.ip())).map(str::to_owned);
            let entry = key.and_then(|key| self.tree.get(key));
            let record =
                Live { tree: &self.tree, entry, seen, channel, at_ms: event.at_ms, name: name.as_deref() };
            let hit = Hit {
                rule: &unit.content,
                subject: key,
                why: words::why(&record, channel, found.counted.as_ref()),
                remote: seen.remote(),
                thing: words::thing(&record, channel, found.counted.as_ref()),
            };
            self.tell_hit(&hit, event.at_ms, out);
        }
    }

    /// Takes a record that is given as fields, as a replay does: the process in it is learned, then it is matched.
    ///
    /// # Errors
    /// When no record of ours is of its log source.
    pub fn observe_fields(&mut self, record: &FieldsRecord, at_ms: u64) -> Result<Vec<Output>, String> {
        let source = record.source()?;
        let mut out = Vec::new();
        let at_ms = record
            .text("UtcTime")
            .or_else(|| record.text("Timestamp"))
            .or_else(|| record.text("timestamp"))
            .or_else(|| record.text("@timestamp"))
            .and_then(|text| unix_ms(&text))
            .unwrap_or(at_ms);
        let key = self.learn_fields(record, source.channel, at_ms, &mut out);
        let rules = self.rules.clone();
        let found = rules.sigma().matching(source.channel, record, &mut self.correlator, at_ms);
        for found in found {
            let unit = rules.sigma().units().get(found.unit).filter(|unit| !self.is_said(unit, key));
            let Some(unit) = unit else { continue };
            let hit = Hit {
                rule: &unit.content,
                subject: key,
                why: words::why(record, source.channel, found.counted.as_ref()),
                remote: words::remote(record),
                thing: words::thing(record, source.channel, found.counted.as_ref()),
            };
            self.tell_hit(&hit, at_ms, &mut out);
        }
        Ok(out)
    }

    /// A rule to which this one yields was told of this process.
    fn is_said(&self, unit: &Unit, key: Option<ProcessKey>) -> bool {
        let Some(entry) = key.and_then(|key| self.tree.get(key)) else { return false };
        let severity = unit.content.severity;
        unit.yields_to.iter().any(|rule| entry.activity.was_hit_by(ids::thing(rule), severity))
    }

    /// The process of a record of fields, as far as it names one.
    fn learn_fields(
        &mut self,
        record: &FieldsRecord,
        channel: Channel,
        at_ms: u64,
        out: &mut Vec<Output>,
    ) -> Option<ProcessKey> {
        let text = |name: &str| record.text(name).map(Cow::into_owned).unwrap_or_default();
        let number = |name: &str| record.text(name).and_then(|text| text.parse::<u32>().ok());
        let (image, line) = (text("Image"), text("CommandLine"));
        if image.is_empty() && line.is_empty() {
            return None;
        }
        // Without a pid each record is a process of its own, told apart by what it says.
        let pid = number("ProcessId");
        let start = if pid.is_some() { 0 } else { ids::thing(&format!("{image}\0{line}")) };
        let key = ProcessKey { pid: pid.unwrap_or(0), start_ticks: start };
        if channel != Channel::ProcessCreation && self.tree.process(key).is_some() {
            return Some(key);
        }
        let parent_pid = number("ParentProcessId").unwrap_or(0);
        let parent = ProcessKey { pid: parent_pid, start_ticks: 0 };
        let parent_image = text("ParentImage");
        if parent_pid != 0 && self.tree.by_pid(parent_pid).is_none() && !parent_image.is_empty() {
            let argv = words_of(&text("ParentCommandLine"));
            self.tree.learn(&Process { exe: parent_image, argv, ..Process::unknown(parent) });
        }
        let process = Process {
            parent_pid,
            exe: image,
            argv: words_of(&line),
            cwd: text("CurrentDirectory"),
            uid: match record.text("User").as_deref() {
                Some("root") | None => 0,
                // A name stands for somebody who is not root; which number he has is not said.
                Some(user) => user.parse().unwrap_or(u32::MAX),
            },
            started_ms: at_ms,
            ..Process::unknown(key)
        };
        if channel == Channel::ProcessCreation {
            self.exec(&process, at_ms, out);
        } else {
            self.tree.learn(&process);
        }
        Some(key)
    }

    fn seen<'e>(&self, what: &'e What) -> Option<(Seen<'e>, Option<ProcessKey>)> {
        Some(match what {
            What::Exec(process) | What::Running(process) => (Seen::Process, Some(process.key)),
            What::Connect(flow) => (Seen::Flow(flow, true), flow.process),
            What::Accept(flow) => (Seen::Flow(flow, false), flow.process),
            What::File(event) => (Seen::File(event), Some(event.process)),
            What::Log(line) => (Seen::Log(line), line.pid.and_then(|pid| self.tree.by_pid(pid))),
            What::Said(said) => match &said.utterance {
                Utterance::DnsQuestion { name, kind } => {
                    (Seen::Dns { name, kind }, said.process.or_else(|| self.flows.owner(said)))
                }
                Utterance::Stratum(_)
                | Utterance::Tls { .. }
                | Utterance::DnsAnswer { .. }
                | Utterance::Http { .. } => return None,
            },
            _ => return None,
        })
    }
}

/// A command line in words; quotes are not read, since the record does not say how it was joined.
fn words_of(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// What of an event is matched.
#[derive(Clone, Copy)]
enum Seen<'e> {
    Process,
    /// True when this machine opened it.
    Flow(&'e Flow, bool),
    Dns {
        name: &'e str,
        kind: &'e str,
    },
    File(&'e FileEvent),
    Log(&'e LogLine),
}

impl Seen<'_> {
    /// Which records it is.
    fn channels(&self) -> &'static [Channel] {
        match self {
            Self::Process => &[Channel::ProcessCreation],
            Self::Flow(..) => &[Channel::NetworkConnection],
            Self::Dns { .. } => &[Channel::DnsQuery],
            Self::Log(_) => &[Channel::Log],
            Self::File(event) => match event.act {
                FileAct::Create | FileAct::Link => &[Channel::FileEvent],
                FileAct::Write | FileAct::Symlink => &[Channel::FileEvent, Channel::FileChange],
                FileAct::Rename => &[Channel::FileRename, Channel::FileEvent],
                FileAct::Remove => &[Channel::FileDelete],
                FileAct::Read => &[Channel::FileAccess],
                FileAct::Mode
                | FileAct::Owner
                | FileAct::Xattr
                | FileAct::Flags
                | FileAct::Mount
                | FileAct::Unmount
                | FileAct::Memfd => &[Channel::FileChange],
            },
        }
    }

    fn remote(&self) -> Option<std::net::SocketAddr> {
        match self {
            Self::Flow(flow, _) => Some(flow.remote),
            Self::Process | Self::Dns { .. } | Self::File(_) | Self::Log(_) => None,
        }
    }
}

/// An event of this machine as a record.
struct Live<'a> {
    tree: &'a Tree,
    /// Who did it.
    entry: Option<&'a Entry>,
    seen: Seen<'a>,
    channel: Channel,
    at_ms: u64,
    /// The name by which the other end was looked up.
    name: Option<&'a str>,
}

impl Record for Live<'_> {
    fn value(&self, field: &Field) -> Value<'_> {
        match (field.known, self.seen) {
            (Some(Known::Text), _) => self.text(),
            (Some(known), _) => self.known(known),
            (None, Seen::Log(line)) if is_audit(line) => audit::value(&line.text, &field.name),
            (None, _) => Value::Absent,
        }
    }

    fn is_of(&self, service: Service) -> bool {
        match self.seen {
            Seen::Log(line) => service.has(line),
            Seen::Process | Seen::Flow(..) | Seen::Dns { .. } | Seen::File(_) => false,
        }
    }

    fn is_done(&self) -> bool {
        match self.seen {
            Seen::File(event) => event.is_done,
            Seen::Process | Seen::Flow(..) | Seen::Dns { .. } | Seen::Log(_) => true,
        }
    }
}

impl<'a> Live<'a> {
    /// Everything a keyword may stand in.
    fn text(&self) -> Value<'_> {
        if let Seen::Log(line) = self.seen {
            return Value::of(format!("{}: {}", line.program, line.text));
        }
        let all = Known::NAMED.iter().map(|(_, known)| self.known(*known));
        let texts: Vec<String> =
            all.flat_map(|value| value.texts().iter().map(ToString::to_string).collect::<Vec<_>>()).collect();
        Value::of(texts.join("\n"))
    }

    fn known(&self, known: Known) -> Value<'_> {
        match known {
            Known::UtcTime => Value::One(Cow::Owned(utc(self.at_ms))),
            Known::Text => Value::Absent,
            Known::Program | Known::Message | Known::Source => match self.seen {
                Seen::Log(line) => Value::of(match known {
                    Known::Program => line.program.as_str(),
                    Known::Message => line.text.as_str(),
                    _ => line.source.as_str(),
                }),
                Seen::Process | Seen::Flow(..) | Seen::Dns { .. } | Seen::File(_) => Value::Absent,
            },
            Known::QueryName | Known::RecordType => match self.seen {
                Seen::Dns { name, kind } => Value::of(if known == Known::QueryName { name } else { kind }),
                Seen::Process | Seen::Flow(..) | Seen::Log(_) | Seen::File(_) => Value::Absent,
            },
            Known::TargetFilename
            | Known::SourceFilename
            | Known::Act
            | Known::Other
            | Known::Value
            | Known::Done => match self.seen {
                Seen::File(event) => file(event, known, self.channel),
                Seen::Process | Seen::Flow(..) | Seen::Log(_) | Seen::Dns { .. } => Value::Absent,
            },
            Known::DestinationIp
            | Known::DestinationPort
            | Known::DestinationHostname
            | Known::SourceIp
            | Known::SourcePort
            | Known::Protocol
            | Known::Initiated => match self.seen {
                Seen::Flow(flow, is_ours) => self.flow(flow, is_ours, known),
                Seen::Process | Seen::File(_) | Seen::Log(_) | Seen::Dns { .. } => Value::Absent,
            },
            _ => self.entry.map_or(Value::Absent, |entry| self.process(entry, known)),
        }
    }

    /// Source and destination are as the connection was opened, whoever opened it.
    fn flow(&self, flow: &'a Flow, is_ours: bool, known: Known) -> Value<'_> {
        let (source, destination) =
            if is_ours { (flow.local, flow.remote) } else { (flow.remote, flow.local) };
        match known {
            Known::DestinationIp => Value::of(destination.ip().to_canonical().to_string()),
            Known::DestinationPort => Value::of(destination.port().to_string()),
            Known::SourceIp => Value::of(source.ip().to_canonical().to_string()),
            Known::SourcePort => Value::of(source.port().to_string()),
            Known::DestinationHostname => self.name.filter(|_| is_ours).map_or(Value::Absent, Value::of),
            Known::Protocol => Value::of(match flow.protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
            }),
            _ => Value::of(if is_ours { "true" } else { "false" }),
        }
    }

    fn process(&self, entry: &'a Entry, known: Known) -> Value<'_> {
        let process = &entry.process;
        let parent = || self.tree.parent(process.key).map(|parent| &parent.process);
        match known {
            Known::Image => Value::of(process.exe.as_str()),
            Known::CommandLine => command_line(process),
            Known::CurrentDirectory => Value::of(process.cwd.as_str()),
            Known::User => user(process),
            Known::ProcessId => Value::of(process.key.pid.to_string()),
            Known::Comm => Value::of(process.comm.as_str()),
            Known::Origin => Value::of(origin(process.origin)),
            Known::ContainerId => {
                process.container.as_ref().map_or(Value::Absent, |container| Value::of(container.id.as_str()))
            }
            Known::ContainerRuntime => process
                .container
                .as_ref()
                .map_or(Value::Absent, |container| Value::of(container.runtime.as_str())),
            Known::ParentImage => parent().map_or(Value::Absent, |parent| Value::of(parent.exe.as_str())),
            Known::ParentCommandLine => parent().map_or(Value::Absent, |parent| command_line(parent)),
            Known::ParentProcessId if process.parent_pid == 0 => Value::Absent,
            Known::ParentProcessId => Value::of(process.parent_pid.to_string()),
            Known::ParentUser => parent().map_or(Value::Absent, |parent| user(parent)),
            Known::GrandparentImage => self
                .tree
                .ancestors(process.key)
                .nth(1)
                .map_or(Value::Absent, |entry| Value::of(entry.process.exe.as_str())),
            Known::AncestorImages => Value::Many(self.above(process.key)),
            _ => Value::Absent,
        }
    }

    /// Images above a process, up to who started its session: a service that an installer once started is no
    /// installer's work.
    fn above(&self, key: ProcessKey) -> Vec<Cow<'a, str>> {
        let session = self.tree.session(key);
        let within = self.tree.ancestors(key).position(|entry| entry.process.key == session);
        let count = within.map_or(1, |at| at + 2).min(ANCESTORS_LIMIT);
        let tree: &'a Tree = self.tree;
        tree.ancestors(key).take(count).map(|entry| Cow::Borrowed(entry.process.exe.as_str())).collect()
    }
}

/// Arguments joined by spaces; the kernel's name where a process shows none.
fn command_line(process: &Process) -> Value<'_> {
    match process.argv.as_slice() {
        [] => Value::of(process.comm.as_str()),
        [only] => Value::of(only.as_str()),
        words => Value::of(words.join(" ")),
    }
}

fn user(process: &Process) -> Value<'static> {
    match process.uid {
        0 => Value::of("root"),
        uid => Value::of(uid.to_string()),
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Disk => "disk",
        Origin::OverlayUpper => "overlay_upper",
        Origin::Memfd => "memfd",
        Origin::Deleted => "deleted",
        Origin::Kernel => "kernel",
    }
}

fn file(event: &FileEvent, known: Known, channel: Channel) -> Value<'_> {
    let other = || event.other.as_deref().map_or(Value::Absent, Value::of);
    match known {
        // A rename and a link come into being under their new name.
        Known::TargetFilename => match event.act {
            FileAct::Rename | FileAct::Link => other(),
            _ => Value::of(event.path.as_str()),
        },
        Known::SourceFilename => match event.act {
            FileAct::Rename | FileAct::Link => Value::of(event.path.as_str()),
            _ => Value::Absent,
        },
        Known::Act => Value::of(act(event.act)),
        Known::Other if channel == Channel::FileChange => other(),
        Known::Other => match event.act {
            FileAct::Rename | FileAct::Link => Value::of(event.path.as_str()),
            _ => other(),
        },
        Known::Value => event.value.map_or(Value::Absent, |value| {
            Value::of(match event.act {
                FileAct::Owner => format!("{}:{}", value & 0xffff_ffff, value >> 32),
                FileAct::Flags => format!("{value:#x}"),
                _ => format!("{value:04o}"),
            })
        }),
        _ => Value::of(if event.is_done { "true" } else { "false" }),
    }
}

/// The act as rules name it.
fn act(act: FileAct) -> &'static str {
    match act {
        FileAct::Create => "create",
        FileAct::Write => "write",
        FileAct::Read => "read",
        FileAct::Rename => "rename",
        FileAct::Link => "link",
        FileAct::Symlink => "symlink",
        FileAct::Remove => "remove",
        FileAct::Mode => "mode",
        FileAct::Owner => "owner",
        FileAct::Xattr => "xattr",
        FileAct::Flags => "flags",
        FileAct::Mount => "mount",
        FileAct::Unmount => "unmount",
        FileAct::Memfd => "memfd",
    }
}
