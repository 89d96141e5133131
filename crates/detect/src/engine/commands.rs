//! What command lines mean here: whose they are, what ran beside them, and how bad that is.
//!
//! A line of text is understood by `commands`; what only several processes together show - a pipe, a fetched file that
//! runs, a service above a shell - is joined here.

use std::sync::Arc;

use minesweep_model::{
    FileAct, FileEvent, Flow, Looked, Process, ProcessKey, Protocol, Relay, Severity, Text,
};

use super::{Engine, Output};
use crate::{
    commands::{
        self, DECODED, DOWNLOAD_RUN, Found, RENAMED, REVERSE, REVERSE_COMMAND, SERVICE_SHELL, Understood,
        descriptors,
        recent::{Child, Part},
        renamed,
        service::{self, Service},
        why,
    },
    content_rule::Hit,
    ids,
    looks::Reason,
    spread::SCAN,
    tree::{base_name, is_shared_tool},
};

/// Ancestors that are walked for a service, a login, a connection.
const ABOVE_LIMIT: usize = 8;
/// Most bytes of a sibling's command.
const FORM_LIMIT: usize = 400;

/// Something to be told of a process.
pub(super) struct Telling<'a> {
    pub(super) rule: &'static str,
    pub(super) severity: Severity,
    pub(super) subject: ProcessKey,
    pub(super) why: Text,
    pub(super) remote: Option<std::net::SocketAddr>,
    /// What tells it from another of the same session.
    pub(super) what: &'a str,
}

impl Engine {
    /// A process became another program: what its arguments mean.
    pub(super) fn command(&mut self, process: &Process, at_ms: u64, out: &mut Vec<Output>) {
        if self.is_own(process.key) || process.argv.is_empty() {
            return;
        }
        let understood = commands::understand(&spoken(process));
        for found in &understood.found {
            self.tell_found(found, process, &understood, at_ms, out);
        }
        self.join_pipeline(process, &understood, at_ms, out);
        self.remember_fetched(process, &understood, at_ms);
        self.run_of_fetched(process, at_ms, out);
        self.other_name(process, at_ms, out);
        self.served(process, &understood, at_ms, out);
        self.spread_argv(process, at_ms, out);
        if understood.is_reading {
            self.look_at_reader(process.key, at_ms, out);
        }
    }

    /// A shell was looked at: where its input and output lead.
    pub(super) fn stdio(&mut self, looked: &Looked, at_ms: u64, out: &mut Vec<Output>) {
        let process = &looked.process;
        if looked.stdio.is_empty() || self.is_own(process.key) || !descriptors::is_reading(process) {
            return;
        }
        let parent = self.tree.parent(process.key).map(|parent| parent.process.clone());
        let argv = |relay: &Relay| {
            self.tree.process(relay.process).map(|process| process.argv.clone()).unwrap_or_default()
        };
        let Some(hand) = descriptors::hand(process, parent.as_deref(), &looked.stdio, argv) else { return };
        let (why, severity, remote) = (why::hand(&hand, process), hand.severity, hand.remote);
        let what = remote.to_string();
        let telling =
            Telling { rule: REVERSE, severity, subject: process.key, why, remote: Some(remote), what: &what };
        self.tell_command(telling, at_ms, out);
    }

    /// A process that was there before: a shell that reads its commands may be in somebody's hand already.
    pub(super) fn command_runs(&mut self, process: &Process, at_ms: u64, out: &mut Vec<Output>) {
        if !self.is_own(process.key) && descriptors::is_reading(process) {
            self.look_at_reader(process.key, at_ms, out);
        }
    }

    /// A process opened a connection: shells beside or below it may be on it.
    pub(super) fn command_connects(&mut self, flow: &Flow, at_ms: u64, out: &mut Vec<Output>) {
        let Some(key) = flow.process.filter(|_| flow.protocol == Protocol::Tcp) else { return };
        self.recent.connect(key);
        let itself = self.tree.process(key).filter(|process| descriptors::is_reading(process)).map(|_| key);
        for reader in self.recent.readers(key).into_iter().chain(itself) {
            self.look(reader, Reason::Stdio, at_ms, out);
        }
    }

