//! Who logs in from where, when and with which key, as learned on this machine.
//!
//! Learned from logins that succeeded, those before our start included (`/var/log/wtmp`). What is new is told once and
//! then known. Bounded: the user that was away longest is forgotten first.

use std::{collections::BTreeMap, net::IpAddr};

use lru::LruCache;

use super::{failures::table, settings::Network};
use crate::ids;

/// Most users remembered.
const USERS_LIMIT: usize = 1024;
/// Most networks and keys remembered of one user; who has more travels too much to be predicted.
const NETWORKS_LIMIT: usize = 64;
const KEYS_LIMIT: usize = 64;
/// Hours say something only of somebody who was seen that often.
const HOURS_AFTER: u32 = 20;
/// A login this many hours from a usual one is usual too.
const HOURS_NEAR: u8 = 2;
/// A user that never logged in is odd only on a machine whose users are known.
const STRANGER_AFTER: u32 = 20;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// What is unusual about a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Oddity {
    /// From a network that this user never came from.
    Network(Network),
    /// At an hour, UTC, that is far from all hours of this user.
    Hour(u8),
    /// The user never logged in before, on a machine with a history.
    Stranger,
}

/// What a login shows that was not known.
#[derive(Debug, Default, PartialEq)]
pub(super) struct News {
    pub(super) oddities: Vec<Oddity>,
    /// The key was not used by this user before, who is known with others.
    pub(super) is_new_key: bool,
}

#[derive(Debug, Default)]
struct Habit {
    logins: u32,
    /// Each network with the time of its last login.
    networks: BTreeMap<Network, u64>,
    hours: [u32; 24],
    /// Fingerprints as short numbers, with the time of their last use.
    keys: BTreeMap<u64, u64>,
}

/// The habits of all users.
#[derive(Debug)]
pub(super) struct Habits {
    users: LruCache<String, Habit>,
    logins: u32,
}

impl Default for Habits {
    fn default() -> Self {
        Self { users: table(USERS_LIMIT), logins: 0 }
    }
}

impl Habits {
    /// What is new about a login, which is known from now on.
    pub(super) fn learn(
        &mut self,
        user: &str,
        address: IpAddr,
        key: Option<&str>,
        at_ms: u64,
        learned_after: u32,
    ) -> News {
        let is_known_machine = self.logins >= STRANGER_AFTER;
        self.logins = self.logins.saturating_add(1);
        let is_stranger = self.users.peek(user).is_none();
        if is_stranger {
            self.users.push(user.to_owned(), Habit::default());
        }
        let Some(habit) = self.users.get_mut(user) else { return News::default() };
        let network = network(address);
        let hour = hour(at_ms);
        let mut news = News::default();
        if is_stranger && is_known_machine {
            news.oddities.push(Oddity::Stranger);
        }
        if habit.logins >= learned_after && !habit.networks.contains_key(&network) {
            news.oddities.push(Oddity::Network(network));
        }
        if habit.logins >= HOURS_AFTER.max(learned_after) && habit.is_odd_hour(hour) {
            news.oddities.push(Oddity::Hour(hour));
        }
        let key = key.map(ids::thing);
        news.is_new_key = habit.logins > 0 && key.is_some_and(|key| !habit.keys.contains_key(&key));
        habit.take(network, hour, key, at_ms);
        news
    }

    /// The user came from that network before.
    pub(super) fn knows(&self, user: &str, address: IpAddr) -> bool {
        self.users.peek(user).is_some_and(|habit| habit.networks.contains_key(&network(address)))
    }
}

impl Habit {
    fn take(&mut self, network: Network, hour: u8, key: Option<u64>, at_ms: u64) {
        self.logins = self.logins.saturating_add(1);
        keep_newest(&mut self.networks, network, at_ms, NETWORKS_LIMIT);
        if let Some(key) = key {
            keep_newest(&mut self.keys, key, at_ms, KEYS_LIMIT);
        }
        if let Some(count) = self.hours.get_mut(usize::from(hour)) {
            *count = count.saturating_add(1);
        }
    }

