//! Topic aliases, each way.

use crate::script::{Case, run_all};

const TAKEN: &[Case] = &[
    (
        "v5_3_3_2_12_an_alias_stands_for_its_topic",
        r#"a connect 5
        a sub %/# 0
        b connect 5
        b > 30 { "%/t" { 23 0001 } '1' } 30 { "%/u" { 23 0020 } '2' } 30 { "" { 23 0001 } '3' } 30 { "" { 23 0020 } '4' }
        a < 30 { "%/t" {} '1' }
        a < 30 { "%/u" {} '2' }
        a < 30 { "%/t" {} '3' }
        a < 30 { "%/u" {} '4' }"#,
    ),
    (
        "v5_3_3_2_3_4_an_alias_may_be_set_anew",
        r#"a connect 5
        a sub %/# 0
        b connect 5
        b > 30 { "%/t" { 23 0001 } '1' } 30 { "%/u" { 23 0001 } '2' } 30 { "" { 23 0001 } '3' }
        a < 30 { "%/t" {} '1' }
        a < 30 { "%/u" {} '2' }
        a < 30 { "%/u" {} '3' }"#,
    ),
    (
        "v5_3_3_2_3_4_the_alias_is_the_publishers_own",
        r#"a connect 5
        a sub %/t 1
        b connect 5
        b > 32 { "%/t" 0001 { 26 "k" "v" 23 0001 } '1' }
        b < 40 { 0001 }
        a < 32 { "%/t" @1 { 26 "k" "v" } '1' }
        c connect 5
        c > 30 { "" { 23 0001 } '2' }
        c < E0 { 82 }
        c closed"#,
    ),
    ("v5_3_3_2_8_alias_0", "a connect 5\n a > 30 { \"%/t\" { 23 0000 } 'x' }\n a < E0 { 94 }\n a closed"),
    ("v5_3_3_2_9_alias_above", "a connect 5\n a > 30 { \"%/t\" { 23 0021 } 'x' }\n a < E0 { 94 }\n a closed"),
    (
        "v5_3_3_2_3_4_an_alias_not_set",
        "a connect 5\n a > 30 { \"\" { 23 0002 } 'x' }\n a < E0 { 82 }\n a closed",
    ),
];

#[test]
fn taken() {
    run_all(&[], TAKEN);
}

const GIVEN: &[Case] = &[
    (
        "v5_3_1_2_26_aliases_up_to_the_clients_maximum",
        r#"a > 10 { "MQTT" 05 02 003C { 22 0002 } "%a" }
        a accepted
        a sub %/# 1
        b connect 5
        b pub %/t 0 1
        b pub %/t 0 2
        b pub %/u 0 3
        b pub %/v 0 4
        b pub %/u 0 5
        a < 30 { "%/t" { 23 0001 } '1' }
        a < 30 { "" { 23 0001 } '2' }
        a < 30 { "%/u" { 23 0002 } '3' }
        a < 30 { "%/v" {} '4' }
        a < 30 { "" { 23 0002 } '5' }"#,
    ),
    (
        "v5_3_1_2_27_none_without_a_maximum",
        r#"a connect 5
        a sub %/# 1
        b connect 5
        b pub %/t 0 1
        b pub %/t 0 2
        a < 30 { "%/t" {} '1' }
        a < 30 { "%/t" {} '2' }"#,
    ),
    (
        "v5_3_3_2_3_4_aliases_end_with_their_connection",
        r#"a > 10 { "MQTT" 05 00 003C { 11 0000003C 22 0005 } "%a" }
        a accepted
        a sub %/# 1
        b connect 5
        b pub %/t 1 1
        a < 32 { "%/t" @1 { 23 0001 } '1' }
        a > 40 { @1 }
        a > E0 00
        a closed
        a > 10 { "MQTT" 05 00 003C { 11 0000003C 22 0005 } "%a" }
        a resumed
        b pub %/t 1 2
        a < 32 { "%/t" @2 { 23 0001 } '2' }
        a > 40 { @2 }
        a > 30 { "" { 23 0001 } '3' }
        a < E0 { 82 }
        a closed"#,
    ),
];

#[test]
fn given() {
    run_all(&[], GIVEN);
}
