//! Filters: the form of exceptions.

use super::{load, matches, record, rule};

fn filter(rules: &str, condition: &str) -> String {
    format!(
        "---\ntitle: F\nid: f\nlogsource: {{category: process_creation, product: linux}}\nfilter:\n  rules: {rules}\n  selection: {{User|startswith: adm_}}\n  condition: {condition}\n"
    )
}

#[test]
fn a_filter_takes_out_what_it_selects_written_either_way_and_only_from_the_rules_it_names() {
    let two = format!(
        "{}---\n{}",
        rule("s: {Image: x}\ncondition: s"),
        rule("s: {Image: y}\ncondition: s").replace("id: t", "id: u")
    );
    for (rules, condition) in [("[t]", "not selection"), ("[t]", "selection"), ("[T]", "not selection")] {
        let (loaded, refused) = load(&format!("{two}{}", filter(rules, condition)));
        assert!(refused.is_empty(), "{refused:?}");
        assert!(matches(&loaded, &record("{Image: x, User: web}")), "{rules} {condition}");
        assert!(!matches(&loaded, &record("{Image: x, User: adm_a}")), "{rules} {condition}");
        let is_named_too = rules == "[T]";
        assert_eq!(
            matches(&loaded, &record("{Image: y, User: adm_a}")),
            !is_named_too,
            "{rules} {condition}"
        );
    }
    let (loaded, _) = load(&format!("{two}{}", filter("any", "not selection")));
    assert!(!matches(&loaded, &record("{Image: y, User: adm_a}")));
}

#[test]
fn a_filter_that_hides_nothing_is_refused() {
    let (rules, refused) =
        load(&format!("{}{}", rule("s: {Image: x}\ncondition: s"), filter("[gone]", "not selection")));
    assert_eq!(rules.units().len(), 1);
    assert!(refused.len() == 1 && refused[0].reason.contains("'gone'"), "{refused:?}");
    let (_, refused) = load(&filter("[]", "selection"));
    assert!(refused[0].reason.contains("names no rules"), "{refused:?}");
}
