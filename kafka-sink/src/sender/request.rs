//! What the machine asks of Kafka, and what it hears. Carried out by `wire`, played by the model
//! Kafka of the tests. Error codes are Kafka's own; 0 is none.

use std::sync::Arc;
use std::time::Duration;

use crate::log::control::ProducerId;
use crate::log::port::Item;

/// Pairs an answer with its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RequestId(pub(crate) u64);

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TopicPartition {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

/// A request. Those without a node go to any broker that answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// The brokers, the cluster's id, and these topics. Creates none.
    Metadata { topics: Vec<Arc<str>> },
    /// Makes a topic; `partitions` and `replication` −1 leave it to the cluster's defaults.
    CreateTopic { topic: Arc<str>, partitions: i32, replication: i16 },
    /// A fresh producer id.
    InitProducerId,
    /// One batch for each of some partitions that `node` leads, acks=all. With `alone`, on a
    /// connection of its own, because the partition is late and must not hold up others.
    Produce { node: i32, parts: Vec<Part>, alone: bool },
    /// What the leader remembers of a producer in a partition.
    DescribeProducer { node: i32, of: TopicPartition, producer: i64 },
    /// Whether a batch with this producer and base sequence stands in the partition at or behind
    /// the offset `from` (`None`: the earliest one there is), up to where it ends now.
    FindBatch { node: i32, of: TopicPartition, from: Option<u64>, producer: ProducerId, base_sequence: i32 },
    /// The offset that the next record of the partition will get.
    EndOffset { node: i32, of: TopicPartition },
    /// How many replicas must have a record before it is confirmed, of each of these topics.
    MinInsyncReplicas { topics: Vec<Arc<str>> },
}

/// One batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) of: TopicPartition,
    pub(crate) producer: ProducerId,
    pub(crate) base_sequence: i32,
    /// Never empty.
    pub(crate) records: Vec<Item>,
    /// All records carry this time in place of their own, which Kafka refused.
    pub(crate) stamp_ms: Option<u64>,
}

/// What came of a request.
pub(crate) type Outcome = Result<Answer, Failure>;

/// The answer to the request of the same name. A request that was answered was answered wholly:
/// as many parts, in the same order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Metadata(Metadata),
    CreateTopic {
        error: i16,
        text: Option<String>,
    },
    InitProducerId {
        error: i16,
        producer: ProducerId,
    },
    Produce {
        parts: Vec<Produced>,
        throttle: Duration,
    },
    DescribeProducer {
        error: i16,
        known: Option<Known>,
    },
    /// The offset of the batch's first record.
    FindBatch {
        error: i16,
        found: Option<u64>,
    },
    EndOffset {
        error: i16,
        offset: u64,
    },
    /// In the order of the request; `None` for a topic whose configuration may not be read.
    MinInsyncReplicas {
        topics: Vec<Option<u32>>,
    },
}

/// The cluster as one of its brokers sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metadata {
    pub(crate) cluster: Option<Arc<str>>,
    /// Ids of the brokers that are up.
    pub(crate) nodes: Vec<i32>,
    /// The topics asked for.
    pub(crate) topics: Vec<TopicMetadata>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopicMetadata {
    pub(crate) topic: Arc<str>,
    pub(crate) error: i16,
    /// All zeros if the broker gives none.
    pub(crate) id: [u8; 16],
    /// The leader of each partition, by index; `None` while there is none.
    pub(crate) leaders: Vec<Option<i32>>,
}

/// What came of one batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Produced {
    pub(crate) error: i16,
    /// Of the first record, if there is no error.
    pub(crate) offset: u64,
    /// Indexes of the records that caused the error, where Kafka names them, with its reason.
    pub(crate) offenders: Vec<(u32, Option<String>)>,
    pub(crate) text: Option<String>,
}

/// What a leader remembers of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) epoch: i16,
    pub(crate) last_sequence: i32,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request has not left this process: no connection could be made. The text names the
    /// address and the cause.
    NotSent(String),
    /// It may have been carried out: the connection ended, or no answer came in time.
    Unknown(String),
    /// The broker does not speak a version of this request that we do.
    Unsupported(String),
}
