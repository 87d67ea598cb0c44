//! The machine between the log and Kafka: which record goes to which partition, in which batch,
//! under which sequence, and what is done about every answer and every silence. No I/O, no clock,
//! no thread: `wire` drives it, the tests drive it against a model of Kafka.
//!
//! - `feed`: the readers of the log, and how records reach their partitions.
//! - `topic`, `partition`: what is known of each, and the one batch on its way.
//! - `flow`: a batch's way from its records into a request; `errors`, `verdict`: Kafka's codes, and
//!   what they mean for the batch; `settle`: when its outcome is unknown.
//! - `cursors`: what the log is told of how far everything is; the stop.
//! - `cluster`: the producer id, reachability; `metadata`: topics that come, grow and go.
//! - `notice`, `look`: what the operator is told, and what he sees.
//!
//! The rules that keep every record in Kafka once:
//!
//! 1. Only durable records come in, so a sequence of ours means one record for ever.
//! 2. A batch is sent after its intent (its bounds, producer and sequence) is on the medium.
//! 3. The bounds stay until the batch is confirmed, or every attempt was definitely refused.
//! 4. After a restart, a batch of unknown outcome is settled under its old producer and bounds,
//!    before anything newer of its partition goes out; newer batches use a new producer.
//! 5. Kafka may have forgotten a producer: after a restart, or when a batch is old, the leader is
//!    asked, and if it knows nothing the partition is searched, before the batch is sent again.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use crate::log::control::{Control, TargetState};
use crate::log::port::{Awaited, Group};
use crate::ring::AckToken;
use crate::target::KafkaConfig;

mod cluster;
mod cursors;
mod errors;
mod feed;
mod flow;
mod look;
mod metadata;
pub(crate) mod notice;
mod partition;
pub(crate) mod request;
mod settle;
mod topic;
mod verdict;

use cluster::Cluster;
use feed::Feed;
use notice::Notice;
use partition::Partition;
use request::{Outcome, Request, RequestId};
use topic::Topic;

/// The time, read once by the driver and passed down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// Since any fixed moment; never goes back.
    pub(crate) mono: Duration,
    /// Unix milliseconds.
    pub(crate) unix_ms: u64,
}

/// What the machine is told once.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The target's number in the log.
    pub(crate) target: u16,
    pub(crate) kafka: KafkaConfig,
    /// The streams of all hooks: their topics are asked for at once.
    pub(crate) topics: Vec<Arc<str>>,
    /// Those of hooks whose publishers wait for Kafka.
    pub(crate) confirmed_topics: Vec<Arc<str>>,
    /// Where to begin if the log says nothing of this target.
    pub(crate) floor: u64,
    /// The first sequence that the log still has.
    pub(crate) earliest: u64,
    /// Bytes of groups that may be held before reading stops.
    pub(crate) held_bytes_max: usize,
    /// The Kafka sequence of a partition's first record; Kafka takes any from a producer that is new to it.
    pub(crate) first_sequence: u32,
    /// Kafka forgets a producer that wrote nothing for so long (`producer.id.expiration.ms`).
    pub(crate) producer_expiration: Duration,
    /// Seeds the jitter of pauses.
    pub(crate) seed: u64,
}

impl Settings {
    /// The defaults for a cluster.
    pub(crate) fn new(kafka: KafkaConfig, topics: Vec<Arc<str>>) -> Settings {
        Settings {
            target: crate::log::control::KAFKA,
            kafka,
            topics,
            confirmed_topics: Vec::new(),
            floor: 0,
            earliest: 0,
            held_bytes_max: 32 << 20,
            first_sequence: 0,
            producer_expiration: Duration::from_secs(24 * 3600),
            seed: 0,
        }
    }
}

/// One of the two readers of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reader {
    /// Follows the end of the log.
    Main,
    /// Fetches what partitions missed that had fallen behind.
    CatchUp,
}

/// Records of one rule and core that came to the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) core: u8,
    pub(crate) rule: u32,
    pub(crate) records: u64,
    /// As they counted when they were accepted.
    pub(crate) bytes: u64,
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Carry it out, and bring the outcome by [`Sender::answer`].
    Request(RequestId, Request),
    /// Hand these to the log in one [`Port::submit`](crate::log::port::Port::submit). The first such
    /// action has ticket 0, the next 1, and so on.
    Submit(Vec<Control>),
    /// Read groups from this sequence on, and bring them by [`Sender::read_done`].
    Read { reader: Reader, from: u64 },
    /// Confirmed by Kafka: release the credits, let the publishers know.
    Delivered { tally: Vec<Tally>, tokens: Vec<(u8, AckToken)> },
    /// In the dead-letter file: as for delivered ones.
    SetAside { tally: Vec<Tally>, tokens: Vec<(u8, AckToken)> },
    /// Sent again.
    Retried(Vec<Tally>),
    /// May be in Kafka twice.
    PossiblyRepeated(Vec<Tally>),
    /// Records below are done with, and the log knows it.
    Floor(u64),
    /// Tell the operator.
    Say(Notice),
}

