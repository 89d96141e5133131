//! Draws the links from what was proved bad to what starts, guards or feeds it, until nothing more is linked.

use std::collections::{BTreeMap, BTreeSet};

use minesweep_model::{
    Bytes, HidingFact, Origin, Process, ProcessKey,
    clean::{Form, Item, Spot, Survey},
};

use super::Suspects;

/// Rounds of linking: each follows one link further.
const ROUNDS: usize = 16;

/// What is bad, each with what links it.
pub(super) struct Links<'a> {
    survey: &'a Survey,
    spared: BTreeSet<ProcessKey>,
    /// Files by path.
    pub(super) paths: BTreeMap<Bytes, String>,
    /// Things by their position in the survey.
    pub(super) items: BTreeMap<usize, String>,
    pub(super) processes: BTreeMap<ProcessKey, BadProcess>,
    hideouts: BTreeSet<&'a [u8]>,
}

/// A bad process, with what links it.
pub(super) struct BadProcess {
    pub(super) process: Process,
    pub(super) why: String,
    /// Only a bad process started it: its program may be anybody's.
    is_child: bool,
}

impl<'a> Links<'a> {
    pub(super) fn draw(survey: &'a Survey, suspects: &Suspects) -> Self {
        let hideouts = survey.items.iter().filter(|item| item.spot == Spot::Hideout);
        let mut links = Self {
            survey,
            spared: suspects.spared.iter().copied().collect(),
            paths: BTreeMap::new(),
            items: BTreeMap::new(),
            processes: BTreeMap::new(),
            hideouts: hideouts.map(|item| item.place.path.0.as_slice()).collect(),
        };
        for process in &suspects.processes {
            links.mark_process(process, "a detection names it", false);
        }
        for file in &suspects.files {
            links.mark_path(&file.0, "a rule for files names it");
        }
        links.deceivers();
        for _ in 0..ROUNDS {
            let before = (links.paths.len(), links.items.len(), links.processes.len());
            links.add_programs();
            links.add_processes();
            links.add_items();
            links.add_folders();
            if before == (links.paths.len(), links.items.len(), links.processes.len()) {
                break;
            }
        }
        links
    }

    /// What is bad without a link: a library that hides what runs, and no package brought it.
    fn deceivers(&mut self) {
        for (at, item) in self.survey.items.iter().enumerate() {
            if item.spot == Spot::PreloadLibrary && item.hides && !self.is_owned(&item.place.path.0) {
                self.items.insert(at, "it hides files and processes, and no package brought it".to_owned());
                self.mark_path(&item.place.path.0, "it hides files and processes");
            }
        }
    }

    /// The program and the script of each bad process.
    fn add_programs(&mut self) {
        let bad: Vec<(Process, bool)> =
            self.processes.values().map(|bad| (bad.process.clone(), bad.is_child)).collect();
        for (process, is_child) in bad {
            let why = format!("process {} runs it", process.key.pid);
            // An interpreter from elsewhere runs other programs too: what it runs here is bad, not itself.
            let is_its_own = !is_child && !is_interpreter(&process.exe);
            if process.origin == Origin::Disk && (is_its_own || self.is_hideout(&process.exe)) {
                self.mark_path(process.exe.as_bytes(), &why);
            }
            for path in self.scripts(&process) {
                self.mark_path(&path, &why);
            }
        }
    }

    /// Processes that run what is bad, children of bad ones, and guards that started one from a hideout.
    fn add_processes(&mut self) {
        let parents: BTreeSet<u32> = self.processes.values().map(|bad| bad.process.parent_pid).collect();
        let bad: BTreeSet<u32> = self.processes.keys().map(|key| key.pid).collect();
        for process in &self.survey.processes {
            let runs = std::iter::once(process.exe.clone().into_bytes()).chain(self.scripts(process));
            let run = runs.into_iter().find(|path| self.paths.contains_key(&Bytes(path.clone())));
            if let Some(run) = run {
                self.mark_process(process, &format!("it runs {}", run.escape_ascii()), false);
            } else if bad.contains(&process.parent_pid) {
                self.mark_process(process, &format!("process {} started it", process.parent_pid), true);
            } else if parents.contains(&process.key.pid)
                && (self.scripts(process).iter().any(|path| self.hideouts.contains(path.as_slice()))
                    || self.hideouts.contains(process.exe.as_bytes()))
            {
                self.mark_process(process, "it lies where programs hide and started a bad process", false);
            }
        }
    }

