//! What people see of the machine.

use std::collections::BTreeMap;

use super::topic::{Known, Topic};
use super::{Sender, errors};
use crate::status::{KafkaStatus, TopicStatus};

impl Sender {
    /// The target and its topics, for people.
    pub(crate) fn status(&self) -> KafkaStatus {
        let topic = |topic: &Topic| TopicStatus {
            name: topic.name.to_string(),
            partitions: Some(topic.count()).filter(|&count| count > 0),
            state: self.topic_state(topic),
            min_insync_replicas: topic.min_insync,
        };
        KafkaStatus {
            cluster: self.cluster.id.as_deref().map(ToOwned::to_owned),
            state: self.cluster.state(),
            topics: self.topics.iter().map(topic).collect(),
        }
    }

    fn topic_state(&self, topic: &Topic) -> String {
        let failing = topic.partitions.iter().filter(|partition| partition.failing_since.is_some()).count();
        match topic.known {
            Known::Unknown => "not asked for yet".into(),
            Known::Missing => "missing".into(),
            Known::Creating => "being created".into(),
            Known::NotCreated(error) => format!("cannot be created: {}", errors::name(error)),
            Known::Parked { error, .. } => format!("refused: {}", errors::name(error)),
            Known::Shrunk { is } => format!("has {is} partitions instead of {}", topic.count()),
            Known::Present if failing > 0 => format!("{failing} partitions do not get on"),
            Known::Present => "ok".into(),
        }
    }

    /// The time of the oldest event that waits, by rule, as far as it has been read.
    pub(crate) fn oldest(&self) -> BTreeMap<u32, u64> {
        let mut oldest: BTreeMap<u32, u64> = BTreeMap::new();
        // Up to hundreds of thousands may wait, on the thread that speaks to Kafka. Records of one
        // rule follow each other, the older ones first: most are passed by a comparison.
        let mut passed = None;
        let mut see = |rule: u32, ts_ms: u64| {
            if passed.is_some_and(|(of, since)| of == rule && since <= ts_ms) {
                return;
            }
            let known = oldest.entry(rule).or_insert(ts_ms);
            *known = ts_ms.min(*known);
            passed = Some((rule, *known));
        };
        for topic in &self.topics {
            if let Some((_, ts_ms, rule)) = topic.pending {
                see(rule, ts_ms);
            }
            for partition in &topic.partitions {
                let batch = partition.batch.iter().flat_map(|batch| &batch.items);
                // All of them: rules may share a topic.
                for item in batch.chain(&partition.queue) {
                    see(item.rule, item.ts_ms);
                }
            }
        }
        if let Some(group) = self.feed.incoming.front() {
            for (_, _, record) in crate::log::entry::records(&group.body) {
                see(record.rule, record.ts_ms);
            }
        }
        oldest
    }
}
