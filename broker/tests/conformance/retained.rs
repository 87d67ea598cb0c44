//! Retained messages: what is kept, who gets it, and when it is gone.

use crate::script::{Case, run_all, run_slowly};
use crate::support::{Broker, Raw, Read};
use millrace_codec::{QoS, Version};
use std::time::Duration;

const KEPT: &[Case] = &[
    (
        "v311_3_3_1_5_a_new_subscriber_gets_the_last_one",
        r#"b connect 311
        b > 33 { "%/t" 0001 'old' } 33 { "%/t" 0002 'new' } 31 { "%/u" 'zero' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        a connect 311
        a sub %/t 1
        a < 33 { "%/t" @1 'new' }
        a sub %/u 1
        a < 31 { "%/u" 'zero' }
        a quiet"#,
    ),
    (
        "v5_3_3_1_5_with_its_properties_and_the_identifier",
        r#"b connect 5
        b > 33 { "%/t" 0001 { 23 0001 26 "k" "v" 03 "text" } 'x' }
        b < 40 { 0001 10 }
        a connect 5
        a > 82 { 0001 { 0B 07 } "%/t" 00 }
        a < 90 { 0001 {} 00 }
        a < 31 { "%/t" { 26 "k" "v" 03 "text" 0B 07 } 'x' }
        a quiet"#,
    ),
    (
        "v5_3_3_1_9_live_ones_have_no_flag",
        r#"a connect 5
        a sub %/t 0
        b connect 5
        b > 31 { "%/t" {} 'x' }
        a < 30 { "%/t" {} 'x' }
        a quiet"#,
    ),
    (
        "v5_3_3_1_13_retain_as_published",
        r#"a connect 5
        a > 82 { 0001 {} "%/t" 08 }
        a < 90 { 0001 {} 00 }
        b connect 5
        b > 31 { "%/t" {} 'x' } 30 { "%/t" {} 'y' }
        a < 31 { "%/t" {} 'x' }
        a < 30 { "%/t" {} 'y' }"#,
    ),
    (
        "v5_3_3_1_6_an_empty_payload_clears",
        r#"a connect 5
        a sub %/t 0
        b connect 5
        b > 33 { "%/t" 0001 {} 'x' } 33 { "%/t" 0002 {} }
        b < 40 { 0001 }
        b < 40 { 0002 }
        a < 30 { "%/t" {} 'x' }
        a < 30 { "%/t" {} }
        c connect 5
        c sub %/t 0
        c quiet"#,
    ),
    (
        "v5_3_3_1_8_without_the_flag_nothing_changes",
        r#"b connect 5
        b > 33 { "%/t" 0001 {} 'x' } 32 { "%/t" 0002 {} 'y' } 32 { "%/t" 0003 {} }
        b < 40 { 0001 10 }
        b < 40 { 0002 10 }
        b < 40 { 0003 10 }
        a connect 5
        a sub %/t 0
        a < 31 { "%/t" {} 'x' }
        a quiet"#,
    ),
    (
        "v5_4_7_1_wildcards",
        r#"b connect 5
        b > 33 { "%//1/s" 0001 {} '1' } 33 { "%//2/s" 0002 {} '2' } 33 { "%//2/t" 0003 {} '3' } 33 { "%/" 0004 {} '4' }
        b < 40 { 0001 10 }
        b < 40 { 0002 10 }
        b < 40 { 0003 10 }
        b < 40 { 0004 10 }
        a connect 5
        a sub %//+/s 0
        a <one of 31 { "%//1/s" {} '1' } | 31 { "%//2/s" {} '2' }
        a <one of 31 { "%//1/s" {} '1' } | 31 { "%//2/s" {} '2' }
        a quiet
        a sub %//2/# 0
        a <one of 31 { "%//2/s" {} '2' } | 31 { "%//2/t" {} '3' }
        a <one of 31 { "%//2/s" {} '2' } | 31 { "%//2/t" {} '3' }
        a quiet
        a sub %/ 0
        a < 31 { "%/" {} '4' }
        a quiet"#,
    ),
    (
        "v5_3_3_1_10_retain_handling_1",
        r#"b connect 5
        b > 33 { "%/t" 0001 {} 'x' }
        b < 40 { 0001 10 }
        a connect 5
        a > 82 { 0001 {} "%/t" 10 }
        a < 90 { 0001 {} 00 }
        a < 31 { "%/t" {} 'x' }
        a > 82 { 0002 {} "%/t" 10 }
        a < 90 { 0002 {} 00 }
        a quiet
        a > A2 { 0003 {} "%/t" }
        a < B0 { 0003 {} 00 }
        a > 82 { 0004 {} "%/t" 10 }
        a < 90 { 0004 {} 00 }
        a < 31 { "%/t" {} 'x' }"#,
    ),
    (
        "v5_3_3_1_11_retain_handling_2",
        r#"b connect 5
        b > 33 { "%/t" 0001 {} 'x' }
        b < 40 { 0001 10 }
        a connect 5
        a > 82 { 0001 {} "%/t" 20 }
        a < 90 { 0001 {} 00 }
        a quiet"#,
    ),
    (
        "v5_3_8_4_4_retain_handling_0_each_time",
        r#"b connect 5
        b > 33 { "%/t" 0001 {} 'x' }
        b < 40 { 0001 10 }
        a connect 5
        a sub %/t 0
        a < 31 { "%/t" {} 'x' }
        a sub %/t 1
        a < 33 { "%/t" @1 {} 'x' }
        a quiet"#,
    ),
    (
        "v311_3_1_2_16_a_retained_will",
        r#"b > 10 { "MQTT" 04 26 003C "%b" "%/w" 0003 'bye' }
        b accepted
        c connect 311
        c sub %/w 0
        b rst
        c < 30 { "%/w" 'bye' }
        a connect 311
        a sub %/w 0
        a < 31 { "%/w" 'bye' }"#,
    ),
    (
        "v5_3_3_2_6_a_retained_message_expires",
        r#"b connect 5
        b > 33 { "%/t" 0001 { 02 00000001 } 'gone' } 33 { "%/u" 0002 { 02 00000064 } 'here' }
        b < 40 { 0001 10 }
        b < 40 { 0002 10 }
        wait 1200
        a connect 5
        a sub %/t 0
        a sub %/u 0
        a <one of 31 { "%/u" { 02 00000063 } 'here' } | 31 { "%/u" { 02 00000062 } 'here' }
        a quiet"#,
    ),
    (
        "v5_3_1_2_24_larger_than_the_client_takes",
        r#"b connect 5
        b > 33 { "%/t" 0001 {} 78*200 } 33 { "%/u" 0002 {} 'x' }
        b < 40 { 0001 10 }
        b < 40 { 0002 10 }
        a > 10 { "MQTT" 05 02 003C { 27 00000080 } "%a" }
        a accepted
        a sub %/# 0
        a < 31 { "%/u" {} 'x' }
        a quiet"#,
    ),
    (
        "v5_4_7_2_1_dollar_topics",
        r#"b connect 5
        b > 33 { "$x/%/q" 0001 {} 'x' }
        b < 40 { 0001 10 }
        a connect 5
        a sub +/%/q 0
        a quiet
        a sub $x/%/+ 0
        a < 31 { "$x/%/q" {} 'x' }"#,
    ),
];

#[test]
fn kept() {
    run_slowly(&[], KEPT);
}

const NOT_AVAILABLE: &[Case] = &[
    (
        "v5_3_2_2_14_not_available",
        r#"a > 10 { "MQTT" 05 02 003C {} "%a" }
        a < 20 { 0000 { 22 0020 25 00 27 00100000 21 0400 } }
        a > 31 { "%/t" {} 'x' }
        a < E0 { 9A }
        a closed"#,
    ),
    (
        "v5_3_2_2_13_a_will_is_refused",
        r#"a > 10 { "MQTT" 05 26 003C {} "%a" {} "%/w" 0003 'bye' }
        a < 20 { 009A {} }
        a closed"#,
    ),
    (
        "v311_3_3_1_delivered_and_not_kept",
        r#"a connect 311
        a sub %/t 0
        b connect 311
        b > 33 { "%/t" 0001 'x' }
        b < 40 { 0001 }
        a < 30 { "%/t" 'x' }
        c connect 311
        c sub %/t 0
        c quiet"#,
    ),
];

#[test]
fn not_available() {
    run_all(&["limits.retain_available=false"], NOT_AVAILABLE);
}

const FULL: &[Case] = &[(
    "v5_3_3_1_more_than_may_be_kept",
    r#"b connect 5
    c connect 5
    c sub %/# 0
    b > 33 { "%/1" 0001 {} '1' } 33 { "%/2" 0002 {} '2' }
    b < 40 { 0001 }
    b < 40 { 0002 }
    d connect 5
    d sub %/1 0
    d < 31 { "%/1" {} '1' }
    d sub %/2 0
    d < 31 { "%/2" {} '2' }
    b > 33 { "%/3" 0003 {} '3' } 33 { "%/1" 0004 {} '4' }
    b < 40 { 0003 }
    b < 40 { 0004 }
    c < 30 { "%/1" {} '1' }
    c < 30 { "%/2" {} '2' }
    c < 30 { "%/3" {} '3' }
    c < 30 { "%/1" {} '4' }
    a connect 5
    a sub %/1 0
    a < 31 { "%/1" {} '4' }
    a sub %/3 0
    a quiet
    b > 33 { "%/1" 0001 {} } 33 { "%/2" 0002 {} }
    b < 40 { 0001 }
    b < 40 { 0002 }
    e connect 5
    e sub %/# 0
    e quiet"#,
)];

#[test]
fn full() {
    run_all(&["limits.max_retained_messages=2"], FULL);
}

/// A client that subscribes to very many and reads slowly gets all of them in the end; it has little waiting for it
/// meanwhile, and others are served.
#[test]
fn v5_3_3_1_5_very_many_to_a_slow_reader() {
    const MESSAGES: usize = 30_000;
    let mut broker = Broker::start(&["limits.max_queued_messages=100", "limits.max_output_bytes=64KiB"]);
    let mut publisher = Raw::connect(&broker, Version::V5, "publisher");
    for block in 0..MESSAGES / 1_000 {
        for n in 0..1_000 {
            let topic = format!("devices/{}/state", block * 1_000 + n);
            publisher.publish_retained(&topic, &[7; 200], n as u16 + 1);
        }
        for n in 0..1_000 {
            publisher.expect(&[&[0x40, 2][..], &(n as u16 + 1).to_be_bytes()].concat());
        }
    }
    let mut slow = Raw::connect(&broker, Version::V5, "slow");
    slow.subscribe("devices/+/state", QoS::AtMostOnce);
    std::thread::sleep(Duration::from_millis(300));
    let mut other = Raw::connect(&broker, Version::V5, "other");
    other.subscribe("devices/29999/state", QoS::AtMostOnce);
    assert!(matches!(other.read(Duration::from_secs(5)), Read::Packet(packet) if packet[0] == 0x31));
    let mut topics = std::collections::BTreeSet::new();
    while topics.len() < MESSAGES {
        let Read::Packet(packet) = slow.read(Duration::from_secs(10)) else {
            panic!("{} of {MESSAGES} came", topics.len())
        };
        assert_eq!(packet[0], 0x31);
        assert!(topics.insert(packet[..packet.len() - 200].to_vec()), "one came twice");
    }
    broker.signal(rustix::process::Signal::TERM);
    assert_eq!(broker.wait().code, Some(0));
}
