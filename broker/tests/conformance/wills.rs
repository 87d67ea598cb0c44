//! Wills, through every way in which a connection can end.

use crate::script::{Case, run_all};

const PUBLISHED: &[Case] = &[
    (
        "v5_3_1_2_8_end_of_stream",
        r#"b connect 5
        b sub %/w 1
        a > 10 { "MQTT" 05 06 003C {} "%a" {} "%/w" "gone" }
        a accepted
        a fin
        b < 30 { "%/w" {} 'gone' }
        a closed
        b quiet"#,
    ),
    (
        "v311_3_1_2_8_reset",
        r#"b connect 311
        b sub %/w 1
        a > 10 { "MQTT" 04 06 003C "%a" "%/w" "gone" }
        a < 20 { 0000 }
        a rst
        b < 30 { "%/w" 'gone' }"#,
    ),
    (
        "v31_3_1_end_of_stream",
        r#"b connect 31
        b sub %/w 1
        a > 10 { "MQIsdp" 03 0E 003C "%a" "%/w" "gone" }
        a < 20 { 0000 }
        a fin
        b < 32 { "%/w" @1 'gone' }"#,
    ),
    (
        "v5_3_1_2_8_keep_alive",
        r#"b connect 5
        b sub %/w 1
        a > 10 { "MQTT" 05 06 0001 {} "%a" {} "%/w" "gone" }
        a accepted
        a < E0 { 8D }
        b < 30 { "%/w" {} 'gone' }"#,
    ),
    (
        "v5_3_1_2_8_malformed_packet",
        r#"b connect 5
        b sub %/w 1
        a > 10 { "MQTT" 05 06 003C {} "%a" {} "%/w" "gone" }
        a accepted
        a > C1 00
        a < E0 { 81 }
        a closed
        b < 30 { "%/w" {} 'gone' }"#,
    ),
    (
        "v5_3_1_2_8_protocol_error",
        r#"b connect 5
        b sub %/w 1
        a > 10 { "MQTT" 05 06 003C {} "%a" {} "%/w" "gone" }
        a accepted
        a > D0 00
        a < E0 { 82 }
        a closed
        b < 30 { "%/w" {} 'gone' }"#,
    ),
    (
        "v5_3_1_4_3_taken_over",
        r#"b connect 5
        b sub %/w 1
        a > 10 { "MQTT" 05 06 003C {} "%a" {} "%/w" "gone" }
        a accepted
        A connect 5
        a < E0 { 8E }
        b < 30 { "%/w" {} 'gone' }"#,
    ),
    (
        "v5_3_14_2_1_disconnect_with_will",
        r#"b connect 5
        b sub %/w 1
        a > 10 { "MQTT" 05 06 003C {} "%a" {} "%/w" "gone" }
        a accepted
        a > E0 { 04 }
        a closed
        b < 30 { "%/w" {} 'gone' }
        b quiet"#,
    ),
    (
        "v5_3_1_2_10_not_after_disconnect",
        r#"b connect 5
        b sub %/w 1
        a > 10 { "MQTT" 05 06 003C {} "%a" {} "%/w" "gone" }
        a accepted
        a > E0 00
        a closed
        b quiet"#,
    ),
    (
        "v5_3_14_2_2_2_session_expiry_after_none",
        r#"b connect 5
        b sub %/w 1
        a > 10 { "MQTT" 05 06 003C { 11 00000000 } "%a" {} "%/w" "gone" }
        a accepted
        a > E0 { 00 { 11 00000001 } }
        a < E0 { 82 }
        a closed
        b < 30 { "%/w" {} 'gone' }"#,
    ),
    (
        "v5_3_14_2_2_2_session_expiry_after_another",
        r#"b connect 5
        b sub %/w 1
        a > 10 { "MQTT" 05 06 003C { 11 00000001 } "%a" {} "%/w" "gone" }
        a <* 20
        a > E0 { 00 { 11 00000002 } }
        a closed
        b quiet"#,
    ),
    (
        "v311_3_1_2_10_not_after_disconnect",
        r#"b connect 311
        b sub %/w 1
        a > 10 { "MQTT" 04 06 003C "%a" "%/w" "gone" }
        a < 20 { 0000 }
        a > E0 00
        a closed
        b quiet"#,
    ),
    // Connections still open when the broker stops end without DISCONNECT of their clients.
    (
        "v5_3_1_2_8_server_stops",
        r#"b connect 5
        b sub %/w 1
        a > 10 { "MQTT" 05 06 003C {} "%a" {} "%/w" "gone" }
        a accepted
        broker stop
        b < 30 { "%/w" {} 'gone' }
        b < E0 { 8B }
        b closed
        a < E0 { 8B }
        a closed"#,
    ),
    (
        "v5_3_1_3_2_properties_and_qos",
        r#"b connect 5
        c connect 311
        b sub %/w 2
        c sub %/w 1
        a > 10 { "MQTT" 05 16 003C {} "%a" { 26 "k" "v" 18 00000000 01 01 03 "t" 08 "r" 09 "c" } "%/w" "gone" }
        a accepted
        a rst
        b < 34 { "%/w" @1 { 26 "k" "v" 01 01 03 "t" 08 "r" 09 "c" } 'gone' }
        c < 32 { "%/w" @2 'gone' }"#,
    ),
    // A session that ends with its connection makes the delay end at once [MQTT-3.1.3-9].
    (
        "v5_3_1_3_9_delay_longer_than_the_session",
        r#"b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 06 003C {} "%a" { 18 0000FFFF } "%/w" "gone" }
        a accepted
        a rst
        b < 30 { "%/w" {} 'gone' }"#,
    ),
    (
        "v5_3_1_3_11_empty_will",
        r#"b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 06 003C {} "%a" {} "%/w" "" }
        a accepted
        a rst
        b < 30 { "%/w" {} }"#,
    ),
    (
        "v5_4_7_2_not_to_sys",
        r#"b connect 5
        b sub $SYS/# 0
        b sub %/w 0
        a > 10 { "MQTT" 05 06 003C {} "%a" {} "$SYS/%/w" "gone" }
        a accepted
        c > 10 { "MQTT" 05 06 003C {} "%c" {} "%/w" "gone" }
        c accepted
        a fin
        a closed
        c rst
        b < 30 { "%/w" {} 'gone' }"#,
    ),
    (
        "v5_3_1_2_8_a_client_without_will",
        r#"b connect 5
        b sub %/# 0
        a connect 5
        a fin
        a closed
        b quiet"#,
    ),
];

