//! Rules as text, records as text: what matches, what is refused, what is remembered.

mod collections;
mod reference;
mod times;

use super::*;
use crate::testing;

fn names() -> AttackNames {
    let material = testing::material();
    let (_, text) = material.iter().find(|(path, _)| path == "intel/attack.csv").unwrap();
    AttackNames::parse(text).unwrap()
}

fn load(text: &str) -> (SigmaRules, Vec<RefusedRule>) {
    SigmaRules::load([("x.yml", text)], &names())
}

/// A rule over processes with this detection part.
fn rule(detection: &str) -> String {
    format!(
        "title: T\nid: t\nlogsource: {{category: process_creation, product: linux}}\nlevel: high\ndetection:\n{}",
        detection.lines().map(|line| format!("  {line}\n")).collect::<String>()
    )
}

fn record(fields: &str) -> FieldsRecord {
    let mut record: FieldsRecord = serde_yaml_ng::from_str(fields).unwrap();
    record.category.get_or_insert_with(|| "process_creation".to_owned());
    record
}

fn matches(rules: &SigmaRules, record: &FieldsRecord) -> bool {
    let channel = record.source().unwrap().channel;
    !rules.matching(channel, record, &mut Correlator::default(), 0).is_empty()
}

/// The item, as only one of a selection, matches the record.
fn item_matches(item: &str, fields: &str) -> bool {
    let (rules, refused) = load(&rule(&format!("s:\n  {item}\ncondition: s")));
    assert!(refused.is_empty(), "{item}: {refused:?}");
    matches(&rules, &record(fields))
}

fn refusal(text: &str) -> String {
    let (rules, refused) = load(text);
    assert!(rules.units().is_empty(), "{text}");
    refused.into_iter().map(|refused| refused.reason).collect()
}

