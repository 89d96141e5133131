//! What a rule says of itself: to people, and to other rules.
//!
//! Our own rules carry a block `minesweep` with their dotted id, their texts in Chinese, advice and confidence; other
//! tools ignore it. A rule without that block is imported: it keeps its Sigma id, and its title serves both languages.

use minesweep_model::{Severity, Text};

use super::section::Section;
use crate::{content_rule::ContentRule, lists::AttackNames};

/// Keys of public rules that say nothing about matching.
const ASIDE: [&str; 8] =
    ["date", "modified", "fields", "related", "scope", "taxonomy", "regression_tests_path", "simulation"];
const STATUSES: [&str; 5] = ["stable", "test", "experimental", "deprecated", "unsupported"];
/// Sureness of a rule that does not say: by its level, as Sigma means them.
const CONFIDENCES: [(Severity, u8); 5] = [
    (Severity::Informational, 20),
    (Severity::Low, 30),
    (Severity::Medium, 50),
    (Severity::High, 75),
    (Severity::Critical, 90),
];
/// Longest text, bytes.
const TEXT_LIMIT_BYTES: usize = 64 << 10;

/// Head of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) content: ContentRule,
    /// Its Sigma id.
    pub(crate) sigma_id: Option<String>,
    /// The name correlations may use.
    pub(crate) name: Option<String>,
    /// It is one of ours.
    pub(crate) is_own: bool,
    /// Rules that say it all already when they were told of the same process: one deed is one line.
    pub(crate) yields_to: Vec<String>,
}

impl Head {
    /// It is called so by correlations and filters.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.content.id == name
            || self.sigma_id.as_deref() == Some(name)
            || self.name.as_deref() == Some(name)
            || self.content.title.en == name
    }
}

/// Reads the head; what is left in the section is the body.
pub(crate) fn head(section: &mut Section<'_>, names: &AttackNames) -> Result<Head, String> {
    let title = limited("title", section.text("title")?.ok_or("it has no title")?)?;
    let sigma_id = section.text("id")?.map(str::to_owned);
    let name = section.text("name")?.map(str::to_owned);
    let description = limited("description", section.text("description")?.unwrap_or_default())?;
    let licence = section.text("license")?.unwrap_or_default().to_owned();
    let author = section.text("author")?.unwrap_or_default().to_owned();
    let references = section.texts("references")?;
    let false_positives = section.texts("falsepositives")?;
    let tags = section.texts("tags")?;
    let severity = level(section.text("level")?)?;
    if let Some(status) = section.text("status")?
        && !STATUSES.contains(&status)
    {
        return Err(format!("status '{status}' is not known"));
    }
    for key in ASIDE {
        section.take(key);
    }
    let own = section.take("minesweep").map(Own::parse).transpose()?;
    let id = match (&own, &sigma_id) {
        (Some(own), _) => own.id.clone(),
        (None, Some(id)) => id.clone(),
        (None, None) => named_by_title(&title),
    };
    let both = |text: &str| Text::new(text, text);
    let source = std::iter::once(author.as_str()).chain(references).filter(|part| !part.is_empty());
    let mut content = ContentRule {
        id,
        title: both(&title),
        description: both(&description),
        advice: Text::new(
            "Look at the process and who started it; if it is yours, add an exception.",
            "检查该进程及其启动者；如属正常业务，请添加例外。",
        ),
        severity,
        confidence: CONFIDENCES.iter().find(|(of, _)| *of == severity).map_or(50, |(_, sure)| *sure),
        attacks: attacks(&tags, names, own.is_some())?,
        false_positives: false_positives.iter().map(|text| both(text)).collect(),
        licence,
        source: source.collect::<Vec<_>>().join("; "),
    };
    if let Some(own) = &own {
        own.fill(&mut content)?;
    }
    let is_own = own.is_some();
    Ok(Head { content, sigma_id, name, is_own, yields_to: own.map(|own| own.yields_to).unwrap_or_default() })
}

/// Sigma makes the id optional: then the title has to do.
fn named_by_title(title: &str) -> String {
    let words: Vec<String> = title
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    format!("sigma:{}", words.join("-"))
}

fn limited(what: &str, text: &str) -> Result<String, String> {
    if text.len() > TEXT_LIMIT_BYTES {
        return Err(format!("its {what} is longer than {TEXT_LIMIT_BYTES} bytes"));
    }
    Ok(text.trim().to_owned())
}