/// A partition by its topic's place and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PartRef {
    topic: usize,
    partition: usize,
}

/// Whose answer a request's is.
#[derive(Clone, Debug)]
enum Pending {
    Metadata,
    CreateTopic(usize),
    ProducerId,
    MinInsync(Vec<usize>),
    Produce(Vec<PartRef>),
    /// EndOffset, DescribeProducer or FindBatch.
    Ask(PartRef),
}

/// The machine of one target.
pub(crate) struct Sender {
    settings: Settings,
    cluster: Cluster,
    topics: Vec<Topic>,
    by_name: HashMap<Arc<str>, usize>,
    feed: Feed,
    pending: BTreeMap<RequestId, Pending>,
    next_request: u64,
    next_ticket: u64,
    durable_ticket: u64,
    /// Partitions whose intent or dead letter is on its way to the medium, by ticket.
    on_medium: VecDeque<(u64, PartRef)>,
    /// Publishers that wait, by sequence.
    awaited: HashMap<u64, (u8, AckToken)>,
    ready: VecDeque<PartRef>,
    timers: BTreeSet<(Duration, PartRef)>,
    /// Batches to send in this poll.
    outgoing: Vec<PartRef>,
    controls: Vec<Control>,
    actions: Vec<Action>,
    /// Partitions whose cursor on the medium is behind.
    dirty: Vec<PartRef>,
    cursors_at: Option<Duration>,
    /// On the medium, and on its way there with its ticket.
    floor: u64,
    floor_on_its_way: Option<(u64, u64)>,
    stopping: Option<Duration>,
    /// The ticket after which nothing is left to do.
    last_ticket: Option<u64>,
    random: u64,
}

impl Sender {
    /// Takes up where the log says that an earlier run was. `budget` counts the bytes of groups
    /// that anybody holds.
    pub(crate) fn new(settings: Settings, restored: &TargetState, budget: Arc<AtomicUsize>) -> Sender {
        let known = restored.target.as_ref();
        let floor = known.map_or(settings.floor, |target| target.floor).max(settings.earliest);
        let mut sender = Sender {
            cluster: Cluster::new(known),
            feed: Feed::new(floor, budget),
            topics: Vec::new(),
            by_name: HashMap::new(),
            pending: BTreeMap::new(),
            next_request: 0,
            next_ticket: 0,
            durable_ticket: 0,
            on_medium: VecDeque::new(),
            awaited: HashMap::new(),
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            outgoing: Vec::new(),
            controls: Vec::new(),
            actions: Vec::new(),
            dirty: Vec::new(),
            cursors_at: None,
            floor,
            floor_on_its_way: None,
            stopping: None,
            last_ticket: None,
            random: settings.seed,
            settings,
        };
        for (name, state) in &restored.topics {
            let topic = Topic::restore(Arc::clone(name), state, floor);
            sender.add_topic(topic);
        }
        for name in sender.settings.topics.clone() {
            sender.topic_index(&name);
        }
        if known.is_none() {
            sender.submit_target();
        }
        sender
    }

    /// Moves on, and appends what is to be done to `actions`.
    pub(crate) fn poll(&mut self, now: Now, actions: &mut Vec<Action>) {
        self.poll_cluster(now);
        self.poll_feed(now);
        while let Some(&(at, part)) = self.timers.first()
            && at <= now.mono
        {
            self.timers.pop_first();
            if let Some(partition) = self.part(part) {
                partition.timer = None;
            }
            self.make_ready(part);
        }
        // A step may make others ready, never itself without a reason that is new.
        while let Some(part) = self.ready.pop_front() {
            if let Some(partition) = self.part(part) {
                partition.is_ready = false;
            }
            self.step(part, now);
        }
        self.send_outgoing();
        self.poll_cursors(now);
        self.poll_stop(now);
        self.flush_controls();
        actions.append(&mut self.actions);
    }

    /// What came of a request.
    pub(crate) fn answer(&mut self, now: Now, id: RequestId, outcome: Outcome) {
        let Some(pending) = self.pending.remove(&id) else { return };
        match pending {
            Pending::Metadata => self.metadata_answer(now, outcome),
            Pending::CreateTopic(topic) => self.create_answer(now, topic, outcome),
            Pending::ProducerId => self.producer_answer(now, outcome),
            Pending::MinInsync(topics) => self.insync_answer(&topics, outcome),
            Pending::Produce(parts) => self.produce_answer(now, id, parts, outcome),
            Pending::Ask(part) => self.ask_answer(now, id, part, outcome),
        }
    }

    /// Every record below `sequence` is durable: in a group that was handed over, or in the files.
    pub(crate) fn durable_to(&mut self, sequence: u64) {
        self.feed.durable = self.feed.durable.max(sequence);
    }

