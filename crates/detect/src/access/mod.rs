//! Logins: guessing of passwords, fast, slow, from many places and over many users; the success that follows; and
//! logins that are not like those before.
//!
//! Works on what logs say (`pattern`). Bounded: an attacker chooses sources, users and lines.

mod failures;
mod habits;
mod pattern;
mod settings;
mod words;

use std::net::{IpAddr, SocketAddr};

use lru::LruCache;
use minesweep_model::{ProcessKey, Text};

pub(crate) use self::pattern::{Patterns, Reading, is_access_pattern};
pub use self::settings::{AccessSettings, BadNetwork, Network};
use self::{
    failures::{Failures, table},
    habits::Habits,
    pattern::{Origin, Outcome},
};
use crate::ids;

/// Many failures of one source.
const BRUTE_FORCE: &str = "access.brute-force";
/// Many failures of one source over hours.
const SLOW: &str = "access.brute-force-slow";
/// Many sources fail for one user.
const DISTRIBUTED: &str = "access.brute-force-distributed";
/// One source fails for many users.
const SPRAY: &str = "access.password-spray";
/// A success after that.
const SUCCESS: &str = "access.login-after-failures";
/// A login that is not like those before.
const UNUSUAL: &str = "access.unusual-login";
/// A key used the first time.
const NEW_KEY: &str = "access.new-key";
/// root by password.
const ROOT: &str = "access.root-password-login";

/// Ids of the rules that this module matches.
pub(crate) const RULES: [&str; 8] = [BRUTE_FORCE, SLOW, DISTRIBUTED, SPRAY, SUCCESS, UNUSUAL, NEW_KEY, ROOT];

/// Window of "many sources".
const CROWD_MS: u64 = 10 * 60_000;
/// Window of "many users" and of failures before a success.
const HOUR_MS: u64 = 3_600_000;
/// Most sources remembered that got in; more successful guessers than incidents are no use.
const INTRUDERS_LIMIT: usize = 1024;
/// Most processes that serve logins remembered; sshd itself serves a hundred at once by default.
const SPEAKERS_LIMIT: usize = 4096;

/// Something to tell.
#[derive(Debug, PartialEq)]
pub(crate) struct Sign {
    pub(crate) rule: &'static str,
    pub(crate) why: Text,
    pub(crate) remote: Option<SocketAddr>,
    /// Tells it apart from others of the same rule.
    pub(crate) thing: u64,
    /// It is about the login's own process, not only about a source.
    pub(crate) is_login: bool,
}

impl Sign {
    /// The login is one of somebody who guessed the password.
    pub(crate) fn is_intruder(&self) -> bool {
        self.rule == SUCCESS
    }
}

/// Sessions of intruders by where they came from, the last of each.
pub(crate) type Intruders = LruCache<IpAddr, ProcessKey>;

/// An empty table of them.
pub(crate) fn intruders() -> Intruders {
    table(INTRUDERS_LIMIT)
}

/// What was said of one process that serves a login.
#[derive(Clone, Debug, Default)]
struct Speaker {
    origin: Option<Origin>,
    counted: Counted,
    at_ms: u64,
}

/// What of a process's first attempt was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Counted {
    /// Nothing yet.
    #[default]
    Nothing,
    /// The attempt; a line about its failure will tell it again.
    Attempt,
    /// It failed or succeeded: lines about attempts say nothing new.
    End,
}

/// What is known of logins.
#[derive(Debug)]
pub(crate) struct Access {
    failures: Failures,
    habits: Habits,
    speakers: LruCache<(String, u32), Speaker>,
}

impl Default for Access {
    fn default() -> Self {
        Self { failures: Failures::default(), habits: Habits::default(), speakers: table(SPEAKERS_LIMIT) }
    }
}

/// One login or attempt, with what earlier lines told of it.
struct Try<'a> {
    service: &'a str,
    user: &'a str,
    origin: Option<Origin>,
    method: Option<&'a str>,
    key: Option<&'a str>,
    remote: Option<SocketAddr>,
    at_ms: u64,
}

