//! What a record looks like to a rule: fields by name, asked for only when a rule needs them.

use std::{borrow::Cow, cell::OnceCell};

use super::{pattern::lower, source::Service};

/// A field that a rule or correlation names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Field {
    /// As written in the rule.
    pub(crate) name: String,
    /// Which of ours it is; `None` for one that only logs and foreign records have.
    pub(crate) known: Option<Known>,
}

impl Field {
    /// The field of that name.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), known: Known::parse(name) }
    }

    /// All of the record, for keywords.
    pub(crate) fn text() -> Self {
        Self { name: String::new(), known: Some(Known::Text) }
    }
}

macro_rules! known {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Fields that our own records have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Known {
            /// Everything the record says, for keywords.
            Text,
            $($(#[$doc])* $name),*
        }

        impl Known {
            /// All that have a name.
            pub(crate) const NAMED: &'static [(&'static str, Self)] = &[$((stringify!($name), Self::$name)),*];
        }
    };
}

known! {
    /// Executable.
    Image,
    /// Arguments, joined by spaces.
    CommandLine,
    /// Working directory.
    CurrentDirectory,
    /// `root`, or the user id as text.
    User,
    /// Pid.
    ProcessId,
    /// The name the kernel shows.
    Comm,
    /// `disk`, `overlay_upper`, `memfd`, `deleted`.
    Origin,
    /// The container's id.
    ContainerId,
    /// Its runtime.
    ContainerRuntime,
    /// The parent's executable.
    ParentImage,
    /// The parent's arguments.
    ParentCommandLine,
    /// The parent's pid.
    ParentProcessId,
    /// The parent's user.
    ParentUser,
    /// The parent's parent's executable.
    GrandparentImage,
    /// Executables of all ancestors, nearest first: any of them may match.
    AncestorImages,
    /// Date and time, UTC, `2026-01-02 03:04:05.678`.
    UtcTime,
    /// The other end's address.
    DestinationIp,
    /// Its port.
    DestinationPort,
    /// The name it was looked up by.
    DestinationHostname,
    /// Our address.
    SourceIp,
    /// Our port.
    SourcePort,
    /// `tcp` or `udp`.
    Protocol,
    /// `true` when this machine opened the connection.
    Initiated,
    /// The name that was asked for.
    QueryName,
    /// Type of the question.
    RecordType,
    /// The file, by its resulting name.
    TargetFilename,
    /// The old name.
    SourceFilename,
    /// What was done.
    Act,
    /// Second name, target or attribute.
    Other,
    /// New mode in octal; owner as `uid:gid`; flags in hexadecimal.
    Value,
    /// `false` when the kernel refused.
    Done,
    /// The program that logged.
    Program,
    /// The message.
    Message,
    /// The log it stood in.
    Source,
}

impl Known {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, known)| *known)
    }
}

/// What a record has under a name.
#[derive(Clone, Debug, Default)]
pub(crate) enum Value<'r> {
    /// Nothing of that name.
    #[default]
    Absent,
    /// The name, and no value.
    Null,
    /// A value.
    One(Cow<'r, str>),
    /// Several; a rule matches when one does.
    Many(Vec<Cow<'r, str>>),
}

impl<'r> Value<'r> {
    /// A value that is absent when empty.
    pub(crate) fn of(text: impl Into<Cow<'r, str>>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Absent } else { Self::One(text) }
    }

    /// The values.
    pub(crate) fn texts(&self) -> &[Cow<'r, str>] {
        match self {
            Self::Absent | Self::Null => &[],
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// Something that happened, seen by a rule.
pub(crate) trait Record {
    /// What it has under a name.
    fn value(&self, field: &Field) -> Value<'_>;
    /// It is a line of this log.
    fn is_of(&self, service: Service) -> bool;
    /// The kernel did it. Refused things are shown only to rules that ask.
    fn is_done(&self) -> bool;
}

/// The fields of one record that rules asked for so far.
pub(crate) struct Slots<'r, R: Record + ?Sized> {
    pub(crate) record: &'r R,
    names: &'r [Field],
    slots: Vec<OnceCell<Slot<'r>>>,
}

struct Slot<'r> {
    value: Value<'r>,
    /// The same in lower case, where that differs.
    lowered: Option<Vec<String>>,
}

impl<'r, R: Record + ?Sized> Slots<'r, R> {
    pub(crate) fn new(record: &'r R, names: &'r [Field]) -> Self {
        Self { record, names, slots: names.iter().map(|_| OnceCell::new()).collect() }
    }

    fn slot(&self, field: usize) -> Option<&Slot<'r>> {
        let (slot, name) = (self.slots.get(field)?, self.names.get(field)?);
        Some(slot.get_or_init(|| {
            let value = self.record.value(name);
            let has_upper = |text: &Cow<'_, str>| text.bytes().any(|b| b.is_ascii_uppercase() || b >= 0x80);
            let lowered = value
                .texts()
                .iter()
                .any(has_upper)
                .then(|| value.texts().iter().map(|text| lower(text)).collect());
            Slot { value, lowered }
        }))
    }

    /// What the record has.
    pub(crate) fn value(&self, field: usize) -> Option<&Value<'r>> {
        self.slot(field).map(|slot| &slot.value)
    }

    /// One of the values, lowered unless case matters, is as wanted.
    pub(crate) fn any(&self, field: usize, is_cased: bool, mut wanted: impl FnMut(&str) -> bool) -> bool {
        let Some(slot) = self.slot(field) else { return false };
        match slot.lowered.as_ref().filter(|_| !is_cased) {
            Some(texts) => texts.iter().any(|text| wanted(text)),
            None => slot.value.texts().iter().any(|text| wanted(text)),
        }
    }
}
