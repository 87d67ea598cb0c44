//! Peers that listen as Kafka does and then do as the test says, each connection on a thread of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

pub(super) struct Fake {
    pub(super) port: u16,
    /// Connections that were taken.
    pub(super) taken: Arc<AtomicUsize>,
}

impl Fake {
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

/// Listens; `serve` gets each connection and its number.
pub(super) fn fake(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let taken = Arc::<AtomicUsize>::default();
    let (count, serve) = (Arc::clone(&taken), Arc::new(serve));
    // The thread ends with the test process.
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let (number, serve) = (count.fetch_add(1, Ordering::SeqCst), Arc::clone(&serve));
            socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
            thread::spawn(move || serve(socket, number));
        }
    });
    Fake { port, taken }
}

/// One request: what the peer needs of its header, and the whole.
pub(super) struct Asked {
    pub(super) key: i16,
    pub(super) version: i16,
    pub(super) correlation: i32,
    /// Bytes that the first read brought, prefix included.
    pub(super) first_read: usize,
    pub(super) len: usize,
}

/// The next request; `None` when the connection has ended.
pub(super) fn request(socket: &mut TcpStream) -> Option<Asked> {
    let mut message = vec![0; 1 << 20];
    let mut len = 0;
    let mut first_read = 0;
    loop {
        let wanted = match len {
            0..4 => 4,
            _ => 4 + i32::from_be_bytes(message[..4].try_into().expect("four bytes")) as usize,
        };
        if len >= 4 && len == wanted {
            break;
        }
        // The first read takes all there is, to see what left together; tests ask one at a time there.
        let end = if len == 0 { message.len() } else { wanted };
        match socket.read(&mut message[len..end]) {
            Ok(0) => return None,
            Ok(read) => {
                first_read = if len == 0 { read } else { first_read };
                len += read;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
        let whole = 4 + i32::from_be_bytes(message[..4].try_into().expect("four bytes")) as usize;
        assert!(len <= whole, "two requests came in one read");
    }
    let int16 = |at: usize| i16::from_be_bytes([message[at], message[at + 1]]);
    let correlation = i32::from_be_bytes(message[8..12].try_into().expect("four bytes"));
    Some(Asked { key: int16(4), version: int16(6), correlation, first_read, len })
}

/// Sends an answer: prefix, correlation id, body.
pub(super) fn answer(socket: &mut TcpStream, correlation: i32, body: &[u8]) {
    let mut message = (body.len() as i32 + 4).to_be_bytes().to_vec();
    message.extend(correlation.to_be_bytes());
    message.extend(body);
    let _ = socket.write_all(&message);
}

/// Versions of the requests, as in an answer to ApiVersions.
pub(super) const VERSIONS: &[(i16, i16, i16)] = &[
    (0, 3, 8),
    (1, 4, 11),
    (2, 1, 5),
    (3, 4, 4),
    (18, 0, 3),
    (19, 2, 4),
    (22, 0, 1),
    (32, 1, 2),
    (61, 0, 0),
];

/// Answers ApiVersions with these versions. `false` when the connection has ended.
pub(super) fn handshake_with(socket: &mut TcpStream, versions: &[(i16, i16, i16)]) -> bool {
    let Some(asked) = request(socket) else { return false };
    assert_eq!((asked.key, asked.version), (18, 3), "ApiVersions comes first");
    let mut body = vec![0, 0, versions.len() as u8 + 1];
    for (key, min, max) in versions {
        for value in [key, min, max] {
            body.extend(value.to_be_bytes());
        }
        body.push(0);
    }
    body.extend([0, 0, 0, 0, 0]);
    answer(socket, asked.correlation, &body);
    true
}

pub(super) fn handshake(socket: &mut TcpStream) -> bool {
    handshake_with(socket, VERSIONS)
}

/// The body of an answer to InitProducerId.
pub(super) fn producer_id(id: i64) -> Vec<u8> {
    let mut body = vec![0; 6];
    body.extend(id.to_be_bytes());
    body.extend([0, 0]);
    body
}

/// Reads until the connection ends; how many bytes came, and whether it was reset.
pub(super) fn drain(socket: &mut TcpStream) -> (usize, bool) {
    let mut bytes = 0;
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return (bytes, false),
            Ok(read) => bytes += read,
            Err(error) => return (bytes, error.kind() == ErrorKind::ConnectionReset),
        }
    }
}
