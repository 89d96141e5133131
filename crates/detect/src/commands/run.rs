//! Follows a command line as a shell would, without running anything: which text goes where.
//!
//! Each text carries marks of where it came from: fetched, decoded, read from a connection. What matters is a marked
//! text that reaches something that runs it. Loops are taken once, both sides of `&&` and `||` always. Bounded in
//! commands, depth and bytes; beyond that a text is unknown.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Fetch, Found,
    shell::{Command, Part, Redirect, RedirectKind, Script, Word, parse},
    tools::Language,
    value::{UNKNOWN, Value},
};

/// Most commands that are followed.
const COMMANDS_LIMIT: u32 = 2048;
/// Most bytes of texts that are made on the way.
const BYTES_LIMIT: usize = 1 << 20;
/// Deepest nesting of texts that run texts.
const TEXTS_LIMIT: u32 = 6;
/// Most findings, files and variables of one line.
const FOUND_LIMIT: usize = 64;
/// Most bytes of the understood form.
const FORM_LIMIT_BYTES: usize = 4096;

/// What was learned on the way.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) variables: BTreeMap<String, Value>,
    pub(super) files: BTreeMap<String, Value>,
    descriptors: BTreeMap<u32, Value>,
    pub(super) found: Vec<Found>,
    pub(super) fetches: Vec<Fetch>,
    pub(super) ends: Vec<String>,
    /// Base names of all programs.
    pub(super) programs: BTreeSet<String>,
    pub(super) form: String,
    commands: u32,
    bytes: usize,
    pub(super) depth: u32,
    processes: u32,
}

/// Where the output of a command goes, and where its input comes from.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) input: Option<Value>,
    pub(super) out_network: Option<String>,
    out_file: Option<String>,
}

/// What a command did.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) out: Value,
    /// A shell that reads commands that are not known.
    pub(super) is_reading_shell: bool,
    /// Its input goes to a connection.
    pub(super) network: Option<String>,
}

impl From<Value> for Done {
    fn from(out: Value) -> Self {
        Self { out, ..Self::default() }
    }
}

impl Run {
    /// Follows a text of a shell.
    pub(super) fn text(&mut self, text: &str, input: &Value) -> Value {
        if self.depth >= TEXTS_LIMIT {
            return Value::unknown();
        }
        self.depth += 1;
        let out = self.script(&parse(text), input);
        self.depth -= 1;
        out
    }

    fn script(&mut self, script: &Script, input: &Value) -> Value {
        let mut out = Value::default();
        for (index, pipeline) in script.0.iter().enumerate() {
            if index > 0 {
                self.put("; ");
            }
            out.push(&self.pipeline(pipeline, input));
        }
        out
    }

    fn pipeline(&mut self, pipeline: &[Command], input: &Value) -> Value {
        let mut flow: Option<Value> = None;
        let mut has_reading_shell = false;
        for (index, command) in pipeline.iter().enumerate() {
            if index > 0 {
                self.put(" | ");
            }
            let done = self.command(command, flow.as_ref().unwrap_or(input));
            if let Some(end) = done.network.filter(|_| has_reading_shell) {
                self.find(Found::Reverse { end: Some(end), how: "pipe" });
            }
            has_reading_shell |= done.is_reading_shell;
            flow = Some(done.out);
        }
        flow.unwrap_or_default()
    }

