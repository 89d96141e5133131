//! A command line of a POSIX shell, taken apart: pipelines of simple commands with words and redirections.
//!
//! Reads what bash and dash read, and is more patient: whatever the text, there is a tree, because an attacker's line
//! need not be right to be run in part. Each byte is read once, so hostile text costs what its length costs. Does not
//! know what a command means; that is `run`.

use std::{iter::Peekable, str::Chars};

/// Deepest nesting of `$( )`, `( )` and backticks; deeper text is left as unknown.
const DEPTH_LIMIT: u32 = 8;
/// Most simple commands of one text.
const COMMANDS_LIMIT: u32 = 1024;
/// Most words and redirections of one simple command.
const WORDS_LIMIT: usize = 512;
/// Words of the grammar that come before a command and say only when it runs.
const RESERVED: [&str; 15] = [
    "if", "then", "else", "elif", "fi", "while", "until", "do", "done", "{", "}", "!", "time", "esac",
    "function",
];

/// A text as the shell runs it: pipelines one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Script(pub(super) Vec<Vec<Command>>);

/// A simple command, or a group with its redirections.
#[derive(Clone, Debug, Default)]
pub(super) struct Command {
    pub(super) assigns: Vec<(String, Word)>,
    pub(super) words: Vec<Word>,
    pub(super) redirects: Vec<Redirect>,
    pub(super) group: Option<Script>,
}

/// A word before it is expanded.
#[derive(Clone, Debug, Default)]
pub(super) struct Word(pub(super) Vec<Part>);

/// A piece of a word.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Text(String),
    /// A variable; unquoted ones are split at blanks.
    Variable {
        name: String,
        is_quoted: bool,
    },
    /// `$( )` and backticks.
    Output {
        script: Script,
        is_quoted: bool,
    },
    /// `<( )`: a file that holds the output.
    Input(Script),
    /// `>( )`: a file whose text the script reads.
    Sink(Script),
    /// Something that only a running shell knows.
    Unknown,
}

/// Where a descriptor leads.
#[derive(Clone, Debug)]
pub(super) struct Redirect {
    pub(super) fd: Option<u32>,
    pub(super) kind: RedirectKind,
    pub(super) target: Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RedirectKind {
    /// `< file`
    In,
    /// `> file`, `>> file`
    Out,
    /// `&> file`, `>& file`: output and errors
    OutBoth,
    /// `<> file`
    InOut,
    /// `<& 3`
    CopyIn,
    /// `>& 3`
    CopyOut,
    /// `<<< text`, and the body of `<<`
    Text,
}

/// Takes a text apart.
pub(super) fn parse(text: &str) -> Script {
    let mut parser =
        Parser { rest: text.chars().peekable(), left: COMMANDS_LIMIT, depth: 0, delimiters: Vec::new() };
    parser.script(Until::End)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    End,
    Parenthesis,
}

enum After {
    Pipe,
    Next,
    Close,
    End,
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    left: u32,
    depth: u32,
    /// Ends of the texts that follow this line.
    delimiters: Vec<String>,
}

impl Parser<'_> {
    fn script(&mut self, until: Until) -> Script {
        let mut script = Script::default();
        let mut pipeline = Vec::new();
        loop {
            let command = self.command();
            let is_something =
                !command.words.is_empty() || !command.assigns.is_empty() || command.group.is_some();
            if (is_something || !command.redirects.is_empty()) && self.left > 0 {
                self.left -= 1;
                pipeline.push(command);
            }
            let after = self.after();
            if matches!(after, After::Pipe) {
                // A line may end behind the bar; texts that follow a line would come first, and end the pipeline.
                while self.delimiters.is_empty() && self.rest.next_if(|c| c.is_ascii_whitespace()).is_some() {
                }
                continue;
            }
            if !pipeline.is_empty() {
                script.0.push(std::mem::take(&mut pipeline));
            }
            match after {
                After::Pipe | After::Next => self.bodies(&mut script),
                After::Close if until == Until::Parenthesis => return script,
                After::Close => {}
                After::End => return script,
            }
        }
    }

    /// What ends a command.
    fn after(&mut self) -> After {
        match self.rest.next() {
            None => After::End,
            Some('|') => match self.rest.peek() {
                Some('|') => {
                    self.rest.next();
                    After::Next
                }
                Some('&') => {
                    self.rest.next();
                    After::Pipe
                }
                Some(_) | None => After::Pipe,
            },
            Some(')') => After::Close,
            Some(_) => After::Next,
        }
    }

