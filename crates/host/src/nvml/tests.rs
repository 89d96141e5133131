use std::path::Path;

use rustix::net::{SendFlags, accept_with, bind, listen, send};

use super::*;

/// A reader of the test's own, and a feed that finds a card and this reader.
struct Stand {
    folder: tempfile::TempDir,
    listener: Option<OwnedFd>,
}

impl Stand {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("nvidiactl"), "").unwrap();
        let mut stand = Self { folder, listener: None };
        stand.open();
        stand
    }

    fn open(&mut self) {
        let path = self.folder.path().join(ROUND_SOCKET);
        let _gone = std::fs::remove_file(&path);
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&socket, 4).unwrap();
        self.listener = Some(socket);
    }

    fn feed(&self) -> Feed {
        Feed { device: self.folder.path().join("nvidiactl"), ..Feed::new(self.folder.path()) }
    }

    fn accept(&self) -> OwnedFd {
        accept_with(self.listener.as_ref().unwrap(), SocketFlags::CLOEXEC).unwrap()
    }
}

fn tell(peer: &OwnedFd, text: &str) {
    send(peer, text.as_bytes(), SendFlags::NOSIGNAL).unwrap();
}

fn round_of(busy_percent: u8, lost: u64) -> String {
    let uses = vec![RoundUse { pid: std::process::id(), device: "nvidia 1".to_owned(), busy_percent }];
    let round = GpuRound { format: FORMAT, over_ms: 2000, devices: 1, unread: 0, lost, uses };
    serde_json::to_string(&round).unwrap()
}

#[test]
fn without_a_card_nobody_is_called_and_nothing_is_blind() {
    let stand = Stand::new();
    let mut feed = Feed { device: Path::new("/nonexistent").to_owned(), ..stand.feed() };
    assert!(feed.sample().is_empty());
    assert_eq!((feed.blind(), feed.count()), (None, None));
    assert!(feed.link.is_none());
}

#[test]
fn a_card_is_blind_until_the_reader_speaks_and_again_when_it_goes() {
    let mut stand = Stand::new();
    let mut feed = stand.feed();
    assert!(feed.sample().is_empty());
    let peer = stand.accept();
    assert!(feed.blind().is_some(), "a reader that has said nothing counts");
    tell(&peer, &round_of(80, 0));
    let mine = GpuUse {
        process: proc::key(std::process::id()).unwrap(),
        device: "nvidia 1".to_owned(),
        busy_ms: 1600,
        over_ms: 2000,
    };
    assert_eq!(feed.sample(), [mine]);
    assert_eq!(feed.blind(), None);
    drop((peer, stand.listener.take()));
    assert!(feed.sample().is_empty());
    assert!(feed.blind().is_some(), "a reader that has gone still counts");
    stand.open();
    feed.sample();
    let peer = stand.accept();
    tell(&peer, &round_of(10, 0));
    feed.sample();
    assert_eq!(feed.blind(), None, "a reader that came back is not heard");
}

#[test]
fn a_reader_that_falls_silent_is_taken_for_gone() {
    let stand = Stand::new();
    let mut feed = stand.feed();
    feed.sample();
    let peer = stand.accept();
    tell(&peer, &round_of(80, 0));
    feed.sample();
    assert_eq!(feed.blind(), None);
    feed.link.as_mut().unwrap().heard_ms -= SILENCE_MS + 1;
    feed.sample();
    assert!(feed.blind().is_some());
}

#[test]
fn packets_that_are_no_round_are_counted_and_change_nothing() {
    let stand = Stand::new();
    let mut feed = stand.feed();
    feed.sample();
    let peer = stand.accept();
    let long_name = round_of(80, 0).replace("nvidia 1", &"x".repeat(DEVICE_BYTES + 1));
    let too_long = format!("{}{}", round_of(80, 0), " ".repeat(ROUND_BYTES));
    let hostile = [
        "{",
        "\u{0}\u{0}",
        "[[[[[[[[",
        "{\"format\":1}",
        &round_of(101, 0),
        &round_of(80, 0).replace("\"format\":1", "\"format\":2"),
        &round_of(80, 0).replace("nvidia 1", "\\u001b[2J"),
        &round_of(80, 0).replace("2000", "-1"),
        &long_name,
        &too_long,
    ];
    for text in hostile {
        tell(&peer, text);
    }
    assert!(feed.sample().is_empty());
    assert!(feed.blind().is_some());
    assert_eq!(feed.count().unwrap().lost, 10);
    tell(&peer, &round_of(80, 7));
    assert_eq!(feed.sample().len(), 1);
    let count = feed.count().unwrap();
    assert_eq!((count.made, count.seen, count.lost), (18, 1, 17), "what the reader lost is not counted");
}

#[test]
fn a_card_that_does_not_tell_its_processes_is_named() {
    let stand = Stand::new();
    let mut feed = stand.feed();
    feed.sample();
    let peer = stand.accept();
    tell(&peer, "{\"format\":1,\"over_ms\":0,\"devices\":4,\"unread\":1,\"lost\":0,\"uses\":[]}");
    feed.sample();
    assert!(feed.blind().unwrap().why.en.starts_with("1 of 4"));
}

#[test]
fn rounds_that_came_together_are_one_sample_as_long_as_all() {
    let round = |busy_percent| GpuRound {
        over_ms: 1000,
        uses: vec![RoundUse { pid: 7, device: "nvidia 1".to_owned(), busy_percent }],
        ..GpuRound::default()
    };
    let key = |pid| (pid == 7).then_some(ProcessKey { pid, start_ticks: 1 });
    let want = GpuUse {
        process: ProcessKey { pid: 7, start_ticks: 1 },
        device: "nvidia 1".to_owned(),
        busy_ms: 1000,
        over_ms: 2000,
    };
    assert_eq!(used(&[round(100), round(0)], key), [want]);
    assert_eq!(used(&[round(0)], key), []);
    assert_eq!(used(&[round(100)], |_| None), []);
}
