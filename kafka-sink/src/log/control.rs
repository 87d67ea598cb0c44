//! What the way into Kafka keeps in the log, beside the records: how far each partition is, and
//! what is on its way. One order with the data, one sync for both.
//!
//! The sink submits [`Control`]s through the [`Port`](super::port::Port); the log thread writes
//! them with the next group and keeps their sum, [`Targets`], which is repeated at the start of
//! every segment: no older file is needed to know where the sink is. [`entry`](super::entry) has the bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The target `[kafka]`, and what a record's target says that was logged before there was one.
pub(crate) const KAFKA: u16 = 0;

/// A producer as Kafka knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ProducerId {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// One entry of the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Kind 4.
    Partitions(Partitions),
    /// Kind 5.
    Intent(Intent),
    /// Kind 6.
    Cursor(Cursor),
    /// Kind 7.
    DeadLetter(DeadLetter),
    /// Kind 8.
    Target(Target),
}

/// From sequence `from` on, `topic` has `count` partitions; keyed records go to murmur2 of their
/// key. Holds until an entry with a later `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partitions {
    pub(crate) target: u16,
    pub(crate) topic: Arc<str>,
    pub(crate) from: u64,
    pub(crate) count: u32,
    /// Kafka's id of the topic; all zeros if it gave none.
    pub(crate) topic_id: [u8; 16],
}

/// A batch is about to be sent for the first time with these bounds, which do not change while any
/// attempt may have been taken. Everything of the partition before `first` is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) target: u16,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: u32,
    pub(crate) producer: ProducerId,
    /// The Kafka sequence of the first record, below 2^31.
    pub(crate) base_sequence: u32,
    pub(crate) count: u32,
    /// Log sequences of the first and the last record.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// No record of the batch can have a lower offset in Kafka. `None`: not known.
    pub(crate) offset: Option<u64>,
}

/// Everything of the partition with a log sequence below `next` is delivered or set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) target: u16,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: u32,
    pub(crate) next: u64,
    /// The Kafka offset behind the last one that was confirmed. `None`: not known.
    pub(crate) offset: Option<u64>,
}

/// A record that Kafka refuses was set aside; it is in the dead-letter file, durably, before this
/// entry is. The partition's cursor passes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    pub(crate) target: u16,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: u32,
    pub(crate) sequence: u64,
    /// Kafka's error code.
    pub(crate) error: i16,
    pub(crate) text: Arc<str>,
    /// The record itself, for the file; not part of the entry. `None` when read back.
    pub(crate) record: Option<super::port::Item>,
}

/// A target as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) target: u16,
    /// Kafka's name of the cluster; empty if it gave none.
    pub(crate) cluster: Arc<str>,
    /// Every record with a sequence below this is delivered, set aside, or not for this target.
    pub(crate) floor: u64,
    /// The producer id taken last.
    pub(crate) producer: Option<ProducerId>,
}

/// The sum of all controls so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Targets {
    pub(crate) targets: BTreeMap<u16, TargetState>,
}

/// What is known of one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TargetState {
    pub(crate) target: Option<Target>,
    pub(crate) topics: BTreeMap<Arc<str>, TopicState>,
}

/// What is known of one topic of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicState {
    /// Ascending by `from`. Those that no undelivered record needs any more are left out at the
    /// start of a segment.
    pub(crate) counts: Vec<Partitions>,
    pub(crate) partitions: BTreeMap<u32, PartitionState>,
}

/// What is known of one partition: the later of both says where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartitionState {
    pub(crate) cursor: Option<Cursor>,
    /// The last intent, kept until a cursor passes it.
    pub(crate) intent: Option<Intent>,
}

impl Targets {
    /// Adds a control.
    pub(crate) fn apply(&mut self, control: &Control) {
        match control {
            Control::Partitions(it) => {
                let state = self.state(it.target);
                let floor = state.floor();
                let counts = &mut state.topic(&it.topic).counts;
                match counts.binary_search_by_key(&it.from, |known| known.from) {
                    Ok(at) => counts.get_mut(at).into_iter().for_each(|known| known.clone_from(it)),
                    Err(at) => counts.insert(at, it.clone()),
                }
                prune(counts, floor);
            }
            Control::Intent(it) => self.partition(it.target, &it.topic, it.partition).intend(it),
            Control::Cursor(it) => self.partition(it.target, &it.topic, it.partition).advance(it),
            // The cursor that passes it says all there is to know.
            Control::DeadLetter(_) => {}
            Control::Target(it) => {
                let state = self.state(it.target);
                let floor = it.floor.max(state.floor());
                state.target = Some(Target { floor, ..it.clone() });
                for topic in state.topics.values_mut() {
                    prune(&mut topic.counts, floor);
                }
            }
        }
    }

