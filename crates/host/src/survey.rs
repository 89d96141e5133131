//! What a host or a disk looks like to whoever must clean it: all that can start a program, let somebody in, or deceive.
//!
//! Reads only, below one root, by system calls of our own; works on a disk that does not run. Bounded: 20,000 things and
//! 64 MiB of text; what could not be looked at is said. What is bad is `detect`'s business.

mod library;
mod names;
mod tree;

use std::{collections::BTreeSet, io, path::Path};

use minesweep_model::{
    Bytes, HidingFact, Owner, ProcessKey, What,
    clean::{Form, Item, Spot, Survey, TextLine},
};

use crate::{
    hiding::{Depth, Hunt, packages::Packages},
    proc,
};

use library::hides;
use names::named;
use tree::{Found, Tree};

/// Things of a survey.
const ITEMS_LIMIT: usize = 20_000;
/// What could not be looked at.
const BLIND_LIMIT: usize = 256;
/// Depth below a folder where programs hide.
const HIDEOUT_DEPTH: usize = 4;
/// `FS_IMMUTABLE_FL` and `FS_APPEND_FL` of linux/fs.h.
const LOCKS: u32 = 0x10 | 0x20;

/// Looks at the machine: files, processes, mounts, and what deceives.
///
/// # Errors
/// When the root or /proc cannot be read.
pub fn live(at_ms: u64) -> io::Result<Survey> {
    let mut looking = Looking::new(Path::new("/"), at_ms)?;
    for pid in proc::list()? {
        // A process that has ended meanwhile is none.
        if let Ok(process) = proc::read(pid) {
            looking.survey.processes.push(process);
        }
    }
    looking.files();
    let mut hunt = Hunt::default();
    match hunt.round(Depth::Deep) {
        Ok(events) => looking.survey.facts.extend(events.into_iter().filter_map(|event| match event.what {
            What::Hiding(sign) => Some(sign.fact),
            _ => None,
        })),
        Err(failed) => looking.blind(b"what hides", &failed),
    }
    looking.deceivers();
    looking.owners();
    Ok(looking.survey)
}

/// Looks at a disk that does not run.
///
/// # Errors
/// When the root cannot be opened.
pub fn offline(root: &Path, at_ms: u64) -> io::Result<Survey> {
    let mut looking = Looking::new(root, at_ms)?;
    looking.survey.is_offline = true;
    looking.files();
    Ok(looking.survey)
}

/// The process that looks and those that started it: never part of what is cleaned.
///
/// # Errors
/// When /proc cannot be read.
pub fn ourselves() -> io::Result<Vec<ProcessKey>> {
    let mut line = Vec::new();
    let mut pid = std::process::id();
    while pid != 0 && line.len() < 64 {
        let Ok(process) = proc::read(pid) else { break };
        line.push(process.key);
        pid = process.parent_pid;
    }
    Ok(line)
}

struct Looking {
    tree: Tree,
    survey: Survey,
}

impl Looking {
    fn new(root: &Path, at_ms: u64) -> io::Result<Self> {
        let survey = Survey { at_ms, ..Survey::default() };
        Ok(Self { tree: Tree::open(root)?, survey })
    }

    fn files(&mut self) {
        self.cron();
        self.units();
        self.start_files();
        self.access();
        for folder in HIDEOUTS {
            self.hideout(folder.as_bytes(), HIDEOUT_DEPTH);
        }
        self.locks();
    }

    fn cron(&mut self) {
        self.lines(b"/etc/crontab", Spot::CronLine, "");
        self.lines(b"/etc/anacrontab", Spot::CronLine, "");
        for file in self.below(b"/etc/cron.d") {
            self.lines(&file, Spot::CronLine, "");
        }
        for folder in ["/var/spool/cron/crontabs", "/var/spool/cron"] {
            for file in self.below(folder.as_bytes()) {
                let user = last(&file);
                self.lines(&file, Spot::CronLine, &user);
            }
        }
        for folder in SCRIPT_FOLDERS {
            for file in self.below(folder.as_bytes()) {
                self.whole(&file, Spot::Script);
            }
        }
        self.whole(b"/etc/rc.local", Spot::Script);
        for file in self.below(b"/var/spool/cron/atjobs") {
            self.whole(&file, Spot::Script);
        }
    }