impl Access {
    /// Takes what a line says.
    pub(crate) fn observe(
        &mut self,
        reading: &Reading<'_>,
        pid: Option<u32>,
        at_ms: u64,
        settings: &AccessSettings,
    ) -> Vec<Sign> {
        let mut speaker = self.speaker(reading.service, pid, at_ms);
        if reading.origin.is_some() {
            speaker.origin.clone_from(&reading.origin);
        }
        let attempt = Try {
            service: reading.service,
            user: reading.user.as_deref().unwrap_or_default(),
            remote: speaker
                .origin
                .as_ref()
                .and_then(Origin::address)
                .map(|ip| SocketAddr::new(ip, reading.port)),
            method: reading.method.as_deref(),
            key: reading.key.as_deref(),
            origin: speaker.origin.clone(),
            at_ms,
        };
        let counted = speaker.counted;
        speaker.counted = Counted::after(reading.outcome, counted);
        if let Some(pid) = pid {
            self.speakers.push((reading.service.to_owned(), pid), speaker);
        }
        match (reading.outcome, counted) {
            (Outcome::Attempt, Counted::Nothing) if pid.is_some() => self.fail(&attempt, 1, settings),
            (Outcome::Connection | Outcome::Attempt, _) => Vec::new(),
            (Outcome::Failure, Counted::Attempt) => {
                self.fail(&attempt, reading.times.saturating_sub(1), settings)
            }
            (Outcome::Failure, Counted::Nothing | Counted::End) => {
                self.fail(&attempt, reading.times, settings)
            }
            (Outcome::Success, _) => self.succeed(&attempt, settings),
        }
    }

    /// Takes a login of the time before our start: it is learned and told to nobody.
    pub(crate) fn learn(&mut self, user: &str, address: IpAddr, at_ms: u64) {
        let _ = self.habits.learn(user, address, None, at_ms, u32::MAX);
    }

    /// Sources and users thrown out while what they did still counted.
    pub(crate) fn lost(&self) -> u64 {
        self.failures.lost
    }
}

impl Counted {
    fn after(outcome: Outcome, before: Self) -> Self {
        match (outcome, before) {
            (Outcome::Connection, before) => before,
            (Outcome::Attempt, Self::Nothing) => Self::Attempt,
            (Outcome::Attempt, before @ (Self::Attempt | Self::End)) => before,
            (Outcome::Failure | Outcome::Success, _) => Self::End,
        }
    }
}

impl Access {
    /// What earlier lines told of the process; nothing when they are so old that the pid is another's by now.
    fn speaker(&mut self, service: &str, pid: Option<u32>, at_ms: u64) -> Speaker {
        let known = pid.and_then(|pid| self.speakers.get(&(service.to_owned(), pid)));
        let recent = known.filter(|speaker| at_ms.saturating_sub(speaker.at_ms) <= HOUR_MS);
        Speaker { at_ms, ..recent.cloned().unwrap_or_default() }
    }

    fn fail(&mut self, attempt: &Try<'_>, times: u32, settings: &AccessSettings) -> Vec<Sign> {
        let mut signs = Vec::new();
        let Some(origin) = &attempt.origin else { return signs };
        if times == 0 || settings.allows(origin.address()) {
            return signs;
        }
        let counted = counted(origin);
        let user = Some(attempt.user).filter(|user| !user.is_empty());
        if let Some(source) = self.failures.add_source(&counted, user, times, attempt.at_ms) {
            signs.extend(attempt.judge_source(origin, source, settings));
        }
        if let Some(user) = user
            && let Some(crowd) = self.failures.add_crowd(user, &counted, attempt.at_ms)
        {
            signs.extend(attempt.judge_crowd(user, crowd, settings));
        }
        signs
    }

    fn succeed(&mut self, attempt: &Try<'_>, settings: &AccessSettings) -> Vec<Sign> {
        let Some(origin) = &attempt.origin else { return Vec::new() };
        let mut signs: Vec<Sign> = self.success(attempt, origin, settings).into_iter().collect();
        if signs.is_empty()
            && let Some(source) = self.failures.source(&counted(origin))
        {
            source.forgive(attempt.user);
        }
        if attempt.user == "root"
            && origin.address().is_some()
            && attempt
                .method
                .is_some_and(|method| method.starts_with("password") || method.starts_with("keyboard"))
        {
            signs.push(attempt.sign(ROOT, words::root_password(Some(origin), attempt.service), ""));
        }
        signs.extend(self.habit(attempt, origin, settings));
        signs
    }

    /// A success of a source that failed before, or for a user whom many are guessing.
    fn success(&mut self, attempt: &Try<'_>, origin: &Origin, settings: &AccessSettings) -> Option<Sign> {
        let Try { user, service, at_ms, .. } = *attempt;
        let slow_ms = u64::from(settings.slow_hours).saturating_mul(HOUR_MS);
        if settings.allows(origin.address()) {
            return None;
        }
        if let Some(source) = self.failures.source(&counted(origin)) {
            let limits = [(settings.failures_before_success, HOUR_MS), (settings.slow_failures, slow_ms)];
            for (limit, window_ms) in limits {
                let count = source.within(at_ms, window_ms);
                if count >= at_most(limit, failures::FAILURES_LIMIT) {
                    let why = words::success_after(count, user, origin, service, window_ms);
                    return Some(attempt.sign(SUCCESS, why, ""));
                }
            }
        }
        let address = origin.address().filter(|address| !self.habits.knows(user, *address))?;
        let crowd = self.failures.crowd(user).filter(|crowd| crowd.told.within(at_ms, HOUR_MS))?;
        let count = crowd.within(at_ms, HOUR_MS);
        let why = words::success_amid(count, user, &Origin::Address(address), service);
        Some(attempt.sign(SUCCESS, why, ""))
    }

