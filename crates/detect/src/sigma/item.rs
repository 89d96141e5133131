//! One line of a selection: a field, its modifiers, its values.
//!
//! Modifiers that do not go together, or with the type of a value, are refused by name.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_yaml_ng::Value;

use super::{
    date::Part,
    expr::{Ask, Compare, Expr, Names, Network, Number, Test},
    fields::Field,
    pattern::{Pattern, Place, Token, VALUE_LIMIT_BYTES, tokens, with_dashes},
};
use crate::expression::{Expression, Flags};

/// Most values of one item.
const VALUES_LIMIT: usize = 4096;

/// How text is turned into bytes before base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf16,
    Utf16Le,
    Utf16Be,
}

/// What kind of test the modifiers ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Text,
    Regex,
    Cidr,
    Number,
    Time(Part),
    Exists,
    Other,
}

/// The modifiers of one item.
#[derive(Debug, Default)]
struct Modifiers {
    kind: Kind,
    place: Option<Place>,
    compare: Option<Compare>,
    encoding: Option<Encoding>,
    base64: Option<Base64>,
    is_all: bool,
    is_not: bool,
    is_cased: bool,
    has_dashes: bool,
    ignores_case: bool,
    is_multi_line: bool,
    is_single_line: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base64 {
    Whole,
    Offset,
}

/// Compiles `field|modifiers: values`.
pub(crate) fn item(key: &str, value: &Value, names: &mut Names) -> Result<Expr, String> {
    let mut words = key.split('|');
    let name = words.next().unwrap_or_default();
    let modifiers = Modifiers::parse(key, words)?;
    keyed(key, name, &modifiers, value, names)
}

/// Compiles a word that may stand anywhere.
pub(crate) fn keyword(value: &Value, names: &mut Names) -> Result<Expr, String> {
    keyed("keyword", "", &Modifiers::default(), value, names)
}

fn keyed(
    key: &str,
    name: &str,
    modifiers: &Modifiers,
    value: &Value,
    names: &mut Names,
) -> Result<Expr, String> {
    let is_keyword = name.is_empty();
    let field = names.index(if is_keyword { Field::text() } else { Field::named(name) });
    let list = match value {
        Value::Sequence(list) if list.is_empty() => return Err(format!("'{key}' has an empty list")),
        Value::Sequence(list) if list.len() > VALUES_LIMIT => {
            return Err(format!("'{key}' has more than {VALUES_LIMIT} values"));
        }
        Value::Sequence(list) => list.as_slice(),
        single => std::slice::from_ref(single),
    };
    let mut parts = Vec::with_capacity(list.len());
    for value in list {
        let asks = modifiers.asks(value, is_keyword, names).map_err(|reason| format!("'{key}': {reason}"))?;
        let mut tests: Vec<Expr> =
            asks.into_iter().map(|ask| Expr::Test(Box::new(Test { field, ask }))).collect();
        parts.push(match (tests.pop(), tests.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                tests.extend(last);
                Expr::Any(tests)
            }
        });
    }
    let expr = if modifiers.is_all { Expr::All(parts) } else { Expr::Any(parts) };
    Ok(if modifiers.is_not { Expr::Not(Box::new(expr)) } else { expr })
}

