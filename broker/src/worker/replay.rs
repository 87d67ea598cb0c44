//! One core without a thread of its own, driven turn by turn by whoever counts what it executes: the bench
//! `instructions` of millrace-bench. Clients are socket pairs of the same process, so that what was written before a
//! turn is there in that turn; the clock stands still and seeds are fixed. So each turn executes the same instructions
//! in every run. Only with the feature `replay`, which the program does not have.

use super::{Core, sim};
use crate::config::Versions;
use crate::net::Transport;
use crate::time::Now;
use millrace_kafka_sink::{Durability, EventKind, Rule, Running};
use mio::{Events, Poll};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const SEED: u64 = 0x006d_696c_6c72_6163;
/// Any time will do, as long as it is always the same.
const NOW: Now = Now { mono_ms: 1_000, unix_ms: 1_574_751_635_845 };
/// Events that one turn takes, at most.
const EVENTS: usize = 1_024;

/// A core with its poll, in the caller's thread.
pub struct Replay {
    core: Core,
    poll: Poll,
    events: Events,
    /// The log thread: hooked records have to go somewhere.
    _log: Running,
}

/// The other end of a connection.
pub struct Client(UnixStream);

impl Replay {
    /// A core with default limits, and with a hook (`durability = "memory"`) on messages of `hooked` if that is given.
    /// The log is written below `data`.
    ///
    /// # Errors
    /// What the system or the log says.
    pub fn start(data: &Path, hooked: Option<&str>) -> io::Result<Replay> {
        let rules = hooked.map(rule).into_iter().collect();
        let (mut core, log) = sim::core(data, "millrace@replay", rules, SEED)?;
        core.now = NOW;
        let poll = core.poll.take().ok_or_else(|| io::Error::other("no poll"))?;
        Ok(Replay { core, poll, events: Events::with_capacity(EVENTS), _log: log })
    }

    /// A new connection, as if a listener had accepted it.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(&mut self) -> io::Result<Client> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        // A stream socket is a stream socket: the core reads and writes it with the calls it uses for TCP.
        let stream = std::net::TcpStream::from(OwnedFd::from(ours));
        let stream = mio::net::TcpStream::from_std(stream);
        self.core.arrive(Transport::tcp(stream), IpAddr::V4(Ipv4Addr::LOCALHOST), Versions::ALL);
        Ok(Client(theirs))
    }

    /// One turn of the core over all that is there by now. What it executes in [`Replay::counted`] is what to count.
    ///
    /// # Errors
    /// The poll failed.
    pub fn turn(&mut self) -> io::Result<()> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        self.counted();
        Ok(())
    }

    /// As [`Replay::turn`], for the turns before those that count.
    ///
    /// # Errors
    /// The poll failed.
    pub fn prepare(&mut self) -> io::Result<()> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        self.core.turn(&self.events);
        Ok(())
    }

    /// From the events of one poll to the last write: without the poll itself and the reading of the clock.
    #[inline(never)]
    fn counted(&mut self) {
        self.core.turn(&self.events);
    }
}

impl Client {
    /// Sends bytes to the core; they are there when this returns.
    ///
    /// # Errors
    /// What the system says; more than a socket buffer holds at once.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Takes what the core has written; returns how many bytes.
    ///
    /// # Errors
    /// What the system says; the core has closed the connection.
    pub fn take(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut taken = 0;
        loop {
            match self.0.read(&mut buffer[taken..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => taken += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(taken),
                Err(error) => return Err(error),
            }
        }
    }
}

#[expect(clippy::expect_used, reason = "a legal name, and nobody but a bench calls this")]
fn rule(filter: &str) -> Rule {
    let rule = Rule::new(Rule::id_of("replay"), "replay", EventKind::MessagePublish, "replay");
    Rule { filter: Some(filter.into()), durability: Durability::Memory, ..rule.expect("a legal name") }
}
