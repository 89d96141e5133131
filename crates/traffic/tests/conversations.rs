//! Every conversation of `tests/fixtures/traffic` against its golden answer, and what must hold for all of them.
//! `BLESS=1` rewrites the answers; the difference is the review.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod common;

use std::fmt::Write as _;
use std::{env, fs};

use common::{Talk, all, confidence, hear, named};
use minesweep_model::{Role, Said, Utterance};
use proptest::prelude::*;

fn whole(bytes: &[u8]) -> Vec<Vec<u8>> {
    vec![bytes.to_vec()]
}

fn text(said: &[Said]) -> String {
    let mut out = String::new();
    for said in said {
        writeln!(out, "{}", serde_json::to_string(said).unwrap()).unwrap();
    }
    out
}

#[test]
fn every_conversation_is_heard_as_its_golden_answer_says() {
    for talk in all() {
        let got = text(&hear(&talk.events(1, whole)));
        let want_at = common::folder().join(format!("{}.out", talk.name));
        if env::var_os("BLESS").is_some() {
            fs::write(&want_at, &got).unwrap();
        }
        assert_eq!(got, fs::read_to_string(&want_at).unwrap(), "{}: {}", talk.name, talk.about);
    }
}

#[test]
fn every_dialect_is_certain_and_every_look_alike_is_quiet() {
    for talk in all() {
        let got = confidence(&hear(&talk.events(1, whole)));
        match talk.name.as_str() {
            "quiet_template" => assert_eq!(got, 50, "{}", talk.name),
            name if name.starts_with("quiet_") => assert!(got < 50, "{name}: {got}"),
            "http" | "tls" | "tls_records" | "tls_in_connect" | "dns_udp" | "dns_udp_cut" | "dns_tcp" => {
                assert_eq!(got, 0, "{}", talk.name);
            }
            "stratum_v1_bare" => assert_eq!(got, 80, "{}", talk.name),
            name => assert!(got >= 90, "{name}: {got}"),
        }
    }
}

#[test]
fn no_password_is_ever_kept() {
    for talk in all() {
        let got = text(&hear(&talk.events(1, whole)));
        for secret in ["hidden", "s3cret", "c2VjcmV0"] {
            assert!(!got.contains(secret), "{} keeps {secret}", talk.name);
        }
    }
}

#[test]
fn bytes_one_by_one_say_the_same() {
    for talk in all() {
        let single = |bytes: &[u8]| bytes.iter().map(|&byte| vec![byte]).collect();
        assert_eq!(hear(&talk.events(1, single)), hear(&talk.events(1, whole)), "{}", talk.name);
    }
}

#[test]
fn a_turn_split_in_two_at_any_byte_says_the_same() {
    for talk in all() {
        let want = hear(&talk.events(1, whole));
        let longest = talk.turns.iter().map(|(_, bytes)| bytes.len()).max().unwrap().min(2_000);
        for at in 1..longest {
            let got = hear(&talk.events(1, |bytes| {
                let (a, b) = bytes.split_at(at.min(bytes.len()));
                vec![a.to_vec(), b.to_vec()]
            }));
            assert_eq!(got, want, "{} at {at}", talk.name);
        }
    }
}

#[test]
fn a_pool_on_this_machine_is_a_server_and_a_miner_a_client() {
    let roles = |name: &str| {
        let said = hear(&named(name).events(1, whole));
        said.into_iter().map(|said| said.role).collect::<Vec<_>>()
    };
    assert!(roles("cryptonote").iter().all(|&role| role == Role::Client));
    assert!(roles("cryptonote_server").iter().all(|&role| role == Role::Server));
    assert!(roles("stratum_v1").iter().all(|&role| role == Role::Client));
}

