//! Mining protocols: which message it is, what it shows, and how sure that makes us.
//!
//! # How sure
//! Each message gets a strength from verb AND shape; the flow keeps the best of each side. What is told is
//! `max(strength, best so far)`, and 99 once both sides were at least 85.
//!
//! | message | strength | why not more, or less |
//! |---|---|---|
//! | `login` with `login` and `algo` | 98 | only xmrig's family names algorithms |
//! | `login` with `agent` and `pass` | 95 | the classic cryptonote form |
//! | `login` with `agent`, or with `rigid` | 85 | |
//! | `login` with `pass` only | 75 | a chat could; the reply with a job settles it |
//! | `login` with `user`, `password` | none | chats, Zabbix, CI |
//! | `handshake` with login and pool | 80 | a web page's miner to its proxy |
//! | `job` with blob, job_id, target | 95 | the full shape, no login needed |
//! | `submit` with job_id, nonce, result | 96; 85 when lengths are odd; 45 when it is no hexadecimal | CI submits results too |
//! | `keepalived` with a session id | 60, else only in a mining flow | |
//! | `mining.subscribe`, `configure` | 90 (80 without a list, 95 with `EthereumStratum/1`) | |
//! | `mining.authorize`, `submit`, `notify` | 95 (75 to 80 in odd shapes) | |
//! | `mining.set_difficulty`, `set_target`, `set_extranonce` | 85 to 90 | |
//! | `mining.hello` with `EthereumStratum/2` | 97 | |
//! | `eth_submitLogin`, `eth_submitWork` | 97, 95 | |
//! | `eth_getWork` | 40 | a node's own method |
//! | `getblocktemplate` | 50; 80 from the third within a run ([`crate::Streams`]) | explorers and wallets ask too |
//! | `submitblock` with a block | 90 | |
//! | `/getheight`, `/getinfo` | 30 | any wallet |
//!
//! Replies are read by their request's id, and by shape when the request was not seen.
//!
//! Stratum V2 is left out: after TCP it opens with a Noise key that is random by design, so bytes alone give no
//! reliable sign (stratumprotocol.org, specification 04).

mod method;
mod reading;
mod shape;

use std::collections::VecDeque;
use std::ops::Range;

use minesweep_model::{Direction, Role, Stratum, StratumVerb};

use crate::json::{Node, Value, parse};
use crate::text::{clean, cut};
use reading::{Asked, Dialect, Reading, Speaker};

/// Requests whose reply is awaited; miners have one or two open.
const MAX_OPEN: usize = 64;
/// Messages read from one JSON-RPC batch.
const MAX_BATCH: usize = 64;
/// Bytes of the line that are kept as evidence.
const MAX_EXCERPT: usize = 512;
/// Longest request id that is kept, bytes; ids are small numbers or short texts.
const MAX_ID: usize = 64;
/// From here on a flow counts as mining.
const MINING: u8 = 75;

/// What a flow said of mining so far.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    dialect: Option<Dialect>,
    miner_best: u8,
    pool_best: u8,
    open: VecDeque<(String, Asked)>,
    difficulty: Option<f64>,
    agent: Option<String>,
    role: Option<Role>,
}

impl Talk {
    /// Reads one JSON value that went in `direction`.
    pub fn hear(&mut self, line: &[u8], direction: Direction) -> Vec<(Role, Stratum)> {
        let Some(root) = parse(line) else { return Vec::new() };
        if root.is_object() {
            return self.message(line, &root, direction).into_iter().collect();
        }
        let batch = root.items().iter().take(MAX_BATCH).filter(|item| item.is_object());
        batch.filter_map(|item| self.message(line, item, direction)).collect()
    }

    /// A path of a node's HTTP interface that miners poll.
    pub fn hear_path(&mut self, method: &str, path: &str) -> Option<Stratum> {
        if !matches!(path, "/getheight" | "/get_height" | "/getinfo" | "/get_info") {
            return None;
        }
        let reading = Reading::miner(Dialect::Daemon, StratumVerb::Other, 30);
        Some(self.tell(reading, format!("{method} {path}")))
    }

    /// The agent named in an HTTP head, told with the messages in its body.
    pub fn set_agent(&mut self, agent: Option<&str>) {
        self.agent = agent.map(clean);
    }

    /// Whether the flow is mining: it is then followed to its end.
    pub fn is_mining(&self) -> bool {
        self.miner_best.max(self.pool_best) >= MINING
    }

    /// Whether a reply is awaited.
    pub fn is_waiting(&self) -> bool {
        !self.open.is_empty()
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.open.len() * MAX_ID
    }

