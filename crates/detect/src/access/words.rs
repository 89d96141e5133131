//! What people read of logins, in both languages. Names come from outside: they are shown as they are, never taken
//! for more.

use minesweep_model::Text;

use super::{habits::Oddity, pattern::Origin};

/// The place a text speaks of.
fn of(origin: Option<&Origin>) -> Text {
    match origin {
        Some(origin) => Text::new(origin.to_string(), origin.to_string()),
        None => Text::new("an unknown source", "未知来源"),
    }
}

fn minutes(ms: u64) -> Text {
    let minutes = ms / 60_000;
    if minutes >= 120 {
        Text::new(format!("{} hours", minutes / 60), format!("{} 小时", minutes / 60))
    } else {
        Text::new(format!("{minutes} minutes"), format!("{minutes} 分钟"))
    }
}

pub(super) fn many_failures(
    count: u32,
    origin: &Origin,
    service: &str,
    window_ms: u64,
    names: &[String],
) -> Text {
    let (over, names) = (minutes(window_ms), names.join(", "));
    Text::new(
        format!("{count} failed logins at {service} from {origin} within {}, for {names}", over.en),
        format!("{} 内来自 {origin} 的 {service} 登录失败 {count} 次，用户名：{names}", over.zh),
    )
}

pub(super) fn many_sources(count: u32, user: &str, service: &str, window_ms: u64) -> Text {
    let over = minutes(window_ms);
    Text::new(
        format!("{count} sources failed to log in at {service} as {user} within {}", over.en),
        format!("{} 内有 {count} 个来源以 {user} 登录 {service} 失败", over.zh),
    )
}

pub(super) fn many_users(
    count: u32,
    origin: &Origin,
    service: &str,
    window_ms: u64,
    names: &[String],
) -> Text {
    let (over, names) = (minutes(window_ms), names.join(", "));
    Text::new(
        format!(
            "{origin} failed to log in at {service} as {count} users within {}, among them {names}",
            over.en
        ),
        format!("{} 内 {origin} 以 {count} 个用户名登录 {service} 失败，其中有 {names}", over.zh),
    )
}

pub(super) fn success_after(count: u32, user: &str, origin: &Origin, service: &str, window_ms: u64) -> Text {
    let over = minutes(window_ms);
    Text::new(
        format!(
            "{user} logged in at {service} from {origin} after {count} failed attempts from there within {}",
            over.en
        ),
        format!("{origin} 在 {} 内失败 {count} 次后，以 {user} 登录 {service} 成功", over.zh),
    )
}

pub(super) fn success_amid(count: u32, user: &str, origin: &Origin, service: &str) -> Text {
    Text::new(
        format!(
            "{user} logged in at {service} from {origin}, never seen for this user, while {count} sources were guessing \
             the password of {user}"
        ),
        format!(
            "在 {count} 个来源猜测 {user} 的密码期间，{user} 从此前未见过的 {origin} 登录 {service} 成功"
        ),
    )
}

pub(super) fn unusual(user: &str, origin: &Origin, oddities: &[Oddity]) -> Text {
    let (mut en, mut zh) = (Vec::new(), Vec::new());
    for oddity in oddities {
        let (more_en, more_zh) = match oddity {
            Oddity::Network(network) => {
                (format!("first login from {network}"), format!("首次从 {network} 登录"))
            }
            Oddity::Hour(hour) => {
                (format!("unusual hour ({hour}:00 UTC)"), format!("登录时间异常（UTC {hour} 时）"))
            }
            Oddity::Stranger => ("first login of this user".to_owned(), "该用户首次登录".to_owned()),
        };
        en.push(more_en);
        zh.push(more_zh);
    }
    Text::new(
        format!("{user} logged in from {origin}: {}", en.join(", ")),
        format!("{user} 从 {origin} 登录：{}", zh.join("，")),
    )
}

pub(super) fn new_key(user: &str, origin: Option<&Origin>, key: &str) -> Text {
    let from = of(origin);
    Text::new(
        format!("{user} logged in from {} with a key not seen before: {key}", from.en),
        format!("{user} 从 {} 使用此前未见过的密钥登录：{key}", from.zh),
    )
}

pub(super) fn root_password(origin: Option<&Origin>, service: &str) -> Text {
    let from = of(origin);
    Text::new(
        format!("root logged in at {service} from {} with a password", from.en),
        format!("root 使用密码从 {} 登录 {service}", from.zh),
    )
}