    fn command(&mut self, command: &Command, input: &Value) -> Done {
        if self.commands >= COMMANDS_LIMIT || self.bytes >= BYTES_LIMIT {
            return Value::unknown().into();
        }
        self.commands += 1;
        let (mut fields, mut sinks) = (Vec::new(), Vec::new());
        for word in &command.words {
            self.expand(word, &mut fields, &mut sinks);
        }
        for (name, word) in &command.assigns {
            let value = self.joined(word, &mut sinks);
            if self.variables.len() < FOUND_LIMIT {
                self.variables.insert(name.clone(), value);
            }
        }
        let is_exec = command.group.is_none() && fields.iter().all(|field| field.text == "exec");
        let streams = self.streams(&command.redirects, is_exec, &mut sinks);
        let mut done = match &command.group {
            Some(group) => {
                self.put("( ");
                let out = self.script(group, streams.input.as_ref().unwrap_or(input));
                self.put(" )");
                out.into()
            }
            None => self.program(&fields, &streams, input),
        };
        self.show(&command.redirects);
        self.bytes = self.bytes.saturating_add(done.out.text.len());
        for script in sinks {
            self.put(" >( ");
            let _nothing_reads_it = self.script(script, &done.out);
            self.put(" )");
        }
        if let Some(path) = streams.out_file {
            if done.out.fetched.is_some()
                && let Some(fetch) = self.fetches.last_mut().filter(|fetch| fetch.to.is_none())
            {
                fetch.to = Some(path.clone());
            }
            self.write(&path, std::mem::take(&mut done.out));
        }
        done
    }

