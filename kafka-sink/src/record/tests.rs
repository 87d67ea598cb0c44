//! The examples of the record format, byte for byte, and the encoder against `serde_json`.

use std::net::IpAddr;

use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const NODE: &str = "millrace@127.0.0.1";
const LOCK: &str = "10083618796833171";

fn value(event: &Event<'_>) -> String {
    let mut out = Vec::new();
    write_value(&mut out, event, NODE);
    assert_eq!(out.len(), value_len(event, NODE), "value_len is exact");
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn event(ts_ms: u64, data: EventData<'_>) -> Event<'_> {
    Event { ts_ms, client_id: LOCK, username: "", data }
}

#[test]
fn every_event_byte_for_byte() {
    let state: &[u8] = br#"{"action":"unlock"}"#;
    let order: &[u8] = br#"{"ts":1574744434}"#;
    let command = "devices/10083618796833171/command";
    let cases: &[(&str, Event<'_>, &str)] = &[
        (
            "message.publish",
            event(
                1574753026269,
                EventData::Publish {
                    topic: "devices/10083618796833171/state",
                    payload: state,
                    qos: 1,
                    packet_id: 0,
                },
            ),
            r#"{"client_id":"10083618796833171","username":"","topic":"devices/10083618796833171/state","payload":"eyJhY3Rpb24iOiJ1bmxvY2sifQ==","qos":1,"node":"millrace@127.0.0.1","ts":1574753026269}"#,
        ),
        (
            "message.acked",
            event(1574751635845, EventData::Acked { from: LOCK, topic: command, payload: order, qos: 1 }),
            r#"{"client_id":"10083618796833171","username":"","from":"10083618796833171","topic":"devices/10083618796833171/command","payload":"eyJ0cyI6MTU3NDc0NDQzNH0=","qos":1,"node":"millrace@127.0.0.1","ts":1574751635845}"#,
        ),
        (
            "message.deliver, empty payload",
            event(0, EventData::Deliver { from: "", topic: command, payload: b"", qos: 0 }),
            r#"{"client_id":"10083618796833171","username":"","from":"","topic":"devices/10083618796833171/command","payload":"","qos":0,"node":"millrace@127.0.0.1","ts":0}"#,
        ),
        (
            "client.connected, IPv4",
            event(
                1574751635845,
                EventData::Connected {
                    keepalive: 60,
                    proto_ver: 4,
                    clean_start: true,
                    ip: IpAddr::from([127, 0, 0, 1]),
                },
            ),
            r#"{"client_id":"10083618796833171","username":"","node":"millrace@127.0.0.1","ts":1574751635845,"keepalive":60,"proto_ver":4,"clean_start":true,"ip":"127.0.0.1"}"#,
        ),
        (
            "client.connected, IPv6",
            event(
                9,
                EventData::Connected {
                    keepalive: 0,
                    proto_ver: 5,
                    clean_start: false,
                    ip: "2001:db8::1".parse().expect("an address"),
                },
            ),
            r#"{"client_id":"10083618796833171","username":"","node":"millrace@127.0.0.1","ts":9,"keepalive":0,"proto_ver":5,"clean_start":false,"ip":"2001:db8::1"}"#,
        ),
        (
            "client.disconnected",
            event(10, EventData::Disconnected { reason: "normal" }),
            r#"{"client_id":"10083618796833171","username":"","reason":"normal","node":"millrace@127.0.0.1","ts":10}"#,
        ),
        (
            "session.subscribed",
            event(1, EventData::Subscribed { filter: "devices/+/state", qos: 1 }),
            r#"{"client_id":"10083618796833171","username":"","topic":"devices/+/state","qos":1,"node":"millrace@127.0.0.1","ts":1}"#,
        ),
        (
            "session.unsubscribed",
            event(99, EventData::Unsubscribed { filter: "#", qos: 2 }),
            r##"{"client_id":"10083618796833171","username":"","topic":"#","qos":2,"node":"millrace@127.0.0.1","ts":99}"##,
        ),
    ];
    for (name, event, expected) in cases {
        assert_eq!(value(event), *expected, "{name}");
    }
}

#[test]
fn the_fields_of_user_name_and_escapes() {
    let event = Event {
        ts_ms: u64::MAX,
        client_id: "a\"b\\c/d",
        username: "\u{0}\u{1f}\n\r\t\u{8}\u{c}\u{7f}é€😀",
        data: EventData::Disconnected { reason: "kicked" },
    };
    assert_eq!(
        value(&event),
        "{\"client_id\":\"a\\\"b\\\\c/d\",\"username\":\"\\u0000\\u001f\\n\\r\\t\\b\\f\u{7f}é€😀\",\
         \"reason\":\"kicked\",\"node\":\"millrace@127.0.0.1\",\"ts\":18446744073709551615}"
    );
}

#[test]
fn digits_are_those_of_the_number() {
    let powers = (0..20).map(|power| 10u64.pow(power));
    let edges = powers.flat_map(|power| [power - 1, power, power + 1, power / 7 * 9]).chain([u64::MAX]);
    let low_halves = (0..10_000).map(|low| 1_574_753_020_000 + low);
    let high_halves = (0..10_000).map(|high| high * 10_000);
    for number in edges.chain(low_halves).chain(high_halves) {
        let mut out = Vec::new();
        write_digits(&mut out, number);
        assert_eq!(String::from_utf8(out).ok(), Some(number.to_string()));
    }
}

#[test]
fn an_escape_is_seen_at_every_place() {
    for byte in 0..=u8::MAX {
        let expected = byte < 0x20 || byte == b'"' || byte == b'\\';
        for len in 1..20 {
            for at in 0..len {
                for around in [b'a', 0x21, 0xff] {
                    let mut text = vec![around; len];
                    text[at] = byte;
                    assert_eq!(
                        needs_escape(&text),
                        expected,
                        "{byte:#x} at {at} of {len}, among {around:#x}"
                    );
                }
            }
        }
    }
    assert!(!needs_escape(b""));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn strings_are_escaped_as_serde_json_escapes_them(text in any::<String>(), control in "[\\x00-\\x1f\"\\\\a]{0,9}") {
        for text in [text, control] {
            let mut out = b"\"".to_vec();
            write_string(&mut out, &text);
            prop_assert_eq!(out.len(), escaped_len(&text) + 2);
            prop_assert_eq!(out.len() == text.len() + 2, !needs_escape(text.as_bytes()));
            prop_assert_eq!(String::from_utf8(out).ok(), serde_json::to_string(&text).ok());
        }
    }

    #[test]
    fn a_value_parses_to_its_fields(
        client_id in any::<String>(), topic in any::<String>(), from in any::<String>(),
        payload in proptest::collection::vec(any::<u8>(), 0..3000), qos in 0u8..3, ts_ms in any::<u64>(),
    ) {
        let data = EventData::Acked { from: &from, topic: &topic, payload: &payload, qos };
        let event = Event { ts_ms, client_id: &client_id, username: "u", data };
        let parsed: serde_json::Value = serde_json::from_str(&value(&event)).expect("valid JSON");
        prop_assert_eq!(parsed, json!({
            "client_id": client_id, "username": "u", "from": from, "topic": topic,
            "payload": STANDARD.encode(&payload), "qos": qos, "node": NODE, "ts": ts_ms,
        }));
    }
}
