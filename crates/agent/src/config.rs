//! The settings of a node: one TOML file, each key also a flag or a `MINESWEEP_*` variable.
//!
//! An unknown key is refused by name, so that a typing error never turns a protection off in silence.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use minesweep_detect::{AccessSettings, SustainedThreshold};
use minesweep_model::Mode;
use serde::{Deserialize, Serialize};

/// Where the settings are read from when nothing else is named.
pub const DEFAULT_PATH: &str = "/etc/minesweep/minesweep.toml";

/// Which sensor to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SensorChoice {
    /// eBPF where the kernel allows it, else the process connector.
    #[default]
    Auto,
    /// eBPF or nothing.
    Bpf,
    /// Process connector, /proc and socket tables.
    Proc,
}

/// All settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What the agent may do by itself.
    pub mode: Mode,
    /// Which sensor.
    pub sensor: SensorChoice,
    /// Price of one processor for one hour.
    pub price_per_cpu_hour: f64,
    /// Currency of the price, three letters.
    pub currency: String,
    /// Load thresholds with an action each.
    pub sustained: Vec<SustainedThreshold>,
    /// Which logs are read.
    pub logs: Logs,
    /// When logins are told.
    pub access: AccessSettings,
    /// Address of the console.
    pub listen: SocketAddr,
    /// Where journal and store are kept.
    pub data_dir: PathBuf,
    /// Where programs beside the agent have their sockets.
    pub runtime_dir: PathBuf,
    /// Rule bundle to use instead of the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<PathBuf>,
    /// File or folder of rules from elsewhere, in Sigma and YARA, to use beside the bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<PathBuf>,
    /// Folder of exceptions; none when empty.
    pub exceptions: PathBuf,
}

/// Logs that are read besides those in their usual places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logs {
    /// Files.
    pub files: Vec<LogFile>,
}

/// A log file of one's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFile {
    /// Its path; one that ends in `.journal` is read as a journal of systemd.
    pub path: PathBuf,
    /// Who logs there, where lines do not say: `sshd` for a file that `sshd -E` writes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program: String,
}

impl Default for Config {
    fn default() -> Self {
        let engine = minesweep_detect::Settings::default();
        Self {
            mode: Mode::Observe,
            sensor: SensorChoice::Auto,
            price_per_cpu_hour: engine.price_per_cpu_hour,
            currency: engine.currency,
            sustained: engine.sustained,
            logs: Logs::default(),
            access: engine.access,
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            data_dir: PathBuf::from("/var/lib/minesweep"),
            runtime_dir: PathBuf::from("/run/minesweep"),
            content: None,
            rules: None,
            exceptions: PathBuf::from("/etc/minesweep/exceptions"),
        }
    }
}

impl Config {
    /// Reads the settings file. Without a named path the default file may be absent.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or has a key or value that is not known.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_PATH));
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound && named.is_none() => return Ok(Self::default()),
            Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
        };
        toml::from_str(&text)
            .map_err(|source| ConfigError::Malformed { path: path.to_owned(), source: Box::new(source) })
    }

    /// The part the detection engine needs. `own_pid` is the agent itself: never judged, never acted on.
    pub fn engine(&self, own_pid: Option<u32>) -> minesweep_detect::Settings {
        minesweep_detect::Settings {
            price_per_cpu_hour: self.price_per_cpu_hour,
            currency: self.currency.clone(),
            sustained: self.sustained.clone(),
            access: self.access.clone(),
            own_pid,
            ..minesweep_detect::Settings::default()
        }
    }
}

/// Why settings are not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings file {path}; name another with --config or mend its permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A key or value is wrong.
    #[error("the settings file {path} is not understood; correct the line it names")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The parser's answer, with line and key.
        #[source]
        source: Box<toml::de::Error>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("minesweep.toml");
        fs::write(&path, text).unwrap();
        Config::load(Some(&path)).map_err(|e| {
            let cause = std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default();
            format!("{e}: {cause}")
        })
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        assert_eq!(load("").unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = load("mdoe = \"block\"").unwrap_err();
        assert!(error.contains("mdoe") && error.contains("minesweep.toml"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_refused_by_name() {
        let error = load("mode = \"blok\"").unwrap_err();
        assert!(error.contains("blok") && error.contains("block"), "{error}");
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_but_the_default_one_may_be_absent() {
        let missing = Path::new("/nonexistent/minesweep.toml");
        assert!(matches!(Config::load(Some(missing)), Err(ConfigError::Unreadable { .. })));
    }

    #[test]
    fn logs_and_thresholds_of_logins_are_settings() {
        let config = load(
            "[logs]\nfiles = [{ path = \"/srv/ssh.log\", program = \"sshd\" }]\n\
             [access]\nfailures = 3\nallow = [\"10.1.0.0/16\"]\n",
        )
        .unwrap();
        assert_eq!(config.logs.files[0].program, "sshd");
        assert_eq!((config.access.failures, config.access.allow.len()), (3, 1));
        assert!(load("[access]\nallow = [\"10.1/16\"]").unwrap_err().contains("10.1/16"));
    }

    #[test]
    fn settings_survive_a_round_trip() {
        let config = Config { mode: Mode::Block, price_per_cpu_hour: 0.05, ..Config::default() };
        assert_eq!(load(&toml::to_string(&config).unwrap()).unwrap(), config);
    }
}
