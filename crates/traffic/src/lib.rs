//! Bytes in, what was said out.
//!
//! [`Streams`] takes the events of a sensor and gives [`minesweep_model::What::Said`] events: mining protocols in
//! all their dialects, TLS hellos, DNS, HTTP request heads, also inside CONNECT, SOCKS and WebSocket. Pure: no clock,
//! no I/O; time and bytes come in, values go out, so a replay gives the same answer. Everything is bounded by
//! [`Limits`], and what the bounds cost is counted in [`Losses`].
//!
//! Does not judge: that is `detect`. Does not decrypt and never resolves a name.

mod assembly;
mod dns;
mod flow;
mod http;
mod json;
mod lines;
pub mod pcap;
mod side;
mod stratum;
mod streams;
mod text;
mod tls;
mod tunnel;
mod websocket;

pub use dns::read as dns;
pub use streams::{Limits, Losses, Streams};
pub use tls::{ClientHello, client_hello};

/// How far a reader came with the start of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// More bytes are needed.
    Wait,
    /// It is something else.
    Not,
    /// It is this, and it took so many bytes.
    Done(T, usize),
}
