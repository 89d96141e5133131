//! Reads messages that name a method: what miners ask and what pools push.
//!
//! A method name alone is never enough where others use it too (`login`, `submit`, `job`): the shape of the
//! parameters has to be that of mining. The strengths are explained in [`super`].

use minesweep_model::StratumVerb as Verb;

use super::reading::{Asked, Dialect, Reading};
use super::shape::{self, is_hex, is_hex_item, is_hex_of_at_least};
use crate::json::{Node, Value};
use crate::text::{clean, cut};

/// Names of a list that are kept when a miner offers several algorithms, bytes.
const MAX_ALGORITHMS: usize = 128;

/// Reads a message with this method; `None` when it is not mining.
pub(super) fn read(method: &str, root: &Node<'_>) -> Option<Reading> {
    // Some clients leave `params` out and put the fields beside the method.
    let params = root.get("params").unwrap_or(root);
    if let Some(verb) = method.strip_prefix("mining.") {
        return mining(verb, params);
    }
    match method {
        "login" => login(params),
        "submit" | "solved" => submit(params),
        "handshake" => handshake(params),
        "job" | "getjobtemplate" => job(method, params),
        "keepalived" => Some(Reading::miner(Dialect::Cryptonote, Verb::Other, keepalive_strength(params))),
        "getjob" => Some(Reading::miner(Dialect::Cryptonote, Verb::Other, 0).asking(Asked::Work)),
        "getblocktemplate" | "get_block_template" => Some(template(params)),
        "submitblock" | "submit_block" => submit_block(params),
        "client.reconnect" | "client.show_message" | "client.get_version" => {
            Some(Reading::pool(Dialect::StratumV1, Verb::Other, 0))
        }
        other => ethereum(other, root, params),
    }
}

/// Cryptonote login. A chat's `login` has no `login` member, or nothing of a miner beside it.
fn login(params: &Node<'_>) -> Option<Reading> {
    let account = params.get("login").filter(|login| login.text().is_some())?;
    let has = |key| params.get(key).is_some_and(|node| !node.is_empty());
    let strength = match (has("algo"), has("agent"), has("rigid"), params.get("pass").is_some()) {
        (true, _, _, _) => 98,
        (false, true, _, true) => 95,
        (false, true, _, false) | (false, false, true, _) => 85,
        (false, false, false, true) => 75,
        (false, false, false, false) => return None,
    };
    let mut reading = Reading::miner(Dialect::Cryptonote, Verb::Login, strength)
        .with_account(Some(account), params.get("rigid"))
        .with_agent(params.get("agent"));
    reading.algorithm = params.get("algo").and_then(algorithms);
    Some(reading)
}

/// First words of a web page's miner to its proxy (webminerpool): the pool and the wallet.
fn handshake(params: &Node<'_>) -> Option<Reading> {
    let login = params.get("login").filter(|login| login.text().is_some())?;
    let is_real = params.get("pool").is_some_and(|pool| pool.text().is_some());
    is_real.then(|| Reading::miner(Dialect::Cryptonote, Verb::Login, 80).with_account(Some(login), None))
}

/// One name, or a list of names joined by commas.
fn algorithms(algo: &Node<'_>) -> Option<String> {
    if let Some(name) = algo.text() {
        return (!name.is_empty()).then(|| clean(name));
    }
    let names: Vec<&str> = algo.items().iter().filter_map(Node::text).collect();
    (!names.is_empty()).then(|| clean(cut(&names.join(","), MAX_ALGORITHMS)))
}

/// Cryptonote share; Grin sends `pow` for `result`.
fn submit(params: &Node<'_>) -> Option<Reading> {
    let has = |key| params.get(key).is_some_and(|node| !node.is_empty());
    if !(has("job_id") && has("nonce") && (has("result") || has("pow"))) {
        return None;
    }
    let is_long_hex =
        |key, digits| params.get(key).and_then(Node::text).is_some_and(|t| is_hex_of_at_least(t, digits));
    let is_exact = is_hex_item(params.get("nonce"), 8) && is_hex_item(params.get("result"), 64);
    let is_grin = params.get("pow").is_some_and(Node::is_list);
    let strength = match (is_exact, is_grin || (is_long_hex("nonce", 4) && is_long_hex("result", 32))) {
        (true, _) => 96,
        (false, true) => 85,
        (false, false) => 45,
    };
    Some(Reading::miner(Dialect::Cryptonote, Verb::Share, strength))
}

fn job(method: &str, params: &Node<'_>) -> Option<Reading> {
    if method == "getjobtemplate" {
        return Some(Reading::miner(Dialect::Cryptonote, Verb::Other, 0).asking(Asked::Work));
    }
    if !shape::is_cryptonote_job(params) {
        return None;
    }
    Some(with_job(Reading::pool(Dialect::Cryptonote, Verb::Job, 95), params))
}

/// Takes algorithm and difficulty from a cryptonote job.
pub(super) fn with_job(mut reading: Reading, job: &Node<'_>) -> Reading {
    reading.algorithm = job.get("algo").and_then(Node::text).filter(|algo| !algo.is_empty()).map(clean);
    reading.difficulty = job.get("target").and_then(Node::text).and_then(shape::cryptonote_difficulty);
    reading
}

