//! A broker whose Kafka cannot be reached: records wait in the log, and the numbers say so.

use crate::support::{Broker, Raw, millrace};
use crate::tool::records;
use millrace_codec::{QoS, Version};
use serde_json::Value;
use std::time::Duration;

/// Nobody listens there.
const NO_KAFKA: &str = "kafka.servers=127.0.0.1:1";
const STATE: &str = "devices/1/state";

/// What `millrace status` answers for this broker.
fn status(broker: &Broker) -> Value {
    let output =
        millrace().args(["status", "--json", "--data"]).arg(broker.data()).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn count(hook: &Value, key: &str) -> u64 {
    hook[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {hook}"))
}

/// Publishes `count` states and waits for their PUBACKs.
fn publish(broker: &Broker, count: u16) {
    let mut client = Raw::connect(broker, Version::V311, "lock");
    for packet_id in 1..=count {
        client.publish(STATE, b"x", QoS::AtLeastOnce, packet_id);
    }
    for packet_id in 1..=count {
        client.expect(&[0x40, 2, (packet_id >> 8) as u8, packet_id as u8]);
    }
}

#[test]
fn numbers_without_kafka() {
    let broker = Broker::start(&[]);
    publish(&broker, 7);
    let report = status(&broker);
    assert_eq!(report["kafka"], Value::Null);
    assert_eq!(report["process"], broker.pid());
    assert_eq!(count(&report["log"], "records"), 7);
    let hook = &report["hooks"][0];
    assert_eq!(
        (hook["name"].as_str(), hook["stream"].as_str()),
        (Some("message_state"), Some("message_state"))
    );
    assert_eq!((count(hook, "taken"), count(hook, "durable")), (7, 7));
    for key in ["backlog", "delivered", "waiting", "set_aside", "retried", "possibly_repeated"] {
        assert_eq!(count(hook, key), 0, "{key}");
    }
    assert_eq!(count(&report["hooks"][1], "taken"), 0);
}

/// What waits is counted, survives every kind of end, and is not deleted.
#[test]
fn numbers_of_a_kafka_that_cannot_be_reached() {
    let mut broker = Broker::start(&[NO_KAFKA, "node.status_every=50ms"]);
    publish(&broker, 7);
    // The oldest event that waits is the same throughout: Unix milliseconds.
    let adds_up = |broker: &Broker, backlog: u64, durable: u64| -> u64 {
        let report = status(broker);
        let hook = &report["hooks"][0];
        let of = |key| count(hook, key);
        assert_eq!((of("backlog"), of("taken"), of("durable")), (backlog, durable, durable), "{hook}");
        assert_eq!((of("delivered"), of("set_aside"), of("waiting")), (0, 0, backlog + durable), "{hook}");
        assert!(of("waiting_bytes") > 0, "{hook}");
        assert!(report["kafka"]["state"].as_str().is_some_and(|state| state != "connected"), "{report}");
        of("oldest_ms")
    };
    let oldest = adds_up(&broker, 0, 7);
    broker.wait_for_log("message_state: 7 taken, 7 durable, 0 delivered, 7 waiting (oldest ");
    let exit = broker.terminate();
    assert_eq!(exit.code, Some(0));
    let said =
        |line: &String| line.contains("7 records wait in the log for Kafka; the next start delivers them");
    assert!(exit.log.iter().any(said), "{:?}", exit.log);
    broker.restart();
    publish(&broker, 2);
    assert_eq!(adds_up(&broker, 7, 2), oldest);
    broker.restart();
    assert_eq!(adds_up(&broker, 9, 0), oldest);
    records(&broker, "message_state", 9);
    // Nothing protects these records from retention any more.
    broker.restart_with(&[]);
    broker.wait_for_log("this log has been delivered to a Kafka, and none is configured now");
}

/// Without Kafka there is no PUBACK, neither for the record nor for what was published behind it; the rest goes on.
#[test]
fn durability_kafka_waits() {
    let mut broker = Broker::start(&[NO_KAFKA, "hook.message_state.durability=kafka"]);
    broker.wait_for_log("goes to Kafka topic message_state through ");
    let mut client = Raw::connect(&broker, Version::V311, "lock");
    client.publish("elsewhere", b"", QoS::AtLeastOnce, 1);
    client.expect(&[0x40, 2, 0, 1]);
    client.publish(STATE, b"x", QoS::AtLeastOnce, 2);
    client.publish("elsewhere", b"", QoS::AtLeastOnce, 3);
    client.ping();
    client.expect_silence(Duration::from_millis(300));
    // It is in the log none the less, and PUBACKs of others are not held up.
    records(&broker, "message_state", 1);
    let mut other = Raw::connect(&broker, Version::V311, "other");
    other.publish("elsewhere", b"", QoS::AtLeastOnce, 1);
    other.expect(&[0x40, 2, 0, 1]);
    assert_eq!(broker.terminate().code, Some(0));
}
