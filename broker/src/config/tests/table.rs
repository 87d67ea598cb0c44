//! The table's rows: defaults, edges, and what is made from them.

use std::collections::BTreeSet;

use super::super::table::{Preset, SETTINGS, Setting};
use super::super::value::Kind;
use super::*;
use millrace_codec::QoS;

/// The defaults, written down a second time: what the documents promise.
#[test]
fn defaults() {
    let config = Config::default();
    assert_eq!(load(&Sources::default()).unwrap(), Loaded { config: config.clone(), warnings: vec![] });
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(config.node.name, "millrace@127.0.0.1");
    assert_eq!(config.node.cores, (cpus - 1).clamp(1, 64));
    assert_eq!(config.node.data, PathBuf::from("./data"));
    assert_eq!(
        config.listeners,
        [Listener {
            name: "mqtt".to_owned(),
            bind: "127.0.0.1:1883".parse().unwrap(),
            protocol: Protocol::Mqtt,
            versions: Versions::ALL,
        }]
    );
    assert_eq!((config.node.status_every, config.bridge.enabled), (Duration::ZERO, true));
    assert_eq!(config.kafka, KafkaConfig::new(vec![]));
    assert_eq!(
        config.hooks,
        [
            hook("message_state", EventKind::MessagePublish, Some("devices/+/state"), "message_state"),
            hook("message_command", EventKind::MessageAcked, Some("devices/+/command"), "message_command"),
        ]
    );
    assert_eq!(
        config.log,
        Log {
            segment_bytes: 64 << 20,
            retention_bytes: 1 << 30,
            retention_time: Duration::from_secs(7 * 86_400),
            ring_bytes: 8 << 20,
            ring_records: 65_536,
        }
    );
    assert_eq!(
        config.limits,
        Limits {
            max_connections: 1_000_000,
            max_sessions: 1_000_000,
            session_expiry_max: 30 * 86_400,
            max_packet_size: 1 << 20,
            max_payload_size: 268_435_455,
            max_client_id_bytes: 1024,
            zero_length_client_id: true,
            connect_timeout: Duration::from_secs(10),
            max_keep_alive: 65_535,
            receive_maximum: 1024,
            max_inflight: 1024,
            max_qos: QoS::ExactlyOnce,
            topic_alias_maximum: 32,
            max_queued_messages: 10_000,
            max_queued_bytes: 16 << 20,
            queue_full: QueueFull::RefuseNewest,
            queue_qos0: false,
            retain_available: true,
            max_retained_messages: 1_000_000,
            max_retained_bytes: 1 << 30,
            retained_expiry: 0,
            max_output_bytes: 1 << 20,
            max_subscriptions: 1000,
            max_filters_per_packet: 1000,
            overlap: Overlap::One,
            wildcard_available: true,
            subscription_ids_available: true,
            shared_available: true,
            max_topic_levels: 64,
            max_user_properties: 64,
            check_payload_format: false,
            reason_strings: false,
            held_bytes: 16 << 10,
            write_timeout: Duration::from_secs(60),
        }
    );
    assert_eq!(config.sys.interval, Duration::from_secs(10));
    let delayed =
        Delayed { enabled: false, max_seconds: 7 * 86_400, max_messages: 100_000, max_bytes: 64 << 20 };
    assert_eq!(config.modules, Modules { delayed, ..Modules::default() });
}

/// A path for `--set`, for named tables that of the default one.
fn set_path(setting: &Setting) -> String {
    let name = setting.table.examples().first().map_or("x", |(name, _)| name);
    setting.path().replace("NAME", name)
}

/// What [`every_key_at_its_edges`] sets besides, so that only the key in question can be wrong.
fn helpers(setting: &Setting) -> &'static [&'static str] {
    match setting.table {
        Table::Rewrite => return &["rewrite.x.filter=#", "rewrite.x.to=a"],
        Table::Subscribe => return &["subscribe.x.filter=#"],
        _ => {}
    }
    match setting.key {
        "max_record_bytes" => &["log.ring_bytes=1GiB", "log.segment_bytes=1GiB"],
        "segment_bytes" => &[
            "log.retention_bytes=1TiB",
            "hook.message_state.max_record_bytes=1KiB",
            "hook.message_command.max_record_bytes=1KiB",
        ],
        "retention_bytes" => &[
            "log.segment_bytes=1MiB",
            "hook.message_state.max_record_bytes=1KiB",
            "hook.message_command.max_record_bytes=1KiB",
        ],
        "ring_bytes" => {
            &["hook.message_state.max_record_bytes=1KiB", "hook.message_command.max_record_bytes=1KiB"]
        }
        _ => &[],
    }
}

