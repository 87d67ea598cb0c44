//! The rows.

use std::time::Duration;

use super::super::value::{Kind, Slot};
use super::{Field, Preset, Setting, Table};

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
        table: Table::Node,
        key: "status_every",
        kind: Kind::Time { min: Duration::ZERO, max: Duration::from_secs(DAY) },
        preset: Preset::Value("0s"),
        text: "How often a line with the numbers of `millrace status` goes to the log; 0s for never.",
        field: Field::Draft(|d| Slot::Time(&mut d.config.node.status_every)),
    },
    Setting {
        table: Table::Node,
        key: "server_reference",
        kind: Kind::Text { max: 1_024 },
        preset: Preset::Computed("none"),
        text: "Another broker, as HOST:PORT. When this one stops, 5.0 clients are told to use that one \
               meanwhile (0x9C) instead of only that it stops (0x8B).",
        field: Field::Draft(|d| Slot::Text(&mut d.config.node.server_reference)),
    },
    Setting {
        table: Table::Node,
        key: "response_information",
        kind: Kind::Text { max: 1_024 },
        preset: Preset::Computed("none"),
        text: "What 5.0 clients that ask for response information are told, as a rule the prefix of \
               their response topics; %c stands for the client id.",
        field: Field::Draft(|d| Slot::Text(&mut d.config.node.response_information)),
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
        table: Table::Listener,
        key: "versions",
        kind: Kind::Versions,
        preset: Preset::Value("3.1, 3.1.1, 5.0"),
        text: "MQTT versions that are spoken there; clients of others are refused.",
        field: Field::Listener(|l| Slot::Versions(&mut l.versions)),
    },
    Setting {
        table: Table::Bridge,
        key: "enabled",
        kind: Kind::Flag,
        preset: Preset::Value("true"),
        text: "Whether hooks make records. Without, MQTT works alone and the log gets nothing new; what waits in it \
               for Kafka still goes there.",
        field: Field::Draft(|d| Slot::Flag(&mut d.config.bridge.enabled)),
    },
    Setting {
        table: Table::Kafka,
        key: "servers",
        kind: Kind::Servers,
        preset: Preset::Value(""),
        text: "Kafka brokers to start from; the others are learnt from them. None: there is no Kafka, and records \
               stay in the log. TCP without TLS and without a login, so far.",
        field: Field::Draft(|d| Slot::List(&mut d.config.kafka.servers)),
    },
    Setting {
        table: Table::Kafka,
        key: "client_id",
        kind: Kind::Text { max: 249 },
        preset: Preset::Value("millrace"),
        text: "How this broker names itself to Kafka, for Kafka's quotas and logs.",
        field: Field::Draft(|d| Slot::String(&mut d.config.kafka.client_id)),
    },
    Setting {
        table: Table::Kafka,
        key: "start",
        kind: Kind::Start,
        preset: Preset::Value("earliest"),
        text: "What of a log that was written before it had a Kafka goes there: earliest, all that is left of it; \
               latest, nothing. Read once, when the log gets its first Kafka; later starts go on where they were.",
        field: Field::Draft(|d| Slot::Start(&mut d.config.kafka.start)),
    },
    Setting {
        table: Table::Kafka,
        key: "create_topics",
        kind: Kind::Flag,
        preset: Preset::Value("false"),
        text: "Whether a topic that Kafka does not have is created. If not, its records wait in the log until \
               somebody creates it, and `millrace status` names it.",
        field: Field::Draft(|d| Slot::Flag(&mut d.config.kafka.create_topics)),
    },
    Setting {
        table: Table::Kafka,
        key: "partitions",
        kind: number(0, 100_000, "partitions"),
        preset: Preset::Value("0"),
        text: "Partitions of a topic that create_topics creates; 0 leaves it to the cluster (num.partitions).",
        field: Field::Draft(|d| Slot::OrClusters(&mut d.config.kafka.partitions)),
    },
    Setting {
        table: Table::Kafka,
        key: "replication",
        kind: number(0, 1_000, "replicas"),
        preset: Preset::Value("0"),
        text: "Replicas of a topic that create_topics creates; 0 leaves it to the cluster \
               (default.replication.factor).",
        field: Field::Draft(|d| Slot::OrClusters16(&mut d.config.kafka.replication)),
    },
    Setting {
        table: Table::Kafka,
        key: "compression",
        kind: Kind::Compression,
        preset: Preset::Value("none"),
        text: "How batches are compressed; less for network and disks, more for the CPU. lz4 and snappy cost little.",
        field: Field::Draft(|d| Slot::Compression(&mut d.config.kafka.compression)),
    },
    Setting {
        table: Table::Kafka,
        key: "batch_records",
        kind: number(1, 100_000, "records"),
        preset: Preset::Value("1000"),
        text: "Most records of one batch; a batch is what goes to one partition at a time.",
        field: Field::Draft(|d| Slot::U32(&mut d.config.kafka.batch_records)),
    },
    Setting {
        table: Table::Kafka,
        key: "batch_bytes",
        kind: size(KIB, 1_000_000),
        preset: Preset::Value("512KiB"),
        text: "Longest batch, uncompressed; a record that is longer goes alone. The maximum is below the 1048588 bytes \
               that Kafka takes by default (message.max.bytes).",
        field: Field::Draft(|d| Slot::U32(&mut d.config.kafka.batch_bytes)),
    },
    Setting {
        table: Table::Kafka,
        key: "linger",
        kind: Kind::Time { min: Duration::ZERO, max: Duration::from_secs(10) },
        preset: Preset::Value("5ms"),
        text: "How long the first record of a batch waits for others while its partition is idle. With durability \
               kafka the acknowledgement waits as well.",
        field: Field::Draft(|d| Slot::Time(&mut d.config.kafka.linger)),
    },
    Setting {
        table: Table::Kafka,
        key: "connect_timeout",
        kind: Kind::Time { min: Duration::from_millis(100), max: Duration::from_secs(300) },
        preset: Preset::Value("10s"),
        text: "Time for a connection to Kafka to be made and to answer, before another broker is tried.",
        field: Field::Draft(|d| Slot::Time(&mut d.config.kafka.connect_timeout)),
    },
    Setting {
        table: Table::Kafka,
        key: "request_timeout",
        kind: seconds(1, 600),
        preset: Preset::Value("30s"),
        text: "Time for Kafka to answer a request; then the connection is closed, and whether the records were \
               taken is found out before they are sent again.",
        field: Field::Draft(|d| Slot::Time(&mut d.config.kafka.request_timeout)),
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
        text: "When a QoS 1 or 2 publish is acknowledged: kafka, once Kafka has confirmed the record, which is as \
               strong as the topic's min.insync.replicas; log, once it is synced to disk; memory, once it is \
               accepted, so that a crash can lose it.",
        field: Field::Hook(|h| Slot::Durability(&mut h.durability)),
    },
    Setting {
        table: Table::Hook,
        key: "max_record_bytes",
        kind: size(KIB, 64 * MIB),
        preset: Preset::Value("1000000"),
        text: "Longest record, as encoded JSON; a publish that would make a longer one is refused. Kafka takes \
               1048588 bytes a batch by default (message.max.bytes): more is of use only where its topic takes more.",
        field: Field::Hook(|h| Slot::U32(&mut h.max_record_bytes)),
    },
    Setting {
        table: Table::Hook,
        key: "max_waiting_bytes",
        kind: size(64 * KIB, 1024 * TIB),
        preset: Preset::Value("1GiB"),
        text: "Bytes of this hook that may wait for Kafka, on disk, in equal parts for each core; beyond it the \
               clients that feed the hook wait, and other hooks go on. Without Kafka: bytes that wait for the disk.",
        field: Field::Hook(|h| Slot::U64(&mut h.max_waiting_bytes)),
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
        text: "Size of the whole log above which its oldest file is deleted; never one with a record that waits \
               for Kafka.",
        field: Field::Draft(|d| Slot::U64(&mut d.config.log.retention_bytes)),
    },
    Setting {
        table: Table::Log,
        key: "retention_time",
        kind: seconds(60, 36_500 * DAY),
        preset: Preset::Value("7d"),
        text: "Age at which a file of the log is deleted; never one with a record that waits for Kafka.",
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
        key: "max_sessions",
        kind: number(1, 16_777_216, "sessions"),
        preset: Preset::Value("1000000"),
        text: "Sessions at a time, those of clients that are away included; further clients are \
               refused (5.0: 0x97).",
        field: Field::Draft(|d| Slot::U32(&mut d.config.limits.max_sessions)),
    },
    Setting {
        table: Table::Limits,
        key: "session_expiry_max",
        kind: seconds(0, u32::MAX as u64),
        preset: Preset::Value("30d"),
        text: "Longest time that a session is kept while its client is away, whole seconds. 5.0 \
               clients that ask for more are told; sessions of 3.x clients without clean session get \
               this. 0s keeps none, 4294967295s caps nothing.",
        field: Field::Draft(|d| Slot::Seconds32(&mut d.config.limits.session_expiry_max)),
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
        key: "max_payload_size",
        kind: size(0, 268_435_455),
        preset: Preset::Value("268435455"),
        text: "Longest payload of a publish or a will; a client that sends a longer one is closed (5.0: 0x95). \
               The default leaves it to max_packet_size.",
        field: Field::Draft(|d| Slot::U32(&mut d.config.limits.max_payload_size)),
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
        key: "zero_length_client_id",
        kind: Kind::Flag,
        preset: Preset::Value("true"),
        text: "Whether a client without a client id gets one from the broker; if not, it is refused.",
        field: Field::Draft(|d| Slot::Flag(&mut d.config.limits.zero_length_client_id)),
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
        key: "max_qos",
        kind: number(0, 2, "QoS"),
        preset: Preset::Value("2"),
        text: "Highest QoS. Subscriptions are granted no more; a client that publishes with more, or \
               has such a will, is closed (5.0: told beforehand, 0x9B).",
        field: Field::Draft(|d| Slot::Qos(&mut d.config.limits.max_qos)),
    },
    Setting {
        table: Table::Limits,
        key: "topic_alias_maximum",
        kind: number(0, 65_535, "aliases"),
        preset: Preset::Value("32"),
        text: "Topic aliases, each way: that a 5.0 client may set, and at most that the broker sets \
               for a client that takes them.",
        field: Field::Draft(|d| Slot::U16(&mut d.config.limits.topic_alias_maximum)),
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
        key: "queue_full",
        kind: Kind::QueueFull,
        preset: Preset::Value("refuse_newest"),
        text: "What a full queue does with one more message: refuse_newest, or drop_oldest to make \
               room for it. Counted either way.",
        field: Field::Draft(|d| Slot::QueueFull(&mut d.config.limits.queue_full)),
    },
    Setting {
        table: Table::Limits,
        key: "queue_qos0",
        kind: Kind::Flag,
        preset: Preset::Value("false"),
        text: "Whether QoS 0 messages are queued for a client that is away.",
        field: Field::Draft(|d| Slot::Flag(&mut d.config.limits.queue_qos0)),
    },
    Setting {
        table: Table::Limits,
        key: "retain_available",
        kind: Kind::Flag,
        preset: Preset::Value("true"),
        text: "Whether messages are retained. If not, 5.0 clients are told and closed when they ask \
               for it (0x9A), and those of 3.x are delivered and not kept.",
        field: Field::Draft(|d| Slot::Flag(&mut d.config.limits.retain_available)),
    },
    Setting {
        table: Table::Limits,
        key: "max_retained_messages",
        kind: number(0, 1_000_000_000, "messages"),
        preset: Preset::Value("1000000"),
        text: "Retained messages; further topics are delivered and not kept, which is counted.",
        field: Field::Draft(|d| Slot::U32(&mut d.config.limits.max_retained_messages)),
    },
    Setting {
        table: Table::Limits,
        key: "max_retained_bytes",
        kind: size(0, TIB),
        preset: Preset::Value("1GiB"),
        text: "The same in bytes of topics, publishers, properties and payloads.",
        field: Field::Draft(|d| Slot::U64(&mut d.config.limits.max_retained_bytes)),
    },
    Setting {
        table: Table::Limits,
        key: "retained_expiry",
        kind: seconds(0, u32::MAX as u64),
        preset: Preset::Value("0s"),
        text: "Longest time that a message is retained, whole seconds; 0s for ever. A shorter message \
               expiry interval of its own counts all the same.",
        field: Field::Draft(|d| Slot::Seconds32(&mut d.config.limits.retained_expiry)),
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
        key: "overlap",
        kind: Kind::Overlap,
        preset: Preset::Value("one"),
        text: "When several subscriptions of a client match a message: one copy at their highest QoS \
               with all their identifiers, or each its own.",
        field: Field::Draft(|d| Slot::Overlap(&mut d.config.limits.overlap)),
    },
    Setting {
        table: Table::Limits,
        key: "wildcard_available",
        kind: Kind::Flag,
        preset: Preset::Value("true"),
        text: "Whether filters may have wildcards; 5.0 clients are told.",
        field: Field::Draft(|d| Slot::Flag(&mut d.config.limits.wildcard_available)),
    },
    Setting {
        table: Table::Limits,
        key: "subscription_ids_available",
        kind: Kind::Flag,
        preset: Preset::Value("true"),
        text: "Whether 5.0 subscriptions may have identifiers; clients are told.",
        field: Field::Draft(|d| Slot::Flag(&mut d.config.limits.subscription_ids_available)),
    },
    Setting {
        table: Table::Limits,
        key: "shared_available",
        kind: Kind::Flag,
        preset: Preset::Value("true"),
        text: "Whether there are shared subscriptions, $share/GROUP/FILTER; 5.0 clients are told.",
        field: Field::Draft(|d| Slot::Flag(&mut d.config.limits.shared_available)),
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
        key: "check_payload_format",
        kind: Kind::Flag,
        preset: Preset::Value("false"),
        text: "Whether a 5.0 payload that says it is text is looked at, and refused if it is not UTF-8 \
               (0x99).",
        field: Field::Draft(|d| Slot::Flag(&mut d.config.limits.check_payload_format)),
    },
    Setting {
        table: Table::Limits,
        key: "reason_strings",
        kind: Kind::Flag,
        preset: Preset::Value("false"),
        text: "Whether 5.0 clients that are refused or closed are told why in words, beside the reason \
               code.",
        field: Field::Draft(|d| Slot::Flag(&mut d.config.limits.reason_strings)),
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
    Setting {
        table: Table::Share,
        key: "strategy",
        kind: Kind::Strategy,
        preset: Preset::Value("round_robin"),
        text: "Which member of a shared subscription gets a message, of those that are connected: \
               round_robin, one after the other; random; local, one on the core that keeps the group \
               if there is any; sticky, the same one until it goes; hash_clientid, by the publisher; \
               hash_topic, by the topic; least_inflight, the one with the fewest messages that it has not \
               acknowledged or that wait for it, among the next 32.",
        field: Field::Draft(|d| Slot::Strategy(&mut d.config.share.strategy)),
    },
    Setting {
        table: Table::Sys,
        key: "interval",
        kind: Kind::Time { min: Duration::ZERO, max: Duration::from_secs(DAY) },
        preset: Preset::Value("10s"),
        text: "How often the figures that have changed are published, retained; 0s for never.",
        field: Field::Draft(|d| Slot::Time(&mut d.config.sys.interval)),
    },
    Setting {
        table: Table::Delayed,
        key: "enabled",
        kind: Kind::Flag,
        preset: Preset::Value("false"),
        text: "Whether such topics mean this; if not, they are topics like any other.",
        field: Field::Draft(|d| Slot::Flag(&mut d.config.modules.delayed.enabled)),
    },
    Setting {
        table: Table::Delayed,
        key: "max_seconds",
        kind: number(1, 4_294_967, "seconds"),
        preset: Preset::Value("604800"),
        text: "Longest delay; a publish with a longer one is refused (5.0: 0x90).",
        field: Field::Draft(|d| Slot::U32(&mut d.config.modules.delayed.max_seconds)),
    },
    Setting {
        table: Table::Delayed,
        key: "max_messages",
        kind: number(1, 16_777_216, "messages"),
        preset: Preset::Value("100000"),
        text: "Messages that wait; further ones are refused (5.0: 0x97).",
        field: Field::Draft(|d| Slot::U32(&mut d.config.modules.delayed.max_messages)),
    },
    Setting {
        table: Table::Delayed,
        key: "max_bytes",
        kind: size(KIB, TIB),
        preset: Preset::Value("64MiB"),
        text: "Their bytes.",
        field: Field::Draft(|d| Slot::U64(&mut d.config.modules.delayed.max_bytes)),
    },
    Setting {
        table: Table::Rewrite,
        key: "action",
        kind: Kind::Action,
        preset: Preset::Value("all"),
        text: "What is rewritten: publish, topics of PUBLISH and wills; subscribe, filters of SUBSCRIBE and UNSUBSCRIBE; all, both.",
        field: Field::Rewrite(|r| Slot::String(&mut r.action)),
    },
    Setting {
        table: Table::Rewrite,
        key: "filter",
        kind: Kind::Filter,
        preset: Preset::Required,
        text: "Which topics or filters; the text is compared level by level, # in it only with #.",
        field: Field::Rewrite(|r| Slot::Text(&mut r.filter)),
    },
    Setting {
        table: Table::Rewrite,
        key: "to",
        kind: Kind::Text { max: 65_535 },
        preset: Preset::Required,
        text: "What takes the place: %1 to %9 stand for what the wildcards of the filter stand for, %c for the client id, %u for the user name.",
        field: Field::Rewrite(|r| Slot::Text(&mut r.to)),
    },
    Setting {
        table: Table::Subscribe,
        key: "filter",
        kind: Kind::Filter,
        preset: Preset::Required,
        text: "The filter; %c stands for the client id, %u for the user name. A client whose name has / + or # in it, or is empty, does not get it then.",
        field: Field::Subscribe(|s| Slot::Text(&mut s.filter)),
    },
    Setting {
        table: Table::Subscribe,
        key: "qos",
        kind: number(0, 2, "QoS"),
        preset: Preset::Value("0"),
        text: "Highest QoS of deliveries.",
        field: Field::Subscribe(|s| Slot::Qos(&mut s.qos)),
    },
    Setting {
        table: Table::Subscribe,
        key: "no_local",
        kind: Kind::Flag,
        preset: Preset::Value("false"),
        text: "Whether the client does not get its own messages.",
        field: Field::Subscribe(|s| Slot::Flag(&mut s.no_local)),
    },
    Setting {
        table: Table::Subscribe,
        key: "retain_as_published",
        kind: Kind::Flag,
        preset: Preset::Value("false"),
        text: "Whether the retain flag stays as it was published.",
        field: Field::Subscribe(|s| Slot::Flag(&mut s.retain_as_published)),
    },
    Setting {
        table: Table::Subscribe,
        key: "retain_handling",
        kind: number(0, 2, "retain handling"),
        preset: Preset::Value("0"),
        text: "Whether retained messages come: 0 and 1, yes; 2, no.",
        field: Field::Subscribe(|s| Slot::U16(&mut s.retain_handling)),
    },
];