    /// A file changed: it may be fetched, or a tool that gets another name.
    pub(super) fn command_file(&mut self, event: &FileEvent, at_ms: u64, out: &mut Vec<Output>) {
        if !event.is_done {
            return;
        }
        match event.act {
            FileAct::Create | FileAct::Write => self.file_made(event, at_ms),
            FileAct::Rename | FileAct::Link | FileAct::Symlink => self.file_renamed(event, at_ms, out),
            FileAct::Remove => self.tool_gone(&event.path),
            FileAct::Read
            | FileAct::Mode
            | FileAct::Owner
            | FileAct::Xattr
            | FileAct::Flags
            | FileAct::Mount
            | FileAct::Unmount
            | FileAct::Memfd => {}
        }
    }

    fn file_made(&mut self, event: &FileEvent, at_ms: u64) {
        self.recent.open(event.process, &event.path);
        let Some(process) = self.tree.process(event.process) else { return };
        if commands::is_fetcher(&process.exe) {
            if let Some(fetch) = commands::understand(&process.argv).fetches.first() {
                self.recent.fetched(event.path.clone(), fetch.url.clone(), fetch.is_unchecked, at_ms);
            }
            return;
        }
        // Whatever an interpreter calls it: it had a connection, and now it has a file where anybody may write.
        if is_other_language(process) && self.recent.is_connected(event.process) && is_open_place(&event.path)
        {
            self.recent.fetched(event.path.clone(), String::new(), false, at_ms);
        }
    }

    fn tool_gone(&mut self, path: &str) {
        if let Some(tool) = renamed::tool_at(path) {
            self.recent.tool_replaced(tool);
        }
    }

    fn file_renamed(&mut self, event: &FileEvent, at_ms: u64, out: &mut Vec<Output>) {
        let Some(other) = &event.other else { return };
        let (old, new) =
            if event.act == FileAct::Symlink { (other, &event.path) } else { (&event.path, other) };
        if let Some(file) = self.recent.file(old, at_ms).cloned() {
            self.recent.fetched(new.clone(), file.url, file.is_unchecked, at_ms);
        }
        if event.act == FileAct::Rename {
            self.tool_gone(other);
        }
        let Some(process) = self.tree.process(event.process).cloned() else { return };
        if let Some(tool) = renamed::renamed(&process, old, new) {
            let by = base_name(&process.exe).to_owned();
            let found = Found::Renamed { tool: tool.to_owned(), to: new.clone(), by };
            let understood = Understood { form: process.argv.join(" "), ..Understood::default() };
            self.tell_found(&found, &process, &understood, at_ms, out);
        }
    }

    fn tell_found(
        &mut self,
        found: &Found,
        process: &Process,
        understood: &Understood,
        at_ms: u64,
        out: &mut Vec<Output>,
    ) {
        let subject = process.key;
        let (rule, severity, what) = match found {
            Found::DownloadRun { from } => {
                let is_unchecked =
                    understood.fetches.iter().any(|fetch| fetch.url == *from && fetch.is_unchecked);
                (DOWNLOAD_RUN, self.weigh_fetch(from, is_unchecked, subject), from.as_str())
            }
            Found::Decoded { text, .. } => (DECODED, Severity::High, text.as_str()),
            Found::Reverse { end, .. } => {
                (REVERSE_COMMAND, Severity::Critical, end.as_deref().unwrap_or_default())
            }
            Found::Renamed { tool, .. } => (RENAMED, Severity::High, tool.as_str()),
            Found::Scanner { tool, target } => (SCAN, weigh_scanner(tool, target), tool.as_str()),
            Found::ScannerInstalled { tool } => (SCAN, Severity::Low, tool.as_str()),
        };
        let remote = match found {
            Found::Reverse { end, .. } => end.as_ref().and_then(|end| end.parse().ok()),
            Found::DownloadRun { .. }
            | Found::Decoded { .. }
            | Found::Renamed { .. }
            | Found::Scanner { .. }
            | Found::ScannerInstalled { .. } => None,
        };
        let why = why::found(found, &understood.form);
        self.tell_command(Telling { rule, severity, subject, why, remote, what }, at_ms, out);
    }

