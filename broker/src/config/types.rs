//! The typed configuration that the rest of the broker reads.
//!
//! Made by [`super::load`] and by tests through [`Config::default`]; never changed afterwards. Every field
//! is one row of the table in [`super::table`], which has its default, limits and meaning: the fields here
//! repeat only the unit. Nothing here reads files, the environment or the clock.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use millrace_codec::{QoS, Version};
use millrace_kafka_sink::{Durability, EventKind, KafkaConfig};

use super::modules::{Modules, Sys};
use super::table;
pub use millrace_router::Strategy;

/// All settings, checked and complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[node]`: this process.
    pub node: Node,
    /// `[listener.NAME]`, in the order of the file; at least one.
    pub listeners: Vec<Listener>,
    /// `[bridge]`: the hooks as a whole.
    pub bridge: Bridge,
    /// `[kafka]`: the target of the records; there is none if it names no servers.
    pub kafka: KafkaConfig,
    /// `[hook.NAME]`, in the order of the file; names are unique.
    pub hooks: Vec<Hook>,
    /// `[log]`: the durable log.
    pub log: Log,
    /// `[limits]`: what one client and all clients together may take.
    pub limits: Limits,
    /// `[share]`: shared subscriptions.
    pub share: Share,
    /// `[sys]`: what the broker publishes about itself.
    pub sys: Sys,
    /// `[delayed]`, `[rewrite.NAME]`, `[subscribe.NAME]`: what may be done to messages and subscriptions.
    pub modules: Modules,
}

/// This process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// `node` of every record, as `name@host`. Default: `millrace@` and the first listener's address.
    pub name: String,
    /// Core threads, 1..=64.
    pub cores: usize,
    /// The data directory.
    pub data: PathBuf,
    /// Between two lines with the numbers of `millrace status`; zero for none.
    pub status_every: Duration,
    /// Where 5.0 clients go when this broker stops (0x9C).
    pub server_reference: Option<String>,
    /// What 5.0 clients that ask are told; `%c` stands for the client id.
    pub response_information: Option<String>,
}

/// One address that takes connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// NAME of `[listener.NAME]`, unique.
    pub name: String,
    /// Address and port; port 0 takes any free port.
    pub bind: SocketAddr,
    /// What is spoken there.
    pub protocol: Protocol,
    /// MQTT versions that are spoken there; at least one.
    pub versions: Versions,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// MQTT over TCP.
    Mqtt,
}

/// The hooks as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Whether hooks make records.
    pub enabled: bool,
}

/// One rule: which events become records of which stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// NAME of `[hook.NAME]`, unique.
    pub name: String,
    /// The event.
    pub on: EventKind,
    /// A valid MQTT topic filter, never shared; `None` exactly for the events without a topic
    /// (`client.*`). A hook on the other events without a filter has `#` here.
    pub filter: Option<String>,
    /// The stream (Kafka topic) of the records, a valid Kafka topic name.
    pub topic: String,
    /// When the publisher's acknowledgement is sent.
    pub durability: Durability,
    /// Bytes of one encoded record value above which the publish is refused.
    pub max_record_bytes: u32,
    /// Bytes that may wait for Kafka, of all cores together.
    pub max_waiting_bytes: u64,
}

/// The durable log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Bytes of one segment file.
    pub segment_bytes: u64,
    /// Bytes of all segments above which the oldest goes.
    pub retention_bytes: u64,
    /// Age of a closed segment at which it goes.
    pub retention_time: Duration,
    /// Bytes of the ring between one core and the log thread.
    pub ring_bytes: u64,
    /// Records of the ring between one core and the log thread.
    pub ring_records: u32,
}

/// Shared subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Which member gets a message.
    pub strategy: Strategy,
}

/// What one client and all clients together may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections of the whole process; also capped by the descriptor limit.
    pub max_connections: u32,
    /// Sessions of the whole process, those of clients that are away included.
    pub max_sessions: u32,
    /// Seconds that a session is kept while its client is away; `u32::MAX` caps nothing [MQTT-3.1.2-23].
    pub session_expiry_max: u32,
    /// Bytes of one packet, fixed header included, in both directions [MQTT-3.2.2-15].
    pub max_packet_size: u32,
    /// Bytes of one payload.
    pub max_payload_size: u32,
    /// Bytes of a client id.
    pub max_client_id_bytes: u16,
    /// A client without an id gets one [MQTT-3.1.3-6].
    pub zero_length_client_id: bool,
    /// From accept to a complete CONNECT [MQTT-3.1.4-1].
    pub connect_timeout: Duration,
    /// Seconds; 65,535 caps nothing [MQTT-3.2.2-21].
    pub max_keep_alive: u16,
    /// QoS 1 and 2 publishes of one client that are not acknowledged yet.
    pub receive_maximum: u16,
    /// QoS 1 and 2 messages sent to one client that it did not acknowledge yet.
    pub max_inflight: u16,
    /// Highest QoS of publishes and subscriptions [MQTT-3.2.2-11].
    pub max_qos: QoS,
    /// Topic aliases of one connection, each way [MQTT-3.2.2-17].
    pub topic_alias_maximum: u16,
    /// Messages waiting for one session beyond its in-flight window.
    pub max_queued_messages: u32,
    /// Bytes waiting for one session beyond its in-flight window.
    pub max_queued_bytes: u64,
    /// What a full queue does with one more message.
    pub queue_full: QueueFull,
    /// QoS 0 messages are queued for clients that are away.
    pub queue_qos0: bool,
    /// Messages are retained [MQTT-3.2.2-14].
    pub retain_available: bool,
    /// Retained messages of all cores.
    pub max_retained_messages: u32,
    /// Their bytes.
    pub max_retained_bytes: u64,
    /// Seconds that a message is retained at most; 0 for ever.
    pub retained_expiry: u32,
    /// Bytes not yet taken by one connection's socket above which QoS 0 is dropped for it.
    pub max_output_bytes: u64,
    /// Subscriptions of one client.
    pub max_subscriptions: u32,
    /// Filters of one SUBSCRIBE or UNSUBSCRIBE.
    pub max_filters_per_packet: u16,
    /// Copies of a message that several subscriptions of one client match [MQTT-3.3.5-1].
    pub overlap: Overlap,
    /// Filters may have wildcards.
    pub wildcard_available: bool,
    /// Subscriptions may have identifiers.
    pub subscription_ids_available: bool,
    /// There are shared subscriptions (5.0, 3.2.2.3.13).
    pub shared_available: bool,
    /// Levels of a topic name or filter.
    pub max_topic_levels: u16,
    /// User properties of one packet.
    pub max_user_properties: u16,
    /// Payloads that say they are text must be UTF-8 (5.0, 3.3.2.3.2).
    pub check_payload_format: bool,
    /// Refusals carry a reason string (5.0, 3.2.2.3.9).
    pub reason_strings: bool,
    /// Bytes read ahead of one connection that is paused.
    pub held_bytes: u32,
    /// How long a client may take nothing while data waits for it.
    pub write_timeout: Duration,
}

