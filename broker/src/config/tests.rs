use std::collections::BTreeSet;
use std::time::Duration;

use millrace_kafka_sink::{Durability, EventKind};
use proptest::prelude::*;

use super::table::{Preset, SETTINGS, Setting};
use super::value::Kind;
use super::*;

/// The environment of these tests.
fn env(name: &str) -> Option<String> {
    match name {
        "NAME" => Some("millrace@env".to_owned()),
        "PORT" => Some("1999".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn texts(config: Option<&str>, bridge_conf: Option<&str>, set: &[&str]) -> Texts {
    Texts {
        config: config.map(|text| ("m.toml".to_owned(), text.as_bytes().to_vec())),
        bridge_conf: bridge_conf.map(|text| ("b.conf".to_owned(), text.as_bytes().to_vec())),
        set: set.iter().map(|text| (*text).to_owned()).collect(),
    }
}

fn load_texts(config: Option<&str>, bridge_conf: Option<&str>, set: &[&str]) -> Result<Loaded, Vec<String>> {
    parse(&texts(config, bridge_conf, set), &env)
        .map_err(|error| error.problems.iter().map(ToString::to_string).collect())
}

fn toml(config: &str) -> Result<Loaded, Vec<String>> {
    load_texts(Some(config), None, &[])
}

fn bridge(conf: &str) -> Result<Loaded, Vec<String>> {
    load_texts(None, Some(conf), &[])
}

fn hook(name: &str, on: EventKind, filter: Option<&str>, topic: &str) -> Hook {
    Hook {
        name: name.to_owned(),
        on,
        filter: filter.map(str::to_owned),
        topic: topic.to_owned(),
        durability: Durability::Log,
        max_record_bytes: 1_000_000,
    }
}

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
            protocol: Protocol::Mqtt
        }]
    );
    assert_eq!((config.bridge.enabled, config.kafka.servers.len()), (true, 0));
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
            max_packet_size: 1 << 20,
            max_client_id_bytes: 1024,
            connect_timeout: Duration::from_secs(10),
            max_keep_alive: 65_535,
            receive_maximum: 1024,
            max_inflight: 1024,
            max_queued_messages: 10_000,
            max_queued_bytes: 16 << 20,
            max_output_bytes: 1 << 20,
            max_subscriptions: 1000,
            max_filters_per_packet: 1000,
            max_topic_levels: 64,
            max_user_properties: 64,
            held_bytes: 16 << 10,
            write_timeout: Duration::from_secs(60),
        }
    );
}

/// A path for `--set`, for named tables that of the default one.
fn set_path(setting: &Setting) -> String {
    let name = setting.table.examples().first().map_or("", |(name, _)| name);
    setting.path().replace("NAME", name)
}

/// What [`every_key_at_its_edges`] sets besides, so that only the key in question can be wrong.
fn helpers(setting: &Setting) -> &'static [&'static str] {
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
            Kind::Number { min, max, .. } => (min, max, ""),
            Kind::Size { min, max } => (min, max, "B"),
            Kind::Time { min, max } if setting.key == "max_keep_alive" => (min.as_secs(), max.as_secs(), "s"),
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
            (Kind::Flag, _) => "false",
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
            (Kind::Event, _) => "message.deliver",
            (Kind::Filter, _) => "a/#",
            (Kind::Stream, _) => "another",
            (Kind::Durability, _) => "memory",
        };
        let assignment = format!("{}={value}", set_path(setting));
        results.push(load_texts(None, None, &[&assignment]).unwrap().config);
        if let Preset::Value(preset) = setting.preset {
            let assignment = format!("{}={preset}", set_path(setting));
            assert_eq!(
                load_texts(None, None, &[&assignment]).unwrap().config,
                Config::default(),
                "{assignment}"
            );
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
    assert_eq!(examples.len(), 2);
    toml(&format!("[node]\n{}", examples.join("\n"))).unwrap();
}

