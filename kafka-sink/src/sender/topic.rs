//! One topic: how many partitions it has had from which record on, and whether it can be written.

use std::sync::Arc;
use std::time::Duration;

use super::partition::{FedBy, Partition};
use super::request::TopicPartition;
use crate::log::control::{Partitions, TopicState};

/// What is known of the topic in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Not asked yet.
    Unknown,
    Missing,
    /// Being made.
    Creating,
    /// It could not be made, for this reason; asked again after a while.
    NotCreated(i16),
    /// Kafka refuses it for this reason; tried again at the time.
    Parked {
        error: i16,
        until: Duration,
    },
    /// It has fewer partitions than before.
    Shrunk {
        is: u32,
    },
    Present,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) known: Known,
    pub(super) id: [u8; 16],
    /// From which log sequence on how many partitions, ascending. Empty: not known.
    pub(super) counts: Vec<(u64, u32)>,
    /// Partitions that it will have from a log sequence on, once all before that is delivered.
    pub(super) growth: Option<(u64, u32)>,
    /// The first record whose partition cannot be told yet: its sequence, time and rule.
    pub(super) pending: Option<(u64, u64, u32)>,
    pub(super) partitions: Vec<Partition>,
    pub(super) min_insync: Option<u32>,
    pub(super) insync_asked: bool,
    pub(super) told: bool,
}

impl Topic {
    pub(super) fn new(name: Arc<str>) -> Topic {
        Topic {
            name,
            known: Known::Unknown,
            id: [0; 16],
            counts: Vec::new(),
            growth: None,
            pending: None,
            partitions: Vec::new(),
            min_insync: None,
            insync_asked: false,
            told: false,
        }
    }

    /// Takes up where an earlier run was; `floor`: everything before is done.
    pub(super) fn restore(name: Arc<str>, state: &TopicState, floor: u64) -> Topic {
        let mut topic = Topic::new(name);
        for count in &state.counts {
            topic.counts.push((count.from, count.count));
            topic.id = count.topic_id;
        }
        let most = topic.counts.iter().map(|&(_, count)| count).max().unwrap_or(0);
        topic.add_partitions(most, floor, FedBy::Main);
        for partition in &mut topic.partitions {
            if let Some(state) = state.partitions.get(&partition.of.partition.unsigned_abs()) {
                partition.restore(state.cursor.as_ref(), state.intent.as_ref());
            }
        }
        topic
    }

    pub(super) fn add_partitions(&mut self, count: u32, position: u64, fed_by: FedBy) {
        for partition in self.partitions.len() as u32..count {
            let partition = i32::try_from(partition).unwrap_or(i32::MAX);
            let of = TopicPartition { topic: Arc::clone(&self.name), partition };
            self.partitions.push(Partition::new(of, position, fed_by));
        }
    }

    /// Partitions at present; 0 if that is not known.
    pub(super) fn count(&self) -> u32 {
        self.counts.last().map_or(0, |&(_, count)| count)
    }

    /// The partition of a record; `None` if it cannot be told yet.
    pub(super) fn partition_of(&self, sequence: u64, key: &[u8]) -> Option<usize> {
        if self.growth.is_some_and(|(from, _)| sequence >= from) {
            return None;
        }
        let &(_, count) = self.counts.iter().rev().find(|&&(from, _)| from <= sequence)?;
        usize::try_from(crate::partition::of(sequence, key, count)).ok()
    }

    pub(super) fn is_usable(&self) -> bool {
        matches!(self.known, Known::Present)
    }

    pub(super) fn partitions_entry(&self, target: u16) -> Option<Partitions> {
        let &(from, count) = self.counts.last()?;
        let topic = Arc::clone(&self.name);
        Some(Partitions { target, topic, from, count, topic_id: self.id })
    }
}
