//! What must hold whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::kafka::{Kafka, REFUSED, Record, uid_of};
use super::log::{Log, Truth};
use crate::log::control::{Control, Intent, ProducerId, TargetState};
use crate::log::port::Awaited;
use crate::partition;
use crate::ring::AckToken;
use crate::sender::notice::Notice;
use crate::sender::request::{Answer, Failure, Outcome, Part, Request, RequestId};
use crate::sender::{Settings, Tally};

/// A batch as Kafka tells it from others.
type Name = (Arc<str>, i32, ProducerId, i32);

#[derive(Clone, Debug, Default)]
struct Attempts {
    bounds: Vec<u64>,
    /// Some attempt with these bounds was taken, or may have been, or is not answered.
    may_be_taken: bool,
    open: u32,
}

#[derive(Default)]
pub(crate) struct Checks {
    /// Intents on the medium, the last of each partition.
    intents: BTreeMap<(Arc<str>, u32), Intent>,
    /// Partition counts on the medium.
    counts: BTreeMap<Arc<str>, Vec<(u64, u32)>>,
    /// Dead letters on the medium: sequence to uid.
    pub(crate) dead: BTreeMap<u64, u64>,
    attempts: BTreeMap<Name, Attempts>,
    open: BTreeMap<RequestId, Vec<Name>>,
    /// What has to be released in this life: where each partition was at its start.
    state: TargetState,
    start: u64,
    released: BTreeMap<(u8, u32), (u64, u64)>,
    waiting: BTreeMap<u32, u64>,
    first_start: Option<u64>,
    pub(crate) retried: u64,
    /// As the operator was told, in all lives.
    pub(crate) possibly_repeated: u64,
    /// As counted by rule, in this life; and as told.
    pub(crate) repeats_counted: u64,
    repeats_told: u64,
    pub(crate) lost: u64,
    /// Records that stand more than once in one topic.
    pub(crate) repeats: u64,
    /// Records that stand in a topic that was deleted, and in the one made after it.
    pub(crate) repeats_across: u64,
    pub(crate) missing: u64,
    pub(crate) held_most: usize,
}

impl Checks {
    pub(crate) fn begin_life(&mut self, state: &TargetState, log: &Log, start: u64) {
        for attempts in self.attempts.values_mut() {
            attempts.may_be_taken |= std::mem::take(&mut attempts.open) > 0;
        }
        self.open.clear();
        self.state = state.clone();
        self.start = state.target.as_ref().map_or(start, |target| target.floor);
        self.first_start.get_or_insert(self.start);
        self.released.clear();
        self.waiting.clear();
        (self.repeats_counted, self.repeats_told) = (0, 0);
        assert!(self.start <= log.durable);
    }

    /// Controls became durable.
    pub(crate) fn durable(&mut self, controls: &[Control]) {
        for control in controls {
            match control {
                Control::Intent(intent) => {
                    assert!(intent.first <= intent.last && intent.count > 0, "{intent:?}");
                    assert!(intent.base_sequence < 1 << 31, "{intent:?}");
                    self.intents.insert((intent.topic.clone(), intent.partition), intent.clone());
                }
                Control::Partitions(count) => {
                    let counts = self.counts.entry(count.topic.clone()).or_default();
                    counts.retain(|&(from, _)| from < count.from);
                    counts.push((count.from, count.count));
                }
                Control::DeadLetter(letter) => {
                    let record = letter.record.as_ref().expect("the record is with it");
                    assert_eq!(record.sequence, letter.sequence);
                    self.dead.insert(letter.sequence, uid_of(record.entry()));
                }
                Control::Cursor(_) | Control::Target(_) => {}
            }
        }
    }

    /// Something leaves for Kafka.
    pub(crate) fn request(&mut self, id: RequestId, request: &Request, log: &Log) {
        let Request::Produce { parts, .. } = request else { return };
        let mut names = Vec::new();
        let mut of = BTreeSet::new();
        for part in parts {
            assert!(of.insert(&part.of), "two batches of a partition in one request");
            self.part(part, log);
            names.push((part.of.topic.clone(), part.of.partition, part.producer, part.base_sequence));
        }
        self.open.insert(id, names);
    }