#[test]
fn rows_are_unique_and_readable() {
    let paths: BTreeSet<_> = SETTINGS.iter().map(Setting::path).collect();
    assert_eq!(paths.len(), SETTINGS.len());
    for setting in SETTINGS {
        let path = setting.path();
        assert!(setting.text.ends_with('.'), "{path}");
        assert!(setting.key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{path}");
        assert_eq!(setting.table.find(setting.key).map(|found| found.path()), Some(path));
    }
}

/// A file, and all its problems.
#[test]
fn problems_of_a_file() {
    let cases: &[(&str, &[&str])] = &[
        // Unknown names.
        ("foo = 1", &["m.toml:1: foo: unknown key"]),
        ("\n\n[limit]\nx = 1", &["m.toml:3: limit: unknown table; did you mean limits?"]),
        (
            "[limits]\n# a comment\nmax_inflght = 3",
            &["m.toml:3: limits.max_inflght: unknown key; did you mean limits.max_inflight?"],
        ),
        (
            "[log]\nmax_inflight = 3",
            &["m.toml:2: log.max_inflight: unknown key; did you mean limits.max_inflight?"],
        ),
        ("[node]\nzzz = 3", &["m.toml:2: node.zzz: unknown key"]),
        ("[kafka]\nacks = 1", &["m.toml:2: kafka.acks: unknown key"]),
        (
            "[hook.a]\non = \"message.publish\"\ntopic = \"t\"\nfliter = \"a\"",
            &["m.toml:4: hook.a.fliter: unknown key; did you mean hook.a.filter?"],
        ),
        ("[node]\n\"a\\nb\" = 3", &["m.toml:2: node.a\\nb: unknown key"]),
        // Types and limits.
        ("limits = 3", &["m.toml:1: limits: expected a table [limits]"]),
        ("hook = 3", &["m.toml:1: hook: expected a table [hook.NAME]"]),
        ("[hook]\ntopic = \"a\"", &["m.toml:2: hook.topic: expected a table [hook.NAME]"]),
        ("[[hook]]\ntopic = \"a\"", &["m.toml:1: hook: expected a table [hook.NAME]"]),
        (
            "[limits]\nmax_inflight = \"3\"",
            &["m.toml:2: limits.max_inflight: expected a whole number, found a string"],
        ),
        (
            "[limits]\nmax_inflight = 1.5",
            &["m.toml:2: limits.max_inflight: expected a whole number, found a number with a fraction"],
        ),
        ("[limits]\nmax_inflight = 0", &["m.toml:2: limits.max_inflight: 0 is below the minimum of 1"]),
        (
            "[limits]\nmax_inflight = 99999999999999999999",
            &["m.toml:2: limits.max_inflight: 99999999999999999999 is too large a number"],
        ),
        ("[kafka]\nservers = [1]", &["m.toml:2: kafka.servers: expected a list of strings"]),
        (
            "[bridge]\nenabled = 1979-05-27",
            &["m.toml:2: bridge.enabled: expected true or false, found a date"],
        ),
        ("[node]\nname = { a = 1 }", &["m.toml:2: node.name: expected a string, found a table"]),
        // Several, in the order of the file.
        (
            "[node]\ncores = 0\n[hook.b]\non = \"message.publish\"\n[hook.a]\ntopic = \"t\"\nx = 1\n[log]\nring_records = 1",
            &[
                "m.toml:2: node.cores: 0 is below the minimum of 1",
                "m.toml:3: hook.b.topic is missing",
                "m.toml:5: hook.a.on is missing",
                "m.toml:7: hook.a.x: unknown key",
                "m.toml:9: log.ring_records: 1 is below the minimum of 16",
            ],
        ),
        // Missing, contradicting.
        ("[listener.a]", &["m.toml:1: listener.a.bind is missing"]),
        (
            "[hook.a]\non = \"message.publsh\"\ntopic = \"t\"",
            &["m.toml:2: hook.a.on: \"message.publsh\" is none of client.connected, client.disconnected, \
               session.subscribed, session.unsubscribed, message.publish, message.deliver, message.acked; did you \
               mean message.publish?"],
        ),
        (
            "[hook.a]\non = \"client.connected\"\ntopic = \"t\"\nfilter = \"a\"",
            &["m.toml:1: hook.a: client.connected has no topic, so no filter"],
        ),
        (
            "[hook.a]\non = \"message.publish\"\ntopic = \"t\"\ndurability = \"kafka\"",
            &[
                "m.toml:4: hook.a.durability: \"kafka\" needs a target, which comes with the Kafka sink; this version \
               has \"log\" and \"memory\"",
            ],
        ),
        (
            "[listener.a]\nbind = \"127.0.0.1:1\"\n[listener.b]\nbind = \"127.0.0.1:1\"",
            &["m.toml:3: listener.b: 127.0.0.1:1 is taken by listener.a"],
        ),
        (
            "[log]\nretention_bytes = \"32MiB\"",
            &["configuration: log.retention_bytes is smaller than log.segment_bytes, one file of the log"],
        ),
        (
            "[log]\nring_bytes = \"1MiB\"",
            &[
                "configuration: hook.message_state.max_record_bytes is more than half of log.ring_bytes",
                "configuration: hook.message_command.max_record_bytes is more than half of log.ring_bytes",
            ],
        ),
        // Names.
        (
            "[hook.\"a b\"]\non = \"message.publish\"\ntopic = \"t\"",
            &["m.toml:1: hook.a b: a name is 1 to 128 of a-z A-Z 0-9 . _ -"],
        ),
        (
            "[hook.message.publish]\ntopic = \"t\"",
            &[
                "m.toml:1: hook.message.publish: a table in a table; a name with dots is written in quotes: \
                 [hook.\"message.publish\"]",
                "m.toml:1: hook.message.on is missing",
            ],
        ),
        // Not TOML.
        ("[node]\nname = \n", &["m.toml:2: not TOML: string values must be quoted, expected literal string"]),
        ("[node]\nname = \"a\"\nname = \"b\"", &["m.toml:3: not TOML: duplicate key"]),
        ("[node", &["m.toml:1: not TOML: unclosed table, expected `]`"]),
        // Environment.
        (
            "[node]\nname = \"${ENV:MISSING}\"",
            &["m.toml:2: node.name: the environment variable \"MISSING\" is not set (or is not UTF-8)"],
        ),
        ("[node]\nname = \"${ENV:NAME\"", &["m.toml:2: node.name: ${ENV: without a closing brace"]),
        ("[node]\nname = \"${ENV:EMPTY}\"", &["m.toml:2: node.name: expected 1 to 255 bytes, found 0"]),
    ];
    for (text, expected) in cases {
        let problems = toml(text).expect_err(text);
        assert_eq!(problems, *expected, "{text}");
    }
}

#[test]
fn good_files() {
    let config = toml(
        "[node]\nname = \"a${ENV:NAME}b${ENV:NAME}$${x}\"\n[listener.z]\nbind = \"127.0.0.1:${ENV:PORT}\"",
    )
    .unwrap()
    .config;
    assert_eq!(config.node.name, "amillrace@envbmillrace@env$${x}");
    assert_eq!(config.listeners[0].bind.port(), 1999);

    // Listeners and hooks keep the order of the file, and replace the default ones.
    let config = toml(
        "[listener.z]\nbind = \"[::1]:0\"\n[listener.a]\nbind = \"[::1]:0\"\nprotocol = \"mqtt\"\n\
         [hook.z]\non = \"client.connected\"\ntopic = \"c\"\n\
         [hook.\"a.1\"]\non = \"session.subscribed\"\ntopic = \"s\"\ndurability = \"memory\"\nmax_record_bytes = \"2KiB\"",
    )
    .unwrap()
    .config;
    let names: Vec<_> = config.listeners.iter().map(|listener| listener.name.as_str()).collect();
    assert_eq!((names, config.node.name.as_str()), (vec!["z", "a"], "millrace@::1"));
    let subscribed = Hook {
        durability: Durability::Memory,
        max_record_bytes: 2048,
        ..hook("a.1", EventKind::SessionSubscribed, Some("#"), "s")
    };
    assert_eq!(config.hooks, [hook("z", EventKind::ClientConnected, None, "c"), subscribed]);

    // A byte order mark and Windows line ends.
    assert_eq!(toml("\u{feff}[node]\r\nname = \"x\"\r\n").unwrap().config.node.name, "x");
    assert_eq!(toml("").unwrap().config, Config::default());

    let loaded = toml("[kafka]\nservers = [\"a:1\", \"b:2\"]").unwrap();
    assert_eq!(loaded.config.kafka.servers, ["a:1", "b:2"]);
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].message.starts_with("the Kafka servers (a:1, b:2) are not used yet"));
}

