//! Message expiry: counted down while a message waits, and dropped before its delivery begins, not after.

use crate::script::Case;

/// Run by slow.rs.
pub const WAITING: &[Case] = &[
    (
        "v5_3_3_2_6_less_by_the_time_waited",
        r#"+5 3.3.2-6 3.3.2.3.3
        -5 3.3.2-6
        a connect 5 keep 60
        a sub %/t 1
        a bye
        b connect 5
        b > 32 { "%/t" 0001 { 26 "k" "v" 02 0000003C } 'x' }
        b < 40 { 0001 }
        wait 2200ms
        a connect 5 keep 60 present
        a < 32 { "%/t" @1 { 26 "k" "v" 02 ~0000003A } 'x' }"#,
    ),
    (
        "v5_3_3_2_6_at_once",
        r#"+5 3.3.2-6
        a connect 5
        a sub %/t 0
        b connect 5
        b > 30 { "%/t" { 02 0000003C } 'x' }
        a < 30 { "%/t" { 02 ~0000003C } 'x' }"#,
    ),
    (
        "v5_3_3_2_5_dropped_while_its_client_is_away",
        r#"+5 3.3.2-5
        -5 3.3.2-5 3.3.2.3.3
        a connect 5 keep 60
        a sub %/t 1
        a bye
        b connect 5
        b > 32 { "%/t" 0001 { 02 00000001 } '1' } 32 { "%/t" 0002 { 02 0000003C } '2' } 32 { "%/t" 0003 {} '3' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        b < 40 { 0003 }
        wait 2500ms
        a connect 5 keep 60 present
        a < 32 { "%/t" @2 { 02 ~0000003A } '2' }
        a < 32 { "%/t" @3 {} '3' }
        a quiet"#,
    ),
    (
        "v5_3_3_2_5_dropped_while_the_window_is_full",
        r#"-5 3.3.2-5
        a connect 5 with 21 0001
        a sub %/t 1
        b connect 5
        b pub %/t 1 1
        b > 32 { "%/t" 0001 { 02 00000001 } '2' }
        b < 40 { 0001 }
        b pub %/t 1 3
        a < 32 { "%/t" @1 {} '1' }
        wait 2500ms
        a > 40 { @1 }
        a gets %/t 1 3
        a quiet"#,
    ),
    // What has been sent once goes on, expired or not.
    (
        "v5_4_3_3_7_not_after_it_was_sent",
        r#"+5 4.3.3-7
        -5 4.3.3-7
        a connect 5 keep 60
        a sub %/t 2
        b connect 5
        b > 34 { "%/t" 0001 { 02 00000001 } 'x' }
        b < 50 { 0001 }
        a < 34 { "%/t" @1 { 02 ~00000001 } 'x' }
        wait 2500ms
        a fin
        a closed
        a connect 5 keep 60 present
        a < 3C { "%/t" @1 { 02 ~00000001 } 'x' }
        a > 50 { @1 }
        a < 62 { @1 }"#,
    ),
    (
        "v5_3_3_2_6_what_is_sent_again_has_waited_too",
        r#"+5 3.3.2-6
        -5 3.3.2-6
        a connect 5 keep 60
        a sub %/t 1
        b connect 5
        b > 32 { "%/t" 0001 { 02 0000003C } 'x' }
        b < 40 { 0001 }
        a < 32 { "%/t" @1 { 02 ~0000003C } 'x' }
        wait 2500ms
        a fin
        a closed
        a connect 5 keep 60 present
        a < 3A { "%/t" @1 { 02 ~0000003A } 'x' }
        a > 40 { @1 }
        a quiet"#,
    ),
    (
        "v5_4_3_3_13_the_exchange_is_completed",
        r#"+5 4.3.3-13
        -5 4.3.3-13
        a connect 5 keep 60
        a sub %/t 2
        b connect 5
        b > 34 { "%/t" 0001 { 02 00000001 } 'x' }
        b < 50 { 0001 }
        a < 34 { "%/t" @1 { 02 ~00000001 } 'x' }
        wait 2500ms
        a > 50 { @1 }
        a < 62 { @1 }
        a fin
        a closed
        b > 62 { 0001 }
        b < 70 { 0001 }
        a connect 5 keep 60 present
        a < 62 { @1 }
        a > 70 { @1 }
        a quiet"#,
    ),
    (
        "v5_3_3_2_3_3_not_for_3_1_1",
        r#"a connect 311 keep 60
        a sub %/t 1
        a bye
        b connect 5
        b > 32 { "%/t" 0001 { 02 00000001 } '1' } 32 { "%/t" 0002 { 02 0000003C } '2' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        wait 2500ms
        a connect 311 keep 60 present
        a gets %/t 1 2
        a quiet"#,
    ),
];
