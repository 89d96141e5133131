//! Takes a connection away from a process: first nothing passes any more, then it is reset.
//!
//! Two parts, because neither is enough. The filter is a BPF program at the root of the control groups: it drops the
//! packets of a cookie from the next one on, and ends with us. The reset is the kernel's own `SOCK_DESTROY`: it needs
//! the connection to be found first (milliseconds on a machine with many), and is for good. Does not decide what is
//! cut. UDP is dropped by the filter but not destroyed.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsRawFd, OwnedFd},
    thread,
    time::Duration,
};

use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, Object, ObjectBuilder};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect_unspec, getpeername, netlink,
        recv, send, socket_with,
        sockopt::{Timeout, set_socket_timeout, socket_cookie},
    },
    thread::{LinkNameSpaceType, move_into_link_name_space},
    time::{ClockId, clock_gettime},
};

use crate::target::{Held, Proc, is_no_process};

/// Why the filter is not there.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// No version 2 hierarchy is mounted.
    #[error(
        "no cgroup2 file system is mounted, so connections can be reset but not held; mount one (mount -t cgroup2 none /sys/fs/cgroup)"
    )]
    NoCgroup2,
    /// The mount table or the mount could not be read.
    #[error("cannot open the root of the control groups")]
    Cgroup(#[source] io::Error),
    /// The kernel or its settings refuse the program.
    #[error("the kernel refuses the filter; it needs Linux 5.7 and CAP_BPF with CAP_NET_ADMIN")]
    Refused(#[source] libbpf_rs::Error),
    /// The object file lacks a part: a broken build.
    #[error("the filter was built without `{0}`; build Minesweep again")]
    Incomplete(&'static str),
}

/// Drops the packets of cut connections while it lives.
pub(crate) struct Filter {
    cut: MapHandle,
    cookies: VecDeque<u64>,
    _links: Vec<Link>,
    _object: Object,
}

impl Filter {
    /// Loads the program and attaches it to the root of the control groups.
    pub(crate) fn attach(proc: &Proc) -> Result<Self, FilterError> {
        let place = proc.cgroup2().map_err(FilterError::Cgroup)?.ok_or(FilterError::NoCgroup2)?;
        let root = std::fs::File::open(place).map_err(FilterError::Cgroup)?;
        let mut builder = ObjectBuilder::default();
        let open = builder.name("minesweep_cut").and_then(|builder| builder.open_memory(PROGRAM));
        let object = open.and_then(|open| open.load()).map_err(FilterError::Refused)?;
        let mut links = Vec::new();
        for program in object.progs_mut() {
            links.push(program.attach_cgroup(root.as_raw_fd()).map_err(FilterError::Refused)?);
        }
        let map = object.maps().find(|map| map.name() == "cut").ok_or(FilterError::Incomplete("cut"))?;
        let cut = MapHandle::try_from(&map).map_err(FilterError::Refused)?;
        Ok(Self { cut, cookies: VecDeque::new(), _links: links, _object: object })
    }

    /// The same for two seconds, and then no more unless [`Filter::cut`] follows: for the time in which the journal is
    /// written, which a busy disk makes long. `false` when it was cut already.
    pub(crate) fn hold(&mut self, cookie: u64) -> Result<bool, libbpf_rs::Error> {
        if self.cookies.contains(&cookie) {
            return Ok(false);
        }
        let now = clock_gettime(ClockId::Monotonic);
        let now_ns = u64::try_from(now.tv_sec * 1_000_000_000 + now.tv_nsec).unwrap_or(0);
        self.cut.update(&cookie.to_ne_bytes(), &verdict(now_ns.saturating_add(HOLD_NS)), MapFlags::ANY)?;
        Ok(true)
    }

    /// Ends a hold.
    pub(crate) fn release(&mut self, cookie: u64) -> Result<(), libbpf_rs::Error> {
        if self.cookies.contains(&cookie) { Ok(()) } else { self.cut.delete(&cookie.to_ne_bytes()) }
    }

    /// From the next packet on nothing of the connection passes. `false` when it was cut already. Holds the newest
    /// 4096; by then the older ones have long been destroyed.
    pub(crate) fn cut(&mut self, cookie: u64) -> Result<bool, libbpf_rs::Error> {
        if self.cookies.contains(&cookie) {
            return Ok(false);
        }
        if self.cookies.len() >= COOKIE_LIMIT
            && let Some(oldest) = self.cookies.pop_front()
        {
            self.cut.delete(&oldest.to_ne_bytes())?;
        }
        self.cut.update(&cookie.to_ne_bytes(), &verdict(u64::MAX), MapFlags::ANY)?;
        self.cookies.push_back(cookie);
        Ok(true)
    }

    /// Packets dropped of a connection; `None` when it is not held, or the map does not say.
    pub(crate) fn dropped(&self, cookie: u64) -> Option<u64> {
        let value = self.cut.lookup(&cookie.to_ne_bytes(), MapFlags::ANY).ok()??;
        Some(u64::from_ne_bytes(*value.last_chunk()?))
    }
}

/// `struct verdict` of cut.bpf.c: until when, and nothing dropped yet.
fn verdict(until_ns: u64) -> [u8; 16] {
    (u128::from(until_ns)).to_le_bytes()
}

/// Resets the TCP connection of that cookie: the peer gets a RST, the process an error. `network` is the namespace of
/// the socket, `None` for ours. `false` when there is no such connection (any more).
pub(crate) fn destroy(network: Option<OwnedFd>, cookie: u64) -> io::Result<bool> {
    let socket = match network {
        None => diagnosis_socket()?,
        // A socket stays in the namespace in which it was made; the thread that went there ends.
        Some(there) => thread::spawn(move || {
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&there), Some(LinkNameSpaceType::Network))?;
            diagnosis_socket()
        })
        .join()
        .map_err(|_| io::Error::other("the thread that entered the network namespace ended early"))??,
    };
    for family in [libc::AF_INET, libc::AF_INET6] {
        let family = family.to_le_bytes()[0];
        if let Some(identity) = find(&socket, family, cookie)? {
            return reset(&socket, family, &identity);
        }
    }
    Ok(false)
}