    fn command(&mut self) -> Command {
        let mut command = Command::default();
        loop {
            self.blanks();
            match self.rest.peek().copied() {
                None | Some(';' | '|' | '\n' | ')') => return command,
                Some('&') => {
                    let mut ahead = self.rest.clone();
                    ahead.next();
                    if ahead.peek() != Some(&'>') {
                        return command;
                    }
                    self.rest.next();
                    self.redirect(&mut command, None, true);
                }
                Some('#') => while self.rest.next_if(|c| *c != '\n').is_some() {},
                Some('(') => self.group(&mut command),
                Some('<' | '>') if !self.is_process() => self.redirect(&mut command, None, false),
                Some(_) => self.put_word(&mut command),
            }
        }
    }

    fn group(&mut self, command: &mut Command) {
        self.rest.next();
        // `name ( )` begins a function: what follows runs when it is called, which we take for now.
        command.words.clear();
        match self.inner() {
            Some(script) if !script.0.is_empty() => command.group = Some(script),
            Some(_) | None => {}
        }
    }

    /// The script up to the closing parenthesis; `None` when it is nested too deep, and then it is skipped.
    fn inner(&mut self) -> Option<Script> {
        if self.depth >= DEPTH_LIMIT {
            self.skip('(', ')');
            return None;
        }
        self.depth += 1;
        let script = self.script(Until::Parenthesis);
        self.depth -= 1;
        Some(script)
    }

    fn skip(&mut self, open: char, close: char) -> String {
        let (mut raw, mut level) = (String::new(), 1_u32);
        for c in self.rest.by_ref() {
            if c == open {
                level = level.saturating_add(1);
            } else if c == close {
                level -= 1;
                if level == 0 {
                    break;
                }
            }
            raw.push(c);
        }
        raw
    }

    fn put_word(&mut self, command: &mut Command) {
        let words = self.words();
        let is_first = command.words.is_empty() && command.group.is_none();
        for word in words {
            let plain = word.plain();
            let before_redirect = matches!(self.rest.peek(), Some('<' | '>')) && !self.is_process();
            let fd = plain.and_then(|text| text.parse().ok()).filter(|_| before_redirect);
            if fd.is_some() {
                self.redirect(command, fd, false);
            } else if is_first && plain.is_some_and(|text| RESERVED.contains(&text)) {
            } else if let Some((name, value)) = word.as_assign().filter(|_| command.words.is_empty()) {
                command.assigns.push((name, value));
            } else if command.words.len() < WORDS_LIMIT {
                command.words.push(word);
            }
        }
    }

    fn blanks(&mut self) {
        loop {
            if self.rest.next_if(|c| matches!(c, ' ' | '\t' | '\r')).is_some() {
                continue;
            }
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('\\') && ahead.next() == Some('\n') {
                self.rest = ahead;
                continue;
            }
            return;
        }
    }

    /// `<(` or `>(`.
    fn is_process(&self) -> bool {
        let mut ahead = self.rest.clone();
        matches!(ahead.next(), Some('<' | '>')) && ahead.next() == Some('(')
    }

    fn redirect(&mut self, command: &mut Command, fd: Option<u32>, is_both: bool) {
        let first = self.rest.next();
        let mut eat = |wanted: char| self.rest.next_if_eq(&wanted).is_some();
        let kind = if first == Some('>') {
            let is_copy = !eat('>') && !eat('|') && eat('&');
            match (is_both, is_copy) {
                (true, _) => RedirectKind::OutBoth,
                (false, true) => RedirectKind::CopyOut,
                (false, false) => RedirectKind::Out,
            }
        } else if eat('<') {
            if eat('<') {
                RedirectKind::Text
            } else {
                eat('-');
                return self.here(command);
            }
        } else if eat('>') {
            RedirectKind::InOut
        } else if eat('&') {
            RedirectKind::CopyIn
        } else {
            RedirectKind::In
        };
        self.blanks();
        let target = self.words().into_iter().next().unwrap_or_default();
        let is_number =
            target.plain().is_some_and(|text| text.bytes().all(|b| b.is_ascii_digit() || b == b'-'));
        let is_file = kind == RedirectKind::CopyOut && !is_number && !target.0.is_empty();
        let kind = if is_file { RedirectKind::OutBoth } else { kind };
        if command.redirects.len() < WORDS_LIMIT {
            command.redirects.push(Redirect { fd, kind, target });
        }
    }

