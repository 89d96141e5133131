//! The responder on real processes and real loopback connections; needs root.
//!
//! Waits end with an event (an echo, a line, a stop, an end of file), never with a guess of time.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails may panic, in its helpers too"
)]
#![allow(unsafe_code, reason = "unshare of the test's own thread")]

mod bench;
mod common;
mod cut;
mod disk;
mod freeze;
mod part;
mod recover;
