//! Programs between others in a pipeline: those that make a text, take an encoding off, or only pass on.

use super::{
    decode,
    programs::has,
    run::Run,
    value::{UNKNOWN, Value},
};

pub(super) fn echo(args: &[Value]) -> Value {
    let is_option = |arg: &&Value| {
        arg.text
            .strip_prefix('-')
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| "neE".contains(c)))
    };
    let options: String = args.iter().take_while(is_option).map(|arg| arg.text.as_str()).collect();
    let mut out = Value::default();
    for (index, arg) in args.iter().skip_while(is_option).enumerate() {
        if index > 0 {
            out.push(&Value::known(" "));
        }
        out.push(arg);
    }
    if options.contains('e') && out.text.contains('\\') {
        return escaped(&out);
    }
    if !options.contains('n') {
        out.push(&Value::known("\n"));
    }
    out
}

fn escaped(value: &Value) -> Value {
    let mut out = value.with_text(decode::backslashes(&value.text));
    // A line end or a tab is everyday; letters written as numbers are not.
    if ["\\x", "\\0", "\\1", "\\u"].iter().any(|sign| value.text.matches(sign).count() >= 4) {
        out.decoded.insert("escapes");
    }
    out
}

pub(super) fn printf(args: &[Value]) -> Value {
    let Some((format, args)) = args.split_first() else { return Value::default() };
    let mut out = Value::default();
    let mut args = args.iter();
    let mut pieces = format.text.split('%');
    out.push(&escaped(&format.with_text(pieces.next().unwrap_or_default().to_owned())));
    for piece in pieces {
        let kind = piece.chars().next();
        let rest = piece.get(kind.map_or(0, char::len_utf8)..).unwrap_or_default();
        match kind {
            Some('b') => args.next().into_iter().for_each(|arg| out.push(&escaped(arg))),
            Some(_) => args.next().into_iter().for_each(|arg| out.push(arg)),
            None => {}
        }
        out.push(&escaped(&format.with_text(rest.to_owned())));
    }
    out
}

/// Programs between others: those that decode, and those whose output we do not know but where it came from.
pub(super) fn filter(run: &Run, name: &str, args: &[Value], input: &Value) -> Value {
    let file = || {
        let arg = args.iter().find(|arg| !arg.text.starts_with('-') && !arg.text.is_empty())?;
        Some(run.read(&arg.text))
    };
    let is_text =
        |decoder: fn(&str) -> Option<Vec<u8>>| move |bytes: &[u8]| decoder(std::str::from_utf8(bytes).ok()?);
    let text = || file().unwrap_or_else(|| input.clone());
    let short = |letter: char| {
        args.iter()
            .any(|arg| arg.text.starts_with('-') && !arg.text.starts_with("--") && arg.text.contains(letter))
    };
    let is_decoding = short('d') || short('D') || has(args, "--decode");
    match name {
        "cat" | "tac" | "dd" | "head" | "tail" if args.is_empty() || has(args, "-") => input.clone(),
        "tee" => input.clone(),
        "cat" => text(),
        "base64" if is_decoding => text().decode("base64", is_text(decode::base64)),
        "base32" if is_decoding => text().decode("base32", is_text(decode::base32)),
        "openssl" if is_decoding && (has(args, "base64") || has(args, "-base64") || has(args, "-a")) => {
            input.decode("base64", is_text(decode::base64))
        }
        "openssl" if is_decoding => input.decode("cipher", |_| None),
        "xxd" if short('r') => text().decode("hex", is_text(decode::hex)),
        "rev" => {
            let lines = input.text.lines().map(|line| line.chars().rev().collect::<String>());
            let mut out = input.with_text(lines.collect::<Vec<_>>().join("\n"));
            out.decoded.insert("reversed");
            out
        }
        "tr" => match args {
            [option, set] if option.text == "-d" => input.with_text(decode::without(&input.text, &set.text)),
            [from, to] if !from.text.starts_with('-') => {
                let mut out = input.with_text(decode::exchange(&input.text, &from.text, &to.text));
                // Only the case changed: everyday.
                if !out.text.eq_ignore_ascii_case(&input.text) {
                    out.decoded.insert("letters");
                }
                out
            }
            [] | [_] | [_, _] | [..] => input.with_text(UNKNOWN.to_string()),
        },
        "gunzip" | "zcat" => text().decode("gzip", decode::gzip),
        "gzip" if is_decoding => text().decode("gzip", decode::gzip),
        "sed" | "awk" | "cut" | "head" | "tail" | "tac" | "grep" | "sort" | "dd" | "iconv" | "pv" | "tar" => {
            let mut out = input.with_text(UNKNOWN.to_string());
            out.mark(&file().unwrap_or_default());
            out
        }
        _other => Value::unknown(),
    }
}
