//! One broker process: binds listeners, opens the log, starts the core threads, and stops them again in order.
//! Everything that can fail at a start fails here, before the first client is served.

use crate::config::Config;
use crate::hook::{HookTable, Hooks};
use crate::memory::Keeper;
use crate::net;
use crate::status::{About, Report};
use crate::worker::{Asker, Control, Core, Counters, Mailbox, Parts, RetainedTotals, Shared, Stop, WAKER};
use millrace_kafka_sink::log::file::RealFs;
use millrace_kafka_sink::{Log, LogConfig, LogError, LogStats, Observer, Recovery, Rule, Running, log};
use millrace_router::Routes;
use mio::{Poll, Waker};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// File descriptors that are neither connections nor a core's own: log segments, whatever libraries open.
const RESERVED_DESCRIPTORS: u64 = 128;
/// A core's own beside its listeners: its poll, another handle of that, its waker.
const CORE_DESCRIPTORS: usize = 3;
/// How long one step of a clean stop may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a clean stop may wait for Kafka to take what is left.
const DELIVERY_GRACE: Duration = Duration::from_secs(5);
/// How long a report waits for the counters of busy cores.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// The file with the key that spreads clients over home cores.
const HOME_KEY: &str = "home.key";

/// Why a broker could not start or did not stop cleanly. Each message is one line that names cause and place.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A listener's address cannot be used.
    #[error("listener {name}: cannot listen on {address}: {source}")]
    Bind {
        /// NAME of `[listener.NAME]`.
        name: String,
        /// What it should have bound.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the data directory cannot be used.
    #[error("{}: {source}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The log cannot be opened or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A hook of the configuration cannot be made into a rule.
    #[error("hook {name}: {reason}")]
    Hook {
        /// NAME of `[hook.NAME]`.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The system gave no thread, poll or randomness.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// A running broker.
pub struct Node {
    addresses: Vec<(String, SocketAddr)>,
    shared: Arc<Shared>,
    cores: Vec<JoinHandle<Counters>>,
    stream: Running,
    recovery: Recovery,
    reporter: Reporter,
    _keeper: Keeper,
}

/// Tells the numbers of a broker.
#[derive(Clone)]
pub struct Reporter {
    name: Arc<str>,
    started: Instant,
    shared: Arc<Shared>,
    stream: Observer,
}

impl Reporter {
    /// As they are now.
    pub fn report(&self) -> Report {
        let counters = self.counters();
        let sessions = self.shared.sessions.load(Ordering::Relaxed) as u64;
        let about = About {
            node: self.name.to_string(),
            uptime_ms: self.started.elapsed().as_millis() as u64,
            now_ms: unix_ms(),
            connections: self.shared.connections.count() as u64,
            sessions,
            away: sessions.saturating_sub(counters.clients()),
            subscriptions: counters.subscriptions(),
            retained: self.shared.retained.count() as u64,
            published: counters.published,
            delivered: counters.delivered,
            dropped: counters.dropped(),
        };
        Report::new(about, &self.stream.stats(), self.stream.status())
    }

    /// The sum over all cores, asked one by one: without those that are too busy to answer in time.
    fn counters(&self) -> Counters {
        let (sender, answers) = mpsc::channel();
        for mailbox in &self.shared.mailboxes {
            mailbox.control(Control::Count(Asker::Thread(sender.clone())));
        }
        // So that the channel ends with the last answer.
        drop(sender);
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut sum = Counters::default();
        while let Ok(counters) = answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            sum.add(&counters);
        }
        sum
    }
}

/// What a broker that has stopped cleanly leaves behind.
pub struct Stopped {
    /// Of all cores.
    pub counters: Counters,
    /// Of the log.
    pub log: LogStats,
    /// Records in the log that Kafka has not got; 0 without a target.
    pub waiting: u64,
}

impl Node {
    /// Starts to serve. The data directory exists and is ours (the caller holds its lock).
    ///
    /// # Errors
    /// See [`NodeError`]; nothing is left running then.
    pub fn start(config: &Config) -> Result<Node, NodeError> {
        let cores = config.node.cores.clamp(1, millrace_router::MAX_CORES);
        let reserved = RESERVED_DESCRIPTORS + (cores * (CORE_DESCRIPTORS + config.listeners.len())) as u64;
        let connections_max = connections_max(config.limits.max_connections, reserved);
        let (addresses, mut listeners) = bind_all(config, cores)?;
        let rules = rules(config, cores)?;
        let (log, recovery) = open_log(config)?;
        let polls = (0..cores).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
        let mailboxes = polls.iter().map(|poll| Ok(Mailbox::new(Waker::new(poll.registry(), WAKER)?)));
        let shared = Arc::new(Shared {
            mailboxes: mailboxes.collect::<io::Result<_>>()?,
            routes: Routes::new(random()?),
            connections: Arc::default(),
            connections_max,
            limits: config.limits.clone(),
            server_reference: config.node.server_reference.clone(),
            response_information: config.node.response_information.clone(),
            retained: RetainedTotals::default(),
            strategy: config.share.strategy,
            congested: AtomicU64::new(0),
            modules: config.modules.clone(),
            sys_interval_ms: config.sys.interval.as_millis() as u64,
            sessions: AtomicUsize::new(0),
            home_key: home_key(&config.node.data)?,
            stopped: AtomicUsize::new(0),
        });
        let name: Arc<str> = config.node.name.as_str().into();
        let (stream, producers) = millrace_kafka_sink::start(
            log,
            cores,
            Arc::clone(&shared) as _,
            &rules,
            config.target().cloned(),
        )?;
        let table = Arc::new(HookTable::new(rules));
        let keeper = Keeper::start(Arc::clone(&shared.connections))?;
        let started = Instant::now();
        let mut threads = Vec::with_capacity(cores);
        for (me, (poll, producer)) in polls.into_iter().zip(producers).enumerate() {
            let listeners = listeners.iter_mut().filter_map(Vec::pop).collect();
            let hooks = Hooks::new(Arc::clone(&table), producer, Arc::clone(&name));
            let parts =
                Parts { me, shared: Arc::clone(&shared), poll, listeners, hooks, started, seed: random()? };
            let core = Core::new(parts)?;
            threads
                .push(std::thread::Builder::new().name(format!("millrace-{me}")).spawn(move || run(core))?);
        }
        let reporter = Reporter { name, started, shared: Arc::clone(&shared), stream: stream.observer() };
        Ok(Node { addresses, shared, cores: threads, stream, recovery, reporter, _keeper: keeper })
    }

    /// What it listens on: the listener's name and the address, with the port that was taken for port 0.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// What the log found when it was opened.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// What tells the numbers, on any thread.
    pub fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    /// Stops cleanly: listeners, wills, clients, what Kafka still takes, log. Bounded in time.
    ///
    /// # Errors
    /// The last records could not be written.
    pub fn stop(self) -> Result<Stopped, NodeError> {
        for step in [Stop::Listeners, Stop::Clients] {
            self.shared.stopped.store(0, Ordering::SeqCst);
            self.tell(step);
            let deadline = Instant::now() + STEP_TIMEOUT;
            while self.shared.stopped.load(Ordering::SeqCst) < self.cores.len() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        self.tell(Stop::Now);
        let mut counters = Counters::default();
        for core in self.cores {
            // A core that panicked has ended the process before this.
            counters.add(&core.join().unwrap_or_default());
        }
        let log = self.stream.stop(DELIVERY_GRACE)?.stats;
        let hooks = self.reporter.stream.status().hooks;
        let waiting = hooks.iter().fold(0, |sum: u64, hook| sum.saturating_add(hook.waiting));
        Ok(Stopped { counters, log, waiting })
    }

    fn tell(&self, step: Stop) {
        for mailbox in &self.shared.mailboxes {
            mailbox.control(Control::Stop(step));
        }
    }
}

/// Ends the process when its thread panics: a broker with a dead core would go on listening and serve nobody there.
/// The next start recovers.
struct Fuse;

impl Drop for Fuse {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("millrace: a core thread has failed; ending the process, the next start recovers");
            std::process::abort();
        }
    }
}

