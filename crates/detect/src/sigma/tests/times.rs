//! Correlations: what is remembered, when it is told, and how much memory it takes.

use super::{
    super::{
        correlator::{EVENTS_LIMIT, GROUPS_LIMIT},
        *,
    },
    load, record, rule,
};

/// Rules `a`, `b` and `c` over processes of that image, and a correlation.
fn with(correlation: &str) -> SigmaRules {
    let part = |name: &str| {
        rule(&format!("s: {{Image: {name}}}\ncondition: s"))
            .replace("id: t", &format!("id: id-{name}\nname: {name}"))
    };
    let text = format!(
        "{}---\n{}---\n{}---\ntitle: C\nid: corr\ncorrelation:\n{}",
        part("a"),
        part("b"),
        part("c"),
        correlation.lines().map(|line| format!("  {line}\n")).collect::<String>()
    );
    let (rules, refused) = load(&text);
    assert!(refused.is_empty(), "{refused:?}");
    rules
}

/// Times, in seconds, at which the correlation is told.
fn told(rules: &SigmaRules, events: &[(u64, &str)]) -> Vec<u64> {
    let mut correlator = Correlator::default();
    let mut told = Vec::new();
    for (at_s, fields) in events {
        let found = rules.matching(Channel::ProcessCreation, &record(fields), &mut correlator, at_s * 1000);
        let is_told = found.iter().any(|found| rules.units()[found.unit].content.id == "corr");
        told.extend(is_told.then_some(*at_s));
    }
    told
}

#[test]
fn a_count_is_told_when_it_is_full_within_the_time_and_per_group() {
    let rules = with("type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 10s\ncondition: {gte: 3}");
    let (x, y) = ("{Image: a, User: x}", "{Image: a, User: y}");
    assert_eq!(told(&rules, &[(0, x), (5, x), (10, x)]), [10], "exactly the time");
    assert_eq!(told(&rules, &[(0, x), (5, x), (11, x)]), [0; 0], "a second too late");
    assert_eq!(told(&rules, &[(0, x), (1, y), (2, x), (3, y), (4, x)]), [4]);
    assert_eq!(told(&rules, &[(0, x), (1, x), (2, x), (3, x), (4, x), (5, x)]), [2, 5], "it begins anew");
    let range = with("type: event_count\nrules: [a, b]\ntimespan: 1h\ncondition: {gt: 1, lte: 3}");
    assert_eq!(told(&range, &[(0, "{Image: a}"), (1, "{Image: b}")]), [1], "over two rules, without a group");
}

#[test]
fn the_parts_of_a_correlation_are_told_by_themselves_only_when_it_says_so() {
    for (generate, want) in [("", 0), ("\ngenerate: true", 1)] {
        let rules =
            with(&format!("type: event_count\nrules: [a]\ntimespan: 10s\ncondition: {{gte: 3}}{generate}"));
        let found =
            rules.matching(Channel::ProcessCreation, &record("{Image: a}"), &mut Correlator::default(), 0);
        assert_eq!(found.len(), want);
    }
}

#[test]
fn different_values_are_counted_once_each() {
    let rules = with(
        "type: value_count\nrules: [a]\ngroup-by: [User]\ntimespan: 10s\ncondition: {field: Comm, gte: 3}",
    );
    let of = |comm: &str| format!("{{Image: a, User: x, Comm: {comm}}}");
    let (p, q, r) = (of("p"), of("q"), of("r"));
    assert_eq!(told(&rules, &[(0, &p), (1, &p), (2, &q), (3, &r)]), [3]);
    assert_eq!(told(&rules, &[(0, &p), (5, &q), (11, &r), (12, &p)]), [12], "the first p is too old");
    assert_eq!(told(&rules, &[(0, &p), (1, &q), (2, "{Image: a, User: x}")]), [0; 0], "no value is no value");
}

#[test]
fn sums_averages_and_percentiles_are_of_the_values_within_the_time() {
    let of = |kind: &str, condition: &str| {
        with(&format!("type: {kind}\nrules: [a]\ntimespan: 10s\ncondition: {{field: N, {condition}}}"))
    };
    let n = |n: i64| format!("{{Image: a, N: {n}}}");
    let values = [n(10), n(20), n(60)];
    let events = [(0, values[0].as_str()), (1, values[1].as_str()), (2, values[2].as_str())];
    assert_eq!(told(&of("value_sum", "gte: 90"), &events), [2]);
    assert_eq!(told(&of("value_sum", "gt: 90"), &events), [0; 0]);
    assert_eq!(told(&of("value_avg", "gte: 30"), &events), [2]);
    assert_eq!(told(&of("value_percentile", "percentile: 50, gte: 20"), &events), [2]);
    assert_eq!(told(&of("value_sum", "gte: 90"), &[(0, "{Image: a, N: many}")]), [0; 0]);
    let rare = of("value_percentile", "lte: 40");
    let (x, y) = ("{Image: a, N: x}", "{Image: a, N: y}");
    assert_eq!(told(&rare, &[(0, x), (1, x), (2, y)]), [2], "a third of all");
}

