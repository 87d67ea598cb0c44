//! Sessions that outlive their connection: what is kept, what is sent again, and when they end.

use crate::script::{Case, run_all, run_slowly};

const KEPT: &[Case] = &[
    (
        "any_messages_wait_for_their_client",
        "+5 3.1.2-5 3.1.2-23 3.1.3-2 3.2.2-3 3.2.2-6 4.1 4.4
        -5 3.2.0-1
        +311 3.1.2-4 3.1.2-5 3.1.3-2 3.2.2-2 3.2.2-4 4.1.0-1
        -311 3.2.0-1
        +31 3.1/kept
        a connect V keep 60
        a sub %/t 2
        a bye
        b connect V
        b pub %/t 1 1
        b pub %/t 2 2
        b pub %/t 1 3
        a connect V keep 60 present
        a < 32 { \"%/t\" @1 %{} '1' }
        a < 34 { \"%/t\" @2 %{} '2' }
        a < 32 { \"%/t\" @3 %{} '3' }
        a quiet",
    ),
    (
        "any_also_after_a_broken_connection",
        "+5 3.1.2-5
        +311 3.1.2-4
        a connect V keep 60
        a sub %/t 1
        a fin
        a closed
        b connect V
        b pub %/t 1 1
        a connect V keep 60 present
        a gets %/t 1 1
        b pub %/t 1 2
        a gets %/t 1 2",
    ),
    (
        "any_also_when_taken_over",
        "+5 4.1.0-1
        -5 4.1.0-1
        +311 4.1.0-2
        -311 4.1.0-2 4.1.0-1
        +31 3.1/kept
        a connect V keep 60
        a sub %/t 1
        A connect V keep 60 present
        a refused 8E
        b connect V
        b pub %/t 1 1
        A gets %/t 1 1",
    ),
    (
        "v5_a_session_is_kept_between_versions",
        "a connect 5 keep 60
        a sub %/t 1
        a bye
        b connect 5
        b pub %/t 1 1
        a connect 311 keep 60 present
        a gets %/t 1 1
        a bye
        b pub %/t 1 2
        a connect 31 keep 60
        a gets %/t 1 2",
    ),
    (
        "any_a_clean_start_begins_anew",
        "+5 3.1.2-4 3.1.2-6 3.1.4-4 3.2.2-2
        +311 3.1.2-6 3.1.4-3 3.2.2-1
        +31 3.1/clean
        a connect V keep 60
        a bye
        a connect V
        a bye
        a connect V keep 60",
    ),
    (
        "any_nothing_of_the_former_session_comes",
        "-5 3.1.2-4 3.1.4-4 3.2.2-2
        -311 3.1.2-6 3.1.4-3 3.2.2-1
        -31 3.1/clean
        a connect V keep 60
        a sub %/t 1
        a bye
        b connect V
        b pub %/t 1 1
        a connect V
        a quiet
        b pub %/t 1 2
        a quiet",
    ),
    (
        "any_a_session_is_its_ids",
        "-5 3.1.2-5 3.1.2-6 3.1.3-2 3.2.2-3
        -311 3.1.2-4 3.1.3-2 3.2.2-3
        -31 3.1/kept
        a connect V keep 60
        a sub %/t 1
        a bye
        c connect V
        c pub %/t 1 1
        b connect V keep 60
        b quiet
        c pub %/t 1 2
        b quiet",
    ),
    (
        "any_not_that_of_a_clean_session",
        "-5 3.1.2-23
        -311 3.1.2-5
        -31 3.1/clean
        a connect V
        a sub %/t 1
        a bye
        b connect V
        b pub %/t 1 1
        a connect V keep 60
        a quiet",
    ),
    (
        "v5_3_1_2_11_2_expiry_0_ends_with_the_connection",
        "-5 3.1.2-23 3.1.2.11.2
        a connect 5 keep 0
        a sub %/t 1
        a bye
        a connect 5 keep 60
        b connect 5
        b pub %/t 1 1
        a quiet",
    ),
    (
        "v5_3_1_2_11_2_never_ends",
        "+5 3.1.2.11.2 3.1.2-23
        a connect 5 keep 4294967295
        a bye
        a connect 5 keep 0 present",
    ),
    (
        "v5_3_1_2_11_2_a_clean_start_can_be_kept",
        "+5 3.1.2.11.2
        a connect 5 expiry 60
        a sub %/t 1
        a bye
        b connect 5
        b pub %/t 1 1
        a connect 5 keep 60 present
        a gets %/t 1 1",
    ),
    (
        "v5_3_14_2_2_2_goodbye_can_end_it",
        "a connect 5 keep 60
        a > E0 { 00 { 11 00000000 } }
        a closed
        a connect 5 keep 60",
    ),
    (
        "v5_3_14_2_2_2_goodbye_can_change_it",
        "a connect 5 keep 60
        a > E0 { 00 { 11 000000FF } }
        a closed
        a connect 5 keep 60 present",
    ),
    (
        "v5_3_2_2_6_refused_with_a_session",
        r#"-5 3.2.2-6 3.2.2-3
        a connect 5 keep 60
        a bye
        a > 10 { "MQTT" 05 04 003C { 11 0000003C } "%a" {} [2F*64] "gone" }
        a < 20 { 0090 {} }
        a closed
        a connect 5 keep 60 present"#,
    ),
    (
        "v311_3_2_2_4_refused_with_a_session",
        r#"-311 3.2.2-4
        a connect 311 keep 60
        a bye
        a > 10 { "MQTT" 03 00 003C "%a" }
        a < 20 { 0001 }
        a closed
        a connect 311 keep 60 present"#,
    ),
    (
        "v5_a_subscription_that_was_left_stays_left",
        "a connect 5 keep 60
        a sub %/t 1
        a unsub %/t
        a bye
        b connect 5
        b pub %/t 1 1
        a connect 5 keep 60 present
        a quiet",
    ),
];

#[test]
fn kept_sessions() {
    run_all(&[], KEPT);
}

const AGAIN: &[Case] = &[
    (
        "any_unacknowledged_comes_again",
        r#"+5 3.3.1-1 4.3.2-3 4.3.3-3 4.4.0-1 4.6.0-1
        +311 2.3.1-3 3.3.1-1 4.4.0-1 4.6.0-1
        +31 4.2 3.3/dup
        a connect V keep 60
        a sub %/t 2
        b connect V
        b pub %/t 1 1
        b pub %/t 2 2
        b pub %/t 1 3
        a < 32 { "%/t" @1 %{} '1' }
        a < 34 { "%/t" @2 %{} '2' }
        a < 32 { "%/t" @3 %{} '3' }
        a fin
        a closed
        b pub %/t 1 4
        a connect V keep 60 present
        a < 3A { "%/t" @1 %{} '1' }
        a < 3C { "%/t" @2 %{} '2' }
        a < 3A { "%/t" @3 %{} '3' }
        a gets %/t 1 4
        a > 40 { @1 } 50 { @2 } 40 { @3 }
        a < 62 { @2 }
        a > 70 { @2 }
        a quiet"#,
    ),
    (
        "any_pubrel_comes_again_and_publish_does_not",
        r#"+5 4.3.3-5 4.3.3-6 4.4.0-1
        -5 4.3.3-6
        +311 4.4.0-1
        +31 4.2
        a connect V keep 60
        a sub %/t 2
        b connect V
        b pub %/t 2 1
        a < 34 { "%/t" @1 %{} '1' }
        a > 50 { @1 }
        a < 62 { @1 }
        a fin
        a closed
        a connect V keep 60 present
        a < 62 { @1 }
        a > 70 { @1 }
        a quiet"#,
    ),
    (
        "any_what_is_acknowledged_does_not",
        "-5 4.3.2-3 4.3.3-3 4.3.3-5 4.4.0-1
        -311 4.4.0-1
        a connect V keep 60
        a sub %/t 2
        b connect V
        b pub %/t 1 1
        b pub %/t 2 2
        a gets %/t 1 1
        a gets %/t 2 2
        a quiet
        a fin
        a closed
        a connect V keep 60 present
        a quiet",
    ),
    (
        "v5_4_4_0_2_what_was_refused_does_not",
        r#"-5 4.4.0-2
        a connect 5 keep 60
        a sub %/t 2
        b connect 5
        b pub %/t 1 1
        b pub %/t 2 2
        a < 32 { "%/t" @1 {} '1' }
        a < 34 { "%/t" @2 {} '2' }
        a > 40 { @1 80 } 50 { @2 97 }
        a quiet
        a fin
        a closed
        a connect 5 keep 60 present
        a quiet"#,
    ),
    (
        "any_a_publishers_qos_2_goes_on",
        r#"-5 4.3.3-10
        -311 4.3.3-2
        a connect V
        a sub %/t 0
        b connect V keep 60
        b > 34 { "%/t" 0001 %{} 'x' }
        b < 50 { 0001 }
        b fin
        b closed
        b connect V keep 60 present
        b > 3C { "%/t" 0001 %{} 'x' }
        b < 50 { 0001 }
        b > 62 { 0001 }
        b < 70 { 0001 }
        a gets %/t 0 x
        a quiet"#,
    ),
    (
        "v5_ids_of_a_former_session_are_new",
        r#"a connect 5
        a sub %/t 0
        b connect 5 keep 60
        b > 34 { "%/t" 0001 {} '1' }
        b < 50 { 0001 }
        b bye
        b connect 5
        b > 3C { "%/t" 0001 {} '2' }
        b < 50 { 0001 }
        a gets %/t 0 1
        a gets %/t 0 2"#,
    ),
];

#[test]
fn kept_deliveries() {
    run_all(&[], AGAIN);
}

/// Run by slow.rs.
pub const IN_TIME: &[Case] = &[
    (
        "v5_4_1_0_2_ends_when_its_expiry_has_passed",
        "-5 4.1.0-2 3.1.2.11.2
        a connect 5 keep 1
        a sub %/t 1
        a bye
        wait 2500ms
        a connect 5 keep 60
        b connect 5
        b pub %/t 1 1
        a quiet",
    ),
    (
        "v5_4_1_0_2_not_before",
        "+5 4.1.0-2
        a connect 5 keep 5
        a bye
        wait 1500ms
        a connect 5 keep 5 present",
    ),
    (
        "v5_4_1_0_1_not_while_connected",
        "+5 4.1.0-1
        a connect 5 keep 1
        a sub %/t 1
        wait 2500ms
        b connect 5
        b pub %/t 1 1
        a gets %/t 1 1
        a fin
        a closed
        a connect 5 keep 1 present",
    ),
    (
        "v5_4_1_0_2_the_later_expiry_counts",
        "-5 4.1.0-2
        a connect 5 keep 60
        a > E0 { 00 { 11 00000001 } }
        a closed
        wait 2500ms
        a connect 5 keep 60",
    ),
    (
        "any_nothing_is_repeated_within_a_connection",
        r#"-5 4.4.0-1
        -311 4.4.0-1
        a connect V
        a sub %/t 2
        b connect V
        b pub %/t 1 1
        b pub %/t 2 2
        a < 32 { "%/t" @1 %{} '1' }
        a < 34 { "%/t" @2 %{} '2' }
        wait 1500ms
        a quiet"#,
    ),
];

/// Run by slow.rs.
pub const AT_MOST: &[Case] = &[
    (
        "v5_3_2_2_3_2_the_longest_expiry_is_said",
        "a connect 5 keep 60
        a has 11 00000001
        a sub %/t 1
        a bye
        wait 2500ms
        a connect 5 keep 60",
    ),
    (
        "v5_3_2_2_3_2_a_shorter_one_is_kept",
        "a connect 5 keep 1\n a lacks 11\n a bye\n a connect 5 keep 1 present",
    ),
];

const MANY: &[Case] = &[(
    "v5_3_1_4_2_one_session_too_many",
    r#"a connect 5 keep 60
    a > E0 { 00 { 11 000000FF } }
    a closed
    b > 10 { "MQTT" 05 02 003C { 11 0000003C } "%b" }
    b < 20 { 0097 {} }
    b closed
    a connect 5 keep 0 present
    a bye
    b connect 5 keep 0
    b bye"#,
)];

#[test]
fn no_more_sessions_than_the_limit_allows() {
    run_all(&["limits.max_sessions=1"], MANY);
}

const QOS_0: &[Case] = &[(
    "any_qos_0_waits",
    "+5 4.1
    a connect V keep 60
    a sub %/t 1
    a bye
    b connect V
    b pub %/t 0 1
    b pub %/t 1 2
    a connect V keep 60 present
    a gets %/t 0 1
    a gets %/t 1 2",
)];

#[test]
fn qos_0_is_kept_if_wanted() {
    run_all(&["limits.queue_qos0=true"], QOS_0);
}

const NO_QOS_0: &[Case] = &[(
    "any_qos_0_is_left_out",
    "+5 4.1
    a connect V keep 60
    a sub %/t 1
    a bye
    b connect V
    b pub %/t 0 1
    b pub %/t 1 2
    wait 300ms
    a connect V keep 60 present
    a gets %/t 1 2
    a quiet",
)];

#[test]
fn qos_0_is_not_kept_if_not_wanted() {
    // Without the wait, a message of QoS 0 may be on its way to the client's core while the client comes back.
    run_slowly(&["limits.queue_qos0=false"], NO_QOS_0);
}
