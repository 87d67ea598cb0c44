//! What a run of the generator leaves behind: one [`Outcome`], the document that `--json` writes one a line, that the
//! summary, the CSV and the HTML page show, that `compare` reads, and that `results` collects.
//!
//! Fields are only added; readers take documents of older versions (missing fields are empty).

use serde::{Deserialize, Serialize};

/// One run against one broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Outcome {
    /// Version of this document: 1.
    pub format: u32,
    /// Name of the broker, as the user calls it.
    pub label: String,
    /// The scenario's name, such as `p2p`.
    pub scenario: String,
    /// The command line that repeats it.
    pub command: String,
    /// When the measured seconds began.
    pub started_unix_ms: u64,
    pub machine: Machine,
    pub settings: Settings,
    pub totals: Totals,
    /// Of messages: from the intended send time (open loop), or from the send (closed window), to the delivery; where
    /// nobody subscribes to the acknowledgement. Of the measured seconds only.
    pub latency: Latency,
    /// From `connect` to the last answer of the setup (CONNACK, or SUBACK where the client subscribes).
    pub connect_latency: Latency,
    /// What the generator itself used in the measured seconds; all its processes.
    pub generator: Usage,
    /// What the broker used, if its process is known.
    pub broker: Option<Usage>,
    /// Subscriptions that were held beside the load (`--held-subscriptions`), if any.
    pub held: Option<Held>,
    /// Share (0 to 1) of the CPU time of this machine's cores that its host gave to other machines in the measured
    /// seconds, to 10 ms; none: not looked at.
    pub stolen: Option<f64>,
    /// A line for each second (or `--interval`), warm-up included.
    pub samples: Vec<Sample>,
    /// Why the run ended early or what was wrong with it, in words; empty when all is well.
    pub error: String,
}

/// Where it ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Machine {
    pub cores: usize,
    pub cpu: String,
    pub kernel: String,
    pub memory_bytes: u64,
}

/// What was asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// `3.1`, `3.1.1` or `5.0`.
    pub version: String,
    pub qos: u8,
    pub subscribe_qos: u8,
    pub retain: bool,
    /// Payload bytes.
    pub size: usize,
    pub publishers: usize,
    pub subscribers: usize,
    /// Connections that neither publish nor subscribe to what is published.
    pub idle: usize,
    /// Messages in flight a publisher, closed loop.
    pub window: u32,
    /// Offered messages a second in all, open loop; none: closed loop.
    pub rate: Option<f64>,
    pub warmup_s: f64,
    pub duration_s: f64,
    pub threads: usize,
    pub processes: usize,
    pub seed: u64,
}

/// What came of it. Sent, acknowledged and delivered are of the measured seconds; the account (lost and below) is of
/// the whole run, warm-up and drain included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Totals {
    /// Measured seconds.
    pub seconds: f64,
    pub sent: u64,
    /// PUBACK or PUBCOMP came.
    pub acknowledged: u64,
    /// Arrived at subscribers, each delivery counted once.
    pub delivered: u64,
    /// Of the whole run: expected at a subscriber (or acknowledgement expected) and never come.
    pub lost: u64,
    /// Came more than once.
    pub repeated: u64,
    /// Came behind a later message of the same publisher.
    pub reordered: u64,
    /// Carried no payload of this run, or not for this subscriber.
    pub foreign: u64,
    /// Times a window had to be opened again by force, because what it waited for did not come.
    pub stalls: u64,
    /// Acknowledgements with an error.
    pub refused: u64,
    /// Acknowledgements of nothing that was in flight.
    pub unexpected: u64,
    /// Connections lost once they were ready.
    pub disconnects: u64,
    /// Connections that did not get ready.
    pub connect_failed: u64,
    /// Connections that got ready, reconnections included.
    pub connected: u64,
    /// Seconds from the first `connect` to the last connection that was ready.
    pub connect_seconds: f64,
    /// Messages that the rate asked for and that were not sent when the measured seconds ended.
    pub behind: u64,
    /// Bytes of payload sent and delivered in the measured seconds.
    pub payload_sent: u64,
    pub payload_delivered: u64,
}

/// A distribution of times: how many had which value, in µs, ascending. Values are rounded to three digits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Latency {
    /// `[µs, how many]`
    pub counts: Vec<(u64, u64)>,
}

/// What a process, or several, used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Usage {
    /// CPU seconds within the measured seconds (for `conn`: while connecting).
    pub user_s: f64,
    pub system_s: f64,
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
    /// Resident memory before the first connection, at the end of the measured seconds (while all are connected), at
    /// its peak, and after the last has gone (0: not looked at).
    pub rss_before: u64,
    pub rss: u64,
    pub rss_peak: u64,
    pub rss_after: u64,
    pub threads: u64,
    /// Whether it was there at the end.
    pub alive: bool,
    /// It used as much CPU time as it could get: what is measured may be the generator. Only said of the generator.
    pub saturated: bool,
}

/// Subscriptions that few clients made before the run, on filters that nothing is published to, and ended after it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Held {
    pub subscriptions: u64,
    /// Seconds from the first SUBSCRIBE to the last SUBACK.
    pub subscribe_s: f64,
    /// Seconds from the first UNSUBSCRIBE to the last UNSUBACK; 0: the broker would not.
    pub unsubscribe_s: f64,
    /// Resident memory of the broker before they were made, and with all of them, in bytes (0: not looked at).
    pub rss_before: u64,
    pub rss: u64,
}

