//! What one core gets from others: a lane of message batches, bounded, and a lane of control, bounded by the objects
//! it speaks of. All cross-core effects of the broker go through this file (and the routes); `signals` keeps a wake-up
//! from being lost.

use super::Counters;
use super::signals::{Bell, RoomWanted};
use super::sys::Asker;
use crate::delivery::{Batch, ScanId};
use crossbeam::queue::{ArrayQueue, SegQueue};
use crossbeam::utils::CachePadded;
use millrace_kafka_sink::AckToken;
use millrace_router::{Cursor, Load, Member};
use mio::Waker;
use std::net::IpAddr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use crate::net::Transport;
use crate::seam::{Branch, mark, reach};

/// Batches that wait in one mailbox; each is all that one core had for this one in one turn.
const BATCHES: usize = 256;
/// Empty batches kept for reuse.
const SPARES: usize = 64;
/// Connections on their way to one core.
const HANDOFFS: u32 = 1_024;

/// A connection that moves to its home core.
pub struct Handoff {
    /// The socket, registered with no poll.
    pub transport: Transport,
    /// All bytes read so far, from the CONNECT on.
    pub bytes: Vec<u8>,
    /// The peer.
    pub ip: IpAddr,
    /// When the CONNECT must have been accepted.
    pub deadline_ms: u64,
}

/// A question for retained messages, answered with messages and an end by the core that has them.
pub struct Ask {
    /// The core that asks.
    pub core: usize,
    /// For which of its scans.
    pub scan: ScanId,
    /// Which topics, without `$share`.
    pub filter: Box<str>,
    /// Where to go on.
    pub cursor: Option<Cursor>,
    /// The most messages that may come, 1 at least.
    pub messages: usize,
    /// When their bytes are more than these, no further ones may come.
    pub bytes: u64,
}

/// What cores tell each other of the members of a shared subscription.
pub enum ShareNote {
    /// A session becomes a member, or its client is back.
    Join {
        /// `$share/{group}/{filter}`.
        full: Box<str>,
        /// The session.
        member: Member,
    },
    /// It is a member now, and the route of the filter is stored.
    Joined {
        /// The session.
        member: Member,
        /// The group's position and generation on the core that keeps it.
        group: (u32, u32),
    },
    /// What it has to do has changed; only said if that matters.
    Busy {
        /// The session.
        member: Member,
        /// The group's position and generation on the core that keeps it.
        group: (u32, u32),
        /// What it has to do.
        load: Load,
    },
    /// The client has gone, the session is kept.
    Away {
        /// `$share/{group}/{filter}`.
        full: Box<str>,
        /// The session.
        member: Member,
    },
    /// The session is no member any more.
    Leave {
        /// `$share/{group}/{filter}`.
        full: Box<str>,
        /// The session.
        member: Member,
    },
}

/// Steps of a clean stop. All cores take one before any takes the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Close listeners, publish wills.
    Listeners,
    /// Say goodbye to clients and write what is left.
    Clients,
    /// Leave the loop.
    Now,
}

/// Control between cores.
pub enum Control {
    /// A connection whose home this core is.
    Adopt(Box<Handoff>),
    /// Records that are durable now.
    Durable(Vec<AckToken>),
    /// Something that was full has room again.
    Room,
    /// A question for retained messages; one a session at a time.
    Ask(Box<Ask>),
    /// Something about a member of a shared subscription.
    Share(Box<ShareNote>),
    /// Somebody wants to know what this core has done.
    Count(Asker),
    /// What another core has done.
    Counted(Box<Counters>),
    /// A step of the clean stop.
    Stop(Stop),
}

/// One core's mailbox. Every core pushes, only its owner pops.
pub struct Mailbox {
    messages: ArrayQueue<Box<Batch>>,
    control: SegQueue<Control>,
    spares: ArrayQueue<Box<Batch>>,
    /// The owner sleeps in poll.
    bell: CachePadded<Bell>,
    /// Cores that found a lane full.
    room_wanted: CachePadded<RoomWanted>,
    handoffs: AtomicU32,
    handoffs_max: u32,
    waker: Waker,
}

impl Mailbox {
    /// The mailbox of the core whose poll `waker` wakes.
    pub fn new(waker: Waker) -> Mailbox {
        Mailbox::with_lane(waker, BATCHES, HANDOFFS)
    }

    /// With room for so many batches, and connections on their way.
    pub fn with_lane(waker: Waker, batches: usize, handoffs_max: u32) -> Mailbox {
        Mailbox {
            messages: ArrayQueue::new(batches),
            control: SegQueue::new(),
            spares: ArrayQueue::new(SPARES),
            bell: CachePadded::default(),
            room_wanted: CachePadded::default(),
            handoffs: AtomicU32::new(0),
            handoffs_max,
            waker,
        }
    }

    /// Makes sure that the owner looks at what was pushed before.
    fn wake(&self) {
        reach();
        if self.bell.ring() {
            // Fails only when the counter is full, which wakes as well.
            let _ = self.waker.wake();
        }
    }

