//! Failed logins, by where they come from and by whom they are for.
//!
//! Bounded: the source, user or process that was quiet longest goes first. Who goes while its failures still count is
//! counted as lost.

use std::{collections::VecDeque, num::NonZeroUsize};

use lru::LruCache;

use super::pattern::Origin;
use crate::ids;

/// Most sources remembered: ten times the largest attack that the figures are for (500 addresses).
const SOURCES_LIMIT: usize = 8192;
/// Most users remembered.
const USERS_LIMIT: usize = 4096;
/// Most failures of one source kept, newest; thresholds above this are cut to it.
pub(super) const FAILURES_LIMIT: usize = 128;
/// Most sources of one user kept, newest; thresholds above this are cut to it.
pub(super) const CROWD_LIMIT: usize = 128;
/// Most user names of a source kept for people to read.
const NAMES_LIMIT: usize = 4;
/// Of one source or user the same is told again only after this long.
const AGAIN_MS: u64 = 6 * 3_600_000;

/// When something was last told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told(Option<u64>);

impl Told {
    /// True when it was not told lately; it is then.
    pub(super) fn is_due(&mut self, at_ms: u64) -> bool {
        let is_due = self.0.is_none_or(|last| at_ms.saturating_sub(last) >= AGAIN_MS);
        if is_due {
            self.0 = Some(at_ms);
        }
        is_due
    }

    pub(super) fn within(&self, at_ms: u64, window_ms: u64) -> bool {
        self.0.is_some_and(|last| at_ms.saturating_sub(last) <= window_ms)
    }
}

/// Failures of one source.
#[derive(Debug, Default)]
pub(super) struct OfSource {
    /// When, and for which user as a short number; oldest first.
    recent: VecDeque<(u64, u64)>,
    /// Users it tried, the first few.
    pub(super) names: Vec<String>,
    pub(super) told_fast: Told,
    pub(super) told_slow: Told,
    pub(super) told_users: Told,
}

impl OfSource {
    fn add(&mut self, at_ms: u64, user: Option<&str>, times: u32) {
        let number = ids::thing(user.unwrap_or_default());
        for _ in 0..times {
            if self.recent.len() >= FAILURES_LIMIT {
                self.recent.pop_front();
            }
            self.recent.push_back((at_ms, number));
        }
        if let Some(user) = user
            && self.names.len() < NAMES_LIMIT
            && !self.names.iter().any(|name| name == user)
        {
            self.names.push(user.to_owned());
        }
    }

    /// Failures within the window.
    pub(super) fn within(&self, at_ms: u64, window_ms: u64) -> u32 {
        let count = self.newest(at_ms, window_ms).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Users failed for within the window.
    pub(super) fn users_within(&self, at_ms: u64, window_ms: u64) -> u32 {
        let mut users: Vec<u64> = self.newest(at_ms, window_ms).map(|(_, user)| *user).collect();
        users.sort_unstable();
        users.dedup();
        u32::try_from(users.len()).unwrap_or(u32::MAX)
    }

    fn newest(&self, at_ms: u64, window_ms: u64) -> impl Iterator<Item = &(u64, u64)> {
        self.recent.iter().rev().take_while(move |(at, _)| at_ms.saturating_sub(*at) <= window_ms)
    }

    /// Somebody remembered a password after all: what the same user failed before is no attack.
    pub(super) fn forgive(&mut self, user: &str) {
        let number = ids::thing(user);
        self.recent.retain(|(_, of)| *of != number);
    }
}

/// Sources that failed for one user.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// Each source once, with its last failure; oldest first.
    sources: VecDeque<(u64, Origin)>,
    pub(super) told: Told,
}

impl Crowd {
    fn add(&mut self, at_ms: u64, origin: &Origin) {
        self.sources.retain(|(_, have)| have != origin);
        if self.sources.len() >= CROWD_LIMIT {
            self.sources.pop_front();
        }
        self.sources.push_back((at_ms, origin.clone()));
    }

    /// Sources within the window.
    pub(super) fn within(&self, at_ms: u64, window_ms: u64) -> u32 {
        let newest =
            self.sources.iter().rev().take_while(|(at, _)| at_ms.saturating_sub(*at) <= window_ms).count();
        u32::try_from(newest).unwrap_or(u32::MAX)
    }
}