/// defaults < file < bridge file < --set, in order.
#[test]
fn precedence() {
    let file = "[node]\nname = \"file\"\n[kafka]\nservers = [\"file:1\"]\n\
                [hook.\"message.publish.1\"]\non = \"message.deliver\"\ntopic = \"file\"\ndurability = \"memory\"\n\
                [hook.mine]\non = \"message.acked\"\ntopic = \"mine\"";
    let conf = "bridge.kafka.servers = conf:1\nbridge.kafka.hook.message.publish.1 = {\"topic\":\"conf\"}";
    let run = |file, conf, set: &[&str]| load_texts(file, conf, set).unwrap().config;

    let config = run(Some(file), None, &[]);
    assert_eq!((config.node.name.as_str(), config.kafka.servers[0].as_str()), ("file", "file:1"));
    let config = run(Some(file), Some(conf), &[]);
    assert_eq!((config.node.name.as_str(), config.kafka.servers[0].as_str()), ("file", "conf:1"));
    let both = Hook {
        durability: Durability::Memory,
        ..hook("message.publish.1", EventKind::MessagePublish, Some("#"), "conf")
    };
    assert_eq!(config.hooks, [both, hook("mine", EventKind::MessageAcked, Some("#"), "mine")]);
    let set =
        ["node.name=set", "kafka.servers=set:1", "node.name= last ", "hook.message.publish.1.topic=set"];
    let config = run(Some(file), Some(conf), &set);
    assert_eq!((config.node.name.as_str(), config.kafka.servers[0].as_str()), ("last", "set:1"));
    assert_eq!(config.hooks[0].topic, "set");

    // `--set` changes the default hooks and listeners, or adds to them; it does not replace them.
    let config = run(None, None, &["hook.message_state.topic=other", "listener.mqtt.bind=127.0.0.1:1884"]);
    assert_eq!((config.hooks.len(), config.hooks[0].topic.as_str()), (2, "other"));
    assert_eq!((config.listeners.len(), config.listeners[0].bind.port()), (1, 1884));
    let config =
        run(None, None, &["hook.new.on=message.deliver", "hook.new.topic=d", "listener.b.bind=[::]:0"]);
    assert_eq!((config.hooks.len(), config.listeners.len()), (3, 2));
    let config = run(None, Some(conf), &["hook.new.on=message.deliver", "hook.new.topic=d"]);
    assert_eq!(config.hooks.len(), 2);
}

