//! `minesweep-nvml`: reads NVIDIA's library for the agent.
//!
//! The agent is static and loads no library; this program is dynamic, does nothing else, and is started by a person or
//! a unit, never by the agent. Why it listens and the agent calls: docs/adr.

mod door;
mod reader;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use door::Door;
use minesweep_model::{Lang, Text};
use nvml_wrapper::error::NvmlError;
use reader::Reader;

/// A round this often: as often as the agent reads processor time.
const EVERY: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let lang = Lang::spoken(arguments.iter().map(String::as_str), |name| std::env::var(name).ok());
    let wish = match wish(&arguments) {
        Ok(wish) => wish,
        Err(why) => return fail(&why, lang),
    };
    match wish {
        Wish::Help => println!("{}", help().of(lang)),
        Wish::Version => println!("minesweep-nvml {}", env!("CARGO_PKG_VERSION")),
        Wish::Serve(folder) => {
            let Err(why) = serve(&folder, lang);
            return fail(&why, lang);
        }
    }
    ExitCode::SUCCESS
}

fn fail(why: &Text, lang: Lang) -> ExitCode {
    eprintln!("minesweep-nvml: {}", why.of(lang));
    ExitCode::from(2)
}

enum Wish {
    Help,
    Version,
    Serve(PathBuf),
}

fn wish(arguments: &[String]) -> Result<Wish, Text> {
    let mut folder = std::env::var_os("MINESWEEP_RUNTIME_DIR").map(PathBuf::from);
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (name, given) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        match name {
            "-h" | "--help" => return Ok(Wish::Help),
            "-V" | "--version" => return Ok(Wish::Version),
            "--runtime-dir" | "--lang" => {
                let value = given.or_else(|| words.next()).ok_or_else(|| {
                    Text::new(format!("{name} needs a value"), format!("{name} 需要一个值"))
                })?;
                if name == "--runtime-dir" {
                    folder = Some(PathBuf::from(value));
                }
            }
            other => {
                return Err(Text::new(
                    format!("unknown argument {other:?}; see minesweep-nvml --help"),
                    format!("未知参数 {other:?}；运行 minesweep-nvml --help 查看用法"),
                ));
            }
        }
    }
    Ok(Wish::Serve(folder.unwrap_or_else(|| PathBuf::from("/run/minesweep"))))
}

fn help() -> Text {
    Text::new(
        "Tells minesweep how NVIDIA cards are used, from NVIDIA's own library. Run it as root beside minesweep.\n\n\
         Usage: minesweep-nvml [OPTIONS]\n\n\
         Options:\n      \
         --runtime-dir <DIR>  folder of the socket (default /run/minesweep) [env: MINESWEEP_RUNTIME_DIR]\n      \
         --lang <en|zh>       language of texts; else from LANG [env: MINESWEEP_LANG]\n  \
         -V, --version            print the version\n  \
         -h, --help               print this help",
        "通过 NVIDIA 自己的动态库向 minesweep 提供显卡用量。请以 root 身份与 minesweep 一同运行。\n\n\
         用法：minesweep-nvml [选项]\n\n\
         选项：\n      \
         --runtime-dir <目录>  套接字所在目录（默认 /run/minesweep）[环境变量：MINESWEEP_RUNTIME_DIR]\n      \
         --lang <en|zh>        文本语言；默认取自 LANG [环境变量：MINESWEEP_LANG]\n  \
         -V, --version             输出版本\n  \
         -h, --help                输出此帮助",
    )
}

/// Serves until it cannot go on.
fn serve(folder: &std::path::Path, lang: Lang) -> Result<std::convert::Infallible, Text> {
    if !rustix::process::geteuid().is_root() {
        return Err(Text::new(
            "the agent listens to root only; run minesweep-nvml as root, for example with sudo",
            "minesweep 只接受来自 root 的数据；请以 root 身份运行 minesweep-nvml，例如使用 sudo",
        ));
    }
    let mut reader = Reader::start().map_err(|error| no_library(&error))?;
    let mut door = Door::open(folder).map_err(|error| no_door(&error))?;
    let ready = Text::new("reading NVIDIA's library", "正在读取 NVIDIA 动态库");
    eprintln!("{} ({})", ready.of(lang), folder.display());
    let mut due = Instant::now() + EVERY;
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if let Some(caller) = door.next(left).map_err(|error| broken(&error))? {
            let hello = reader.hello().map_err(|error| no_library(&error))?;
            if !door.is_asked() {
                reader.round().map_err(|error| no_library(&error))?;
            }
            door.welcome(caller, &hello);
        }
        if due > Instant::now() {
            continue;
        }
        due = Instant::now() + EVERY;
        if door.is_asked() {
            door.tell(&reader.round().map_err(|error| no_library(&error))?);
        }
        if !door.is_asked() {
            reader.rest();
        }
    }
}

fn no_library(error: &NvmlError) -> Text {
    let (en, zh) = match error {
        NvmlError::LibloadingError(_) => (
            "libnvidia-ml.so.1 cannot be loaded; install the library of NVIDIA's driver (Debian: libnvidia-ml1)",
            "无法加载 libnvidia-ml.so.1；请安装 NVIDIA 驱动自带的动态库（Debian：libnvidia-ml1）",
        ),
        _ => (
            "NVIDIA's library does not answer; check with nvidia-smi that the driver is loaded",
            "NVIDIA 动态库没有响应；请用 nvidia-smi 检查驱动是否已加载",
        ),
    };
    Text::new(format!("{en}: {error}"), format!("{zh}：{error}"))
}

fn no_door(error: &door::DoorError) -> Text {
    Text::new(
        format!("{error}; choose another folder with --runtime-dir, for the agent too"),
        format!("{error}；请用 --runtime-dir 为本程序和 minesweep 选择其他目录"),
    )
}

fn broken(error: &std::io::Error) -> Text {
    Text::new(format!("the socket failed: {error}"), format!("套接字出错：{error}"))
}
