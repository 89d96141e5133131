//! The certificate of a cleaning: found, done, verified, not verified, how it got in, and how to take it back.
//!
//! Says only what was looked at. A door of which no incident tells is named as unknown, since what came in by it can
//! come in again. Does not decide anything.

use minesweep_agent::{Cleaned, Findings};
use minesweep_model::{
    FORMAT, Lang, Outcome, OutcomeState, Text,
    clean::{CleanPlan, Risk},
};
use serde_json::{Value, json};

use crate::output::{clean, clock};

/// What can be said after a cleaning.
pub struct Certificate {
    at_ms: u64,
    is_clean: bool,
    causes: Vec<Text>,
    proved: Vec<String>,
    outcomes: Vec<Outcome>,
    rounds: u32,
    left: CleanPlan,
    kept: Vec<Text>,
    entry: Option<Text>,
    busy_percent: (f64, f64),
    took_ms: u64,
}

impl Certificate {
    /// From what was found before and what came of it.
    pub fn of(found: &Findings, done: &Cleaned) -> Self {
        let name = |process: &minesweep_model::Process| format!("{} (pid {})", process.exe, process.key.pid);
        Self {
            at_ms: done.at_ms,
            is_clean: done.is_clean(),
            causes: found.incidents().map(|incident| incident.title.clone()).collect(),
            proved: found.proved().iter().map(name).collect(),
            outcomes: done.outcomes.clone(),
            rounds: done.rounds,
            left: done.after.plan.clone(),
            kept: found.plan.kept.clone(),
            entry: found
                .incidents()
                .find_map(|incident| incident.entry.as_ref())
                .map(|entry| entry.text.clone()),
            busy_percent: (found.busy_percent, done.after.busy_percent),
            took_ms: done.took_ms,
        }
    }

    /// Name of its files, without their ending.
    pub fn name(&self) -> String {
        format!("clean-{}", self.at_ms)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "v": FORMAT,
            "at_ms": self.at_ms,
            "is_clean": self.is_clean,
            "found": {"incidents": self.causes, "proved": self.proved},
            "done": self.outcomes,
            "rounds": self.rounds,
            "took_ms": self.took_ms,
            "left": self.left.steps,
            "kept": self.kept,
            "not_verified": self.left.blind,
            "entry": self.entry,
            "busy_percent": {"before": self.busy_percent.0, "after": self.busy_percent.1},
            "undo": UNDO,
        })
    }

    /// For people.
    pub fn markdown(&self, lang: Lang) -> String {
        let say = |en: &'static str, zh: &'static str| if lang == Lang::Zh { zh } else { en };
        let mut text = format!("# {}\n", say("Clean certificate", "清除证书"));
        for (title, lines) in self.sections(lang) {
            text.push_str(&format!("\n## {title}\n\n"));
            if lines.is_empty() {
                text.push_str(say("- none\n", "- 无\n"));
            }
            for line in lines {
                text.push_str(&format!("- {line}\n"));
            }
        }
        text
    }

    /// For a browser, by itself: no script, no picture, nothing from elsewhere.
    pub fn html(&self, lang: Lang) -> String {
        let (code, title) = match lang {
            Lang::En => ("en", "Clean certificate"),
            Lang::Zh => ("zh-CN", "清除证书"),
        };
        let mut page = format!(
            "<!doctype html><html lang=\"{code}\"><meta charset=\"utf-8\"><title>{title}</title><h1>{title}</h1>\n"
        );
        for (title, lines) in self.sections(lang) {
            let lines: String = lines.iter().map(|line| format!("<li>{}</li>\n", escaped(line))).collect();
            page.push_str(&format!("<h2>{title}</h2>\n<ul>\n{lines}</ul>\n"));
        }
        page.push_str("</html>\n");
        page
    }

    fn sections(&self, lang: Lang) -> Vec<(&'static str, Vec<String>)> {
        let say = |en: &'static str, zh: &'static str| if lang == Lang::Zh { zh } else { en };
        let texts = |all: &[Text]| all.iter().map(|text| clean(text.of(lang))).collect::<Vec<_>>();
        let mut found = texts(&self.causes);
        found.extend(self.proved.iter().map(|process| clean(process)));
        let left = self.left.steps.iter().map(|step| left_text(step, lang)).collect();
        vec![
            (say("Result", "结果"), self.result(lang)),
            (say("Found", "发现"), found),
            (say("Done", "处置"), self.outcomes.iter().map(|outcome| done_text(outcome, lang)).collect()),
            (say("Left", "遗留"), left),
            (say("Left alone", "保留"), texts(&self.kept)),
            (
                say("Could not be verified", "无法核实"),
                self.left.blind.iter().map(|line| clean(line)).collect(),
            ),
            (say("How it got in", "入侵途径"), vec![self.entry_text(lang)]),
            (say("To take it back", "撤销"), vec![format!("`{UNDO}`")]),
        ]
    }

    fn result(&self, lang: Lang) -> Vec<String> {
        let (before, after) = self.busy_percent;
        let seconds = self.took_ms as f64 / 1000.0;
        let (at, rounds) = (clock(self.at_ms), self.rounds);
        match lang {
            Lang::En => vec![
                if self.is_clean {
                    "nothing bad runs or can start again, as far as was looked"
                } else {
                    "something is left"
                }
                .to_owned(),
                format!("processors busy: {before:.0} % before, {after:.0} % after"),
                format!("rounds: {rounds}; first to last change: {seconds:.2} s; at {at}"),
            ],
            Lang::Zh => vec![
                if self.is_clean {
                    "在检查范围内，没有恶意程序在运行或能再次启动"
                } else {
                    "仍有遗留"
                }
                .to_owned(),
                format!("处理器占用：之前 {before:.0}%，之后 {after:.0}%"),
                format!("轮次：{rounds}；首次到末次改动：{seconds:.2} 秒；时间 {at}"),
            ],
        }
    }

    fn entry_text(&self, lang: Lang) -> String {
        match (&self.entry, lang) {
            (Some(entry), _) => clean(entry.of(lang)),
            (None, Lang::En) => "entry unknown: it will come back until that door is closed".to_owned(),
            (None, Lang::Zh) => "入口未知：在封堵之前会再次被入侵".to_owned(),
        }
    }
}

