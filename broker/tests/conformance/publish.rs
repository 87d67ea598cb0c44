//! PUBLISH: what arrives where, with which QoS, flags and properties.

use crate::script::{Case, run_all};

const DELIVERED: &[Case] = &[
    (
        "v31_3_3_between_versions",
        r#"a connect 31
        b connect 311
        c connect 5
        a sub %/t 0
        b sub %/t 0
        c sub %/t 0
        c pub %/t 0 x
        a < 30 { "%/t" 'x' }
        b < 30 { "%/t" 'x' }
        c < 30 { "%/t" {} 'x' }
        a pub %/t 0 y
        a < 30 { "%/t" 'y' }
        b < 30 { "%/t" 'y' }
        c < 30 { "%/t" {} 'y' }"#,
    ),
    (
        "v5_3_8_4_8_the_lower_qos_of_both",
        r#"a connect 5
        b connect 5
        a sub %/0 0
        a sub %/1 1
        a sub %/2 2
        b pub %/0 0 a
        a < 30 { "%/0" {} 'a' }
        b pub %/0 1 b
        a < 30 { "%/0" {} 'b' }
        b pub %/0 2 c
        a < 30 { "%/0" {} 'c' }
        b pub %/1 0 d
        a < 30 { "%/1" {} 'd' }
        b pub %/1 1 e
        a < 32 { "%/1" @1 {} 'e' }
        b pub %/1 2 f
        a < 32 { "%/1" @2 {} 'f' }
        b pub %/2 0 g
        a < 30 { "%/2" {} 'g' }
        b pub %/2 1 h
        a < 32 { "%/2" @3 {} 'h' }
        b pub %/2 2 i
        a < 34 { "%/2" @4 {} 'i' }"#,
    ),
    (
        "v311_3_3_5_1_overlapping_subscriptions",
        r#"a connect 311
        b connect 311
        a sub %/t 0
        a sub %/+ 2
        a sub %/# 1
        b pub %/t 2 x
        a < 34 { "%/t" @1 'x' }
        a quiet"#,
    ),
    (
        "v5_3_3_4_2_overlapping_subscriptions",
        r#"a connect 5
        b connect 5
        a sub %/# 1
        a sub %/+ 0
        b pub %/t 2 x
        a < 32 { "%/t" @1 {} 'x' }
        a quiet"#,
    ),
    (
        "v5_3_3_1_3_dup_is_not_handed_on",
        r#"a connect 5
        b connect 5
        a sub %/t 1
        b > 3A { "%/t" 0001 {} 'x' }
        b < 40 { 0001 }
        a < 32 { "%/t" @1 {} 'x' }"#,
    ),
    (
        "v5_3_3_1_12_retain_as_published",
        r#"a connect 5
        c connect 5
        b connect 311
        a > 82 { 0001 {} "%/t" 08 }
        a < 90 { 0001 {} 00 }
        c sub %/t 0
        b > 31 { "%/t" 'x' } 30 { "%/t" 'y' }
        a < 31 { "%/t" {} 'x' }
        a < 30 { "%/t" {} 'y' }
        c < 30 { "%/t" {} 'x' }
        c < 30 { "%/t" {} 'y' }"#,
    ),
    (
        "v5_3_8_3_3_no_local",
        r#"a connect 5
        b connect 5
        a > 82 { 0001 {} "%/t" 04 }
        a < 90 { 0001 {} 00 }
        a pub %/t 1 mine
        b pub %/t 1 yours
        a < 30 { "%/t" {} 'yours' }
        a quiet"#,
    ),
    (
        "v5_3_8_3_3_local_by_default",
        r#"a connect 5
        a sub %/t 1
        a > 30 { "%/t" {} 'mine' }
        a < 30 { "%/t" {} 'mine' }"#,
    ),
    // Of two subscriptions that match, one with No Local and one without: the message is wanted.
    (
        "v5_3_8_3_3_no_local_on_one_of_two",
        r#"a connect 5
        a > 82 { 0001 {} "%/t" 04 "%/+" 00 }
        a < 90 { 0001 {} 0000 }
        a > 30 { "%/t" {} 'mine' }
        a < 30 { "%/t" {} 'mine' }
        a quiet"#,
    ),
    (
        "v5_3_3_2_properties_unchanged_and_in_order",
        r#"a connect 5
        b connect 5
        c connect 311
        d connect 5
        a sub %/t 0
        c sub %/t 1
        d sub %/t 1
        b > 32 { "%/t" 0001 { 26 "b" "1" 03 "type" 26 "a" "2" 01 01 09 "correlation" 08 "reply/to" 26 "b" "1" 02 0000003C } 'x' }
        b < 40 { 0001 }
        a < 30 { "%/t" { 26 "b" "1" 03 "type" 26 "a" "2" 01 01 09 "correlation" 08 "reply/to" 26 "b" "1" 02 0000003C } 'x' }
        c < 32 { "%/t" @1 'x' }
        d < 32 { "%/t" @2 { 26 "b" "1" 03 "type" 26 "a" "2" 01 01 09 "correlation" 08 "reply/to" 26 "b" "1" 02 0000003C } 'x' }"#,
    ),
    (
        "v311_3_3_3_empty_payload",
        r#"a connect 311
        b connect 5
        a sub %/t 0
        b sub %/t 1
        a > 30 { "%/t" }
        a < 30 { "%/t" }
        b < 30 { "%/t" {} }"#,
    ),
    (
        "v5_what_was_sent_before_the_end_counts",
        r#"a connect 5
        a sub %/t 1
        b connect 5
        b > 30 { "%/t" {} '1' } 32 { "%/t" 0001 {} '2' } 34 { "%/t" 0002 {} '3' }
        b fin
        b < 40 { 0001 }
        b < 50 { 0002 }
        b closed
        a < 30 { "%/t" {} '1' }
        a < 32 { "%/t" @1 {} '2' }
        a < 32 { "%/t" @2 {} '3' }"#,
    ),
    (
        "v5_what_was_sent_before_disconnect_counts",
        r#"a connect 5
        a sub devices/%/state 1
        b connect 5
        b > 30 { "devices/%/state" {} '1' } 32 { "devices/%/state" 0001 {} '2' } E0 00
        a < 30 { "devices/%/state" {} '1' }
        a < 32 { "devices/%/state" @1 {} '2' }"#,
    ),
    (
        "v5_3_3_4_6_subscription_identifier",
        "a connect 5\n a > 30 { \"%/t\" { 0B 01 } 'x' }\n a < E0 { 82 }\n a closed",
    ),
    ("v5_4_7_topic_too_deep", "a connect 5\n a > 30 { [2F*64] {} 'x' }\n a < E0 { 90 }\n a closed"),
    ("v311_4_7_topic_too_deep", "a connect 311\n a > 30 { [2F*64] 'x' }\n a closed"),
    (
        "v5_4_7_topic_of_64_levels",
        r#"a connect 5
        a > 82 { 0001 {} [2F*63] 00 }
        a < 90 { 0001 {} 00 }
        a > 30 { [2F*63] {} 'x' }
        a < 30 { [2F*63] {} 'x' }"#,
    ),
];

#[test]
fn delivered() {
    run_all(&[], DELIVERED);
}
