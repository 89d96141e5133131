//! Shows the console with made-up data: for its tests, for pictures, and for people who work on it.
//!
//! Opens the real server on loopback in a folder of its own and pushes reports through the same `Feed` that an agent
//! uses. Nothing here is measured and nothing mines: names, wallets and addresses are made up (203.0.113.0/24 and
//! `.example` belong to nobody). Ends when stdin ends.
//!
//! ```text
//! console_demo [--empty] [--listen 127.0.0.1:8443]
//! ```
//! Prints `console: URL`. Each line of stdin is a report in JSON, pushed as it is, or the word `login`, answered by a
//! new `console: URL`.

use std::{
    env,
    error::Error,
    io::{BufRead, stdin},
    net::SocketAddr,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use minesweep_model::{
    Action, Attack, Blind, Change, Container, Detection, Evidence, Group, HookCount, Host, Incident,
    IncidentState, Kind, Load, Mining, Mode, Origin, Outcome, OutcomeState, Process, ProcessKey, Report,
    Severity, Text,
};
use minesweep_server::{Config, Feed, Price, Server};
use tokio::sync::mpsc;

type Failure = Box<dyn Error + Send + Sync>;

const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// Price of a CPU-hour: a general-purpose virtual machine, rounded.
const PRICE: f64 = 0.05;

/// Logical processors of the made-up machine.
const CPUS: u32 = 8;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse()?;
    // In memory where that is to be had: on a busy disk the first transaction took 12 s, and nothing here is to last.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
    let server = Server::open(Config {
        data_dir: folder.path().to_owned(),
        listen: arguments.listen,
        price: Price { per_cpu_hour: PRICE, currency: "USD".to_owned() },
    })
    .await?;
    let now_ms = now_ms()?;
    let feed = server.feed();
    for report in reports(now_ms, arguments.is_empty) {
        feed.push(report);
    }
    println!("console: {}", server.login_link());
    let (asks, mut asked) = mpsc::channel(1);
    let from_stdin = server.feed();
    thread::spawn(move || read_lines(&from_stdin, &asks));
    let until_stdin_ends = async {
        loop {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(2)) => {
                    feed.push(Report::Load(load(self::now_ms().unwrap_or(now_ms), arguments.is_empty)));
                }
                ask = asked.recv() => match ask {
                    None => break,
                    Some(()) => match server.new_login().await {
                        Ok(link) => println!("console: {link}"),
                        Err(error) => eprintln!("no new login: {error}"),
                    },
                },
            }
        }
    };
    server.run(until_stdin_ends).await?;
    Ok(())
}

struct Arguments {
    listen: SocketAddr,
    is_empty: bool,
}

impl Arguments {
    fn parse() -> Result<Self, Failure> {
        let mut found = Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), is_empty: false };
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--empty" => found.is_empty = true,
                "--listen" => found.listen = words.next().ok_or("--listen needs an address")?.parse()?,
                other => {
                    return Err(
                        format!("{other} is not an option; there are --empty and --listen ADDRESS").into()
                    );
                }
            }
        }
        Ok(found)
    }
}

/// Takes lines until stdin ends; dropping `asks` then ends the server.
fn read_lines(feed: &Feed, asks: &mpsc::Sender<()>) {
    for line in stdin().lock().lines().map_while(Result::ok) {
        if line == "login" {
            if asks.blocking_send(()).is_err() {
                return;
            }
            continue;
        }
        match serde_json::from_str::<Report>(&line) {
            Ok(report) => feed.push(report),
            Err(error) => eprintln!("not a report: {error}"),
        }
    }
}

fn now_ms() -> Result<u64, Failure> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

/// Everything that the agent would have told by now.
fn reports(now_ms: u64, is_empty: bool) -> Vec<Report> {
    let mut reports = vec![Report::Host(host(is_empty))];
    // A load report for each slot of 10 s that the server keeps of the last hour.
    let hour = (1..=360_u64).rev().map(|slot| load(now_ms - slot * 10 * SECOND_MS, is_empty));
    let hour = hour.map(|mut load| {
        if !is_empty && load.at_ms < now_ms - WEB_MINER_AGE_MS {
            load.cpu_percent = 11.0 + wobble(load.at_ms, 9.0);
        }
        Report::Load(load)
    });
    reports.extend(hour);
    if is_empty {
        return reports;
    }
    for incident in [gpu_miner(now_ms), container_miner(now_ms), web_miner(now_ms)] {
        reports.extend(incident.findings.iter().cloned().map(Box::new).map(Report::Detection));
        reports.extend(incident.outcomes.iter().cloned().map(Box::new).map(Report::Outcome));
        reports.push(Report::Incident { change: Change::Created, incident: Box::new(incident) });
    }
    reports.push(Report::Detection(Box::new(busy_encoder(now_ms))));
    reports
}