    fn message(&mut self, line: &[u8], root: &Node<'_>, direction: Direction) -> Option<(Role, Stratum)> {
        // Miners in web pages say `type` (Coinhive's protocol) or `identifier` (webminerpool's).
        let words = ["method", "type", "identifier"].into_iter().flat_map(|key| root.all(key));
        let heard = words.filter_map(Node::text).find_map(|method| method::read(method, root));
        let reading = match heard {
            Some(reading) => reading,
            None if root.get("method").is_none() => self.reply(root)?,
            None => return None,
        };
        if reading.strength == 0 && !self.is_mining() {
            return None;
        }
        self.remember(root, &reading);
        let role = match (reading.speaker, direction) {
            (Speaker::Miner, Direction::Out) | (Speaker::Pool, Direction::In) => Role::Client,
            (Speaker::Miner, Direction::In) | (Speaker::Pool, Direction::Out) => Role::Server,
        };
        // Pings and the like are said by either side: the flow knows by now which is which.
        let role = if reading.strength == 0 { self.role.unwrap_or(role) } else { role };
        self.role = Some(role);
        let excerpt = excerpt(line, root.span.clone(), secrets(root, reading.verb));
        Some((role, self.tell(reading, excerpt)))
    }

    /// Keeps what later messages need.
    fn remember(&mut self, root: &Node<'_>, reading: &Reading) {
        if let (Some(asked), Some(id)) = (reading.asked, root.get("id").and_then(id_text)) {
            if self.open.len() == MAX_OPEN {
                self.open.pop_front();
            }
            self.open.push_back((id, asked));
        }
        self.dialect = Some(self.refine(reading.dialect));
    }

    /// The dialect of the flow, once a message names it more closely than `mining.*` alone.
    fn refine(&self, heard: Dialect) -> Dialect {
        match self.dialect {
            Some(known) if known.is_mining_family() && heard == Dialect::StratumV1 => known,
            // Kaspa pools say EthereumStratum/1.0.0 as NiceHash does; the wallet or the work then tells.
            Some(Dialect::Kaspa) if heard == Dialect::NiceHash => Dialect::Kaspa,
            Some(_) | None => heard,
        }
    }

    fn tell(&mut self, reading: Reading, excerpt: String) -> Stratum {
        let best = match reading.speaker {
            Speaker::Miner => &mut self.miner_best,
            Speaker::Pool => &mut self.pool_best,
        };
        *best = (*best).max(reading.strength);
        let both = self.miner_best.min(self.pool_best);
        let best = self.miner_best.max(self.pool_best);
        self.difficulty = reading.difficulty.or(self.difficulty);
        let is_daemon = reading.dialect == Dialect::Daemon && reading.speaker == Speaker::Miner;
        Stratum {
            dialect: self.dialect.unwrap_or(reading.dialect).name().to_owned(),
            verb: reading.verb,
            confidence: if both >= 85 { 99 } else { best },
            wallet: reading.account.wallet,
            worker: reading.account.worker,
            agent: reading.agent.or_else(|| self.agent.clone().filter(|_| is_daemon)),
            algorithm: reading.algorithm,
            difficulty: self.difficulty,
            reported_hs: reading.reported_hs,
            excerpt,
        }
    }

    /// Reads a message without a method: a reply, or work pushed as one.
    fn reply(&mut self, root: &Node<'_>) -> Option<Reading> {
        let result = root.get("result");
        if result.is_none() && root.get("error").is_none() {
            return None;
        }
        let asked = root.get("id").and_then(id_text).and_then(|id| self.close(&id));
        if let Some(reading) = result.and_then(|result| self.reply_shape(result, asked)) {
            return Some(reading);
        }
        let is_refused = root.get("error").is_some_and(|error| !error.is_empty());
        let dialect = self.dialect?;
        let is_yes = !is_refused && is_yes(result, dialect);
        let verb = match (asked?, is_yes) {
            (Asked::Login, true) => StratumVerb::Welcome,
            (Asked::Share, true) => StratumVerb::Accepted,
            (Asked::Share, false) => StratumVerb::Rejected,
            (Asked::Login, false) | (Asked::Work | Asked::Else, _) => StratumVerb::Other,
        };
        Some(Reading::pool(dialect, verb, 0))
    }

