//! `minesweep drill`: a harmless rehearsal. A stand-in logs in to a pool of ours on loopback; it must be seen.
//!
//! Mines nothing, leaves this machine in no way, ends by itself after half a minute, and cleans up.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use minesweep_agent::{Config, Node};
use minesweep_model::{Detection, Mode, Report};

use crate::{
    Failure,
    cli::{CONTENT, Context, Entry, Flag, JSON, SENSOR},
    output::{Form, Printer},
    stop::Stop,
};

/// The subcommand.
pub const ENTRY: Entry = Entry {
    name: "drill",
    about: ("Rehearse with a harmless stand-in for a miner", "用无害的替身演练一次挖矿告警"),
    flags: &[STAND_IN, JSON],
    settings: &[&SENSOR, &CONTENT],
    run,
};

/// With this the drill starts itself again: as the stand-in, which talks to a pool on this loopback port.
const STAND_IN: Flag = Flag { name: "stand-in", value: Some("PORT"), env: None, help: ("", "") };

/// Longest drill.
const LIMIT: Duration = Duration::from_secs(15);

/// What the stand-in gives as its wallet: no wallet at all.
const WALLET: &str = "minesweep-drill-not-a-wallet";

fn run(context: &Context) -> Result<u8, Failure> {
    if let Some(port) = context.value("stand-in") {
        let port =
            port.parse().map_err(|_| Failure::usage("--stand-in takes a port", "--stand-in 需要一个端口"))?;
        return stand_in(port).map(|()| 0).map_err(Failure::other);
    }
    let stop = Stop::on_signals()?;
    let config = Config { mode: Mode::Observe, ..context.config.clone() };
    let mut node = Node::start(&config, None).map_err(Failure::other)?;
    let pool = TcpListener::bind("127.0.0.1:0").map_err(Failure::other)?;
    let port = pool.local_addr().map_err(Failure::other)?.port();
    thread::spawn(move || serve(&pool));
    let mut miner = Miner::start(port)?;
    let form = if context.has("json") { Form::Json } else { Form::Text };
    let mut printer = Printer::new(form, context.lang, &config.currency);
    let (start, mut seen, mut trouble) = (Instant::now(), None, None);
    node.run(&mut || stop.is_set() || start.elapsed() >= LIMIT, &mut |report| {
        if seen.is_none() && is_stand_in(&report, miner.pid()) {
            seen = Some(start.elapsed());
            stop.now();
        }
        trouble = printer.print(&report).err();
    })
    .map_err(Failure::other)?;
    miner.end()?;
    if let Some(error) = trouble {
        return Err(error);
    }
    verdict(context, seen)
}

fn verdict(context: &Context, seen: Option<Duration>) -> Result<u8, Failure> {
    match seen {
        Some(after) => {
            let text = context.say("seen after", "已发现，用时");
            eprintln!(
                "{text} {} ms{}",
                after.as_millis(),
                context.say("; the stand-in was ended", "；替身已结束")
            );
            Ok(0)
        }
        None => {
            eprintln!("{}", context.say("not seen: see minesweep doctor", "未发现：请运行 minesweep doctor"));
            Ok(1)
        }
    }
}

fn is_stand_in(report: &Report, pid: u32) -> bool {
    let is_it = |detection: &Detection| {
        detection.rule == "mining.stratum" && detection.subject.as_ref().is_some_and(|p| p.key.pid == pid)
    };
    match report {
        Report::Detection(detection) => is_it(detection),
        Report::Host(_) | Report::Incident { .. } | Report::Outcome(_) | Report::Load(_) => false,
    }
}

/// The child that plays the miner; ended in any case.
struct Miner(Child);

impl Miner {
    fn start(port: u16) -> Result<Self, Failure> {
        let child = Command::new("/proc/self/exe").args(["drill", "--stand-in", &port.to_string()]).spawn();
        child.map(Self).map_err(Failure::other)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.0.kill().and_then(|()| self.0.wait()).map(drop).map_err(Failure::other)
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|status| status.is_none()) && self.end().is_err() {
            tracing::warn!(pid = self.0.id(), "the stand-in could not be ended; it ends by itself");
        }
    }
}

/// Says the words of a miner to our own pool; burns no time.
fn stand_in(port: u16) -> std::io::Result<()> {
    let mut pool = TcpStream::connect(("127.0.0.1", port))?;
    pool.set_read_timeout(Some(2 * LIMIT))?;
    let login = format!(
        "{{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"login\",\"params\":{{\"login\":\"{WALLET}\",\"pass\":\"x\",\
         \"agent\":\"minesweep-drill/1\",\"algo\":[\"rx/0\"]}}}}\n"
    );
    pool.write_all(login.as_bytes())?;
    let mut answers = BufReader::new(pool).lines();
    while answers.next().transpose()?.is_some() {}
    Ok(())
}

/// A pool that welcomes one miner and gives it work that nobody does.
fn serve(pool: &TcpListener) {
    let Ok((mut miner, _)) = pool.accept() else { return };
    let welcome = "{\"id\":1,\"jsonrpc\":\"2.0\",\"error\":null,\"result\":{\"id\":\"drill\",\"status\":\"OK\",\"job\":\
                   {\"blob\":\"00\",\"job_id\":\"1\",\"target\":\"ffffffff\",\"algo\":\"rx/0\"}}}\n";
    if let Err(error) = miner.write_all(welcome.as_bytes()) {
        tracing::debug!(%error, "the stand-in has gone");
    }
    // Kept open until the stand-in is ended.
    let Err(error) = std::io::copy(&mut miner, &mut std::io::sink()) else { return };
    tracing::debug!(%error, "the stand-in has gone");
}