    /// Tells it, unless the same was told of the same session lately: then it is counted.
    pub(super) fn tell_command(&mut self, telling: Telling<'_>, at_ms: u64, out: &mut Vec<Output>) {
        let rules = self.rules.clone();
        let Some(rule) = rules.coded().get(telling.rule) else { return };
        let (session, what) = (self.tree.session(telling.subject), ids::thing(telling.what));
        if self.recent.is_repeat(ids::thing(telling.rule), session, what, telling.severity, at_ms) {
            let id = self.dossiers.place_step(&self.tree, &self.writes, telling.subject, at_ms);
            if let Some(dossier) = id.and_then(|id| self.dossiers.get_mut(id)) {
                dossier.fold();
            }
            return;
        }
        let mut rule = rule.clone();
        rule.severity = telling.severity;
        let thing = what ^ u64::from(telling.severity as u8);
        let hit = Hit {
            rule: &rule,
            subject: Some(telling.subject),
            why: telling.why,
            remote: telling.remote,
            thing,
        };
        self.tell_hit(&hit, at_ms, out);
    }

    /// Processes that one shell starts together are one pipeline.
    fn join_pipeline(
        &mut self,
        process: &Process,
        understood: &Understood,
        at_ms: u64,
        out: &mut Vec<Output>,
    ) {
        let Some(part) = part_of(process, understood) else { return };
        let Some(parent) = self.program_above(process.key).cloned() else { return };
        if commands::language(&parent.exe).is_none() && !commands::is_multi_call(&parent.exe) {
            return;
        }
        let form = commands::cut(&understood.form, FORM_LIMIT);
        let child =
            Child { key: process.key, at_ms, started_ms: process.started_ms, exited_ms: None, part, form };
        for other in self.recent.join(parent.key, child.clone()) {
            let (from, to) = if is_reader(&child.part) { (&other, &child) } else { (&child, &other) };
            self.tell_pipe(from, to, at_ms, out);
        }
    }

    /// The nearest ancestor that executed a program: a copy that a shell makes of itself is that shell.
    fn program_above(&self, key: ProcessKey) -> Option<&Arc<Process>> {
        let mut above = &self.tree.parent(key)?.process;
        for _ in 0..ABOVE_LIMIT {
            let Some(original) = self.tree.copied_from(above.key) else { break };
            above = &original.process;
        }
        Some(above)
    }

    fn tell_pipe(&mut self, from: &Child, to: &Child, at_ms: u64, out: &mut Vec<Output>) {
        let found = match (&from.part, &to.part) {
            (Part::Fetch { url, .. }, Part::Reader | Part::Script) => {
                Found::DownloadRun { from: url.clone() }
            }
            (Part::Decoder, Part::Reader) => Found::Decoded { how: vec!["pipe"], text: String::new() },
            (Part::Net, Part::Reader) => {
                let end = commands::understand_text(&from.form).ends.into_iter().next();
                Found::Reverse { end, how: "pipe" }
            }
            (Part::Fetch { .. } | Part::Decoder | Part::Net | Part::Reader | Part::Script, _) => return,
        };
        let Some(process) = self.tree.process(to.key).cloned() else { return };
        let form = match &from.part {
            Part::Net => why::piped(&to.form, &from.form),
            Part::Fetch { .. } | Part::Decoder | Part::Reader | Part::Script => {
                why::piped(&from.form, &to.form)
            }
        };
        let fetches = match &from.part {
            Part::Fetch { url, is_unchecked } => {
                vec![commands::Fetch { url: url.clone(), to: None, is_unchecked: *is_unchecked }]
            }
            Part::Decoder | Part::Net | Part::Reader | Part::Script => Vec::new(),
        };
        let understood = Understood { form, fetches, ..Understood::default() };
        self.tell_found(&found, &process, &understood, at_ms, out);
    }

