//! Where a broker is: host and port, and how to get a socket to it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout, timeout_at};

/// Most bytes that the kernel holds of what we sent and the broker has not taken.
const SEND_BUFFER_BYTES: u32 = 512 * 1024;

/// A broker's host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let wrong = || format!("{text:?} is not HOST:PORT");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|&port| port != 0).ok_or_else(wrong)?;
        if host.is_empty() {
            return Err(wrong());
        }
        Ok(Address { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The system's search for a name, which blocks a thread for as long as it likes. Who cannot wait
/// leaves it to the next attempt, so that there is never more than one thread for a name.
#[derive(Default)]
pub(super) struct Search(Option<JoinHandle<io::Result<Vec<SocketAddr>>>>);

impl Search {
    /// What an earlier attempt has begun, or else `resolve`. `None` if it takes longer.
    pub(super) async fn run(
        &mut self,
        deadline: Instant,
        resolve: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
    ) -> Option<io::Result<Vec<SocketAddr>>> {
        let search = self.0.get_or_insert_with(|| spawn_blocking(resolve));
        let found = timeout_at(deadline, search).await.ok()?;
        self.0 = None;
        Some(found.unwrap_or_else(|error| Err(io::Error::other(error))))
    }
}

impl Address {
    async fn resolve(&self, search: &mut Search, deadline: Instant) -> Option<io::Result<Vec<SocketAddr>>> {
        let port = self.port;
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Some(Ok(vec![(ip, port).into()]));
        }
        let host = self.host.clone();
        search.run(deadline, move || Ok((host.as_str(), port).to_socket_addrs()?.collect())).await
    }

    /// A socket to the first of the name's addresses that takes one; each gets its share of the time.
    ///
    /// # Errors
    /// The cause, for each address that was tried, without the name.
    pub(super) async fn connect(&self, search: &mut Search, limit: Duration) -> Result<TcpStream, String> {
        let deadline = Instant::now() + limit;
        let found = self.resolve(search, deadline).await;
        let mut addresses = found
            .ok_or_else(|| format!("has a name that was not resolved in {limit:?}"))?
            .map_err(|error| format!("has a name that cannot be resolved: {error}"))?;
        addresses.dedup();
        let mut failures = Vec::new();
        let count = addresses.len();
        for (index, address) in addresses.into_iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(count.saturating_sub(index)).unwrap_or(u32::MAX).max(1);
            let cause = match timeout(share, open(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => describe(&error),
                Err(_) => format!("does not take the connection in {share:.1?}"),
            };
            failures.push(if address.ip().to_string() == self.host {
                cause
            } else {
                format!("{cause} ({})", address.ip())
            });
        }
        match failures.is_empty() {
            true => Err("has a name without an address".to_owned()),
            false => Err(failures.join("; ")),
        }
    }
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    // Without it a request of more than one segment waits 40 ms for the acknowledgement of the first.
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

/// The cause of an error as operators know it.
pub(super) fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refuses the connection".to_owned(),
        io::ErrorKind::ConnectionReset => "has reset the connection".to_owned(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => "has closed the connection".to_owned(),
        _ => format!("cannot be reached: {error}"),
    }
}
