//! Texts, topics and filters: what they may contain, and what matches.

use crate::script::{Case, run_all};

const TEXTS: &[Case] = &[
    (
        "any_beyond_ascii",
        "+5 1.5.4-1 1.5.4-2 3.3.2-1 3.8.3-1 3.10.3-1 3.3.2-3
        +311 1.5.3-1 1.5.3-2 3.3.2-1 3.8.3-1 3.10.3-1 3.3.2-3
        +31 2.5
        a connect V
        a sub %/Köln/°C/𝄞 1
        a pub %/Köln/°C/𝄞 0 x
        a gets %/Köln/°C/𝄞 0 x
        a unsub %/Köln/°C/𝄞",
    ),
    (
        "any_byte_order_mark_stays",
        r#"+5 1.5.4-3
        -5 1.5.4-3
        +311 1.5.3-3
        -311 1.5.3-3
        a connect V
        b connect V
        b sub %/t 0
        a > 82 { 0001 %{} [EF BB BF '%/t'] 00 }
        a < 90 { 0001 %{} 00 }
        a > 30 { [EF BB BF '%/t'] %{} 'x' }
        a < 30 { [EF BB BF '%/t'] %{} 'x' }
        b quiet"#,
    ),
    (
        "any_topic_with_a_surrogate",
        "-5 1.5.4-1 3.3.2-1\n -311 1.5.3-1 3.3.2-1\n -31 2.5\n a connect V\n a > 30 { [61 ED A0 80] %{} 'x' }\n a refused 81",
    ),
    (
        "any_topic_with_u_0000",
        "-5 1.5.4-2 4.7.3-2\n -311 1.5.3-2 4.7.3-2\n a connect V\n a > 30 { [61 00] %{} 'x' }\n a refused 81",
    ),
    (
        "any_filter_that_is_no_text",
        "-5 3.8.3-1\n -311 3.8.3-1\n a connect V\n a > 82 { 0001 %{} [61 C3 28] 00 }\n a refused 81",
    ),
    (
        "any_filter_to_leave_that_is_no_text",
        "-5 3.10.3-1\n -311 3.10.3-1\n a connect V\n a > A2 { 0001 %{} [61 C3 28] }\n a refused 81",
    ),
    (
        "any_topic_with_plus",
        "-5 3.3.2-2 4.7.0-1 4.3.2-4 3.3.4-1\n -311 3.3.2-2 4.7.1-1 3.3.4-1\n -31 3.3/topic 3.4\n a connect V\n a > 32 { \"%/+\" 0001 %{} 'x' }\n a refused 90",
    ),
    (
        "any_topic_with_hash",
        "-5 3.3.2-2 4.7.0-1 4.3.3-8\n -311 3.3.2-2 4.7.1-1\n -31 3.3/topic 3.5\n a connect V\n a > 34 { \"%/#\" 0001 %{} 'x' }\n a refused 90",
    ),
    (
        "v5_3_3_2_19_content_type_that_is_no_text",
        "a connect 5\n a > 30 { \"%/t\" { 03 [FF] } 'x' }\n a refused 81",
    ),
    (
        "v5_3_3_2_13_response_topic_that_is_no_text",
        "a connect 5\n a > 30 { \"%/t\" { 08 [ED A0 80] } 'x' }\n a refused 81",
    ),
    (
        "v5_3_3_2_14_response_topic_with_wildcard",
        "a connect 5\n a > 30 { \"%/t\" { 08 \"a/+\" } 'x' }\n a refused 82",
    ),
    (
        "v5_1_5_7_1_user_property_with_u_0000",
        "a connect 5\n a > 30 { \"%/t\" { 26 \"k\" [00] } 'x' }\n a refused 81",
    ),
    (
        "any_length_of_two_bytes",
        r#"+5 1.5.5-1
        +311 2.2.3
        +31 2.1/length
        a connect V
        a sub %/t 0
        a > 30 { "%/t" %{} 78*300 }
        a < 30 { "%/t" %{} 78*300 }"#,
    ),
    ("v5_1_5_5_1_length_in_two_bytes_for_one", "a connect 5\n a > C0 80 00\n a refused 81"),
    (
        "any_control_character_in_a_name",
        "-5 1.5.4-1\n -311 1.5.3-1\n -31 2.5\n a connect V\n a > 30 { [61 1F] %{} 'x' }\n a refused 81
        b connect V\n b > 82 { 0001 %{} [C2 9F] 00 }\n b refused 81\n c connect V\n c > A2 { 0001 %{} [7F] }\n c refused 81",
    ),
    (
        "v5_1_5_4_1_control_character_in_a_text",
        "+5 1.5.4-1\n a connect 5\n a sub %/t 0\n a > 30 { \"%/t\" { 26 [61 09 62] [0A] } 'x' }\n a < 30 { \"%/t\" { 26 [61 09 62] [0A] } 'x' }",
    ),
    (
        "any_length_of_five_bytes",
        "-5 4.13.1-1\n -311 2.2.3\n -31 2.1/length\n a connect V\n a > 30 FFFFFFFF01\n a refused 81",
    ),
];

