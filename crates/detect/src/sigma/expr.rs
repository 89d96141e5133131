//! A rule as a tree of tests, and whether a record passes it.

use std::{net::IpAddr, sync::Arc};

use super::{
    date::Part,
    fields::{Field, Record, Slots, Value},
    pattern::{Pattern, Place},
    source::Service,
};
use crate::expression::Expression;

/// A condition. Its depth is bounded when it is parsed.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    AtLeast(usize, Vec<Expr>),
    Not(Box<Expr>),
    /// A selection, which a condition may name more than once.
    Shared(Arc<Expr>),
    Test(Box<Test>),
}

/// One thing that is asked of a record.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    /// Index into the fields of the rule.
    pub(crate) field: usize,
    pub(crate) ask: Ask,
}

/// What is asked of a field.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// Its text is like this.
    Text(Pattern),
    /// A regular expression is found in it.
    Regex(Expression),
    /// It is an address of this network.
    Cidr(Network),
    /// It is a number, and so compares with this one.
    Number(Compare, Number),
    /// A part of the date and time that it is compares so.
    Time(Part, Compare, Number),
    /// It is there, or is not.
    Exists(bool),
    /// It is not there, or has no value.
    Null,
    /// It compares with another field of the rule.
    Other { field: usize, place: Place, is_cased: bool },
    /// The record is a line of this log; the field does not matter.
    Service(Service),
    /// The kernel did it; the field does not matter.
    Done,
}

/// How numbers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Equal,
}

/// A number, exact when it is whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Whole(i128),
    Broken(f64),
}

impl Number {
    /// Reads a number; `0x` is hexadecimal.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(digits) = text.strip_prefix("0x") {
            return i128::from_str_radix(digits, 16).ok().map(Self::Whole);
        }
        text.parse()
            .ok()
            .map(Self::Whole)
            .or_else(|| text.parse().ok().filter(|number: &f64| number.is_finite()).map(Self::Broken))
    }

    /// As a floating number, for sums.
    #[expect(clippy::cast_precision_loss, reason = "sums and averages are told to a few digits")]
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Broken(broken) => broken,
        }
    }
}

impl Compare {
    /// `left` compares so with `right`.
    pub(crate) fn holds(self, left: Number, right: Number) -> bool {
        let order = match (left, right) {
            (Number::Whole(left), Number::Whole(right)) => Some(left.cmp(&right)),
            _ => left.as_f64().partial_cmp(&right.as_f64()),
        };
        order.is_some_and(|order| match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::More => order.is_gt(),
            Self::MoreOrEqual => order.is_ge(),
            Self::Equal => order.is_eq(),
        })
    }
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `address/length`; an address alone is a network of one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    /// It is at least as narrow as these lengths, in IPv4 and in IPv6.
    pub(crate) fn is_within(self, (v4, v6): (u32, u32)) -> bool {
        self.bits >= if self.address.is_ipv4() { v4 } else { v6 }
    }

    /// The address is in it. An IPv4 address in IPv6 clothes is an IPv4 address.
    pub(crate) fn has(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let shift = 32_u32.saturating_sub(self.bits);
                u32::from(net).checked_shr(shift) == u32::from(address).checked_shr(shift)
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let shift = 128_u32.saturating_sub(self.bits);
                u128::from(net).checked_shr(shift) == u128::from(address).checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl Expr {
    /// The record passes. `map` leads from the rule's fields to those of the slots.
    pub(crate) fn holds<R: Record + ?Sized>(&self, slots: &Slots<'_, R>, map: &[usize]) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(slots, map)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(slots, map)),
            Self::AtLeast(least, parts) => {
                parts.iter().filter(|part| part.holds(slots, map)).take(*least).count() == *least
            }
            Self::Not(part) => !part.holds(slots, map),
            Self::Shared(part) => part.holds(slots, map),
            Self::Test(test) => test.holds(slots, map),
        }
    }

    /// Visits every test.
    pub(crate) fn tests(&self, visit: &mut dyn FnMut(&Test)) {
        match self {
            Self::All(parts) | Self::Any(parts) | Self::AtLeast(_, parts) => {
                parts.iter().for_each(|part| part.tests(visit));
            }
            Self::Not(part) => part.tests(visit),
            Self::Shared(part) => part.tests(visit),
            Self::Test(test) => visit(test),
        }
    }
}

impl Test {
    fn holds<R: Record + ?Sized>(&self, slots: &Slots<'_, R>, map: &[usize]) -> bool {
        let at = |field: usize| map.get(field).copied();
        let Some(field) = at(self.field) else { return false };
        match &self.ask {
            Ask::Text(pattern) => slots.any(field, pattern.is_cased, |text| pattern.matches(text)),
            Ask::Regex(regex) => slots.any(field, true, |text| regex.is_match(text)),
            Ask::Cidr(network) => {
                slots.any(field, true, |text| text.parse().is_ok_and(|address| network.has(address)))
            }
            Ask::Number(compare, with) => slots.any(field, true, |text| {
                Number::parse(text).is_some_and(|number| compare.holds(number, *with))
            }),
            Ask::Time(part, compare, with) => slots.any(field, true, |text| {
                part.of(text).is_some_and(|number| compare.holds(Number::Whole(number), *with))
            }),
            Ask::Exists(wanted) => !matches!(slots.value(field), Some(Value::Absent) | None) == *wanted,
            Ask::Null => matches!(slots.value(field), Some(Value::Absent | Value::Null) | None),
            Ask::Other { field: other, place, is_cased } => {
                let Some(other) = at(*other) else { return false };
                slots.any(field, *is_cased, |text| {
                    slots.any(other, *is_cased, |other| match place {
                        Place::Whole => text == other,
                        Place::Start => text.starts_with(other),
                        Place::End => text.ends_with(other),
                        Place::Within => text.contains(other),
                    })
                })
            }
            Ask::Service(service) => slots.record.is_of(*service),
            Ask::Done => slots.record.is_done(),
        }
    }
}

/// The fields of one rule, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(pub(crate) Vec<Field>);

impl Names {
    /// The index of a field.
    pub(crate) fn index(&mut self, field: Field) -> usize {
        self.0.iter().position(|known| *known == field).unwrap_or_else(|| {
            self.0.push(field);
            self.0.len().saturating_sub(1)
        })
    }
}