fn host(is_empty: bool) -> Host {
    let gpu = Blind {
        what: "gpu".to_owned(),
        why: Text::new(
            "the NVIDIA library (libnvidia-ml.so.1) is not installed, so use of graphics cards is not seen; install \
             the driver, or ignore this on a machine without one",
            "没有安装 NVIDIA 库（libnvidia-ml.so.1），因此看不到显卡的使用情况；请安装驱动，没有显卡的机器可忽略",
        ),
    };
    let msr = Blind {
        what: "msr".to_owned(),
        why: Text::new(
            "this kernel lets no program watch writes to /dev/cpu/*/msr; boot with lockdown=none to see them",
            "当前内核不允许监视对 /dev/cpu/*/msr 的写入；以 lockdown=none 启动后即可看到",
        ),
    };
    Host {
        name: "web-01".to_owned(),
        machine_id: "0f5d2c7e9b1a4c3d8e6f7a0b1c2d3e4f".to_owned(),
        boot_id: "2b8a3c1d-5e6f-4a7b-8c9d-0e1f2a3b4c5d".to_owned(),
        kernel: "6.1.0-31-amd64".to_owned(),
        os: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        cpus: CPUS,
        cpu_model: "AMD EPYC 7B13".to_owned(),
        sensor: "bpf".to_owned(),
        blind: if is_empty { Vec::new() } else { vec![gpu, msr] },
    }
}

/// A number from 0 to `most` that looks like chance but is the same for the same time.
fn wobble(at_ms: u64, most: f64) -> f64 {
    // The mixing step of splitmix64: neighbours have nothing in common.
    let mut mixed = (at_ms / (10 * SECOND_MS)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    f64::from(u32::try_from(mixed >> 48).unwrap_or(0)) / 65_536.0 * most
}

fn load(at_ms: u64, is_empty: bool) -> Load {
    let count =
        |hook: &str, made: u64, lost: u64| HookCount { hook: hook.to_owned(), made, seen: made - lost, lost };
    Load {
        at_ms,
        cpu_percent: if is_empty { 4.0 + wobble(at_ms, 8.0) } else { 92.0 + wobble(at_ms, 6.0) },
        cpus: CPUS,
        mode: Mode::Observe,
        agent_rss_kib: 21_840,
        agent_cpu_percent: 0.1 + wobble(at_ms, 0.2),
        counts: vec![
            count("exec", 18_214, 0),
            count("exit", 18_190, 0),
            count("connect", 9_377, 0),
            count("bytes", 40_118, 0),
            count("rounding", 1_204_551, 0),
        ],
    }
}

/// A wallet of the right length that is nobody's.
fn wallet() -> String {
    let mut wallet = format!("4{}", "MinesweepDemo".repeat(8));
    wallet.truncate(95);
    wallet
}

fn process(pid: u32, parent_pid: u32, uid: u32, exe: &str, argv: &[&str], started_ms: u64) -> Process {
    let mut process = Process::unknown(ProcessKey { pid, start_ticks: u64::from(pid) * 10 });
    process.parent_pid = parent_pid;
    process.uid = uid;
    process.exe = exe.to_owned();
    process.comm = exe.rsplit('/').next().unwrap_or(exe).chars().take(15).collect();
    process.argv = argv.iter().map(|&word| word.to_owned()).collect();
    process.started_ms = started_ms;
    process
}

fn evidence(rule: &str, group: Group, weight: f64, at_ms: u64, text: Text) -> Evidence {
    Evidence { rule: rule.to_owned(), group, weight, text, at_ms }
}

/// Probability from the strongest evidence of each group, as in docs/spec/verdict.md; so are the weights.
fn probability(evidence: &[Evidence]) -> f64 {
    let mut strongest: Vec<&Evidence> = Vec::new();
    for one in evidence {
        match strongest.iter_mut().find(|other| other.group == one.group) {
            Some(other) if other.weight < one.weight => *other = one,
            Some(_) => {}
            None => strongest.push(one),
        }
    }
    1.0 - strongest.iter().map(|one| 1.0 - one.weight).product::<f64>()
}

/// What a finding of the demo says; the rest is the same for all.
struct Said<'a> {
    rule: &'a str,
    severity: Severity,
    confidence: u8,
    title: Text,
    why: Text,
    advice: Text,
}