    fn units(&mut self) {
        for folder in UNIT_FOLDERS {
            for file in self.below(folder.as_bytes()) {
                let name = last(&file);
                if [".wants", ".requires"].iter().any(|end| name.ends_with(end)) {
                    for link in self.below(&file) {
                        self.whole(&link, Spot::UnitLink);
                    }
                } else if name.ends_with(".d") {
                    for part in self.below(&file) {
                        self.whole(&part, Spot::DropIn);
                    }
                } else {
                    self.whole(&file, Spot::Unit);
                }
            }
        }
    }

    fn start_files(&mut self) {
        self.lines(b"/etc/ld.so.preload", Spot::PreloadLine, "");
        self.lines(b"/etc/hosts", Spot::HostsLine, "");
        for file in ["/etc/profile", "/etc/bash.bashrc", "/etc/environment", "/etc/zsh/zshrc"] {
            self.lines(file.as_bytes(), Spot::ShellLine, "");
        }
        for file in self.below(b"/etc/profile.d") {
            self.lines(&file, Spot::ShellLine, "");
        }
        for (user, home) in self.homes() {
            for file in RC_FILES {
                self.lines(&joined(&home, file.as_bytes()), Spot::ShellLine, &user);
            }
            for folder in [".config/systemd/user", ".config/autostart"] {
                for file in self.below(&joined(&home, folder.as_bytes())) {
                    self.whole(&file, Spot::Unit);
                }
            }
            self.lines(&joined(&home, b".ssh/authorized_keys"), Spot::Key, &user);
        }
    }

    fn access(&mut self) {
        self.lines(b"/etc/passwd", Spot::User, "");
        self.lines(b"/etc/sudoers", Spot::Sudoers, "");
        for file in self.below(b"/etc/sudoers.d") {
            self.lines(&file, Spot::Sudoers, "");
        }
    }

    /// Files below a folder where programs hide. Its own folders are things too, so that empty ones can go.
    fn hideout(&mut self, folder: &[u8], depth: usize) {
        for path in self.below(folder) {
            let Some(found) = self.found(&path) else { continue };
            let is_folder = found.place.form == Form::Folder;
            // A note or a log may name anything; what can be run names what it runs.
            let is_script = found.text.starts_with(b"#!")
                || (found.mode & 0o111 != 0 && !found.text.starts_with(b"\x7fELF"));
            let names = if is_script { named(&found.text) } else { Vec::new() };
            self.push(Spot::Hideout, &found, None, names, "");
            if is_folder && depth > 0 {
                self.hideout(&path, depth - 1);
            }
        }
    }

    /// Files that facts name: the libraries and commands that deceive, and the originals of those.
    fn deceivers(&mut self) {
        let mut named = Vec::new();
        for fact in &self.survey.facts {
            match fact {
                HidingFact::Preload { library, exists: true, .. } => {
                    named.push((Spot::PreloadLibrary, library.clone()));
                }
                HidingFact::Replaced { path, original, .. } => {
                    named.push((Spot::Command, path.clone()));
                    named.extend(original.iter().map(|original| (Spot::Original, original.clone())));
                }
                _ => {}
            }
        }
        for (spot, path) in named {
            let path = self.tree.followed(path.as_bytes());
            let is_known =
                self.survey.items.iter().any(|item| item.spot == spot && item.place.path.0 == path);
            if !is_known {
                self.whole(&path, spot);
            }
        }
        self.locks();
    }

    /// Flags of the things and of the folders that they lie in.
    fn locks(&mut self) {
        let mut known: BTreeSet<Bytes> =
            self.survey.locked.iter().map(|(place, _)| place.path.clone()).collect();
        let mut folders = BTreeSet::new();
        for item in &self.survey.items {
            if item.flags & LOCKS != 0 && known.insert(item.place.path.clone()) {
                self.survey.locked.push((item.place.clone(), item.flags));
            }
            let path = &item.place.path.0;
            let cut = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            folders.insert(path.get(..cut).unwrap_or_default().to_vec());
        }
        for folder in folders {
            if let Some(found) = self.found(&folder)
                && found.flags & LOCKS != 0
                && known.insert(found.place.path.clone())
            {
                self.survey.locked.push((found.place, found.flags));
            }
        }
    }

    /// Packages of everything that is named.
    fn owners(&mut self) {
        let mut paths: BTreeSet<Vec<u8>> = BTreeSet::new();
        for item in &self.survey.items {
            paths.insert(item.place.path.0.clone());
            paths.extend(item.names.iter().map(|name| name.0.clone()));
        }
        for process in &self.survey.processes {
            paths.insert(process.exe.clone().into_bytes());
            paths.extend(
                process
                    .argv
                    .iter()
                    .filter(|word| word.starts_with('/'))
                    .map(|word| word.clone().into_bytes()),
            );
        }
        let mut packages = Packages::default();
        packages.learn(paths.iter().map(Vec::as_slice));
        for path in paths {
            if let Owner::Package(package) = packages.owner(&path) {
                self.survey.owned.insert(Bytes(path), package);
            }
        }
    }