    /// Things that name what is bad, and what bad scripts name.
    fn add_items(&mut self) {
        for (at, item) in self.survey.items.iter().enumerate() {
            let path = &item.place.path;
            let is_bad_file = item.line.is_none() && self.paths.contains_key(path);
            let is_named =
                |name: &&Bytes| self.paths.contains_key(*name) && *name != path && starts(item, name);
            let named = item.names.iter().find(is_named);
            let why = match (is_bad_file, named) {
                (true, _) => self.paths.get(path).cloned().unwrap_or_default(),
                (false, Some(name)) if self.may_name(item) => format!("it names {}", name.0.escape_ascii()),
                _ => match self.timed(item) {
                    Some(why) => why,
                    None => continue,
                },
            };
            if self.items.insert(at, why.clone()).is_none()
                && item.line.is_none()
                && item.spot != Spot::UnitLink
            {
                self.mark_path(&path.0, &why);
                let hidden = |name: &&Bytes| self.hideouts.contains(name.0.as_slice());
                for name in item.names.iter().filter(hidden).collect::<Vec<_>>() {
                    self.mark_path(&name.0, &format!("{} names it", path.0.escape_ascii()));
                }
            }
        }
    }

    /// A whole file of a package is not bad for what it names; a line in one is no package's.
    fn may_name(&self, item: &Item) -> bool {
        match item.spot {
            Spot::CronLine | Spot::ShellLine | Spot::PreloadLine => true,
            Spot::Script | Spot::Unit | Spot::DropIn | Spot::UnitLink | Spot::Hideout => {
                !self.is_owned(&item.place.path.0)
            }
            Spot::PreloadLibrary
            | Spot::Key
            | Spot::User
            | Spot::Sudoers
            | Spot::HostsLine
            | Spot::Command
            | Spot::Original => false,
        }
    }

    /// A timer, socket or path unit whose service is bad.
    fn timed(&self, item: &Item) -> Option<String> {
        if item.spot != Spot::Unit || self.is_owned(&item.place.path.0) {
            return None;
        }
        let path = String::from_utf8(item.place.path.0.clone()).ok()?;
        let stem = [".timer", ".path", ".socket"].iter().find_map(|end| path.strip_suffix(end))?;
        let service = Bytes(format!("{stem}.service").into_bytes());
        self.paths.contains_key(&service).then(|| format!("it starts {stem}.service"))
    }

    /// A folder of its own below a place where programs hide is bad as a whole when a bad file lies in it.
    fn add_folders(&mut self) {
        let folders: BTreeSet<Vec<u8>> = self
            .paths
            .keys()
            .filter(|path| self.hideouts.contains(path.0.as_slice()))
            .filter_map(|path| folder(&path.0))
            .filter(|folder| self.hideouts.contains(*folder))
            .map(<[u8]>::to_vec)
            .collect();
        for (at, item) in self.survey.items.iter().enumerate() {
            let path = &item.place.path.0;
            if item.spot != Spot::Hideout || self.items.contains_key(&at) {
                continue;
            }
            let around = folders.iter().find(|folder| {
                path == *folder
                    || path.strip_prefix(folder.as_slice()).is_some_and(|rest| rest.starts_with(b"/"))
            });
            if let Some(around) = around {
                let why = format!("it lies in {} with what is bad", around.escape_ascii());
                self.items.insert(at, why.clone());
                if item.place.form == Form::File {
                    self.mark_path(path, &why);
                }
            }
        }
    }

    /// Scripts that a process runs, by its arguments: of an interpreter the first that is no option, and what the text
    /// after `-c` names in a hideout.
    fn scripts(&self, process: &Process) -> Vec<Vec<u8>> {
        if !is_interpreter(&process.exe) {
            return Vec::new();
        }
        let mut words = process.argv.iter().skip(1);
        let mut found = Vec::new();
        while let Some(word) = words.next() {
            if word.starts_with('-') {
                let is_text = !word.starts_with("--") && word.ends_with('c');
                if let Some(text) = words.next().filter(|_| is_text) {
                    found.extend(
                        text.split([' ', ';', '&', '|', '\'', '"', '(', ')', '\n', '>', '<'])
                            .map(|word| absolute(&process.cwd, word))
                            .filter(|path| {
                                self.hideouts.contains(path.as_slice())
                                    || self.paths.contains_key(&Bytes(path.clone()))
                            }),
                    );
                    break;
                }
                continue;
            }
            found.push(absolute(&process.cwd, word));
            break;
        }
        found
    }

