//! The lists that rules look things up in: pool names, hash rates, ATT&CK names.
//!
//! Lists are garnish: names are free to change. A name on a list is a hint and never opens an incident alone.

use std::collections::BTreeMap;

use minesweep_model::Attack;

/// Most rows of one list.
const ROWS_LIMIT: usize = 200_000;

/// How well known a pool name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolLevel {
    /// Published by the pool itself, or on a list kept by people.
    Confirmed,
    /// Found by a crawler, unverified.
    Candidate,
}

/// An entry of the pool list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolEntry {
    /// Host name, lower case.
    pub host: String,
    /// How well known.
    pub level: PoolLevel,
    /// The pool's own name; may be empty.
    pub pool: String,
    /// Algorithm, when the list names one.
    pub algorithm: Option<String>,
}

/// Names of mining pools.
#[derive(Debug, Default)]
pub struct Pools(BTreeMap<String, PoolEntry>);

impl Pools {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pools = BTreeMap::new();
        for (number, cells) in rows(text, ["host", "level", "pool", "coin", "algorithm", "ports", "origin"])?
        {
            let [host, level, pool, _coin, algorithm, _ports, _origin] = cells;
            let level = match level {
                "confirmed" => PoolLevel::Confirmed,
                "candidate" => PoolLevel::Candidate,
                other => {
                    return Err(format!("line {number}: level {other} is neither confirmed nor candidate"));
                }
            };
            if !host.contains('.') || host.chars().any(|c| c.is_ascii_uppercase()) {
                return Err(format!(
                    "line {number}: {host} is not a host name in lower case with at least one dot"
                ));
            }
            let algorithm = (!algorithm.is_empty()).then(|| algorithm.to_owned());
            pools.insert(
                host.to_owned(),
                PoolEntry { host: host.to_owned(), level, pool: pool.to_owned(), algorithm },
            );
        }
        Ok(Self(pools))
    }

    /// The entry that `name` is, or is below: `a.pool.org` is below `pool.org`, `mypool.org` is not.
    pub fn find(&self, name: &str) -> Option<&PoolEntry> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let mut rest = name.as_str();
        loop {
            if let Some(entry) = self.0.get(rest) {
                return Some(entry);
            }
            rest = rest.split_once('.')?.1;
        }
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There is no name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Hashes a second of one thread, by algorithm.
#[derive(Debug, Default)]
pub struct HashRates(BTreeMap<String, f64>);

impl HashRates {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rates = BTreeMap::new();
        for (number, [algorithm, rate, _basis]) in
            rows(text, ["algorithm", "hashes_per_second_per_thread", "basis"])?
        {
            let rate: f64 = rate.parse().map_err(|_| format!("line {number}: {rate} is not a number"))?;
            if !rate.is_finite() || rate <= 0.0 {
                return Err(format!("line {number}: a rate is above 0"));
            }
            rates.insert(algorithm.to_owned(), rate);
        }
        Ok(Self(rates))
    }

    /// The rate of one thread, hashes a second.
    pub fn per_thread(&self, algorithm: &str) -> Option<f64> {
        let algorithm = algorithm.to_ascii_lowercase();
        let algorithm = match algorithm.as_str() {
            "randomx" | "rx" => "rx/0",
            other => other,
        };
        self.0.get(algorithm).copied()
    }
}

/// Names of ATT&CK techniques and tactics, of one version.
#[derive(Debug)]
pub struct AttackNames {
    version: String,
    names: BTreeMap<(String, String), (String, String)>,
}

impl AttackNames {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let version = text
            .lines()
            .find_map(|line| line.strip_prefix("# attack_version: "))
            .ok_or("its head has no line '# attack_version: ...'")?;
        let names = rows(text, ["technique", "name", "tactic", "tactic_name"])?
            .into_iter()
            .map(|(_, [technique, name, tactic, tactic_name])| {
                ((technique.to_owned(), tactic.to_owned()), (name.to_owned(), tactic_name.to_owned()))
            })
            .collect();
        Ok(Self { version: version.trim().to_owned(), names })
    }

    pub(crate) fn find(&self, technique: &str, tactic: &str) -> Result<Attack, String> {
        let (name, tactic_name) = self
            .names
            .get(&(technique.to_owned(), tactic.to_owned()))
            .ok_or_else(|| format!("{technique} with {tactic} is not in intel/attack.csv; add it there"))?;
        Ok(Attack {
            technique: technique.to_owned(),
            name: name.clone(),
            tactic: tactic.to_owned(),
            tactic_name: tactic_name.clone(),
            version: self.version.clone(),
        })
    }
}

impl AttackNames {
    /// A technique with each of its tactics.
    pub(crate) fn of_technique(&self, technique: &str) -> Vec<Attack> {
        let first = (technique.to_owned(), String::new());
        let of = self.names.range(first..).take_while(|((of, _), _)| of == technique);
        of.filter_map(|((_, tactic), _)| self.find(technique, tactic).ok()).collect()
    }
}

/// Rows of a list with their line number. Cells hold no comma and no quote: the lists are ours.
fn rows<'a, const N: usize>(text: &'a str, head: [&str; N]) -> Result<Vec<(usize, [&'a str; N])>, String> {
    let mut lines =
        text.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
    let found = lines.next().map_or("", |(_, line)| line);
    if found != head.join(",") {
        return Err(format!("its first row must be {}", head.join(",")));
    }
    let mut rows = Vec::new();
    for (index, line) in lines {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let count = cells.len();
        let cells = cells
            .try_into()
            .map_err(|_| format!("line {} has {count} cells, {N} are wanted", index.saturating_add(1)))?;
        if rows.len() == ROWS_LIMIT {
            return Err(format!("it has more than {ROWS_LIMIT} rows"));
        }
        rows.push((index.saturating_add(1), cells));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_found_by_name_and_below_it_but_not_beside_it() {
        let pools =
            Pools::parse("host,level,pool,coin,algorithm,ports,origin\npool.org,confirmed,P,XMR,,3333,x\n")
                .unwrap();
        for name in ["pool.org", "a.pool.org", "A.B.Pool.Org", "pool.org."] {
            assert!(pools.find(name).is_some(), "{name}");
        }
        for name in ["mypool.org", "pool.org.evil.net", "org", "", ".", "pool"] {
            assert!(pools.find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_broken_list_names_the_line() {
        let head = "host,level,pool,coin,algorithm,ports,origin\n";
        for (row, want) in [
            ("pool.org,sure,,,,,", "line 2"),
            ("org,confirmed,,,,,", "line 2"),
            ("a.b,confirmed", "7 are wanted"),
        ] {
            let refusal = Pools::parse(&format!("{head}{row}\n")).unwrap_err();
            assert!(refusal.contains(want), "{refusal}");
        }
        assert!(Pools::parse("name\n").unwrap_err().contains("first row"));
        assert!(HashRates::parse("algorithm,hashes_per_second_per_thread,basis\nrx/0,-1,x\n").is_err());
    }
}