impl Modifiers {
    fn parse<'a>(key: &str, words: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut modifiers = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for word in words {
            if seen.contains(&word) {
                return Err(format!("'{key}' has the modifier '{word}' twice"));
            }
            match modifiers.add(word) {
                Some(true) => seen.push(word),
                Some(false) => return Err(conflict(key, word, &seen)),
                None if word == "expand" => {
                    return Err(format!(
                        "'{key}' wants placeholders filled in ('expand'), and there are none here"
                    ));
                }
                None => return Err(format!("'{key}' has a modifier '{word}' that is not known")),
            }
        }
        modifiers.check(key)?;
        Ok(modifiers)
    }

    /// False when the word does not go with those before it, nothing when it is not known.
    fn add(&mut self, word: &str) -> Option<bool> {
        Some(match word {
            "contains" => self.put(Place::Within),
            "startswith" => self.put(Place::Start),
            "endswith" => self.put(Place::End),
            "all" => set(&mut self.is_all),
            "neq" => set(&mut self.is_not),
            "cased" => set(&mut self.is_cased),
            "windash" => self.is_text() && set(&mut self.has_dashes),
            "utf16" => self.encode(Encoding::Utf16),
            "utf16le" | "wide" => self.encode(Encoding::Utf16Le),
            "utf16be" => self.encode(Encoding::Utf16Be),
            "base64" => self.base64(Base64::Whole),
            "base64offset" => self.base64(Base64::Offset),
            "re" => self.place.is_none() && self.be(Kind::Regex),
            "i" => self.kind == Kind::Regex && set(&mut self.ignores_case),
            "m" => self.kind == Kind::Regex && set(&mut self.is_multi_line),
            "s" => self.kind == Kind::Regex && set(&mut self.is_single_line),
            "cidr" => self.be(Kind::Cidr),
            "lt" => self.compare(Compare::Less),
            "lte" => self.compare(Compare::LessOrEqual),
            "gt" => self.compare(Compare::More),
            "gte" => self.compare(Compare::MoreOrEqual),
            "exists" => self.be(Kind::Exists),
            "fieldref" => self.be(Kind::Other),
            "minute" => self.be(Kind::Time(Part::Minute)),
            "hour" => self.be(Kind::Time(Part::Hour)),
            "day" => self.be(Kind::Time(Part::Day)),
            "week" => self.be(Kind::Time(Part::Week)),
            "month" => self.be(Kind::Time(Part::Month)),
            "year" => self.be(Kind::Time(Part::Year)),
            _ => return None,
        })
    }

    /// What can be said only when all modifiers are known.
    fn check(&self, key: &str) -> Result<(), String> {
        let not_text = !matches!(self.kind, Kind::Text | Kind::Other);
        if self.encoding.is_some() && self.base64.is_none() {
            return Err(format!(
                "'{key}': UTF-16 is searched for inside base64 only; add base64 or base64offset"
            ));
        }
        if self.place.is_some() && not_text {
            return Err(format!("'{key}': contains, startswith and endswith are for text"));
        }
        if self.is_cased && not_text {
            return Err(format!("'{key}': cased is for text"));
        }
        if self.is_all && self.kind == Kind::Exists {
            return Err(format!("'{key}': exists takes true or false"));
        }
        Ok(())
    }

    fn is_text(&self) -> bool {
        self.kind == Kind::Text
    }

    fn put(&mut self, place: Place) -> bool {
        matches!(self.kind, Kind::Text | Kind::Other) && self.place.replace(place).is_none()
    }

    fn be(&mut self, kind: Kind) -> bool {
        let is_plain = self.base64.is_none() && self.encoding.is_none() && !self.has_dashes;
        let was = std::mem::replace(&mut self.kind, kind);
        is_plain && (was == Kind::Text || (was == Kind::Number && matches!(kind, Kind::Time(_))))
    }

    fn compare(&mut self, compare: Compare) -> bool {
        let is_time = matches!(self.kind, Kind::Time(_));
        (is_time || self.be(Kind::Number)) && self.compare.replace(compare).is_none()
    }

    fn encode(&mut self, encoding: Encoding) -> bool {
        self.is_text()
            && self.place.is_none()
            && self.base64.is_none()
            && self.encoding.replace(encoding).is_none()
    }

    fn base64(&mut self, base64: Base64) -> bool {
        self.is_text() && self.place.is_none() && self.base64.replace(base64).is_none()
    }

    /// What is asked for one value; of several, one must hold.
    fn asks(&self, value: &Value, is_keyword: bool, names: &mut Names) -> Result<Vec<Ask>, String> {
        let one = |ask| Ok(vec![ask]);
        match self.kind {
            Kind::Exists => match value {
                Value::Bool(wanted) => one(Ask::Exists(*wanted)),
                _ => Err("exists takes true or false".to_owned()),
            },
            Kind::Number => one(Ask::Number(self.compare.unwrap_or(Compare::Equal), number(value)?)),
            Kind::Time(part) => one(Ask::Time(part, self.compare.unwrap_or(Compare::Equal), number(value)?)),
            Kind::Regex => {
                one(Ask::Regex(self.regex(value.as_str().ok_or("a regular expression is a text")?)?))
            }
            Kind::Cidr => {
                let text = value.as_str().ok_or("a network is a text such as 10.0.0.0/8")?;
                one(Ask::Cidr(Network::parse(text).ok_or_else(|| format!("'{text}' is not a network"))?))
            }
            Kind::Other => {
                let name =
                    value.as_str().filter(|name| !name.is_empty()).ok_or("fieldref takes a field's name")?;
                let field = names.index(Field::named(name));
                let place = self.place.unwrap_or(Place::Whole);
                one(Ask::Other { field, place, is_cased: self.is_cased })
            }
            Kind::Text => self.texts(value, is_keyword),
        }
    }

    fn texts(&self, value: &Value, is_keyword: bool) -> Result<Vec<Ask>, String> {
        let text = match value {
            Value::Null if is_keyword => return Err("a keyword is a text".to_owned()),
            Value::Null if self.place.is_some() || self.base64.is_some() || self.has_dashes => {
                return Err("null goes with no modifier of text".to_owned());
            }
            Value::Null => return Ok(vec![Ask::Null]),
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => {
                return Err("a value is a text, a number, true, false or null".to_owned());
            }
        };
        if text.len() > VALUE_LIMIT_BYTES {
            return Err(format!("a value is longer than {VALUE_LIMIT_BYTES} bytes"));
        }
        if is_keyword && text.is_empty() {
            return Err("a keyword is empty".to_owned());
        }
        let place = self.place.unwrap_or(if is_keyword { Place::Within } else { Place::Whole });
        let forms = match self.base64 {
            None => vec![tokens(&text)],
            Some(form) => self.in_base64(form, &text)?,
        };
        Ok(forms
            .into_iter()
            .map(|form| if self.has_dashes { with_dashes(form) } else { form })
            .map(|form| Ask::Text(Pattern::new(placed(form, place), self.is_cased)))
            .collect())
    }

    fn in_base64(&self, form: Base64, text: &str) -> Result<Vec<Vec<Token>>, String> {
        let plain = match tokens(text).as_slice() {
            [] => return Err("base64 of nothing is nothing".to_owned()),
            [Token::Text(plain)] => plain.clone(),
            _ => return Err("base64 takes a text without wildcards".to_owned()),
        };
        let bytes: Vec<u8> = match self.encoding {
            None => plain.into_bytes(),
            Some(Encoding::Utf16Le) => plain.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Some(Encoding::Utf16Be) => plain.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Some(Encoding::Utf16) => {
                std::iter::once(0xfeff).chain(plain.encode_utf16()).flat_map(u16::to_le_bytes).collect()
            }
        };
        match form {
            Base64::Whole => Ok(vec![vec![Token::Text(STANDARD.encode(&bytes))]]),
            Base64::Offset => {
                let forms: Vec<Vec<Token>> = (0..3)
                    .filter_map(|offset| shifted(&bytes, offset))
                    .map(|text| vec![Token::Text(text)])
                    .collect();
                if forms.len() < 3 {
                    return Err(
                        "base64offset needs two bytes or more to leave something to search for".to_owned()
                    );
                }
                Ok(forms)
            }
        }
    }

    fn regex(&self, text: &str) -> Result<Expression, String> {
        if text.len() > VALUE_LIMIT_BYTES {
            return Err(format!("a regular expression is longer than {VALUE_LIMIT_BYTES} bytes"));
        }
        let flags = Flags {
            ignores_case: self.ignores_case,
            is_multi_line: self.is_multi_line,
            is_single_line: self.is_single_line,
        };
        Expression::new(text, flags).map_err(|error| {
            let reason = error.to_string();
            let line = reason.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            format!("the regular expression cannot be matched in linear time ({})", line.trim())
        })
    }
}

