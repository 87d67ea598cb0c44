//! CONNECT and CONNACK in all versions: what is let in, what is not, and what a connection of one client means to others.

use crate::script::{Case, run_all, run_slowly};

const LET_IN: &[Case] = &[
    (
        "any_plain_connect",
        "+5 3.1.0-1 3.1.0-2 3.1.2-1 3.1.2-2 3.1.2-3 3.1.2-11 3.1.2-13 3.1.2-16 3.1.2-18 3.1.3-3 3.1.4-1 3.1.4-2
        +5 3.1.4-5 3.2.0-2 3.2.2-1 3.2.2-7 3.2.2-8 4.13.1-1 4.13.2-1 4.12.0-6 3.1
        +311 3.1.0-1 3.1.0-2 3.1.2-1 3.1.2-2 3.1.2-3 3.1.2-11 3.1.2-13 3.1.2-15 3.1.2-18 3.1.2-20 3.1.2-22 3.1.3-3
        +311 3.1.4-1 3.1.4-4 3.2.2-5 3.2.2-6 4.8.0-1 4.8.0-2 7.0.0-2
        +31 3.1 3.1/first 3.2 3.12 3.13
        a connect V
        a quiet
        a quiet",
    ),
    (
        "v5_3_2_0_1_connack_is_first",
        r#"+5 3.2.0-1 3.1.4-6 3.1.4 4.2.0-1
        a > 10 { "MQTT" 05 02 003C {} "%a" } 82 { 0001 {} "%/t" 00 } 30 { "%/t" {} 'x' } C0 00
        a accepted
        a < 90 { 0001 {} 00 }
        a < 30 { "%/t" {} 'x' }
        a < D0 00"#,
    ),
    (
        "v311_3_2_0_1_connack_is_first",
        r#"+311 3.2.0-1 3.1.4-5 7.1.1-1
        a > 10 { "MQTT" 04 02 003C "%a" } 82 { 0001 "%/t" 00 } 30 { "%/t" 'x' } C0 00
        a < 20 { 0000 }
        a < 90 { 0001 00 }
        a < 30 { "%/t" 'x' }
        a < D0 00"#,
    ),
    (
        "v5_3_1_3_1_every_field",
        r#"+5 3.1.2-9 3.1.2-12 3.1.2-17 3.1.2-19 3.1.3-1 3.1.3-11 3.1.3-12 1.5.7-1
        a > 10 { "MQTT" 05 D6 003C { 26 "k" "v" } "%a" { 26 "k" "v" } "%/wÄ" "gone" "Jörg" "secret" }
        a accepted
        a quiet"#,
    ),
    (
        "v5_3_1_2_19_password_without_user_name",
        r#"+5 3.1.2-19 3.1.2.9
        a > 10 { "MQTT" 05 42 003C {} "%a" "secret" }
        a accepted"#,
    ),
    (
        "v311_3_1_3_1_every_field",
        r#"+311 3.1.2-9 3.1.2-14 3.1.2-19 3.1.2-21 3.1.3-1 3.1.3-10 3.1.3-11
        a > 10 { "MQTT" 04 D6 003C "%a" "%/wÄ" "gone" "Jörg" "secret" }
        a < 20 { 0000 }
        a quiet"#,
    ),
    (
        "v31_3_1_every_field",
        r#"+31 3.1/user 3.1
        a > 10 { "MQIsdp" 03 D6 003C "%a" "%/wÄ" "gone" "Jörg" "secret" }
        a < 20 { 0000 }
        a quiet"#,
    ),
    (
        "v5_3_1_3_5_ids_of_1_and_23",
        r#"+5 3.1.3-5
        a > 10 { "MQTT" 05 02 003C {} "Z" }
        a accepted
        b > 10 { "MQTT" 05 02 003C {} "09azAZ78901234567890123" }
        b accepted"#,
    ),
    (
        "v311_3_1_3_5_ids_of_1_and_23",
        r#"+311 3.1.3-5
        a > 10 { "MQTT" 04 02 003C "Y" }
        a < 20 { 0000 }
        b > 10 { "MQTT" 04 02 003C "09azAY78901234567890123" }
        b < 20 { 0000 }"#,
    ),
    (
        "v31_3_1_ids_of_1_and_23",
        r#"+31 3.1/id
        a > 10 { "MQIsdp" 03 02 003C "X" }
        a < 20 { 0000 }
        b > 10 { "MQIsdp" 03 02 003C "09azAX78901234567890123" }
        b < 20 { 0000 }"#,
    ),
    (
        "v5_3_1_3_4_id_beyond_ascii_and_a_long_one",
        r#"+5 3.1.3-4 3.1.3-8
        a > 10 { "MQTT" 05 02 003C {} "%aÄ𝄞" }
        a accepted
        b > 10 { "MQTT" 05 02 003C {} [61*1024] }
        b accepted"#,
    ),
    (
        "v311_3_1_3_4_id_beyond_ascii_and_a_long_one",
        r#"+311 3.1.3-4 3.1.3-9
        a > 10 { "MQTT" 04 02 003C "%aÄ𝄞" }
        a < 20 { 0000 }
        b > 10 { "MQTT" 04 02 003C [62*1024] }
        b < 20 { 0000 }"#,
    ),
    (
        "v5_3_2_2_16_two_without_ids_are_two",
        r#"+5 3.1.3-6 3.1.3-7
        -5 3.2.2-16
        a > 10 { "MQTT" 05 02 003C {} "" }
        a accepted
        b > 10 { "MQTT" 05 02 003C {} "" }
        b accepted
        a quiet
        b quiet"#,
    ),
    (
        "v5_3_2_2_16_an_id_is_assigned",
        r#"+5 3.2.2-16
        a > 10 { "MQTT" 05 02 003C {} "" }
        a accepted
        a has 12
        a quiet"#,
    ),
    (
        "v311_3_1_3_6_two_without_ids_are_two",
        r#"+311 3.1.3-8
        -311 3.1.3-6
        a > 10 { "MQTT" 04 02 003C "" }
        a < 20 { 0000 }
        b > 10 { "MQTT" 04 02 003C "" }
        b < 20 { 0000 }
        a quiet
        b quiet"#,
    ),
];

