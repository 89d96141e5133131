//! The mining rules: their words, weights and lists, compiled from the text of a bundle.
//!
//! What a rule looks for is code (`signs`, `load`, `stratum`); what it is called, how much it weighs and what to do
//! about it is content, so that words can change without a build. A rule of this program without its text, or a
//! text without its rule, is refused: either would be silently blind.

use std::collections::{BTreeMap, BTreeSet};

use minesweep_model::{Attack, Group, Severity, Text};
use serde::Deserialize;

use crate::{
    access::{Patterns, is_access_pattern},
    coded_rules::{CodedRules, is_coded_rule},
    engine::CLUE,
    exceptions::Exceptions,
    file_rules::FileRules,
    listed::rules_list,
    lists::{AttackNames, HashRates, Pools},
    sigma::SigmaRules,
};

/// The rules this program knows how to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleId {
    /// Words of a mining protocol.
    Stratum,
    /// Rounding modes of RandomX.
    RandomX,
    /// Memory of RandomX.
    RandomXMemory,
    /// Prefetcher registers.
    MsrTuning,
    /// Huge pages.
    HugePages,
    /// Pool names.
    PoolName,
    /// Miner files.
    MinerFile,
    /// Processor time nobody shows.
    HiddenCpu,
    /// Steady full load.
    SteadyCpu,
    /// Load over a threshold.
    SustainedLoad,
}

impl RuleId {
    /// Every rule.
    pub const ALL: [Self; 10] = [
        Self::Stratum,
        Self::RandomX,
        Self::RandomXMemory,
        Self::MsrTuning,
        Self::HugePages,
        Self::PoolName,
        Self::MinerFile,
        Self::HiddenCpu,
        Self::SteadyCpu,
        Self::SustainedLoad,
    ];

    /// Its stable name.
    pub fn id(self) -> &'static str {
        match self {
            Self::Stratum => "mining.stratum",
            Self::RandomX => "mining.randomx",
            Self::RandomXMemory => "mining.randomx-memory",
            Self::MsrTuning => "mining.msr-tuning",
            Self::HugePages => "mining.hugepages",
            Self::PoolName => "mining.pool-name",
            Self::MinerFile => "mining.miner-file",
            Self::HiddenCpu => "mining.hidden-cpu",
            Self::SteadyCpu => "mining.steady-cpu",
            Self::SustainedLoad => "mining.sustained-load",
        }
    }

    /// The rule of that name.
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.id() == id)
    }
}

/// What content says of a rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Which.
    pub id: RuleId,
    /// Its name for people.
    pub title: Text,
    /// What it sees, and why that means mining.
    pub description: Text,
    /// What to do.
    pub advice: Text,
    /// How bad, when it matches in full.
    pub severity: Severity,
    /// How sure, 0 to 100, when it matches in full.
    pub confidence: u8,
    /// Kind of evidence.
    pub group: Group,
    /// Share of doubt it removes, 0 to 1 (docs/spec/verdict.md).
    pub weight: f64,
    /// ATT&CK techniques.
    pub attacks: Vec<Attack>,
    /// Who else looks like this.
    pub false_positives: Vec<Text>,
    /// Licence, SPDX.
    pub licence: String,
    /// Where it comes from.
    pub source: String,
}

/// All rules and lists, ready to match.
pub struct Rules {
    // One field a rule, so that looking one up cannot fail.
    stratum: Rule,
    randomx: Rule,
    randomx_memory: Rule,
    msr_tuning: Rule,
    hugepages: Rule,
    pool_name: Rule,
    miner_file: Rule,
    hidden_cpu: Rule,
    steady_cpu: Rule,
    sustained_load: Rule,
    pools: Pools,
    rates: HashRates,
    files: FileRules,
    coded: CodedRules,
    access: Patterns,
    sigma: SigmaRules,
    names: AttackNames,
    exceptions: Exceptions,
}

