//! Sentences for people, in both languages, with the numbers in them.

use std::{collections::BTreeSet, net::SocketAddr};

use minesweep_model::{BigMap, Detection, FileHit, Kind, Mining, MsrWrite, Process, SettingWrite, Text};

use crate::{
    flows::Session,
    load::{Steady, Sustained},
    settings::Metric,
    signs::{MapSigns, MemorySign},
    tree::base_name,
};

/// `name (pid 12)`; the name is the file's, since a process may choose the other one.
fn who(process: &Process) -> Text {
    let name = match base_name(&process.exe) {
        "" if process.comm.is_empty() => {
            return Text::new(format!("process {}", process.key.pid), format!("进程 {} ", process.key.pid));
        }
        "" => &process.comm,
        name => name,
    };
    Text::new(format!("{name} (pid {})", process.key.pid), format!("{name}（进程 {}）", process.key.pid))
}

/// A wallet is long; its ends tell it.
fn short(wallet: &str) -> String {
    let letters: Vec<char> = wallet.chars().collect();
    match (letters.get(..6), letters.len().checked_sub(4).and_then(|from| letters.get(from..))) {
        (Some(head), Some(tail)) if letters.len() > 16 => {
            head.iter().chain(['…'].iter()).chain(tail).collect()
        }
        (Some(_) | None, Some(_) | None) => wallet.to_owned(),
    }
}

/// One sentence: who mines, where to, how sure.
pub(crate) fn incident(root: &Process, mining: &Mining) -> Text {
    let who = who(root);
    let percent = mining.probability * 100.0;
    let (mut en, mut zh) = match mining.kind {
        Kind::Cpu => (format!("{} mines", who.en), format!("{}正在挖矿", who.zh)),
        Kind::Gpu => {
            (format!("{} mines on a graphics processor", who.en), format!("{}正在用显卡挖矿", who.zh))
        }
        Kind::Relay => (format!("{} relays mining", who.en), format!("{}正在转发挖矿流量", who.zh)),
        Kind::WebPage => (format!("a web page in {} mines", who.en), format!("{}中的网页正在挖矿", who.zh)),
    };
    if let Some(algorithm) = &mining.algorithm {
        en += &format!(" {algorithm}");
        zh += &format!("，算法 {algorithm}");
    }
    if let Some(pool) = &mining.pool {
        en += &format!(" for pool {pool}");
        zh += &format!("，矿池 {pool}");
    }
    if let Some(wallet) = &mining.wallet {
        en += &format!(", wallet {}", short(wallet));
        zh += &format!("，钱包 {}", short(wallet));
    }
    // Never 100: the formula cannot reach it, so the sentence must not either.
    let percent = percent.min(99.0);
    Text::new(format!("{en} ({percent:.0} % sure)"), format!("{zh}（把握 {percent:.0}%）"))
}

/// One sentence: what was done besides mining, each thing once, worst first, and by whom.
pub(crate) fn intrusion(root: &Process, findings: &[Detection]) -> Text {
    const SHOWN: usize = 3;
    let who = who(root);
    let mut worst: Vec<&Detection> = findings.iter().collect();
    worst.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut rules = BTreeSet::new();
    worst.retain(|finding| rules.insert(&finding.rule));
    let of = |pick: fn(&Text) -> &str| -> Vec<&str> {
        worst.iter().take(SHOWN).map(|finding| pick(&finding.title)).collect()
    };
    let (en, zh) = (of(|text| &text.en).join("; "), of(|text| &text.zh).join("；"));
    let (more, zh_more) = match worst.len().saturating_sub(SHOWN) {
        0 => (String::new(), String::new()),
        more => (format!("; and {more} more"), format!("；另有 {more} 项")),
    };
    Text::new(format!("{}: {en}{more}", who.en), format!("{}：{zh}{zh_more}", who.zh))
}

pub(crate) fn stratum(pool: &str, session: &Session) -> Text {
    let mut en = format!("it speaks {} to {pool}", session.dialect);
    let mut zh = format!("它用 {} 协议与 {pool} 通信", session.dialect);
    let facts = &session.facts;
    for (value, name, zh_name) in [
        (facts.wallet.value(), "wallet", "钱包"),
        (facts.worker.value(), "worker", "矿工名"),
        (session.agent.as_deref(), "agent", "程序"),
        (facts.algorithm.value(), "algorithm", "算法"),
    ] {
        if let Some(value) = value {
            en += &format!(", {name} {value}");
            zh += &format!("，{zh_name} {value}");
        }
    }
    en += &format!("; the parser is {} % sure", session.confidence);
    zh += &format!("；协议解析把握 {}%", session.confidence);
    Text::new(en, zh)
}

