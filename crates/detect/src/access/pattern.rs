//! What lines of logs say of logins, by patterns that are content: `access/*.yml`.
//!
//! The attacker chooses the user name and with it a part of the line. So a pattern holds on at both ends, and each
//! shows by an example of such a name that what it says of the source is what the program said. An example that comes
//! out otherwise refuses the file. Matching is linear in the line, whatever it is.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use minesweep_model::LogLine;
use regex::Captures;
use serde::Deserialize;

use crate::{
    expression::{Expression, Flags},
    rules::{RuleError, broken},
};

/// Longest pattern as written.
const PATTERN_LIMIT_BYTES: usize = 1024;
/// Most patterns of one service.
const LINES_LIMIT: usize = 64;
/// Longest name kept, of a user or a source; OpenSSH cuts user names at 100.
const NAME_LIMIT_BYTES: usize = 128;
/// How often one line may stand for others ("message repeated N times").
const REPEAT_LIMIT: u32 = 1000;

/// What a line says of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Somebody is there; tells the source of later lines of the same process.
    Connection,
    /// An attempt was made, which other lines of the same process may tell again: counted once a process.
    Attempt,
    /// An attempt failed.
    Failure,
    /// Somebody got in.
    Success,
}

/// Where somebody comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// An address.
    Address(IpAddr),
    /// A user of this machine, or a host that the log knows by name.
    Name(String),
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "?" | "-" | "UNKNOWN" => None,
            "localhost" => Some(Self::Address(IpAddr::V4(Ipv4Addr::LOCALHOST))),
            text => Some(match text.parse::<IpAddr>() {
                Ok(address) => Self::Address(address.to_canonical()),
                Err(_) => Self::Name(short(text)),
            }),
        }
    }

    /// The address, when it is one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What one line says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading<'a> {
    pub(crate) service: &'a str,
    pub(crate) outcome: Outcome,
    /// How many lines it stands for.
    pub(crate) times: u32,
    pub(crate) user: Option<String>,
    pub(crate) origin: Option<Origin>,
    pub(crate) port: u16,
    /// `password`, `publickey`, ...
    pub(crate) method: Option<String>,
    /// Fingerprint of the key.
    pub(crate) key: Option<String>,
}

/// All patterns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns(BTreeMap<String, Arc<Service>>);

#[derive(Debug)]
struct Service {
    name: String,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    outcome: Outcome,
    regex: Expression,
    method: Option<String>,
}

impl Patterns {
    /// Compiles the files `access/*.yml`, given as path and text.
    pub(crate) fn compile<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RuleError> {
        let mut services = BTreeMap::new();
        for (path, text) in files {
            let form: Form =
                serde_yaml_ng::from_str(text).map_err(|error| broken(path)(error.to_string()))?;
            let mut service = form.compile().map_err(broken(path))?;
            form.check(&service).map_err(broken(path))?;
            service.lines.iter_mut().for_each(|line| line.regex.forget());
            let service = Arc::new(service);
            for program in &form.programs {
                if services.insert(program.clone(), service.clone()).is_some() {
                    return Err(broken(path)(format!("{program} is in another file already; keep one")));
                }
            }
        }
        Ok(Self(services))
    }

    /// What a line says of a login; `None` when it says nothing of one.
    pub(crate) fn read(&self, line: &LogLine) -> Option<Reading<'_>> {
        self.0.get(&line.program)?.read(&line.text)
    }
}

impl Service {
    fn read(&self, text: &str) -> Option<Reading<'_>> {
        let (times, text) = unfold(text);
        self.lines.iter().find_map(|line| {
            let found = line.regex.captures(text)?;
            let port = group(&found, "port").and_then(|port| port.parse().ok());
            Some(Reading {
                service: &self.name,
                outcome: line.outcome,
                times,
                user: group(&found, "user").map(short),
                origin: group(&found, "source").and_then(Origin::parse),
                port: port.unwrap_or(0),
                method: group(&found, "method").map(short).or_else(|| line.method.clone()),
                key: group(&found, "key").map(short),
            })
        })
    }
}

fn group<'t>(found: &Captures<'t>, name: &str) -> Option<&'t str> {
    found.name(name).map(|group| group.as_str()).filter(|text| !text.is_empty())
}

