//! What is read off a run: each figure's name, unit and which way is better.

use super::record::Record;
use crate::report::text;

const P50: f64 = 0.5;
const P99: f64 = 0.99;
const P999: f64 = 0.999;
/// What is read off a distribution of times.
pub(super) const SHARES: &[f64] = &[P50, P99, P999];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    /// The broker's CPU time a message.
    CpuUs,
    /// Messages (or subscriptions and their ends) a second.
    Rate,
    P50,
    P99,
    P999,
    BytesPerConnection,
    /// What of that has not been given back once all are gone.
    BytesLeft,
    ConnectsPerSecond,
    ConnectP99,
    /// The broker's resident memory while loaded.
    Memory,
    /// Of subscriptions that are held beside the load: how fast they are made and ended, and what each takes.
    SubscribesPerSecond,
    UnsubscribesPerSecond,
    BytesPerSubscription,
    /// Context switches of the broker a message.
    Switches,
    /// The generator's CPU time a message.
    LoadUs,
    /// CPU used by anything else meanwhile.
    OtherCores,
    /// Share of the machine's CPU time that its host gave to others.
    Stolen,
}

impl Metric {
    pub(super) fn name(self) -> &'static str {
        match self {
            Metric::CpuUs => "CPU µs/message",
            Metric::Rate => "messages/s",
            Metric::P50 => "p50",
            Metric::P99 => "p99",
            Metric::P999 => "p99.9",
            Metric::BytesPerConnection => "bytes/connection",
            Metric::BytesLeft => "kept afterwards",
            Metric::ConnectsPerSecond => "connects/s",
            Metric::ConnectP99 => "connect p99",
            Metric::Memory => "memory",
            Metric::SubscribesPerSecond => "subscribes/s",
            Metric::UnsubscribesPerSecond => "unsubscribes/s",
            Metric::BytesPerSubscription => "bytes/subscription",
            Metric::Switches => "switches/message",
            Metric::LoadUs => "generator µs/message",
            Metric::OtherCores => "other cores",
            Metric::Stolen => "stolen",
        }
    }

    pub(super) fn more_is_better(self) -> bool {
        matches!(
            self,
            Metric::Rate
                | Metric::ConnectsPerSecond
                | Metric::SubscribesPerSecond
                | Metric::UnsubscribesPerSecond
        )
    }

    pub(super) fn show(self, value: f64) -> String {
        match self {
            Metric::P50 | Metric::P99 | Metric::P999 | Metric::ConnectP99 => text::micros(value),
            Metric::Memory => text::bytes(value),
            Metric::BytesPerConnection | Metric::BytesLeft | Metric::BytesPerSubscription => {
                text::count(value.max(0.0).round() as u64)
            }
            Metric::OtherCores => format!("{value:.2}"),
            Metric::Stolen => format!("{:.1} %", 100.0 * value),
            Metric::SubscribesPerSecond | Metric::UnsubscribesPerSecond | Metric::ConnectsPerSecond => {
                text::number(value)
            }
            Metric::CpuUs | Metric::Rate | Metric::Switches | Metric::LoadUs => text::number(value),
        }
    }

    /// `None`: this run has no such figure.
    pub(super) fn of(self, record: &Record) -> Option<f64> {
        let outcome = &record.outcome;
        let broker = outcome.broker.as_ref();
        let messages = outcome.messages() as f64;
        let connected = outcome.totals.connected as f64;
        let some = |value: f64| (value.is_finite() && value > 0.0).then_some(value);
        let quantile = |share| (outcome.latency.count() > 0).then(|| outcome.latency.quantile(share) as f64);
        match self {
            Metric::CpuUs => broker.and_then(|usage| some(outcome.cpu_us(usage))),
            Metric::Rate => some(outcome.rate()),
            Metric::P50 => quantile(P50),
            Metric::P99 => quantile(P99),
            Metric::P999 => quantile(P999),
            Metric::BytesPerConnection => {
                let usage = broker.filter(|usage| usage.rss_before > 0 && usage.rss > 0)?;
                some((usage.rss as f64 - usage.rss_before as f64) / connected)
            }
            Metric::BytesLeft => {
                let usage = broker.filter(|usage| usage.rss_before > 0 && usage.rss_after > 0)?;
                let left = (usage.rss_after as f64 - usage.rss_before as f64) / connected;
                left.is_finite().then_some(left)
            }
            Metric::ConnectsPerSecond => some(connected / outcome.totals.connect_seconds),
            Metric::ConnectP99 => {
                let latency = &outcome.connect_latency;
                (latency.count() > 0).then(|| latency.quantile(P99) as f64)
            }
            Metric::Memory => broker.and_then(|usage| some(usage.rss as f64)),
            Metric::SubscribesPerSecond => {
                let held = outcome.held.as_ref()?;
                some(held.subscriptions as f64 / held.subscribe_s)
            }
            Metric::UnsubscribesPerSecond => {
                let held = outcome.held.as_ref()?;
                some(held.subscriptions as f64 / held.unsubscribe_s)
            }
            Metric::BytesPerSubscription => {
                let held = outcome.held.as_ref().filter(|held| held.rss_before > 0 && held.rss > 0)?;
                some((held.rss as f64 - held.rss_before as f64) / held.subscriptions as f64)
            }
            Metric::Switches => {
                let usage = broker.filter(|_| messages > 0.0)?;
                Some((usage.voluntary_switches + usage.involuntary_switches) as f64 / messages)
            }
            Metric::LoadUs => some(outcome.cpu_us(&outcome.generator)),
            Metric::OtherCores => Some(record.other_cores),
            Metric::Stolen => outcome.stolen,
        }
    }
}
