//! The eBPF sensor under floods: nothing is lost without being counted. In a binary of its own, since every sensor on
//! the machine feels the flood.
//!
//! Needs root, eBPF and a mounted cgroup2. Talks to itself over loopback only.
#![allow(unsafe_code, reason = "the shared helpers ask the kernel for a socket's cookie")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on stops")]
#![allow(dead_code, reason = "the shared helpers serve other tests too")]

mod bpf_watch;

use std::{
    io::{Read as _, Write as _},
    path::Path,
    process::Command,
    sync::Mutex,
    time::Duration,
};

use bpf_watch::{Watch, pair};
use minesweep_host::Source as _;
use minesweep_model::{FileEvent, What};

/// One flood at a time.
static FLOOD: Mutex<()> = Mutex::new(());

#[test]
fn in_a_storm_of_short_processes_each_record_is_seen_or_counted_as_lost() {
    let _alone = FLOOD.lock();
    let mut watch = Watch::start();
    let pids: Vec<u32> = (0..500)
        .map(|_| {
            let mut child = Command::new("/bin/true").spawn().unwrap();
            child.wait().unwrap();
            child.id()
        })
        .collect();
    let made: Vec<u64> = watch.sensor.counts().iter().map(|count| count.made).collect();
    let last = Command::new("/bin/true").spawn().unwrap();
    let last = {
        let pid = last.id();
        drop(last);
        pid
    };
    watch.exec(last);
    // Rings are read one after the other: what another ring holds is older and may still be there.
    let is_behind = |watch: &Watch| {
        let counts = watch.sensor.counts();
        counts.iter().zip(&made).any(|(count, made)| count.seen + count.lost < *made)
    };
    while is_behind(&watch) {
        watch.sensor.next(Duration::from_millis(10), &mut watch.events).unwrap();
    }
    for (count, made) in watch.sensor.counts().iter().zip(&made) {
        assert!(*made <= count.seen + count.lost, "{made} made before, now {count:?}");
        assert!(count.seen + count.lost <= count.made, "{count:?}");
    }
    let lost = watch.sensor.counts().iter().find(|count| count.hook == "exec").unwrap().lost;
    let is_seen = |pid: &u32| {
        watch.events.iter().any(|event| matches!(&event.what, What::Exec(process) if process.key.pid == *pid))
    };
    let seen = pids.iter().filter(|pid| is_seen(pid)).count();
    assert!(seen as u64 + lost >= 500, "{seen} seen, {lost} lost");
}

#[test]
fn in_a_flood_of_new_files_each_record_is_seen_or_counted_as_lost() {
    const FILES: usize = 20_000;
    let _alone = FLOOD.lock();
    let mut watch = Watch::start();
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new("/bin/sh")
        .args(["-c", r#"i=0; while [ $i -lt $1 ]; do : > "$0/$i"; i=$((i+1)); done"#])
        .arg(folder.path())
        .arg(FILES.to_string())
        .spawn()
        .unwrap();
    let pid = child.id();
    watch.until("the end of the flood", |what| {
        matches!(what, What::Exit { process } if process.pid == pid).then_some(())
    });
    child.wait().unwrap();
    // The exit comes by another ring; what the ring of files still holds is older.
    let count =
        |watch: &Watch| watch.sensor.counts().into_iter().find(|count| count.hook == "files").unwrap();
    let made = count(&watch).made;
    while count(&watch).seen + count(&watch).lost < made {
        watch.sensor.next(Duration::from_millis(10), &mut watch.events).unwrap();
    }
    watch.sensor.next(Duration::ZERO, &mut watch.events).unwrap();
    let is_flood =
        |event: &FileEvent| event.process.pid == pid && Path::new(&event.path).starts_with(folder.path());
    let told =
        watch.events.iter().filter(|event| matches!(&event.what, What::File(event) if is_flood(event)));
    let missing = FILES - told.count();
    let lost = usize::try_from(count(&watch).lost).unwrap();
    assert!(missing <= lost, "{missing} missing, {lost} lost, {made} made");
}

#[test]
fn what_does_not_fit_into_the_rings_is_counted_and_told() {
    let _alone = FLOOD.lock();
    let mut watch = Watch::start();
    for _ in 0..100 {
        let (mut client, mut server) = pair("127.0.0.1:0");
        client.write_all(&[0x16; 16_384]).unwrap();
        server.read_exact(&mut [0; 16_384]).unwrap();
    }
    let lost = watch.until("the loss", |what| match what {
        What::Lost(count) if count.hook == "bytes" => Some(count.clone()),
        _ => None,
    });
    assert!(lost.lost > 0 && lost.made >= lost.seen + lost.lost, "{lost:?}");
}
