//! The server's own certificate: self-signed, made once, kept in the data folder.
//!
//! Browsers warn about it; the fingerprint, printed where the login link is printed, is what a person compares. It is
//! made anew only when it would not fit: other names, or within a month of its end.

use std::{
    error::Error,
    fs,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use tracing::{info, warn};

use crate::{access::hex, error::ServerError};

/// Certificate and key, ready to serve.
pub(crate) struct Identity {
    /// For the listener.
    pub config: Arc<ServerConfig>,
    /// SHA-256 of the certificate, `AA:BB:...`.
    pub fingerprint: String,
}

impl Identity {
    /// Reads certificate and key from `folder`, or makes them for `names`.
    pub fn open(folder: &Path, names: &[String], now_ms: u64) -> Result<Self, ServerError> {
        Self::try_open(folder, names, now_ms)
            .map_err(|source| ServerError::Certificate { path: folder.to_owned(), source })
    }

    fn try_open(folder: &Path, names: &[String], now_ms: u64) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let (certificate_at, key_at) = (folder.join("certificate.pem"), folder.join("key.pem"));
        let kept = match fs::read_to_string(&certificate_at) {
            Ok(text) => Some(text).filter(|text| fits(text, names, now_ms)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let certificate = match kept {
            Some(text) if key_at.exists() => text,
            Some(_) | None => {
                let (certificate, key) = make(names, now_ms)?;
                // The key first: a certificate without its key would be served to nobody.
                write_private(&key_at, &key)?;
                write_private(&certificate_at, &certificate)?;
                info!(path = %certificate_at.display(), "new certificate made");
                certificate
            }
        };
        keep_private(&key_at)?;
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(&fs::read(&key_at)?)?;
        Ok(Self { fingerprint: fingerprint(&certificate), config: config(certificate, key)? })
    }
}

/// The names under which this server may be asked for, and which stand in its certificate.
pub(crate) fn names(host: &str, listen: SocketAddr) -> Vec<String> {
    let mut names = vec!["localhost".to_owned()];
    let host = host.to_ascii_lowercase();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if !host.is_empty() && host.len() <= 253 && host.chars().all(is_name) {
        names.push(host);
    }
    for address in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into(), listen.ip()] {
        if !address.is_unspecified() {
            names.push(address.to_string());
        }
    }
    let mut seen = Vec::with_capacity(names.len());
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(name.clone());
            true
        }
    });
    names
}

/// A new certificate with a head that says what it is for, and its key, both PEM. Readers of PEM skip the head.
fn make(names: &[String], now_ms: u64) -> Result<(String, String), Box<dyn Error + Send + Sync>> {
    let now = OffsetDateTime::from_unix_timestamp(i64::try_from(now_ms / 1000)?)?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "minesweep");
    // A day back, for clocks that are a little slow.
    params.not_before = now - Duration::DAY;
    params.not_after = now + Duration::days(LIFE_DAYS);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    let ends = params.not_after.unix_timestamp();
    Ok((format!("names: {}\nends: {ends}\n{certificate}", names.join(" ")), key.serialize_pem()))
}

/// 825 days: the most that Apple's browsers take, also from an authority of one's own.
const LIFE_DAYS: i64 = 825;

/// Whether the certificate's head names just `names`, and its end is more than 30 days away.
fn fits(text: &str, names: &[String], now_ms: u64) -> bool {
    let field = |name: &str| text.lines().take(2).find_map(|line| line.strip_prefix(name));
    let ends = field("ends: ").and_then(|seconds| seconds.parse::<u64>().ok()).unwrap_or(0);
    field("names: ") == Some(names.join(" ").as_str()) && ends > now_ms / 1000 + 30 * 86_400
}

fn config(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digits = hex(&Sha256::digest(certificate)).to_ascii_uppercase();
    let mut out = String::with_capacity(digits.len() * 3 / 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && place % 2 == 0 {
            out.push(':');
        }
        out.push(digit);
    }
    out
}

/// Writes a file that only its owner reads, whole or not at all.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// Takes back rights on the key that somebody gave to others.
fn keep_private(key: &Path) -> io::Result<()> {
    if fs::metadata(key)?.permissions().mode() & 0o077 != 0 {
        warn!(path = %key.display(), "the key could be read by others, its mode is set back to 0600");
        fs::set_permissions(key, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;
    const NOW_MS: u64 = 20_000 * DAY_MS;

    #[test]
    fn the_certificate_stays_until_names_or_age_ask_for_another() {
        let folder = tempfile::tempdir().unwrap();
        let listen = "192.0.2.7:8443".parse().unwrap();
        let ours = names("node-1", listen);
        let open =
            |names: &[String], now_ms| Identity::open(folder.path(), names, now_ms).unwrap().fingerprint;
        let first = open(&ours, NOW_MS);
        assert_eq!(first.len(), 95);
        assert_eq!(open(&ours, NOW_MS + 790 * DAY_MS), first);
        let second = open(&names("node-2", listen), NOW_MS);
        assert_ne!(second, first);
        assert_ne!(open(&names("node-2", listen), NOW_MS + 800 * DAY_MS), second);
    }

    #[test]
    fn the_key_is_readable_by_its_owner_alone_even_after_a_chmod() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.pem");
        let mode = || fs::metadata(&key).unwrap().permissions().mode() & 0o777;
        let ours = names("node-1", "127.0.0.1:0".parse().unwrap());
        Identity::open(folder.path(), &ours, NOW_MS).unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        Identity::open(folder.path(), &ours, NOW_MS).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn a_broken_key_is_named_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let ours = names("node-1", "127.0.0.1:0".parse().unwrap());
        Identity::open(folder.path(), &ours, NOW_MS).unwrap();
        fs::write(folder.path().join("key.pem"), "nothing").unwrap();
        let refusal = Identity::open(folder.path(), &ours, NOW_MS).err().unwrap().to_string();
        assert!(refusal.contains(&folder.path().display().to_string()), "{refusal}");
        assert_eq!(fs::read_to_string(folder.path().join("key.pem")).unwrap(), "nothing");
    }

    #[test]
    fn names_hold_the_host_and_the_address_but_no_wildcard_and_nothing_strange() {
        let at = |host, listen: &str| names(host, listen.parse().unwrap()).join(" ");
        assert_eq!(at("Node-1", "0.0.0.0:1"), "localhost node-1 127.0.0.1 ::1");
        assert_eq!(at("localhost", "[2001:db8::1]:1"), "localhost 127.0.0.1 ::1 2001:db8::1");
        assert_eq!(at("(none)", "127.0.0.1:1"), "localhost 127.0.0.1 ::1");
    }
}
