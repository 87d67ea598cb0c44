//! One account of those of several processes.

use std::collections::BTreeMap;

use crate::load::Tally;
use crate::load::plan::Plan;
use crate::outcome::{Latency, Sample, Totals};

/// All tallies as one, with what is lost: only who has all of them can say.
pub(crate) fn tallies(plan: &Plan, tallies: &[Tally]) -> Tally {
    let mut all = Tally::default();
    for tally in tallies {
        add_totals(&mut all.totals, &tally.totals);
        all.unacknowledged += tally.unacknowledged;
        all.latency.add(&tally.latency);
        all.connect_latency.add(&tally.connect_latency);
        if all.error.is_empty() {
            all.error.clone_from(&tally.error);
        }
    }
    all.sent = streams(tallies.iter().map(|tally| tally.sent.as_slice()));
    all.arrived = streams(tallies.iter().map(|tally| tally.arrived.as_slice()));
    all.totals.lost = lost(plan, &all) + all.unacknowledged;
    all
}

/// Messages that were sent and did not come, stream by stream: what came too much in one makes up for nothing in another.
fn lost(plan: &Plan, all: &Tally) -> u64 {
    let arrived: BTreeMap<_, _> =
        all.arrived.iter().map(|&(group, stream, count)| ((group, stream), count)).collect();
    let missing = all.sent.iter().map(|&(group, stream, count)| {
        let publish = plan.groups.get(group).and_then(|group| group.publish.as_ref());
        let expected = count * publish.map_or(0, |publish| publish.receivers);
        expected.saturating_sub(arrived.get(&(group, stream)).copied().unwrap_or(0))
    });
    missing.sum()
}

fn add_totals(all: &mut Totals, one: &Totals) {
    // All fields by name: a new one has to be thought of here.
    let Totals {
        seconds,
        sent,
        acknowledged,
        delivered,
        lost,
        repeated,
        reordered,
        foreign,
        stalls,
        refused,
        unexpected,
        disconnects,
        connect_failed,
        connected,
        connect_seconds,
        behind,
        payload_sent,
        payload_delivered,
    } = one;
    all.seconds = all.seconds.max(*seconds);
    all.connect_seconds = all.connect_seconds.max(*connect_seconds);
    for (sum, count) in [
        (&mut all.sent, sent),
        (&mut all.acknowledged, acknowledged),
        (&mut all.delivered, delivered),
        (&mut all.lost, lost),
        (&mut all.repeated, repeated),
        (&mut all.reordered, reordered),
        (&mut all.foreign, foreign),
        (&mut all.stalls, stalls),
        (&mut all.refused, refused),
        (&mut all.unexpected, unexpected),
        (&mut all.disconnects, disconnects),
        (&mut all.connect_failed, connect_failed),
        (&mut all.connected, connected),
        (&mut all.behind, behind),
        (&mut all.payload_sent, payload_sent),
        (&mut all.payload_delivered, payload_delivered),
    ] {
        *sum += count;
    }
}

fn streams<'a>(all: impl Iterator<Item = &'a [(usize, usize, u64)]>) -> Vec<(usize, usize, u64)> {
    let mut sums = BTreeMap::new();
    for &(group, stream, count) in all.flatten() {
        *sums.entry((group, stream)).or_insert(0) += count;
    }
    sums.into_iter().map(|((group, stream), count)| (group, stream, count)).collect()
}

/// Samples of several processes, made one as soon as all have given theirs.
///
/// Those of one phase belong together by their order: phases begin at the same moment everywhere, but for connecting,
/// where whoever is ready first gives no more and is counted with what it has.
#[derive(Debug)]
pub(crate) struct Samples {
    workers: Vec<Given>,
    /// Samples of the current phase that have been made.
    made: usize,
    phase: usize,
}

/// What one process has given.
#[derive(Debug, Default)]
struct Given {
    /// By phase.
    samples: [Vec<(Sample, Latency)>; PHASES],
    /// Phases behind it: it gives nothing more for them.
    passed: usize,
    /// It is ready and waits for others.
    waits: bool,
}

/// Connect, warm-up, measure, drain.
const PHASES: usize = 4;

impl Samples {
    pub(crate) fn new(workers: usize) -> Samples {
        Samples { workers: (0..workers).map(|_| Given::default()).collect(), made: 0, phase: 0 }
    }

    pub(crate) fn add(&mut self, worker: usize, sample: Sample, latency: Latency) -> Vec<(Sample, Latency)> {
        let phase = ["connect", "warmup", "measure"].iter().position(|name| *name == sample.phase);
        let phase = phase.unwrap_or(3);
        let given = &mut self.workers[worker];
        if phase == 0 && self.phase == 0 && given.samples[0].len() < self.made {
            // It was ready before others and gave nothing while it waited for them: this is of now.
            let before = given.samples[0].last().map_or(0, |(sample, _)| sample.connections);
            let held = Sample { connections: before, ..Sample::default() };
            given.samples[0].resize(self.made, (held, Latency::default()));
        }
        given.samples[phase].push((sample, latency));
        // Samples come in order, though behind the news that the next phase has begun.
        given.passed = given.passed.max(phase);
        self.take()
    }

    /// A process is ready and gives nothing until all are, or no longer so.
    pub(crate) fn waits(&mut self, worker: usize, waits: bool) -> Vec<(Sample, Latency)> {
        self.workers[worker].waits = waits;
        self.take()
    }

    /// A process gives no more of anything.
    pub(crate) fn ended(&mut self, worker: usize) -> Vec<(Sample, Latency)> {
        self.workers[worker].passed = PHASES;
        self.take()
    }

    fn take(&mut self) -> Vec<(Sample, Latency)> {
        let mut out = Vec::new();
        while self.phase < PHASES {
            let (phase, at) = (self.phase, self.made);
            let complete =
                |given: &Given| given.passed > phase || given.waits || given.samples[phase].len() > at;
            if !self.workers.iter().all(complete) {
                break;
            }
            if self.workers.iter().any(|given| given.samples[phase].len() > at) {
                out.push(self.make(phase, at));
                self.made += 1;
            } else if self.workers.iter().any(|given| given.passed <= phase) {
                break;
            } else {
                (self.phase, self.made) = (phase + 1, 0);
            }
        }
        out
    }

    fn make(&self, phase: usize, at: usize) -> (Sample, Latency) {
        let given = || self.workers.iter().filter_map(|given| given.samples[phase].get(at));
        let (mut all, mut latency) = (Sample::default(), Latency::default());
        for (sample, interval) in given() {
            latency.add(interval);
            all.at_s = all.at_s.max(sample.at_s);
            all.seconds = all.seconds.max(sample.seconds);
            all.phase.clone_from(&sample.phase);
            all.sent += sample.sent;
            all.acknowledged += sample.acknowledged;
            all.delivered += sample.delivered;
            all.errors += sample.errors;
        }
        // Who gives nothing here still holds what it had before.
        all.connections = self.workers.iter().filter_map(|given| given.connections(phase, at)).sum();
        (all.p50_us, all.p99_us, all.max_us) = (latency.quantile(0.5), latency.quantile(0.99), latency.max());
        (all, latency)
    }
}

impl Given {
    /// Its connections at that sample, or at the last before it.
    fn connections(&self, phase: usize, at: usize) -> Option<u64> {
        let here = self.samples[phase].iter().take(at + 1);
        let before = self.samples[..phase].iter().flatten();
        before.chain(here).last().map(|(sample, _)| sample.connections)
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
