//! What is known of somebody's mining, and from where: a word on the wire outranks an argument, an argument outranks
//! what lay in memory, and memory a file that merely lies near.

use minesweep_model::{Clue, ClueSource, Kind, Mining};

/// Longest fact, bytes; a Monero integrated address has 106, a login with worker seldom more than 200.
const FACT_LIMIT_BYTES: usize = 256;

/// Algorithms that only graphics processors compute with profit.
const GPU_ALGORITHMS: [&str; 9] =
    ["kawpow", "ethash", "etchash", "autolykos2", "octopus", "firopow", "progpow", "zhash", "equihash"];

/// How good a source is; a better one replaces a worse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// Concluded: the only peer.
    Guess,
    /// Stood in a file near it that it neither names nor holds open.
    Beside,
    /// Lay in memory.
    Memory,
    /// Stood in a file that it names or holds open.
    File,
    /// Stood in its arguments.
    Argv,
    /// Was said on the wire.
    Wire,
}

impl From<&ClueSource> for Rank {
    fn from(source: &ClueSource) -> Self {
        match source {
            ClueSource::Argv => Self::Argv,
            ClueSource::File(_) => Self::File,
            ClueSource::Beside(_) => Self::Beside,
            ClueSource::Memory => Self::Memory,
        }
    }
}

/// A text with the rank of its source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known(Option<Fact>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fact {
    rank: Rank,
    value: String,
    file: Option<String>,
}

impl Known {
    /// Takes a value unless a better source has spoken.
    pub(crate) fn learn(&mut self, rank: Rank, value: &str) {
        self.take(rank, value, None);
    }

    /// As `learn` from what a process carries, and the first value of a source stays: later finds are no better.
    pub(crate) fn learn_clue(&mut self, source: &ClueSource, value: &str) {
        let rank = source.into();
        if self.rank().is_none_or(|have| have < rank) {
            self.take(rank, value, file_of(source));
        }
    }

    fn take(&mut self, rank: Rank, value: &str, file: Option<&str>) {
        if value.is_empty() || self.rank().is_some_and(|have| have > rank) {
            return;
        }
        self.0 = Some(Fact { rank, value: cut(value), file: file.map(cut) });
    }

    fn merge(&mut self, other: &Self) {
        if let Some(fact) = &other.0 {
            self.take(fact.rank, &fact.value, fact.file.as_deref());
        }
    }

    /// The value.
    pub(crate) fn value(&self) -> Option<&str> {
        self.0.as_ref().map(|fact| fact.value.as_str())
    }

    /// The rank of its source.
    pub(crate) fn rank(&self) -> Option<Rank> {
        self.0.as_ref().map(|fact| fact.rank)
    }

    /// The file it stood in.
    pub(crate) fn file(&self) -> Option<&str> {
        self.0.as_ref().and_then(|fact| fact.file.as_deref())
    }
}

fn file_of(source: &ClueSource) -> Option<&str> {
    match source {
        ClueSource::File(path) | ClueSource::Beside(path) => Some(path),
        ClueSource::Argv | ClueSource::Memory => None,
    }
}

fn cut(value: &str) -> String {
    let mut end = value.len().min(FACT_LIMIT_BYTES);
    while !value.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    value.get(..end).unwrap_or_default().to_owned()
}

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    pub(crate) pool: Known,
    pub(crate) wallet: Known,
    pub(crate) worker: Known,
    pub(crate) algorithm: Known,
    /// Hashes a second, from shares or the miner's own report.
    pub(crate) rate_hs: Option<f64>,
    /// It passes on what others mine.
    pub(crate) is_relay: bool,
    /// It computes hashes itself, whatever it passes on.
    pub(crate) computes: bool,
    /// It keeps a graphics processor busy.
    pub(crate) uses_gpu: bool,
}

impl Facts {
    /// Takes what another source knows better or as well.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.pool.merge(&other.pool);
        self.wallet.merge(&other.wallet);
        self.worker.merge(&other.worker);
        self.algorithm.merge(&other.algorithm);
        self.rate_hs = other.rate_hs.or(self.rate_hs);
        self.is_relay |= other.is_relay;
        self.computes |= other.computes;
        self.uses_gpu |= other.uses_gpu;
    }

    /// Takes clues other than pools; which pool is right depends on the peers.
    pub(crate) fn learn_clues(&mut self, clues: &[Clue]) {
        for clue in clues {
            match clue {
                Clue::Pool(..) => {}
                Clue::Wallet(value, source) => self.wallet.learn_clue(source, value),
                Clue::Worker(value, source) => self.worker.learn_clue(source, value),
                Clue::Algorithm(value, source) => self.algorithm.learn_clue(source, value),
            }
        }
    }

    /// Kind of mining.
    pub(crate) fn kind(&self) -> Kind {
        if self.only_relays() { Kind::Relay } else { self.own_kind() }
    }

    /// It passes on what others mine, and was not seen to mine itself. A miner can let a helper of its own log in
    /// through it; what it computes it cannot pass off as somebody else's.
    pub(crate) fn only_relays(&self) -> bool {
        self.is_relay && !self.computes
    }

    /// Kind of the mining that is not passed on.
    pub(crate) fn own_kind(&self) -> Kind {
        let is_gpu_algorithm = self
            .algorithm
            .value()
            .is_some_and(|name| GPU_ALGORITHMS.iter().any(|known| known.eq_ignore_ascii_case(name)));
        if self.uses_gpu || is_gpu_algorithm { Kind::Gpu } else { Kind::Cpu }
    }

    /// Pool and wallet are both known: nothing is left to look for.
    pub(crate) fn is_complete(&self) -> bool {
        self.pool.value().is_some() && self.wallet.value().is_some()
    }

    /// Writes what is known into `mining`.
    pub(crate) fn fill(&self, mining: &mut Mining) {
        mining.kind = self.kind();
        mining.pool = self.pool.value().map(str::to_owned);
        mining.wallet = self.wallet.value().map(str::to_owned);
        mining.worker = self.worker.value().map(str::to_owned);
        mining.algorithm = self.algorithm.value().map(str::to_owned);
    }
}
