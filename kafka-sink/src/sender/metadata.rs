//! What the cluster says of topics: they come, grow, are made anew, are refused, and go.

use std::sync::Arc;
use std::time::Duration;

use super::errors::{self, EXISTS, MISSING};
use super::notice::Notice;
use super::partition::{FedBy, State};
use super::request::{Answer, Outcome, Request, TopicMetadata};
use super::topic::Known;
use super::{Now, Pending, Sender};
use crate::log::control::Control;

/// A topic that Kafka refuses is tried again after this.
const PARKED_FOR: Duration = Duration::from_secs(30);

impl Sender {
    pub(super) fn topic_metadata(&mut self, now: Now, index: usize, is: TopicMetadata) {
        let (target, main) = (self.settings.target, self.feed.main);
        // Behind everything that may have been spread by the old count, also by an earlier run.
        let unspread = main.max(self.feed.durable);
        let Some(topic) = self.topics.get_mut(index) else { return };
        let was = topic.known;
        match is.error {
            0 if !is.leaders.is_empty() => {}
            0 | MISSING => return self.topic_missing(index),
            error if errors::verdict(error) == errors::Verdict::ParkTopic => {
                return self.park_topic(now, index, error);
            }
            // Of the passing kind: as it was, and asked again.
            _ => return self.cluster.refresh(now),
        }
        if matches!(was, Known::Parked { until, .. } if until > now.mono) {
            // Metadata says nothing of what writing was refused for.
            return;
        }
        let count = is.leaders.len() as u32;
        let has = topic.count();
        if count < has {
            topic.known = Known::Shrunk { is: count };
            topic.partitions.iter_mut().for_each(|partition| partition.leader = None);
            let name = Arc::clone(&topic.name);
            if was != (Known::Shrunk { is: count }) {
                self.say(Notice::Shrunk { topic: name, was: has, is: count });
            }
            return;
        }
        topic.known = Known::Present;
        let mut notices = Vec::new();
        let mut is_changed = false;
        let mut is_recreated = false;
        if is.id != [0; 16] && is.id != topic.id {
            if topic.id != [0; 16] {
                is_recreated = true;
                notices.push(Notice::Recreated { topic: Arc::clone(&topic.name) });
            }
            topic.id = is.id;
            is_changed = true;
        }
        if has == 0 {
            topic.counts.push((0, count));
            let (position, fed_by) = match topic.pending.take() {
                Some((sequence, ..)) => (sequence, FedBy::Nobody),
                None => (main, FedBy::Main),
            };
            topic.add_partitions(count, position, fed_by);
            notices.push(Notice::Found { topic: Arc::clone(&topic.name), partitions: count });
            is_changed = true;
        } else if count > has && topic.growth.is_none_or(|(_, to)| to != count) {
            // A second growth before the first is through only changes where it leads.
            let from = topic.growth.map_or(unspread, |(from, _)| from);
            topic.growth = Some((from, count));
            notices.push(Notice::Grown { topic: Arc::clone(&topic.name), was: has, is: count });
        }
        for (partition, leader) in topic.partitions.iter_mut().zip(&is.leaders) {
            if partition.leader != *leader {
                partition.leader = *leader;
                if partition.state == State::Send
                    && let Some(batch) = &mut partition.batch
                {
                    batch.doubt();
                }
                // Another leader is worth an attempt at once.
                partition.retry_at = now.mono;
            }
        }
        let is_leaderless = is.leaders.iter().any(Option::is_none);
        let entry = topic.partitions_entry(target).filter(|_| is_changed);
        self.controls.extend(entry.map(Control::Partitions));
        notices.into_iter().for_each(|notice| self.say(notice));
        if is_recreated {
            // What the old topic's requests still out there could do to the new one, they do under
            // the old producer.
            self.cluster.producer = None;
            self.begin_anew(index, "the topic was created anew");
        }
        if is_leaderless {
            self.cluster.refresh(now);
        }
        self.list_detached(index);
        self.make_topic_ready(index);
    }

    fn topic_missing(&mut self, index: usize) {
        let creates = self.settings.kafka.create_topics;
        let Some(topic) = self.topics.get_mut(index) else { return };
        topic.partitions.iter_mut().for_each(|partition| partition.leader = None);
        let name = Arc::clone(&topic.name);
        let is_news = matches!(topic.known, Known::Unknown | Known::Present | Known::Parked { .. });
        if is_news {
            topic.known = Known::Missing;
            self.say(Notice::Missing { topic: Arc::clone(&name), creates });
        }
        let Some(topic) = self.topics.get_mut(index).filter(|_| creates) else { return };
        if topic.known != Known::Creating {
            if topic.known == Known::Missing {
                topic.known = Known::Creating;
            }
            let (partitions, replication) = (self.settings.kafka.partitions, self.settings.kafka.replication);
            // At least as many as its records were already spread over.
            let partitions =
                if topic.count() > 0 { partitions.max(topic.count() as i32) } else { partitions };
            self.request(
                Request::CreateTopic { topic: name, partitions, replication },
                Pending::CreateTopic(index),
            );
        }
    }

    pub(super) fn create_answer(&mut self, now: Now, index: usize, outcome: Outcome) {
        let Some(topic) = self.topics.get_mut(index) else { return };
        let name = Arc::clone(&topic.name);
        let was = topic.known;
        match outcome {
            Ok(Answer::CreateTopic { error: 0, .. }) => {
                // Found by the next metadata, once a broker knows of it.
                topic.known = Known::Creating;
                self.say(Notice::Created { topic: name });
                self.cluster.refresh(now);
            }
            Ok(Answer::CreateTopic { error: EXISTS, .. }) => self.cluster.refresh(now),
            Ok(Answer::CreateTopic { error, text }) => {
                topic.known = Known::NotCreated(error);
                if was != topic.known {
                    self.say(Notice::NotCreated { topic: name, error, text });
                }
            }
            // Tried again with the next metadata.
            Ok(_) | Err(_) => topic.known = Known::Missing,
        }
    }

    pub(super) fn park_topic(&mut self, now: Now, index: usize, error: i16) {
        let Some(topic) = self.topics.get_mut(index) else { return };
        let is_news = !matches!(topic.known, Known::Parked { error: was, .. } if was == error);
        let until = now.mono.saturating_add(PARKED_FOR);
        topic.known = Known::Parked { error, until };
        let name = Arc::clone(&topic.name);
        if is_news && !std::mem::replace(&mut topic.told, true) {
            self.say(Notice::TopicParked { topic: name, error });
        }
    }
}
