//! A model Kafka: nodes, topics, partitions, what leaders remember of producers, and a network
//! that delays, reorders, loses, and carries out late what its sender has given up.
//!
//! Everything follows from a seed and from virtual time. `network` carries requests; `answers` has
//! what comes of them; `partition` judges batches as Kafka does; `shake` is what operators, elections and disks do to a cluster.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::super::request::{Outcome, Request, RequestId, TopicPartition};
use crate::log::sim::Random;

mod answers;
mod network;
mod partition;
mod shake;

pub(crate) use answers::uid_of;
use network::{Flight, Step};
pub(crate) use partition::{Partition, Record};
pub(crate) use shake::Shake;

/// Content of a record that Kafka refuses as INVALID_RECORD.
pub(crate) const REFUSED: u64 = 1 << 63;

/// How often things go wrong, in thousands of requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// No connection: the request has not left.
    pub(crate) not_sent: u64,
    /// Lost on its way there.
    pub(crate) lost: u64,
    /// Carried out, and the answer lost.
    pub(crate) unanswered: u64,
    /// Given up by its sender, and carried out afterwards.
    pub(crate) late: u64,
    /// A produced batch meets an error that passes.
    pub(crate) errors: u64,
    /// Any other request meets one.
    pub(crate) other_errors: u64,
    /// Metadata from a broker that has not heard yet.
    pub(crate) stale: u64,
    /// Answers that ask to wait.
    pub(crate) throttle: u64,
}

impl Faults {
    pub(crate) fn some(random: &mut Random) -> Faults {
        let mut rate = |most: u64| if random.one_in(2) { random.below(most) } else { 0 };
        Faults {
            not_sent: rate(100),
            lost: rate(100),
            unanswered: rate(150),
            late: rate(100),
            errors: rate(200),
            other_errors: rate(150),
            stale: rate(100),
            throttle: rate(50),
        }
    }
}

/// What the next produced batch of a partition meets, for cases written by hand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meet {
    /// Refused with this code; nothing is appended.
    Error(i16),
    /// This code, although it was appended.
    Appended(i16),
    /// The request is lost before or after it was carried out.
    Lost,
    Unanswered,
    /// Given up after a second, carried out this much later (ms).
    Late(u64),
    /// Nothing special.
    Nothing,
}

/// What was met, for tests that assert that they met it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) requests: u64,
    pub(crate) batches: u64,
    pub(crate) appended: u64,
    pub(crate) duplicates: u64,
    pub(crate) out_of_order: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
    pub(crate) not_sent: u64,
    pub(crate) unanswered: u64,
    pub(crate) late: u64,
    pub(crate) late_appended: u64,
    /// Appended from a producer that had been forgotten.
    pub(crate) unnoticed: u64,
    pub(crate) forgotten: u64,
    pub(crate) elections: u64,
    pub(crate) lost_by_kafka: u64,
    pub(crate) recreated: u64,
    pub(crate) replaced: u64,
    pub(crate) grown: u64,
    pub(crate) described: u64,
    pub(crate) described_by_follower: u64,
    /// A search could not see all that the leader has.
    pub(crate) not_available: u64,
    pub(crate) searched: u64,
    pub(crate) found: u64,
}

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: [u8; 16],
    pub(crate) partitions: Vec<Partition>,
    /// Every request for it is answered with this code.
    pub(crate) denied: Option<i16>,
    /// DescribeProducers and Fetch are allowed.
    pub(crate) readable: bool,
    /// Largest batch, in bytes of log entries.
    pub(crate) bytes_max: usize,
    /// Largest batch that fits a segment.
    pub(crate) segment_bytes: usize,
    /// Records whose time is further back than this are refused.
    pub(crate) before_max_ms: u64,
    /// INVALID_RECORD names the records, as it does from Produce v8 on.
    pub(crate) names_offenders: bool,
}

#[derive(Debug, Default)]
struct Node {
    up: bool,
    stalled_until: u64,
}

/// An answer that has arrived, for the process that asked.
pub(crate) type Arrived = (u64, RequestId, Outcome);

pub(crate) struct Kafka {
    pub(crate) cluster: Option<Arc<str>>,
    pub(crate) topics: BTreeMap<Arc<str>, Topic>,
    /// Topics that were deleted, with what consumers had seen of them.
    pub(crate) deleted: Vec<(Arc<str>, Vec<Partition>)>,
    pub(crate) faults: Faults,
    pub(crate) marks: Marks,
    /// DescribeProducers is not spoken (brokers before 2.8).
    pub(crate) describes: bool,
    /// No version of these is spoken that we speak.
    pub(crate) unsupported: Option<&'static str>,
    /// Of every topic, as its configuration says.
    pub(crate) min_insync: Option<u32>,
    /// Of the producer ids that are given.
    pub(crate) first_epoch: i16,
    nodes: BTreeMap<i32, Node>,
    meets: BTreeMap<TopicPartition, VecDeque<Meet>>,
    /// Codes that the next CreateTopic or InitProducerId is answered with.
    pub(crate) create_errors: VecDeque<i16>,
    pub(crate) producer_errors: VecDeque<i16>,
    /// When somebody last asked for or wrote to a partition.
    touched: BTreeMap<TopicPartition, u64>,
    flights: BTreeMap<u64, Flight>,
    steps: BTreeMap<(u64, u64), Step>,
    next: u64,
    next_producer: i64,
    next_topic: u8,
    now_ms: u64,
    random: Random,
}

