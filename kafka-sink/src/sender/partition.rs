//! One partition of a topic: what waits for it, and the one batch on its way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::request::{RequestId, TopicPartition};
use crate::log::control::{Cursor, Intent, ProducerId};
use crate::log::port::Item;

/// Kafka's sequences of a producer in a partition: 31 bits, and after the last comes 0.
pub(super) const SEQUENCES: u64 = 1 << 31;

/// Which reader brings the partition its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FedBy {
    /// The one that follows the end of the log.
    Main,
    /// The one for partitions that fell behind.
    CatchUp,
    /// None: its queue was dropped, its records are in the log from `position` on.
    Nobody,
}

/// Where the batch is. Names of doing (`Sending`) have a request or a ticket outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No batch.
    Idle,
    /// No batch yet: where does the partition end?
    AskingOffset,
    /// The intent goes to the medium.
    Intending {
        ticket: u64,
    },
    /// To be sent, as soon as there is a leader and `retry_at` has come.
    Send,
    Sending,
    /// Its outcome is unknown: what does the leader remember?
    Describe,
    Describing,
    /// The leader remembers nothing: does the batch stand in the partition?
    Find,
    Finding,
    /// The record and its cursor go to the medium.
    SettingAside {
        ticket: u64,
    },
}

/// A batch. Its bounds, producer and sequence do not change while an attempt may have been taken.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    pub(super) producer: ProducerId,
    /// Below [`SEQUENCES`].
    pub(super) base: u64,
    /// Sent by an earlier run with these bounds; some items may still have to be read.
    pub(super) old: Option<Intent>,
    /// Some attempt may have been taken.
    pub(super) unsure: bool,
    /// What the leader knows has been asked since the last attempt.
    pub(super) verified: bool,
    /// The leader has it, which is not to say that all replicas do.
    pub(super) stands: bool,
    /// The partition has been searched since the last attempt.
    pub(super) searched: bool,
    /// Some attempt may be carried out even now. Its sequences carry nothing else in this epoch.
    pub(super) haunted: bool,
    pub(super) stamp_ms: Option<u64>,
    pub(super) sent: bool,
    pub(super) corrupt: bool,
    /// Its items hold no group but their own.
    pub(super) apart: bool,
    /// It went again although nobody may look whether it stands; that is counted.
    pub(super) blind: bool,
}

impl Batch {
    pub(super) fn first(&self) -> Option<u64> {
        match (&self.old, self.items.first()) {
            (Some(old), _) => Some(old.first),
            (None, first) => first.map(|item| item.sequence),
        }
    }

    pub(super) fn last(&self) -> Option<u64> {
        match (&self.old, self.items.last()) {
            (Some(old), _) => Some(old.last),
            (None, last) => last.map(|item| item.sequence),
        }
    }

    /// Whether every record is at hand.
    pub(super) fn is_whole(&self) -> bool {
        self.old.as_ref().is_none_or(|old| self.items.len() == old.count as usize)
    }

    /// Whether records that the intent names are not in the log, which has been read to `position`.
    pub(super) fn is_broken(&self, position: u64) -> bool {
        !self.is_whole() && self.old.as_ref().is_some_and(|old| position > old.last)
    }

    pub(super) fn count(&self) -> u64 {
        self.old.as_ref().map_or(self.items.len() as u64, |old| u64::from(old.count))
    }

    /// What was learnt since the last attempt came from a broker that does not lead (any more):
    /// it counts for nothing if an attempt was made.
    pub(super) fn doubt(&mut self) {
        if self.haunted {
            self.unsure = true;
            (self.verified, self.stands, self.searched) = (false, false, false);
        }
    }

    pub(super) fn max_ts_ms(&self) -> u64 {
        self.items.iter().map(|item| item.ts_ms).max().unwrap_or(0)
    }
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) of: TopicPartition,
    pub(super) leader: Option<i32>,
    pub(super) fed_by: FedBy,
    /// Records below this sequence are not taken from any reader (any more).
    pub(super) position: u64,
    pub(super) queue: VecDeque<Item>,
    /// Estimated bytes in Kafka of what is queued.
    pub(super) queue_bytes: u64,
    /// When the first of the queue came.
    pub(super) queued_at: Duration,
    pub(super) batch: Option<Batch>,
    /// From this record up to that one they were in a batch that was given up before they were
    /// read: they may be in Kafka already, and are not counted so yet.
    pub(super) suspect: Option<(u64, u64)>,
    pub(super) state: State,
    pub(super) request: Option<RequestId>,
    /// Of the batches made here, with the sequence that the next record gets.
    pub(super) producer: Option<ProducerId>,
    pub(super) sequence: u64,
    /// Behind the last record that was confirmed, in Kafka.
    pub(super) offset: Option<u64>,
    pub(super) offset_asked: bool,
    /// Everything below this log sequence is delivered or set aside.
    pub(super) next: u64,
    /// `next` is not on the medium yet.
    pub(super) dirty: bool,
    pub(super) failures: u32,
    pub(super) failing_since: Option<Duration>,
    pub(super) told: bool,
    pub(super) retry_at: Duration,
    pub(super) timer: Option<Duration>,
    pub(super) is_ready: bool,
}

/// What an item takes in Kafka before compression, at most, but for texts full of escapes: base64
/// lengthens the payload by a third, names and punctuation are below 256 bytes.
pub(super) fn estimate(item: &Item) -> u64 {
    let len = u64::from(item.len);
    len + len / 3 + 256 + item.group.node.len() as u64
}