#[test]
fn problems_of_set() {
    for (assignment, expected) in [
        ("foo", "--set: \"foo\" is not KEY=VALUE"),
        ("foo=1", "--set: foo: unknown key"),
        ("limits=1", "--set: limits: unknown key"),
        ("limit.max_inflight=1", "--set: limit.max_inflight: unknown key; did you mean limits.max_inflight?"),
        ("limit.x=1", "--set: limit.x: unknown key; did you mean limits?"),
        ("limits.max_inflght=1", "--set: limits.max_inflght: unknown key; did you mean limits.max_inflight?"),
        ("limits.max_inflight=", "--set: limits.max_inflight: expected a whole number, found \"\""),
        ("hook.topic=1", "--set: hook.topic: unknown key; did you mean hook.NAME.topic?"),
        ("hook.a.topic=x", "--set: hook.a.on is missing"),
        ("hook..topic=x", "--set: hook.: a name is 1 to 128 of a-z A-Z 0-9 . _ -"),
        (
            "node.name=${ENV:MISSING}",
            "--set: node.name: the environment variable \"MISSING\" is not set (or is not UTF-8)",
        ),
    ] {
        assert_eq!(load_texts(None, None, &[assignment]).expect_err(assignment), [expected], "{assignment}");
    }
}

/// The file of the reference scenario, byte for byte.
const SCENARIO: &str = r##"bridge.kafka.servers = 127.0.0.1:9092
## bridge.kafka.hook.client.connected.1     = {"topic":"client_connected"}
## bridge.kafka.hook.client.disconnected.1  = {"topic":"client_disconnected"}
## bridge.kafka.hook.session.subscribed.1   = {"filter":"#", "topic":"session_subscribed"}
## bridge.kafka.hook.session.unsubscribed.1 = {"filter":"#", "topic":"session_unsubscribed"}
## bridge.kafka.hook.message.deliver.1      = {"filter":"#", "topic":"message_deliver"}
bridge.kafka.hook.message.publish.1        = {"filter":"devices/+/state", "topic":"message_state"}
bridge.kafka.hook.message.acked.1          = {"filter":"devices/+/command", "topic":"message_command"}
"##;

