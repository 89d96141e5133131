//! Clues in the arguments of a program: pool options, logins, and the same in base64.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use minesweep_model::{Clue, ClueSource};

use super::{Clues, Found, host_port, pool_url, wallet};

/// Longest word that is tried as base64, bytes; the sensor passes 4 KiB of arguments in all.
const BASE64_LIMIT: usize = 4096;
/// A shorter word cannot hold a pool.
const BASE64_LEAST: usize = 20;

/// Clues in the arguments of a program.
pub fn argv(words: &[String]) -> Vec<Clue> {
    let mut told = Told::default();
    told.read(words);
    for word in words {
        if let Some(decoded) = decode(word) {
            // What was packed may be a script or a line of arguments.
            let inner: Vec<String> = decoded.split_whitespace().map(str::to_owned).collect();
            told.read(&inner);
        }
    }
    told.finish()
}

/// Splits a command line as the kernel keeps it.
pub(super) fn split(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

fn decode(word: &str) -> Option<String> {
    let body = word.trim_end_matches('=');
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    if !(BASE64_LEAST..=BASE64_LIMIT).contains(&body.len()) || !body.bytes().all(is_base64) {
        return None;
    }
    let text = String::from_utf8(STANDARD_NO_PAD.decode(body).ok()?).ok()?;
    text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace()).then_some(text)
}

/// What an option is for.
enum For {
    Pool,
    Login,
    Worker,
    Algorithm,
}

/// Short and long options of xmrig, cpuminer, ethminer and their kin.
fn option(name: &str) -> Option<For> {
    match name {
        "-o" | "--url" | "--pool" | "-P" | "--server" | "-pool" => Some(For::Pool),
        "-u" | "--user" | "--wallet" | "-wal" | "--login" => Some(For::Login),
        "--rig-id" | "-w" | "--worker" => Some(For::Worker),
        "-a" | "--algo" | "--coin" => Some(For::Algorithm),
        _ => None,
    }
}

#[derive(Default)]
struct Told {
    /// Pools with a scheme that only miners use.
    sure_pools: Vec<String>,
    /// `host:port` of an option that others use too.
    pools: Vec<String>,
    logins: Vec<String>,
    wallets: Vec<String>,
    workers: Vec<String>,
    algorithms: Vec<String>,
}

impl Told {
    fn read(&mut self, words: &[String]) {
        let mut words = words.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            self.read_word(word);
            let (name, joined) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value)),
                Some(_) | None => (word, None),
            };
            let Some(purpose) = option(name) else { continue };
            if let Some(value) =
                joined.or_else(|| words.peek().copied()).filter(|value| !value.starts_with('-'))
            {
                self.read_option(&purpose, value);
            }
        }
    }

    fn read_option(&mut self, purpose: &For, value: &str) {
        match purpose {
            For::Pool => self.pools.extend(host_port(value)),
            For::Login => self.logins.push(value.to_owned()),
            For::Worker => self.workers.push(value.to_owned()),
            For::Algorithm => self.algorithms.push(value.to_owned()),
        }
    }

    /// A word, wherever it stands; in a script that is one argument, anywhere in it.
    fn read_word(&mut self, word: &str) {
        let mut found = Found::default();
        super::keyed(word.as_bytes(), &mut found);
        if let Some((pool, login)) = pool_url(word.as_bytes()) {
            self.sure_pools.push(pool);
            self.logins.extend(login);
        }
        self.sure_pools.extend(found.pools.into_iter().map(|(_, pool)| pool));
        self.logins.extend(found.users.into_iter().map(|(_, user)| user));
        wallet::scan(word.as_bytes(), &mut |wallet| match wallet.coin {
            wallet::Coin::Monero => self.wallets.push(wallet.text.to_owned()),
            // Alone it is an argument of any payment tool; beside a pool the login option names it.
            wallet::Coin::Bitcoin | wallet::Coin::Ethereum => {}
        });
    }

    /// `-o host:port` and `-u name` are options of many programs: they count together with something that only
    /// miners say.
    fn finish(self) -> Vec<Clue> {
        let mut clues = Clues::new(ClueSource::Argv);
        let has_wallet_login = self.logins.iter().any(|login| {
            wallet::form(login.split(['.', '+', ':']).next().unwrap_or_default().as_bytes()).is_some()
        });
        let has_algorithm = self.algorithms.iter().any(|name| super::is_algorithm(name));
        let is_miner = !self.sure_pools.is_empty()
            || !self.pools.is_empty() && (has_wallet_login || has_algorithm || !self.wallets.is_empty());
        for pool in &self.sure_pools {
            clues.pool(pool);
        }
        if is_miner {
            self.pools.iter().for_each(|pool| clues.pool(pool));
            self.logins.iter().for_each(|login| clues.login(login));
        }
        self.wallets.iter().for_each(|wallet| clues.wallet(wallet));
        if is_miner {
            self.workers.iter().for_each(|worker| clues.worker(worker));
            self.algorithms.iter().for_each(|name| clues.algorithm(name));
        }
        clues.list
    }
}