    fn part(&mut self, part: &Part, log: &Log) {
        let sequences: Vec<u64> = part.records.iter().map(|item| item.sequence).collect();
        assert!(!sequences.is_empty() && part.base_sequence >= 0, "{part:?}");
        assert!(sequences.is_sorted_by(|a, b| a < b), "in the order of the log: {sequences:?}");
        for item in &part.records {
            let truth = log.truths.get(&item.sequence);
            let truth = truth.unwrap_or_else(|| panic!("{} is sent and not durable", item.sequence));
            assert_eq!(uid_of(item.entry()), truth.of.uid, "{} is another record", item.sequence);
            assert_eq!(truth.of.target, 0, "{} is not for this target", item.sequence);
            assert_eq!(&truth.of.topic, &part.of.topic);
            let at = self.partition_of(item.sequence, truth);
            assert_eq!(at, Some(part.of.partition), "{} is in the wrong partition", item.sequence);
            assert!(!self.dead.contains_key(&item.sequence), "{} was set aside", item.sequence);
        }
        let intent = self.intents.get(&(part.of.topic.clone(), part.of.partition as u32));
        let said =
            intent.map(|it| (it.producer, it.base_sequence as i32, it.count as usize, it.first, it.last));
        let is = (
            part.producer,
            part.base_sequence,
            sequences.len(),
            sequences[0],
            sequences[sequences.len() - 1],
        );
        assert_eq!(said, Some(is), "sent without its intent: {:?}", part.of);
        let name = (part.of.topic.clone(), part.of.partition, part.producer, part.base_sequence);
        let attempts = self.attempts.entry(name).or_default();
        if attempts.bounds != sequences {
            let fixed = attempts.may_be_taken || attempts.open > 0;
            assert!(!fixed, "bounds changed: {:?} to {sequences:?} of {:?}", attempts.bounds, part.of);
            attempts.bounds = sequences;
        }
        attempts.open += 1;
    }

    fn partition_of(&self, sequence: u64, truth: &Truth) -> Option<i32> {
        let counts = self.counts.get(&truth.of.topic)?;
        let &(_, count) = counts.iter().rev().find(|&&(from, _)| from <= sequence)?;
        Some(match truth.of.key.as_bytes() {
            [] => partition::of_sequence(sequence, count),
            key => partition::of_key(key, count),
        } as i32)
    }

    pub(crate) fn answered(&mut self, id: RequestId, outcome: &Outcome) {
        let Some(names) = self.open.remove(&id) else { return };
        for (index, name) in names.into_iter().enumerate() {
            let Some(attempts) = self.attempts.get_mut(&name) else { continue };
            attempts.open = attempts.open.saturating_sub(1);
            attempts.may_be_taken |= match outcome {
                Ok(Answer::Produce { parts, .. }) => {
                    ![2, 3, 5, 6, 9, 10, 18, 19, 29, 32, 43, 44, 45, 47, 74, 87].contains(&parts[index].error)
                }
                Ok(_) | Err(Failure::Unknown(_)) => true,
                Err(Failure::NotSent(_) | Failure::Unsupported(_)) => false,
            };
        }
    }

    pub(crate) fn awaits(&mut self, awaited: &[Awaited]) {
        for one in awaited {
            assert_eq!(self.waiting.insert(one.token.sequence, one.sequence), None);
        }
    }

    pub(crate) fn released(&mut self, tally: &[Tally]) {
        for one in tally {
            let released = self.released.entry((one.core, one.rule)).or_default();
            released.0 += one.records;
            released.1 += one.bytes;
        }
    }

    /// A publisher is told: once, and not before its record is where it is said to be.
    pub(crate) fn tokens(&mut self, tokens: &[(u8, AckToken)], log: &Log, kafka: &Kafka) {
        for (core, token) in tokens {
            let sequence = self.waiting.remove(&token.sequence).expect("told once, of this life");
            let truth = &log.truths[&sequence];
            assert_eq!(*core, truth.of.core);
            assert!(self.is_done(sequence, truth, kafka), "{sequence} is confirmed and not in Kafka");
        }
    }

    fn is_done(&self, sequence: u64, truth: &Truth, kafka: &Kafka) -> bool {
        truth.of.target != 0
            || self.dead.contains_key(&sequence)
            || kafka.has_confirmed(&truth.of.topic, truth.of.uid)
    }

    /// Nothing below the floor is missing.
    pub(crate) fn floor(&self, floor: u64, log: &Log, kafka: &Kafka) {
        assert!(floor >= log.floor, "the floor goes back");
        assert!(floor <= log.durable);
        let from = log.floor.max(self.first_start.unwrap_or(0));
        for (&sequence, truth) in log.truths.range(from..floor.max(from)) {
            assert!(
                self.is_done(sequence, truth, kafka),
                "the floor {floor} is above {sequence}, which is not in Kafka"
            );
        }
    }

    pub(crate) fn said(&mut self, notice: &Notice) {
        match notice {
            Notice::LostByKafka { records, .. } => self.lost += records,
            Notice::PossiblyRepeated { records, .. } => {
                self.possibly_repeated += records;
                self.repeats_told += records;
            }
            _ => {}
        }
        assert!(!notice.to_string().is_empty());
    }

