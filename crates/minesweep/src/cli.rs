//! The command line: one table feeds the parser, the help in both languages and the dispatch.
//!
//! Holds no logic of a command; that is in the file of its name.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, Command};
use minesweep_agent::{Config, SensorChoice};
use minesweep_model::{Lang, Mode};

use crate::Failure;

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
    /// What it does, English and Chinese.
    pub help: (&'static str, &'static str),
}

/// Prints JSON lines.
pub const JSON: Flag = Flag {
    name: "json",
    value: None,
    env: None,
    help: ("print one OCSF 1.8 object a line and nothing else", "每行输出一个 OCSF 1.8 对象，不输出其他内容"),
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
const CONFIG: Flag = Flag {
    name: "config",
    value: Some("FILE"),
    env: Some("MINESWEEP_CONFIG"),
    help: ("settings file", "配置文件"),
};
/// What the agent may do.
pub const MODE: Flag = Flag {
    name: "mode",
    value: Some("observe|block|strict"),
    env: Some("MINESWEEP_MODE"),
    help: (
        "observe changes nothing; block stops what is certain; strict also what is likely",
        "observe 不做任何改动；block 阻止确定的挖矿；strict 也阻止可能的挖矿",
    ),
};
/// Which sensor.
pub const SENSOR: Flag = Flag {
    name: "sensor",
    value: Some("auto|bpf|proc"),
    env: Some("MINESWEEP_SENSOR"),
    help: ("sensor to use", "使用的传感器"),
};
/// Price of a processor hour.
pub const PRICE: Flag = Flag {
    name: "price-per-cpu-hour",
    value: Some("NUMBER"),
    env: Some("MINESWEEP_PRICE_PER_CPU_HOUR"),
    help: ("price of one processor for one hour", "单个处理器每小时的价格"),
};
/// Its currency.
pub const CURRENCY: Flag = Flag {
    name: "currency",
    value: Some("CODE"),
    env: Some("MINESWEEP_CURRENCY"),
    help: ("currency of that price", "该价格的货币"),
};
/// Rule bundle.
pub const CONTENT: Flag = Flag {
    name: "content",
    value: Some("DIR"),
    env: Some("MINESWEEP_CONTENT"),
    help: ("rule bundle to use instead of the built-in one", "使用指定的规则包代替内置规则包"),
};
/// Data folder.
pub const DATA_DIR: Flag = Flag {
    name: "data-dir",
    value: Some("DIR"),
    env: Some("MINESWEEP_DATA_DIR"),
    help: ("folder of journal and store", "日志与存储所在目录"),
};
/// Address of the console.
pub const LISTEN: Flag = Flag {
    name: "listen",
    value: Some("ADDR:PORT"),
    env: Some("MINESWEEP_LISTEN"),
    help: ("address of the console", "控制台地址"),
};

const EVERYWHERE: &[&Flag] = &[&CONFIG, &LANG, &LOG_FORMAT];

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
pub fn main(arguments: impl Iterator<Item = OsString>) -> Result<u8, Failure> {
    let arguments: Vec<OsString> = arguments.collect();
    let lang = spoken_language(&arguments);
    let matches = match parser(lang).try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            error.print().map_err(Failure::other)?;
            return Ok(code);
        }
    };
    let Some((name, matches)) = matches.subcommand() else { return Ok(2) };
    let Some(entry) = crate::COMMANDS.iter().find(|entry| entry.name == name) else { return Ok(2) };
    let config = configuration(entry, matches)?;
    crate::log::start(matches.get_one::<String>("log-format").map(String::as_str))?;
    (entry.run)(&Context { config, lang, matches: matches.clone() })
}

/// The parser, with its help in one language.
pub fn parser(lang: Lang) -> Command {
    let about = ("Finds cryptomining on Linux, shows it and stops it", "发现、展示并阻止 Linux 上的挖矿行为");
    Command::new("minesweep")
        .version(env!("CARGO_PKG_VERSION"))
        .about(pick(lang, about))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(crate::COMMANDS.iter().map(|entry| subcommand(entry, lang)))
}

