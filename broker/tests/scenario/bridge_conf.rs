//! The properties file that fleets already have works unchanged.

use crate::support::{Broker, Raw, lock::*};
use crate::tool::records;
use millrace_codec::{QoS, Version};

/// Nobody listens there.
const NO_KAFKA: &str = "kafka.servers=127.0.0.1:1";

fn with_file(text: &str) -> Broker {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("written");
    // The address of the file may be somebody's Kafka.
    Broker::start(&[&format!("--bridge-conf={}", file.path().display()), NO_KAFKA])
}

fn the_job(broker: &Broker) {
    work(broker);
    assert_eq!(records(broker, "message_state", 1), [STATE_RECORD]);
    assert_eq!(records(broker, "message_command", 1), [COMMAND_RECORD]);
}

/// What is said of the file.
fn warnings(broker: &Broker) -> Vec<String> {
    let of_file = |line: &String| line.contains("WARN") && line.contains("bridge.kafka");
    broker.log().into_iter().filter(of_file).collect()
}

#[test]
fn the_file_as_it_is() {
    let broker = with_file(BRIDGE_CONF);
    let warnings = warnings(&broker);
    assert!(warnings.is_empty(), "{warnings:?}");
    broker.wait_for_log("kafka: 127.0.0.1:1 (start earliest)");
    the_job(&broker);
}

#[test]
fn other_keys_and_spacing() {
    let text = BRIDGE_CONF
        .replace("message.publish.1        = {", "message.publish.1={")
        .replace('\n', "\r\n")
        + "\n\n   # a comment\n  bridge.kafka.pool_size   =  8\nbridge.kafka.hook.message.publsh.2 = {}\n";
    let broker = with_file(&text);
    let warnings = warnings(&broker);
    for key in ["bridge.kafka.pool_size", "bridge.kafka.hook.message.publsh.2"] {
        assert!(
            warnings.iter().any(|line| line.contains(key) && line.contains("unknown key")),
            "{warnings:?}"
        );
    }
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    the_job(&broker);
}

/// One hook of the file replaces the two that are there without a file.
#[test]
fn only_the_files_hooks_are_active() {
    let broker = with_file("bridge.kafka.hook.message.publish.1 = {\"filter\":\"a\", \"topic\":\"own\"}\n");
    let mut client = Raw::connect(&broker, Version::V311, "client");
    for (packet_id, topic) in (1..).zip(["devices/1/state", "a"]) {
        client.publish(topic, b"", QoS::AtLeastOnce, packet_id);
        client.expect(&[0x40, 2, 0, packet_id as u8]);
    }
    records(&broker, "own", 1);
    let streams = millrace_kafka_sink::log::reader::streams(&broker.data().join("log")).expect("readable");
    assert_eq!(streams.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>(), ["own"]);
}
