use std::time::Duration;

use millrace_codec::{QoS, RetainHandling};
use millrace_kafka_sink::{Compression, Durability, EventKind, KafkaConfig, Start};
use proptest::prelude::*;
use proptest::strategy::Strategy;

use super::*;

mod bridge;
mod table;

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

fn bridge_conf(conf: &str) -> Result<Loaded, Vec<String>> {
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
        max_waiting_bytes: 1 << 30,
    }
}

/// Rules and subscriptions stand in the order of the file.
#[test]
fn modules_of_a_file() {
    let text = "[rewrite.z]\nfilter = \"a/#\"\nto = \"b/%1\"\n[rewrite.b]\nfilter = \"b\"\nto = \"c\"\n\
                action = \"subscribe\"\n[subscribe.y]\nfilter = \"d/%c\"\nqos = 2\nno_local = true\n\
                retain_as_published = true\nretain_handling = 2\n[subscribe.a]\nfilter = \"e\"\n";
    let modules = toml(text).expect("a configuration").config.modules;
    let rewrite = |name: &str, publish, filter: &str, to: &str| Rewrite {
        name: name.to_owned(),
        publish,
        subscribe: true,
        filter: filter.to_owned(),
        to: to.to_owned(),
    };
    assert_eq!(modules.rewrite, [rewrite("z", true, "a/#", "b/%1"), rewrite("b", false, "b", "c")]);
    let expected = [
        Subscription {
            name: "y".to_owned(),
            filter: "d/%c".to_owned(),
            qos: QoS::ExactlyOnce,
            no_local: true,
            retain_as_published: true,
            retain_handling: RetainHandling::DoNotSend,
        },
        Subscription {
            name: "a".to_owned(),
            filter: "e".to_owned(),
            qos: QoS::AtMostOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        },
    ];
    assert_eq!(modules.subscribe, expected);
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
        // Modules.
        (
            "[rewrite.a]\nfilter = \"a/+/#\"\nto = \"%3\"",
            &["m.toml:1: rewrite.a.to: %3 stands for a wildcard that the filter has not"],
        ),
        (
            "[rewrite.a]\nfilter = \"a\"\nto = \"b\"\naction = \"publsh\"",
            &[
                "m.toml:4: rewrite.a.action: \"publsh\" is none of publish, subscribe, all; did you mean publish?",
            ],
        ),
        ("[rewrite.a]\nto = \"b\"", &["m.toml:1: rewrite.a.filter is missing"]),
        ("[rewrite.a]\nfilter = \"b\"", &["m.toml:1: rewrite.a.to is missing"]),
        ("[subscribe.a]\nqos = 1", &["m.toml:1: subscribe.a.filter is missing"]),
        (
            "[subscribe.a]\nfilter = \"a\"\nqos = 3",
            &["m.toml:3: subscribe.a.qos: 3 is above the maximum of 2"],
        ),
        ("[delayed]\nmax_seconds = 0", &["m.toml:2: delayed.max_seconds: 0 is below the minimum of 1"]),
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
                "m.toml:1: hook.a.durability is kafka, but kafka.servers is empty: name a Kafka, or take log or memory",
            ],
        ),
        // Found by trial: of 60,000 names there are usually two.
        (
            "[hook.hook577105044]\non = \"client.connected\"\ntopic = \"t\"\n\
             [hook.hook841678834]\non = \"client.connected\"\ntopic = \"t\"",
            &[
                "m.toml:4: hook.hook577105044 and hook.hook841678834 cannot stand beside each other: the id that \
               records carry, which is made from the name, is the same; rename one of them",
            ],
        ),
        (
            "[kafka]\nstart = \"beginning\"\ncompression = \"lz5\"\nreplication = 1001\nbatch_bytes = \"1MiB\"",
            &[
                "m.toml:2: kafka.start: \"beginning\" is none of earliest, latest",
                "m.toml:3: kafka.compression: \"lz5\" is none of none, gzip, snappy, lz4, zstd; did you mean lz4?",
                "m.toml:4: kafka.replication: 1001 is above the maximum of 1000",
                "m.toml:5: kafka.batch_bytes: 1MiB is above the maximum of 1000000B",
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
    assert_eq!((loaded.config.target(), loaded.warnings.len()), (Some(&loaded.config.kafka), 0));
    assert_eq!(Config::default().target(), None);
}

#[test]
fn a_target() {
    let config = toml(
        "[kafka]\nservers = [\"a:1\"]\nclient_id = \"me\"\nstart = \"latest\"\ncreate_topics = true\npartitions = 16\n\
         replication = 3\ncompression = \"none\"\nbatch_records = 10\nbatch_bytes = \"64KiB\"\nlinger = \"0s\"\n\
         connect_timeout = \"1s\"\nrequest_timeout = \"2s\"\n\
         [hook.a]\non = \"message.publish\"\ntopic = \"t\"\ndurability = \"kafka\"\nmax_waiting_bytes = \"1MiB\"",
    )
    .unwrap()
    .config;
    let kafka = KafkaConfig {
        servers: vec!["a:1".to_owned()],
        client_id: "me".to_owned(),
        start: Start::Latest,
        create_topics: true,
        partitions: 16,
        replication: 3,
        compression: Compression::None,
        batch_records: 10,
        batch_bytes: 64 << 10,
        linger: Duration::ZERO,
        connect_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(2),
    };
    assert_eq!(config.target(), Some(&kafka));
    let strict = Hook {
        durability: Durability::Kafka,
        max_waiting_bytes: 1 << 20,
        ..hook("a", EventKind::MessagePublish, Some("#"), "t")
    };
    assert_eq!(config.hooks, [strict]);
    // 0 is the cluster's own default, −1 in the protocol.
    let config = load_texts(None, None, &["kafka.partitions=0", "kafka.replication=0"]).unwrap().config;
    assert_eq!((config.kafka.partitions, config.kafka.replication), (-1, -1));
}

/// Records that Kafka may refuse are a warning; without Kafka there is nobody to refuse them.
#[test]
fn records_too_long_for_kafka() {
    let longest = 1_048_588 - 1024 - 256;
    for (servers, bytes, warnings) in [
        ("a:1", longest, 0),
        ("a:1", longest + 1, 1),
        ("a:1", u64::from(4_000_000_u32), 1),
        ("", longest + 1, 0),
    ] {
        let set =
            [format!("kafka.servers={servers}"), format!("hook.message_state.max_record_bytes={bytes}")];
        let loaded = load_texts(None, None, &[&set[0], &set[1]]).unwrap();
        assert_eq!(loaded.warnings.len(), warnings, "{set:?}: {:?}", loaded.warnings);
        let named = loaded.warnings.iter().all(|warning| {
            let text = warning.to_string();
            text.contains("hook.message_state.max_record_bytes") && text.contains("1048588 bytes")
        });
        assert!(named, "{:?}", loaded.warnings);
    }
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
