//! Shared subscriptions of 5.0.

use crate::script::{Case, run_all, run_slowly};

const GROUPS: &[Case] = &[
    (
        "v5_4_8_2_1_a_group_beside_others",
        "+5 4.8.2-1 4.8.2-2 4.8.2 4.8.1 3.2.2.3.13
        a connect 5
        a sub $share/g/%/+ 1
        b connect 5
        b sub $share/other/%/t 1
        c connect 5
        c sub %/t 1
        d connect 5
        d pub %/t 1 1
        a gets %/t 1 1
        b gets %/t 1 1
        c gets %/t 1 1",
    ),
    (
        "v5_4_8_2_one_member_gets_it",
        r#"-5 4.8.2 4.8.1
        d connect 5
        a connect 5
        a sub $share/g/%/t 1
        b connect 5
        b sub $share/g/%/t 1
        a unsub $share/g/%/t
        d pub %/t 1 1
        b gets %/t 1 1
        a quiet"#,
    ),
    (
        "v5_4_8_2_3_each_member_its_own_qos",
        "+5 4.8.2-3
        -5 4.8.2-3
        a connect 5
        a sub $share/g/%/t 0
        b connect 5
        b sub $share/h/%/t 1
        c connect 5
        c pub %/t 2 1
        a gets %/t 0 1
        b gets %/t 1 1
        c pub %/t 0 2
        a gets %/t 0 2
        b gets %/t 0 2",
    ),
    (
        "v5_4_8_2_4_a_delivery_that_has_begun_stays_with_its_member",
        r#"+5 4.8.2-4
        -5 4.8.2-4
        a connect 5 keep 60
        a sub $share/g/%/t 2
        c connect 5
        c pub %/t 2 1
        a < 34 { "%/t" @1 {} '1' }
        a > 50 { @1 }
        a < 62 { @1 }
        c pub %/t 2 2
        a < 34 { "%/t" @2 {} '2' }
        b connect 5
        b sub $share/g/%/t 2
        a fin
        a closed
        b quiet
        a connect 5 keep 60 present
        a <| 62 { @1 } | 3C { "%/t" @2 {} '2' }
        a > 70 { @1 } 50 { @2 }
        a < 62 { @2 }
        a > 70 { @2 }
        b quiet"#,
    ),
    (
        "v5_4_8_2_5_nobody_else_gets_what_a_lost_session_had_begun",
        r#"-5 4.8.2-5
        a connect 5 keep 60
        a sub $share/g/%/t 2
        c connect 5
        c pub %/t 2 1
        a < 34 { "%/t" @1 {} '1' }
        a > 50 { @1 }
        a < 62 { @1 }
        b connect 5
        b sub $share/g/%/t 2
        a fin
        a closed
        a connect 5
        a quiet
        b quiet"#,
    ),
    (
        "v5_4_8_2_5_but_what_comes_later",
        "+5 4.8.2-5
        a connect 5 keep 60
        a sub $share/g/%/t 2
        b connect 5
        b sub $share/g/%/t 2
        a bye
        a connect 5
        c connect 5
        c pub %/t 2 1
        b gets %/t 2 1
        c pub %/t 2 2
        b gets %/t 2 2
        a quiet",
    ),
    (
        "v5_4_8_2_6_nobody_else_gets_what_a_member_refused",
        r#"-5 4.8.2-6
        a connect 5
        a sub $share/g/%/t 2
        c connect 5
        c pub %/t 1 1
        c pub %/t 2 2
        a < 32 { "%/t" @1 {} '1' }
        a < 34 { "%/t" @2 {} '2' }
        b connect 5
        b sub $share/g/%/t 2
        a > 40 { @1 80 } 50 { @2 97 }
        a quiet
        b quiet"#,
    ),
    (
        "v5_4_8_2_6_and_the_next_one_comes",
        r#"+5 4.8.2-6
        a connect 5
        a sub $share/g/%/t 1
        c connect 5
        c pub %/t 1 1
        a < 32 { "%/t" @1 {} '1' }
        a > 40 { @1 80 }
        c pub %/t 1 2
        a gets %/t 1 2"#,
    ),
    (
        "v5_3_8_3_4_no_local",
        "-5 3.8.3-4\n a connect 5\n a > 82 { 0001 {} \"$share/g/%/t\" 05 }\n a refused 82",
    ),
    (
        "v5_3_8_3_4_other_options",
        "+5 3.8.3-4 3.8.3\n a connect 5\n a sub $share/g/%/t 29\n b connect 5\n b pub %/t 1r x\n a gets %/t 1r x",
    ),
    ("v5_4_8_2_1_no_name", "-5 4.8.2-1\n a connect 5\n a > 82 { 0001 {} \"$share//%/t\" 01 }\n a refused 82"),
    (
        "v5_4_8_2_2_nothing_behind_the_name",
        "-5 4.8.2-2\n a connect 5\n a > 82 { 0001 {} \"$share/g\" 01 }\n a refused 82",
    ),
    (
        "v5_4_8_2_2_wildcard_in_the_name",
        "-5 4.8.2-2\n a connect 5\n a > 82 { 0001 {} \"$share/g+/%/t\" 01 }\n a refused 81",
    ),
    (
        "v5_4_8_2_subscription_identifiers",
        r#"a connect 5
        a > 82 { 0001 { 0B 07 } "$share/g/%/t" 00 }
        a < 90 { 0001 {} 00 }
        b connect 5
        b pub %/t 0 x
        a < 30 { "%/t" { 0B 07 } 'x' }"#,
    ),
    (
        "v5_4_8_2_the_same_group_with_another_filter",
        "a connect 5
        a sub $share/g/%/a 1
        b connect 5
        b sub $share/g/%/b 1
        c connect 5
        c pub %/a 1 1
        c pub %/b 1 2
        a gets %/a 1 1
        b gets %/b 1 2
        a quiet
        b quiet",
    ),
];

#[test]
fn shared_subscriptions() {
    run_all(&[], GROUPS);
}

const AWAY: &[Case] = &[
    (
        "v5_4_8_2_none_for_shared_subscriptions",
        "-5 4.8.2
        b connect 5
        b pub %/t 1r x
        a connect 5
        a sub $share/g/%/t 1
        wait 100ms
        a quiet",
    ),
    (
        "v5_4_8_2_members_that_are_away_get_none_while_others_are_there",
        "a connect 5 keep 60
    a sub $share/g/%/t 1
    b connect 5
    b sub $share/g/%/t 1
    a bye
    wait 300ms
    c connect 5
    c pub %/t 1 1
    c pub %/t 1 2
    c pub %/t 1 3
    b gets %/t 1 1
    b gets %/t 1 2
    b gets %/t 1 3
    a connect 5 keep 60 present
    a quiet",
    ),
];

#[test]
fn shared_subscriptions_of_members_that_are_away() {
    run_slowly(&[], AWAY);
}
