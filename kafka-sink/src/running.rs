//! The stream side as the broker sees it: started as a whole, watched, and stopped in the order
//! in which records go: cores, log, sink, log again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use parking_lot::Mutex;

use crate::accounts::{Accounts, Balance};
use crate::backlog;
use crate::log::control::{Control, KAFKA, Target, TargetState};
use crate::log::follow::Follow;
use crate::log::port::Port;
use crate::log::{Log, LogError, LogHandle, LogStats, Summary};
use crate::ring::{Completion, Producer, Waker};
use crate::rule::{Durability, Rule};
use crate::status::{HookStatus, Status};
use crate::target::{KafkaConfig, Start};
use crate::wire::{self, SinkShared};

/// Most bytes of durable groups that are kept in memory for the sink.
const TAIL_BYTES_MAX: usize = 32 << 20;
/// A backlog is counted in steps of so many bytes.
const BACKLOG_STEP_BYTES: usize = 4 << 20;
/// A backlog above this is worth a line for the operator, who waited for it to be counted.
const BACKLOG_TOLD_BYTES: u64 = 64 << 20;
/// Stands in the status for all hooks that are no longer configured and left records behind.
const REMOVED: &str = "(removed)";

/// Log thread and sink, running. Dropping it asks both to stop, without waiting.
pub struct Running {
    sink: Sink,
    log: LogHandle,
    observer: Observer,
}

/// Ends the sink with the run, however many observers are left.
struct Sink {
    inner: Arc<Inner>,
}

