//! Finds what miners carry in arguments, configuration and memory: pools, wallets, workers, algorithms.
//!
//! One linear pass over raw ASCII; what is found is bounded; the wire format of a clue is `model::Clue`. Passwords
//! are never returned. Text in UTF-16 is not read: no miner we know keeps its pool so.

mod argv;
mod wallet;

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use aho_corasick::AhoCorasick;
use minesweep_model::{Clue, ClueSource};
use regex::bytes::Regex;

pub use argv::argv;

/// Most clues of one search.
const CLUES_LIMIT: usize = 64;
/// Most key words that are looked at in one search; a hostile memory may be full of them.
const HITS_LIMIT: usize = 20_000;
/// Bytes looked at after a key word; longer than any pool address with login.
const VALUE_LIMIT: usize = 512;
/// A user name counts only this near to a pool: `"user"` is a key of every second configuration.
const NEAR_BYTES: usize = 2048;

/// Finds clues in bytes. `Argv` takes words split by NUL; `File` and `Memory` take anything.
pub fn search(bytes: &[u8], source: ClueSource) -> Vec<Clue> {
    let mut found = Found::default();
    match &source {
        ClueSource::Argv => return argv(&argv::split(bytes)),
        ClueSource::File(_) | ClueSource::Beside(_) | ClueSource::Memory => keyed(bytes, &mut found),
    }
    wallet::scan(bytes, &mut |wallet| found.wallet_shaped(wallet));
    found.finish(&source)
}

/// Key words, each with what follows it.
#[derive(Clone, Copy)]
enum Key {
    Url,
    JsonUrl,
    JsonUser,
    JsonWorker,
    JsonAlgorithm,
}

static KEYS: [(&str, Key); 12] = [
    ("stratum", Key::Url),
    ("ethproxy+", Key::Url),
    ("daemon+http", Key::Url),
    ("\"url\"", Key::JsonUrl),
    ("\"pool\"", Key::JsonUrl),
    ("\"pool_address\"", Key::JsonUrl),
    ("\"user\"", Key::JsonUser),
    ("\"wallet\"", Key::JsonUser),
    ("\"wallet_address\"", Key::JsonUser),
    ("\"rig-id\"", Key::JsonWorker),
    ("\"rig_id\"", Key::JsonWorker),
    ("\"algo\"", Key::JsonAlgorithm),
];

static FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder().ascii_case_insensitive(true).build(KEYS.iter().map(|(word, _)| word)).ok()
});
static JSON_VALUE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"^"[A-Za-z_-]{1,20}"[ \t]{0,8}:[ \t]{0,8}"([^"\\\x00-\x1f]{1,256})""#).ok()
});

fn keyed(bytes: &[u8], found: &mut Found) {
    let (Some(finder), Some(json)) = (FINDER.as_ref(), JSON_VALUE.as_ref()) else { return };
    for hit in finder.find_iter(bytes).take(HITS_LIMIT) {
        let Some((_, key)) = KEYS.get(hit.pattern().as_usize()) else { continue };
        let end = hit.start().saturating_add(VALUE_LIMIT).min(bytes.len());
        let Some(here) = bytes.get(hit.start()..end) else { continue };
        let value =
            || json.captures(here)?.get(1).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        match key {
            Key::Url => found.url(hit.start(), here),
            Key::JsonUrl => found.json_url(hit.start(), value().unwrap_or_default()),
            Key::JsonUser => found.users.extend(value().map(|user| (hit.start(), user.to_owned()))),
            Key::JsonWorker => found.workers.extend(value().map(|worker| (hit.start(), worker.to_owned()))),
            Key::JsonAlgorithm => found.algorithms.extend(value().map(|name| (hit.start(), name.to_owned()))),
        }
        found.bound();
    }
}

/// What was found, before it is known what stands beside what.
#[derive(Default)]
struct Found {
    pools: Vec<(usize, String)>,
    users: Vec<(usize, String)>,
    wallets: Vec<(wallet::Coin, String)>,
    workers: Vec<(usize, String)>,
    algorithms: Vec<(usize, String)>,
}

impl Found {
    fn url(&mut self, at: usize, here: &[u8]) {
        let Some((pool, login)) = pool_url(here) else { return };
        self.pools.push((at, pool));
        self.users.extend(login.map(|login| (at, login)));
    }

    fn json_url(&mut self, at: usize, value: &str) {
        if let Some((pool, login)) = pool_url(value.as_bytes()) {
            self.pools.push((at, pool));
            self.users.extend(login.map(|login| (at, login)));
        } else if !value.contains("://")
            && let Some(pool) = host_port(value)
        {
            self.pools.push((at, pool));
        }
    }

    fn wallet_shaped(&mut self, wallet: wallet::Shaped<'_>) {
        if self.wallets.len() < CLUES_LIMIT && !self.wallets.iter().any(|(_, known)| known == wallet.text) {
            self.wallets.push((wallet.coin, wallet.text.to_owned()));
        }
    }

    fn bound(&mut self) {
        for list in [&mut self.pools, &mut self.users, &mut self.workers, &mut self.algorithms] {
            list.truncate(CLUES_LIMIT);
        }
    }

