//! The compact form of events in cases, and how it becomes events.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use minesweep_model::{
    BigMap, Clue, ClueSource, Container, CpuSample, Event, FileAct, FileEvent, FileHit, FileId, GpuUse,
    HidingFact, HidingSign, Host, Looked, MsrWrite, Origin, Process, ProcessCpu, ProcessKey, Role, Rounding,
    Said, SettingWrite, Stratum, StratumVerb, Utterance, What,
};
use serde::Deserialize;

use super::flow_step::{self, FlowStep};
use super::log_step::LogStep;
use super::stdio_step::StdioStep;

/// The agent's pid in cases.
pub(super) const OWN_PID: u32 = 999;
/// A process that is not described.
pub(super) const PID: u32 = 100;
/// Most events of one case.
const EVENTS_LIMIT: u32 = 5000;

/// One step: when, how often, and exactly one thing that happens.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Step {
    /// Time since the step before, milliseconds.
    after_ms: u64,
    /// How often; `after_ms` apart. 0 and 1 are once.
    times: u32,
    exec: Option<ProcessStep>,
    running: Option<ProcessStep>,
    exit: Option<u32>,
    stratum: Option<StratumStep>,
    named: Option<NamedStep>,
    rounding: Option<RoundingStep>,
    cpu: Option<CpuStep>,
    gpu: Option<GpuStep>,
    map: Option<MapStep>,
    msr: Option<MsrStep>,
    setting: Option<SettingStep>,
    looked: Option<LookedStep>,
    file: Option<FileStep>,
    hiding: Option<HidingStep>,
    log: Option<LogStep>,
    connect: Option<FlowStep>,
    accept: Option<FlowStep>,
    /// Cookie of a connection on which the other side speaks; repetitions count on.
    answered: Option<u64>,
    /// Cookie of a connection that ends; repetitions count on.
    closed: Option<u64>,
}

#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ProcessStep {
    pid: u32,
    parent: u32,
    exe: String,
    argv: Vec<String>,
    cwd: String,
    inode: Option<u64>,
    origin: Origin,
    hidden: bool,
    /// Name as the kernel shows it; not said: that of the file.
    comm: Option<String>,
    /// In a container.
    contained: bool,
}

impl Default for ProcessStep {
    fn default() -> Self {
        Self {
            pid: PID,
            parent: 1,
            exe: "/opt/x/a".to_owned(),
            argv: Vec::new(),
            cwd: String::new(),
            inode: None,
            origin: Origin::Disk,
            hidden: false,
            comm: None,
            contained: false,
        }
    }
}

#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StratumStep {
    pid: u32,
    cookie: u64,
    verb: StratumVerb,
    role: Role,
    confidence: u8,
    dialect: String,
    wallet: Option<String>,
    remote: SocketAddr,
    difficulty: Option<f64>,
}

impl Default for StratumStep {
    fn default() -> Self {
        Self {
            pid: PID,
            cookie: 1,
            verb: StratumVerb::Login,
            role: Role::Client,
            confidence: 95,
            dialect: "cryptonote".to_owned(),
            wallet: None,
            remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)), 3333),
            difficulty: None,
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    Dns,
    Tls,
    Http,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedStep {
    #[serde(default = "pid")]
    pid: u32,
    by: By,
    name: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoundingStep {
    #[serde(default = "pid")]
    pid: u32,
    samples: [u32; 4],
}

#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CpuStep {
    pid: u32,
    /// Milliseconds of the process in a sample of two seconds on two processors.
    cpu_ms: u64,
    /// Of the machine; not said: as much as the process.
    busy_ms: Option<u64>,
    /// Of all visible processes; not said: as much as the machine.
    visible_ms: Option<u64>,
    ended_ms: u64,
    voluntary: u64,
    involuntary: u64,
}

