//! The space signal: who found something full is told when it is not any more, or has found out by itself.

use crate::signals::RoomWanted;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use loom::thread;

/// As in `Outbox::flush` and `Core::tell_room`; also `Core::waits_for` and `Core::note_congestion`, where what is full is
/// the bit of a congested core.
#[test]
fn a_core_that_waits_for_room_is_told() {
    loom::model(|| {
        let (full, wanted) = (Arc::new(AtomicBool::new(true)), Arc::new(RoomWanted::default()));
        let sender = {
            let (full, wanted) = (Arc::clone(&full), Arc::clone(&wanted));
            thread::spawn(move || {
                wanted.ask(5);
                !full.load(Relaxed)
            })
        };
        full.store(false, Relaxed);
        let told = wanted.take(|| true);
        let found = sender.join().expect("a sender");
        assert!(found || told == 1 << 5, "waits for ever");
    });
}

#[test]
fn each_core_that_waits_is_told() {
    loom::model(|| {
        let (full, wanted) = (Arc::new(AtomicBool::new(true)), Arc::new(RoomWanted::default()));
        let senders = [0, 1].map(|core| {
            let (full, wanted) = (Arc::clone(&full), Arc::clone(&wanted));
            thread::spawn(move || {
                wanted.ask(core);
                !full.load(Relaxed)
            })
        });
        full.store(false, Relaxed);
        // Turn by turn.
        let told = wanted.take(|| true) | wanted.take(|| true);
        for (core, sender) in senders.into_iter().enumerate() {
            let found = sender.join().expect("a sender");
            assert!(found || told & (1 << core) != 0, "core {core} waits for ever");
        }
    });
}

/// Nobody is forgotten because there is not enough room yet.
#[test]
fn who_asked_is_told_later_when_it_is_not_enough() {
    loom::model(|| {
        let (room, wanted) = (Arc::new(AtomicU64::new(0)), Arc::new(RoomWanted::default()));
        let sender = {
            let (room, wanted) = (Arc::clone(&room), Arc::clone(&wanted));
            thread::spawn(move || {
                wanted.ask(0);
                room.load(Relaxed) == 2
            })
        };
        let mut told = 0;
        for now in 1..=2 {
            room.store(now, Relaxed);
            told |= wanted.take(|| now == 2);
        }
        let found = sender.join().expect("a sender");
        assert!(found || told == 1, "waits for ever");
    });
}
