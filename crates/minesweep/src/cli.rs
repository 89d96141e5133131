//! The command line: one table feeds the parser, the help in both languages and the dispatch; and the settings that
//! come out of file, environment and flags.
//!
//! Holds no logic of a command; that is in the file of its name.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::ArgMatches;
use minesweep_agent::{Config, SensorChoice};
use minesweep_model::{Lang, Mode};

use crate::{Failure, parser};

/// One subcommand.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it does, English and Chinese.
    pub about: (&'static str, &'static str),
    /// Its own flags and operands.
    pub flags: &'static [Flag],
    /// Which settings it takes as flags.
    pub settings: &'static [&'static Flag],
    /// Runs it; the exit code comes back.
    pub run: fn(&Context) -> Result<u8, Failure>,
}

/// A flag, or an operand when its name begins with a capital letter.
pub struct Flag {
    /// Long name.
    pub name: &'static str,
    /// Name of the value; none for a switch.
    pub value: Option<&'static str>,
    /// Environment variable.
    pub env: Option<&'static str>,
    /// What it does, English and Chinese. A flag that only our own programs use has none, and is not in the help.
    pub help: (&'static str, &'static str),
}

/// Prints JSON lines.
pub const JSON: Flag = Flag {
    name: "json",
    value: None,
    env: None,
    help: ("print one OCSF 1.8 object a line and nothing else", "每行输出一个 OCSF 1.8 对象，不输出其他内容"),
};
/// Prints JSON lines of things that are no findings, for which OCSF has no class.
pub const JSON_OBJECTS: Flag = Flag {
    help: ("print one JSON object a line and nothing else", "每行输出一个 JSON 对象，不输出其他内容"),
    ..JSON
};

const LANG: Flag = Flag {
    name: "lang",
    value: Some("en|zh"),
    env: Some("MINESWEEP_LANG"),
    help: ("language of texts; else from LANG", "文本语言；默认取自 LANG"),
};
const LOG_FORMAT: Flag = Flag {
    name: "log-format",
    value: Some("text|json"),
    env: Some("MINESWEEP_LOG_FORMAT"),
    help: ("form of the log on stderr", "标准错误上日志的格式"),
};
const LOG: Flag = Flag {
    name: "log",
    value: Some("LEVEL"),
    env: Some("MINESWEEP_LOG"),
    help: (
        "how much is logged on stderr: error, warn (default), info, debug",
        "标准错误上的日志级别：error、warn（默认）、info、debug",
    ),
};
const CONFIG: Flag = Flag {
    name: "config",
    value: Some("FILE"),
    env: Some("MINESWEEP_CONFIG"),
    help: (
        "settings file; else /etc/minesweep/minesweep.toml",
        "配置文件；默认 /etc/minesweep/minesweep.toml",
    ),
};
/// What the agent may do.
pub const MODE: Flag = Flag {
    name: "mode",
    value: Some("observe|block|strict"),
    env: Some("MINESWEEP_MODE"),
    help: (
        "observe (default) changes nothing; block stops what is certain; strict also what is likely",
        "observe（默认）不做任何改动；block 阻止确定的挖矿；strict 也阻止可能的挖矿",
    ),
};
/// Which sensor.
pub const SENSOR: Flag = Flag {
    name: "sensor",
    value: Some("auto|bpf|proc"),
    env: Some("MINESWEEP_SENSOR"),
    help: (
        "sensor to use: auto takes bpf where the kernel allows it, else proc",
        "使用的传感器：auto 在内核允许时使用 bpf，否则使用 proc",
    ),
};
/// Price of a processor hour.
pub const PRICE: Flag = Flag {
    name: "price-per-cpu-hour",
    value: Some("NUMBER"),
    env: Some("MINESWEEP_PRICE_PER_CPU_HOUR"),
    help: ("price of one processor for one hour (default 0.04)", "单个处理器每小时的价格（默认 0.04）"),
};
/// Its currency.
pub const CURRENCY: Flag = Flag {
    name: "currency",
    value: Some("CODE"),
    env: Some("MINESWEEP_CURRENCY"),
    help: ("currency of that price (default USD)", "该价格的货币（默认 USD）"),
};
/// Rule bundle.
pub const CONTENT: Flag = Flag {
    name: "content",
    value: Some("DIR"),
    env: Some("MINESWEEP_CONTENT"),
    help: ("rule bundle to use instead of the built-in one", "使用指定的规则包代替内置规则包"),
};
/// Rules from elsewhere.
pub const RULES: Flag = Flag {
    name: "rules",
    value: Some("PATH"),
    env: Some("MINESWEEP_RULES"),
    help: (
        "file or folder of Sigma and YARA rules to use beside the bundle",
        "与规则包一同使用的 Sigma、YARA 规则文件或目录",
    ),
};
/// Exceptions.
pub const EXCEPTIONS: Flag = Flag {
    name: "exceptions",
    value: Some("DIR"),
    env: Some("MINESWEEP_EXCEPTIONS"),
    help: (
        "folder of exceptions (default /etc/minesweep/exceptions)",
        "例外所在目录（默认 /etc/minesweep/exceptions）",
    ),
};
/// Data folder.
pub const DATA_DIR: Flag = Flag {
    name: "data-dir",
    value: Some("DIR"),
    env: Some("MINESWEEP_DATA_DIR"),
    help: (
        "folder of journal and store (default /var/lib/minesweep)",
        "日志与存储所在目录（默认 /var/lib/minesweep）",
    ),
};
/// Run-time folder.
pub const RUNTIME_DIR: Flag = Flag {
    name: "runtime-dir",
    value: Some("DIR"),
    env: Some("MINESWEEP_RUNTIME_DIR"),
    help: (
        "folder of the socket of minesweep-nvml (default /run/minesweep)",
        "minesweep-nvml 套接字所在目录（默认 /run/minesweep）",
    ),
};
/// Address of the console.
pub const LISTEN: Flag = Flag {
    name: "listen",
    value: Some("ADDR:PORT"),
    env: Some("MINESWEEP_LISTEN"),
    help: ("address of the console (default 127.0.0.1:8443)", "控制台地址（默认 127.0.0.1:8443）"),
};

