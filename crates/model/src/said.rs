//! What was said on a flow, once the bytes are understood.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ProcessKey;

/// Which way bytes went, seen from this machine's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

/// Which part this machine's socket plays in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It asks: a miner towards a pool, a browser towards a site.
    Client,
    /// It answers: a pool, a proxy.
    Server,
}

/// One understood message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Socket cookie.
    pub cookie: u64,
    /// Whose socket.
    pub process: Option<ProcessKey>,
    /// This end.
    pub local: SocketAddr,
    /// The other end of the socket (a proxy's address when tunnelled).
    pub remote: SocketAddr,
    /// Target named to a CONNECT or SOCKS proxy, `host:port`; the real other end.
    pub via: Option<String>,
    /// Our part.
    pub role: Role,
    /// The message.
    pub utterance: Utterance,
}

/// Messages that are understood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Utterance {
    /// Mining protocol.
    Stratum(Box<Stratum>),
    /// TLS ClientHello.
    Tls {
        /// Server name, when sent.
        sni: Option<String>,
        /// Application protocols offered.
        alpn: Vec<String>,
        /// JA4 fingerprint (FoxIO's public description, client form only).
        ja4: String,
    },
    /// DNS question.
    DnsQuestion {
        /// Name asked for, lower case, no final dot.
        name: String,
        /// Type, e.g. `A`.
        kind: String,
    },
    /// DNS answer.
    DnsAnswer {
        /// Name asked for.
        name: String,
        /// Addresses in the answer.
        addresses: Vec<std::net::IpAddr>,
    },
    /// Head of an HTTP/1 request.
    Http {
        /// Method.
        method: String,
        /// Path.
        path: String,
        /// Host header.
        host: Option<String>,
        /// User-Agent header.
        agent: Option<String>,
    },
}

/// What a mining message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StratumVerb {
    /// First words: `mining.subscribe`, `mining.configure`, `getblocktemplate`.
    Hello,
    /// Wallet or account: `login`, `mining.authorize`, `eth_submitLogin`.
    Login,
    /// The pool took the login.
    Welcome,
    /// Work: `job`, `mining.notify`, the reply to `eth_getWork`.
    Job,
    /// Difficulty or target: `mining.set_difficulty`, `mining.set_target`.
    Difficulty,
    /// A share: `submit`, `mining.submit`, `eth_submitWork`, `submitblock`.
    Share,
    /// The pool took a share.
    Accepted,
    /// The pool refused a share.
    Rejected,
    /// Anything else of the protocol: `keepalived`, `mining.ping`, `eth_submitHashrate`.
    Other,
}

/// A message of a mining protocol. Fields are those the message itself shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stratum {
    /// `cryptonote`, `stratum-v1`, `eth-proxy`, `nicehash`, `eip-1571`, `zcash`, `daemon`, ...
    pub dialect: String,
    /// What it is for.
    pub verb: StratumVerb,
    /// How sure the parser is, 0 to 100, given all that the flow said so far. Below 80 is not to be acted on alone.
    pub confidence: u8,
    /// Wallet, account or login as sent, worker suffix removed.
    pub wallet: Option<String>,
    /// Worker or rig.
    pub worker: Option<String>,
    /// Miner's own name for itself.
    pub agent: Option<String>,
    /// Algorithm, when named.
    pub algorithm: Option<String>,
    /// Difficulty now in force: expected hashes a share, when known.
    pub difficulty: Option<f64>,
    /// Hash rate the client reports itself, hashes a second.
    pub reported_hs: Option<f64>,
    /// The line as seen, cut to 512 bytes, secrets (`pass`) removed.
    pub excerpt: String,
}
