//! CONNECT and its refusals, what may come before and after it, take-over, keep-alive and DISCONNECT.

use crate::script::{Case, run_all, run_slowly};
use crate::support::{Broker, Raw};
use millrace_codec::{Connect, Packet, Version, Will};
use std::time::{Duration, Instant};

const ACCEPTED: &[Case] = &[
    (
        "v31_3_1_accepted",
        r#"a > 10 { "MQIsdp" 03 02 003C "%a" }
        a < 20 { 0000 }
        a quiet"#,
    ),
    (
        "v311_3_2_accepted",
        r#"a > 10 { "MQTT" 04 02 003C "%a" }
        a < 20 { 0000 }
        a quiet"#,
    ),
    (
        "v5_3_2_2_what_the_server_offers",
        r#"a > 10 { "MQTT" 05 02 003C {} "%a" }
        a < 20 { 0000 { 22 0020 27 00100000 21 0400 } }
        a quiet"#,
    ),
    (
        "v5_3_2_2_3_2_a_session_expiry_that_is_granted",
        r#"a > 10 { "MQTT" 05 02 003C { 11 00000E10 } "%a" }
        a < 20 { 0000 { 22 0020 27 00100000 21 0400 } }"#,
    ),
    (
        "v5_3_2_2_3_2_a_session_expiry_that_is_cut",
        r#"a > 10 { "MQTT" 05 02 003C { 11 FFFFFFFF } "%a" }
        a < 20 { 0000 { 22 0020 11 00278D00 27 00100000 21 0400 } }"#,
    ),
    (
        "v5_3_1_2_6_no_session_to_resume",
        r#"a > 10 { "MQTT" 05 00 003C {} "%a" }
        a accepted"#,
    ),
    (
        "v311_3_1_2_4_no_session_to_resume",
        r#"a > 10 { "MQTT" 04 00 003C "%a" }
        a < 20 { 0000 }"#,
    ),
    (
        "v31_3_1_id_of_23_characters",
        r#"a > 10 { "MQIsdp" 03 02 003C "23456789012345678901234" }
        a < 20 { 0000 }"#,
    ),
    (
        "v311_3_1_3_6_empty_id",
        r#"a > 10 { "MQTT" 04 02 003C "" }
        a < 20 { 0000 }
        a quiet"#,
    ),
    (
        "v5_3_1_3_6_empty_id_is_assigned",
        r#"a > 10 { "MQTT" 05 00 003C {} "" }
        a <* 20 3A 00 00 37 22 0020 12 0029 'auto-'
        a quiet"#,
    ),
    (
        "v5_3_1_2_17_user_and_password_are_taken",
        r#"a > 10 { "MQTT" 05 C2 003C {} "%a" "me" "secret" }
        a accepted"#,
    ),
    (
        "v311_packets_in_the_same_write",
        r#"a > 10 { "MQTT" 04 02 003C "%a" } C0 00 82 { 0001 "%/t" 00 } 30 { "%/t" 'x' }
        a < 20 { 0000 }
        a < D0 00
        a < 90 { 0001 00 }
        a < 30 { "%/t" 'x' }"#,
    ),
];

#[test]
fn accepted() {
    run_all(&[], ACCEPTED);
}

