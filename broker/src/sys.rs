//! `$SYS`: what the broker tells of itself, under the names that mosquitto's users know. Here is what is said; when,
//! and to whom, is `worker/sys.rs`. No I/O and no clock.

use crate::worker::Counters;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Topics under this are the broker's own.
pub const RESERVED: &str = "$SYS/";

/// Whether a topic is not for clients to publish to: the broker's own, and names that only subscriptions have.
pub fn is_reserved(topic: &str) -> bool {
    // Few topics begin so.
    topic.starts_with('$') && (topic.starts_with(RESERVED) || topic.starts_with("$share/"))
}

/// Whether mosquitto's bridges publish here whether they are up, which is no reason to refuse them anything.
pub fn is_state_of_bridge(topic: &str) -> bool {
    topic.starts_with("$SYS/broker/connection/") && topic.ends_with("/state")
}

/// What all topics begin with.
const PREFIX: &str = "$SYS/broker/";
/// The averages: their names, and the minutes that they look back.
const SPANS: [(&str, f64); 3] = [("1min", 1.0), ("5min", 5.0), ("15min", 15.0)];

/// The state of the whole broker at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Since the start, milliseconds.
    pub uptime_ms: u64,
    /// Of all cores.
    pub counters: Counters,
    /// Sessions, those of clients that are away included.
    pub sessions: u64,
    /// Retained messages.
    pub retained: u64,
}

impl Totals {
    /// Sessions of clients that are away.
    fn away(&self) -> u64 {
        self.sessions.saturating_sub(self.counters.clients())
    }
}

/// An average over the last minutes in which what is older weighs less, by a factor of e for each span: of events a
/// minute, as mosquitto computes it.
#[derive(Clone, Copy, Debug, Default)]
struct Average(f64);

impl Average {
    /// After `count` further events in this many minutes, looking back over `span` minutes.
    fn update(&mut self, count: u64, minutes: f64, span: f64) {
        let rate = count as f64 / minutes;
        self.0 = rate + (-minutes / span).exp() * (self.0 - rate);
    }
}

/// What has been said, and the averages.
#[derive(Debug, Default)]
pub struct Tree {
    /// The last value of each topic that was published.
    said: HashMap<String, String>,
    averages: Vec<[Average; 3]>,
    before: Option<Totals>,
    clients_max: u64,
}

impl Tree {
    /// The topics with their values at this moment, in the order in which they are published. The averages move on.
    pub fn values(&mut self, totals: &Totals) -> Vec<(String, String)> {
        let counters = &totals.counters;
        self.clients_max = self.clients_max.max(counters.clients());
        let version = concat!("millrace version ", env!("CARGO_PKG_VERSION"));
        let mut values = vec![
            (format!("{PREFIX}version"), version.to_owned()),
            (format!("{PREFIX}uptime"), format!("{} seconds", totals.uptime_ms / 1_000)),
        ];
        for (name, number) in [
            ("clients/total", totals.sessions),
            ("clients/connected", counters.clients()),
            ("clients/disconnected", totals.away()),
            ("clients/maximum", self.clients_max),
            ("clients/expired", counters.expired),
            ("clients/active", counters.clients()),
            ("clients/inactive", totals.away()),
            ("subscriptions/count", counters.subscriptions()),
            ("shared_subscriptions/count", counters.shared_subscriptions()),
            ("retained messages/count", totals.retained),
            ("messages/received", counters.packets_received),
            ("messages/sent", counters.packets_sent),
            ("publish/messages/received", counters.published),
            ("publish/messages/sent", counters.delivered),
            ("publish/messages/dropped", counters.dropped()),
            ("publish/bytes/received", counters.published_bytes),
            ("publish/bytes/sent", counters.delivered_bytes),
            ("bytes/received", counters.bytes_received),
            ("bytes/sent", counters.bytes_sent),
        ] {
            values.push((format!("{PREFIX}{name}"), number.to_string()));
        }
        self.push_averages(totals, &mut values);
        values
    }