#[test]
fn let_in() {
    run_all(&[], LET_IN);
}

const REFUSED: &[Case] = &[
    (
        "v5_3_1_2_11_will_qos_without_a_will",
        "a > 10 { \"MQTT\" 05 0A 003C {} \"%a\" }\n a < 20 { 0081 {} }\n a closed",
    ),
    (
        "v5_3_1_2_13_will_retain_without_a_will",
        "a > 10 { \"MQTT\" 05 22 003C {} \"%a\" }\n a < 20 { 0081 {} }\n a closed",
    ),
    (
        "v311_3_1_2_11_will_flags_without_a_will",
        "-311 3.1.2-11 3.1.2-13 3.1.2-15\n a > 10 { \"MQTT\" 04 2A 003C \"%a\" }\n a closed",
    ),
    (
        "v5_3_1_2_16_user_name_without_its_flag",
        "a > 10 { \"MQTT\" 05 02 003C {} \"%a\" \"user\" }\n a < 20 { 0081 {} }\n a closed",
    ),
    ("v5_3_1_2_17_no_user_name", "a > 10 { \"MQTT\" 05 82 003C {} \"%a\" }\n a < 20 { 0081 {} }\n a closed"),
    // What it takes is said too late for an answer that would be larger [MQTT-3.1.2-24].
    (
        "v5_3_1_2_24_takes_two_bytes",
        "-5 3.1.2-24\n a > 10 { \"MQTT\" 05 02 003C { 27 00000002 } \"%a\" }\n a closed",
    ),
    (
        "v5_3_1_2_24_takes_no_refusal",
        "-5 3.1.2-24\n a > 10 { \"MQTT\" 05 02 003C { 27 00000004 15 \"x\" } \"%a\" }\n a closed
        b > 10 { \"MQTT\" 05 02 003C { 27 00000005 15 \"x\" } \"%b\" }\n b < 20 { 008C {} }\n b closed",
    ),
    ("v31_3_1_flags_that_are_not_used", "a > 1F { \"MQIsdp\" 03 02 003C \"%a\" }\n a < 20 { 0000 }"),
    ("v5_2_1_2_type_0", "a connect 5\n a > 0A C0\n a refused 82"),
    ("v5_3_14_2_2_server_reference_of_a_client", "a connect 5\n a > E0 { 00 { 1C \"x\" } }\n a closed"),
    (
        "v5_3_1_2_19_no_password",
        "a > 10 { \"MQTT\" 05 C2 003C {} \"%a\" \"user\" }\n a < 20 { 0081 {} }\n a closed",
    ),
    (
        "v311_3_1_2_20_password_without_its_flag",
        "a > 10 { \"MQTT\" 04 82 003C \"%a\" \"user\" \"word\" }\n a closed",
    ),
    (
        "v5_3_1_3_3_no_client_id",
        "-5 3.1.3-3 3.1.4-5\n a > 10 { \"MQTT\" 05 02 003C {} }\n a < 20 { 0081 {} }\n a closed",
    ),
    ("v311_3_1_3_3_no_client_id", "a > 10 { \"MQTT\" 04 02 003C }\n a closed"),
    (
        "v5_3_1_2_1_the_name_of_3_1_with_level_5",
        r#"-5 3.1.2-1 3.1.2-2 4.13.2-1 3.2.2-7 3.14.0-1
        a > 10 { "MQIsdp" 05 02 003C {} "%a" }
        a <* 20 03 00 84
        a closed"#,
    ),
    (
        "v5_3_1_2_3_reserved_flag",
        "-5 3.1.2-3 3.1.4-1\n a > 10 { \"MQTT\" 05 03 003C {} \"%a\" }\n a < 20 { 0081 {} }\n a closed",
    ),
    ("v311_3_1_2_3_reserved_flag", "-311 3.1.2-3 3.1.4-1\n a > 10 { \"MQTT\" 04 03 003C \"%a\" }\n a closed"),
    ("v311_3_1_2_1_other_protocol", "a > 10 { \"HTTP\" 04 02 003C \"%a\" }\n a closed"),
    (
        "v5_3_1_3_4_id_that_is_no_text",
        r#"-5 3.1.3-4 1.5.4-1
        a > 10 { "MQTT" 05 02 003C {} [61 FF] }
        a < 20 { 0085 {} }
        a closed"#,
    ),
    ("v311_3_1_3_4_id_that_is_no_text", "a > 10 { \"MQTT\" 04 02 003C [61 FF] }\n a closed"),
    (
        "v5_3_1_3_11_will_topic_that_is_no_text",
        r#"-5 3.1.3-11
        a > 10 { "MQTT" 05 06 003C {} "%a" {} [77 FF] "gone" }
        a < 20 { 0081 {} }
        a closed"#,
    ),
    (
        "v311_3_1_3_10_will_topic_that_is_no_text",
        "a > 10 { \"MQTT\" 04 06 003C \"%a\" [77 FF] \"gone\" }\n a closed",
    ),
    (
        "v5_3_1_3_12_user_name_that_is_no_text",
        r#"-5 3.1.3-12
        a > 10 { "MQTT" 05 82 003C {} "%a" [75 FF] }
        a < 20 { 0081 {} }
        a closed"#,
    ),
    ("v311_3_1_3_11_user_name_that_is_no_text", "a > 10 { \"MQTT\" 04 82 003C \"%a\" [75 FF] }\n a closed"),
    (
        "v5_3_1_3_10_half_a_user_property_in_the_will",
        r#"-5 3.1.3-10 1.5.7-1
        a > 10 { "MQTT" 05 06 003C {} "%a" { 26 "k" } "%/w" "gone" }
        a < 20 { 0081 {} }
        a closed"#,
    ),
    (
        "v5_4_12_0_1_unknown_method",
        r#"-5 4.12.0-1 4.12.0-4 3.1.4-2 3.2.2-8
        a > 10 { "MQTT" 05 02 003C { 15 "GS2-KRB5" 16 "data" } "%a" }
        a < 20 { 008C {} }
        a closed"#,
    ),
    // An unknown method is refused; none at all is let in, and no AUTH comes.
    ("v5_4_12_0_1_no_method", "+5 4.12.0-1\n -5 4.12.0-6\n a connect 5\n a quiet"),
    (
        "v5_3_1_2_11_10_data_without_method",
        r#"a > 10 { "MQTT" 05 02 003C { 16 "data" } "%a" }
        a < 20 { 0082 {} }
        a closed"#,
    ),
    (
        "v31_3_1_password_without_user_name",
        "-31 3.1/user\n a > 10 { \"MQIsdp\" 03 42 003C \"%a\" \"word\" }\n a closed",
    ),
    (
        "v31_3_1_refusals",
        r#"-31 3.1 3.1/id 3.2
        a > 10 { "MQIsdp" 03 02 003C "" }
        a < 20 { 0002 }
        a closed
        b > 10 { "MQIsdp" 04 02 003C "%b" }
        b < 20 { 0001 }
        b closed"#,
    ),
    (
        "v311_3_1_3_9_too_long",
        r#"-311 3.1.3-9 3.2.2-5 3.1.4-4 3.1.4-5
        b connect 311
        b sub %/t 0
        a > 10 { "MQTT" 04 02 003C [61*1025] } 30 { "%/t" 'x' }
        a < 20 { 0002 }
        a closed
        b quiet"#,
    ),
    (
        "any_second_connect",
        "-5 3.1.0-2 3.2.0-2\n -311 3.1.0-2\n -31 3.1/first\n a connect V\n a > 10 { \"MQTT\" 04 02 003C \"%a\" }\n a refused 82",
    ),
    (
        "any_publish_first",
        "-5 3.1.0-1\n -311 3.1.0-1\n -31 3.1/first\n b connect V\n b sub %/t 0\n a > 30 { \"%/t\" 00 'x' }\n a closed\n b quiet",
    ),
    (
        "any_the_will_of_a_refused_connect",
        r#"-5 3.1.2-7
        -311 3.1.2-8
        b connect V
        b sub %/w 0
        a > 10 { "MQTT" 04 06 003C [61*1025] "%/w" "gone" }
        a < 20 { 0002 }
        a closed
        b quiet"#,
    ),
];

#[test]
fn refused() {
    run_all(&[], REFUSED);
}

const BESIDE_OTHERS: &[Case] = &[
    (
        "any_the_older_connection_is_closed",
        "+5 3.1.4-3
        +311 3.1.4-2
        +31 3.1/taken-over
        a connect V
        A connect V
        a refused 8E
        A quiet",
    ),
    (
        "any_other_ids_are_left_alone",
        "-5 3.1.4-3
        -311 3.1.4-2
        -31 3.1/taken-over
        a connect V
        b connect V
        A connect V
        a refused 8E
        b quiet
        A quiet",
    ),
    (
        "any_goodbye",
        "+5 3.14.1-1 3.14.2-1 3.14 3.14.4-3
        +311 3.14.1-1 3.14.4-3
        +31 3.14
        -31 3.14
        b connect V
        b sub %/w 1
        a connect V will %/w 1 gone
        a bye
        b quiet",
    ),
    (
        "v5_3_14_0_1_reasons_come_after_connack",
        "+5 3.14.0-1 3.14.4-1 3.14.4-2 4.13
        -5 3.14.4-1 3.14.4-2 3.14.2-2 3.14.1-1 4.13.1-1 2.1.3-1
        a connect 5
        a > E1 00 C0 00
        a < E0 { 81 }
        a closed",
    ),
    (
        "v5_3_14_2_2_reasons_without_session_expiry",
        "+5 3.14.2-2
        a connect 5 expiry 60
        A connect 5
        a < E0 { 8E }
        a closed",
    ),
    ("v5_3_14_2_1_reason_of_connack", "-5 3.14.2-1 4.13.1-1\n a connect 5\n a > E0 { 86 }\n a refused 82"),
    ("v311_4_8_0_1_violation", "-311 4.8.0-1 4.8.0-2\n a connect 311\n a > D0 00\n a closed"),
    ("v311_3_14_1_1_reserved_flags", "a connect 311\n a > E1 00\n a closed"),
    ("v31_3_13_pingresp_from_a_client", "-31 3.13 3.12 2.1\n a connect 31\n a > D0 00\n a closed"),
    ("v311_2_2_2_2_reserved_flags", "a connect 311\n a > C1 00\n a closed"),
    (
        "any_ping_with_flags",
        "-5 3.12.4-1 2.1.3-1\n -311 3.12.4-1 2.2.2-1 2.2.2-2\n -31 2.1/flags\n a connect V\n a > C4 00\n a refused 81",
    ),
    (
        "any_ping",
        "+5 3.12.4-1\n +311 3.12.4-1\n +31 3.12 2.1\n a connect V\n a > C0 00 C0 00\n a < D0 00\n a < D0 00",
    ),
];

#[test]
fn beside_others() {
    run_all(&[], BESIDE_OTHERS);
}

/// Run by slow.rs.
pub const KEEP_ALIVE: &[Case] = &[
    (
        "any_silence_closes",
        "-5 3.1.2-22 3.2.2-22
        -311 3.1.2-24
        -31 3.1/keep-alive
        a connect V alive 1
        wait 1200ms
        a refused 8D",
    ),
    (
        "any_a_sign_of_life_is_enough",
        "+5 3.1.2-22 3.2.2-22
        +311 3.1.2-24
        +31 3.1/keep-alive
        a connect V alive 1
        wait 900ms
        a quiet
        wait 900ms
        a pub %/t 1 x
        wait 900ms
        a quiet",
    ),
    (
        "any_none_is_for_ever",
        "+5 3.1.2-22
        +311 3.1.2-24
        +31 3.1/keep-alive
        a connect V alive 0
        wait 2500ms
        a quiet",
    ),
];

const SERVERS_KEEP_ALIVE: &[Case] = &[(
    "v5_3_2_2_3_14_the_servers_counts",
    r#"-5 3.2.2.3.14
    a > 10 { "MQTT" 05 02 003C {} "%a" }
    a accepted
    wait 1200ms
    a refused 8D"#,
)];

#[test]
fn keep_alive_of_the_server() {
    run_slowly(&["limits.max_keep_alive=1s"], SERVERS_KEEP_ALIVE);
}
