//! A core: one thread, one poll, its connections, sessions and subscriptions. The only place that polls and reads a
//! clock. The files here are the steps of a turn, in data-flow order:
//!
//! `accept` takes connections, `input` cuts their bytes into packets, `connect`, `publish`, `acknowledge` and
//! `subscribe` carry packets out, `deliver` and `pump` bring messages to sessions, `flush` writes, `close` ends a
//! connection, `sessions` goes on where one has ended and another begins, `control` answers other cores and the log.
//! `turn` is the loop itself. `retain` and `scan` are the two sides of retained messages, `share` and `member` those of
//! shared subscriptions; `sys`, `delayed` and `modules` are features of their own, off the path of a message.
//!
//! What a core may never do: wait for another core, a disk or Kafka; keep a slice of the read buffer past the turn;
//! do work without a budget.

mod accept;
mod acknowledge;
mod clients;
mod close;
mod connect;
mod control;
mod counters;
mod delayed;
mod deliver;
mod flush;
mod input;
mod mailbox;
mod member;
mod modules;
mod outbox;
mod publish;
mod pump;
mod retain;
mod scan;
mod seen;
mod sessions;
mod share;
mod signals;
mod slots;
mod subscribe;
mod sys;
mod timer;
mod turn;
mod wills;

#[cfg(feature = "replay")]
pub mod replay;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;

pub use counters::Counters;
pub use mailbox::{Control, Mailbox, Stop};
pub use retain::RetainedTotals;
pub use sys::Asker;
pub use turn::WAKER;

use crate::config::{Limits, Modules, Strategy};
use crate::connection::{Connection, Output};
use crate::delivery::{Frames, Message, Spares, Stored};
use crate::hook::Hooks;
use crate::memory::Population;
use crate::net::Listener;
use crate::session::{Options, Session};
use crate::time::Now;
use clients::Clients;
use millrace_codec::{PropertyBuf, QoS};
use millrace_kafka_sink::{AckToken, Completion};
use millrace_router::{RouteCache, Routes, Subscriptions};
use mio::{Poll, Registry};
use outbox::Outbox;
use seen::Seen;
use siphasher::sip::SipHasher13;
use slots::{SlotId, Slots};
use std::collections::VecDeque;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Instant;
use timer::Wheel;

/// Home cores are found by shard, so that what is stored by shard stays where it is when the number of cores changes.
const SHARDS: u64 = 256;
/// Topics whose route and hooks a core remembers.
const CACHED_TOPICS: usize = 65_536;
/// Output buffers kept for reuse.
const POOLED_OUTPUTS: usize = 1_024;
/// A connection is asked for its deadline at least so often: entries of the wheel stay when their connection goes, and
/// a keep-alive may be 27 hours.
const ASK_MS: u64 = 60_000;

/// What all cores share.
pub struct Shared {
    /// One mailbox a core.
    pub mailboxes: Box<[Mailbox]>,
    /// Which cores want which topics.
    pub routes: Routes,
    /// Open connections.
    pub(crate) connections: Arc<Population>,
    /// The most there may be: the limit of the configuration or of the process's file descriptors.
    pub connections_max: usize,
    /// Limits on clients.
    pub limits: Limits,
    /// Where 5.0 clients go when this broker stops.
    pub server_reference: Option<String>,
    /// What 5.0 clients that ask for response information are told; `%c` stands for the client id.
    pub response_information: Option<String>,
    /// Retained messages of all cores.
    pub retained: RetainedTotals,
    /// Which member of a shared subscription gets a message.
    pub strategy: Strategy,
    /// Cores, one bit each, that have messages waiting for others and keep groups, which could make more of them.
    pub congested: AtomicU64,
    /// What may be done to messages and subscriptions of clients.
    pub modules: Modules,
    /// Between two publications of `$SYS`, milliseconds; 0 for none.
    pub sys_interval_ms: u64,
    /// Sessions, those of clients that are away included.
    pub sessions: AtomicUsize,
    /// Key of the hash that finds a client's home; kept in the data directory.
    pub home_key: [u8; 16],
    /// Cores that have finished the step of the clean stop that is under way.
    pub stopped: AtomicUsize,
}

impl Shared {
    /// The core on which this client's session lives.
    pub fn home(&self, client_id: &str) -> usize {
        let mut hasher = SipHasher13::new_with_key(&self.home_key);
        hasher.write(client_id.as_bytes());
        (hasher.finish() % SHARDS) as usize % self.mailboxes.len()
    }
}

