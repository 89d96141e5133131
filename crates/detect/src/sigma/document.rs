//! One document of a Sigma file: a rule, a correlation or a filter.

use minesweep_model::Severity;
use serde::Deserialize;
use serde_yaml_ng::{Deserializer, Value};

use super::{
    correlation::Correlation,
    detection,
    expr::{Expr, Names},
    head::{Head, head},
    section::Section,
    source::{Channel, Service, Source},
};
use crate::{lists::AttackNames, rules::RefusedRule};

/// Most documents of one file.
const DOCUMENTS_LIMIT: usize = 1024;

/// A document with its head.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) path: String,
    pub(crate) head: Head,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Detection(Detection),
    Correlation(Box<Correlation>),
    Filter(Filter),
}

/// The body of a rule that matches records.
#[derive(Clone, Debug)]
pub(crate) struct Detection {
    pub(crate) source: Source,
    detection: Value,
}

/// The body of a filter: the exception form.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// Ids or names of rules; `None` is all of the log source.
    pub(crate) rules: Option<Vec<String>>,
    source: Source,
    has_category: bool,
    filter: Value,
}

/// Reads all documents of a file.
pub(crate) fn read(path: &str, text: &str, names: &AttackNames) -> Vec<Result<Document, RefusedRule>> {
    let mut documents = Vec::new();
    for document in Deserializer::from_str(text) {
        if documents.len() == DOCUMENTS_LIMIT {
            documents.push(refused(path, path, format!("it has more than {DOCUMENTS_LIMIT} documents")));
            break;
        }
        match Value::deserialize(document) {
            // An empty document, after a last `---`.
            Ok(Value::Null) => {}
            Ok(value) => documents.push(one(path, &value, names)),
            Err(error) => {
                documents.push(refused(path, path, error.to_string()));
                break;
            }
        }
    }
    if documents.is_empty() {
        documents.push(refused(path, path, "it is empty".to_owned()));
    }
    documents
}

fn refused(path: &str, rule: &str, reason: String) -> Result<Document, RefusedRule> {
    Err(RefusedRule { path: path.to_owned(), rule: rule.to_owned(), reason })
}

fn one(path: &str, value: &Value, names: &AttackNames) -> Result<Document, RefusedRule> {
    let called = |key: &str| value.get(key).and_then(Value::as_str);
    let own = value.get("minesweep").and_then(|own| own.get("id")).and_then(Value::as_str);
    let rule = own.or_else(|| called("id")).unwrap_or(path).to_owned();
    parse(value, names)
        .map(|(head, body)| Document { path: path.to_owned(), head, body })
        .map_err(|reason| RefusedRule { path: path.to_owned(), rule, reason })
}

fn parse(value: &Value, names: &AttackNames) -> Result<(Head, Body), String> {
    let mut section = Section::new("the rule", value)?;
    if section.has("action") {
        return Err("'action' is of Sigma 1; write each rule whole, or a correlation".to_owned());
    }
    let (detection, correlation, filter) =
        (section.take("detection"), section.take("correlation"), section.take("filter"));
    let is_rule = detection.is_some() || correlation.is_some();
    let mut head = head(&mut section, names)?;
    let body = match (detection, correlation, filter) {
        (Some(detection), None, None) => {
            let (source, _) = source(&mut section)?;
            // Compiled here once, so that a broken rule is refused before it is joined with others.
            let body = Detection { source, detection: detection.clone() };
            body.expr(&mut Names::default())?;
            Body::Detection(body)
        }
        (None, Some(correlation), None) => Body::Correlation(Box::new(Correlation::parse(correlation)?)),
        (None, None, Some(filter)) => {
            let (source, has_category) = source(&mut section)?;
            let rules = targets(filter)?;
            let body = Filter { rules, source, has_category, filter: filter.clone() };
            body.expr(&mut Names::default())?;
            Body::Filter(body)
        }
        _ => return Err("it has none, or more than one, of detection, correlation and filter".to_owned()),
    };
    section.finish()?;
    if !is_rule {
        head.content.severity = Severity::Informational;
    }
    Ok((head, body))
}

/// The log source, and whether it names a category or service.
fn source(section: &mut Section<'_>) -> Result<(Source, bool), String> {
    let mut logsource = Section::new("logsource", section.need("logsource")?)?;
    let (category, product, service) =
        (logsource.text("category")?, logsource.text("product")?, logsource.text("service")?);
    logsource.text("definition")?;
    logsource.finish()?;
    Ok((Source::parse(category, product, service)?, category.is_some() || service.is_some()))
}

/// Which rules a filter is for.
fn targets(filter: &Value) -> Result<Option<Vec<String>>, String> {
    let mut section = Section::new("filter", filter)?;
    let rules = section.texts("rules")?;
    match rules.as_slice() {
        [] => Err("the filter names no rules; 'any' is all of its log source".to_owned()),
        ["any" | "all"] => Ok(None),
        names => Ok(Some(names.iter().map(|name| (*name).to_owned()).collect())),
    }
}

impl Detection {
    /// The rule's condition.
    pub(crate) fn expr(&self, names: &mut Names) -> Result<Expr, String> {
        detection::parse(Section::new("the detection", &self.detection)?, names).map(|(expr, _)| expr)
    }
}

impl Filter {
    /// The filter is for this rule.
    pub(crate) fn is_for(&self, head: &Head, source: Source) -> bool {
        let is_source = !self.has_category
            || (self.source.channel == source.channel
                && (self.source.channel != Channel::Log
                    || self.source.service.holds(source.service)
                    || self.source.service == Service::Any));
        let is_named = self.rules.as_ref().is_none_or(|rules| rules.iter().any(|name| head.is_called(name)));
        is_source && is_named
    }

    /// What must hold besides the rule. The reference implementation joins the condition with `and`, so that an
    /// exception reads `not selection`; the specification's own example leaves the `not` out. A condition without any
    /// `not` is therefore what is excepted: nobody writes a filter to except everything else.
    pub(crate) fn expr(&self, names: &mut Names) -> Result<Expr, String> {
        let mut section = Section::new("the filter", &self.filter)?;
        section.take("rules");
        let (expr, conditions) = detection::parse(section, names)?;
        let has_not = conditions
            .iter()
            .flat_map(|text| text.split(|c: char| c.is_whitespace() || c == '('))
            .any(|word| word.eq_ignore_ascii_case("not"));
        Ok(if has_not { expr } else { Expr::Not(Box::new(expr)) })
    }
}