/// The log daemon folds lines that repeat: `message repeated 3 times: [ Failed password ...]`.
fn unfold(text: &str) -> (u32, &str) {
    let whole = (1, text);
    let Some(rest) = text.strip_prefix("message repeated ") else { return whole };
    let Some((times, rest)) = rest.split_once(" times: [ ") else { return whole };
    match (times.parse::<u32>(), rest.strip_suffix(']')) {
        (Ok(times), Some(inner)) => (times.clamp(1, REPEAT_LIMIT), inner),
        (Ok(_) | Err(_), _) => whole,
    }
}

/// What others may choose is kept short.
fn short(text: &str) -> String {
    let mut end = text.len().min(NAME_LIMIT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

pub(crate) fn is_access_pattern(path: &str) -> bool {
    let is_in_folder = path.starts_with("access/") || path.contains("/access/");
    is_in_folder && path.ends_with(".yml")
}

/// The form of `access/*.yml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    service: String,
    programs: Vec<String>,
    #[serde(rename = "licence")]
    _licence: String,
    #[serde(rename = "source")]
    _source: String,
    lines: Vec<LineForm>,
    /// Lines of these programs that tell of no login.
    stays_quiet: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineForm {
    outcome: Outcome,
    regex: String,
    /// How it was tried, where the line does not say.
    method: Option<String>,
    examples: Vec<Example>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    text: String,
    user: Option<String>,
    from: Option<String>,
    method: Option<String>,
    key: Option<String>,
}

impl Form {
    fn compile(&self) -> Result<Service, String> {
        if self.lines.len() > LINES_LIMIT || self.programs.is_empty() {
            return Err(format!("a service has programs, and at most {LINES_LIMIT} patterns"));
        }
        let lines = self.lines.iter().map(LineForm::compile).collect::<Result<_, _>>()?;
        Ok(Service { name: self.service.clone(), lines })
    }

    /// Holds each example against the patterns, all of them: an earlier one may take a later one's line.
    fn check(&self, service: &Service) -> Result<(), String> {
        for line in &self.lines {
            if line.examples.is_empty() {
                return Err(format!("'{}' has no example", line.regex));
            }
            for example in &line.examples {
                let read = service.read(&example.text);
                let is_right = read.as_ref().is_some_and(|read| {
                    read.outcome == line.outcome
                        && read.user == example.user
                        && read.origin.as_ref().map(ToString::to_string) == example.from
                        && read.key == example.key
                        && (example.method.is_none() || read.method == example.method)
                });
                if !is_right {
                    return Err(format!("the example '{}' is read as {read:?}", example.text));
                }
            }
        }
        match self.stays_quiet.iter().find(|text| service.read(text).is_some()) {
            Some(text) => Err(format!("'{text}' is to say nothing of a login and does")),
            None => Ok(()),
        }
    }
}

impl LineForm {
    fn compile(&self) -> Result<Line, String> {
        const GROUPS: [&str; 5] = ["user", "source", "port", "method", "key"];
        let text = &self.regex;
        if text.len() > PATTERN_LIMIT_BYTES || !text.starts_with('^') || !text.ends_with('$') {
            return Err(format!(
                "'{text}' must begin with ^, end with $ and have at most {PATTERN_LIMIT_BYTES} bytes"
            ));
        }
        let regex = Expression::new(text, Flags::default()).map_err(|error| error.to_string())?;
        if let Some(name) = regex.groups().find(|name| !GROUPS.contains(name)) {
            return Err(format!("'{text}' has a group {name}; groups are {}", GROUPS.join(", ")));
        }
        Ok(Line { outcome: self.outcome, regex, method: self.method.clone() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    fn patterns() -> &'static Patterns {
        static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
            let files = crate::testing::material();
            let ours = files.iter().filter(|(path, _)| is_access_pattern(path));
            Patterns::compile(ours.map(|(path, text)| (path.as_str(), text.as_str()))).unwrap()
        });
        &PATTERNS
    }

    fn line(program: &str, text: &str) -> LogLine {
        LogLine {
            source: "/var/log/auth.log".to_owned(),
            program: program.to_owned(),
            pid: Some(1),
            text: text.to_owned(),
        }
    }

    fn refusal(lines: &str) -> String {
        let text =
            format!("service: x\nprograms: [x]\nlicence: L\nsource: S\nlines: [{lines}]\nstays_quiet: []\n");
        Patterns::compile([("access/x.yml", text.as_str())]).unwrap_err().to_string()
    }

    #[test]
    fn a_pattern_that_is_open_at_an_end_or_whose_example_comes_out_otherwise_is_refused_with_its_file() {
        let open = refusal("{outcome: failure, regex: 'no (?P<user>.*)', examples: [{text: no a, user: a}]}");
        assert!(open.contains("access/x.yml") && open.contains("must begin"), "{open}");
        let wrong =
            refusal("{outcome: failure, regex: '^no (?P<user>.*)$', examples: [{text: no a, user: b}]}");
        assert!(wrong.contains("no a"), "{wrong}");
        let odd = refusal("{outcome: failure, regex: '^no (?P<usr>.*)$', examples: [{text: no a}]}");
        assert!(odd.contains("usr"), "{odd}");
        assert!(refusal("{outcome: failure, regex: '^no$', examples: []}").contains("no example"));
    }

    #[test]
    fn a_line_that_stands_for_others_counts_as_many() {
        let text = "message repeated 3 times: [ Failed password for root from 192.0.2.1 port 22 ssh2]";
        let patterns = patterns();
        let line = line("sshd", text);
        let read = patterns.read(&line).unwrap();
        assert_eq!((read.times, read.user.as_deref(), read.port), (3, Some("root"), 22));
        assert_eq!(unfold("message repeated 99999999999 times: [ x]").0, 1);
        assert_eq!(unfold("message repeated 9999999 times: [ x]"), (REPEAT_LIMIT, "x"));
    }

    #[test]
    fn an_address_of_the_fourth_version_is_itself_inside_the_sixth() {
        assert_eq!(Origin::parse("::ffff:192.0.2.1"), Origin::parse("192.0.2.1"));
        assert_eq!(Origin::parse("localhost").unwrap().to_string(), "127.0.0.1");
        assert_eq!(Origin::parse("UNKNOWN"), None);
    }

    proptest! {
        /// The user name is the attacker's; the source never is.
        #[test]
        fn no_user_name_forges_a_source(
            words in proptest::collection::vec(
                prop_oneof![
                    Just(" from 6.6.6.6 port 22 ssh2".to_owned()),
                    Just(": RSA SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
                    Just(" ID x (serial 0) CA RSA".to_owned()),
                    Just(" 6.6.6.6 port 22".to_owned()),
                    Just(" rhost=6.6.6.6  user=".to_owned()),
                    Just("'@'6.6.6.6' (using password: YES)".to_owned()),
                    Just(" [preauth]".to_owned()),
                    Just(">, method=PLAIN, rip=6.6.6.6, lip=6.6.6.6".to_owned()),
                    Just("] FAIL LOGIN: Client \"6.6.6.6\"".to_owned()),
                    "[a-z ]{0,6}",
                ],
                0..5,
            )
        ) {
            let (patterns, name) = (patterns(), words.concat());
            for (program, text) in [
                ("sshd", format!("Failed password for invalid user {name} from 192.0.2.1 port 4022 ssh2")),
                ("sshd", format!("Invalid user {name} from 192.0.2.1 port 4022")),
                ("sshd", format!("Failed publickey for invalid user {name} from 192.0.2.1 port 4022 ssh2: RSA SHA256:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB")),
                ("sshd", format!("Connection closed by invalid user {name} 192.0.2.1 port 4022 [preauth]")),
                ("sshd", format!("error: maximum authentication attempts exceeded for invalid user {name} from 192.0.2.1 port 4022 ssh2 [preauth]")),
                ("sshd", format!("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user={name}")),
                ("vsftpd", format!("[{name}] FAIL LOGIN: Client \"192.0.2.1\"")),
                ("mariadbd", format!("Access denied for user '{name}'@'192.0.2.1' (using password: YES)")),
                ("dovecot", format!("imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<{name}>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.9")),
            ] {
                let line = line(program, &text);
                let read = patterns.read(&line);
                let origin = read.and_then(|read| read.origin).map(|origin| origin.to_string());
                prop_assert!(matches!(origin.as_deref(), None | Some("192.0.2.1")), "{} read from {:?}", text, origin);
            }
        }

        #[test]
        fn no_line_stops_it(program in "sshd|su|sudo|login|vsftpd|mariadbd|postgres|dovecot|postfix", text in ".{0,400}") {
            let patterns = patterns();
            let line = line(&program, &text);
            let _ = patterns.read(&line);
        }
    }
}
