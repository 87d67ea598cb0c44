//! The cluster as a whole: who leads what, our producer id, and whether anybody answers.

use std::sync::Arc;
use std::time::Duration;

use super::errors;
use super::notice::Notice;
use super::partition::State;
use super::request::{Answer, Failure, Metadata, Outcome, Request};
use super::topic::Known;
use super::{Action, Now, PartRef, Pending, Sender};
use crate::log::control::{ProducerId, Target};

/// Metadata is asked for at least this often,
const METADATA_EVERY: Duration = Duration::from_secs(30);
/// this often while a topic is missing,
const MISSING_EVERY: Duration = Duration::from_secs(3);
/// and for leaders after this, which doubles while asking changes nothing: a partition can be
/// without a leader for days.
const METADATA_PAUSE: Duration = Duration::from_millis(100);
const METADATA_PAUSE_MOST: Duration = Duration::from_secs(1);
/// Leaders that are asked for after so long are a new matter.
const CALM: Duration = Duration::from_secs(5);
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
    /// How often in a row it was asked for before its time.
    hurried: u32,
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
            hurried: 0,
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
        let pause = METADATA_PAUSE.saturating_mul(1 << self.hurried.min(10)).min(METADATA_PAUSE_MOST);
        let soon = self.metadata_last.saturating_add(pause).max(now.mono);
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
        let is_calm = now.mono.saturating_sub(self.cluster.metadata_last) > CALM;
        self.cluster.hurried = if is_calm { 0 } else { self.cluster.hurried.saturating_add(1) };
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
    pub(super) fn begin_anew(&mut self, topic: usize, why: &'static str) {
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
}
