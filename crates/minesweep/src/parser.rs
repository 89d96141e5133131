//! The parser of the command line, made from the table of commands, and its help and complaints in both languages.
//!
//! Knows no command by name and judges no value; that is `cli`.

use clap::{
    Arg, ArgAction, Command,
    error::{ContextKind, ErrorKind},
};
use minesweep_model::Lang;

use crate::cli::{COMMON, Entry, Flag, pick};

/// Places in a list of options: a command's own come first, then what every command takes, then help.
const AFTER_OWN: usize = 100;
const LAST: usize = 200;

/// The parser, with its help in one language.
pub fn parser(lang: Lang) -> Command {
    let about = ("Finds cryptomining on Linux, shows it and stops it", "发现、展示并阻止 Linux 上的挖矿行为");
    let command = Command::new("minesweep")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .about(pick(lang, about))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand_value_name(pick(lang, ("COMMAND", "命令")))
        .subcommand_help_heading(pick(lang, ("Commands", "命令")))
        .next_help_heading(pick(lang, ("Options", "选项")))
        .args(COMMON.iter().map(|flag| argument(flag, lang).global(true).display_order(AFTER_OWN)))
        .arg(
            Arg::new("version")
                .long("version")
                .short('V')
                .display_order(LAST)
                .action(ArgAction::Version)
                .help(pick(lang, ("print the version", "输出版本"))),
        )
        .subcommands(crate::COMMANDS.iter().map(|entry| subcommand(entry, lang)));
    framed(command, "", lang)
}

fn subcommand(entry: &Entry, lang: Lang) -> Command {
    let flags = entry.flags.iter().chain(entry.settings.iter().copied());
    let command = Command::new(entry.name)
        .about(pick(lang, entry.about))
        .next_help_heading(pick(lang, ("Options", "选项")))
        .args(flags.map(|flag| argument(flag, lang)));
    framed(command, "minesweep ", lang)
}

/// A whole command, whose help is in one language throughout. Clap writes the usage in English alone.
fn framed(command: Command, parent: &str, lang: Lang) -> Command {
    let command = command.disable_help_flag(true).arg(
        Arg::new("help")
            .long("help")
            .short('h')
            .display_order(LAST)
            .action(ArgAction::Help)
            .help(pick(lang, ("print this help", "输出此帮助"))),
    );
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let usage = match lang {
        Lang::En => format!("Usage: {parent}{usage}"),
        Lang::Zh => format!("用法：{parent}{}", usage.replace("[OPTIONS]", "[选项]")),
    };
    command.help_template(format!("{{about}}\n\n{usage}\n\n{{all-args}}"))
}

fn argument(flag: &'static Flag, lang: Lang) -> Arg {
    let help = pick(lang, flag.help);
    let arg = match (flag.env, lang) {
        (Some(variable), Lang::En) => Arg::new(flag.name).help(format!("{help} [env: {variable}]")),
        (Some(variable), Lang::Zh) => Arg::new(flag.name).help(format!("{help} [环境变量：{variable}]")),
        (None, _) => Arg::new(flag.name).help(help).hide(help.is_empty()),
    };
    let arg = if flag.name.starts_with(|c: char| c.is_ascii_uppercase()) {
        arg.help_heading(pick(lang, ("Arguments", "参数")))
    } else {
        arg.long(flag.name)
    };
    let arg = match flag.env {
        Some(variable) => arg.env(variable).hide_env(true),
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
        ErrorKind::InvalidUtf8 => "有参数不是有效的 UTF-8".to_owned(),
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

    fn help(words: &[&str], lang: Lang) -> String {
        parser(lang).try_get_matches_from(words).unwrap_err().to_string()
    }

    #[test]
    fn the_help_is_chinese_throughout() {
        let commands = crate::COMMANDS.iter().map(|command| vec!["minesweep", command.name, "--help"]);
        for words in commands.chain([vec!["minesweep", "--help"], vec!["minesweep"]]) {
            let help = help(&words, Lang::Zh);
            for english in
                ["Usage", "Options", "OPTIONS", "Commands", "COMMAND>", "Arguments", "rint ", "[env"]
            {
                assert!(!help.contains(english), "{english} in {help}");
            }
            assert!(help.contains("用法：minesweep") && help.contains("[选项]"), "{help}");
        }
    }

    #[test]
    fn the_usage_names_the_whole_command_in_both_languages() {
        assert!(help(&["minesweep", "--help"], Lang::En).contains("Usage: minesweep [OPTIONS] <COMMAND>\n"));
        assert!(help(&["minesweep", "watch", "-h"], Lang::En).contains("Usage: minesweep watch [OPTIONS]\n"));
        assert!(help(&["minesweep", "--help"], Lang::Zh).contains("用法：minesweep [选项] <命令>\n"));
    }

    #[test]
    fn what_only_our_own_programs_use_is_not_in_the_help() {
        for lang in [Lang::En, Lang::Zh] {
            let help = help(&["minesweep", "drill", "--help"], lang);
            assert!(help.contains("--json") && !help.contains("--stand-in"), "{help}");
        }
    }
}
