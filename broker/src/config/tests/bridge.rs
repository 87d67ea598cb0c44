//! The properties file of the older bridge plugin.

use std::collections::BTreeSet;

use super::*;

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
    let loaded = bridge_conf(SCENARIO).unwrap();
    assert_eq!(loaded.config.kafka.servers, ["127.0.0.1:9092"]);
    let publish =
        hook("message.publish.1", EventKind::MessagePublish, Some("devices/+/state"), "message_state");
    let acked =
        hook("message.acked.1", EventKind::MessageAcked, Some("devices/+/command"), "message_command");
    assert_eq!(loaded.config.hooks, [publish, acked]);
    assert_eq!((loaded.config.target().is_some(), loaded.warnings), (true, vec![]));
    // With every hook switched on.
    let all = bridge_conf(&SCENARIO.replace("## ", "")).unwrap().config;
    assert_eq!(all.hooks.len(), 7);
    let kinds: BTreeSet<_> = all.hooks.iter().map(|hook| hook.on.as_str()).collect();
    assert_eq!(kinds.len(), 7);
    assert_eq!(
        all.hooks[0],
        hook("client.connected.1", EventKind::ClientConnected, None, "client_connected")
    );
    // The hooks of the file are all there are; without any, the defaults stay.
    assert_eq!(bridge_conf("bridge.kafka.servers = a:1").unwrap().config.hooks, Config::default().hooks);
    assert_eq!(bridge_conf("").unwrap().config, Config::default());
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
            bridge_conf(line).unwrap(),
            Loaded {
                config: Config { hooks: vec![expected.clone()], ..Config::default() },
                warnings: vec![]
            }
        );
    }
    let servers = bridge_conf("bridge.kafka.servers =a:1 , b:2 # two").unwrap().config.kafka.servers;
    assert_eq!(servers, ["a:1", "b:2"]);
    let unnumbered =
        bridge_conf(r#"bridge.kafka.hook.message.publish = {"topic":"t"}"#).unwrap().config.hooks;
    assert_eq!(unnumbered, [hook("message.publish", EventKind::MessagePublish, Some("#"), "t")]);
    let many = (1..=20).map(|n| format!("bridge.kafka.hook.message.publish.{n} = {{\"topic\":\"t{n}\"}}\n"));
    assert_eq!(bridge_conf(&many.collect::<String>()).unwrap().config.hooks.len(), 20);
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
        let loaded = bridge_conf(&format!("# first\n{line}")).expect(line);
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
        let problems =
            bridge_conf(&format!("\nbridge.kafka.hook.message.publish.1 = {value}")).expect_err(value);
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
        assert_eq!(bridge_conf(text).expect_err(text), [expected], "{text}");
    }
    let bad_filter =
        bridge_conf(r##"bridge.kafka.hook.message.acked.1 = {"filter":"a/#/b","topic":"t"}"##).unwrap_err();
    assert_eq!(bad_filter.len(), 1);
    assert!(
        bad_filter[0].starts_with("b.conf:1: hook.message.acked.1.filter: \"a/#/b\" is not a topic filter: "),
        "{bad_filter:?}"
    );
}
