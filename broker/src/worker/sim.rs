//! One core without sockets, driven turn by turn by its caller, who also says what time it is: connections are wires
//! in memory (`net/memory.rs`). Everything between them is the core as it serves: frames, sessions, admission, routes,
//! subscriptions, timers. For the example `million_sessions` and for tests; only with the feature `sim`.

use super::turn::WAKER;
use super::{Core, Mailbox, Parts, RetainedTotals, Shared};
use crate::config::{Config, Versions};
use crate::hook::{HookTable, Hooks};
use crate::net::{Happened, Transport, Wires};
use crate::time::Now;
use millrace_kafka_sink::log::file::RealFs;
use millrace_kafka_sink::{LogConfig, Rule, Running, log};
use millrace_router::Routes;
use mio::{Poll, Waker};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Instant;

/// Bytes that fit on a connection, each way, before its reader has to read.
const WIRE_BYTES: usize = 256 << 10;

/// What a broker with threads does by itself once many connections have gone.
#[cfg(feature = "sim")]
pub fn give_memory_back() {
    crate::memory::give_back();
}

/// A client's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client(u32);

/// The core.
pub struct Sim {
    core: Core,
    wires: Arc<Wires>,
    /// Hooks have a ring; without rules nothing goes into it.
    _log: Running,
}

impl Sim {
    /// A core with default limits and no hooks. Its (empty) log is written below `data`.
    ///
    /// # Errors
    /// What the system or the log says.
    pub fn start(data: &Path, seed: u64) -> io::Result<Sim> {
        let (core, log) = core(data, "millrace@sim", Vec::new(), seed)?;
        Ok(Sim { core, wires: Wires::new(WIRE_BYTES), _log: log })
    }

    /// Takes the memory that wires for this many clients need, so that what follows is the core's.
    pub fn reserve(&self, clients: usize) {
        self.wires.reserve(clients);
    }

    /// A new connection, as if a listener had accepted it.
    pub fn connect(&mut self) -> Client {
        let (wire, number) = self.wires.connect();
        self.core.arrive(Transport::memory(wire), IpAddr::V4(Ipv4Addr::LOCALHOST), Versions::ALL);
        Client(number)
    }

    /// Sends bytes to the core. Returns how many the connection took.
    pub fn send(&self, client: Client, bytes: &[u8]) -> usize {
        self.wires.send(client.0, bytes)
    }

    /// Appends what the core has written to `into`. Returns whether the core has closed the connection.
    pub fn take(&self, client: Client, into: &mut Vec<u8>) -> bool {
        self.wires.take(client.0, into)
    }

    /// The client closes its end without a word.
    pub fn close(&self, client: Client) {
        self.wires.close(client.0);
    }

    /// One turn of the core over all that has happened, at this time in milliseconds since the start.
    pub fn turn(&mut self, mono_ms: u64) {
        self.core.now = Now { mono_ms, unix_ms: mono_ms };
        self.core.begin_turn();
        for Happened { token, readable, writable, over } in self.wires.happened() {
            self.core.on_event(token, readable, writable, over);
        }
        self.core.end_turn();
    }

    /// Connections, sessions and filters that the core holds.
    pub fn held(&self) -> [usize; 3] {
        [self.core.connections.len(), self.core.sessions.len(), self.core.subscriptions.len()]
    }
}