const REFUSED: &[Case] = &[
    (
        "v311_3_1_2_2_level_3",
        r#"a > 10 { "MQTT" 03 02 003C "%a" }
        a < 20 { 0001 }
        a closed"#,
    ),
    (
        "v31_3_1_level_4",
        r#"a > 10 { "MQIsdp" 04 02 003C "%a" }
        a < 20 { 0001 }
        a closed"#,
    ),
    (
        "v5_3_1_2_2_level_6",
        r#"a > 10 { "MQTT" 06 02 003C {} "%a" }
        a < 20 { 0084 {} }
        a closed"#,
    ),
    (
        "v311_3_1_2_2_bridge_level",
        r#"a > 10 { "MQTT" 84 02 003C "%a" }
        a <* 20
        a closed"#,
    ),
    (
        "v5_3_1_2_1_other_protocol",
        r#"a > 10 { "HTTP" 05 02 003C {} "%a" }
        a closed"#,
    ),
    (
        "v31_3_1_empty_id",
        r#"a > 10 { "MQIsdp" 03 02 003C "" }
        a < 20 { 0002 }
        a closed"#,
    ),
    (
        "v31_3_1_id_of_24_characters",
        r#"a > 10 { "MQIsdp" 03 02 003C "123456789012345678901234" }
        a < 20 { 0002 }
        a closed"#,
    ),
    (
        "v311_3_1_3_8_empty_id_with_session",
        r#"a > 10 { "MQTT" 04 00 003C "" }
        a < 20 { 0002 }
        a closed"#,
    ),
    (
        "v311_3_1_3_9_id_too_long",
        r#"a > 10 { "MQTT" 04 02 003C [61*1025] }
        a < 20 { 0002 }
        a closed"#,
    ),
    (
        "v5_3_1_3_8_id_too_long",
        r#"a > 10 { "MQTT" 05 02 003C {} [61*1025] }
        a < 20 { 0085 {} }
        a closed"#,
    ),
    (
        "v5_4_12_no_authentication_method",
        r#"a > 10 { "MQTT" 05 02 003C { 15 "SCRAM-SHA-1" } "%a" }
        a < 20 { 008C {} }
        a closed"#,
    ),
    (
        "v5_3_1_3_11_will_topic_too_deep",
        r#"a > 10 { "MQTT" 05 06 003C {} "%a" {} [2F*64] "gone" }
        a < 20 { 0090 {} }
        a closed"#,
    ),
    // 3.x has no code for this: closed without a CONNACK.
    (
        "v311_3_2_2_6_will_topic_too_deep",
        r#"a > 10 { "MQTT" 04 06 003C "%a" [2F*64] "gone" }
        a closed"#,
    ),
    // What follows a refused CONNECT is not looked at [MQTT-3.1.4-6].
    (
        "v5_3_1_4_6_packets_after_a_refused_connect",
        r#"b connect 5
        b sub %/t 0
        a > 10 { "MQTT" 05 02 003C {} [61*1025] } 30 { "%/t" {} 'x' }
        a < 20 { 0085 {} }
        a closed
        b quiet"#,
    ),
];

#[test]
fn refused() {
    run_all(&[], REFUSED);
}

