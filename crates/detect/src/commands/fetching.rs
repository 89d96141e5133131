//! What tools that fetch are told: from where, into which file, and whether the other side is checked.

use super::value::Value;
use crate::tree::base_name;

/// Words after which the next word belongs to the option, for tools that fetch.
const FETCH_TAKES: [&str; 30] = [
    "-H",
    "-A",
    "-e",
    "-x",
    "-u",
    "-d",
    "-X",
    "-m",
    "-w",
    "-b",
    "-c",
    "-F",
    "-K",
    "-U",
    "-T",
    "-t",
    "-P",
    "-E",
    "--connect-timeout",
    "--retry",
    "--max-time",
    "--header",
    "--user-agent",
    "--proxy",
    "--data",
    "--cacert",
    "--timeout",
    "--tries",
    "--resolve",
    "--retry-delay",
];

/// What a tool that fetches was told.
pub(super) struct Fetching {
    pub(super) url: Option<String>,
    pub(super) to: Option<String>,
    /// The certificate is not looked at.
    pub(super) is_unchecked: bool,
}

impl Fetching {
    pub(super) fn parse(name: &str, args: &[Value]) -> Self {
        let is_wget = !name.contains("curl");
        let mut parsed = Self { url: None, to: None, is_unchecked: false };
        let (mut keeps_name, mut is_stdout, mut address) = (is_wget, false, None);
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let text = arg.text.as_str();
            let short = text.strip_prefix('-').filter(|rest| !rest.starts_with('-') && !rest.is_empty());
            let letter = if is_wget { 'O' } else { 'o' };
            if let Some((_, file)) = short.and_then(|short| short.split_once(letter)) {
                let file =
                    if file.is_empty() { rest.next().map_or("", |arg| arg.text.as_str()) } else { file };
                is_stdout = file == "-" || file == "/dev/stdout";
                parsed.to = Some(file.to_owned()).filter(|_| !is_stdout);
            } else if FETCH_TAKES.contains(&text) {
                rest.next();
            } else if matches!(text, "--output" | "--output-document") {
                parsed.to = rest.next().map(|arg| arg.text.clone());
            } else if let Some(file) =
                text.strip_prefix("--output=").or_else(|| text.strip_prefix("--output-document="))
            {
                is_stdout = file == "-";
                parsed.to = Some(file.to_owned()).filter(|_| !is_stdout);
            } else if let Some(short) = short {
                keeps_name |= short.contains('O') || short.contains('J');
                parsed.is_unchecked |= !is_wget && short.contains('k');
            } else if text.starts_with("--") {
                keeps_name |= text == "--remote-name";
                parsed.is_unchecked |= matches!(text, "--insecure" | "--no-check-certificate");
            } else if text.contains("://") {
                parsed.url.get_or_insert_with(|| text.to_owned());
            } else if !text.is_empty() {
                address.get_or_insert_with(|| text.to_owned());
            }
        }
        parsed.url = parsed.url.or(address);
        if parsed.to.is_none() && keeps_name && !is_stdout {
            let named = parsed.url.as_deref().map(|url| url.split(['?', '#']).next().unwrap_or(url));
            parsed.to = named.map(base_name).filter(|name| !name.is_empty()).map(str::to_owned);
        }
        parsed
    }
}