    /// Files that a process is told to fetch into, under their whole paths.
    fn remember_fetched(&mut self, process: &Process, understood: &Understood, at_ms: u64) {
        for fetch in &understood.fetches {
            let path = match &fetch.to {
                Some(path) => absolute(&process.cwd, path),
                None => match self.recent.opened(process.key) {
                    Some(path) => path.clone(),
                    None => continue,
                },
            };
            self.recent.fetched(path, fetch.url.clone(), fetch.is_unchecked, at_ms);
        }
        let name = base_name(&process.exe);
        if matches!(name, "cp" | "mv" | "install" | "ln")
            && let [_, .., from, to] = process.argv.as_slice()
            && let Some(file) = self.recent.file(&absolute(&process.cwd, from), at_ms).cloned()
        {
            self.recent.fetched(absolute(&process.cwd, to), file.url, file.is_unchecked, at_ms);
        }
    }

    /// The program, or the script of an interpreter, was fetched lately.
    fn run_of_fetched(&mut self, process: &Process, at_ms: u64, out: &mut Vec<Output>) {
        let script = renamed::script(process).map(|script| absolute(&process.cwd, script));
        for path in [Some(process.exe.clone()), script].into_iter().flatten() {
            let Some(file) = self.recent.file(&path, at_ms).cloned() else { continue };
            // Without an address it was only seen that one who had a connection made it.
            let severity = match file.url.as_str() {
                "" if path != process.exe => continue,
                "" => Severity::Medium,
                url => self.weigh_fetch(url, file.is_unchecked, process.key),
            };
            let why = why::fetched_file(&path, &file.url, process);
            let telling = Telling {
                rule: DOWNLOAD_RUN,
                severity,
                subject: process.key,
                why,
                remote: None,
                what: &file.url,
            };
            self.tell_command(telling, at_ms, out);
        }
    }

    fn other_name(&mut self, process: &Process, at_ms: u64, out: &mut Vec<Output>) {
        let name = base_name(&process.exe);
        let (mut tool, mut severity) = (None, Severity::High);
        if let Some(file) = process.file.filter(|_| !commands::is_multi_call(name)) {
            if commands::is_coveted(name) && is_shared_tool(process) {
                self.recent.tool(file, name);
            }
            tool = self.recent.tool_of(file).filter(|tool| *tool != name).map(str::to_owned);
        }
        let mut why = tool.as_ref().map(|tool| why::under_other_name(tool, process));
        if why.is_none()
            && let Some(like) = renamed::asked_like(process)
        {
            severity = if is_shared_tool(process) { Severity::Low } else { Severity::Medium };
            why = Some(why::asked_like(like, process));
            tool = Some(like.to_owned());
        }
        let (Some(why), Some(what)) = (why, tool) else { return };
        let telling =
            Telling { rule: RENAMED, severity, subject: process.key, why, remote: None, what: &what };
        self.tell_command(telling, at_ms, out);
    }

    /// A shell or the like below a program that serves others.
    fn served(&mut self, process: &Process, understood: &Understood, at_ms: u64, out: &mut Vec<Output>) {
        if !service::is_judged(process) {
            return;
        }
        let Some((above, kind)) = self.service_above(process.key) else { return };
        let Some(mut severity) = service::judge(kind, process, understood) else { return };
        if kind == Service::Application && self.is_at_terminal(above.key) {
            // A person who tries out what they wrote.
            severity = severity.min(Severity::Low);
        }
        let why = why::served(&above, &understood.form, severity);
        let telling = Telling {
            rule: SERVICE_SHELL,
            severity,
            subject: process.key,
            why,
            remote: None,
            what: &understood.form,
        };
        self.tell_command(telling, at_ms, out);
    }