/// One interval of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sample {
    /// End of the interval in seconds since the first connection began.
    pub at_s: f64,
    /// Length of the interval.
    pub seconds: f64,
    /// `connect`, `warmup`, `measure` or `drain`.
    pub phase: String,
    pub sent: u64,
    pub acknowledged: u64,
    pub delivered: u64,
    /// Of what was delivered (or acknowledged, where nobody subscribes) in this interval, in µs.
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
    /// Connections that are ready.
    pub connections: u64,
    /// Lost connections, refusals, failed connects in this interval.
    pub errors: u64,
    /// Of the broker: CPU in cores, resident bytes.
    pub broker_cores: f64,
    pub broker_rss: u64,
    pub generator_cores: f64,
}

impl Outcome {
    /// What throughput and costs are counted in: deliveries, or acknowledgements where nobody subscribes.
    pub(crate) fn messages(&self) -> u64 {
        if self.totals.delivered > 0 { self.totals.delivered } else { self.totals.acknowledged }
    }

    /// Messages a second.
    pub(crate) fn rate(&self) -> f64 {
        if self.totals.seconds > 0.0 { self.messages() as f64 / self.totals.seconds } else { 0.0 }
    }

    /// CPU time of that process for each message, in µs.
    pub(crate) fn cpu_us(&self, usage: &Usage) -> f64 {
        let messages = self.messages();
        if messages > 0 { (usage.user_s + usage.system_s) * 1e6 / messages as f64 } else { 0.0 }
    }

    /// Whether every message came once, in order, and no connection was lost.
    pub(crate) fn is_good(&self) -> bool {
        let totals = &self.totals;
        let wrong = totals.lost
            + totals.repeated
            + totals.reordered
            + totals.foreign
            + totals.stalls
            + totals.refused
            + totals.unexpected
            + totals.disconnects
            + totals.connect_failed;
        wrong == 0 && self.error.is_empty()
    }
}

impl Latency {
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().map(|&(_, count)| count).sum()
    }

    /// The value that this share (0 to 1) of all do not exceed; 0 of nothing.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let rank = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut sum = 0;
        for &(value, count) in &self.counts {
            sum += count;
            if sum >= rank {
                return value;
            }
        }
        self.counts.last().map_or(0, |&(value, _)| value)
    }

    /// Adds another distribution.
    pub(crate) fn add(&mut self, other: &Latency) {
        let mut counts = Vec::with_capacity(self.counts.len().max(other.counts.len()));
        let (mut ours, mut theirs) = (self.counts.iter().peekable(), other.counts.iter().peekable());
        loop {
            counts.push(match (ours.peek(), theirs.peek()) {
                (Some(&&(value, many)), Some(&&(other, more))) if value == other => {
                    ours.next();
                    theirs.next();
                    (value, many + more)
                }
                (Some(&&(value, many)), Some(&&(other, _))) if value < other => {
                    ours.next();
                    (value, many)
                }
                (Some(&&first), None) => {
                    ours.next();
                    first
                }
                (_, Some(&&first)) => {
                    theirs.next();
                    first
                }
                (None, None) => break,
            });
        }
        self.counts = counts;
    }

    /// Forgets all but these shares (0 to 1): their quantiles, and how many there were, stay what they are.
    pub(crate) fn thin(&mut self, shares: &[f64]) {
        let kept: Vec<u64> = shares.iter().map(|&share| self.quantile(share)).collect();
        let last = self.max();
        let mut thin: Vec<(u64, u64)> = Vec::new();
        let mut many = 0;
        for &(value, count) in &self.counts {
            many += count;
            if value == last || kept.contains(&value) {
                thin.push((value, std::mem::take(&mut many)));
            }
        }
        self.counts = thin;
    }

    pub(crate) fn max(&self) -> u64 {
        self.counts.last().map_or(0, |&(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_ranks() {
        let hundred = Latency { counts: (1..=100).map(|us| (us, 1)).collect() };
        let skewed = Latency { counts: vec![(10, 999), (5_000, 1)] };
        let cases = [
            (&hundred, 0.0, 1),
            (&hundred, 0.5, 50),
            (&hundred, 0.99, 99),
            (&hundred, 1.0, 100),
            (&skewed, 0.999, 10),
            (&skewed, 0.9999, 5_000),
            (&Latency::default(), 0.5, 0),
        ];
        for (latency, share, expected) in cases {
            assert_eq!(latency.quantile(share), expected, "{share} of {latency:?}");
        }
    }

    #[test]
    fn a_thin_distribution_has_the_quantiles_it_was_asked_for() {
        let shares = [0.5, 0.99, 0.999];
        let mut random = crate::random::Random::new(5);
        for many in [0, 1, 2, 999, 5_000] {
            let mut counts: Vec<_> = (0..many).map(|us| (7 * us, random.next() % 9)).collect();
            counts.retain(|&(_, count)| count > 0);
            let whole = Latency { counts };
            let mut thin = whole.clone();
            thin.thin(&shares);
            assert!(thin.counts.len() <= shares.len() + 1, "{thin:?}");
            assert_eq!((thin.count(), thin.max()), (whole.count(), whole.max()));
            assert_eq!(shares.map(|share| thin.quantile(share)), shares.map(|share| whole.quantile(share)));
        }
    }

    #[test]
    fn documents_of_other_versions_are_read() {
        let text = r#"{"format":1,"scenario":"p2p","totals":{"delivered":5,"seconds":2.0},"latency":[[7,5]],"new":1}"#;
        let outcome: Outcome = serde_json::from_str(text).expect("a document");
        assert_eq!((outcome.messages(), outcome.rate(), outcome.latency.max()), (5, 2.5, 7));
        assert!(outcome.is_good() && outcome.broker.is_none());
        let again: Outcome =
            serde_json::from_str(&serde_json::to_string(&outcome).expect("JSON")).expect("JSON");
        assert_eq!(again, outcome);
    }
}
