//! The figures by which runs are compared, as one table that rounds, comparison and page share, and what several
//! rounds say together.

use super::text::{bytes, micros, number};
use crate::outcome::{Outcome, Usage};

/// One figure of a run.
pub(super) struct Metric {
    pub(super) name: &'static str,
    /// None where a run does not have it.
    pub(super) value: fn(&Outcome) -> Option<f64>,
    pub(super) show: fn(f64) -> String,
    pub(super) better: Better,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    Less,
    More,
}

/// Memory is divided by connections only from so many on: below, pages and buffers are what one would see.
const CONNECTIONS_MIN: u64 = 100;

/// The one that `compare --fail-above` judges.
pub(super) const BROKER_CPU: &str = "broker CPU, µs a message";

/// In the order in which they are shown.
pub(super) const METRICS: &[Metric] = &[
    Metric { name: "messages a second", value: rate, show: number, better: Better::More },
    Metric { name: BROKER_CPU, value: broker_cpu, show: number, better: Better::Less },
    Metric { name: "broker CPU, µs a connection", value: connect_cpu, show: number, better: Better::Less },
    Metric { name: "connections a second", value: connects, show: number, better: Better::More },
    Metric { name: "latency p50", value: |run| latency(run, 0.5), show: micros, better: Better::Less },
    Metric { name: "latency p99", value: |run| latency(run, 0.99), show: micros, better: Better::Less },
    Metric { name: "latency p99.9", value: |run| latency(run, 0.999), show: micros, better: Better::Less },
    Metric { name: "connect latency p99", value: connect_latency, show: micros, better: Better::Less },
    Metric { name: "memory a connection", value: connection_bytes, show: bytes, better: Better::Less },
    Metric { name: "switches a message", value: switches, show: number, better: Better::Less },
    Metric { name: "generator CPU, µs a message", value: generator_cpu, show: number, better: Better::Less },
];

fn positive(value: f64) -> Option<f64> {
    (value > 0.0 && value.is_finite()).then_some(value)
}

fn rate(run: &Outcome) -> Option<f64> {
    positive(run.rate())
}

fn broker_cpu(run: &Outcome) -> Option<f64> {
    positive(run.cpu_us(run.broker.as_ref()?))
}

fn generator_cpu(run: &Outcome) -> Option<f64> {
    positive(run.cpu_us(&run.generator))
}

/// Only of runs in which nothing is sent: there the CPU time is that of connecting.
pub(super) fn connect_cpu(run: &Outcome) -> Option<f64> {
    let broker = run.broker.as_ref().filter(|_| run.messages() == 0)?;
    positive((broker.user_s + broker.system_s) * 1e6 / run.totals.connected as f64)
}

fn connects(run: &Outcome) -> Option<f64> {
    if run.messages() > 0 {
        return None;
    }
    connect_rate(run)
}

/// Connections that got ready a second, while they were opened.
pub(super) fn connect_rate(run: &Outcome) -> Option<f64> {
    positive(run.totals.connected as f64 / run.totals.connect_seconds)
}

fn latency(run: &Outcome, share: f64) -> Option<f64> {
    (run.latency.count() > 0).then(|| run.latency.quantile(share) as f64)
}

fn connect_latency(run: &Outcome) -> Option<f64> {
    (run.messages() == 0 && run.connect_latency.count() > 0)
        .then(|| run.connect_latency.quantile(0.99) as f64)
}

/// Resident bytes that a connection took, at the end of the measured seconds.
pub(super) fn connection_bytes(run: &Outcome) -> Option<f64> {
    let broker = run.broker.as_ref().filter(|broker| broker.rss_before > 0)?;
    let connections = connections(run);
    if connections < CONNECTIONS_MIN {
        return None;
    }
    positive(broker.rss.saturating_sub(broker.rss_before) as f64 / connections as f64)
}

/// Connections while it was measured.
fn connections(run: &Outcome) -> u64 {
    let last = run.samples.iter().rfind(|sample| sample.phase == "measure");
    let settings = &run.settings;
    let asked = (settings.publishers + settings.subscribers + settings.idle) as u64;
    last.map_or(0, |sample| sample.connections).max(asked.saturating_sub(run.totals.connect_failed))
}

fn switches(run: &Outcome) -> Option<f64> {
    let Usage { voluntary_switches, involuntary_switches, .. } = run.broker.as_ref()?;
    positive((voluntary_switches + involuntary_switches) as f64 / run.messages() as f64)
}

/// A figure over several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) rounds: usize,
}

impl Spread {
    /// Of these values; none of none.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let half = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 };
        Some(Spread { median, min, max, rounds: values.len() })
    }

    /// Of the rounds that have the figure; none if no round has.
    pub(super) fn of_rounds(metric: &Metric, rounds: &[&Outcome]) -> Option<Spread> {
        Spread::of(rounds.iter().filter_map(|run| (metric.value)(run)))
    }

    /// `1.20..1.31`; empty for a single round.
    pub(super) fn range(&self, metric: &Metric) -> String {
        if self.rounds < 2 {
            return String::new();
        }
        format!("{}..{}", (metric.show)(self.min), (metric.show)(self.max))
    }
}
