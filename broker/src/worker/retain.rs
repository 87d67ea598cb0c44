//! Retained messages: a topic's is kept by the core that a keyed hash of the topic names, in its own memory.
//!
//! **A new subscriber misses nothing.** A publisher puts a message into the keeping core's lane, *then* looks up the
//! topic's route; a subscriber's core stores its route, *then* asks. Between the two steps on either side stands a
//! sequentially consistent fence. So if the publisher does not see the route, the message is in the lane before the
//! question, and the keeping core takes what is in its lane before it answers. When that lane is full, the message is not
//! admitted: half of this order would be none of it.
//!
//! **Nothing old comes after what is new.** See `session/scan.rs`; messages that were published to be retained have a
//! place in one order, and of a topic the last in that order is kept.
//!
//! **No scan stops a core.** The keeping core answers a question with few messages out of at most [`STEPS`] entries and
//! where to go on, and remembers nothing of who asked. The asking core comes back when its session has room.

use super::mailbox::Ask;
use super::seen::Seen;
use super::{Core, Shared};
use crate::delivery::{Message, Purpose, Stored};
use crate::hook::Verdict;
use crate::seam::{Branch, mark, reach};
use crate::sys::RESERVED;
use millrace_codec::QoS;
use millrace_router::{CoreSet, Cursor, Named, Retained};
use siphasher::sip::SipHasher13;
use std::collections::VecDeque;
use std::hash::Hasher;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, AtomicUsize, fence};

/// Entries looked at for one answer.
const STEPS: usize = 1_024;
/// Answers in one turn.
const ANSWERS: usize = 32;
/// How often expired messages are looked for, and entries looked at then.
const SWEEP_MS: u64 = 1_000;
const SWEEP_STEPS: usize = 4_096;

/// What all cores know of retained messages.
#[derive(Debug, Default)]
pub struct RetainedTotals {
    /// How many of clients are kept, or on their way to where they will be.
    messages: AtomicUsize,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// How many of the broker's own. Apart: these count in no limit, and are nothing to a filter that cannot take them.
    reserved: AtomicUsize,
    /// The last place given in the order of those that were published.
    order: AtomicU64,
}

impl RetainedTotals {
    /// How many there are of clients and of the broker's own.
    pub fn count(&self) -> usize {
        self.messages.load(Relaxed) + self.reserved.load(Relaxed)
    }

    /// Whether there may be any for this filter. A publisher counts its message, puts it into a lane and looks up the
    /// route; who stores a route and then finds none here is found by all that come later.
    pub(super) fn any(&self, filter: &str) -> bool {
        self.messages.load(Relaxed) > 0 || (filter.starts_with('$') && self.reserved.load(Relaxed) > 0)
    }

    fn counter(&self, topic: &str) -> &AtomicUsize {
        if topic.starts_with(RESERVED) { &self.reserved } else { &self.messages }
    }

    /// One more on this topic.
    fn enter(&self, topic: &str) {
        self.counter(topic).fetch_add(1, Relaxed);
    }

    /// One less.
    fn leave(&self, topic: &str) {
        self.counter(topic).fetch_sub(1, Relaxed);
    }
}

/// Those that one core keeps, and the questions that it has not answered yet.
#[derive(Default)]
pub(super) struct Keeper {
    messages: Retained<Box<Stored>>,
    /// How many of them expire.
    expiring: usize,
    sweep: Option<Cursor>,
    sweep_ms: u64,
    /// Questions, with the number of batches that must have been taken before.
    asks: VecDeque<(u64, Box<Ask>)>,
    /// Batches taken from this core's lane so far.
    taken: u64,
}

impl Named for Box<Stored> {
    fn topic(&self) -> &str {
        Stored::topic(self)
    }
}

/// What became of a message that is to be retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// On its way to the core that keeps it; this is its place in the order.
    Done(u64),
    /// Not now: that core is busy.
    Full,
}