const OUT_OF_PLACE: &[Case] = &[
    (
        "v311_3_1_0_2_second_connect",
        r#"a connect 311
        a > 10 { "MQTT" 04 02 003C "%a" }
        a closed"#,
    ),
    (
        "v31_3_1_second_connect",
        r#"a connect 31
        a > 10 { "MQIsdp" 03 02 003C "%a" }
        a closed"#,
    ),
    (
        "v5_3_1_0_2_second_connect",
        r#"a connect 5
        a > 10 { "MQTT" 05 02 003C {} "%a" }
        a < E0 { 82 }
        a closed"#,
    ),
    ("v5_3_1_0_1_connack_first", "a > 20 { 0000 }\n a closed"),
    ("v5_3_1_0_1_publish_first", "a > 30 { \"%/t\" 'x' }\n a closed"),
    ("v5_3_1_0_1_puback_first", "a > 40 { 0001 }\n a closed"),
    ("v5_3_1_0_1_pubrec_first", "a > 50 { 0001 }\n a closed"),
    ("v5_3_1_0_1_pubrel_first", "a > 62 { 0001 }\n a closed"),
    ("v5_3_1_0_1_pubcomp_first", "a > 70 { 0001 }\n a closed"),
    ("v5_3_1_0_1_subscribe_first", "a > 82 { 0001 \"%/t\" 00 }\n a closed"),
    ("v5_3_1_0_1_suback_first", "a > 90 { 0001 00 }\n a closed"),
    ("v5_3_1_0_1_unsubscribe_first", "a > A2 { 0001 \"%/t\" }\n a closed"),
    ("v5_3_1_0_1_unsuback_first", "a > B0 { 0001 }\n a closed"),
    ("v5_3_1_0_1_pingreq_first", "a > C0 00\n a closed"),
    ("v5_3_1_0_1_pingresp_first", "a > D0 00\n a closed"),
    ("v5_3_1_0_1_disconnect_first", "a > E0 00\n a closed"),
    ("v5_3_1_0_1_auth_first", "a > F0 00\n a closed"),
    ("v5_3_1_0_1_first_byte_is_enough", "a > 30 7F\n a closed"),
    ("v311_2_2_connack_from_a_client", "a connect 311\n a > 20 { 0000 }\n a closed"),
    ("v311_2_2_suback_from_a_client", "a connect 311\n a > 90 { 0001 00 }\n a closed"),
    ("v311_2_2_unsuback_from_a_client", "a connect 311\n a > B0 { 0001 }\n a closed"),
    ("v311_2_2_pingresp_from_a_client", "a connect 311\n a > D0 00\n a closed"),
    ("v31_2_1_pingresp_from_a_client", "a connect 31\n a > D0 00\n a closed"),
    ("v5_2_1_2_connack_from_a_client", "a connect 5\n a > 20 { 0000 {} }\n a < E0 { 82 }\n a closed"),
    ("v5_2_1_2_suback_from_a_client", "a connect 5\n a > 90 { 0001 {} 00 }\n a < E0 { 82 }\n a closed"),
    ("v5_2_1_2_unsuback_from_a_client", "a connect 5\n a > B0 { 0001 {} 00 }\n a < E0 { 82 }\n a closed"),
    ("v5_2_1_2_pingresp_from_a_client", "a connect 5\n a > D0 00\n a < E0 { 82 }\n a closed"),
    (
        "v5_4_12_0_7_auth_without_method",
        "a connect 5\n a > F0 { 18 { 15 \"x\" } }\n a < E0 { 82 }\n a closed",
    ),
];

#[test]
fn out_of_place() {
    run_all(&[], OUT_OF_PLACE);
}

const ENDS: &[Case] = &[
    (
        "v5_3_1_4_3_taken_over",
        r#"a connect 5
        A connect 5
        a < E0 { 8E }
        a closed
        A quiet"#,
    ),
    (
        "v311_3_1_4_2_taken_over",
        r#"a connect 311
        A connect 311
        a closed
        A quiet"#,
    ),
    (
        "v5_3_1_4_3_taken_over_by_another_version",
        r#"a connect 5
        A connect 31
        a < E0 { 8E }
        a closed
        A quiet"#,
    ),
    (
        "v5_3_1_4_3_subscriptions_end_with_the_one_taken_over",
        r#"a connect 5
        a sub %/t 0
        A connect 5
        a < E0 { 8E }
        b connect 5
        b pub %/t 1 x
        A quiet"#,
    ),
    ("v5_3_14_4_1_disconnect", "a connect 5\n a > E0 00\n a closed"),
    ("v5_3_14_4_1_disconnect_with_reason", "a connect 5\n a > E0 { 80 {} }\n a closed"),
    ("v311_3_14_4_1_disconnect", "a connect 311\n a > E0 00\n a closed"),
    (
        "v5_3_14_what_follows_is_not_looked_at",
        r#"b connect 5
        b sub %/t 0
        a connect 5
        a > E0 00 30 { "%/t" {} 'x' }
        a closed
        b quiet"#,
    ),
    (
        "v5_4_13_server_stops",
        r#"a connect 5
        b connect 311
        c connect 31
        broker stop
        a < E0 { 8B }
        a closed
        b closed
        c closed"#,
    ),
];

#[test]
fn ends() {
    run_all(&[], ENDS);
}

