//! What 250 rules in Sigma cost for a process that starts, in processor time. Run: `cargo bench -p minesweep-detect --bench sigma`.
//!
//! Processor time, since the machine may be shared. The rules of the bundle come first; the rest are made in the forms
//! that public rules have (an executable by its end and words of the command line; parents; lists; exceptions), with
//! words that differ. The processes are those of a machine that builds, serves and is administered. Also measured: the
//! same events without any rule, for what the engine costs by itself, and the time to load.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot read its own files, or miscounts its own tables, has failed"
)]

use std::{fs, path::Path, sync::Arc};

use minesweep_detect::{Engine, Rules, Settings};
use minesweep_model::{Event, Process, ProcessKey, What};
use rustix::time::{ClockId, clock_gettime};

const RULES: usize = 250;
const EVENTS: u32 = 200_000;
const ROUNDS: usize = 5;

fn main() {
    let material = material();
    let bare: Vec<_> = material.iter().filter(|(path, _)| !path.starts_with("sigma/")).cloned().collect();
    let made: Vec<(String, String)> =
        (0..RULES).map(|index| (format!("made/{index}.yml"), rule(index))).collect();
    let own = compile(&material, &[]);
    let missing = RULES.saturating_sub(sigma_count(&own));
    let before = cpu_s();
    let full = compile(&material, &made[..missing]);
    println!("load: {} rules in {:.3} s of processor time", sigma_count(&full), cpu_s() - before);
    let none = compile(&bare, &[]);
    let events = events();
    let (without, with) = (best(&none, &events), best(&full, &events));
    let rate = |seconds: f64| f64::from(EVENTS) / seconds;
    println!("engine without Sigma rules: {:.0} process events per CPU-second", rate(without));
    println!(
        "engine with {} Sigma rules: {:.0} process events per CPU-second",
        sigma_count(&full),
        rate(with)
    );
    println!("the rules alone: {:.0} process events per CPU-second", rate(with - without));
}

fn sigma_count(rules: &Rules) -> usize {
    minesweep_detect::rules_list(rules).iter().filter(|rule| rule.kind == "sigma").count()
}

fn best(rules: &Arc<Rules>, events: &[Event]) -> f64 {
    let once = || {
        let mut engine = Engine::new(Settings::default(), rules.clone());
        let before = cpu_s();
        let told: usize = events.iter().map(|event| engine.observe(event).len()).sum();
        let took = cpu_s() - before;
        (took, told)
    };
    let rounds: Vec<(f64, usize)> = (0..ROUNDS).map(|_| once()).collect();
    println!("  outputs: {}", rounds[0].1);
    rounds.iter().map(|(took, _)| *took).fold(f64::INFINITY, f64::min)
}

fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn compile(material: &[(String, String)], imported: &[(String, String)]) -> Arc<Rules> {
    let (rules, refused) = Rules::compile_with(
        material.iter().map(|(path, text)| (path.as_str(), text.as_str())),
        imported.iter().map(|(path, text)| (path.as_str(), text.as_str())),
    )
    .unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    Arc::new(rules)
}

fn material() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content");
    let (mut waiting, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                waiting.push(path);
            } else if name != "manifest.yaml" {
                files.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    files
}

const TOOLS: [&str; 25] = [
    "curl",
    "wget",
    "nc",
    "socat",
    "python3",
    "perl",
    "base64",
    "crontab",
    "chattr",
    "iptables",
    "systemctl",
    "find",
    "grep",
    "tar",
    "dd",
    "ssh",
    "scp",
    "nmap",
    "gcc",
    "insmod",
    "useradd",
    "chmod",
    "cat",
    "rm",
    "bash",
];

