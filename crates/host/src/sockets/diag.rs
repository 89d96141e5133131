//! `sock_diag`: TCP sockets of a network namespace with their cookies.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    thread,
    time::Duration,
};

use netlink_sys::{Socket as Netlink, SocketAddr as NetlinkAddr, protocols::NETLINK_SOCK_DIAG};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{
    netlink,
    proc::root::Folder,
    sockets::{MAX_NAMESPACES, MAX_SOCKETS, Socket, Sockets, State},
    take::Take,
};

/// `SOCK_DIAG_BY_FAMILY` of linux/sock_diag.h.
const BY_FAMILY: u16 = 20;
/// `SOCK_DESTROY` of linux/sock_diag.h.
const DESTROY: u16 = 21;
/// `AF_INET`.
const V4: u8 = 2;
/// `AF_INET6`.
const V6: u8 = 10;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// `TCP_TIME_WAIT`: no process holds such a socket, and a busy server has tens of thousands.
pub(crate) const TIME_WAIT: u8 = 6;
/// Longest wait for one datagram of a dump; the kernel answers in microseconds.
const ANSWER: Duration = Duration::from_secs(2);

/// All TCP sockets of the namespace of this thread.
pub(crate) fn dump() -> io::Result<Sockets> {
    let socket = open()?;
    let mut out = Sockets::default();
    dump_family(&socket, V4, &mut out)?;
    match dump_family(&socket, V6, &mut out) {
        // A kernel without IPv6 has no handler for it.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(out),
        Err(error) => Err(error),
        Ok(()) => Ok(out),
    }
}

/// The sockets of the namespaces of these processes. One thread enters them one after the other and ends; the thread
/// that asked stays where it is.
pub(crate) fn dump_in(folders: &[Folder]) -> Vec<io::Result<Sockets>> {
    let namespaces: Vec<io::Result<OwnedFd>> =
        folders.iter().take(MAX_NAMESPACES).map(|folder| folder.file("ns/net", OFlags::RDONLY)).collect();
    let asked = thread::Builder::new().name("namespaces".to_owned()).spawn(move || {
        namespaces.into_iter().map(|namespace| enter_and_dump(namespace?)).collect::<Vec<_>>()
    });
    let mut found = match asked.map(thread::JoinHandle::join) {
        Ok(Ok(found)) => found,
        Ok(Err(_panic)) => Vec::new(),
        Err(_no_thread) => Vec::new(),
    };
    found.resize_with(folders.len(), || Err(io::Error::other("the namespace could not be entered")));
    found
}

fn enter_and_dump(namespace: OwnedFd) -> io::Result<Sockets> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    dump()
}

/// Does this kernel let a socket be reset (`CONFIG_INET_DIAG_DESTROY`)? Asked with a socket that cannot be: port 0 and
/// a cookie that no socket has. `None` when the kernel refuses to say.
pub(crate) fn can_destroy() -> Option<bool> {
    let socket = open().ok()?;
    let mut body = request_body(V4);
    body.truncate(8);
    body.extend_from_slice(&[0; 40]);
    body.extend_from_slice(&1_u64.to_ne_bytes());
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_ACK).ok()?;
    socket.send(&netlink::request(DESTROY, flags, &body), 0).ok()?;
    let mut buffer = Vec::with_capacity(4096);
    if !netlink::wait(&socket, ANSWER).ok()? || !netlink::receive(&socket, &mut buffer).ok()? {
        return None;
    }
    let answer = netlink::messages(&buffer).find(|message| message.kind == netlink::ERROR)?;
    match netlink::error(answer.body)?.raw_os_error()? {
        libc::ENOENT | libc::ESTALE => Some(true),
        libc::EOPNOTSUPP | libc::EINVAL => Some(false),
        _refused => None,
    }
}

fn open() -> io::Result<Netlink> {
    let mut socket = Netlink::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&NetlinkAddr::new(0, 0))?;
    Ok(socket)
}

