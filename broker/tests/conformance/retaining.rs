//! Retained messages: what is kept, what a new subscription gets, and the retain flag of what is sent. What a core has
//! kept for a subscriber of another core may come after a PINGRESP, so who is to get nothing waits a moment first.

use crate::script::{Case, run_slowly};

const KEPT: &[Case] = &[
    (
        "any_the_last_one_is_kept",
        "+5 3.3.1-5 3.3.1-9 3.3.1.3
        -5 3.3.1-5
        +311 3.3.1-5 3.3.1-6 3.3.1-8
        -311 3.3.1-5 3.3.1-6
        +31 3.3/retain
        b connect V
        b pub %/t 1r one
        b pub %/t 1r two
        a connect V
        a sub %/# 2
        a gets %/t 1r two
        wait 100ms
        a quiet",
    ),
    (
        "any_not_for_topics_that_do_not_match",
        "-5 3.3.1-9
        b connect V
        b pub %/t 1r one
        a connect V
        a sub %/u 2
        a sub %/+/t 2
        wait 100ms
        a quiet",
    ),
    (
        "any_each_topic_has_one",
        r#"+311 3.3.1-6
        +5 3.3.1-9
        b connect V
        b pub %/a 0r 1
        b pub %/b 0r 2
        b pub %/c/d 0r 3
        b quiet
        a connect V
        a sub %/# 0
        a <| 31 { "%/a" %{} '1' } | 31 { "%/b" %{} '2' } | 31 { "%/c/d" %{} '3' }
        wait 100ms
        a quiet"#,
    ),
    (
        "any_of_qos_0_too",
        "+311 3.3.1-7
        -311 3.3.1-7
        b connect V
        b pub %/t 1r one
        b pub %/t 0r two
        b quiet
        a connect V
        a sub %/t 1
        a gets %/t 0r two
        wait 100ms
        a quiet",
    ),
    (
        "any_established_subscriptions_get_no_flag",
        "+5 3.3.1-12
        -5 3.3.1-12 3.1.2-15
        +311 3.3.1-9
        -311 3.3.1-8 3.3.1-9
        a connect V
        a sub %/t 1
        b connect V
        b pub %/t 1r x
        a gets %/t 1 x
        c connect V will %/t 0r gone
        c rst
        a gets %/t 0 gone",
    ),
    (
        "any_an_empty_one_removes_it",
        "+5 3.3.1-6 3.3.3
        -5 3.3.1-6
        +311 3.3.1-10
        -311 3.3.1-10
        -31 3.3/retain
        b connect V
        b pub %/t 1r one
        c connect V
        c sub %/t 1
        c gets %/t 1r one
        b pub %/t 1r
        c gets %/t 1
        a connect V
        a sub %/t 1
        wait 100ms
        a quiet",
    ),
    (
        "any_an_empty_one_is_not_kept",
        "+5 3.3.1-7
        -5 3.3.1-7
        +311 3.3.1-11
        -311 3.3.1-11
        c connect V
        c sub %/t 1
        b connect V
        b pub %/t 1r
        c gets %/t 1
        a connect V
        a sub %/t 1
        wait 100ms
        a quiet",
    ),
    (
        "any_without_the_flag_nothing_changes",
        "+5 3.3.1-8
        -5 3.3.1-8
        +311 3.3.1-12
        -311 3.3.1-12
        b connect V
        b pub %/t 1r one
        b pub %/t 1 two
        b pub %/t 0
        b pub %/u 1 three
        a connect V
        a sub %/# 1
        a gets %/t 1r one
        wait 100ms
        a quiet",
    ),
    (
        "any_sessions_come_and_go",
        "+311 3.1.2-7
        -311 3.1.2-7
        b connect V
        b pub %/t 1r one
        b bye
        b connect V
        b bye
        a connect V
        a sub %/t 1
        a gets %/t 1r one",
    ),
    (
        "any_the_lower_qos_of_a_kept_one",
        "+5 3.8.4-8
        +311 3.8.4-6
        b connect V
        b pub %/t 2r x
        a connect V
        a sub %/t 1
        a gets %/t 1r x
        a sub %/+ 0
        a gets %/t 0r x
        a sub %/# 2
        a gets %/t 2r x",
    ),
    (
        "any_subscribing_again_sends_it_again",
        "+5 3.8.4-4 3.3.1-9
        +311 3.8.4-3
        b connect V
        b pub %/t 1r x
        a connect V
        a sub %/t 1
        a gets %/t 1r x
        a sub %/t 1
        a gets %/t 1r x",
    ),
    (
        "v5_3_8_4_4_nothing_is_lost_by_replacing",
        r#"-5 3.8.4-4
        a connect 5 with 21 0001
        a sub %/t 1
        b connect 5
        b pub %/t 1 1
        b pub %/t 1 2
        a < 32 { "%/t" @1 {} '1' }
        a sub %/t 1
        b pub %/t 1 3
        a > 40 { @1 }
        a gets %/t 1 2
        a gets %/t 1 3"#,
    ),
    (
        "v5_3_3_1_10_only_for_a_new_subscription",
        "+5 3.3.1-10
        -5 3.3.1-10
        b connect 5
        b pub %/t 1r x
        a connect 5
        a sub %/t 11
        a gets %/t 1r x
        a sub %/t 11
        wait 100ms
        a quiet
        a unsub %/t
        a sub %/t 11
        a gets %/t 1r x",
    ),
    (
        "v5_3_3_1_11_not_at_all",
        "+5 3.3.1-11
        -5 3.3.1-11
        b connect 5
        b pub %/t 1r x
        a connect 5
        a sub %/t 21
        wait 100ms
        a quiet
        b pub %/t 1r y
        a gets %/t 1 y",
    ),
    (
        "v5_3_3_1_13_as_published",
        "+5 3.3.1-13
        -5 3.3.1-13
        a connect 5
        a sub %/t 09
        b connect 5
        b pub %/t 1r x
        b pub %/t 1 y
        a gets %/t 1r x
        a gets %/t 1 y",
    ),
    (
        "v5_3_3_1_12_kept_ones_have_the_flag",
        "+5 3.3.1.3
        b connect 5
        b pub %/t 1r x
        a connect 5
        a sub %/t 01
        a gets %/t 1r x",
    ),
    (
        "v5_3_3_2_properties_are_kept_with_it",
        r#"b connect 5
        b > 31 { "%/t" { 26 "b" "1" 03 "type" 26 "a" "2" 01 01 09 "correlation" 08 "reply/to" } 'x' }
        b quiet
        a connect 5
        a sub %/t 0
        a < 31 { "%/t" { 26 "b" "1" 03 "type" 26 "a" "2" 01 01 09 "correlation" 08 "reply/to" } 'x' }
        c connect 311
        c sub %/t 0
        c gets %/t 0r x"#,
    ),
    (
        "v5_3_8_2_1_2_with_kept_messages",
        r#"b connect 5
        b pub %/t 0r x
        b quiet
        a connect 5
        a > 82 { 0001 { 0B 05 } "%/t" 00 }
        a < 90 { 0001 {} 00 }
        a < 31 { "%/t" { 0B 05 } 'x' }"#,
    ),
    (
        "any_not_for_wildcards_before_dollar",
        "-5 4.7.2
        b connect V
        b pub $x/%/t 1r x
        a connect V
        a sub +/%/t 1
        wait 100ms
        a quiet
        a sub $x/%/t 1
        a gets $x/%/t 1r x",
    ),
];

