//! The job that the broker exists for, byte for byte: a lock's state and its commands, the records that come of them,
//! and the properties file that fleets already have.

use super::{Broker, Raw};
use millrace_codec::{QoS, Version};

pub const LOCK: &str = "10083618796833171";
pub const STATE: &str = r#"{"process_id":"7802441525528958","action":"unlock","battery":83.4,"lock_state":1,"version":1.1,"client_id":"10083618796833171"}"#;
pub const STATE_RECORD: &str = r#"{"client_id":"10083618796833171","username":"","topic":"devices/10083618796833171/state","payload":"eyJwcm9jZXNzX2lkIjoiNzgwMjQ0MTUyNTUyODk1OCIsImFjdGlvbiI6InVubG9jayIsImJhdHRlcnkiOjgzLjQsImxvY2tfc3RhdGUiOjEsInZlcnNpb24iOjEuMSwiY2xpZW50X2lkIjoiMTAwODM2MTg3OTY4MzMxNzEifQ==","qos":1,"node":"millrace@127.0.0.1","ts":TS}"#;
pub const COMMAND: &str = r#"{"process_id":"7802441525528958","action":"unlock","nonce_str":"u7u4p0n8","ts":1574744434,"sign":"e9f5af7deaa28563"}"#;
/// What is kept of the command once the lock has acknowledged it.
pub const COMMAND_RECORD: &str = r#"{"client_id":"10083618796833171","username":"","from":"BACK_END","topic":"devices/10083618796833171/command","payload":"eyJwcm9jZXNzX2lkIjoiNzgwMjQ0MTUyNTUyODk1OCIsImFjdGlvbiI6InVubG9jayIsIm5vbmNlX3N0ciI6InU3dTRwMG44IiwidHMiOjE1NzQ3NDQ0MzQsInNpZ24iOiJlOWY1YWY3ZGVhYTI4NTYzIn0=","qos":1,"node":"millrace@127.0.0.1","ts":TS}"#;

/// The file of the bridge that fleets come from.
pub const BRIDGE_CONF: &str = r##"bridge.kafka.servers = 127.0.0.1:9092
## bridge.kafka.hook.client.connected.1     = {"topic":"client_connected"}
## bridge.kafka.hook.client.disconnected.1  = {"topic":"client_disconnected"}
## bridge.kafka.hook.session.subscribed.1   = {"filter":"#", "topic":"session_subscribed"}
## bridge.kafka.hook.session.unsubscribed.1 = {"filter":"#", "topic":"session_unsubscribed"}
## bridge.kafka.hook.message.deliver.1      = {"filter":"#", "topic":"message_deliver"}
bridge.kafka.hook.message.publish.1        = {"filter":"devices/+/state", "topic":"message_state"}
bridge.kafka.hook.message.acked.1          = {"filter":"devices/+/command", "topic":"message_command"}
"##;

/// A state and a command, at QoS 1; the record of the command comes with its acknowledgement.
pub fn work(broker: &Broker) {
    let mut lock = Raw::connect(broker, Version::V311, LOCK);
    lock.subscribe(&format!("devices/{LOCK}/command"), QoS::AtLeastOnce);
    lock.publish(&format!("devices/{LOCK}/state"), STATE.as_bytes(), QoS::AtLeastOnce, 1);
    lock.expect(&[0x40, 2, 0, 1]);
    let mut back_end = Raw::connect(broker, Version::V311, "BACK_END");
    back_end.publish(&format!("devices/{LOCK}/command"), COMMAND.as_bytes(), QoS::AtLeastOnce, 1);
    let (_, payload, _, packet_id) = lock.expect_publish();
    assert_eq!(payload, COMMAND.as_bytes());
    lock.send(&[0x40, 2, (packet_id >> 8) as u8, packet_id as u8]);
}

/// Replaces the time of a record with `TS`; it must be of the last ten minutes.
pub fn without_time(record: &str) -> String {
    let (before, rest) = record.rsplit_once(r#""ts":"#).unwrap_or_else(|| panic!("no ts in {record}"));
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (time, after) = rest.split_at(digits);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    let time: u128 = time.parse().unwrap_or_else(|_| panic!("ts of {record}"));
    assert!(time <= now && time + 600_000 > now, "{record} at {now}");
    format!(r#"{before}"ts":TS{after}"#)
}