/// Run by slow.rs.
pub const SILENT: &[Case] = &[
    (
        "v5_3_1_2_22_keep_alive",
        r#"a > 10 { "MQTT" 05 02 0001 {} "%a" }
        a accepted
        a < E0 { 8D }
        a closed"#,
    ),
    (
        "v311_3_1_2_24_keep_alive",
        r#"a > 10 { "MQTT" 04 02 0001 "%a" }
        a < 20 { 0000 }
        a closed"#,
    ),
];

const LESS_KEEP_ALIVE: &[Case] = &[
    (
        "v5_3_1_2_21_shorter_keep_alive_is_told",
        r#"a > 10 { "MQTT" 05 02 003C {} "%a" }
        a < 20 { 0000 { 13 0001 22 0020 27 00100000 21 0400 } }
        a < E0 { 8D }
        a closed"#,
    ),
    (
        "v5_3_1_2_21_none_is_not_for_ever",
        r#"a > 10 { "MQTT" 05 02 0000 {} "%a" }
        a < 20 { 0000 { 13 0001 22 0020 27 00100000 21 0400 } }
        a < E0 { 8D }
        a closed"#,
    ),
    (
        "v311_none_is_not_for_ever",
        r#"a > 10 { "MQTT" 04 02 0000 "%a" }
        a < 20 { 0000 }
        a closed"#,
    ),
];

#[test]
fn a_keep_alive_that_the_server_shortens() {
    run_slowly(&["limits.max_keep_alive=1s"], LESS_KEEP_ALIVE);
}

#[test]
fn v5_3_1_2_20_any_packet_keeps_a_connection_alive() {
    let broker = Broker::start(&[]);
    let hello = |id| Connect { keep_alive: 2, ..Raw::hello(Version::V5, id) };
    let mut pings = Raw::connect_as(&broker, &hello("pings"));
    let mut acks = Raw::connect_as(&broker, &hello("acks"));
    // Longer than one and a half times the keep-alive, in steps far below it.
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        pings.ping();
        // An acknowledgement of nothing: ignored, but a sign of life.
        acks.send(&[0x40, 2, 0x12, 0x34]);
        pings.expect_silence(Duration::from_millis(200));
    }
    acks.ping();
}

/// A client that says goodbye and comes back before the broker has read it was not taken over.
#[test]
fn goodbye_and_back_at_once_is_no_take_over() {
    let broker = Broker::start(&[]);
    let will = Will {
        qos: millrace_codec::QoS::AtMostOnce,
        retain: false,
        topic: "gone",
        payload: b"",
        properties: Default::default(),
    };
    let mut watcher = Raw::connect(&broker, Version::V5, "watcher");
    watcher.subscribe("gone", millrace_codec::QoS::AtMostOnce);
    for number in 0..100 {
        let id = format!("hasty-{number}");
        let connect = Connect { will: Some(will), ..Raw::hello(Version::V5, &id) };
        let mut first = Raw::connect_as(&broker, &connect);
        first.send_packet(&Packet::Disconnect(millrace_codec::Disconnect {
            reason: millrace_codec::ReasonCode::Success,
            properties: Default::default(),
        }));
        let second = Raw::connect_as(&broker, &Raw::hello(Version::V5, &id));
        let said = first.expect_closed();
        assert!(said.is_empty(), "round {number}: {said:02X?}");
        second.disconnect();
    }
    watcher.ping();
}

/// A client that says no more and still listens is told why it is refused, whatever is seen first.
#[test]
fn a_refusal_reaches_one_who_has_closed_its_half() {
    let broker = Broker::start(&[]);
    for _ in 0..300 {
        let mut raw = Raw::open(broker.address());
        // 3.1.1, no client id and no clean session [MQTT-3.1.3-8].
        raw.send(&[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 60, 0, 0]);
        raw.finish();
        assert_eq!(raw.expect_closed(), [[0x20, 2, 0, 2]]);
    }
}
