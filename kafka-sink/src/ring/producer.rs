//! A core's end of its ring.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{AckToken, BATCH_BYTES, Batch, Ring, Waker};
use crate::accounts::{Account, Accounts};
use crate::event::Event;
use crate::log::entry;
use crate::rule::{Durability, Rule};

/// Where a core puts its records. `Send`, but used by that core's thread only.
pub struct Producer {
    core: u8,
    ring: Arc<Ring>,
    waker: Arc<Waker>,
    accounts: Arc<Accounts>,
    pub(super) batch: Batch,
    /// Sorted by rule id; grows with the rules seen.
    pub(super) credits: Vec<RuleCredit>,
    appended_records: u64,
    appended_bytes: u64,
    /// What the ring had no room for when last asked: records and bytes.
    refused: Cell<(u64, u64)>,
    /// The queue could not take the batch at the last flush.
    stalled: bool,
    exceeded: u64,
}

pub(super) struct RuleCredit {
    rule: u32,
    pub(super) account: Arc<Account>,
    /// Accepted since the last flush.
    unflushed: (u64, u64),
    /// Bytes the rule had no room for when last asked.
    refused: Cell<u64>,
}

impl Producer {
    pub(super) fn new(core: usize, ring: Arc<Ring>, waker: Arc<Waker>, accounts: Arc<Accounts>) -> Producer {
        Producer {
            core: u8::try_from(core).unwrap_or(u8::MAX),
            ring,
            waker,
            accounts,
            batch: Batch::default(),
            credits: Vec::new(),
            appended_records: 0,
            appended_bytes: 0,
            refused: Cell::default(),
            stalled: false,
            exceeded: 0,
        }
    }

    /// Bytes the record of `event` takes on the ring and in the log.
    #[inline]
    pub fn record_len(event: &Event<'_>, rule: &Rule) -> usize {
        entry::record_len(event, rule)
    }

    /// Whether `records` records of together `bytes` bytes (the sum of [`Producer::record_len`])
    /// may be appended now. The answer stays true until this core appends: nobody else takes room,
    /// so asking is an admission. An empty ring has room for anything, else a record larger than
    /// the ring would wait for ever.
    pub fn has_room(&self, records: usize, bytes: usize) -> bool {
        let (released_records, released_bytes) = self.ring.released.load();
        let waiting_records = self.appended_records.saturating_sub(released_records);
        let waiting_bytes = self.appended_bytes.saturating_sub(released_bytes);
        if self.stalled {
            return false;
        }
        let room = waiting_records == 0
            || (waiting_records.saturating_add(records as u64) <= self.ring.records_max
                && waiting_bytes.saturating_add(bytes as u64) <= self.ring.bytes_max);
        if !room {
            self.refused.set((records as u64, bytes as u64));
        }
        room
    }

    /// Whether `rule` may have `bytes` more waiting: its own limit, whatever room the ring has.
    /// Stable like [`Producer::has_room`]; a rule with nothing waiting has room for anything.
    pub fn has_room_for(&self, rule: &Rule, bytes: usize) -> bool {
        // An earlier run may have left records to a rule that this core meets for the first time.
        let Some(credit) = self.credit(rule.id) else {
            let waiting =
                self.accounts.account(usize::from(self.core), rule.id, rule.to_kafka).waiting_bytes();
            return waiting == 0 || waiting.saturating_add(bytes as u64) <= rule.waiting_bytes_max;
        };
        let waiting = credit.account.waiting_bytes();
        let room = waiting == 0 || waiting.saturating_add(bytes as u64) <= rule.waiting_bytes_max;
        if !room {
            credit.refused.set(bytes as u64);
        }
        room
    }

    /// Takes a record. Infallible: what may be refused asks [`Producer::has_room`] and
    /// [`Producer::has_room_for`] first, what may not (the end of a connection) may exceed the
    /// room, which is counted in [`Producer::exceeded`]. `token` comes back by
    /// [`Completion::durable`](super::Completion::durable), as strongly kept as the rule's
    /// durability asks: once delivered with [`Durability::Kafka`], else once durable.
    pub fn append(&mut self, rule: &Rule, event: &Event<'_>, token: Option<AckToken>) {
        let bytes = Producer::record_len(event, rule);
        if !self.has_room(1, bytes) || !self.has_room_for(rule, bytes) {
            self.exceeded = self.exceeded.saturating_add(1);
        }
        self.append_admitted(rule, event, bytes, token);
    }

