//! The log thread's work, step by step: takes the cores' batches and the sink's controls, lets the
//! writer make them durable, reports. Without a thread and without a clock: `thread` (or, in
//! simulations, `stepped`) says what time it is and sleeps.
//!
//! While the disk refuses, it keeps what it has taken, takes nothing more, and tries again every
//! second: the rings fill, the cores see no room and slow their clients, and everything goes on by
//! itself once a write succeeds. Controls still go through meanwhile where the writer finds space
//! for them, so that the sink can go on with what is durable. The other way round, controls that are
//! refused alone (their dead letters have a file of their own) wait and let the records pass.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

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

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Since the log was started; never steps back.
    pub mono: Duration,
    /// Unix milliseconds, for what is written.
    pub unix_ms: u64,
}

/// What is to be done after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next step, at once.
    Again,
    /// Nothing before this is over or the waker is called.
    Sleep(Duration),
    /// Nothing any more: the log is closed.
    End,
}

/// The log cannot write.
#[derive(Clone, Copy)]
struct Pause {
    /// When it tries again; `None`: the pause has yet to begin.
    until: Option<Duration>,
    /// Controls alone were refused, too.
    refused: bool,
}

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
    controls_again: Option<Duration>,
    /// A group is taken and not yet written, after so many failures in a row.
    writing: bool,
    failures: u32,
    pause: Option<Pause>,
    /// The ring to begin with, so that none is always first.
    next_core: usize,
    retained: Retained,
}