impl Completion for Shared {
    fn durable(&self, core: usize, tokens: Vec<AckToken>) {
        if let Some(mailbox) = self.mailboxes.get(core) {
            mailbox.control(Control::Durable(tokens));
        }
    }

    fn room(&self, core: usize) {
        if let Some(mailbox) = self.mailboxes.get(core) {
            mailbox.control(Control::Room);
        }
    }
}

/// What a packet came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Done; on with the next one.
    Go,
    /// Could not be admitted and changed nothing; to be tried again.
    Hold,
    /// The connection is closed or has moved: its position means nothing any more.
    Gone,
}

/// One receiver of one message.
#[derive(Clone, Copy)]
struct Target {
    session: u32,
    options: Options,
    /// Several of its subscriptions match and have identifiers, which stand elsewhere.
    several_ids: bool,
}

/// A delivery to many that goes on in later turns.
struct FanOut {
    message: Arc<Stored>,
    /// Named with generations: sessions may end in between.
    targets: Vec<(SlotId, Target)>,
    /// Identifiers of clients with several subscriptions that match, by session.
    ids: Vec<(u32, u32)>,
    next: usize,
}

/// A message that is published in its publisher's name without it: a will, or one that was delayed.
struct Parked {
    client_id: Box<str>,
    username: Option<Box<str>>,
    message: Stored,
}

/// Buffers used by one packet after the other.
#[derive(Default)]
struct Scratch {
    /// What was read last.
    read: Vec<u8>,
    /// The publisher of the message under way.
    from: String,
    /// Its topic, if it came as an alias.
    topic: String,
    targets: Vec<Target>,
    /// Subscription identifiers of clients with several that match, by session.
    ids: Vec<(u32, u32)>,
    /// Properties of a message that were changed on the way.
    list: PropertyBuf,
    frames: Frames,
    /// The current message, if a session had to store it.
    stored: Option<Arc<Stored>>,
    spares: Spares,
}

impl Scratch {
    /// The current message, stored once for all sessions of this core.
    #[inline]
    fn stored(&mut self, message: &Message<'_>, now_ms: u64) -> &Arc<Stored> {
        self.stored.get_or_insert_with(|| self.spares.store(message, now_ms))
    }
}

/// What is left of this turn's budgets.
struct Budget {
    deliveries: usize,
}

/// Output buffers that no connection has at present.
type FreeOutputs = Vec<Box<Output>>;

/// They, and what was put into all of them.
#[derive(Default)]
struct Outputs {
    free: FreeOutputs,
    /// Packets that were appended to any of them.
    packets: u64,
}

/// One core.
pub struct Core {
    me: usize,
    shared: Arc<Shared>,
    registry: Registry,
    poll: Option<Poll>,
    started: Instant,
    now: Now,
    listeners: Vec<Listener>,
    connections: Slots<Connection>,
    sessions: Slots<Session>,
    clients: Clients,
    subscriptions: Subscriptions<Options>,
    /// Topics met, with their routes, hooks and filters.
    cache: RouteCache<Seen>,
    hooks: Hooks,
    /// There is a limit on publishes that most brokers do not have: highest QoS, payload's size or format.
    strict: bool,
    /// The retained messages that this core keeps.
    keeper: retain::Keeper,
    /// Messages that are published later.
    delayed: delayed::Delayed,
    /// What core 0 tells of the broker.
    sys: sys::Sys,
    /// What is to be published, in its order; waits only until the core that is to retain the first one has room.
    parked: VecDeque<Parked>,
    /// Numbers walks through retained messages, and memberships of shared subscriptions.
    scans: u32,
    /// Shared subscriptions that this core keeps.
    groups: share::Groups,
    /// Members of groups of which is to be told what they have to do.
    loads: Vec<SlotId>,
    outboxes: Vec<Outbox>,
    fan_outs: VecDeque<FanOut>,
    timers: Wheel,
    /// Of sessions whose clients are away.
    session_timers: Wheel,
    outputs: Outputs,
    /// Connections with something to write this turn.
    dirty: Vec<u32>,
    /// Connections to be read without an event.
    ready: VecDeque<SlotId>,
    /// Connections whose next packet could not be admitted.
    held: Vec<SlotId>,
    /// Those of them that are to be tried again.
    retry: VecDeque<SlotId>,
    /// Sessions whose queue waits for room in the ring (`message.deliver`).
    starved: Vec<SlotId>,
    /// The ring has room again for them.
    feed: bool,
    /// Listeners with more connections to accept.
    accepting: bool,
    /// After running out of descriptors: when to try again.
    accept_again_ms: u64,
    stop: Option<Stop>,
    /// This core has said that it is done with the step.
    stop_reported: bool,
    budget: Budget,
    /// Deliveries in one turn; what is left goes on in the next.
    deliveries_a_turn: usize,
    scratch: Scratch,
    counters: Counters,
    rng: u64,
}

