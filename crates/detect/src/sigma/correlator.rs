//! What correlations remember of the past: per correlation and group, what fell into its time.
//!
//! Bounded: so many groups, so many events in all; the oldest group goes first, and is counted. An attacker who fills
//! it with noise is seen by the noise.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use super::{
    correlation::{COUNT_LIMIT, Correlation, Kind},
    fields::{Field, Record},
};

/// Most groups of all correlations.
pub(crate) const GROUPS_LIMIT: usize = 16_384;
/// Most remembered events of all groups.
pub(crate) const EVENTS_LIMIT: usize = 131_072;
/// Most values of a group that a percentile is taken of.
const PERCENTILE_LIMIT: usize = 1024;
/// Longest remembered value, bytes.
const VALUE_BYTES: usize = 128;
/// Groups looked at for their age, each time something comes.
const AGED: usize = 2;

type Key = (usize, String);

/// The memory of all correlations.
#[derive(Debug, Default)]
pub(crate) struct Correlator {
    groups: HashMap<Key, Group>,
    /// Each group once, in the order in which it is looked at for its age.
    order: VecDeque<Key>,
    events: usize,
    /// Groups and events that were thrown out for want of room.
    pub(crate) lost: u64,
}

#[derive(Debug, Default)]
struct Group {
    last_ms: u64,
    span_ms: u64,
    events: VecDeque<Event>,
    /// How often each value stands in `events`.
    values: BTreeMap<Arc<str>, u32>,
    sum: f64,
    /// For temporal correlations: when each rule last matched; for ordered ones: when the chain up to it began.
    marks: Vec<Option<u64>>,
}

#[derive(Debug)]
struct Event {
    at_ms: u64,
    value: Option<Arc<str>>,
    number: f64,
}

/// A correlation that was met.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Met {
    /// Values of the group, in the order of `group-by`.
    pub(crate) group: Vec<String>,
    /// What was counted.
    pub(crate) number: f64,
}

impl Correlator {
    /// Rule `from` of correlation `index` matched this record.
    pub(crate) fn observe<R: Record + ?Sized>(
        &mut self,
        index: usize,
        correlation: &Correlation,
        from: usize,
        record: &R,
        at_ms: u64,
    ) -> Option<Met> {
        let values = |fields: Option<&Vec<Field>>| -> Vec<String> {
            fields.into_iter().flatten().map(|field| first(record, field)).collect()
        };
        let group = values(correlation.groups.get(from));
        let counted = values(correlation.fields.get(from));
        let key = (index, group.join("\u{1f}"));
        self.age(at_ms);
        if !self.groups.contains_key(&key) {
            self.make_room();
            self.order.push_back(key.clone());
        }
        let held = self.groups.entry(key.clone()).or_default();
        held.last_ms = held.last_ms.max(at_ms);
        held.span_ms = correlation.span_ms;
        let before = held.events.len();
        let (number, cut) = held.add(correlation, from, &counted, at_ms);
        self.lost = self.lost.saturating_add(cut);
        let is_met = number.is_some_and(|number| correlation.is_met(number));
        if is_met {
            held.clear();
        }
        let after = held.events.len();
        self.events = self.events.saturating_add(after).saturating_sub(before);
        if is_met { Some(Met { group, number: number? }) } else { None }
    }

    /// Groups and events held.
    #[cfg(test)]
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.groups.len(), self.events)
    }

    /// Forgets groups in which nothing happened for as long as their correlation looks back.
    fn age(&mut self, at_ms: u64) {
        for _ in 0..AGED {
            let Some(key) = self.order.pop_front() else { return };
            let is_old = self
                .groups
                .get(&key)
                .is_some_and(|group| at_ms.saturating_sub(group.last_ms) > group.span_ms);
            if is_old {
                self.forget(&key);
            } else {
                self.order.push_back(key);
            }
        }
    }

    fn make_room(&mut self) {
        while self.groups.len() >= GROUPS_LIMIT || self.events >= EVENTS_LIMIT {
            let Some(key) = self.order.pop_front() else { return };
            self.forget(&key);
            self.lost = self.lost.saturating_add(1);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(group) = self.groups.remove(key) {
            self.events = self.events.saturating_sub(group.events.len());
        }
    }
}

