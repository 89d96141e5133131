//! Whether an exception is narrow: whatever way it matches, it must name an executable, container, source or file.

use crate::{
    sigma::{Ask, Expr, Names, Place, Test},
    tree::is_interpreter_path,
};

use super::view::{FILE, HASH};

/// A network of more addresses than these is not a source but a region: 256 in IPv4, one site (/64) in IPv6.
const NETWORK_BITS: (u32, u32) = (24, 64);
/// A container's id may be cut to what tools show.
const CONTAINER_LEAST: usize = 12;

/// Refuses what is broad. `told` is what is told all the same.
pub(super) fn check(told: &Expr, names: &Names) -> Result<(), String> {
    if is_narrow(told, true, names) {
        return Ok(());
    }
    Err("it is too broad: whatever way it matches, it must name one executable (Image with a whole path, or sha256), \
         ContainerId, RemoteIp or TargetFilename; of an interpreter also CommandLine. minesweep exceptions add --from \
         writes it from a detection"
        .to_owned())
}

/// What makes the expression false (`is_negated`), or true, is narrow.
fn is_narrow(expr: &Expr, is_negated: bool, names: &Names) -> bool {
    match (expr, is_negated) {
        (Expr::Not(part), _) => is_narrow(part, !is_negated, names),
        (Expr::Shared(part), _) => is_narrow(part, is_negated, names),
        // All must hold, so that one narrow part makes all of it narrow.
        (Expr::All(parts), false) | (Expr::Any(parts), true) => {
            parts.iter().any(|part| is_narrow(part, is_negated, names))
                || !is_negated && is_narrow_script(parts, names)
        }
        (Expr::Any(parts), false) | (Expr::All(parts), true) => {
            !parts.is_empty() && parts.iter().all(|part| is_narrow(part, is_negated, names))
        }
        (Expr::AtLeast(least, parts), false) => {
            parts.iter().filter(|part| !is_narrow(part, false, names)).count() < *least
        }
        (Expr::AtLeast(..), true) => false,
        (Expr::Test(test), false) => names_one(test, names),
        (Expr::Test(_), true) => false,
    }
}

/// An interpreter with the whole command line that it runs.
fn is_narrow_script(parts: &[Expr], names: &Names) -> bool {
    let is_whole =
        |wanted: &str| parts.iter().any(|part| whole(part, names).is_some_and(|(name, _)| name == wanted));
    is_whole("Image") && is_whole("CommandLine")
}

/// Field and text of a test for a whole text, also when its selection has only that one value.
fn whole(expr: &Expr, names: &Names) -> Option<(String, String)> {
    match expr {
        Expr::Any(parts) | Expr::All(parts) => match parts.as_slice() {
            [part] => whole(part, names),
            _ => None,
        },
        Expr::Shared(part) => whole(part, names),
        Expr::Test(test) => match &test.ask {
            Ask::Text(pattern) => {
                let name = names.0.get(test.field)?.name.clone();
                pattern.needs().filter(|(_, place)| *place == Place::Whole).map(|(text, _)| (name, text))
            }
            _ => None,
        },
        Expr::Not(_) | Expr::AtLeast(..) => None,
    }
}

fn names_one(test: &Test, names: &Names) -> bool {
    let Some(name) = names.0.get(test.field).map(|field| field.name.as_str()) else { return false };
    match (&test.ask, name) {
        (Ask::Cidr(network), "RemoteIp") => network.is_within(NETWORK_BITS),
        (Ask::Text(pattern), _) => match pattern.needs() {
            Some((text, Place::Whole)) => match name {
                "Image" => text.starts_with('/') && !is_interpreter_path(&text),
                FILE => text.starts_with('/'),
                "RemoteIp" => true,
                HASH => text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()),
                "ContainerId" => text.len() >= CONTAINER_LEAST,
                _ => false,
            },
            Some((text, Place::Start)) => name == "ContainerId" && text.len() >= CONTAINER_LEAST,
            _ => false,
        },
        _ => false,
    }
}
