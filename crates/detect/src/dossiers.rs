//! All dossiers, and which process belongs to which: grouping by root cause.
//!
//! One root cause is the same process, its line up to (not including) who starts programs for everybody, the same
//! executable file, or the same wallet. Bounded; what is thrown out is counted.

use std::{collections::BTreeMap, sync::Arc};

use minesweep_model::{FileId, IncidentState, Process, ProcessKey};

use crate::{
    dossier::{Dossier, Joined},
    tree::{Tree, is_interpreter, is_starter},
    writes::Writes,
};

/// Most dossiers, incidents and suspicions together.
pub(crate) const DOSSIERS_LIMIT: usize = 1024;
/// Most files and wallets by which a process is recognised; a dossier seldom has more than one of each.
const INDEX_LIMIT: usize = DOSSIERS_LIMIT * 4;
/// A closed incident is opened again by the same file or wallet within this time: a watchdog's usual pace is one
/// minute, cron's is one to ten.
const REOPEN_MS: u64 = 10 * 60_000;

/// All dossiers.
#[derive(Debug, Default)]
pub(crate) struct Dossiers {
    all: BTreeMap<u64, Dossier>,
    next: u64,
    by_process: BTreeMap<ProcessKey, u64>,
    by_file: BTreeMap<FileId, u64>,
    by_wallet: BTreeMap<String, u64>,
    /// Sessions in which steps of an intrusion were seen; one for each dossier that has steps.
    by_session: BTreeMap<ProcessKey, u64>,
    /// Dossiers that were thrown out while their processes ran.
    pub(crate) lost: u64,
    members_lost: u64,
}

