//! What the rules of hiding say they saw, in both languages.

use std::net::SocketAddr;

use minesweep_model::{Process, Text};

use super::names::Oddity;

pub(super) fn hidden_process(process: &Process) -> Text {
    let pid = process.key.pid;
    Text::new(
        format!("the kernel runs process {pid} and /proc does not show it to other programs"),
        format!("内核正在运行进程 {pid}，而其他程序在 /proc 中看不到它"),
    )
}

pub(super) fn kernel_thread(shown: &str, exe: &str) -> Text {
    Text::new(
        format!(
            "it goes by the name of a kernel thread, '{shown}', and runs the file {exe}; kernel threads run no file"
        ),
        format!("它使用内核线程的名字“{shown}”，却运行文件 {exe}；内核线程没有可执行文件"),
    )
}

pub(super) fn worn(name: &str, exe: &str) -> Text {
    Text::new(
        format!("it goes by the name of {name} and runs {exe}, where {name} never lies"),
        format!("它使用 {name} 的名字，运行的却是 {exe}；{name} 不会位于该处"),
    )
}

pub(super) fn unowned_service(name: &str, path: &str) -> Text {
    Text::new(
        format!("it runs {path}, the name of the system service {name}, and no package brought that file"),
        format!("它运行 {path}，名称同系统服务 {name}，但该文件不属于任何软件包"),
    )
}

pub(super) fn spoofed(shown: &str, exe: &str) -> Text {
    Text::new(format!("it calls itself '{shown}' and runs {exe}"), format!("它自称“{shown}”，实际运行 {exe}"))
}

pub(super) fn odd_name(name: &str, oddity: Oddity) -> Text {
    // Escaped, so that what cannot be seen is seen, and cannot turn this sentence around.
    let shown = name.escape_debug();
    match oddity {
        Oddity::Dots => Text::new(
            format!("the name '{shown}' ends in dots, like a folder's own entries"),
            format!("名称“{shown}”以多个点结尾，形似目录自身的条目"),
        ),
        Oddity::Blanks => Text::new(
            format!("the name '{shown}' begins or ends with a blank that no listing shows"),
            format!("名称“{shown}”首尾含有列表中看不出的空白"),
        ),
        Oddity::Invisible => Text::new(
            format!("the name '{shown}' has characters that are not shown or turn the text around"),
            format!("名称“{shown}”含有不可见字符或改变文字方向的字符"),
        ),
        Oddity::Switches => Text::new(
            format!("the file name '{shown}' reads as a command with its arguments"),
            format!("文件名“{shown}”看起来像带参数的命令"),
        ),
    }
}

pub(super) fn agent_stopped(agent: &str, command: &str) -> Text {
    Text::new(
        format!("the security or monitoring agent {agent} is stopped or removed: {command}"),
        format!("安全或监控代理 {agent} 被停止或移除：{command}"),
    )
}

pub(super) fn agent_removed(agent: &str, path: &str) -> Text {
    Text::new(
        format!("{path} of the security or monitoring agent {agent} is removed or moved away"),
        format!("安全或监控代理 {agent} 的 {path} 被删除或移走"),
    )
}

pub(super) fn proc_mount(point: &str, what: &str) -> Text {
    Text::new(
        format!(
            "something is mounted over {point} ({what}), so that programs see that instead of the process"
        ),
        format!("{point} 上被挂载了其他内容（{what}），程序看到的不再是真实的进程信息"),
    )
}

pub(super) fn hidepid(value: &str) -> Text {
    Text::new(
        format!(
            "/proc hides the processes of other users (hidepid={value}), and /etc/fstab does not ask for it"
        ),
        format!("/proc 隐藏了其他用户的进程（hidepid={value}），而 /etc/fstab 并未如此要求"),
    )
}

pub(super) fn preload(by: &str, library: &str) -> Text {
    let (en, zh) = if by.starts_with('/') { (by, by) } else { ("its environment", "其环境变量") };
    Text::new(
        format!("{en} makes programs load {library} first, and no package brought that library"),
        format!("{zh} 使程序优先加载 {library}，而该库不属于任何软件包"),
    )
}