impl Shared {
    /// The core that keeps the retained message of a topic, or the group of a shared subscription.
    pub(super) fn keeper(&self, topic: &str) -> usize {
        let mut hasher = SipHasher13::new_with_key(&self.home_key);
        hasher.write(topic.as_bytes());
        (hasher.finish() % self.mailboxes.len() as u64) as usize
    }
}

impl Core {
    /// Whether a message is to be kept.
    pub(super) fn is_to_be_kept(&self, retain: bool) -> bool {
        retain && self.shared.limits.retain_available
    }

    /// The last step of admission of a message that is to be retained: nothing may fail after it. Returns the cores
    /// that want the message, looked up anew.
    pub(super) fn retain(&mut self, message: &Message<'_>) -> (Keep, CoreSet) {
        let order = self.shared.retained.order.fetch_add(1, Relaxed) + 1;
        let message = Message { order, ..*message };
        self.shared.retained.enter(message.topic);
        let keeper = self.shared.keeper(message.topic);
        if keeper == self.me {
            self.keep_here(&message);
        } else {
            let mailboxes = &self.shared.mailboxes;
            let (own, target) = (&mailboxes[self.me], &mailboxes[keeper]);
            if !self.outboxes[keeper].push_now(self.me, own, target, &message, Purpose::Keep) {
                self.shared.retained.leave(message.topic);
                mark(Branch::KeepFull);
                return (Keep::Full, CoreSet::default());
            }
        }
        reach();
        fence(SeqCst);
        let topic = message.topic;
        let (cores, _) = Seen::of(&mut self.cache, &self.shared.routes, &mut self.hooks, topic);
        (Keep::Done(order), cores)
    }

    /// A message for this core to keep; it has been counted.
    pub(super) fn keep_here(&mut self, message: &Message<'_>) {
        let known = self.keeper.messages.get(message.topic);
        let known = known.map(|known| (known.order(), known.len() as u64));
        let (order, was) = known.unwrap_or_default();
        let mut stored = Stored::new(message, self.now.mono_ms);
        let reserved = message.topic.starts_with(RESERVED);
        let len = if reserved { 0 } else { stored.len() as u64 };
        if order > message.order
            || message.payload.is_empty()
            || !(reserved || self.fits(known.is_some(), was, len))
        {
            // A message that is refused ends what was there, which must not be taken for the last one; so does an empty
            // payload [MQTT-3.3.1-6, MQTT-3.3.1-7].
            if order < message.order {
                self.take_out(message.topic);
            }
            self.shared.retained.leave(message.topic);
            return;
        }
        let expiry_s = self.shared.limits.retained_expiry;
        if expiry_s > 0 {
            stored.expire_by(self.now.mono_ms + u64::from(expiry_s) * 1_000);
        }
        let expires = stored.expires_ms() != u64::MAX;
        self.take_out(message.topic);
        self.shared.retained.bytes.fetch_add(len, Relaxed);
        self.keeper.messages.set(Box::new(stored));
        self.keeper.expiring += usize::from(expires);
        if expires && self.keeper.sweep_ms == 0 {
            self.keeper.sweep_ms = self.now.mono_ms + SWEEP_MS;
        }
    }

    /// Whether the limits have room for a message of this length, in place of one of the other.
    fn fits(&mut self, known: bool, was: u64, len: u64) -> bool {
        let (limits, totals) = (&self.shared.limits, &self.shared.retained);
        let too_many = !known && totals.messages.load(Relaxed) > limits.max_retained_messages as usize;
        let too_large = len > was && totals.bytes.load(Relaxed) + len - was > limits.max_retained_bytes;
        self.counters.retained_refused += u64::from(too_many || too_large);
        !too_many && !too_large
    }

    fn take_out(&mut self, topic: &str) {
        let Some(old) = self.keeper.messages.remove(topic) else { return };
        self.keeper.expiring -= usize::from(old.expires_ms() != u64::MAX);
        self.shared.retained.leave(topic);
        if !topic.starts_with(RESERVED) {
            self.shared.retained.bytes.fetch_sub(old.len() as u64, Relaxed);
        }
    }

