//! Route slots: a PUBLISH that is admitted after a SUBACK was seen finds the route, though its core takes no lock as long
//! as nothing seems to have changed.

use crate::atomics::{Published, Version};
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, RwLock};
use loom::thread;

/// One shard of `Routes`: the version is read before the data, and bumped after a change with the lock held.
#[derive(Default)]
struct Shard {
    version: Version,
    wanted: RwLock<bool>,
}

impl Shard {
    /// As `Routes::add`.
    fn add(&self) {
        let mut wanted = self.wanted.write().expect("not poisoned");
        *wanted = true;
        self.version.bump();
    }

    /// As `Routes::lookup` for a `RouteCache`: what is kept, and the version that it is kept with.
    fn look_up(&self) -> (bool, u64) {
        let version = self.version.get();
        (*self.wanted.read().expect("not poisoned"), version)
    }
}

#[test]
fn a_kept_route_is_as_new_as_what_was_heard() {
    loom::model(|| {
        let (shard, suback) = (Arc::new(Shard::default()), Arc::new(AtomicBool::new(false)));
        let subscriber = {
            let (shard, suback) = (Arc::clone(&shard), Arc::clone(&suback));
            thread::spawn(move || {
                shard.add();
                suback.store(true, Ordering::Release);
            })
        };
        let (kept, version) = shard.look_up();
        if suback.load(Ordering::Acquire) {
            let current = shard.version.get() == version;
            let found = if current { kept } else { shard.look_up().0 };
            assert!(found, "a subscriber that was told so is not found");
        }
        subscriber.join().expect("a subscriber");
        let found = if shard.version.get() == version { kept } else { shard.look_up().0 };
        assert!(found, "at rest");
    });
}

/// As `SharedDepths`: words that change one by one.
#[test]
fn depths_that_were_read_half_are_known_to_be_old() {
    loom::model(|| {
        let (depths, suback) = (Arc::new(Published::<2>::default()), Arc::new(AtomicBool::new(false)));
        let subscriber = {
            let (depths, suback) = (Arc::clone(&depths), Arc::clone(&suback));
            thread::spawn(move || {
                depths.publish([1, 1]);
                depths.bump();
                suback.store(true, Ordering::Release);
            })
        };
        let (kept, version) = depths.load();
        if suback.load(Ordering::Acquire) && depths.version() == version {
            assert_eq!(kept, [1, 1], "a depth in use is not probed");
        }
        subscriber.join().expect("a subscriber");
        if depths.version() == version {
            assert_eq!(kept, [1, 1], "at rest");
        }
    });
}