fn dump_family(socket: &Netlink, family: u8, out: &mut Sockets) -> io::Result<()> {
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).unwrap_or_default();
    socket.send(&netlink::request(BY_FAMILY, flags, &request_body(family)), 0)?;
    let mut buffer = Vec::with_capacity(32 << 10);
    loop {
        if !netlink::wait(socket, ANSWER)? {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the kernel did not finish the list of sockets",
            ));
        }
        while netlink::receive(socket, &mut buffer)? {
            for message in netlink::messages(&buffer) {
                match message.kind {
                    netlink::DONE if message.body.is_empty() => return Ok(()),
                    netlink::DONE => return netlink::error(message.body).map_or(Ok(()), Err),
                    netlink::ERROR => return netlink::error(message.body).map_or(Ok(()), Err),
                    _record if out.sockets.len() == MAX_SOCKETS => out.lost += 1,
                    _record => out.sockets.extend(record(message.body)),
                }
            }
        }
    }
}

/// `inet_diag_req_v2`: family, protocol, no extensions, all states but one, any socket.
fn request_body(family: u8) -> Vec<u8> {
    let states: u32 = !(1 << TIME_WAIT);
    let mut body = vec![family, TCP, 0, 0];
    body.extend_from_slice(&states.to_ne_bytes());
    body.extend_from_slice(&[0; 48]);
    body
}

/// `inet_diag_msg` of linux/inet_diag.h.
fn record(body: &[u8]) -> Option<Socket> {
    let mut take = Take(body);
    let family = take.u8()?;
    let state = State::from_kernel(take.u8()?)?;
    take.bytes(2)?;
    let (local_port, remote_port) = (take.u16_be()?, take.u16_be()?);
    let local = address(family, take.array()?)?;
    let remote = address(family, take.array()?)?;
    take.bytes(4)?;
    // Two 32-bit halves, low half first, in this machine's order each.
    let (low, high) = (take.u32()?, take.u32()?);
    take.bytes(12)?;
    let uid = take.u32()?;
    let inode = u64::from(take.u32()?);
    let cookie = Some(u64::from(high) << 32 | u64::from(low));
    let (local, remote) = (SocketAddr::new(local, local_port), SocketAddr::new(remote, remote_port));
    Some(Socket { local, remote, state, inode, cookie, uid })
}

fn address(family: u8, bytes: [u8; 16]) -> Option<IpAddr> {
    match family {
        V4 => Some(IpAddr::V4(Ipv4Addr::from(bytes.first_chunk::<4>().copied()?))),
        V6 => Some(IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()),
        _other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut body = vec![2, 1, 0, 0];
        body.extend_from_slice(&40_000_u16.to_be_bytes());
        body.extend_from_slice(&3333_u16.to_be_bytes());
        for last in [1, 2] {
            body.extend_from_slice(&[127, 0, 0, last]);
            body.extend_from_slice(&[0; 12]);
        }
        body.extend_from_slice(&[0; 4]);
        body.extend_from_slice(&7_u32.to_ne_bytes());
        body.extend_from_slice(&1_u32.to_ne_bytes());
        body.extend_from_slice(&[0; 12]);
        body.extend_from_slice(&1000_u32.to_ne_bytes());
        body.extend_from_slice(&4242_u32.to_ne_bytes());
        body
    }

    #[test]
    fn a_record_gives_both_ends_and_the_whole_cookie() {
        let socket = record(&sample()).unwrap();
        assert_eq!(socket.local, "127.0.0.1:40000".parse().unwrap());
        assert_eq!(socket.remote, "127.0.0.2:3333".parse().unwrap());
        assert_eq!((socket.cookie, socket.uid, socket.inode), (Some(1 << 32 | 7), 1000, 4242));
    }

    #[test]
    fn a_short_record_or_an_unknown_family_is_nothing() {
        let whole = sample();
        for cut in 0..whole.len() {
            assert_eq!(record(&whole[..cut]), None, "{cut}");
        }
        let mut other = whole;
        other[0] = 1;
        assert_eq!(record(&other), None);
    }
}
