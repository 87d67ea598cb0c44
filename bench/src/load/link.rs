//! What threads of the engine know of each other: orders to a worker, reports from it, deliveries of streams that
//! another worker sends. With one thread none of this is on the way of a message.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mio::Waker;

use super::account::Once;
use super::latency::Times;
use super::{Phase, Tally};

/// The door of one worker.
pub(super) struct Link {
    waker: Waker,
    /// It sleeps, or is about to: who brings something has to wake it.
    asleep: AtomicBool,
    orders: Mutex<Vec<Order>>,
    /// Deliveries of its streams at other workers: `(stream, how many)`.
    deliveries: Mutex<Vec<(u32, u32)>>,
    pub(super) progress: Progress,
}

/// What the one who started the workers tells them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// Messages flow from `start`, are measured from `measure` and end at `end` (ns).
    Start { start: u64, measure: u64, end: u64 },
    /// No more messages; wait for what is under way.
    Drain,
    /// Close all connections and report.
    Finish,
}

/// What workers tell.
pub(super) enum Report {
    /// All connections are ready or have failed.
    Connected {
        ready: u64,
        failed: u64,
    },
    Sample(Part),
    Done(Box<Account>),
}

/// A worker's part of a sample.
pub(super) struct Part {
    pub(super) phase: Phase,
    /// Number of the interval in its phase.
    pub(super) number: u64,
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) counters: Counters,
    pub(super) connections: u64,
    pub(super) times: Times,
}

/// What a worker has counted in the end.
pub(super) struct Account {
    /// All but `arrived`, which needs the workers' `once` put together.
    pub(super) tally: Tally,
    /// By stream: distinct deliveries at subscribers of this worker, but for shared subscriptions.
    pub(super) arrived: Vec<u64>,
    /// By shared subscription and stream.
    pub(super) once: Vec<Once>,
    /// What each of `once` is, the same in all workers: a number for who hears it, and the stream.
    pub(super) once_keys: Vec<(usize, usize)>,
    pub(super) first_connect: u64,
    pub(super) last_ready: u64,
}

/// Sums since the start, of which intervals are differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) delivered: u64,
    pub(super) payload_sent: u64,
    pub(super) payload_delivered: u64,
    pub(super) errors: u64,
}

impl Counters {
    pub(super) fn since(&self, before: &Counters) -> Counters {
        Counters {
            sent: self.sent - before.sent,
            acknowledged: self.acknowledged - before.acknowledged,
            delivered: self.delivered - before.delivered,
            payload_sent: self.payload_sent - before.payload_sent,
            payload_delivered: self.payload_delivered - before.payload_delivered,
            errors: self.errors - before.errors,
        }
    }

    pub(super) fn add(&mut self, other: &Counters) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.delivered += other.delivered;
        self.payload_sent += other.payload_sent;
        self.payload_delivered += other.payload_delivered;
        self.errors += other.errors;
    }
}

/// Whether anything is under way; written at the end of a turn when somebody waits for that.
#[derive(Default)]
pub(super) struct Progress {
    /// Deliveries in this process expected of what this worker sent.
    pub(super) expected: AtomicU64,
    /// Deliveries of this process's streams that came to this worker.
    pub(super) came: AtomicU64,
    /// Messages of this worker without their acknowledgement, and messages that are still to be sent.
    pub(super) open: AtomicU64,
    /// When something last came (ns).
    pub(super) last: AtomicU64,
    /// Turns of which the above is the end: changes while nothing may be concluded.
    pub(super) turns: AtomicU64,
}

impl Link {
    pub(super) fn new(waker: Waker) -> Link {
        Link {
            waker,
            asleep: AtomicBool::new(false),
            orders: Mutex::default(),
            deliveries: Mutex::default(),
            progress: Progress::default(),
        }
    }

    pub(super) fn order(&self, order: Order) {
        locked(&self.orders).push(order);
        self.wake();
    }

    /// Appends to a worker's deliveries what is in `batch`, and empties it.
    pub(super) fn deliver(&self, batch: &mut Vec<(u32, u32)>) {
        locked(&self.deliveries).append(batch);
        // The lock orders this behind the sleeper's look at what it guards, or before it.
        if self.asleep.swap(false, SeqCst) {
            self.wake();
        }
    }

    fn wake(&self) {
        // Fails only if the eventfd is closed, and then nobody waits.
        let _ = self.waker.wake();
    }

    pub(super) fn take_orders(&self) -> Vec<Order> {
        std::mem::take(&mut locked(&self.orders))
    }

    /// To be called before going to sleep; false: there is something to do.
    pub(super) fn may_sleep(&self) -> bool {
        self.asleep.store(true, SeqCst);
        locked(&self.deliveries).is_empty()
    }

    /// To be called after waking: swaps what has come for an empty list.
    pub(super) fn take_deliveries(&self, into: &mut Vec<(u32, u32)>) {
        self.asleep.store(false, Relaxed);
        std::mem::swap(&mut *locked(&self.deliveries), into);
    }
}

/// Nobody panics with a lock held; should one, what it guards is whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
