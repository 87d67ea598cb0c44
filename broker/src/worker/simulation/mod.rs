//! A whole node in one thread under a seed: several cores, the log on simulated files, a network that misbehaves, and
//! clients. Only sockets, clock, disk and Kafka are not the real ones. `world` runs it all. `actor` is a client, `deeds`
//! what it does once it is connected, `open` one connection of it, `party` what it remembers over them. `book` knows what
//! each client may and must see: `copies` who got which message, `wills` which have to be published, `retained` what is
//! kept. `history` makes one run of a seed and judges it.
//!
//! In half of all histories the power fails once, and another node goes on with what the disk has kept; clients remember
//! nothing of the time before then. Not modelled: several publishers of one retained topic, expiry of messages, clients
//! that go on after a crash with what they had under way, the way into Kafka.
//!
//! The cores' turns interleave as threads do: at each `seam::reach` another core or the log may go on.

mod actor;
mod book;
mod copies;
mod deeds;
mod history;
mod open;
mod party;
mod retained;
mod wills;
mod world;

#[cfg(feature = "simulation")]
pub use history::{Outcome, run};
