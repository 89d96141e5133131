use super::*;

/// Made up: the form of an address, and nobody's.
const XMR: &str =
    "4MASi45ub7Qe4ZE36UT5G6cU4ud8Fhhe4deS4F3cw9KTAb8dLcukC7edhDQ7cn5d4gEYkbUrMWeWQLGsCmrG6dLaYyNoVKf";

fn of_argv(line: &str) -> Vec<String> {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    names(&argv(&words))
}

fn names(clues: &[Clue]) -> Vec<String> {
    clues
        .iter()
        .map(|clue| match clue {
            Clue::Pool(value, _) => format!("pool {value}"),
            Clue::Wallet(value, _) => format!("wallet {value}"),
            Clue::Worker(value, _) => format!("worker {value}"),
            Clue::Algorithm(value, _) => format!("algorithm {value}"),
        })
        .collect()
}

fn of_memory(bytes: &[u8]) -> Vec<String> {
    names(&search(bytes, ClueSource::Memory))
}

#[test]
fn options_of_miners_name_pool_wallet_worker_and_algorithm() {
    let xmrig =
        of_argv(&format!("./kswapd0 -o pool.example.org:3333 -u {XMR}.rig1 -p secret --rig-id r2 -a rx/0"));
    let want = [
        "pool pool.example.org:3333".to_owned(),
        format!("wallet {XMR}"),
        "worker rig1".to_owned(),
        "worker r2".to_owned(),
        "algorithm rx/0".to_owned(),
    ];
    assert_eq!(xmrig, want);
    assert_eq!(
        of_argv("minerd --algo=scrypt --url=stratum+tcp://POOL.example.org:3333 --user=bob.w1 --pass=secret"),
        ["pool pool.example.org:3333", "wallet bob", "worker w1", "algorithm scrypt"]
    );
    assert_eq!(
        of_argv(
            "ethminer -P stratum1+tcp://0xAb5801a7D398351b8bE11C439e05C5B3259aeC9B.rig:x@eth.example.org:4444"
        ),
        ["pool eth.example.org:4444", "wallet 0xAb5801a7D398351b8bE11C439e05C5B3259aeC9B", "worker rig"]
    );
    assert_eq!(of_argv("x -o stratum+ssl://[2001:db8::1]:443"), ["pool [2001:db8::1]:443"]);
}

#[test]
fn arguments_of_others_are_quiet() {
    for line in [
        "curl -u user:secret -o out.bin https://example.org:8443/x",
        "docker run -u 1000:1000 -o name:latest image",
        "ssh -o StrictHostKeyChecking=no -o ProxyJump=host:22 -a bob@example.org",
        "mysql -u root -P 3306 db.example.org:3306",
        "nc -o pool.example.org:3333",
        "bitcoin-cli sendtoaddress 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa 0.1",
        "git commit -a -m stratum",
        "openssl speed -seconds 3 sha256",
    ] {
        assert_eq!(of_argv(line), [] as [&str; 0], "{line}");
    }
}

#[test]
fn arguments_in_base64_are_read() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let packed = STANDARD.encode(format!("exec ./a --url stratum+tcp://p.example.org:80 -u {XMR}"));
    let clues = of_argv(&format!("sh -c {packed}"));
    assert_eq!(clues, ["pool p.example.org:80".to_owned(), format!("wallet {XMR}")]);
    assert_eq!(
        of_argv(&format!("tool --token {}", STANDARD.encode("just a token of a service"))),
        [] as [&str; 0]
    );
}

#[test]
fn a_password_is_never_returned() {
    let json = format!(
        r#"{{"url":"p.example.org:3333","user":"{XMR}","pass":"hunter2","rig-id":"a","algo":"rx/0"}}"#
    );
    for clues in [
        of_argv(&format!("m -o stratum+tcp://{XMR}:hunter2@p.example.org:1 -p hunter2 --pass=hunter2")),
        of_memory(json.as_bytes()),
        of_memory(b"stratum+tcp://bob:hunter2@p.example.org:3333"),
    ] {
        assert!(!clues.is_empty());
        assert!(clues.iter().all(|clue| !clue.contains("hunter2")), "{clues:?}");
    }
}

#[test]
fn a_configuration_is_read_whatever_stands_around_it() {
    let json = format!(
        "\0\u{1}garbage{{\"pools\": [{{ \"algo\": \"rx/0\", \"url\" : \"p.example.org:3333\", \"user\":\"{XMR}.w\"}}]}}\u{ff}"
    );
    let want = [
        "pool p.example.org:3333".to_owned(),
        format!("wallet {XMR}"),
        "worker w".to_owned(),
        "algorithm rx/0".to_owned(),
    ];
    assert_eq!(of_memory(json.as_bytes()), want);
}

#[test]
fn a_user_far_from_a_pool_and_an_ordinary_url_are_quiet() {
    assert_eq!(of_memory(br#"{"url":"https://example.org:443/","user":"bob"}"#), [] as [&str; 0]);
    assert_eq!(of_memory(br#"{"user":"bob","pool":"default","algo":"rx/0"}"#), [] as [&str; 0]);
    let mut far = br#"{"user":"bob"}"#.to_vec();
    far.resize(8000, b' ');
    far.extend_from_slice(br#"{"url":"p.example.org:3333"}"#);
    assert_eq!(of_memory(&far), ["pool p.example.org:3333"]);
    assert_eq!(of_memory(b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"), [] as [&str; 0], "no pool in sight");
}

#[test]
fn what_is_found_is_bounded_and_hostile_bytes_do_no_harm() {
    let flood: String = (1..9000).map(|port| format!("stratum+tcp://p{port}.example.org:{port} ")).collect();
    assert_eq!(of_memory(flood.as_bytes()).len(), CLUES_LIMIT);
    assert!(of_memory(&[b'4'; 100_000]).is_empty());
    assert!(of_memory(&[0xff; 1000]).is_empty());
    for end in 0..40 {
        of_memory(&b"stratum+tcp://bob@p.example.org:3333"[..end.min(36)]);
    }
    for text in ["a:1", "a.b:0", "a.b:65536", "1.2.3.4:99999", "a..b:1", "[::g]:1", ":1", "a.1:1"] {
        assert_eq!(host_port(text), None, "{text}");
    }
}
