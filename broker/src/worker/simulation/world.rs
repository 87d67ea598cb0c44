//! Cores, log, network and time under one scheduler.

use crate::config::{Config, Versions};
use crate::hook::{HookTable, Hooks};
use crate::net::Transport;
use crate::net::network::Network;
use crate::seam;
use crate::time::Now;
use crate::worker::turn::WAKER;
use crate::worker::{Core, Counters, Mailbox, Parts, RetainedTotals, Shared};
use millrace_kafka_sink::log::sim::{Random, SimFs};
use millrace_kafka_sink::log::stepped::{self, SteppedLog};
use millrace_kafka_sink::{EventKind, LogConfig, Rule, log};
use millrace_router::Routes;
use mio::{Poll, Waker};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Where the log lies on the simulated disk.
pub const DIR: &str = "/data/log";
/// Records of these topics are made durable before the acknowledgement.
pub const HOOKED: &str = "h/#";
/// Their stream.
pub const STREAM: &str = "hooked";
const UNIX_MS: u64 = 1_574_751_635_845;
/// Turns in the middle of turns in the middle of turns.
const DEPTH: u32 = 4;
const REMEMBERED: usize = 60;

struct Runner {
    core: Core,
    /// Until when it sleeps, milliseconds, if nobody wakes it.
    asleep: Option<u64>,
}

struct Inner {
    runners: Vec<RefCell<Runner>>,
    log: RefCell<SteppedLog>,
    shared: Arc<Shared>,
    network: Network,
    mono_ms: Cell<u64>,
    random: Cell<Random>,
    depth: Cell<u32>,
    hash: Cell<u64>,
    last: RefCell<VecDeque<(&'static str, u64, u64)>>,
    log_failed: Cell<bool>,
}

/// The node and what is around it.
pub struct World {
    inner: Rc<Inner>,
    /// The disk.
    pub fs: SimFs,
}

/// What differs from seed to seed.
pub struct Pressure {
    /// Cores of the node.
    pub cores: usize,
    /// Batches that a mailbox holds.
    pub lane: usize,
    /// Connections that may be on their way to a core.
    pub handoffs: u32,
    /// Records in a ring.
    pub ring_records: usize,
    /// Deliveries in one turn of a core.
    pub deliveries: usize,
    /// The node's configuration.
    pub config: Config,
}

impl World {
    pub fn new(seed: u64, pressure: &Pressure) -> io::Result<World> {
        let fs = SimFs::new(seed);
        let inner = Inner::new(seed, pressure, fs.clone(), None)?;
        inner.takes_part();
        Ok(World { inner, fs })
    }

    /// The power fails, and another node is started on what the disk has kept. Every connection is gone.
    pub fn crash(&mut self, seed: u64, pressure: &Pressure) -> io::Result<()> {
        self.fs = self.fs.restart(seed).0;
        self.inner = Inner::new(seed, pressure, self.fs.clone(), Some(&self.inner))?;
        self.inner.takes_part();
        Ok(())
    }

    pub fn network(&self) -> &Network {
        &self.inner.network
    }

    pub fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub fn below(&self, bound: u64) -> u64 {
        self.inner.below(bound)
    }

    pub fn one_in(&self, n: u64) -> bool {
        self.inner.below(n) == 0
    }

    /// Remembers what happened, for the comparison of two runs and for whoever reads of a failure.
    pub fn note(&self, what: &'static str, one: u64, two: u64) {
        self.inner.note(what, one, two);
    }

    pub fn hash(&self) -> u64 {
        self.inner.hash.get()
    }

    pub fn last_events(&self) -> String {
        let line = |(what, one, two): &(&str, u64, u64)| format!("  {what} {one} {two}\n");
        self.inner.last.borrow().iter().map(line).collect()
    }

    /// A new connection at some core's listener; the number of the client's end.
    pub fn connect(&self) -> u32 {
        let (plug, number) = self.inner.network.connect();
        let core = self.below(self.inner.runners.len() as u64) as usize;
        let before = self.inner.network.enter(core);
        let runner = &mut *self.inner.runners[core].borrow_mut();
        runner.core.now = self.inner.now();
        runner.core.arrive(Transport::faulty(plug), IpAddr::V4(Ipv4Addr::LOCALHOST), Versions::ALL);
        self.inner.network.enter(before);
        // The listener's event woke it.
        runner.asleep = None;
        number
    }

    /// Lets something run that can, or time pass.
    pub fn step(&self) {
        match self.below(20) {
            0 => self.pass(1 + self.below(40)),
            1..=5 => drop(self.inner.step_log()),
            _ => drop(self.inner.turn(self.below(self.inner.runners.len() as u64) as usize)),
        }
    }

    pub fn now_ms(&self) -> u64 {
        self.inner.mono_ms.get()
    }

    pub fn pass(&self, ms: u64) {
        self.inner.mono_ms.set(self.inner.mono_ms.get() + ms);
    }

    /// Runs everything that can run. `false`: it did not come to rest.
    pub fn settle(&self) -> bool {
        for _ in 0..20_000 {
            let mut ran = self.inner.step_log();
            for core in 0..self.inner.runners.len() {
                ran |= self.inner.turn(core);
            }
            if !ran {
                return true;
            }
        }
        false
    }

