//! THE table of settings: table, key, type, unit, limits, default and meaning of each, once.
//!
//! The annotated file, `config --keys`, the limits check, the suggestions for unknown keys and
//! [`Config::default`](super::Config) are all made from it. A new setting is one row here and one field in
//! [`super::types`]. Defaults are written as in `--set` and go through the same checks as a user's values.

use std::time::Duration;

use super::draft::{Draft, HookDraft, ListenerDraft};
use super::types::Config;
use super::value::{Kind, Slot};

/// A table of the configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// `[node]`
    Node,
    /// `[listener.NAME]`
    Listener,
    /// `[bridge]`
    Bridge,
    /// `[kafka]`
    Kafka,
    /// `[hook.NAME]`
    Hook,
    /// `[log]`
    Log,
    /// `[limits]`
    Limits,
}

/// What a key has when nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// This value, written as in `--set`.
    Value(&'static str),
    /// A value found at the start, described in words.
    Computed(&'static str),
    /// Nothing: the key must be given.
    Required,
}

/// One row of the table.
#[derive(Debug)]
pub struct Setting {
    /// The table that the key stands in.
    pub table: Table,
    /// The key's name.
    pub key: &'static str,
    /// Type, unit and limits.
    pub kind: Kind,
    /// The default.
    pub preset: Preset,
    /// What it does, as sentences.
    pub text: &'static str,
    /// The field it fills.
    pub(super) field: Field,
}

/// Where a row's value goes.
#[derive(Debug)]
pub(super) enum Field {
    Draft(fn(&mut Draft) -> Slot<'_>),
    Listener(fn(&mut ListenerDraft) -> Slot<'_>),
    Hook(fn(&mut HookDraft) -> Slot<'_>),
}

/// A named table that exists when the files configure none of its kind: its name, and its keys with their
/// values as in `--set`.
pub type Example = (&'static str, &'static [(&'static str, &'static str)]);

/// The listeners of a configuration without any.
pub const DEFAULT_LISTENERS: &[Example] = &[("mqtt", &[("bind", "127.0.0.1:1883"), ("protocol", "mqtt")])];

/// The hooks of a configuration without any.
pub const DEFAULT_HOOKS: &[Example] = &[
    (
        "message_state",
        &[("on", "message.publish"), ("filter", "devices/+/state"), ("topic", "message_state")],
    ),
    (
        "message_command",
        &[("on", "message.acked"), ("filter", "devices/+/command"), ("topic", "message_command")],
    ),
];

impl Table {
    /// All, in the order of the annotated file.
    pub const ALL: [Table; 7] =
        [Table::Node, Table::Listener, Table::Bridge, Table::Kafka, Table::Hook, Table::Log, Table::Limits];

    /// The name in brackets, without NAME.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Node => "node",
            Table::Listener => "listener",
            Table::Bridge => "bridge",
            Table::Kafka => "kafka",
            Table::Hook => "hook",
            Table::Log => "log",
            Table::Limits => "limits",
        }
    }

    /// Whether there are many, each with a NAME.
    pub const fn is_named(self) -> bool {
        matches!(self, Table::Listener | Table::Hook)
    }

    /// What the table is about.
    pub const fn text(self) -> &'static str {
        match self {
            Table::Node => "This process.",
            Table::Listener => {
                "Addresses that take connections, each a table of its own. A file with any listener replaces the \
                 default one."
            }
            Table::Bridge => "The hooks as a whole.",
            Table::Kafka => "The Kafka cluster that records go to.",
            Table::Hook => {
                "Hooks: which events become records of which stream, each a table of its own. A file with any hook \
                 replaces the two default ones."
            }
            Table::Log => {
                "The durable log in the data directory: records wait there and are read by `consume`."
            }
            Table::Limits => "What one client, and all clients together, may take. Everything has a limit.",
        }
    }

    /// The tables that exist when the files configure none; empty for tables without NAME.
    pub const fn examples(self) -> &'static [Example] {
        match self {
            Table::Listener => DEFAULT_LISTENERS,
            Table::Hook => DEFAULT_HOOKS,
            _ => &[],
        }
    }

    /// The keys that may stand in this table.
    pub fn settings(self) -> impl Iterator<Item = &'static Setting> {
        SETTINGS.iter().filter(move |setting| setting.table == self)
    }

    /// The row of `key` in this table.
    pub fn find(self, key: &str) -> Option<&'static Setting> {
        self.settings().find(|setting| setting.key == key)
    }

    /// The table of this name.
    pub fn by_name(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.name() == name)
    }
}

