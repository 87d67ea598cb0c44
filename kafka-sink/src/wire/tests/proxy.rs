//! Stands between the sink and a real Kafka node, and loses answers: what was asked has been done
//! by Kafka, and nobody hears of it. The node's address in answers is changed to the proxy's.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;

use crate::log::sim::Random;

pub(super) struct Proxy {
    pub(super) port: u16,
    /// Answers that were thrown away, each with its connection.
    pub(super) lost: Arc<AtomicU64>,
    /// Once in so many answers; 0 for never.
    pub(super) loses_one_in: Arc<AtomicU64>,
}

/// A proxy to this server, which has to be an IPv4 address.
pub(super) fn proxy(server: &str, seed: u64) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (lost, loses_one_in) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let random = Arc::new(Mutex::new(Random::new(seed)));
    let proxy = Proxy { port, lost: Arc::clone(&lost), loses_one_in: Arc::clone(&loses_one_in) };
    let server = server.to_owned();
    // The thread ends with the test process.
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(&server) else { continue };
            near.set_nodelay(true).and_then(|()| far.set_nodelay(true)).expect("sockets");
            let (mut from, mut to) = both(&near, &far);
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
            let (server, random) = (server.clone(), Arc::clone(&random));
            let (lost, loses_one_in) = (Arc::clone(&lost), Arc::clone(&loses_one_in));
            thread::spawn(move || {
                let (mut to, mut from) = both(&near, &far);
                while let Ok(mut message) = answer(&mut from) {
                    let one_in = loses_one_in.load(Ordering::Relaxed);
                    if one_in > 0 && random.lock().one_in(one_in) {
                        lost.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                    rename(&mut message, &server, port);
                    if to.write_all(&message).is_err() {
                        break;
                    }
                }
                let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
            });
        }
    });
    proxy
}

fn both(near: &TcpStream, far: &TcpStream) -> (TcpStream, TcpStream) {
    (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"))
}

fn answer(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 4];
    from.read_exact(&mut message)?;
    let len = u32::from_be_bytes([message[0], message[1], message[2], message[3]]) as usize;
    message.resize(4 + len, 0);
    from.read_exact(&mut message[4..])?;
    Ok(message)
}

/// Host and port stand side by side, the port in four bytes.
fn rename(message: &mut [u8], server: &str, port: u16) {
    let (host, of_server) = server.split_once(':').expect("HOST:PORT");
    let place = |port: u16| [host.as_bytes(), &u32::from(port).to_be_bytes()].concat();
    let (was, is) = (place(of_server.parse().expect("a port")), place(port));
    let at = message.windows(was.len()).position(|window| window == was);
    if let Some(at) = at {
        message[at..at + is.len()].copy_from_slice(&is);
    }
}
