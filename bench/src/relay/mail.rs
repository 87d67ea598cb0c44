//! Between cores: one mailbox each, filled once a turn, with a wake-up only for a core that sleeps.

use std::mem;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mio::Waker;
use mio::net::TcpStream;

use super::routes::Target;
use super::wire::Publish;

/// A PUBLISH on its way to subscribers of another core; ranges of its batch.
struct Crossing {
    frame: Range<usize>,
    body: usize,
    topic_end: usize,
    tail: usize,
    targets: Range<usize>,
}

/// What one core sends to another in a turn.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    targets: Vec<Target>,
    crossings: Vec<Crossing>,
}

impl Batch {
    #[inline]
    pub(super) fn push(&mut self, publish: &Publish<'_>, targets: &[Target]) {
        let (start, first) = (self.bytes.len(), self.targets.len());
        self.bytes.extend_from_slice(publish.frame);
        self.targets.extend_from_slice(targets);
        self.crossings.push(Crossing {
            frame: start..self.bytes.len(),
            body: publish.body,
            topic_end: publish.topic_end,
            tail: publish.tail,
            targets: first..self.targets.len(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.crossings.is_empty()
    }

    /// In the order they were pushed.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Publish<'_>, &[Target])> {
        self.crossings.iter().map(|crossing| {
            let &Crossing { body, topic_end, tail, .. } = crossing;
            let frame = &self.bytes[crossing.frame.clone()];
            (Publish { frame, body, topic_end, tail }, &self.targets[crossing.targets.clone()])
        })
    }

    /// Empties it; what it has allocated stays.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.targets.clear();
        self.crossings.clear();
    }

    /// Puts all that the other has behind its own and empties the other.
    fn take(&mut self, other: &mut Batch) {
        if self.is_empty() {
            mem::swap(self, other);
            return;
        }
        for (publish, targets) in other.iter() {
            self.push(&publish, targets);
        }
        other.clear();
    }
}

/// A connection on its way to its home core, with all that was read of it, CONNECT first.
pub(super) struct Moved {
    pub stream: TcpStream,
    pub bytes: Vec<u8>,
}

/// What lies in a mailbox.
#[derive(Default)]
pub(super) struct Mail {
    pub moved: Vec<Moved>,
    /// One for each sending core, so that each finds again the room that the reader left empty.
    pub batches: Vec<Batch>,
}

pub(super) struct Mailbox {
    mail: Mutex<Mail>,
    /// Whether anything lies there.
    full: AtomicBool,
    sleeping: AtomicBool,
    waker: Waker,
}

impl Mailbox {
    pub(super) fn new(waker: Waker, cores: usize) -> Mailbox {
        let mail = Mail { moved: Vec::new(), batches: (0..cores).map(|_| Batch::default()).collect() };
        Mailbox {
            mail: Mutex::new(mail),
            full: AtomicBool::new(false),
            sleeping: AtomicBool::new(false),
            waker,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the batch of that core, and leaves it an empty one.
    pub(super) fn send(&self, from: usize, batch: &mut Batch) {
        self.lock().batches[from].take(batch);
        self.wake();
    }

    pub(super) fn hand_over(&self, moved: Moved) {
        self.lock().moved.push(moved);
        self.wake();
    }

    fn wake(&self) {
        self.full.store(true, Ordering::SeqCst);
        // Either we see that the reader sleeps, or it sees, behind its own fence, that there is mail.
        fence(Ordering::SeqCst);
        if self.sleeping.swap(false, Ordering::SeqCst) {
            // It fails only where the reader's poll is gone, and then nobody is there to read.
            let _ = self.waker.wake();
        }
    }

    /// Says that the core is about to sleep, and whether it must not because mail is there.
    pub(super) fn fall_asleep(&self) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        !self.full.load(Ordering::SeqCst)
    }

    pub(super) fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// Exchanges what lies there for `mail`, which is empty; false: nothing lies there.
    pub(super) fn read(&self, mail: &mut Mail) -> bool {
        if !self.full.load(Ordering::SeqCst) {
            return false;
        }
        let mut lock = self.lock();
        self.full.store(false, Ordering::SeqCst);
        mem::swap(&mut *lock, mail);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_their_order_and_give_their_room_back() {
        let frames: [&[u8]; 3] = [b"\x30\x04\x00\x01ab", b"\x30\x05\x00\x01cde", b"\x30\x03\x00\x01f"];
        let target = |slot| Target { slot, generation: 0, core: 1, qos: 0 };
        let (mut lane, mut batch) = (Batch::default(), Batch::default());
        for (number, frame) in frames.iter().enumerate() {
            let publish = Publish::read(frame, 2).expect("a PUBLISH");
            batch.push(&publish, &[target(number as u32), target(9)]);
            lane.take(&mut batch);
            assert!(batch.is_empty());
        }
        let arrived: Vec<_> =
            lane.iter().map(|(publish, to)| (publish.frame, publish.topic(), to[0].slot)).collect();
        let topics: [&[u8]; 3] = [b"a", b"c", b"f"];
        let expected: Vec<_> = (0..3).map(|number| (frames[number], topics[number], number as u32)).collect();
        assert_eq!(arrived, expected);
        let room = lane.bytes.capacity();
        lane.clear();
        assert!(lane.is_empty() && lane.bytes.capacity() == room);
    }
}