impl Kafka {
    pub(crate) fn new(seed: u64, nodes: i32) -> Kafka {
        Kafka {
            cluster: Some("cluster-1".into()),
            topics: BTreeMap::new(),
            deleted: Vec::new(),
            faults: Faults::default(),
            marks: Marks::default(),
            describes: true,
            unsupported: None,
            min_insync: Some(2),
            first_epoch: 0,
            nodes: (1..=nodes).map(|id| (id, Node { up: true, stalled_until: 0 })).collect(),
            meets: BTreeMap::new(),
            create_errors: VecDeque::new(),
            producer_errors: VecDeque::new(),
            touched: BTreeMap::new(),
            flights: BTreeMap::new(),
            steps: BTreeMap::new(),
            next: 0,
            next_producer: 1000,
            next_topic: 0,
            now_ms: 0,
            random: Random::new(seed ^ 0x000a_f4a0),
        }
    }

    pub(crate) fn create(&mut self, name: &str, partitions: usize) {
        self.next_topic += 1;
        let nodes: Vec<i32> = self.nodes.keys().copied().collect();
        let leader = |index: usize| nodes[index % nodes.len()];
        let topic = Topic {
            id: [self.next_topic; 16],
            partitions: (0..partitions).map(|index| Partition::new(leader(index))).collect(),
            denied: None,
            readable: true,
            bytes_max: 1 << 20,
            segment_bytes: 1 << 30,
            before_max_ms: u64::MAX,
            names_offenders: true,
        };
        self.topics.insert(name.into(), topic);
    }

    pub(crate) fn topic(&mut self, name: &str) -> &mut Topic {
        self.topics.get_mut(name).expect("the topic is there")
    }

    /// What the next batches of a partition meet, in order.
    pub(crate) fn meet(&mut self, topic: &str, partition: i32, meets: impl IntoIterator<Item = Meet>) {
        let of = TopicPartition { topic: topic.into(), partition };
        self.meets.entry(of).or_default().extend(meets);
    }

    pub(crate) fn set_up(&mut self, node: i32, up: bool) {
        self.nodes.entry(node).or_default().up = up;
    }

    pub(crate) fn stall(&mut self, node: i32, until_ms: u64) {
        self.nodes.entry(node).or_default().stalled_until = until_ms;
    }

    /// Every record that consumers have seen in a partition of this name, whichever topic it was.
    pub(crate) fn seen(&self, topic: &str) -> Vec<(i32, Vec<Record>)> {
        let former = self.deleted.iter().filter(|(name, _)| **name == *topic).map(|(_, p)| p);
        let present = self.topics.get(topic).map(|topic| &topic.partitions);
        let mut seen = Vec::new();
        for partitions in former.chain(present) {
            for (index, partition) in partitions.iter().enumerate() {
                seen.push((index as i32, partition.seen().collect()));
            }
        }
        seen
    }

    /// Whether consumers have seen the record, or had before Kafka lost it.
    pub(crate) fn has_confirmed(&self, topic: &str, uid: u64) -> bool {
        let former = self.deleted.iter().filter(|(name, _)| **name == *topic).map(|(_, p)| p);
        let present = self.topics.get(topic).map(|topic| &topic.partitions);
        present.into_iter().chain(former).flatten().any(|partition| partition.has_confirmed(uid))
    }

    /// Whether the record was confirmed and is not there any more.
    pub(crate) fn has_lost(&self, topic: &str, uid: u64) -> bool {
        let former = self.deleted.iter().filter(|(name, _)| **name == *topic).map(|(_, p)| p);
        let present = self.topics.get(topic).map(|topic| &topic.partitions);
        let lost = present.into_iter().chain(former).flatten().flat_map(|partition| &partition.lost);
        lost.into_iter().any(|record| record.uid == uid)
    }

    /// Whether a batch for the partition is on its way, or was asked for or written lately.
    fn is_busy(&self, of: &TopicPartition) -> bool {
        let lately = self.touched.get(of).is_some_and(|&at| self.now_ms < at + 10_000);
        lately || self.steps.values().any(|step| {
            let Step::Execute(flight) = step else { return false };
            let request = self.flights.get(flight).map(|flight| &flight.request);
            matches!(request, Some(Request::Produce { parts, .. }) if parts.iter().any(|part| part.of == *of))
        })
    }
}
