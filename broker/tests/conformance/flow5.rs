//! Receive maximum and maximum packet size of a client, and what it does not want to be told.

use crate::script::{Case, run_all};

const FLOW: &[Case] = &[
    (
        "v5_3_3_4_9_held_and_not_dropped",
        r#"+5 3.3.4-9 4.9.0-1 4.9.0-2 3.1.2.11.3 4.9
        -5 3.3.4-9 4.9.0-2
        a connect 5 with 21 0002
        a sub %/t 2
        b connect 5
        b pub %/t 1 1
        b pub %/t 2 2
        b pub %/t 1 3
        b pub %/t 1 4
        a < 32 { "%/t" @1 {} '1' }
        a < 34 { "%/t" @2 {} '2' }
        a quiet
        a > 50 { @2 }
        a < 62 { @2 }
        a quiet
        a > 70 { @2 }
        a < 32 { "%/t" @3 {} '3' }
        a quiet
        a > 40 { @1 } 40 { @3 }
        a gets %/t 1 4"#,
    ),
    (
        "v5_4_9_0_3_other_packets_are_answered",
        r#"+5 3.3.4-10 4.9.0-3
        -5 3.3.4-10 4.9.0-3
        a connect 5 with 21 0001
        a sub %/t 1
        b connect 5
        b pub %/t 1 1
        b pub %/t 1 2
        a < 32 { "%/t" @1 {} '1' }
        a sub %/u 1
        a unsub %/u
        a pub %/v 2 x
        b pub %/t 0 3
        a gets %/t 0 3
        a quiet
        a > 40 { @1 }
        a gets %/t 1 2"#,
    ),
    (
        "v5_4_9_0_1_a_maximum_of_0",
        "-5 4.9.0-1\n a > 10 { \"MQTT\" 05 02 003C { 21 0000 } \"%a\" }\n a < 20 { 0082 {} }\n a closed",
    ),
    (
        "v5_4_9_0_1_without_one_it_is_65_535",
        r#"+5 4.9.0-1
        a connect 5
        a sub %/t 1
        b connect 5
        b pub %/t 1 1
        b pub %/t 1 2
        b pub %/t 1 3
        a < 32 { "%/t" @1 {} '1' }
        a < 32 { "%/t" @2 {} '2' }
        a < 32 { "%/t" @3 {} '3' }"#,
    ),
    (
        "v5_3_1_2_24_nothing_larger_is_sent",
        r#"+5 3.1.2-24 3.1.2-25 3.1.2.11.4
        -5 3.1.2-24 3.1.2-25
        a connect 5 with 27 00000040
        a sub %/t 1
        b connect 5
        b > 32 { "%/t" 0001 {} 78*64 } 32 { "%/t" 0002 {} 'x' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        a gets %/t 1 x
        a quiet"#,
    ),
    (
        "v5_3_1_2_29_no_problem_information",
        r#"-5 3.1.2-29 3.1.2.11.7
        a connect 5 with 17 00
        a > 32 { "$SYS/%/t" 0001 {} 'x' } 34 { "$SYS/%/t" 0002 {} 'x' }
        a < 40 { 0001 87 }
        a < 50 { 0002 87 }
        a > 82 { 0003 {} [2F*64] 00 }
        a < 90 { 0003 {} 8F }
        a > A2 { 0004 {} "%/t" }
        a < B0 { 0004 {} 11 }
        a > 62 { 0009 }
        a < 70 { 0009 92 }"#,
    ),
    (
        "v5_3_15_auth",
        r#"-5 3.15.1-1 3.15.2-1 3.15
        a connect 5
        a > F0 { 19 { 15 "SCRAM-SHA-1" } }
        a refused 82
        b connect 5
        b > F1 00
        b refused 81
        c connect 5
        c > F0 { 01 { 15 "SCRAM-SHA-1" } }
        c refused 82"#,
    ),
];

#[test]
fn flow() {
    run_all(&[], FLOW);
}

const KEPT: &[Case] = &[(
    "v5_3_1_2_25_not_after_a_return_either",
    r#"-5 3.1.2-25 3.1.2.11.4
        a connect 5 keep 60 with 27 00000040
        a sub %/t 1
        a bye
        b connect 5
        b > 32 { "%/t" 0001 {} 78*64 } 32 { "%/t" 0002 {} 'x' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        a connect 5 keep 60 present with 27 00000040
        a gets %/t 1 x
        a quiet"#,
)];

#[test]
fn what_is_too_large_is_not_kept() {
    run_all(&[], KEPT);
}
