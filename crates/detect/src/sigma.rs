//! Rules in Sigma 2.1, compiled to a matcher of our own (docs/spec/sigma.md).
//!
//! A rule is taken whole or refused by name: one that is half understood would be silently blind. Detection rules are
//! matched record by record (`matcher`), correlations over what matched (`correlator`), filters are joined to the rules
//! they name. Says what matched; what that means is for the engine.

mod condition;
mod correlation;
mod correlator;
mod date;
pub(crate) mod detection;
mod document;
mod expr;
mod fields;
mod head;
mod item;
mod matcher;
mod needs;
mod pattern;
mod record;
mod section;
mod source;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use minesweep_model::Text;

use crate::{content_rule::ContentRule, lists::AttackNames, rules::RefusedRule};
use correlation::Correlation;
pub(crate) use correlator::Correlator;
pub(crate) use date::{unix_ms, utc};
use document::{Body, Document};
pub(crate) use expr::{Ask, Expr, Names, Test};
pub(crate) use fields::{Field, Known, Record, Slots, Value};
use matcher::Matcher;
pub(crate) use pattern::Place;
pub(crate) use record::has_field;
pub use record::{FieldValue, FieldsRecord};
use record::{has, own_fields};
pub(crate) use section::Section;
pub(crate) use source::{Channel, Service, Source, is_audit};

/// Longest chain of correlations over correlations.
const CHAIN_LIMIT: usize = 8;
/// Most rules and correlations.
const UNITS_LIMIT: usize = 20_000;

/// A rule in use: one that matches records, or a correlation over such.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) content: ContentRule,
    pub(crate) path: String,
    /// It is told; the parts of a correlation are not, unless it says so.
    pub(crate) is_told: bool,
    pub(crate) is_own: bool,
    /// Rules that say it all already when they were told of the same process.
    pub(crate) yields_to: Vec<String>,
    /// What it is about; that of its first rule for a correlation.
    pub(crate) source: Source,
    pub(crate) correlation: Option<Correlation>,
    /// Correlations over it, with its place there.
    over: Vec<(usize, usize)>,
}

/// All rules, ready to match.
#[derive(Debug, Default)]
pub(crate) struct SigmaRules {
    units: Vec<Unit>,
    matchers: BTreeMap<Channel, Matcher>,
}

/// A rule that matched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// Which.
    pub(crate) unit: usize,
    /// For a correlation: how much of what, in both languages.
    pub(crate) counted: Option<Text>,
}

impl SigmaRules {
    /// Compiles files, given as path and text; what cannot be taken whole is refused.
    pub(crate) fn load<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
        names: &AttackNames,
    ) -> (Self, Vec<RefusedRule>) {
        let mut loading = Loading::default();
        for (path, text) in files {
            loading.file(path, text, names);
        }
        loading.finish()
    }

    /// All rules and correlations.
    pub(crate) fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Fields of a rule that no record of ours has.
    pub(crate) fn blind(&self, unit: usize) -> Vec<String> {
        let Some(source) = self.units.get(unit).map(|unit| unit.source) else { return Vec::new() };
        let fields =
            self.matchers.get(&source.channel).into_iter().flat_map(|matcher| matcher.fields_of(unit));
        let is_blind = |field: &&Field| {
            !field.known.map_or(source.channel == Channel::Log, |known| has(source.channel, known))
        };
        fields.filter(is_blind).map(|field| field.name.clone()).collect()
    }

    /// A record of this kind can match.
    pub(crate) fn wants(&self, channel: Channel) -> bool {
        self.matchers.get(&channel).is_some_and(|matcher| !matcher.is_empty())
    }

    /// What matches a record: rules, and correlations that it completes. What is only a part of a correlation is not
    /// among them.
    pub(crate) fn matching<R: Record + ?Sized>(
        &self,
        channel: Channel,
        record: &R,
        correlator: &mut Correlator,
        at_ms: u64,
    ) -> Vec<Found> {
        let Some(matcher) = self.matchers.get(&channel) else { return Vec::new() };
        let matching = matcher.matching(record);
        let mut found = Vec::new();
        for unit in matching {
            self.take(unit, None, record, correlator, at_ms, 0, &mut found);
        }
        found
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one step of a walk; a struct of its own would only be unpacked here"
    )]
    fn take<R: Record + ?Sized>(
        &self,
        index: usize,
        counted: Option<Text>,
        record: &R,
        correlator: &mut Correlator,
        at_ms: u64,
        depth: usize,
        found: &mut Vec<Found>,
    ) {
        let Some(unit) = self.units.get(index) else { return };
        if unit.is_told {
            found.push(Found { unit: index, counted });
        }
        if depth >= CHAIN_LIMIT {
            return;
        }
        for (over, place) in &unit.over {
            let Some(correlation) = self.units.get(*over).and_then(|over| over.correlation.as_ref()) else {
                continue;
            };
            if let Some(met) = correlator.observe(*over, correlation, *place, record, at_ms) {
                let counted = Some(correlation.words(&met));
                self.take(*over, counted, record, correlator, at_ms, depth.saturating_add(1), found);
            }
        }
    }
}

