//! Wills in all versions, and the will delay of 5.0.

use crate::script::{Case, run_all};

const WILLS: &[Case] = &[
    (
        "any_a_connection_that_breaks",
        "+5 3.1.2-7 3.1.2-8
        -5 3.1.2-10
        +311 3.1.2-8 3.1.2-10
        +31 3.1/will
        b connect V
        b sub %/w 2
        a connect V will %/w 2 gone
        a rst
        b gets %/w 2 gone
        a connect V
        a fin
        a closed
        b quiet",
    ),
    (
        "any_a_goodbye_drops_it",
        "+5 3.1.2-10
        -5 3.1.2-8 3.14.4-3
        -311 3.1.2-8 3.1.2-10 3.14.4-3
        -31 3.1/will
        b connect V
        b sub %/w 1
        a connect V will %/w 1 gone
        a bye
        a connect V
        a fin
        a closed
        b quiet",
    ),
    (
        "any_no_will",
        "-5 3.1.2-7
        -311 3.1.2-12
        -31 3.1/will
        b connect V
        b sub %/# 0
        a connect V
        a fin
        a closed
        b quiet",
    ),
    (
        "v5_3_14_4_3_only_a_reason_of_0_drops_it",
        r#"+5 3.14.4-3 3.14.2.1
        b connect 5
        b sub %/w 1
        a connect 5 will %/w 1 gone
        a > E0 { 04 }
        a closed
        b gets %/w 1 gone
        a connect 5 will %/w 1 again
        a > E0 { 80 {} }
        a closed
        b gets %/w 1 again"#,
    ),
    (
        "v5_3_1_3_2_its_properties_go_with_it",
        r#"+5 3.1.3-10
        +5 3.1.3.2
        b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 06 003C {} "%a" { 26 "b" "1" 26 "a" "2" 01 01 03 "t" 08 "r" 09 "c" } "%/w" "gone" }
        a accepted
        a rst
        b < 30 { "%/w" { 26 "b" "1" 26 "a" "2" 01 01 03 "t" 08 "r" 09 "c" } 'gone' }"#,
    ),
];

#[test]
fn wills() {
    run_all(&[], WILLS);
}

/// Run by slow.rs.
pub const DELAYED: &[Case] = &[
    (
        "v5_3_1_3_2_2_not_before_its_delay",
        r#"+5 3.1.2-8
        -5 3.1.3.2.2
        b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 04 003C { 11 0000003C } "%a" { 18 00000002 } "%/w" "gone" }
        a accepted
        a fin
        a closed
        wait 1s
        b quiet
        b gets %/w 0 gone
        b quiet"#,
    ),
    (
        "v5_3_1_3_9_not_if_the_client_is_back_in_time",
        r#"-5 3.1.3-9
        b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 04 003C { 11 0000003C } "%a" { 18 00000001 } "%/w" "gone" }
        a accepted
        a fin
        a closed
        wait 300ms
        a connect 5 keep 60 present
        wait 2500ms
        b quiet"#,
    ),
    (
        "v5_3_1_3_9_but_if_it_is_not",
        r#"+5 3.1.3-9
        b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 04 003C { 11 0000003C } "%a" { 18 00000001 } "%/w" "gone" }
        a accepted
        a rst
        wait 2500ms
        a connect 5 keep 60 present
        b gets %/w 0 gone"#,
    ),
    (
        "v5_3_1_3_2_2_the_end_of_the_session_ends_the_delay",
        r#"+5 3.1.3.2.2
        b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 04 003C { 11 00000001 } "%a" { 18 0000FFFF } "%/w" "gone" }
        a accepted
        a rst
        wait 1s
        b gets %/w 0 gone"#,
    ),
    // A clean start ends the old session, and with it the delay.
    (
        "v5_3_1_3_2_2_a_clean_start_ends_the_delay",
        r#"+5 3.1.3.2.2
        b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 04 003C { 11 0000003C } "%a" { 18 0000FFFF } "%/w" "gone" }
        a accepted
        a fin
        a closed
        a connect 5
        b gets %/w 0 gone"#,
    ),
    (
        "v5_3_1_2_10_a_goodbye_drops_it_though_the_session_stays",
        r#"-5 3.1.2-10
        b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 04 003C { 11 0000003C } "%a" { 18 00000001 } "%/w" "gone" }
        a accepted
        a bye
        wait 2500ms
        b quiet"#,
    ),
    (
        "v5_3_1_3_2_4_its_expiry_begins_when_it_is_published",
        r#"+5 3.1.3.2.4
        b connect 5
        b sub %/w 0
        a > 10 { "MQTT" 05 04 003C { 11 0000003C } "%a" { 18 00000002 02 00000001 } "%/w" "gone" }
        a accepted
        a rst
        wait 1s
        b < 30 { "%/w" { 02 ~00000001 } 'gone' }"#,
    ),
];
