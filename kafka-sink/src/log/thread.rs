//! The log thread: takes the cores' batches and the sink's controls, lets the writer make them
//! durable, reports. The only place in the log with a clock and a thread.
//!
//! While the disk refuses, it keeps what it has taken, takes nothing more, and tries again every
//! second: the rings fill, the cores see no room and slow their clients, and everything goes on by
//! itself once a write succeeds. Controls still go through meanwhile where the writer finds space
//! for them, so that the sink can go on with what is durable. The other way round, controls that are
//! refused alone (their dead letters have a file of their own) wait and let the records pass.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::control::Control;
use super::handle::Shared;
use super::port::{Awaited, Group, Port};
use super::writer::LogWriter;
use super::{LogError, Summary};
use crate::ring::{AckToken, Batch, Completion, Ring};

/// Failed attempts in a row before the log pauses (and the operator hears of it), and before a
/// stop gives up.
const ATTEMPTS: u32 = 3;
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How often the target's floor may make the log look for files to delete.
const FLOOR_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    writer: LogWriter,
    group_bytes_max: usize,
    rings: Vec<Arc<Ring>>,
    completion: Arc<dyn Completion>,
    /// To the sink, if there is a target.
    port: Option<Arc<Port>>,
    shared: Arc<Shared>,
    /// Told once when everything is durable and the cores have ended.
    drain: Option<Sender<()>>,
    /// The batches of the group at hand, and which core each is of.
    taken: Vec<Batch>,
    cores: Vec<usize>,
    /// The controls of the group at hand, and the ticket that is durable once they are.
    controls: Vec<Control>,
    ticket: u64,
    /// The controls were refused and are not tried again before this.
    controls_again: Option<Instant>,
    /// The ring to begin with, so that none is always first.
    next_core: usize,
    retained: Retained,
}

/// When files were looked at for deletion last, and with which floor.
struct Retained {
    at: Instant,
    floor: Option<u64>,
}

impl Worker {
    pub(super) fn new(
        writer: LogWriter,
        group_bytes_max: usize,
        rings: Vec<Arc<Ring>>,
        completion: Arc<dyn Completion>,
        port: Option<Arc<Port>>,
        shared: Arc<Shared>,
        drain: Sender<()>,
    ) -> Worker {
        Worker {
            writer,
            group_bytes_max,
            rings,
            completion,
            port,
            shared,
            drain: Some(drain),
            taken: Vec::new(),
            cores: Vec::new(),
            controls: Vec::new(),
            ticket: 0,
            controls_again: None,
            next_core: 0,
            retained: Retained { at: Instant::now(), floor: None },
        }
    }

    pub(super) fn run(mut self) -> Result<Summary, LogError> {
        self.shared.waker.register();
        loop {
            self.take_batches();
            self.take_controls();
            if !self.taken.is_empty() || self.controls_are_due() {
                self.write_group()?;
            } else if self.is_stopping() && self.rings_are_empty() {
                break;
            } else {
                self.answer_asks();
                self.sleep();
            }
            self.tell_drained();
            self.retain();
        }
        self.writer.close()?;
        let stats = self.shared.stats.lock().clone();
        Ok(Summary { stats, next_sequence: self.writer.next_sequence() })
    }

    fn rings_are_empty(&self) -> bool {
        self.rings.iter().all(|ring| ring.is_empty())
    }

    /// Whether it is to be told that all records are durable. Controls may be left: the sink goes on.
    fn drained(&self) -> bool {
        self.drain.is_some()
            && self.taken.is_empty()
            && self.shared.draining.load(Ordering::SeqCst)
            && self.rings_are_empty()
    }

    fn tell_drained(&mut self) {
        if self.drained()
            && let Some(drain) = self.drain.take()
        {
            let _ = drain.send(());
        }
    }

    fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::SeqCst)
    }

    /// The cores have ended: nobody is left who could wait until the medium takes their records.
    fn is_ending(&self) -> bool {
        self.is_stopping() || self.shared.draining.load(Ordering::SeqCst)
    }

    /// One batch of each ring in turn, until the group is large enough or all rings are empty.
    fn take_batches(&mut self) {
        let cores = self.rings.len();
        let mut bytes = 0;
        let mut idle = 0;
        while idle < cores && bytes < self.group_bytes_max {
            let core = self.next_core.checked_rem(cores).unwrap_or(0);
            self.next_core = core + 1;
            match self.rings.get(core).and_then(|ring| ring.pop()) {
                None => idle += 1,
                Some(batch) => {
                    idle = 0;
                    bytes += batch.bytes.len();
                    self.taken.push(batch);
                    self.cores.push(core);
                }
            }
        }
    }

    /// Adds what the sink has submitted.
    fn take_controls(&mut self) {
        let Some(port) = &self.port else { return };
        let (mut controls, ticket) = port.take_controls();
        self.controls.append(&mut controls);
        self.ticket = ticket;
    }

    /// Controls that were refused wait a while, but not once the sink has ended.
    fn controls_are_due(&self) -> bool {
        let wait = self.controls_again.is_some_and(|again| Instant::now() < again);
        !self.controls.is_empty() && (!wait || self.is_stopping())
    }

    /// Until the records are durable and reported, and the controls too or put off; or the stop has
    /// waited long enough.
    fn write_group(&mut self) -> Result<(), LogError> {
        let mut failures = 0u32;
        while !self.taken.is_empty() || self.controls_are_due() {
            let with_controls = self.controls_are_due();
            match self.append(with_controls) {
                Ok(()) => {}
                Err(error) => {
                    failures = failures.saturating_add(1);
                    if failures < ATTEMPTS || with_controls && self.goes_without_controls(&error) {
                        continue;
                    }
                    if self.gives_up() {
                        return self.give_up(error);
                    }
                    self.pause(failures, &error);
                }
            }
        }
        if self.controls_again.is_none() {
            self.goes_on();
        }
        Ok(())
    }

    fn append(&mut self, with_controls: bool) -> Result<(), LogError> {
        let first = self.writer.next_sequence();
        self.writer.set_floor(self.port.as_ref().map(|port| port.floor()));
        let controls = if with_controls { self.controls.as_slice() } else { &[] };
        self.writer.append_group(unix_ms(), &self.taken, controls)?;
        if with_controls {
            self.controls.clear();
            self.controls_again = None;
        }
        self.report(first);
        Ok(())
    }

    /// Whether only the controls are refused: then they are put off, and the records written.
    fn goes_without_controls(&mut self, error: &LogError) -> bool {
        if self.taken.is_empty() {
            if self.is_stopping() {
                return false;
            }
            if self.write_controls() {
                return true;
            }
        } else if self.append(false).is_err() {
            return false;
        }
        let paused = std::mem::replace(&mut self.shared.stats.lock().paused, true);
        if !paused {
            tracing::error!(%error, "the log cannot write how far delivery is; nothing new goes to Kafka until it can");
        }
        self.controls_again = Instant::now().checked_add(RETRY_EVERY);
        true
    }

    fn goes_on(&self) {
        if std::mem::take(&mut self.shared.stats.lock().paused) {
            tracing::info!("the log writes again");
        }
    }

    /// Records are given up once the cores have ended, also those that stand behind controls which
    /// are refused; controls once the sink has.
    fn gives_up(&self) -> bool {
        let no_records = self.taken.is_empty() && self.rings_are_empty();
        self.is_stopping() || self.is_ending() && !no_records
    }

    fn give_up(&mut self, error: LogError) -> Result<(), LogError> {
        let records: u64 = self.rings.iter().map(|ring| ring.waiting().0).sum();
        if records > 0 {
            return Err(LogError::Unwritten { records, last: Box::new(error) });
        }
        // The next start asks Kafka what became of the batches that were on their way.
        tracing::warn!(%error, "how far the sink came could not be written; the next start finds out");
        self.controls.clear();
        Ok(())
    }

    fn pause(&mut self, failures: u32, error: &LogError) {
        if failures == ATTEMPTS {
            tracing::error!(%error, "the log cannot write; clients that feed it are slowed until it can");
        }
        self.shared.stats.lock().paused = true;
        self.writer.retain(unix_ms());
        let mut refused = !self.write_controls();
        // A token from an earlier wake-up only shortens the wait; a loop would turn without pause.
        let until = Instant::now() + RETRY_EVERY;
        while !self.gives_up() {
            self.tell_drained();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if !refused && self.has_controls() {
                refused = !self.write_controls();
                continue;
            }
            self.shared.waker.going_to_sleep();
            // The sink gives back room meanwhile; a core that asks too late for its word asks us.
            self.answer_asks();
            if refused || !self.has_controls() {
                thread::park_timeout(left);
            }
            self.shared.waker.awake();
        }
    }

    /// Writes the controls alone, while records are refused. Returns whether they are durable.
    fn write_controls(&mut self) -> bool {
        self.take_controls();
        let Some(port) = &self.port else { return true };
        if self.controls.is_empty() {
            return true;
        }
        self.writer.set_floor(Some(port.floor()));
        if self.writer.append_controls(unix_ms(), &self.controls).is_err() {
            return false;
        }
        self.controls.clear();
        self.controls_again = None;
        port.publish(None, [], self.writer.next_sequence(), self.ticket);
        true
    }

    fn has_controls(&self) -> bool {
        self.port.as_ref().is_some_and(|port| port.has_controls())
    }

    /// The group is durable: tokens first, then the room, then the sink, which so never delivers
    /// what is not yet counted as durable. `first`: the sequence of its first record.
    fn report(&mut self, first: u64) {
        for core in 0..self.rings.len() {
            let mut tokens: Vec<AckToken> = Vec::new();
            for (batch, _) in self.taken.iter_mut().zip(&self.cores).filter(|(_, of)| **of == core) {
                if tokens.is_empty() {
                    tokens = std::mem::take(&mut batch.tokens);
                } else {
                    tokens.append(&mut batch.tokens);
                }
            }
            if !tokens.is_empty() {
                self.completion.durable(core, tokens);
            }
        }
        let awaited = self.awaited(first);
        for (batch, core) in self.taken.drain(..).zip(self.cores.drain(..)) {
            if let Some(ring) = self.rings.get(core) {
                ring.release(batch);
            }
        }
        self.publish(awaited);
        self.answer_asks();
    }

    /// The records whose publishers wait for Kafka, with the sequences they got.
    fn awaited(&self, first: u64) -> Vec<Awaited> {
        let mut awaited = Vec::new();
        let mut base = first;
        for (batch, &core) in self.taken.iter().zip(&self.cores) {
            let core = u8::try_from(core).unwrap_or(u8::MAX);
            let of_batch = batch.awaited.iter().map(|&(index, token)| {
                let sequence = base.saturating_add(u64::from(index));
                Awaited { sequence, core, token }
            });
            awaited.extend(of_batch);
            base = base.saturating_add(u64::from(batch.records));
        }
        awaited
    }

    /// Hands the group to the sink, unless the sink is too far behind to keep it in memory.
    fn publish(&self, awaited: Vec<Awaited>) {
        let Some(port) = &self.port else { return };
        let last = self.writer.last_group();
        let wanted = !last.sequences.is_empty() && port.wants(last.body.len());
        let group = wanted.then(|| {
            let body = last.body.to_vec();
            Arc::new(Group::new(last.segment_id, last.node, last.sequences, body, port.budget()))
        });
        // Those that are put off are not durable, whatever their records are.
        let ticket = if self.controls.is_empty() { self.ticket } else { 0 };
        port.publish(group, awaited, self.writer.next_sequence(), ticket);
    }

    fn answer_asks(&self) {
        for (core, ring) in self.rings.iter().enumerate() {
            if ring.take_room() {
                self.completion.room(core);
            }
        }
    }

    /// Deletes files now and then; with a target, soon after its floor has moved.
    fn retain(&mut self) {
        let floor = self.port.as_ref().map(|port| port.floor());
        let elapsed = self.retained.at.elapsed();
        if elapsed < self.retain_every(floor) {
            return;
        }
        self.writer.set_floor(floor);
        self.writer.retain(unix_ms());
        self.retained = Retained { at: Instant::now(), floor };
    }

    fn retain_every(&self, floor: Option<u64>) -> Duration {
        if floor == self.retained.floor { LogWriter::RETAIN_EVERY } else { FLOOR_EVERY }
    }

    fn sleep(&self) {
        self.shared.waker.going_to_sleep();
        let work = !self.rings_are_empty() || self.has_controls() || self.drained() || self.is_stopping();
        // An ask may have come between the last answer and the flag.
        self.answer_asks();
        if !work {
            let retain = self.retain_every(self.port.as_ref().map(|port| port.floor()));
            let again = self.controls_again.map(|again| again.saturating_duration_since(Instant::now()));
            thread::park_timeout(again.map_or(retain, |again| again.min(retain)));
        }
        self.shared.waker.awake();
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
