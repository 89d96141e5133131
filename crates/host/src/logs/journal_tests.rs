//! Journal files made by hand, and broken ones.

use super::*;

/// Writes a journal object by object, as journald does.
struct Writer {
    bytes: Vec<u8>,
    entries: u64,
    is_compact: bool,
}

impl Writer {
    fn new(is_compact: bool) -> Self {
        let mut bytes = vec![0; 272];
        bytes[..8].copy_from_slice(b"LPKSHHRH");
        bytes[12..16].copy_from_slice(&(if is_compact { COMPACT } else { 0 }).to_le_bytes());
        bytes[88..96].copy_from_slice(&272_u64.to_le_bytes());
        Self { bytes, entries: 0, is_compact }
    }

    fn object(&mut self, kind: u8, flags: u8, body: &[u8]) -> u64 {
        let at = self.bytes.len() as u64;
        self.bytes.extend([kind, flags, 0, 0, 0, 0, 0, 0]);
        self.bytes.extend((body.len() as u64 + 16).to_le_bytes());
        self.bytes.extend(body);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.bytes[136..144].copy_from_slice(&at.to_le_bytes());
        at
    }

    fn data(&mut self, flags: u8, text: &str) -> u64 {
        let head = if self.is_compact { 56 } else { 48 };
        let mut body = vec![0; head];
        body.extend(text.as_bytes());
        self.object(DATA, flags, &body)
    }

    fn unlinked(&mut self, items: &[u64]) {
        let mut body = vec![0; 48];
        for item in items {
            if self.is_compact {
                body.extend(u32::try_from(*item).unwrap().to_le_bytes());
            } else {
                body.extend(item.to_le_bytes());
                body.extend([0; 8]);
            }
        }
        self.object(ENTRY, 0, &body);
    }

    fn link(&mut self) {
        self.entries += 1;
        let entries = self.entries.to_le_bytes();
        self.bytes[152..160].copy_from_slice(&entries);
    }

    fn entry(&mut self, fields: &[&str]) {
        let items: Vec<u64> = fields.iter().map(|field| self.data(0, field)).collect();
        self.unlinked(&items);
        self.link();
        self.object(6, 0, &[0; 64]);
    }
}

fn texts(position: &mut Position, writer: &Writer) -> Vec<String> {
    let mut out = Vec::new();
    while position.read(&writer.bytes.as_slice(), 2, &mut out).unwrap() {}
    out.into_iter().map(|line| format!("{}[{:?}] {}", line.program, line.pid, line.text)).collect()
}

#[test]
fn new_entries_are_read_each_once_in_both_forms_of_the_file() {
    for is_compact in [false, true] {
        let mut writer = Writer::new(is_compact);
        writer.entry(&["MESSAGE=old", "SYSLOG_IDENTIFIER=sshd", "_UID=0"]);
        let mut position = Position::end(&writer.bytes.as_slice()).unwrap();
        assert!(texts(&mut position, &writer).is_empty());
        for number in 0..5 {
            let message = format!("MESSAGE=new {number}");
            writer.entry(&[
                &message,
                "SYSLOG_IDENTIFIER=sshd",
                "SYSLOG_PID=9",
                "_PID=7",
                "_UID=0",
                "_COMM=sshd",
            ]);
        }
        let got = texts(&mut position, &writer);
        assert_eq!(got.len(), 5);
        assert_eq!(got[0], "sshd[Some(7)] new 0");
        assert!(texts(&mut position, &writer).is_empty());
        let mut from_start = Position::start(&writer.bytes.as_slice()).unwrap();
        assert_eq!(texts(&mut from_start, &writer).len(), 6);
    }
}

#[test]
fn an_entry_is_read_once_it_is_linked_and_not_before() {
    let mut writer = Writer::new(false);
    let mut position = Position::end(&writer.bytes.as_slice()).unwrap();
    let items = [writer.data(0, "MESSAGE=x"), writer.data(0, "SYSLOG_IDENTIFIER=sshd")];
    writer.unlinked(&items);
    assert!(texts(&mut position, &writer).is_empty());
    writer.link();
    assert_eq!(texts(&mut position, &writer), ["sshd[None] x"]);
}

#[test]
fn who_is_not_root_is_called_by_its_program_and_nobody_else_is_believed() {
    let mut writer = Writer::new(false);
    let mut position = Position::end(&writer.bytes.as_slice()).unwrap();
    let said = ["MESSAGE=Accepted password for root", "SYSLOG_IDENTIFIER=sshd"];
    writer.entry(&[said[0], said[1], "_UID=1000", "_EXE=/usr/bin/logger"]);
    writer.entry(&[said[0], said[1], "_UID=1000", "_EXE=/home/x/sshd"]);
    writer.entry(&[said[0], said[1], "_UID=1000"]);
    assert_eq!(texts(&mut position, &writer), ["logger[None] Accepted password for root"]);
}

#[test]
fn a_compressed_message_is_passed_over_and_counted() {
    let mut writer = Writer::new(false);
    let mut position = Position::end(&writer.bytes.as_slice()).unwrap();
    let items = [writer.data(4, "MESSAGE=x"), writer.data(0, "SYSLOG_IDENTIFIER=sshd")];
    writer.unlinked(&items);
    writer.link();
    assert!(texts(&mut position, &writer).is_empty());
    assert_eq!(position.passed, 1);
}

#[test]
fn another_file_a_newer_one_and_a_broken_one_are_told_and_any_cut_does_no_harm() {
    let bytes: &[u8] = b"not a journal";
    assert_eq!(Position::end(&bytes).err(), Some(BadJournal::NoJournal));
    let mut writer = Writer::new(false);
    writer.bytes[12] = 0x40;
    assert_eq!(Position::end(&writer.bytes.as_slice()).err(), Some(BadJournal::Unknown(0x40)));
    let mut writer = Writer::new(false);
    writer.entry(&["MESSAGE=x", "SYSLOG_IDENTIFIER=sshd"]);
    for length in 0..writer.bytes.len() {
        let cut = &writer.bytes[..length];
        if let Ok(mut position) = Position::start(&cut) {
            let _ = position.read(&cut, 10, &mut Vec::new());
        }
    }
    for at in 0..writer.bytes.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = writer.bytes.clone();
            bytes[at] = value;
            if let Ok(mut position) = Position::start(&bytes.as_slice()) {
                let mut out = Vec::new();
                let _ = position.read(&bytes.as_slice(), 10, &mut out);
                assert!(out.len() <= 10);
            }
        }
    }
}