    /// `<< END`: the text comes after this line.
    fn here(&mut self, command: &mut Command) {
        self.blanks();
        let end = self.words().into_iter().next().unwrap_or_default();
        if self.delimiters.len() < 8 && command.redirects.len() < WORDS_LIMIT {
            self.delimiters.push(end.plain().unwrap_or_default().to_owned());
            command.redirects.push(Redirect { fd: None, kind: RedirectKind::Text, target: Word::default() });
        }
    }

    /// Reads the texts that follow a line, and gives them to the redirections of its pipelines that wait for them.
    fn bodies(&mut self, script: &mut Script) {
        for end in std::mem::take(&mut self.delimiters) {
            let (mut body, mut line) = (String::new(), String::new());
            for c in self.rest.by_ref() {
                if c != '\n' {
                    line.push(c);
                    continue;
                }
                if line.trim_start_matches('\t') == end {
                    line.clear();
                    break;
                }
                body.push_str(&line);
                body.push('\n');
                line.clear();
            }
            if line.trim_start_matches('\t') != end {
                body.push_str(&line);
            }
            let waiting =
                script.0.iter_mut().rev().take(8).flatten().flat_map(|command| &mut command.redirects);
            let is_waiting = |one: &&mut Redirect| one.kind == RedirectKind::Text && one.target.0.is_empty();
            if let Some(redirect) = waiting.into_iter().find(is_waiting) {
                redirect.target = Word(vec![Part::Text(body)]);
            }
        }
    }

    /// One word, or the several that braces make of it.
    fn words(&mut self) -> Vec<Word> {
        let mut reader = WordReader::default();
        if self.is_process() {
            let is_input = self.rest.next() == Some('<');
            self.rest.next();
            let script = self.inner();
            let part = script.map_or(Part::Unknown, if is_input { Part::Input } else { Part::Sink });
            reader.put(part);
        } else if self.rest.peek() == Some(&'{') {
            reader.is_brace = true;
        }
        while let Some(c) = self.rest.peek().copied() {
            if matches!(c, ' ' | '\t' | '\r' | '\n' | ';' | '|' | '&' | '(' | ')' | '<' | '>') {
                break;
            }
            self.rest.next();
            match c {
                '\'' => {
                    reader.is_quoted = true;
                    for c in self.rest.by_ref().take_while(|c| *c != '\'') {
                        reader.push(c);
                    }
                }
                '"' => self.double_quoted(&mut reader),
                '\\' => match self.rest.next() {
                    None | Some('\n') => {}
                    Some(c) => {
                        reader.is_quoted = true;
                        reader.push(c);
                    }
                },
                '`' => self.backtick(&mut reader, false),
                '$' => self.dollar(&mut reader, false),
                ',' if reader.is_brace => reader.next_alternative(),
                c => reader.push(c),
            }
        }
        reader.finish()
    }

    fn double_quoted(&mut self, reader: &mut WordReader) {
        reader.is_quoted = true;
        while let Some(c) = self.rest.next() {
            match c {
                '"' => return,
                '\\' => match self.rest.next() {
                    Some(c @ ('$' | '`' | '"' | '\\')) => reader.push(c),
                    Some('\n') | None => {}
                    Some(c) => {
                        reader.push('\\');
                        reader.push(c);
                    }
                },
                '`' => self.backtick(reader, true),
                '$' => self.dollar(reader, true),
                c => reader.push(c),
            }
        }
    }

    fn backtick(&mut self, reader: &mut WordReader, is_quoted: bool) {
        let mut raw = String::new();
        while let Some(c) = self.rest.next() {
            match c {
                '`' => break,
                '\\' => match self.rest.next() {
                    Some(c @ ('`' | '\\' | '$')) => raw.push(c),
                    Some(c) => raw.extend(['\\', c]),
                    None => {}
                },
                c => raw.push(c),
            }
        }
        if self.depth >= DEPTH_LIMIT {
            reader.put(Part::Unknown);
            return;
        }
        let mut inner = Parser {
            rest: raw.chars().peekable(),
            left: self.left,
            depth: self.depth + 1,
            delimiters: Vec::new(),
        };
        let script = inner.script(Until::End);
        self.left = inner.left;
        reader.put(Part::Output { script, is_quoted });
    }

