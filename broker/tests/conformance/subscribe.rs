//! SUBSCRIBE, UNSUBSCRIBE, wildcards and `$` topics.

use crate::script::{Case, run_all};

const RESULTS: &[Case] = &[
    (
        "v31_3_9_granted",
        r#"a connect 31
        a > 82 { 0001 "%/a" 01 "%/b" 02 "%/c" 00 }
        a < 90 { 0001 010200 }"#,
    ),
    (
        "v311_3_8_4_5_granted",
        r#"a connect 311
        a > 82 { 0001 "%/a" 01 "%/b" 02 "%/c" 00 }
        a < 90 { 0001 010200 }"#,
    ),
    (
        "v5_3_8_4_6_granted",
        r#"a connect 5
        a > 82 { 0001 {} "%/a" 01 "%/b" 02 "%/c" 00 }
        a < 90 { 0001 {} 010200 }"#,
    ),
    (
        "v5_3_8_3_all_options",
        r#"a connect 5
        a > 82 { FFFF { 26 "k" "v" } "%/a" 2E "%/b" 1D }
        a < 90 { FFFF {} 0201 }"#,
    ),
    (
        "v5_4_8_2_1_share_without_filter",
        "a connect 5\n a > 82 { 0001 {} \"$share/g\" 01 }\n a < E0 { 82 }\n a closed",
    ),
    (
        "v5_4_8_2_2_share_with_wildcard",
        "a connect 5\n a > 82 { 0001 {} \"$share/+/a\" 01 }\n a < E0 { 82 }\n a closed",
    ),
    (
        "v5_4_8_2_1_share_without_name",
        "a connect 5\n a > 82 { 0001 {} \"$share//a\" 01 }\n a < E0 { 82 }\n a closed",
    ),
    (
        "v311_3_9_3_2_malformed_share",
        "a connect 311\n a > 82 { 0001 \"$share/g\" 01 }\n a < 90 { 0001 80 }\n a quiet",
    ),
    (
        "v5_4_7_1_1_hash_inside_a_level",
        "a connect 5\n a > 82 { 0001 {} \"a#\" 01 }\n a < E0 { 81 }\n a closed",
    ),
    ("v5_4_7_1_1_hash_not_last", "a connect 5\n a > 82 { 0001 {} \"#/a\" 01 }\n a < E0 { 81 }\n a closed"),
    (
        "v5_4_7_1_2_plus_inside_a_level",
        "a connect 5\n a > 82 { 0001 {} \"a/b+/c\" 01 }\n a < E0 { 81 }\n a closed",
    ),
    ("v5_4_7_3_1_empty_filter", "a connect 5\n a > 82 { 0001 {} \"\" 01 }\n a < E0 { 81 }\n a closed"),
    ("v311_4_7_1_2_hash_not_last", "a connect 311\n a > 82 { 0001 \"a/#/b\" 01 }\n a closed"),
    ("v311_4_7_1_3_plus_inside_a_level", "a connect 311\n a > 82 { 0001 \"+a\" 01 }\n a closed"),
    ("v31_a_plus_inside_a_level", "a connect 31\n a > 82 { 0001 \"a+\" 01 }\n a closed"),
    // A bad filter among good ones: none of them takes effect.
    (
        "v5_4_7_1_1_one_bad_filter_of_two",
        r#"a connect 5
        b connect 5
        a > 82 { 0001 {} "%/t" 01 "a#" 01 }
        a < E0 { 81 }
        a closed
        b pub %/t 1 x"#,
    ),
    ("v5_4_7_too_deep", "a connect 5\n a > 82 { 0001 {} [2F*64] 01 [2F*63] 01 }\n a < 90 { 0001 {} 8F01 }"),
    ("v311_3_9_3_2_too_deep", "a connect 311\n a > 82 { 0001 [2F*64] 01 [2F*63] 01 }\n a < 90 { 0001 8001 }"),
    (
        "v5_3_11_3_nothing_to_unsubscribe",
        r#"a connect 5
        a sub %/t 1
        a > A2 { 0009 {} "%/x" "%/t" "%/t" }
        a < B0 { 0009 {} 110011 }"#,
    ),
    (
        "v311_3_10_4_5_nothing_to_unsubscribe",
        "a connect 311\n a > A2 { 0009 \"%/x\" \"a#\" }\n a < B0 { 0009 }",
    ),
    (
        "v31_3_10_unsubscribed",
        r#"a connect 31
        a sub %/t 1
        a > A2 { 0009 "%/t" }
        a < B0 { 0009 }
        b connect 31
        b pub %/t 1 x
        a quiet"#,
    ),
    (
        "v5_3_10_4_2_unsubscribed",
        r#"a connect 5
        a sub %/t 1
        a sub %/+ 0
        a > A2 { 0009 {} "%/t" }
        a < B0 { 0009 {} 00 }
        b connect 5
        b pub %/t 1 x
        a < 30 { "%/t" {} 'x' }
        a quiet"#,
    ),
    (
        "v5_3_8_4_3_the_later_subscription_replaces",
        r#"a connect 5
        b connect 5
        a sub %/t 2
        a sub %/t 0
        b pub %/t 2 x
        a < 30 { "%/t" {} 'x' }
        a > A2 { 0009 {} "%/t" }
        a < B0 { 0009 {} 00 }
        b pub %/t 1 x
        a quiet"#,
    ),
];

