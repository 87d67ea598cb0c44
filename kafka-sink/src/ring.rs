//! The way of records from a core to the log thread.
//!
//! One [`Producer`] a core, one log thread for all. A core encodes each record once into its
//! current batch and hands the batch over once a turn, so a record costs no lock, no atomic
//! read-modify-write and, in the steady state, no allocation. Bounded in records and bytes;
//! what was accepted is given back to the core when it is durable.
//!
//! Nothing here may wait: a core never waits for a disk.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::thread::Thread;
use std::time::Duration;

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;

use crate::event::Event;
use crate::log::entry;
use crate::rule::Rule;

/// What the core wants back once a record is durable. Opaque to this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AckToken {
    /// The slot of the connection or session.
    pub slot: u32,
    /// Distinguishes successive users of a slot.
    pub generation: u32,
    /// The place in that connection's order of acknowledgements.
    pub sequence: u32,
}

/// How the log thread speaks to the cores. Called on the log thread; must not block, and wakes
/// the core itself.
pub trait Completion: Send + Sync + 'static {
    /// The records of `tokens` are durable; in the order in which `core` appended them.
    fn durable(&self, core: usize, tokens: Vec<AckToken>);
    /// There is room again for `core`, which asked by [`Producer::want_room`] or
    /// [`Producer::want_room_for`] (or whose ring could not take a flushed batch).
    fn room(&self, core: usize);
}

/// Most bytes of a batch buffer that is kept for use again.
const BUFFER_KEPT_BYTES_MAX: usize = 512 * 1024;
/// Batches one ring can hold; a turn makes at most one.
const BATCHES: usize = 1024;
/// Empty batches kept for use again.
const BATCHES_KEPT: usize = 16;

/// The records of one core's turn: entries as [`entry::append_record`] lays them out, not yet numbered.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: u32,
    pub(crate) tokens: Vec<AckToken>,
    release: Vec<(Arc<Credit>, u64)>,
}

impl Batch {
    pub(crate) fn append(&mut self, rule: &Rule, event: &Event<'_>, token: Option<AckToken>) {
        entry::append_record(&mut self.bytes, rule, event);
        self.records = self.records.saturating_add(1);
        self.tokens.extend(token);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.records = 0;
        self.tokens.clear();
        self.release.clear();
    }
}

/// Counters that one side writes and both read; they only grow.
#[derive(Default)]
struct Totals {
    records: AtomicU64,
    bytes: AtomicU64,
}

/// The bytes of one rule on one core: accepted by the producer, released by the log thread.
#[derive(Default)]
struct Credit {
    accepted: AtomicU64,
    released: AtomicU64,
    /// The core waits until `released` reaches this; `u64::MAX` when it does not wait.
    room_at: AtomicU64,
}

impl Credit {
    fn waiting(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed).saturating_sub(self.released.load(Ordering::Acquire))
    }

    /// Whether the core asked for room and it is there now; asks are answered once.
    fn take_room(&self) -> bool {
        let at = self.room_at.load(Ordering::SeqCst);
        at != u64::MAX
            && self.released.load(Ordering::SeqCst) >= at
            && self.room_at.swap(u64::MAX, Ordering::SeqCst) != u64::MAX
    }
}