/// Ends the connection through a second hold on the process's own socket, wherever that was made: disconnecting sends
/// the peer a RST. `false` when the process has no such socket. Needs Linux 5.6.
pub(crate) fn disconnect(proc: &Proc, owner: &Held, cookie: u64) -> io::Result<bool> {
    let sockets = match proc.sockets(owner.key.pid) {
        Ok(sockets) => sockets,
        Err(ended) if is_no_process(&ended) => return Ok(false),
        Err(failed) => return Err(failed),
    };
    for number in sockets {
        let socket = match owner.file(number) {
            Ok(socket) => socket,
            // It closed the file, or ended, since the listing.
            Err(Errno::BADF | Errno::SRCH) => continue,
            Err(failed) => return Err(failed.into()),
        };
        if socket_cookie(&socket).is_ok_and(|its| its == cookie)
            && getpeername(&socket).is_ok_and(|peer| peer.is_some())
        {
            connect_unspec(&socket)?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn diagnosis_socket() -> io::Result<OwnedFd> {
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(1)))?;
    Ok(socket)
}

/// Goes through the TCP connections of a family: the kernel finds by address only.
fn find(socket: &OwnedFd, family: u8, cookie: u64) -> io::Result<Option<[u8; IDENTITY]>> {
    ask(
        socket,
        SOCK_DIAG_BY_FAMILY,
        libc::NLM_F_REQUEST | libc::NLM_F_DUMP,
        &request(family, CONNECTED, &[0; IDENTITY]),
    )?;
    let mut found = None;
    loop {
        let mut more = true;
        answers(socket, |kind, payload| {
            more &= kind != libc::NLMSG_DONE;
            if kind == i32::from(SOCK_DIAG_BY_FAMILY)
                && let Some(identity) =
                    payload.get(4..4 + IDENTITY).and_then(|bytes| <[u8; IDENTITY]>::try_from(bytes).ok())
                && identity.ends_with(&cookie_as_sent(cookie))
            {
                found = Some(identity);
            }
        })?;
        if !more {
            return Ok(found);
        }
    }
}

fn reset(socket: &OwnedFd, family: u8, identity: &[u8; IDENTITY]) -> io::Result<bool> {
    ask(socket, SOCK_DESTROY, libc::NLM_F_REQUEST | libc::NLM_F_ACK, &request(family, CONNECTED, identity))?;
    match answers(socket, |_, _| {}) {
        Ok(()) => Ok(true),
        Err(failed) if failed.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(failed) => Err(failed),
    }
}

fn ask(socket: &OwnedFd, kind: u16, flags: i32, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(HEADER + body.len()).map_err(io::Error::other)?;
    let flags = u16::try_from(flags).map_err(io::Error::other)?;
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]); // sequence and port: one question at a time, answered by the kernel
    message.extend(body);
    send(socket, &message, SendFlags::empty())?;
    Ok(())
}

