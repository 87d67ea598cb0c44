//! What the model answers.

use std::sync::Arc;
use std::time::Duration;

use super::partition::{Appended, NOT_AVAILABLE, OUT_OF_ORDER};
use super::{Kafka, Meet, REFUSED, Record};
use crate::log::control::ProducerId;
use crate::log::port::Item;
use crate::sender::request::{
    Answer, Failure, Metadata, Outcome, Part, Produced, Request, TopicMetadata, TopicPartition,
};

/// Codes that pass, of a batch that was not appended.
const PASSING: [i16; 8] = [2, 3, 5, 6, 9, 19, 74, 999];
/// Codes of a batch that may have been appended.
const UNSURE: [i16; 4] = [7, 13, 20, 56];
/// Codes that pass, of other requests.
const OTHER: [i16; 5] = [3, 5, 6, 7, 14];

/// A code, and the records that caused it with the reason.
type Refusal = (i16, Vec<(u32, Option<String>)>);

/// What a record of the harness carries: the last eight bytes of its payload, and so of its entry.
pub(crate) fn uid_of(entry: &[u8]) -> u64 {
    entry.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Kafka {
    pub(super) fn answer(&mut self, request: &Request, late: bool) -> Outcome {
        let error = self.other_error();
        if self.unsupported.is_some_and(|name| format!("{request:?}").starts_with(name)) {
            return Err(Failure::Unsupported("node:9092: it speaks no version that we do".into()));
        }
        Ok(match request {
            Request::Metadata { topics } => Answer::Metadata(self.metadata(topics)),
            Request::CreateTopic { topic, partitions, .. } => {
                let error = self
                    .create_errors
                    .pop_front()
                    .or(error)
                    .unwrap_or_else(|| if self.topics.contains_key(topic) { 36 } else { 0 });
                if error == 0 {
                    self.create(topic, if *partitions < 0 { 3 } else { *partitions as usize });
                }
                Answer::CreateTopic { error, text: (error != 0).then(|| "as asked".to_owned()) }
            }
            Request::InitProducerId => {
                let error = self.producer_errors.pop_front().or(error).unwrap_or(0);
                let producer = if error == 0 {
                    self.next_producer += 1;
                    ProducerId { id: self.next_producer, epoch: self.first_epoch }
                } else {
                    ProducerId { id: -1, epoch: -1 }
                };
                Answer::InitProducerId { error, producer }
            }
            Request::Produce { node, parts, .. } => {
                let parts = parts.iter().map(|part| self.produce(*node, part, late)).collect();
                let slow = self.random.below(1000) < self.faults.throttle;
                let throttle = Duration::from_millis(if slow { self.random.below(5000) } else { 0 });
                Answer::Produce { parts, throttle }
            }
            Request::DescribeProducer { .. } if !self.describes => {
                return Err(Failure::Unsupported("DescribeProducers".into()));
            }
            Request::DescribeProducer { node, of, producer } => {
                self.marks.described += 1;
                self.touch(of);
                let mut read = self.readable(*node, of, error);
                let is_follower = read == Err(6);
                if is_follower {
                    // Kafka answers this one from any replica, as far as that has come.
                    read = Ok(());
                    self.marks.described_by_follower += 1;
                }
                let known = read.ok().and_then(|()| match is_follower {
                    true => self.partition(of).describe_as_follower(*producer),
                    false => self.partition(of).describe(*producer),
                });
                Answer::DescribeProducer { error: read.err().unwrap_or(0), known }
            }
            Request::FindBatch { node, of, from, producer, base_sequence } => {
                self.marks.searched += 1;
                self.touch(of);
                let read = self.readable(*node, of, error);
                let found = read.and_then(|()| self.partition(of).find(*from, *producer, *base_sequence));
                self.marks.found += u64::from(matches!(found, Ok(Some(_))));
                if found == Err(NOT_AVAILABLE) {
                    // The others have it a moment later.
                    self.marks.not_available += 1;
                    self.partition(of).replicate();
                }
                Answer::FindBatch { error: found.err().unwrap_or(0), found: found.ok().flatten() }
            }
            Request::EndOffset { node, of } => {
                let read = self.readable(*node, of, error);
                let offset = read.map_or(0, |()| self.partition(of).watermark());
                Answer::EndOffset { error: read.err().unwrap_or(0), offset }
            }
            Request::MinInsyncReplicas { topics } => {
                Answer::MinInsyncReplicas { topics: topics.iter().map(|_| self.min_insync).collect() }
            }
        })
    }

    fn other_error(&mut self) -> Option<i16> {
        let due = self.random.below(1000) < self.faults.other_errors;
        due.then(|| OTHER[self.random.below(OTHER.len() as u64) as usize])
    }

    fn partition(&mut self, of: &TopicPartition) -> &mut super::Partition {
        let topic = self.topics.get_mut(&of.topic).expect("looked up before");
        &mut topic.partitions[of.partition as usize]
    }

    fn touch(&mut self, of: &TopicPartition) {
        self.touched.insert(of.clone(), self.now_ms);
    }

    fn led_by(&self, node: i32, of: &TopicPartition) -> Result<(), i16> {
        let topic = self.topics.get(&of.topic).ok_or(3i16)?;
        if let Some(denied) = topic.denied {
            return Err(denied);
        }
        let partition = topic.partitions.get(of.partition as usize).ok_or(3i16)?;
        match partition.leader {
            Some(leader) if leader == node => Ok(()),
            Some(_) => Err(6),
            None => Err(5),
        }
    }

    fn readable(&self, node: i32, of: &TopicPartition, error: Option<i16>) -> Result<(), i16> {
        self.led_by(node, of)?;
        let readable = self.topics.get(&of.topic).is_some_and(|topic| topic.readable);
        if !readable {
            return Err(29);
        }
        error.map_or(Ok(()), Err)
    }

    fn metadata(&mut self, names: &[Arc<str>]) -> Metadata {
        let stale = self.random.below(1000) < self.faults.stale;
        let topics = names.iter().map(|name| match self.topics.get(name) {
            None => TopicMetadata { topic: name.clone(), error: 3, id: [0; 16], leaders: Vec::new() },
            Some(topic) if topic.denied == Some(29) => {
                TopicMetadata { topic: name.clone(), error: 29, id: [0; 16], leaders: Vec::new() }
            }
            Some(topic) => TopicMetadata {
                topic: name.clone(),
                error: 0,
                id: topic.id,
                leaders: topic
                    .partitions
                    .iter()
                    .map(|partition| if stale { partition.former } else { partition.leader })
                    .collect(),
            },
        });
        Metadata {
            topics: topics.collect(),
            cluster: self.cluster.clone(),
            nodes: self.nodes.iter().filter(|(_, node)| node.up).map(|(id, _)| *id).collect(),
        }
    }

    fn produce(&mut self, node: i32, part: &Part, late: bool) -> Produced {
        self.marks.batches += 1;
        self.touch(&part.of);
        let (error, offset, offenders) = match self.judge(node, part, late) {
            Ok(offset) => (0, offset, Vec::new()),
            Err((error, offenders)) => (error, 0, offenders),
        };
        self.marks.errors += u64::from(error != 0);
        self.marks.out_of_order += u64::from(error == OUT_OF_ORDER);
        self.marks.refused += u64::from([10, 18, 32, 87].contains(&error));
        Produced { error, offset, offenders, text: (error != 0).then(|| format!("model: {error}")) }
    }

    fn judge(&mut self, node: i32, part: &Part, late: bool) -> Result<u64, Refusal> {
        let plain = |error: i16| (error, Vec::new());
        let meet = self.meets.get_mut(&part.of).and_then(|meets| meets.pop_front());
        self.led_by(node, &part.of).map_err(plain)?;
        let mut meet = meet.unwrap_or(Meet::Nothing);
        if meet == Meet::Nothing && self.random.below(1000) < self.faults.errors {
            meet = if self.random.one_in(2) {
                Meet::Error(PASSING[self.random.below(PASSING.len() as u64) as usize])
            } else {
                Meet::Appended(UNSURE[self.random.below(UNSURE.len() as u64) as usize])
            };
        }
        if let Meet::Error(code) = meet {
            return Err(plain(code));
        }
        self.validate(part)?;
        let nth = self.marks.batches;
        let records = part.records.iter().map(|item| record(item, part.stamp_ms, nth)).collect();
        let partition = self.partition(&part.of);
        let again = partition.forgotten.contains(&part.producer.id);
        // Whoever was waited out may be carried out so late that nobody knows its producer any
        // more, in a partition that did. No client can help that; the model leaves it out.
        if late && (again || (part.base_sequence != 0 && !partition.knows(part.producer.id))) {
            return Err(plain(7));
        }
        let appended = partition.append(part.producer, part.base_sequence, records).map_err(plain)?;
        let offset = match appended {
            Appended::New(offset) => {
                self.marks.appended += 1;
                self.marks.late_appended += u64::from(late);
                self.marks.unnoticed += u64::from(again);
                offset
            }
            Appended::Duplicate(offset) => {
                self.marks.duplicates += 1;
                offset
            }
        };
        match meet {
            // It is on the leader only, until the next one that is confirmed, or an election.
            Meet::Appended(code) => Err(plain(code)),
            _ => {
                self.partition(&part.of).replicate();
                Ok(offset)
            }
        }
    }

    /// As `LogValidator` does, which comes before a look at the sequence.
    fn validate(&self, part: &Part) -> Result<(), Refusal> {
        let topic = &self.topics[&part.of.topic];
        let bytes: usize = part.records.iter().map(|item| item.entry().len()).sum();
        if bytes > topic.bytes_max {
            return Err((10, Vec::new()));
        }
        if bytes > topic.segment_bytes {
            return Err((18, Vec::new()));
        }
        let offends = |item: &&Item| uid_of(item.entry()) & REFUSED != 0;
        if part.records.iter().any(|item| offends(&item)) {
            let named =
                part.records.iter().enumerate().filter(|(_, item)| topic.names_offenders && offends(item));
            let reason = || Some("refused by the topic's rules".to_owned());
            return Err((87, named.map(|(index, _)| (index as u32, reason())).collect()));
        }
        let oldest = part.records.iter().map(|item| part.stamp_ms.unwrap_or(item.ts_ms)).min();
        if oldest.is_some_and(|oldest| self.now_ms.saturating_sub(oldest) > topic.before_max_ms) {
            return Err((32, Vec::new()));
        }
        Ok(())
    }
}

fn record(item: &Item, stamp_ms: Option<u64>, nth: u64) -> Record {
    let ts_ms = stamp_ms.unwrap_or(item.ts_ms);
    Record { sequence: item.sequence, uid: uid_of(item.entry()), ts_ms, nth }
}