fn subcommand(entry: &Entry, lang: Lang) -> Command {
    let flags = entry.flags.iter().chain(entry.settings.iter().copied()).chain(EVERYWHERE.iter().copied());
    Command::new(entry.name).about(pick(lang, entry.about)).args(flags.map(|flag| argument(flag, lang)))
}

fn argument(flag: &'static Flag, lang: Lang) -> Arg {
    let arg = Arg::new(flag.name).help(pick(lang, flag.help));
    let arg = if flag.name.starts_with(|c: char| c.is_ascii_uppercase()) { arg } else { arg.long(flag.name) };
    let arg = match flag.env {
        Some(variable) => arg.env(variable).hide_env_values(true),
        None => arg,
    };
    match flag.value {
        None => arg.action(ArgAction::SetTrue),
        Some(value) if value.contains('|') => arg
            .value_name(value)
            .value_parser(value.split('|').collect::<Vec<&'static str>>())
            .hide_possible_values(true),
        Some(value) => arg.value_name(value),
    }
}

fn configuration(entry: &Entry, matches: &ArgMatches) -> Result<Config, Failure> {
    let named = matches.get_one::<String>("config").map(PathBuf::from);
    let mut config = Config::load(named.as_deref()).map_err(Failure::other)?;
    for flag in entry.settings {
        let Some(text) = matches.get_one::<String>(flag.name) else { continue };
        let bad = || {
            Failure::usage(format!(
                "--{} does not take {text:?}; it takes {}",
                flag.name,
                flag.value.unwrap_or("")
            ))
        };
        match flag.name {
            "mode" => config.mode = mode(text).ok_or_else(bad)?,
            "sensor" => config.sensor = sensor(text).ok_or_else(bad)?,
            "price-per-cpu-hour" => {
                config.price_per_cpu_hour = text
                    .parse()
                    .ok()
                    .filter(|price: &f64| price.is_finite() && *price >= 0.0)
                    .ok_or_else(bad)?;
            }
            "currency" => config.currency.clone_from(text),
            "listen" => config.listen = text.parse().map_err(|_| bad())?,
            "data-dir" => config.data_dir = PathBuf::from(text),
            "content" => config.content = Some(PathBuf::from(text)),
            other => return Err(Failure::usage(format!("the flag --{other} sets nothing"))),
        }
    }
    Ok(config)
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
    let bad = || Failure::usage(format!("--{name} does not take {text:?}; it takes 90s, 10m or 2h"));
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

/// The language before the parser exists: `--lang`, `MINESWEEP_LANG`, then the usual variables.
fn spoken_language(arguments: &[OsString]) -> Lang {
    let mut words = arguments.iter().filter_map(|word| word.to_str());
    let mut named = None;
    while let Some(word) = words.next() {
        if word == "--lang" {
            named = words.next().map(str::to_owned);
        } else if let Some(value) = word.strip_prefix("--lang=") {
            named = Some(value.to_owned());
        }
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let named = named.or_else(|| variable("MINESWEEP_LANG")).or_else(|| variable("LC_ALL"));
    let named = named.or_else(|| variable("LC_MESSAGES")).or_else(|| variable("LANG"));
    if named.is_some_and(|name| name.starts_with("zh")) { Lang::Zh } else { Lang::En }
}

fn pick(lang: Lang, (en, zh): (&'static str, &'static str)) -> &'static str {
    match lang {
        Lang::En => en,
        Lang::Zh => zh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_is_sound_in_both_languages() {
        parser(Lang::En).debug_assert();
        parser(Lang::Zh).debug_assert();
    }

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
    fn the_language_is_read_before_the_parser() {
        let words = |list: &[&str]| list.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(spoken_language(&words(&["minesweep", "watch", "--lang", "zh"])), Lang::Zh);
        assert_eq!(spoken_language(&words(&["minesweep", "watch", "--lang=en"])), Lang::En);
    }
}