    fn push_averages(&mut self, totals: &Totals, values: &mut Vec<(String, String)>) {
        let before = self.before.replace(*totals).unwrap_or_default();
        let minutes = totals.uptime_ms.saturating_sub(before.uptime_ms) as f64 / 60_000.0;
        let (old, new) = (measured(&before.counters), measured(&totals.counters));
        self.averages.resize(new.len(), Default::default());
        for (((name, now), (_, then)), averages) in new.iter().zip(old).zip(&mut self.averages) {
            for ((span, length), average) in SPANS.iter().zip(averages) {
                if minutes > 0.0 {
                    average.update(now.saturating_sub(then), minutes, *length);
                }
                let mut topic = format!("{PREFIX}load/{name}/");
                topic.push_str(span);
                let mut value = String::new();
                let _ = write!(value, "{:.2}", average.0);
                values.push((topic, value));
            }
        }
    }

    /// Whether this value is the last that was published on its topic.
    pub fn is_said(&self, topic: &str, value: &str) -> bool {
        self.said.get(topic).is_some_and(|said| said == value)
    }

    /// This value has been published.
    pub fn say(&mut self, topic: String, value: String) {
        self.said.insert(topic, value);
    }
}

/// What there are averages of.
fn measured(counters: &Counters) -> [(&'static str, u64); 9] {
    [
        ("messages/received", counters.packets_received),
        ("messages/sent", counters.packets_sent),
        ("publish/dropped", counters.dropped()),
        ("publish/received", counters.published),
        ("publish/sent", counters.delivered),
        ("bytes/received", counters.bytes_received),
        ("bytes/sent", counters.bytes_sent),
        ("sockets", counters.accepted),
        ("connections", counters.connected),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minute by minute: by 63.2 % nearer to the rate after one span, and down again.
    #[test]
    fn averages() {
        type Step = (u64, f64);
        let cases: &[(f64, &[Step], f64)] = &[
            (1.0, &[(60, 1.0)], 37.93),
            (1.0, &[(60, 1.0), (60, 1.0)], 51.88),
            (1.0, &[(60, 1.0), (0, 1.0)], 13.95),
            // The rate counts, not the length of the interval: as much in ten steps as in one.
            (1.0, &[(6, 0.1); 10], 37.93),
            (5.0, &[(60, 1.0)], 10.88),
            (15.0, &[(60, 1.0)], 3.87),
            (15.0, &[(60, 1.0); 100], 59.92),
        ];
        for (span, steps, expected) in cases {
            let mut average = Average::default();
            for (count, minutes) in *steps {
                average.update(*count, *minutes, *span);
            }
            assert!((average.0 - expected).abs() < 0.01, "{span} {steps:?}: {}", average.0);
        }
    }

    #[test]
    fn values_of_a_moment() {
        let counters = Counters {
            connected: 7,
            left: 4,
            subscribed: 9,
            unsubscribed: 2,
            dropped_slow: 1,
            dropped_expired: 2,
            published: 120,
            ..Counters::default()
        };
        let mut tree = Tree::default();
        let totals = Totals { uptime_ms: 60_000, counters, sessions: 5, retained: 3 };
        let values: HashMap<_, _> = tree.values(&totals).into_iter().collect();
        for (topic, value) in [
            ("uptime", "60 seconds"),
            ("clients/total", "5"),
            ("clients/connected", "3"),
            ("clients/disconnected", "2"),
            ("clients/maximum", "3"),
            ("subscriptions/count", "7"),
            ("retained messages/count", "3"),
            ("publish/messages/dropped", "3"),
            ("load/publish/received/1min", "75.85"),
            ("load/connections/15min", "0.45"),
            ("load/messages/sent/5min", "0.00"),
        ] {
            assert_eq!(values[&format!("$SYS/broker/{topic}")], value, "{topic}");
        }
        let later = Totals { uptime_ms: 120_000, counters: Counters { left: 6, ..counters }, ..totals };
        let values: HashMap<_, _> = tree.values(&later).into_iter().collect();
        assert_eq!(values["$SYS/broker/clients/maximum"], "3");
        assert_eq!(values["$SYS/broker/load/publish/received/1min"], "27.91");
    }
}