/// What every command takes, also before its name.
pub const COMMON: &[&Flag] = &[&CONFIG, &LANG, &LOG, &LOG_FORMAT];

/// What a subcommand is given.
pub struct Context {
    /// The settings: defaults, then file, then environment and flags.
    pub config: Config,
    /// Language of texts.
    pub lang: Lang,
    matches: ArgMatches,
}

impl Context {
    /// A switch is on.
    pub fn has(&self, name: &str) -> bool {
        self.matches.get_flag(name)
    }

    /// The value of a flag or operand.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.matches.get_one::<String>(name).map(String::as_str)
    }

    /// The value of a flag or operand, as a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from)
    }

    /// A duration such as 90s, 10m or 2h.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, Failure> {
        self.value(name).map(|text| parse_duration(name, text)).transpose()
    }

    /// The sentence in the reader's language.
    pub fn say(&self, en: &'static str, zh: &'static str) -> &'static str {
        pick(self.lang, (en, zh))
    }
}

/// Parses the command line and runs the subcommand; the exit code comes back.
pub fn main(arguments: &[OsString], lang: Lang) -> Result<u8, Failure> {
    let matches = match parser::parser(lang).try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            match parser::chinese(&error).filter(|_| lang == Lang::Zh) {
                Some(text) => eprintln!("{text}"),
                None => error.print().map_err(Failure::other)?,
            }
            return Ok(code);
        }
    };
    let Some((name, matches)) = matches.subcommand() else { return Ok(2) };
    let Some(entry) = crate::COMMANDS.iter().find(|entry| entry.name == name) else { return Ok(2) };
    let text = |flag: &Flag| matches.get_one::<String>(flag.name).map(String::as_str);
    crate::log::start(text(&LOG), text(&LOG_FORMAT))?;
    warn_of_unknown_variables();
    let config = configuration(entry, matches)?;
    (entry.run)(&Context { config, lang, matches: matches.clone() })
}

/// A typing error in a variable's name must not turn a protection off in silence.
fn warn_of_unknown_variables() {
    let flags = crate::COMMANDS.iter().flat_map(|entry| entry.settings.iter()).chain(COMMON);
    let known: Vec<&str> = flags.filter_map(|flag| flag.env).collect();
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("MINESWEEP_") && !known.contains(&name.as_ref()) {
            tracing::warn!(variable = %name, "no setting has this name; see minesweep up --help");
        }
    }
}

