//! The cluster as a whole: who leads what, our producer id, and whether anybody answers.

use std::sync::Arc;
use std::time::Duration;

use super::errors::{self, EXISTS, MISSING};
use super::notice::Notice;
use super::partition::{FedBy, State};
use super::request::{Answer, Failure, Metadata, Outcome, Request, TopicMetadata};
use super::topic::Known;
use super::{Action, Now, PartRef, Pending, Sender};
use crate::log::control::{Control, ProducerId, Target};

/// Metadata is asked for at least this often,
const METADATA_EVERY: Duration = Duration::from_secs(30);
/// this often while a topic is missing,
const MISSING_EVERY: Duration = Duration::from_secs(3);
/// and never more often than this.
const METADATA_PAUSE: Duration = Duration::from_millis(100);
/// A topic that Kafka refuses is tried again after this.
const PARKED_FOR: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Cluster {
    /// Kafka's id of it: of an earlier run until this one has heard.
    pub(super) id: Option<Arc<str>>,
    /// Of this run.
    pub(super) producer: Option<ProducerId>,
    producer_asked: bool,
    producer_at: Duration,
    producer_failures: u32,
    metadata_asked: bool,
    metadata_at: Duration,
    metadata_last: Duration,
    /// Metadata has come at least once.
    pub(super) has_heard: bool,
    down_since: Option<Duration>,
    down_cause: String,
    failures: u32,
    /// Nothing is done any more, for this reason.
    pub(super) parked: Option<String>,
}

impl Cluster {
    pub(super) fn new(known: Option<&Target>) -> Cluster {
        Cluster {
            id: known.map(|target| Arc::clone(&target.cluster)).filter(|id| !id.is_empty()),
            producer: None,
            producer_asked: false,
            producer_at: Duration::ZERO,
            producer_failures: 0,
            metadata_asked: false,
            metadata_at: Duration::ZERO,
            metadata_last: Duration::ZERO,
            has_heard: false,
            down_since: None,
            down_cause: String::new(),
            failures: 0,
            parked: None,
        }
    }

    pub(super) fn entry(&self, target: u16, floor: u64) -> Target {
        let cluster = self.id.clone().unwrap_or_else(|| "".into());
        Target { target, cluster, floor, producer: self.producer }
    }

    pub(super) fn is_reachable(&self) -> bool {
        self.has_heard && self.down_since.is_none() && self.parked.is_none()
    }

