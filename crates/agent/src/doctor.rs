//! What this host lets us see: the facts of the machine and a real start of the sensor.

use minesweep_host::{facts, nvml};
use minesweep_model::Text;

pub use minesweep_host::facts::{Check, CheckState};

use crate::{Config, node::FIRST_WORD, sensor};

/// All checks, in the order a person reads them.
pub fn doctor(config: &Config) -> Vec<Check> {
    let mut checks = facts::doctor();
    match sensor::start(config.sensor) {
        Ok(source) => {
            let name = source.name();
            checks.push(Check {
                name: "sensor",
                state: if name == "bpf" { CheckState::Ok } else { CheckState::Degraded },
                text: Text::new(format!("the {name} sensor runs"), format!("{name} 传感器可以运行")),
            });
            let mut nvidia = nvml::Feed::new(&config.runtime_dir);
            nvidia.call(FIRST_WORD);
            let blind = source.blind().into_iter().chain(nvidia.blind());
            checks.extend(blind.map(|blind| Check {
                name: "blind",
                state: CheckState::Degraded,
                text: Text::new(
                    format!("{}: {}", blind.what, blind.why.en),
                    format!("{}：{}", blind.what, blind.why.zh),
                ),
            }));
        }
        Err(error) => checks.push(Check {
            name: "sensor",
            state: CheckState::Missing,
            text: Text::new(format!("no sensor runs: {error}"), format!("没有可用的传感器：{error}")),
        }),
    }
    checks
}