/// A core with default limits and these rules, in the caller's thread, and the log that its records go to.
pub(super) fn core(data: &Path, node: &str, rules: Vec<Rule>, seed: u64) -> io::Result<(Core, Running)> {
    let poll = Poll::new()?;
    let shared = Arc::new(Shared {
        mailboxes: [Mailbox::new(Waker::new(poll.registry(), WAKER)?)].into(),
        routes: Routes::new(seed),
        connections: Arc::default(),
        connections_max: usize::MAX,
        limits: Config::default().limits,
        server_reference: None,
        response_information: None,
        retained: RetainedTotals::default(),
        strategy: Config::default().share.strategy,
        congested: AtomicU64::new(0),
        modules: Default::default(),
        sys_interval_ms: 0,
        sessions: AtomicUsize::new(0),
        home_key: [7; 16],
        stopped: AtomicUsize::new(0),
    });
    let (log, _) = log::open(LogConfig::new(data.join("log"), node), RealFs::new(), 0, seed)
        .map_err(io::Error::other)?;
    let completion = Arc::clone(&shared) as _;
    let (running, mut producers) =
        millrace_kafka_sink::start(log, 1, completion, &rules, None).map_err(io::Error::other)?;
    let producer = producers.pop().ok_or_else(|| io::Error::other("no producer for the core"))?;
    let hooks = Hooks::new(Arc::new(HookTable::new(rules)), producer, node.into());
    let (listeners, started) = (Vec::new(), Instant::now());
    let core = Core::new(Parts { me: 0, shared, poll, listeners, hooks, started, seed })?;
    Ok((core, running))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const CLIENTS: usize = 3_000;

    fn connect(id: usize) -> Vec<u8> {
        let name = format!("lock-{id}");
        let mut bytes = vec![0x10, 12 + name.len() as u8, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0];
        bytes.push(name.len() as u8);
        bytes.extend_from_slice(name.as_bytes());
        bytes
    }

    fn with_topic(first: u8, id: usize, before: &[u8], after: &[u8]) -> Vec<u8> {
        let topic = format!("devices/{id}/command");
        let mut bytes = vec![first, (before.len() + 2 + topic.len() + after.len()) as u8];
        bytes.extend_from_slice(before);
        bytes.extend_from_slice(&[0, topic.len() as u8]);
        bytes.extend_from_slice(topic.as_bytes());
        bytes.extend_from_slice(after);
        bytes
    }

    /// The example's life of a million clients, small: each gets what is its own and nothing else, filters that come
    /// and go are seen by topics that were met before, and in the end nothing is left.
    #[test]
    fn many_clients_without_sockets() {
        let data = tempfile::tempdir().expect("a directory");
        let mut sim = Sim::start(data.path(), 5).expect("a core");
        sim.reserve(CLIENTS);
        let mut clients = Vec::new();
        for id in 0..CLIENTS {
            let client = sim.connect();
            sim.send(client, &connect(id));
            sim.send(client, &with_topic(0x82, id, &[0, 1], &[0]));
            clients.push(client);
            if id % 100 == 99 {
                sim.turn(1);
            }
        }
        let taken = |sim: &Sim, client| {
            let mut bytes = Vec::new();
            let closed = sim.take(client, &mut bytes);
            (bytes, closed)
        };
        for &client in &clients {
            assert_eq!(taken(&sim, client), (vec![0x20, 2, 0, 0, 0x90, 3, 0, 1, 0], false));
        }
        assert_eq!(sim.held(), [CLIENTS; 3]);

        let publisher = clients[0];
        let publish = |id: usize| with_topic(0x30, id, &[], b"open");
        for round in 0..3 {
            // Each third unsubscribes in the second round and subscribes again in the third.
            let change = |id: usize| id.is_multiple_of(3);
            for (id, &client) in clients.iter().enumerate().filter(|(id, _)| change(*id)) {
                let packet = match round {
                    0 => continue,
                    1 => with_topic(0xa2, id, &[0, 2], &[]),
                    _ => with_topic(0x82, id, &[0, 3], &[0]),
                };
                sim.send(client, &packet);
            }
            sim.turn(2);
            clients.iter().for_each(|&client| drop(taken(&sim, client)));
            for id in 0..CLIENTS {
                sim.send(publisher, &publish(id));
                if id % 50 == 49 {
                    sim.turn(3);
                }
            }
            sim.turn(3);
            let mut wrong = BTreeMap::new();
            for (id, &client) in clients.iter().enumerate() {
                let expected = if round == 1 && change(id) { Vec::new() } else { publish(id) };
                let (got, closed) = taken(&sim, client);
                if got != expected || closed {
                    wrong.insert(id, got);
                }
            }
            assert!(wrong.is_empty(), "round {round}: {wrong:?}");
        }

        // A silent third is closed when its keep-alive has run out, the rest close by themselves.
        for (id, &client) in clients.iter().enumerate() {
            if !id.is_multiple_of(3) {
                sim.close(client);
            }
        }
        sim.turn(4);
        assert_eq!(sim.held(), [CLIENTS / 3; 3]);
        (1..4).for_each(|minute| sim.turn(minute * 60_000));
        assert_eq!(sim.held(), [0; 3]);
        assert!(sim.core.shared.routes.is_empty());
    }

    /// A QoS 0 message that was dropped, because its receiver had gone, has not been seen by it: it still comes as the
    /// retained message of its topic.
    #[test]
    fn what_was_dropped_while_a_scan_was_under_way_comes_with_its_answer() {
        let data = tempfile::tempdir().expect("a directory");
        let mut sim = Sim::start(data.path(), 5).expect("a core");
        let publisher = sim.connect();
        sim.send(publisher, &connect(1));
        sim.send(publisher, b"\x31\x06\0\x03r/xx");
        sim.turn(1);
        let kept = [b"\x10\x0d\0\x04MQTT\x04\0\0\x3c\0\x01s".as_slice(), b"\x82\x08\0\x01\0\x03r/+\x01"];
        let subscriber = sim.connect();
        sim.send(subscriber, kept[0]);
        sim.turn(2);
        // In one turn: it subscribes, asks, and goes; then the message comes.
        sim.send(subscriber, kept[1]);
        sim.close(subscriber);
        sim.send(publisher, b"\x31\x06\0\x03r/dd");
        (3..8).for_each(|ms| sim.turn(ms));
        let subscriber = sim.connect();
        sim.send(subscriber, kept[0]);
        (8..13).for_each(|ms| sim.turn(ms));
        let mut got = Vec::new();
        sim.take(subscriber, &mut got);
        let expected = [b"\x20\x02\x01\0".as_slice(), b"\x31\x06\0\x03r/dd", b"\x31\x06\0\x03r/xx"];
        assert_eq!(got, expected.concat());
    }

    /// What a member of a group gives back is sent to another as itself, whatever was sent to many before.
    #[test]
    fn what_a_member_gives_back_is_the_same_message() {
        let data = tempfile::tempdir().expect("a directory");
        let mut sim = Sim::start(data.path(), 5).expect("a core");
        let clients: Vec<Client> = (0..5).map(|_| sim.connect()).collect();
        for (number, client) in clients.iter().enumerate() {
            sim.send(*client, &connect(number));
        }
        let [publisher, first, second, plain, other] = clients[..] else { panic!("five clients") };
        for member in [first, second] {
            sim.send(member, b"\x82\x0f\0\x01\0\x0a$share/g/t\x01");
            sim.turn(1);
        }
        for one in [plain, other] {
            sim.send(one, b"\x82\x06\0\x01\0\x01x\x01");
        }
        sim.send(publisher, b"\x32\x08\0\x01t\0\x01job");
        sim.turn(2);
        sim.send(publisher, b"\x32\x0a\0\x01x\0\x02plain");
        sim.turn(3);
        sim.take(second, &mut Vec::new());
        sim.close(first);
        sim.turn(4);
        let mut got = Vec::new();
        sim.take(second, &mut got);
        assert_eq!(got, b"\x32\x08\0\x01t\0\x01job");
    }
}
