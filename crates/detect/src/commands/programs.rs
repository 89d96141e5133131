//! What the programs of a command line do with the texts that they are given.

use super::{
    Fetch, Found, decode,
    fetching::Fetching,
    filters::{echo, filter, printf},
    run::{Done, Run, Streams},
    tools::{self, Language, Wrapper},
    value::{UNKNOWN, Value},
};
use crate::tree::base_name;

impl Run {
    /// Follows one program.
    pub(super) fn program(&mut self, fields: &[Value], streams: &Streams, input: &Value) -> Done {
        let input = streams.input.as_ref().unwrap_or(input);
        let Some(first) = fields.first() else { return Done::default() };
        if self.depth > 24 {
            return Value::unknown().into();
        }
        if first.text.contains(UNKNOWN) {
            self.put_fields(fields);
            self.unknown_program(first, streams);
            return Value::unknown().into();
        }
        let path = tools::by_pattern(&first.text).unwrap_or(&first.text).to_owned();
        let name = base_name(&path).to_owned();
        if self.programs.len() < 64 {
            self.programs.insert(name.clone());
        }
        let args = fields.get(1..).unwrap_or_default();
        if let Some(wrapper) = tools::wrapper(&path) {
            return self.wrapped(&wrapper, fields, streams, input);
        }
        if let Some(language) = tools::language(&path) {
            return self.interpreter(language, &name, args, streams, input);
        }
        let is_shell_text = matches!(name.as_str(), "eval" | "." | "source" | "watch");
        if !is_shell_text {
            self.put_fields(std::slice::from_ref(&Value::known(path.as_str())));
            self.put(if args.is_empty() { "" } else { " " });
            self.put_fields(args);
        }
        if tools::is_fetcher(&path) {
            return self.fetches(&name, args).into();
        }
        if tools::is_net_pipe(&path) || name == "openssl" && has(args, "s_client") {
            return self.net_pipe(tools::plain_name(&name), args);
        }
        if let Some(written) = self.written(&path).cloned().filter(|written| written.fetched.is_some()) {
            self.sink(&Value { text: String::new(), ..written }, Language::Shell);
        }
        self.plain(&name, args, input).into()
    }

    /// The name of the program itself comes from elsewhere.
    fn unknown_program(&mut self, first: &Value, streams: &Streams) {
        let end = first.network.clone();
        if end.is_some() && streams.out_network.is_some() {
            self.find(Found::Reverse { end, how: "read" });
        } else if let Some(from) = first.fetched.clone().or(end) {
            self.find(Found::DownloadRun { from });
        }
    }