/// Wakes the log thread, at the price of a system call only when it sleeps.
#[derive(Default)]
pub(crate) struct Waker {
    sleeping: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Waker {
    /// Called once by the log thread, before it sleeps for the first time.
    pub(crate) fn register(&self) {
        let _ = self.thread.set(std::thread::current());
    }

    /// The log thread says it is about to sleep. It must look at every ring once more after this.
    pub(crate) fn going_to_sleep(&self) {
        self.sleeping.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    pub(crate) fn awake(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }

    pub(crate) fn wake(&self) {
        // Pairs with `going_to_sleep`: either we see the flag, or the sleeper sees our push.
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed)
            && self.sleeping.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

/// What a producer and the log thread share.
pub(crate) struct Ring {
    queue: ArrayQueue<Batch>,
    kept: ArrayQueue<Batch>,
    records_max: u64,
    bytes_max: u64,
    appended: CachePadded<Totals>,
    released: CachePadded<Totals>,
    room_wanted: AtomicBool,
    room_due: AtomicBool,
    /// A flushed batch found no place in the queue. What it holds counts as waiting, so the half
    /// that `room_wanted` waits for may not get free before it has one.
    place_wanted: AtomicBool,
}

impl Ring {
    fn new(records_max: usize, bytes_max: usize) -> Ring {
        Ring {
            queue: ArrayQueue::new(BATCHES),
            kept: ArrayQueue::new(BATCHES_KEPT),
            records_max: records_max as u64,
            bytes_max: bytes_max as u64,
            appended: CachePadded::default(),
            released: CachePadded::default(),
            room_wanted: AtomicBool::new(false),
            room_due: AtomicBool::new(false),
            place_wanted: AtomicBool::new(false),
        }
    }

    /// Records and bytes accepted and not yet durable.
    pub(crate) fn waiting(&self) -> (u64, u64) {
        let records = self.released.records.load(Ordering::Acquire);
        let bytes = self.released.bytes.load(Ordering::Acquire);
        (
            self.appended.records.load(Ordering::Acquire).saturating_sub(records),
            self.appended.bytes.load(Ordering::Acquire).saturating_sub(bytes),
        )
    }

    /// Log thread: the next batch, in the core's order.
    pub(crate) fn pop(&self) -> Option<Batch> {
        self.queue.pop()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Log thread: the batch is durable. Gives back its room and keeps its buffers for use again.
    /// Answer [`Ring::take_room`] afterwards.
    pub(crate) fn release(&self, mut batch: Batch) {
        for (credit, bytes) in batch.release.drain(..) {
            credit.released.fetch_add(bytes, Ordering::SeqCst);
            if credit.take_room() {
                self.room_due.store(true, Ordering::SeqCst);
            }
        }
        self.released.records.fetch_add(u64::from(batch.records), Ordering::SeqCst);
        self.released.bytes.fetch_add(batch.bytes.len() as u64, Ordering::SeqCst);
        batch.clear();
        if batch.bytes.capacity() <= BUFFER_KEPT_BYTES_MAX {
            // A full queue of spares means this one is not needed.
            let _ = self.kept.push(batch);
        }
    }

    /// Log thread: whether the core is to be told that there is room. True once for each ask.
    pub(crate) fn take_room(&self) -> bool {
        let due = self.room_due.load(Ordering::SeqCst) && self.room_due.swap(false, Ordering::SeqCst);
        let wanted = self.room_wanted.load(Ordering::SeqCst)
            && self.is_half_free()
            && self.room_wanted.swap(false, Ordering::SeqCst);
        let place = self.place_wanted.load(Ordering::SeqCst)
            && self.has_places()
            && self.place_wanted.swap(false, Ordering::SeqCst);
        due || wanted || place
    }

    fn has_places(&self) -> bool {
        self.queue.len() <= BATCHES / 2
    }

    fn is_half_free(&self) -> bool {
        let (records, bytes) = self.waiting();
        records <= self.records_max / 2 && bytes <= self.bytes_max / 2 && self.has_places()
    }
}

/// A core's end of its ring. `Send`, but used by that core's thread only.
pub struct Producer {
    ring: Arc<Ring>,
    waker: Arc<Waker>,
    batch: Batch,
    /// Sorted by rule id; grows with the rules seen.
    credits: Vec<RuleCredit>,
    appended_records: u64,
    appended_bytes: u64,
    /// The queue could not take the batch at the last flush.
    stalled: bool,
    exceeded: u64,
}

struct RuleCredit {
    rule: u32,
    credit: Arc<Credit>,
    /// Accepted since the last flush.
    unflushed: u64,
}

/// A producer and the log thread's view of its ring.
pub(crate) fn ring(records_max: usize, bytes_max: usize, waker: Arc<Waker>) -> (Producer, Arc<Ring>) {
    let ring = Arc::new(Ring::new(records_max, bytes_max));
    let producer = Producer {
        ring: Arc::clone(&ring),
        waker,
        batch: Batch::default(),
        credits: Vec::new(),
        appended_records: 0,
        appended_bytes: 0,
        stalled: false,
        exceeded: 0,
    };
    (producer, ring)
}

impl Producer {
    /// Bytes the record of `event` takes on the ring and in the log.
    pub fn record_len(event: &Event<'_>, rule: &Rule) -> usize {
        entry::record_len(event, rule)
    }

    /// Whether `records` records of together `bytes` bytes (the sum of [`Producer::record_len`])
    /// may be appended now. The answer stays true until this core appends: nobody else takes room,
    /// so asking is an admission. An empty ring has room for anything, else a record larger than
    /// the ring would wait for ever.
    pub fn has_room(&self, records: usize, bytes: usize) -> bool {
        let waiting_records =
            self.appended_records.saturating_sub(self.ring.released.records.load(Ordering::Acquire));
        let waiting_bytes =
            self.appended_bytes.saturating_sub(self.ring.released.bytes.load(Ordering::Acquire));
        if self.stalled {
            return false;
        }
        waiting_records == 0
            || (waiting_records.saturating_add(records as u64) <= self.ring.records_max
                && waiting_bytes.saturating_add(bytes as u64) <= self.ring.bytes_max)
    }

    /// Whether `rule` may have `bytes` more waiting: its own limit, whatever room the ring has.
    /// Stable like [`Producer::has_room`]; a rule with nothing waiting has room for anything.
    pub fn has_room_for(&self, rule: &Rule, bytes: usize) -> bool {
        let waiting = self.credit(rule.id).map_or(0, |slot| slot.credit.waiting());
        waiting == 0 || waiting.saturating_add(bytes as u64) <= rule.waiting_bytes_max
    }

    /// Takes a record. Infallible: what may be refused asks [`Producer::has_room`] and
    /// [`Producer::has_room_for`] first, what may not (the end of a connection) may exceed the
    /// room, which is counted in [`Producer::exceeded`]. `token` comes back by
    /// [`Completion::durable`].
    pub fn append(&mut self, rule: &Rule, event: &Event<'_>, token: Option<AckToken>) {
        let before = self.batch.bytes.len();
        self.batch.append(rule, event, token);
        let bytes = self.batch.bytes.len().saturating_sub(before);
        if !self.has_room(1, bytes) || !self.has_room_for(rule, bytes) {
            self.exceeded = self.exceeded.saturating_add(1);
        }
        self.appended_records = self.appended_records.wrapping_add(1);
        self.appended_bytes = self.appended_bytes.wrapping_add(bytes as u64);
        self.ring.appended.records.store(self.appended_records, Ordering::Relaxed);
        self.ring.appended.bytes.store(self.appended_bytes, Ordering::Release);
        let slot = self.credit_mut(rule.id);
        slot.unflushed = slot.unflushed.saturating_add(bytes as u64);
        let accepted = slot.credit.accepted.load(Ordering::Relaxed).wrapping_add(bytes as u64);
        slot.credit.accepted.store(accepted, Ordering::Relaxed);
    }

    /// Hands this turn's records to the log thread; once a turn. Does nothing without records.
    /// If the ring has no place for another batch, the batch stays, [`Producer::has_room`] says
    /// no, and [`Completion::room`] follows: flush again then.
    pub fn flush(&mut self) {
        if self.batch.records == 0 {
            return;
        }
        for slot in self.credits.iter_mut().filter(|slot| slot.unflushed > 0) {
            self.batch.release.push((Arc::clone(&slot.credit), slot.unflushed));
            slot.unflushed = 0;
        }
        let spare = self.ring.kept.pop().unwrap_or_default();
        let batch = std::mem::replace(&mut self.batch, spare);
        match self.ring.queue.push(batch) {
            Ok(()) => self.stalled = false,
            Err(batch) => {
                let spare = std::mem::replace(&mut self.batch, batch);
                let _ = self.ring.kept.push(spare);
                self.stalled = true;
                self.ring.place_wanted.store(true, Ordering::SeqCst);
            }
        }
        self.waker.wake();
    }

    /// Asks for [`Completion::room`] once at least half of the ring is free. Asking twice is one ask.
    pub fn want_room(&mut self) {
        self.ring.room_wanted.store(true, Ordering::SeqCst);
        // The log thread may have released everything before it could see the ask.
        self.waker.wake();
    }

    /// Asks for [`Completion::room`] once at least half of what `rule` may have waiting is free.
    pub fn want_room_for(&mut self, rule: &Rule) {
        let half = rule.waiting_bytes_max / 2;
        let slot = self.credit_mut(rule.id);
        let accepted = slot.credit.accepted.load(Ordering::Relaxed);
        slot.credit.room_at.store(accepted.saturating_sub(half), Ordering::SeqCst);
        if slot.credit.take_room() {
            self.ring.room_due.store(true, Ordering::SeqCst);
        }
        self.waker.wake();
    }

    /// Records appended although there was no room for them.
    pub fn exceeded(&self) -> u64 {
        self.exceeded
    }

    /// Records and bytes accepted from this core and not yet durable.
    pub fn waiting(&self) -> (u64, u64) {
        self.ring.waiting()
    }

    fn credit(&self, rule: u32) -> Option<&RuleCredit> {
        let at = self.credits.binary_search_by_key(&rule, |slot| slot.rule).ok()?;
        self.credits.get(at)
    }

    fn credit_mut(&mut self, rule: u32) -> &mut RuleCredit {
        #[expect(clippy::indexing_slicing, reason = "found there, or put there just now")]
        match self.credits.binary_search_by_key(&rule, |slot| slot.rule) {
            Ok(at) => &mut self.credits[at],
            Err(at) => {
                let credit = Credit { room_at: AtomicU64::new(u64::MAX), ..Credit::default() };
                self.credits.insert(at, RuleCredit { rule, credit: Arc::new(credit), unflushed: 0 });
                &mut self.credits[at]
            }
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // Records without a token (a last `client.disconnected`) should not die with the core. It
        // has ended, so it may wait a little for a place in the queue.
        for _ in 0..100 {
            self.flush();
            if self.batch.records == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        tracing::warn!(records = self.batch.records, "the log took no more records of a core that ended");
    }
}

#[cfg(test)]
mod tests;