impl Sink {
    /// Taken out before it is stopped: who looks meanwhile must not wait for the grace.
    fn take(&self) -> Option<wire::Handle> {
        self.inner.sink.lock().take()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// Looks at a running stream side, from any thread; also after its end.
#[derive(Clone)]
pub struct Observer {
    inner: Arc<Inner>,
}

struct Inner {
    stats: Arc<Mutex<LogStats>>,
    accounts: Arc<Accounts>,
    rules: Vec<Rule>,
    /// By rule, the time of the oldest event that earlier runs left, Unix milliseconds.
    left: BTreeMap<u32, u64>,
    /// `None` without a target, and once the sink has been stopped.
    sink: Mutex<Option<wire::Handle>>,
}

/// Starts the log thread and, with a target, the sink; one producer for each of `cores` cores (at
/// most 256). With a target, what earlier runs left undelivered is counted first, which reads it once.
///
/// # Errors
/// The backlog cannot be read, the target's first entry cannot be written, or a thread cannot be
/// started. Nothing is left running then.
pub fn start(
    log: Log,
    cores: usize,
    completion: Arc<dyn Completion>,
    rules: &[Rule],
    kafka: Option<KafkaConfig>,
) -> Result<(Running, Vec<Producer>), LogError> {
    start_from(log, cores, completion, rules, kafka, 0)
}

/// With the Kafka sequence of a partition's first record under a new producer: 0, but in tests.
pub(crate) fn start_from(
    mut log: Log,
    cores: usize,
    completion: Arc<dyn Completion>,
    rules: &[Rule],
    kafka: Option<KafkaConfig>,
    first_sequence: u32,
) -> Result<(Running, Vec<Producer>), LogError> {
    let accounts = Arc::new(Accounts::new(cores, kafka.is_some()));
    for rule in rules {
        for core in 0..cores {
            accounts.account(core, rule.id, rule.to_kafka);
        }
    }
    let waker = Arc::<Waker>::default();
    let mut left = BTreeMap::new();
    let sink = match kafka {
        None => {
            if log.target().target.is_some() {
                tracing::warn!(
                    "this log has been delivered to a Kafka, and none is configured now: what has not been delivered \
                     yet is kept for it only as long as retention lets it"
                );
            }
            None
        }
        Some(config) => {
            let (shared, oldest) = prepare(&mut log, &config, cores, &completion, rules, &accounts)?;
            let shared = SinkShared { first_sequence, ..shared };
            left = oldest;
            let floor = shared.restored.floor();
            let port = Port::new(log.next_sequence(), floor, TAIL_BYTES_MAX, Arc::clone(&waker));
            Some((config, Arc::new(port), shared))
        }
    };
    let port = sink.as_ref().map(|(_, port, _)| Arc::clone(port));
    let (log, producers) = log.start_with(cores, completion, &accounts, waker, port)?;
    let sink = match sink.map(|(config, port, shared)| wire::start(config, port, shared)).transpose() {
        Ok(sink) => Mutex::new(sink),
        Err(error) => {
            drop(producers);
            // It has nothing to write; what it says of its end matters less than why we end.
            let _ = log.stop();
            return Err(LogError::Sink(error));
        }
    };
    let inner = Arc::new(Inner { stats: log.shared_stats(), accounts, rules: rules.to_vec(), left, sink });
    let sink = Sink { inner: Arc::clone(&inner) };
    Ok((Running { sink, log, observer: Observer { inner } }, producers))
}

/// What the sink needs to begin with, and by rule the time of the oldest event that waits for it.
/// Counts the backlog; the first time there is a target, writes down where it begins.
fn prepare(
    log: &mut Log,
    config: &KafkaConfig,
    cores: usize,
    completion: &Arc<dyn Completion>,
    rules: &[Rule],
    accounts: &Arc<Accounts>,
) -> Result<(SinkShared, BTreeMap<u32, u64>), LogError> {
    let mut follow = Follow::open(Arc::clone(log.fs()), log.dir().to_owned());
    let budget = Arc::<AtomicUsize>::default();
    let end = log.next_sequence();
    let earliest = follow.read(0, end, 1, &budget)?.first().map_or(end, |group| group.sequences.start);
    let restored = begin(log, config.start, earliest)?;
    if let Some(gone) = gone(&restored, earliest) {
        tracing::error!(
            from = gone.start,
            to = gone.end,
            "records that were to go to Kafka are not in the log any more: they were deleted by age or size while \
             there was no [kafka], or their files are gone"
        );
    }
    let before = log.fs().steady_us();
    let from = restored.floor().max(earliest);
    let read = |from| follow.read(from, end, BACKLOG_STEP_BYTES, &budget);
    let (backlog, oldest) = backlog::charge(accounts, &restored, from, end, read)?;
    if backlog.bytes > BACKLOG_TOLD_BYTES {
        let ms = log.fs().steady_us().saturating_sub(before) / 1000;
        tracing::info!(backlog.records, backlog.bytes, ms, "counted what earlier runs left for Kafka");
    }
    let (mut streams, mut confirmed_streams) = (Vec::new(), Vec::new());
    for rule in rules.iter().filter(|rule| rule.to_kafka) {
        let add = |to: &mut Vec<Arc<str>>| {
            if !to.contains(&rule.stream) {
                to.push(Arc::clone(&rule.stream));
            }
        };
        add(&mut streams);
        if rule.durability == Durability::Kafka {
            add(&mut confirmed_streams);
        }
    }
    let shared = SinkShared {
        accounts: Arc::clone(accounts),
        completion: Arc::clone(completion),
        restored,
        streams,
        confirmed_streams,
        dir: log.dir().to_owned(),
        fs: Arc::clone(log.fs()),
        earliest,
        first_sequence: 0,
        cores,
        // Pauses of two brokers that lost the same Kafka should not end together.
        seed: log.fs().steady_us() ^ end.rotate_left(32) ^ u64::from(std::process::id()),
    };
    Ok((shared, oldest))
}

/// Where the target is. If it is new, its beginning is durable before anything else happens, so
/// that `latest` stays what it was, whatever is logged from now on.
fn begin(log: &mut Log, start: Start, earliest: u64) -> Result<TargetState, LogError> {
    let mut state = log.target();
    if state.target.is_none() {
        let floor = match start {
            Start::Earliest => earliest,
            Start::Latest => log.next_sequence(),
        };
        let target = Target { target: KAFKA, cluster: "".into(), floor, producer: None };
        log.write_control(Control::Target(target.clone()))?;
        state.target = Some(target);
    } else if start == Start::Latest {
        tracing::info!(
            "kafka.start = \"latest\" counts only for a log that gets its first Kafka: delivery goes on where it was"
        );
    }
    Ok(state)
}

/// Sequences that are not known to be delivered, and not in the log any more.
fn gone(restored: &TargetState, earliest: u64) -> Option<Range<u64>> {
    Some(restored.floor()..earliest).filter(|gone| !gone.is_empty())
}

impl Running {
    /// What the log has done so far.
    pub fn stats(&self) -> LogStats {
        self.observer.stats()
    }

    /// The numbers of each hook, in the order of the rules, and of the target.
    pub fn status(&self) -> Status {
        self.observer.status()
    }

    /// Something that other threads can look with.
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// Ends the run. Call it when the cores have ended: their records are made durable first; then
    /// the sink goes on until it has delivered all, cannot reach Kafka, or `grace` is over, and
    /// writes how far it came; then the log is closed.
    ///
    /// # Errors
    /// The last records could not be written.
    pub fn stop(self, grace: Duration) -> Result<Summary, LogError> {
        let drained = self.log.drain();
        match self.sink.take() {
            Some(sink) if drained => sink.stop(grace),
            // A log that has ended makes nothing durable for a sink to wait for.
            Some(sink) => sink.abandon(),
            None => {}
        }
        self.log.stop()
    }
}

impl Observer {
    /// What the log has done so far.
    pub fn stats(&self) -> LogStats {
        self.inner.stats.lock().clone()
    }

    /// The numbers of each hook, in the order of the rules, and of the target. Hooks that are no
    /// longer configured and left records behind follow as one, named `(removed)`.
    pub fn status(&self) -> Status {
        let Inner { accounts, rules, left, sink, .. } = &*self.inner;
        // Before the balances: what is oldest must not be younger than what is counted.
        let (kafka, oldest) = sink.lock().as_ref().map(wire::Handle::status).unzip();
        let oldest = oldest.unwrap_or_default();
        let mut balances = accounts.balances();
        let oldest = |rule: u32, balance: &Balance| {
            // The sink knows what it has read; before anything is settled, it may not have read the oldest.
            let is_left = balance.waiting() > 0 && balance.delivered == 0 && balance.set_aside == 0;
            let left = left.get(&rule).copied().filter(|_| is_left);
            [oldest.get(&rule).copied().flatten(), left].into_iter().flatten().min()
        };
        let hook = |rule: &Rule| {
            let balance = balances.remove(&rule.id).unwrap_or_default();
            let oldest_ms = oldest(rule.id, &balance);
            hook_status(&rule.name, &rule.stream, balance, oldest_ms, accounts.target())
        };
        let mut hooks: Vec<HookStatus> = rules.iter().map(hook).collect();
        hooks.extend(removed(balances, &oldest, accounts.target()));
        Status { hooks, kafka }
    }
}

/// The hooks of earlier runs, if they left anything.
fn removed(
    balances: BTreeMap<u32, Balance>,
    oldest: &dyn Fn(u32, &Balance) -> Option<u64>,
    target: bool,
) -> Option<HookStatus> {
    let mut sum = Balance::default();
    let mut oldest_ms: Option<u64> = None;
    for (rule, balance) in balances {
        let times = [oldest_ms, oldest(rule, &balance)];
        oldest_ms = times.into_iter().flatten().min();
        sum += balance;
    }
    (sum != Balance::default()).then(|| hook_status(REMOVED, "", sum, oldest_ms, target))
}

fn hook_status(
    name: &str,
    stream: &str,
    balance: Balance,
    oldest_ms: Option<u64>,
    target: bool,
) -> HookStatus {
    HookStatus {
        name: name.to_owned(),
        stream: stream.to_owned(),
        backlog: balance.backlog,
        taken: balance.taken,
        durable: balance.durable,
        delivered: balance.delivered,
        set_aside: balance.set_aside,
        waiting: if target { balance.waiting() } else { 0 },
        waiting_bytes: balance.waiting_bytes,
        oldest_ms,
        retried: balance.retried,
        possibly_repeated: balance.possibly_repeated,
    }
}

#[cfg(test)]
mod tests;
