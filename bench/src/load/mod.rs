//! The load engine: carries out a [`Plan`] with mio and the project's codec, and says what came of it.

pub(crate) mod plan;

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
    /// The first thing that went wrong, in words; empty if nothing did.
    pub error: String,
}

/// Carries out a plan.
///
/// # Errors
/// Nothing could be measured: no connection got ready, too few file descriptors.
pub(crate) fn run(plan: &Plan, control: &mut dyn Control) -> Result<Tally, String> {
    let _ = (plan, control);
    Err("the load engine is not there yet".to_owned())
}
