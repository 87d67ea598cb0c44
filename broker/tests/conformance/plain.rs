//! The plain side of statements whose other cases show mostly what must not happen.

use crate::script::{Case, run_all};

const PLAIN: &[Case] = &[
    (
        "any_subscribed_again",
        "+5 3.10.4-1 3.10.4-2 3.10.4-6
        +311 3.10.4-1 3.10.4-2 3.10.4-6
        a connect V
        a sub %/t 1
        a unsub %/t
        a sub %/t 1
        b connect V
        b pub %/t 1 x
        a gets %/t 1 x
        a quiet",
    ),
    (
        "any_acknowledged_after_unsubscribing",
        r#"+5 3.10.4-3
        +311 3.10.4-3
        a connect V
        a sub %/t 1
        b connect V
        b pub %/t 1 x
        a < 32 { "%/t" @1 %{} 'x' }
        a unsub %/t
        a > 40 { @1 }
        a quiet"#,
    ),
    (
        "v5_3_10_4_6_two_filters_one_answer",
        r#"+5 3.10.4-5 3.10.4-6
        a connect 5
        a sub %/a 1
        a sub %/b 1
        a > A2 { 0009 {} "%/a" "%/b" }
        a < B0 { 0009 {} 0000 }
        a quiet"#,
    ),
    (
        "any_every_subscriber_gets_it",
        "+5 4.5.0-1
        +311 4.5.0-1
        a connect V
        a sub %/t 1
        b connect V
        b sub %/+ 0
        c connect V
        c sub %/# 2
        d connect V
        d pub %/t 2 x
        a gets %/t 1 x
        b gets %/t 0 x
        c gets %/t 2 x",
    ),
    (
        "any_the_same_characters_match",
        "+5 4.7.3-4
        +311 4.7.3-4
        a connect V
        a sub %/Ä//ä/ 0
        a pub %/Ä//ä/ 0 x
        a gets %/Ä//ä/ 0 x",
    ),
    (
        "any_a_byte_order_mark_in_both",
        r#"+5 1.5.4-3
        +311 1.5.3-3
        a connect V
        a > 82 { 0001 %{} [EF BB BF '%/t'] 00 }
        a < 90 { 0001 %{} 00 }
        a > 30 { [EF BB BF '%/t'] %{} 'x' }
        a < 30 { [EF BB BF '%/t'] %{} 'x' }"#,
    ),
    (
        "any_a_first_message_has_no_dup",
        "+5 3.3.1-3 4.3.3-6
        +311 3.3.1-3
        a connect V
        a sub %/t 2
        b connect V
        b pub %/t 1 x
        b pub %/t 2 y
        a gets %/t 1 x
        a gets %/t 2 y",
    ),
    (
        "any_a_subscription_stays",
        "+5 4.1.0-1
        +311 4.1.0-1 4.1.0-2
        a connect V
        a sub %/t 1
        b connect V
        b pub %/t 1 1
        a gets %/t 1 1
        a quiet
        b bye
        b connect V
        b pub %/t 1 2
        a gets %/t 1 2",
    ),
    (
        "any_an_empty_retained_message_is_delivered",
        "+5 3.3.1-7
        +311 3.3.1-10 3.3.1-11
        a connect V
        a sub %/t 1
        b connect V
        b pub %/t 1r
        a gets %/t 1",
    ),
    (
        "any_a_retained_message_of_qos_0",
        "+311 3.3.1-7 3.3.1-12 3.1.2-7
        b connect V
        b pub %/t 0r x
        b bye
        a connect V
        a sub %/t 1
        a gets %/t 0r x",
    ),
    (
        "any_retained_messages_as_they_come",
        "+5 3.3.1-12
        +311 3.3.1-9
        a connect V
        a sub %/t 2
        b connect V
        b pub %/t 2r x
        a gets %/t 2 x",
    ),
    (
        "v5_3_3_2_11_aliases_up_to_many",
        r#"+5 3.3.2-11 3.1.2-26
        a connect 5 with 22 FFFF
        a sub %/t 0
        b connect 5
        b pub %/t 0 1
        a <one of 30 { "%/t" {} '1' } | 30 { "%/t" { 23 0001 } '1' }"#,
    ),
    (
        "v5_3_14_4_2_closed_after_its_reason",
        "+5 3.14.4-1 3.14.4-2
        a connect 5
        A connect 5
        a refused 8E",
    ),
    (
        "v5_4_9_0_2_room_for_one_at_a_time",
        "+5 4.9.0-2 4.9.0-3 3.3.4-10
        a connect 5 with 21 0001
        a sub %/t 1
        b connect 5
        b pub %/t 1 1
        a gets %/t 1 1
        a quiet
        b pub %/t 1 2
        a gets %/t 1 2
        a quiet",
    ),
    (
        "any_a_plain_will",
        "+5 3.1.2-14
        +311 3.1.2-16
        b connect V
        b sub %/w 0
        a connect V will %/w 0 gone
        a rst
        b gets %/w 0 gone",
    ),
];

#[test]
fn plain() {
    run_all(&[], PLAIN);
}
