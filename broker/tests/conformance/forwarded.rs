//! What a 5.0 message carries on its way: properties, subscription identifiers, topic aliases.

use crate::script::{Case, run_all};

const PROPERTIES: &[Case] = &[
    (
        "v5_3_3_2_as_they_are",
        r#"+5 1.5.7-1 2.2.2 3.3.2 3.3.2-4 3.3.2-13 3.3.2-14 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-19 3.3.2-20
        a connect 5
        a sub %/t 0
        b connect 5
        b > 30 { "%/t" { 26 "b" "1" 03 "typÄ" 26 "a" "2" 01 01 09 [00 FF] 08 "reply/tÖ" 26 "b" "1" } 'x' }
        a < 30 { "%/t" { 26 "b" "1" 03 "typÄ" 26 "a" "2" 01 01 09 [00 FF] 08 "reply/tÖ" 26 "b" "1" } 'x' }"#,
    ),
    (
        "v5_3_3_2_none_are_added",
        r#"-5 2.2.2
        a connect 5
        a sub %/t 0
        b connect 311
        b pub %/t 0 x
        a < 30 { "%/t" {} 'x' }
        c connect 5
        c > 30 { "%/t" { 01 00 } 'y' }
        a < 30 { "%/t" { 01 00 } 'y' }"#,
    ),
    ("v5_3_3_2_4_payload_format_2", "a connect 5\n a > 30 { \"%/t\" { 01 02 } 'x' }\n a refused 82"),
    ("v5_2_2_2_1_no_property_length", "-5 2.2.2-1\n a connect 5\n a > 30 { \"%/t\" }\n a refused 81"),
    (
        "v5_2_2_2_a_property_of_another_packet",
        "-5 2.2.2\n a connect 5\n a > 30 { \"%/t\" { 21 0001 } 'x' }\n a refused 81",
    ),
];

#[test]
fn properties() {
    run_all(&[], PROPERTIES);
}

const IDENTIFIERS: &[Case] = &[
    (
        "v5_3_3_4_3_identifiers_come_with_messages",
        r#"+5 3.3.4-3 3.8.2.1.2 3.2.2.3.12
        a connect 5
        a > 82 { 0001 { 0B 05 } "%/t" 00 "%/u" 00 }
        a < 90 { 0001 {} 0000 }
        a > 82 { 0002 { 0B FFFFFF7F } "%/v" 00 }
        a < 90 { 0002 {} 00 }
        b connect 5
        b pub %/t 0 1
        b pub %/u 0 2
        b pub %/v 0 3
        a < 30 { "%/t" { 0B 05 } '1' }
        a < 30 { "%/u" { 0B 05 } '2' }
        a < 30 { "%/v" { 0B FFFFFF7F } '3' }"#,
    ),
    (
        "v5_3_3_4_3_none_without_one",
        r#"-5 3.3.4-3
        a connect 5
        a > 82 { 0001 { 0B 05 } "%/t" 00 }
        a < 90 { 0001 {} 00 }
        b connect 5
        b sub %/t 0
        c connect 5
        c pub %/t 0 x
        a < 30 { "%/t" { 0B 05 } 'x' }
        b < 30 { "%/t" {} 'x' }"#,
    ),
    (
        "v5_3_3_4_4_all_that_match",
        r#"+5 3.3.4-4
        -5 3.3.4-4 3.3.4-5
        a connect 5
        a > 82 { 0001 { 0B 01 } "%/t" 00 }
        a < 90 { 0001 {} 00 }
        a > 82 { 0002 { 0B 02 } "%/+" 00 }
        a < 90 { 0002 {} 00 }
        a > 82 { 0003 { 0B 03 } "%/u" 00 }
        a < 90 { 0003 {} 00 }
        a sub %/# 0
        b connect 5
        b pub %/t 0 x
        a <one of 30 { "%/t" { 0B 01 0B 02 } 'x' } | 30 { "%/t" { 0B 02 0B 01 } 'x' }
        a quiet"#,
    ),
    (
        "v5_3_8_4_3_replaced_with_its_identifier",
        r#"-5 3.8.2.1.2
        a connect 5
        a > 82 { 0001 { 0B 05 } "%/t" 00 }
        a < 90 { 0001 {} 00 }
        b connect 5
        a > 82 { 0001 { 0B 06 } "%/t" 00 }
        a < 90 { 0001 {} 00 }
        b pub %/t 0 1
        a < 30 { "%/t" { 0B 06 } '1' }
        a sub %/t 0
        b pub %/t 0 2
        a < 30 { "%/t" {} '2' }"#,
    ),
    (
        "v5_3_8_2_1_2_kept_with_the_session",
        r#"a connect 5 keep 60
        a > 82 { 0001 { 0B 05 } "%/t" 01 }
        a < 90 { 0001 {} 01 }
        a bye
        b connect 5
        b pub %/t 1 x
        a connect 5 keep 60 present
        a < 32 { "%/t" @1 { 0B 05 } 'x' }"#,
    ),
    ("v5_3_8_2_1_2_identifier_0", "a connect 5\n a > 82 { 0001 { 0B 00 } \"%/t\" 00 }\n a refused 82"),
    ("v5_3_3_4_6_from_a_client", "a connect 5\n a > 30 { \"%/t\" { 0B 01 } 'x' }\n a refused 82"),
];

#[test]
fn subscription_identifiers() {
    run_all(&[], IDENTIFIERS);
}