/// Documents of all files, before they are joined.
#[derive(Default)]
struct Loading {
    documents: Vec<Document>,
    refused: Vec<RefusedRule>,
}

impl Loading {
    fn file(&mut self, path: &str, text: &str, names: &AttackNames) {
        for document in document::read(path, text, names) {
            match document {
                Ok(document) if self.documents.len() < UNITS_LIMIT => self.documents.push(document),
                Ok(document) => {
                    let reason = format!("there are more than {UNITS_LIMIT} rules");
                    self.refuse(&document, reason);
                }
                Err(refused) => self.refused.push(refused),
            }
        }
    }

    fn refuse(&mut self, document: &Document, reason: String) {
        let rule = document.head.content.id.clone();
        self.refused.push(RefusedRule { path: document.path.clone(), rule, reason });
    }

    fn finish(mut self) -> (SigmaRules, Vec<RefusedRule>) {
        let mut rules = SigmaRules::default();
        let documents = std::mem::take(&mut self.documents);
        let (filters, rest): (Vec<_>, Vec<_>) =
            documents.into_iter().partition(|document| matches!(document.body, Body::Filter(_)));
        let (correlations, detections): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|document| matches!(document.body, Body::Correlation(_)));
        self.check_filters(&filters, &detections);
        let mut called: BTreeMap<String, usize> = BTreeMap::new();
        for document in &detections {
            match self.detection(document, &filters, &called, &mut rules) {
                Ok(()) => call(&mut called, document, rules.units.len().saturating_sub(1)),
                Err(reason) => self.refuse(document, reason),
            }
        }
        self.correlations(correlations, &mut called, &mut rules);
        for matcher in rules.matchers.values_mut() {
            if let Err(reason) = matcher.finish() {
                self.refused.push(RefusedRule { path: String::new(), rule: "sigma".to_owned(), reason });
            }
        }
        (rules, self.refused)
    }

    /// A filter that names a rule which is not there hides nothing: a typing error, or an exception for a rule that
    /// is gone.
    fn check_filters(&mut self, filters: &[Document], detections: &[Document]) {
        for filter in filters {
            let Body::Filter(body) = &filter.body else { continue };
            let missing = body
                .rules
                .iter()
                .flatten()
                .find(|name| !detections.iter().any(|rule| rule.head.is_called(name)));
            if let Some(name) = missing {
                self.refuse(filter, format!("it names the rule '{name}', which is not among these"));
            }
        }
    }

    fn detection(
        &mut self,
        document: &Document,
        filters: &[Document],
        called: &BTreeMap<String, usize>,
        rules: &mut SigmaRules,
    ) -> Result<(), String> {
        let Body::Detection(body) = &document.body else { return Ok(()) };
        if called.contains_key(&document.head.content.id) {
            return Err("a rule of this id is there already; keep one".to_owned());
        }
        let mut names = Names::default();
        let mut parts = vec![body.expr(&mut names)?];
        if document.head.is_own {
            own_fields(body.source.channel, &names)?;
        }
        if !names.0.iter().any(|field| field.known == Some(Known::Done)) {
            parts.push(asked(&mut names, Ask::Done));
        }
        if body.source.service != Service::Any {
            parts.push(asked(&mut names, Ask::Service(body.source.service)));
        }
        for filter in filters {
            let Body::Filter(filter_body) = &filter.body else { continue };
            if filter_body.is_for(&document.head, body.source) {
                let expr = filter_body.expr(&mut names);
                parts.push(
                    expr.map_err(|reason| format!("its filter '{}': {reason}", filter.head.content.id))?,
                );
            }
        }
        let matcher = rules.matchers.entry(body.source.channel).or_default();
        matcher.add(rules.units.len(), Expr::All(parts), &names);
        rules.units.push(unit(document, body.source, None));
        Ok(())
    }

    /// Correlations, those over others after the others.
    fn correlations(
        &mut self,
        mut waiting: Vec<Document>,
        called: &mut BTreeMap<String, usize>,
        rules: &mut SigmaRules,
    ) {
        for _ in 0..CHAIN_LIMIT {
            let before = waiting.len();
            for document in std::mem::take(&mut waiting) {
                let Body::Correlation(correlation) = &document.body else { continue };
                let over: Option<Vec<usize>> =
                    correlation.rules.iter().map(|name| called.get(name).copied()).collect();
                match over {
                    None => waiting.push(document),
                    Some(_) if called.contains_key(&document.head.content.id) => {
                        self.refuse(&document, "a rule of this id is there already; keep one".to_owned());
                    }
                    Some(over) => {
                        let index = rules.units.len();
                        rules.correlate(&document, correlation, &over);
                        call(called, &document, index);
                    }
                }
            }
            if waiting.len() == before {
                break;
            }
        }
        for document in &waiting {
            let Body::Correlation(correlation) = &document.body else { continue };
            let missing = correlation.rules.iter().find(|name| !called.contains_key(*name));
            let reason = match missing {
                Some(name) => format!("it is over the rule '{name}', which is not loaded"),
                None => format!("correlations over correlations go {CHAIN_LIMIT} deep"),
            };
            self.refuse(document, reason);
        }
    }
}

