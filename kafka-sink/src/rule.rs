//! A rule ("hook"): which events go to which stream, and how strongly they must be kept.
//!
//! Made by the broker from its configuration. Matching topics against `filter` is the broker's
//! work; here a rule is only what is written with each record.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::event::EventKind;

/// What an acknowledgement to the publisher means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Durability {
    /// The record was accepted by the core's ring; a crash may lose it.
    Memory,
    /// The `fdatasync` of the local log that covers the record has returned.
    #[default]
    Log,
    /// Kafka has confirmed the record, on as many replicas as the topic's `min.insync.replicas` asks.
    Kafka,
}

impl Durability {
    /// The name in configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Memory => "memory",
            Durability::Log => "log",
            Durability::Kafka => "kafka",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of a [`Durability`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown durability {0:?}; known are kafka, log and memory")]
pub struct UnknownDurability(String);

impl FromStr for Durability {
    type Err = UnknownDurability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "log" => Ok(Durability::Log),
            "memory" => Ok(Durability::Memory),
            "kafka" => Ok(Durability::Kafka),
            other => Err(UnknownDurability(other.chars().take(64).collect())),
        }
    }
}

/// One rule. Immutable once records carry its id and version; a changed rule gets a new version.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Names the rule in records and in the accounts of waiting bytes; unique among live rules.
    pub id: u32,
    /// Grows with each change of the rule.
    pub version: u32,
    /// The name in the configuration, for the operator.
    pub name: Arc<str>,
    /// The event that fires it.
    pub on: EventKind,
    /// The MQTT topic filter as text, if the rule has one.
    pub filter: Option<Box<str>>,
    /// The stream (Kafka topic name) its records go to; see [`validate_stream_name`].
    pub stream: Arc<str>,
    /// What its acknowledgements mean.
    pub durability: Durability,
    /// Largest encoded JSON value in bytes (compare [`value_len`](crate::value_len)); larger
    /// events are refused by the broker before they reach the ring.
    pub max_record_bytes: u32,
    /// Most bytes of this rule that may be accepted and not yet released, for each core.
    pub waiting_bytes_max: u64,
    /// Whether its records go to Kafka: then they are released once they are delivered, else once
    /// they are durable.
    pub to_kafka: bool,
}

impl Rule {
    /// Default of [`Rule::max_record_bytes`].
    pub const MAX_RECORD_BYTES: u32 = 1_000_000;
    /// Default of [`Rule::waiting_bytes_max`]: 64 MiB for each core.
    pub const WAITING_BYTES_MAX: u64 = 64 * 1024 * 1024;

    /// A rule with version 1, no filter, and default durability and limits.
    ///
    /// # Errors
    /// `stream` is not a valid stream name.
    pub fn new(id: u32, name: &str, on: EventKind, stream: &str) -> Result<Rule, StreamNameError> {
        validate_stream_name(stream)?;
        Ok(Rule {
            id,
            version: 1,
            name: name.into(),
            on,
            filter: None,
            stream: stream.into(),
            durability: Durability::default(),
            max_record_bytes: Rule::MAX_RECORD_BYTES,
            waiting_bytes_max: Rule::WAITING_BYTES_MAX,
            to_kafka: false,
        })
    }
}

/// Longest stream name in bytes, Kafka's own limit.
pub const STREAM_NAME_BYTES_MAX: usize = 249;

/// Why a text cannot name a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamNameError {
    /// The name is empty.
    #[error("a stream name must not be empty")]
    Empty,
    /// The name is longer than [`STREAM_NAME_BYTES_MAX`].
    #[error("a stream name has at most {STREAM_NAME_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// The name is `.` or `..`.
    #[error("a stream cannot be named . or ..")]
    Dots,
    /// The name holds a character outside `[a-zA-Z0-9._-]`.
    #[error("a stream name consists of a-z A-Z 0-9 . _ and -, not {0:?}")]
    Character(char),
}

/// Checks a stream name by Kafka's rule for topic names: `[a-zA-Z0-9._-]{1,249}`, not `.` or `..`.
///
/// # Errors
/// Says which part of the rule the name breaks.
pub fn validate_stream_name(name: &str) -> Result<(), StreamNameError> {
    if name.is_empty() {
        return Err(StreamNameError::Empty);
    }
    if name == "." || name == ".." {
        return Err(StreamNameError::Dots);
    }
    if let Some(c) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-')) {
        return Err(StreamNameError::Character(c));
    }
    if name.len() > STREAM_NAME_BYTES_MAX {
        return Err(StreamNameError::TooLong(name.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_names() {
        let longest = "x".repeat(249);
        let too_long = "x".repeat(250);
        let cases: &[(&str, Result<(), StreamNameError>)] = &[
            ("message_state", Ok(())),
            ("a.b-C_9", Ok(())),
            ("...", Ok(())),
            (&longest, Ok(())),
            (&too_long, Err(StreamNameError::TooLong(250))),
            ("", Err(StreamNameError::Empty)),
            (".", Err(StreamNameError::Dots)),
            ("..", Err(StreamNameError::Dots)),
            ("a/b", Err(StreamNameError::Character('/'))),
            ("a b", Err(StreamNameError::Character(' '))),
            ("zürich", Err(StreamNameError::Character('ü'))),
        ];
        for (name, expected) in cases {
            assert_eq!(&validate_stream_name(name), expected, "{name:?}");
            assert_eq!(Rule::new(1, "r", EventKind::MessagePublish, name).is_ok(), expected.is_ok());
        }
    }

    #[test]
    fn durability_names() {
        for durability in [Durability::Memory, Durability::Log, Durability::Kafka] {
            assert_eq!(durability.as_str().parse(), Ok(durability));
        }
        assert!("Kafka".parse::<Durability>().is_err());
        assert!(
            Durability::Memory < Durability::Log && Durability::Log < Durability::Kafka,
            "the stricter is the greater"
        );
    }
}