#[test]
fn the_bridge_file_of_the_scenario() {
    let loaded = bridge(SCENARIO).unwrap();
    assert_eq!(loaded.config.kafka.servers, ["127.0.0.1:9092"]);
    let publish =
        hook("message.publish.1", EventKind::MessagePublish, Some("devices/+/state"), "message_state");
    let acked =
        hook("message.acked.1", EventKind::MessageAcked, Some("devices/+/command"), "message_command");
    assert_eq!(loaded.config.hooks, [publish, acked]);
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "kafka.servers: the Kafka servers (127.0.0.1:9092) are not used yet: the Kafka sink is not part of this \
          version; records go to the log in the data directory"
        ]
    );
    // With every hook switched on.
    let all = bridge(&SCENARIO.replace("## ", "")).unwrap().config;
    assert_eq!(all.hooks.len(), 7);
    let kinds: BTreeSet<_> = all.hooks.iter().map(|hook| hook.on.as_str()).collect();
    assert_eq!(kinds.len(), 7);
    assert_eq!(
        all.hooks[0],
        hook("client.connected.1", EventKind::ClientConnected, None, "client_connected")
    );
    // The hooks of the file are all there are; without any, the defaults stay.
    assert_eq!(bridge("bridge.kafka.servers = a:1").unwrap().config.hooks, Config::default().hooks);
    assert_eq!(bridge("").unwrap().config, Config::default());
}

