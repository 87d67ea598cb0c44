//! Shared subscriptions: who gets a message, and what becomes of it when its receiver goes.

use crate::script::{Case, run_all};
use crate::support::{Broker, Raw, Read};
use millrace_codec::{QoS, Version};
use std::collections::BTreeMap;
use std::time::Duration;

const SHARED: &[Case] = &[
    (
        "v5_4_8_2_one_after_the_other",
        r#"a connect 5
        c connect 5
        b connect 5
        a > 82 { 0001 { 0B 05 } "$share/g/%/t" 01 }
        a < 90 { 0001 {} 01 }
        c sub $share/g/%/t 1
        b pub %/t 1 1
        b pub %/t 1 2
        b pub %/t 1 3
        a < 32 { "%/t" @1 { 0B 05 } '1' }
        c < 32 { "%/t" @2 {} '2' }
        a < 32 { "%/t" @3 { 0B 05 } '3' }
        a quiet
        c quiet"#,
    ),
    (
        "v311_4_7_shared_in_3_x_too",
        r#"a connect 311
        d connect 31
        b connect 311
        a sub $share/g/%/+ 1
        d sub $share/g/%/+ 0
        b pub %/t 1 1
        b pub %/t 1 2
        a < 32 { "%/t" @1 '1' }
        d < 30 { "%/t" '2' }
        a > A2 { 0005 "$share/g/%/+" }
        a < B0 { 0005 }
        b pub %/t 1 3
        b pub %/t 1 4
        d < 30 { "%/t" '3' }
        d < 30 { "%/t" '4' }
        a quiet"#,
    ),
    (
        "v5_4_8_2_each_group_gets_its_own_copy_and_so_does_a_plain_subscription",
        r#"a connect 5
        b connect 5
        a sub $share/g/%/t 0
        a sub $share/h/%/t 0
        a sub %/t 0
        b pub %/t 0 x
        a < 30 { "%/t" {} 'x' }
        a < 30 { "%/t" {} 'x' }
        a < 30 { "%/t" {} 'x' }
        a quiet"#,
    ),
    (
        "v5_3_11_3_unsubscribing",
        r#"a connect 5
        a sub $share/g/%/t 0
        a > A2 { 0001 {} "$share/h/%/t" "%/t" "$share/g/%/t" "$share/g/%/t" }
        a < B0 { 0001 {} 11110011 }
        b connect 5
        b pub %/t 1 x
        a quiet"#,
    ),
    (
        "v5_4_8_2_no_retained_messages",
        r#"b connect 5
        b > 33 { "%/t" 0001 {} 'x' }
        b < 40 { 0001 10 }
        a connect 5
        a sub $share/g/%/t 0
        a quiet"#,
    ),
    (
        "v5_4_8_2_what_was_not_acknowledged_goes_to_another",
        r#"a connect 5
        b connect 5
        c connect 5
        a sub $share/g/%/t 1
        b pub %/t 1 1
        a < 32 { "%/t" @1 {} '1' }
        c sub $share/g/%/t 1
        a > E0 00
        a closed
        c < 32 { "%/t" @2 {} '1' }
        b pub %/t 1 2
        c < 32 { "%/t" @3 {} '2' }
        c quiet"#,
    ),
    (
        "v5_4_8_2_4_qos_2_stays_with_its_client",
        r#"a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a accepted
        b connect 5
        c connect 5
        a sub $share/g/%/t 2
        b pub %/t 2 1
        a < 34 { "%/t" @1 {} '1' }
        c sub $share/g/%/t 2
        a > E0 00
        a closed
        c quiet
        b pub %/t 2 2
        c < 34 { "%/t" @2 {} '2' }
        a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a resumed
        a < 3C { "%/t" @1 {} '1' }
        a quiet"#,
    ),
    (
        "v5_4_8_2_who_is_away_is_passed_over_while_another_is_there",
        r#"a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a accepted
        b connect 5
        c > 10 { "MQTT" 05 00 003C { 11 0000003C } "%c" }
        c accepted
        a sub $share/g/%/t 1
        c sub $share/g/%/t 1
        a > E0 00
        a closed
        b pub %/t 1 1
        b pub %/t 1 2
        c < 32 { "%/t" @1 {} '1' }
        c < 32 { "%/t" @2 {} '2' }
        c > 40 { @1 } 40 { @2 } E0 00
        c closed
        b pub %/t 1 3
        b pub %/t 1 4
        a > 10 { "MQTT" 05 00 003C { 11 0000003C } "%a" }
        a resumed
        c > 10 { "MQTT" 05 00 003C { 11 0000003C } "%c" }
        c resumed
        b pub %/t 1 5
        b pub %/t 1 6"#,
    ),
    (
        "v5_4_8_2_the_will_of_a_member_goes_to_another",
        r#"a > 10 { "MQTT" 05 06 003C {} "%a" {} "%/t" 0003 'bye' }
        a accepted
        a sub $share/g/%/t 1
        c connect 5
        c sub $share/g/%/t 1
        a rst
        c < 30 { "%/t" {} 'bye' }"#,
    ),
    (
        "v5_4_8_2_the_will_of_a_kept_member_goes_to_another",
        r#"a > 10 { "MQTT" 05 04 003C { 11 0000003C } "%a" {} "%/t" 0003 'bye' }
        a accepted
        a sub $share/g/%/t 1
        c connect 5
        c sub $share/g/%/t 1
        a rst
        c < 30 { "%/t" {} 'bye' }"#,
    ),
    (
        "v5_4_8_2_6_a_refused_message_goes_to_nobody_else",
        r#"a connect 5
        b connect 5
        c connect 5
        a sub $share/g/%/t 1
        c sub $share/g/%/t 1
        b pub %/t 1 1
        a < 32 { "%/t" @1 {} '1' }
        a > 40 { @1 83 }
        a > E0 00
        a closed
        c quiet"#,
    ),
    (
        "v5_3_8_3_4_no_local_is_a_protocol_error",
        r#"a connect 5
        a > 82 { 0001 {} "$share/g/%/t" 05 }
        a < E0 { 82 }
        a closed"#,
    ),
];

