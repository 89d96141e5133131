//! What logs tell: logins. A line's pid leads to the process that served the login, and so to its session.

use std::{net::IpAddr, sync::Arc};

use minesweep_model::{LogLine, Origin, ProcessKey};

use super::{Engine, Output};
use crate::{content_rule::Hit, tree::base_name};

/// Logins of the time before our start, one a line: `UNIX_SECONDS ADDRESS USER`.
const PAST_LOGINS: &str = "/var/log/wtmp";

/// The line names a process that is another program.
struct Forged;

impl Engine {
    pub(super) fn log(&mut self, line: &LogLine, at_ms: u64, out: &mut Vec<Output>) {
        if line.source == PAST_LOGINS {
            return self.past_login(&line.text);
        }
        let rules = Arc::clone(&self.rules);
        let Some(reading) = rules.access().read(line) else { return };
        let Ok(speaker) = self.speaker(line) else {
            self.forged_lines = self.forged_lines.saturating_add(1);
            return;
        };
        let signs = self.access.observe(&reading, line.pid, at_ms, &self.settings.access);
        for sign in signs {
            let Some(rule) = rules.coded().get(sign.rule) else { continue };
            let subject = speaker.filter(|_| sign.is_login);
            if let (true, Some(key), Some(remote)) = (sign.is_intruder(), subject, sign.remote)
                && let Some(earlier) = self.intruders.put(remote.ip(), key)
            {
                self.dossiers.follow(&self.tree, earlier, key, at_ms);
            }
            let hit = Hit { rule, subject, why: sign.why, remote: sign.remote, thing: sign.thing };
            self.tell_hit(&hit, at_ms, out);
        }
    }

    fn past_login(&mut self, text: &str) {
        let mut words = text.splitn(3, ' ');
        let mut next = || words.next();
        let (Some(seconds), Some(address), Some(user)) = (next(), next(), next()) else { return };
        if let (Ok(seconds), Ok(address)) = (seconds.parse::<u64>(), address.parse::<IpAddr>()) {
            self.access.learn(user, address.to_canonical(), seconds.saturating_mul(1000));
        }
    }

    /// The process that a line names, when it is known. A container's log names it by the pid that it has in there.
    fn speaker(&self, line: &LogLine) -> Result<Option<ProcessKey>, Forged> {
        let Some(pid) = line.pid else { return Ok(None) };
        let outer = self.tree.by_pid(pid);
        if outer.is_some_and(|key| self.may_say(key, &line.program)) {
            return Ok(outer);
        }
        match self.tree.by_inner_pid(pid).find(|key| self.may_say(*key, &line.program)) {
            Some(inner) => Ok(Some(inner)),
            None if outer.is_some() => Err(Forged),
            None => Ok(None),
        }
    }

    /// Anybody may write a line to the system's log in the name of sshd. The process that it names must be that
    /// program, as far as is known.
    fn may_say(&self, key: ProcessKey, program: &str) -> bool {
        let Some(process) = self.tree.process(key) else { return true };
        if process.origin == Origin::Kernel {
            return false;
        }
        let exe = base_name(&process.exe);
        let program = program.split('/').next().unwrap_or(program);
        exe.is_empty() || exe.starts_with(program) || is_family(exe, program)
    }
}

/// Programs that log under the name of the one that started them.
fn is_family(exe: &str, program: &str) -> bool {
    match program {
        "postfix" => exe == "smtpd",
        "dovecot" => matches!(exe, "imap-login" | "pop3-login" | "log" | "auth"),
        "mysqld" => exe == "mariadbd",
        _ => false,
    }
}
