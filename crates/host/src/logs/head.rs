//! Takes the head off a line: who logged it, with which pid, and what is left for the message.
//!
//! Pure, and never indexes: who logs chooses the line.

/// What a line says, and who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The program, as the line names it.
    pub program: &'a str,
    /// Its pid, where the line names it.
    pub pid: Option<u32>,
    /// The message.
    pub text: &'a str,
}

/// How lines of a file begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `Nov 25 02:06:19 host program[pid]: text`, or with an ISO time.
    Syslog,
    /// `Wed Nov 25 02:06:19 2026 [pid 2] text`.
    Vsftpd,
    /// `2026-11-25T02:06:19.000000Z 8 [Note] [MY-010926] [Server] text`, and the forms of MariaDB.
    Mysql,
    /// `2026-11-25 02:06:19.000 UTC [1234] user@database FATAL:  text`.
    Postgres,
    /// `1234:M 25 Nov 2026 02:06:19.000 # text`.
    Redis,
    /// The whole line is the message.
    Bare,
}

/// Longest name of a program; longer is no head.
const PROGRAM_LIMIT_BYTES: usize = 64;

/// Takes a line apart. `program` is who logs to that file where lines do not say. A line without the head of its file is
/// a message as a whole, so that nothing is lost to a form that nobody knew.
pub fn parse<'a>(form: Form, program: &'a str, line: &'a str) -> Head<'a> {
    let head = match form {
        Form::Syslog => syslog(line),
        Form::Vsftpd => vsftpd(program, line),
        Form::Mysql => mysql(program, line),
        Form::Postgres => postgres(program, line),
        Form::Redis => redis(program, line),
        Form::Bare => None,
    };
    head.unwrap_or(Head { program, pid: None, text: line })
}

fn syslog(line: &str) -> Option<Head<'_>> {
    let line = without_priority(line);
    let rest = iso_time(line).or_else(|| bsd_time(line))?;
    let (host, rest) = rest.split_once(' ')?;
    if host.is_empty() || host.ends_with(':') {
        return None;
    }
    let (tag, text) = rest.split_once(": ").or_else(|| Some((rest.strip_suffix(':')?, "")))?;
    let (program, pid) = match tag.split_once('[') {
        Some((program, pid)) => (program, pid.strip_suffix(']')?.parse().ok()),
        None => (tag, None),
    };
    let is_name = !program.is_empty() && program.len() <= PROGRAM_LIMIT_BYTES && !program.contains(' ');
    is_name.then_some(Head { program, pid, text })
}

/// `<38>` before the head.
fn without_priority(line: &str) -> &str {
    line.strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
        .filter(|(number, _)| !number.is_empty() && number.len() <= 3 && is_number(number))
        .map_or(line, |(_, rest)| rest)
}

/// What follows `2026-11-25T02:06:19.123456+00:00 `.
fn iso_time(line: &str) -> Option<&str> {
    let (time, rest) = line.split_once(' ')?;
    let (date, clock) = time.split_once('T')?;
    let is_date = date.len() == 10 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    (is_date && is_clock(clock.get(..8)?)).then_some(rest)
}

