//! Made-up incidents that are only mining.

use std::net::SocketAddr;

use minesweep_model::{
    Action, Container, Detection, Entry, Evidence, Group, Incident, IncidentState, Kind, Mining, Origin,
    Outcome, OutcomeState, Process, ProcessKey, Severity, Text,
};

use crate::parts::{HOUR_MS, MINUTE_MS, PRICE, SECOND_MS, Said, detection, evidence, probability, process};

/// What mining is to ATT&CK.
pub const HIJACKING: [&str; 4] = ["T1496.001", "Compute Hijacking", "TA0040", "Impact"];

/// A wallet of the right length that is nobody's.
pub fn wallet() -> String {
    let mut wallet = format!("4{}", "MinesweepDemo".repeat(8));
    wallet.truncate(95);
    wallet
}

pub fn stratum(why: Text) -> Said<'static> {
    Said {
        rule: "mining.stratum",
        severity: Severity::Critical,
        confidence: 99,
        attacks: &[HIJACKING],
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
        attacks: &[HIJACKING],
        title: Text::new("It computes RandomX", "正在计算 RandomX"),
        why,
        advice: Text::new(
            "Find what started it before you end it: a parent, a timer or a service will start it again.",
            "结束进程之前先找到启动它的东西：父进程、定时任务或服务会把它再次拉起。",
        ),
    }
}

/// How long the miner of the first page has been at it.
pub const WEB_MINER_AGE_MS: u64 = 47 * MINUTE_MS;

fn web_miner_process(since_ms: u64) -> Process {
    let mut root = process(48_213, 48_209, 33, "/tmp/.x/kswapd0", &["./kswapd0", "-c", ".c.json"], since_ms);
    root.cwd = "/tmp/.x".to_owned();
    root.origin = Origin::Deleted;
    root.threads = 9;
    root
}

pub fn web_miner(now_ms: u64) -> Incident {
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
        has_ended: false,
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
        entry: Some(web_miner_entry(since_ms)),
        processes: vec![root.key],
        mining,
        evidence,
        findings: vec![login, compute, huge_pages(since_ms, &root, uid), sustained(since_ms, &root, uid)],
        folded: 11,
        outcomes: Vec::new(),
        root,
    }
}

fn web_miner_entry(since_ms: u64) -> Entry {
    Entry {
        at_ms: since_ms - 2 * SECOND_MS,
        remote: Some(SocketAddr::from(([203, 0, 113, 140], 60_122))),
        text: Text::new(
            "nginx was asked POST /upload.php by 203.0.113.140, and passed it to php-fpm",
            "203.0.113.140 向 nginx 请求了 POST /upload.php，nginx 将其转给 php-fpm",
        ),
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
        attacks: &[HIJACKING],
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
        attacks: &[HIJACKING],
        title: Text::new("High load for five minutes", "高负载持续五分钟"),
        why: Text::new("96 % of 8 processors since the last five minutes", "最近五分钟占用 8 个处理器的 96%"),
        advice: Text::default(),
    };
    detection(said, since_ms + 5 * MINUTE_MS, Some(root), Some(incident))
}

pub fn busy_encoder(now_ms: u64) -> Detection {
    let root = process(3_120, 1, 1000, "/usr/bin/ffmpeg", &["ffmpeg", "-i", "in.mkv"], now_ms - 5 * HOUR_MS);
    let said = Said {
        rule: "mining.steady-cpu",
        severity: Severity::Low,
        confidence: 20,
        attacks: &[HIJACKING],
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

pub fn container_miner(now_ms: u64) -> Incident {
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

pub fn gpu_miner(now_ms: u64) -> Incident {
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
        attacks: &[HIJACKING],
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
