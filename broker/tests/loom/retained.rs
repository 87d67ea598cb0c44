//! A new subscriber gets a retained message as one, or live: the order that stands at the head of `worker/retain.rs`.
//! The steps of `Core::retain` and `Core::begin_scan` are repeated here; the versions are the broker's.

use crate::atomics::Version;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use loom::sync::atomic::{AtomicBool, AtomicUsize, fence};
use loom::sync::{Arc, RwLock};
use loom::thread;

#[derive(Default)]
struct Node {
    /// How many retained messages there are (`RetainedTotals`).
    messages: AtomicUsize,
    /// The lane of the core that keeps the message.
    lane: AtomicBool,
    /// A question in that core's control lane.
    question: AtomicBool,
    version: Version,
    route: RwLock<bool>,
}

impl Node {
    /// `Core::retain`: whether the message goes to the subscriber as a live one. The publisher's core has met the topic
    /// before, so it looks the route up only if that has changed.
    fn publish(&self, version: u64) -> bool {
        self.messages.fetch_add(1, Relaxed);
        self.lane.store(true, Release);
        fence(SeqCst);
        self.version.get() != version && *self.route.read().expect("not poisoned")
    }

    /// SUBSCRIBE, then `Core::begin_scan`.
    fn subscribe(&self) {
        let mut route = self.route.write().expect("not poisoned");
        *route = true;
        self.version.bump();
        drop(route);
        fence(SeqCst);
        if self.messages.load(Relaxed) > 0 {
            self.question.store(true, Release);
        }
    }

    /// `Core::answer_asks`: what is in the lane before the question is taken before it is answered, once.
    fn answer(&self) -> Option<bool> {
        self.question.load(Acquire).then(|| self.lane.load(Acquire))
    }
}

#[test]
fn a_new_subscriber_misses_nothing() {
    loom::model(|| {
        let node = Arc::new(Node::default());
        let version = node.version.get();
        let subscriber = {
            let node = Arc::clone(&node);
            thread::spawn(move || node.subscribe())
        };
        let keeper = {
            let node = Arc::clone(&node);
            thread::spawn(move || node.answer())
        };
        let live = node.publish(version);
        subscriber.join().expect("a subscriber");
        let answered = keeper.join().expect("a keeper").or_else(|| node.answer());
        assert!(live || answered == Some(true), "neither live nor retained");
    });
}
