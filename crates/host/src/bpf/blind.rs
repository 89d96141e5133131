//! What is not seen when the kernel refuses a hook, in words for people: what, why, remedy.

use std::io;

use minesweep_model::{Blind, Text};

use super::load::{Place, Refused};

/// One entry for each thing that a refused hook would have seen.
pub(crate) fn of(refused: &Refused) -> Vec<Blind> {
    let mut out: Vec<Blind> = Vec::new();
    for (hook, cause) in refused {
        for sees in hook.sees {
            if out.iter().all(|known| known.what != *sees) {
                out.push(Blind { what: (*sees).to_owned(), why: why(hook.place, sees, cause) });
            }
        }
    }
    out
}

/// Inside a pid namespace of our own the numbers of the kernel are not those that our /proc shows.
pub(crate) fn of_namespace() -> Option<Blind> {
    /// Inode of the machine's first pid namespace (PROC_PID_INIT_INO).
    const FIRST: &[u8] = b"pid:[4026531836]";
    let own = rustix::fs::readlink("/proc/self/ns/pid", Vec::new());
    if own.is_ok_and(|own| own.as_bytes() == FIRST) {
        return None;
    }
    let why = Text::new(
        "process ids are those of the machine, not of this container; start with the host's pid namespace (--pid host)",
        "进程号是宿主机的，而不是本容器的；请使用宿主机的 PID 命名空间启动（--pid host）",
    );
    Some(Blind { what: "pids".to_owned(), why })
}

fn why(place: Place, sees: &str, cause: &io::Error) -> Text {
    let (what_en, what_zh) = unseen(sees);
    let (remedy_en, remedy_zh) = remedy(place, cause);
    Text::new(format!("{what_en}: {cause}; {remedy_en}"), format!("{what_zh}：{cause}；{remedy_zh}"))
}

fn unseen(sees: &str) -> (&'static str, &'static str) {
    match sees {
        "fork" => ("new processes are not seen until they execute", "新进程在执行程序之前不可见"),
        "exit" => ("the end of processes is not seen", "看不到进程结束"),
        "connect" => ("connections that processes open are not seen", "看不到进程发起的连接"),
        "sender" => (
            "a connection is held to be that of who opened it, though another process may use it",
            "连接一律视为属于打开它的进程，即使由其他进程使用",
        ),
        "dns-process" => (
            "names asked for are seen without the process that asks",
            "看得到域名查询，但不知道由哪个进程发出",
        ),
        "closed" => ("the end of connections is not seen", "看不到连接结束"),
        "bytes" => ("the first bytes of connections are not seen", "看不到连接的首批字节"),
        "rounding" => ("floating point rounding modes are not seen", "看不到浮点舍入模式"),
        "accept" => {
            ("accepted connections are seen without their process", "看得到接受的连接，但不知道属于哪个进程")
        }
        "maps" => ("memory maps of a miner's size are not seen", "看不到挖矿程序大小的内存映射"),
        "msr" => ("writes to model-specific registers are not seen", "看不到对 MSR 寄存器的写入"),
        "settings" => ("writes to huge page settings are not seen", "看不到对大页设置的写入"),
        "files" => ("changes to files and mounts are not seen", "看不到对文件和挂载的改动"),
        _other => ("a hook is missing", "缺少一个内核探针"),
    }
}

fn remedy(place: Place, cause: &io::Error) -> (&'static str, &'static str) {
    match (cause.kind(), place) {
        (io::ErrorKind::NotFound, Place::Cgroup) => (
            "mount cgroup2 (mount -t cgroup2 none /sys/fs/cgroup/unified)",
            "请挂载 cgroup2（mount -t cgroup2 none /sys/fs/cgroup/unified）",
        ),
        (io::ErrorKind::PermissionDenied, _) => (
            "run as root with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, and look for a lockdown or security policy",
            "请以 root 运行并具备 CAP_BPF、CAP_PERFMON、CAP_NET_ADMIN，并检查内核锁定或安全策略",
        ),
        _other => (
            "use Linux 5.8 or newer built with CONFIG_BPF_EVENTS and CONFIG_CGROUP_BPF",
            "请使用 Linux 5.8 或更新版本，并启用 CONFIG_BPF_EVENTS 和 CONFIG_CGROUP_BPF",
        ),
    }
}
