//! One packet: from its link header down to the payload.

use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use minesweep_model::Protocol;

use super::PcapError;

/// TCP flags that matter here; all unset for UDP.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub syn: bool,
    pub ack: bool,
    pub fin: bool,
    pub rst: bool,
}

/// A TCP segment or a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub protocol: Protocol,
    pub sequence: u32,
    pub flags: Flags,
    pub payload: &'a [u8],
    /// Bytes of the payload that the capture did not keep.
    pub missing: u32,
}

/// Reads a packet of a link type (tcpdump.org/linktypes.html); `None` when it is no whole TCP or UDP.
pub(super) fn read(link: u32, bytes: &[u8], missing: u32) -> Result<Option<Packet<'_>>, PcapError> {
    let sliced = match link {
        1 => LaxSlicedPacket::from_ethernet(bytes).ok(),
        // BSD loopback: four bytes of address family; OpenBSD's has the same form.
        0 | 108 => bytes.get(4..).and_then(|ip| LaxSlicedPacket::from_ip(ip).ok()),
        12 | 14 | 101 | 228 | 229 => LaxSlicedPacket::from_ip(bytes).ok(),
        113 => cooked(bytes, 14, 16),
        276 => cooked(bytes, 0, 20),
        other => return Err(PcapError::LinkType(other)),
    };
    Ok(sliced.and_then(|sliced| transport(&sliced, missing)))
}

/// Linux cooked captures: the EtherType stands at `kind_at`, the packet at `start`.
fn cooked(bytes: &[u8], kind_at: usize, start: usize) -> Option<LaxSlicedPacket<'_>> {
    let kind = bytes.get(kind_at..)?.first_chunk::<2>()?;
    let packet = bytes.get(start..)?;
    Some(LaxSlicedPacket::from_ether_type(EtherType(u16::from_be_bytes(*kind)), packet))
}

fn transport<'a>(sliced: &LaxSlicedPacket<'a>, missing: u32) -> Option<Packet<'a>> {
    let (from, to): (IpAddr, IpAddr) = match sliced.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        LaxNetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        LaxNetSlice::Arp(_) => return None,
    };
    if sliced.ip_payload().is_none_or(|payload| payload.fragmented) {
        return None;
    }
    match sliced.transport.as_ref()? {
        TransportSlice::Tcp(tcp) => Some(Packet {
            from: SocketAddr::new(from, tcp.source_port()),
            to: SocketAddr::new(to, tcp.destination_port()),
            protocol: Protocol::Tcp,
            sequence: tcp.sequence_number(),
            flags: Flags { syn: tcp.syn(), ack: tcp.ack(), fin: tcp.fin(), rst: tcp.rst() },
            payload: tcp.payload(),
            missing,
        }),
        TransportSlice::Udp(udp) => Some(Packet {
            from: SocketAddr::new(from, udp.source_port()),
            to: SocketAddr::new(to, udp.destination_port()),
            protocol: Protocol::Udp,
            sequence: 0,
            flags: Flags::default(),
            payload: udp.payload(),
            missing,
        }),
        TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) => None,
    }
}