impl Partition {
    pub(super) fn new(of: TopicPartition, position: u64, fed_by: FedBy) -> Partition {
        Partition {
            of,
            leader: None,
            fed_by,
            position,
            queue: VecDeque::new(),
            queue_bytes: 0,
            queued_at: Duration::ZERO,
            batch: None,
            suspect: None,
            state: State::Idle,
            request: None,
            producer: None,
            sequence: 0,
            offset: None,
            offset_asked: false,
            next: position,
            dirty: false,
            failures: 0,
            failing_since: None,
            told: false,
            retry_at: Duration::ZERO,
            timer: None,
            is_ready: false,
        }
    }

    /// Takes up where an earlier run was: `cursor` and `intent` as they were on the medium.
    pub(super) fn restore(&mut self, cursor: Option<&Cursor>, intent: Option<&Intent>) {
        if let Some(cursor) = cursor {
            self.offset = cursor.offset;
            self.next = self.next.max(cursor.next);
        }
        if let Some(intent) = intent
            && intent.last >= self.next
        {
            self.next = self.next.max(intent.first);
            self.offset = intent.offset.or(self.offset);
            self.batch = Some(Batch {
                items: Vec::new(),
                producer: intent.producer,
                base: u64::from(intent.base_sequence),
                old: Some(intent.clone()),
                unsure: true,
                verified: false,
                stands: false,
                searched: false,
                haunted: true,
                stamp_ms: None,
                sent: true,
                corrupt: false,
                apart: true,
                blind: false,
            });
            self.state = State::Describe;
        }
        self.position = self.position.max(self.next);
    }

    /// Takes a record from the reader that feeds it; what it has had already is passed over. Says
    /// whether it may be in Kafka already, and nobody has counted that yet.
    #[must_use]
    pub(super) fn push(&mut self, item: Item, now: Duration, apart: &Arc<AtomicUsize>) -> bool {
        if item.sequence < self.position {
            return false;
        }
        let is_suspect = self.suspect.is_some_and(|(from, until)| (from..=until).contains(&item.sequence));
        if let Some(suspect) = &mut self.suspect {
            suspect.0 = suspect.0.max(item.sequence.saturating_add(1));
        }
        self.position = item.sequence.saturating_add(1);
        if let Some(batch) = &mut self.batch
            && let Some(old) = &batch.old
            && item.sequence <= old.last
        {
            batch.items.push(item.alone(apart));
            return false;
        }
        if self.queue.is_empty() {
            self.queued_at = now;
        }
        self.queue_bytes = self.queue_bytes.saturating_add(estimate(&item));
        self.queue.push_back(item);
        is_suspect
    }

    /// Copies the records of the batch out of their groups, which other records shared.
    pub(super) fn set_apart(&mut self, apart: &Arc<AtomicUsize>) {
        if let Some(batch) = self.batch.as_mut().filter(|batch| !batch.apart) {
            batch.apart = true;
            batch.items.iter_mut().for_each(|item| *item = item.alone(apart));
        }
    }

    /// Forgets what is queued; it stays in the log.
    pub(super) fn drop_queue(&mut self) {
        if let Some(first) = self.queue.front() {
            self.position = first.sequence;
        }
        self.queue = VecDeque::new();
        self.queue_bytes = 0;
        self.fed_by = FedBy::Nobody;
    }

    /// The records of the next batch, within these limits; at least one if any is queued.
    pub(super) fn take_items(&mut self, records_max: usize, bytes_max: u64) -> Vec<Item> {
        let mut bytes = 0u64;
        let fit = self.queue.iter().take(records_max).enumerate().take_while(|(index, item)| {
            bytes = bytes.saturating_add(estimate(item));
            *index == 0 || bytes <= bytes_max
        });
        let count = fit.count();
        let items: Vec<Item> = self.queue.drain(..count).collect();
        let taken = items.iter().map(estimate).fold(0u64, u64::saturating_add);
        self.queue_bytes = self.queue_bytes.saturating_sub(taken);
        if self.queue.is_empty() {
            // A burst does not hold its memory for ever.
            self.queue.shrink_to(1024);
        }
        items
    }

    /// Puts records back in front of the queue.
    pub(super) fn put_back(&mut self, items: impl DoubleEndedIterator<Item = Item>) {
        for item in items.rev() {
            self.queue_bytes = self.queue_bytes.saturating_add(estimate(&item));
            self.queue.push_front(item);
        }
    }

    /// Nothing of it waits in memory.
    pub(super) fn is_drained(&self) -> bool {
        self.batch.is_none() && self.queue.is_empty()
    }

    /// The lowest log sequence that is not done with, as far as memory knows.
    pub(super) fn first_undone(&self) -> Option<u64> {
        let queued = self.queue.front().map(|item| item.sequence);
        let first = self.batch.as_ref().and_then(Batch::first).or(queued);
        match self.fed_by {
            FedBy::Main => first,
            FedBy::CatchUp | FedBy::Nobody => Some(first.unwrap_or(self.position).min(self.position)),
        }
    }

    /// Failing for longer than `for_at_least`.
    pub(super) fn is_stuck(&self, now: Duration, for_at_least: Duration) -> bool {
        self.failing_since.is_some_and(|since| now.saturating_sub(since) >= for_at_least)
    }

    pub(super) fn cursor(&self, target: u16) -> Cursor {
        Cursor {
            target,
            topic: self.of.topic.clone(),
            partition: self.of.partition.unsigned_abs(),
            next: self.next,
            offset: self.offset,
        }
    }
}
