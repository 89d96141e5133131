//! Who spreads: counts of `spread`, weighed by who it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use minesweep_model::{Flow, FlowBytes, Process, ProcessKey, Protocol, Said, Severity, Text, Utterance};

use super::{Engine, Output, commands::Telling};
use crate::{
    commands::{self, Language},
    content_rule::Hit,
    ids,
    spread::{FAN_OUT, FAN_OUT_SSH, Fan, METADATA, SCAN, TOR},
    tree::{base_name, is_shared_tool},
};

/// Programs whose work is to turn to many machines: configuration, backup, monitoring, proxies, orchestration.
const TURNERS: [&str; 44] = [
    "ansible",
    "pssh",
    "parallel-ssh",
    "pdsh",
    "clush",
    "mussh",
    "cssh",
    "salt",
    "fab",
    "puppet",
    "chef",
    "terraform",
    "backuppc",
    "rsnapshot",
    "rdiff-backup",
    "bareos",
    "amanda",
    "borg",
    "barman",
    "oxidized",
    "rancid",
    "nagios",
    "icinga",
    "check_by_ssh",
    "zabbix",
    "prometheus",
    "blackbox_exporter",
    "telegraf",
    "metricbeat",
    "consul",
    "kube-apiserver",
    "kubelet",
    "metrics-server",
    "haproxy",
    "envoy",
    "keepalived",
    "pgbouncer",
    "proxysql",
    "pgpool",
    "redis-sentinel",
    "redis-server",
    "mongos",
    "bitcoind",
    "transmission",
];
/// Programs of clouds that read the metadata service, by a part of their path or script.
const CLOUD_AGENTS: [&str; 26] = [
    "cloud-init",
    "cloud-id",
    "amazon-ssm",
    "ssm-agent",
    "amazon-cloudwatch",
    "ec2-",
    "google_guest",
    "google_metadata",
    "google-cloud",
    "gce",
    "waagent",
    "walinuxagent",
    "aliyun",
    "aegis",
    "cloudmonitor",
    "qcloud",
    "tat_agent",
    "barad",
    "sgagent",
    "kubelet",
    "aws-node",
    "aws-k8s",
    "ecs-agent",
    "snapd",
    "NetworkManager",
    "systemd",
];

impl Engine {
    /// A process opens a connection.
    pub(super) fn spreads(&mut self, flow: &Flow, at_ms: u64, out: &mut Vec<Output>) {
        let Some(key) = flow.process.filter(|key| flow.protocol == Protocol::Tcp && !self.is_own(*key))
        else {
            return;
        };
        let ip = flow.remote.ip().to_canonical();
        if is_metadata(ip) && flow.remote.port() == 80 {
            self.reads_metadata(key, flow.remote, at_ms, out);
        }
        if ip.is_loopback() {
            if matches!(flow.remote.port(), 9050 | 9150) {
                self.uses_tor(key, Some(flow.remote), &flow.remote.to_string(), at_ms, out);
            }
            return;
        }
        let session = self.tree.session(key);
        let is_blind = self.host.sensor == "proc";
        if let Some(fan) = self.spread.connect(session, flow, is_blind, at_ms) {
            self.tell_fan(fan, key, at_ms, out);
        }
    }

    /// Another machine connects to this one.
    pub(super) fn is_scanned(&mut self, flow: &Flow, at_ms: u64, out: &mut Vec<Output>) {
        let Some(ports) = self.spread.accepted(flow, at_ms) else { return };
        let rules = self.rules.clone();
        let Some(rule) = rules.coded().get(SCAN) else { return };
        let mut rule = rule.clone();
        rule.severity = Severity::Medium;
        let from = flow.remote.ip().to_canonical();
        let why = Text::new(
            format!("{from} reached {ports} ports of this machine within ten seconds"),
            format!("{from} 在十秒内连接了本机的 {ports} 个端口"),
        );
        // Once an hour for one machine.
        let thing = ids::thing(&format!("{from} {}", at_ms / 3_600_000));
        let hit = Hit { rule: &rule, subject: None, why, remote: Some(flow.remote), thing };
        self.tell_hit(&hit, at_ms, out);
    }

    /// First bytes of a flow.
    pub(super) fn spread_bytes(&mut self, bytes: &FlowBytes) {
        if bytes.direction == minesweep_model::Direction::In {
            self.spread.answered(bytes.cookie);
        }
    }

    /// A name in Tor's network is asked for; the resolvers of the internet do not know it.
    pub(super) fn spread_said(&mut self, said: &Said, at_ms: u64, out: &mut Vec<Output>) {
        if let Utterance::DnsQuestion { name, .. } = &said.utterance
            && name.ends_with(".onion")
            && let Some(key) = self.flows.owner(said)
        {
            self.uses_tor(key, None, name, at_ms, out);
        }
    }

