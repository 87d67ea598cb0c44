//! The brokers that are known: those of the configuration first, then those that they name.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;

use super::address::Address;
use super::bodies::metadata::Broker;
use super::connection::{Connection, Gate, Times, Way};
use crate::sender::request::{Failure, TopicPartition};

/// The longest answer to batches.
const PRODUCE_ANSWER_BYTES_MAX: usize = 4 << 20;
/// The longest other answer: a batch that is read back comes whole, however long it is.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Connections to a broker for partitions that must not hold up others. After an outage that is
/// every partition, so there cannot be one for each.
const ALONE: u64 = 8;

/// What shares a connection to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Questions, which Kafka answers at once.
    Questions,
    /// Batches.
    Batches,
    /// The batches of partitions that failed, in one of so many connections.
    Alone(u8),
}

impl Lane {
    /// Always the same for a partition, so that its batches stay in order.
    pub(super) fn alone(of: &TopicPartition) -> Lane {
        let mut hasher = DefaultHasher::new();
        (&of.topic, of.partition).hash(&mut hasher);
        Lane::Alone((hasher.finish() % ALONE) as u8)
    }
}

pub(super) struct Nodes {
    client_id: Arc<str>,
    times: Times,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bootstrap: Vec<Address>,
    brokers: BTreeMap<i32, Address>,
    /// Where the search for any broker begins.
    next: usize,
    gates: HashMap<Address, Arc<Gate>>,
    connections: HashMap<(Address, Lane), Arc<Connection>>,
}

impl State {
    /// Every known address once, the configured ones first.
    fn addresses(&self) -> Vec<Address> {
        let mut all = Vec::new();
        for address in self.bootstrap.iter().chain(self.brokers.values()) {
            if !all.contains(address) {
                all.push(address.clone());
            }
        }
        all
    }
}

impl Nodes {
    pub(super) fn new(bootstrap: Vec<Address>, client_id: Arc<str>, times: Times) -> Nodes {
        let state = State { bootstrap, ..State::default() };
        Nodes { client_id, times, state: Mutex::new(state) }
    }

    /// The brokers as the cluster names them now. Connections to addresses that are gone are
    /// forgotten, and closed when their last answer has come.
    pub(super) fn learn(&self, brokers: &[Broker]) {
        if brokers.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        let address = |broker: &Broker| Address { host: broker.host.clone(), port: broker.port };
        state.brokers = brokers.iter().map(|broker| (broker.id, address(broker))).collect();
        let known = state.addresses();
        state.connections.retain(|(address, lane), connection| {
            known.contains(address) && !(matches!(lane, Lane::Alone(_)) && connection.is_closed())
        });
        state.gates.retain(|address, _| known.contains(address));
    }

    /// The connection to a broker.
    ///
    /// # Errors
    /// The cluster names no such broker.
    pub(super) fn node(&self, node: i32, lane: Lane) -> Result<Arc<Connection>, Failure> {
        let mut state = self.state.lock();
        let Some(address) = state.brokers.get(&node).cloned() else {
            return Err(Failure::NotSent(format!("broker {node} is not among those that the cluster names")));
        };
        Ok(self.connection(&mut state, address, lane))
    }

    /// Connections to all known addresses, to be tried in this order.
    pub(super) fn any(&self) -> Vec<Arc<Connection>> {
        let mut state = self.state.lock();
        let mut addresses = state.addresses();
        let from = state.next.checked_rem(addresses.len()).unwrap_or(0);
        addresses.rotate_left(from);
        addresses.into_iter().map(|address| self.connection(&mut state, address, Lane::Questions)).collect()
    }

    /// The broker that was first in the search is of no use at present: the next begins one further.
    pub(super) fn pass_on(&self) {
        let mut state = self.state.lock();
        state.next = state.next.wrapping_add(1);
    }

    fn connection(&self, state: &mut State, address: Address, lane: Lane) -> Arc<Connection> {
        let gate = Arc::clone(state.gates.entry(address.clone()).or_default());
        let made = state.connections.entry((address.clone(), lane)).or_insert_with(|| {
            let message_bytes_max = match lane {
                Lane::Questions => ANSWER_BYTES_MAX,
                Lane::Batches | Lane::Alone(_) => PRODUCE_ANSWER_BYTES_MAX,
            };
            let client_id = Arc::clone(&self.client_id);
            let way = Way { address, client_id, times: self.times, message_bytes_max, gate };
            Arc::new(Connection::new(way))
        });
        Arc::clone(made)
    }
}
