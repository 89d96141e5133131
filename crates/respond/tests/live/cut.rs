use std::{
    io::{ErrorKind, Read},
    net::{TcpListener, TcpStream},
};

use minesweep_model::OutcomeState;
use tempfile::TempDir;

use crate::common::{PATIENCE, Part, cut, described, freeze, plan, responder, states};

/// A client process with one connection to us.
pub struct Connection {
    pub client: Part,
    server: TcpStream,
    pub cookie: u64,
}

impl Connection {
    pub fn receives(&mut self, want: &str) -> bool {
        let mut bytes = vec![0; want.len()];
        self.server.read_exact(&mut bytes).is_ok() && bytes == want.as_bytes()
    }
}

pub fn connect_client() -> Connection {
    connect(Part::start(&["client"]), &TcpListener::bind("127.0.0.1:0").unwrap())
}

fn connect(mut client: Part, listener: &TcpListener) -> Connection {
    client.tell(&format!("connect {}", listener.local_addr().unwrap()));
    let (server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let cookie = client.hear().unwrap().parse().unwrap();
    Connection { client, server, cookie }
}

/// What reaches the pool, and how the connection ends for it.
fn received(server: &mut TcpStream) -> (usize, Result<(), ErrorKind>) {
    let mut bytes = Vec::new();
    let end = server.read_to_end(&mut bytes).map(|_| ()).map_err(|failed| failed.kind());
    (bytes.len(), end)
}

#[test]
fn a_share_sent_right_after_the_cut_never_reaches_the_pool_in_100_of_100() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let folder = TempDir::new().unwrap();
        let mut responder = responder(&folder);
        responder.arm().unwrap();
        let listener = TcpListener::bind(address).unwrap();
        let mut client = Part::start(&["client"]);
        let target = described(client.child.id());
        for round in 0..50 {
            let mut connection = connect(client, &listener);
            let cookie = connection.cookie;
            assert_eq!(responder.cut_now(cookie, &target, "login", 1).unwrap().state, OutcomeState::Done);
            assert_eq!(
                connection.client.ask("send share"),
                "Ok(())",
                "the client only believes that it was sent"
            );
            assert!(responder.dropped(cookie).unwrap() > 0, "{address} {round}");
            assert_eq!(
                states(&responder.carry_out(&plan(vec![cut(&target, cookie)]), 2)),
                [OutcomeState::Done]
            );
            assert_eq!(
                received(&mut connection.server),
                (0, Err(ErrorKind::ConnectionReset)),
                "{address} {round}"
            );
            client = connection.client;
        }
    }
}

#[test]
fn a_pool_gets_nothing_through_to_the_miner_either() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    responder.arm().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut connection = connect(Part::start(&["client"]), &listener);
    let target = described(connection.client.child.id());
    assert_eq!(responder.cut_now(connection.cookie, &target, "login", 1).unwrap().state, OutcomeState::Done);
    std::io::Write::write_all(&mut connection.server, b"job").unwrap();
    assert!(responder.dropped(connection.cookie).unwrap() > 0);
}

#[test]
fn other_connections_of_the_same_process_go_on() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    responder.arm().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut first = connect(Part::start(&["client"]), &listener);
    let target = described(first.client.child.id());
    assert_eq!(
        states(&responder.carry_out(&plan(vec![cut(&target, first.cookie)]), 1)),
        [OutcomeState::Done]
    );
    assert_eq!(received(&mut first.server), (0, Err(ErrorKind::ConnectionReset)));
    let mut second = connect(first.client, &listener);
    assert_eq!(second.client.ask("send hello"), "Ok(())");
    assert!(second.receives("hello"));
}

#[test]
fn without_the_filter_the_connection_is_still_reset() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let folder = TempDir::new().unwrap();
        let mut responder = responder(&folder);
        let listener = TcpListener::bind(address).unwrap();
        let mut connection = connect(Part::start(&["client"]), &listener);
        let target = described(connection.client.child.id());
        assert!(!responder.is_armed());
        assert_eq!(
            responder.cut_now(connection.cookie, &target, "login", 1).unwrap().state,
            OutcomeState::Done
        );
        assert_eq!(received(&mut connection.server), (0, Err(ErrorKind::ConnectionReset)));
        assert_eq!(connection.client.ask("send share"), "Err(ConnectionAborted)");
        assert_eq!(
            states(&responder.carry_out(&plan(vec![cut(&target, connection.cookie)]), 2)),
            [OutcomeState::Already]
        );
    }
}

#[test]
fn a_connection_in_another_network_namespace_is_cut_also_when_only_a_thread_went_there() {
    for address in ["127.0.0.1:3333", "[::1]:3333"] {
        let parts =
            [Part::start_in_own_network(&["network", address]), Part::start(&["thread-network", address])];
        for (kind, mut part) in parts.into_iter().enumerate() {
            let folder = TempDir::new().unwrap();
            let mut responder = responder(&folder);
            responder.arm().unwrap();
            let cookie = part.hear().unwrap().parse().unwrap();
            let target = described(part.child.id());
            assert_eq!(responder.cut_now(cookie, &target, "login", 1).unwrap().state, OutcomeState::Done);
            assert_eq!(part.ask("send"), "Ok(())");
            let outcomes = responder.carry_out(&plan(vec![cut(&target, cookie)]), 2);
            assert_eq!(states(&outcomes), [OutcomeState::Done], "{address} {kind}");
            assert_eq!(part.ask("read"), "0 Err(ConnectionReset)", "{address} {kind}");
        }
    }
}

#[test]
fn a_socket_and_its_process_are_stopped_by_one_plan() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    responder.arm().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut connection = connect(Part::start(&["client"]), &listener);
    let target = described(connection.client.child.id());
    let outcomes = responder.carry_out(&plan(vec![cut(&target, connection.cookie), freeze(&target)]), 1);
    assert_eq!(states(&outcomes), [OutcomeState::Done, OutcomeState::Done]);
    connection.client.wait_stopped();
    assert_eq!(received(&mut connection.server), (0, Err(ErrorKind::ConnectionReset)));
}

#[test]
fn the_filter_goes_with_the_responder() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    responder.arm().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut connection = connect(Part::start(&["client"]), &listener);
    let target = described(connection.client.child.id());
    assert_eq!(responder.cut_now(connection.cookie, &target, "login", 1).unwrap().state, OutcomeState::Done);
    drop(responder);
    assert_eq!(connection.client.ask("send share"), "Ok(())");
    drop(connection.client);
    assert_eq!(received(&mut connection.server), (5, Ok(())), "held and not reset: it goes on");
}
