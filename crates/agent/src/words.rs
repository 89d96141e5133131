//! Actions in words.

use minesweep_model::{Action, Text, clean::Remedy};

/// What an action does to its process, as a verb.
pub fn action_text(action: &Action) -> Text {
    match action {
        Action::Freeze { .. } => Text::new("freeze", "冻结"),
        Action::Thaw { .. } => Text::new("thaw", "解冻"),
        Action::Kill { .. } => Text::new("kill", "结束"),
        Action::CutSocket { .. } => Text::new("cut the connection of", "切断连接"),
        Action::Disk { remedy, .. } => match **remedy {
            Remedy::Quarantine { .. } => Text::new("quarantine", "隔离"),
            Remedy::Restore { .. } => Text::new("put back", "还原"),
            Remedy::DropLines { .. } => Text::new("drop lines of", "删除其中的行："),
            Remedy::Replace { .. } => Text::new("give its package's content back to", "恢复软件包原有内容："),
            Remedy::SetFlags { .. } => Text::new("set the chattr flags of", "设置 chattr 标志："),
            Remedy::Unmount { .. } => Text::new("unmount", "卸载"),
            Remedy::StopUnit { .. } => Text::new("stop", "停止"),
            Remedy::StartUnit { .. } => Text::new("start", "启动"),
            Remedy::ReloadUnits => Text::new("have units read again", "重新读取单元"),
        },
    }
}