impl Setting {
    /// `limits.max_inflight`, `hook.NAME.filter`.
    pub fn path(&self) -> String {
        let middle = if self.table.is_named() { ".NAME" } else { "" };
        format!("{}{middle}.{}", self.table.name(), self.key)
    }
}

/// The configuration of `millrace run` without any file or option.
pub(super) fn defaults() -> Config {
    let mut draft = Draft::new();
    draft.add_default_tables();
    let (config, problems) = draft.finish();
    debug_assert!(problems.is_empty(), "the table's own defaults are wrong: {problems:?}");
    config
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

const fn number(min: u64, max: u64, unit: &'static str) -> Kind {
    Kind::Number { min, max, unit }
}

const fn size(min: u64, max: u64) -> Kind {
    Kind::Size { min, max }
}

const fn seconds(min: u64, max: u64) -> Kind {
    Kind::Time { min: Duration::from_secs(min), max: Duration::from_secs(max) }
}

const DAY: u64 = 86_400;

/// All settings, in the order of the annotated file.
pub static SETTINGS: &[Setting] = &[
    Setting {
        table: Table::Node,
        key: "name",
        kind: Kind::Text { max: 255 },
        preset: Preset::Computed("millrace@ and the address of the first listener"),
        text: "Name of this broker, as name@host; field `node` of every record.",
        field: Field::Draft(|d| Slot::Text(&mut d.node_name)),
    },
    Setting {
        table: Table::Node,
        key: "cores",
        kind: number(1, 64, "threads"),
        preset: Preset::Computed("one less than the CPUs, at least 1"),
        text: "Threads that serve connections. The log and the kernel need a CPU as well.",
        field: Field::Draft(|d| Slot::Count(&mut d.node_cores)),
    },
    Setting {
        table: Table::Node,
        key: "data",
        kind: Kind::Path,
        preset: Preset::Value("./data"),
        text: "Data directory, made if it is missing; one broker at a time. `--data DIR` is short for it.",
        field: Field::Draft(|d| Slot::Path(&mut d.config.node.data)),
    },
    Setting {
        table: Table::Listener,
        key: "bind",
        kind: Kind::Address,
        preset: Preset::Required,
        text: "Address and port to listen on; port 0 takes any free one. Whoever reaches it can connect: there are \
               no passwords and no TLS yet.",
        field: Field::Listener(|l| Slot::Address(&mut l.bind)),
    },
    Setting {
        table: Table::Listener,
        key: "protocol",
        kind: Kind::Protocol,
        preset: Preset::Value("mqtt"),
        text: "What is spoken there: mqtt is MQTT 3.1, 3.1.1 and 5.0 over TCP.",
        field: Field::Listener(|l| Slot::Protocol(&mut l.protocol)),
    },
    Setting {
        table: Table::Bridge,
        key: "enabled",
        kind: Kind::Flag,
        preset: Preset::Value("true"),
        text: "Whether hooks make records. Without, MQTT works alone and the log gets nothing.",
        field: Field::Draft(|d| Slot::Flag(&mut d.config.bridge.enabled)),
    },
    Setting {
        table: Table::Kafka,
        key: "servers",
        kind: Kind::Servers,
        preset: Preset::Value(""),
        text: "Kafka brokers to start from. Understood but not used yet: until the Kafka sink exists records stay \
               in the log.",
        field: Field::Draft(|d| Slot::List(&mut d.config.kafka.servers)),
    },
    Setting {
        table: Table::Hook,
        key: "on",
        kind: Kind::Event,
        preset: Preset::Required,
        text: "The event.",
        field: Field::Hook(|h| Slot::Event(&mut h.on)),
    },
    Setting {
        table: Table::Hook,
        key: "filter",
        kind: Kind::Filter,
        preset: Preset::Computed("# where the event has a topic"),
        text: "MQTT topics the hook is for. Not for client.connected and client.disconnected, which have no topic.",
        field: Field::Hook(|h| Slot::Text(&mut h.filter)),
    },
    Setting {
        table: Table::Hook,
        key: "topic",
        kind: Kind::Stream,
        preset: Preset::Required,
        text: "Stream (Kafka topic) that the records go to.",
        field: Field::Hook(|h| Slot::Text(&mut h.topic)),
    },
    Setting {
        table: Table::Hook,
        key: "durability",
        kind: Kind::Durability,
        preset: Preset::Value("log"),
        text: "When a QoS 1 or 2 publish is acknowledged: log, once the record is synced to disk; memory, once it is \
               accepted, so that a crash can lose it.",
        field: Field::Hook(|h| Slot::Durability(&mut h.durability)),
    },
    Setting {
        table: Table::Hook,
        key: "max_record_bytes",
        kind: size(KIB, 64 * MIB),
        preset: Preset::Value("1000000"),
        text: "Longest record, as encoded JSON; a publish that would make a longer one is refused.",
        field: Field::Hook(|h| Slot::U32(&mut h.max_record_bytes)),
    },
    Setting {
        table: Table::Log,
        key: "segment_bytes",
        kind: size(MIB, 4 * GIB),
        preset: Preset::Value("64MiB"),
        text: "Size of one file of the log.",
        field: Field::Draft(|d| Slot::U64(&mut d.config.log.segment_bytes)),
    },
    Setting {
        table: Table::Log,
        key: "retention_bytes",
        kind: size(MIB, 1024 * TIB),
        preset: Preset::Value("1GiB"),
        text: "Size of the whole log above which its oldest file is deleted.",
        field: Field::Draft(|d| Slot::U64(&mut d.config.log.retention_bytes)),
    },
    Setting {
        table: Table::Log,
        key: "retention_time",
        kind: seconds(60, 36_500 * DAY),
        preset: Preset::Value("7d"),
        text: "Age at which a file of the log is deleted.",
        field: Field::Draft(|d| Slot::Time(&mut d.config.log.retention_time)),
    },
    Setting {
        table: Table::Log,
        key: "ring_bytes",
        kind: size(64 * KIB, GIB),
        preset: Preset::Value("8MiB"),
        text: "Memory for records between one core and the log; when it is full, the clients that feed hooks wait.",
        field: Field::Draft(|d| Slot::U64(&mut d.config.log.ring_bytes)),
    },
    Setting {
        table: Table::Log,
        key: "ring_records",
        kind: number(16, 16_777_216, "records"),
        preset: Preset::Value("65536"),
        text: "Records between one core and the log.",
        field: Field::Draft(|d| Slot::U32(&mut d.config.log.ring_records)),
    },
    Setting {
        table: Table::Limits,
        key: "max_connections",
        kind: number(1, 16_777_216, "connections"),
        preset: Preset::Value("1000000"),
        text: "Connections at a time; fewer if the process may not open so many files.",
        field: Field::Draft(|d| Slot::U32(&mut d.config.limits.max_connections)),
    },
    Setting {
        table: Table::Limits,
        key: "max_packet_size",
        kind: size(2, 268_435_460),
        preset: Preset::Value("1MiB"),
        text: "Longest packet, in and out, fixed header included; a client that sends a longer one is closed.",
        field: Field::Draft(|d| Slot::U32(&mut d.config.limits.max_packet_size)),
    },
    Setting {
        table: Table::Limits,
        key: "max_client_id_bytes",
        kind: number(1, 65_535, "bytes"),
        preset: Preset::Value("1024"),
        text: "Longest client id; a client with a longer one is refused.",
        field: Field::Draft(|d| Slot::U16(&mut d.config.limits.max_client_id_bytes)),
    },
    Setting {
        table: Table::Limits,
        key: "connect_timeout",
        kind: Kind::Time { min: Duration::from_millis(100), max: Duration::from_secs(3_600) },
        preset: Preset::Value("10s"),
        text: "Time for a new connection to send its whole CONNECT before it is closed.",
        field: Field::Draft(|d| Slot::Time(&mut d.config.limits.connect_timeout)),
    },
    Setting {
        table: Table::Limits,
        key: "max_keep_alive",
        kind: seconds(1, 65_535),
        preset: Preset::Value("65535s"),
        text: "Longest keep-alive in whole seconds. A client that asks for more, or for none, gets this: 5.0 clients \
               are told, for 3.x it is in force untold. The default caps nothing.",
        field: Field::Draft(|d| Slot::Seconds16(&mut d.config.limits.max_keep_alive)),
    },
    Setting {
        table: Table::Limits,
        key: "receive_maximum",
        kind: number(1, 65_535, "messages"),
        preset: Preset::Value("1024"),
        text: "QoS 1 and 2 publishes that one client may have unacknowledged; 5.0 clients are told, for 3.x the \
               broker reads no further.",
        field: Field::Draft(|d| Slot::U16(&mut d.config.limits.receive_maximum)),
    },
    Setting {
        table: Table::Limits,
        key: "max_inflight",
        kind: number(1, 65_535, "messages"),
        preset: Preset::Value("1024"),
        text: "QoS 1 and 2 messages on their way to one client; less if a 5.0 client asks for less.",
        field: Field::Draft(|d| Slot::U16(&mut d.config.limits.max_inflight)),
    },
    Setting {
        table: Table::Limits,
        key: "max_queued_messages",
        kind: number(0, 100_000_000, "messages"),
        preset: Preset::Value("10000"),
        text: "Messages waiting for one session behind those on their way; further ones are dropped and counted.",
        field: Field::Draft(|d| Slot::U32(&mut d.config.limits.max_queued_messages)),
    },
    Setting {
        table: Table::Limits,
        key: "max_queued_bytes",
        kind: size(0, TIB),
        preset: Preset::Value("16MiB"),
        text: "The same in bytes.",
        field: Field::Draft(|d| Slot::U64(&mut d.config.limits.max_queued_bytes)),
    },
    Setting {
        table: Table::Limits,
        key: "max_output_bytes",
        kind: size(KIB, GIB),
        preset: Preset::Value("1MiB"),
        text: "Bytes that one connection has not taken yet above which QoS 0 messages to it are dropped and counted.",
        field: Field::Draft(|d| Slot::U64(&mut d.config.limits.max_output_bytes)),
    },
    Setting {
        table: Table::Limits,
        key: "max_subscriptions",
        kind: number(1, 10_000_000, "subscriptions"),
        preset: Preset::Value("1000"),
        text: "Subscriptions of one client.",
        field: Field::Draft(|d| Slot::U32(&mut d.config.limits.max_subscriptions)),
    },
    Setting {
        table: Table::Limits,
        key: "max_filters_per_packet",
        kind: number(1, 65_535, "filters"),
        preset: Preset::Value("1000"),
        text: "Filters of one SUBSCRIBE or UNSUBSCRIBE.",
        field: Field::Draft(|d| Slot::U16(&mut d.config.limits.max_filters_per_packet)),
    },
    Setting {
        table: Table::Limits,
        key: "max_topic_levels",
        kind: number(1, 128, "levels"),
        preset: Preset::Value("64"),
        text: "Levels of a topic or filter, that is its slashes and one.",
        field: Field::Draft(|d| Slot::U16(&mut d.config.limits.max_topic_levels)),
    },
    Setting {
        table: Table::Limits,
        key: "max_user_properties",
        kind: number(0, 65_535, "properties"),
        preset: Preset::Value("64"),
        text: "User properties of one 5.0 packet.",
        field: Field::Draft(|d| Slot::U16(&mut d.config.limits.max_user_properties)),
    },
    Setting {
        table: Table::Limits,
        key: "held_bytes",
        kind: size(KIB, 16 * MIB),
        preset: Preset::Value("16KiB"),
        text: "Bytes read ahead from a client whose publish has to wait, so that its pings are still answered.",
        field: Field::Draft(|d| Slot::U32(&mut d.config.limits.held_bytes)),
    },
    Setting {
        table: Table::Limits,
        key: "write_timeout",
        kind: seconds(1, DAY),
        preset: Preset::Value("60s"),
        text: "Time after which a client that takes none of the data waiting for it is closed.",
        field: Field::Draft(|d| Slot::Time(&mut d.config.limits.write_timeout)),
    },
];