#[test]
fn texts() {
    run_all(&[], TEXTS);
}

const FILTERS: &[Case] = &[
    (
        "any_wildcards",
        "+5 4.7.0-1 4.7.1-1 4.7.1-2 3.3.2-2 3.3.2-3 4.5.0-1 4.7.1
        -5 3.3.2-3 4.5.0-1
        +311 4.7.1-1 4.7.1-2 4.7.1-3 3.3.2-2 3.3.2-3 4.5.0-1 3.8.3-2
        -311 3.3.2-3 4.5.0-1
        +31 a 3.3/topic 3.3
        -31 3.3
        a connect V
        b connect V
        c connect V
        a sub %/+/x/# 1
        b sub %/m/x 1
        c pub %/m/x 1 1
        c pub %/m/y 1 2
        c pub %/m/x/y/z 1 3
        a gets %/m/x 1 1
        a gets %/m/x/y/z 1 3
        b gets %/m/x 1 1
        b quiet
        c quiet",
    ),
    (
        "any_hash_in_the_middle",
        "-5 4.7.1-1\n -311 4.7.1-2\n -31 a\n a connect V\n a > 82 { 0001 %{} \"%/#/t\" 00 }\n a refused 81",
    ),
    (
        "any_hash_within_a_level",
        "-5 4.7.1-1\n -311 4.7.1-2\n -31 a\n a connect V\n a > 82 { 0001 %{} \"%/t#\" 00 }\n a refused 81",
    ),
    (
        "any_plus_within_a_level",
        "-5 4.7.1-2\n -311 4.7.1-3\n -31 a\n a connect V\n a > 82 { 0001 %{} \"%/t+\" 00 }\n a refused 81",
    ),
    (
        "any_empty_filter",
        "-5 4.7.3-1\n -311 4.7.3-1\n a connect V\n a > 82 { 0001 %{} \"\" 00 }\n a refused 81",
    ),
    (
        "any_one_character",
        r#"+5 4.7.3-1 4.7.3-2
        +311 4.7.3-1 4.7.3-2
        a connect V
        a > 82 { 0001 %{} "/" 00 }
        a < 90 { 0001 %{} 00 }
        a > A2 { 0001 %{} "/" }
        a <* B0"#,
    ),
    (
        "any_topic_of_65_535_bytes",
        r#"+5 4.7.3-3
        +311 4.7.3-3
        a connect V
        b connect V
        b sub %/# 0
        a > 30 { ['%/t/' 61*65500] %{} 'x' }
        b < 30 { ['%/t/' 61*65500] %{} 'x' }"#,
    ),
    (
        "any_dollar_by_its_name",
        "+5 4.7.2-1
        +311 4.7.2-1
        a connect V
        a sub $x/%/# 0
        a pub $x/%/t 0 1
        a gets $x/%/t 0 1",
    ),
    (
        "any_dollar_is_not_matched_by_wildcards",
        r##"-5 4.7.2-1
        -311 4.7.2-1
        a connect V
        a sub +/%/t 0
        a sub # 0
        b connect V
        b pub $x/%/t 1 1
        b pub x/%/t 0 2
        a gets x/%/t 0 2
        a quiet"##,
    ),
    (
        "any_nothing_is_normalised",
        "+5 4.7.3-4
        -5 4.7.3-4
        +311 4.7.3-4
        -311 4.7.3-4
        a connect V
        a sub %/a 0
        a sub %/b/ 0
        a sub %//c 0
        a pub %/A 0 1
        a pub %/a/ 0 2
        a pub %/b 0 3
        a pub %/c 0 4
        a pub %/a 0 5
        a pub %/b/ 0 6
        a pub %//c 0 7
        a gets %/a 0 5
        a gets %/b/ 0 6
        a gets %//c 0 7
        a quiet",
    ),
];

#[test]
fn filters() {
    run_all(&[], FILTERS);
}