/// What follows `Nov 25 02:06:19 ` or `Nov  5 02:06:19 `.
fn bsd_time(line: &str) -> Option<&str> {
    let (month, rest) = line.split_once(' ')?;
    let (day, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    let (clock, rest) = rest.split_once(' ')?;
    let is_month = month.len() == 3 && month.bytes().all(|byte| byte.is_ascii_alphabetic());
    (is_month && day.len() <= 2 && is_number(day) && is_clock(clock)).then_some(rest)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `02:06:19`, or with a fraction.
fn is_clock(text: &str) -> bool {
    let whole = text.split('.').next().unwrap_or(text);
    whole.len() == 8 && whole.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
}

fn vsftpd<'a>(program: &'a str, line: &'a str) -> Option<Head<'a>> {
    let (_, rest) = line.split_once(" [pid ")?;
    let (pid, text) = rest.split_once("] ")?;
    Some(Head { program, pid: pid.parse().ok(), text })
}

fn mysql<'a>(program: &'a str, line: &'a str) -> Option<Head<'a>> {
    // The first bracket is the level: `[Note]`, `[Warning]`. Labels of one word may follow.
    let (_, mut text) = line.split_once("] ")?;
    while let Some((label, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once("] "))
        && !label.contains(' ')
    {
        text = rest;
    }
    Some(Head { program, pid: None, text })
}

fn postgres<'a>(program: &'a str, line: &'a str) -> Option<Head<'a>> {
    const LEVELS: [&str; 8] = ["FATAL", "LOG", "ERROR", "WARNING", "PANIC", "DETAIL", "STATEMENT", "HINT"];
    let (_, rest) = line.split_once('[')?;
    let (pid, rest) = rest.split_once(']')?;
    // The prefix is the owner's choice; the level is the first word of capitals before a colon.
    let at = LEVELS.iter().filter_map(|level| rest.find(&format!("{level}:  "))).min()?;
    Some(Head { program, pid: pid.split('-').next().and_then(|pid| pid.parse().ok()), text: rest.get(at..)? })
}

fn redis<'a>(program: &'a str, line: &'a str) -> Option<Head<'a>> {
    let (pid, rest) = line.split_once(':')?;
    let mut words = rest.splitn(7, ' ');
    let text = words.nth(6).or_else(|| rest.splitn(6, ' ').nth(5))?;
    Some(Head { program, pid: Some(pid.parse().ok()?), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(form: Form, line: &str) -> (String, Option<u32>, String) {
        let head = parse(form, "given", line);
        (head.program.to_owned(), head.pid, head.text.to_owned())
    }

    #[test]
    fn both_forms_of_time_and_a_program_without_pid_are_read() {
        let want = ("sshd".to_owned(), Some(812), "Invalid user a: b".to_owned());
        for line in [
            "Nov 25 02:06:19 web-1 sshd[812]: Invalid user a: b",
            "Nov  5 02:06:19 web-1 sshd[812]: Invalid user a: b",
            "<38>Nov 25 02:06:19 web-1 sshd[812]: Invalid user a: b",
            "2026-11-25T02:06:19.123456+00:00 web-1 sshd[812]: Invalid user a: b",
            "2026-11-25T02:06:19Z web-1 sshd[812]: Invalid user a: b",
        ] {
            assert_eq!(head(Form::Syslog, line), want, "{line}");
        }
        assert_eq!(
            head(Form::Syslog, "Nov 25 02:06:19 web-1 sudo:   bob : TTY=pts/0"),
            ("sudo".to_owned(), None, "  bob : TTY=pts/0".to_owned())
        );
        assert_eq!(head(Form::Syslog, "Nov 25 02:06:19 h postfix/smtpd[7]: x").0, "postfix/smtpd");
    }

    #[test]
    fn a_line_without_a_head_is_a_message_of_the_program_that_the_file_is_of() {
        for line in [
            "Failed password for root",
            "Nov 25 02:06:19",
            "",
            "<38>",
            "2026-11-25T02:06:19Z x",
            "a b c d e f",
        ] {
            assert_eq!(head(Form::Syslog, line), ("given".to_owned(), None, line.to_owned()));
        }
    }

    #[test]
    fn the_heads_of_services_are_taken_off() {
        let text = |form, line| {
            let (program, pid, text) = head(form, line);
            assert_eq!(program, "given");
            (pid, text)
        };
        assert_eq!(
            text(Form::Vsftpd, "Wed Nov 25 02:06:19 2026 [pid 2] [bob] FAIL LOGIN: Client \"192.0.2.1\""),
            (Some(2), "[bob] FAIL LOGIN: Client \"192.0.2.1\"".to_owned())
        );
        for line in [
            "2026-11-25T02:06:19.000000Z 8 [Note] [MY-010926] [Server] Access denied",
            "2026-11-25  2:06:19 30 [Warning] Access denied",
        ] {
            assert_eq!(text(Form::Mysql, line), (None, "Access denied".to_owned()));
        }
        assert_eq!(
            text(
                Form::Postgres,
                "2026-11-25 02:06:19.000 UTC [1234] bob@x FATAL:  password authentication failed"
            ),
            (Some(1234), "FATAL:  password authentication failed".to_owned())
        );
        assert_eq!(
            text(Form::Redis, "77:M 25 Nov 2026 02:06:19.000 # Warning: x"),
            (Some(77), "Warning: x".to_owned())
        );
    }
}
