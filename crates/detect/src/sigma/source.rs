//! Log sources: which records a rule is about.
//!
//! A source that no sensor of ours gives is refused by name: the rule would never match, and nobody would know.

use minesweep_model::LogLine;

/// Kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Channel {
    ProcessCreation,
    NetworkConnection,
    DnsQuery,
    FileEvent,
    FileDelete,
    FileRename,
    FileAccess,
    FileChange,
    Log,
}

impl Channel {
    /// Every kind.
    pub(crate) const ALL: [Self; 9] = [
        Self::ProcessCreation,
        Self::NetworkConnection,
        Self::DnsQuery,
        Self::FileEvent,
        Self::FileDelete,
        Self::FileRename,
        Self::FileAccess,
        Self::FileChange,
        Self::Log,
    ];

    /// Sigma's name of the category.
    pub(crate) fn category(self) -> &'static str {
        match self {
            Self::ProcessCreation => "process_creation",
            Self::NetworkConnection => "network_connection",
            Self::DnsQuery => "dns_query",
            Self::FileEvent => "file_event",
            Self::FileDelete => "file_delete",
            Self::FileRename => "file_rename",
            Self::FileAccess => "file_access",
            Self::FileChange => "file_change",
            Self::Log => "log",
        }
    }

    /// The kind of that category.
    pub(crate) fn parse(category: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| *channel != Self::Log && channel.category() == category)
    }
}

/// Logs of Linux that rules name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Service {
    /// Every log.
    Any,
    Auditd,
    Auth,
    Sshd,
    Sudo,
    Cron,
    Syslog,
    Vsftpd,
    Clamav,
    Guacamole,
}

impl Service {
    const NAMED: [(&'static str, Self); 9] = [
        ("auditd", Self::Auditd),
        ("auth", Self::Auth),
        ("sshd", Self::Sshd),
        ("sudo", Self::Sudo),
        ("cron", Self::Cron),
        ("syslog", Self::Syslog),
        ("vsftpd", Self::Vsftpd),
        ("clamav", Self::Clamav),
        ("guacamole", Self::Guacamole),
    ];

    /// The log of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, service)| *service)
    }

    /// Its name, where rules name it.
    pub(crate) fn name(self) -> Option<&'static str> {
        Self::NAMED.iter().find(|(_, service)| *service == self).map(|(name, _)| *name)
    }

    /// A record that says it is of log `given` is also of this one.
    pub(crate) fn holds(self, given: Self) -> bool {
        let is_login = matches!(given, Self::Sshd | Self::Sudo);
        self == given || self == Self::Any || (self == Self::Auth && is_login)
    }

    /// The line is of this log. `program` is as the log names it.
    pub(crate) fn has(self, line: &LogLine) -> bool {
        let program = |names: &[&str]| names.iter().any(|name| line.program.eq_ignore_ascii_case(name));
        match self {
            Self::Any => true,
            Self::Auditd => is_audit(line),
            Self::Auth => {
                line.source.ends_with("/auth.log") || line.source.ends_with("/secure") || program(AUTH)
            }
            Self::Sshd => program(SSHD),
            Self::Sudo => program(&["sudo"]),
            Self::Cron => program(&["cron", "crond", "crontab", "anacron"]),
            Self::Syslog => !is_audit(line),
            Self::Vsftpd => program(&["vsftpd"]) || line.source.ends_with("/vsftpd.log"),
            Self::Clamav => program(&["clamd", "clamscan", "clamav", "freshclam", "clamonacc"]),
            Self::Guacamole => program(&["guacd", "guacamole"]),
        }
    }
}

const SSHD: &[&str] = &["sshd", "sshd-session", "sshd-auth"];
const AUTH: &[&str] = &[
    "sshd",
    "sshd-session",
    "sshd-auth",
    "sudo",
    "su",
    "login",
    "systemd-logind",
    "passwd",
    "chpasswd",
    "useradd",
    "usermod",
    "userdel",
    "groupadd",
    "groupmod",
    "groupdel",
    "gpasswd",
    "chsh",
    "chfn",
    "pkexec",
    "polkitd",
];

/// The line has the form of the audit log.
pub(crate) fn is_audit(line: &LogLine) -> bool {
    line.source.contains("/audit/")
        || line.program.starts_with("audit")
        || (line.text.starts_with("type=") && line.text.contains(" msg=audit("))
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) channel: Channel,
    /// Which log, for [`Channel::Log`].
    pub(crate) service: Service,
}

impl Source {
    /// Reads `logsource`.
    pub(crate) fn parse(
        category: Option<&str>,
        product: Option<&str>,
        service: Option<&str>,
    ) -> Result<Self, String> {
        match product {
            Some("linux") | None => {}
            Some(other) => return Err(format!("log source product '{other}' is not seen here; linux is")),
        }
        match (category, service) {
            (Some(category), None) => {
                let channel = Channel::parse(category).ok_or_else(|| {
                    format!("log source category '{category}' is not seen here; {} are", names(CATEGORIES))
                })?;
                Ok(Self { channel, service: Service::Any })
            }
            (None, Some(service)) => {
                let known = Service::parse(service).ok_or_else(|| {
                    let known: Vec<&str> = Service::NAMED.iter().map(|(name, _)| *name).collect();
                    format!("log source service '{service}' is not seen here; {} are", names(&known))
                })?;
                Ok(Self { channel: Channel::Log, service: known })
            }
            (Some(category), Some(service)) => Err(format!(
                "log source category '{category}' together with service '{service}' is not seen here; name one of them"
            )),
            (None, None) if product.is_some() => Ok(Self { channel: Channel::Log, service: Service::Any }),
            (None, None) => Err("its log source names no product, category or service".to_owned()),
        }
    }
}

const CATEGORIES: &[&str] = &[
    "process_creation",
    "network_connection",
    "dns_query",
    "file_event",
    "file_delete",
    "file_rename",
    "file_access",
    "file_change",
];

fn names(names: &[&str]) -> String {
    names.join(", ")
}