fn configuration(entry: &Entry, matches: &ArgMatches) -> Result<Config, Failure> {
    let named = matches.get_one::<String>(CONFIG.name).map(PathBuf::from);
    let mut config = Config::load(named.as_deref()).map_err(Failure::other)?;
    for flag in entry.settings {
        let Some(text) = matches.get_one::<String>(flag.name) else { continue };
        let bad = || refused(&format!("--{}", flag.name), text, flag.value.unwrap_or_default());
        match flag.name {
            "mode" => config.mode = mode(text).ok_or_else(bad)?,
            "sensor" => config.sensor = sensor(text).ok_or_else(bad)?,
            "price-per-cpu-hour" => config.price_per_cpu_hour = text.parse().map_err(|_| bad())?,
            "currency" => config.currency.clone_from(text),
            "listen" => config.listen = text.parse().map_err(|_| bad())?,
            "data-dir" => config.data_dir = PathBuf::from(text),
            "runtime-dir" => config.runtime_dir = PathBuf::from(text),
            "content" => config.content = Some(PathBuf::from(text)),
            "exceptions" => config.exceptions = PathBuf::from(text),
            "rules" => config.rules = Some(PathBuf::from(text)),
            other => return Err(refused(&format!("--{other}"), text, "")),
        }
    }
    check(&config)?;
    Ok(config)
}

/// Values that a type cannot refuse, from file and flags alike.
fn check(config: &Config) -> Result<(), Failure> {
    let price = config.price_per_cpu_hour;
    if !price.is_finite() || price < 0.0 {
        return Err(refused("price_per_cpu_hour", &price.to_string(), "0, 0.04, ..."));
    }
    let currency = &config.currency;
    if currency.is_empty() || currency.len() > 8 || !currency.chars().all(|c| c.is_ascii_graphic()) {
        return Err(refused("currency", currency, "USD, EUR, CNY, ..."));
    }
    for threshold in &config.sustained {
        if !(0.0..=100.0).contains(&threshold.percent) {
            return Err(refused("sustained.percent", &threshold.percent.to_string(), "0 - 100"));
        }
        if !threshold.minutes.is_finite() || threshold.minutes < 0.0 {
            return Err(refused("sustained.minutes", &threshold.minutes.to_string(), "0, 5, ..."));
        }
    }
    Ok(())
}

fn refused(what: &str, value: &str, taken: &str) -> Failure {
    Failure::usage(
        format!("{what} does not take {value:?}; it takes {taken}"),
        format!("{what} 不接受 {value:?}；可以是 {taken}"),
    )
}

fn mode(text: &str) -> Option<Mode> {
    match text {
        "observe" => Some(Mode::Observe),
        "block" => Some(Mode::Block),
        "strict" => Some(Mode::Strict),
        _ => None,
    }
}

fn sensor(text: &str) -> Option<SensorChoice> {
    match text {
        "auto" => Some(SensorChoice::Auto),
        "bpf" => Some(SensorChoice::Bpf),
        "proc" => Some(SensorChoice::Proc),
        _ => None,
    }
}

fn parse_duration(name: &str, text: &str) -> Result<Duration, Failure> {
    let bad = || refused(&format!("--{name}"), text, "90s, 10m, 2h");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(seconds).filter(|n| *n > 0).map(Duration::from_secs).ok_or_else(bad)
}

/// The words of one language.
pub fn pick(lang: Lang, (en, zh): (&'static str, &'static str)) -> &'static str {
    match lang {
        Lang::En => en,
        Lang::Zh => zh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_a_unit_and_refuse_the_rest() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7200)] {
            assert_eq!(parse_duration("for", text).unwrap(), Duration::from_secs(seconds));
        }
        for text in ["", "s", "10", "0s", "-1s", "1d", "18446744073709551615h", "１m"] {
            assert!(parse_duration("for", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_that_is_none_is_refused_from_the_file_too() {
        for text in [
            "price_per_cpu_hour = -1",
            "price_per_cpu_hour = nan",
            "currency = \"\"",
            "currency = \"a\\u001bb\"",
        ] {
            let config: Config = toml::from_str(text).unwrap();
            assert!(check(&config).is_err(), "{text}");
        }
        assert!(check(&Config::default()).is_ok());
        let threshold = "[[sustained]]\nmetric = \"cpu\"\npercent = 101\nminutes = 5\naction = \"alert\"";
        assert!(check(&toml::from_str(threshold).unwrap()).is_err());
    }
}