impl SigmaRules {
    fn correlate(&mut self, document: &Document, correlation: &Correlation, over: &[usize]) {
        let index = self.units.len();
        let source = over.first().and_then(|first| self.units.get(*first)).map(|first| first.source);
        for (place, part) in over.iter().enumerate() {
            let Some(part) = self.units.get_mut(*part) else { continue };
            part.over.push((index, place));
            part.is_told &= correlation.tells_all;
        }
        let source = source.unwrap_or(Source { channel: Channel::Log, service: Service::Any });
        self.units.push(unit(document, source, Some(correlation.clone())));
    }
}

fn asked(names: &mut Names, ask: Ask) -> Expr {
    // These ask the record, not a field; the field is there because each test has one.
    let field = names.index(Field::text());
    Expr::Test(Box::new(Test { field, ask }))
}

fn unit(document: &Document, source: Source, correlation: Option<Correlation>) -> Unit {
    Unit {
        content: document.head.content.clone(),
        path: document.path.clone(),
        is_told: true,
        is_own: document.head.is_own,
        yields_to: document.head.yields_to.clone(),
        source,
        correlation,
        over: Vec::new(),
    }
}

fn call(called: &mut BTreeMap<String, usize>, document: &Document, index: usize) {
    let head = &document.head;
    for name in [Some(&head.content.id), head.sigma_id.as_ref(), head.name.as_ref()].into_iter().flatten() {
        called.entry(name.clone()).or_insert(index);
    }
}