    fn wrapped(&mut self, wrapper: &Wrapper, fields: &[Value], streams: &Streams, input: &Value) -> Done {
        let name = fields.first().map(|first| base_name(&first.text).to_owned()).unwrap_or_default();
        self.put(&name);
        self.put(" ");
        let args = fields.get(1..).unwrap_or_default();
        let text_after = |option: &str| {
            let mut rest = args.iter().skip_while(|arg| arg.text != option);
            rest.next();
            rest.next().cloned()
        };
        let (takes, mut before) = match wrapper {
            Wrapper::Plain(takes, before) => (*takes, *before),
            Wrapper::Text => {
                let text = text_after("-c").or_else(|| text_after("--command"));
                return text.map_or_else(Done::default, |text| self.sink(&text, Language::Shell).into());
            }
        };
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            let is_assign = arg.text.contains('=') && !arg.text.starts_with('/');
            if arg.text.starts_with('-') && arg.text.len() > 1 {
                let skipped = usize::from(takes.contains(&arg.text.as_str()));
                if name == "flock" && arg.text == "-c" {
                    return after
                        .first()
                        .map_or_else(Done::default, |text| self.sink(text, Language::Shell).into());
                }
                rest = after.get(skipped..).unwrap_or_default();
            } else if is_assign && matches!(name.as_str(), "env" | "sudo") {
                rest = after;
            } else if before > 0 {
                before -= 1;
                rest = after;
            } else {
                break;
            }
        }
        if rest.is_empty() {
            return input.clone().into();
        }
        self.depth += 1;
        let done = if name == "xargs" {
            let mut fields: Vec<Value> =
                rest.iter().map(|arg| if arg.text == "{}" { input.clone() } else { arg.clone() }).collect();
            if !rest.iter().any(|arg| arg.text == "{}") {
                fields.push(input.clone());
            }
            self.program(&fields, streams, &Value::default())
        } else {
            self.program(rest, streams, input)
        };
        self.depth -= 1;
        done
    }

    fn interpreter(
        &mut self,
        language: Language,
        name: &str,
        args: &[Value],
        streams: &Streams,
        input: &Value,
    ) -> Done {
        match reads(language, args) {
            Reads::Text(text) => {
                self.put(&format!("{name} -c "));
                let held = self.lend(streams.out_network.clone());
                let out = self.sink_reading(&text, language, input);
                self.give_back(held);
                out.into()
            }
            Reads::File(file) => {
                self.put(name);
                self.put(" ");
                self.put_fields(args);
                let written = self.written(&file.text).cloned().unwrap_or_default();
                let mut value = written;
                value.mark(&file);
                let out = self.sink(&value, language);
                out.into()
            }
            Reads::Input { is_interactive } => {
                self.put(name);
                self.put(if args.is_empty() { "" } else { " " });
                self.put_fields(args);
                self.reader(language, is_interactive, streams, input)
            }
            Reads::Nothing => {
                self.put(name);
                Value::unknown().into()
            }
        }
    }

    /// An interpreter that runs what it reads.
    fn reader(&mut self, language: Language, is_interactive: bool, streams: &Streams, input: &Value) -> Done {
        let is_told = input.is_known() && !input.text.trim().is_empty();
        if language == Language::Shell && !is_told {
            let end = streams.out_network.clone();
            if end.is_some() || is_interactive && input.network.is_some() {
                let end = end.or_else(|| input.network.clone());
                self.find(Found::Reverse { end, how: "redirect" });
                return Value::unknown().into();
            }
        }
        let out = self.sink(input, language);
        Done { out, is_reading_shell: language == Language::Shell && !is_told, network: None }
    }

    fn fetches(&mut self, name: &str, args: &[Value]) -> Value {
        let parsed = Fetching::parse(name, args);
        let Some(url) = parsed.url else { return Value::unknown() };
        self.fetch(Fetch { url: url.clone(), to: parsed.to.clone(), is_unchecked: parsed.is_unchecked });
        let value = Value::fetched(url);
        match parsed.to {
            Some(path) => {
                self.write(&path, value);
                Value::default()
            }
            None => value,
        }
    }

    fn net_pipe(&mut self, name: &str, args: &[Value]) -> Done {
        let texts: Vec<&str> = args.iter().map(|arg| arg.text.as_str()).collect();
        let is_listening = texts.iter().any(|arg| {
            *arg == "--listen" || arg.starts_with('-') && !arg.starts_with("--") && arg.contains('l')
        });
        let plain: Vec<&str> = texts.iter().copied().filter(|arg| !arg.starts_with('-')).collect();
        let end = match (name, plain.as_slice()) {
            ("socat", _) => texts.iter().find_map(|arg| socat_end(arg)),
            ("openssl", _) => {
                let mut after = texts.iter().skip_while(|arg| **arg != "-connect");
                after.next();
                after.next().map(|end| (*end).to_owned())
            }
            (_, plain) => {
                let port = || plain.iter().find(|word| is_number(word)).map(|port| format!(":{port}"));
                plain.iter().zip(plain.iter().skip(1)).find_map(host_and_port).or_else(port)
            }
        };
        let program = if name == "socat" { socat_program(&texts) } else { nc_program(&texts) };
        if let Some(program) = program
            && end.is_some()
            && mentions_shell(program)
        {
            let how = if is_listening { "listen" } else { "exec" };
            self.find(Found::Reverse { end: end.clone(), how });
        }
        if self.ends.len() < 16 {
            self.ends.extend(end.clone());
        }
        let network = end.unwrap_or_else(|| name.to_owned());
        Done { out: Value::network(network.clone()), is_reading_shell: false, network: Some(network) }
    }

    /// Programs that only pass on, make or unmake texts, and what a line does to files.
    fn plain(&mut self, name: &str, args: &[Value], input: &Value) -> Value {
        match name {
            "echo" => echo(args),
            "printf" => printf(args),
            "eval" => {
                let mut text = Value::default();
                for arg in args {
                    text.push(arg);
                    text.push(&Value::known(" "));
                }
                self.put("eval ");
                self.sink(&text, Language::Shell)
            }
            "watch" | "at" | "batch" => {
                let text = if name == "watch" { args.last() } else { Some(input) };
                text.map_or_else(Value::default, |text| self.sink(&text.clone(), Language::Shell))
            }
            "." | "source" => {
                self.put("source ");
                self.put_fields(args);
                let file = args.first().map(|file| self.read(&file.text)).unwrap_or_default();
                self.sink(&file, Language::Shell)
            }
            "read" => {
                for arg in args.iter().filter(|arg| !arg.text.starts_with('-')).take(4) {
                    self.variables.insert(arg.text.clone(), input.clone());
                }
                Value::default()
            }
            "for" | "select" => {
                if let (Some(variable), Some(value)) = (args.first(), args.get(2)) {
                    self.variables.insert(variable.text.clone(), value.clone());
                }
                Value::default()
            }
            "export" | "declare" | "local" | "readonly" => {
                for (variable, text) in
                    args.iter().filter_map(|arg| Some((arg, arg.text.split_once('=')?))).take(16)
                {
                    self.variables.insert(text.0.to_owned(), variable.with_text(text.1.to_owned()));
                }
                Value::default()
            }
            "crontab" if has(args, "-") || args.is_empty() => {
                self.crontab(input);
                Value::default()
            }
            "docker" | "podman" | "nerdctl" | "kubectl" | "crictl" | "lxc-attach" | "systemd-run" => {
                self.inside(args, input)
            }
            name => {
                self.noted(name, args, input);
                filter(self, name, args, input)
            }
        }
    }

    /// What a line does to files, and tools that ask many machines.
    fn noted(&mut self, name: &str, args: &[Value], input: &Value) {
        match name {
            "cp" | "mv" | "ln" | "install" => self.copies(name, args),
            "tee" => {
                for arg in args.iter().filter(|arg| !arg.text.starts_with('-')).take(8) {
                    self.write(&arg.text, input.clone());
                }
            }
            name if tools::is_scanner(name) => {
                self.find(Found::Scanner { tool: name.to_owned(), target: target(args) });
            }
            "apt" | "apt-get" | "yum" | "dnf" | "apk" | "zypper" | "pacman" => {
                let scanner = args.iter().find(|arg| tools::is_scanner(&arg.text) && arg.text != "nmap");
                let is_install = ["install", "add", "-S", "in"].iter().any(|verb| has(args, verb));
                if let Some(scanner) = scanner.filter(|_| is_install) {
                    self.find(Found::ScannerInstalled { tool: scanner.text.clone() });
                }
            }
            _other => {}
        }
    }

    fn copies(&mut self, name: &str, args: &[Value]) {
        let files: Vec<&Value> = args.iter().filter(|arg| !arg.text.starts_with('-')).collect();
        let [from, .., to] = files.as_slice() else { return };
        let held = self.written(&from.text).cloned();
        if let Some(value) = held {
            self.write(&to.text, value);
        }
        let (old, new) = (base_name(&from.text), base_name(&to.text));
        let is_system = from.text.starts_with("/usr/")
            || from.text.starts_with("/bin/")
            || from.text.starts_with("/sbin/")
            || from.text.contains(UNKNOWN);
        let is_name = !new.is_empty() && !to.text.ends_with('/') && !to.text.contains(UNKNOWN);
        if tools::is_coveted(old) && is_system && is_name && new != old && files.len() == 2 {
            self.find(Found::Renamed { tool: old.to_owned(), to: to.text.clone(), by: name.to_owned() });
        }
    }

    /// The lines of a new crontab run too, only later.
    fn crontab(&mut self, lines: &Value) {
        for line in lines.text.lines().take(64) {
            let line = line.trim();
            let fields = if line.starts_with('@') { 1 } else { 5 };
            let mut rest = line;
            for _ in 0..fields {
                rest = rest.split_once([' ', '\t']).map_or("", |(_, after)| after.trim_start());
            }
            if !rest.is_empty() && !line.starts_with('#') {
                self.put("( ");
                let _later = self.text(rest, &Value::default());
                self.put(" )");
            }
        }
    }

    /// A shell that is started inside a container.
    fn inside(&mut self, args: &[Value], input: &Value) -> Value {
        let is_shell = |arg: &Value| tools::language(&arg.text) == Some(Language::Shell);
        let mut rest = args.iter().skip_while(|arg| !is_shell(arg)).cloned();
        let inner: Vec<Value> = rest.by_ref().collect();
        if inner.len() < 2 {
            return Value::unknown();
        }
        self.put(" => ");
        self.depth += 1;
        let out = self.program(&inner, &Streams::default(), input).out;
        self.depth -= 1;
        out
    }
}

