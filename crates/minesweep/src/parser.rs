//! The parser of the command line, made from the table of commands, and its help and complaints in both languages.
//!
//! Knows no command by name and judges no value; that is `cli`.

use clap::{
    Arg, ArgAction, Command,
    error::{ContextKind, ErrorKind},
};
use minesweep_model::Lang;

use crate::cli::{COMMON, Entry, Flag, pick};

/// What stands around the help of every command.
const HELP: &str = "{about}\n\n{usage-heading}{usage}\n\n{all-args}";

/// Places in a list of options: a command's own come first, then what every command takes, then help.
const AFTER_OWN: usize = 100;
const LAST: usize = 200;

/// The parser, with its help in one language.
pub fn parser(lang: Lang) -> Command {
    let about = ("Finds cryptomining on Linux, shows it and stops it", "发现、展示并阻止 Linux 上的挖矿行为");
    framed(Command::new("minesweep"), lang)
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .about(pick(lang, about))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand_value_name(pick(lang, ("COMMAND", "命令")))
        .subcommand_help_heading(pick(lang, ("Commands", "命令")))
        .args(COMMON.iter().map(|flag| argument(flag, lang).global(true).display_order(AFTER_OWN)))
        .arg(
            Arg::new("version")
                .long("version")
                .short('V')
                .display_order(LAST)
                .action(ArgAction::Version)
                .help(pick(lang, ("print the version", "输出版本"))),
        )
        .subcommands(crate::COMMANDS.iter().map(|entry| subcommand(entry, lang)))
}

fn subcommand(entry: &Entry, lang: Lang) -> Command {
    let flags = entry.flags.iter().chain(entry.settings.iter().copied());
    framed(Command::new(entry.name), lang)
        .about(pick(lang, entry.about))
        .args(flags.map(|flag| argument(flag, lang)))
}

/// A command whose help is in one language throughout.
fn framed(command: Command, lang: Lang) -> Command {
    command
        .help_template(HELP.replace("{usage-heading}", pick(lang, ("Usage: ", "用法："))))
        .disable_help_flag(true)
        .next_help_heading(pick(lang, ("Options", "选项")))
        .arg(
            Arg::new("help")
                .long("help")
                .short('h')
                .display_order(LAST)
                .action(ArgAction::Help)
                .help(pick(lang, ("print this help", "输出此帮助"))),
        )
}

fn argument(flag: &'static Flag, lang: Lang) -> Arg {
    let arg = Arg::new(flag.name).help(pick(lang, flag.help));
    let arg = if flag.name.starts_with(|c: char| c.is_ascii_uppercase()) {
        arg.help_heading(pick(lang, ("Arguments", "参数")))
    } else {
        arg.long(flag.name)
    };
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

/// What clap complains of, in Chinese; none for what is no complaint, or one that clap alone has words for.
pub fn chinese(error: &clap::Error) -> Option<String> {
    let of = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let what = match error.kind() {
        ErrorKind::InvalidValue if of(ContextKind::InvalidValue).is_empty() => {
            format!("{} 需要一个值", of(ContextKind::InvalidArg))
        }
        ErrorKind::InvalidValue => {
            format!("{} 不接受 '{}'", of(ContextKind::InvalidArg), of(ContextKind::InvalidValue))
        }
        ErrorKind::UnknownArgument => format!("未知参数 '{}'", of(ContextKind::InvalidArg)),
        ErrorKind::InvalidSubcommand => format!("未知命令 '{}'", of(ContextKind::InvalidSubcommand)),
        ErrorKind::ArgumentConflict => format!("{} 只能给出一次", of(ContextKind::InvalidArg)),
        ErrorKind::MissingSubcommand => "缺少命令".to_owned(),
        _ => return None,
    };
    let choices = of(ContextKind::ValidValue);
    let choices = if choices.is_empty() { choices } else { format!("；可选：{choices}") };
    Some(format!("minesweep: {what}{choices}；运行 minesweep --help 查看用法"))
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
    fn a_complaint_names_the_object_in_chinese() {
        for (words, wanted) in [
            (vec!["minesweep", "--lang", "zh"], "命令"),
            (vec!["minesweep", "wach"], "wach"),
            (vec!["minesweep", "watch", "--jsn"], "--jsn"),
            (vec!["minesweep", "watch", "--mode", "blok"], "observe, block, strict"),
            (vec!["minesweep", "watch", "--json", "--json"], "--json"),
        ] {
            let error = parser(Lang::Zh).try_get_matches_from(&words).unwrap_err();
            let text = chinese(&error).unwrap();
            assert!(text.contains(wanted), "{words:?}: {text}");
        }
    }

    #[test]
    fn the_help_is_chinese_throughout() {
        for command in crate::COMMANDS {
            let words = ["minesweep", command.name, "--help"];
            let help = parser(Lang::Zh).try_get_matches_from(words).unwrap_err().to_string();
            for english in ["Usage", "Options", "Arguments", "Print"] {
                assert!(!help.contains(english), "{help}");
            }
        }
    }
}
