//! Truthful numbers: what became of the records of each hook. They add up:
//! `taken = durable + in the ring`, and, for a hook with a target,
//! `backlog + durable = delivered + set_aside + waiting`.
//!
//! The names are those of `millrace status --json`: fields are only ever added, and what is missing is read as its
//! default, so that programs of different versions understand each other.

use serde::{Deserialize, Serialize};

/// One look at the stream side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// In the order of the configuration.
    pub hooks: Vec<HookStatus>,
    /// The target, if there is one.
    pub kafka: Option<KafkaStatus>,
}

/// The records of one hook. Counts are of this run, but for the backlog.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HookStatus {
    /// NAME of `[hook.NAME]`.
    pub name: String,
    /// The stream its records go to.
    pub stream: String,
    /// Records that earlier runs left undelivered.
    pub backlog: u64,
    /// Records accepted from clients.
    pub taken: u64,
    /// Of these, synced to the log.
    pub durable: u64,
    /// Confirmed by Kafka, backlog included; 0 without a target.
    pub delivered: u64,
    /// Refused by Kafka and put into the dead-letter file.
    pub set_aside: u64,
    /// In the log and not yet delivered; 0 without a target.
    pub waiting: u64,
    /// Bytes in ring and log that count against the hook's limit.
    pub waiting_bytes: u64,
    /// Time of the oldest waiting event that is known, Unix milliseconds.
    pub oldest_ms: Option<u64>,
    /// Records that were sent again.
    pub retried: u64,
    /// Records that may be in Kafka twice.
    pub possibly_repeated: u64,
}

/// The target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KafkaStatus {
    /// Kafka's id of the cluster, once known.
    pub cluster: Option<String>,
    /// A word or a sentence: `connected`, or what is wrong.
    pub state: String,
    /// The topics of the hooks, and of what is left of earlier ones.
    pub topics: Vec<TopicStatus>,
}

/// One topic of the target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TopicStatus {
    /// Its name.
    pub name: String,
    /// Its partitions, once known.
    pub partitions: Option<u32>,
    /// `ok`, or what is wrong.
    pub state: String,
    /// Replicas that confirm a record, if the cluster tells.
    pub min_insync_replicas: Option<u32>,
}