pub(crate) fn relay(pool: &str, session: &Session, inner: &[SocketAddr]) -> Text {
    const SHOWN: usize = 5;
    let mut names: Vec<String> = inner.iter().take(SHOWN).map(ToString::to_string).collect();
    if inner.len() > SHOWN {
        names.push("…".to_owned());
    }
    let names = names.join(", ");
    let said = stratum(pool, session);
    Text::new(
        format!("it is a relay for others, {} so far ({names}); {}", inner.len(), said.en),
        format!("它是中转：有 {} 个地址通过它挖矿（{names}）；{}", inner.len(), said.zh),
    )
}

pub(crate) fn pool_served(local: SocketAddr, remote: SocketAddr) -> Text {
    Text::new(
        format!("it hands out mining work on {local} to {remote}: a pool or a proxy, it does not mine here"),
        format!("它在 {local} 向 {remote} 分发挖矿任务：这是矿池或代理，本身并不挖矿"),
    )
}

pub(crate) fn randomx(samples: [u32; 4]) -> Text {
    let [nearest, down, up, zero] = samples;
    let all: u64 = samples.iter().copied().map(u64::from).sum();
    Text::new(
        format!(
            "in {all} samples of a minute it rounded to nearest {nearest}, down {down}, up {up}, to zero {zero} times; other programs keep to one"
        ),
        format!(
            "一分钟内的 {all} 次采样中，就近舍入 {nearest} 次、向下 {down} 次、向上 {up} 次、向零 {zero} 次；其他程序只用一种"
        ),
    )
}

pub(crate) fn memory(sign: MemorySign, signs: &MapSigns) -> Text {
    let (mut en, mut zh) = match sign {
        MemorySign::Fast => (
            "it holds the RandomX data set (2080 MiB)".to_owned(),
            "它持有 RandomX 数据集（2080 MiB）".to_owned(),
        ),
        MemorySign::Light | MemorySign::None => {
            ("it holds the RandomX cache (256 MiB)".to_owned(), "它持有 RandomX 缓存（256 MiB）".to_owned())
        }
    };
    if signs.scratchpads > 0 {
        en += &format!(", scratchpads of 2 MiB: {}", signs.scratchpads);
        zh += &format!("，2 MiB 暂存区：{}", signs.scratchpads);
    }
    if signs.rwx_maps > 0 {
        en += &format!(", writable executable maps: {}", signs.rwx_maps);
        zh += &format!("，可写可执行内存段：{}", signs.rwx_maps);
    }
    if signs.has_odd_map {
        en += ", huge pages mapped as xmrig does";
        zh += "，大页映射方式与 xmrig 相同";
    }
    Text::new(en, zh)
}

pub(crate) fn register(write: &MsrWrite) -> Text {
    let value = write.value.map_or_else(String::new, |value| format!(" = {value:#x}"));
    let (done, zh_done) =
        if write.is_done { ("", "") } else { ("; the kernel refused it", "；内核拒绝了写入") };
    Text::new(
        format!("it wrote register {:#x}{value}, which switches prefetchers{done}", write.register),
        format!("它写入了控制预取器的寄存器 {:#x}{value}{zh_done}", write.register),
    )
}

pub(crate) fn setting(write: &SettingWrite) -> Text {
    let value = write.value.as_deref().unwrap_or("?").trim();
    Text::new(format!("it wrote {value} to {}", write.path), format!("它向 {} 写入了 {value}", write.path))
}

pub(crate) fn odd_map(map: &BigMap) -> Text {
    let mib = map.length_bytes >> 20;
    Text::new(
        format!(
            "it mapped {mib} MiB of huge pages, filled at once, with descriptor 0 where libraries pass -1"
        ),
        format!("它以描述符 0（常规库为 -1）映射并立即填充了 {mib} MiB 大页内存"),
    )
}

