//! Topics that are not there, that are made, and that cannot be.

use crate::feed::{self, PATIENCE, arrives, hook, payloads, settled, status, topic_state};
use crate::node::shared;
use crate::support::{Raw, load::Load, payload, process::eventually};
use millrace_codec::{QoS, Version};
use std::time::Duration;

/// A second hook on what the first takes, for a topic of its own.
fn and_also(topic: &str) -> [String; 3] {
    ["on=message.publish", "filter=devices/+/state", &format!("topic={topic}")]
        .map(|setting| format!("hook.also.{setting}"))
}

#[test]
fn records_wait_for_their_topic_and_others_pass() {
    let Some(kafka) = shared() else { return };
    kafka.create_topic("topics_there", 3);
    let also = and_also("topics_late");
    let settings: Vec<&str> = also.iter().map(String::as_str).collect();
    let mut broker = feed::broker(&kafka, "topics_there", &settings);
    let mut client = kafka.client();
    let mut load = Load::of(QoS::AtLeastOnce, 4, Duration::ZERO);
    load.finish(&mut broker, 500);
    let expected = load.acknowledged() as u64;
    let waits = || {
        let status = status(&broker);
        feed::adds_up(&status);
        let (there, late) = (hook(&status, "message_state"), hook(&status, "also"));
        feed::count(&there, "delivered") == expected && feed::count(&late, "waiting") == expected
    };
    assert!(eventually(PATIENCE, waits), "{:#}", status(&broker));
    assert_ne!(topic_state(&status(&broker), "topics_late"), "ok");
    assert_eq!(topic_state(&status(&broker), "topics_there"), "ok");
    broker.wait_for_log("topics_late");
    load.check(payloads(&client.consume("topics_there")).iter().map(String::as_str));
    assert_eq!(client.partitions("topics_late"), None, "nobody asked for it to be made");

    kafka.create_topic("topics_late", 3);
    arrives(&load, &mut client, &broker, "topics_late");
    assert_eq!(topic_state(&status(&broker), "topics_late"), "ok");
    load.finish(&mut broker, 100);
    arrives(&load, &mut client, &broker, "topics_late");
    arrives(&load, &mut client, &broker, "topics_there");
}

#[test]
fn missing_topics_are_made_where_that_is_asked_for() {
    let Some(kafka) = shared() else { return };
    let settings = ["kafka.create_topics=true", "kafka.partitions=5", "kafka.replication=1"];
    let mut broker = feed::broker(&kafka, "topics_made", &settings);
    let mut load = Load::of(QoS::AtLeastOnce, 4, Duration::ZERO);
    load.finish(&mut broker, 200);
    let mut client = kafka.client();
    assert!(eventually(PATIENCE, || client.partitions("topics_made").is_some()), "{:#}", status(&broker));
    assert_eq!(client.partitions("topics_made"), Some(5));
    arrives(&load, &mut client, &broker, "topics_made");
}

/// To Kafka, names that differ in `.` and `_` only are the same in its metrics: it refuses the second one.
#[test]
fn a_topic_that_kafka_refuses_holds_up_nobody() {
    let Some(kafka) = shared() else { return };
    kafka.create_topic("topics_clash_a", 1);
    let also = and_also("topics.clash.a");
    let mut settings: Vec<&str> = also.iter().map(String::as_str).collect();
    settings.push("kafka.create_topics=true");
    let mut broker = feed::broker(&kafka, "topics_clash_a", &settings);
    let mut load = Load::of(QoS::AtLeastOnce, 2, Duration::ZERO);
    load.finish(&mut broker, 200);
    let mut client = kafka.client();
    let delivered = || feed::count(&hook(&status(&broker), "message_state"), "delivered");
    assert!(eventually(PATIENCE, || delivered() == load.acknowledged() as u64), "{:#}", status(&broker));
    load.check(payloads(&client.consume("topics_clash_a")).iter().map(String::as_str));
    broker.wait_for_log("topics.clash.a");
    assert_ne!(topic_state(&status(&broker), "topics.clash.a"), "ok");
    assert_eq!(feed::count(&hook(&status(&broker), "also"), "waiting"), load.acknowledged() as u64);
}

/// Refused at the door what is over the hook's limit; set aside what only Kafka knows to be too large.
#[test]
fn records_that_are_too_large() {
    let Some(kafka) = shared() else { return };
    let mut client = kafka.client();
    client.create_topic("topics_small", 1, &[("max.message.bytes", "3000")]);
    let mut broker = feed::broker(&kafka, "topics_small", &["hook.message_state.max_record_bytes=20000"]);
    let mut device = Raw::connect(&broker, Version::V5, "device");
    let sizes = [10, 5_000, 20, 30_000, 30, 6_000, 6_001, 40];
    for (packet_id, size) in (1..).zip(sizes) {
        device.publish("devices/device/state", &vec![b'x'; size], QoS::AtLeastOnce, packet_id);
        let answer = device.packet();
        let refused = answer.get(4) == Some(&0x97);
        assert_eq!((answer[0], answer[3], refused), (0x40, packet_id as u8, size == 30_000), "{answer:02x?}");
    }
    let status = settled(&broker);
    let hook = hook(&status, "message_state");
    assert_eq!((feed::count(&hook, "delivered"), feed::count(&hook, "set_aside")), (4, 3), "{hook:#}");
    let lengths: Vec<usize> = payloads(&client.consume("topics_small")).iter().map(String::len).collect();
    assert_eq!(lengths, [10, 20, 30, 40]);
    let line = broker.wait_for_log("dead-letters.jsonl");
    assert!(line.contains("topics_small"), "{line}");
    let file = broker.data().join("log").join("dead-letters.jsonl");
    let letters = std::fs::read_to_string(&file).expect("readable");
    let letters: Vec<serde_json::Value> =
        letters.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let set_aside = |letter: &serde_json::Value| {
        (letter["key"] == "device", payload(letter["value"].to_string().as_bytes()).len())
    };
    assert_eq!(
        letters.iter().map(set_aside).collect::<Vec<_>>(),
        [(true, 5_000), (true, 6_000), (true, 6_001)]
    );
    // Not again after a restart, and what comes then passes.
    broker.restart();
    let mut device = Raw::connect(&broker, Version::V5, "device");
    device.publish("devices/device/state", b"after", QoS::AtLeastOnce, 1);
    device.packet();
    settled(&broker);
    assert_eq!(client.consume("topics_small").len(), 5);
}