    /// A word as the fields that it becomes.
    fn expand<'a>(&mut self, word: &'a Word, fields: &mut Vec<Value>, sinks: &mut Vec<&'a Script>) {
        let mut current: Option<Value> = None;
        for part in &word.0 {
            let (value, is_whole) = match part {
                Part::Text(text) => (Value::known(text.as_str()), true),
                Part::Unknown => (Value::unknown(), true),
                Part::Variable { name, is_quoted } => (self.variable(name), *is_quoted),
                Part::Output { script, is_quoted } => (self.output(script), *is_quoted),
                Part::Input(script) => {
                    let value = self.output(script);
                    (self.process_file(Some(value)), true)
                }
                Part::Sink(script) => {
                    sinks.push(script);
                    (self.process_file(None), true)
                }
            };
            self.bytes = self.bytes.saturating_add(value.text.len());
            if self.bytes >= BYTES_LIMIT {
                return;
            }
            if is_whole {
                current.get_or_insert_default().push(&value);
                continue;
            }
            split(&value, &mut current, fields);
        }
        fields.extend(current);
    }

    /// A word as one text.
    fn joined<'a>(&mut self, word: &'a Word, sinks: &mut Vec<&'a Script>) -> Value {
        let mut fields = Vec::new();
        self.expand(word, &mut fields, sinks);
        let mut out = Value::default();
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                out.push(&Value::known(" "));
            }
            out.push(field);
        }
        out
    }

    fn variable(&self, name: &str) -> Value {
        match name {
            "IFS" => Value::known(" \t\n"),
            name => self.variables.get(name).cloned().unwrap_or_else(Value::unknown),
        }
    }

    /// What `$( )` gives: the output without its last line ends.
    fn output(&mut self, script: &Script) -> Value {
        self.put("$( ");
        let out = self.script(script, &Value::default());
        self.put(" ) ");
        let text = out.text.trim_end_matches('\n').to_owned();
        let bytes = out.bytes.clone();
        Value { bytes, ..out.with_text(text) }
    }

    fn process_file(&mut self, value: Option<Value>) -> Value {
        self.processes = self.processes.saturating_add(1);
        let path = format!("/dev/fd/{}", 64_u32.saturating_sub(self.processes));
        if let Some(value) = value {
            self.write(&path, value);
        }
        Value::known(path)
    }

    fn streams<'a>(
        &mut self,
        redirects: &'a [Redirect],
        is_exec: bool,
        sinks: &mut Vec<&'a Script>,
    ) -> Streams {
        let mut streams = Streams::default();
        for redirect in redirects {
            let target = self.joined(&redirect.target, sinks);
            let network = network(&target.text);
            match redirect.kind {
                RedirectKind::Text => streams.input = Some(target),
                RedirectKind::In => {
                    self.redirect_in(redirect.fd.unwrap_or(0), network, &target, &mut streams)
                }
                RedirectKind::Out | RedirectKind::OutBoth => {
                    self.redirect_out(redirect.fd.unwrap_or(1), network, &target, &mut streams);
                }
                RedirectKind::InOut => {
                    let fd = redirect.fd.unwrap_or(0);
                    if let Some(end) = &network {
                        self.descriptors.insert(fd, Value::network(end.clone()));
                    }
                    self.redirect_in(fd, network, &target, &mut streams);
                }
                RedirectKind::CopyIn | RedirectKind::CopyOut => {
                    let to = if redirect.kind == RedirectKind::CopyIn { 0 } else { 1 };
                    let from = self.copied(&target.text, &streams);
                    let to = redirect.fd.unwrap_or(to);
                    match (to, from) {
                        (0, Some(value)) => streams.input = Some(value),
                        (1, Some(value)) => streams.out_network = value.network,
                        (_, Some(value)) => {
                            self.descriptors.insert(to, value);
                        }
                        (_, None) => {}
                    }
                }
            }
        }
        if is_exec {
            let out = streams.out_network.clone().map(Value::network);
            for (fd, value) in [(0, streams.input.clone()), (1, out)] {
                self.descriptors.extend(value.map(|value| (fd, value)));
            }
        }
        streams.out_network =
            streams.out_network.or_else(|| self.descriptors.get(&1).and_then(|value| value.network.clone()));
        streams
    }

    fn copied(&self, from: &str, streams: &Streams) -> Option<Value> {
        let fd = from.trim_end_matches('-').parse().ok()?;
        match fd {
            1 if streams.out_network.is_some() => streams.out_network.clone().map(Value::network),
            0 if streams.input.is_some() => streams.input.clone(),
            fd => self.descriptors.get(&fd).cloned(),
        }
    }

    fn redirect_in(&mut self, fd: u32, network: Option<String>, target: &Value, streams: &mut Streams) {
        let value = match network {
            Some(end) => Value::network(end),
            None => self.read(&target.text),
        };
        if fd == 0 {
            streams.input = Some(value);
        } else {
            self.descriptors.insert(fd, value);
        }
    }

    fn redirect_out(&mut self, fd: u32, network: Option<String>, target: &Value, streams: &mut Streams) {
        match (fd, network) {
            (1, Some(end)) => streams.out_network = Some(end),
            (fd, Some(end)) => {
                self.descriptors.insert(fd, Value::network(end));
            }
            (1, None) => streams.out_file = Some(target.text.clone()),
            (_, None) => {}
        }
    }

    /// The text of a file that the line wrote, else unknown.
    pub(super) fn read(&self, path: &str) -> Value {
        if path == "/dev/null" {
            return Value::default();
        }
        self.written(path).cloned().unwrap_or_else(Value::unknown)
    }

    /// What the line wrote to a file. A name without folder is the same file as one with: the line may change folders.
    pub(super) fn written(&self, path: &str) -> Option<&Value> {
        let path = path.trim_start_matches("./");
        self.files.get(path).or_else(|| {
            let name = path.rsplit('/').next()?;
            let is_same = |held: &str| {
                held.rsplit('/').next() == Some(name) && (!held.starts_with('/') || !path.starts_with('/'))
            };
            self.files.iter().find(|(held, _)| is_same(held)).map(|(_, value)| value)
        })
    }

    pub(super) fn write(&mut self, path: &str, value: Value) {
        let path = path.trim_start_matches("./");
        if path != "/dev/null" && !path.is_empty() && self.files.len() < FOUND_LIMIT {
            self.files.entry(path.to_owned()).or_default().push(&value);
        }
    }

    /// A text reaches something that runs it.
    pub(super) fn sink(&mut self, value: &Value, language: Language) -> Value {
        self.sink_reading(value, language, &Value::default())
    }

    /// Programs that a text starts write where its interpreter writes.
    pub(super) fn lend(&mut self, out_network: Option<String>) -> Option<Value> {
        let held = self.descriptors.remove(&1);
        self.descriptors.extend(out_network.map(|end| (1, Value::network(end))));
        held
    }

    /// Ends what [`Self::lend`] began.
    pub(super) fn give_back(&mut self, held: Option<Value>) {
        self.descriptors.remove(&1);
        self.descriptors.extend(held.map(|value| (1, value)));
    }

    /// The same, when what is run reads `input`.
    pub(super) fn sink_reading(&mut self, value: &Value, language: Language, input: &Value) -> Value {
        if let Some(from) = value.fetched.as_ref().or(value.network.as_ref()) {
            self.find(Found::DownloadRun { from: from.clone() });
        }
        if !value.decoded.is_empty() {
            let how = value.decoded.iter().copied().collect();
            let text = if value.is_known() { value.text.clone() } else { String::new() };
            self.find(Found::Decoded { how, text: super::cut(text.trim(), super::TEXT_LIMIT) });
        }
        if value.bytes.is_some() || value.text.trim_matches([UNKNOWN, ' ', '\n']).is_empty() {
            return Value::unknown();
        }
        match language {
            Language::Shell => {
                self.put("( ");
                let out = self.text(&value.text, input);
                self.put(" )");
                out
            }
            Language::Python
            | Language::Perl
            | Language::Ruby
            | Language::Php
            | Language::Node
            | Language::Lua
            | Language::Awk
            | Language::Pwsh => self.code(language, value),
        }
    }

    pub(super) fn find(&mut self, found: Found) {
        if self.found.len() < FOUND_LIMIT && !self.found.contains(&found) {
            self.found.push(found);
        }
    }

    pub(super) fn fetch(&mut self, fetch: Fetch) {
        if self.fetches.len() < FOUND_LIMIT {
            self.fetches.push(fetch);
        }
    }

    /// Puts text into the understood form.
    pub(super) fn put(&mut self, text: &str) {
        if self.form.len() < FORM_LIMIT_BYTES {
            self.form.push_str(text);
        }
    }

    pub(super) fn put_fields(&mut self, fields: &[Value]) {
        for (index, field) in fields.iter().enumerate() {
            if self.form.len() >= FORM_LIMIT_BYTES {
                return;
            }
            let text = super::cut(&field.text, FORM_LIMIT_BYTES).replace(UNKNOWN, "…");
            if index > 0 {
                self.form.push(' ');
            }
            self.form.push_str(&text);
        }
    }

    fn show(&mut self, redirects: &[Redirect]) {
        for redirect in redirects {
            let sign = match redirect.kind {
                RedirectKind::In => "<",
                RedirectKind::Out => ">",
                RedirectKind::OutBoth => ">&",
                RedirectKind::InOut => "<>",
                RedirectKind::CopyIn => "<&",
                RedirectKind::CopyOut => ">&",
                RedirectKind::Text => "<<<",
            };
            let fd = redirect.fd.map(|fd| fd.to_string()).unwrap_or_default();
            self.put(&format!(" {fd}{sign}"));
            let target = redirect.target.plain().unwrap_or("…").to_owned();
            self.put(&super::cut(&target, 256));
        }
    }
}

/// Splits an unquoted text at blanks, as the shell does after it is put in.
fn split(value: &Value, current: &mut Option<Value>, fields: &mut Vec<Value>) {
    const FIELDS_LIMIT: usize = 1024;
    if value.text.starts_with(|c: char| c.is_ascii_whitespace()) {
        fields.extend(current.take());
    }
    let mut is_first = true;
    for piece in value.text.split_ascii_whitespace().take(FIELDS_LIMIT) {
        if !is_first {
            fields.extend(current.take());
        }
        is_first = false;
        current.get_or_insert_default().push(&value.with_text(piece.to_owned()));
    }
    if value.text.ends_with(|c: char| c.is_ascii_whitespace()) {
        fields.extend(current.take());
    }
}

/// The other end in `/dev/tcp/HOST/PORT`.
fn network(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/dev/tcp/").or_else(|| path.strip_prefix("/dev/udp/"))?;
    let (host, port) = rest.split_once('/')?;
    Some(format!("{host}:{port}"))
}
