//! A record given as fields: a line of a replay, or the event of a case.

use std::{borrow::Cow, collections::BTreeMap};

use minesweep_model::LogLine;
use serde::Deserialize;

use super::{
    expr::Names,
    fields::{Field, Known, Record, Value},
    source::{Channel, Service, Source},
};

/// Most nested maps and lists that are looked into.
const DEPTH_LIMIT: usize = 8;

/// One record in Sigma's field names.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct FieldsRecord {
    /// Sigma's category: `process_creation`, ...
    #[serde(default)]
    pub category: Option<String>,
    /// Sigma's product; `linux` when left out.
    #[serde(default)]
    pub product: Option<String>,
    /// Sigma's service, for logs: `sshd`, ...
    #[serde(default)]
    pub service: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub fields: BTreeMap<String, FieldValue>,
}

/// A value as JSON and YAML write it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum FieldValue {
    /// No value.
    Null(()),
    /// A yes or no.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A large whole number.
    Large(u64),
    /// A number.
    Broken(f64),
    /// A text.
    Text(String),
    /// Several values.
    List(Vec<FieldValue>),
    /// Values below; `a: {b: 1}` is the field `a.b`.
    Map(BTreeMap<String, FieldValue>),
}

impl FieldValue {
    fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Flag(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
            Self::Whole(number) => Some(Cow::Owned(number.to_string())),
            Self::Large(number) => Some(Cow::Owned(number.to_string())),
            Self::Broken(number) => Some(Cow::Owned(number.to_string())),
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Null(()) | Self::List(_) | Self::Map(_) => None,
        }
    }

    fn all<'a>(&'a self, depth: usize, into: &mut Vec<Cow<'a, str>>) {
        match self {
            _ if depth > DEPTH_LIMIT => {}
            Self::List(list) => list.iter().for_each(|value| value.all(depth.saturating_add(1), into)),
            Self::Map(map) => map.values().for_each(|value| value.all(depth.saturating_add(1), into)),
            other => into.extend(other.text()),
        }
    }
}

impl FieldsRecord {
    /// Its log source, or why rules have none such.
    pub(crate) fn source(&self) -> Result<Source, String> {
        Source::parse(self.category.as_deref(), self.product.as_deref(), self.service.as_deref())
    }

    /// A value as text.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.find(name)?.text()
    }

    fn find(&self, name: &str) -> Option<&FieldValue> {
        self.fields.get(name).or_else(|| {
            // `a.b` in a rule is `{"a": {"b": ...}}` in a record.
            let mut rest = name;
            let mut map = &self.fields;
            for _ in 0..DEPTH_LIMIT {
                let (first, after) = rest.split_once('.')?;
                let Some(FieldValue::Map(below)) = map.get(first) else { return None };
                if let Some(value) = below.get(after) {
                    return Some(value);
                }
                (map, rest) = (below, after);
            }
            None
        })
    }
}

impl Record for FieldsRecord {
    fn value(&self, field: &Field) -> Value<'_> {
        if field.known == Some(Known::Text) {
            let mut texts = Vec::new();
            self.fields.values().for_each(|value| value.all(0, &mut texts));
            return Value::of(texts.join("\n"));
        }
        match self.find(&field.name) {
            None => Value::Absent,
            Some(FieldValue::Null(())) => Value::Null,
            Some(list @ (FieldValue::List(_) | FieldValue::Map(_))) => {
                let mut texts = Vec::new();
                list.all(0, &mut texts);
                Value::Many(texts)
            }
            Some(value) => value.text().map_or(Value::Null, Value::One),
        }
    }

    fn is_of(&self, service: Service) -> bool {
        match self.service.as_deref().and_then(Service::parse) {
            Some(given) if service.holds(given) => true,
            Some(Service::Syslog | Service::Auth | Service::Any) | None => {
                let text = |name: &str| self.text(name).map(Cow::into_owned).unwrap_or_default();
                let (source, program) = (text("Source"), text("Program"));
                service.has(&LogLine { source, program, pid: None, text: text("Message") })
            }
            Some(_) => service == Service::Syslog,
        }
    }

    fn is_done(&self) -> bool {
        !self.text("Done").is_some_and(|done| done.eq_ignore_ascii_case("false"))
    }
}

/// Fields that records of a kind have, for our own rules: a typing error would be silently blind.
pub(crate) fn own_fields(channel: Channel, names: &Names) -> Result<(), String> {
    let unknown = names
        .0
        .iter()
        .find(|field| !field.known.map_or(channel == Channel::Log, |known| has(channel, known)));
    match unknown {
        None => Ok(()),
        Some(field) => Err(format!("records of {} have no field '{}'", channel.category(), field.name)),
    }
}

/// Records of that kind have a field of this name; what a line of a log has is up to its program.
pub(crate) fn has_field(channel: Channel, name: &str) -> bool {
    Known::parse(name).map_or(channel == Channel::Log, |known| has(channel, known))
}

/// Records of that kind have this field.
pub(crate) fn has(channel: Channel, known: Known) -> bool {
    use Known as K;
    let is_file = matches!(
        channel,
        Channel::FileEvent
            | Channel::FileDelete
            | Channel::FileRename
            | Channel::FileAccess
            | Channel::FileChange
    );
    let is_network = channel == Channel::NetworkConnection;
    match known {
        K::Text | K::UtcTime => true,
        K::Program | K::Message | K::Source => channel == Channel::Log,
        K::DestinationIp | K::DestinationPort | K::DestinationHostname => is_network,
        K::SourceIp | K::SourcePort | K::Protocol | K::Initiated => is_network,
        K::QueryName | K::RecordType => channel == Channel::DnsQuery,
        K::TargetFilename | K::Act | K::Other | K::Value | K::Done => is_file,
        K::SourceFilename => matches!(channel, Channel::FileRename | Channel::FileEvent),
        K::Image
        | K::CommandLine
        | K::CurrentDirectory
        | K::User
        | K::ProcessId
        | K::Comm
        | K::Origin
        | K::ContainerId
        | K::ContainerRuntime
        | K::ParentImage
        | K::ParentCommandLine
        | K::ParentProcessId
        | K::ParentUser
        | K::GrandparentImage
        | K::AncestorImages => true,
    }
}