impl Default for CpuStep {
    fn default() -> Self {
        Self {
            pid: PID,
            cpu_ms: 0,
            busy_ms: None,
            visible_ms: None,
            ended_ms: 0,
            voluntary: 0,
            involuntary: 0,
        }
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct GpuStep {
    #[serde(default = "pid")]
    pid: u32,
    percent: u64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct MapStep {
    #[serde(default = "pid")]
    pid: u32,
    mib: u64,
    #[serde(default)]
    huge: bool,
    #[serde(default)]
    populated: bool,
    #[serde(default = "no_fd")]
    fd: i32,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct MsrStep {
    #[serde(default = "pid")]
    pid: u32,
    register: u64,
    value: Option<u64>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingStep {
    #[serde(default = "pid")]
    pid: u32,
    path: String,
    value: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LookedStep {
    pid: Option<u32>,
    exe: Option<String>,
    argv: Vec<String>,
    parent: Option<u32>,
    stdio: Vec<StdioStep>,
    peers: Vec<SocketAddr>,
    pools: Vec<String>,
    wallets: Vec<String>,
    hits: Vec<String>,
    hit_path: Option<String>,
    maps_mib: Vec<u64>,
    rwx_maps: u32,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileStep {
    #[serde(default = "pid")]
    pid: u32,
    act: FileAct,
    path: String,
    other: Option<String>,
    value: Option<u64>,
    #[serde(default)]
    refused: bool,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct HidingStep {
    pid: Option<u32>,
    #[serde(with = "serde_yaml_ng::with::singleton_map_recursive")]
    fact: HidingFact,
}

fn pid() -> u32 {
    PID
}

fn no_fd() -> i32 {
    -1
}

fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_ticks: u64::from(pid) }
}

/// The events of a case, after the machine itself.
pub(super) fn events(steps: &[Step]) -> Result<Vec<Event>, String> {
    let host = Host { boot_id: "case".to_owned(), cpus: 2, ..Host::default() };
    let mut events = vec![Event { at_ms: 0, what: What::Host(host) }];
    let mut at_ms = 0_u64;
    let mut left = EVENTS_LIMIT;
    for (index, step) in steps.iter().enumerate() {
        left =
            left.checked_sub(step.times.max(1)).ok_or(format!("it has more than {EVENTS_LIMIT} events"))?;
        for number in 1..=step.times.max(1) {
            let what =
                step.what(number).map_err(|reason| format!("step {}: {reason}", index.saturating_add(1)))?;
            at_ms = at_ms.saturating_add(step.after_ms);
            events.push(Event { at_ms, what });
        }
    }
    Ok(events)
}

impl Step {
    /// What happens at the repetition of that number, from 1.
    fn what(&self, number: u32) -> Result<What, String> {
        let all = [
            self.exec.as_ref().map(|step| What::Exec(Box::new(step.process()))),
            self.running.as_ref().map(|step| What::Running(Box::new(step.process()))),
            self.exit.map(|pid| What::Exit { process: key(pid) }),
            self.stratum.as_ref().map(StratumStep::what),
            self.named.as_ref().map(NamedStep::what),
            self.rounding
                .as_ref()
                .map(|step| What::Rounding(Rounding { process: key(step.pid), samples: step.samples })),
            self.cpu.as_ref().map(CpuStep::what),
            self.gpu.as_ref().map(GpuStep::what),
            self.map.as_ref().map(MapStep::what),
            self.msr.as_ref().map(MsrStep::what),
            self.setting.as_ref().map(SettingStep::what),
            self.looked.as_ref().map(LookedStep::what),
            self.log.as_ref().map(|step| step.what(number)),
            self.connect.as_ref().map(|step| step.flow(number)).transpose()?.map(What::Connect),
            self.accept.as_ref().map(|step| step.flow(number)).transpose()?.map(What::Accept),
            self.answered.map(|cookie| flow_step::answered(cookie, number)),
            self.closed.map(|cookie| What::Closed {
                cookie: cookie.saturating_add(u64::from(number)).saturating_sub(1),
            }),
            self.file.as_ref().map(FileStep::what),
            self.hiding.as_ref().map(HidingStep::what),
        ];
        let mut given = all.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(what), None) => Ok(what),
            (Some(_), Some(_)) => {
                Err("it has more than one thing that happens; make it two steps".to_owned())
            }
            (None, _) => Err("nothing happens in it".to_owned()),
        }
    }
}

impl ProcessStep {
    fn process(&self) -> Process {
        Process {
            parent_pid: self.parent,
            exe: self.exe.clone(),
            comm: self.comm.clone().unwrap_or_else(|| {
                self.exe.rsplit('/').next().unwrap_or_default().chars().take(15).collect()
            }),
            container: self.contained.then(|| Container { id: "c".repeat(64), runtime: "docker".to_owned() }),
            argv: self.argv.clone(),
            cwd: self.cwd.clone(),
            file: self.inode.map(|inode| FileId { dev: 1, inode }),
            origin: self.origin,
            is_hidden: self.hidden,
            ..Process::unknown(key(self.pid))
        }
    }
}

fn said(pid: u32, cookie: u64, role: Role, remote: SocketAddr, utterance: Utterance) -> What {
    let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 40_000);
    What::Said(Box::new(Said { cookie, process: Some(key(pid)), local, remote, via: None, role, utterance }))
}

impl StratumStep {
    fn what(&self) -> What {
        let stratum = Stratum {
            dialect: self.dialect.clone(),
            verb: self.verb,
            confidence: self.confidence,
            wallet: self.wallet.clone(),
            worker: None,
            agent: None,
            algorithm: None,
            difficulty: self.difficulty,
            reported_hs: None,
            excerpt: String::new(),
        };
        said(self.pid, self.cookie, self.role, self.remote, Utterance::Stratum(Box::new(stratum)))
    }
}

impl NamedStep {
    fn what(&self) -> What {
        let name = self.name.clone();
        let (port, utterance) = match self.by {
            By::Dns => (53, Utterance::DnsQuestion { name, kind: "A".to_owned() }),
            By::Tls => (443, Utterance::Tls { sni: Some(name), alpn: Vec::new(), ja4: String::new() }),
            By::Http => {
                let method = "GET".to_owned();
                (80, Utterance::Http { method, path: "/".to_owned(), host: Some(name), agent: None })
            }
        };
        let remote = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 53)), port);
        said(self.pid, u64::from(self.pid), Role::Client, remote, utterance)
    }
}