/// Where a pool's name was met.
#[derive(Clone, Copy)]
pub(crate) enum Met {
    DnsQuestion,
    DnsAnswer,
    Tls,
    Http,
}

pub(crate) fn pool_name(met: Met, name: &str, listed: &str, pool: &str) -> Text {
    let (en, zh) = match met {
        Met::DnsQuestion => ("it asked DNS for", "它通过 DNS 查询"),
        Met::DnsAnswer => ("DNS answered it for", "DNS 向它应答"),
        Met::Tls => ("it named in a TLS greeting", "它在 TLS 握手中指明"),
        Met::Http => ("it named in an HTTP request", "它在 HTTP 请求中指明"),
    };
    let of = if pool.is_empty() { String::new() } else { format!(" ({pool})") };
    Text::new(
        format!("{en} {name}; {listed}{of} is on the list of mining pools"),
        format!("{zh} {name}；{listed}{of} 在矿池列表中"),
    )
}

pub(crate) fn file(hit: &FileHit, title: Option<&Text>) -> Text {
    let title = title.cloned().unwrap_or_else(|| Text::new(hit.rule.clone(), hit.rule.clone()));
    Text::new(
        format!("{} matches {} ({})", hit.path, hit.rule, title.en),
        format!("{} 符合规则 {}（{}）", hit.path, hit.rule, title.zh),
    )
}

pub(crate) fn argv_keys(keys: usize) -> Text {
    Text::new(
        format!("its arguments hold {keys} configuration keys of miners"),
        format!("它的参数包含 {keys} 个挖矿配置项"),
    )
}

pub(crate) fn clue(pool: Option<&str>, wallet: Option<&str>, file: Option<&str>) -> Text {
    let from_en = file.map(|path| format!(", from {path}")).unwrap_or_default();
    let from_zh = file.map(|path| format!("，来自 {path}")).unwrap_or_default();
    let wallet = wallet.map(short);
    let (en, zh) = match (pool, wallet) {
        (Some(pool), Some(wallet)) => {
            (format!("the pool {pool} and the wallet {wallet}"), format!("矿池 {pool} 和钱包 {wallet}"))
        }
        (Some(pool), None) => (format!("the pool {pool}"), format!("矿池 {pool}")),
        (None, wallet) => {
            let wallet = wallet.unwrap_or_default();
            (format!("the wallet {wallet}"), format!("钱包 {wallet}"))
        }
    };
    Text::new(format!("it carries {en}{from_en}"), format!("它带有{zh}{from_zh}"))
}

pub(crate) fn hidden_process(processors: f64) -> Text {
    Text::new(
        format!("it is missing from the list of processes and keeps {processors:.1} processors busy"),
        format!("它未出现在进程列表中，却占用了 {processors:.1} 个处理器"),
    )
}

pub(crate) fn hidden_time(processors: f64, cpus: u32) -> Text {
    Text::new(
        format!("{processors:.1} of {cpus} processors are busy with what no visible process does"),
        format!("{cpus} 个处理器中有 {processors:.1} 个的占用不属于任何可见进程"),
    )
}

pub(crate) fn steady(steady: &Steady) -> Text {
    let Steady { processors, variation_percent, forced, chosen } = steady;
    Text::new(
        format!(
            "for 5 minutes it kept {processors:.2} processors busy, varied by {variation_percent:.1} %, and waited {chosen} times by choice and {forced} by force"
        ),
        format!(
            "5 分钟内它占满 {processors:.2} 个处理器，波动 {variation_percent:.1}%，主动等待 {chosen} 次，被动等待 {forced} 次"
        ),
    )
}

pub(crate) fn sustained(load: &Sustained) -> Text {
    let minutes = load.lasted_ms as f64 / 60_000.0;
    let Sustained { percent, threshold, device, .. } = load;
    let (en, zh) = match threshold.metric {
        Metric::Cpu => ("the processors".to_owned(), "处理器".to_owned()),
        Metric::Gpu => (format!("the graphics processor {device}"), format!("显卡 {device}")),
    };
    Text::new(
        format!("{en} were {percent:.0} % busy, over {:.0} % for {minutes:.1} minutes", threshold.percent),
        format!("{zh}占用 {percent:.0}%，已连续 {minutes:.1} 分钟高于 {:.0}%", threshold.percent),
    )
}