/// Extreme settings (threat 36): minimum and maximum are taken and differ from their neighbours in the typed
/// configuration, so that no field is narrower than its limits; one below and one above are refused.
#[test]
fn every_key_at_its_edges() {
    let mut seen = 0;
    for setting in SETTINGS {
        let path = set_path(setting);
        let load = |value: &str| {
            let assignment = format!("{path}={value}");
            let mut set = helpers(setting).to_vec();
            set.push(&assignment);
            load_texts(None, None, &set).map(|loaded| loaded.config)
        };
        let (min, max, unit) = match setting.kind {
            // Two steps are no limits.
            Kind::Number { min: 0, max: 2, .. } => continue,
            Kind::Number { min, max, .. } => (min, max, ""),
            Kind::Size { min, max } => (min, max, "B"),
            Kind::Time { min, max }
                if matches!(setting.key, "max_keep_alive" | "session_expiry_max" | "retained_expiry") =>
            {
                (min.as_secs(), max.as_secs(), "s")
            }
            Kind::Time { min, max } => (min.as_millis() as u64, max.as_millis() as u64, "ms"),
            _ => continue,
        };
        seen += 1;
        let at = |number: u64| load(&format!("{number}{unit}"));
        assert_ne!(at(min).unwrap(), at(min + 1).unwrap(), "{path} at its minimum");
        assert_ne!(at(max).unwrap(), at(max - 1).unwrap(), "{path} at its maximum");
        let above = at(max + 1).unwrap_err();
        assert!(above[0].contains(&path) && above[0].contains("above the maximum"), "{above:?}");
        if min > 0 {
            let below = at(min - 1).unwrap_err();
            assert!(below[0].contains(&path) && below[0].contains("below the minimum"), "{below:?}");
        }
        for wrong in ["", "x", "-1", "1.5", "18446744073709551616"] {
            assert!(load(wrong).is_err(), "{path}={wrong}");
        }
    }
    assert!(seen >= 20, "only {seen} keys have edges");
}

/// Every key changes something, alone among all, and every default is a value that may be set.
#[test]
fn every_key_has_a_field_of_its_own() {
    let mut results = Vec::new();
    for setting in SETTINGS {
        let value = match (setting.kind, setting.key) {
            (Kind::Flag, "enabled") if setting.table == Table::Delayed => "true",
            (Kind::Flag, "no_local" | "retain_as_published") => "true",
            (Kind::Flag, "create_topics" | "queue_qos0" | "check_payload_format" | "reason_strings") => {
                "true"
            }
            (Kind::Time { .. }, "linger") => "7s",
            (Kind::Flag, _) => "false",
            (Kind::Number { max: 2, .. }, _) => "1",
            (Kind::Number { .. }, _) => "33",
            (Kind::Size { .. }, "segment_bytes") => "32MiB",
            (Kind::Size { .. }, "retention_bytes") => "2GiB",
            (Kind::Size { .. }, "ring_bytes") => "4MiB",
            (Kind::Size { .. }, _) => "65537B",
            (Kind::Time { .. }, _) => "61s",
            (Kind::Text { .. }, _) => "me@here",
            (Kind::Path, _) => "elsewhere",
            (Kind::Address, _) => "127.0.0.1:1884",
            (Kind::Servers, _) => "kafka:9092",
            // There is only one.
            (Kind::Protocol, _) => continue,
            (Kind::Versions, _) => "5.0",
            (Kind::QueueFull, _) => "drop_oldest",
            (Kind::Overlap, _) => "each",
            (Kind::Strategy, _) => "sticky",
            (Kind::Event, _) => "message.deliver",
            (Kind::Filter, _) => "a/#",
            (Kind::Action, _) => "publish",
            (Kind::Stream, _) => "another",
            (Kind::Durability, _) => "memory",
            (Kind::Start, _) => "latest",
            (Kind::Compression, _) if !Compression::Snappy.is_built() => continue,
            (Kind::Compression, _) => "snappy",
        };
        let assignment = format!("{}={value}", set_path(setting));
        let with = |assignment: &str| {
            let mut set: Vec<&str> = match setting.table.is_named() && setting.table.examples().is_empty() {
                true => helpers(setting).to_vec(),
                false => vec![],
            };
            let without = load_texts(None, None, &set).unwrap().config;
            set.push(assignment);
            (load_texts(None, None, &set).unwrap().config, without)
        };
        results.push(with(&assignment).0);
        if let Preset::Value(preset) = setting.preset {
            let assignment = format!("{}={preset}", set_path(setting));
            let (config, without) = with(&assignment);
            assert_eq!(config, without, "{assignment}");
        }
    }
    results.push(Config::default());
    for (index, config) in results.iter().enumerate() {
        let same = results.iter().filter(|other| *other == config).count();
        assert_eq!(same, 1, "key {index} changes nothing, or what another changes");
    }
}

#[test]
fn the_annotated_file_is_the_defaults() {
    let text = annotated();
    let loaded = toml(&text).unwrap();
    assert_eq!(loaded, Loaded { config: Config::default(), warnings: vec![] });
    // With every commented-out setting put in force.
    let in_force: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_eq!(toml(&in_force).unwrap(), Loaded { config: Config::default(), warnings: vec![] });
    for setting in SETTINGS {
        let shown = text.lines().any(|line| {
            line.starts_with(&format!("#{} = ", setting.key))
                || line.starts_with(&format!("# For example: {} = ", setting.key))
                || line.starts_with(&format!("# {}: ", setting.key))
        });
        assert!(shown, "{} is not in the annotated file", setting.path());
        assert!(keys().lines().any(|line| line == setting.path()), "{} is not in the list", setting.path());
    }
    let too_long = text.lines().find(|line| line.chars().count() > 110);
    assert_eq!(too_long, None);
    // The examples of keys with a computed default are values that may be set.
    let examples: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# For example: ")).collect();
    assert_eq!(examples.len(), 4);
    toml(&format!("[node]\n{}", examples.join("\n"))).unwrap();
}

#[test]
fn rows_are_unique_and_readable() {
    let paths: BTreeSet<_> = SETTINGS.iter().map(Setting::path).collect();
    assert_eq!(paths.len(), SETTINGS.len());
    for setting in SETTINGS {
        let path = setting.path();
        assert!(setting.text.ends_with('.'), "{path}");
        assert!(
            setting.key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
            "{path}"
        );
        assert_eq!(setting.table.find(setting.key).map(|found| found.path()), Some(path));
    }
}