    /// Replies that show by themselves what they are.
    fn reply_shape(&self, result: &Node<'_>, asked: Option<Asked>) -> Option<Reading> {
        let job = result.get("job").unwrap_or(result);
        if shape::is_cryptonote_job(job) {
            let is_welcome = result.get("job").is_some() && asked != Some(Asked::Work);
            let verb = if is_welcome { StratumVerb::Welcome } else { StratumVerb::Job };
            return Some(method::with_job(Reading::pool(Dialect::Cryptonote, verb, 97), job));
        }
        if has_text(result, "mining.notify", 4) {
            let is_nicehash = has_text(result, "EthereumStratum/1.0.0", 4);
            let dialect = if is_nicehash { Dialect::NiceHash } else { Dialect::StratumV1 };
            return Some(Reading::pool(dialect, StratumVerb::Other, 90));
        }
        if result.get("proto").and_then(Node::text).is_some_and(|proto| proto.starts_with("EthereumStratum/"))
        {
            return Some(Reading::pool(Dialect::Eip1571, StratumVerb::Other, 95));
        }
        if shape::is_eth_work(result) {
            return self.eth_work(result, asked);
        }
        let is_template = result.get("blocktemplate_blob").is_some()
            || (result.get("previousblockhash").is_some() && result.get("coinbasevalue").is_some());
        is_template.then(|| daemon_work(result))
    }

    /// Three hashes are also what a node answers to other questions: without a request or a target they mean nothing.
    fn eth_work(&self, result: &Node<'_>, asked: Option<Asked>) -> Option<Reading> {
        let is_asked = asked == Some(Asked::Work) || self.dialect == Some(Dialect::EthProxy);
        let strength = match (is_asked, shape::has_eth_target(result)) {
            (true, _) => 40,
            (false, true) => 60,
            (false, false) => return None,
        };
        let mut reading = Reading::pool(Dialect::EthProxy, StratumVerb::Job, strength);
        reading.difficulty = result.item(2).and_then(Node::text).and_then(shape::target_difficulty);
        Some(reading)
    }

    fn close(&mut self, id: &str) -> Option<Asked> {
        let at = self.open.iter().position(|(open, _)| open == id)?;
        self.open.remove(at).map(|(_, asked)| asked)
    }
}

/// Work of a node: Monero tells the difficulty as a number, Bitcoin a target.
fn daemon_work(result: &Node<'_>) -> Reading {
    let mut reading = Reading::pool(Dialect::Daemon, StratumVerb::Job, 50);
    let target = || result.get("target").and_then(Node::text).and_then(shape::target_difficulty);
    reading.difficulty = result.get("difficulty").and_then(Node::number).or_else(target);
    reading
}

/// Whether a reply says yes. A node says `null` to a block that it takes.
fn is_yes(result: Option<&Node<'_>>, dialect: Dialect) -> bool {
    match result {
        None => false,
        Some(result) if dialect == Dialect::Daemon => {
            result.text().is_none() && !matches!(result.value, Value::Bool(false))
        }
        Some(result) => !result.is_empty(),
    }
}

fn has_text(node: &Node<'_>, wanted: &str, depth: u8) -> bool {
    let is_here = node.text() == Some(wanted);
    is_here || (depth > 0 && node.items().iter().any(|item| has_text(item, wanted, depth - 1)))
}

/// A request's id as text; `None` for `null` and for what is too long to be one.
fn id_text(id: &Node<'_>) -> Option<String> {
    match &id.value {
        Value::Number(number) => Some(number.to_string()),
        Value::Text(text) if text.len() <= MAX_ID => Some(text.clone().into_owned()),
        Value::Text(_) | Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_) => None,
    }
}

/// Positions of passwords: members by name, and in a login's list what follows the account.
fn secrets(root: &Node<'_>, verb: StratumVerb) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    gather_secrets(root, &mut out);
    if verb == StratumVerb::Login {
        let listed = root.all("params").flat_map(|params| params.items().iter().skip(1));
        out.extend(listed.map(|node| node.span.clone()));
    }
    out
}

/// Positions of every password, however deep (the reader bounds the depth).
fn gather_secrets(node: &Node<'_>, secrets: &mut Vec<Range<usize>>) {
    for (key, member) in node.members() {
        let is_secret =
            ["pass", "password", "passwd", "pwd"].iter().any(|name| key.eq_ignore_ascii_case(name));
        if is_secret {
            secrets.push(member.span.clone());
        } else {
            gather_secrets(member, secrets);
        }
    }
    for item in node.items() {
        gather_secrets(item, secrets);
    }
}

/// The message as seen, passwords struck out, cut to its bound.
fn excerpt(line: &[u8], span: Range<usize>, mut secrets: Vec<Range<usize>>) -> String {
    secrets.sort_by_key(|range| range.start);
    let mut out = String::new();
    let mut at = span.start;
    for secret in secrets.iter().filter(|secret| secret.start >= span.start && secret.end <= span.end) {
        if secret.start < at {
            continue;
        }
        out.push_str(&String::from_utf8_lossy(line.get(at..secret.start).unwrap_or_default()));
        out.push_str("\"***\"");
        at = secret.end;
    }
    out.push_str(&String::from_utf8_lossy(line.get(at..span.end).unwrap_or_default()));
    cut(&out.replace(char::is_control, " "), MAX_EXCERPT).to_owned()
}