#[test]
fn published() {
    run_all(&[], PUBLISHED);
}

/// The will's record is made as that of any other publish; ends of many connections at once lose none.
#[test]
fn a_hundred_connections_that_break_at_once_send_a_hundred_wills() {
    use crate::support::{Broker, Raw};
    use millrace_codec::{Connect, QoS, Version, Will};
    let broker = Broker::start(&[]);
    let mut watcher = Raw::connect(&broker, Version::V5, "watcher");
    watcher.subscribe("wills/#", QoS::AtLeastOnce);
    let topics: Vec<String> = (0..100).map(|number| format!("wills/{number}")).collect();
    let clients: Vec<Raw> = topics
        .iter()
        .map(|topic| {
            let properties = Default::default();
            let will = Will { qos: QoS::AtLeastOnce, retain: false, topic, payload: b"gone", properties };
            let id = topic.replace('/', "-");
            Raw::connect_as(&broker, &Connect { will: Some(will), ..Raw::hello(Version::V5, &id) })
        })
        .collect();
    clients.into_iter().for_each(Raw::reset);
    let mut seen: Vec<String> = (0..100).map(|_| watcher.expect_publish().0).collect();
    seen.sort_unstable();
    let mut expected = topics;
    expected.sort_unstable();
    assert_eq!(seen, expected);
    watcher.ping();
}
