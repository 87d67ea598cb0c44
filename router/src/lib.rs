//! Topics, filters and the indexes that route by them.
//!
//! The broker asks three questions here: is this filter legal ([`Filter`]), which cores want this
//! topic ([`Routes`], through each core's [`RouteCache`]), and which sessions of this core want it
//! ([`Subscriptions`]). Rules of hooks and of access use the plain [`Index`].
//!
//! The crate knows nothing of sockets, packets or clocks and reads no randomness: every seed is an
//! argument. All indexes rest on one idea, explained in `walk.rs`.

#![forbid(unsafe_code)]

pub mod topic;

pub mod filter;

mod hash;

mod depths;

mod walk;

mod slots;

pub mod index;

mod atomics;

/// What `atomics` is made of; the models in `broker/tests/loom` bring loom's.
mod sync {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
}

pub mod routes;

pub mod route_cache;

pub mod retained;

pub mod share;

pub mod subscriptions;

mod subscribers;

#[cfg(test)]
mod testing;

pub use filter::{Filter, FilterError, MAX_FILTER_BYTES, MAX_LEVELS, ShareError, matches};
pub use index::Index;
pub use retained::{Cursor, Named, Retained};
pub use route_cache::{CacheCounts, RouteCache};
pub use routes::{CoreSet, MAX_CORES, Routes};
pub use share::{Group, Load, Member, Strategy};
pub use subscribers::Subscriber;
pub use subscriptions::{FilterId, Subscribed, Subscriptions, Unsubscribed};
