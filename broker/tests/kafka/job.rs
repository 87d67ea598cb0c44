//! The users' job with Kafka as the streams' home, byte for byte.

use crate::client::Client;
use crate::feed::settled;
use crate::node::shared;
use crate::support::{Broker, Raw, lock::*, millrace};
use millrace_codec::{QoS, Version};
use std::collections::BTreeSet;

/// With the address of Kafka as the only setting, and with the file that fleets have.
#[test]
fn the_job() {
    let Some(kafka) = shared() else { return };
    for topic in ["message_state", "message_command"] {
        kafka.create_topic(topic, 3);
    }
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), BRIDGE_CONF.replace("127.0.0.1:9092", &kafka.servers())).expect("written");
    let ways =
        [format!("kafka.servers={}", kafka.servers()), format!("--bridge-conf={}", file.path().display())];
    for (number, way) in (1..).zip(&ways) {
        let mut broker = Broker::start(&[way]);
        work(&broker);
        settled(&broker);
        // This Kafka has one node; that is all there is to say.
        let is_warning = |line: &String| line.contains("WARN") && !line.contains("min.insync.replicas");
        let warnings: Vec<String> = broker.log().into_iter().filter(is_warning).collect();
        assert!(warnings.is_empty(), "{way}: {warnings:?}");
        for (topic, expected) in [("message_state", STATE_RECORD), ("message_command", COMMAND_RECORD)] {
            let records = kafka.client().consume(topic);
            assert_eq!(records.len(), number, "{way}: {topic}");
            for record in records {
                assert_eq!((record.key(), without_time(record.value()).as_str()), (LOCK, expected), "{way}");
            }
        }
        assert_eq!(broker.terminate().code, Some(0), "{way}");
    }
    // The same through Kafka's own consumer.
    let mut lines = kafka.console_consumer("message_state|message_command", 4);
    lines.iter_mut().for_each(|line| *line = without_time(line));
    lines.sort();
    let mut expected = [STATE_RECORD, COMMAND_RECORD].repeat(2);
    expected.sort_unstable();
    assert_eq!(lines, expected.iter().map(|record| format!("{LOCK}\t{record}")).collect::<Vec<_>>());
}

const EVENTS: [&str; 7] = [
    "client.connected",
    "client.disconnected",
    "session.subscribed",
    "session.unsubscribed",
    "message.publish",
    "message.deliver",
    "message.acked",
];

/// Kafka gets what the log has, to the byte; that it is right is shown in `scenario`.
#[test]
fn all_seven_events() {
    let Some(kafka) = shared() else { return };
    let topic = |event: &str| format!("job_{}", event.replace('.', "_"));
    let mut text = String::new();
    for event in EVENTS {
        kafka.create_topic(&topic(event), 2);
        text += &format!("[hook.{:?}]\non = {event:?}\ntopic = {:?}\n", event, topic(event));
    }
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("written");
    let broker = Broker::start(&[
        &format!("--config={}", file.path().display()),
        &format!("kafka.servers={}", kafka.servers()),
    ]);
    let mut lock = Raw::connect(&broker, Version::V5, "lock \"é\"");
    lock.subscribe("devices/+/command", QoS::AtLeastOnce);
    let mut sender = Raw::connect(&broker, Version::V311, "back end");
    sender.publish("devices/lock/command", b"\x00\xff", QoS::AtLeastOnce, 9);
    sender.expect(&[0x40, 2, 0, 9]);
    let (_, _, _, packet_id) = lock.expect_publish();
    lock.send(&[0x40, 2, (packet_id >> 8) as u8, packet_id as u8]);
    lock.send(&[&[0xa2, 22, 0, 3, 0, 0, 17][..], b"devices/+/command"].concat());
    assert_eq!(lock.packet().first(), Some(&0xb0));
    lock.disconnect();
    // One of each, and both connects.
    let mut client = kafka.client();
    for event in EVENTS {
        let expected = logged(&broker, &topic(event), if event == "client.connected" { 2 } else { 1 });
        settled(&broker);
        assert_eq!(in_kafka(&mut client, &topic(event)), expected, "{event}");
    }
}

fn logged(broker: &Broker, stream: &str, count: usize) -> BTreeSet<String> {
    let output = millrace()
        .args(["consume", stream, "--from-beginning", "--max", &count.to_string(), "--data"])
        .arg(broker.data())
        .output()
        .expect("the built program can be started");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), count, "{stream}: {lines:?}");
    lines
}

fn in_kafka(client: &mut Client, topic: &str) -> BTreeSet<String> {
    let records = client.consume(topic);
    let key_of = |value: &str| {
        let value: serde_json::Value = serde_json::from_str(value).expect("JSON");
        value["client_id"].as_str().expect("a client id").to_owned()
    };
    assert!(records.iter().all(|record| record.key() == key_of(record.value())), "{records:?}");
    records.iter().map(|record| record.value().to_owned()).collect()
}
