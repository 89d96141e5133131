//! The bounds hold whatever is sent, and what they cost is counted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod common;

use common::{Talk, confidence, hear, named};
use minesweep_model::{Direction, Event, Protocol, What};
use minesweep_traffic::{Limits, Streams};

fn plain() -> Talk {
    Talk { name: String::new(), about: String::new(), port: 3333, protocol: Protocol::Tcp, turns: Vec::new() }
}

/// A conversation after noise of so many bytes each way.
fn after_noise(talk: &Talk, noise: usize) -> Talk {
    let mut talk = talk.clone();
    let bytes = vec![b'.'; noise];
    talk.turns.splice(0..0, [(Direction::Out, bytes.clone()), (Direction::In, bytes)]);
    talk
}

fn events(talk: &Talk) -> Vec<Event> {
    talk.events(1, |bytes| vec![bytes.to_vec()])
}

#[test]
fn a_hundred_thousand_flows_stay_within_the_table_and_its_buffers() {
    let limits = Limits::default();
    let mut streams = Streams::new(limits.clone());
    let talk = plain();
    for cookie in 0..100_000 {
        streams.observe(&talk.segment(cookie, Direction::Out, 1, b"{\"half a message\":\""));
        streams.observe(&talk.segment(cookie, Direction::Out, 900_000, &[b'x'; 1000])); // waits for a hole to fill
    }
    let (flows, held) = streams.size();
    assert!(flows <= limits.flows && held <= limits.total_bytes, "{flows} flows, {held} bytes");
    let losses = streams.losses();
    assert_eq!(u64::try_from(flows).unwrap() + losses.flows + losses.buffers, 100_000);
}

#[test]
fn the_table_forgets_the_flow_not_used_for_longest_first() {
    let mut streams = Streams::new(Limits { flows: 2, ..Limits::default() });
    let talk = named("cryptonote");
    let first = &talk.turns[0].1;
    streams.observe(&talk.segment(1, Direction::Out, 1, &first[..50]));
    streams.observe(&talk.segment(2, Direction::Out, 1, &first[..50]));
    streams.observe(&talk.segment(1, Direction::Out, 51, &first[50..60]));
    streams.observe(&talk.segment(3, Direction::Out, 1, b"x"));
    assert_eq!(streams.losses().flows, 1);
    assert_eq!(streams.observe(&talk.segment(1, Direction::Out, 61, &first[60..])).len(), 1);
    assert_eq!(streams.observe(&talk.segment(2, Direction::Out, 51, &first[50..])).len(), 0);
}

#[test]
fn an_unknown_protocol_is_followed_for_its_first_bytes_and_no_further() {
    let talk = named("cryptonote");
    let limit = Limits::default().dull_bytes;
    assert_eq!(confidence(&hear(&events(&after_noise(&talk, limit - 1)))), 99);
    assert_eq!(confidence(&hear(&events(&after_noise(&talk, limit)))), 0);
}

#[test]
fn a_side_that_began_with_noise_is_read_again_once_the_other_mines() {
    let mut talk = named("cryptonote");
    let want = hear(&events(&talk)).len();
    talk.turns.insert(0, (Direction::In, vec![b'.'; 5000]));
    assert_eq!(hear(&events(&talk)).len(), want);
}

#[test]
fn inside_a_tunnel_the_mining_may_begin_later() {
    let mut talk = named("connect");
    let limit = Limits::default().dull_tunnel_bytes;
    let noise = |talk: &mut Talk, count: usize| {
        let bytes = vec![b'.'; count];
        talk.turns.splice(2..2, [(Direction::Out, bytes.clone()), (Direction::In, bytes)]);
    };
    let mut late = talk.clone();
    noise(&mut late, limit - 1);
    assert_eq!(confidence(&hear(&events(&late))), 99);
    noise(&mut talk, limit);
    assert_eq!(confidence(&hear(&events(&talk))), 0);
}

#[test]
fn a_dull_flow_holds_nothing() {
    let mut streams = Streams::new(Limits::default());
    for event in events(&after_noise(&plain(), 5000)) {
        streams.observe(&event);
    }
    assert_eq!(streams.size(), (1, 0));
}

#[test]
fn a_message_longer_than_the_bound_is_counted() {
    let mut streams = Streams::new(Limits::default());
    let heard =
        events(&named("cryptonote_long")).iter().map(|event| streams.observe(event).len()).sum::<usize>();
    assert_eq!((heard, streams.losses().long_lines), (1, 1));
}

#[test]
fn a_flow_ends_when_it_closes() {
    let mut streams = Streams::new(Limits::default());
    for event in events(&named("cryptonote")) {
        streams.observe(&event);
    }
    assert_eq!(streams.size().0, 1);
    streams.observe(&Event { at_ms: 0, what: What::Closed { cookie: 1 } });
    assert_eq!(streams.size(), (0, 0));
}

#[test]
fn a_lost_segment_costs_its_message_and_not_the_flow() {
    let talk = named("cryptonote");
    let all = events(&talk);
    // Without the first half of the pool's second job: the flow goes on at the next line.
    let mut streams = Streams::new(Limits::default());
    let mut heard = 0;
    for (at, event) in all.iter().enumerate() {
        let mut event = event.clone();
        event.at_ms += u64::try_from(at).unwrap() * 10_000;
        if at != 5 {
            heard += streams.observe(&event).len();
        }
    }
    assert_eq!(streams.losses().gaps, 1);
    assert!(heard >= 7, "{heard}");
}

#[test]
fn tunnels_beyond_the_bound_are_counted_and_not_followed() {
    let mut talk = named("connect");
    let layer = talk.turns[..2].to_vec();
    talk.turns.splice(0..0, [layer.clone(), layer].concat());
    let mut streams = Streams::new(Limits::default());
    for event in events(&talk) {
        streams.observe(&event);
    }
    assert_eq!(streams.losses().deep_tunnels, 1);
}
