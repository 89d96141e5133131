//! The checks of `doctor`, one function each.

use minesweep_model::Text;

use crate::{
    facts::{Check, CheckState, exists, kernel},
    nvml,
    proc::{lossy, origin::own_mounts, root},
    sensor,
    sockets::{self, can_destroy},
};

/// What this machine lets us see, one check a line.
pub fn doctor() -> Vec<Check> {
    CHECKS.iter().map(|&(name, look)| look().named(name)).collect()
}

/// Every check, in the order in which they are shown.
const CHECKS: [Row; 14] = [
    ("privileges", privileges),
    ("kernel", kernel_version),
    ("btf", btf),
    ("bpf", bpf),
    ("cgroup2", cgroup2),
    ("process-connector", process_connector),
    ("sock-diag", sock_diag),
    ("sock-destroy", sock_destroy),
    ("fanotify", fanotify),
    ("proc", proc_mount),
    ("own-proc", own_proc),
    ("msr", msr),
    ("gpu", gpu_device),
    ("static", static_binary),
];

type Row = (&'static str, fn() -> Answer);

struct Answer(CheckState, Text);

impl Answer {
    fn named(self, name: &'static str) -> Check {
        Check { name, state: self.0, text: self.1 }
    }
}

fn ok(en: impl Into<String>, zh: impl Into<String>) -> Answer {
    Answer(CheckState::Ok, Text::new(en, zh))
}

fn degraded(en: impl Into<String>, zh: impl Into<String>) -> Answer {
    Answer(CheckState::Degraded, Text::new(en, zh))
}

fn missing(en: impl Into<String>, zh: impl Into<String>) -> Answer {
    Answer(CheckState::Missing, Text::new(en, zh))
}

/// Capabilities that are used, with their numbers of linux/capability.h. CAP_SYS_ADMIN stands for CAP_BPF and
/// CAP_PERFMON, which came with Linux 5.8.
const CAPABILITIES: [(u32, &str); 5] = [
    (2, "CAP_DAC_READ_SEARCH"),
    (5, "CAP_KILL"),
    (12, "CAP_NET_ADMIN"),
    (19, "CAP_SYS_PTRACE"),
    (21, "CAP_SYS_ADMIN"),
];

fn privileges() -> Answer {
    let status = lossy(&root::read("self/status", root::SMALL).unwrap_or_default());
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or_default();
    let lacking: Vec<&str> =
        CAPABILITIES.iter().filter(|&&(bit, _)| effective >> bit & 1 == 0).map(|&(_, name)| name).collect();
    if lacking.is_empty() {
        return ok("all capabilities that are used are there", "所需的能力（capability）齐全");
    }
    let lacking = lacking.join(", ");
    missing(
        format!("not permitted: {lacking}; run as root in the host's own namespaces"),
        format!("缺少权限：{lacking}；请以 root 在主机自身的命名空间中运行"),
    )
}

fn kernel_version() -> Answer {
    let release = kernel();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if version >= (5, 8) {
        return ok(format!("Linux {release}"), format!("Linux {release}"));
    }
    degraded(
        format!("Linux {release} is older than 5.8: no eBPF ring buffer, so the proc sensor is used"),
        format!("Linux {release} 早于 5.8：没有 eBPF 环形缓冲区，将使用 proc 传感器"),
    )
}

fn btf() -> Answer {
    if std::fs::File::open("/sys/kernel/btf/vmlinux").is_ok() {
        return ok("/sys/kernel/btf/vmlinux can be read", "可以读取 /sys/kernel/btf/vmlinux");
    }
    missing(
        "/sys/kernel/btf/vmlinux cannot be read: eBPF programs do not load; use a kernel with CONFIG_DEBUG_INFO_BTF",
        "无法读取 /sys/kernel/btf/vmlinux：eBPF 程序无法加载；请使用启用 CONFIG_DEBUG_INFO_BTF 的内核",
    )
}

/// Makes an array of one element that goes away at once.
fn bpf() -> Answer {
    #[repr(C)]
    struct Map {
        kind: u32,
        key_bytes: u32,
        value_bytes: u32,
        entries: u32,
    }
    let map = Map { kind: 2, key_bytes: 4, value_bytes: 4, entries: 1 };
    // SAFETY: command 0 (BPF_MAP_CREATE) reads as many bytes of `map` as it is told, and keeps no pointer.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, 0, &raw const map, size_of::<Map>()) };
    let Some(fd) = i32::try_from(fd).ok().filter(|&fd| fd >= 0) else {
        let error = std::io::Error::last_os_error();
        return missing(
            format!("the bpf call is refused: {error}; run as root, outside a container that forbids it"),
            format!("bpf 系统调用被拒绝：{error}；请以 root 运行，且不要在禁止它的容器内"),
        );
    };
    // SAFETY: the descriptor was just made for us and nothing else owns it.
    drop(unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) });
    ok("the bpf call works", "bpf 系统调用可用")
}

fn cgroup2() -> Answer {
    let mounts = own_mounts().unwrap_or_default();
    let Some(mount) = mounts.iter().find(|mount| mount.kind == b"cgroup2") else {
        return missing(
            "no unified control group hierarchy is mounted: connections and their bytes are not seen; mount cgroup2",
            "没有挂载统一的 cgroup2 层级：看不到连接及其内容；请挂载 cgroup2",
        );
    };
    let point = lossy(&mount.point);
    if mounts.iter().any(|mount| mount.kind == b"cgroup") {
        return ok(format!("hybrid, unified at {point}"), format!("混合模式，统一层级位于 {point}"));
    }
    ok(format!("unified at {point}"), format!("统一层级位于 {point}"))
}

