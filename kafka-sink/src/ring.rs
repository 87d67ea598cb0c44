//! The way of records from a core to the log thread.
//!
//! One [`Producer`] a core, one log thread for all. A core encodes each record once into its
//! current batch and hands the batch over once a turn, or before if it is large, so a record costs
//! no lock, no atomic read-modify-write and, in the steady state, no allocation. Bounded in records
//! and bytes; what was accepted is given back to the core when it is durable, or delivered.
//!
//! Nothing here may wait: a core never waits for a disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;

use crate::accounts::{Account, Accounts, Totals};
use crate::event::Event;
use crate::log::entry;
use crate::rule::Rule;

mod producer;
mod waker;

pub use producer::Producer;
pub(crate) use waker::Waker;
#[cfg(any(test, feature = "sim"))]
pub(crate) use waker::seam;

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

/// How the stream side speaks to the cores. Called on the log thread and on the sink's; must not
/// block, and wakes the core itself.
pub trait Completion: Send + Sync + 'static {
    /// The records of `tokens` are kept as their rules ask: durable, in the order in which `core`
    /// appended them, or, with [`Durability::Kafka`](crate::Durability::Kafka), delivered, in the
    /// order in which Kafka confirmed them.
    fn durable(&self, core: usize, tokens: Vec<AckToken>);
    /// There is room again for `core`, which asked by [`Producer::want_room`] or
    /// [`Producer::want_room_for`] (or whose ring could not take a flushed batch).
    fn room(&self, core: usize);
}

/// A batch this large is handed over before the turn ends: the log thread writes while the core goes on.
const BATCH_BYTES: usize = 64 * 1024;
/// Most bytes of a batch buffer that is kept for use again: one that doubled as it grew, and not what a large record left.
const BUFFER_KEPT_BYTES_MAX: usize = 4 * BATCH_BYTES;
/// Batches one ring can hold.
const BATCHES: usize = 1024;
/// Empty batches kept for use again.
const BATCHES_KEPT: usize = 32;

/// Records of one core's turn: entries as [`entry::append_measured`] lays them out, not yet numbered.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: u32,
    /// To be given back once the batch is durable.
    pub(crate) tokens: Vec<AckToken>,
    /// To be given back once the record is delivered, which is told by its place in the batch.
    pub(crate) awaited: Vec<(u32, AckToken)>,
    /// Records and bytes of each account.
    settle: Vec<(Arc<Account>, u64, u64)>,
}

impl Batch {
    /// [`Batch::append_measured`] of a record that was not measured.
    #[cfg(test)]
    pub(crate) fn append(&mut self, rule: &Rule, event: &Event<'_>, token: Option<AckToken>) {
        self.append_measured(rule, event, entry::record_len(event, rule), token);
    }

    /// Appends the record of `event`, which takes `len` bytes ([`entry::record_len`]).
    fn append_measured(&mut self, rule: &Rule, event: &Event<'_>, len: usize, token: Option<AckToken>) {
        entry::append_measured(&mut self.bytes, rule, event, len);
        self.records = self.records.saturating_add(1);
        self.tokens.extend(token);
    }

    /// The record appended last, at `at`, is of `core`, and `token` waits until it is delivered.
    fn finish(&mut self, at: usize, core: u8, token: Option<AckToken>) {
        entry::set_core(self.bytes.get_mut(at..).unwrap_or_default(), core);
        let index = self.records.saturating_sub(1);
        self.awaited.extend(token.map(|token| (index, token)));
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.records = 0;
        self.tokens.clear();
        self.awaited.clear();
        self.settle.clear();
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
    /// What may be waiting at most when the core is told that there is the room it wanted.
    room_records: AtomicU64,
    room_bytes: AtomicU64,
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
            room_records: AtomicU64::new(0),
            room_bytes: AtomicU64::new(0),
            room_due: AtomicBool::new(false),
            place_wanted: AtomicBool::new(false),
        }
    }

    /// Records and bytes accepted and not yet durable.
    pub(crate) fn waiting(&self) -> (u64, u64) {
        let (released_records, released_bytes) = self.released.load();
        let (records, bytes) = self.appended.load();
        (records.saturating_sub(released_records), bytes.saturating_sub(released_bytes))
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
        for (account, records, bytes) in batch.settle.drain(..) {
            if account.add_durable(records, bytes) {
                self.room_due.store(true, Ordering::SeqCst);
            }
        }
        self.released.add(u64::from(batch.records), batch.bytes.len() as u64);
        batch.clear();
        if batch.bytes.capacity() <= BUFFER_KEPT_BYTES_MAX {
            // A full queue of spares means this one is not needed.
            let _ = self.kept.push(batch);
        }
    }

    /// Producer: asks to be told once half is free, or as much as was refused.
    fn want_room(&self, records: u64, bytes: u64) {
        let may_wait = |max: u64, refused: u64| (max / 2).min(max.saturating_sub(refused));
        self.room_records.store(may_wait(self.records_max, records), Ordering::SeqCst);
        self.room_bytes.store(may_wait(self.bytes_max, bytes), Ordering::SeqCst);
        self.room_wanted.store(true, Ordering::SeqCst);
    }

    /// Log thread: whether the core is to be told that there is room. True once for each ask.
    pub(crate) fn take_room(&self) -> bool {
        let due = self.room_due.load(Ordering::SeqCst) && self.room_due.swap(false, Ordering::SeqCst);
        let wanted = self.room_wanted.load(Ordering::SeqCst)
            && self.is_free_enough()
            && self.room_wanted.swap(false, Ordering::SeqCst);
        let place = self.place_wanted.load(Ordering::SeqCst)
            && self.has_places()
            && self.place_wanted.swap(false, Ordering::SeqCst);
        due || wanted || place
    }

    fn has_places(&self) -> bool {
        self.queue.len() <= BATCHES / 2
    }

    fn is_free_enough(&self) -> bool {
        let (records, bytes) = self.waiting();
        let records_max = self.room_records.load(Ordering::SeqCst);
        let bytes_max = self.room_bytes.load(Ordering::SeqCst);
        records <= records_max && bytes <= bytes_max && self.has_places()
    }
}

/// A producer and the log thread's view of its ring.
pub(crate) fn ring(
    core: usize,
    (records_max, bytes_max): (usize, usize),
    waker: Arc<Waker>,
    accounts: Arc<Accounts>,
) -> (Producer, Arc<Ring>) {
    let ring = Arc::new(Ring::new(records_max, bytes_max));
    (Producer::new(core, Arc::clone(&ring), waker, accounts), ring)
}

#[cfg(test)]
mod tests;