impl Rules {
    /// Compiles the files of a bundle, given as path (`mining/x.yml`, `yara/x.yar`, `intel/x.csv`) and text. Cases
    /// are left to [`crate::rules_test`].
    pub fn compile<'a>(material: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, RuleError> {
        Self::compile_with(material, []).map(|(rules, _)| rules)
    }

    /// The same with rules from elsewhere beside ours, in Sigma and YARA. Of those, what cannot be used is left out and
    /// comes back by name.
    pub fn compile_with<'a>(
        material: impl IntoIterator<Item = (&'a str, &'a str)>,
        imported: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(Self, Vec<RefusedRule>), RuleError> {
        let files: BTreeMap<&str, &str> = material.into_iter().collect();
        let imported: BTreeMap<&str, &str> = imported.into_iter().collect();
        let list =
            |path: &str| files.get(path).copied().ok_or_else(|| RuleError::Missing { what: path.to_owned() });
        let names = AttackNames::parse(list("intel/attack.csv")?).map_err(broken("intel/attack.csv"))?;
        let mut rules = BTreeMap::new();
        for (path, text) in &files {
            if is_mining_rule(path) {
                let rule = parse_rule(text, &names).map_err(broken(path))?;
                let id = rule.id.id();
                if rules.insert(rule.id, rule).is_some() {
                    return Err(broken(path)(format!("{id} is in another file already; keep one")));
                }
            }
        }
        let mut take = |id: RuleId| {
            rules.remove(&id).ok_or_else(|| RuleError::Missing { what: format!("the text of {}", id.id()) })
        };
        let (sigma, mut refused) = sigma(&files, &imported, &names)?;
        let (taken, left) = imported_file_rules(&imported);
        refused.extend(left);
        let file_rules =
            files.iter().filter(|(path, _)| is_file_rule(path)).map(|(path, text)| (*path, *text));
        let rules = Self {
            stratum: take(RuleId::Stratum)?,
            randomx: take(RuleId::RandomX)?,
            randomx_memory: take(RuleId::RandomXMemory)?,
            msr_tuning: take(RuleId::MsrTuning)?,
            hugepages: take(RuleId::HugePages)?,
            pool_name: take(RuleId::PoolName)?,
            miner_file: take(RuleId::MinerFile)?,
            hidden_cpu: take(RuleId::HiddenCpu)?,
            steady_cpu: take(RuleId::SteadyCpu)?,
            sustained_load: take(RuleId::SustainedLoad)?,
            pools: Pools::parse(list("intel/pools.csv")?).map_err(broken("intel/pools.csv"))?,
            rates: HashRates::parse(list("intel/hash_rates.csv")?).map_err(broken("intel/hash_rates.csv"))?,
            files: FileRules::compile(file_rules.chain(taken))?,
            access: Patterns::compile(
                files.iter().filter(|(path, _)| is_access_pattern(path)).map(|(path, text)| (*path, *text)),
            )?,
            coded: CodedRules::compile(
                files.iter().filter(|(path, _)| is_coded_rule(path)).map(|(path, text)| (*path, *text)),
                &names,
            )?,
            sigma,
            names,
            exceptions: Exceptions::default(),
        };
        Ok((rules, refused))
    }

    /// The same with exceptions, given as path and text. Those that cannot be taken come back by name.
    pub fn with_exceptions<'a>(
        mut self,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> (Self, Vec<RefusedRule>) {
        let (exceptions, mut refused) = Exceptions::load(files);
        let ids: BTreeSet<String> = rules_list(&self).into_iter().map(|listed| listed.rule).collect();
        let (exceptions, unknown) = exceptions.only_for(|rule| rule == CLUE || ids.contains(rule));
        refused.extend(unknown);
        self.exceptions = exceptions;
        (self, refused)
    }

    /// What is not to be told.
    pub fn exceptions(&self) -> &Exceptions {
        &self.exceptions
    }

    /// What content says of a rule.
    pub fn rule(&self, id: RuleId) -> &Rule {
        match id {
            RuleId::Stratum => &self.stratum,
            RuleId::RandomX => &self.randomx,
            RuleId::RandomXMemory => &self.randomx_memory,
            RuleId::MsrTuning => &self.msr_tuning,
            RuleId::HugePages => &self.hugepages,
            RuleId::PoolName => &self.pool_name,
            RuleId::MinerFile => &self.miner_file,
            RuleId::HiddenCpu => &self.hidden_cpu,
            RuleId::SteadyCpu => &self.steady_cpu,
            RuleId::SustainedLoad => &self.sustained_load,
        }
    }

    /// Every mining rule, for `rules list`.
    pub fn all(&self) -> impl Iterator<Item = &Rule> {
        RuleId::ALL.into_iter().map(|id| self.rule(id))
    }

    /// Names of pools.
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// Known hash rates.
    pub fn rates(&self) -> &HashRates {
        &self.rates
    }

    /// Rules that match by code and are no sign of mining.
    pub fn coded(&self) -> &CodedRules {
        &self.coded
    }

    /// What lines of logs say of logins.
    pub(crate) fn access(&self) -> &Patterns {
        &self.access
    }

    /// Names of ATT&CK techniques.
    pub(crate) fn attack_names(&self) -> &AttackNames {
        &self.names
    }

    /// Rules in Sigma.
    pub(crate) fn sigma(&self) -> &SigmaRules {
        &self.sigma
    }

    /// Rules over the bytes of files.
    pub fn files(&self) -> &FileRules {
        &self.files
    }
}

