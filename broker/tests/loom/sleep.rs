//! Sleep and wake: nobody sleeps through a message.

use crate::signals::Bell;
use crate::waker::Waker;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread;

/// A core that takes what others push, and sleeps when there is nothing. A wake-up that is lost leaves it asleep for
/// ever, which loom reports as a deadlock.
fn pushes_are_taken(senders: usize) {
    let mut models = loom::model::Builder::new();
    // With two senders there are too many orders; nothing has been found that needs more switches than two.
    models.preemption_bound = (senders > 1).then_some(3);
    models.check(move || {
        let lanes: Arc<Vec<AtomicBool>> = Arc::new((0..senders).map(|_| AtomicBool::new(false)).collect());
        let (bell, owner) = (Arc::new(Bell::default()), thread::current());
        let threads: Vec<_> = (0..senders)
            .map(|sender| {
                let (lanes, bell, owner) = (Arc::clone(&lanes), Arc::clone(&bell), owner.clone());
                thread::spawn(move || {
                    lanes[sender].store(true, Relaxed);
                    if bell.ring() {
                        owner.unpark();
                    }
                })
            })
            .collect();
        let mut taken = 0;
        let take = || lanes.iter().filter(|lane| lane.load(Relaxed) && lane.swap(false, Relaxed)).count();
        while taken < senders {
            taken += take();
            if taken < senders {
                bell.listen();
                let found = take();
                taken += found;
                if found == 0 {
                    thread::park();
                }
                bell.awake();
            }
        }
        for thread in threads {
            thread.join().expect("a sender");
        }
    });
}

#[test]
fn what_one_core_pushes_is_taken() {
    pushes_are_taken(1);
}

#[test]
fn what_two_cores_push_is_taken() {
    pushes_are_taken(2);
}

/// The log thread, and a core that flushes its batch or asks for room: the log sees it, or is woken.
#[test]
fn the_log_does_not_sleep_through_a_batch() {
    loom::model(|| {
        let (ring, waker) = (Arc::new(AtomicBool::new(false)), Arc::new(Waker::default()));
        let core = {
            let (ring, waker) = (Arc::clone(&ring), Arc::clone(&waker));
            thread::spawn(move || {
                ring.store(true, Relaxed);
                waker.wake();
            })
        };
        waker.going_to_sleep();
        let seen = ring.load(Relaxed);
        core.join().expect("a core");
        assert!(seen || !waker.is_asleep(), "asleep beside a batch");
    });
}
