//! Starts the log thread and stops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use parking_lot::Mutex;

use super::port::Port;
use super::worker::Worker;
use super::{Log, LogError, LogStats, Summary};
use crate::accounts::Accounts;
use crate::ring::{self, Completion, Producer, Waker};

/// What the log thread and its handle share.
pub(super) struct Shared {
    pub(super) waker: Arc<Waker>,
    /// The cores have ended; the thread says when all they took is durable.
    pub(super) draining: AtomicBool,
    pub(super) stopping: AtomicBool,
    pub(super) stats: Arc<Mutex<LogStats>>,
}

/// The running log. Dropping it asks the thread to stop, without waiting for it.
pub struct LogHandle {
    shared: Arc<Shared>,
    /// Hears once the log is drained; its other end is gone when the thread is.
    drained: Receiver<()>,
    thread: Option<thread::JoinHandle<Result<Summary, LogError>>>,
}

impl Log {
    /// Spawns the log thread `millrace-log`, without a target; one producer for each of `cores`
    /// cores.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        self,
        cores: usize,
        completion: Arc<dyn Completion>,
    ) -> Result<(LogHandle, Vec<Producer>), LogError> {
        let accounts = Arc::new(Accounts::new(cores, false));
        self.start_with(cores, completion, &accounts, Arc::default(), None)
    }

    /// Spawns the log thread. `waker` is the one that `port` wakes it by.
    pub(crate) fn start_with(
        self,
        cores: usize,
        completion: Arc<dyn Completion>,
        accounts: &Arc<Accounts>,
        waker: Arc<Waker>,
        port: Option<Arc<Port>>,
    ) -> Result<(LogHandle, Vec<Producer>), LogError> {
        let (drain, drained) = mpsc::channel();
        let (worker, shared, producers, lock) =
            self.into_worker(cores, completion, accounts, waker, port, drain);
        let waker = Arc::clone(&shared.waker);
        let run = move || {
            // Held as long as anything can be written.
            let _lock = lock;
            super::thread::run(worker, &waker)
        };
        let thread =
            thread::Builder::new().name("millrace-log".into()).spawn(run).map_err(LogError::Thread)?;
        Ok((LogHandle { shared, drained, thread: Some(thread) }, producers))
    }

    /// What works, what it shares with its handle, the cores' ends of the rings, and the lock that
    /// is held as long as anything can be written.
    pub(super) fn into_worker(
        self,
        cores: usize,
        completion: Arc<dyn Completion>,
        accounts: &Arc<Accounts>,
        waker: Arc<Waker>,
        port: Option<Arc<Port>>,
        drain: Sender<()>,
    ) -> (Worker, Arc<Shared>, Vec<Producer>, Box<dyn Send>) {
        let limits = (self.ring_records, self.ring_bytes);
        let (producers, rings) =
            (0..cores).map(|core| ring::ring(core, limits, Arc::clone(&waker), Arc::clone(accounts))).unzip();
        let shared = Arc::new(Shared {
            waker,
            draining: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            stats: Arc::clone(&self.writer.stats),
        });
        let bytes_max = self.group_bytes_max;
        let of_worker = Arc::clone(&shared);
        let worker = Worker::new(self.writer, bytes_max, rings, completion, port, of_worker, drain);
        (worker, shared, producers, self.lock)
    }
}

impl LogHandle {
    /// Waits until everything the cores have flushed is durable and the log goes on, for the sink.
    /// Returns false if that did not come about: the medium refuses, and [`LogHandle::stop`] will
    /// say so. Call it when the cores have flushed for the last time.
    pub(crate) fn drain(&self) -> bool {
        self.shared.draining.store(true, Ordering::SeqCst);
        self.wake();
        self.drained.recv().is_ok()
    }

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

    /// The figures behind [`LogHandle::stats`].
    pub(crate) fn shared_stats(&self) -> Arc<Mutex<LogStats>> {
        Arc::clone(&self.shared.stats)
    }

    fn ask_to_stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
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