fn detection(said: Said<'_>, at_ms: u64, subject: Option<&Process>, incident: Option<&str>) -> Detection {
    let pid = subject.map_or(0, |subject| subject.key.pid);
    Detection {
        uid: format!("{}-{pid}-{at_ms}", said.rule),
        rule: said.rule.to_owned(),
        at_ms,
        severity: said.severity,
        confidence: said.confidence,
        title: said.title,
        why: said.why,
        advice: said.advice,
        attacks: vec![Attack {
            technique: "T1496.001".to_owned(),
            name: "Compute Hijacking".to_owned(),
            tactic: "TA0040".to_owned(),
            tactic_name: "Impact".to_owned(),
            version: "17.1".to_owned(),
        }],
        subject: subject.cloned(),
        parent: None,
        remote: None,
        cookie: None,
        evidence: Vec::new(),
        mining: Mining::default(),
        incident: incident.map(str::to_owned),
    }
}

fn stratum(why: Text) -> Said<'static> {
    Said {
        rule: "mining.stratum",
        severity: Severity::Critical,
        confidence: 99,
        title: Text::new("It speaks a mining protocol", "使用挖矿协议通信"),
        why,
        advice: Text::new(
            "Block the pool first: it stops the income at once and leaves time to look. Then freeze the process; its \
             memory is evidence.",
            "先阻断矿池：收益立即停止，也为排查留出时间。然后冻结进程；它的内存就是证据。",
        ),
    }
}

fn randomx(why: Text) -> Said<'static> {
    Said {
        rule: "mining.randomx",
        severity: Severity::Critical,
        confidence: 97,
        title: Text::new("It computes RandomX", "正在计算 RandomX"),
        why,
        advice: Text::new(
            "Find what started it before you end it: a parent, a timer or a service will start it again.",
            "结束进程之前先找到启动它的东西：父进程、定时任务或服务会把它再次拉起。",
        ),
    }
}

/// How long the miner of the first page has been at it.
const WEB_MINER_AGE_MS: u64 = 47 * MINUTE_MS;

fn web_miner_process(since_ms: u64) -> Process {
    let mut root = process(48_213, 48_209, 33, "/tmp/.x/kswapd0", &["./kswapd0", "-c", ".c.json"], since_ms);
    root.cwd = "/tmp/.x".to_owned();
    root.origin = Origin::Deleted;
    root.threads = 9;
    root
}

fn web_miner(now_ms: u64) -> Incident {
    let uid = "inc-7c1e9a40";
    let since_ms = now_ms - WEB_MINER_AGE_MS;
    let shell = ["sh", "-c", "cd /tmp/.x && ./kswapd0 -c .c.json"];
    let parent = process(48_209, 912, 33, "/bin/dash", &shell, since_ms - 2 * SECOND_MS);
    let root = web_miner_process(since_ms);
    let evidence = web_miner_evidence(since_ms);
    let mut login = detection(
        stratum(Text::new(
            "it logged in at xmr.pool.example:3333 with a wallet and took 212 jobs (cryptonote dialect)",
            "它用钱包登录 xmr.pool.example:3333，并领取了 212 个任务（cryptonote 方言）",
        )),
        since_ms + SECOND_MS,
        Some(&root),
        Some(uid),
    );
    login.parent = Some(parent);
    login.remote = Some(SocketAddr::from(([203, 0, 113, 9], 3333)));
    let compute = detection(
        randomx(Text::new(
            "its threads were seen in all four rounding modes: 1780, 616, 555 and 525 of 3476 samples",
            "它的线程出现了全部四种舍入模式：3476 次采样中分别为 1780、616、555、525 次",
        )),
        since_ms + 19 * SECOND_MS,
        Some(&root),
        Some(uid),
    );
    let mining = Mining {
        probability: probability(&evidence),
        kind: Kind::Cpu,
        pool: Some("xmr.pool.example:3333".to_owned()),
        wallet: Some(wallet()),
        worker: Some("web-01".to_owned()),
        algorithm: Some("rx/0".to_owned()),
        hash_rate_hs: Some(3_912.0),
        estimated: false,
        cpu_seconds: 7.1 * 2_820.0,
        cost: 7.1 * 2_820.0 / 3_600.0 * PRICE,
        pids: vec![root.key.pid],
    };
    Incident {
        uid: uid.to_owned(),
        since_ms,
        opened_ms: since_ms + SECOND_MS,
        changed_ms: now_ms - 40 * SECOND_MS,
        state: IncidentState::Open,
        severity: Severity::Critical,
        title: Text::new(
            "kswapd0 (48213) mines for xmr.pool.example:3333",
            "kswapd0（48213）正在为 xmr.pool.example:3333 挖矿",
        ),
        entry: None,
        processes: vec![root.key],
        mining,
        evidence,
        findings: vec![login, compute, huge_pages(since_ms, &root, uid), sustained(since_ms, &root, uid)],
        folded: 11,
        outcomes: Vec::new(),
        root,
    }
}