fn process_connector() -> Answer {
    match sensor::connector_answers() {
        Ok(()) => ok("the kernel tells forks, execs and exits", "内核会通知进程的创建、执行和退出"),
        Err(error) => degraded(
            format!(
                "the process connector is refused: {error}; without eBPF short-lived processes are not seen"
            ),
            format!("进程连接器被拒绝：{error}；没有 eBPF 时看不到短命进程"),
        ),
    }
}

fn sock_diag() -> Answer {
    match sockets::own() {
        Ok(_) => ok("the kernel lists its sockets", "内核可以列出套接字"),
        Err(error) => degraded(
            format!("sockets cannot be listed: {error}; load the modules inet_diag and tcp_diag"),
            format!("无法列出套接字：{error}；请加载 inet_diag 和 tcp_diag 模块"),
        ),
    }
}

fn sock_destroy() -> Answer {
    match can_destroy() {
        Some(true) => ok("connections can be cut", "可以切断连接"),
        Some(false) => missing(
            "the kernel cannot cut a connection (CONFIG_INET_DIAG_DESTROY): the process is stopped instead",
            "内核不能切断连接（缺少 CONFIG_INET_DIAG_DESTROY）：将改为停止进程",
        ),
        None => degraded(
            "whether connections can be cut is not known; run as root",
            "无法确定能否切断连接；请以 root 运行",
        ),
    }
}

fn fanotify() -> Answer {
    // SAFETY: takes two numbers.
    let fd =
        unsafe { libc::fanotify_init(libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC, libc::O_RDONLY as u32) };
    if fd < 0 {
        let error = std::io::Error::last_os_error();
        return degraded(
            format!("files cannot be watched by fanotify: {error}"),
            format!("无法用 fanotify 监视文件：{error}"),
        );
    }
    // SAFETY: the descriptor was just made for us and nothing else owns it.
    drop(unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) });
    ok("files can be watched and held by fanotify", "可以用 fanotify 监视并拦截文件访问")
}

/// How everybody else sees /proc.
fn proc_mount() -> Answer {
    let mounts = own_mounts().unwrap_or_default();
    let Some(top) = mounts.iter().rfind(|mount| mount.point == b"/proc") else {
        return degraded("nothing is mounted at /proc", "/proc 没有挂载");
    };
    let is_restricted =
        lossy(&top.super_options).contains("hidepid") || lossy(&top.options).contains("hidepid");
    let covered = mounts.iter().filter(|mount| mount.point.starts_with(b"/proc/")).count();
    if top.kind != b"proc" {
        let kind = lossy(&top.kind);
        return degraded(
            format!("something of kind {kind} lies over /proc: programs on this machine are lied to"),
            format!("/proc 被 {kind} 覆盖：本机程序看到的是假象"),
        );
    }
    if is_restricted {
        return degraded(
            "/proc is mounted with hidepid; our own view is not affected when own-proc is fine",
            "/proc 以 hidepid 挂载；own-proc 正常时不影响我们的视图",
        );
    }
    ok(format!("plain, {covered} mounts below it"), format!("正常，其下有 {covered} 个挂载"))
}

fn own_proc() -> Answer {
    if root::is_detached() {
        return ok("we read a /proc of our own that nothing can cover", "使用自己的 /proc 视图，无法被覆盖");
    }
    degraded(
        "no /proc of our own (Linux 5.2 and CAP_SYS_ADMIN): what is mounted over /proc/PID hides that process",
        "没有自己的 /proc 视图（需要 Linux 5.2 和 CAP_SYS_ADMIN）：覆盖 /proc/PID 的挂载会隐藏该进程",
    )
}

fn msr() -> Answer {
    if exists("/dev/cpu/0/msr") {
        return ok(
            "/dev/cpu/0/msr is there, writes to it are watched",
            "存在 /dev/cpu/0/msr，会监视对它的写入",
        );
    }
    ok("no MSR device: nobody can tune the processor through it", "没有 MSR 设备：无法借此调整处理器")
}

fn gpu_device() -> Answer {
    if exists(nvml::DEVICE) {
        return ok(
            "use of nvidia cards is told by minesweep-nvml, where it runs",
            "NVIDIA 显卡的用量由 minesweep-nvml 提供（需其正在运行）",
        );
    }
    if exists("/dev/dri") {
        return ok("use of /dev/dri is read from the driver", "从驱动读取 /dev/dri 的用量");
    }
    ok("no graphics processor", "没有图形处理器")
}

fn static_binary() -> Answer {
    let maps = lossy(&root::read("self/maps", 1 << 20).unwrap_or_default());
    let foreign = maps.lines().find(|line| line.contains(".so"));
    match foreign {
        None => ok("no library is loaded into this program", "本程序没有加载任何动态库"),
        Some(line) => {
            let path = line.split_ascii_whitespace().last().unwrap_or_default();
            degraded(
                format!("{path} is loaded: a hostile ld.so.preload could lie to us; use the static build"),
                format!("加载了 {path}：恶意的 ld.so.preload 可能欺骗我们；请使用静态构建"),
            )
        }
    }
}
