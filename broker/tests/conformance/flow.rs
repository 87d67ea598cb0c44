//! The exchanges of QoS 1 and 2, both ways: acknowledgements, duplicates, order, unknown packet ids.

use crate::script::{Case, run_all};

const EXCHANGES: &[Case] = &[
    (
        "v31_4_1_qos_1_both_ways",
        r#"a connect 31
        b connect 31
        a sub %/t 1
        b > 32 { "%/t" 0001 'x' }
        b < 40 { 0001 }
        a < 32 { "%/t" @1 'x' }
        a > 40 { @1 }
        a quiet"#,
    ),
    (
        "v311_4_3_2_1_qos_1_both_ways",
        r#"a connect 311
        b connect 311
        a sub %/t 1
        b > 32 { "%/t" FFFF 'x' }
        b < 40 { FFFF }
        a < 32 { "%/t" @1 'x' }
        a > 40 { @1 }
        a quiet"#,
    ),
    (
        "v5_4_3_2_qos_1_both_ways",
        r#"a connect 5
        b connect 5
        a sub %/t 1
        b > 32 { "%/t" 0001 {} 'x' }
        b < 40 { 0001 }
        a < 32 { "%/t" @1 {} 'x' }
        a > 40 { @1 00 { 1F "thanks" } }
        a quiet"#,
    ),
    (
        "v31_4_1_qos_2_both_ways",
        r#"a connect 31
        b connect 31
        a sub %/t 2
        b > 34 { "%/t" 0007 'x' }
        b < 50 { 0007 }
        b > 62 { 0007 }
        b < 70 { 0007 }
        a < 34 { "%/t" @1 'x' }
        a > 50 { @1 }
        a < 62 { @1 }
        a > 70 { @1 }
        a quiet"#,
    ),
    (
        "v311_4_3_3_qos_2_both_ways",
        r#"a connect 311
        b connect 311
        a sub %/t 2
        b > 34 { "%/t" 0007 'x' }
        b < 50 { 0007 }
        b > 62 { 0007 }
        b < 70 { 0007 }
        a < 34 { "%/t" @1 'x' }
        a > 50 { @1 }
        a < 62 { @1 }
        a > 70 { @1 }
        a quiet"#,
    ),
    (
        "v5_4_3_3_qos_2_both_ways",
        r#"a connect 5
        b connect 5
        a sub %/t 2
        b > 34 { "%/t" 0007 {} 'x' }
        b < 50 { 0007 }
        b > 62 { 0007 00 {} }
        b < 70 { 0007 }
        a < 34 { "%/t" @1 {} 'x' }
        a > 50 { @1 00 { 1F "so far" } }
        a < 62 { @1 }
        a > 70 { @1 }
        a quiet"#,
    ),
    // A message is handed on at its first arrival, not at PUBREL.
    (
        "v5_4_3_3_delivered_before_pubrel",
        r#"a connect 5
        b connect 5
        a sub %/t 0
        b > 34 { "%/t" 0007 {} 'x' }
        b < 50 { 0007 }
        a < 30 { "%/t" {} 'x' }"#,
    ),
    (
        "v5_3_4_2_1_no_subscribers_is_still_acknowledged",
        r#"b connect 5
        b > 32 { "%/nobody" 0001 {} 'x' } 34 { "%/nobody" 0002 {} 'x' }
        b < 40 { 0001 10 }
        b < 50 { 0002 }"#,
    ),
    (
        "v5_4_3_3_10_repeated_after_pubrec",
        r#"a connect 5
        b connect 5
        a sub %/t 0
        b > 34 { "%/t" 0005 {} 'x' }
        b < 50 { 0005 }
        b > 3C { "%/t" 0005 {} 'x' }
        b < 50 { 0005 }
        b > 62 { 0005 }
        b < 70 { 0005 }
        a < 30 { "%/t" {} 'x' }
        a quiet"#,
    ),
    (
        "v311_4_3_3_2_repeated_after_pubrec",
        r#"a connect 311
        b connect 311
        a sub %/t 0
        b > 34 { "%/t" 0005 'x' }
        b < 50 { 0005 }
        b > 3C { "%/t" 0005 'x' }
        b < 50 { 0005 }
        b > 62 { 0005 }
        b < 70 { 0005 }
        a < 30 { "%/t" 'x' }
        a quiet"#,
    ),
    // A hook keeps the first one's PUBREC back until its record is on disk; one PUBREC answers both.
    (
        "v5_4_3_3_10_repeated_before_pubrec",
        r#"a connect 5
        b connect 5
        a sub devices/%/state 0
        b > 34 { "devices/%/state" 0005 {} 'x' } 3C { "devices/%/state" 0005 {} 'x' }
        b < 50 { 0005 }
        b > 62 { 0005 }
        b < 70 { 0005 }
        a < 30 { "devices/%/state" {} 'x' }
        a quiet
        b quiet"#,
    ),
    (
        "v5_4_3_3_12_the_id_is_free_after_pubcomp",
        r#"a connect 5
        b connect 5
        a sub %/t 0
        b pub %/t 2 one
        b pub %/t 2 two
        a < 30 { "%/t" {} 'one' }
        a < 30 { "%/t" {} 'two' }"#,
    ),
    // The DUP flag alone says nothing about whether a message is new [MQTT-3.3.1-1].
    (
        "v5_3_3_1_1_dup_of_an_unknown_id_is_new",
        r#"a connect 5
        b connect 5
        a sub %/t 0
        b > 3C { "%/t" 0005 {} 'x' }
        b < 50 { 0005 }
        a < 30 { "%/t" {} 'x' }"#,
    ),
    (
        "v5_2_2_1_same_id_in_qos_1_and_2",
        r#"b connect 5
        b > 34 { "%/t" 0005 {} 'x' } 32 { "%/t" 0005 {} 'y' }
        b < 50 { 0005 }
        b < 40 { 0005 10 }
        b > 62 { 0005 }
        b < 70 { 0005 }"#,
    ),
    (
        "v5_3_7_2_1_pubrel_of_an_unknown_id",
        r#"b connect 5
        b > 62 { 0009 }
        b < 70 { 0009 92 }
        b > 62 { 0009 92 }
        b < 70 { 0009 92 }"#,
    ),
    // It may have had its PUBCOMP, and lost it with the connection.
    (
        "v5_3_7_2_1_pubrel_of_an_unknown_id_during_recovery",
        r#"b connect 5 keep 60
        b > 34 { "%/t" 0009 {} 'x' }
        b < 50 { 0009 }
        b > 62 { 0009 }
        b < 70 { 0009 }
        b fin
        B connect 5 keep 60 present
        B > 62 { 0009 }
        B < 70 { 0009 }"#,
    ),
    ("v311_4_3_3_pubrel_of_an_unknown_id", "b connect 311\n b > 62 { 0009 }\n b < 70 { 0009 }"),
    ("v5_3_6_2_1_pubrec_of_an_unknown_id", "a connect 5\n a > 50 { 0009 }\n a < 62 { 0009 92 }"),
    ("v311_4_3_3_pubrec_of_an_unknown_id", "a connect 311\n a > 50 { 0009 }\n a < 62 { 0009 }"),
    (
        "v5_4_3_2_puback_of_an_unknown_id",
        "a connect 5\n a > 40 { 0009 } 70 { 0009 } 50 { 0009 80 }\n a quiet",
    ),
    (
        "v5_3_5_2_1_pubrec_again",
        r#"a connect 5
        b connect 5
        a sub %/t 2
        b pub %/t 2 x
        a < 34 { "%/t" @1 {} 'x' }
        a > 50 { @1 }
        a < 62 { @1 }
        a > 50 { @1 }
        a < 62 { @1 }
        a > 70 { @1 }
        a quiet"#,
    ),
    (
        "v5_4_3_3_4_pubrec_with_an_error_ends_the_delivery",
        r#"a connect 5
        b connect 5
        a sub %/t 2
        b pub %/t 2 x
        a < 34 { "%/t" @1 {} 'x' }
        a > 50 { @1 97 }
        a quiet
        a > 50 { @1 }
        a < 62 { @1 92 }"#,
    ),
    // A PUBACK for a QoS 2 message confirms nothing.
    (
        "v5_4_3_3_puback_of_a_qos_2_message",
        r#"a connect 5
        b connect 5
        a sub %/t 2
        b pub %/t 2 x
        a < 34 { "%/t" @1 {} 'x' }
        a > 40 { @1 }
        a refused 82"#,
    ),
    (
        "any_pubrec_of_a_qos_1_message",
        "-5 4.3.2-3\n -311 4.3.2-1\n -31 4.1\n a connect V\n b connect V\n a sub %/t 1\n b pub %/t 1 x
        a < 32 { \"%/t\" @1 %{} 'x' }\n a > 50 { @1 }\n a refused 82",
    ),
    (
        "any_pubcomp_before_pubrec",
        "-5 4.3.3-3\n -311 4.3.3-1\n -31 4.1\n a connect V\n b connect V\n a sub %/t 2\n b pub %/t 2 x
        a < 34 { \"%/t\" @1 %{} 'x' }\n a > 70 { @1 }\n a refused 82",
    ),
    (
        "any_puback_instead_of_pubcomp",
        "-5 4.3.3-5\n -311 4.3.3-1\n -31 4.1\n a connect V\n b connect V\n a sub %/t 2\n b pub %/t 2 x
        a < 34 { \"%/t\" @1 %{} 'x' }\n a > 50 { @1 }\n a < 62 { @1 }\n a > 40 { @1 }\n a refused 82",
    ),
    // A record counts as somebody who listens.
    (
        "v5_3_4_2_1_no_subscribers_but_a_rule",
        r#"b connect 5
        b > 32 { "devices/%/state" 0001 {} 'x' }
        b < 40 { 0001 }
        b > 33 { "%/nobody" 0002 {} 'x' }
        b < 40 { 0002 10 }"#,
    ),
    (
        "v5_4_7_names_that_only_subscriptions_have",
        r#"b connect 5
        b > 32 { "$share/g/%/t" 0001 {} 'x' } 34 { "$share/g/%/t" 0002 {} 'x' } 32 { "$SYS/broker/uptime" 0003 {} 'x' }
        b < 40 { 0001 87 }
        b < 50 { 0002 87 }
        b < 40 { 0003 87 }
        b > 32 { "$SYS/broker/connection/%/state" 0004 {} '1' }
        b < 40 { 0004 10 }
        c connect 311
        c > 32 { "$share/g/%/t" 0001 'x' }
        c < 40 { 0001 }"#,
    ),
    // Those with a record wait for the disk, those without do not; the order stays [MQTT-4.6.0-2].
    (
        "v311_4_6_0_2_order_of_acknowledgements",
        r#"b connect 311
        b > 32 { "devices/%/state" 0001 'x' } 32 { "%/t" 0002 'x' } 32 { "devices/%/state" 0003 'x' } 32 { "%/t" 0004 'x' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        b < 40 { 0003 }
        b < 40 { 0004 }"#,
    ),
    (
        "v5_4_6_0_3_order_of_pubrecs",
        r#"b connect 5
        b > 34 { "devices/%/state" 0003 {} 'x' } 34 { "%/t" 0002 {} 'x' } 34 { "devices/%/state" 0001 {} 'x' }
        b < 50 { 0003 }
        b < 50 { 0002 }
        b < 50 { 0001 }
        b > 62 { 0001 } 62 { 0003 } 62 { 0002 }
        b < 70 { 0001 }
        b < 70 { 0003 }
        b < 70 { 0002 }"#,
    ),
    (
        "v5_4_6_0_5_order_of_messages_of_both_qos",
        r#"a connect 5
        b connect 5
        a sub %/t 2
        b > 32 { "%/t" 0001 {} '1' } 34 { "%/t" 0002 {} '2' } 30 { "%/t" {} '3' } 32 { "%/t" 0003 {} '4' }
        a < 32 { "%/t" @1 {} '1' }
        a < 34 { "%/t" @2 {} '2' }
        a < 30 { "%/t" {} '3' }
        a < 32 { "%/t" @3 {} '4' }"#,
    ),
    ("v311_3_12_4_1_ping", "a connect 311\n a > C0 00 C0 00\n a < D0 00\n a < D0 00"),
    ("v31_3_12_ping", "a connect 31\n a quiet"),
    ("v5_3_12_4_1_ping_in_pieces", "a connect 5\n a > C0\n a > 00\n a < D0 00"),
];

#[test]
fn exchanges() {
    run_all(&[], EXCHANGES);
}