fn web_miner_evidence(since_ms: u64) -> Vec<Evidence> {
    vec![
        evidence(
            "mining.stratum",
            Group::Protocol,
            0.95,
            since_ms,
            Text::new(
                "login, jobs and shares of the cryptonote dialect, 38 shares taken",
                "cryptonote 方言的登录、任务和份额，已被接受 38 个份额",
            ),
        ),
        evidence(
            "mining.randomx",
            Group::Compute,
            0.92,
            since_ms,
            Text::new("all four rounding modes, 51 % nearest", "出现全部四种舍入模式，其中就近舍入占 51%"),
        ),
        evidence(
            "mining.randomx-memory",
            Group::Tuning,
            0.75,
            since_ms,
            Text::new("a map of 2080 MiB and 8 of 2 MiB", "一块 2080 MiB 的映射和 8 块 2 MiB 的映射"),
        ),
        evidence(
            "mining.hugepages",
            Group::Tuning,
            0.6,
            since_ms,
            Text::new("it asked for 1168 huge pages", "申请了 1168 个大页"),
        ),
        evidence(
            "mining.steady-cpu",
            Group::Load,
            0.2,
            since_ms,
            Text::new("7.1 processors, steady within 2 %", "占用 7.1 个处理器，波动在 2% 以内"),
        ),
    ]
}

fn huge_pages(since_ms: u64, root: &Process, incident: &str) -> Detection {
    let said = Said {
        rule: "mining.hugepages",
        severity: Severity::Medium,
        confidence: 60,
        title: Text::new("It asks for huge pages as miners do", "像挖矿程序那样申请大页"),
        why: Text::new(
            "a private anonymous map of 2080 MiB with MAP_HUGETLB and MAP_POPULATE on descriptor 0",
            "在描述符 0 上以 MAP_HUGETLB 和 MAP_POPULATE 申请了 2080 MiB 的私有匿名映射",
        ),
        advice: Text::new(
            "Look at vm.nr_hugepages and who raised it.",
            "检查 vm.nr_hugepages 以及是谁调高了它。",
        ),
    };
    detection(said, since_ms + 2 * SECOND_MS, Some(root), Some(incident))
}

fn sustained(since_ms: u64, root: &Process, incident: &str) -> Detection {
    let said = Said {
        rule: "mining.sustained-load",
        severity: Severity::Low,
        confidence: 30,
        title: Text::new("High load for five minutes", "高负载持续五分钟"),
        why: Text::new("96 % of 8 processors since the last five minutes", "最近五分钟占用 8 个处理器的 96%"),
        advice: Text::default(),
    };
    detection(said, since_ms + 5 * MINUTE_MS, Some(root), Some(incident))
}

fn busy_encoder(now_ms: u64) -> Detection {
    let root = process(3_120, 1, 1000, "/usr/bin/ffmpeg", &["ffmpeg", "-i", "in.mkv"], now_ms - 5 * HOUR_MS);
    let said = Said {
        rule: "mining.steady-cpu",
        severity: Severity::Low,
        confidence: 20,
        title: Text::new("Steady processor use", "处理器占用平稳"),
        why: Text::new(
            "2.0 processors, steady within 4 % for 10 minutes; alone this is no sign of mining",
            "占用 2.0 个处理器，10 分钟内波动在 4% 以内；单凭这一点不能说明在挖矿",
        ),
        advice: Text::default(),
    };
    detection(said, now_ms - 4 * HOUR_MS, Some(&root), None)
}

fn container_miner_process(since_ms: u64) -> Process {
    let mut root =
        process(21_877, 21_850, 0, "/usr/local/bin/app-worker", &["app-worker", "--threads=2"], since_ms);
    root.inner_pid = Some(7);
    root.origin = Origin::OverlayUpper;
    root.container = Some(Container {
        id: "9d3f0c5b7a1e4f628c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d".to_owned(),
        runtime: "docker".to_owned(),
    });
    root
}