/// An item, a record, and whether they match.
const MODIFIERS: &[(&str, &str, bool)] = &[
    ("Image: /bin/SH", "{Image: /bin/sh}", true),
    ("Image: /bin/sh", "{Image: /bin/sh2}", false),
    ("Image|cased: /bin/SH", "{Image: /bin/sh}", false),
    ("Image|startswith: /tmp/", "{Image: /tmp/a}", true),
    ("Image|startswith: /tmp/", "{Image: /x/tmp/a}", false),
    ("Image|endswith: [/curl, /wget]", "{Image: /usr/bin/wget}", true),
    ("CommandLine|contains: ' -O '", "{CommandLine: wget -o a}", true),
    ("CommandLine|contains|all: [' -o ', http]", "{CommandLine: wget -o a}", false),
    ("CommandLine|contains|all: [' -o ', http]", "{CommandLine: wget -o a http://x}", true),
    ("CommandLine|contains|cased: ABC", "{CommandLine: xabcx}", false),
    ("CommandLine|re: '^a.c$'", "{CommandLine: abc}", true),
    ("CommandLine|re: '^a.c$'", "{CommandLine: ABC}", false),
    ("CommandLine|re|i: '^a.c$'", "{CommandLine: ABC}", true),
    ("CommandLine|re|m: '^b$'", "{CommandLine: \"a\\nb\\nc\"}", true),
    ("CommandLine|re: '^b$'", "{CommandLine: \"a\\nb\\nc\"}", false),
    ("CommandLine|re|s: 'a.b'", "{CommandLine: \"a\\nb\"}", true),
    ("CommandLine|re: 'a.b'", "{CommandLine: \"a\\nb\"}", false),
    ("CommandLine|contains|windash: ' -enc '", "{CommandLine: x /enc y}", true),
    ("CommandLine|windash|contains: ' -enc '", "{CommandLine: x –enc y}", true),
    ("CommandLine|contains|windash: ' -enc '", "{CommandLine: x enc y}", false),
    ("CommandLine|base64: ping", "{CommandLine: cGluZw==}", true),
    ("CommandLine|base64|contains: ping", "{CommandLine: 'echo cGluZw== | base64 -d'}", true),
    ("CommandLine|base64offset|contains: '/bin/sh'", "{CommandLine: 'echo eCAvYmluL3NoIHk='}", true),
    ("CommandLine|base64offset|contains: '/bin/sh'", "{CommandLine: 'echo eCAvYmluL3poIHk='}", false),
    ("CommandLine|wide|base64offset|contains: ping", "{CommandLine: 'cABpAG4AZwAgAC0AYwA='}", true),
    ("CommandLine|utf16le|base64: ping", "{CommandLine: cABpAG4AZwA=}", true),
    ("CommandLine|utf16be|base64: ping", "{CommandLine: AHAAaQBuAGc=}", true),
    ("CommandLine|utf16|base64: ping", "{CommandLine: //5wAGkAbgBnAA==}", true),
    ("DestinationIp|cidr: 10.0.0.0/8", "{DestinationIp: 10.255.0.1}", true),
    ("DestinationIp|cidr: 10.0.0.0/8", "{DestinationIp: 11.0.0.1}", false),
    ("DestinationIp|cidr: 10.0.0.0/8", "{DestinationIp: '::ffff:10.0.0.1'}", true),
    ("DestinationIp|cidr: 0.0.0.0/0", "{DestinationIp: 203.0.113.9}", true),
    ("DestinationIp|cidr: ['fe80::/10', 'fc00::/7']", "{DestinationIp: 'fd00::1'}", true),
    ("DestinationIp|cidr: 'fc00::/7'", "{DestinationIp: 2001:db8::1}", false),
    ("DestinationIp|cidr: 10.0.0.0/8", "{DestinationIp: host}", false),
    ("DestinationPort|lt: 1024", "{DestinationPort: '1023'}", true),
    ("DestinationPort|lt: 1024", "{DestinationPort: 1024}", false),
    ("DestinationPort|lte: 1024", "{DestinationPort: 1024}", true),
    ("DestinationPort|gt: 1024", "{DestinationPort: 1024}", false),
    ("DestinationPort|gte: 1024", "{DestinationPort: 1024}", true),
    ("DestinationPort|gte: 1024", "{DestinationPort: none}", false),
    ("DestinationPort|neq: 22", "{DestinationPort: 23}", true),
    ("DestinationPort|neq: 22", "{DestinationPort: 22}", false),
    ("Image|neq: [/a, /b]", "{Image: /b}", false),
    ("Image|endswith|neq: /sh", "{Image: /bin/sh}", false),
    ("ContainerId|exists: true", "{ContainerId: ''}", true),
    ("ContainerId|exists: true", "{Image: x}", false),
    ("ContainerId|exists: false", "{Image: x}", true),
    ("ContainerId: null", "{Image: x}", true),
    ("ContainerId: null", "{ContainerId: null}", true),
    ("ContainerId: null", "{ContainerId: ''}", false),
    ("ContainerId: ''", "{ContainerId: ''}", true),
    ("ContainerId: ''", "{Image: x}", false),
    ("Image|fieldref: ParentImage", "{Image: /A, ParentImage: /a}", true),
    ("Image|fieldref: ParentImage", "{Image: /A, ParentImage: /b}", false),
    ("Image|cased|fieldref: ParentImage", "{Image: /A, ParentImage: /a}", false),
    ("Image|fieldref|endswith: Comm", "{Image: /bin/sh, Comm: sh}", true),
    ("Image|fieldref|startswith: CurrentDirectory", "{Image: /tmp/x, CurrentDirectory: /tmp}", true),
    ("CommandLine|fieldref|contains: Image", "{CommandLine: sh /x y, Image: /x}", true),
    ("Image|fieldref|neq: ParentImage", "{Image: /A, ParentImage: /a}", false),
    ("UtcTime|hour: 3", "{UtcTime: '2026-11-25 03:06:18.000'}", true),
    ("UtcTime|hour|gte: 22", "{UtcTime: '2026-11-25T23:06:18Z'}", true),
    ("UtcTime|minute: 6", "{UtcTime: '2026-11-25T23:06:18Z'}", true),
    ("UtcTime|day: 25", "{UtcTime: '2026-11-25T23:06:18Z'}", true),
    ("UtcTime|week: 48", "{UtcTime: '2026-11-25T23:06:18Z'}", true),
    ("UtcTime|month: 11", "{UtcTime: '2026-11-25T23:06:18Z'}", true),
    ("UtcTime|year|lt: 2026", "{UtcTime: '2026-11-25T23:06:18Z'}", false),
    ("EventID: 4688", "{EventID: 4688}", true),
    ("Flag: true", "{Flag: true}", true),
    ("AncestorImages|endswith: /cron", "{AncestorImages: [/bin/sh, /usr/sbin/cron]}", true),
    ("'|all': [curl, http]", "{CommandLine: curl http://x}", true),
    ("'|all': [curl, http]", "{CommandLine: curl x}", false),
    ("a.b: c", "{a: {b: c}}", true),
];

