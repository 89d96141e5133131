//! A file in which rules matched: told with its sums, and weighed only when it runs.
//!
//! Who wrote it may be a package manager or a download, and mines nothing; so a written file is told and holds nothing
//! against its writer. Each file is told once for each of what its bytes are.

use minesweep_model::{Occasion, Scanned, Text};

use super::{Engine, Output};
use crate::{
    finding::{Finding, Imported, Telling},
    ids,
    rules::RuleId,
};

/// Our own file rules; others keep their ids and say nothing of mining.
const OWN: &str = "mining.";
/// Names of members that are told.
const TOLD: usize = 4;

impl Engine {
    pub(super) fn scanned(&mut self, scanned: &Scanned, at_ms: u64, out: &mut Vec<Output>) {
        let first = out.len();
        let is_own = |rule: &str| rule.starts_with(OWN);
        if scanned.matches.iter().any(|matched| is_own(&matched.rule)) {
            let why = self.scanned_text(scanned, is_own);
            let finding = self.scanned_finding(scanned, why);
            self.tell_scanned(finding, at_ms, out);
        }
        let mut imported: Vec<&str> = scanned
            .matches
            .iter()
            .map(|matched| matched.rule.as_str())
            .filter(|rule| !is_own(rule))
            .collect();
        imported.sort_unstable();
        imported.dedup();
        for rule in imported {
            let why = self.scanned_text(scanned, |matched| matched == rule);
            let mut finding = self.scanned_finding(scanned, why);
            finding.thing = finding.thing.wrapping_add(ids::thing(rule));
            finding.imported = Some(Imported { id: rule.to_owned(), title: self.file_title(rule) });
            finding.telling = Telling::Aside;
            self.tell_scanned(finding, at_ms, out);
        }
        for output in out.iter_mut().skip(first) {
            if let Output::Detection(detection) = output {
                detection.file = Some(Box::new(scanned.clone()));
            }
        }
    }

    fn tell_scanned(&mut self, finding: Finding, at_ms: u64, out: &mut Vec<Output>) {
        match finding.telling {
            Telling::Told | Telling::Folded => self.once(finding, at_ms, out),
            Telling::Aside => {
                if self.fires_first(finding.subject, finding.rule, finding.thing) {
                    self.absorb(finding, at_ms, out);
                }
            }
        }
    }

    fn scanned_finding(&self, scanned: &Scanned, why: Text) -> Finding {
        let mut finding = Finding::new(self.rules.rule(RuleId::MinerFile), scanned.process, why);
        finding.thing = ids::thing(&format!("{}\0{}", scanned.path, scanned.sha256));
        finding.telling = match scanned.occasion {
            Occasion::Run => Telling::Told,
            Occasion::Scan | Occasion::Written => Telling::Aside,
        };
        finding
    }

    fn file_title(&self, rule: &str) -> Text {
        self.rules.files().title(rule).cloned().unwrap_or_else(|| Text::new(rule.to_owned(), rule.to_owned()))
    }

    /// The file, its sums, and which part of it matches what.
    fn scanned_text(&self, scanned: &Scanned, is_meant: impl Fn(&str) -> bool) -> Text {
        let meant: Vec<_> = scanned.matches.iter().filter(|matched| is_meant(&matched.rule)).collect();
        let (mut en, mut zh) = (scanned.path.clone(), scanned.path.clone());
        for matched in meant.iter().take(TOLD) {
            let title = self.file_title(&matched.rule);
            let (inside, within) = match matched.member.as_str() {
                "" => (String::new(), String::new()),
                member => (format!(" inside it {member}"), format!("其中的 {member}")),
            };
            en.push_str(&format!("{inside} matches {} ({});", matched.rule, title.en));
            zh.push_str(&format!("{within} 符合规则 {}（{}）；", matched.rule, title.zh));
        }
        if meant.len() > TOLD {
            en.push_str(&format!(" and {} more;", meant.len() - TOLD));
            zh.push_str(&format!("另有 {} 处；", meant.len() - TOLD));
        }
        if scanned.sha256.is_empty() {
            en.push_str(" it changed while it was read");
            zh.push_str("读取时文件发生了变化");
        } else {
            en.push_str(&format!(" MD5 {}, SHA-256 {}", scanned.md5, scanned.sha256));
            zh.push_str(&format!("MD5 {}，SHA-256 {}", scanned.md5, scanned.sha256));
        }
        Text::new(en, zh)
    }
}
