//! All seven events, their records in field order byte for byte, and several rules on one message.

use crate::support::{Broker, Raw};
use crate::tool::records;
use millrace_codec::{QoS, Version};

const ALL_EVENTS: &str = r##"
[hook.one]
on = "client.connected"
topic = "connected"
[hook.two]
on = "client.disconnected"
topic = "disconnected"
[hook.three]
on = "session.subscribed"
filter = "#"
topic = "subscribed"
[hook.four]
on = "session.unsubscribed"
filter = "#"
topic = "unsubscribed"
[hook.five]
on = "message.publish"
filter = "#"
topic = "publish"
[hook.six]
on = "message.deliver"
filter = "#"
topic = "deliver"
[hook.seven]
on = "message.acked"
filter = "#"
topic = "acked"
"##;

/// A broker with this configuration file.
fn configured(text: &str, settings: &[&str]) -> Broker {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("written");
    let option = format!("--config={}", file.path().display());
    Broker::start(&[&[option.as_str()], settings].concat())
}

#[test]
fn every_event_of_a_life() {
    let broker = configured(ALL_EVENTS, &["node.name=lab@10.0.0.7"]);
    let back_end = |version| {
        let mut back_end = Raw::hello(version, "back \"end\"");
        back_end.username = Some("é");
        back_end
    };
    let mut lock = Raw::connect(&broker, Version::V311, "lock");
    lock.subscribe("devices/+/command", QoS::AtLeastOnce);
    let mut sender = Raw::connect_as(&broker, &back_end(Version::V5));
    sender.publish("devices/lock/command", b"\x00\xff", QoS::ExactlyOnce, 9);
    sender.expect(&[0x50, 2, 0, 9]);
    let (topic, payload, qos, packet_id) = lock.expect_publish();
    assert_eq!(
        (topic.as_str(), payload.as_slice(), qos),
        ("devices/lock/command", &b"\x00\xff"[..], QoS::AtLeastOnce)
    );
    lock.send(&[0x40, 2, (packet_id >> 8) as u8, packet_id as u8]);
    // UNSUBSCRIBE devices/+/command with packet id 3
    lock.send(&[&[0xa2, 21, 0, 3, 0, 17][..], b"devices/+/command"].concat());
    lock.expect(&[0xb0, 2, 0, 3]);
    lock.disconnect();
    let message = r#""topic":"devices/lock/command","payload":"AP8=","qos":"#;
    let node = r#""node":"lab@10.0.0.7","ts":TS"#;
    let cases = [
        (
            "connected",
            vec![
                format!(
                    r#"{{"client_id":"lock","username":"",{node},"keepalive":60,"proto_ver":4,"clean_start":true,"ip":"127.0.0.1"}}"#
                ),
                format!(
                    r#"{{"client_id":"back \"end\"","username":"é",{node},"keepalive":60,"proto_ver":5,"clean_start":true,"ip":"127.0.0.1"}}"#
                ),
            ],
        ),
        (
            "subscribed",
            vec![format!(
                r#"{{"client_id":"lock","username":"","topic":"devices/+/command","qos":1,{node}}}"#
            )],
        ),
        ("publish", vec![format!(r#"{{"client_id":"back \"end\"","username":"é",{message}2,{node}}}"#)]),
        (
            "deliver",
            vec![format!(r#"{{"client_id":"lock","username":"","from":"back \"end\"",{message}1,{node}}}"#)],
        ),
        (
            "acked",
            vec![format!(r#"{{"client_id":"lock","username":"","from":"back \"end\"",{message}1,{node}}}"#)],
        ),
        (
            "unsubscribed",
            vec![format!(
                r#"{{"client_id":"lock","username":"","topic":"devices/+/command","qos":1,{node}}}"#
            )],
        ),
        ("disconnected", vec![format!(r#"{{"client_id":"lock","username":"","reason":"normal",{node}}}"#)]),
    ];
    for (stream, expected) in cases {
        // Clients on different cores have no order among each other.
        let (mut seen, mut expected) = (records(&broker, stream, expected.len()), expected);
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected, "{stream}");
    }
}

/// Version, keep-alive and clean session as the record has them.
#[test]
fn what_a_client_connects_with() {
    let broker = configured(ALL_EVENTS, &["limits.max_keep_alive=600s"]);
    let cases = [
        ("v31", Version::V31, 30, true, r#""keepalive":30,"proto_ver":3,"clean_start":true"#),
        ("v311", Version::V311, 60, false, r#""keepalive":60,"proto_ver":4,"clean_start":false"#),
        ("v5", Version::V5, 1, false, r#""keepalive":1,"proto_ver":5,"clean_start":false"#),
        ("none asked", Version::V5, 0, true, r#""keepalive":600,"proto_ver":5,"clean_start":true"#),
        ("too much asked", Version::V311, 601, true, r#""keepalive":600,"proto_ver":4,"clean_start":true"#),
    ];
    let mut expected = Vec::new();
    for (name, version, keep_alive, clean_start, fields) in cases {
        Raw::connect_as(
            &broker,
            &millrace_codec::Connect { keep_alive, clean_start, ..Raw::hello(version, name) },
        );
        expected.push(format!(
            r#"{{"client_id":"{name}","username":"","node":"millrace@127.0.0.1","ts":TS,{fields},"ip":"127.0.0.1"}}"#
        ));
    }
    let mut seen = records(&broker, "connected", expected.len());
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
}

#[test]
fn every_way_to_go() {
    let mut broker = configured(ALL_EVENTS, &[]);
    type Way = fn(&Broker, Raw);
    let ways: &[(&str, Way)] = &[
        ("normal", |_, raw| raw.disconnect()),
        ("closed", |_, raw| raw.reset()),
        ("taken_over", |broker, mut raw| {
            let other = Raw::connect(broker, Version::V5, "taken_over");
            raw.expect_closed();
            // Its own end is not what is looked at here; it stays until the broker stops.
            std::mem::forget(other);
        }),
        ("protocol_error", |_, mut raw| {
            raw.send_packet(&millrace_codec::Packet::Connect(Raw::hello(Version::V5, "again")));
            raw.expect_closed();
        }),
        ("malformed", |_, mut raw| {
            raw.send(&[0x36, 0]);
            raw.expect_closed();
        }),
        // With a keep-alive of one second it is taken for dead after one and a half.
        ("keepalive_timeout", |broker, raw| {
            raw.disconnect();
            let hello = Raw::hello(Version::V5, "keepalive_timeout");
            let mut silent = Raw::connect_as(broker, &millrace_codec::Connect { keep_alive: 1, ..hello });
            silent.expect_packet(|packet| {
                assert!(matches!(packet, millrace_codec::Packet::Disconnect(_)), "{packet:?}");
            });
        }),
    ];
    for (reason, go) in ways {
        go(&broker, Raw::connect(&broker, Version::V5, reason));
    }
    let staying = Raw::connect(&broker, Version::V5, "server_shutdown");
    // The client of the last way has gone twice.
    records(&broker, "disconnected", ways.len() + 1);
    assert_eq!(broker.terminate().code, Some(0));
    drop(staying);
    let seen = records(&broker, "disconnected", ways.len() + 3);
    for reason in ways.iter().map(|(reason, _)| *reason).chain(["server_shutdown"]) {
        let expected = format!(
            r#"{{"client_id":"{reason}","username":"","reason":"{reason}","node":"millrace@127.0.0.1","ts":TS}}"#
        );
        assert_eq!(seen.iter().filter(|record| **record == expected).count(), 1, "{reason}: {seen:#?}");
    }
}

#[test]
fn several_rules_take_one_message() {
    let broker = configured(
        r##"
[hook."message.publish.1"]
on = "message.publish"
filter = "devices/+/state"
topic = "states"
[hook."message.publish.2"]
on = "message.publish"
filter = "#"
topic = "everything"
[hook."message.publish.3"]
on = "message.publish"
filter = "devices/#"
topic = "everything"
durability = "memory"
"##,
        &[],
    );
    let mut client = Raw::connect(&broker, Version::V311, "lock");
    for (packet_id, topic) in (1..).zip(["devices/lock/state", "devices/lock/command", "other", "$own/state"])
    {
        client.publish(topic, topic.as_bytes(), QoS::AtLeastOnce, packet_id);
        client.expect(&[0x40, 2, 0, packet_id as u8]);
    }
    // Behind all of them, to see that nothing else came.
    client.publish("devices/last/state", b"", QoS::AtLeastOnce, 9);
    client.expect(&[0x40, 2, 0, 9]);
    let topic = |record: &String| {
        let (_, rest) = record.split_once(r#""topic":""#).expect("a topic");
        rest.split_once('"').expect("its end").0.to_owned()
    };
    let topics = |stream, count| records(&broker, stream, count).iter().map(topic).collect::<Vec<_>>();
    assert_eq!(topics("states", 2), ["devices/lock/state", "devices/last/state"]);
    assert_eq!(
        topics("everything", 7),
        [
            "devices/lock/state",
            "devices/lock/state",
            "devices/lock/command",
            "devices/lock/command",
            "other",
            "devices/last/state",
            "devices/last/state"
        ]
    );
}