#[test]
fn steps_are_told_when_all_were_seen_and_in_order_when_order_is_asked() {
    let any = with("type: temporal\nrules: [a, b, c]\ngroup-by: [User]\ntimespan: 10s");
    let ordered = with("type: temporal_ordered\nrules: [a, b, c]\ngroup-by: [User]\ntimespan: 10s");
    let (a, b, c) = ("{Image: a, User: x}", "{Image: b, User: x}", "{Image: c, User: x}");
    assert_eq!(told(&any, &[(0, c), (1, a), (2, b)]), [2]);
    assert_eq!(told(&any, &[(0, c), (1, a), (11, b)]), [0; 0]);
    assert_eq!(told(&ordered, &[(0, c), (1, a), (2, b)]), [0; 0]);
    assert_eq!(told(&ordered, &[(0, a), (1, b), (10, c)]), [10]);
    assert_eq!(told(&ordered, &[(0, a), (1, b), (11, c)]), [0; 0], "the first is too old");
    assert_eq!(told(&ordered, &[(0, a), (3, a), (4, b), (13, c)]), [13], "the later begin counts");
    assert_eq!(told(&ordered, &[(0, a), (1, b), (2, "{Image: c, User: y}")]), [0; 0], "another user");
    let two = with("type: temporal\nrules: [a, b, c]\ntimespan: 10s\ncondition: {gte: 2}");
    assert_eq!(told(&two, &[(0, a), (1, c)]), [1]);
    let words = with("type: temporal\nrules: [a, b]\ntimespan: 10s\ncondition: a and b");
    assert_eq!(told(&words, &[(0, b), (1, a)]), [1]);
}

#[test]
fn an_alias_joins_fields_of_different_names() {
    let rules = with(
        "type: temporal_ordered\nrules: [a, b]\ngroup-by: [who]\ntimespan: 10s\naliases:\n  who:\n    a: User\n    b: ParentUser",
    );
    assert_eq!(told(&rules, &[(0, "{Image: a, User: x}"), (1, "{Image: b, ParentUser: x}")]), [1]);
    assert_eq!(told(&rules, &[(0, "{Image: a, User: x}"), (1, "{Image: b, User: x}")]), [0; 0]);
}

#[test]
fn a_correlation_over_a_correlation_is_met_by_what_completes_the_inner_one() {
    let inner = "title: I\nid: inner\nname: many\ncorrelation:\n  type: event_count\n  rules: [a]\n  group-by: [User]\n  timespan: 10s\n  condition: {gte: 2}\n";
    let part = |name: &str| {
        rule(&format!("s: {{Image: {name}}}\ncondition: s"))
            .replace("id: t", &format!("id: id-{name}\nname: {name}"))
    };
    let outer = "title: O\nid: corr\ncorrelation:\n  type: temporal_ordered\n  rules: [many, b]\n  group-by: [User]\n  timespan: 1m\n";
    let (rules, refused) = load(&format!("{outer}---\n{inner}---\n{}---\n{}", part("a"), part("b")));
    assert!(refused.is_empty(), "{refused:?}");
    let (a, b) = ("{Image: a, User: x}", "{Image: b, User: x}");
    assert_eq!(told(&rules, &[(0, a), (1, a), (2, b)]), [2]);
    assert_eq!(told(&rules, &[(0, a), (1, b)]), [0; 0]);
}

#[test]
fn a_correlation_that_cannot_be_kept_is_refused_with_its_reason() {
    for (correlation, want) in [
        ("{type: event_count, rules: [gone], timespan: 1m, condition: {gte: 1}}", "'gone'"),
        ("{type: event_count, rules: [x], timespan: 1m, condition: {lt: 5}}", "upper bound"),
        ("{type: event_count, rules: [x], timespan: 1m, condition: {gte: 1000000}}", "1000000"),
        ("{type: event_count, rules: [x], timespan: 1w, condition: {gte: 1}}", "'1w'"),
        ("{type: event_count, rules: [x], timespan: 1m}", "needs one of"),
        ("{type: event_count, rules: [x], timespan: 1m, condition: {gte: 1, field: y}}", "takes no field"),
        ("{type: value_count, rules: [x], timespan: 1m, condition: {gte: 1}}", "needs a field"),
        ("{type: near, rules: [x], timespan: 1m, condition: {gte: 1}}", "'near'"),
        ("{type: event_count, rules: [x], timespan: 1m, condition: {gte: 1}, windows: 3}", "'windows'"),
        ("{type: event_count, rules: [x], timespan: 1m, condition: {gte: one}}", "'gte'"),
        ("{type: temporal, rules: [x, y], timespan: 1m, condition: x or y}", "x or y"),
        ("{type: event_count, rules: [me], timespan: 1m, condition: {gte: 1}}", "'me'"),
    ] {
        let (_, refused) = load(&format!("title: C\nid: c\nname: me\ncorrelation: {correlation}"));
        assert!(refused.len() == 1 && refused[0].reason.contains(want), "{correlation}: {refused:?}");
    }
}

#[test]
fn memory_is_bounded_by_groups_and_by_events_and_what_goes_is_counted() {
    let rules =
        with("type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 1d\ncondition: {gte: 10000}");
    let mut correlator = Correlator::default();
    let mut see = |user: usize, times: usize| {
        let record = record(&format!("{{Image: a, User: u{user}}}"));
        for _ in 0..times {
            let _found = rules.matching(Channel::ProcessCreation, &record, &mut correlator, 0);
        }
    };
    (0..GROUPS_LIMIT + 100).for_each(|user| see(user, 1));
    (0..30).for_each(|user| see(1_000_000 + user, 9000));
    let (groups, events) = correlator.size();
    assert!(groups <= GROUPS_LIMIT && events <= EVENTS_LIMIT + 10_000, "{groups} {events}");
    assert!(correlator.lost >= 100, "{}", correlator.lost);
}

#[test]
fn a_group_in_which_nothing_happens_is_forgotten() {
    let rules = with("type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 10s\ncondition: {gte: 100}");
    let mut correlator = Correlator::default();
    for user in 0..5000_u64 {
        let record = record(&format!("{{Image: a, User: u{user}}}"));
        let _found = rules.matching(Channel::ProcessCreation, &record, &mut correlator, user * 1000);
    }
    assert!(correlator.size().0 < 100, "{:?}", correlator.size());
}