    /// What of a login over the network is not as before.
    fn habit(&mut self, attempt: &Try<'_>, origin: &Origin, settings: &AccessSettings) -> Vec<Sign> {
        let Some(address) = origin.address().filter(|_| !attempt.user.is_empty()) else { return Vec::new() };
        let news =
            self.habits.learn(attempt.user, address, attempt.key, attempt.at_ms, settings.learned_after);
        let mut signs = Vec::new();
        if !news.oddities.is_empty() {
            signs.push(attempt.sign(UNUSUAL, words::unusual(attempt.user, origin, &news.oddities), ""));
        }
        if let Some(key) = attempt.key.filter(|_| news.is_new_key) {
            signs.push(attempt.sign(NEW_KEY, words::new_key(attempt.user, Some(origin), key), key));
        }
        signs
    }
}

impl Try<'_> {
    /// Something about this login itself.
    fn sign(&self, rule: &'static str, why: Text, thing: &str) -> Sign {
        let from = self.origin.as_ref().map(ToString::to_string).unwrap_or_default();
        let thing = ids::thing(&format!("{}\n{from}\n{}\n{thing}", self.user, self.at_ms));
        Sign { rule, why, remote: self.remote, thing, is_login: true }
    }

    /// Something about who fails.
    fn attack(&self, rule: &'static str, why: Text, whom: &str) -> Sign {
        let thing = ids::thing(&format!("{whom}\n{}", self.at_ms));
        Sign { rule, why, remote: self.remote, thing, is_login: false }
    }

    fn judge_source(
        &self,
        origin: &Origin,
        source: &mut failures::OfSource,
        settings: &AccessSettings,
    ) -> Vec<Sign> {
        let (at_ms, service, whom) = (self.at_ms, self.service, origin.to_string());
        let limit = |wanted| at_most(wanted, failures::FAILURES_LIMIT);
        let mut signs = Vec::new();
        let fast_ms = u64::from(settings.window_seconds).saturating_mul(1000);
        let count = source.within(at_ms, fast_ms);
        if count >= limit(settings.failures) && source.told_fast.is_due(at_ms) {
            let why = words::many_failures(count, origin, service, fast_ms, &source.names);
            signs.push(self.attack(BRUTE_FORCE, why, &whom));
        }
        let slow_ms = u64::from(settings.slow_hours).saturating_mul(HOUR_MS);
        let count = source.within(at_ms, slow_ms);
        if count >= limit(settings.slow_failures)
            && !source.told_fast.within(at_ms, slow_ms)
            && source.told_slow.is_due(at_ms)
        {
            let why = words::many_failures(count, origin, service, slow_ms, &source.names);
            signs.push(self.attack(SLOW, why, &whom));
        }
        let users = source.users_within(at_ms, HOUR_MS);
        if users >= limit(settings.users) && source.told_users.is_due(at_ms) {
            let why = words::many_users(users, origin, service, HOUR_MS, &source.names);
            signs.push(self.attack(SPRAY, why, &whom));
        }
        signs
    }

    fn judge_crowd(
        &self,
        user: &str,
        crowd: &mut failures::Crowd,
        settings: &AccessSettings,
    ) -> Option<Sign> {
        let count = crowd.within(self.at_ms, CROWD_MS);
        let is_many = count >= at_most(settings.sources, failures::CROWD_LIMIT);
        let is_due = is_many && crowd.told.is_due(self.at_ms);
        // It is about all sources, so none is named as the other end.
        is_due.then(|| Sign {
            remote: None,
            ..self.attack(DISTRIBUTED, words::many_sources(count, user, self.service, CROWD_MS), user)
        })
    }
}

/// Who is counted: one who has an address of version 6 has 2^64 of them.
fn counted(origin: &Origin) -> Origin {
    match origin {
        Origin::Address(address @ IpAddr::V6(_)) => Origin::Address(Network::of(*address, 64).address()),
        Origin::Address(IpAddr::V4(_)) | Origin::Name(_) => origin.clone(),
    }
}

/// A threshold, at least one, and no more than is remembered.
fn at_most(wanted: u32, remembered: usize) -> u32 {
    wanted.clamp(1, u32::try_from(remembered).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
