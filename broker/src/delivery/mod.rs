//! A message on its way to subscribers: borrowed while the turn lasts, encoded once for all receivers of a kind,
//! copied into one batch for each other core, stored once for all sessions that must wait for it.
//! Knows packets, not sockets, and no session's state.

mod batch;
mod frames;
mod message;
mod spares;

pub use batch::{Batch, Purpose, ScanId, ToMember};
pub use frames::{Alias, Frames, Own};
pub use message::{Message, Stored};
pub use spares::Spares;