fn run(mut core: Core) -> Counters {
    let _fuse = Fuse;
    if let Err(error) = core.run() {
        eprintln!("millrace: a core cannot wait for events: {error}; ending the process");
        std::process::abort();
    }
    core.counters()
}

fn random() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}

/// Raises the limit of file descriptors as far as we may, and caps the connections below it.
fn connections_max(asked: u32, reserved: u64) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let descriptors = current.map_or(u64::from(u32::MAX), |limit| limit.saturating_sub(reserved).max(1));
    u64::from(asked).min(descriptors) as usize
}

type Bound = (Vec<(String, SocketAddr)>, Vec<Vec<net::Listener>>);

fn bind_all(config: &Config, cores: usize) -> Result<Bound, NodeError> {
    let (mut addresses, mut listeners) = (Vec::new(), Vec::new());
    for listener in &config.listeners {
        let bound = net::bind(listener.bind, listener.versions, cores);
        let (address, sockets) = bound.map_err(|source| NodeError::Bind {
            name: listener.name.clone(),
            address: listener.bind,
            source,
        })?;
        addresses.push((listener.name.clone(), address));
        listeners.push(sockets);
    }
    Ok((addresses, listeners))
}

fn rules(config: &Config, cores: usize) -> Result<Vec<Rule>, NodeError> {
    let hooks = if config.bridge.enabled { config.hooks.as_slice() } else { &[] };
    let rule = |hook: &crate::config::Hook| {
        let rule = Rule::new(Rule::id_of(&hook.name), &hook.name, hook.on, &hook.topic)
            .map_err(|error| NodeError::Hook { name: hook.name.clone(), reason: error.to_string() })?;
        Ok(Rule {
            filter: hook.filter.as_deref().map(Into::into),
            durability: hook.durability,
            max_record_bytes: hook.max_record_bytes,
            waiting_bytes_max: hook.max_waiting_bytes / cores as u64,
            to_kafka: config.target().is_some(),
            ..rule
        })
    };
    hooks.iter().map(rule).collect()
}

