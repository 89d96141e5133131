//! Figures, not promises: `cargo test -p minesweep-respond --release -- --ignored --nocapture figures`.

use std::{net::TcpListener, time::Instant};

use tempfile::TempDir;

use crate::common::{Part, Target, cut, described, freeze, plan, responder, thaw};

#[test]
#[ignore = "prints figures"]
fn figures() {
    let folder =
        TempDir::new_in(std::env::var("MINESWEEP_BENCH_DIR").unwrap_or("/var/tmp".to_owned())).unwrap();
    let mut responder = responder(&folder);
    responder.arm().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = Part::start(&["client"]);
    let target = described(client.child.id());
    let (mut fast, mut whole) = (Vec::new(), Vec::new());
    for round in 0..200 {
        client.tell(&format!("connect {}", listener.local_addr().unwrap()));
        let accepted = listener.accept().unwrap();
        let cookie = client.hear().unwrap().parse().unwrap();
        let begin = Instant::now();
        drop(responder.cut_now(cookie, &target, "login", round));
        fast.push(begin.elapsed());
        let begin = Instant::now();
        drop(responder.carry_out(&plan(vec![cut(&target, cookie), freeze(&target)]), round));
        whole.push(begin.elapsed());
        drop(responder.carry_out(&plan(vec![thaw(&target)]), round));
        drop(accepted);
    }
    tell("login understood -> nothing passes (fsync included)", fast);
    tell("plan -> cut, frozen, reset (fsync included)", whole);
    let frozen: Vec<Target> = (0..10).map(|_| Target::start()).collect();
    drop(responder.carry_out(&plan(frozen.iter().map(|target| freeze(&target.process)).collect()), 1));
    let ticks = (0..200)
        .map(|_| {
            let begin = Instant::now();
            responder.tick(1).unwrap();
            begin.elapsed()
        })
        .collect();
    tell("tick with 10 frozen", ticks);
}

fn tell(what: &str, mut times: Vec<std::time::Duration>) {
    times.sort();
    println!("{what}: p50 {:?}, p99 {:?}, max {:?} over {}", times[100], times[197], times[199], times.len());
}
