//! What one message of a mining protocol shows by itself, before the flow adds its memory.

use minesweep_model::StratumVerb;

use super::shape::{Account, account};
use crate::json::Node;
use crate::text::clean;

/// The dialects that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Cryptonote,
    StratumV1,
    EthProxy,
    NiceHash,
    Eip1571,
    Zcash,
    Kawpow,
    Kaspa,
    Daemon,
}

impl Dialect {
    /// The name in [`minesweep_model::Stratum::dialect`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Cryptonote => "cryptonote",
            Self::StratumV1 => "stratum-v1",
            Self::EthProxy => "eth-proxy",
            Self::NiceHash => "nicehash",
            Self::Eip1571 => "eip-1571",
            Self::Zcash => "zcash",
            Self::Kawpow => "kawpow",
            Self::Kaspa => "kaspa",
            Self::Daemon => "daemon",
        }
    }

    /// Whether `mining.*` messages may belong to it, so that a later one may name it more closely.
    pub fn is_mining_family(self) -> bool {
        match self {
            Self::StratumV1 | Self::NiceHash | Self::Eip1571 | Self::Zcash | Self::Kawpow | Self::Kaspa => {
                true
            }
            Self::Cryptonote | Self::EthProxy | Self::Daemon => false,
        }
    }
}

/// Who says such a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    Miner,
    Pool,
}

/// What a request asks, so that its reply can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Login,
    Share,
    Work,
    Else,
}

/// One message, read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub dialect: Dialect,
    pub verb: StratumVerb,
    pub speaker: Speaker,
    /// How sure the message alone makes us, 0 to 100. 0: means something only in a flow that is mining.
    pub strength: u8,
    pub account: Account,
    pub agent: Option<String>,
    pub algorithm: Option<String>,
    pub difficulty: Option<f64>,
    pub reported_hs: Option<f64>,
    pub asked: Option<Asked>,
}

impl Reading {
    /// A message of a miner.
    pub fn miner(dialect: Dialect, verb: StratumVerb, strength: u8) -> Self {
        let asked = match verb {
            StratumVerb::Login => Asked::Login,
            StratumVerb::Share => Asked::Share,
            StratumVerb::Hello
            | StratumVerb::Welcome
            | StratumVerb::Job
            | StratumVerb::Difficulty
            | StratumVerb::Accepted
            | StratumVerb::Rejected
            | StratumVerb::Other => Asked::Else,
        };
        Self { asked: Some(asked), ..Self::pool_or_miner(dialect, verb, strength, Speaker::Miner) }
    }

    /// A message of a pool.
    pub fn pool(dialect: Dialect, verb: StratumVerb, strength: u8) -> Self {
        Self::pool_or_miner(dialect, verb, strength, Speaker::Pool)
    }

    fn pool_or_miner(dialect: Dialect, verb: StratumVerb, strength: u8, speaker: Speaker) -> Self {
        Self {
            dialect,
            verb,
            speaker,
            strength,
            account: Account::default(),
            agent: None,
            algorithm: None,
            difficulty: None,
            reported_hs: None,
            asked: None,
        }
    }

    /// With the account in `login`; a worker named apart wins.
    pub fn with_account(mut self, login: Option<&Node<'_>>, worker: Option<&Node<'_>>) -> Self {
        self.account = login.and_then(Node::text).map(account).unwrap_or_default();
        if let Some(worker) = worker.and_then(Node::text).filter(|worker| !worker.is_empty()) {
            self.account.worker = Some(clean(worker));
        }
        self
    }

    /// With the miner's name for itself.
    pub fn with_agent(mut self, agent: Option<&Node<'_>>) -> Self {
        self.agent = agent.and_then(Node::text).filter(|agent| !agent.is_empty()).map(clean);
        self
    }

    /// With what is waited for in the reply.
    pub fn asking(mut self, asked: Asked) -> Self {
        self.asked = Some(asked);
        self
    }
}