    /// One read and one group beyond the bound, and the tail that the log thread keeps.
    pub(crate) fn memory(&mut self, log: &Log, settings: &Settings) {
        let held = log.budget.load(Ordering::Relaxed);
        self.held_most = self.held_most.max(held);
        let most = settings.held_bytes_max + 64 * 1024;
        assert!(held <= most, "{held} bytes are held");
    }

    /// Everything is delivered: count as a consumer would.
    pub(crate) fn drained(&mut self, log: &Log, kafka: &Kafka) {
        let mut seen: BTreeMap<u64, Vec<Record>> = BTreeMap::new();
        let mut repeats = 0;
        let topics: BTreeSet<&Arc<str>> = log.truths.values().map(|truth| &truth.of.topic).collect();
        for topic in topics {
            for (partition, records) in kafka.seen(topic) {
                self.order(topic, partition, &records, log, kafka);
                let once: BTreeSet<u64> = records.iter().map(|record| record.uid).collect();
                repeats += (records.len() - once.len()) as u64;
                records.iter().for_each(|record| seen.entry(record.uid).or_default().push(*record));
            }
        }
        self.repeats = repeats;
        self.repeats_across = seen.values().map(|records| records.len() as u64 - 1).sum::<u64>() - repeats;
        self.missing = 0;
        let known: BTreeSet<u64> = log.truths.values().map(|truth| truth.of.uid).collect();
        for uid in seen.keys() {
            assert!(known.contains(uid), "{uid} is in Kafka and not in the log");
        }
        let start = self.first_start.unwrap_or(0);
        for (sequence, truth) in log.truths.range(start..) {
            let there = seen.contains_key(&truth.of.uid);
            let dead = self.dead.contains_key(sequence);
            let wanted = truth.of.target == 0;
            assert!(wanted || !there, "{sequence} was not for this target");
            assert!(!(there && dead), "{sequence} is delivered and set aside");
            if wanted && !there && !dead {
                assert!(kafka.has_lost(&truth.of.topic, truth.of.uid), "{sequence} is missing");
                self.missing += 1;
            }
            if dead && truth.of.uid & REFUSED == 0 {
                let topic = kafka.topics.get(&truth.of.topic);
                let refuses = |t: &super::kafka::Topic| {
                    truth.bytes as usize > t.bytes_max.min(t.segment_bytes) || t.before_max_ms < u64::MAX
                };
                assert!(topic.is_none_or(refuses), "{sequence} was set aside for no reason");
            }
        }
        assert!(self.waiting.is_empty(), "nobody told {:?}", self.waiting);
        assert_eq!(self.repeats_counted, self.repeats_told, "possibly repeated: counted and told");
        self.credits(log);
    }

    /// Per key, the first appearances are in the order of the log; but for what Kafka has lost, which
    /// a late request may bring back.
    fn order(&self, topic: &str, partition: i32, records: &[Record], log: &Log, kafka: &Kafka) {
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        let mut known = BTreeSet::new();
        for record in records {
            let Some(truth) = log.truths.get(&record.sequence) else { continue };
            if known.insert(record.uid) && !truth.of.key.is_empty() && !kafka.has_lost(topic, record.uid) {
                let before = last.insert(&truth.of.key, record.sequence);
                let in_order = before.is_none_or(|before| before < record.sequence);
                assert!(in_order, "{topic}/{partition}: {before:?} stands before {}", record.sequence);
            }
        }
    }

    /// What had to be delivered in this life was released once.
    fn credits(&self, log: &Log) {
        let mut expected: BTreeMap<(u8, u32), (u64, u64)> = BTreeMap::new();
        for (&sequence, truth) in log.truths.range(self.start..) {
            if truth.of.target == 0 && sequence >= self.begun(sequence, truth) {
                let all = expected.entry((truth.of.core, truth.rule)).or_default();
                all.0 += 1;
                all.1 += truth.bytes;
            }
        }
        assert_eq!(self.released, expected, "released and expected, by (core, rule)");
    }

    /// Where this life began with the partition of a record.
    fn begun(&self, sequence: u64, truth: &Truth) -> u64 {
        let topic = self.state.topics.get(&truth.of.topic);
        let partition = self.partition_of(sequence, truth);
        let known = topic.zip(partition).and_then(|(topic, at)| topic.partitions.get(&(at as u32)));
        let cursor = known.and_then(|it| it.cursor.as_ref()).map_or(0, |cursor| cursor.next);
        let intent = known.and_then(|it| it.intent.as_ref()).map_or(0, |intent| intent.first);
        cursor.max(intent).max(self.start)
    }
}