#[test]
fn results() {
    run_all(&[], RESULTS);
}

const MATCHES: &[Case] = &[
    (
        "v5_4_7_1_1_hash_is_any_depth_and_the_parent",
        r#"a connect 5
        b connect 5
        a sub %/s/# 0
        b pub %/s 0 1
        b pub %/s/ 0 2
        b pub %/s/x/y/z 0 3
        b pub %/sx 0 4
        b pub %/s/end 0 5
        a < 30 { "%/s" {} '1' }
        a < 30 { "%/s/" {} '2' }
        a < 30 { "%/s/x/y/z" {} '3' }
        a < 30 { "%/s/end" {} '5' }"#,
    ),
    (
        "v5_4_7_1_2_plus_is_one_level_also_an_empty_one",
        r#"a connect 5
        b connect 5
        a sub %/+/x 0
        a sub %/+ 0
        b pub %/l/x 0 1
        b pub %/l/m/x 0 2
        b pub %//x 0 3
        b pub %/ 0 5
        b pub %/y 0 6
        a < 30 { "%/l/x" {} '1' }
        a < 30 { "%//x" {} '3' }
        a < 30 { "%/" {} '5' }
        a < 30 { "%/y" {} '6' }"#,
    ),
    (
        "v5_4_7_3_4_case_counts_and_nothing_is_normalised",
        r#"a connect 5
        b connect 5
        a sub %/Ä 0
        b pub %/ä 0 1
        b pub %/A 0 2
        b pub %/Ä/ 0 3
        b pub %/Ä 0 4
        a < 30 { "%/Ä" {} '4' }"#,
    ),
    (
        "v5_4_7_2_1_wildcards_do_not_match_dollar",
        r##"a connect 5
        b connect 5
        c connect 5
        a sub # 0
        a sub +/%/t 0
        c sub $x/%/t 0
        c sub $x/%/+ 0
        b pub $x/%/t 1 1
        b pub x/%/t 1 2
        a < 30 { "x/%/t" {} '2' }
        c < 30 { "$x/%/t" {} '1' }
        a quiet
        c quiet"##,
    ),
    (
        "v5_4_7_2_sys_is_the_servers_own",
        r#"a connect 5
        b connect 5
        c connect 311
        a sub $SYS/# 0
        b > 32 { "$SYS/broker/%/t" 0001 {} 'x' }
        b < 40 { 0001 87 }
        b > 34 { "$SYS/broker/%/t" 0001 {} 'x' }
        b < 50 { 0001 87 }
        b > 30 { "$SYS/broker/%/t" {} 'x' }
        b quiet
        c > 32 { "$SYS/broker/%/t" 0001 'x' }
        c < 40 { 0001 }
        a quiet"#,
    ),
    (
        "v5_4_7_3_a_filter_of_slashes",
        r#"a connect 5
        b connect 5
        a > 82 { 0001 {} [2F*5] 00 }
        a < 90 { 0001 {} 00 }
        b > 30 { [2F*4] {} '1' } 30 { [2F*6] {} '2' } 30 { [2F*5] {} '3' }
        a < 30 { [2F*5] {} '3' }"#,
    ),
];

#[test]
fn matches() {
    run_all(&[], MATCHES);
}
