//! What a person or a program reads on stdout: sentences, or OCSF lines.

use std::io::{self, Write};

use minesweep_model::{
    Change, Detection, Group, Host, Incident, IncidentState, Kind, Lang, Mining, Outcome, OutcomeState,
    Process, Report, Severity, ocsf,
};
use time::OffsetDateTime;

use crate::Failure;

/// How findings are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Sentences.
    Text,
    /// OCSF, one object a line.
    Json,
}

/// Prints reports as they come.
pub struct Printer {
    form: Form,
    lang: Lang,
    currency: String,
    host: Host,
    out: io::Stdout,
}

impl Printer {
    /// A printer to stdout.
    pub fn new(form: Form, lang: Lang, currency: &str) -> Self {
        Self { form, lang, currency: currency.to_owned(), host: Host::default(), out: io::stdout() }
    }

    /// Prints one report; false when the reader has gone.
    pub fn print(&mut self, report: &Report) -> Result<bool, Failure> {
        if let Report::Host(host) = report {
            self.host = host.clone();
            return Ok(true);
        }
        let printed = match self.form {
            Form::Json => self.json(report),
            Form::Text => self.text(report),
        };
        match printed.and_then(|()| self.out.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::other(error)),
        }
    }

    fn json(&mut self, report: &Report) -> io::Result<()> {
        let mut line = match report {
            Report::Detection(detection) => {
                serde_json::to_vec(&ocsf::detection_finding(detection, &self.host, self.lang))?
            }
            Report::Incident { change, incident } => {
                serde_json::to_vec(&ocsf::incident_finding(*change, incident, &self.host, self.lang))?
            }
            Report::Outcome(outcome) => {
                serde_json::to_vec(&ocsf::remediation(outcome, &self.host, self.lang))?
            }
            Report::Host(_) | Report::Load(_) => return Ok(()),
        };
        line.push(b'\n');
        self.out.write_all(&line)
    }

    fn text(&mut self, report: &Report) -> io::Result<()> {
        let text = match report {
            Report::Detection(detection) => detection_text(detection, self.lang),
            Report::Incident { change, incident } => {
                incident_text(*change, incident, self.lang, &self.currency)
            }
            Report::Outcome(outcome) => outcome_text(outcome, self.lang),
            Report::Host(_) | Report::Load(_) => return Ok(()),
        };
        self.out.write_all(text.as_bytes())
    }
}

/// One detection: severity, rule and process, then why.
fn detection_text(detection: &Detection, lang: Lang) -> String {
    let severity = severity_word(detection.severity, lang);
    let who = match (&detection.subject, &detection.file) {
        (Some(process), _) => process_text(process, lang),
        (None, Some(file)) => clean(&file.path),
        (None, None) => String::new(),
    };
    format!(
        "{} {severity:<8} {}  {}\n         {who}\n         {}\n",
        clock(detection.at_ms),
        detection.rule,
        clean(detection.title.of(lang)),
        clean(detection.why.of(lang)),
    )
}

/// One incident: what happens, to whom the coins go, what it costs, what it rests on.
pub fn incident_text(change: Change, incident: &Incident, lang: Lang, currency: &str) -> String {
    let word = match (change, lang) {
        (Change::Created, Lang::En) => "INCIDENT",
        (Change::Updated, Lang::En) => "UPDATE  ",
        (Change::Closed, Lang::En) => "CLOSED  ",
        (Change::Created, Lang::Zh) => "事件",
        (Change::Updated, Lang::Zh) => "更新",
        (Change::Closed, Lang::Zh) => "结束",
    };
    let mut text = format!("{} {word} {}\n", clock(incident.changed_ms), clean(incident.title.of(lang)));
    for (label, value) in facts(incident, lang, currency) {
        text.push_str(&format!("         {label} {value}\n"));
    }
    if change == Change::Created {
        let weighed = incident.evidence.iter().filter(|evidence| evidence.group != Group::Behaviour);
        for evidence in weighed {
            let (weight, why) = (evidence.weight, clean(evidence.text.of(lang)));
            text.push_str(&format!("         + {weight:.2} {} - {why}\n", evidence.rule));
        }
        text.push_str(&steps_text(incident, lang));
    }
    text
}