/// The word is xmrig's own; with the session id of a login beside it nothing else says it.
fn keepalive_strength(params: &Node<'_>) -> u8 {
    let has_session = params.get("id").is_some_and(|id| id.text().is_some());
    if has_session && params.get("method").is_none() { 60 } else { 0 }
}

/// Wallets and explorers ask for templates too, so this alone is weak.
fn template(params: &Node<'_>) -> Reading {
    let mut reading = Reading::miner(Dialect::Daemon, Verb::Hello, 50).asking(Asked::Work);
    reading = reading.with_account(params.get("wallet_address"), None);
    reading
}

fn submit_block(params: &Node<'_>) -> Option<Reading> {
    let block = params.item(0).and_then(Node::text)?;
    is_hex_of_at_least(block, 80).then(|| Reading::miner(Dialect::Daemon, Verb::Share, 90))
}

/// Everything under `mining.`.
fn mining(verb: &str, params: &Node<'_>) -> Option<Reading> {
    let first = params.item(0);
    let text = first.and_then(Node::text);
    match verb {
        "subscribe" => Some(subscribe(params)),
        "authorize" | "auth" => authorize(params),
        "submit" => share(params),
        "notify" => notify(params),
        "set_difficulty" => {
            let number = first.and_then(Node::number)?;
            let mut reading = Reading::pool(Dialect::StratumV1, Verb::Difficulty, 88);
            reading.difficulty = shape::stratum_difficulty(number);
            Some(reading)
        }
        "set_target" => {
            let target = text.filter(|target| is_hex_of_at_least(target, 16))?;
            let mut reading = Reading::pool(Dialect::StratumV1, Verb::Difficulty, 90);
            reading.difficulty = shape::target_difficulty(target);
            Some(reading)
        }
        "set_extranonce" => text.map(|_| Reading::pool(Dialect::StratumV1, Verb::Other, 85)),
        "set_version_mask" => text.map(|_| Reading::pool(Dialect::StratumV1, Verb::Other, 85)),
        "configure" => {
            let is_real = first.is_some_and(Node::is_list);
            is_real.then(|| Reading::miner(Dialect::StratumV1, Verb::Hello, 90))
        }
        "hello" => hello(params),
        "set" => eip_set(params),
        "hashrate" => {
            let mut reading = Reading::miner(Dialect::Eip1571, Verb::Other, 60);
            reading.reported_hs = shape::hex_rate(text?);
            Some(reading)
        }
        "extranonce.subscribe" => Some(Reading::miner(Dialect::StratumV1, Verb::Other, 85)),
        "suggest_difficulty" | "suggest_target" | "get_transactions" | "multi_version" => {
            first.map(|_| Reading::miner(Dialect::StratumV1, Verb::Other, 85))
        }
        "ping" | "pong" | "noop" | "bye" | "reconnect" => {
            let mut reading = Reading::pool(Dialect::StratumV1, Verb::Other, 0);
            reading.asked = None;
            Some(reading)
        }
        _ => None,
    }
}

fn subscribe(params: &Node<'_>) -> Reading {
    let texts = || params.items().iter().filter_map(Node::text);
    let is_nicehash = texts().any(|text| text.starts_with("EthereumStratum/1"));
    let dialect = if is_nicehash { Dialect::NiceHash } else { Dialect::StratumV1 };
    let strength = match (is_nicehash, params.is_list()) {
        (true, _) => 95,
        (false, true) => 90,
        (false, false) => 80,
    };
    Reading::miner(dialect, Verb::Hello, strength).with_agent(params.item(0).or_else(|| params.get("agent")))
}

/// `[account, password]`, an object, or just the account.
fn authorize(params: &Node<'_>) -> Option<Reading> {
    let login = [params.item(0), params.get("login"), params.get("user"), params.get("username")];
    let login = login.into_iter().flatten().chain([params]).find(|node| node.text().is_some())?;
    let is_kaspa = login.text().is_some_and(|login| login.starts_with("kaspa:"));
    let dialect = if is_kaspa { Dialect::Kaspa } else { Dialect::StratumV1 };
    let strength = if params.is_list() { 95 } else { 80 };
    Some(Reading::miner(dialect, Verb::Login, strength).with_account(Some(login), params.get("worker")))
}

/// `[account, job, ...]`; in EIP-1571 `[job, nonce, worker]`. Kawpow sends nonce, header and mix, Zcash a solution.
fn share(params: &Node<'_>) -> Option<Reading> {
    if params.items().len() < 2 && params.members().len() < 2 {
        return None;
    }
    let is_kawpow = is_hex_item(params.item(3), 64) && is_hex_item(params.item(4), 64);
    let is_zcash =
        params.item(4).and_then(Node::text).is_some_and(|solution| is_hex_of_at_least(solution, 128));
    let dialect = match (is_kawpow, is_zcash) {
        (true, _) => Dialect::Kawpow,
        (false, true) => Dialect::Zcash,
        (false, false) => Dialect::StratumV1,
    };
    let strength = if params.items().len() >= 3 { 95 } else { 80 };
    let account = params.item(0).filter(|node| node.text().is_some_and(|text| !is_hex_of_at_least(text, 1)));
    let account = account.or_else(|| params.item(0).filter(|_| params.items().len() > 3));
    Some(Reading::miner(dialect, Verb::Share, strength).with_account(account, None))
}