    /// Accounts and their homes; at most 512 accounts.
    fn homes(&self) -> Vec<(String, Vec<u8>)> {
        let Ok(Some(passwd)) = self.tree.find(b"/etc/passwd") else { return Vec::new() };
        let lines = passwd.text.split(|&byte| byte == b'\n').take(512);
        let mut homes: Vec<(String, Vec<u8>)> = Vec::new();
        for line in lines {
            let mut fields = line.split(|&byte| byte == b':');
            let (Some(user), Some(home)) = (fields.next(), fields.nth(4)) else { continue };
            if home.starts_with(b"/") && home.len() > 1 && !homes.iter().any(|(_, seen)| seen == home) {
                homes.push((String::from_utf8_lossy(user).into_owned(), home.to_vec()));
            }
        }
        homes
    }

    fn below(&mut self, folder: &[u8]) -> Vec<Vec<u8>> {
        match self.tree.names(folder) {
            Ok(names) => names.into_iter().map(|name| joined(folder, &name)).collect(),
            Err(failed) => {
                self.blind(folder, &failed);
                Vec::new()
            }
        }
    }

    fn found(&mut self, path: &[u8]) -> Option<Found> {
        match self.tree.find(path) {
            Ok(found) => found,
            Err(failed) => {
                self.blind(path, &failed);
                None
            }
        }
    }

    /// Each line that is no comment.
    fn lines(&mut self, path: &[u8], spot: Spot, user: &str) {
        let Some(found) = self.found(path).filter(|found| found.place.form == Form::File) else { return };
        for (number, text) in (1..).zip(found.text.split(|&byte| byte == b'\n')) {
            let trimmed = text.trim_ascii();
            if trimmed.is_empty() || trimmed.starts_with(b"#") || text.len() > 4096 {
                continue;
            }
            let line = TextLine { number, text: Bytes(text.to_vec()) };
            self.push(spot, &found, Some(line), named(text), user);
        }
    }

    fn whole(&mut self, path: &[u8], spot: Spot) {
        let Some(found) = self.found(path) else { return };
        let mut names = named(&found.text);
        if let Form::Link(to) = &found.place.form {
            names.push(Bytes(self.tree.followed(path)));
            names.push(to.clone());
        }
        if found.text.starts_with(b"\x7fELF") {
            names.clear();
        }
        self.push(spot, &found, None, names, "");
    }

    fn push(&mut self, spot: Spot, found: &Found, line: Option<TextLine>, names: Vec<Bytes>, user: &str) {
        if self.survey.items.len() >= ITEMS_LIMIT {
            self.blind(&found.place.path.0, &io::Error::other("there are more than 20,000 things"));
            return;
        }
        self.survey.items.push(Item {
            spot,
            place: found.place.clone(),
            line,
            names,
            user: user.to_owned(),
            flags: found.flags,
            changed_ms: found.changed_ms,
            hides: spot == Spot::PreloadLibrary && hides(&found.text),
        });
    }

    fn blind(&mut self, what: &[u8], why: &io::Error) {
        if self.survey.blind.len() < BLIND_LIMIT {
            self.survey.blind.push(format!("{}: {why}", what.escape_ascii()));
        }
    }
}

fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = folder.strip_suffix(b"/").unwrap_or(folder).to_vec();
    path.push(b'/');
    path.extend_from_slice(name);
    path
}

fn last(path: &[u8]) -> String {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

/// Folders whose files are run as they are.
const SCRIPT_FOLDERS: &[&str] = &[
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/etc/init.d",
    "/etc/update-motd.d",
    "/etc/NetworkManager/dispatcher.d",
    "/etc/X11/Xsession.d",
];

/// Folders of units that a person or an intruder writes; packages' own units lie elsewhere, and may lie here too.
const UNIT_FOLDERS: &[&str] = &[
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/etc/systemd/user",
];

/// Start files of shells, below a home.
const RC_FILES: &[&str] =
    &[".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshrc", ".zprofile", ".bash_logout"];

/// Folders that everybody may write to.
const HIDEOUTS: &[&str] = &["/tmp", "/var/tmp", "/dev/shm", "/run/lock"];