pub(super) fn mapped(library: &str, processes: u32, of: u32) -> Text {
    Text::new(
        format!("{library}, which no package brought, is loaded in {processes} of {of} processes"),
        format!("不属于任何软件包的 {library} 被加载到 {of} 个进程中的 {processes} 个"),
    )
}

pub(super) fn replaced(path: &str, package: &str, target: Option<&str>, original: Option<&str>) -> Text {
    let mut text = match target {
        Some(target) => Text::new(
            format!("{path} of package {package} leads to {target}, which no package brought"),
            format!("软件包 {package} 的 {path} 指向不属于任何软件包的 {target}"),
        ),
        None => Text::new(
            format!("{path} is not what package {package} installed"),
            format!("{path} 与软件包 {package} 安装的内容不同"),
        ),
    };
    if let Some(original) = original {
        text.en.push_str(&format!("; the original lies in {original}"));
        text.zh.push_str(&format!("；原文件位于 {original}"));
    }
    text
}

pub(super) fn hidden_module(name: &str, seen_in: &[String], missing_in: &[String]) -> Text {
    let (seen, missing) = (seen_in.join(", "), missing_in.join(", "));
    Text::new(
        format!("the kernel module {name} is named by {seen} and not by {missing}"),
        format!("内核模块 {name} 出现在 {seen}，却不在 {missing} 中"),
    )
}

pub(super) fn module_without_file(name: &str) -> Text {
    Text::new(
        format!("the loaded kernel module {name} has no file below /lib/modules of this kernel"),
        format!("已加载的内核模块 {name} 在当前内核的 /lib/modules 下没有文件"),
    )
}

pub(super) fn unowned_module(name: &str, path: &str) -> Text {
    Text::new(
        format!("the loaded kernel module {name} ({path}) is neither of a package nor built by DKMS"),
        format!("已加载的内核模块 {name}（{path}）不属于任何软件包，也不是 DKMS 构建的"),
    )
}

pub(super) fn taint(bits: u64) -> Text {
    const MEANINGS: [(u64, &str, &str); 4] = [
        (0, "a proprietary module", "专有模块"),
        (1, "a module loaded by force", "强制加载的模块"),
        (12, "a module from outside the kernel", "内核之外的模块"),
        (13, "a module without a signature", "未签名的模块"),
    ];
    let set = || MEANINGS.iter().filter(|(bit, _, _)| bits >> bit & 1 == 1);
    let en: Vec<&str> = set().map(|(_, en, _)| *en).collect();
    let zh: Vec<&str> = set().map(|(_, _, zh)| *zh).collect();
    Text::new(
        format!("the kernel was tainted by {}, and no loaded module is the cause", en.join(", ")),
        format!("内核曾因{}被标记为受污染，而已加载的模块中没有对应者", zh.join("、")),
    )
}

pub(super) fn locked(path: &str, is_immutable: bool) -> Text {
    if is_immutable {
        Text::new(
            format!("{path} is immutable: not even root can change or remove it as it is"),
            format!("{path} 被设为不可变：即使是 root 也无法直接修改或删除"),
        )
    } else {
        Text::new(
            format!("{path} can only be added to: not even root can shorten or remove it as it is"),
            format!("{path} 被设为只可追加：即使是 root 也无法直接截断或删除"),
        )
    }
}

pub(super) fn hidden_socket(local: SocketAddr) -> Text {
    Text::new(
        format!("the kernel listens on {local} and its table in /proc/net leaves that out"),
        format!("内核正在监听 {local}，而 /proc/net 的列表中没有它"),
    )
}

pub(super) fn ownerless_socket(local: SocketAddr) -> Text {
    Text::new(
        format!("no process that can be seen holds the socket that listens on {local}"),
        format!("监听 {local} 的套接字不属于任何可见的进程"),
    )
}
