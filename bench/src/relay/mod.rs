//! `millrace-bench relay`: the yardstick. It passes MQTT messages on with the least work imaginable, so its CPU time
//! a message is what kernel and loopback cost a program of that many cores, and a broker's is compared with it.
//!
//! One core is one poll and nothing else. With several, each has a listener on the same port; a connection moves to
//! the home core of its client id after CONNECT, and messages for another core's clients wait in that core's mailbox,
//! filled once a turn. The order of modules is the way of a message: [`core`] reads it with [`wire`], finds who gets
//! it in [`routes`], puts it into [`connection`]s or [`mail`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use clap::Args;
use mio::net::TcpListener;
use mio::{Interest, Poll, Waker};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use core::{Core, LISTENER, Shared, WAKE};
use mail::Mailbox;
use routes::Routes;

mod connection;
mod core;
mod mail;
mod routes;
mod wire;

#[cfg(test)]
mod tests;

/// Connections that the kernel holds for a core until they are accepted.
const BACKLOG: i32 = 4096;

/// Pass MQTT messages on with the least work imaginable: a yardstick, not a broker
///
/// Answers CONNECT, SUBSCRIBE, UNSUBSCRIBE, PINGREQ and the acknowledgements of QoS 1 and 2, and copies PUBLISH to
/// subscribers, shared ones in turn. It keeps no session and no retained message, checks nothing, sends nothing
/// again, knows no password, and keeps without limit what a slow subscriber does not take. All clients have to speak
/// the same version of MQTT. What a broker needs above it is what the broker costs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace-bench relay
  millrace-bench relay --bind 127.0.0.1:24000 --cores 2")]
pub(crate) struct RelayArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:1883")]
    bind: SocketAddr,
    /// Threads, each with its own poll and its own clients
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    cores: u8,
}

/// Runs until the process is ended by a signal.
pub(crate) fn run(args: &RelayArgs) -> Result<(), String> {
    raise_descriptors();
    let relay =
        Relay::bind(args.bind, args.cores.into()).map_err(|error| format!("{}: {error}", args.bind))?;
    eprintln!("relay on {} with {} cores", relay.address, args.cores);
    relay.run().map_err(|error| error.to_string())
}

/// A relay whose listeners are open.
struct Relay {
    address: SocketAddr,
    cores: Vec<Core>,
}

impl Relay {
    /// # Errors
    /// The address is in use or not ours.
    fn bind(address: SocketAddr, cores: usize) -> io::Result<Relay> {
        // SO_REUSEPORT lets two relays share a port without a word: the first listener asks without it.
        let mut address = address;
        let probe = listen(address, false)?;
        address.set_port(probe.local_addr()?.port());
        drop(probe);
        let (mut polls, mut mailboxes) = (Vec::new(), Vec::new());
        for _ in 0..cores {
            let poll = Poll::new()?;
            mailboxes.push(Mailbox::new(Waker::new(poll.registry(), WAKE)?, cores));
            let mut listener = TcpListener::from_std(listen(address, cores > 1)?);
            poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
            polls.push((poll, listener));
        }
        let shared = Arc::new(Shared { routes: Routes::default(), mailboxes });
        let core = |(me, (poll, listener))| Core::new(me, poll, listener, Arc::clone(&shared));
        Ok(Relay { address, cores: polls.into_iter().enumerate().map(core).collect() })
    }

    /// Goes on until a core fails, which ends all.
    fn run(self) -> io::Result<()> {
        let mut cores = self.cores.into_iter();
        let first = cores.next();
        for core in cores {
            thread::Builder::new().name("relay".to_owned()).spawn(move || {
                if let Err(error) = core.run() {
                    eprintln!("error: {error}");
                    std::process::exit(1);
                }
            })?;
        }
        first.map_or(Ok(()), Core::run)
    }
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// As many connections as the system lets us have.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // It may always be raised to the hard limit; if not, the old one stays.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
