//! Joins independent evidence into one probability (docs/spec/verdict.md).
//!
//! Noisy-or over groups: each piece of evidence removes its share of the doubt that it is not mining. Within a group
//! only the strongest counts, since a second sign of the same kind mostly repeats the first.

use std::collections::BTreeMap;

use minesweep_model::{Evidence, Group, Severity};

/// Load alone never weighs more: a build machine is as busy as a miner.
const LOAD_LIMIT: f64 = 0.3;

/// A probability has six decimals: further ones are only the rounding of binary fractions.
const DECIMALS: f64 = 1e6;

/// Probability that this is mining, 0 to 1.
pub(crate) fn probability<'a>(evidence: impl IntoIterator<Item = &'a Evidence>) -> f64 {
    let mut strongest: BTreeMap<Group, f64> = BTreeMap::new();
    for piece in evidence {
        let limit = match piece.group {
            Group::Load => LOAD_LIMIT,
            Group::Behaviour => 0.0,
            Group::Protocol
            | Group::Compute
            | Group::Tuning
            | Group::File
            | Group::Clue
            | Group::Intel
            | Group::Evasion => 1.0,
        };
        let weight = piece.weight.clamp(0.0, limit);
        let place = strongest.entry(piece.group).or_default();
        *place = place.max(weight);
    }
    let doubt: f64 = strongest.values().map(|weight| 1.0 - weight).product();
    ((1.0 - doubt) * DECIMALS).round() / DECIMALS
}

/// There is evidence other than load; without it no incident opens whatever the settings say.
pub(crate) fn has_cause<'a>(evidence: impl IntoIterator<Item = &'a Evidence>) -> bool {
    evidence.into_iter().any(|piece| !matches!(piece.group, Group::Load | Group::Behaviour))
}

/// Severity of an incident.
pub(crate) fn severity(probability: f64) -> Severity {
    if probability >= 0.9 {
        Severity::Critical
    } else if probability >= 0.7 {
        Severity::High
    } else {
        Severity::Medium
    }
}

#[cfg(test)]
mod tests {
    use minesweep_model::Text;

    use super::*;

    fn of(parts: &[(Group, f64)]) -> f64 {
        let evidence: Vec<Evidence> = parts
            .iter()
            .map(|(group, weight)| Evidence {
                rule: String::new(),
                group: *group,
                weight: *weight,
                text: Text::default(),
                at_ms: 0,
            })
            .collect();
        probability(&evidence)
    }

    #[test]
    fn groups_multiply_and_within_a_group_the_strongest_counts() {
        assert!((of(&[(Group::Intel, 0.45), (Group::Load, 0.2)]) - 0.56).abs() < 1e-9);
        assert!((of(&[(Group::Tuning, 0.45), (Group::Tuning, 0.6)]) - 0.6).abs() < 1e-9);
        assert!(of(&[]).abs() < 1e-9);
        assert_eq!(of(&[(Group::Compute, 0.9), (Group::Clue, 0.53)]).to_string(), "0.953");
    }

    #[test]
    fn load_alone_never_exceeds_its_limit() {
        assert!((of(&[(Group::Load, 1.0), (Group::Load, 0.9)]) - 0.3).abs() < 1e-9);
    }

    #[test]
    fn what_an_intruder_does_besides_says_nothing_of_mining() {
        assert!(of(&[(Group::Behaviour, 1.0)]).abs() < 1e-9);
        assert!((of(&[(Group::Behaviour, 1.0), (Group::File, 0.6)]) - 0.6).abs() < 1e-9);
    }

    #[test]
    fn severity_follows_the_probability_at_its_borders() {
        assert_eq!(severity(0.5), Severity::Medium);
        assert_eq!(severity(0.7), Severity::High);
        assert_eq!(severity(0.899), Severity::High);
        assert_eq!(severity(0.9), Severity::Critical);
    }
}
