//! Why a command failed, in both languages: one line that names the object and the remedy, then its causes.
//!
//! The English sentence is the error's own; the Chinese one is here, by variant, so that a new variant fails to
//! compile until it has one. What the system or a parser answers stays as it is.

use std::error::Error;

use minesweep_agent::{AgentError, ConfigError, RecordingError};
use minesweep_content::ContentError;
use minesweep_detect::RuleError;
use minesweep_host::SensorError;
use minesweep_model::{Lang, Text};
use minesweep_respond::{FilterError, JournalError, QuarantineError, RespondError};
use minesweep_server::{ServerError, StoreError};
use minesweep_traffic::pcap::PcapError;

/// Why a command failed.
#[derive(Debug)]
pub struct Failure(Text);

impl Failure {
    /// A failure in how the command was called, English and Chinese.
    pub fn usage(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self(Text::new(en, zh))
    }

    /// A failure with its chain of causes.
    pub fn other(error: impl Error + 'static) -> Self {
        let mut text = Text::default();
        let mut next: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = next {
            let is_first = text.en.is_empty();
            let en = error.to_string();
            text.zh.push_str(if is_first { "" } else { "：" });
            text.zh.push_str(chinese(error).as_deref().unwrap_or(&en));
            text.en.push_str(if is_first { "" } else { ": " });
            text.en.push_str(&en);
            next = error.source();
        }
        Self(text)
    }

    /// The line in one language.
    pub fn of(&self, lang: Lang) -> &str {
        self.0.of(lang)
    }
}