    fn dollar(&mut self, reader: &mut WordReader, is_quoted: bool) {
        match self.rest.peek().copied() {
            Some('(') => {
                self.rest.next();
                if self.rest.peek() == Some(&'(') {
                    self.skip('(', ')');
                    reader.put(Part::Unknown);
                    return;
                }
                let part = self.inner().map(|script| Part::Output { script, is_quoted });
                reader.put(part.unwrap_or(Part::Unknown));
            }
            Some('{') => {
                self.rest.next();
                let raw = self.skip('{', '}');
                reader.put(braced(&raw, is_quoted));
            }
            Some('\'') if !is_quoted => {
                self.rest.next();
                reader.is_quoted = true;
                self.ansi(reader);
            }
            Some('"') if !is_quoted => {
                self.rest.next();
                self.double_quoted(reader);
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let mut name = String::new();
                while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                reader.put(Part::Variable { name, is_quoted });
            }
            // Arguments of a text that has none: `cu$@rl` is `curl`.
            Some('@' | '*' | '1'..='9') => {
                self.rest.next();
            }
            Some('0' | '#' | '?' | '$' | '!' | '-') => {
                self.rest.next();
                reader.put(Part::Unknown);
            }
            Some(_) | None => reader.push('$'),
        }
    }

    /// `$'...'`
    fn ansi(&mut self, reader: &mut WordReader) {
        let mut raw = String::new();
        while let Some(c) = self.rest.next() {
            match c {
                '\'' => break,
                '\\' => {
                    raw.push('\\');
                    raw.extend(self.rest.next());
                }
                c => raw.push(c),
            }
        }
        for c in super::decode::backslashes(&raw).chars() {
            reader.push(c);
        }
    }
}

/// `${...}`: a plain name, the first letter of a path, or unknown.
fn braced(raw: &str, is_quoted: bool) -> Part {
    let name: String = raw.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let rest = raw.get(name.len()..).unwrap_or_default();
    match (name.as_str(), rest) {
        ("", "@" | "*") => Part::Text(String::new()),
        ("", _) => Part::Unknown,
        (_, "") | ("IFS", _) => Part::Variable { name, is_quoted },
        ("PATH" | "HOME" | "PWD" | "SHELL", ":0:1" | ": 0:1" | "::1") => Part::Text("/".to_owned()),
        (_, rest) => match rest.strip_prefix(":-").or_else(|| rest.strip_prefix('-')) {
            Some(default) if !default.contains(['$', '`']) => Part::Text(default.to_owned()),
            Some(_) | None => Part::Unknown,
        },
    }
}

/// Collects the parts of a word.
#[derive(Default)]
struct WordReader {
    done: Vec<Word>,
    parts: Vec<Part>,
    is_quoted: bool,
    is_brace: bool,
}

impl WordReader {
    fn push(&mut self, c: char) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push(c),
            Some(_) | None => self.parts.push(Part::Text(c.to_string())),
        }
    }

    fn put(&mut self, part: Part) {
        self.parts.push(part);
    }

    fn next_alternative(&mut self) {
        if self.done.len() < WORDS_LIMIT {
            self.done.push(Word(std::mem::take(&mut self.parts)));
        }
    }

    fn finish(mut self) -> Vec<Word> {
        if self.parts.is_empty() && self.is_quoted {
            self.parts.push(Part::Text(String::new()));
        }
        let mut words = self.done;
        if !self.parts.is_empty() || !words.is_empty() {
            words.push(Word(self.parts));
        }
        if words.len() < 2 {
            return words;
        }
        // `{curl,-s,http://x}` is three words; with anything behind the brace the shell makes others of it.
        if let Some(Word(parts)) = words.first_mut()
            && let Some(Part::Text(text)) = parts.first_mut()
            && text.starts_with('{')
        {
            text.remove(0);
        }
        if let Some(Word(parts)) = words.last_mut()
            && let Some(Part::Text(text)) = parts.last_mut()
            && text.ends_with('}')
        {
            text.pop();
        }
        words
    }
}

impl Word {
    /// The text, when it is only text.
    pub(super) fn plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Text(text)] => Some(text),
            [] | [..] => None,
        }
    }

    fn as_assign(&self) -> Option<(String, Word)> {
        let Some(Part::Text(head)) = self.0.first() else { return None };
        let (name, value) = head.split_once('=')?;
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !is_name {
            return None;
        }
        let mut parts = vec![Part::Text(value.to_owned())];
        parts.extend(self.0.iter().skip(1).cloned());
        Some((name.to_owned(), Word(parts)))
    }
}
