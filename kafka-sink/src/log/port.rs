//! Between the log thread and the sink: durable groups one way, controls the other.
//!
//! Nothing reaches the sink before the `fdatasync` that covers it. The log thread keeps the last
//! groups in memory for it, up to a bound; a sink that falls behind that reads the files.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::control::Control;
use crate::ring::{AckToken, Waker};

/// A durable group, or what of it was read back from a file: the entries in the order of the log.
#[derive(Debug)]
pub(crate) struct Group {
    /// Seeds the CRCs of the entries.
    pub(crate) segment_id: u64,
    /// `name@host` of the broker that wrote it, for the records' JSON.
    pub(crate) node: Arc<str>,
    /// The sequences of its records: first, and the one after the last.
    pub(crate) sequences: Range<u64>,
    /// Entries as [`entry`](super::entry) describes them, CRCs checked.
    pub(crate) body: Vec<u8>,
    /// Counts the body's bytes as long as anything holds the group.
    _hold: Hold,
}

/// Bytes counted in a budget until dropped.
#[derive(Debug)]
struct Hold {
    budget: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.budget.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Group {
    /// A group whose bytes count in `budget` until the last reference to it is gone.
    pub(crate) fn new(
        segment_id: u64,
        node: Arc<str>,
        sequences: Range<u64>,
        body: Vec<u8>,
        budget: &Arc<AtomicUsize>,
    ) -> Group {
        let bytes = body.len();
        budget.fetch_add(bytes, Ordering::Relaxed);
        Group { segment_id, node, sequences, body, _hold: Hold { budget: Arc::clone(budget), bytes } }
    }
}

/// A record of a group: what the sink needs to know of it, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) group: Arc<Group>,
    /// The entry's place in the group's body.
    pub(crate) at: u32,
    pub(crate) len: u32,
    pub(crate) sequence: u64,
    /// Of the event, Unix milliseconds.
    pub(crate) ts_ms: u64,
    /// Id of the rule that made it.
    pub(crate) rule: u32,
    /// The core that took it.
    pub(crate) core: u8,
}

impl Item {
    /// The entry's bytes.
    pub(crate) fn entry(&self) -> &[u8] {
        let at = self.at as usize;
        self.group.body.get(at..at.saturating_add(self.len as usize)).unwrap_or_default()
    }

    /// The same record in a group of its own, which counts in `budget` and holds nothing else.
    pub(crate) fn alone(&self, budget: &Arc<AtomicUsize>) -> Item {
        let (node, sequences) =
            (Arc::clone(&self.group.node), self.sequence..self.sequence.saturating_add(1));
        let group = Group::new(self.group.segment_id, node, sequences, self.entry().to_vec(), budget);
        Item { group: Arc::new(group), at: 0, ..self.clone() }
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Item) -> bool {
        self.sequence == other.sequence && self.entry() == other.entry()
    }
}

impl Eq for Item {}

/// A record whose publisher waits until it is delivered (`durability = "kafka"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Awaited {
    pub(crate) sequence: u64,
    pub(crate) core: u8,
    pub(crate) token: AckToken,
}

/// Called when there is news for the sink; must not block.
pub(crate) type Wake = Box<dyn Fn() + Send + Sync>;

/// What the log thread and the sink share.
pub(crate) struct Port {
    inbox: Mutex<Inbox>,
    outbox: Mutex<Outbox>,
    /// Bytes of groups that anybody still holds.
    budget: Arc<AtomicUsize>,
    tail_bytes_max: usize,
    /// Every record below this sequence is durable.
    durable: AtomicU64,
    /// Every control with a lower ticket is durable.
    durable_ticket: AtomicU64,
    /// Records below this sequence may be deleted.
    floor: AtomicU64,
    wake_log: Arc<Waker>,
    wake_sink: Mutex<Option<Wake>>,
}

/// Log thread to sink.
#[derive(Default)]
struct Inbox {
    groups: VecDeque<Arc<Group>>,
    awaited: Vec<Awaited>,
}

