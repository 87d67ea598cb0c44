//! What this core has for another one: the batch of this turn, and behind a full lane a short queue of batches that
//! did not fit. While that queue is not empty no new message for the target is admitted, so it stays short, and what
//! is admitted meanwhile (wills) goes behind it: order.

use super::mailbox::Mailbox;
use crate::delivery::{Batch, Message, Purpose};
use crate::seam::{Branch, mark, reach};
use bytes::Bytes;
use std::collections::VecDeque;

/// A batch of this size crosses before the turn ends.
const FULL_BYTES: usize = 64 << 10;
const FULL_MESSAGES: usize = 1_024;

/// Messages from this core to one other.
#[derive(Default)]
pub struct Outbox {
    batch: Option<Box<Batch>>,
    overflow: VecDeque<Box<Batch>>,
}

impl Outbox {
    /// Whether messages may be admitted.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.overflow.is_empty()
    }

    /// Whether anything waits to cross.
    pub fn is_empty(&self) -> bool {
        self.batch.is_none() && self.overflow.is_empty()
    }

    /// Appends to this turn's batch. `own` is the sender's mailbox, `target` the receiver's.
    pub fn push(
        &mut self,
        me: usize,
        own: &Mailbox,
        target: &Mailbox,
        message: &Message<'_>,
        purpose: Purpose,
        large: &mut Option<Bytes>,
    ) {
        let batch = self.batch.get_or_insert_with(|| own.spare(me));
        batch.push(message, purpose, large);
        if batch.bytes() >= FULL_BYTES || batch.len() >= FULL_MESSAGES {
            self.flush(me, target);
        }
    }

    /// Appends and sends at once, with what was there before. `false`: it does not fit and nothing has been appended;
    /// `Control::Room` will come.
    pub fn push_now(
        &mut self,
        me: usize,
        own: &Mailbox,
        target: &Mailbox,
        message: &Message<'_>,
        purpose: Purpose,
    ) -> bool {
        if !self.has_room() {
            return false;
        }
        let mut batch = self.batch.take().unwrap_or_else(|| own.spare(me));
        batch.push(message, purpose, &mut None);
        for asked in [false, true] {
            match target.send(batch) {
                Ok(()) => return true,
                Err(back) => batch = back,
            }
            if !asked {
                // It may drain in between, and then nobody would tell us.
                target.want_room(me);
            }
        }
        batch.pop();
        self.batch = Some(batch);
        false
    }

    /// Sends what there is. Returns whether all of it is on its way.
    pub fn flush(&mut self, me: usize, target: &Mailbox) -> bool {
        if let Some(batch) = self.batch.take() {
            self.overflow.push_back(batch);
        }
        if self.send(target) {
            return true;
        }
        mark(Branch::LaneFull);
        reach();
        target.want_room(me);
        // It may have drained in between, and then nobody would tell us.
        let sent = self.send(target);
        if !sent {
            mark(Branch::Overflow);
        }
        sent
    }

    fn send(&mut self, target: &Mailbox) -> bool {
        while let Some(batch) = self.overflow.pop_front() {
            if let Err(batch) = target.send(batch) {
                self.overflow.push_front(batch);
                return false;
            }
        }
        true
    }
}
