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
    /// The hooks, and the target.
    #[serde(flatten)]
    pub stream: Status,
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
    /// Sessions, those of clients that are away included.
    pub sessions: u64,
    /// Sessions of clients that are away.
    pub away: u64,
    /// Subscriptions of all sessions.
    pub subscriptions: u64,
    /// Retained messages.
    pub retained: u64,
    /// Messages taken from clients since the start.
    pub published: u64,
    /// Messages sent to clients.
    pub delivered: u64,
    /// Messages for clients that were dropped, for whatever reason.
    pub dropped: u64,
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

impl Report {
    /// Of this process.
    pub fn new(about: About, log: &LogStats, stream: Status) -> Report {
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            about,
            log: Log::new(log),
            stream,
        }
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
        assert_eq!((report.stream.hooks[0].taken, &report.stream.kafka), (3, &None));
        let document = serde_json::to_string(&report).expect("JSON");
        assert_eq!(serde_json::from_str::<Report>(&document).expect("readable"), report);
    }
}