    pub fn log_failed(&self) -> bool {
        self.inner.log_failed.get()
    }

    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        self.inner.runners.iter().for_each(|runner| sum.add(&runner.borrow().core.counters));
        sum
    }

    /// What is wrong with a queue at any time.
    pub fn check_bounds(&self) -> Result<(), String> {
        let limits = &self.inner.shared.limits;
        for runner in &self.inner.runners {
            let core = &mut runner.borrow_mut().core;
            for index in core.sessions.indexes() {
                let Some(flow) = core.sessions.at_mut(index).and_then(|session| session.flow_if_any()) else {
                    continue;
                };
                let queued = flow.outbound.queued().0;
                if queued > limits.max_queued_messages as usize {
                    return Err(format!("core {}: {queued} messages queued for one session", core.me));
                }
            }
            for index in core.connections.indexes() {
                let Some(connection) = core.connections.at(index) else { continue };
                let max = 2 * limits.held_bytes as usize + limits.max_packet_size as usize;
                if connection.input.len() > max {
                    return Err(format!("core {}: {} bytes of input kept", core.me, connection.input.len()));
                }
            }
        }
        Ok(())
    }

    /// What is wrong when nobody runs, nothing is under way and all clients have answered.
    pub fn check_rest(&self) -> Result<(), String> {
        for (me, runner) in self.inner.runners.iter().enumerate() {
            let core = &mut runner.borrow_mut().core;
            let fail = |what: String| Err(format!("core {me} at rest: {what}"));
            if !self.inner.shared.mailboxes[me].is_at_rest() {
                return fail("something in its mailbox, or a core that waits for it".into());
            }
            if core.shared.congested.load(Ordering::SeqCst) != 0 {
                return fail("some core is congested".into());
            }
            if !core.fan_outs.is_empty() || core.outboxes.iter().any(|outbox| !outbox.is_empty()) {
                return fail("messages for others lie here".into());
            }
            for index in core.connections.indexes() {
                let Some(connection) = core.connections.at(index) else { continue };
                let input = connection.input.len();
                if connection.held || connection.output.is_some() || input > 0 {
                    let held = connection.held;
                    let output = connection.output_len();
                    return fail(format!(
                        "connection {index}: {input} bytes in (held: {held}), {output} out"
                    ));
                }
            }
            for index in core.sessions.indexes() {
                let Some(flow) = core.sessions.at_mut(index).and_then(|session| session.flow_if_any()) else {
                    continue;
                };
                if flow.outbound.has_queue() {
                    return fail(format!("session {index}: {} messages queued", flow.outbound.queued().0));
                }
            }
        }
        Ok(())
    }

    /// What is retained: topics with the numbers of their messages.
    pub fn retained(&self) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        for runner in &self.inner.runners {
            runner.borrow().core.all_retained(|stored| {
                let message = stored.message();
                let text = String::from_utf8_lossy(message.payload);
                let number = text.split(':').next().and_then(|number| number.parse().ok());
                all.push((message.topic.to_owned(), number.unwrap_or(u64::MAX)));
            });
        }
        all
    }

    /// Connections, sessions and filters of each core, and whether it keeps a group.
    pub fn held(&self) -> Vec<[usize; 4]> {
        let held = |core: &Core| {
            let groups = usize::from(!core.groups.is_empty());
            [core.connections.len(), core.sessions.len(), core.subscriptions.len(), groups]
        };
        self.inner.runners.iter().map(|runner| held(&runner.borrow().core)).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        seam::set(None);
        SteppedLog::set_switch(None);
    }
}

/// As the log of a simulation is opened, also after a crash.
pub fn log_config() -> LogConfig {
    LogConfig { fill_step_bytes: 4096, reserve_bytes: 0, ..LogConfig::new(DIR, "millrace@simulation") }
}

