//! Agents of cloud vendors and our own: what they are called, where they live, and who takes them away.

use minesweep_model::{FileAct, FileEvent, Process};

use super::{AGENT_REMOVED, Sign, places::starts_with_any, words};
use crate::tree::base_name;

/// A program that watches the machine for its owner.
struct Agent {
    /// Its name for people.
    name: &'static str,
    /// Its processes.
    programs: &'static [&'static str],
    /// Its folders.
    folders: &'static [&'static str],
    /// Its units.
    units: &'static [&'static str],
}

const AGENTS: [Agent; 11] = [
    Agent {
        name: "aegis",
        programs: &[
            "AliYunDun",
            "AliYunDunMonitor",
            "AliYunDunUpdate",
            "AliSecGuard",
            "AliHips",
            "AliDetect",
        ],
        folders: &["/usr/local/aegis/", "/usr/local/share/assist-daemon/", "/usr/local/share/aliyun-assist/"],
        units: &["aegis", "aliyun", "assist_daemon", "aliyun-service", "AssistDaemon"],
    },
    Agent {
        name: "CloudMonitor",
        programs: &["argusagent", "CmsGoAgent.linux-amd64", "CmsGoAgent-Worker.linux-amd64"],
        folders: &["/usr/local/cloudmonitor/"],
        units: &["cloudmonitor"],
    },
    Agent {
        name: "YunJing",
        programs: &["YDService", "YDLive", "YDEdr", "YDPython"],
        folders: &["/usr/local/qcloud/YunJing/"],
        units: &["YDService", "YDLive", "ydservice"],
    },
    Agent {
        name: "qcloud",
        programs: &["sgagent", "barad_agent", "tat_agent"],
        folders: &["/usr/local/qcloud/"],
        units: &["tat_agent", "stargate", "barad_agent"],
    },
    Agent {
        name: "hostguard",
        programs: &["hostguard", "hostwatch"],
        folders: &["/usr/local/hostguard/"],
        units: &["hostguard"],
    },
    Agent {
        name: "uniagent",
        programs: &["uniagent", "uniagentd"],
        folders: &["/usr/local/uniagent/", "/usr/local/telescope/"],
        units: &["uniagent", "uniagentd", "telescoped"],
    },
    Agent {
        name: "bcm-agent",
        programs: &["bcm-agent", "bcm-si", "hosteye"],
        folders: &["/opt/bcm-agent/", "/opt/avalokita/", "/opt/hosteye/"],
        units: &["bcm-agent", "bcm-si", "hosteye", "avalokita"],
    },
    Agent {
        name: "amazon-ssm-agent",
        programs: &["amazon-ssm-agent", "ssm-agent-worker"],
        folders: &["/snap/amazon-ssm-agent/"],
        units: &["amazon-ssm-agent"],
    },
    Agent {
        name: "google-guest-agent",
        programs: &["google_guest_agent", "google_osconfig_agent"],
        folders: &[],
        units: &["google-guest-agent", "google-osconfig-agent"],
    },
    Agent {
        name: "falcon-sensor",
        programs: &["falcon-sensor", "falcond"],
        folders: &["/opt/CrowdStrike/"],
        units: &["falcon-sensor"],
    },
    Agent {
        name: "minesweep",
        programs: &["minesweep"],
        folders: &["/var/lib/minesweep/", "/etc/minesweep/"],
        units: &["minesweep"],
    },
];

/// Programs that put packages on the machine and take them away.
const PACKAGE_TOOLS: [&str; 12] = [
    "dpkg",
    "apt",
    "apt-get",
    "rpm",
    "yum",
    "dnf",
    "zypper",
    "pacman",
    "apk",
    "snapd",
    "unattended-upgr",
    "minesweep",
];

/// Words before a command that only say how it runs.
const CARRIERS: [&str; 7] = ["sudo", "nohup", "exec", "setsid", "env", "timeout", "command"];