    /// It is part of a paste: what one interactive shell starts within two seconds is one step of each rule.
    pub(super) fn is_pasted(&mut self, hit: &Hit<'_>, at_ms: u64) -> bool {
        let parent = hit.subject.and_then(|key| self.tree.parent(key)).map(|parent| &parent.process);
        let Some(shell) = parent.filter(|parent| commands::understand(&parent.argv).is_reading) else {
            return false;
        };
        self.pastes.is_part(shell.key, ids::thing(&hit.rule.id), hit.rule.severity, at_ms)
    }

    /// The nearest ancestor that is no shell and no wrapper, when it serves others.
    pub(super) fn service_above(&self, key: ProcessKey) -> Option<(Process, Service)> {
        let is_hop = |process: &Process| {
            commands::language(&process.exe) == Some(commands::Language::Shell)
                || commands::is_wrapper(&process.exe)
                || commands::is_multi_call(&process.exe)
        };
        let mut above = self.tree.ancestors(key).take(ABOVE_LIMIT).skip_while(|above| is_hop(&above.process));
        let process = above.next()?.process.clone();
        service::service(&process).map(|kind| (process.as_ref().clone(), kind))
    }

    /// A person sits in front of it: below a login, a terminal or a desktop.
    pub(super) fn is_at_terminal(&self, key: ProcessKey) -> bool {
        const SEATS: [&str; 14] = [
            "sshd",
            "sshd-session",
            "login",
            "tmux",
            "screen",
            "script",
            "gnome-terminal-server",
            "konsole",
            "xterm",
            "alacritty",
            "kitty",
            "mosh-server",
            "dropbear",
            "su",
        ];
        self.tree.ancestors(key).any(|above| {
            let is_login = above.process.argv.first().is_some_and(|word| word.starts_with('-'));
            is_login || SEATS.iter().any(|seat| base_name(&above.process.exe).starts_with(seat))
        })
    }

    /// How bad it is to run what is fetched from there. An address that is checked by its certificate and has a name is
    /// how many installers are meant to be run; one that is not is how droppers are.
    fn weigh_fetch(&self, from: &str, is_unchecked: bool, key: ProcessKey) -> Severity {
        if is_unchecked || !is_named_https(from) {
            return Severity::High;
        }
        let is_served = self.service_above(key).is_some();
        let is_timed = || {
            self.tree
                .ancestors(key)
                .any(|above| matches!(base_name(&above.process.exe), "cron" | "crond" | "atd"))
        };
        match (is_served, is_timed() || is_anybodys(from)) {
            (true, _) => Severity::High,
            (false, true) => Severity::Medium,
            (false, false) => Severity::Low,
        }
    }

    /// A shell that reads its commands is looked at when it, or who started it, may hold a connection.
    fn look_at_reader(&mut self, key: ProcessKey, at_ms: u64, out: &mut Vec<Output>) {
        let is_relay = |process: &Process| {
            let language = commands::language(&process.exe);
            commands::is_net_pipe(&process.exe)
                || language.is_some_and(|one| one != commands::Language::Shell)
                || service::service(process).is_some()
                || !is_shared_tool(process) && language.is_none()
        };
        let is_wanted = self.recent.is_connected(key)
            || self
                .tree
                .ancestors(key)
                .take(3)
                .any(|above| self.recent.is_connected(above.process.key) || is_relay(&above.process));
        if is_wanted {
            self.look(key, Reason::Stdio, at_ms, out);
        }
    }
}

/// The arguments with the name of the program that really runs, when the first word claims to be something else.
fn spoken(process: &Process) -> Vec<String> {
    let class =
        |path: &str| (commands::language(path), commands::is_fetcher(path), commands::is_net_pipe(path));
    let mut argv = process.argv.clone();
    if let Some(first) = argv.first_mut()
        && !process.exe.is_empty()
        && !commands::is_multi_call(&process.exe)
        && class(first.trim_start_matches('-')) != class(&process.exe)
    {
        first.clone_from(&process.exe);
    }
    argv
}