impl CpuStep {
    fn what(&self) -> What {
        let busy_ms = self.busy_ms.unwrap_or(self.cpu_ms);
        let process = ProcessCpu {
            process: key(self.pid),
            cpu_ms: self.cpu_ms,
            total_ms: self.cpu_ms,
            threads: 2,
            voluntary: self.voluntary,
            involuntary: self.involuntary,
            rss_kib: 0,
        };
        What::Cpu(CpuSample {
            over_ms: 2000,
            busy_ms,
            cpus: 2,
            ended_ms: self.ended_ms,
            processes: if self.cpu_ms > 0 { vec![process] } else { Vec::new() },
            visible_ms: self.visible_ms.unwrap_or(busy_ms),
        })
    }
}

impl GpuStep {
    fn what(&self) -> What {
        let busy_ms = self.percent.saturating_mul(20);
        What::Gpu(GpuUse { process: key(self.pid), device: "gpu0".to_owned(), busy_ms, over_ms: 2000 })
    }
}

impl MapStep {
    fn what(&self) -> What {
        What::BigMap(BigMap {
            process: key(self.pid),
            length_bytes: self.mib << 20,
            is_huge: self.huge,
            is_populated: self.populated,
            fd: self.fd,
        })
    }
}

impl MsrStep {
    fn what(&self) -> What {
        let Self { pid, register, value } = *self;
        What::MsrWrite(MsrWrite { process: key(pid), register, value, is_done: true })
    }
}

impl SettingStep {
    fn what(&self) -> What {
        let value = Some(self.value.clone());
        What::SettingWrite(SettingWrite { process: key(self.pid), path: self.path.clone(), value })
    }
}

impl LookedStep {
    fn what(&self) -> What {
        let process = ProcessStep {
            pid: self.pid.unwrap_or(PID),
            exe: self.exe.clone().unwrap_or_else(|| ProcessStep::default().exe),
            argv: self.argv.clone(),
            parent: self.parent.unwrap_or(1),
            ..ProcessStep::default()
        };
        let path = self.hit_path.clone().unwrap_or_else(|| process.exe.clone());
        let hit = |rule: &String| FileHit {
            rule: rule.clone(),
            path: path.clone(),
            origin: Origin::Disk,
            is_beside: false,
        };
        let pools = self.pools.iter().map(|pool| Clue::Pool(pool.clone(), ClueSource::Memory));
        let wallets = self.wallets.iter().map(|wallet| Clue::Wallet(wallet.clone(), ClueSource::Memory));
        What::Looked(Box::new(Looked {
            process: process.process(),
            peers: self.peers.clone(),
            clues: pools.chain(wallets).collect(),
            hits: self.hits.iter().map(hit).collect(),
            sha256: None,
            maps_bytes: self.maps_mib.iter().map(|mib| mib << 20).collect(),
            rwx_maps: self.rwx_maps,
            unread: Vec::new(),
            stdio: self.stdio.iter().map(StdioStep::stdio).collect(),
        }))
    }
}

impl FileStep {
    fn what(&self) -> What {
        What::File(Box::new(FileEvent {
            process: key(self.pid),
            act: self.act,
            path: self.path.clone(),
            other: self.other.clone(),
            file: None,
            value: self.value,
            is_done: !self.refused,
            mounts: None,
            name: None,
        }))
    }
}

impl HidingStep {
    fn what(&self) -> What {
        What::Hiding(Box::new(HidingSign { process: self.pid.map(key), fact: self.fact.clone() }))
    }
}