    /// [`Producer::append`] of a record of `bytes` bytes ([`Producer::record_len`]) for which there was room when this
    /// core asked, since when it has appended nothing else.
    pub fn append_admitted(&mut self, rule: &Rule, event: &Event<'_>, bytes: usize, token: Option<AckToken>) {
        let before = self.batch.bytes.len();
        let awaits = rule.durability == Durability::Kafka && rule.to_kafka && self.accounts.target();
        let (durable, delivered) = if awaits { (None, token) } else { (token, None) };
        self.batch.append_measured(rule, event, bytes, durable);
        self.batch.finish(before, self.core, delivered);
        self.appended_records = self.appended_records.wrapping_add(1);
        self.appended_bytes = self.appended_bytes.wrapping_add(bytes as u64);
        self.ring.appended.store(self.appended_records, self.appended_bytes);
        let slot = self.credit_mut(rule);
        let (records, unflushed) = slot.unflushed;
        slot.unflushed = (records.saturating_add(1), unflushed.saturating_add(bytes as u64));
        slot.account.take(bytes as u64);
        if self.batch.bytes.len() >= BATCH_BYTES && !self.stalled {
            self.flush();
        }
    }

    /// Hands this turn's records to the log thread, as far as a full batch has not been handed over before; once a
    /// turn. Does nothing without records.
    /// If the ring has no place for another batch, the batch stays, [`Producer::has_room`] says
    /// no, and [`Completion::room`](super::Completion::room) follows: flush again then.
    pub fn flush(&mut self) {
        if self.batch.records == 0 {
            return;
        }
        for slot in self.credits.iter_mut().filter(|slot| slot.unflushed.0 > 0) {
            let (records, bytes) = std::mem::take(&mut slot.unflushed);
            self.batch.settle.push((Arc::clone(&slot.account), records, bytes));
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

    /// Asks for [`Completion::room`](super::Completion::room) once at least half of the ring is
    /// free, or more if what [`Producer::has_room`] refused last needs more. Asking twice is one ask.
    pub fn want_room(&mut self) {
        let (records, bytes) = self.refused.take();
        self.ring.want_room(records, bytes);
        // The log thread may have released everything before it could see the ask.
        self.waker.wake();
    }

    /// Asks for [`Completion::room`](super::Completion::room) once at least half of what `rule`
    /// may have waiting is free, or more if what [`Producer::has_room_for`] refused last needs more.
    pub fn want_room_for(&mut self, rule: &Rule) {
        let slot = self.credit_mut(rule);
        // A large record that still found no room at half would ask again and again.
        let free = slot.refused.take().max(rule.waiting_bytes_max.div_ceil(2));
        if slot.account.ask_room(rule.waiting_bytes_max.saturating_sub(free)) {
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

    /// Where the credit of a rule is, or belongs.
    #[inline]
    fn position(&self, rule: u32) -> Result<usize, usize> {
        match self.credits.first() {
            // Many brokers have one rule.
            Some(first) if first.rule == rule => Ok(0),
            _ => self.credits.binary_search_by_key(&rule, |slot| slot.rule),
        }
    }

    #[inline]
    fn credit(&self, rule: u32) -> Option<&RuleCredit> {
        self.credits.get(self.position(rule).ok()?)
    }

    #[inline]
    fn credit_mut(&mut self, rule: &Rule) -> &mut RuleCredit {
        #[expect(clippy::indexing_slicing, reason = "found there, or put there just now")]
        match self.position(rule.id) {
            Ok(at) => &mut self.credits[at],
            Err(at) => {
                let account = self.accounts.account(usize::from(self.core), rule.id, rule.to_kafka);
                let credit =
                    RuleCredit { rule: rule.id, account, unflushed: (0, 0), refused: Cell::default() };
                self.credits.insert(at, credit);
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
