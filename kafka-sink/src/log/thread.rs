//! The log thread: takes the cores' batches, lets the writer make them durable, reports. The only
//! place in the log with a clock and a thread.
//!
//! While the disk refuses, it keeps what it has taken, takes nothing more, and tries again every
//! second: the rings fill, the cores see no room and slow their clients, and everything goes on by
//! itself once a write succeeds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::writer::LogWriter;
use super::{Log, LogError, LogStats, Summary};
use crate::ring::{self, AckToken, Batch, Completion, Producer, Ring, Waker};

/// Failed attempts in a row before the log pauses (and the operator hears of it), and before a
/// stop gives up.
const ATTEMPTS: u32 = 3;
const RETRY_EVERY: Duration = Duration::from_secs(1);

struct Shared {
    waker: Arc<Waker>,
    stopping: AtomicBool,
    stats: Arc<Mutex<LogStats>>,
}

/// The running log. Dropping it asks the thread to stop, without waiting for it.
pub struct LogHandle {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<Result<Summary, LogError>>>,
}

impl Log {
    /// Spawns the log thread `millrace-log`; one producer for each of `cores` cores.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        self,
        cores: usize,
        completion: Arc<dyn Completion>,
    ) -> Result<(LogHandle, Vec<Producer>), LogError> {
        let waker = Arc::<Waker>::default();
        let (producers, rings) =
            (0..cores).map(|_| ring::ring(self.ring_records, self.ring_bytes, Arc::clone(&waker))).unzip();
        let shared = Arc::new(Shared {
            waker,
            stopping: AtomicBool::new(false),
            stats: Arc::clone(&self.writer.stats),
        });
        let worker = Worker {
            writer: self.writer,
            group_bytes_max: self.group_bytes_max,
            rings,
            completion,
            shared: Arc::clone(&shared),
            taken: Vec::new(),
            cores: Vec::new(),
            next_core: 0,
        };
        let lock = self.lock;
        let run = move || {
            // Held as long as anything can be written.
            let _lock = lock;
            worker.run()
        };
        let thread =
            thread::Builder::new().name("millrace-log".into()).spawn(run).map_err(LogError::Thread)?;
        Ok((LogHandle { shared, thread: Some(thread) }, producers))
    }
}

impl LogHandle {
    /// Drains the rings, writes and syncs what is left, and ends the run cleanly. Call it when the
    /// cores have flushed for the last time.
    ///
    /// # Errors
    /// The last records could not be written.
    pub fn stop(mut self) -> Result<Summary, LogError> {
        self.ask_to_stop();
        match self.thread.take().map(thread::JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) | None => Err(LogError::ThreadEnded),
        }
    }

    /// What the log has done so far.
    pub fn stats(&self) -> LogStats {
        self.shared.stats.lock().clone()
    }

    fn ask_to_stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for LogHandle {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

struct Worker {
    writer: LogWriter,
    group_bytes_max: usize,
    rings: Vec<Arc<Ring>>,
    completion: Arc<dyn Completion>,
    shared: Arc<Shared>,
    /// The batches of the group at hand, and which core each is of.
    taken: Vec<Batch>,
    cores: Vec<usize>,
    /// The ring to begin with, so that none is always first.
    next_core: usize,
}

impl Worker {
    fn run(mut self) -> Result<Summary, LogError> {
        self.shared.waker.register();
        let mut retained = Instant::now();
        loop {
            self.take_batches();
            if !self.taken.is_empty() {
                self.write_group()?;
                self.report();
            } else if self.shared.stopping.load(Ordering::SeqCst) && self.rings_are_empty() {
                break;
            } else {
                self.answer_asks();
                self.sleep();
            }
            if retained.elapsed() >= LogWriter::RETAIN_EVERY {
                self.writer.retain(unix_ms());
                retained = Instant::now();
            }
        }
        self.writer.close()?;
        let stats = self.shared.stats.lock().clone();
        Ok(Summary { stats, next_sequence: self.writer.next_sequence() })
    }

    fn rings_are_empty(&self) -> bool {
        self.rings.iter().all(|ring| ring.is_empty())
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

    /// Until the group is durable, or the stop has waited long enough.
    fn write_group(&mut self) -> Result<(), LogError> {
        let mut failures = 0u32;
        while let Err(error) = self.writer.append_group(unix_ms(), &self.taken, &[]) {
            failures = failures.saturating_add(1);
            if failures >= ATTEMPTS {
                if self.shared.stopping.load(Ordering::SeqCst) {
                    return Err(self.give_up(error));
                }
                self.pause(failures, &error);
            }
        }
        if failures > 0 {
            self.shared.stats.lock().paused = false;
            tracing::info!(failures, "the log writes again");
        }
        Ok(())
    }

    fn pause(&mut self, failures: u32, error: &LogError) {
        if failures == ATTEMPTS {
            tracing::error!(%error, "the log cannot write; clients that feed it are slowed until it can");
        }
        self.shared.stats.lock().paused = true;
        self.writer.retain(unix_ms());
        // A token from an earlier wake-up only shortens the wait; a loop would turn without pause.
        let until = Instant::now() + RETRY_EVERY;
        while !self.shared.stopping.load(Ordering::SeqCst) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
    }

    fn give_up(&mut self, error: LogError) -> LogError {
        let waiting: u64 = self.rings.iter().map(|ring| ring.waiting().0).sum();
        LogError::Unwritten { records: waiting, last: Box::new(error) }
    }

    /// The group is durable: tokens first, then the room.
    fn report(&mut self) {
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
        for (batch, core) in self.taken.drain(..).zip(self.cores.drain(..)) {
            if let Some(ring) = self.rings.get(core) {
                ring.release(batch);
            }
        }
        self.answer_asks();
    }

    fn answer_asks(&self) {
        for (core, ring) in self.rings.iter().enumerate() {
            if ring.take_room() {
                self.completion.room(core);
            }
        }
    }

    fn sleep(&self) {
        self.shared.waker.going_to_sleep();
        let work = !self.rings_are_empty() || self.shared.stopping.load(Ordering::SeqCst);
        // An ask may have come between the last answer and the flag.
        self.answer_asks();
        if !work {
            thread::park_timeout(LogWriter::RETAIN_EVERY);
        }
        self.shared.waker.awake();
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
