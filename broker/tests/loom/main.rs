//! What cores say to each other without a lock, in every order that the memory model of C++ allows: loom runs each model
//! in all of them. The files that are checked are those of the broker, compiled here once more with loom's atomics in
//! place of the standard library's; queues and locks around them are stand-ins that promise no more than the real ones.
//!
//! loom takes a sequentially consistent load or store for an acquire or release, so only a fence orders a write before a
//! read of another place. What passes here does not lean on what a queue does inside.

#[path = "../../../router/src/atomics.rs"]
mod atomics;
mod retained;
mod room;
mod routes;
#[path = "../../src/worker/signals.rs"]
#[expect(dead_code, reason = "some of it is for tests of the broker")]
mod signals;
mod sleep;
#[path = "../../../kafka-sink/src/ring/waker.rs"]
#[expect(dead_code, reason = "some of it is for simulations")]
mod waker;

/// In the crates that the files are from: the standard library's.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
}
