//! Where records go beyond the log: the settings of one Kafka cluster.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// The settings of the target `[kafka]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port` of brokers to start from; at least one. Others are learnt from them.
    pub servers: Vec<String>,
    /// How the broker names itself to Kafka, for its quotas and logs.
    pub client_id: String,
    /// What of a log that was there before the target becomes its work.
    pub start: Start,
    /// Whether a missing topic is created; else its records wait, and it is named.
    pub create_topics: bool,
    /// Partitions of a topic that is created; −1 leaves it to the cluster.
    pub partitions: i32,
    /// Replicas of a topic that is created; −1 leaves it to the cluster.
    pub replication: i16,
    /// How batches are compressed.
    pub compression: Compression,
    /// Most records of a batch.
    pub batch_records: u32,
    /// A batch takes no further record once it is this long, uncompressed; a longer record goes alone.
    pub batch_bytes: u32,
    /// How long the first record of a batch may wait for others while the partition is idle.
    pub linger: Duration,
    /// From the first packet to a connection that serves.
    pub connect_timeout: Duration,
    /// From a request to its answer; then its connection is closed.
    pub request_timeout: Duration,
}

impl KafkaConfig {
    /// The defaults, for these servers.
    pub fn new(servers: Vec<String>) -> KafkaConfig {
        KafkaConfig {
            servers,
            client_id: "millrace".into(),
            start: Start::Earliest,
            create_topics: false,
            partitions: -1,
            replication: -1,
            compression: Compression::None,
            batch_records: 1000,
            batch_bytes: 512 * 1024,
            linger: Duration::from_millis(5),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// Where a target begins that is configured for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Start {
    /// With the earliest record that the log still has.
    #[default]
    Earliest,
    /// With what is logged from now on.
    Latest,
}

/// How batches are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the variants are Kafka's own names")]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Start {
    /// Both, in the order they are documented.
    pub const ALL: [Start; 2] = [Start::Earliest, Start::Latest];

    /// The name in configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Start::Earliest => "earliest",
            Start::Latest => "latest",
        }
    }
}

impl Compression {
    /// All, in the order of Kafka's codes.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The name in configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// Whether this build has it.
    pub fn is_built(self) -> bool {
        match self {
            Compression::None => true,
            Compression::Gzip => cfg!(feature = "gzip"),
            Compression::Snappy => cfg!(feature = "snappy"),
            Compression::Lz4 => cfg!(feature = "lz4"),
            Compression::Zstd => cfg!(feature = "zstd"),
        }
    }
}

/// The text is none of the names allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown value {text:?}; known are {known}")]
pub struct UnknownName {
    text: Arc<str>,
    known: &'static str,
}

fn named<T: Copy>(
    all: &[T],
    name: fn(T) -> &'static str,
    text: &str,
    known: &'static str,
) -> Result<T, UnknownName> {
    let found = all.iter().copied().find(|&one| name(one) == text);
    found.ok_or_else(|| UnknownName { text: text.chars().take(64).collect::<String>().into(), known })
}

impl FromStr for Start {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Start, UnknownName> {
        named(&Start::ALL, Start::as_str, text, "earliest and latest")
    }
}

impl FromStr for Compression {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Compression, UnknownName> {
        named(&Compression::ALL, Compression::as_str, text, "none, gzip, snappy, lz4 and zstd")
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for start in Start::ALL {
            assert_eq!(start.as_str().parse(), Ok(start));
        }
        for compression in Compression::ALL {
            assert_eq!(compression.as_str().parse(), Ok(compression));
        }
        let error = "brotli".parse::<Compression>().expect_err("unknown").to_string();
        assert!(error.contains("brotli") && error.contains("snappy"), "{error}");
    }
}