const COPIES: &[Case] = &[(
    "v5_3_3_4_5_a_copy_for_each",
    r#"+5 3.3.4-5 4.8.1
    a connect 5
    a > 82 { 0001 { 0B 01 } "%/t" 00 }
    a < 90 { 0001 {} 00 }
    a > 82 { 0002 { 0B 02 } "%/+" 00 }
    a < 90 { 0002 {} 00 }
    a sub %/# 0
    b connect 5
    b pub %/t 0 x
    a <| 30 { "%/t" { 0B 01 } 'x' } | 30 { "%/t" { 0B 02 } 'x' } | 30 { "%/t" {} 'x' }
    a quiet"#,
)];

#[test]
fn a_copy_for_each_subscription() {
    run_all(&["limits.overlap=each"], COPIES);
}

const ALIASES: &[Case] = &[
    (
        "v5_3_3_2_12_aliases_of_a_client",
        r#"+5 3.3.2-8 3.3.2-10 3.3.2-12 3.3.2.3.4 3.2.2.3.8
        b connect 5
        b has 22 0005
        a connect 5
        a sub %/# 0
        b > 30 { "%/t" { 23 0001 } '1' } 30 { "%/u" { 23 0005 } '2' } 30 { "" { 23 0001 } '3' } 30 { "" { 23 0005 } '4' }
        a gets %/t 0 1
        a gets %/u 0 2
        a gets %/t 0 3
        a gets %/u 0 4"#,
    ),
    (
        "v5_3_3_2_3_4_an_alias_can_be_given_anew",
        r#"b connect 5
        a connect 5
        a sub %/# 1
        b > 32 { "%/t" 0001 { 23 0001 } '1' } 32 { "%/u" 0002 { 23 0001 } '2' } 32 { "" 0003 { 23 0001 } '3' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        b < 40 { 0003 }
        a gets %/t 1 1
        a gets %/u 1 2
        a gets %/u 1 3"#,
    ),
    (
        "v5_3_3_2_9_above_the_maximum",
        "-5 3.2.2-17 3.3.2-12 3.3.2-9\n a connect 5\n a > 30 { \"%/t\" { 23 0006 } 'x' }\n a refused 94",
    ),
    ("v5_3_3_2_8_alias_of_0", "-5 3.3.2-8\n a connect 5\n a > 30 { \"%/t\" { 23 0000 } 'x' }\n a refused 94"),
    (
        "v5_3_3_2_3_4_unknown_alias",
        "-5 3.3.2.3.4\n a connect 5\n a > 30 { \"\" { 23 0002 } 'x' }\n a refused 82",
    ),
    (
        "v5_3_3_2_7_not_on_the_next_connection",
        r#"-5 3.3.2-7
        b connect 5 keep 60
        b > 30 { "%/t" { 23 0001 } '1' }
        b bye
        b connect 5 keep 60 present
        b > 30 { "" { 23 0001 } '2' }
        b refused 82"#,
    ),
    (
        "v5_3_3_2_7_given_anew_on_the_next_connection",
        r#"+5 3.3.2-7
        a connect 5
        a sub %/# 0
        b connect 5 keep 60
        b > 30 { "%/t" { 23 0001 } '1' }
        b bye
        b connect 5 keep 60 present
        b > 30 { "%/u" { 23 0001 } '2' } 30 { "" { 23 0001 } '3' }
        a gets %/t 0 1
        a gets %/u 0 2
        a gets %/u 0 3"#,
    ),
    (
        "v5_3_1_2_26_aliases_of_the_server",
        r#"+5 3.1.2-26 3.3.2-11 3.1.2.11.5
        -5 3.1.2-26 3.3.2-11
        a connect 5 with 22 0001
        a sub %/# 0
        b connect 5
        b pub %/t 0 1
        a <one of 30 { "%/t" {} '1' } | 30 { "%/t" { 23 0001 } '1' }
        b pub %/t 0 2
        a <one of 30 { "%/t" {} '2' } | 30 { "" { 23 0001 } '2' } | 30 { "%/t" { 23 0001 } '2' }
        b pub %/u 0 3
        a <one of 30 { "%/u" {} '3' } | 30 { "%/u" { 23 0001 } '3' }"#,
    ),
    (
        "v5_3_1_2_27_none_to_a_client_that_takes_none",
        r#"+5 3.1.2-27
        -5 3.1.2-27 3.1.2.11.5
        a connect 5
        c connect 5 with 22 0000
        a sub %/t 0
        c sub %/t 0
        b connect 5
        b pub %/t 0 1
        b pub %/t 0 2
        a gets %/t 0 1
        a gets %/t 0 2
        c gets %/t 0 1
        c gets %/t 0 2"#,
    ),
    (
        "v5_3_3_2_7_nor_does_the_servers_alias_go_on",
        r#"-5 3.3.2-7
        a connect 5 keep 60 with 22 0005
        a sub %/t 0
        b connect 5
        b pub %/t 0 1
        a <one of 30 { "%/t" {} '1' } | 30 { "%/t" { 23 0001 } '1' }
        a bye
        a connect 5 keep 60 present with 22 0005
        b pub %/t 0 2
        a <one of 30 { "%/t" {} '2' } | 30 { "%/t" { 23 0001 } '2' }"#,
    ),
];

#[test]
fn topic_aliases() {
    run_all(&["limits.topic_alias_maximum=5"], ALIASES);
}

const NO_ALIASES: &[Case] = &[(
    "v5_3_2_2_18_no_alias_is_taken",
    "-5 3.2.2-18 3.2.2.3.8
    a connect 5
    a lacks 22
    a > 30 { \"%/t\" { 23 0001 } 'x' }
    a refused 94",
)];

#[test]
fn topic_aliases_where_there_are_none() {
    run_all(&["limits.topic_alias_maximum=0"], NO_ALIASES);
}