/// What was done besides mining, in order. The newest are shown; the page has them all.
fn steps_text(incident: &Incident, lang: Lang) -> String {
    const SHOWN: usize = 20;
    let is_step =
        |finding: &&Detection| finding.evidence.iter().any(|evidence| evidence.group == Group::Behaviour);
    let steps: Vec<&Detection> = incident.findings.iter().filter(is_step).collect();
    let mut text = String::new();
    let hidden = steps.len().saturating_sub(SHOWN);
    if hidden > 0 {
        text.push_str(&match lang {
            Lang::En => format!("         ... {hidden} earlier steps\n"),
            Lang::Zh => format!("         …… 之前还有 {hidden} 步\n"),
        });
    }
    for step in steps.iter().skip(hidden) {
        let (time, title) = (clock(step.at_ms), clean(step.title.of(lang)));
        text.push_str(&format!("         {time} {} - {title}: {}\n", step.rule, clean(step.why.of(lang))));
    }
    text
}

fn facts(incident: &Incident, lang: Lang, currency: &str) -> Vec<(&'static str, String)> {
    let mining = &incident.mining;
    let label = |en, zh| match lang {
        Lang::En => en,
        Lang::Zh => zh,
    };
    let mut facts = vec![(label("process  ", "进程"), process_text(&incident.root, lang))];
    if let Some(entry) = &incident.entry {
        facts.push((label("came in  ", "入口"), clean(entry.text.of(lang))));
    }
    if !incident.is_mining() {
        facts.push((label("severity ", "级别"), severity_word(incident.severity, lang).to_owned()));
        facts.push((label("since    ", "开始于"), clock(incident.since_ms)));
        facts.push((label("state    ", "状态"), state_word(incident.state, lang).to_owned()));
        return facts;
    }
    let (percent, kind) = (mining.probability * 100.0, kind_word(mining.kind, lang));
    let certainty = match lang {
        Lang::En => format!("{percent:.0} % ({kind})"),
        Lang::Zh => format!("{percent:.0}%（{kind}）"),
    };
    facts.push((label("sure     ", "确信度"), certainty));
    let named = [
        (label("pool     ", "矿池"), &mining.pool),
        (label("wallet   ", "钱包"), &mining.wallet),
        (label("worker   ", "矿工"), &mining.worker),
        (label("algorithm", "算法"), &mining.algorithm),
    ];
    facts.extend(named.into_iter().filter_map(|(label, value)| Some((label, clean(value.as_deref()?)))));
    if let Some(rate) = rate_text(mining, lang) {
        facts.push((label("hash rate", "算力"), rate));
    }
    facts.push((label("since    ", "开始于"), clock(incident.since_ms)));
    let (hours, cost) = (mining.cpu_seconds / 3600.0, mining.cost);
    let cost = match lang {
        Lang::En => format!("{hours:.2} CPU h, {cost:.2} {}", clean(currency)),
        Lang::Zh => format!("{hours:.2} CPU 小时，{cost:.2} {}", clean(currency)),
    };
    facts.push((label("cost     ", "花费"), cost));
    facts.push((label("state    ", "状态"), state_word(incident.state, lang).to_owned()));
    facts
}

fn outcome_text(outcome: &Outcome, lang: Lang) -> String {
    let what = minesweep_agent::action_text(&outcome.action);
    let how = match (&outcome.state, lang) {
        (OutcomeState::Done, Lang::En) => "done".to_owned(),
        (OutcomeState::Done, Lang::Zh) => "已完成".to_owned(),
        (OutcomeState::Already, Lang::En) => "was so already".to_owned(),
        (OutcomeState::Already, Lang::Zh) => "已是如此".to_owned(),
        (OutcomeState::Gone, Lang::En) => "not done: no longer what was judged".to_owned(),
        (OutcomeState::Gone, Lang::Zh) => "未执行：已不是当时判定的对象".to_owned(),
        (OutcomeState::Planned, Lang::En) => "planned".to_owned(),
        (OutcomeState::Planned, Lang::Zh) => "已计划".to_owned(),
        (OutcomeState::Failed(why), Lang::En) => format!("failed: {}", clean(why)),
        (OutcomeState::Failed(why), Lang::Zh) => format!("失败：{}", clean(why)),
    };
    let (label, colon) = match lang {
        Lang::En => ("ACTION  ", ": "),
        Lang::Zh => ("处置", "："),
    };
    format!(
        "{} {label} {} {}{colon}{how}\n",
        clock(outcome.at_ms),
        what.of(lang),
        process_text(&outcome.target, lang)
    )
}