#[test]
fn spacing_and_comments_of_a_bridge_file() {
    let expected = hook("message.publish.1", EventKind::MessagePublish, Some("a/#"), "t");
    for line in [
        r##"bridge.kafka.hook.message.publish.1={"filter":"a/#","topic":"t"}"##,
        "  bridge.kafka.hook.message.publish.1\t=\t{ \"filter\" : \"a/#\" , \"topic\" : \"t\" }  ",
        "\n# x = y\n   # x\n\nbridge.kafka.hook.message.publish.1={\"filter\":\"a/#\",\"topic\":\"t\"}\r\n",
        "\u{feff}bridge.kafka.hook.message.publish.1={\"topic\":\"t\",\"filter\":\"a/#\"}",
    ] {
        assert_eq!(
            bridge(line).unwrap(),
            Loaded {
                config: Config { hooks: vec![expected.clone()], ..Config::default() },
                warnings: vec![]
            }
        );
    }
    let servers = bridge("bridge.kafka.servers =a:1 , b:2 # two").unwrap().config.kafka.servers;
    assert_eq!(servers, ["a:1", "b:2"]);
    let unnumbered = bridge(r#"bridge.kafka.hook.message.publish = {"topic":"t"}"#).unwrap().config.hooks;
    assert_eq!(unnumbered, [hook("message.publish", EventKind::MessagePublish, Some("#"), "t")]);
    let many = (1..=20).map(|n| format!("bridge.kafka.hook.message.publish.{n} = {{\"topic\":\"t{n}\"}}\n"));
    assert_eq!(bridge(&many.collect::<String>()).unwrap().config.hooks.len(), 20);
}

#[test]
fn warnings_of_a_bridge_file() {
    for (line, expected) in [
        ("bridge.kafka.pool_size = 8", "b.conf:2: unknown key \"bridge.kafka.pool_size\", ignored"),
        (
            "bridge.kafka.server = a:1",
            "b.conf:2: unknown key \"bridge.kafka.server\", ignored; did you mean bridge.kafka.servers?",
        ),
        (
            r#"bridge.kafka.hook.message.publsh.1 = {"topic":"t"}"#,
            "b.conf:2: unknown key \"bridge.kafka.hook.message.publsh.1\", ignored; did you mean \
             bridge.kafka.hook.message.publish.1?",
        ),
        (
            r#"bridge.kafka.hook.message.publish.x = {"topic":"t"}"#,
            "b.conf:2: unknown key \"bridge.kafka.hook.message.publish.x\", ignored; did you mean \
             bridge.kafka.hook.message.publish.1?",
        ),
        (
            r#"bridge.kafka.hook.message.publish.1 = {"topic":"t","fliter":"a"}"#,
            "b.conf:2: bridge.kafka.hook.message.publish.1: unknown key \"fliter\", ignored; did you mean filter?",
        ),
        (
            r##"bridge.kafka.hook.client.connected.1 = {"topic":"t","filter":"#"}"##,
            "b.conf:2: bridge.kafka.hook.client.connected.1: client.connected has no topic, so its filter is ignored",
        ),
        ("x = 1\nx = 2", "b.conf:3: x was given in line 2 already; this line counts"),
        ("= 1", "b.conf:2: unknown key \"\", ignored"),
    ] {
        let loaded = bridge(&format!("# first\n{line}")).expect(line);
        let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert!(warnings.iter().any(|warning| warning == expected), "{line}: {warnings:?}");
    }
}

#[test]
fn problems_of_a_bridge_file() {
    let at = "b.conf:2: bridge.kafka.hook.message.publish.1";
    for (value, expected) in [
        ("", "the value is not a JSON object: EOF while parsing a value, at its column 0"),
        ("{", "the value is not a JSON object: EOF while parsing an object, at its column 1"),
        ("{\"topic\":\"t\"", "the value is not a JSON object: EOF while parsing an object, at its column 12"),
        ("{'topic':'t'}", "the value is not a JSON object: key must be a string, at its column 2"),
        ("{\"topic\":\"t\"} x", "the value is not a JSON object: trailing characters, at its column 15"),
        ("[]", "the value is not a JSON object: invalid type: sequence, expected a map, at its column 0"),
        ("{}", "\"topic\" is missing: the stream that records go to"),
        ("{\"filter\":\"a\"}", "\"topic\" is missing: the stream that records go to"),
        ("{\"topic\":1}", "\"topic\" is not a string"),
        ("{\"topic\":\"t\",\"filter\":null}", "\"filter\" is not a string"),
    ] {
        let problems = bridge(&format!("\nbridge.kafka.hook.message.publish.1 = {value}")).expect_err(value);
        assert_eq!(problems, [format!("{at}: {expected}")], "{value}");
    }
    for (text, expected) in [
        ("nothing", "b.conf:1: \"nothing\" is not KEY = VALUE"),
        ("\n\n bridge.kafka.servers", "b.conf:3: \"bridge.kafka.servers\" is not KEY = VALUE"),
        ("bridge.kafka.servers = nowhere", "b.conf:1: kafka.servers: \"nowhere\" is not HOST:PORT"),
        (
            r#"bridge.kafka.hook.message.acked.1 = {"topic":"a/b"}"#,
            "b.conf:1: hook.message.acked.1.topic: \"a/b\" is not a Kafka topic name: a stream name consists of a-z \
             A-Z 0-9 . _ and -, not '/'",
        ),
    ] {
        assert_eq!(bridge(text).expect_err(text), [expected], "{text}");
    }
    let bad_filter =
        bridge(r##"bridge.kafka.hook.message.acked.1 = {"filter":"a/#/b","topic":"t"}"##).unwrap_err();
    assert_eq!(bad_filter.len(), 1);
    assert!(
        bad_filter[0].starts_with("b.conf:1: hook.message.acked.1.filter: \"a/#/b\" is not a topic filter: "),
        "{bad_filter:?}"
    );
}

#[test]
fn files_that_are_no_text() {
    let bytes = Texts {
        config: Some(("m.toml".to_owned(), b"[node]\nname = \"\xff\"".to_vec())),
        ..Texts::default()
    };
    assert_eq!(parse(&bytes, &env).unwrap_err().to_string(), "m.toml:2: is not UTF-8");
    let bytes = Texts { bridge_conf: Some(("b.conf".to_owned(), b"\xff".to_vec())), ..Texts::default() };
    assert_eq!(parse(&bytes, &env).unwrap_err().to_string(), "b.conf:1: is not UTF-8");
}

#[test]
fn files_on_disk() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("m.toml");
    std::fs::write(&path, "[node]\ndata = \"a\"\n").unwrap();
    let mut sources = Sources { config: Some(path.clone()), ..Sources::default() };
    assert_eq!(load(&sources).unwrap().config.node.data, PathBuf::from("a"));
    sources.set = vec!["node.data=b".to_owned()];
    assert_eq!(load(&sources).unwrap().config.node.data, PathBuf::from("b"));
    sources.data = Some(PathBuf::from("c"));
    let config = load(&sources).unwrap().config;
    assert_eq!(
        (config.node.data.clone(), config.node.log_dir()),
        (PathBuf::from("c"), PathBuf::from("c/log"))
    );
    sources.data = Some(PathBuf::new());
    assert_eq!(load(&sources).unwrap_err().to_string(), "--data: a path cannot be empty");

    for (path, expected) in [
        (base.path().join("missing"), "cannot be read: No such file or directory (os error 2)"),
        (base.path().to_owned(), "cannot be read: Is a directory (os error 21)"),
        (PathBuf::from("/dev/zero"), "is longer than 4194304 bytes"),
    ] {
        let expected = format!("{}: {expected}", path.display());
        let config = Sources { config: Some(path.clone()), ..Sources::default() };
        assert_eq!(load(&config).unwrap_err().to_string(), expected);
        let bridge_conf = Sources { bridge_conf: Some(path), ..Sources::default() };
        assert_eq!(load(&bridge_conf).unwrap_err().to_string(), expected);
    }
}

/// Lines of both kinds of file, broken at random places.
fn fragments() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[node]\n".to_owned()),
        Just("[limits]\n".to_owned()),
        Just("[hook.a]\n".to_owned()),
        Just("[listener.b]\n".to_owned()),
        Just("name = \"${ENV:NAME}\"\n".to_owned()),
        Just("max_inflight = 5\n".to_owned()),
        Just("on = \"message.publish\"\ntopic = \"t\"\n".to_owned()),
        Just("bind = \"127.0.0.1:0\"\n".to_owned()),
        Just("bridge.kafka.servers = a:1\n".to_owned()),
        Just("bridge.kafka.hook.message.publish.1 = {\"topic\":\"t\"}\n".to_owned()),
        "[a-z.\\[\\]{}=\"'#$:0-9\\n -]{0,12}",
        "\\PC{0,6}",
    ];
    (proptest::collection::vec(piece, 0..8), any::<proptest::sample::Index>(), any::<bool>()).prop_map(
        |(pieces, cut, cuts)| {
            let text: String = pieces.concat();
            let places: Vec<_> = text.char_indices().map(|(place, _)| place).collect();
            match (cuts, places.is_empty()) {
                (true, false) => text[..*cut.get(&places)].to_owned(),
                _ => text,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any bytes give a configuration or named problems, never a panic, and every line that is named exists.
    #[test]
    fn any_bytes(
        config in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
        text in fragments(),
        is_config in any::<bool>(),
        set in proptest::collection::vec("\\PC{0,20}|(node|limits|hook|hook\\.a)\\.[a-z_]{1,8}=\\PC{0,8}", 0..3),
    ) {
        let name = |bytes: Vec<u8>| ("file".to_owned(), bytes);
        let (config, bridge_conf) = match (config, is_config) {
            (Some(bytes), true) => (Some(bytes.clone()), Some(bytes)),
            (_, true) => (Some(text.into_bytes()), None),
            (_, false) => (None, Some(text.into_bytes())),
        };
        let longest = config.iter().chain(&bridge_conf).map(|bytes| bytes.iter().filter(|b| **b == b'\n').count() + 1);
        let longest = longest.max().unwrap_or(0);
        let texts = Texts { config: config.map(name), bridge_conf: bridge_conf.map(name), set };
        match parse(&texts, &env) {
            Ok(loaded) => prop_assert!(!loaded.config.listeners.is_empty() && loaded.config.node.cores > 0),
            Err(error) => {
                prop_assert!(!error.problems.is_empty());
                for problem in &error.problems {
                    prop_assert!(problem.origin.line.is_none_or(|line| (1..=longest).contains(&line)), "{problem}");
                    prop_assert!(!problem.to_string().contains('\n'), "{problem}");
                }
            }
        }
    }
}
