//! A log without a thread, for simulations: its caller takes the steps and says what time it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use super::handle::Shared;
use super::worker::Worker;
pub use super::worker::{Next as Step, Now};
use super::{Log, LogError, LogStats};
use crate::accounts::Accounts;
use crate::ring::{Completion, Producer};
use crate::rule::Rule;

/// The running log.
pub struct SteppedLog {
    worker: Worker,
    shared: Arc<Shared>,
    /// Until when it sleeps, if nobody wakes it.
    asleep: Option<Duration>,
    ended: bool,
    _drained: Receiver<()>,
    _lock: Box<dyn Send>,
}

impl Log {
    /// As [`Log::start`], but nothing happens outside of [`SteppedLog::step`].
    pub fn start_stepped(
        self,
        cores: usize,
        completion: Arc<dyn Completion>,
        rules: &[Rule],
    ) -> (SteppedLog, Vec<Producer>) {
        let accounts = Arc::new(Accounts::new(cores, false));
        for rule in rules {
            (0..cores).for_each(|core| drop(accounts.account(core, rule.id, rule.to_kafka)));
        }
        let (drain, drained) = mpsc::channel();
        let (worker, shared, producers, lock) =
            self.into_worker(cores, completion, &accounts, Arc::default(), None, drain);
        let log = SteppedLog { worker, shared, asleep: None, ended: false, _drained: drained, _lock: lock };
        (log, producers)
    }
}

impl SteppedLog {
    /// Whether a step would do anything at this time: the thread would be running.
    pub fn is_awake(&self, mono: Duration) -> bool {
        !self.ended && self.asleep.is_none_or(|until| until <= mono || !self.shared.waker.is_asleep())
    }

    /// When it wakes by itself; `None` while it does not sleep.
    pub fn sleeps_until(&self) -> Option<Duration> {
        self.asleep
    }

    /// One step.
    ///
    /// # Errors
    /// The last records of a stop cannot be written.
    pub fn step(&mut self, now: Now) -> Result<Step, LogError> {
        if self.ended {
            return Ok(Step::End);
        }
        if self.asleep.take().is_some() {
            self.worker.awake();
        }
        let step = self.worker.step(now)?;
        match step {
            Step::Again => {}
            Step::Sleep(at_most) => self.asleep = Some(now.mono.saturating_add(at_most)),
            Step::End => self.ended = true,
        }
        Ok(step)
    }

    /// Asks it to write what is left and end.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.waker.wake();
    }

    /// What it has done so far.
    pub fn stats(&self) -> LogStats {
        self.shared.stats.lock().clone()
    }
}