/// The agent that has a program of this name, and its folders. Ours runs under any path.
pub(super) fn program(name: &str) -> Option<(&'static str, &'static [&'static str])> {
    AGENTS
        .iter()
        .filter(|agent| agent.name != "minesweep")
        .find(|agent| agent.programs.contains(&name))
        .map(|agent| (agent.name, agent.folders))
}

/// The agent that a command line stops or takes away, and the command.
pub(super) fn stop(process: &Process) -> Option<(&'static str, String)> {
    // An agent restarts and updates itself; `minesweep uninstall` is asked for by name.
    if AGENTS.iter().any(|agent| agent.programs.contains(&base_name(&process.exe))) {
        return None;
    }
    let line = process.argv.join(" ");
    line.split([';', '|', '&', '\n']).find_map(|command| {
        let mut words = command
            .split_whitespace()
            .map(|word| word.trim_matches(['"', '\'']))
            .skip_while(|word| CARRIERS.contains(&base_name(word)) || word.contains('='));
        let mut verb = words.next()?;
        let rest: Vec<&str> = words.collect();
        let mut rest = rest.as_slice();
        // `sh -c "command"` and `sh script`: the word after the shell and its switches is the command.
        while matches!(base_name(verb), "sh" | "bash" | "dash" | "ash" | "zsh") {
            let at = rest.iter().position(|word| !word.starts_with('-'))?;
            verb = rest.get(at).copied()?;
            rest = rest.get(at.saturating_add(1)..)?;
        }
        AGENTS
            .iter()
            .find(|agent| is_stop(agent, verb, rest))
            .map(|agent| (agent.name, command.trim().to_owned()))
    })
}

fn is_stop(agent: &Agent, verb: &str, rest: &[&str]) -> bool {
    let names = |word: &&str| {
        let name = base_name(word).trim_end_matches(".service");
        agent.units.contains(&name) || agent.programs.contains(&name)
    };
    let in_folder = |word: &&str| agent.folders.iter().any(|folder| is_in(word, folder));
    match base_name(verb) {
        "systemctl" | "service" | "chkconfig" | "rc-service" | "update-rc.d" | "initctl" => {
            let ends = ["stop", "disable", "mask", "kill", "off", "remove", "--del"];
            rest.iter().any(|word| ends.contains(word)) && rest.iter().any(names)
        }
        "killall" | "pkill" | "kill" | "skill" => rest.iter().any(names),
        "rm" | "mv" | "unlink" | "shred" | "chattr" => rest.iter().any(in_folder),
        // The vendor's own way out, fetched or run where it lies.
        "curl" | "wget" => {
            let is_exit =
                |word: &&str| word.contains("uninst") && agent.units.iter().any(|unit| word.contains(unit));
            rest.iter().any(is_exit)
        }
        script => {
            script.contains("uninst")
                && std::iter::once(&verb).chain(rest).any(|word| in_folder(word) || names(word))
        }
    }
}

fn is_in(path: &str, folder: &str) -> bool {
    path.starts_with(folder) || path.trim_end_matches(['/', '*']) == folder.trim_end_matches('/')
}

/// A file of an agent is removed or moved away by somebody else.
pub(crate) fn removal(event: &FileEvent, who: Option<&Process>) -> Option<Sign> {
    if !matches!(event.act, FileAct::Remove | FileAct::Rename) || !event.is_done {
        return None;
    }
    let exe = who.map(|process| process.exe.as_str())?;
    let agent = AGENTS.iter().find(|agent| agent.folders.iter().any(|folder| is_in(&event.path, folder)))?;
    let is_its_own = starts_with_any(exe, agent.folders) || agent.programs.contains(&base_name(exe));
    let is_program = !event.path.contains("/log") && !event.path.ends_with(".tmp");
    (!is_its_own && is_program && !PACKAGE_TOOLS.contains(&base_name(exe)))
        .then(|| Sign::new(AGENT_REMOVED, agent.name, words::agent_removed(agent.name, &event.path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::process;

    fn stopped(words: &[&str]) -> Option<&'static str> {
        let mut one = process(5, 1, "/usr/bin/x");
        one.argv = words.iter().map(|word| (*word).to_owned()).collect();
        stop(&one).map(|(agent, _)| agent)
    }

    #[test]
    fn each_way_to_end_an_agent_is_understood() {
        assert_eq!(stopped(&["systemctl", "stop", "aegis.service"]), Some("aegis"));
        assert_eq!(stopped(&["service", "YDService", "stop"]), Some("YunJing"));
        assert_eq!(stopped(&["sudo", "pkill", "-9", "AliYunDun"]), Some("aegis"));
        assert_eq!(stopped(&["rm", "-rf", "/usr/local/aegis"]), Some("aegis"));
        assert_eq!(stopped(&["sh", "-c", "cd /; rm -rf /usr/local/qcloud/YunJing/*"]), Some("YunJing"));
        assert_eq!(stopped(&["bash", "/usr/local/qcloud/stargate/admin/uninstall.sh"]), Some("qcloud"));
        assert_eq!(stopped(&["/opt/bcm-agent/uninstall.sh"]), Some("bcm-agent"));
        assert_eq!(stopped(&["wget", "http://a.invalid/aegis/uninstall.sh"]), Some("aegis"));
        assert_eq!(stopped(&["killall", "minesweep"]), Some("minesweep"));
    }

    #[test]
    fn what_only_names_an_agent_does_not_end_it() {
        for words in [
            &["systemctl", "status", "aegis"][..],
            &["systemctl", "restart", "aegis"],
            &["ls", "/usr/local/aegis"],
            &["cat", "/usr/local/aegis/uninstall.sh"],
            &["rm", "-rf", "/usr/local/aegis-old"],
            &["grep", "uninstall", "/tmp/x"],
            &["pkill", "aegis2"],
            &["rm", "/usr/bin/x"],
            &["sh"],
            &["sh", "-c"],
            &[],
        ] {
            assert_eq!(stopped(words), None, "{words:?}");
        }
    }
}