fn notify(params: &Node<'_>) -> Option<Reading> {
    let dialect = work_dialect(params)?;
    let strength = if dialect == Dialect::StratumV1 && params.items().len() < 6 { 75 } else { 95 };
    let mut reading = Reading::pool(dialect, Verb::Job, strength);
    reading.algorithm = match dialect {
        Dialect::Kawpow => Some("kawpow"),
        Dialect::Kaspa => Some("kheavyhash"),
        Dialect::Zcash => Some("equihash"),
        Dialect::Cryptonote
        | Dialect::StratumV1
        | Dialect::EthProxy
        | Dialect::NiceHash
        | Dialect::Eip1571
        | Dialect::Daemon => None,
    }
    .map(str::to_owned);
    if dialect == Dialect::Kawpow {
        reading.difficulty = params.item(3).and_then(Node::text).and_then(shape::target_difficulty);
    }
    Some(reading)
}

/// Tells the dialect from the shape of the work.
fn work_dialect(params: &Node<'_>) -> Option<Dialect> {
    let hash = |at| is_hex_item(params.item(at), 64);
    let is_flag = |at| matches!(params.item(at).map(|node| &node.value), Some(Value::Bool(_)));
    let count = params.items().len();
    let is_kaspa =
        count >= 2 && params.item(1).is_some_and(|work| work.items().len() == 4 || is_kaspa_header(work));
    if hash(1) && hash(2) && hash(3) && is_flag(4) {
        Some(Dialect::Kawpow)
    } else if hash(2) && hash(3) && hash(4) && count >= 8 {
        Some(Dialect::Zcash)
    } else if count == 4 && hash(1) && hash(2) {
        Some(if is_flag(3) { Dialect::NiceHash } else { Dialect::Eip1571 })
    } else if count == 4 && hash(2) {
        Some(Dialect::Eip1571)
    } else if is_kaspa && count <= 3 {
        Some(Dialect::Kaspa)
    } else {
        (count >= 2 || params.members().len() >= 2).then_some(Dialect::StratumV1)
    }
}

/// Kaspa's long form: header hash and time as 80 hexadecimal digits.
fn is_kaspa_header(work: &Node<'_>) -> bool {
    work.text().is_some_and(|text| is_hex(text, 80))
}

/// EIP-1571: `{"agent":..,"host":..,"port":..,"proto":"EthereumStratum/2.0.0"}`.
fn hello(params: &Node<'_>) -> Option<Reading> {
    let protocol = params.get("proto").and_then(Node::text)?;
    let strength = if protocol.starts_with("EthereumStratum/") { 97 } else { 70 };
    Some(Reading::miner(Dialect::Eip1571, Verb::Hello, strength).with_agent(params.get("agent")))
}

/// EIP-1571: epoch, target, algorithm and extra nonce of the session.
fn eip_set(params: &Node<'_>) -> Option<Reading> {
    if !["epoch", "target", "algo", "extranonce"].iter().any(|key| params.get(key).is_some()) {
        return None;
    }
    let mut reading = Reading::pool(Dialect::Eip1571, Verb::Difficulty, 85);
    reading.difficulty = params.get("target").and_then(Node::text).and_then(shape::target_difficulty);
    reading.algorithm = params.get("algo").and_then(Node::text).filter(|algo| !algo.is_empty()).map(clean);
    Some(reading)
}

/// The verbs of eth-proxy. `eth_getWork` is also a node's own method, so it is weak alone.
fn ethereum(method: &str, root: &Node<'_>, params: &Node<'_>) -> Option<Reading> {
    match method {
        "eth_submitLogin" | "eth_login" => {
            let login = params.item(0).filter(|login| login.text().is_some())?;
            Some(
                Reading::miner(Dialect::EthProxy, Verb::Login, 97)
                    .with_account(Some(login), root.get("worker"))
                    .with_agent(root.get("agent")),
            )
        }
        "eth_getWork" => Some(Reading::miner(Dialect::EthProxy, Verb::Other, 40).asking(Asked::Work)),
        "eth_submitWork" => {
            let is_real = is_hex_item(params.item(0), 16) && is_hex_item(params.item(1), 64);
            let reading =
                Reading::miner(Dialect::EthProxy, Verb::Share, 95).with_account(None, root.get("worker"));
            is_real.then_some(reading)
        }
        "eth_submitHashrate" => {
            let mut reading =
                Reading::miner(Dialect::EthProxy, Verb::Other, 85).with_account(None, root.get("worker"));
            reading.reported_hs = params.item(0).and_then(Node::text).and_then(shape::hex_rate);
            reading.reported_hs.map(|_| reading)
        }
        _ => None,
    }
}
