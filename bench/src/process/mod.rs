//! Processes: a broker that is started for a run, what a process uses, and the generator's own workers.

pub(crate) mod broker;
mod listener;
pub(crate) mod usage;