#[test]
fn the_ja4_of_the_published_description_is_computed() {
    let said = hear(&named("tls").events(1, whole));
    let Utterance::Tls { sni, alpn, ja4 } = &said[0].utterance else { panic!("{said:?}") };
    assert_eq!(ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
    assert_eq!(sni.as_deref(), Some("pool.example.test"));
    assert_eq!(alpn, &["h2", "http/1.1"]);
}

#[test]
fn a_late_first_segment_is_read_before_the_second() {
    for name in ["cryptonote", "stratum_v1", "connect", "tls"] {
        let talk = named(name);
        let (direction, first) = &talk.turns[0];
        let (a, b) = first.split_at(20);
        let late =
            vec![talk.connect(1), talk.segment(1, *direction, 1020, b), talk.segment(1, *direction, 1000, a)];
        let want = hear(&[talk.connect(1), talk.segment(1, *direction, 1000, first)]);
        assert!(!want.is_empty());
        assert_eq!(hear(&late), want, "{name}");
    }
}

#[test]
fn a_proxy_that_refuses_several_times_hides_nothing() {
    let mut talk = named("connect_refused");
    let refused = talk.turns[..2].to_vec();
    talk.turns.splice(0..0, [refused.clone(), refused].concat());
    let said = hear(&talk.events(1, whole));
    let connects = said.iter().filter(|said| matches!(said.utterance, Utterance::Http { .. }));
    assert!(connects.clone().count() == 4 && connects.clone().all(|said| said.via.is_none()));
    assert_eq!(confidence(&said), 99);
}

#[test]
fn mining_on_the_port_of_dns_is_heard() {
    for name in ["cryptonote", "stratum_v1", "socks5", "connect"] {
        let mut talk = named(name);
        let want = hear(&talk.events(1, whole)).len();
        talk.port = 53;
        assert_eq!(hear(&talk.events(1, whole)).len(), want, "{name}");
    }
}

#[test]
fn repeated_polls_on_new_connections_make_a_miner_of_a_nodes_client() {
    let talk = named("quiet_template");
    let mut events = Vec::new();
    for cookie in 1..=3 {
        events.extend(talk.events(cookie, whole));
    }
    let polls = |count: usize| confidence(&hear(&events[..events.len() * count / 3]));
    assert_eq!(polls(2), 50);
    assert_eq!(polls(3), 80);
}

/// Cuts a turn at the given places.
fn cut_at(bytes: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).filter(|piece| !piece.is_empty()).collect()
}

fn any_talk() -> impl Strategy<Value = Talk> {
    let talks = all();
    (0..talks.len()).prop_map(move |at| talks[at].clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_segmentation_says_the_same(talk in any_talk(), cuts in prop::collection::vec(0usize..4000, 0..30)) {
        prop_assert_eq!(hear(&talk.events(1, |bytes| cut_at(bytes, &cuts))), hear(&talk.events(1, whole)));
    }

    #[test]
    fn repeats_and_disorder_within_a_turn_say_the_same(
        talk in any_talk(),
        cuts in prop::collection::vec(0usize..4000, 0..20),
        swaps in prop::collection::vec((0usize..1000, 0usize..1000), 0..20),
        repeats in prop::collection::vec(0usize..1000, 0..10),
    ) {
        prop_assume!(talk.protocol == minesweep_model::Protocol::Tcp);
        let want = hear(&talk.events(1, whole));
        let mut events = talk.events(1, |bytes| cut_at(bytes, &cuts));
        shuffle(&mut events, &swaps, &repeats);
        prop_assert_eq!(hear(&events), want, "{}", talk.name);
    }

    #[test]
    fn random_bytes_are_survived(turns in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..3000)), 0..8), port in prop::sample::select(vec![53u16, 3333])) {
        let turns = turns.into_iter().map(|(out, bytes)| (if out { minesweep_model::Direction::Out } else { minesweep_model::Direction::In }, bytes)).collect();
        let talk = Talk { name: String::new(), about: String::new(), port, protocol: minesweep_model::Protocol::Tcp, turns };
        prop_assert!(confidence(&hear(&talk.events(1, whole))) < 50);
    }

    #[test]
    fn damaged_conversations_are_survived(talk in any_talk(), hits in prop::collection::vec((any::<usize>(), any::<u8>()), 1..40)) {
        let mut talk = talk;
        for (at, byte) in hits {
            let count = talk.turns.len();
            let bytes = &mut talk.turns[at % count].1;
            if !bytes.is_empty() {
                let len = bytes.len();
                bytes[(at / 7) % len] = byte;
            }
        }
        let single = |bytes: &[u8]| bytes.iter().map(|&byte| vec![byte]).collect();
        prop_assert_eq!(hear(&talk.events(1, single)), hear(&talk.events(1, whole)));
    }
}

/// Disorder within the segments that follow each other in one direction: what a network may do without changing
/// who spoke first.
fn shuffle(events: &mut Vec<minesweep_model::Event>, swaps: &[(usize, usize)], repeats: &[usize]) {
    use minesweep_model::What;
    let direction = |event: &minesweep_model::Event| match &event.what {
        What::Bytes(bytes) if !bytes.bytes.0.is_empty() => Some(bytes.direction),
        _ => None,
    };
    for &(a, b) in swaps {
        let (a, b) = (a % events.len(), b % events.len());
        let (low, high) = (a.min(b), a.max(b));
        let of = direction(&events[low]);
        if of.is_some() && events[low..=high].iter().all(|event| direction(event) == of) {
            events.swap(low, high);
        }
    }
    for &at in repeats {
        let at = at % events.len();
        if direction(&events[at]).is_some() {
            let copy = events[at].clone();
            events.insert(at, copy);
        }
    }
}
