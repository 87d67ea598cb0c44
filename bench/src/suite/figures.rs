//! Medians over rounds, and what follows from them: ratios, promises, and where others are better.

use std::collections::BTreeMap;

use super::metric::Metric;
use super::record::{Contestant, Header, Kind, Record};
use super::rows::{Promise, Row};
use crate::report::Spread;

/// All measurements by row, then place on its curve, then broker.
pub(super) struct Figures<'a> {
    pub header: &'a Header,
    records: BTreeMap<&'a str, BTreeMap<u64, BTreeMap<&'a str, Vec<&'a Record>>>>,
}

/// What came of a promise.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub broker: String,
    pub metric: Metric,
    /// What was promised, such as `at most 1.5× relay-1`.
    pub promise: String,
    pub value: f64,
    /// The ratio to what it is compared with, if to something measured.
    pub ratio: Option<f64>,
    pub kept: bool,
}

/// A row in which somebody else is better than Millrace with any number of cores.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Better {
    pub broker: String,
    pub metric: Metric,
    pub theirs: f64,
    pub ours: f64,
    pub our_name: String,
}

impl<'a> Figures<'a> {
    pub(super) fn new(header: &'a Header, records: &'a [Record]) -> Figures<'a> {
        let mut sorted: BTreeMap<&str, BTreeMap<u64, BTreeMap<&str, Vec<&Record>>>> = BTreeMap::new();
        for record in records {
            let places = sorted.entry(record.row.as_str()).or_default();
            let brokers = places.entry(record.at).or_default();
            brokers.entry(record.broker.as_str()).or_default().push(record);
        }
        Figures { header, records: sorted }
    }

    pub(super) fn records(&self, row: &Row, broker: &str) -> &[&'a Record] {
        let of_row = self.records.get(row.name).and_then(|places| places.get(&row.at));
        of_row.and_then(|brokers| brokers.get(broker)).map_or(&[], Vec::as_slice)
    }

    /// The runs whose figures count: of those in which all went well as many as there were to be, the quietest.
    pub(super) fn counted(&self, row: &Row, broker: &str) -> Vec<&'a Record> {
        let good = self.records(row, broker).iter().filter(|record| record.trouble().is_empty());
        let mut good: Vec<_> = good.copied().collect();
        good.sort_by(|one, other| one.by_quiet(other));
        good.truncate(rounds_of(row, self.header));
        good
    }

    pub(super) fn spread(&self, row: &Row, broker: &str, metric: Metric) -> Option<Spread> {
        Spread::of(self.counted(row, broker).into_iter().filter_map(|record| metric.of(record)))
    }

    pub(super) fn median(&self, row: &Row, broker: &str, metric: Metric) -> Option<f64> {
        self.spread(row, broker, metric).map(|spread| spread.median)
    }

    /// Who was measured in a row, whatever came of it.
    pub(super) fn field(&self, row: &Row) -> Vec<&'a Contestant> {
        self.header.brokers.iter().filter(|broker| !self.records(row, &broker.name).is_empty()).collect()
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &'a Contestant> {
        self.header.brokers.iter().filter(move |broker| broker.kind == kind)
    }

    /// The relay with as many cores; brokers that choose for themselves are compared with one core.
    pub(super) fn relay_of(&self, broker: &Contestant) -> Option<&'a Contestant> {
        self.of_kind(Kind::Relay).find(|relay| relay.cores == broker.cores.max(1))
    }

    /// The ratio of the medians to the relay's with as many cores.
    pub(super) fn ratio(&self, row: &Row, broker: &Contestant, metric: Metric) -> Option<f64> {
        let relay = self.relay_of(broker)?;
        Some(self.median(row, &broker.name, metric)? / self.median(row, &relay.name, metric)?)
    }

    /// Millrace's better figure, and with how many cores.
    fn ours(&self, row: &Row, metric: Metric) -> Option<(f64, &'a Contestant)> {
        let figures = self
            .of_kind(Kind::Millrace)
            .filter_map(|ours| Some((self.median(row, &ours.name, metric)?, ours)));
        figures.reduce(|best, next| if is_better(metric, next.0, best.0) { next } else { best })
    }

    /// What was promised for a row, for each Millrace in it that has figures.
    pub(super) fn verdicts(&self, row: &Row) -> Vec<Verdict> {
        let millrace = |kind| self.of_kind(kind);
        let mut verdicts = Vec::new();
        for promise in row.promises {
            match *promise {
                Promise::OfUnhooked(metric, share) => {
                    verdicts.extend(millrace(Kind::Hooked).filter_map(|broker| {
                        let plain = self.of_kind(Kind::Millrace).find(|plain| plain.cores == broker.cores)?;
                        let value = self.median(row, &broker.name, metric)?;
                        let ratio = value / self.median(row, &plain.name, metric)?;
                        let promise = format!("at least {share}× {}", plain.name);
                        Some(verdict(broker, metric, promise, value, Some(ratio), ratio >= share))
                    }));
                }
                Promise::OfRelay(metric, limit) => {
                    verdicts.extend(millrace(Kind::Millrace).filter_map(|broker| {
                        let relay = self.relay_of(broker)?;
                        let (value, ratio) =
                            (self.median(row, &broker.name, metric)?, self.ratio(row, broker, metric)?);
                        let promise = format!("at most {limit}× {}", relay.name);
                        Some(verdict(broker, metric, promise, value, Some(ratio), ratio <= limit))
                    }));
                }
                Promise::AtMost(metric, limit) => {
                    verdicts.extend(millrace(Kind::Millrace).filter_map(|broker| {
                        let value = self.median(row, &broker.name, metric)?;
                        let promise = format!("at most {}", metric.show(limit));
                        Some(verdict(broker, metric, promise, value, None, value <= limit))
                    }));
                }
                Promise::BelowPeers(metric) => {
                    let peers = self.of_kind(Kind::Peer);
                    let best = peers
                        .filter_map(|peer| Some((self.median(row, &peer.name, metric)?, &peer.name)))
                        .reduce(|best, next| if is_better(metric, next.0, best.0) { next } else { best });
                    let Some((best, name)) = best else { continue };
                    verdicts.extend(millrace(Kind::Millrace).filter_map(|broker| {
                        let value = self.median(row, &broker.name, metric)?;
                        let promise = format!("below every peer (best: {name})");
                        Some(verdict(broker, metric, promise, value, Some(value / best), value < best))
                    }));
                }
            }
        }
        verdicts
    }

    /// Peers with a better median than Millrace's best.
    pub(super) fn better(&self, row: &Row, metrics: &[Metric]) -> Vec<Better> {
        let mut better = Vec::new();
        for &metric in metrics {
            let Some((ours, name)) = self.ours(row, metric) else { continue };
            better.extend(self.of_kind(Kind::Peer).filter_map(|peer| {
                let theirs = self.median(row, &peer.name, metric)?;
                let (broker, our_name) = (peer.name.clone(), name.name.clone());
                is_better(metric, theirs, ours).then_some(Better { broker, metric, theirs, ours, our_name })
            }));
        }
        better
    }

    /// Rounds of a broker that failed, by reason: how many of how many.
    pub(super) fn troubles(&self, row: &Row, broker: &str) -> Vec<(String, usize, usize)> {
        let records = self.records(row, broker);
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for record in records {
            let trouble = record.trouble();
            if !trouble.is_empty() {
                *reasons.entry(trouble).or_default() += 1;
            }
        }
        reasons.into_iter().map(|(reason, count)| (reason, count, records.len())).collect()
    }
}

/// Rounds whose figures count in a row.
pub(super) fn rounds_of(row: &Row, header: &Header) -> usize {
    if header.quick { 1 } else { row.rounds_min.max(header.rounds) }
}

fn verdict(
    broker: &Contestant,
    metric: Metric,
    promise: String,
    value: f64,
    ratio: Option<f64>,
    kept: bool,
) -> Verdict {
    Verdict { broker: broker.name.clone(), metric, promise, value, ratio, kept }
}

fn is_better(metric: Metric, one: f64, other: f64) -> bool {
    if metric.more_is_better() { one > other } else { one < other }
}
