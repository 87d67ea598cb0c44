//! What an acknowledgement means, where a log that was there before goes, and that the numbers are true.

use crate::feed::{self, PATIENCE, adds_up, count, hook, payloads, settled, status};
use crate::node::{alone, shared};
use crate::support::{Broker, Raw, process::eventually};
use millrace_codec::{QoS, Version};
use std::time::Duration;

/// Publishes `numbers` as payloads of the device, at QoS 1 with the packet ids of the same numbers.
fn publish(device: &mut Raw, numbers: std::ops::RangeInclusive<u16>) {
    for number in numbers {
        device.publish("devices/device/state", number.to_string().as_bytes(), QoS::AtLeastOnce, number);
    }
}

/// The acknowledgements of the same, in their order.
fn acknowledged(device: &mut Raw, numbers: std::ops::RangeInclusive<u16>) {
    for number in numbers {
        device.expect_packet(|packet| match packet {
            millrace_codec::Packet::PubAck(ack) => assert_eq!(ack.packet_id, number),
            other => panic!("{other:?}"),
        });
    }
}

fn texts(numbers: std::ops::RangeInclusive<u16>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[test]
fn an_acknowledgement_means_what_the_hook_says() {
    let Some(mut kafka) = alone() else { return };
    for topic in ["promise_kafka", "promise_log"] {
        kafka.create_topic(topic, 1);
    }
    let strict = feed::broker(&kafka, "promise_kafka", &["hook.message_state.durability=kafka"]);
    let plain = feed::broker(&kafka, "promise_log", &[]);
    let mut waits = Raw::connect(&strict, Version::V5, "device");
    let mut goes_on = Raw::connect(&plain, Version::V5, "device");
    publish(&mut waits, 1..=5);
    acknowledged(&mut waits, 1..=5);
    assert_eq!(payloads(&kafka.client().consume("promise_kafka")), texts(1..=5));

    kafka.pause();
    publish(&mut waits, 6..=30);
    publish(&mut goes_on, 1..=30);
    acknowledged(&mut goes_on, 1..=30);
    waits.expect_silence(Duration::from_secs(2));
    // Neither this connection nor other topics stand still.
    waits.ping();
    let mut other = Raw::connect(&strict, Version::V311, "other");
    other.publish("elsewhere", b"", QoS::AtLeastOnce, 7);
    other.expect(&[0x40, 2, 0, 7]);
    waits.expect_silence(Duration::from_millis(500));

    kafka.resume();
    acknowledged(&mut waits, 6..=30);
    // No waiting: what is acknowledged is there.
    assert_eq!(payloads(&kafka.client().consume("promise_kafka")), texts(1..=30));
    settled(&plain);
    assert_eq!(payloads(&kafka.client().consume("promise_log")), texts(1..=30));
}

#[test]
fn a_log_that_was_there_before() {
    let Some(kafka) = shared() else { return };
    let servers = format!("kafka.servers={}", kafka.servers());
    for (start, topic) in [("earliest", "promise_earliest"), ("latest", "promise_latest")] {
        kafka.create_topic(topic, 1);
        let topic_setting = feed::state_goes_to(topic);
        let mut broker = Broker::start(&[&topic_setting]);
        let mut device = Raw::connect(&broker, Version::V311, "device");
        publish(&mut device, 1..=50);
        acknowledged(&mut device, 1..=50);
        assert_eq!(broker.terminate().code, Some(0));
        let start_setting = format!("kafka.start={start}");
        let settings = [topic_setting.as_str(), &servers, &start_setting];
        broker.restart_with(&settings);
        let mut device = Raw::connect(&broker, Version::V311, "device");
        publish(&mut device, 51..=60);
        acknowledged(&mut device, 51..=60);
        settled(&broker);
        let first = if start == "earliest" { 1 } else { 51 };
        assert_eq!(payloads(&kafka.client().consume(topic)), texts(first..=60), "{start}");
        // It counts at the first configuration only.
        broker.restart_with(&settings);
        let mut device = Raw::connect(&broker, Version::V311, "device");
        publish(&mut device, 61..=61);
        acknowledged(&mut device, 61..=61);
        settled(&broker);
        assert_eq!(payloads(&kafka.client().consume(topic)), texts(first..=61), "{start}");
    }
}

#[test]
fn the_numbers_are_true() {
    let Some(mut kafka) = alone() else { return };
    let topic = "promise_numbers";
    kafka.create_topic(topic, 3);
    let mut broker = feed::broker(&kafka, topic, &["kafka.request_timeout=2s"]);
    let numbers = |broker: &Broker| {
        let status = status(broker);
        adds_up(&status);
        let hook = hook(&status, "message_state");
        ["backlog", "taken", "delivered", "waiting", "possibly_repeated"].map(|field| count(&hook, field))
    };
    let in_kafka = |kafka: &crate::node::Alone| kafka.client().consume(topic).len();
    let reaches = |broker: &Broker, expected: [u64; 5]| {
        let reached = eventually(PATIENCE, || numbers(broker) == expected);
        assert!(reached, "{:?}, expected {expected:?}: {:#}", numbers(broker), status(broker));
    };
    reaches(&broker, [0; 5]);
    let mut device = Raw::connect(&broker, Version::V311, "device");
    publish(&mut device, 1..=100);
    acknowledged(&mut device, 1..=100);
    reaches(&broker, [0, 100, 100, 0, 0]);
    assert_eq!(in_kafka(&kafka), 100);

    kafka.kill();
    publish(&mut device, 101..=140);
    acknowledged(&mut device, 101..=140);
    reaches(&broker, [0, 140, 100, 40, 0]);
    broker.kill();
    broker.restart();
    // How far a partition is gets written each second: of what Kafka had just confirmed, some may be looked up again.
    let [backlog, ..] = numbers(&broker);
    assert!((40..=140).contains(&backlog), "{backlog}");
    reaches(&broker, [backlog, 0, 0, backlog, 0]);
    let mut device = Raw::connect(&broker, Version::V311, "device");
    publish(&mut device, 141..=150);
    acknowledged(&mut device, 141..=150);
    reaches(&broker, [backlog, 10, 0, backlog + 10, 0]);

    kafka.start();
    reaches(&broker, [backlog, 10, backlog + 10, 0, 0]);
    assert_eq!(in_kafka(&kafka), 150);
    assert_eq!(status(&broker)["kafka"]["state"], "connected");
}
