//! The reader on a folder of its own.

use std::{fs::OpenOptions, io::Write as _};

use super::*;

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_line_wakes_who_waits_and_is_handed_over_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ssh.log");
    append(&path, "Nov 25 02:06:19 h sshd[7]: old\n");
    let mut reader = Reader::start(&[Extra { path: path.clone(), program: "sshd".to_owned() }]);
    let own = |reader: &mut Reader| {
        let mut out = Vec::new();
        while reader.read(&mut out) {}
        out.retain(|line| line.source == path.display().to_string());
        out
    };
    assert!(own(&mut reader).is_empty());
    let wake = reader.wake().unwrap().expect("inotify");
    append(&path, "Nov 25 02:06:19 h sshd[7]: new\nbare\n");
    let mut fds = [rustix::event::PollFd::new(&wake, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut fds, None).unwrap(), 1);
    let lines = own(&mut reader);
    let got: Vec<(&str, Option<u32>, &str)> =
        lines.iter().map(|line| (line.program.as_str(), line.pid, line.text.as_str())).collect();
    assert_eq!(got, [("sshd", Some(7), "new"), ("sshd", None, "bare")]);
    // Another file in its place is read from its start, though nothing was in it when it came.
    fs::rename(&path, dir.path().join("ssh.log.1")).unwrap();
    append(&path, "Nov 25 02:06:19 h sshd[7]: rotated\n");
    assert_eq!(own(&mut reader)[0].text, "rotated");
}
