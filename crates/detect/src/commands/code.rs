//! Texts of other languages than the shell's: not followed, only searched for what stands together in them.
//!
//! A socket and a shell on its descriptors; something fetched or decoded and then run; and texts that the code gives
//! to a shell, which are read as such.

use super::{
    Fetch, Found, decode,
    run::Run,
    tools::Language,
    value::{UNKNOWN, Value},
};

/// Most strings of one code that are looked into.
const STRINGS_LIMIT: usize = 32;
/// A shorter string is no encoded command.
const CODED_LEAST: usize = 16;

/// How a language opens a connection, and what makes a shell of it.
const SOCKETS: [(Language, &[&str], &[&str]); 7] = [
    (
        Language::Python,
        &["socket."],
        &["dup2", "pty.spawn", "subprocess", "os.system", "popen", "/bin/sh", "/bin/bash"],
    ),
    (Language::Perl, &["Socket"], &["exec", "system", "fdopen", "STDIN", "`"]),
    (Language::Ruby, &["TCPSocket", "Socket.tcp"], &["exec", "popen", "spawn", "system", "`"]),
    (
        Language::Php,
        &["fsockopen", "socket_connect", "stream_socket_client"],
        &["exec", "system", "passthru", "popen", "proc_open", "`"],
    ),
    (
        Language::Node,
        &["net.Socket", "net.connect", "createConnection", "net\")", "net')"],
        &["child_process"],
    ),
    (Language::Lua, &["socket"], &["os.execute", "io.popen"]),
    (Language::Awk, &["/inet/tcp", "/inet/udp", "/inet4/tcp"], &["|&"]),
];
/// Needed too: a client's or server's end, so that code which only names the module is not meant.
const ENDS: [&str; 12] = [
    "connect",
    "accept",
    "sockaddr_in",
    "PeerAddr",
    "TCPSocket",
    "fsockopen",
    "stream_socket_client",
    "Socket(",
    "createConnection",
    "bind(",
    "/inet",
    "Socket.tcp",
];
/// In Python, what ties a shell to a socket; without it both only stand in one text, as in a test of a server.
const TIES: [&str; 5] = ["dup2", "pty.spawn", "fileno", "recv", "makefile"];
const FETCHES: [&str; 14] = [
    "urlopen",
    "requests.get",
    "urlretrieve",
    "LWP::Simple",
    "LWP::UserAgent",
    "HTTP::Tiny",
    "open-uri",
    "Net::HTTP",
    "file_get_contents('http",
    "file_get_contents(\"http",
    "http.get(",
    "https.get(",
    "fetch('http",
    "fetch(\"http",
];
const DECODERS: [(&str, &str); 10] = [
    ("b64decode", "base64"),
    ("decode_base64", "base64"),
    ("base64_decode", "base64"),
    ("'base64'", "base64"),
    ("\"base64\"", "base64"),
    ("atob(", "base64"),
    ("unpack(\"m", "base64"),
    ("unhexlify", "hex"),
    ("fromhex", "hex"),
    ("FromBase64String", "base64"),
];
const RUNS: [&str; 12] = [
    "exec(",
    "exec ",
    "eval(",
    "eval ",
    "os.system",
    "subprocess",
    "popen",
    "system(",
    "passthru",
    "compile(",
    "IEX",
    "Invoke-Expression",
];
/// Functions whose text is a shell's.
const SHELL_CALLS: [&str; 12] = [
    "os.system",
    "subprocess",
    "popen",
    "system",
    "exec",
    "passthru",
    "execSync",
    "spawn",
    "os.execute",
    "getoutput",
    "proc_open",
    "`",
];

