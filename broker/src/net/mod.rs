//! Sockets: listening and one connection's transport. Knows no MQTT. TLS, WebSocket and Unix sockets will be further
//! kinds of transport.

mod listener;
#[cfg(any(test, feature = "sim"))]
mod memory;
#[cfg(any(test, feature = "simulation"))]
pub mod network;
mod transport;

pub use listener::{Listener, bind};
#[cfg(any(test, feature = "sim"))]
pub use memory::{Happened, Wires};
pub use transport::Transport;
