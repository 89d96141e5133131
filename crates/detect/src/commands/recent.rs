//! What lately ran and was fetched: the memory that joins the processes of one pipeline, and a fetched file with the
//! process that it becomes.
//!
//! Bounded; the oldest goes first, and a pipeline's processes start within milliseconds of each other.

use std::collections::{BTreeMap, VecDeque};

use minesweep_model::{FileId, ProcessKey, Severity};

/// Processes of one pipeline start within this time; a shell that waits for a slow disk needs some of it.
const TOGETHER_MS: u64 = 2000;
/// A fetched file is run by whoever fetched it within minutes.
const FETCHED_MS: u64 = 10 * 60_000;
/// The same command of one session is told again after this time.
const REPEAT_MS: u64 = 10 * 60_000;
/// Most parents whose children are remembered, and children of each.
const PARENTS_LIMIT: usize = 2048;
const CHILDREN_LIMIT: usize = 16;
/// Most files, tools, connected processes and told commands.
const FILES_LIMIT: usize = 1024;

/// What a child of a shell is for, when it may be part of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It brings something to its output.
    Fetch { url: String, is_unchecked: bool },
    /// It takes an encoding off.
    Decoder,
    /// It joins its input and output to a connection.
    Net,
    /// An interpreter that runs what it reads.
    Reader,
    /// A shell that was given a whole script as its argument.
    Script,
}

/// A child of a shell.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) key: ProcessKey,
    pub(crate) at_ms: u64,
    pub(crate) started_ms: u64,
    pub(crate) exited_ms: Option<u64>,
    pub(crate) part: Part,
    /// The understood command, cut.
    pub(crate) form: String,
}

/// A file that was fetched.
#[derive(Clone, Debug)]
pub(crate) struct FetchedFile {
    pub(crate) url: String,
    pub(crate) is_unchecked: bool,
    at_ms: u64,
}

/// What was told of one session.
#[derive(Clone, Copy, Debug)]
struct Told {
    at_ms: u64,
    severity: Severity,
}

