//! Several subscriptions of one client that match one message, and subscription identifiers.

use crate::script::{Case, run_all};

const ONE: &[Case] = &[
    (
        "v5_3_3_4_3_the_identifier_of_the_subscription",
        r#"a connect 5
        a > 82 { 0001 { 0B 07 } "%/t" 01 }
        a < 90 { 0001 {} 01 }
        b connect 5
        b pub %/t 1 x
        b > 30 { "%/t" { 26 "k" "v" } 'y' }
        a < 32 { "%/t" @1 { 0B 07 } 'x' }
        a < 30 { "%/t" { 26 "k" "v" 0B 07 } 'y' }"#,
    ),
    (
        "v5_3_3_4_4_one_copy_with_all_identifiers",
        r#"a connect 5
        a > 82 { 0001 { 0B 01 } "%/+" 00 }
        a < 90 { 0001 {} 00 }
        a > 82 { 0002 { 0B FFFFFF7F } "%/#" 01 }
        a < 90 { 0002 {} 01 }
        a sub %/t 0
        b connect 5
        b pub %/t 2 x
        a <one of 32 { "%/t" @1 { 0B 01 0B FFFFFF7F } 'x' } | 32 { "%/t" @1 { 0B FFFFFF7F 0B 01 } 'x' }
        a quiet"#,
    ),
    (
        "v5_3_8_4_3_a_new_identifier_replaces_the_old",
        r#"a connect 5
        a > 82 { 0001 { 0B 01 } "%/t" 00 } 82 { 0002 { 0B 02 } "%/t" 00 }
        a < 90 { 0001 {} 00 }
        a < 90 { 0002 {} 00 }
        b connect 5
        b pub %/t 0 x
        a < 30 { "%/t" { 0B 02 } 'x' }
        a > 82 { 0003 {} "%/t" 00 }
        a < 90 { 0003 {} 00 }
        b pub %/t 0 y
        a < 30 { "%/t" {} 'y' }"#,
    ),
    (
        "v5_3_8_3_3_no_local_has_no_part",
        r#"a connect 5
        a > 82 { 0001 { 0B 01 } "%/+" 04 }
        a < 90 { 0001 {} 00 }
        a > 82 { 0002 { 0B 02 } "%/#" 01 }
        a < 90 { 0002 {} 01 }
        a > 30 { "%/t" {} 'x' }
        a < 30 { "%/t" { 0B 02 } 'x' }
        a quiet"#,
    ),
    (
        "v5_3_3_4_4_identifiers_wait_with_their_message",
        r#"a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a accepted
        a > 82 { 0001 { 0B 01 } "%/+" 01 }
        a < 90 { 0001 {} 01 }
        a > 82 { 0002 { 0B 02 } "%/u" 01 }
        a < 90 { 0002 {} 01 }
        a > E0 00
        a closed
        b connect 5
        b pub %/t 1 x
        b pub %/u 1 y
        a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a resumed
        a < 32 { "%/t" @1 { 0B 01 } 'x' }
        a <one of 32 { "%/u" @2 { 0B 01 0B 02 } 'y' } | 32 { "%/u" @2 { 0B 02 0B 01 } 'y' }
        a quiet"#,
    ),
];

#[test]
fn one() {
    run_all(&[], ONE);
}

const EACH: &[Case] = &[(
    "v5_3_3_4_3_a_copy_for_each_subscription",
    r#"a connect 5
    a > 82 { 0001 { 0B 01 } "%/+" 00 }
    a < 90 { 0001 {} 00 }
    a > 82 { 0002 { 0B 02 } "%/#" 01 }
    a < 90 { 0002 {} 01 }
    b connect 5
    b pub %/t 1 x
    a <one of 30 { "%/t" { 0B 01 } 'x' } | 32 { "%/t" @1 { 0B 02 } 'x' }
    a <one of 30 { "%/t" { 0B 01 } 'x' } | 32 { "%/t" @1 { 0B 02 } 'x' }
    a quiet"#,
)];

#[test]
fn each() {
    run_all(&["limits.overlap=each"], EACH);
}

const NO_IDENTIFIERS: &[Case] = &[(
    "v5_3_2_2_3_12_identifiers_are_not_available",
    r#"a > 10 { "MQTT" 05 02 003C {} "%a" }
    a < 20 { 0000 { 22 0020 27 00100000 21 0400 29 00 } }
    a > 82 { 0001 { 0B 01 } "%/t" 01 }
    a < E0 { A1 }
    a closed"#,
)];

#[test]
fn no_identifiers() {
    run_all(&["limits.subscription_ids_available=false"], NO_IDENTIFIERS);
}