/// The sentence of one link of the chain; none for those that are not ours.
fn chinese(error: &(dyn Error + 'static)) -> Option<String> {
    let ours = [
        error.downcast_ref().and_then(agent),
        error.downcast_ref().and_then(respond),
        error.downcast_ref().map(settings),
        error.downcast_ref().map(recording),
        error.downcast_ref().map(content),
        error.downcast_ref().map(rule),
        error.downcast_ref().map(sensor),
        error.downcast_ref().map(capture),
        error.downcast_ref().map(server),
        error.downcast_ref().map(filter),
        error.downcast_ref().map(journal),
        error.downcast_ref().map(store),
    ];
    ours.into_iter().flatten().next()
}

fn agent(error: &AgentError) -> Option<String> {
    Some(match error {
        AgentError::NotRoot => "minesweep 需要看到所有进程；请以 root 身份运行，例如使用 sudo".to_owned(),
        AgentError::Content(_) => {
            "规则包被拒绝；请修正所指出的文件，或去掉 --content 以使用内置规则".to_owned()
        }
        AgentError::Rules(_) => "有规则被拒绝；请修正它，或去掉 --content 以使用内置规则".to_owned(),
        AgentError::Sensor(_) => {
            "所选传感器无法在此运行；请去掉 --sensor，或运行 minesweep doctor 查看原因".to_owned()
        }
        AgentError::System { what, .. } => format!("无法读取 {what}"),
        AgentError::Respond(_) => {
            "该模式需要日志和停止进程的手段；请使用 --mode observe，或消除所列原因".to_owned()
        }
        AgentError::Recording(inner) => return chinese(inner),
        AgentError::Capture { path, .. } => {
            format!("{} 既不是 watch --record 的记录，也不是可读取的抓包文件", path.display())
        }
        AgentError::Exception { rule, reason } => format!("例外 {rule} 被拒绝：{reason}"),
        AgentError::RuleFiles { path, .. } => {
            format!("无法读取规则 {}；请给出规则文件或规则目录", path.display())
        }
    })
}

fn settings(error: &ConfigError) -> String {
    match error {
        ConfigError::Unreadable { path, .. } => {
            format!("无法读取配置文件 {}；请用 --config 指定其他文件，或修正其权限", path.display())
        }
        ConfigError::Malformed { path, .. } => {
            format!("无法理解配置文件 {}；请修正所指出的行", path.display())
        }
    }
}

fn recording(error: &RecordingError) -> String {
    match error {
        RecordingError::Unwritable { path, .. } => {
            format!("无法写入记录 {}；请选择已存在且有空间的目录", path.display())
        }
        RecordingError::NotFile { path } => {
            format!("无法写入记录 {}：它是链接、目录或设备；请指定一个文件，新旧均可", path.display())
        }
        RecordingError::Unreadable { path, .. } => {
            format!("无法读取 {}；请检查名称和权限", path.display())
        }
        RecordingError::Line { path, number, .. } => {
            format!("{} 的第 {number} 行不属于 watch --record 的记录", path.display())
        }
        RecordingError::Record { path, number, .. } => {
            format!("{} 的第 {number} 行不是带 category 和 product 的 Sigma 字段名 JSON 对象", path.display())
        }
        RecordingError::Newer { path, version } => {
            format!("{} 的记录格式为 {version}，比本版本更新；请升级 minesweep", path.display())
        }
    }
}

fn content(error: &ContentError) -> String {
    match error {
        ContentError::Unreadable { path, .. } => format!("无法读取规则包 {path}；请检查它是否存在且可读"),
        ContentError::Broken { path, reason } => format!("规则包文件 {path} 被拒绝：{reason}"),
        ContentError::Newer { found, known } => {
            format!("规则包格式 {found} 比本程序所能读取的 {known} 更新；请升级 minesweep")
        }
        ContentError::TooLarge { path, limit } => {
            format!("规则包 {path} 超过上限 {limit}；请拆分或移除部分规则")
        }
    }
}

fn rule(error: &RuleError) -> String {
    match error {
        RuleError::Broken { path, reason } => format!("规则文件 {path} 被拒绝：{reason}"),
        RuleError::Missing { what } => format!("规则中缺少 {what}；缺少它本程序会有盲区，请安装完整的规则包"),
    }
}

fn sensor(error: &SensorError) -> String {
    match error {
        SensorError::Refused { sensor, what, .. } => format!("{sensor} 传感器无法使用：{what}"),
    }
}

fn capture(error: &PcapError) -> String {
    match error {
        PcapError::NotCapture(start) => {
            format!("该文件不是抓包文件，开头为 {start:02x?}；请给出 pcap 或 pcapng 文件")
        }
        PcapError::LinkType(kind) => {
            format!("不支持链路类型 {kind}；请在以太网、any、tun 或回环接口上抓包")
        }
        PcapError::Broken(at) => format!("抓包文件在第 {at} 字节处损坏；请重新抓包，或用 editcap 截取"),
    }
}

fn respond(error: &RespondError) -> Option<String> {
    Some(match error {
        RespondError::Journal(inner) => return chinese(inner),
        RespondError::Filter(inner) => return chinese(inner),
        RespondError::Proc(_) => "无法读取 /proc；请挂载它（mount -t proc proc /proc）".to_owned(),
        RespondError::NoSuchEntry(id) => format!("日志中没有条目 {id}；运行 minesweep journal 查看现有条目"),
        RespondError::NothingToUndo => "没有可撤销的改动".to_owned(),
        RespondError::Store(inner) => quarantine(inner),
        RespondError::Root { root, .. } => format!("无法将 {} 作为磁盘根目录打开", root.display()),
        RespondError::Marker { path, .. } => {
            format!("无法使用 {}，它记录正在进行的清理", path.display())
        }
        RespondError::Cleaning(pid) => format!("进程 {pid} 正在用此数据目录清理；请等它结束"),
    })
}

fn quarantine(error: &QuarantineError) -> String {
    match error {
        QuarantineError::Io { what, path, .. } => format!("无法使用隔离区中的 {}（{what}）", path.display()),
        QuarantineError::NoSuchItem(item) => {
            format!("隔离区中没有 {item} 号文件；运行 minesweep quarantine list 查看")
        }
        QuarantineError::Newer { item, found } => {
            format!("隔离区 {item} 号文件的版本为 {found}，比本程序更新：请使用更新的程序；该文件保持原样")
        }
        QuarantineError::Damaged(item, why) => format!("隔离区 {item} 号文件已损坏：{why}"),
    }
}

fn filter(error: &FilterError) -> String {
    match error {
        FilterError::NoCgroup2 => {
            "没有挂载 cgroup2，连接可以重置但无法先行拦住；请挂载（mount -t cgroup2 none /sys/fs/cgroup）"
                .to_owned()
        }
        FilterError::Cgroup(_) => "无法打开控制组的根目录".to_owned(),
        FilterError::Refused(_) => {
            "内核拒绝了过滤程序；需要 Linux 5.7 以及 CAP_BPF 和 CAP_NET_ADMIN".to_owned()
        }
        FilterError::Incomplete(part) => format!("过滤程序缺少 {part}；请重新构建 minesweep"),
    }
}

fn journal(error: &JournalError) -> String {
    match error {
        JournalError::Io { what, path, .. } => format!(
            "无法使用日志 {}（{what}）；没有日志就不做任何改动：请清理或重新挂载磁盘，或用 --data-dir 指定其他目录",
            path.display()
        ),
        JournalError::Newer { path, found } => format!(
            "日志 {} 的版本为 {found}，比本程序更新：请使用更新的程序，或用 --data-dir 指定其他目录；该文件保持原样",
            path.display()
        ),
        JournalError::Busy(path) => {
            format!(
                "日志 {} 被其他进程锁定；请结束该进程后重试，或用 --data-dir 指定其他目录",
                path.display()
            )
        }
        JournalError::Full(open) => format!("日志中有 {open} 项未了结的改动；请先撤销一部分"),
    }
}

fn server(error: &ServerError) -> String {
    match error {
        ServerError::PortBusy(port) => format!("端口 {port} 已被占用；请用 --listen 选择其他端口"),
        ServerError::Listen { address, .. } => format!("无法在 {address} 上监听；请用 --listen 选择其他地址"),
        ServerError::DataFolder { path, .. } => {
            format!("无法使用 {}；请检查其属主、权限和磁盘空间，或用 --data-dir 选择其他目录", path.display())
        }
        ServerError::DataFolderBusy(path) => format!(
            "数据目录 {} 正被另一个 minesweep 使用；请停止它，或用 --data-dir 选择其他目录",
            path.display()
        ),
        ServerError::StoreNewer { path, found, known } => format!(
            "存储 {} 的格式为 {found}，本程序最多读取 {known}；请使用更新的程序，或用 --data-dir 选择其他目录",
            path.display()
        ),
        ServerError::StoreForeign(path) => {
            format!("{} 不是 minesweep 的存储；请移走它，或用 --data-dir 选择其他目录", path.display())
        }
        ServerError::Store { path, .. } => {
            format!("无法使用存储 {}；请检查其属主、权限和磁盘空间", path.display())
        }
        ServerError::Certificate { path, .. } => {
            format!("无法使用 {} 中的证书；删除该目录即可生成新证书", path.display())
        }
        ServerError::Random(_) => "内核没有提供随机数".to_owned(),
        ServerError::Serve(_) => "服务器停止了监听".to_owned(),
    }
}

fn store(error: &StoreError) -> String {
    match error {
        StoreError::Database(_) => "数据库拒绝了操作".to_owned(),
        StoreError::Migration(_) => "无法将数据库升级到本程序的格式".to_owned(),
        StoreError::Document(_) => "无法读取已存储的文档".to_owned(),
        StoreError::Random(_) => "内核没有提供随机数".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{io, path::PathBuf};

    use super::*;

    #[test]
    fn a_failure_names_object_remedy_and_cause_in_both_languages() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let inner = RecordingError::Unreadable { path: PathBuf::from("/x"), source: missing };
        let failure = Failure::other(AgentError::Recording(inner));
        assert_eq!(
            failure.of(Lang::En),
            "cannot read /x; check the name and its permissions: entity not found"
        );
        assert_eq!(failure.of(Lang::Zh), "无法读取 /x；请检查名称和权限：entity not found");
    }

    #[test]
    fn a_journal_that_cannot_be_used_names_the_flag_that_chooses_another() {
        let path = PathBuf::from("/x");
        let full = io::Error::from(io::ErrorKind::StorageFull);
        for error in [
            JournalError::Io { what: "write", path: path.clone(), source: full },
            JournalError::Newer { path: path.clone(), found: 9 },
            JournalError::Busy(path),
        ] {
            let failure = Failure::other(error);
            for lang in [Lang::En, Lang::Zh] {
                let text = failure.of(lang);
                assert!(text.contains("/x") && text.contains("--data-dir"), "{text}");
            }
        }
    }

    #[test]
    fn a_cause_that_is_not_ours_keeps_its_words() {
        let failure = Failure::other(io::Error::other("broken"));
        assert_eq!((failure.of(Lang::En), failure.of(Lang::Zh)), ("broken", "broken"));
    }
}