/// Everything a core is made of.
pub struct Parts {
    /// Which core this is.
    pub me: usize,
    /// What all cores share.
    pub shared: Arc<Shared>,
    /// Its poll, with whose registry the mailbox's waker was made.
    pub poll: Poll,
    /// Its sockets of all listeners.
    pub listeners: Vec<Listener>,
    /// Its hooks.
    pub hooks: Hooks,
    /// The instant that monotonic time counts from; the same for all cores.
    pub started: Instant,
    /// Seed of this core's hash tables and choices.
    pub seed: u64,
}

impl Core {
    /// Puts a core together; nothing runs yet.
    ///
    /// # Errors
    /// The poll's registry could not be cloned.
    pub fn new(parts: Parts) -> std::io::Result<Core> {
        let Parts { me, shared, poll, listeners, hooks, started, seed } = parts;
        let cores = shared.mailboxes.len();
        Ok(Core {
            me,
            registry: poll.registry().try_clone()?,
            poll: Some(poll),
            started,
            now: Now::default(),
            listeners,
            connections: Slots::new(),
            sessions: Slots::new(),
            clients: Clients::new(),
            subscriptions: Subscriptions::new(seed),
            cache: RouteCache::new(CACHED_TOPICS, seed ^ 1),
            hooks,
            strict: is_strict(&shared.limits),
            keeper: retain::Keeper::default(),
            delayed: delayed::Delayed::default(),
            sys: sys::Sys::default(),
            parked: VecDeque::new(),
            scans: 0,
            groups: share::Groups::default(),
            loads: Vec::new(),
            outboxes: (0..cores).map(|_| Outbox::default()).collect(),
            fan_outs: VecDeque::new(),
            timers: Wheel::new(0),
            session_timers: Wheel::new(0),
            outputs: Outputs::default(),
            dirty: Vec::new(),
            ready: VecDeque::new(),
            held: Vec::new(),
            retry: VecDeque::new(),
            starved: Vec::new(),
            feed: false,
            accepting: true,
            accept_again_ms: u64::MAX,
            stop: None,
            stop_reported: false,
            budget: Budget { deliveries: 0 },
            deliveries_a_turn: turn::DELIVERIES,
            scratch: Scratch::default(),
            counters: Counters::default(),
            rng: seed | 1,
            shared,
        })
    }

    /// What this core has done.
    pub fn counters(&self) -> Counters {
        Counters { packets_sent: self.outputs.packets, ..self.counters }
    }

    /// Splitmix64: for names that need not be secret, only different.
    fn random(&mut self) -> u64 {
        self.rng = self.rng.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.rng;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The buffer in which a connection's bytes wait to be written, for one more packet; the connection will be written
    /// this turn.
    #[inline]
    fn output<'a>(
        connection: &'a mut Connection,
        index: u32,
        dirty: &mut Vec<u32>,
        pool: &mut Outputs,
    ) -> &'a mut Output {
        if !connection.dirty {
            connection.dirty = true;
            dirty.push(index);
        }
        pool.packets += 1;
        connection.output.get_or_insert_with(|| pool.free.pop().unwrap_or_default())
    }

    /// Takes back the buffer of a connection that has nothing (more) to write.
    #[inline]
    fn take_back(connection: &mut Connection, pool: &mut Outputs) {
        if let Some(mut output) = connection.output.take()
            && output.recycle()
            && pool.free.len() < POOLED_OUTPUTS
        {
            pool.free.push(output);
        }
    }

    /// Wakes this connection's timer at the deadline, unless it is woken before anyhow.
    fn arm(&mut self, index: u32, deadline_ms: u64) {
        let Some(id) = self.connections.id_at(index) else { return };
        let deadline_ms = deadline_ms.min(self.now.mono_ms + ASK_MS);
        if let Some(connection) = self.connections.at_mut(index)
            && deadline_ms < connection.timer_ms
        {
            connection.timer_ms = deadline_ms;
            self.timers.insert(deadline_ms, id);
        }
    }
}

fn is_strict(limits: &Limits) -> bool {
    limits.max_qos < QoS::ExactlyOnce
        || limits.max_payload_size < limits.max_packet_size
        || limits.check_payload_format
}

impl Drop for Core {
    fn drop(&mut self) {
        self.shared.connections.leave(self.connections.len());
    }
}