#[test]
fn each_modifier_matches_what_it_says_and_not_what_comes_near() {
    for (item, fields, want) in MODIFIERS {
        assert_eq!(item_matches(item, fields), *want, "{item} against {fields}");
    }
}

#[test]
fn a_name_in_a_rule_of_another_case_is_another_field() {
    assert!(!item_matches("image: /bin/sh", "{Image: /bin/sh}"));
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let with = |item: &str| rule(&format!("s:\n  {item}\ncondition: s"));
    for (text, want) in [
        (with("Image|contain: x"), "'contain'"),
        (with("Image|re|contains: x"), "'contains'"),
        (with("Image|contains|re: x"), "'re'"),
        (with("Image|i: x"), "'i'"),
        (with("Image|startswith|endswith: x"), "'endswith'"),
        (with("Image|all|all: [x, y]"), "twice"),
        (with("Image|expand: '%users%'"), "placeholders"),
        (with("Image|wide: x"), "base64"),
        (with("Image|base64: 'a*'"), "wildcards"),
        (with("Image|contains|base64: a"), "'base64'"),
        (with("Image|re: '(?=a)b'"), "linear time"),
        (with("Image|re: '(a{1000}){1000}'"), "linear time"),
        (with("Image|re: 5"), "text"),
        (with("DestinationIp|cidr: 10.0.0.0/33"), "not a network"),
        (with("DestinationPort|lt: '5'"), "number"),
        (with("Image|exists: x"), "true or false"),
        (with("Image|contains: null"), "null"),
        (with("Image: []"), "empty list"),
        (with("Image: {a: b}"), "a value is"),
        (with("Image|cased|lt: 5"), "cased"),
        (rule("s: {Image: x}\ncondition: t"), "'t'"),
        (rule("s: {Image: x}"), "no condition"),
        (rule("s: {}\ncondition: s"), "empty"),
        (rule("s: null\ncondition: s"), "empty"),
        (rule("s: [[a]]\ncondition: s"), "a value is"),
        (rule("s: {Image: x}\ncondition: s | count() > 5"), "correlation"),
        (rule("s: {Image: x}\ncondition: s").replace("level:", "levle:"), "'levle'"),
        (rule("s: {Image: x}\ncondition: s").replace("high", "bad"), "'bad'"),
        (rule("s: {Image: x}\ncondition: s").replace("linux", "windows"), "'windows'"),
        (rule("s: {Image: x}\ncondition: s").replace("process_creation", "registry_set"), "'registry_set'"),
        (rule("s: {Image: x}\ncondition: s").replace("product:", "produce:"), "'produce'"),
        (rule("s: {Image: x}\ncondition: s").replace("title: T", "title: [T]"), "'title'"),
        ("title: x".to_owned(), "none, or more than one"),
        ("action: global\ntitle: x".to_owned(), "'action'"),
        ("a: [".to_owned(), ""),
        (String::new(), "empty"),
        ("- a".to_owned(), "map"),
    ] {
        let refusal = refusal(&text);
        assert!(!refusal.is_empty() && refusal.contains(want), "{text}\n{refusal}");
    }
}

#[test]
fn a_rule_without_an_id_is_called_by_its_title() {
    let (rules, _) =
        load(&rule("s: {Image: x}\ncondition: s").replace("title: T\nid: t", "title: Odd - Thing!"));
    assert_eq!(rules.units()[0].content.id, "sigma:odd-thing");
}

#[test]
fn one_broken_document_does_not_take_the_others_of_its_file_along() {
    let good = rule("s: {Image: x}\ncondition: s");
    let bad = rule("s: {Image|nope: x}\ncondition: s").replace("id: t", "id: u");
    let (rules, refused) = load(&format!("{good}---\n{bad}"));
    assert_eq!(rules.units().len(), 1);
    assert_eq!((refused.len(), refused[0].rule.as_str()), (1, "u"));
    let (rules, refused) = load(&format!("{good}---\n{good}"));
    assert_eq!((rules.units().len(), refused.len()), (1, 1), "an id is there once");
}

#[test]
fn a_selection_of_keywords_is_searched_in_the_whole_record() {
    let (rules, _) = load(&rule("k: [evil*word, other]\nf: {Image: /bin/ok}\ncondition: k and not f"));
    assert!(matches(&rules, &record("{CommandLine: an EVIL big word, Image: x}")));
    assert!(matches(&rules, &record("{ParentImage: Another}")));
    assert!(!matches(&rules, &record("{CommandLine: evil, Image: x}")));
    assert!(!matches(&rules, &record("{CommandLine: other, Image: /bin/ok}")));
}