/// What a full queue does with one more message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueFull {
    /// What waits has been promised an order: the one that comes is dropped.
    RefuseNewest,
    /// The latest counts: the one that waits longest is dropped.
    DropOldest,
}

/// Copies of a message that several subscriptions of one client match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// One, at the highest QoS, with the identifiers of all.
    One,
    /// One each.
    Each,
}

/// A set of MQTT versions, not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions(u8);

impl Default for Config {
    /// The configuration of `millrace run` without any file or option: the defaults of the table.
    fn default() -> Config {
        table::defaults()
    }
}

impl Protocol {
    /// All, in the order they are documented.
    pub const ALL: [Protocol; 1] = [Protocol::Mqtt];

    /// As written in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::Mqtt => "mqtt",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(text: &str) -> Result<Protocol, ()> {
        Protocol::ALL.into_iter().find(|protocol| protocol.as_str() == text).ok_or(())
    }
}

impl QueueFull {
    /// All, in the order they are documented.
    pub const ALL: [QueueFull; 2] = [QueueFull::RefuseNewest, QueueFull::DropOldest];

    /// As written in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            QueueFull::RefuseNewest => "refuse_newest",
            QueueFull::DropOldest => "drop_oldest",
        }
    }
}

impl FromStr for QueueFull {
    type Err = ();

    fn from_str(text: &str) -> Result<QueueFull, ()> {
        QueueFull::ALL.into_iter().find(|one| one.as_str() == text).ok_or(())
    }
}

impl Overlap {
    /// All, in the order they are documented.
    pub const ALL: [Overlap; 2] = [Overlap::One, Overlap::Each];

    /// As written in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Overlap::One => "one",
            Overlap::Each => "each",
        }
    }
}

impl FromStr for Overlap {
    type Err = ();

    fn from_str(text: &str) -> Result<Overlap, ()> {
        Overlap::ALL.into_iter().find(|one| one.as_str() == text).ok_or(())
    }
}

/// The strategies, as written in the configuration.
pub const STRATEGIES: [(&str, Strategy); 7] = [
    ("round_robin", Strategy::RoundRobin),
    ("random", Strategy::Random),
    ("local", Strategy::Local),
    ("sticky", Strategy::Sticky),
    ("hash_clientid", Strategy::HashClientId),
    ("hash_topic", Strategy::HashTopic),
    ("least_inflight", Strategy::LeastInflight),
];

impl Versions {
    /// Every version there is.
    pub const ALL: Versions = Versions(0b111);
    /// As written in the configuration.
    pub const NAMES: [(&'static str, Version); 3] =
        [("3.1", Version::V31), ("3.1.1", Version::V311), ("5.0", Version::V5)];

    /// The versions of these names; the name that is none otherwise.
    ///
    /// # Errors
    /// A name that is no version's.
    pub fn of_names<'a>(names: &[&'a str]) -> Result<Versions, &'a str> {
        names.iter().try_fold(Versions(0), |Versions(set), name| {
            let known = Versions::NAMES.iter().find(|(known, _)| known == name);
            known.map(|(_, version)| Versions(set | Versions::bit(*version))).ok_or(*name)
        })
    }

    /// Whether this version is among them.
    pub const fn contains(self, version: Version) -> bool {
        self.0 & Versions::bit(version) != 0
    }

    const fn bit(version: Version) -> u8 {
        match version {
            Version::V31 => 1,
            Version::V311 => 2,
            Version::V5 => 4,
        }
    }
}

impl Config {
    /// The Kafka that records go to, if there is one.
    pub fn target(&self) -> Option<&KafkaConfig> {
        (!self.kafka.servers.is_empty()).then_some(&self.kafka)
    }
}

impl Node {
    /// Where the durable log is: a directory of its own below the data directory.
    pub fn log_dir(&self) -> PathBuf {
        self.data.join("log")
    }
}
