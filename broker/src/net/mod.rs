//! Sockets: listening and one connection's transport. Knows no MQTT. TLS, WebSocket and Unix sockets will be further
//! kinds of transport.

mod listener;
mod transport;

pub use listener::{Listener, bind};
pub use transport::Transport;