fn rule(index: usize) -> String {
    let tool = TOOLS[index % TOOLS.len()];
    let other = TOOLS[(index * 7 + 3) % TOOLS.len()];
    let word = format!("--opt{index}");
    let selection = match index % 5 {
        0 => format!(
            "  s:\n    Image|endswith: '/{tool}'\n    CommandLine|contains: ['{word}', ' -x{index} ']\n  condition: s"
        ),
        1 => format!(
            "  s:\n    Image|endswith: ['/{tool}', '/{other}']\n    CommandLine|contains|all: ['http', '{word}']\n  condition: s"
        ),
        2 => format!(
            "  s:\n    ParentImage|endswith: ['/{tool}', '/java{index}']\n    Image|endswith: ['/sh', '/bash', '/dash']\n  f:\n    CommandLine|contains: '/opt/app{index}/'\n  condition: s and not f"
        ),
        3 => format!(
            "  a:\n    CommandLine|contains: ['/tmp/{word}', '/dev/shm/{word}', '/var/tmp/{word}']\n  b:\n    User: root\n  condition: a and b"
        ),
        _ => format!(
            "  s:\n    CommandLine|re: '{tool}\\s+-[a-z]+{index}\\s'\n    Image|endswith: '/{tool}'\n  f1:\n    ParentImage: /usr/bin/dpkg\n  condition: s and not 1 of f*"
        ),
    };
    format!(
        "title: Rule {index}\nid: made-{index}\nlogsource: {{category: process_creation, product: linux}}\nlevel: low\ndetection:\n{selection}\n"
    )
}

/// Executable, arguments, parent's place in this list.
const PROGRAMS: [(&str, &str); 20] = [
    ("/usr/bin/bash", "-bash"),
    ("/usr/bin/ls", "ls --color=auto -la /var/log"),
    ("/usr/bin/grep", "grep --color=auto -rn error /var/log/syslog"),
    (
        "/usr/lib/gcc/x86_64-linux-gnu/12/cc1",
        "/usr/lib/gcc/x86_64-linux-gnu/12/cc1 -quiet -I include -I src -imultiarch x86_64-linux-gnu -D NDEBUG -D _GNU_SOURCE src/main.c -quiet -dumpdir build/ -dumpbase main.c -dumpbase-ext .c -mtune=generic -march=x86-64 -g -O2 -Wall -Wextra -fPIC -o /tmp/ccQx1.s",
    ),
    ("/usr/bin/as", "as -I include --64 -o build/main.o /tmp/ccQx1.s"),
    ("/usr/bin/make", "make -j4 all"),
    ("/usr/bin/dash", "sh -c gcc -c src/a.c -o build/a.o"),
    ("/usr/bin/git", "git -C /srv/app status --porcelain --untracked-files=no"),
    ("/usr/bin/python3.11", "python3 -m pytest -q tests/unit --maxfail=1"),
    ("/usr/sbin/cron", "/usr/sbin/CRON -f"),
    ("/usr/bin/dash", "/bin/sh -c [ -x /usr/lib/sysstat/debian-sa1 ] && /usr/lib/sysstat/debian-sa1 1 1"),
    ("/usr/sbin/sshd", "sshd: web [priv]"),
    ("/usr/bin/curl", "curl -fsS -o /dev/null http://127.0.0.1:8080/healthz"),
    ("/usr/bin/node", "node /srv/app/server.js --port 8080 --workers 4"),
    ("/usr/bin/find", "find /var/lib/php/sessions -type f -cmin +24 -print0"),
    ("/usr/bin/awk", "awk {print $1} /proc/loadavg"),
    ("/usr/bin/sed", "sed -n 1,20p /etc/hosts"),
    ("/usr/bin/tar", "tar -czf /var/backups/etc.tar.gz /etc"),
    ("/usr/bin/rm", "rm -rf build/cache"),
    ("/usr/bin/systemctl", "systemctl is-active nginx.service"),
];

/// Shells and services five deep, and what they start.
fn events() -> Vec<Event> {
    let above = (1..90).map(|pid| {
        let process = Process {
            parent_pid: if pid < 10 { pid - 1 } else { pid / 10 },
            exe: "/usr/bin/bash".to_owned(),
            argv: vec!["bash".to_owned()],
            ..Process::unknown(ProcessKey { pid, start_ticks: 0 })
        };
        Event { at_ms: 0, what: What::Running(Box::new(process)) }
    });
    let started = (0..EVENTS).map(|index| {
        let pid = 100 + index % 30_000;
        let (exe, line) = PROGRAMS[index as usize % PROGRAMS.len()];
        let process = Process {
            parent_pid: 50 + index % 40,
            uid: index % 3,
            exe: exe.to_owned(),
            argv: line.split(' ').map(str::to_owned).collect(),
            comm: exe.rsplit('/').next().unwrap().chars().take(15).collect(),
            cwd: "/srv/app".to_owned(),
            ..Process::unknown(ProcessKey { pid, start_ticks: 1 })
        };
        Event { at_ms: u64::from(index), what: What::Exec(Box::new(process)) }
    });
    above.chain(started).collect()
}