    /// A process is told of a name in Tor's network.
    pub(super) fn spread_argv(&mut self, process: &Process, at_ms: u64, out: &mut Vec<Output>) {
        let is_onion = |word: &&str| word.len() >= 22 && word.ends_with(".onion");
        let words = process.argv.iter().skip(1).take(32).flat_map(|arg| {
            arg.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-')).take(64)
        });
        let found = words.into_iter().find(is_onion).map(str::to_owned);
        if let Some(name) = found {
            self.uses_tor(process.key, None, &name, at_ms, out);
        }
    }

    fn tell_fan(&mut self, fan: Fan, key: ProcessKey, at_ms: u64, out: &mut Vec<Output>) {
        let Fan { rule, port, hosts } = fan;
        let is_turner = self.is_one_of(key, &TURNERS);
        let severity = match (is_turner, self.is_at_terminal(key)) {
            (true, _) => Severity::Low,
            (false, true) => Severity::Medium,
            (false, false) => Severity::High,
        };
        let name =
            self.tree.process(key).map(|process| base_name(&process.exe).to_owned()).unwrap_or_default();
        let span = match rule {
            FAN_OUT_SSH => Text::new("an hour", "一小时"),
            FAN_OUT => Text::new("ten minutes", "十分钟"),
            _scan => Text::new("a minute", "一分钟"),
        };
        let why = Text::new(
            format!(
                "{name} and what runs beside it turned to {hosts} machines on port {port} within {}",
                span.en
            ),
            format!("{name} 所在的会话在{}内连接了 {hosts} 台主机的 {port} 端口", span.zh),
        );
        let what = port.to_string();
        self.tell_command(
            Telling { rule, severity, subject: key, why, remote: None, what: &what },
            at_ms,
            out,
        );
    }

    fn reads_metadata(&mut self, key: ProcessKey, remote: SocketAddr, at_ms: u64, out: &mut Vec<Output>) {
        let Some(process) = self.tree.process(key).cloned() else { return };
        if self.is_one_of(key, &CLOUD_AGENTS) {
            return;
        }
        let is_by_hand = commands::is_fetcher(&process.exe)
            || commands::is_net_pipe(&process.exe)
            || commands::language(&process.exe) == Some(Language::Shell);
        let is_odd = !is_shared_tool(&process)
            && commands::language(&process.exe).is_none()
            && !process.exe.starts_with("/opt/");
        let severity = if self.service_above(key).is_some() && is_by_hand {
            Severity::High
        } else if self.is_at_terminal(key) {
            Severity::Low
        } else if is_by_hand || is_odd {
            Severity::Medium
        } else {
            Severity::Low
        };
        let what = commands::cut(&process.argv.join(" "), 300);
        let why = Text::new(
            format!("the cloud's metadata service, which gives out credentials, is asked by: {what}"),
            format!("云的元数据服务（可给出凭据）被访问：{what}"),
        );
        let what = base_name(&process.exe).to_owned();
        let telling =
            Telling { rule: METADATA, severity, subject: key, why, remote: Some(remote), what: &what };
        self.tell_command(telling, at_ms, out);
    }

    fn uses_tor(
        &mut self,
        key: ProcessKey,
        remote: Option<SocketAddr>,
        what: &str,
        at_ms: u64,
        out: &mut Vec<Output>,
    ) {
        let Some(process) = self.tree.process(key).cloned() else { return };
        let is_packaged =
            ["/usr/lib/apt/", "/usr/bin/tor", "/usr/sbin/tor"].iter().any(|own| process.exe.starts_with(own));
        if is_packaged {
            return;
        }
        let severity = if self.is_at_terminal(key) { Severity::Low } else { Severity::High };
        let name = base_name(&process.exe);
        let why =
            Text::new(format!("{name} goes through Tor: {what}"), format!("{name} 通过 Tor 通信：{what}"));
        self.tell_command(
            Telling { rule: TOR, severity, subject: key, why, remote, what: "tor" },
            at_ms,
            out,
        );
    }

    /// The process, its script or one of its nearest ancestors is one of these.
    fn is_one_of(&self, key: ProcessKey, names: &[&str]) -> bool {
        let own = self.tree.get(key);
        own.into_iter().chain(self.tree.ancestors(key).take(6)).any(|entry| {
            let words = std::iter::once(&entry.process.exe).chain(entry.process.argv.iter().take(3));
            words.into_iter().any(|word| {
                let is_open = word.starts_with("/tmp/")
                    || word.starts_with("/dev/shm/")
                    || word.starts_with("/var/tmp/");
                !is_open && names.iter().any(|name| base_name(word).starts_with(name))
            })
        })
    }
}

/// Addresses at which clouds answer for themselves: link-local of AWS, Google, Azure and most; AWS over IPv6; Aliyun.
fn is_metadata(ip: IpAddr) -> bool {
    const V4: [Ipv4Addr; 2] = [Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(100, 100, 100, 200)];
    const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match ip {
        IpAddr::V4(ip) => V4.contains(&ip),
        IpAddr::V6(ip) => ip == V6,
    }
}
