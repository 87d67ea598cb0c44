//! Millrace: an MQTT broker that feeds streams.
//!
//! Devices speak MQTT 3.1, 3.1.1 and 5.0 to it; what they publish reaches other clients, and by hooks it becomes
//! records of durable streams. `ARCHITECTURE.md` at the top of the repository is the map; here are the modules in the
//! order in which a message meets them.

pub mod cli;
pub mod config;

pub mod node;

pub mod status;

mod time;

mod seam;

mod net;

mod memory;

mod sys;

mod rewrite;

/// What `worker/signals.rs` is made of; the models in `tests/loom` bring loom's.
mod sync {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
}

mod worker;

#[cfg(feature = "replay")]
#[doc(hidden)]
pub use worker::replay;
#[cfg(feature = "sim")]
#[doc(hidden)]
pub use worker::sim;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub use worker::simulation;

mod connection;

mod session;

mod hook;

mod delivery;