/// All failures that still count.
#[derive(Debug)]
pub(super) struct Failures {
    sources: LruCache<Origin, OfSource>,
    crowds: LruCache<String, Crowd>,
    /// Sources and users thrown out while what they did still counted.
    pub(super) lost: u64,
}

impl Default for Failures {
    fn default() -> Self {
        Self { sources: table(SOURCES_LIMIT), crowds: table(USERS_LIMIT), lost: 0 }
    }
}

/// An empty table that never holds more than that.
pub(super) fn table<K: std::hash::Hash + Eq, V>(limit: usize) -> LruCache<K, V> {
    LruCache::new(NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN))
}

impl Failures {
    /// Takes in failures, and gives what is now known of their source.
    pub(super) fn add_source(
        &mut self,
        origin: &Origin,
        user: Option<&str>,
        times: u32,
        at_ms: u64,
    ) -> Option<&mut OfSource> {
        if self.sources.peek(origin).is_none()
            && let Some((_, gone)) = self.sources.push(origin.clone(), OfSource::default())
        {
            self.lost = self.lost.saturating_add(u64::from(gone.within(at_ms, AGAIN_MS) > 0));
        }
        let source = self.sources.get_mut(origin)?;
        source.add(at_ms, user, times);
        Some(source)
    }

    /// Takes in a failure, and gives what is now known of who fails for this user.
    pub(super) fn add_crowd(&mut self, user: &str, origin: &Origin, at_ms: u64) -> Option<&mut Crowd> {
        if self.crowds.peek(user).is_none()
            && let Some((_, gone)) = self.crowds.push(user.to_owned(), Crowd::default())
        {
            self.lost = self.lost.saturating_add(u64::from(gone.within(at_ms, AGAIN_MS) > 0));
        }
        let crowd = self.crowds.get_mut(user)?;
        crowd.add(at_ms, origin);
        Some(crowd)
    }

    /// What is known of a source.
    pub(super) fn source(&mut self, origin: &Origin) -> Option<&mut OfSource> {
        self.sources.get_mut(origin)
    }

    /// What is known of who fails for a user.
    pub(super) fn crowd(&mut self, user: &str) -> Option<&mut Crowd> {
        self.crowds.get_mut(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(number: u32) -> Origin {
        Origin::Address(std::net::Ipv4Addr::from(number).into())
    }

    #[test]
    fn a_flood_of_sources_and_users_is_bounded_and_who_is_thrown_out_is_counted() {
        let mut failures = Failures::default();
        for number in 0..10_000 {
            let user = format!("u{number}");
            let _ = failures.add_source(&origin(number), Some(&user), 1, 0);
            let _ = failures.add_crowd(&user, &origin(number), 0);
        }
        assert_eq!((failures.sources.len(), failures.crowds.len()), (SOURCES_LIMIT, USERS_LIMIT));
        assert_eq!(failures.lost, 10_000 - 8192 + 10_000 - 4096);
    }

    #[test]
    fn a_window_has_its_border_and_forgiving_one_user_keeps_what_was_failed_for_others() {
        let mut source = OfSource::default();
        source.add(0, Some("bob"), 3);
        source.add(1000, Some("root"), 1);
        assert_eq!((source.within(1000, 1000), source.within(1001, 1000)), (4, 1));
        assert_eq!(source.users_within(1000, 1000), 2);
        source.forgive("bob");
        assert_eq!(source.within(1000, 1000), 1);
        source.add(2000, Some("root"), 100_000);
        assert_eq!(source.recent.len(), FAILURES_LIMIT);
    }

    #[test]
    fn a_crowd_counts_each_source_once() {
        let mut crowd = Crowd::default();
        for number in 0..1000 {
            crowd.add(number.into(), &origin(number % 3));
        }
        assert_eq!(crowd.within(1000, 1000), 3);
        for number in 0..1000 {
            crowd.add(2000, &origin(number));
        }
        assert_eq!(crowd.sources.len(), CROWD_LIMIT);
    }
}