/// Sink to log thread.
#[derive(Default)]
struct Outbox {
    controls: Vec<Control>,
    next_ticket: u64,
}

impl Port {
    /// `durable`: the sequence the run begins with. `floor`: what may be deleted at first.
    pub(crate) fn new(durable: u64, floor: u64, tail_bytes_max: usize, wake_log: Arc<Waker>) -> Port {
        Port {
            inbox: Mutex::default(),
            outbox: Mutex::default(),
            budget: Arc::default(),
            tail_bytes_max,
            durable: AtomicU64::new(durable),
            durable_ticket: AtomicU64::new(0),
            floor: AtomicU64::new(floor),
            wake_log,
            wake_sink: Mutex::default(),
        }
    }

    // The sink's side.

    /// What to call when there is something new for the sink.
    pub(crate) fn set_wake(&self, wake: Wake) {
        *self.wake_sink.lock() = Some(wake);
    }

    /// Hands controls to the log, in order; they are durable once [`Port::durable_ticket`] is
    /// above the ticket returned.
    pub(crate) fn submit(&self, controls: impl IntoIterator<Item = Control>) -> u64 {
        let ticket = {
            let mut outbox = self.outbox.lock();
            outbox.controls.extend(controls);
            let ticket = outbox.next_ticket;
            outbox.next_ticket = ticket.saturating_add(1);
            ticket
        };
        self.wake_log.wake();
        ticket
    }

    pub(crate) fn durable_ticket(&self) -> u64 {
        self.durable_ticket.load(Ordering::Acquire)
    }

    /// Every record below this sequence is durable: in memory here, or in the files.
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// The next group in memory, in the order of the log. There may be gaps between groups: what is
    /// missing is in the files.
    pub(crate) fn take_group(&self) -> Option<Arc<Group>> {
        self.inbox.lock().groups.pop_front()
    }

    /// Appends what is awaited since the last call; never later than the group that holds it.
    pub(crate) fn take_awaited(&self, out: &mut Vec<Awaited>) {
        out.append(&mut self.inbox.lock().awaited);
    }

    /// The budget that groups read from files count in as well.
    pub(crate) fn budget(&self) -> &Arc<AtomicUsize> {
        &self.budget
    }

    /// Bytes of groups that are held at present.
    pub(crate) fn held_bytes(&self) -> usize {
        self.budget.load(Ordering::Relaxed)
    }

    /// Records below `floor` are done with.
    pub(crate) fn set_floor(&self, floor: u64) {
        self.floor.store(floor, Ordering::Release);
    }

    // The log thread's side.

    /// Takes what the sink submitted, and the ticket that is durable once it is.
    pub(crate) fn take_controls(&self) -> (Vec<Control>, u64) {
        let mut outbox = self.outbox.lock();
        (std::mem::take(&mut outbox.controls), outbox.next_ticket)
    }

    pub(crate) fn has_controls(&self) -> bool {
        !self.outbox.lock().controls.is_empty()
    }

    /// Records below this sequence may be deleted.
    pub(crate) fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    /// Whether a group of this size should be kept in memory for the sink.
    pub(crate) fn wants(&self, bytes: usize) -> bool {
        self.held_bytes().saturating_add(bytes) <= self.tail_bytes_max
    }

    /// A group was synced: `durable` is the sequence after its last record, `ticket` as returned by
    /// [`Port::take_controls`], `group` is `None` if it was not wanted or has no records.
    pub(crate) fn publish(
        &self,
        group: Option<Arc<Group>>,
        awaited: impl IntoIterator<Item = Awaited>,
        durable: u64,
        ticket: u64,
    ) {
        {
            let mut inbox = self.inbox.lock();
            inbox.awaited.extend(awaited);
            inbox.groups.extend(group);
        }
        self.durable.store(durable, Ordering::Release);
        self.durable_ticket.fetch_max(ticket, Ordering::AcqRel);
        if let Some(wake) = &*self.wake_sink.lock() {
            wake();
        }
    }
}