impl Run {
    /// Searches the code of another language.
    pub(super) fn code(&mut self, language: Language, code: &Value) -> Value {
        let text = code.text.as_str();
        self.put(&super::cut(text, 256).replace(UNKNOWN, "…"));
        let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
        let socket = SOCKETS.iter().find(|(of, opens, runs)| *of == language && has(opens) && has(runs));
        let is_tied = language != Language::Python || has(&TIES);
        if socket.is_some() && has(&ENDS) && is_tied {
            self.find(Found::Reverse { end: end(text), how: name(language) });
        }
        let strings = strings(text);
        let is_run = has(&RUNS);
        if has(&FETCHES) {
            let url = strings.iter().find(|string| string.contains("://"));
            let url = url.map(|url| super::cut(url, 256)).unwrap_or_default();
            self.fetch(Fetch { url: url.clone(), to: None, is_unchecked: false });
            if is_run {
                self.find(Found::DownloadRun { from: url });
            }
        }
        let coded = DECODERS.iter().find(|(sign, _)| text.contains(sign)).filter(|_| is_run);
        if let Some((_, how)) = coded {
            self.coded(language, how, &strings);
        }
        if has(&SHELL_CALLS) && self.depth < 4 {
            for string in strings.iter().filter(|string| string.contains([' ', '|', '/'])) {
                self.put(" => ( ");
                let _output = self.text(string, &Value::default());
                self.put(" )");
            }
        }
        Value::unknown()
    }

    fn coded(&mut self, language: Language, how: &'static str, strings: &[String]) {
        let is_coded = |string: &&String| string.len() >= CODED_LEAST && !string.contains(' ');
        let decoded = strings.iter().filter(is_coded).find_map(|string| {
            let bytes = if how == "hex" { decode::hex(string) } else { decode::base64(string) };
            let bytes = bytes.map(|bytes| decode::gzip(&bytes).unwrap_or(bytes))?;
            String::from_utf8(bytes).ok()
        });
        let text = decoded.clone().unwrap_or_default();
        self.find(Found::Decoded { how: vec![how], text: super::cut(text.trim(), super::TEXT_LIMIT) });
        if let Some(text) = decoded
            && self.depth < 4
        {
            self.depth += 1;
            let value = Value::known(text);
            self.put(" => ( ");
            let _as_code = self.code(language, &value);
            let _as_commands = self.text(&value.text, &Value::default());
            self.put(" )");
            self.depth -= 1;
        }
    }
}

/// The texts between quotes.
fn strings(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code.chars();
    while let Some(c) = rest.next() {
        if !matches!(c, '\'' | '"' | '`') {
            continue;
        }
        let mut string = String::new();
        while let Some(inner) = rest.next() {
            match inner {
                '\\' => match rest.next() {
                    Some('n') => string.push('\n'),
                    Some(escaped) => string.push(escaped),
                    None => break,
                },
                inner if inner == c => break,
                inner => string.push(inner),
            }
        }
        if string.len() > 2 && found.len() < STRINGS_LIMIT {
            found.push(string);
        }
    }
    found
}

/// The first address with a port in a code: `"203.0.113.9",4444`, `/inet/tcp/0/203.0.113.9/4444`.
fn end(code: &str) -> Option<String> {
    let mut words = code.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':')));
    let host = words.by_ref().find(|word| {
        let is_address = word.parse::<std::net::IpAddr>().is_ok();
        let is_name = word.split('.').count() >= 3 && word.split('.').all(|part| !part.is_empty());
        is_address
            || is_name
            || *word == "localhost"
            || word.rsplit_once(':').is_some_and(|(_, port)| is_port(port))
    })?;
    if host.parse::<std::net::IpAddr>().is_err() && host.contains(':') {
        return Some(host.to_owned());
    }
    let port = words.filter(|word| !word.is_empty()).take(4).find(|word| is_port(word));
    Some(port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn is_port(word: &str) -> bool {
    word.parse::<u16>().is_ok_and(|port| port > 0)
}

fn name(language: Language) -> &'static str {
    match language {
        Language::Shell => "shell",
        Language::Python => "python",
        Language::Perl => "perl",
        Language::Ruby => "ruby",
        Language::Php => "php",
        Language::Node => "node",
        Language::Lua => "lua",
        Language::Awk => "awk",
        Language::Pwsh => "pwsh",
    }
}