fn conflict(key: &str, word: &str, seen: &[&str]) -> String {
    if seen.is_empty() {
        return format!("'{key}': the modifier '{word}' cannot come first");
    }
    format!("'{key}': the modifier '{word}' does not go with '{}'", seen.join("|"))
}

fn set(flag: &mut bool) -> bool {
    !std::mem::replace(flag, true)
}

fn number(value: &Value) -> Result<Number, String> {
    match value {
        Value::Number(number) => {
            Number::parse(&number.to_string()).ok_or_else(|| format!("'{number}' is not a number"))
        }
        _ => Err("it compares with a number".to_owned()),
    }
}

fn placed(mut form: Vec<Token>, place: Place) -> Vec<Token> {
    if matches!(place, Place::Within | Place::End) && form.first() != Some(&Token::Any) {
        form.insert(0, Token::Any);
    }
    if matches!(place, Place::Within | Place::Start) && form.last() != Some(&Token::Any) {
        form.push(Token::Any);
    }
    form
}

/// The part of the base64 form that does not depend on what stands around, when `offset` bytes stand before.
fn shifted(bytes: &[u8], offset: usize) -> Option<String> {
    let mut padded = vec![b' '; offset];
    padded.extend_from_slice(bytes);
    let text = STANDARD.encode(&padded);
    // A byte before the text reaches into the first characters, what comes after it into the last.
    let start = [0, 2, 3].get(offset)?;
    let end = match padded.len() % 3 {
        0 => text.len(),
        1 => text.len().checked_sub(3)?,
        _ => text.len().checked_sub(2)?,
    };
    text.get(*start..end).filter(|part| !part.is_empty()).map(str::to_owned)
}
