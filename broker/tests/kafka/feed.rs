//! Brokers that feed the Kafka of these tests, and what they say of themselves.

use crate::client::{Client, Reader, Record};
use crate::node::Node;
use crate::support::{Broker, load::Load, millrace, payload, process::eventually};
use serde_json::Value;
use std::time::Duration;

/// How long records may take that nothing holds up any more: Kafka fences a node that was away for 6 s.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A broker whose hook `message_state` feeds this topic, which is not made here.
pub fn broker(kafka: &Node, topic: &str, settings: &[&str]) -> Broker {
    let (servers, topic) = (format!("kafka.servers={}", kafka.servers()), state_goes_to(topic));
    Broker::start(&[&[servers.as_str(), topic.as_str()], settings].concat())
}

/// The setting that sends states to this topic.
pub fn state_goes_to(topic: &str) -> String {
    format!("hook.message_state.topic={topic}")
}

/// What `millrace status --json` prints. A broker that has just started listens for MQTT a moment before.
pub fn status(broker: &Broker) -> Value {
    let mut command = millrace();
    command.args(["status", "--json", "--data"]).arg(broker.data());
    let mut ask = || command.output().expect("the built program can be started");
    let mut output = ask();
    eventually(Duration::from_secs(10), || {
        output.status.success() || {
            output = ask();
            output.status.success()
        }
    });
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What it says of a hook.
pub fn hook(status: &Value, name: &str) -> Value {
    let hooks = status["hooks"].as_array().expect("hooks");
    let found = hooks.iter().find(|hook| hook["name"] == name);
    found.unwrap_or_else(|| panic!("no hook {name} in {status:#}")).clone()
}

/// What it says of a topic's state.
pub fn topic_state(status: &Value, name: &str) -> String {
    let topics = status["kafka"]["topics"].as_array().expect("topics");
    let found = topics.iter().find(|topic| topic["name"] == name);
    found.map_or_else(String::new, |topic| topic["state"].as_str().expect("text").to_owned())
}

/// A number of a hook.
pub fn count(hook: &Value, field: &str) -> u64 {
    hook[field].as_u64().unwrap_or_else(|| panic!("no number {field} in {hook:#}"))
}

/// Holds the sums that every status promises.
pub fn adds_up(status: &Value) {
    for hook in status["hooks"].as_array().expect("hooks") {
        let [backlog, taken, durable] = ["backlog", "taken", "durable"].map(|field| count(hook, field));
        let [delivered, aside, waiting] =
            ["delivered", "set_aside", "waiting"].map(|field| count(hook, field));
        assert!(taken >= durable, "{hook:#}");
        assert_eq!(backlog + durable, delivered + aside + waiting, "{hook:#}");
    }
}

/// Waits until nothing waits for Kafka any more; what it says then.
pub fn settled(broker: &Broker) -> Value {
    let mut last = Value::Null;
    let done = eventually(PATIENCE, || {
        last = status(broker);
        adds_up(&last);
        let mut hooks = last["hooks"].as_array().expect("hooks").iter();
        hooks.all(|hook| count(hook, "waiting") == 0 && count(hook, "taken") == count(hook, "durable"))
    });
    assert!(done, "records wait: {last:#}");
    last
}

/// The payloads of records as they came; each record's key must be its client id.
pub fn payloads(records: &[Record]) -> Vec<String> {
    let payload_of = |record: &Record| {
        let value: Value = serde_json::from_str(record.value()).expect("JSON");
        assert_eq!(value["client_id"], record.key(), "the key of {}", record.value());
        payload(record.value().as_bytes())
    };
    records.iter().map(payload_of).collect()
}

/// Waits until the load is in the topic and nothing waits any more, and holds what is there against it.
pub fn arrives(load: &Load, client: &mut Client, broker: &Broker, topic: &str) -> Reader {
    let mut reader = Reader::new(topic);
    reader.read_until(client, PATIENCE, |records| {
        load.has_arrived(payloads(records).iter().map(String::as_str))
    });
    settled(broker);
    // What was on its way a second time would be there by now.
    reader.read(client);
    load.check(payloads(&reader.records).iter().map(String::as_str));
    reader
}
