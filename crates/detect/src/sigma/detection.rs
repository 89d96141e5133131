//! The detection part of a rule: selections, and the condition over them.

use std::{collections::BTreeMap, sync::Arc};

use serde_yaml_ng::Value;

use super::{
    condition,
    expr::{Ask, Expr, Names},
    item::{item, keyword},
    section::Section,
};

/// Most tests of one rule.
const TESTS_LIMIT: usize = 20_000;
/// Most regular expressions of one rule; each may take a megabyte.
const REGEXES_LIMIT: usize = 64;

/// Compiles selections and condition. `section` holds nothing else.
pub(crate) fn parse(mut section: Section<'_>, names: &mut Names) -> Result<(Expr, Vec<String>), String> {
    let conditions: Vec<String> = section.texts("condition")?.into_iter().map(str::to_owned).collect();
    if conditions.is_empty() {
        return Err("the detection has no condition".to_owned());
    }
    let mut selections = BTreeMap::new();
    for (name, value) in section.rest() {
        let expr = selection(value, names).map_err(|reason| format!("selection '{name}': {reason}"))?;
        selections.insert(name.to_owned(), Arc::new(expr));
    }
    bound(&selections)?;
    let parts =
        conditions.iter().map(|text| condition::parse(text, &selections)).collect::<Result<Vec<_>, _>>()?;
    Ok((Expr::Any(parts), conditions))
}

fn selection(value: &Value, names: &mut Names) -> Result<Expr, String> {
    match value {
        Value::Mapping(_) => map(value, names),
        Value::Sequence(list) if list.is_empty() => Err("it is empty".to_owned()),
        Value::Sequence(list) => {
            let parts = list.iter().map(|part| match part {
                Value::Mapping(_) => map(part, names),
                Value::Sequence(_) => Err("a value is a text, a number, true, false or null".to_owned()),
                other => keyword(other, names),
            });
            parts.collect::<Result<_, _>>().map(Expr::Any)
        }
        Value::Null => Err("it is empty".to_owned()),
        other => keyword(other, names),
    }
}

fn map(value: &Value, names: &mut Names) -> Result<Expr, String> {
    let items = Section::new("a selection", value)?.rest();
    if items.is_empty() {
        return Err("it is empty".to_owned());
    }
    items.into_iter().map(|(key, value)| item(key, value, names)).collect::<Result<_, _>>().map(Expr::All)
}

fn bound(selections: &BTreeMap<String, Arc<Expr>>) -> Result<(), String> {
    let (mut tests, mut regexes) = (0_usize, 0_usize);
    for expr in selections.values() {
        expr.tests(&mut |test| {
            tests = tests.saturating_add(1);
            regexes = regexes.saturating_add(usize::from(matches!(test.ask, Ask::Regex(_))));
        });
    }
    if tests > TESTS_LIMIT {
        return Err(format!("it has more than {TESTS_LIMIT} values"));
    }
    if regexes > REGEXES_LIMIT {
        return Err(format!("it has more than {REGEXES_LIMIT} regular expressions"));
    }
    Ok(())
}
