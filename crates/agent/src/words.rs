//! Actions in words.

use minesweep_model::{Action, Text};

/// What an action does to its process, as a verb.
pub fn action_text(action: &Action) -> Text {
    match action {
        Action::Freeze { .. } => Text::new("freeze", "冻结"),
        Action::Thaw { .. } => Text::new("thaw", "解冻"),
        Action::Kill { .. } => Text::new("kill", "结束"),
        Action::CutSocket { .. } => Text::new("cut the connection of", "切断连接"),
    }
}
