//! Shows the console with made-up data: for its tests, for pictures, and for people who work on it.
//!
//! Opens the real server on loopback in a folder of its own and pushes reports through the same `Feed` that an agent
//! uses. Nothing here is measured, nothing mines and nobody broke in: names, wallets and addresses are made up
//! (192.0.2.0/24, 203.0.113.0/24 and `.example` belong to nobody). Ends when stdin ends.
//!
//! ```text
//! console_demo [--empty] [--listen 127.0.0.1:8443]
//! ```
//! Prints `console: URL`. Each line of stdin is a report in JSON, pushed as it is, or the word `login`, answered by a
//! new `console: URL`.

mod intrusions;
mod miners;
mod parts;

use std::{
    env,
    error::Error,
    io::{BufRead, stdin},
    net::SocketAddr,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use minesweep_model::{Blind, Change, HookCount, Host, Load, Mode, Report, Text};
use minesweep_server::{Config, Feed, Price, Server};
use tokio::sync::mpsc;

use intrusions::{guessed_password, open_redis};
use miners::{WEB_MINER_AGE_MS, busy_encoder, container_miner, gpu_miner, web_miner};
use parts::{PRICE, SECOND_MS};

type Failure = Box<dyn Error + Send + Sync>;

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
    for incident in [
        gpu_miner(now_ms),
        container_miner(now_ms),
        guessed_password(now_ms),
        open_redis(now_ms),
        web_miner(now_ms),
    ] {
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
        exceptions: Vec::new(),
    }
}