/// What a child of a shell may be in a pipeline.
fn part_of(process: &Process, understood: &Understood) -> Option<Part> {
    let name = base_name(&process.exe);
    let args = process.argv.get(1..).unwrap_or_default();
    let is_decoding = || args.iter().any(|arg| arg.starts_with("-d") || arg == "-D" || arg == "--decode");
    let script = renamed::script(process);
    if commands::is_fetcher(&process.exe)
        || (commands::is_multi_call(&process.exe) || is_other_language(process))
            && !understood.fetches.is_empty()
    {
        let fetch = understood.fetches.iter().find(|fetch| fetch.to.is_none())?;
        return Some(Part::Fetch { url: fetch.url.clone(), is_unchecked: fetch.is_unchecked });
    }
    if understood.is_reading
        || script.is_some_and(|path| path.starts_with("/dev/fd/") || path.starts_with("/proc/self/fd/"))
    {
        return Some(Part::Reader);
    }
    if commands::is_net_pipe(&process.exe) || name == "openssl" && args.iter().any(|arg| arg == "s_client") {
        return Some(Part::Net);
    }
    if matches!(name, "base64" | "base32" | "openssl" | "basenc") && is_decoding()
        || name == "xxd" && args.iter().any(|arg| arg.starts_with("-r"))
    {
        return Some(Part::Decoder);
    }
    let is_whole_script = |arg: &String| arg.starts_with("#!") || arg.len() > 200 && arg.contains('\n');
    (commands::language(&process.exe).is_some() && args.iter().any(is_whole_script)).then_some(Part::Script)
}

fn is_reader(part: &Part) -> bool {
    match part {
        Part::Reader | Part::Script => true,
        Part::Fetch { .. } | Part::Decoder | Part::Net => false,
    }
}

/// The whole internet, or a network of more than a few thousand, is not one's own.
fn weigh_scanner(tool: &str, target: &str) -> Severity {
    let prefix = target.rsplit_once('/').and_then(|(_, prefix)| prefix.parse::<u8>().ok());
    match (prefix, tool) {
        (Some(0..=15), _) => Severity::High,
        (Some(_) | None, "nmap") => Severity::Low,
        (Some(_) | None, _) => Severity::Medium,
    }
}

fn is_named_https(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let host = rest.split(['/', '?', ':']).next().unwrap_or_default();
    host.contains('.') && host.parse::<std::net::Ipv4Addr>().is_err() && !host.starts_with('[')
}

/// Places where anybody may put a text without being known.
fn is_anybodys(url: &str) -> bool {
    const PLACES: [&str; 14] = [
        "pastebin.",
        "paste.ee",
        "transfer.sh",
        "ix.io",
        "termbin.",
        "0x0.st",
        "hastebin.",
        "file.io",
        "ghostbin.",
        "rentry.co",
        "controlc.",
        "dpaste.",
        "cdn.discordapp.",
        "bashupload.",
    ];
    PLACES.iter().any(|place| url.contains(place))
}

/// It is an interpreter of another language than the shell's.
fn is_other_language(process: &Process) -> bool {
    commands::language(&process.exe).is_some_and(|one| one != commands::Language::Shell)
}

/// A folder where anybody may write, or a hidden one in it; not what tools build in folders of their own there.
fn is_open_place(path: &str) -> bool {
    const OPEN: [&str; 3] = ["/tmp/", "/var/tmp/", "/dev/shm/"];
    let inner = OPEN.iter().find_map(|folder| path.strip_prefix(folder));
    inner.is_some_and(|inner| inner.starts_with('.') || !inner.contains('/'))
}

/// A path as the process sees it.
fn absolute(cwd: &str, path: &str) -> String {
    let path = path.trim_start_matches("./");
    if path.starts_with('/') || cwd.is_empty() {
        return path.to_owned();
    }
    format!("{}/{path}", cwd.trim_end_matches('/'))
}