/// When files were looked at for deletion last, and with which floor.
struct Retained {
    at: Duration,
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
            writing: false,
            failures: 0,
            pause: None,
            next_core: 0,
            retained: Retained { at: Duration::ZERO, floor: None },
        }
    }

    /// Goes on until there is nothing to do, or one group has been written or refused. `now` is read
    /// before each step. After [`Next::Sleep`] call [`Worker::awake`] first.
    ///
    /// # Errors
    /// The cores have ended and their last records cannot be written.
    pub(super) fn step(&mut self, now: Now) -> Result<Next, LogError> {
        if let Some(pause) = self.pause.take()
            && let Some(sleep) = self.go_on_pausing(pause, now)
        {
            return Ok(sleep);
        }
        if !self.writing {
            self.tell_drained();
            self.retain(now);
            self.take_batches();
            self.take_controls();
            if self.taken.is_empty() && !self.controls_are_due(now) {
                if self.is_stopping() && self.rings_are_empty() {
                    self.writer.close()?;
                    return Ok(Next::End);
                }
                self.answer_asks();
                return Ok(self.rest(now));
            }
            self.writing = true;
            self.failures = 0;
        }
        self.write_group(now)?;
        Ok(Next::Again)
    }

    /// The sleep is over.
    pub(super) fn awake(&self) {
        self.shared.waker.awake();
    }

    /// What the run came to.
    pub(super) fn end(self) -> Summary {
        let stats = self.shared.stats.lock().clone();
        Summary { stats, next_sequence: self.writer.next_sequence() }
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
    fn controls_are_due(&self, now: Now) -> bool {
        let wait = self.controls_again.is_some_and(|again| now.mono < again);
        !self.controls.is_empty() && (!wait || self.is_stopping())
    }

    /// Until the records are durable and reported, and the controls too or put off; or a pause
    /// begins; or the stop has waited long enough.
    fn write_group(&mut self, now: Now) -> Result<(), LogError> {
        while !self.taken.is_empty() || self.controls_are_due(now) {
            let with_controls = self.controls_are_due(now);
            let Err(error) = self.append(with_controls, now) else { continue };
            self.failures = self.failures.saturating_add(1);
            if self.failures < ATTEMPTS || with_controls && self.goes_without_controls(&error, now) {
                continue;
            }
            if self.gives_up() {
                self.writing = false;
                return self.give_up(error);
            }
            if self.failures == ATTEMPTS {
                tracing::error!(%error, "the log cannot write; clients that feed it are slowed until it can");
            }
            // Begun by the next step, which knows the time after this failure.
            self.pause = Some(Pause { until: None, refused: false });
            return Ok(());
        }
        self.writing = false;
        if self.controls_again.is_none() {
            self.goes_on();
        }
        Ok(())
    }

    fn append(&mut self, with_controls: bool, now: Now) -> Result<(), LogError> {
        let first = self.writer.next_sequence();
        self.writer.set_floor(self.port.as_ref().map(|port| port.floor()));
        let controls = if with_controls { self.controls.as_slice() } else { &[] };
        self.writer.append_group(now.unix_ms, &self.taken, controls)?;
        if with_controls {
            self.controls.clear();
            self.controls_again = None;
        }
        self.report(first);
        Ok(())
    }

    /// Whether only the controls are refused: then they are put off, and the records written.
    fn goes_without_controls(&mut self, error: &LogError, now: Now) -> bool {
        if self.taken.is_empty() {
            if self.is_stopping() {
                return false;
            }
            if self.write_controls(now) {
                return true;
            }
        } else if self.append(false, now).is_err() {
            return false;
        }
        let paused = std::mem::replace(&mut self.shared.stats.lock().paused, true);
        if !paused {
            tracing::error!(%error, "the log cannot write how far delivery is; nothing new goes to Kafka until it can");
        }
        self.controls_again = now.mono.checked_add(RETRY_EVERY);
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

    /// Until it is time to try again, or nobody waits any more (`None`).
    fn go_on_pausing(&mut self, pause: Pause, now: Now) -> Option<Next> {
        let Pause { until, mut refused } = pause;
        let until = until.unwrap_or_else(|| {
            self.shared.stats.lock().paused = true;
            self.writer.retain(now.unix_ms);
            refused = !self.write_controls(now);
            now.mono.saturating_add(RETRY_EVERY)
        });
        while !self.gives_up() {
            self.tell_drained();
            // A token from an earlier wake-up only shortens the sleep, not the pause.
            let left = until.saturating_sub(now.mono);
            if left.is_zero() {
                break;
            }
            if !refused && self.has_controls() {
                refused = !self.write_controls(now);
                continue;
            }
            self.shared.waker.going_to_sleep();
            // The sink gives back room meanwhile; a core that asks too late for its word asks us.
            self.answer_asks();
            if (refused || !self.has_controls()) && !self.gives_up() {
                self.pause = Some(Pause { until: Some(until), refused });
                return Some(Next::Sleep(left));
            }
            self.awake();
        }
        None
    }

    /// Writes the controls alone, while records are refused. Returns whether they are durable.
    fn write_controls(&mut self, now: Now) -> bool {
        self.take_controls();
        let Some(port) = &self.port else { return true };
        if self.controls.is_empty() {
            return true;
        }
        self.writer.set_floor(Some(port.floor()));
        if self.writer.append_controls(now.unix_ms, &self.controls).is_err() {
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
    fn retain(&mut self, now: Now) {
        let floor = self.port.as_ref().map(|port| port.floor());
        let elapsed = now.mono.saturating_sub(self.retained.at);
        if elapsed < self.retain_every(floor) {
            return;
        }
        self.writer.set_floor(floor);
        self.writer.retain(now.unix_ms);
        self.retained = Retained { at: now.mono, floor };
    }

    fn retain_every(&self, floor: Option<u64>) -> Duration {
        if floor == self.retained.floor { LogWriter::RETAIN_EVERY } else { FLOOR_EVERY }
    }

    /// Says that it is about to sleep, and looks once more whether it may.
    fn rest(&self, now: Now) -> Next {
        self.shared.waker.going_to_sleep();
        let work = !self.rings_are_empty() || self.has_controls() || self.drained() || self.is_stopping();
        // An ask may have come between the last answer and the flag.
        self.answer_asks();
        if work {
            self.awake();
            return Next::Again;
        }
        let retain = self.retain_every(self.port.as_ref().map(|port| port.floor()));
        let again = self.controls_again.map(|again| again.saturating_sub(now.mono));
        Next::Sleep(again.map_or(retain, |again| again.min(retain)))
    }
}