    /// Sends messages; gives the batch back when the lane is full.
    pub fn send(&self, batch: Box<Batch>) -> Result<(), Box<Batch>> {
        self.messages.push(batch)?;
        self.wake();
        Ok(())
    }

    /// Sends control; always fits.
    pub fn control(&self, control: Control) {
        self.control.push(control);
        self.wake();
    }

    /// Asks for `Control::Room` once the lane has drained. Try once more after this: it may have just done so.
    pub fn want_room(&self, core: usize) {
        self.room_wanted.ask(core);
    }

    /// Takes a place for a connection on its way here; `false` when too many are.
    pub fn begin_handoff(&self) -> bool {
        self.handoffs.fetch_update(SeqCst, SeqCst, |now| (now < self.handoffs_max).then_some(now + 1)).is_ok()
    }

    /// Owner: the connection has arrived.
    pub fn end_handoff(&self) {
        self.handoffs.fetch_sub(1, SeqCst);
    }

    /// Owner: the next batch.
    pub fn next_batch(&self) -> Option<Box<Batch>> {
        self.messages.pop()
    }

    /// Owner: batches that wait.
    pub fn batches(&self) -> usize {
        self.messages.len()
    }

    /// Owner: the next control.
    pub fn next_control(&self) -> Option<Control> {
        self.control.pop()
    }

    /// Owner: cores to be told that there is room, if it has drained to a quarter.
    pub fn take_wants_room(&self) -> u64 {
        let waiting = self.room_wanted.take(|| self.messages.len() <= self.messages.capacity() / 4);
        if waiting != 0 {
            mark(Branch::LaneDrained);
        }
        waiting
    }

    /// Owner: about to sleep. `false` when something has come and it must not. Follow with `awake`.
    pub fn fall_asleep(&self) -> bool {
        self.bell.listen();
        reach();
        let empty = self.messages.is_empty() && self.control.is_empty();
        if !empty {
            mark(Branch::WakeRace);
        }
        empty
    }

    /// Nobody has woken its owner since it fell asleep.
    #[cfg(any(test, feature = "simulation"))]
    pub fn is_asleep(&self) -> bool {
        self.bell.is_listening()
    }

    /// Nothing lies in it, nobody waits for it.
    #[cfg(any(test, feature = "simulation"))]
    pub fn is_at_rest(&self) -> bool {
        self.messages.is_empty()
            && self.control.is_empty()
            && self.room_wanted.is_at_rest()
            && self.handoffs.load(SeqCst) == 0
    }

    /// Owner: back from poll; no need to wake it.
    pub fn awake(&self) {
        self.bell.awake();
    }

    /// Owner as sender: an empty batch.
    pub fn spare(&self, owner: usize) -> Box<Batch> {
        self.spares.pop().unwrap_or_else(|| Box::new(Batch::new(owner)))
    }

    /// Gives an emptied batch back to the core that made it.
    pub fn give_back(&self, batch: Box<Batch>) {
        // When there are enough of them, this one is freed.
        let _ = self.spares.push(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn a_full_lane_gives_back_and_tells_when_it_has_drained() {
        let poll = mio::Poll::new().expect("poll");
        let mailbox = Mailbox::new(Waker::new(poll.registry(), mio::Token(0)).expect("waker"));
        while mailbox.send(Box::new(Batch::new(1))).is_ok() {}
        mailbox.want_room(1);
        mailbox.want_room(3);
        assert_eq!(mailbox.take_wants_room(), 0);
        let mut taken = 0;
        while mailbox.next_batch().is_some() {
            taken += 1;
            if mailbox.messages.len() > BATCHES / 4 {
                assert_eq!(mailbox.take_wants_room(), 0);
            }
        }
        assert_eq!((taken, mailbox.take_wants_room(), mailbox.take_wants_room()), (BATCHES, 0b1010, 0));
    }

    /// A sender and a sleeper race a hundred thousand times: a lost wake-up would hang until the time-out.
    #[test]
    fn no_wake_up_is_lost() {
        const ROUNDS: u32 = 100_000;
        let mut poll = mio::Poll::new().expect("poll");
        let mailbox = Arc::new(Mailbox::new(Waker::new(poll.registry(), mio::Token(0)).expect("waker")));
        let sender = Arc::clone(&mailbox);
        let thread = std::thread::spawn(move || {
            for round in 0..ROUNDS {
                sender.control(Control::Room);
                if round % 7 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let (mut seen, mut events) = (0, mio::Events::with_capacity(4));
        while seen < ROUNDS {
            while mailbox.next_control().is_some() {
                seen += 1;
            }
            if seen < ROUNDS && mailbox.fall_asleep() {
                poll.poll(&mut events, Some(Duration::from_secs(20))).expect("poll");
                assert!(!events.is_empty(), "slept through a message after {seen}");
            }
            mailbox.awake();
        }
        thread.join().expect("sender");
    }
}