    fn is_hideout(&self, path: &str) -> bool {
        self.hideouts.contains(path.as_bytes())
    }

    fn mark_process(&mut self, process: &Process, why: &str, is_child: bool) {
        let is_spared = self.spared.contains(&process.key) || process.key.pid <= 1 || process.exe.is_empty();
        if !is_spared && !self.processes.contains_key(&process.key) {
            let bad = BadProcess { process: process.clone(), why: why.to_owned(), is_child };
            self.processes.insert(process.key, bad);
        }
    }

    fn mark_path(&mut self, path: &[u8], why: &str) {
        if path.starts_with(b"/")
            && path.len() > 1
            && !self.is_owned(path)
            && !is_pseudo(path)
            && !self.may_be_packaged(path)
        {
            self.paths.entry(Bytes(path.to_vec())).or_insert_with(|| why.to_owned());
        }
    }

    /// Without a package database a file in a system folder is taken for a package's.
    fn may_be_packaged(&self, path: &[u8]) -> bool {
        self.survey.owned.is_empty() && SYSTEM.iter().any(|folder| path.starts_with(folder.as_bytes()))
    }

    pub(super) fn is_owned(&self, path: &[u8]) -> bool {
        self.survey.owned.contains_key(&Bytes(path.to_vec()))
    }

    /// Commands whose right content was found: the replaced one and the original.
    pub(super) fn replaced(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>, &'a str)> {
        self.survey.facts.iter().filter_map(|fact| match fact {
            HidingFact::Replaced { path, original, package, .. } => {
                Some((path.as_str(), original.as_deref(), package.as_str()))
            }
            _ => None,
        })
    }
}

/// Whether a line starts what it names: one that removes, lists or reads it does not.
fn starts(item: &Item, name: &Bytes) -> bool {
    let Some(line) = &item.line else { return true };
    let text = String::from_utf8_lossy(&line.text.0);
    let name = String::from_utf8_lossy(&name.0);
    text.split([';', '&', '|', '\n']).any(|command| {
        command.split_once(&*name).is_some_and(|(before, _)| {
            !before
                .split_whitespace()
                .any(|word| PASSIVE.contains(&word.rsplit('/').next().unwrap_or_default()))
        })
    })
}

/// Commands of coreutils, findutils, procps and grep that start nothing of what they name.
const PASSIVE: &[&str] = &[
    "rm",
    "rmdir",
    "unlink",
    "shred",
    "ls",
    "stat",
    "cat",
    "tail",
    "head",
    "grep",
    "du",
    "wc",
    "test",
    "[",
    "touch",
    "chmod",
    "chown",
    "chattr",
    "kill",
    "pkill",
    "pgrep",
    "sha256sum",
    "md5sum",
    "logger",
    "echo",
    "tar",
];

/// A program that runs what its arguments name.
fn is_interpreter(exe: &str) -> bool {
    let name = exe.rsplit('/').next().unwrap_or_default();
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    INTERPRETERS.contains(&name)
}

/// Folders of packages.
const SYSTEM: &[&str] =
    &["/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/usr/lib/", "/lib/", "/usr/libexec/", "/lib64/"];

/// Interpreters of Debian and RHEL by the names of their programs, without versions.
const INTERPRETERS: &[&str] = &[
    "sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "busybox", "python", "perl", "ruby", "node", "nodejs",
    "php", "lua", "luajit", "tclsh", "java", "awk", "gawk", "mawk", "env", "timeout", "nohup", "setsid",
    "nice",
];

fn is_pseudo(path: &[u8]) -> bool {
    path.starts_with(b"/proc/")
        || path.starts_with(b"/sys/")
        || (path.starts_with(b"/dev/") && !path.starts_with(b"/dev/shm/"))
}

pub(super) fn folder(path: &[u8]) -> Option<&[u8]> {
    let cut = path.iter().rposition(|&byte| byte == b'/')?;
    path.get(..cut).filter(|folder| !folder.is_empty())
}

fn absolute(cwd: &str, word: &str) -> Vec<u8> {
    if word.starts_with('/') {
        return word.as_bytes().to_vec();
    }
    let word = word.strip_prefix("./").unwrap_or(word);
    format!("{}/{word}", cwd.trim_end_matches('/')).into_bytes()
}
