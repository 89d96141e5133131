//! New and closed TCP connections, by asking for the list of sockets each second.
//!
//! A connection that lives shorter than the pause between two lists is not seen. Whose a socket is stands only in the
//! descriptors of its process, so processes that are likely holders are asked first and the search ends when all new
//! sockets have one.

use std::collections::{HashMap, HashSet, VecDeque};

use minesweep_model::{HookCount, ProcessKey, What};

use crate::{
    proc::{self, root::Folder},
    sockets::{self, MAX_NAMESPACES, MAX_SOCKETS, Socket, Sockets, State},
};

/// Most processes that are remembered as likely holders of new sockets.
const MAX_LIKELY: usize = 512;
/// Lists between two searches for network namespaces.
const SEARCH_EVERY: u32 = 5;
/// Processes that are remembered of each namespace, to enter it by: the first may have ended.
const DOORS: usize = 4;

/// Follows the connections of all network namespaces.
#[derive(Default)]
pub(super) struct Connections {
    known: HashMap<u64, Known>,
    doors: HashMap<u64, Vec<u32>>,
    likely: VecDeque<u32>,
    /// Of these, those whose namespace was not asked yet.
    unasked: Vec<u32>,
    own: Option<u64>,
    round: u32,
    count: HookCount,
}

#[derive(Clone, Copy)]
struct Known {
    namespace: u64,
    round: u32,
}

impl Connections {
    /// Remembers what is there without telling it; `proc::running` tells it.
    pub(super) fn start() -> Self {
        let mut connections = Self { own: sockets::own_namespace(), ..Self::default() };
        connections.count.hook = "connect".to_owned();
        let mut ignored = Vec::new();
        connections.poll(&mut ignored);
        connections.count = HookCount { hook: "connect".to_owned(), ..HookCount::default() };
        connections
    }

    /// A process that is new or became another program is a likely holder, and may be in a new namespace.
    pub(super) fn expect(&mut self, pid: u32) {
        if self.likely.contains(&pid) {
            return;
        }
        if self.likely.len() == MAX_LIKELY {
            self.likely.pop_front();
        }
        self.likely.push_back(pid);
        if self.unasked.len() < MAX_LIKELY {
            self.unasked.push(pid);
        }
    }

    /// Appends what changed since the last list.
    pub(super) fn poll(&mut self, out: &mut Vec<What>) {
        self.find_namespaces();
        self.round = self.round.wrapping_add(1);
        let mut answered = HashSet::new();
        let mut fresh = Vec::new();
        for (namespace, found) in self.lists() {
            answered.insert(namespace);
            self.count.made += found.lost;
            self.count.lost += found.lost;
            self.note(namespace, found.sockets, &mut fresh);
        }
        self.tell(fresh, out);
        let (round, doors) = (self.round, &self.doors);
        self.known.retain(|&cookie, known| {
            let was_asked = answered.contains(&known.namespace) || !doors.contains_key(&known.namespace);
            let is_closed = known.round != round && was_asked;
            if is_closed {
                out.push(What::Closed { cookie });
            }
            !is_closed
        });
    }

    /// Records seen, and those for which there was no room.
    pub(super) fn count(&self) -> HookCount {
        self.count.clone()
    }

    fn note(&mut self, namespace: u64, found: Vec<Socket>, fresh: &mut Vec<(Socket, bool)>) {
        let listening: HashSet<u16> =
            found.iter().filter(|s| s.state == State::Listen).map(|s| s.local.port()).collect();
        for socket in found {
            let is_live = matches!(socket.state, State::Established | State::SynSent | State::SynReceived);
            let Some(cookie) = socket.cookie.filter(|_| socket.inode != 0) else { continue };
            if let Some(known) = self.known.get_mut(&cookie) {
                known.round = self.round;
            } else if is_live {
                self.count.made += 1;
                if self.known.len() == MAX_SOCKETS {
                    self.count.lost += 1;
                    continue;
                }
                self.count.seen += 1;
                self.known.insert(cookie, Known { namespace, round: self.round });
                let is_accepted = listening.contains(&socket.local.port());
                fresh.push((socket, is_accepted));
            }
        }
    }

    fn tell(&mut self, fresh: Vec<(Socket, bool)>, out: &mut Vec<What>) {
        if fresh.is_empty() {
            return;
        }
        let owners = self.owners(&fresh);
        for (socket, is_accepted) in fresh {
            let owner = owners.get(&socket.inode).copied();
            if let Some(key) = owner {
                self.expect(key.pid);
            }
            let Some(flow) = socket.flow(owner) else { continue };
            out.push(if is_accepted { What::Accept(flow) } else { What::Connect(flow) });
        }
    }

    /// The latest likely holders first, then all.
    fn owners(&self, fresh: &[(Socket, bool)]) -> HashMap<u64, ProcessKey> {
        let wanted: HashSet<u64> = fresh.iter().map(|(socket, _)| socket.inode).collect();
        let likely: Vec<u32> = self.likely.iter().rev().copied().collect();
        let mut owners = sockets::owners(&likely, &wanted);
        if owners.len() < wanted.len() {
            let rest: HashSet<u64> = wanted.into_iter().filter(|inode| !owners.contains_key(inode)).collect();
            let mut others = proc::list().unwrap_or_default();
            others.retain(|pid| !self.likely.contains(pid));
            owners.extend(sockets::owners(&others, &rest));
        }
        owners
    }

    /// The sockets of each namespace that answered.
    fn lists(&self) -> Vec<(u64, Sockets)> {
        let mut lists = Vec::new();
        if let Ok(found) = sockets::own() {
            lists.push((self.own.unwrap_or_default(), found));
        }
        let (numbers, folders): (Vec<u64>, Vec<Folder>) = self
            .doors
            .iter()
            .filter(|&(&namespace, _)| Some(namespace) != self.own)
            .filter_map(|(&namespace, pids)| Some((namespace, door(namespace, pids)?)))
            .unzip();
        if folders.is_empty() {
            return lists;
        }
        let found = sockets::read_namespaces(&folders);
        lists.extend(
            numbers.into_iter().zip(found).filter_map(|(namespace, found)| Some((namespace, found.ok()?))),
        );
        lists
    }

    fn find_namespaces(&mut self) {
        let is_search = self.round.is_multiple_of(SEARCH_EVERY);
        let unasked = std::mem::take(&mut self.unasked);
        let pids = if is_search {
            let all = proc::list().unwrap_or_default();
            let living: HashSet<u32> = all.iter().copied().collect();
            self.likely.retain(|pid| living.contains(pid));
            self.doors.clear();
            all
        } else {
            unasked
        };
        for pid in pids {
            let Some(namespace) = Folder::open(pid).ok().and_then(|folder| sockets::namespace_of(&folder))
            else {
                continue;
            };
            if self.doors.len() == MAX_NAMESPACES && !self.doors.contains_key(&namespace) {
                continue;
            }
            let doors = self.doors.entry(namespace).or_default();
            if doors.len() < DOORS && !doors.contains(&pid) {
                doors.push(pid);
            }
        }
    }
}

/// The folder of a process that is still in that namespace.
fn door(namespace: u64, pids: &[u32]) -> Option<Folder> {
    pids.iter()
        .filter_map(|&pid| Folder::open(pid).ok())
        .find(|folder| sockets::namespace_of(folder) == Some(namespace))
}
