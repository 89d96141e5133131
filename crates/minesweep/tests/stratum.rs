//! Whoever logs in to a pool is named within a second, in every dialect and through proxies; look-alikes stay quiet.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

mod support;

use std::{process::Command, time::Duration};

use serde_json::Value;
use support::{Running, alone, is, root, rule};

const DIALECTS: &[&str] =
    &["cryptonote", "stratum-v1", "eth-proxy", "nicehash", "eip-1571", "zcash", "daemon"];

/// Generous for a loaded machine; the measured figure is in docs/spec/limits.md.
const LIMIT: Duration = Duration::from_secs(10);

fn mining(line: &Value) -> &Value {
    &line["unmapped"]["mining"]
}

#[test]
fn every_dialect_names_process_wallet_and_pool() {
    let _alone = alone();
    let pool = Running::script("pool.py", &[]);
    let port = pool.line();
    let watch = Running::watch(&[]);
    for dialect in DIALECTS {
        for split in ["0", "1"] {
            let miner = Running::script(
                "miner.py",
                &[&port, "--dialect", dialect, "--split", split, "--share", "--hold"],
            );
            let seen = watch.find(LIMIT, |line| is(line, "mining.stratum", miner.pid()));
            let seen = seen.unwrap_or_else(|| panic!("{dialect} split {split} was not seen"));
            let wallet =
                mining(&seen)["wallet"].as_str().unwrap_or_else(|| panic!("{dialect}: no wallet in {seen}"));
            assert!(
                wallet.contains("TestWallet") || wallet.contains("testwallet") || wallet.starts_with("0x00"),
                "{seen}"
            );
            assert_eq!(mining(&seen)["pool"], format!("127.0.0.1:{port}"), "{dialect}");
            let exe = seen["evidences"][0]["process"]["file"]["path"].as_str().unwrap();
            assert!(exe.contains("python3"), "{exe}");
            miner.end();
        }
    }
    watch.terminate();
    pool.end();
}

/// In a network namespace of its own: not every machine has IPv6.
#[test]
fn a_login_over_ipv6_names_process_and_pool() {
    let _alone = alone();
    let script = |name: &str| root().join("tests/scenarios").join(name).display().to_string();
    let pool = Running::start(
        Command::new("unshare")
            .args(["--net", "sh", "-ec", "ip link set lo up; exec python3 \"$@\"", "sh"])
            .args([&script("pool.py"), "--host", "::1"]),
    );
    let port = pool.line();
    let watch = Running::watch(&[]);
    for dialect in ["cryptonote", "stratum-v1", "daemon"] {
        let inside = format!("--net=/proc/{}/ns/net", pool.pid());
        let miner = Running::start(Command::new("nsenter").args([&inside, "python3"]).args([
            &script("miner.py"),
            &port,
            "--host",
            "::1",
            "--dialect",
            dialect,
            "--split",
            "1",
            "--share",
            "--hold",
        ]));
        let seen = watch.find(LIMIT, |line| is(line, "mining.stratum", miner.pid()));
        let seen = seen.unwrap_or_else(|| panic!("{dialect} was not seen"));
        assert_eq!(mining(&seen)["pool"], format!("[::1]:{port}"), "{dialect}");
        miner.end();
    }
    watch.terminate();
    pool.end();
}

#[test]
fn a_login_through_a_proxy_names_the_pool_behind_it() {
    let _alone = alone();
    let pool = Running::script("pool.py", &[]);
    let port = pool.line();
    let proxy = Running::script("proxy.py", &[]);
    let proxy_port = proxy.line();
    let watch = Running::watch(&[]);
    for via in ["connect", "socks4", "socks5"] {
        for split in ["0", "1"] {
            let args = [&port, "--via", via, "--proxy", &proxy_port, "--split", split, "--hold"];
            let miner = Running::script("miner.py", &args);
            let seen = watch.find(LIMIT, |line| is(line, "mining.stratum", miner.pid()));
            let seen = seen.unwrap_or_else(|| panic!("{via} split {split} was not seen"));
            assert_eq!(mining(&seen)["pool"], format!("127.0.0.1:{port}"), "{via}: {seen}");
            miner.end();
        }
    }
    watch.terminate();
    proxy.end();
    pool.end();
}

#[test]
fn programs_that_only_speak_json_lines_stay_quiet() {
    let _alone = alone();
    let watch = Running::watch(&[]);
    let talk = Running::script("lookalike.py", &[]);
    assert_eq!(talk.line(), "done");
    talk.end();
    let lines = watch.terminate();
    for line in &lines {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_ne!(rule(&line), Some("mining.stratum"), "{line}");
    }
}