fn container_miner(now_ms: u64) -> Incident {
    let uid = "inc-51b07d2f";
    let since_ms = now_ms - 26 * HOUR_MS;
    let root = container_miner_process(since_ms);
    let helpers = [21_880, 21_881].map(|pid| ProcessKey { pid, start_ticks: u64::from(pid) * 10 });
    let evidence = vec![evidence(
        "mining.stratum",
        Group::Protocol,
        0.95,
        since_ms,
        Text::new("subscribe, authorize and notify of stratum v1", "Stratum v1 的订阅、授权和任务通知"),
    )];
    let said = stratum(Text::new(
        "its first bytes to 203.0.113.80:443 were mining.subscribe",
        "它发往 203.0.113.80:443 的首批字节是 mining.subscribe",
    ));
    let mut login = detection(said, since_ms, Some(&root), Some(uid));
    login.remote = Some(SocketAddr::from(([203, 0, 113, 80], 443)));
    let done = |entry: u64, action: Action| Outcome {
        entry,
        at_ms: since_ms + entry * 3,
        cause: uid.to_owned(),
        action,
        target: root.clone(),
        state: OutcomeState::Done,
    };
    Incident {
        uid: uid.to_owned(),
        since_ms,
        opened_ms: since_ms + 4,
        changed_ms: since_ms + 20,
        state: IncidentState::Contained,
        severity: Severity::High,
        title: Text::new(
            "app-worker (21877) in a docker container mines for 203.0.113.80:443",
            "docker 容器内的 app-worker（21877）正在为 203.0.113.80:443 挖矿",
        ),
        entry: None,
        processes: [root.key].into_iter().chain(helpers).collect(),
        mining: Mining {
            probability: probability(&evidence),
            pool: Some("203.0.113.80:443".to_owned()),
            worker: Some("c7".to_owned()),
            algorithm: Some("kawpow".to_owned()),
            cpu_seconds: 0.4,
            cost: 0.4 / 3_600.0 * PRICE,
            pids: vec![21_877, 21_880, 21_881],
            ..Mining::default()
        },
        evidence,
        findings: vec![login],
        folded: 0,
        outcomes: vec![
            done(1, Action::CutSocket { process: root.key, cookie: 4_711 }),
            done(2, Action::Freeze { process: root.key }),
        ],
        root,
    }
}

fn gpu_miner(now_ms: u64) -> Incident {
    let uid = "inc-08e4f613";
    let since_ms = now_ms - 75 * HOUR_MS;
    let root = process(9_042, 1, 1000, "/home/dev/.cache/python3", &["python3", "train.py"], since_ms);
    let evidence = vec![
        evidence(
            "mining.pool-name",
            Group::Intel,
            0.45,
            since_ms,
            Text::new("it asked for eth.pool.example, a known pool", "查询了已知矿池 eth.pool.example"),
        ),
        evidence(
            "mining.miner-file",
            Group::File,
            0.85,
            since_ms,
            Text::new("the file holds the settings of a GPU miner", "文件中含有显卡挖矿程序的配置"),
        ),
    ];
    let said = Said {
        rule: "mining.pool-name",
        severity: Severity::Medium,
        confidence: 55,
        title: Text::new("It asked for the name of a pool", "查询了矿池域名"),
        why: Text::new("a DNS question for eth.pool.example", "对 eth.pool.example 的 DNS 查询"),
        advice: Text::new("Ask user 1000 what this is.", "请向用户 1000 核实这是什么。"),
    };
    let named = detection(said, since_ms, Some(&root), Some(uid));
    Incident {
        uid: uid.to_owned(),
        since_ms,
        opened_ms: since_ms + MINUTE_MS,
        changed_ms: since_ms + 3 * HOUR_MS,
        state: IncidentState::Closed,
        severity: Severity::High,
        title: Text::new(
            "python3 (9042) probably mined on a graphics card",
            "python3（9042）很可能在用显卡挖矿",
        ),
        entry: None,
        processes: vec![root.key],
        mining: Mining {
            probability: probability(&evidence),
            kind: Kind::Gpu,
            pool: Some("eth.pool.example:4444".to_owned()),
            hash_rate_hs: Some(61_300_000.0),
            estimated: true,
            cpu_seconds: 1_460.0,
            cost: 1_460.0 / 3_600.0 * PRICE,
            pids: vec![root.key.pid],
            ..Mining::default()
        },
        evidence,
        findings: vec![named],
        folded: 2,
        outcomes: Vec::new(),
        root,
    }
}