#[test]
fn shared() {
    run_all(&[], SHARED);
}

const NOT_AVAILABLE: &[Case] = &[
    (
        "v5_3_2_2_3_13_not_available",
        r#"a > 10 { "MQTT" 05 02 003C {} "%a" }
        a < 20 { 0000 { 22 0020 27 00100000 21 0400 2A 00 } }
        a > 82 { 0001 {} "$share/g/%/t" 01 }
        a < 90 { 0001 {} 9E }"#,
    ),
    (
        "v311_3_9_3_2_not_available",
        r#"a connect 311
        a > 82 { 0001 "$share/g/%/t" 01 }
        a < 90 { 0001 80 }"#,
    ),
];

#[test]
fn not_available() {
    run_all(&["limits.shared_available=false"], NOT_AVAILABLE);
}

const STICKY: &[Case] = &[(
    "v5_4_8_2_sticky",
    r#"a connect 5
    c connect 5
    b connect 5
    a sub $share/g/%/t 0
    c sub $share/g/%/t 0
    b pub %/t 0 1
    b pub %/t 0 2
    b pub %/t 0 3
    a < 30 { "%/t" {} '1' }
    a < 30 { "%/t" {} '2' }
    a < 30 { "%/t" {} '3' }
    c quiet"#,
)];

#[test]
fn sticky() {
    run_all(&["share.strategy=sticky"], STICKY);
}

const LEAST_INFLIGHT: &[Case] = &[(
    "v5_4_8_2_least_inflight",
    r#"a connect 5
    c connect 5
    b connect 5
    a sub $share/g/%/t 2
    c sub $share/g/%/t 2
    b pub %/t 1 1
    b pub %/t 1 2
    a < 32 { "%/t" @1 {} '1' }
    c < 32 { "%/t" @2 {} '2' }
    c > 40 { @2 }
    c > C0 00
    c < D0 00
    b pub %/t 1 3
    c < 32 { "%/t" @3 {} '3' }
    c > 40 { @3 }
    c > C0 00
    c < D0 00
    b pub %/t 2 4
    c < 34 { "%/t" @4 {} '4' }
    c > 50 { @4 83 }
    c > C0 00
    c < D0 00
    b pub %/t 0 5
    c < 30 { "%/t" {} '5' }
    c > C0 00
    c < D0 00
    b pub %/t 0 6
    c < 30 { "%/t" {} '6' }
    a quiet"#,
)];

#[test]
fn least_inflight() {
    run_all(&["share.strategy=least_inflight"], LEAST_INFLIGHT);
}

/// Members come and go without a word while messages flow: each arrives, at one that has acknowledged it.
#[test]
fn v5_4_8_2_nothing_is_lost_while_members_come_and_go() {
    const MESSAGES: u32 = 6_000;
    let mut broker = Broker::start(&["limits.max_inflight=20"]);
    let connect = |broker: &Broker, name: &str| {
        let mut raw = Raw::connect(broker, Version::V5, name);
        raw.subscribe("$share/g/jobs/#", QoS::AtLeastOnce);
        raw
    };
    let mut members: Vec<(String, Raw)> = (0..4)
        .map(|number| format!("member-{number}"))
        .map(|name| (name.clone(), connect(&broker, &name)))
        .collect();
    let mut publisher = Raw::connect(&broker, Version::V5, "publisher");
    let mut got: BTreeMap<u32, u32> = BTreeMap::new();
    let mut take = |raw: &mut Raw, most: usize, patience: Duration| {
        let mut taken = 0;
        while taken < most {
            let Read::Packet(packet) = raw.read(patience) else { break };
            assert_eq!(packet[0], 0x32, "{packet:02X?}");
            let id = [packet[2 + 2 + 6], packet[2 + 2 + 7]];
            let number = u32::from_be_bytes(packet[packet.len() - 4..].try_into().expect("four bytes"));
            *got.entry(number).or_default() += 1;
            raw.send(&[0x40, 2, id[0], id[1]]);
            taken += 1;
        }
        taken
    };
    for block in 0..MESSAGES / 100 {
        for n in 0..100 {
            let number = block * 100 + n;
            publisher.publish("jobs/x", &number.to_be_bytes(), QoS::AtLeastOnce, n as u16 + 1);
        }
        for _ in 0..100 {
            assert_eq!(publisher.packet()[0], 0x40);
        }
        // One goes in the middle of what it has; the others read a little.
        let leaving = block as usize % members.len();
        for (at, (_, raw)) in members.iter_mut().enumerate() {
            take(raw, if at == leaving { 3 } else { 20 }, Duration::from_millis(5));
        }
        let (name, raw) = members.remove(leaving);
        raw.reset();
        members.insert(leaving, (name.clone(), connect(&broker, &name)));
    }
    while members.iter_mut().map(|(_, raw)| take(raw, 1_000, Duration::from_millis(300))).sum::<usize>() > 0 {
    }
    let missing: Vec<u32> = (0..MESSAGES).filter(|number| !got.contains_key(number)).collect();
    assert!(
        missing.is_empty(),
        "{} of {MESSAGES} are missing: {:?}",
        missing.len(),
        &missing[..missing.len().min(20)]
    );
    drop(members);
    broker.signal(rustix::process::Signal::TERM);
    assert_eq!(broker.wait().code, Some(0));
}