impl Group {
    /// The number that the condition is about, and how many events were cut off.
    fn add(
        &mut self,
        correlation: &Correlation,
        from: usize,
        counted: &[String],
        at_ms: u64,
    ) -> (Option<f64>, u64) {
        match &correlation.kind {
            Kind::Temporal => (self.mark(correlation, from, at_ms), 0),
            Kind::TemporalOrdered => (self.chain(correlation, from, at_ms), 0),
            Kind::EventCount => {
                let cut = self.push(correlation, Event { at_ms, value: None, number: 0.0 }, COUNT_LIMIT);
                (Some(count(self.events.len())), cut)
            }
            Kind::ValueCount if counted.iter().all(String::is_empty) => (None, 0),
            Kind::ValueCount => {
                let value = Some(Arc::from(counted.join("\u{1f}")));
                let cut = self.push(correlation, Event { at_ms, value, number: 0.0 }, COUNT_LIMIT);
                (Some(count(self.values.len())), cut)
            }
            Kind::ValueSum | Kind::ValueAverage | Kind::ValuePercentile(Some(_)) => {
                let Some(number) = counted.first().and_then(|text| text.trim().parse::<f64>().ok()) else {
                    return (None, 0);
                };
                let limit = if matches!(correlation.kind, Kind::ValuePercentile(_)) {
                    PERCENTILE_LIMIT
                } else {
                    COUNT_LIMIT
                };
                let cut = self.push(correlation, Event { at_ms, value: None, number }, limit);
                (self.of_numbers(&correlation.kind), cut)
            }
            Kind::ValuePercentile(None) => {
                let value: Arc<str> = Arc::from(counted.join("\u{1f}"));
                let event = Event { at_ms, value: Some(value.clone()), number: 0.0 };
                let cut = self.push(correlation, event, COUNT_LIMIT);
                let of_value = f64::from(self.values.get(&value).copied().unwrap_or(0));
                (Some(100.0 * of_value / count(self.events.len())), cut)
            }
        }
    }

    fn push(&mut self, correlation: &Correlation, event: Event, limit: usize) -> u64 {
        while self
            .events
            .front()
            .is_some_and(|old| event.at_ms.saturating_sub(old.at_ms) > correlation.span_ms)
        {
            self.pop();
        }
        let is_full = self.events.len() >= limit;
        if is_full {
            self.pop();
        }
        if let Some(value) = &event.value {
            let times = self.values.entry(value.clone()).or_default();
            *times = times.saturating_add(1);
        }
        self.sum += event.number;
        self.events.push_back(event);
        u64::from(is_full)
    }

    fn pop(&mut self) {
        let Some(event) = self.events.pop_front() else { return };
        self.sum -= event.number;
        if self.events.is_empty() {
            // No rounding error outlives the window.
            self.sum = 0.0;
        }
        if let Some(value) = event.value
            && let Some(times) = self.values.get_mut(&value)
        {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.values.remove(&value);
            }
        }
    }

    fn of_numbers(&self, kind: &Kind) -> Option<f64> {
        match kind {
            Kind::ValueSum => Some(self.sum),
            Kind::ValueAverage => Some(self.sum / count(self.events.len())),
            Kind::ValuePercentile(Some(percent)) => {
                let mut numbers: Vec<f64> = self.events.iter().map(|event| event.number).collect();
                numbers.sort_by(f64::total_cmp);
                percentile(&numbers, *percent)
            }
            Kind::EventCount
            | Kind::ValueCount
            | Kind::ValuePercentile(None)
            | Kind::Temporal
            | Kind::TemporalOrdered => None,
        }
    }

    /// How many of the rules matched within the time; nothing when fewer than all did and no number is asked for.
    fn mark(&mut self, correlation: &Correlation, from: usize, at_ms: u64) -> Option<f64> {
        self.marks.resize(correlation.rules.len(), None);
        if let Some(mark) = self.marks.get_mut(from) {
            *mark = Some(at_ms);
        }
        let is_recent =
            |mark: &&Option<u64>| mark.is_some_and(|mark| at_ms.saturating_sub(mark) <= correlation.span_ms);
        let seen = self.marks.iter().filter(is_recent).count();
        (!correlation.limits.is_empty() || seen == self.marks.len()).then(|| count(seen))
    }

    /// The latest begin of a chain up to each rule is the best: whatever an earlier one allows, it allows.
    fn chain(&mut self, correlation: &Correlation, from: usize, at_ms: u64) -> Option<f64> {
        self.marks.resize(correlation.rules.len(), None);
        let begin = match from.checked_sub(1) {
            None => Some(at_ms),
            Some(before) => self.marks.get(before).copied().flatten(),
        };
        let begin = begin.filter(|begin| at_ms.saturating_sub(*begin) <= correlation.span_ms)?;
        let mark = self.marks.get_mut(from)?;
        *mark = (*mark).max(Some(begin));
        let is_last = from.saturating_add(1) == self.marks.len();
        is_last.then(|| count(self.marks.len()))
    }

    fn clear(&mut self) {
        *self = Self { last_ms: self.last_ms, ..Self::default() };
    }
}

/// The value at that place of the sorted numbers, between two by their distance.
fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let last = count(sorted.len().checked_sub(1)?);
    let place = last * percent / 100.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1023")]
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let (below, above) = (*sorted.get(below)?, *sorted.get(above)?);
    Some(below + (above - below) * place.fract())
}

#[expect(clippy::cast_precision_loss, reason = "at most 16,384")]
fn count(number: usize) -> f64 {
    number as f64
}

/// The first value of a field, cut.
fn first<R: Record + ?Sized>(record: &R, field: &Field) -> String {
    let value = record.value(field);
    let text = value.texts().first().map(AsRef::as_ref).unwrap_or_default();
    let mut end = text.len().min(VALUE_BYTES);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default().to_owned()
}
