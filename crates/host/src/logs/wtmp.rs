//! Logins of the past, so that what is usual here is known from the start: `/var/log/wtmp`.

use std::{net::IpAddr, os::unix::fs::FileExt as _, path::Path};

use minesweep_model::LogLine;

use super::file::open_regular;
use crate::take::Take;

/// Where they are kept; also the source of the lines that tell of them.
const PATH: &str = "/var/log/wtmp";
/// One record of glibc's utmp, on every 64-bit machine.
const RECORD_BYTES: usize = 384;
/// Most records read, newest.
const RECORDS_LIMIT: u64 = 4096;
/// A user logged in.
const USER_PROCESS: u16 = 7;

/// Logins over the network, oldest first, one a line: `UNIX_SECONDS ADDRESS USER`.
pub fn past_logins() -> Vec<LogLine> {
    read(Path::new(PATH)).into_iter().map(line).collect()
}

fn line(text: String) -> LogLine {
    LogLine { source: PATH.to_owned(), program: "wtmp".to_owned(), pid: None, text }
}

fn read(path: &Path) -> Vec<String> {
    // A machine without it has no past that we know.
    let Ok((file, _, size)) = open_regular(path) else { return Vec::new() };
    let records = (size / RECORD_BYTES as u64).min(RECORDS_LIMIT);
    let wanted = records * RECORD_BYTES as u64;
    let begin = (size / RECORD_BYTES as u64 - records) * RECORD_BYTES as u64;
    let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(0)];
    match file.read_exact_at(&mut bytes, begin) {
        Ok(()) => bytes.chunks_exact(RECORD_BYTES).filter_map(login).collect(),
        Err(error) => {
            tracing::info!(%error, "logins of the past cannot be read");
            Vec::new()
        }
    }
}

fn login(record: &[u8]) -> Option<String> {
    let mut take = Take(record);
    let kind = take.u16_le()?;
    let _padding_pid_line_id = take.bytes(2 + 4 + 32 + 4)?;
    let user = take.bytes(32)?;
    let _host_exit_session = take.bytes(256 + 4 + 4)?;
    let seconds = take.u32_le()?;
    let _microseconds = take.u32_le()?;
    let address: [u8; 16] = take.array()?;
    let address = match address {
        [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => IpAddr::from([a, b, c, d]),
        address => IpAddr::from(address).to_canonical(),
    };
    let user = String::from_utf8_lossy(user.split(|byte| *byte == 0).next()?);
    (kind == USER_PROCESS && !user.is_empty() && !address.is_unspecified())
        .then(|| format!("{seconds} {address} {user}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, user: &str, address: [u8; 4]) -> Vec<u8> {
        let mut bytes = vec![0; RECORD_BYTES];
        bytes[0] = kind;
        bytes[44..44 + user.len()].copy_from_slice(user.as_bytes());
        bytes[340..344].copy_from_slice(&1_700_000_000_u32.to_le_bytes());
        bytes[348..352].copy_from_slice(&address);
        bytes
    }

    #[test]
    fn logins_over_the_network_are_read_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wtmp");
        let mut bytes = record(7, "bob", [192, 0, 2, 7]);
        bytes.extend(record(8, "bob", [192, 0, 2, 7]));
        bytes.extend(record(7, "root", [0; 4]));
        bytes.extend([7; 100]);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read(&path), ["1700000000 192.0.2.7 bob"]);
        assert!(read(&dir.path().join("none")).is_empty());
    }
}