    fn is_odd_hour(&self, hour: u8) -> bool {
        let mut near = (0..=2 * HOURS_NEAR).map(|step| (hour + 24 + step - HOURS_NEAR) % 24);
        near.all(|hour| self.hours.get(usize::from(hour)).is_none_or(|count| *count == 0))
    }
}

fn keep_newest<K: Ord + Copy>(known: &mut BTreeMap<K, u64>, key: K, at_ms: u64, limit: usize) {
    if known.len() >= limit
        && !known.contains_key(&key)
        && let Some(oldest) = known.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key)
    {
        known.remove(&oldest);
    }
    known.insert(key, at_ms);
}

/// The network that stands for a place: what one provider gives out in one region.
fn network(address: IpAddr) -> Network {
    Network::of(address, if address.is_ipv4() { 16 } else { 32 })
}

fn hour(at_ms: u64) -> u8 {
    u8::try_from(at_ms % DAY_MS / HOUR_MS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
    const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

    #[test]
    fn a_new_network_is_told_once_and_only_of_a_user_that_is_known() {
        let mut habits = Habits::default();
        assert_eq!(habits.learn("bob", HOME, None, 0, 5), News::default());
        assert!(habits.learn("bob", AWAY, None, 0, 5).oddities.is_empty(), "one login is no habit");
        let mut habits = Habits::default();
        for _ in 0..5 {
            let _ = habits.learn("bob", HOME, None, 0, 5);
        }
        assert_eq!(habits.learn("bob", AWAY, None, 0, 5).oddities, [Oddity::Network(network(AWAY))]);
        assert!(habits.learn("bob", AWAY, None, 0, 5).oddities.is_empty());
        assert!(habits.knows("bob", AWAY) && !habits.knows("eve", HOME));
    }

    #[test]
    fn an_hour_is_odd_when_it_is_more_than_two_from_all_usual_ones() {
        let mut habits = Habits::default();
        for day in 0..20 {
            let _ = habits.learn("bob", HOME, None, day * DAY_MS + 23 * HOUR_MS, 5);
        }
        let mut at = |hour| habits.learn("bob", HOME, None, 30 * DAY_MS + hour * HOUR_MS, 5).oddities;
        assert!(at(1).is_empty(), "two hours later, over midnight");
        assert_eq!(at(4), [Oddity::Hour(4)], "one is usual now, so three hours from it");
        assert!(at(4).is_empty());
    }

    #[test]
    fn a_key_is_new_for_a_user_who_is_known_and_a_stranger_is_one_on_a_machine_with_a_history() {
        let mut habits = Habits::default();
        assert!(!habits.learn("bob", HOME, Some("SHA256:a"), 0, 5).is_new_key, "the first is learned");
        assert!(!habits.learn("bob", HOME, Some("SHA256:a"), 0, 5).is_new_key);
        assert!(habits.learn("bob", HOME, Some("SHA256:b"), 0, 5).is_new_key);
        assert!(habits.learn("eve", HOME, None, 0, 5).oddities.is_empty());
        for _ in 0..20 {
            let _ = habits.learn("bob", HOME, None, 0, 5);
        }
        assert_eq!(habits.learn("mallory", HOME, None, 0, 5).oddities, [Oddity::Stranger]);
    }

    #[test]
    fn users_networks_and_keys_without_end_are_bounded() {
        let mut habits = Habits::default();
        for number in 0..2000_u32 {
            let address = IpAddr::V4((number << 16).into());
            let key = number.to_string();
            let _ = habits.learn("bob", address, Some(&key), number.into(), 5);
            let _ = habits.learn(&key, address, None, 0, 5);
        }
        assert_eq!(habits.users.len(), USERS_LIMIT);
        let bob = habits.users.peek("bob").unwrap();
        assert_eq!((bob.networks.len(), bob.keys.len()), (NETWORKS_LIMIT, KEYS_LIMIT));
    }
}