enum Reads {
    Text(Value),
    File(Value),
    Input {
        is_interactive: bool,
    },
    /// Its code is in a module, or it only tells its version.
    Nothing,
}

fn reads(language: Language, args: &[Value]) -> Reads {
    let mut is_interactive = false;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let text = arg.text.as_str();
        let is_short = text.starts_with('-') && !text.starts_with("--") && text.len() > 1;
        let code = match language {
            Language::Shell => is_short && text.contains('c'),
            Language::Python => text == "-c" || is_short && text.ends_with('c'),
            Language::Php => text == "-r",
            Language::Node => matches!(text, "-e" | "-p" | "--eval" | "--print"),
            Language::Perl | Language::Ruby | Language::Lua => is_short && text.contains(['e', 'E']),
            Language::Awk => !text.starts_with('-'),
            Language::Pwsh => matches!(text.to_ascii_lowercase().as_str(), "-c" | "-command"),
        };
        if code {
            let value =
                if language == Language::Awk { Some(arg) } else { rest.by_ref().find(|arg| !is_option(arg)) };
            return value.map_or(Reads::Nothing, |value| Reads::Text(value.clone()));
        }
        if language == Language::Pwsh && text.to_ascii_lowercase().starts_with("-e") {
            let coded = rest.next().map(|value| value.decode("utf-16 base64", utf16_base64));
            return coded.map_or(Reads::Nothing, Reads::Text);
        }
        match text {
            "-" | "--" | "-s" => break,
            "-m" | "-V" | "--version" | "-h" | "--help" | "-v" if language != Language::Shell => {
                return Reads::Nothing;
            }
            "-o" | "+o" | "-O" | "--rcfile" | "--init-file" => {
                rest.next();
            }
            _ if is_short => is_interactive |= text.contains('i'),
            _ if text.starts_with("--") => {}
            _ => return Reads::File(arg.clone()),
        }
    }
    Reads::Input { is_interactive }
}