/// The whole cleaning is one set of the journal.
const UNDO: &str = "minesweep undo";

fn left_text(step: &minesweep_model::clean::CleanStep, lang: Lang) -> String {
    let review = match (step.risk, lang) {
        (Risk::Review, Lang::En) => "for a person to look at: ",
        (Risk::Review, Lang::Zh) => "需人工确认：",
        (Risk::Low | Risk::Medium, _) => "",
    };
    format!("{review}{} ({})", step.reason.of(lang), clean(&step.evidence.join("; ")))
}

fn done_text(outcome: &Outcome, lang: Lang) -> String {
    let how = match (&outcome.state, lang) {
        (OutcomeState::Done, Lang::En) => "done".to_owned(),
        (OutcomeState::Done, Lang::Zh) => "已完成".to_owned(),
        (OutcomeState::Already, Lang::En) => "was so already".to_owned(),
        (OutcomeState::Already, Lang::Zh) => "已是如此".to_owned(),
        (OutcomeState::Gone, Lang::En) => "not done: it is no longer what was judged".to_owned(),
        (OutcomeState::Gone, Lang::Zh) => "未执行：已不是当时判定的对象".to_owned(),
        (OutcomeState::Planned, Lang::En) => "only planned".to_owned(),
        (OutcomeState::Planned, Lang::Zh) => "仅计划".to_owned(),
        (OutcomeState::Failed(why), Lang::En) => format!("failed: {}", clean(why)),
        (OutcomeState::Failed(why), Lang::Zh) => format!("失败：{}", clean(why)),
    };
    let what = minesweep_agent::action_text(&outcome.action);
    let who = &outcome.target;
    let pid = if who.key.pid == 0 { String::new() } else { format!(" (pid {})", who.key.pid) };
    format!("{} {}{pid}: {how}", what.of(lang), clean(&who.exe))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