    /// Controls with lower tickets are durable.
    pub(crate) fn durable(&mut self, now: Now, ticket: u64) {
        self.durable_ticket = self.durable_ticket.max(ticket);
        while let Some(&(ticket, part)) = self.on_medium.front()
            && ticket < self.durable_ticket
        {
            self.on_medium.pop_front();
            self.medium_has(now, part, ticket);
        }
        if let Some((ticket, floor)) = self.floor_on_its_way
            && ticket < self.durable_ticket
        {
            self.floor_on_its_way = None;
            self.floor = floor;
            self.actions.push(Action::Floor(floor));
        }
    }

    /// The next group that the log thread kept in memory.
    pub(crate) fn group(&mut self, group: Arc<Group>) {
        self.feed.incoming.push_back(group);
    }

    /// Publishers that wait for their records; to be called before the groups that hold them.
    pub(crate) fn awaited(&mut self, awaited: &[Awaited]) {
        self.awaited.extend(awaited.iter().map(|one| (one.sequence, (one.core, one.token))));
    }

    /// When to poll again, if nothing else happens. A time that has passed: at once.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let part = self.timers.first().map(|&(at, _)| at);
        [part, self.cluster.deadline(), self.cursors_at, self.feed.retry_at(), self.stopping]
            .into_iter()
            .flatten()
            .min()
    }

    /// Delivers what is left until `until`, while Kafka takes it; then writes the last cursors.
    pub(crate) fn stop(&mut self, until: Duration) {
        self.stopping.get_or_insert(until);
    }

    /// Whether a stop is complete.
    pub(crate) fn is_done(&self) -> bool {
        self.last_ticket.is_some_and(|ticket| ticket < self.durable_ticket)
    }

    fn part(&mut self, part: PartRef) -> Option<&mut Partition> {
        self.topics.get_mut(part.topic)?.partitions.get_mut(part.partition)
    }

    fn parts(&self) -> impl Iterator<Item = (PartRef, &Partition)> {
        self.topics.iter().enumerate().flat_map(|(topic, of)| {
            let refs = move |(partition, it)| (PartRef { topic, partition }, it);
            of.partitions.iter().enumerate().map(refs)
        })
    }

    fn add_topic(&mut self, topic: Topic) -> usize {
        let index = self.topics.len();
        self.by_name.insert(Arc::clone(&topic.name), index);
        for partition in 0..topic.partitions.len() {
            self.ready.push_back(PartRef { topic: index, partition });
        }
        self.topics.push(topic);
        index
    }

    fn topic_index(&mut self, name: &str) -> usize {
        match self.by_name.get(name) {
            Some(&index) => index,
            None => self.add_topic(Topic::new(name.into())),
        }
    }

    fn make_ready(&mut self, part: PartRef) {
        if let Some(partition) = self.part(part)
            && !std::mem::replace(&mut partition.is_ready, true)
        {
            self.ready.push_back(part);
        }
    }

    fn make_topic_ready(&mut self, topic: usize) {
        let partitions = self.topics.get(topic).map_or(0, |topic| topic.partitions.len());
        (0..partitions).for_each(|partition| self.make_ready(PartRef { topic, partition }));
    }

    /// Steps the partition again at `at` (in place of an earlier wish).
    fn set_timer(&mut self, part: PartRef, at: Duration) {
        let Some(partition) = self.part(part) else { return };
        let before = partition.timer.replace(at);
        if let Some(before) = before {
            self.timers.remove(&(before, part));
        }
        self.timers.insert((at, part));
    }

    fn request(&mut self, request: Request, pending: Pending) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request = self.next_request.saturating_add(1);
        self.pending.insert(id, pending);
        self.actions.push(Action::Request(id, request));
        id
    }

    fn say(&mut self, notice: Notice) {
        self.actions.push(Action::Say(notice));
    }

    /// The ticket of the controls that are gathered in this poll.
    fn ticket(&self) -> u64 {
        self.next_ticket
    }

    fn flush_controls(&mut self) {
        if !self.controls.is_empty() {
            self.next_ticket = self.next_ticket.saturating_add(1);
            let controls = std::mem::take(&mut self.controls);
            self.actions.push(Action::Submit(controls));
        }
    }

    fn submit_target(&mut self) {
        let target = self.cluster.entry(self.settings.target, self.floor);
        self.controls.push(Control::Target(target));
    }

    /// A pause of about `base`, doubled for each failure up to `most`; never the same for all.
    fn pause(&mut self, base: Duration, most: Duration, failures: u32) -> Duration {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let full = base.saturating_mul(1u32.checked_shl(failures.min(16)).unwrap_or(u32::MAX)).min(most);
        let share = 768 + ((self.random >> 33) % 512) as u32;
        full.saturating_mul(share) / 1024
    }
}

#[cfg(test)]
pub(crate) mod tests;