    /// Everything that this core keeps, for the simulation.
    #[cfg(any(test, feature = "simulation"))]
    pub(super) fn all_retained(&self, mut each: impl FnMut(&Stored)) {
        self.keeper.messages.walk(None, |stored| {
            each(stored);
            true
        });
    }

    /// What this core keeps of a topic.
    pub(super) fn retained_here(&self, topic: &str) -> Option<&Stored> {
        self.keeper.messages.get(topic).map(|stored| &**stored)
    }

    /// A question: what is in the lane by now comes before it.
    pub(super) fn take_ask(&mut self, ask: Box<Ask>) {
        let behind = self.keeper.taken + self.shared.mailboxes[self.me].batches() as u64;
        self.keeper.asks.push_back((behind, ask));
    }

    /// One more batch was taken from the lane.
    #[inline]
    pub(super) fn count_batch(&mut self) {
        self.keeper.taken += 1;
    }

    /// Whether a question can be answered now.
    pub(super) fn has_asks(&self) -> bool {
        let first = self.keeper.asks.front();
        first.is_some_and(|(behind, ask)| *behind <= self.keeper.taken && self.outboxes[ask.core].has_room())
    }

    /// Answers questions, up to this turn's budget.
    pub(super) fn answer_asks(&mut self) {
        for _ in 0..ANSWERS {
            if !self.has_asks() {
                if !self.keeper.asks.is_empty() {
                    mark(Branch::ScanBehind);
                }
                return;
            }
            let Some((_, ask)) = self.keeper.asks.pop_front() else { return };
            self.answer_ask(*ask);
        }
    }

    fn answer_ask(&mut self, ask: Ask) {
        let Ask { core, scan, filter, cursor, messages, bytes } = ask;
        reach();
        let (me, now_ms) = (self.me, self.now.mono_ms);
        let mailboxes = &self.shared.mailboxes;
        let outbox = &mut self.outboxes[core];
        let list = &mut self.scratch.list;
        let (mut steps, mut left, mut sent) = (STEPS, messages, 0);
        let next = self.keeper.messages.scan(&filter, cursor, &mut steps, |stored| {
            // What has expired goes with the next sweep.
            if let Some(message) = stored.message_at(now_ms, list) {
                let purpose = Purpose::Answer(scan);
                outbox.push(me, &mailboxes[me], &mailboxes[core], &message, purpose, &mut None);
                left -= 1;
                sent += stored.len() as u64;
            }
            left > 0 && sent < bytes
        });
        // The text may be longer than a topic: some of its levels are a topic's, the last one the filter's.
        let rest = next.as_ref().map_or_else(Vec::new, |next| {
            let (path, from) = next.parts();
            [&[from], path.as_bytes()].concat()
        });
        let end = Message {
            topic: "",
            from: "",
            properties: &[],
            payload: &rest,
            qos: QoS::AtMostOnce,
            retain: false,
            verdict: Verdict::default(),
            order: 0,
            share: 0,
        };
        outbox.push(me, &mailboxes[me], &mailboxes[core], &end, Purpose::End(scan), &mut None);
    }

    /// When expired messages are to be looked for.
    pub(super) fn sweep_ms(&self) -> Option<u64> {
        (self.keeper.expiring > 0).then_some(self.keeper.sweep_ms)
    }

    /// Looks for expired messages, a part of all at a time.
    pub(super) fn sweep_retained(&mut self) {
        let now_ms = self.now.mono_ms;
        if self.sweep_ms().is_none_or(|at| at > now_ms) {
            return;
        }
        let (mut expired, mut left) = (Vec::new(), SWEEP_STEPS);
        let cursor = self.keeper.sweep.take();
        self.keeper.sweep = self.keeper.messages.walk(cursor, |stored| {
            if stored.expires_ms() <= now_ms {
                expired.push(stored.topic().to_owned());
            }
            left -= 1;
            left > 0
        });
        for topic in expired {
            self.take_out(&topic);
        }
        self.keeper.sweep_ms = now_ms + SWEEP_MS;
    }
}
