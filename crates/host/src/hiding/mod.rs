//! Looks for what hides on this machine, and whose it is.
//!
//! Reads only, by system calls of our own: no program is started and no library of the machine is loaded, so nothing
//! that lies to `ps` or `ls` lies to this. A kernel that was changed can lie to all; then two answers of it are
//! compared. What a fact means is `detect`'s business; what cannot be seen is in docs/spec/hiding.md.
//!
//! Two depths: a quick round looks at names, mounts, preloads and sockets; a deep one reads memory maps, the package
//! database, system programs, modules and file attributes too. Each fact is told once.

mod commands;
mod files;
mod libraries;
mod modules;
mod mounts;
mod names;
pub mod packages;
mod pieces;
mod preload;
mod sockets;

use std::{
    collections::{BTreeSet, HashSet, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    io,
};

use minesweep_model::{Blind, Event, HidingFact, HidingSign, Owner, ProcessKey, Text, What};

use crate::{hidden, proc::now_ms};

use self::{commands::Commands, names::Names, packages::Packages};

pub use self::{
    modules::{loaded as loaded_modules, symbols as module_symbols},
    mounts::proc_mounts,
};

/// Most facts that are remembered as told; a machine that has more of them is not well whatever is told.
const TOLD_LIMIT: usize = 16_384;
/// Most facts of one kind in one round.
const FACTS_LIMIT: usize = 256;

/// How much a round reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Milliseconds.
    Quick,
    /// Up to a second: maps of all processes, packages, programs, modules, file attributes.
    Deep,
}

/// What looks for hidden things, and what it has told.
#[derive(Debug, Default)]
pub struct Hunt {
    names: Names,
    packages: Packages,
    commands: Commands,
    told: HashSet<u64>,
    told_order: VecDeque<u64>,
    refused: BTreeSet<&'static str>,
}

/// Something found, before it is known whose the file is.
struct Found {
    process: Option<ProcessKey>,
    fact: HidingFact,
    /// The file whose owner is asked for.
    file: Option<Vec<u8>>,
}

impl Found {
    fn new(fact: HidingFact) -> Self {
        Self { process: None, fact, file: None }
    }
}

impl Hunt {
    /// One round: what is new since the last. A part that the kernel refuses is named in the log once and left out.
    ///
    /// # Errors
    /// When /proc cannot be listed.
    pub fn round(&mut self, depth: Depth) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        let hidden = hidden::find_quickly()?;
        let seen = self.names.read(&hidden, &mut events)?;
        let mut found = Vec::new();
        self.take("mounts", mounts::find(), &mut found);
        self.take("ld.so.preload", preload::of_machine(), &mut found);
        found.extend(preload::of_processes(&seen));
        self.take("listening sockets", sockets::unlisted(), &mut found);
        match depth {
            Depth::Quick => {}
            Depth::Deep => self.dig(&seen, &mut found),
        }
        self.packages.learn(found.iter().filter_map(|one| one.file.as_deref()));
        for one in found {
            self.tell(one, &mut events);
        }
        Ok(events)
    }

    /// What of this cannot be seen on this machine.
    pub fn blind() -> Vec<Blind> {
        if Packages::is_there() {
            return Vec::new();
        }
        let why = Text::new(
            "there is no dpkg database; replaced programs and libraries without a package are not told (rpm, apk and pacman are not read)",
            "没有 dpkg 数据库；无法识别被替换的程序和不属于软件包的库（尚不读取 rpm、apk、pacman）",
        );
        vec![Blind { what: "package-owners".to_owned(), why }]
    }

    fn dig(&mut self, seen: &[names::Seen], found: &mut Vec<Found>) {
        found.extend(names::executables(seen));
        found.extend(libraries::find(seen, &mut self.packages));
        self.take("sockets and their processes", sockets::ownerless(), found);
        found.extend(modules::find());
        found.extend(files::find());
        let replaced = self.commands.find(&mut self.packages);
        self.take("system programs", replaced, found);
    }

    fn take(&mut self, part: &'static str, got: io::Result<Vec<Found>>, found: &mut Vec<Found>) {
        match got {
            Ok(mut more) => {
                more.truncate(FACTS_LIMIT);
                found.append(&mut more);
            }
            Err(error) if self.refused.insert(part) => {
                tracing::warn!(%error, part, "a part of the look for hidden things is refused");
            }
            Err(error) => tracing::debug!(%error, part, "refused again"),
        }
    }

    fn tell(&mut self, found: Found, events: &mut Vec<Event>) {
        let mut fact = found.fact;
        if let Some(file) = &found.file {
            let is = self.packages.owner(file);
            match &mut fact {
                // Of what runs, only the files of nobody are worth a word.
                HidingFact::Runs { owner, .. } if is == Owner::Nobody => *owner = is,
                HidingFact::ModuleFile { path: Some(_), owner, .. } if is == Owner::Nobody => *owner = is,
                HidingFact::Runs { .. } | HidingFact::ModuleFile { path: Some(_), .. } => return,
                HidingFact::Preload { owner, .. }
                | HidingFact::Locked { owner, .. }
                | HidingFact::ModuleFile { path: None, owner, .. } => *owner = is,
                HidingFact::ProcMount(_)
                | HidingFact::Mapped { .. }
                | HidingFact::Replaced { .. }
                | HidingFact::Module { .. }
                | HidingFact::Taint { .. }
                | HidingFact::Name { .. }
                | HidingFact::Socket { .. } => {}
            }
        }
        let sign = HidingSign { process: found.process, fact };
        if self.is_news(&sign) {
            events.push(Event { at_ms: now_ms(), what: What::Hiding(Box::new(sign)) });
        }
    }

    fn is_news(&mut self, sign: &HidingSign) -> bool {
        let mut hasher = DefaultHasher::new();
        format!("{sign:?}").hash(&mut hasher);
        let hash = hasher.finish();
        if !self.told.insert(hash) {
            return false;
        }
        self.told_order.push_back(hash);
        if self.told_order.len() > TOLD_LIMIT
            && let Some(oldest) = self.told_order.pop_front()
        {
            self.told.remove(&oldest);
        }
        true
    }
}

/// The first `limit` bytes of a file of this machine; `None` when there is none of that name.
fn read_file(path: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = pieces::regular(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    crate::proc::root::fill(&file, limit, &mut bytes)?;
    Ok(Some(bytes))
}
