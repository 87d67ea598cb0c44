//! The load engine: carries out a [`Plan`] with mio and the project's codec, and says what came of it.
//!
//! In the order of data: a [`plan`] is laid out over threads (`layout`); `run` starts a `worker` a thread and talks to
//! it through its `link`; a worker opens `client`s, lets `publisher`s write messages made from a `template` as their
//! window or the `timetable` allows, keeps what is in `flight`, and enters what comes into the `account`, by the
//! [`payload`]'s stamp.

pub(crate) mod plan;

mod layout;

mod link;
mod run;

mod client;
mod worker;

mod flight;
mod publisher;
mod template;
mod timetable;

pub(crate) mod account;
pub(crate) mod clock;
pub(crate) mod latency;
pub(crate) mod payload;

use crate::outcome::{Latency, Sample, Totals};
use plan::Plan;
use serde::{Deserialize, Serialize};

/// A step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    Connect,
    Warmup,
    Measure,
    Drain,
}

/// Who is told while a plan runs, in the thread that called [`run`]: the terminal, or the parent of several processes.
pub(crate) trait Control {
    /// All connections of this process are ready or have failed; returns when messages may flow.
    fn connected(&mut self, ready: u64, failed: u64);
    /// A phase begins. At `Measure` and `Drain` what is measured from outside (CPU time) is read.
    fn phase(&mut self, phase: Phase);
    /// An interval has passed; the sample has what the engine knows (nothing of the broker's process).
    fn sample(&mut self, sample: &Sample, latency: &Latency);
    /// Whether to end early: the account is then of what was sent until now.
    fn interrupted(&self) -> bool;
}

/// One process's account; those of several processes add up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// `lost` is left to whoever has the tallies of all processes.
    pub totals: Totals,
    pub latency: Latency,
    pub connect_latency: Latency,
    /// Messages of the whole run by stream: `(group, stream, how many)`, as the publisher sent them.
    pub sent: Vec<(usize, usize, u64)>,
    /// Distinct deliveries of the whole run by stream, at all subscribers of this process together.
    pub arrived: Vec<(usize, usize, u64)>,
    /// Messages of groups that nobody hears (`receivers` 0) whose acknowledgement never came; of the whole run.
    #[serde(default)]
    pub unacknowledged: u64,
    /// The first thing that went wrong, in words; empty if nothing did.
    pub error: String,
}

/// Carries out a plan.
///
/// # Errors
/// Nothing could be measured: no connection got ready, too few file descriptors.
pub(crate) fn run(plan: &Plan, control: &mut dyn Control) -> Result<Tally, String> {
    run::run(plan, control)
}

impl Phase {
    /// As samples name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Connect => "connect",
            Phase::Warmup => "warmup",
            Phase::Measure => "measure",
            Phase::Drain => "drain",
        }
    }
}

#[cfg(test)]
mod tests;
