//! What the operator is told, once for each change and never for each record.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::errors::name;
use super::request::TopicPartition;

/// How loud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Unreachable { cause: String },
    Reached { after: Option<Duration>, cluster: Option<Arc<str>> },
    OtherCluster { was: Arc<str>, is: Arc<str> },
    Missing { topic: Arc<str>, creates: bool },
    Created { topic: Arc<str> },
    Found { topic: Arc<str>, partitions: u32 },
    NotCreated { topic: Arc<str>, error: i16, text: Option<String> },
    Recreated { topic: Arc<str> },
    Shrunk { topic: Arc<str>, was: u32, is: u32 },
    Grown { topic: Arc<str>, was: u32, is: u32 },
    TopicParked { topic: Arc<str>, error: i16 },
    TargetParked { error: Option<i16>, text: String },
    Stuck { of: TopicPartition, cause: String },
    Flows { of: TopicPartition, after: Duration },
    SetAside { of: TopicPartition, sequence: u64, error: i16, text: Option<String> },
    PossiblyRepeated { of: TopicPartition, records: u64, why: &'static str },
    LostByKafka { of: TopicPartition, records: u64 },
    OneReplica { topic: Arc<str> },
    ReadFailed { cause: String },
}

impl Notice {
    pub(crate) fn level(&self) -> Level {
        match self {
            Notice::Reached { .. }
            | Notice::Created { .. }
            | Notice::Found { .. }
            | Notice::Grown { .. }
            | Notice::Flows { .. } => Level::Info,
            Notice::Unreachable { .. }
            | Notice::Missing { .. }
            | Notice::Stuck { .. }
            | Notice::OneReplica { .. }
            | Notice::Recreated { .. } => Level::Warn,
            Notice::OtherCluster { .. }
            | Notice::NotCreated { .. }
            | Notice::Shrunk { .. }
            | Notice::TopicParked { .. }
            | Notice::TargetParked { .. }
            | Notice::SetAside { .. }
            | Notice::PossiblyRepeated { .. }
            | Notice::LostByKafka { .. }
            | Notice::ReadFailed { .. } => Level::Error,
        }
    }
}

fn because(text: Option<&String>) -> String {
    text.map_or_else(String::new, |text| format!(" ({text})"))
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Unreachable { cause } => {
                write!(f, "Kafka cannot be reached; records wait in the log: {cause}")
            }
            Notice::Reached { after, cluster } => {
                write!(f, "connected to Kafka")?;
                if let Some(cluster) = cluster {
                    write!(f, " cluster {cluster}")?;
                }
                if let Some(after) = after {
                    write!(f, " after {:.1} s", after.as_secs_f64())?;
                }
                Ok(())
            }
            Notice::OtherCluster { was, is } => write!(
                f,
                "this is another Kafka cluster ({is}) than before ({was}); delivery goes on where it was, what was on its way counts as possibly repeated"
            ),
            Notice::Missing { topic, creates: true } => {
                write!(f, "topic {topic} does not exist in Kafka; it is being created")
            }
            Notice::Missing { topic, creates: false } => write!(
                f,
                "topic {topic} does not exist in Kafka; its records wait in the log: create it, or set kafka.create_topics = true"
            ),
            Notice::Created { topic } => write!(f, "topic {topic} created"),
            Notice::Found { topic, partitions } => write!(f, "topic {topic}: {partitions} partitions"),
            Notice::NotCreated { topic, error, text } => {
                let because = because(text.as_ref());
                write!(
                    f,
                    "topic {topic} cannot be created: {}{because}; its records wait in the log",
                    name(*error)
                )
            }
            Notice::Recreated { topic } => write!(
                f,
                "topic {topic} was deleted and created anew; delivery goes on, what was on its way counts as possibly repeated"
            ),
            Notice::Shrunk { topic, was, is } => write!(
                f,
                "topic {topic} was created anew with {is} partitions instead of {was}; its records wait in the log until it has at least {was} (kafka-topics --alter --partitions {was})"
            ),
            Notice::Grown { topic, was, is } => write!(
                f,
                "topic {topic} has {is} partitions instead of {was}; new records use them once the old ones are delivered"
            ),
            Notice::TopicParked { topic, error } => write!(
                f,
                "Kafka refuses topic {topic}: {}; its records wait in the log, and it is tried again every 30 s",
                name(*error)
            ),
            Notice::TargetParked { error, text } => {
                let error = error.map_or_else(String::new, |error| format!("{}: ", name(error)));
                write!(
                    f,
                    "nothing goes to Kafka until this is settled and the broker started again: {error}{text}"
                )
            }
            Notice::Stuck { of, cause } => {
                write!(f, "topic {} partition {} does not get on: {cause}", of.topic, of.partition)
            }
            Notice::Flows { of, after } => write!(
                f,
                "topic {} partition {} gets on again after {:.1} s",
                of.topic,
                of.partition,
                after.as_secs_f64()
            ),
            Notice::SetAside { of, sequence, error, text } => {
                let because = because(text.as_ref());
                write!(
                    f,
                    "Kafka refuses record {sequence} for topic {}: {}{because}; it was put into dead-letters.jsonl",
                    of.topic,
                    name(*error)
                )
            }
            Notice::PossiblyRepeated { of, records, why } => write!(
                f,
                "up to {records} records may be twice in topic {} partition {}: {why}",
                of.topic, of.partition
            ),
            Notice::LostByKafka { of, records } => write!(
                f,
                "Kafka has lost {records} records of topic {} partition {} that it had confirmed",
                of.topic, of.partition
            ),
            Notice::OneReplica { topic } => write!(
                f,
                "topic {topic} has min.insync.replicas = 1: a record counts as kept once a single broker has it in memory"
            ),
            Notice::ReadFailed { cause } => {
                write!(f, "the log cannot be read for Kafka; it is tried again: {cause}")
            }
        }
    }
}