    fn finish(self, source: &ClueSource) -> Vec<Clue> {
        let near = |at: usize| self.pools.iter().any(|(pool_at, _)| pool_at.abs_diff(at) <= NEAR_BYTES);
        let mut clues = Clues::new(source.clone());
        for (_, pool) in &self.pools {
            clues.pool(pool);
        }
        // A login beside a pool says more than something shaped like a wallet elsewhere.
        for (_, login) in self.users.iter().filter(|(at, _)| near(*at)) {
            clues.login(login);
        }
        for (coin, wallet) in &self.wallets {
            // A Monero address is long and odd enough to count alone; the others need a pool in sight.
            if *coin == wallet::Coin::Monero || !self.pools.is_empty() {
                clues.wallet(wallet);
            }
        }
        for (_, worker) in self.workers.iter().filter(|(at, _)| near(*at)) {
            clues.worker(worker);
        }
        for (_, name) in self.algorithms.iter().filter(|(at, _)| near(*at)) {
            clues.algorithm(name);
        }
        clues.list
    }
}

/// Clues of one source, each once, bounded.
struct Clues {
    source: ClueSource,
    list: Vec<Clue>,
}

impl Clues {
    fn new(source: ClueSource) -> Self {
        Self { source, list: Vec::new() }
    }

    fn pool(&mut self, pool: &str) {
        self.push(Clue::Pool(pool.to_owned(), self.source.clone()));
    }

    fn wallet(&mut self, wallet: &str) {
        self.push(Clue::Wallet(wallet.to_owned(), self.source.clone()));
    }

    fn worker(&mut self, worker: &str) {
        if !worker.is_empty() {
            self.push(Clue::Worker(worker.to_owned(), self.source.clone()));
        }
    }

    fn algorithm(&mut self, name: &str) {
        if is_algorithm(name) {
            self.push(Clue::Algorithm(name.to_ascii_lowercase(), self.source.clone()));
        }
    }

    /// A login is a wallet or account, with a worker after a dot and a difficulty after a plus.
    fn login(&mut self, login: &str) {
        let login = login.trim();
        // Placeholders of example configurations.
        if login.is_empty() || login.len() > 256 || login.starts_with("YOUR_") || login.contains("://") {
            return;
        }
        let (account, worker) = login.split_once('.').unwrap_or((login, ""));
        let account = account.split('+').next().unwrap_or(account);
        if !account.is_empty() {
            self.wallet(account);
            self.worker(worker.split(['+', ':']).next().unwrap_or(worker));
        }
    }

    fn push(&mut self, clue: Clue) {
        if self.list.len() < CLUES_LIMIT && !self.list.contains(&clue) {
            self.list.push(clue);
        }
    }
}

static POOL_URL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i-u)^(?:stratum[12s]?(?:\+[a-z0-9]{2,6})?|ethproxy\+[a-z]{3,4}|daemon\+https?)://(?:([^\s@"'/\x00]{1,256})@)?(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253}):([0-9]{1,5})"#,
    )
    .ok()
});

/// Pool and login of a pool's URL. What follows a colon in the login is a password and is dropped.
fn pool_url(here: &[u8]) -> Option<(String, Option<String>)> {
    let parts = POOL_URL.as_ref()?.captures(here)?;
    let text = |index| parts.get(index).and_then(|part| std::str::from_utf8(part.as_bytes()).ok());
    let pool = host_port(&format!("{}:{}", text(2)?, text(3)?))?;
    let login = text(1).and_then(|login| login.split(':').next()).filter(|login| !login.is_empty());
    Some((pool, login.map(str::to_owned)))
}

/// `host:port` in lower case, when it is one. A lone word is no host, save `localhost`.
fn host_port(text: &str) -> Option<String> {
    let (host, port) = text.trim().rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let host = host.to_ascii_lowercase();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bare {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host == "localhost" || host.parse::<Ipv4Addr>().is_ok() || is_domain(&host),
    };
    is_host.then(|| format!("{host}:{port}"))
}

fn is_domain(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    host.len() <= 253
        && host.contains('.')
        && host.split('.').all(is_label)
        && host.rsplit('.').next().is_some_and(|top| top.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

/// Names of algorithms as miners write them.
fn is_algorithm(name: &str) -> bool {
    const FAMILIES: [&str; 6] = ["rx/", "cn/", "cn-", "argon2/", "randomx", "cryptonight"];
    const NAMES: [&str; 22] = [
        "kawpow",
        "ethash",
        "etchash",
        "autolykos2",
        "octopus",
        "firopow",
        "progpow",
        "ghostrider",
        "equihash",
        "zhash",
        "kheavyhash",
        "sha256d",
        "scrypt",
        "x11",
        "x16r",
        "yescrypt",
        "yespower",
        "verushash",
        "astrobwt",
        "blake3",
        "panthera",
        "lyra2z",
    ];
    let name = name.to_ascii_lowercase();
    name.len() <= 32
        && (FAMILIES.iter().any(|family| name.starts_with(family)) || NAMES.contains(&name.as_str()))
}

#[cfg(test)]
mod tests;
