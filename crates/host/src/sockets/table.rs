//! `/proc/PID/net/tcp` and `tcp6`: the sockets of the namespace of that process, without cookies.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use crate::{
    proc::root::Folder,
    sockets::{MAX_SOCKETS, Socket, Sockets, State},
};

/// Most bytes of one table: 150 bytes a line.
const TABLE_BYTES: usize = MAX_SOCKETS * 150;

/// Both tables of the namespace of a process. A kernel without IPv6 has only the first.
pub(crate) fn read(folder: &Folder) -> io::Result<Sockets> {
    let mut out = Sockets::default();
    parse(&folder.read("net/tcp", TABLE_BYTES)?, &mut out);
    match folder.read("net/tcp6", TABLE_BYTES) {
        Ok(text) => parse(&text, &mut out),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(out)
}

fn parse(text: &[u8], out: &mut Sockets) {
    let text = String::from_utf8_lossy(text);
    for socket in text.lines().skip(1).filter_map(line) {
        if out.sockets.len() < MAX_SOCKETS {
            out.sockets.push(socket);
        } else {
            out.lost += 1;
        }
    }
}

fn line(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace();
    let local = address(fields.nth(1)?)?;
    let remote = address(fields.next()?)?;
    let number = u8::from_str_radix(fields.next()?, 16).ok()?;
    let state = State::from_kernel(number).filter(|_| number != super::diag::TIME_WAIT)?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Socket { local, remote, state, inode, cookie: None, uid })
}

/// `0100007F:1F90`: 32-bit words in this machine's order, each as it lies in memory; the port is a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = [0_u8; 16];
    let mut words = bytes.chunks_exact_mut(4);
    let mut rest = address;
    while !rest.is_empty() {
        let (word, tail) = rest.split_at_checked(8)?;
        words.next()?.copy_from_slice(&u32::from_str_radix(word, 16).ok()?.to_ne_bytes());
        rest = tail;
    }
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(bytes.first_chunk::<4>().copied()?)),
        32 => IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical(),
        _other => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn one(line: &str) -> Option<Socket> {
        let mut out = Sockets::default();
        parse(format!("{HEAD}{line}\n").as_bytes(), &mut out);
        out.sockets.pop()
    }

    #[test]
    fn both_families_are_read() {
        let v4 = one("   0: 0100007F:1F90 0200007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 20 4 30 10 -1").unwrap();
        assert_eq!(
            (v4.local, v4.remote),
            ("127.0.0.1:8080".parse().unwrap(), "127.0.0.2:50000".parse().unwrap())
        );
        assert_eq!((v4.state, v4.inode, v4.uid, v4.cookie), (State::Established, 4242, 1000, None));
        let v6 = one("   0: 00000000000000000000000001000000:01BB 0000000000000000FFFF0000010200C0:0050 02 00000000:00000000 00:00000000 00000000     0        0 7 1 0").unwrap();
        assert_eq!((v6.local, v6.remote), ("[::1]:443".parse().unwrap(), "192.0.2.1:80".parse().unwrap()));
        assert_eq!(v6.state, State::SynSent);
    }

    #[test]
    fn what_waits_for_late_packets_or_is_broken_is_left_out() {
        for line in [
            "   0: 0100007F:1F90 0200007F:C350 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0",
            "   0: 0100007F 0200007F:C350 01 0:0 0:0 0 0 0 1",
            "   0: 0100007F:1F90 0200007F:C350 01 0:0",
            "   0: 01:1F90 0200007F:C350 01 0:0 0:0 0 0 0 1",
            "   0: \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}:1F90 0200007F:C350 01 0:0 0:0 0 0 0 1",
            "",
        ] {
            assert_eq!(one(line), None, "{line}");
        }
    }
}