    /// What makes this sum again from nothing.
    pub(crate) fn controls(&self) -> impl Iterator<Item = Control> {
        self.targets.values().flat_map(|state| {
            let target = state.target.iter().cloned().map(Control::Target);
            target.chain(state.topics.values().flat_map(TopicState::controls))
        })
    }

    /// Every record below this is done with for all targets; `None` while there is no target.
    pub(crate) fn floor(&self) -> Option<u64> {
        self.targets.values().map(TargetState::floor).min()
    }

    fn state(&mut self, target: u16) -> &mut TargetState {
        self.targets.entry(target).or_default()
    }

    fn partition(&mut self, target: u16, topic: &Arc<str>, partition: u32) -> &mut PartitionState {
        self.state(target).topic(topic).partitions.entry(partition).or_default()
    }
}

/// Leaves out the counts that only records below the floor had, but for the newest of them.
fn prune(counts: &mut Vec<Partitions>, floor: u64) {
    let begun = counts.iter().skip(1).take_while(|next| next.from <= floor).count();
    counts.drain(..begun.saturating_sub(1));
}

impl TopicState {
    fn controls(&self) -> impl Iterator<Item = Control> {
        let counts = self.counts.iter().cloned().map(Control::Partitions);
        counts.chain(self.partitions.values().flat_map(|partition| {
            let cursor = partition.cursor.iter().cloned().map(Control::Cursor);
            cursor.chain(partition.unresolved().into_iter().cloned().map(Control::Intent))
        }))
    }
}

impl PartitionState {
    /// Every record of the partition with a lower sequence is delivered or set aside.
    pub(crate) fn next(&self) -> u64 {
        let cursor = self.cursor.as_ref().map_or(0, |cursor| cursor.next);
        let intent = self.intent.as_ref().map_or(0, |intent| intent.first);
        cursor.max(intent)
    }

    /// The batch of which it is not known whether Kafka has taken it.
    pub(crate) fn unresolved(&self) -> Option<&Intent> {
        let next = self.cursor.as_ref().map_or(0, |cursor| cursor.next);
        self.intent.as_ref().filter(|intent| intent.last >= next)
    }

    /// A batch that begins earlier than the one known is an old one; the same beginning with other
    /// bounds is a batch that was refused and cut.
    fn intend(&mut self, it: &Intent) {
        let passed = self.cursor.as_ref().is_some_and(|cursor| cursor.next > it.last);
        let old = self.intent.as_ref().is_some_and(|known| known.first > it.first);
        if !passed && !old {
            self.intent = Some(it.clone());
        }
    }

    fn advance(&mut self, it: &Cursor) {
        if self.cursor.as_ref().is_none_or(|known| known.next <= it.next) {
            self.cursor = Some(it.clone());
        }
        self.intent = self.unresolved().cloned();
    }
}

impl TargetState {
    /// Every record below this is done with, as far as is on the medium.
    pub(crate) fn floor(&self) -> u64 {
        self.target.as_ref().map_or(0, |target| target.floor)
    }

    fn topic(&mut self, topic: &Arc<str>) -> &mut TopicState {
        self.topics.entry(Arc::clone(topic)).or_default()
    }
}

/// One of each kind, for the seeds of fuzzing.
#[cfg(feature = "sim")]
pub(super) fn samples() -> [Control; 5] {
    let (target, topic) = (KAFKA, Arc::<str>::from("state"));
    let producer = ProducerId { id: 4000, epoch: 1 };
    [
        Control::Target(Target { target, cluster: "cluster".into(), floor: 0, producer: Some(producer) }),
        Control::Partitions(Partitions {
            target,
            topic: Arc::clone(&topic),
            from: 0,
            count: 3,
            topic_id: [7; 16],
        }),
        Control::Cursor(Cursor { target, topic: Arc::clone(&topic), partition: 1, next: 1, offset: Some(9) }),
        Control::DeadLetter(DeadLetter {
            target,
            topic: Arc::clone(&topic),
            partition: 0,
            sequence: 0,
            error: 10,
            text: "too large".into(),
            record: None,
        }),
        Control::Intent(Intent {
            target,
            topic,
            partition: 1,
            producer,
            base_sequence: 5,
            count: 2,
            first: 1,
            last: 3,
            offset: None,
        }),
    ]
}

#[cfg(test)]
pub(crate) mod tests;
