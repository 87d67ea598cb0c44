//! QoS 0, 1 and 2 in both directions, in all versions.

use crate::script::{Case, run_all};

const MESSAGES: &[Case] = &[
    (
        "any_qos_0",
        "+5 4.3.1-1 2.2.1-2 3.3.1-2 3.3.4-1 2.2.2-1
        -5 3.3.4-1
        +311 4.3.1-1 2.3.1-5 3.3.1-2 3.3.4-1
        -311 3.3.4-1
        +31 2.1/flags 3.3 4.1
        a connect V
        b connect V
        a sub %/t 2
        b pub %/t 0 x
        b quiet
        a gets %/t 0 x
        a quiet",
    ),
    (
        "any_qos_1",
        r#"+5 4.3.2-1 4.3.2-2 4.3.2-4 2.2.1-4 2.2.1-5 3.4.2-1 3.3.1-4 3.3.4-1 4.3.2
        +311 4.3.2-1 4.3.2-2 2.3.1-1 2.3.1-4 2.3.1-6 3.3.1-4
        +31 2.4 3.4 4.1
        a connect V
        b connect V
        a sub %/t 2
        b > 32 { "%/t" FFFF %{} 'x' }
        b < 40 { FFFF }
        a < 32 { "%/t" @1 %{} 'x' }
        a > 40 { @1 }
        a quiet"#,
    ),
    (
        "any_qos_2",
        r#"+5 4.3.3-1 4.3.3-2 4.3.3-4 4.3.3-8 4.3.3-11 2.2.1-5 2.1.3-1 3.5.2-1 3.6.1-1 3.6.2-1 3.7.2-1 3.3.1-4 4.3.3
        +311 4.3.3-1 4.3.3-2 2.2.2-1 2.2.2-2 2.3.1-4 2.3.1-6 3.6.1-1 3.3.1-4
        +31 2.4 3.5 3.6 3.7 4.1
        a connect V
        b connect V
        a sub %/t 2
        b > 34 { "%/t" 0101 %{} 'x' }
        b < 50 { 0101 }
        b > 62 { 0101 }
        b < 70 { 0101 }
        a < 34 { "%/t" @1 %{} 'x' }
        a > 50 { @1 }
        a < 62 { @1 }
        a > 70 { @1 }
        a quiet"#,
    ),
    (
        "any_ids_in_use_are_not_given_again",
        r#"-5 2.2.1-4 4.3.2-1 4.3.3-1
        -311 2.3.1-4 4.3.2-1 4.3.3-1
        a connect V
        b connect V
        a sub %/t 2
        b pub %/t 1 1
        b pub %/t 2 2
        b pub %/t 1 3
        b pub %/t 2 4
        a < 32 { "%/t" @1 %{} '1' }
        a < 34 { "%/t" @2 %{} '2' }
        a < 32 { "%/t" @3 %{} '3' }
        a < 34 { "%/t" @4 %{} '4' }
        a > 40 { @1 }
        b pub %/t 1 5
        a < 32 { "%/t" @5 %{} '5' }"#,
    ),
    (
        "any_dup_is_not_handed_on",
        r#"+5 3.3.1-3
        -5 3.3.1-3 4.3.2-2 4.3.3-2 3.3.1-1
        +311 3.3.1-3
        -311 3.3.1-3 3.3.1-1
        -31 3.3/dup
        a connect V
        b connect V
        a sub %/t 2
        b > 3A { "%/t" 0001 %{} 'x' } 3C { "%/t" 0002 %{} 'y' }
        b < 40 { 0001 }
        b < 50 { 0002 }
        a gets %/t 1 x
        a gets %/t 2 y"#,
    ),
    (
        "any_dup_with_qos_0",
        "-5 3.3.1-2 4.3.1-1\n -311 3.3.1-2 4.3.1-1\n a connect V\n a > 38 { \"%/t\" %{} 'x' }\n a refused 81",
    ),
    (
        "any_qos_3",
        "-5 3.3.1-4\n -311 3.3.1-4 4.3.2-2\n -31 2.1/flags 3.3\n a connect V\n a > 36 { \"%/t\" 0001 %{} 'x' }\n a refused 81",
    ),
    (
        "any_id_0",
        "-5 2.2.1-3\n -311 2.3.1-1\n -31 2.4\n a connect V\n a > 32 { \"%/t\" 0000 %{} 'x' }\n a refused 82",
    ),
    (
        "any_puback_of_id_0",
        "-5 2.2.1-5\n -311 2.3.1-6\n -31 2.4 4.1\n a connect V\n a > 40 { 0000 }\n a refused 82",
    ),
    (
        "any_the_same_id_after_puback_is_new",
        r#"+5 4.3.2-5
        +311 4.3.2-2
        +31 3.3/dup
        a connect V
        b connect V
        a sub %/t 0
        b > 32 { "%/t" 0001 %{} '1' }
        b < 40 { 0001 }
        b > 3A { "%/t" 0001 %{} '2' }
        b < 40 { 0001 }
        a gets %/t 0 1
        a gets %/t 0 2"#,
    ),
    (
        "any_the_same_id_before_pubrel_is_old",
        r#"+5 4.3.3-10
        -5 4.3.3-10
        -311 4.3.3-2
        -31 3.5
        a connect V
        b connect V
        a sub %/t 0
        b > 34 { "%/t" 0001 %{} '1' }
        b < 50 { 0001 }
        b > 3C { "%/t" 0001 %{} '1' }
        b < 50 { 0001 }
        a gets %/t 0 1
        a quiet"#,
    ),
    (
        "any_the_same_id_after_pubcomp_is_new",
        r#"+5 4.3.3-12
        +311 4.3.3-2
        a connect V
        b connect V
        a sub %/t 0
        b pub %/t 2 1
        b pub %/t 2 2
        a gets %/t 0 1
        a gets %/t 0 2"#,
    ),
    (
        "v5_4_3_3_9_the_same_id_after_a_refusal_is_new",
        r#"a connect 5
        a > 34 { "$SYS/%/t" 0005 {} 'x' }
        a < 50 { 0005 87 }
        a sub %/t 0
        a > 34 { "%/t" 0005 {} 'y' }
        a < 50 { 0005 }
        a < 30 { "%/t" {} 'y' }"#,
    ),
    (
        "v311_3_3_5_2_what_is_not_allowed_is_acknowledged",
        r#"+311 3.3.5-2
        a connect 311
        a sub $SYS/# 0
        a > 32 { "$SYS/%/t" 0001 'x' } 34 { "$SYS/%/t" 0002 'x' }
        a < 40 { 0001 }
        a < 50 { 0002 }"#,
    ),
    (
        "v5_4_3_3_11_pubrel_of_an_unknown_id",
        "-5 4.3.3-11\n a connect 5\n a > 62 { 0009 }\n a < 70 { 0009 92 }",
    ),
    ("v5_4_3_3_4_pubrec_of_an_unknown_id", "-5 4.3.3-4\n a connect 5\n a > 50 { 0009 }\n a < 62 { 0009 92 }"),
    ("v5_3_4_2_1_reason_of_another_packet", "-5 3.4.2-1\n a connect 5\n a > 40 { 0001 92 }\n a refused 82"),
    ("v5_3_5_2_1_reason_of_another_packet", "-5 3.5.2-1\n a connect 5\n a > 50 { 0001 01 }\n a refused 82"),
    ("v5_3_6_2_1_reason_of_another_packet", "-5 3.6.2-1\n a connect 5\n a > 62 { 0001 10 }\n a refused 82"),
    ("v5_3_7_2_1_reason_of_another_packet", "-5 3.7.2-1\n a connect 5\n a > 70 { 0001 97 }\n a refused 82"),
    (
        "any_pubrel_without_its_flags",
        "-5 3.6.1-1\n -311 3.6.1-1 4.3.3-1\n -31 3.6\n a connect V\n a > 60 { 0001 }\n a refused 81",
    ),
    ("v31_3_7_pubcomp_of_nothing", "-31 3.7\n a connect 31\n a > 70 { 0009 }\n a quiet"),
    (
        "any_acknowledgements_are_in_order",
        r#"+5 4.6.0-2 4.6.0-3
        +311 4.6.0-2 4.6.0-3 4.6.0-4
        +31 4.3
        b connect V
        b > 32 { "devices/%/state" 0009 %{} 'x' } 32 { "%/t" 0008 %{} 'x' }
        b < 40 { 0009 }
        b <one of 40 { 0008 } | 40 { 0008 10 }
        b > 34 { "devices/%/state" 0007 %{} 'x' } 34 { "%/t" 0006 %{} 'x' }
        b < 50 { 0007 }
        b < 50 { 0006 }
        a connect V
        a sub %/u 2
        b pub %/u 2 1
        b pub %/u 2 2
        a < 34 { "%/u" @1 %{} '1' }
        a < 34 { "%/u" @2 %{} '2' }
        a > 50 { @2 } 50 { @1 }
        a < 62 { @2 }
        a < 62 { @1 }"#,
    ),
    (
        "any_messages_are_in_order",
        r#"+5 4.6.0-5 4.6.0-6
        +311 4.6.0-5 4.6.0-6
        +31 4.3
        a connect V
        b connect V
        a sub %/# 1
        b > 32 { "%/t" 0001 %{} '1' } 32 { "%/u" 0002 %{} '2' } 32 { "%/t" 0003 %{} '3' } 32 { "%/t" 0004 %{} '4' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        b < 40 { 0003 }
        b < 40 { 0004 }
        a gets %/t 1 1
        a gets %/u 1 2
        a gets %/t 1 3
        a gets %/t 1 4"#,
    ),
    (
        "v5_4_4_0_2_an_error_ends_the_delivery",
        r#"+5 4.4.0-2 4.3.3-3
        a connect 5
        b connect 5
        a sub %/t 2
        b pub %/t 2 x
        b pub %/t 1 y
        a < 34 { "%/t" @1 {} 'x' }
        a < 32 { "%/t" @2 {} 'y' }
        a > 50 { @1 97 } 40 { @2 80 }
        a quiet
        b pub %/t 1 z
        a gets %/t 1 z"#,
    ),
];

#[test]
fn messages() {
    run_all(&[], MESSAGES);
}

const SUBSCRIBING: &[Case] = &[
    (
        "any_granted_in_order",
        r#"+5 2.2.1-6 3.8.1-1 3.8.3-2 3.8.3-5 3.8.4-1 3.8.4-2 3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2
        +311 2.3.1-7 3.8.1-1 3.8.3-3 3.8.3-4 3.8.4-1 3.8.4-2 3.8.4-4 3.8.4-5 3.9.3-1 3.9.3-2
        +31 3.8 3.9
        a connect V
        a > 82 { ABCD %{} "%/a" 02 "%/b" 00 "%/c" 01 }
        a < 90 { ABCD %{} 020001 }
        b connect V
        b pub %/b 1 x
        b pub %/c 1 y
        a gets %/b 0 x
        a gets %/c 1 y"#,
    ),
    (
        "any_the_lower_qos",
        "+5 3.8.4-8
        -5 3.8.4-8
        +311 3.8.4-6
        -311 3.8.4-6
        +31 3.8
        a connect V
        a sub %/1 1
        a sub %/2 2
        b connect V
        b pub %/1 2 x
        a gets %/1 1 x
        b pub %/2 1 y
        a gets %/2 1 y",
    ),
    (
        "any_overlapping",
        "+5 3.3.4-2
        -5 3.3.4-2
        +311 3.3.5-1
        -311 3.3.5-1
        a connect V
        a sub %/t 0
        a sub %/+ 2
        a sub %/# 1
        b connect V
        b pub %/t 2 x
        a gets %/t 2 x
        a quiet",
    ),
    (
        "any_the_same_filter_again",
        "+5 3.8.4-3
        -5 3.8.4-3
        +311 3.8.4-3
        -311 3.8.4-3
        a connect V
        b connect V
        a sub %/t 2
        a sub %/t 0
        b pub %/t 2 x
        a gets %/t 0 x
        a quiet",
    ),
    (
        "any_unsubscribing",
        r#"+5 3.10.1-1 3.10.3-2 3.10.4-1 3.10.4-2 3.10.4-4 3.11.3-1 3.11.3-2
        -5 3.10.4-1 3.10.4-2
        +311 3.10.1-1 3.10.3-2 3.10.4-1 3.10.4-2 3.10.4-4
        -311 3.10.4-1 3.10.4-2
        +31 3.10 3.11
        -31 3.10
        a connect V
        a sub %/t 1
        a sub %/+ 0
        a sub %/T 0
        a unsub %/t
        b connect V
        b pub %/t 1 1
        b pub %/T 0 2
        a gets %/t 0 1
        a gets %/T 0 2
        a unsub %/+
        b pub %/t 1 3
        a quiet"#,
    ),
    (
        "any_what_has_begun_is_completed",
        r#"+5 3.10.4-3
        -5 3.10.4-3
        +311 3.10.4-3
        -311 3.10.4-3
        a connect V
        b connect V
        a sub %/t 2
        b pub %/t 2 1
        a < 34 { "%/t" @1 %{} '1' }
        a unsub %/t
        b pub %/t 2 2
        a > 50 { @1 }
        a < 62 { @1 }
        a > 70 { @1 }
        a quiet"#,
    ),
    (
        "v5_3_10_4_5_a_reason_for_each",
        r#"+5 3.10.4-5 3.10.4-6 3.11.3-1 3.11.3-2 3.11.3
        -5 3.10.4-5 3.10.4-6
        a connect 5
        a sub %/a 0
        a sub %/b 0
        a > A2 { 0009 {} "%/x" "%/a" "%/b" "%/a" }
        a < B0 { 0009 {} 11000011 }
        a quiet"#,
    ),
    (
        "v311_3_10_4_5_always_answered",
        r#"+311 3.10.4-5 3.10.4-6
        -311 3.10.4-5 3.10.4-6
        a connect 311
        a > A2 { 0009 "%/x" "%/y" "%/z" }
        a < B0 { 0009 }
        a quiet"#,
    ),
    (
        "any_subscribe_of_nothing",
        "-5 3.8.3-2 3.8.4-1\n -311 3.8.3-3 3.8.4-1\n -31 3.8\n a connect V\n a > 82 { 0001 %{} }\n a refused 82",
    ),
    (
        "any_subscribe_with_id_0",
        "-5 3.8.4-2 2.2.1-6 2.2.1-3\n -311 3.8.4-2 2.3.1-7 2.3.1-1\n a connect V\n a > 82 { 0000 %{} \"%/t\" 00 }\n a refused 81",
    ),
    (
        "any_subscribe_without_its_flags",
        "-5 3.8.1-1\n -311 3.8.1-1\n a connect V\n a > 80 { 0001 %{} \"%/t\" 00 }\n a refused 81",
    ),
    (
        "any_unsubscribe_without_its_flags",
        "-5 3.10.1-1 3.10.4-4\n -311 3.10.1-1 3.10.4-4\n -31 3.11\n a connect V\n a > A0 { 0001 %{} \"%/t\" }\n a refused 81",
    ),
    (
        "any_unsubscribe_of_nothing",
        "-5 3.10.3-2\n -311 3.10.3-2\n a connect V\n a > A2 { 0001 %{} }\n a refused 82",
    ),
    ("v5_3_8_3_5_reserved_options", "a connect 5\n a > 82 { 0001 {} \"%/t\" 40 }\n a refused 81"),
    ("v311_3_8_3_4_options_of_5", "a connect 311\n a > 82 { 0001 \"%/t\" 08 }\n a closed"),
    // The second of two filters makes the packet malformed: no SUBACK, and none of them counts.
    (
        "any_one_bad_filter_of_two",
        "-5 3.8.4-5 3.8.4-6 3.8.4-7\n -311 3.8.4-4 3.8.4-5\n -31 3.9\n a connect V\n b connect V\n a > 82 { 0001 %{} \"%/t\" 00 \"%/u\" 03 }\n a refused 82\n b pub %/t 1 x",
    ),
    (
        "v5_3_9_3_1_failures_stand_in_their_place",
        r#"+5 3.9.3
        -5 3.9.3-1 3.9.3-2 3.8.4-7
        a connect 5
        a > 82 { 0001 {} "%/a" 01 [2F*64] 02 "%/b" 02 }
        a < 90 { 0001 {} 018F02 }"#,
    ),
    (
        "v311_3_9_3_2_failures_are_80",
        r#"-311 3.9.3-1 3.9.3-2
        a connect 311
        a > 82 { 0001 "%/a" 01 [2F*64] 02 "%/b" 02 }
        a < 90 { 0001 018002 }"#,
    ),
    (
        "v5_3_11_3_1_failures_stand_in_their_place",
        r#"-5 3.11.3-1 3.11.3-2
        a connect 5
        a sub %/b 1
        a > A2 { 0001 {} "%/a" "%/b" "%/c" }
        a < B0 { 0001 {} 110011 }"#,
    ),
    (
        "v5_3_8_3_3_own_messages_stay_away",
        "-5 3.8.3-3\n a connect 5\n b connect 5\n a sub %/t 05\n a pub %/t 1 mine\n b pub %/t 1 yours\n a gets %/t 1 yours\n a quiet",
    ),
    ("v5_3_8_3_3_local", "+5 3.8.3-3\n a connect 5\n a sub %/t 01\n a pub %/t 0 mine\n a gets %/t 0 mine"),
];

#[test]
fn subscribing() {
    run_all(&[], SUBSCRIBING);
}
