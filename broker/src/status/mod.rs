//! The numbers of a running broker, as one document: what `millrace status` prints, as JSON or as text.
//!
//! [`Report`] is made by `node` and knows no I/O; [`socket`] hands it from the broker to the command; `text` lays it
//! out for people. Fields are only ever added: the command of one version reads the broker of another.

use millrace_kafka_sink::{LogStats, Status};
use serde::{Deserialize, Serialize};

pub mod socket;
mod text;

/// Everything there is to say, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Version of the broker.
    pub version: String,
    /// Its process id.
    pub process: u32,
    /// The rest of what it says of itself.
    #[serde(flatten)]
    pub about: About,
    /// The log.
    pub log: Log,
    /// The target; `null` without one.
    pub kafka: Option<Kafka>,
    /// In the order of the configuration.
    pub hooks: Vec<Hook>,
}

/// What only the node knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// `node.name`.
    pub node: String,
    /// Since the start.
    pub uptime_ms: u64,
    /// When the report was made, Unix milliseconds.
    pub now_ms: u64,
    /// Open connections.
    pub connections: u64,
}

/// The log, since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// Records made durable.
    pub records: u64,
    /// Groups, each with one `fdatasync`.
    pub groups: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Failed attempts to write.
    pub failures: u64,
    /// It cannot write at present, and tries again every second.
    pub paused: bool,
    /// How long `fdatasync` took.
    pub fdatasync_us: Quantiles,
}

/// Of a distribution.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quantiles {
    /// Half took no longer.
    pub p50: u64,
    /// 99 % took no longer.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// The target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kafka {
    /// Kafka's id of the cluster, once known.
    pub cluster: Option<String>,
    /// `connected`, or what is wrong.
    pub state: String,
    /// The topics of the hooks, and of what is left of earlier ones.
    pub topics: Vec<Topic>,
}

/// One topic of the target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// `ok`, or what is wrong.
    pub state: String,
    /// Its partitions, once known.
    pub partitions: Option<u32>,
    /// Replicas that confirm a record, if the cluster tells.
    pub min_insync_replicas: Option<u32>,
}

/// The records of one hook, since the start but for the backlog. `taken` is `durable` and what is in the ring; with a
/// target, `backlog + durable = delivered + set_aside + waiting`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// NAME of `[hook.NAME]`.
    pub name: String,
    /// The stream of its records, which is also their Kafka topic.
    pub stream: String,
    /// Left undelivered by earlier runs.
    pub backlog: u64,
    /// Accepted from clients.
    pub taken: u64,
    /// Of these, synced to the log.
    pub durable: u64,
    /// Confirmed by Kafka.
    pub delivered: u64,
    /// Refused by Kafka and put into the dead-letter file.
    pub set_aside: u64,
    /// In the log and not delivered yet.
    pub waiting: u64,
    /// Bytes that count against `max_waiting_bytes`.
    pub waiting_bytes: u64,
    /// Time of the oldest event that waits, Unix milliseconds, as far as known.
    pub oldest_ms: Option<u64>,
    /// Records sent again.
    pub retried: u64,
    /// Records that may be in Kafka twice.
    pub possibly_repeated: u64,
}

impl Report {
    /// Of this process.
    pub fn new(about: About, log: &LogStats, stream: Status) -> Report {
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            about,
            log: Log::new(log),
            kafka: stream.kafka.map(Kafka::from),
            hooks: stream.hooks.into_iter().map(Hook::from).collect(),
        }
    }

    /// Records that wait for Kafka.
    pub fn waiting(&self) -> u64 {
        self.hooks.iter().fold(0, |sum, hook| sum.saturating_add(hook.waiting))
    }
}

impl Log {
    fn new(stats: &LogStats) -> Log {
        let (p50, p99, max) = stats.sync_p50_p99_max_us();
        Log {
            records: stats.records,
            groups: stats.groups,
            bytes: stats.bytes,
            failures: stats.failures,
            paused: stats.paused,
            fdatasync_us: Quantiles { p50, p99, max },
        }
    }
}

impl From<millrace_kafka_sink::KafkaStatus> for Kafka {
    fn from(status: millrace_kafka_sink::KafkaStatus) -> Kafka {
        let topic = |topic: millrace_kafka_sink::TopicStatus| Topic {
            name: topic.name,
            state: topic.state,
            partitions: topic.partitions,
            min_insync_replicas: topic.min_insync_replicas,
        };
        let topics = status.topics.into_iter().map(topic).collect();
        Kafka { cluster: status.cluster, state: status.state, topics }
    }
}

impl From<millrace_kafka_sink::HookStatus> for Hook {
    fn from(status: millrace_kafka_sink::HookStatus) -> Hook {
        Hook {
            name: status.name,
            stream: status.stream,
            backlog: status.backlog,
            taken: status.taken,
            durable: status.durable,
            delivered: status.delivered,
            set_aside: status.set_aside,
            waiting: status.waiting,
            waiting_bytes: status.waiting_bytes,
            oldest_ms: status.oldest_ms,
            retried: status.retried,
            possibly_repeated: status.possibly_repeated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A newer broker says more, an older one less.
    #[test]
    fn documents_of_other_versions_are_read() {
        let document =
            r#"{"version":"9","process":7,"node":"n","more":{"x":1},"hooks":[{"name":"a","taken":3,"y":2}]}"#;
        let report: Report = serde_json::from_str(document).expect("readable");
        assert_eq!((report.version.as_str(), report.process, report.about.node.as_str()), ("9", 7, "n"));
        assert_eq!((report.hooks[0].taken, report.kafka), (3, None));
        let report = Report { hooks: vec![Hook { waiting: 5, ..Hook::default() }; 2], ..Report::default() };
        assert_eq!(report.waiting(), 10);
        let document = serde_json::to_string(&report).expect("JSON");
        assert_eq!(serde_json::from_str::<Report>(&document).expect("readable"), report);
    }
}
