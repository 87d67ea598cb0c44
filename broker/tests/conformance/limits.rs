//! Receive maximum, maximum packet size and the other limits that a client can meet.

use crate::script::{Case, run_all};
use crate::support::{Broker, RAW_DEADLINE, Raw, Read};
use millrace_codec::{Packet, Publish, QoS, Version, push_varint};

const OF_THE_CLIENT: &[Case] = &[
    (
        "v5_3_1_2_11_3_receive_maximum_of_the_client",
        r#"a > 10 { "MQTT" 05 02 003C { 21 0001 } "%a" }
        a accepted
        a sub %/t 2
        b connect 5
        b pub %/t 1 1
        b pub %/t 2 2
        b pub %/t 1 3
        a < 32 { "%/t" @1 {} '1' }
        a quiet
        a > 40 { @1 }
        a < 34 { "%/t" @2 {} '2' }
        a > 50 { @2 }
        a < 62 { @2 }
        a quiet
        a > 70 { @2 }
        a < 32 { "%/t" @3 {} '3' }
        a > 40 { @3 }
        a quiet"#,
    ),
    (
        "v5_3_3_4_9_a_refused_qos_2_message_makes_room",
        r#"a > 10 { "MQTT" 05 02 003C { 21 0001 } "%a" }
        a accepted
        a sub %/t 2
        b connect 5
        b pub %/t 2 1
        b pub %/t 2 2
        a < 34 { "%/t" @1 {} '1' }
        a > 50 { @1 80 }
        a < 34 { "%/t" @2 {} '2' }"#,
    ),
    (
        "v5_3_3_4_9_an_error_in_puback_makes_room",
        r#"a > 10 { "MQTT" 05 02 003C { 21 0001 } "%a" }
        a accepted
        a sub %/t 1
        b connect 5
        b pub %/t 1 1
        b pub %/t 1 2
        a < 32 { "%/t" @1 {} '1' }
        a > 40 { @1 97 }
        a < 32 { "%/t" @2 {} '2' }"#,
    ),
    (
        "v5_3_3_4_qos_0_needs_no_room",
        r#"a > 10 { "MQTT" 05 02 003C { 21 0001 } "%a" }
        a accepted
        a sub %/t 1
        b connect 5
        b pub %/t 1 1
        b pub %/t 0 2
        a < 32 { "%/t" @1 {} '1' }
        a < 30 { "%/t" {} '2' }"#,
    ),
    (
        "v5_3_1_2_25_maximum_packet_size_of_the_client",
        r#"a > 10 { "MQTT" 05 02 003C { 27 00000040 } "%a" }
        a accepted
        c connect 5
        a sub %/t 1
        c sub %/t 1
        b connect 5
        b > 32 { "%/t" 0001 {} 78*100 } 30 { "%/t" {} 78*100 } 32 { "%/t" 0002 {} 'x' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        c < 32 { "%/t" @1 {} 78*100 }
        c < 30 { "%/t" {} 78*100 }
        c < 32 { "%/t" @2 {} 'x' }
        a < 32 { "%/t" @3 {} 'x' }
        a quiet"#,
    ),
    (
        "v5_3_1_2_25_properties_count",
        r#"a > 10 { "MQTT" 05 02 003C { 27 00000040 } "%a" }
        a accepted
        a sub %/t 0
        b connect 5
        b > 30 { "%/t" { 26 [6B*60] "v" } 'x' } 30 { "%/t" {} 'y' }
        a < 30 { "%/t" {} 'y' }"#,
    ),
];

#[test]
fn of_the_client() {
    run_all(&[], OF_THE_CLIENT);
}

const OF_THE_SERVER: &[Case] = &[
    (
        "v5_3_3_4_7_receive_maximum_exceeded",
        r#"b connect 5
        b > 34 { "%/t" 0001 {} 'x' } 34 { "%/t" 0002 {} 'x' }
        b < 50 { 0001 }
        b < 50 { 0002 }
        b > 34 { "%/t" 0003 {} 'x' }
        b < E0 { 93 }
        b closed"#,
    ),
    (
        "v5_3_3_4_7_released_ids_do_not_count",
        r#"b connect 5
        b > 34 { "%/t" 0001 {} 'x' } 34 { "%/t" 0002 {} 'x' }
        b < 50 { 0001 }
        b < 50 { 0002 }
        b > 62 { 0002 }
        b < 70 { 0002 }
        b > 34 { "%/t" 0003 {} 'x' }
        b < 50 { 0003 }"#,
    ),
    (
        "v5_3_3_4_7_repeated_ids_do_not_count",
        r#"b connect 5
        b > 34 { "%/t" 0001 {} 'x' } 34 { "%/t" 0002 {} 'x' } 3C { "%/t" 0001 {} 'x' }
        b < 50 { 0001 }
        b < 50 { 0002 }
        b < 50 { 0001 }"#,
    ),
    // 3.x knows no receive maximum: the third message waits, without being lost, until an id is released.
    (
        "v311_4_3_3_a_third_message_waits",
        r#"a connect 311
        b connect 311
        a sub %/t 0
        b > 34 { "%/t" 0001 '1' } 34 { "%/t" 0002 '2' } 34 { "%/t" 0003 '3' }
        b < 50 { 0001 }
        b < 50 { 0002 }
        b quiet
        b > 62 { 0001 }
        b < 70 { 0001 }
        b < 50 { 0003 }
        b > 62 { 0002 } 62 { 0003 }
        b < 70 { 0002 }
        b < 70 { 0003 }
        a < 30 { "%/t" '1' }
        a < 30 { "%/t" '2' }
        a < 30 { "%/t" '3' }
        a quiet"#,
    ),
    (
        "v31_4_1_a_third_message_waits_in_one_write_with_its_release",
        r#"b connect 31
        b > 34 { "%/t" 0001 '1' } 34 { "%/t" 0002 '2' } 34 { "%/t" 0003 '3' } 62 { 0001 } 62 { 0002 } 32 { "%/t" 0004 '4' }
        b < 50 { 0001 }
        b < 50 { 0002 }
        b < 70 { 0001 }
        b < 70 { 0002 }
        b < 50 { 0003 }
        b < 40 { 0004 }"#,
    ),
    (
        "v311_a_client_that_waits_can_be_taken_over",
        r#"a connect 311
        b connect 5
        b sub %/w 0
        a > 34 { "%/t" 0001 } 34 { "%/t" 0002 } 34 { "%/t" 0003 }
        a < 50 { 0001 }
        a < 50 { 0002 }
        A connect 311
        a closed
        A > 34 { "%/t" 0001 }
        A < 50 { 0001 }"#,
    ),
    (
        "v5_3_8_4_quota_of_subscriptions",
        r#"a connect 5
        a > 82 { 0001 {} "%/1" 01 "%/2" 01 "%/3" 01 "%/1" 00 }
        a < 90 { 0001 {} 01019700 }
        a > A2 { 0002 {} "%/1" }
        a < B0 { 0002 {} 00 }
        a sub %/3 1"#,
    ),
    (
        "v311_3_9_3_2_quota_of_subscriptions",
        r#"a connect 311
        a > 82 { 0001 "%/1" 01 "%/2" 01 "%/3" 01 }
        a < 90 { 0001 010180 }"#,
    ),
    ("v5_3_2_2_3_6_too_large", "a connect 5\n a > 30 { \"%/t\" {} 78*300 }\n a < E0 { 95 }\n a closed"),
    ("v311_too_large", "a connect 311\n a > 30 { \"%/t\" 78*300 }\n a closed"),
    ("v5_too_large_by_its_header_alone", "a connect 5\n a > 30 FFFFFF7F\n a < E0 { 95 }\n a closed"),
    ("v5_connect_too_large", "a > 10 { \"MQTT\" 05 06 003C {} \"%a\" {} \"%/w\" [78*300] }\n a closed"),
];

#[test]
fn of_the_server() {
    run_all(
        &["limits.receive_maximum=2", "limits.max_subscriptions=2", "limits.max_packet_size=256"],
        OF_THE_SERVER,
    );
}

const SEND_WINDOW: &[Case] = &[(
    "v311_4_6_messages_wait_for_acknowledgements",
    r#"a connect 311
        b connect 311
        a sub %/t 1
        b pub %/t 1 1
        b pub %/t 1 2
        b pub %/t 1 3
        b pub %/t 1 4
        a < 32 { "%/t" @1 '1' }
        a < 32 { "%/t" @2 '2' }
        a quiet
        a > 40 { @1 }
        a < 32 { "%/t" @3 '3' }
        a > 40 { @2 } 40 { @3 }
        a < 32 { "%/t" @4 '4' }
        a quiet"#,
)];

#[test]
fn the_send_window_of_3_x() {
    run_all(&["limits.max_inflight=2"], SEND_WINDOW);
}

const RECORD: &[Case] = &[
    (
        "v5_3_4_2_1_a_record_too_large_for_its_hook",
        r#"a connect 5
        b connect 5
        a sub devices/%/state 0
        b > 32 { "devices/%/state" 0001 {} 78*1000 } 34 { "devices/%/state" 0002 {} 78*1000 } 32 { "devices/%/state" 0003 {} 'x' }
        b < 40 { 0001 97 }
        b < 50 { 0002 97 }
        b < 40 { 0003 }
        a < 30 { "devices/%/state" {} 'x' }"#,
    ),
    (
        "v5_3_3_4_a_record_too_large_at_qos_0",
        "b connect 5\n b > 30 { \"devices/%/state\" {} 78*1000 }\n b < E0 { 95 }\n b closed",
    ),
    (
        "v311_3_3_5_2_a_record_too_large",
        "b connect 311\n b > 32 { \"devices/%/state\" 0001 78*1000 }\n b closed",
    ),
];

#[test]
fn of_a_hook() {
    run_all(&["hook.message_state.max_record_bytes=1KiB"], RECORD);
}

/// Nobody is refused for a record of these events that would be too large; it is left out, and said at the end.
#[test]
fn records_of_clients_and_sessions_too_large_for_their_hooks_are_left_out() {
    let events = ["client.connected", "client.disconnected", "session.subscribed", "session.unsubscribed"];
    let settings: Vec<String> = events
        .iter()
        .enumerate()
        .flat_map(|(n, event)| {
            [
                format!("hook.h{n}.on={event}"),
                format!("hook.h{n}.topic=stream_{n}"),
                format!("hook.h{n}.max_record_bytes=1KiB"),
            ]
        })
        .collect();
    let mut broker = Broker::start(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    let name = "u".repeat(2_000);
    for username in [None, Some(name.as_str())] {
        let hello = millrace_codec::Connect { username, ..Raw::hello(Version::V5, "client") };
        let mut raw = Raw::connect_as(&broker, &hello);
        raw.subscribe("filter", QoS::AtMostOnce);
        raw.send(&[0xa2, 11, 0, 1, 0, 0, 6, b'f', b'i', b'l', b't', b'e', b'r']);
        raw.expect(&[0xb0, 4, 0, 1, 0, 0]);
        raw.disconnect();
    }
    let exit = broker.terminate();
    let line = exit.log.iter().find(|line| line.contains("records left out")).expect("a line");
    assert!(line.contains(" 4 records left out"), "{line}");
}

const QUEUE: &[Case] = &[(
    "v5_4_6_a_full_queue_refuses_the_newest",
    r#"a > 10 { "MQTT" 05 02 003C { 21 0001 } "%a" }
        a accepted
        a sub %/t 1
        b connect 5
        b pub %/t 1 1
        b pub %/t 1 2
        b pub %/t 1 3
        b pub %/t 1 4
        b pub %/t 1 5
        a < 32 { "%/t" @1 {} '1' }
        a > 40 { @1 }
        a < 32 { "%/t" @2 {} '2' }
        a > 40 { @2 }
        a < 32 { "%/t" @3 {} '3' }
        a > 40 { @3 }
        a quiet
        b pub %/t 1 6
        a < 32 { "%/t" @4 {} '6' }"#,
)];

#[test]
fn of_the_queue() {
    run_all(&["limits.max_queued_messages=2"], QUEUE);
}

/// SUBSCRIBE and UNSUBSCRIBE with as many filters as allowed, and with one more.
#[test]
fn filters_of_one_packet() {
    let broker = Broker::start(&["limits.max_filters_per_packet=50"]);
    for count in [50, 51] {
        for first in [0x82, 0xa2] {
            let mut raw = Raw::connect(&broker, Version::V5, "many");
            let one: &[u8] = if first == 0x82 { &[0, 1, b'f', 0] } else { &[0, 1, b'f'] };
            let body = [&[0, 1, 0][..], &one.repeat(count)].concat();
            let mut bytes = vec![first];
            push_varint(body.len(), &mut bytes).expect("a length");
            bytes.extend_from_slice(&body);
            raw.send(&bytes);
            if count == 50 {
                let answer = raw.packet();
                assert_eq!((answer[0], answer.len()), (first + 0x0e, 2 + 3 + count));
            } else {
                assert_eq!(raw.expect_closed(), [[0xe0, 1, 0x97]]);
            }
        }
    }
}

/// A PUBLISH of this length, fixed header included.
fn publish_of(len: usize, version: Version) -> Vec<u8> {
    let mut body = b"\0\x04size".to_vec();
    body.extend((version == Version::V5).then_some(0));
    let mut bytes = vec![0x30];
    push_varint(len - 4, &mut bytes).expect("a length");
    assert_eq!(bytes.len(), 4, "three bytes of length");
    body.resize(len - 4, b'x');
    bytes.extend_from_slice(&body);
    bytes
}

#[test]
fn v5_3_2_2_3_6_a_packet_of_exactly_the_maximum_passes_and_one_byte_more_does_not() {
    const MAX: usize = 1 << 20;
    let broker = Broker::start(&[]);
    for version in [Version::V311, Version::V5] {
        for (core, other) in [(0, 0), (0, 1)] {
            let ids = [broker.client_id_on(core, "p"), broker.client_id_on(other, "s")];
            let mut subscriber = Raw::connect(&broker, version, &ids[1]);
            subscriber.subscribe("size", QoS::AtMostOnce);
            let mut publisher = Raw::connect(&broker, version, &ids[0]);
            let whole = publish_of(MAX, version);
            publisher.send(&whole);
            assert!(subscriber.packet() == whole, "the largest packet arrives unchanged");
            let _ = publisher.try_send(&publish_of(MAX + 1, version));
            let said = publisher.expect_closed();
            let told: &[&[u8]] = if version == Version::V5 { &[&[0xe0, 1, 0x95]] } else { &[] };
            assert_eq!(said, told);
            subscriber.ping();
        }
    }
}

/// From 3.x to 5.0 a message grows by its empty properties: the limit of what comes in is no limit for what goes out.
#[test]
fn v311_the_largest_message_reaches_5_0() {
    let broker = Broker::start(&[]);
    let mut subscriber = Raw::connect(&broker, Version::V5, "s");
    subscriber.subscribe("size", QoS::AtMostOnce);
    let mut publisher = Raw::connect(&broker, Version::V311, "p");
    publisher.send(&publish_of(1 << 20, Version::V311));
    assert_eq!(subscriber.packet().len(), (1 << 20) + 1);
}

/// Thousands of messages for one client that acknowledges slowly: all arrive, in order, never more than its receive
/// maximum at a time.
#[test]
fn v5_3_3_4_9_the_window_is_never_exceeded_and_the_queue_loses_nothing() {
    const MESSAGES: u32 = 2_000;
    const WINDOW: usize = 7;
    let broker = Broker::start(&[]);
    let mut properties = millrace_codec::PropertyBuf::new();
    properties.push(millrace_codec::Property::ReceiveMaximum(WINDOW as u16)).expect("a property");
    let hello =
        millrace_codec::Connect { properties: properties.as_properties(), ..Raw::hello(Version::V5, "slow") };
    let mut subscriber = Raw::connect_as(&broker, &hello);
    subscriber.subscribe("queue/#", QoS::AtLeastOnce);
    let mut publisher = Raw::connect(&broker, Version::V5, "fast");
    for number in 0..MESSAGES {
        let id = number as u16 % 500 + 1;
        publisher.send_packet(&Packet::Publish(Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: "queue/t",
            packet_id: id,
            properties: Default::default(),
            payload: &number.to_be_bytes(),
        }));
        let [high, low] = id.to_be_bytes();
        publisher.expect(&[0x40, 2, high, low]);
    }
    let mut unacknowledged: Vec<u16> = Vec::new();
    for number in 0..MESSAGES {
        let (_, payload, _, id) = subscriber.expect_publish();
        assert_eq!(payload, number.to_be_bytes(), "order");
        assert!(!unacknowledged.contains(&id), "packet id {id} is in use");
        unacknowledged.push(id);
        if unacknowledged.len() == WINDOW {
            let more = subscriber.read(std::time::Duration::from_millis(if number < 70 { 5 } else { 1 }));
            assert_eq!(more, Read::Silence, "more than the receive maximum");
            for id in unacknowledged.drain(..) {
                let [high, low] = id.to_be_bytes();
                subscriber.send(&[0x40, 2, high, low]);
            }
        }
    }
    assert!(subscriber.read(RAW_DEADLINE / 50) == Read::Silence);
}

const PAYLOAD_FORMAT: &[Case] = &[
    (
        "v5_3_3_2_4_a_text_that_is_none",
        r#"a connect 5
        a sub %/t 2
        b connect 5
        b > 32 { "%/t" 0001 { 01 01 } C328 }
        b < 40 { 0001 99 }
        b > 34 { "%/t" 0002 { 01 01 } C328 }
        b < 50 { 0002 99 }
        b > 34 { "%/t" 0002 { 01 01 } 'text' }
        b < 50 { 0002 }
        a < 34 { "%/t" @1 { 01 01 } 'text' }
        b > 30 { "%/t" { 01 00 } C328 }
        a < 30 { "%/t" { 01 00 } C328 }
        b > 30 { "%/t" { 01 01 } C328 }
        b < E0 { 99 }
        b closed
        a quiet"#,
    ),
    (
        "v5_3_1_3_2_3_a_will_that_is_none",
        r#"a > 10 { "MQTT" 05 06 003C {} "%a" { 01 01 } "%/w" 0002 C328 }
        a < 20 { 0099 {} }
        a closed"#,
    ),
];

#[test]
fn payload_format() {
    run_all(&["limits.check_payload_format=true"], PAYLOAD_FORMAT);
}

const LOWERED: &[Case] = &[
    (
        "v5_3_1_3_4_will_above_max_payload_size",
        r#"a > 10 { "MQTT" 05 06 003C {} "%a" {} "%/t" "elevenbytes" }
        a < 20 { 0095 {} }
        a closed
        b > 10 { "MQTT" 05 06 003C {} "%b" {} "%/t" "tenbytes--" }
        b <* 20"#,
    ),
    (
        "v5_3_2_2_11_qos_above_the_maximum",
        r#"a > 10 { "MQTT" 05 02 003C {} "%a" }
        a < 20 { 0000 { 27 00100000 21 0400 24 01 28 00 } }
        a > 32 { "%/t" 0001 {} 'x' }
        a < 40 { 0001 10 }
        a > 34 { "%/t" 0002 {} 'x' }
        a < E0 { 9B }
        a closed"#,
    ),
    (
        "v5_3_2_2_12_a_will_above_the_maximum",
        r#"a > 10 { "MQTT" 05 16 003C {} "%a" {} "%/w" 0001 'x' }
        a < 20 { 009B {} }
        a closed"#,
    ),
    (
        "v5_3_2_2_9_subscriptions_are_granted_the_maximum",
        r#"a connect 5
        a > 82 { 0001 {} "%/t" 02 "%/+" 00 }
        a < 90 { 0001 {} 01A2 }"#,
    ),
    (
        "v311_3_9_3_2_subscriptions_are_granted_the_maximum",
        r#"a connect 311
        a > 82 { 0001 "%/t" 02 "%/+" 00 }
        a < 90 { 0001 0180 }"#,
    ),
    (
        "v5_3_2_2_17_no_aliases",
        r#"a > 10 { "MQTT" 05 02 003C { 22 0005 } "%a" }
        a accepted
        a sub %/t 0
        a pub %/t 0 x
        a < 30 { "%/t" {} 'x' }
        a > 30 { "%/t" { 23 0001 } 'x' }
        a < E0 { 94 }
        a closed"#,
    ),
    (
        "v5_3_1_3_8_no_empty_client_id",
        r#"a > 10 { "MQTT" 05 02 003C {} "" }
        a < 20 { 0085 {} }
        a closed"#,
    ),
    (
        "v311_3_1_3_9_no_empty_client_id",
        r#"a > 10 { "MQTT" 04 02 003C "" }
        a < 20 { 0002 }
        a closed"#,
    ),
    (
        "v5_3_3_2_a_payload_above_the_maximum",
        r#"a connect 5
        a > 30 { "%/t" {} 78*10 } C0 00
        a < D0 00
        a > 30 { "%/t" {} 78*11 }
        a < E0 { 95 }
        a closed"#,
    ),
];

#[test]
fn lowered() {
    run_all(
        &[
            "limits.max_qos=1",
            "limits.wildcard_available=false",
            "limits.topic_alias_maximum=0",
            "limits.zero_length_client_id=false",
            "limits.max_payload_size=10",
            "limits.session_expiry_max=0s",
        ],
        LOWERED,
    );
}

const VERSIONS: &[Case] = &[
    ("v5_3_1_2_2_spoken_here", "a connect 5\n a quiet"),
    ("v311_3_1_2_2_not_spoken_here", "a > 10 { \"MQTT\" 04 02 003C \"%a\" }\n a < 20 { 0001 }\n a closed"),
    ("v31_3_1_not_spoken_here", "a > 10 { \"MQIsdp\" 03 02 003C \"%a\" }\n a < 20 { 0001 }\n a closed"),
];

#[test]
fn versions() {
    run_all(&["listener.mqtt.versions=5.0"], VERSIONS);
}

const REASONS: &[Case] = &[
    (
        "v5_3_14_2_2_3_why_in_words",
        r#"a connect 5
        a > 30 { "%/t" { 23 0000 } 'x' }
        a < E0 { 94 { 1F "topic alias 0" } }
        a closed"#,
    ),
    (
        "v5_3_14_2_3_not_if_it_is_too_long",
        r#"a > 10 { "MQTT" 05 02 003C { 27 00000016 } "%a" }
        a < 20 { 0000 { 22 0020 27 00100000 21 0400 } }
        a > 30 { "%/t" { 23 0000 } 'x' }
        a < E0 { 94 }
        a closed"#,
    ),
    (
        "v5_3_1_2_24_an_answer_larger_than_the_client_takes",
        r#"a > 10 { "MQTT" 05 02 003C { 27 00000016 } "%a" }
        a accepted
        a > 82 { 0001 {} "%/1" 00 "%/2" 00 "%/3" 00 "%/4" 00 "%/5" 00 "%/6" 00 "%/7" 00 "%/8" 00 "%/9" 00 "%/10" 00 "%/11" 00 "%/12" 00 "%/13" 00 "%/14" 00 "%/15" 00 "%/16" 00 "%/17" 00 "%/18" 00 }
        a < E0 { 95 }
        a closed"#,
    ),
];

#[test]
fn reasons() {
    run_all(&["limits.reason_strings=true"], REASONS);
}

#[test]
fn sessions() {
    // Together and apart, each client keeps one behind it.
    let settings = ["limits.max_sessions=2", "limits.session_expiry_max=1h"];
    let mut broker = Broker::start(&settings);
    let script = r#"a connect 5
    b > 10 { "MQTT" 04 00 003C "%b" }
    b accepted
    b > E0 00
    b closed
    c > 10 { "MQTT" 05 02 003C {} "%c" }
    c < 20 { 0097 {} }
    c closed
    d > 10 { "MQTT" 04 02 003C "%d" }
    d < 20 { 0003 }
    d closed
    b > 10 { "MQTT" 04 02 003C "%b" }
    b accepted
    b > E0 00
    b closed
    c connect 5"#;
    let done = crate::script::run(&mut broker, 0, script, crate::script::Placement::Apart);
    done.unwrap_or_else(|failure| panic!("{failure}"));
}