#[test]
fn logs_are_told_apart_by_service_and_a_rule_without_one_takes_all() {
    let of = |source: &str| {
        let text =
            rule("k: [failed]\ncondition: k").replace("category: process_creation, product: linux", source);
        let (rules, refused) = load(&text);
        assert!(refused.is_empty(), "{refused:?}");
        rules
    };
    let line = |program: &str| FieldsRecord {
        category: None,
        product: Some("linux".to_owned()),
        ..record(&format!("{{category: null, product: linux, Program: {program}, Message: it failed}}"))
    };
    for (source, program, want) in [
        ("product: linux, service: sshd", "sshd", true),
        ("product: linux, service: sshd", "sudo", false),
        ("product: linux, service: auth", "sudo", true),
        ("product: linux, service: cron", "CRON", true),
        ("product: linux, service: syslog", "anything", true),
        ("product: linux", "anything", true),
    ] {
        assert_eq!(matches(&of(source), &line(program)), want, "{source} {program}");
    }
    let given = FieldsRecord { service: Some("sudo".to_owned()), ..line("x") };
    assert!(matches(&of("product: linux, service: sudo"), &given));
    assert!(matches(&of("product: linux, service: auth"), &given));
    assert!(!matches(&of("product: linux, service: sshd"), &given));
}

#[test]
fn what_the_kernel_refused_is_shown_only_to_rules_that_ask() {
    let file = |detection: &str| load(&rule(detection).replace("process_creation", "file_event")).0;
    let refused = record("{category: file_event, TargetFilename: /etc/x, Done: 'false'}");
    assert!(!matches(&file("s: {TargetFilename: /etc/x}\ncondition: s"), &refused));
    assert!(matches(&file("s: {TargetFilename: /etc/x, Done: 'false'}\ncondition: s"), &refused));
}

#[test]
fn our_own_rules_say_everything_in_both_languages_and_name_fields_that_exist() {
    let own = |detection: &str, block: &str| {
        let text = rule(detection).replace(
            "level: high\n",
            &format!("level: high\nlicense: MIT\nauthor: A\ndescription: D\nminesweep:\n  {block}\n"),
        );
        load(&text)
    };
    let block =
        "{id: intrusion.x, zh: {title: 题, description: 述}, advice: {en: a, zh: 议}, confidence: 80}";
    let (rules, refused) = own("s: {Image: x}\ncondition: s", block);
    assert!(refused.is_empty(), "{refused:?}");
    let content = &rules.units()[0].content;
    assert_eq!(
        (content.id.as_str(), content.title.zh.as_str(), content.confidence),
        ("intrusion.x", "题", 80)
    );
    for (detection, block, want) in [
        ("s: {Imgae: x}\ncondition: s", block, "'Imgae'"),
        (
            "s: {Image: x}\ncondition: s",
            "{id: x, zh: {title: a, description: b}, advice: {en: a, zh: b}}",
            "area.name",
        ),
        ("s: {Image: x}\ncondition: s", "{id: a.x, zh: {title: a}, advice: {en: a, zh: b}}", "description"),
        ("s: {Image: x}\ncondition: s", "{id: a.x, zh: {title: a, description: b}, advice: {en: a}}", "zh"),
        (
            "s: {Image: x}\ncondition: s",
            "{id: a.x, zh: {title: a, description: b}, advice: {en: a, zh: b}, x: 1}",
            "'x'",
        ),
    ] {
        let (_, refused) = own(detection, block);
        assert!(refused.len() == 1 && refused[0].reason.contains(want), "{block}: {refused:?}");
    }
}

#[test]
fn tags_become_attack_names_and_an_unknown_one_of_an_imported_rule_is_left_out() {
    let text = rule("s: {Image: x}\ncondition: s").replace(
        "level: high",
        "level: high\ntags: [attack.t1574.006, attack.persistence, attack.t9999, cve.2021.1]",
    );
    let (rules, refused) = load(&text);
    assert!(refused.is_empty(), "{refused:?}");
    let attacks = &rules.units()[0].content.attacks;
    assert_eq!(attacks.len(), 1);
    assert_eq!((attacks[0].technique.as_str(), attacks[0].tactic.as_str()), ("T1574.006", "TA0003"));
}