/// Why rules are refused.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// A file is there and wrong.
    #[error("rule file {path} is refused: {reason}")]
    Broken {
        /// Which.
        path: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A file is not there.
    #[error(
        "{what} is missing from the rules; without it this program is blind, so install the whole bundle"
    )]
    Missing {
        /// What.
        what: String,
    },
}

/// An imported rule that is not used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRule {
    /// The file.
    pub path: String,
    /// Its id, as far as it could be read; else the file.
    pub rule: String,
    /// Why.
    pub reason: String,
}

/// Our own rules in Sigma, which must all be usable, and those from elsewhere.
fn sigma<'a>(
    files: &BTreeMap<&'a str, &'a str>,
    imported: &BTreeMap<&'a str, &'a str>,
    names: &AttackNames,
) -> Result<(SigmaRules, Vec<RefusedRule>), RuleError> {
    let own = files.iter().filter(|(path, _)| is_sigma_rule(path) && is_in("sigma", path));
    let foreign = imported.iter().filter(|(path, _)| is_sigma_rule(path));
    let (rules, refused) = SigmaRules::load(own.chain(foreign).map(|(path, text)| (*path, *text)), names);
    match refused.iter().find(|refused| files.contains_key(refused.path.as_str())) {
        Some(RefusedRule { path, rule, reason }) => Err(broken(path)(format!("{rule}: {reason}"))),
        None => Ok((rules, refused)),
    }
}

/// File rules from elsewhere: files that compile, and those that do not.
fn imported_file_rules<'a>(
    imported: &BTreeMap<&'a str, &'a str>,
) -> (Vec<(&'a str, &'a str)>, Vec<RefusedRule>) {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for (path, text) in imported.iter().filter(|(path, _)| is_file_rule(path)) {
        match FileRules::compile([(*path, *text)]) {
            Ok(_) => taken.push((*path, *text)),
            Err(error) => {
                let (path, rule) = ((*path).to_owned(), (*path).to_owned());
                refused.push(RefusedRule { path, rule, reason: error.to_string() });
            }
        }
    }
    (taken, refused)
}

fn is_in(folder: &str, path: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        || path.contains(&format!("/{folder}/"))
}

/// A rule in Sigma, ours or from elsewhere.
pub(crate) fn is_sigma_rule(path: &str) -> bool {
    let is_yaml = path.ends_with(".yml") || path.ends_with(".yaml");
    let is_other = ["mining", "behaviour", "access"].iter().any(|folder| is_in(folder, path));
    is_yaml && !is_other && !path.ends_with(".cases.yml")
}

pub(crate) fn broken(path: &str) -> impl Fn(String) -> RuleError {
    move |reason| RuleError::Broken { path: path.to_owned(), reason }
}

pub(crate) fn is_mining_rule(path: &str) -> bool {
    let is_in_folder = path.starts_with("mining/") || path.contains("/mining/");
    is_in_folder && path.ends_with(".yml") && !path.ends_with(".cases.yml")
}

pub(crate) fn is_file_rule(path: &str) -> bool {
    path.ends_with(".yar") || path.ends_with(".yara")
}

/// The form of `mining/*.yml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleForm {
    id: String,
    title: Text,
    description: Text,
    advice: Text,
    severity: Severity,
    confidence: u8,
    group: Group,
    weight: f64,
    attack: Vec<AttackForm>,
    licence: String,
    source: String,
    false_positives: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttackForm {
    pub(crate) technique: String,
    pub(crate) tactic: String,
}

pub(crate) fn parse_rule(text: &str, names: &AttackNames) -> Result<Rule, String> {
    let form: RuleForm = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
    let id = RuleId::parse(&form.id).ok_or_else(|| {
        format!("{} is not a rule of this program; remove the file or update minesweep", form.id)
    })?;
    if !(0.0..=1.0).contains(&form.weight) || form.confidence > 100 {
        return Err("weight is 0 to 1 and confidence is 0 to 100".to_owned());
    }
    for text in [&form.title, &form.description, &form.advice].into_iter().chain(&form.false_positives) {
        if text.en.is_empty() || text.zh.is_empty() {
            return Err("each text needs both en and zh".to_owned());
        }
    }
    let attacks = form
        .attack
        .iter()
        .map(|attack| names.find(&attack.technique, &attack.tactic))
        .collect::<Result<_, _>>()?;
    Ok(Rule {
        id,
        title: form.title,
        description: form.description,
        advice: form.advice,
        severity: form.severity,
        confidence: form.confidence,
        group: form.group,
        weight: form.weight,
        attacks,
        false_positives: form.false_positives,
        licence: form.licence,
        source: form.source,
    })
}