/// Reads one batch of answers. An error answer is an error; the error 0 is an acknowledgement.
fn answers(socket: &OwnedFd, mut take: impl FnMut(i32, &[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let (_, length) = recv(socket, buffer.as_mut_slice(), RecvFlags::empty())?;
    let mut rest = buffer.get(..length).unwrap_or_default();
    while let Some(header) = rest.first_chunk::<HEADER>() {
        let [a, b, c, d, e, f, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).map_err(io::Error::other)?;
        let kind = i32::from(u16::from_ne_bytes([e, f]));
        let payload =
            rest.get(HEADER..length).ok_or_else(|| io::Error::other("the kernel's answer is cut short"))?;
        if kind == libc::NLMSG_ERROR {
            let code = payload.first_chunk().map_or(-libc::EPROTO, |code| i32::from_ne_bytes(*code));
            return if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-code)) };
        }
        take(kind, payload);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(())
}

/// `struct inet_diag_req_v2`: family, protocol, extensions, padding, states, and the identity of the socket.
fn request(family: u8, states: u32, identity: &[u8; IDENTITY]) -> Vec<u8> {
    let mut body = vec![family, IPPROTO_TCP, 0, 0];
    body.extend(states.to_ne_bytes());
    body.extend(identity);
    body
}

/// `idiag_cookie`: two 32-bit words, the low one first.
fn cookie_as_sent(cookie: u64) -> [u8; 8] {
    let word = |shift: u32| u32::try_from(cookie >> shift & 0xffff_ffff).unwrap_or(0).to_ne_bytes();
    let ([a, b, c, d], [e, f, g, h]) = (word(0), word(32));
    [a, b, c, d, e, f, g, h]
}

/// The compiled program.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cut.bpf.o"));
/// Far longer than an fsync takes on a disk that works; on one that hangs the connection goes on.
const HOLD_NS: u64 = 2_000_000_000;
/// Half of the map's `max_entries`; the other half is for holds.
const COOKIE_LIMIT: usize = 4096;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct inet_diag_sockid`: two ports, two addresses, interface, cookie.
const IDENTITY: usize = 48;
const IPPROTO_TCP: u8 = 6;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
/// Bit mask of TCP states in which a connection has a peer: all but TIME_WAIT (6), CLOSE (7) and LISTEN (10).
const CONNECTED: u32 = 0b1011_0011_1110;

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn a_hold_whose_time_is_over_lets_everything_pass_again() {
        let mut filter = Filter::attach(&Proc::open().unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut server = listener.accept().unwrap().0;
        let cookie = socket_cookie(&client).unwrap();

        assert!(filter.hold(cookie).unwrap());
        client.write_all(b"held").unwrap();
        assert!(filter.dropped(cookie).unwrap() > 0);
        filter.cut.update(&cookie.to_ne_bytes(), &verdict(1), MapFlags::ANY).unwrap();
        server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut bytes = [0; 4];
        server.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"held", "sent again by the kernel");

        assert!(filter.cut(cookie).unwrap());
        assert!(!filter.cut(cookie).unwrap() && !filter.hold(cookie).unwrap(), "once is enough");
        filter.release(cookie).unwrap();
        client.write_all(b"cut").unwrap();
        assert!(filter.dropped(cookie).unwrap() > 0, "a release ends a hold and no cut");
    }
}
