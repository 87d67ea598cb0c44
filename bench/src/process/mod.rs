//! Processes: a broker that is started for a run, what a process uses, and the generator's own workers.
//!
//! The generator is one process or several. Each carries out a plan of its own (`load::run`); `crew` starts them, lets
//! them go at one moment, and hears from them; `merge` makes one account of theirs. With one process there is no child:
//! the plan is carried out here.

pub(crate) mod broker;
mod listener;
pub(crate) mod usage;

pub(crate) mod descriptors;
pub(crate) mod machine;

pub(crate) mod crew;
pub(crate) mod merge;
mod wire;
pub(crate) mod worker;

use std::net::SocketAddr;

/// The process that listens at `address`, if it is on this machine and we may look into it.
pub(crate) fn listening(address: SocketAddr) -> Option<u32> {
    listener::pid_of(address)
}