fn open_log(config: &Config) -> Result<(Log, Recovery), NodeError> {
    let defaults = LogConfig::new(config.node.log_dir(), config.node.name.as_str());
    let settings = LogConfig {
        segment_bytes: config.log.segment_bytes,
        retention_bytes: config.log.retention_bytes,
        retention_time: config.log.retention_time,
        ring_bytes: config.log.ring_bytes as usize,
        ring_records: config.log.ring_records as usize,
        ..defaults
    };
    Ok(log::open(settings, RealFs::new(), unix_ms(), random()?)?)
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The key of the hash that spreads clients over home cores: secret, or clients could choose ids that all live on one
/// core; and kept, because what a later version stores by shard must be found again.
fn home_key(data: &Path) -> Result<[u8; 16], NodeError> {
    let path = data.join(HOME_KEY);
    let failed = |source| NodeError::Data { path: path.clone(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(failed)?;
    match fs::read(&path) {
        Ok(bytes) => {
            let wrong = || {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    "must be 16 bytes; delete it if the data directory holds no kept sessions",
                )
            };
            return bytes.try_into().map_err(|_| failed(wrong()));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    // Whole or not at all: written beside, synced, renamed.
    let fresh = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&key)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        fs::File::open(data)?.sync_all()
    };
    write().map_err(failed)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_key_is_made_once_and_a_damaged_one_is_named() {
        let data = tempfile::tempdir().expect("a directory");
        let key = home_key(data.path()).expect("made");
        assert_eq!(home_key(data.path()).expect("read"), key);
        fs::write(data.path().join(HOME_KEY), b"short").expect("damaged");
        let error = home_key(data.path()).expect_err("refused").to_string();
        assert!(error.contains(HOME_KEY) && error.contains("16 bytes"), "{error}");
    }
}
