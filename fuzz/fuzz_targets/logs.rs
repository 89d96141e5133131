//! Any line of any log, and what it says of a login: no panic, in every form of a head.
#![no_main]

use std::{cell::RefCell, fs, path::PathBuf, sync::Arc};

use libfuzzer_sys::fuzz_target;
use minesweep_detect::{Engine, Rules, Settings};
use minesweep_host::logs::{Form, parse};
use minesweep_model::{Event, LogLine, What};

const FORMS: [(Form, &str); 6] = [
    (Form::Syslog, "sshd"),
    (Form::Vsftpd, "vsftpd"),
    (Form::Mysql, "mysqld"),
    (Form::Postgres, "postgres"),
    (Form::Redis, "redis-server"),
    (Form::Bare, "dovecot"),
];

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::new(Engine::new(Settings::default(), Arc::new(rules())));
}

fn rules() -> Rules {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../content"));
    let (mut waiting, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = waiting.pop() {
        for path in fs::read_dir(folder).expect("content").map(|entry| entry.expect("content").path()) {
            let name = path.strip_prefix(&root).expect("content").to_string_lossy().into_owned();
            if path.is_dir() {
                waiting.push(path);
            } else if name != "manifest.yaml" {
                files.push((name, fs::read_to_string(path).expect("content")));
            }
        }
    }
    Rules::compile(files.iter().map(|(path, text)| (path.as_str(), text.as_str()))).expect("our rules")
}

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    for (form, program) in FORMS {
        let head = parse(form, program, &text);
        let line = LogLine {
            source: "fuzz".to_owned(),
            program: head.program.to_owned(),
            pid: head.pid,
            text: head.text.to_owned(),
        };
        let event = Event { at_ms: 0, what: What::Log(Box::new(line)) };
        ENGINE.with_borrow_mut(|engine| {
            let _outputs = engine.observe(&event);
        });
    }
});