/// A map that forgets its oldest entry.
#[derive(Debug)]
struct Lately<K, V> {
    held: BTreeMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        Self { held: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<K: Ord + Clone, V> Lately<K, V> {
    fn insert(&mut self, key: K, value: V, limit: usize) {
        if self.held.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.held.len() > limit {
            let Some(oldest) = self.order.pop_front() else { return };
            self.held.remove(&oldest);
        }
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    children: Lately<ProcessKey, VecDeque<Child>>,
    parents: Lately<ProcessKey, ProcessKey>,
    files: Lately<String, FetchedFile>,
    opened: Lately<ProcessKey, String>,
    tools: Lately<FileId, String>,
    connected: Lately<ProcessKey, ()>,
    told: Lately<(u64, ProcessKey, u64), Told>,
}

impl Recent {
    /// Remembers a child, and gives those of its parent that started together with it.
    pub(crate) fn join(&mut self, parent: ProcessKey, child: Child) -> Vec<Child> {
        let together = |other: &&Child| {
            let is_near = child.at_ms.saturating_sub(other.at_ms) <= TOGETHER_MS;
            // One that had ended before the other was started was not in a pipeline with it.
            let has_met = other.exited_ms.is_none_or(|ended| ended > child.started_ms);
            other.key != child.key && is_near && (has_met || child.part == Part::Script)
        };
        let held = self.children.held.get(&parent);
        let siblings = held.into_iter().flatten().filter(together).cloned().collect();
        self.parents.insert(child.key, parent, PARENTS_LIMIT * 2);
        if held.is_none() {
            self.children.insert(parent, VecDeque::new(), PARENTS_LIMIT);
        }
        if let Some(children) = self.children.held.get_mut(&parent) {
            children.retain(|other| other.key != child.key);
            children.push_back(child);
            if children.len() > CHILDREN_LIMIT {
                children.pop_front();
            }
        }
        siblings
    }

    /// A process ended.
    pub(crate) fn exit(&mut self, key: ProcessKey, at_ms: u64) {
        let Some(parent) = self.parents.held.get(&key) else { return };
        let children = self.children.held.get_mut(parent).into_iter().flatten();
        for child in children.filter(|child| child.key == key) {
            child.exited_ms = Some(at_ms);
        }
    }

    /// Running interpreters that read their commands, beside or below a process.
    pub(crate) fn readers(&self, key: ProcessKey) -> Vec<ProcessKey> {
        let beside = self.parents.held.get(&key).copied();
        let of = |parent: &ProcessKey| self.children.held.get(parent).into_iter().flatten();
        [Some(key), beside]
            .iter()
            .flatten()
            .flat_map(of)
            .filter(|child| child.part == Part::Reader && child.exited_ms.is_none())
            .map(|child| child.key)
            .collect()
    }

    /// A file was fetched, or got another name.
    pub(crate) fn fetched(&mut self, path: String, url: String, is_unchecked: bool, at_ms: u64) {
        self.files.insert(path, FetchedFile { url, is_unchecked, at_ms }, FILES_LIMIT);
    }

    /// The file, when it was fetched lately.
    pub(crate) fn file(&self, path: &str, at_ms: u64) -> Option<&FetchedFile> {
        self.files.held.get(path).filter(|file| at_ms.saturating_sub(file.at_ms) <= FETCHED_MS)
    }

    /// The last file that a process made: `curl x > file` opens it before it is curl.
    pub(crate) fn open(&mut self, key: ProcessKey, path: &str) {
        self.opened.insert(key, path.to_owned(), FILES_LIMIT);
    }

    /// What [`Self::open`] remembered.
    pub(crate) fn opened(&self, key: ProcessKey) -> Option<&String> {
        self.opened.held.get(&key)
    }

    /// Remembers under which name a tool's own file runs.
    pub(crate) fn tool(&mut self, file: FileId, name: &str) {
        self.tools.insert(file, name.to_owned(), FILES_LIMIT);
    }

    /// The tool has another file now, or none: the number of the old one may be given to any program.
    pub(crate) fn tool_replaced(&mut self, name: &str) {
        self.tools.held.retain(|_, tool| tool != name);
        let Lately { held, order } = &mut self.tools;
        order.retain(|file| held.contains_key(file));
    }

    /// The name of the tool whose file this is.
    pub(crate) fn tool_of(&self, file: FileId) -> Option<&str> {
        self.tools.held.get(&file).map(String::as_str)
    }

    /// A process opened a connection.
    pub(crate) fn connect(&mut self, key: ProcessKey) {
        self.connected.insert(key, (), FILES_LIMIT * 4);
    }

    /// Whether it did.
    pub(crate) fn is_connected(&self, key: ProcessKey) -> bool {
        self.connected.held.contains_key(&key)
    }

    /// True when the same was told of the same session a while ago and was no less bad.
    pub(crate) fn is_repeat(
        &mut self,
        rule: u64,
        session: ProcessKey,
        what: u64,
        severity: Severity,
        at_ms: u64,
    ) -> bool {
        let key = (rule, session, what);
        if let Some(told) = self.told.held.get(&key)
            && at_ms.saturating_sub(told.at_ms) <= REPEAT_MS
            && told.severity >= severity
        {
            return true;
        }
        self.told.insert(key, Told { at_ms, severity }, FILES_LIMIT);
        false
    }

    /// Sizes, for tests of the bounds.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> [usize; 6] {
        [
            self.children.held.len(),
            self.parents.held.len(),
            self.files.held.len(),
            self.opened.held.len(),
            self.connected.held.len(),
            self.told.held.len(),
        ]
    }
}

/// Pasted lines: what one interactive shell starts within this time of each other is one step.
const PASTE_MS: u64 = 2000;

/// Matches of one rule by the children of one interactive shell, newest time.
#[derive(Debug, Default)]
pub(crate) struct Pastes {
    lately: Lately<(ProcessKey, u64), Told>,
}

impl Pastes {
    /// True when the match belongs to a paste of which a match that was no less bad was told.
    pub(crate) fn is_part(&mut self, shell: ProcessKey, rule: u64, severity: Severity, at_ms: u64) -> bool {
        let key = (shell, rule);
        let is_part = match self.lately.held.get_mut(&key) {
            Some(told) => {
                let is_part = at_ms.saturating_sub(told.at_ms) <= PASTE_MS && told.severity >= severity;
                *told = Told { at_ms, severity: if is_part { told.severity } else { severity } };
                return is_part;
            }
            None => false,
        };
        self.lately.insert(key, Told { at_ms, severity }, FILES_LIMIT);
        is_part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pid: u32) -> ProcessKey {
        ProcessKey { pid, start_ticks: 1 }
    }

    fn child(pid: u32, at_ms: u64, part: Part) -> Child {
        Child { key: key(pid), at_ms, started_ms: at_ms, exited_ms: None, part, form: String::new() }
    }

    #[test]
    fn children_of_one_parent_belong_together_for_two_seconds_unless_one_ended_before_the_other_began() {
        let mut recent = Recent::default();
        recent.join(key(1), child(2, 0, Part::Decoder));
        assert_eq!(recent.join(key(1), child(3, 2000, Part::Reader)).len(), 1);
        assert_eq!(recent.join(key(9), child(4, 0, Part::Reader)).len(), 0);
        recent.exit(key(2), 2500);
        recent.exit(key(3), 2600);
        assert_eq!(recent.join(key(1), child(5, 2600, Part::Reader)).len(), 0);
    }

    #[test]
    fn forty_pasted_commands_are_one_step_and_a_worse_one_or_a_later_one_is_another() {
        let mut pastes = Pastes::default();
        let told = (0..40).filter(|i| !pastes.is_part(key(1), 7, Severity::Medium, i * 1900)).count();
        assert_eq!(told, 1);
        let last = 39 * 1900;
        assert!(!pastes.is_part(key(1), 7, Severity::High, last));
        assert!(pastes.is_part(key(1), 7, Severity::Medium, last + 2000));
        assert!(!pastes.is_part(key(1), 7, Severity::Medium, last + 4001));
        assert!(!pastes.is_part(key(2), 7, Severity::Medium, last));
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut recent = Recent::default();
        for pid in 0..20_000 {
            recent.join(key(pid), child(pid + 1, 0, Part::Reader));
            recent.fetched(pid.to_string(), String::new(), false, 0);
            recent.open(key(pid), "x");
            recent.connect(key(pid));
            recent.is_repeat(1, key(pid), 1, Severity::High, 0);
        }
        assert_eq!(recent.sizes(), [2048, 4096, 1024, 1024, 4096, 1024]);
    }
}
