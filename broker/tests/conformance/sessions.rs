//! Sessions that outlive their connections: what waits for a client that is away, what it gets again, what has become
//! of its will, and when nothing of it is left.

use crate::script::{Case, run_all, run_slowly};

const KEPT: &[Case] = &[
    (
        "v311_3_1_2_4_a_session_is_resumed",
        r#"a > 10 { "MQTT" 04 00 003C "%a" }
        a accepted
        a sub %/# 2
        a > E0 00
        a closed
        # On the same core: what it has got, the session of a has got.
        c connect 311
        c sub %/# 0
        b connect 311
        b pub %/1 1 one
        b pub %/2 2 two
        b pub %/0 0 never
        b pub %/1 1 three
        c < 30 { "%/1" 'one' }
        c < 30 { "%/2" 'two' }
        c < 30 { "%/0" 'never' }
        c < 30 { "%/1" 'three' }
        a > 10 { "MQTT" 04 00 003C "%a" }
        a resumed
        a < 32 { "%/1" @1 'one' }
        a < 34 { "%/2" @2 'two' }
        a < 32 { "%/1" @3 'three' }
        b pub %/0 0 live
        a < 30 { "%/0" 'live' }
        a quiet"#,
    ),
    (
        "v31_3_1_a_session_is_resumed_without_a_word",
        r#"a > 10 { "MQIsdp" 03 00 003C "%a" }
        a accepted
        a sub %/t 1
        a > E0 00
        a closed
        b connect 31
        b pub %/t 1 x
        a > 10 { "MQIsdp" 03 00 003C "%a" }
        a accepted
        a < 32 { "%/t" @1 'x' }"#,
    ),
    (
        "v311_3_1_2_6_a_clean_session_ends_the_old_one",
        r#"a > 10 { "MQTT" 04 00 003C "%a" }
        a accepted
        a sub %/t 1
        a > E0 00
        a closed
        b connect 311
        b pub %/t 1 x
        a > 10 { "MQTT" 04 02 003C "%a" }
        a accepted
        b pub %/t 1 y
        a quiet
        a > E0 00
        a closed
        a > 10 { "MQTT" 04 00 003C "%a" }
        a accepted"#,
    ),
    (
        "v5_3_1_2_4_clean_start_ends_the_old_one",
        r#"a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a accepted
        a sub %/t 1
        a > E0 00
        a closed
        a > 10 { "MQTT" 05 02 003C { 11 0000003C } "%a" }
        a accepted
        b connect 5
        b pub %/t 1 y
        a quiet"#,
    ),
    (
        "v5_3_1_2_5_a_session_is_resumed",
        r#"a > 10 { "MQTT" 05 02 003C { 11 0000003C } "%a" }
        a accepted
        a sub %/t 1
        a > E0 00
        a closed
        b connect 5
        b pub %/t 1 x
        a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a resumed
        a < 32 { "%/t" @1 {} 'x' }
        a > 40 { @1 }
        a > E0 00
        a closed
        a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a resumed
        a quiet"#,
    ),
    (
        "v5_3_1_2_11_2_no_expiry_ends_with_the_connection",
        r#"a > 10 { "MQTT" 05 00 003C {} "%a" }
        a accepted
        a sub %/t 1
        a > E0 00
        a closed
        a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a accepted"#,
    ),
    (
        "v5_3_14_2_2_2_disconnect_takes_the_expiry_back",
        r#"a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a accepted
        a > E0 { 00 { 11 00000000 } }
        a closed
        a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a accepted"#,
    ),
    (
        "v5_3_14_2_2_2_disconnect_cannot_give_one",
        r#"a > 10 { "MQTT" 05 00 003C {} "%a" }
        a accepted
        a > E0 { 00 { 11 0000003C } }
        a < E0 { 82 }
        a closed"#,
    ),
    (
        "v5_4_4_0_1_what_was_not_acknowledged_comes_again",
        r#"a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a accepted
        a sub %/# 2
        b connect 5
        b pub %/1 1 one
        b pub %/2 2 two
        b pub %/3 2 three
        b pub %/4 1 four
        a < 32 { "%/1" @1 {} 'one' }
        a < 34 { "%/2" @2 {} 'two' }
        a < 34 { "%/3" @3 {} 'three' }
        a < 32 { "%/4" @4 {} 'four' }
        a > 50 { @2 } 40 { @4 }
        a < 62 { @2 }
        a > E0 00
        a closed
        b pub %/5 1 five
        a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a resumed
        a < 3A { "%/1" @1 {} 'one' }
        a < 62 { @2 }
        a < 3C { "%/3" @3 {} 'three' }
        a < 32 { "%/5" @5 {} 'five' }
        a > 40 { @1 } 70 { @2 } 50 { @3 } 40 { @5 }
        a < 62 { @3 }
        a > 70 { @3 }
        a > E0 00
        a closed
        a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a resumed
        a quiet"#,
    ),
    (
        "v311_4_4_0_1_what_was_not_acknowledged_comes_again",
        r#"a > 10 { "MQTT" 04 00 003C "%a" }
        a accepted
        a sub %/# 2
        b connect 311
        b pub %/1 1 one
        b pub %/2 2 two
        a < 32 { "%/1" @1 'one' }
        a < 34 { "%/2" @2 'two' }
        a > 50 { @2 }
        a < 62 { @2 }
        a > E0 00
        a closed
        a > 10 { "MQTT" 04 00 003C "%a" }
        a resumed
        a < 3A { "%/1" @1 'one' }
        a < 62 { @2 }
        a > E0 00
        a closed
        a > 10 { "MQTT" 04 00 003C "%a" }
        a resumed
        a < 3A { "%/1" @1 'one' }
        a < 62 { @2 }
        a > 70 { @2 } 40 { @1 }
        a quiet"#,
    ),
    (
        "v5_3_3_4_9_what_comes_again_heeds_the_new_receive_maximum",
        r#"a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a accepted
        a sub %/t 1
        b connect 5
        b pub %/t 1 1
        b pub %/t 1 2
        a < 32 { "%/t" @1 {} '1' }
        a < 32 { "%/t" @2 {} '2' }
        a > E0 00
        a closed
        b pub %/t 1 3
        a > 10 { "MQTT" 05 00 003C { 11 0000003C 21 0001 } "%a" }
        a resumed
        a < 3A { "%/t" @1 {} '1' }
        a quiet
        a > 40 { @1 }
        a < 3A { "%/t" @2 {} '2' }
        a quiet
        a > 40 { @2 }
        a < 32 { "%/t" @3 {} '3' }"#,
    ),
    (
        "v5_4_3_3_a_qos_2_message_is_known_on_the_next_connection",
        r#"a connect 5
        a sub %/t 2
        b > 10 { "MQTT" 05 00 003C { 11 0000003C } "%b" }
        b accepted
        b > 34 { "%/t" 0005 {} 'x' }
        b < 50 { 0005 }
        a < 34 { "%/t" @1 {} 'x' }
        b > E0 00
        b closed
        b > 10 { "MQTT" 05 00 003C { 11 0000003C } "%b" }
        b resumed
        b > 3C { "%/t" 0005 {} 'x' }
        b < 50 { 0005 }
        b > 62 { 0005 }
        b < 70 { 0005 }
        a quiet"#,
    ),
    (
        "v5_3_1_4_3_the_session_goes_to_who_takes_over",
        r#"a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a accepted
        a sub %/t 1
        b connect 5
        b pub %/t 1 x
        a < 32 { "%/t" @1 {} 'x' }
        A > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        A resumed
        a < E0 { 8E }
        a closed
        A < 3A { "%/t" @1 {} 'x' }
        A > 40 { @1 }
        b pub %/t 1 y
        A < 32 { "%/t" @2 {} 'y' }"#,
    ),
    (
        "v5_3_1_2_11_4_a_larger_packet_than_the_new_connection_takes",
        r#"a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a accepted
        a sub %/t 1
        b connect 5
        b > 32 { "%/t" 0001 {} 78*100 }
        b < 40 { 0001 }
        a < 32 { "%/t" @1 {} 78*100 }
        a > E0 00
        a closed
        b > 32 { "%/t" 0001 {} 78*100 } 32 { "%/t" 0002 {} 'x' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        a > 10 { "MQTT" 05 00 003C { 11 0000003C 27 00000040 } "%a" }
        a resumed
        a < 32 { "%/t" @2 {} 'x' }
        a quiet"#,
    ),
    (
        "v5_3_3_2_5_a_message_that_expires_while_it_waits",
        r#"a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a accepted
        a sub %/t 1
        a > E0 00
        a closed
        b connect 5
        b > 32 { "%/t" 0001 { 02 00000001 } 'gone' } 32 { "%/t" 0002 { 02 00000064 } 'here' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        wait 1100
        a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a resumed
        a <one of 32 { "%/t" @1 { 02 00000063 } 'here' } | 32 { "%/t" @1 { 02 00000062 } 'here' }
        a quiet"#,
    ),
    (
        "v5_3_1_2_23_a_session_expires",
        r#"a > 10 { "MQTT" 05 00 003C { 11 00000001 } "%a" }
        a accepted
        a sub %/t 1
        a > E0 00
        a closed
        wait 1400
        a > 10 { "MQTT" 05 00 003C { 11 00000001 } "%a" }
        a accepted"#,
    ),
];

#[test]
fn kept() {
    run_slowly(&[], KEPT);
}

const NONE_KEPT: &[Case] = &[
    (
        "v311_3_1_2_4_no_session_is_kept",
        r#"a > 10 { "MQTT" 04 00 003C "%a" }
        a accepted
        a > E0 00
        a closed
        a > 10 { "MQTT" 04 00 003C "%a" }
        a accepted"#,
    ),
    (
        "v5_3_2_2_3_2_the_client_is_told",
        r#"a > 10 { "MQTT" 05 02 003C { 11 00000E10 } "%a" }
        a < 20 { 0000 { 22 0020 11 00000000 27 00100000 21 0400 } }"#,
    ),
];

#[test]
fn none_kept() {
    run_all(&["limits.session_expiry_max=0s"], NONE_KEPT);
}

const QUEUES: &[Case] = &[(
    "v5_3_1_2_5_the_queue_drops_the_oldest",
    r#"a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
    a accepted
    a sub %/t 1
    a > E0 00
    a closed
    # On the same core: what it has got, the session of a has got.
    c connect 5
    c sub %/t 0
    b connect 5
    b pub %/t 1 1
    b pub %/t 0 2
    b pub %/t 1 3
    b pub %/t 0 4
    c < 30 { "%/t" {} '1' }
    c < 30 { "%/t" {} '2' }
    c < 30 { "%/t" {} '3' }
    c < 30 { "%/t" {} '4' }
    a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
    a resumed
    a < 30 { "%/t" {} '2' }
    a < 32 { "%/t" @1 {} '3' }
    a < 30 { "%/t" {} '4' }
    a quiet"#,
)];

#[test]
fn queues() {
    let settings =
        ["limits.queue_full=drop_oldest", "limits.max_queued_messages=3", "limits.queue_qos0=true"];
    run_all(&settings, QUEUES);
}

const WILLS: &[Case] = &[
    (
        "v5_3_1_3_9_a_delayed_will_is_cancelled_by_a_return",
        r#"b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 04 003C { 11 0000003C } "%a" { 18 00000001 } "%/w" 0003 'bye' }
        a accepted
        a rst
        b quiet
        a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a resumed
        wait 1300
        b quiet"#,
    ),
    (
        "v5_3_1_3_2_2_a_delayed_will",
        r#"b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 04 003C { 11 0000003C } "%a" { 18 00000001 26 "k" "v" } "%/w" 0003 'bye' }
        a accepted
        a rst
        b quiet
        wait 1300
        b < 30 { "%/w" { 26 "k" "v" } 'bye' }
        a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a resumed"#,
    ),
    (
        "v5_3_1_3_2_2_the_will_does_not_outwait_its_session",
        r#"b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 04 003C { 11 00000001 } "%a" { 18 0000003C } "%/w" 0003 'bye' }
        a accepted
        a rst
        b quiet
        wait 1300
        b < 30 { "%/w" {} 'bye' }"#,
    ),
    (
        "v5_3_1_3_2_2_a_clean_start_ends_the_session_and_sends_the_will",
        r#"b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 04 003C { 11 0000003C } "%a" { 18 0000003C } "%/w" 0003 'bye' }
        a accepted
        a rst
        b quiet
        a connect 5
        b < 30 { "%/w" {} 'bye' }"#,
    ),
    (
        "v5_3_1_2_10_disconnect_takes_the_will_back",
        r#"b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 04 003C { 11 00000001 } "%a" { 18 00000001 } "%/w" 0003 'bye' }
        a accepted
        a > E0 00
        a closed
        wait 1300
        b quiet"#,
    ),
    (
        "v5_3_14_4_disconnect_with_will_waits_for_the_delay",
        r#"b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 04 003C { 11 0000003C } "%a" { 18 00000001 } "%/w" 0003 'bye' }
        a accepted
        a > E0 { 04 }
        a closed
        b quiet
        wait 1300
        b < 30 { "%/w" {} 'bye' }"#,
    ),
    (
        "v311_3_1_2_8_the_will_of_a_kept_session",
        r#"b connect 311
        b sub %/w 0
        a > 10 { "MQTT" 04 04 003C "%a" "%/w" 0003 'bye' }
        a accepted
        a rst
        b < 30 { "%/w" 'bye' }
        a > 10 { "MQTT" 04 00 003C "%a" }
        a resumed
        a rst
        b quiet"#,
    ),
];

#[test]
fn wills() {
    run_slowly(&[], WILLS);
}
