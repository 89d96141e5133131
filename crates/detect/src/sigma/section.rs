//! A map of a rule file, read key by key; what is left over is refused by name.

use std::collections::BTreeMap;

use serde_yaml_ng::Value;

/// Most entries of one list in a rule.
const LIST_LIMIT: usize = 4096;

/// The keys of one map that were not read yet.
pub(crate) struct Section<'a> {
    what: &'static str,
    keys: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Section<'a> {
    /// Begins to read a map. `what` is how errors call it.
    pub(crate) fn new(what: &'static str, value: &'a Value) -> Result<Self, String> {
        let Value::Mapping(map) = value else { return Err(format!("{what} must be a map")) };
        let mut keys = BTreeMap::new();
        for (key, value) in map {
            let key = key.as_str().ok_or_else(|| format!("{what} has a key that is no text"))?;
            keys.insert(key, value);
        }
        Ok(Self { what, keys })
    }

    /// The map has this key, read or not.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Any value.
    pub(crate) fn take(&mut self, key: &str) -> Option<&'a Value> {
        self.keys.remove(key)
    }

    /// A value that must be there.
    pub(crate) fn need(&mut self, key: &str) -> Result<&'a Value, String> {
        self.take(key).ok_or_else(|| format!("{} has no '{key}'", self.what))
    }

    /// A text.
    pub(crate) fn text(&mut self, key: &str) -> Result<Option<&'a str>, String> {
        match self.take(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("'{key}' of {} must be a text", self.what)),
        }
    }

    /// A list of texts; a single text is a list of one.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Vec<&'a str>, String> {
        let wrong = || format!("'{key}' of {} must be a list of texts", self.what);
        match self.keys.remove(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Sequence(list)) if list.len() <= LIST_LIMIT => {
                list.iter().map(|value| value.as_str().ok_or_else(wrong)).collect()
            }
            Some(_) => Err(wrong()),
        }
    }

    /// A yes or no.
    pub(crate) fn flag(&mut self, key: &str) -> Result<Option<bool>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(format!("'{key}' of {} must be true or false", self.what)),
        }
    }

    /// The rest, by name.
    pub(crate) fn rest(self) -> BTreeMap<&'a str, &'a Value> {
        self.keys
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), String> {
        match self.keys.keys().next() {
            None => Ok(()),
            Some(key) => Err(format!("{} has a key '{key}' that is not known", self.what)),
        }
    }
}