/// Who a process is, on one line.
fn process_text(process: &Process, lang: Lang) -> String {
    let name = if process.exe.is_empty() { &process.comm } else { &process.exe };
    let (name, pid, uid) = (clean(name), process.key.pid, process.uid);
    if pid == 0 {
        return name;
    }
    let (mut text, colon) = match lang {
        Lang::En => (format!("{name} (pid {pid}, uid {uid})"), ": "),
        Lang::Zh => (format!("{name}（进程 {pid}，用户 {uid}）"), "："),
    };
    let argv = process.argv.join(" ");
    if !argv.is_empty() {
        text.push_str(colon);
        text.push_str(&clean(&argv).chars().take(120).collect::<String>());
    }
    text
}

fn rate_text(mining: &Mining, lang: Lang) -> Option<String> {
    let rate = mining.hash_rate_hs?;
    let (value, unit) = match rate {
        r if r >= 1e9 => (r / 1e9, "GH/s"),
        r if r >= 1e6 => (r / 1e6, "MH/s"),
        r if r >= 1e3 => (r / 1e3, "kH/s"),
        r => (r, "H/s"),
    };
    let mark = match (mining.estimated, lang) {
        (false, _) => "",
        (true, Lang::En) => " (estimate)",
        (true, Lang::Zh) => "（估算）",
    };
    Some(format!("{value:.1} {unit}{mark}"))
}

fn severity_word(severity: Severity, lang: Lang) -> &'static str {
    match (severity, lang) {
        (severity, Lang::En) => severity.caption(),
        (Severity::Informational, Lang::Zh) => "提示",
        (Severity::Low, Lang::Zh) => "低",
        (Severity::Medium, Lang::Zh) => "中",
        (Severity::High, Lang::Zh) => "高",
        (Severity::Critical, Lang::Zh) => "严重",
    }
}

fn kind_word(kind: Kind, lang: Lang) -> &'static str {
    match (kind, lang) {
        (Kind::Cpu, Lang::En) => "on the processor",
        (Kind::Gpu, Lang::En) => "on a graphics processor",
        (Kind::Relay, Lang::En) => "relay for others",
        (Kind::WebPage, Lang::En) => "in a web page",
        (Kind::Cpu, Lang::Zh) => "处理器挖矿",
        (Kind::Gpu, Lang::Zh) => "显卡挖矿",
        (Kind::Relay, Lang::Zh) => "替他人中转",
        (Kind::WebPage, Lang::Zh) => "网页挖矿",
    }
}

fn state_word(state: IncidentState, lang: Lang) -> &'static str {
    match (state, lang) {
        (IncidentState::Open, Lang::En) => "open",
        (IncidentState::Contained, Lang::En) => "stopped by minesweep",
        (IncidentState::Closed, Lang::En) => "processes have ended",
        (IncidentState::Open, Lang::Zh) => "进行中",
        (IncidentState::Contained, Lang::Zh) => "已被 minesweep 停止",
        (IncidentState::Closed, Lang::Zh) => "进程已结束",
    }
}

/// The text with control characters (terminal escapes, newlines) made visible: the attacker chooses names.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let is_bidi =
            matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
        if c.is_control() || is_bidi {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Day, UTC; empty for a time that no calendar holds.
pub fn day(at_ms: u64) -> String {
    let seconds = i64::try_from(at_ms / 1000).ok();
    let date = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    date.map(|at| format!("{}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day())).unwrap_or_default()
}

/// Time of day, UTC.
pub fn clock(at_ms: u64) -> String {
    let seconds = at_ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_move_the_cursor_or_turn_the_text_around() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\nc\\u{202e}d");
        assert_eq!(clean("挖矿 kworker/0:1"), "挖矿 kworker/0:1");
    }

    #[test]
    fn time_of_day_is_utc() {
        assert_eq!(clock(0), "00:00:00Z");
        assert_eq!(clock(86_399_999), "23:59:59Z");
        assert_eq!(day(86_399_999), "1970-01-01");
        assert_eq!(day(1_795_565_395_000), "2026-11-25");
        assert_eq!(day(u64::MAX), "");
    }
}