fn is_option(arg: &Value) -> bool {
    arg.text.starts_with('-') && arg.text.len() > 1 && !arg.text.contains([' ', '\n'])
}

fn utf16_base64(bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes = decode::base64(std::str::from_utf8(bytes).ok()?)?;
    let (units, _odd) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit)));
    let text: String = text.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Some(text.into_bytes())
}

pub(super) fn has(args: &[Value], wanted: &str) -> bool {
    args.iter().any(|arg| arg.text == wanted)
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn host_and_port((host, port): (&&str, &&str)) -> Option<String> {
    (is_number(port) && !host.contains('/')).then(|| format!("{host}:{port}"))
}

/// The program after `-e`, `-c`, `--exec`.
fn nc_program<'a>(args: &[&'a str]) -> Option<&'a str> {
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let is_exec = matches!(*arg, "--exec" | "--sh-exec" | "--lua-exec")
            || arg.starts_with('-') && !arg.starts_with("--") && arg.ends_with(['e', 'c']);
        if is_exec {
            return rest.next().copied();
        }
        if let Some(program) = arg.strip_prefix("--exec=").or_else(|| arg.strip_prefix("--sh-exec=")) {
            return Some(program);
        }
    }
    None
}

fn socat_program<'a>(args: &[&'a str]) -> Option<&'a str> {
    args.iter().find_map(|arg| {
        let (kind, rest) = arg.split_once(':')?;
        matches!(kind.to_ascii_lowercase().as_str(), "exec" | "system" | "shell").then_some(rest)
    })
}

fn socat_end(arg: &str) -> Option<String> {
    let (kind, rest) = arg.split_once(':')?;
    let kind = kind.to_ascii_lowercase();
    let is_network =
        ["tcp", "openssl", "ssl", "udp", "sctp", "socks", "proxy"].iter().any(|net| kind.starts_with(net));
    let end = rest.split(',').next().unwrap_or(rest);
    is_network.then(|| {
        if kind.contains("listen") || kind.ends_with("-l") { format!(":{end}") } else { end.to_owned() }
    })
}

fn mentions_shell(program: &str) -> bool {
    let words = program.split([' ', ',', ';', '\'', '"', '=']);
    words.take(32).any(|word| matches!(tools::language(word), Some(Language::Shell | Language::Python)))
}

fn target(args: &[Value]) -> String {
    let is_target = |arg: &&Value| arg.text.contains(['.', '/', ':']) && !arg.text.starts_with('-');
    args.iter().find(is_target).map(|arg| super::cut(&arg.text, 64)).unwrap_or_default()
}