    pub(super) fn state(&self) -> String {
        if let Some(parked) = &self.parked {
            return format!("parked: {parked}");
        }
        match (self.down_since, self.has_heard) {
            (Some(_), _) => format!("unreachable: {}", self.down_cause),
            (None, false) => "connecting".into(),
            (None, true) => "connected".into(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        if self.parked.is_some() {
            return None;
        }
        let metadata = (!self.metadata_asked).then_some(self.metadata_at);
        let wants_producer = self.has_heard && self.producer.is_none() && !self.producer_asked;
        let producer = wants_producer.then_some(self.producer_at);
        [metadata, producer].into_iter().flatten().min()
    }

    /// The leaders may have changed: ask soon.
    pub(super) fn refresh(&mut self, now: Now) {
        let soon = self.metadata_last.saturating_add(METADATA_PAUSE).max(now.mono);
        // While nobody answers, the pauses between attempts stand.
        if self.down_since.is_none() {
            self.metadata_at = self.metadata_at.min(soon);
        }
    }
}

impl Sender {
    pub(super) fn poll_cluster(&mut self, now: Now) {
        if self.cluster.parked.is_some() {
            return;
        }
        if !self.cluster.metadata_asked && self.cluster.metadata_at <= now.mono {
            self.cluster.metadata_asked = true;
            let topics = self.topics.iter().map(|topic| Arc::clone(&topic.name)).collect();
            self.request(Request::Metadata { topics }, Pending::Metadata);
        }
        let cluster = &mut self.cluster;
        if cluster.has_heard
            && cluster.producer.is_none()
            && !cluster.producer_asked
            && cluster.producer_at <= now.mono
        {
            cluster.producer_asked = true;
            self.request(Request::InitProducerId, Pending::ProducerId);
        }
        self.ask_for_insync();
    }

    fn ask_for_insync(&mut self) {
        let (mut asked, mut topics) = (Vec::new(), Vec::new());
        for (index, topic) in self.topics.iter_mut().enumerate() {
            if topic.is_usable() && !std::mem::replace(&mut topic.insync_asked, true) {
                asked.push(index);
                topics.push(Arc::clone(&topic.name));
            }
        }
        if !asked.is_empty() {
            self.request(Request::MinInsyncReplicas { topics }, Pending::MinInsync(asked));
        }
    }

    pub(super) fn insync_answer(&mut self, asked: &[usize], outcome: Outcome) {
        // Nothing depends on it but what people are told.
        let Ok(Answer::MinInsyncReplicas { topics }) = outcome else { return };
        for (&index, replicas) in asked.iter().zip(topics) {
            let Some(topic) = self.topics.get_mut(index) else { continue };
            topic.min_insync = replicas;
            let name = Arc::clone(&topic.name);
            if replicas == Some(1) && self.settings.confirmed_topics.contains(&name) {
                self.say(Notice::OneReplica { topic: name });
            }
        }
    }

    pub(super) fn producer_answer(&mut self, now: Now, outcome: Outcome) {
        self.cluster.producer_asked = false;
        let cause = match outcome {
            Ok(Answer::InitProducerId { error: 0, producer }) => {
                self.cluster.producer = Some(producer);
                self.cluster.producer_failures = 0;
                self.submit_target();
                (0..self.topics.len()).for_each(|topic| self.make_topic_ready(topic));
                return;
            }
            Ok(Answer::InitProducerId { error, .. }) => {
                if errors::verdict(error) == errors::Verdict::ParkTarget {
                    return self.park(Some(error), "no producer id is given".into());
                }
                format!("no producer id: {}", errors::name(error))
            }
            Err(Failure::Unsupported(text)) => return self.park(None, text),
            Err(Failure::NotSent(text) | Failure::Unknown(text)) => text,
            Ok(_) => "an answer to something else".into(),
        };
        self.cluster.producer_failures = self.cluster.producer_failures.saturating_add(1);
        let failures = self.cluster.producer_failures;
        if failures == 10 {
            self.say(Notice::Unreachable { cause });
        }
        let pause = self.pause(PAUSE, PAUSE_MOST, failures);
        self.cluster.producer_at = now.mono.saturating_add(pause);
    }

    pub(super) fn park(&mut self, error: Option<i16>, text: String) {
        if self.cluster.parked.is_none() {
            let named = error.map_or_else(String::new, |error| format!("{}: ", errors::name(error)));
            self.cluster.parked = Some(format!("{named}{text}"));
            self.say(Notice::TargetParked { error, text });
        }
    }

    pub(super) fn metadata_answer(&mut self, now: Now, outcome: Outcome) {
        self.cluster.metadata_asked = false;
        self.cluster.metadata_last = now.mono;
        let metadata = match outcome {
            Ok(Answer::Metadata(metadata)) => metadata,
            Err(Failure::Unsupported(text)) => return self.park(None, text),
            Err(Failure::NotSent(text) | Failure::Unknown(text)) => return self.unreachable(now, text),
            Ok(_) => return self.unreachable(now, "an answer to something else".into()),
        };
        self.reached(now, &metadata);
        self.cluster.metadata_at = now.mono.saturating_add(METADATA_EVERY);
        for topic in metadata.topics {
            let index = self.topic_index(&topic.topic);
            self.topic_metadata(now, index, topic);
        }
        let is_wanting = |known: &Known| {
            matches!(known, Known::Missing | Known::Creating | Known::NotCreated(_) | Known::Unknown)
        };
        if self.topics.iter().any(|topic| is_wanting(&topic.known)) {
            self.cluster.metadata_at = now.mono.saturating_add(MISSING_EVERY);
        }
    }

    fn unreachable(&mut self, now: Now, cause: String) {
        let cluster = &mut self.cluster;
        cluster.failures = cluster.failures.saturating_add(1);
        cluster.down_cause.clone_from(&cause);
        let failures = cluster.failures;
        let is_new = cluster.down_since.is_none();
        cluster.down_since.get_or_insert(now.mono);
        if is_new {
            self.say(Notice::Unreachable { cause });
        }
        let pause = self.pause(PAUSE, PAUSE_MOST, failures);
        self.cluster.metadata_at = now.mono.saturating_add(pause);
    }

    fn reached(&mut self, now: Now, metadata: &Metadata) {
        let is_first = !std::mem::replace(&mut self.cluster.has_heard, true);
        let down = self.cluster.down_since.take();
        self.cluster.failures = 0;
        let was = self.cluster.id.clone();
        if let Some(is) = &metadata.cluster
            && was.as_ref() != Some(is)
        {
            self.cluster.id = Some(Arc::clone(is));
            if let Some(was) = was {
                self.say(Notice::OtherCluster { was, is: Arc::clone(is) });
                self.forget_cluster();
            }
            self.submit_target();
        }
        if is_first || down.is_some() {
            let after = down.map(|since| now.mono.saturating_sub(since));
            let cluster = self.cluster.id.clone();
            self.say(Notice::Reached { after, cluster });
        }
    }

    /// What is known of offsets and producers was of another cluster. Cursors stay; what was on its
    /// way goes again under a new producer.
    fn forget_cluster(&mut self) {
        self.cluster.producer = None;
        for topic in 0..self.topics.len() {
            if let Some(topic) = self.topics.get_mut(topic) {
                topic.id = [0; 16];
                topic.insync_asked = false;
            }
            self.begin_anew(topic, "the cluster is another one");
            for partition in self.topics.get_mut(topic).into_iter().flat_map(|topic| &mut topic.partitions) {
                partition.leader = None;
            }
        }
    }

    /// Offsets and producers of the topic's partitions were of something that is gone.
    fn begin_anew(&mut self, topic: usize, why: &'static str) {
        let partitions = self.topics.get(topic).map_or(0, |topic| topic.partitions.len());
        for partition in 0..partitions {
            let part = PartRef { topic, partition };
            self.give_batch_up(part, why);
            if let Some(partition) = self.part(part) {
                partition.offset = None;
                partition.offset_asked = false;
                partition.producer = None;
            }
        }
    }

    /// Puts the records of the batch back into the queue, to be sent anew in new bounds. Those of
    /// an attempt that may have been taken count as possibly repeated.
    pub(super) fn give_batch_up(&mut self, part: PartRef, why: &'static str) {
        let Some(partition) = self.part(part) else { return };
        if matches!(partition.state, State::SettingAside { .. }) {
            // Its record is in the dead-letter file and goes nowhere else.
            return;
        }
        partition.request = None;
        partition.state = State::Idle;
        let Some(batch) = partition.batch.take() else { return };
        if batch.unsure || batch.sent {
            let (of, records) = (partition.of.clone(), batch.count());
            let tally = super::flow::tally(&batch.items);
            if let Some(last) = batch.last().filter(|_| !batch.is_whole()) {
                partition.suspect = Some((partition.position, last));
            }
            partition.put_back(batch.items.into_iter());
            self.actions.push(Action::PossiblyRepeated(tally));
            self.say(Notice::PossiblyRepeated { of, records, why });
        } else {
            partition.put_back(batch.items.into_iter());
        }
        self.make_ready(part);
    }

    fn topic_metadata(&mut self, now: Now, index: usize, is: TopicMetadata) {
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