impl Dossiers {
    pub(crate) fn of(&self, key: ProcessKey) -> Option<u64> {
        self.by_process.get(&key).copied()
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Dossier> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Dossier> {
        self.all.get_mut(&id)
    }

    pub(crate) fn find(&self, uid: &str) -> Option<&Dossier> {
        self.all.values().find(|dossier| dossier.uid() == Some(uid))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Dossier> {
        self.all.values()
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.all.keys().copied().collect()
    }

    pub(crate) fn members_lost(&self) -> u64 {
        self.all.values().fold(self.members_lost, |sum, dossier| sum.saturating_add(dossier.members_lost))
    }

    /// The dossier that a process with evidence belongs to, made when there is none.
    pub(crate) fn place(
        &mut self,
        tree: &Tree,
        writes: &Writes,
        key: ProcessKey,
        wallet: Option<&str>,
        at_ms: u64,
    ) -> Option<u64> {
        let process = tree.process(key)?.clone();
        let id = self
            .belongs(tree, &process, wallet, at_ms)
            .or_else(|| self.by_writer(tree, writes, &process, at_ms));
        let id = match id {
            Some(id) => id,
            None => self.open(process.clone(), at_ms),
        };
        self.join(tree, id, key);
        if !is_interpreter(&process)
            && self.by_file.len() < INDEX_LIMIT
            && let Some(file) = process.file
        {
            self.by_file.insert(file, id);
        }
        self.learn_wallet(id, wallet);
        Some(id)
    }

    /// The dossier that a step of an intrusion belongs to, made when there is none: its own, else that of its session.
    pub(crate) fn place_step(
        &mut self,
        tree: &Tree,
        writes: &Writes,
        key: ProcessKey,
        at_ms: u64,
    ) -> Option<u64> {
        let process = tree.process(key)?.clone();
        let session = tree.session(key);
        let id = self
            .belongs(tree, &process, None, at_ms)
            .or_else(|| self.by_writer(tree, writes, &process, at_ms))
            .or_else(|| self.incident_in(tree, session, at_ms));
        let id = match id {
            Some(id) => id,
            None => self.open(tree.process(session).unwrap_or(&process).clone(), at_ms),
        };
        self.by_session.entry(session).or_insert(id);
        self.join(tree, id, key);
        Some(id)
    }

    /// Two sessions of one intruder are one story: the later one belongs where the earlier one does.
    pub(crate) fn follow(&mut self, tree: &Tree, earlier: ProcessKey, later: ProcessKey, at_ms: u64) {
        let known = self.by_session.get(&tree.session(earlier)).copied();
        if self.by_session.len() < INDEX_LIMIT
            && let Some(id) = known.filter(|id| self.is_current(*id, at_ms))
        {
            self.by_session.entry(tree.session(later)).or_insert(id);
        }
    }

    fn open(&mut self, root: Arc<Process>, at_ms: u64) -> u64 {
        self.make_room();
        let id = self.next;
        self.next = self.next.saturating_add(1);
        self.all.insert(id, Dossier::new(root, at_ms));
        id
    }

    /// Remembers whose wallet it is; the first dossier keeps it.
    pub(crate) fn learn_wallet(&mut self, id: u64, wallet: Option<&str>) {
        if let Some(wallet) = wallet
            && self.by_wallet.len() < INDEX_LIMIT
        {
            self.by_wallet.entry(wallet.to_owned()).or_insert(id);
        }
    }

    /// Adds a process without evidence of its own: a child, or the same program come again.
    pub(crate) fn join(&mut self, tree: &Tree, id: u64, key: ProcessKey) {
        let Some(dossier) = self.all.get_mut(&id) else { return };
        let entry = tree.get(key);
        let total_ms = entry.map_or(0, |entry| entry.activity.cpu.total_ms);
        let has_exited = entry.is_some_and(|entry| entry.has_exited);
        match dossier.join(key, total_ms, has_exited) {
            Joined::Beside => {}
            Joined::InPlaceOf(ended) => {
                self.by_process.remove(&ended);
            }
            Joined::NoRoom => return,
        }
        self.by_process.insert(key, id);
        // An ancestor with evidence of its own is nearer to the root cause.
        if let Some(entry) = entry
            && tree
                .ancestors(dossier.root.key)
                .take_while(|above| !is_starter(&above.process))
                .any(|above| above.process.key == key)
        {
            dossier.root = entry.process.clone();
        }
    }

    /// A child became another program: unless that one is the miner's too, it goes its own way.
    pub(crate) fn leave_by_exec(&mut self, process: &Process) {
        let Some(id) = self.of(process.key) else { return };
        let is_same_file = process.file.is_some_and(|file| self.by_file.get(&file) == Some(&id));
        let Some(dossier) = self.all.get_mut(&id) else { return };
        let has_evidence = dossier.members.get(&process.key).is_some_and(|member| member.weight > 0.0);
        if !has_evidence && !is_same_file {
            dossier.leave(process.key);
            self.by_process.remove(&process.key);
        }
    }

    /// The incident that a process comes back to by its file, within ten minutes of its end.
    pub(crate) fn comes_back(&self, process: &Process, at_ms: u64) -> Option<u64> {
        let id = *self.by_file.get(&process.file?)?;
        self.is_current(id, at_ms)
            .then_some(id)
            .filter(|id| self.all.get(id).is_some_and(|one| one.uid().is_some()))
    }

    /// A process ended. The answer is its dossier.
    pub(crate) fn exit(&mut self, key: ProcessKey) -> Option<u64> {
        let id = self.of(key)?;
        let dossier = self.all.get_mut(&id)?;
        if let Some(member) = dossier.members.get_mut(&key) {
            member.has_exited = true;
            member.busy = 0.0;
        }
        if !dossier.is_alive() && dossier.uid().is_none() {
            self.forget(id);
            return None;
        }
        Some(id)
    }

    fn belongs(&self, tree: &Tree, process: &Process, wallet: Option<&str>, at_ms: u64) -> Option<u64> {
        let key = process.key;
        let session = tree.session(key);
        // Above a session's root is who started it for somebody else.
        let depth = tree.ancestors(key).position(|above| above.process.key == session).map_or(0, |at| at + 1);
        let above = || {
            tree.ancestors(key)
                .take(depth)
                .take_while(|above| !is_starter(&above.process))
                .find_map(|above| self.of(above.process.key))
        };
        let file = || {
            process
                .file
                .filter(|_| !is_interpreter(process))
                .and_then(|file| self.by_file.get(&file).copied())
        };
        let wallet = || wallet.and_then(|wallet| self.by_wallet.get(wallet).copied());
        let below = || {
            let is_above = |dossier: &Dossier| {
                !is_starter(process)
                    && tree
                        .ancestors(dossier.root.key)
                        .take_while(|above| !is_starter(&above.process))
                        .any(|above| above.process.key == key)
            };
            self.all.iter().find(|(_, dossier)| is_above(dossier)).map(|(id, _)| *id)
        };
        let current = |id: &u64| self.is_current(*id, at_ms);
        self.of(key)
            .filter(current)
            .or_else(|| above().filter(current))
            .or_else(|| file().filter(current))
            .or_else(|| wallet().filter(current))
            .or_else(|| below().filter(current))
            .or_else(|| self.by_session.get(&session).copied().filter(current))
    }

    /// The dossier of the session that wrote what this process runs.
    fn by_writer(&self, tree: &Tree, writes: &Writes, process: &Process, at_ms: u64) -> Option<u64> {
        let writers = writes.writers(tree, process, at_ms);
        let of = |writer: &ProcessKey| {
            self.by_session.get(writer).or_else(|| self.by_process.get(writer)).copied()
        };
        writers.iter().filter_map(of).find(|id| self.is_current(*id, at_ms))
    }

    /// An incident that began in this session without a step so far: a miner that somebody started there.
    fn incident_in(&self, tree: &Tree, session: ProcessKey, at_ms: u64) -> Option<u64> {
        let is_there =
            |dossier: &Dossier| dossier.uid().is_some() && tree.session(dossier.root.key) == session;
        self.all
            .iter()
            .find(|(id, dossier)| is_there(dossier) && self.is_current(**id, at_ms))
            .map(|(id, _)| *id)
    }

    /// It is open, or ended so lately that it may come back.
    fn is_current(&self, id: u64, at_ms: u64) -> bool {
        self.all.get(&id).is_some_and(|dossier| {
            dossier.state() != Some(IncidentState::Closed)
                || at_ms.saturating_sub(dossier.changed_ms) <= REOPEN_MS
        })
    }

    /// Throws out the least worth keeping: what is over before what goes on, suspicion before incident, oldest first.
    fn make_room(&mut self) {
        if self.all.len() < DOSSIERS_LIMIT {
            return;
        }
        let worth = |dossier: &Dossier| match dossier.state() {
            None if !dossier.is_alive() => 0,
            Some(IncidentState::Closed) => 1,
            None => 2,
            Some(IncidentState::Contained | IncidentState::Open) => 3,
        };
        let least = self.all.iter().min_by_key(|(id, dossier)| (worth(dossier), dossier.changed_ms, **id));
        let Some((id, is_alive)) = least.map(|(id, dossier)| (*id, dossier.is_alive())) else { return };
        if is_alive {
            self.lost = self.lost.saturating_add(1);
        }
        self.forget(id);
    }

    fn forget(&mut self, id: u64) {
        if let Some(dossier) = self.all.remove(&id) {
            self.members_lost = self.members_lost.saturating_add(dossier.members_lost);
        }
        self.by_process.retain(|_, held| *held != id);
        self.by_file.retain(|_, held| *held != id);
        self.by_wallet.retain(|_, held| *held != id);
        self.by_session.retain(|_, held| *held != id);
    }

    /// Sizes of the tables, for tests of the bounds.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> [usize; 4] {
        [self.all.len(), self.by_process.len(), self.by_file.len(), self.by_wallet.len()]
    }
}
