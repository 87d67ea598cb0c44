//! What happens to a cluster whatever its clients do.

use std::sync::Arc;

use super::{Kafka, Partition};
use crate::sender::request::TopicPartition;

/// Which of it may happen. Leaders always move, start again and fail over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shake {
    /// Producers are forgotten.
    pub(crate) forgets: bool,
    /// Topics are deleted and made anew.
    pub(crate) recreates: bool,
    /// The whole cluster is replaced by an empty one.
    pub(crate) replaces: bool,
    /// Partitions are added.
    pub(crate) grows: bool,
    /// Confirmed records are lost in unclean elections.
    pub(crate) loses: bool,
}

impl Kafka {
    /// One thing happens somewhere.
    pub(crate) fn shake(&mut self, now_ms: u64, may: Shake) {
        self.now_ms = self.now_ms.max(now_ms);
        let names: Vec<Arc<str>> = self.topics.keys().cloned().collect();
        if names.is_empty() {
            return;
        }
        let name = names[self.random.below(names.len() as u64) as usize].clone();
        let at = self.random.below(self.topics[&name].partitions.len() as u64) as usize;
        let node = 1 + self.random.below(self.nodes.len() as u64) as i32;
        match self.random.below(12) {
            0 | 1 => self.move_leader(&name, at, Some(node)),
            2 => self.move_leader(&name, at, None),
            3 => self.restart_node(node),
            4 => self.fail_over(&name, at, node),
            5 => {
                let until = now_ms + 1 + self.random.below(60_000);
                self.stall(node, until);
            }
            6 if self.nodes.len() > 1 => self.set_up(node, false),
            7 if may.forgets => self.forget(&name),
            8 if may.recreates => self.recreate(&name, None),
            9 if may.replaces && self.random.one_in(4) => self.replace(),
            10 if may.grows => {
                let most = self.topics[&name].partitions.len() + 1 + self.random.below(2) as usize;
                self.grow(&name, most);
            }
            11 if may.loses => {
                let back = 1 + self.random.below(3) as usize;
                self.lose(&name, at, back);
            }
            _ => self.settle(now_ms),
        }
    }

    /// Every node is up and every partition has a leader.
    pub(crate) fn settle(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        let now = self.now_ms;
        for node in self.nodes.values_mut() {
            node.up = true;
            node.stalled_until = node.stalled_until.min(now);
        }
        let first = self.nodes.keys().next().copied();
        for topic in self.topics.values_mut() {
            for partition in topic.partitions.iter_mut().filter(|p| p.leader.is_none()) {
                partition.set_leader(first);
            }
        }
    }

    /// A clean election: what was confirmed stays; the new leader has read it from the log.
    pub(crate) fn move_leader(&mut self, topic: &str, partition: usize, leader: Option<i32>) {
        self.marks.elections += 1;
        let partition = &mut self.topic(topic).partitions[partition];
        partition.replicate();
        partition.set_leader(leader);
    }

    /// An election that the follower wins which lacks what was not confirmed.
    pub(crate) fn fail_over(&mut self, topic: &str, partition: usize, leader: i32) {
        self.marks.elections += 1;
        let partition = &mut self.topic(topic).partitions[partition];
        partition.truncate(partition.watermark());
        partition.set_leader(Some(leader));
    }

    /// What it leads, it knows from its snapshot afterwards: the last batch of each producer.
    pub(crate) fn restart_node(&mut self, node: i32) {
        let led = self.topics.values_mut().flat_map(|topic| &mut topic.partitions);
        for partition in led.filter(|partition| partition.leader == Some(node)) {
            partition.restart();
        }
    }

    /// Producers of the topic's partitions are forgotten whose last batch is a day old by its
    /// records' times, silently. Not between a look at the leader and the batch that follows it:
    /// that is milliseconds, Kafka's check comes every ten minutes, and nobody could do anything
    /// about it.
    pub(crate) fn forget(&mut self, topic: &str) {
        let before_ms = self.now_ms.saturating_sub(24 * 3600 * 1000);
        for partition in 0..self.topic(topic).partitions.len() {
            let of = TopicPartition { topic: topic.into(), partition: partition as i32 };
            if !self.is_busy(&of) {
                let forgotten = self.topic(topic).partitions[partition].expire(before_ms);
                self.marks.forgotten += forgotten as u64;
            }
        }
    }

    /// Deleted and made anew, with as many partitions unless said otherwise.
    pub(crate) fn recreate(&mut self, name: &str, partitions: Option<usize>) {
        let old = self.topics.remove(name).expect("the topic is there");
        self.create(name, partitions.unwrap_or(old.partitions.len()));
        let topic = self.topic(name);
        (topic.bytes_max, topic.before_max_ms) = (old.bytes_max, old.before_max_ms);
        (topic.readable, topic.names_offenders) = (old.readable, old.names_offenders);
        self.bury(name, old.partitions);
        self.marks.recreated += 1;
    }

    fn bury(&mut self, name: &str, mut partitions: Vec<Partition>) {
        self.lose_late_ones();
        for partition in &mut partitions {
            partition.truncate(partition.watermark());
        }
        self.deleted.push((name.into(), partitions));
    }

    /// Another cluster answers at the same addresses: the same topics, empty.
    pub(crate) fn replace(&mut self) {
        self.marks.replaced += 1;
        self.cluster = Some(format!("cluster-{}", self.marks.replaced + 1).into());
        let names: Vec<Arc<str>> = self.topics.keys().cloned().collect();
        for name in names {
            self.recreate(&name, None);
        }
    }

    pub(crate) fn grow(&mut self, name: &str, partitions: usize) {
        self.marks.grown += 1;
        let topic = self.topic(name);
        while topic.partitions.len() < partitions {
            topic.partitions.push(Partition::new(1));
        }
    }

    /// An unclean election: the last `back` batches are gone, confirmed or not.
    pub(crate) fn lose(&mut self, name: &str, partition: usize, back: usize) {
        let partition = &mut self.topic(name).partitions[partition];
        let before = partition.lost.len();
        partition.truncate(partition.boundary(back));
        self.marks.lost_by_kafka += (partition.lost.len() - before) as u64;
    }
}
