//! What a server can be set to offer less of: it says so in CONNACK, and holds its clients to it.

use crate::script::{Case, run_all};

const QOS_1: &[Case] = &[
    (
        "v5_3_2_2_9_it_says_so",
        "+5 3.2.2-9 3.2.2-10 3.2.2-12 3.2.2.3.4
        -5 3.2.2-10
        a connect 5 will %/w 1 gone
        a has 24 01
        a > 82 { 0001 {} \"%/t\" 02 }
        a < 90 { 0001 {} 01 }
        b connect 5
        b pub %/t 1 x
        a gets %/t 1 x",
    ),
    (
        "v5_3_2_2_11_a_message_above_it",
        "-5 3.2.2-11 3.2.2.3.4\n a connect 5\n a > 34 { \"%/t\" 0001 {} 'x' }\n a refused 9B",
    ),
    (
        "v5_3_2_2_12_a_will_above_it",
        "-5 3.2.2-12\n a > 10 { \"MQTT\" 05 16 003C {} \"%a\" {} \"%/w\" \"gone\" }\n a < 20 { 009B {} }\n a closed",
    ),
    (
        "v5_3_2_2_10_subscriptions_of_every_qos",
        "+5 3.2.2-10
        a connect 5
        a > 82 { 0001 {} \"%/a\" 00 \"%/b\" 01 \"%/c\" 02 }
        a < 90 { 0001 {} 000101 }",
    ),
    (
        "v311_3_8_4_5_less_is_granted",
        "+311 3.8.4-5\n a connect 311\n a > 82 { 0001 \"%/t\" 02 }\n a < 90 { 0001 01 }",
    ),
];

#[test]
fn maximum_qos_1() {
    run_all(&["limits.max_qos=1"], QOS_1);
}

const QOS_0: &[Case] = &[
    (
        "v5_3_2_2_9_it_says_so_with_0",
        "a connect 5
        a has 24 00
        a > 82 { 0001 {} \"%/t\" 02 }
        a < 90 { 0001 {} 00 }
        a pub %/t 0 x
        a gets %/t 0 x",
    ),
    ("v5_3_2_2_11_qos_1_is_above_0", "a connect 5\n a > 32 { \"%/t\" 0001 {} 'x' }\n a refused 9B"),
];

#[test]
fn maximum_qos_0() {
    run_all(&["limits.max_qos=0"], QOS_0);
}

const ALL: &[Case] = &[(
    "v5_3_2_2_everything_is_offered",
    "+5 3.2.2 3.2.2.3.4 3.2.2.3.5 3.2.2.3.11 3.2.2.3.12 3.2.2.3.13
        -5 3.2.2-9
        a connect 5
        a lacks 24
        a lacks 25 00
        a lacks 28 00
        a lacks 29 00
        a lacks 2A 00
        a lacks 12
        a lacks 13
        a lacks 1C",
)];

#[test]
fn everything() {
    run_all(&[], ALL);
}

const NOT_RETAINED: &[Case] = &[
    (
        "v5_3_2_2_14_a_message",
        "-5 3.2.2-14\n a connect 5\n a has 25 00\n a > 31 { \"%/t\" {} 'x' }\n a refused 9A",
    ),
    (
        "v5_3_2_2_13_a_will",
        "-5 3.2.2-13
        b connect 5
        b sub %/w 0
        a > 10 { \"MQTT\" 05 26 003C {} \"%a\" {} \"%/w\" \"gone\" }
        a < 20 { 009A {} }
        a closed
        b quiet",
    ),
    ("v5_3_2_2_13_a_will_without_the_flag", "+5 3.2.2-13\n a connect 5 will %/w 1 gone\n a quiet"),
    (
        "v311_3_3_1_5_without_an_answer",
        "b connect 311
        b pub %/t 0r x
        b quiet
        a connect 311
        a sub %/t 1
        a quiet",
    ),
];

#[test]
fn no_retained_messages() {
    run_all(&["limits.retain_available=false"], NOT_RETAINED);
}

const NO_WILDCARDS: &[Case] = &[
    (
        "v5_3_2_2_3_11_each_filter_is_judged",
        "-5 3.2.2.3.11
        a connect 5
        a has 28 00
        a > 82 { 0001 {} \"%/+\" 00 \"%/t\" 01 \"%/#\" 02 }
        a < 90 { 0001 {} A201A2 }",
    ),
    (
        "v311_3_8_3_2_filters_with_wildcards",
        "-311 3.8.3-2
        a connect 311
        a > 82 { 0001 \"%/+\" 00 \"%/t\" 01 }
        a < 90 { 0001 8001 }",
    ),
];

#[test]
fn no_wildcards() {
    run_all(&["limits.wildcard_available=false"], NO_WILDCARDS);
}

const NOT_SHARED: &[Case] = &[(
    "v5_3_2_2_3_13_each_filter_is_judged",
    "-5 3.2.2.3.13
    a connect 5
    a has 2A 00
    a > 82 { 0001 {} \"$share/g/%/t\" 00 \"%/t\" 01 }
    a < 90 { 0001 {} 9E01 }",
)];

#[test]
fn no_shared_subscriptions() {
    run_all(&["limits.shared_available=false"], NOT_SHARED);
}

const NO_IDENTIFIERS: &[Case] = &[(
    "v5_3_2_2_3_12_the_packet_is_refused",
    "-5 3.2.2.3.12
    a connect 5
    a has 29 00
    a > 82 { 0001 { 0B 01 } \"%/t\" 00 }
    a refused A1",
)];

#[test]
fn no_subscription_identifiers() {
    run_all(&["limits.subscription_ids_available=false"], NO_IDENTIFIERS);
}

const SIZES: &[Case] = &[
    (
        "v5_3_2_2_3_3_receive_maximum",
        "+5 3.2.2.3.3\n a connect 5\n a has 21 0003\n a has 27 00000200\n a has 13 001E",
    ),
    (
        "v5_3_2_2_15_packet_too_large",
        "-5 3.2.2-15\n a connect 5\n a > 30 { \"%/t\" {} 78*512 }\n a refused 95",
    ),
    (
        "v5_3_2_2_3_6_a_packet_of_the_largest_size",
        "a connect 5\n a sub %/t 0\n b connect 5\n b > 30 { \"%/t\" {} 78*400 }\n a < 30 { \"%/t\" {} 78*400 }",
    ),
    (
        "v5_4_7_levels",
        "a connect 5
        a > 82 { 0001 {} \"%/b/c/d\" 00 \"%/b/c/d/e\" 00 \"%/b/c/#\" 01 }
        a < 90 { 0001 {} 008F01 }
        b connect 5
        b pub %/b/c/d 1 x
        a gets %/b/c/d 1 x
        b > 30 { \"%/b/c/d/e\" {} 'x' }
        b refused 90",
    ),
];

#[test]
fn sizes() {
    let settings = ["receive_maximum=3", "max_packet_size=512", "max_keep_alive=30s", "max_topic_levels=4"];
    let settings = settings.map(|setting| format!("limits.{setting}"));
    run_all(&settings.each_ref().map(String::as_str), SIZES);
}

const PAYLOADS: &[Case] = &[
    (
        "v5_3_3_3_a_payload_too_large",
        "-5 3.3.3\n a connect 5\n a > 32 { \"%/t\" 0001 {} 78*257 }\n a refused 95",
    ),
    (
        "v311_3_3_3_a_payload_too_large",
        "-311 3.3.3\n a connect 311\n a > 32 { \"%/t\" 0001 78*257 }\n a closed",
    ),
    (
        "any_a_payload_of_the_largest_size",
        "a connect V\n +5 3.3.3\n +311 3.3.3\n a sub %/t 0\n a > 30 { \"%/t\" %{} 78*256 }\n a < 30 { \"%/t\" %{} 78*256 }",
    ),
];

#[test]
fn payloads() {
    run_all(&["limits.max_payload_size=256"], PAYLOADS);
}

const EMPTY_IDS: &[Case] = &[
    (
        "v5_3_1_3_8_no_empty_id",
        "-5 3.1.3-8 3.1.3-6\n a > 10 { \"MQTT\" 05 02 003C {} \"\" }\n a < 20 { 0085 {} }\n a closed",
    ),
    (
        "v311_3_1_3_9_no_empty_id",
        "-311 3.1.3-9\n a > 10 { \"MQTT\" 04 02 003C \"\" }\n a < 20 { 0002 }\n a closed",
    ),
    ("any_another_id", "+5 3.1.3-8\n +311 3.1.3-9\n a connect V\n a quiet"),
];

#[test]
fn no_empty_client_ids() {
    run_all(&["limits.zero_length_client_id=false"], EMPTY_IDS);
}

const QUEUE: &[Case] = &[(
    "v5_4_6_a_queue_of_so_many_bytes_takes_no_more",
    r#"a connect 5 with 21 0001
    a sub %/t 1
    b connect 5
    b pub %/t 1 1
    a < 32 { "%/t" @1 {} '1' }
    b > 32 { "%/t" 0001 {} 78*70000 } 32 { "%/t" 0002 {} '3' }
    b < 40 { 0001 }
    b < 40 { 0002 }
    a > 40 { @1 }
    a < 32 { "%/t" @2 {} 78*70000 }
    a > 40 { @2 }
    a quiet
    b pub %/t 1 4
    a gets %/t 1 4"#,
)];

#[test]
fn bytes_of_a_queue() {
    run_all(&["limits.max_queued_bytes=64KiB"], QUEUE);
}

const ONLY_5: &[Case] = &[
    ("v5_3_1_2_2_listened_to", "+5 3.1.2-2\n a connect 5\n a quiet"),
    (
        "v311_3_1_2_2_not_listened_to",
        "-311 3.1.2-2\n a > 10 { \"MQTT\" 04 02 003C \"%a\" }\n a < 20 { 0001 }\n a closed",
    ),
    (
        "v31_3_1_not_listened_to",
        "-31 3.2\n a > 10 { \"MQIsdp\" 03 02 003C \"%a\" }\n a < 20 { 0001 }\n a closed",
    ),
];

#[test]
fn a_listener_for_5_0() {
    run_all(&["listener.mqtt.versions=5.0"], ONLY_5);
}

const NOT_5: &[Case] = &[
    ("any_old_ones_are_listened_to", "+311 3.1.2-2\n +31 3.2\n a connect V\n a quiet"),
    (
        "v5_3_1_2_2_not_listened_to",
        "-5 3.1.2-2\n a > 10 { \"MQTT\" 05 02 003C {} \"%a\" }\n a < 20 { 0084 {} }\n a closed",
    ),
];

#[test]
fn a_listener_for_3_x() {
    run_all(&["listener.mqtt.versions=3.1,3.1.1"], NOT_5);
}

const IN_WORDS: &[Case] = &[
    (
        "v5_3_2_2_19_why_a_connect_is_refused",
        r#"+5 3.2.2-19
        a > 10 { "MQTT" 05 03 003C {} "%a" }
        a <* 20
        a has 1F
        a closed"#,
    ),
    (
        "v5_3_14_2_3_why_a_connection_is_closed",
        r#"+5 3.14.2-3
        a connect 5
        a > D0 00
        a <* E0
        a has 1F
        a closed"#,
    ),
    (
        "v5_3_14_2_3_but_in_no_more_bytes_than_the_client_takes",
        r#"-5 3.14.2-3
        a connect 5 with 27 0000001A
        a > D0 00
        a < E0 { 82 }
        a closed"#,
    ),
];

#[test]
fn reasons_in_words() {
    run_all(&["limits.reason_strings=true"], IN_WORDS);
}

const RESPONSES: &[Case] = &[
    ("v5_3_1_2_28_wanted", "+5 3.1.2-28 3.1.2.11.6\n a connect 5 with 19 01\n a has 1A"),
    (
        "v5_3_1_2_28_not_wanted",
        "-5 3.1.2-28\n a connect 5 with 19 00\n a lacks 1A\n b connect 5\n b lacks 1A",
    ),
];

#[test]
fn response_information() {
    run_all(&["node.response_information=replies/%c"], RESPONSES);
}
