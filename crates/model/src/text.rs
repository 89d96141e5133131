//! Words for people, in both languages of the product.

use serde::{Deserialize, Serialize};

/// The language a person reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    Zh,
}

impl Lang {
    /// The language a program speaks: `--lang` among its arguments, `MINESWEEP_LANG`, then the usual variables.
    pub fn spoken<'a>(
        arguments: impl IntoIterator<Item = &'a str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut words = arguments.into_iter();
        let mut named = None;
        while let Some(word) = words.next() {
            if word == "--lang" {
                named = words.next().map(str::to_owned);
            } else if let Some(value) = word.strip_prefix("--lang=") {
                named = Some(value.to_owned());
            }
        }
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let usual = ["MINESWEEP_LANG", "LC_ALL", "LC_MESSAGES", "LANG"];
        let named = named.or_else(|| usual.into_iter().find_map(variable));
        if named.is_some_and(|name| name.starts_with("zh")) { Self::Zh } else { Self::En }
    }
}

/// The same sentence in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Text {
    /// English.
    pub en: String,
    /// Simplified Chinese.
    pub zh: String,
}

impl Text {
    /// A text from its two forms.
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { en: en.into(), zh: zh.into() }
    }

    /// The form for `lang`.
    pub fn of(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.en,
            Lang::Zh => &self.zh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_language_goes_before_the_variables_and_ours_before_the_usual() {
        let spoken = |words: &[&str], set: &[(&str, &str)]| {
            Lang::spoken(words.iter().copied(), |name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(spoken(&["minesweep", "watch", "--lang", "zh"], &[("MINESWEEP_LANG", "en")]), Lang::Zh);
        assert_eq!(spoken(&["minesweep", "watch", "--lang=en"], &[("LANG", "zh_CN.UTF-8")]), Lang::En);
        assert_eq!(spoken(&[], &[("MINESWEEP_LANG", "zh"), ("LC_ALL", "C")]), Lang::Zh);
        assert_eq!(spoken(&[], &[("LC_ALL", ""), ("LANG", "zh_CN.UTF-8")]), Lang::Zh);
        assert_eq!(spoken(&[], &[]), Lang::En);
    }
}
