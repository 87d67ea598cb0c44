//! Listening: one socket a core on the same address, so that the kernel spreads new connections.

use crate::config::Versions;
use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Connections the kernel holds for us until they are accepted.
const BACKLOG: i32 = 4_096;
/// A peer that vanished without a word is noticed after about this much silence even without MQTT keep-alive.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(600);

/// One core's share of a listener.
#[derive(Debug)]
pub struct Listener {
    /// Its socket.
    pub socket: TcpListener,
    /// MQTT versions that are spoken there.
    pub versions: Versions,
}

/// Binds `cores` sockets to one address. Port 0 takes a free port, the same for all cores.
///
/// # Errors
/// The address is in use, not ours, or not permitted.
pub fn bind(
    address: SocketAddr,
    versions: Versions,
    cores: usize,
) -> io::Result<(SocketAddr, Vec<Listener>)> {
    // SO_REUSEPORT would let us share the port with another process of the same user without a word. So it is taken
    // alone first; then an address in use is an error.
    let probe = socket(address, false)?;
    probe.listen(1)?;
    let bound = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    let mut listeners = Vec::with_capacity(cores);
    for _ in 0..cores {
        let socket = socket(bound, true)?;
        socket.listen(BACKLOG)?;
        listeners.push(Listener { socket: TcpListener::from_std(socket.into()), versions });
    }
    Ok((bound, listeners))
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    // Linux hands these on to accepted sockets: no call for each of them.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(TCP_KEEP_ALIVE))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_an_error_although_cores_share_it() {
        let (bound, held) =
            bind("127.0.0.1:0".parse().expect("an address"), Versions::ALL, 2).expect("a free port");
        assert_eq!(held.len(), 2);
        let error = bind(bound, Versions::ALL, 2).expect_err("in use");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