fn level(level: Option<&str>) -> Result<Severity, String> {
    Ok(match level {
        Some("informational") => Severity::Informational,
        Some("low") => Severity::Low,
        // Sigma does not make it mandatory; a rule that does not say is worth a look.
        Some("medium") | None => Severity::Medium,
        Some("high") => Severity::High,
        Some("critical") => Severity::Critical,
        Some(other) => return Err(format!("level '{other}' is not known")),
    })
}

/// Techniques with the tactics that the tags name. Of an imported rule only what the list knows is kept.
fn attacks(tags: &[&str], names: &AttackNames, is_own: bool) -> Result<Vec<minesweep_model::Attack>, String> {
    let mut attacks = Vec::new();
    let attack_tags: Vec<String> = tags
        .iter()
        .filter_map(|tag| tag.strip_prefix("attack."))
        .map(|tag| tag.replace(['_', ' '], "-"))
        .collect();
    for tag in &attack_tags {
        let is_technique =
            tag.strip_prefix(['t', 'T']).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if !is_technique {
            continue;
        }
        let technique = tag.to_ascii_uppercase();
        let found = names.of_technique(&technique);
        let mut named: Vec<_> = found
            .iter()
            .filter(|attack| attack_tags.contains(&attack.tactic_name.to_ascii_lowercase().replace(' ', "-")))
            .cloned()
            .collect();
        if named.is_empty() && is_own {
            return Err(format!(
                "tag attack.{tag} with none of its tactics among the tags; intel/attack.csv knows {}",
                found.iter().map(|attack| attack.tactic_name.as_str()).collect::<Vec<_>>().join(", ")
            ));
        }
        if named.is_empty() {
            named = found.into_iter().take(1).collect();
        }
        attacks.extend(named);
    }
    Ok(attacks)
}

/// The block of our own rules.
struct Own {
    id: String,
    zh_title: String,
    zh_description: String,
    zh_false_positives: Vec<String>,
    advice: Text,
    confidence: Option<u8>,
    yields_to: Vec<String>,
}

impl Own {
    fn parse(value: &serde_yaml_ng::Value) -> Result<Self, String> {
        let mut block = Section::new("minesweep", value)?;
        let id = block.text("id")?.ok_or("minesweep has no id")?.to_owned();
        let mut zh = Section::new("minesweep.zh", block.need("zh")?)?;
        let mut advice = Section::new("minesweep.advice", block.need("advice")?)?;
        let text = |section: &mut Section<'_>, key: &str| {
            section
                .text(key)?
                .map(str::to_owned)
                .ok_or_else(|| format!("minesweep has no {key} in both languages"))
        };
        let own = Self {
            id,
            yields_to: block.texts("yields_to")?.into_iter().map(str::to_owned).collect(),
            zh_title: text(&mut zh, "title")?,
            zh_description: text(&mut zh, "description")?,
            zh_false_positives: zh.texts("falsepositives")?.into_iter().map(str::to_owned).collect(),
            advice: Text::new(text(&mut advice, "en")?, text(&mut advice, "zh")?),
            confidence: match block.take("confidence") {
                None => None,
                Some(value) => Some(
                    value
                        .as_u64()
                        .and_then(|sure| u8::try_from(sure).ok())
                        .filter(|sure| *sure <= 100)
                        .ok_or("minesweep.confidence is 0 to 100")?,
                ),
            },
        };
        zh.finish()?;
        advice.finish()?;
        block.finish()?;
        Ok(own)
    }

    fn fill(&self, content: &mut ContentRule) -> Result<(), String> {
        content.title.zh.clone_from(&self.zh_title);
        content.description.zh.clone_from(&self.zh_description);
        content.advice.clone_from(&self.advice);
        content.confidence = self.confidence.unwrap_or(content.confidence);
        if self.zh_false_positives.len() != content.false_positives.len() {
            return Err(
                "falsepositives and minesweep.zh.falsepositives are not of the same length".to_owned()
            );
        }
        for (text, zh) in content.false_positives.iter_mut().zip(&self.zh_false_positives) {
            text.zh.clone_from(zh);
        }
        let texts = [&content.title, &content.description, &content.advice];
        if texts
            .into_iter()
            .chain(&content.false_positives)
            .any(|text| text.en.is_empty() || text.zh.is_empty())
        {
            return Err("each text of our own rules needs both languages".to_owned());
        }
        if !self.id.split_once('.').is_some_and(|(area, name)| !area.is_empty() && !name.is_empty()) {
            return Err(format!("minesweep.id '{}' is not of the form area.name", self.id));
        }
        if content.licence.is_empty() || content.source.is_empty() {
            return Err("our own rules name their license, and an author or references".to_owned());
        }
        Ok(())
    }
}