impl Inner {
    /// A node on this disk; time and chance go on as they were `before`.
    fn new(seed: u64, pressure: &Pressure, fs: SimFs, before: Option<&Inner>) -> io::Result<Rc<Inner>> {
        let cores = pressure.cores;
        let polls = (0..cores).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
        let mailbox = |poll: &Poll| {
            let waker = Waker::new(poll.registry(), WAKER)?;
            Ok(Mailbox::with_lane(waker, pressure.lane, pressure.handoffs))
        };
        let shared = Arc::new(Shared {
            mailboxes: polls.iter().map(mailbox).collect::<io::Result<_>>()?,
            routes: Routes::with_shards(seed, 16),
            connections: Arc::default(),
            connections_max: usize::MAX,
            limits: pressure.config.limits.clone(),
            home_key: [7; 16],
            server_reference: None,
            response_information: None,
            retained: RetainedTotals::default(),
            strategy: pressure.config.share.strategy,
            congested: AtomicU64::new(0),
            modules: Default::default(),
            sys_interval_ms: 0,
            sessions: AtomicUsize::new(0),
            stopped: AtomicUsize::new(0),
        });
        let config = LogConfig { ring_records: pressure.ring_records, ..log_config() };
        let (log, _) = log::open(config, fs, UNIX_MS, seed).map_err(io::Error::other)?;
        let rule = Rule::new(Rule::id_of(STREAM), STREAM, EventKind::MessagePublish, STREAM);
        let rule = Rule { filter: Some(HOOKED.into()), ..rule.map_err(io::Error::other)? };
        let completion = Arc::clone(&shared) as _;
        let (log, producers) = log.start_stepped(cores, completion, std::slice::from_ref(&rule));
        let table = Arc::new(HookTable::new(vec![rule]));
        let mut runners = Vec::new();
        let started = Instant::now();
        for (me, (poll, producer)) in polls.into_iter().zip(producers).enumerate() {
            let hooks = Hooks::new(Arc::clone(&table), producer, "millrace@simulation".into());
            let shared = Arc::clone(&shared);
            let seed = seed ^ (me as u64) << 32;
            let parts = Parts { me, shared, poll, listeners: Vec::new(), hooks, started, seed };
            let mut core = Core::new(parts)?;
            core.deliveries_a_turn = pressure.deliveries;
            runners.push(RefCell::new(Runner { core, asleep: None }));
        }
        let first = || (0, Random::new(seed), 0xcbf2_9ce4_8422_2325, VecDeque::new());
        let (mono_ms, random, hash, last) = before.map_or_else(first, |before| {
            (before.mono_ms.get(), before.random.get(), before.hash.get(), before.last.take())
        });
        Ok(Rc::new(Inner {
            runners,
            log: RefCell::new(log),
            shared,
            network: Network::new(seed, cores),
            mono_ms: Cell::new(mono_ms),
            random: Cell::new(random),
            depth: Cell::new(0),
            hash: Cell::new(hash),
            last: RefCell::new(last),
            log_failed: Cell::new(false),
        }))
    }

    /// Others may go on at each point of a step from now on.
    fn takes_part(self: &Rc<Inner>) {
        let others = Rc::downgrade(self);
        let switch: Rc<dyn Fn()> = Rc::new(move || {
            if let Some(inner) = others.upgrade() {
                inner.switch();
            }
        });
        SteppedLog::set_switch(Some(Rc::clone(&switch)));
        seam::set(Some(switch));
    }

    fn now(&self) -> Now {
        let mono_ms = self.mono_ms.get();
        Now { mono_ms, unix_ms: UNIX_MS + mono_ms }
    }

    fn below(&self, bound: u64) -> u64 {
        let mut random = self.random.get();
        let number = random.below(bound);
        self.random.set(random);
        number
    }

    fn note(&self, what: &'static str, one: u64, two: u64) {
        let mut hash = self.hash.get();
        for word in [what.len() as u64, one, two] {
            hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
        self.hash.set(hash);
        let mut last = self.last.borrow_mut();
        if last.len() == REMEMBERED {
            last.pop_front();
        }
        last.push_back((what, one, two));
    }

    /// In the middle of somebody's step: perhaps others go on.
    fn switch(&self) {
        if self.depth.get() >= DEPTH || self.below(3) != 0 {
            return;
        }
        self.depth.set(self.depth.get() + 1);
        for _ in 0..=self.below(2) {
            if self.below(4) == 0 {
                self.step_log();
            } else {
                self.turn(self.below(self.runners.len() as u64) as usize);
            }
        }
        self.depth.set(self.depth.get() - 1);
    }

    /// One turn of a core, if it is awake and not in the middle of one.
    fn turn(&self, me: usize) -> bool {
        let Ok(mut runner) = self.runners[me].try_borrow_mut() else { return false };
        let Runner { core, asleep } = &mut *runner;
        let mailbox = &self.shared.mailboxes[me];
        let sleeps =
            |until: u64| until > self.mono_ms.get() && mailbox.is_asleep() && !self.network.has_events(me);
        if asleep.is_some_and(sleeps) {
            return false;
        }
        self.note("turn", me as u64, self.mono_ms.get());
        let before = self.network.enter(me);
        mailbox.awake();
        core.now = self.now();
        core.begin_turn();
        for (token, event) in self.network.events(me) {
            self.network.enter(me);
            core.on_event(token, event.readable, event.writable, event.over);
        }
        self.network.enter(me);
        core.end_turn();
        *asleep = match core.timeout() {
            Some(Duration::ZERO) => None,
            Some(sleep) => Some(core.now.mono_ms + sleep.as_millis() as u64),
            None => Some(u64::MAX),
        };
        self.network.enter(before);
        true
    }

    /// One step of the log, if it is awake and not in the middle of one.
    fn step_log(&self) -> bool {
        let Ok(mut log) = self.log.try_borrow_mut() else { return false };
        let now = self.now();
        let mono = Duration::from_millis(now.mono_ms);
        if !log.is_awake(mono) {
            return false;
        }
        self.note("log", now.mono_ms, 0);
        if log.step(stepped::Now { mono, unix_ms: now.unix_ms }).is_err() {
            self.log_failed.set(true);
        }
        true
    }
}