#[test]
fn retained_messages() {
    run_slowly(&[], KEPT);
}

const WILLS: &[Case] = &[
    (
        "any_a_will_that_is_kept",
        "+5 3.1.2-15 3.2.2-13
        +311 3.1.2-17
        +31 3.1/will-retain
        b connect V
        b sub %/w 1
        a connect V will %/w 1r gone
        a rst
        b gets %/w 1 gone
        c connect V
        c sub %/w 1
        c gets %/w 1r gone",
    ),
    (
        "any_a_will_that_is_not",
        "+5 3.1.2-14
        -5 3.1.2-14
        +311 3.1.2-16
        -311 3.1.2-16 3.1.2-17
        -31 3.1/will-retain
        b connect V
        b sub %/w 1
        a connect V will %/w 1 gone
        a rst
        b gets %/w 1 gone
        c connect V
        c sub %/w 1
        wait 100ms
        c quiet",
    ),
];

#[test]
fn retained_wills() {
    run_slowly(&[], WILLS);
}

/// Run by slow.rs.
pub const EXPIRE: &[Case] = &[
    (
        "v5_3_3_2_3_3_kept_ones_expire",
        r#"-5 3.3.2-5
        b connect 5
        b > 33 { "%/t" 0001 { 02 00000001 } 'x' }
        b < 40 { 0001 10 }
        wait 2500ms
        a connect 5
        a sub %/t 1
        a quiet"#,
    ),
    (
        "v5_3_3_2_3_3_kept_ones_count_down",
        r#"+5 3.3.2-6
        b connect 5
        b > 31 { "%/t" { 02 0000003C } 'x' }
        b quiet
        wait 2200ms
        a connect 5
        a sub %/t 1
        a < 31 { "%/t" { 02 ~0000003A } 'x' }"#,
    ),
];

/// Run by slow.rs.
pub const AT_MOST: &[Case] = &[(
    "any_kept_no_longer_than_the_limit",
    "+5 3.2.2.3.5
    -5 3.2.2.3.5
    b connect V
    b pub %/t 1r x
    a connect V
    a sub %/t 1
    a gets %/t 1r x
    wait 2500ms
    c connect V
    c sub %/t 1
    c quiet",
)];
