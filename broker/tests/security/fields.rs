//! What stands inside of packets: t05 … t09, t11, t13.

use crate::support::process::cpu_ticks;
use crate::support::{Raw, Read};
use crate::{beside_a_healthy_client, closes, told};
use millrace_codec::vectors::{self, wire};
use millrace_codec::{QoS, Version};
use std::time::{Duration, Instant};

fn text(bytes: &[u8]) -> Vec<u8> {
    let mut field = (bytes.len() as u16).to_be_bytes().to_vec();
    field.extend_from_slice(bytes);
    field
}

fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = vec![first];
    millrace_codec::push_varint(body.len(), &mut bytes).expect("short enough");
    bytes.extend_from_slice(&body);
    bytes
}

/// CVE-2017-7653: bad UTF-8, NUL and surrogates, in every field that is a text.
#[test]
fn t05_texts_that_are_none() {
    let bad: &[(&str, &[u8])] = &[
        ("nul", b"a\0b"),
        ("surrogate", b"\xed\xa0\x80"),
        ("last_surrogate", b"\xed\xbf\xbf"),
        ("overlong_slash", b"\xc0\xaf"),
        ("overlong_nul", b"\xc0\x80"),
        ("lonely_continuation", b"\x80"),
        ("cut_sequence", b"a\xe2\x82"),
        ("above_unicode", b"\xf4\x90\x80\x80"),
        ("five_bytes", b"\xf8\x88\x80\x80\x80"),
        ("ff", b"\xff"),
    ];
    beside_a_healthy_client(&[], |broker, healthy| {
        for (name, bytes) in bad {
            let field = text(bytes);
            let value = [&[0x26][..], &text(b"k"), &field].concat();
            let property = [&[value.len() as u8][..], &value].concat();
            let after_connect = [
                ("topic", packet(0x30, &[&field, &[0]])),
                ("filter", packet(0x82, &[&[0, 1, 0], &field, &[0]])),
                ("second_filter", packet(0x82, &[&[0, 1, 0], &text(b"a"), &[0], &field, &[0]])),
                ("unsubscribe", packet(0xa2, &[&[0, 1, 0], &field])),
                ("user_property", packet(0x30, &[&text(b"t"), &property])),
            ];
            for (place, bytes) in after_connect {
                let said = closes(broker, Version::V5, &bytes);
                assert_eq!(said, told(Version::V5, 0x81), "{name} as {place}");
            }
            let start = wire("\"MQTT\" 05");
            let before = [
                ("client_id", packet(0x10, &[&start, &[0x02, 0, 60, 0], &field])),
                (
                    "will_topic",
                    packet(0x10, &[&start, &[0x06, 0, 60, 0], &text(b"a"), &[0], &field, &text(b"m")]),
                ),
                ("user_name", packet(0x10, &[&start, &[0x82, 0, 60, 0], &text(b"a"), &field])),
            ];
            for (place, bytes) in before {
                let mut raw = Raw::open(broker.address());
                raw.version = Version::V5;
                raw.send(&bytes);
                let said = raw.expect_closed();
                let reason = if place == "client_id" { 0x85 } else { 0x81 };
                assert_eq!(said, [[0x20, 3, 0, reason, 0]], "{name} as {place}");
            }
            healthy.check();
        }
        assert!(vectors::CODE_POINTS.len() > 4, "the codec's own tests have the whole table");
    });
}

/// CVE-2021-34432: empty topics, wildcards in PUBLISH.
#[test]
fn t06_topics_that_are_none() {
    beside_a_healthy_client(&[], |broker, _| {
        for topic in ["", "#", "+", "a/#", "a/+/b", "a#", "/+"] {
            for version in Version::ALL {
                for first in [0x30, 0x32, 0x34] {
                    let id: &[u8] = if first == 0x30 { &[] } else { &[0, 1] };
                    let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
                    let said =
                        closes(broker, version, &packet(first, &[&text(topic.as_bytes()), id, properties]));
                    match version {
                        Version::V5 => assert!(
                            matches!(said.as_slice(), [one] if one[..2] == [0xe0, 1] && [0x81, 0x82, 0x90].contains(&one[2])),
                            "{topic:?}: {said:02X?}"
                        ),
                        _ => assert!(said.is_empty(), "{topic:?}: {said:02X?}"),
                    }
                }
            }
        }
    });
}

/// CVE-2018-12543: `$` topics reach an assertion.
#[test]
fn t07_dollar_topics() {
    beside_a_healthy_client(&[], |broker, _| {
        for version in Version::ALL {
            let mut raw = Raw::connect(broker, version, "dollar");
            raw.subscribe("#", QoS::AtMostOnce);
            let topics = [
                "$",
                "$x",
                "$SYS",
                "$SYS/",
                "$SYS/broker/uptime",
                "$share",
                "$share/",
                "$share/g",
                "$share/g/t",
                "$$",
                "$/a",
                "$queue/a",
                "$delayed/1/t",
            ];
            for (number, topic) in topics.into_iter().enumerate() {
                let id = number as u16 + 1;
                raw.publish(topic, b"x", QoS::AtLeastOnce, id);
                let answer = raw.packet();
                let [high, low] = id.to_be_bytes();
                assert_eq!((answer[0], &answer[2..4]), (0x40, &[high, low][..]), "{topic}: {answer:02X?}");
            }
            raw.ping();
        }
    });
}

/// CVE-2019-11779, CVE-2021-33176: topics of many thousand levels.
#[test]
fn t08_deep_topics() {
    beside_a_healthy_client(&["limits.max_topic_levels=128"], |broker, healthy| {
        let deep = text(&[b'/'; 65_535]);
        let mixed = text(&b"+/".repeat(32_767));
        for version in Version::ALL {
            let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
            let said = closes(broker, version, &packet(0x30, &[&deep, properties, b"x"]));
            assert_eq!(said, told(version, 0x81));
            for filter in [&deep, &mixed] {
                let said = closes(broker, version, &packet(0x82, &[&[0, 1], properties, filter, &[0]]));
                assert_eq!(said, told(version, 0x81));
                let mut raw = Raw::connect(broker, version, "deep");
                raw.send(&packet(0xa2, &[&[0, 2], properties, filter]));
                assert_eq!(raw.packet()[0], 0xb0);
            }
            healthy.check();
        }
        // Many filters of the greatest depth that is allowed, and topics that run along all of them.
        let mut raw = Raw::connect(broker, Version::V5, "deepest");
        for number in 0..100 {
            let filter = format!("{}{number}", "+/".repeat(127));
            raw.subscribe(&filter, QoS::AtMostOnce);
        }
        let before = Instant::now();
        for _ in 0..100 {
            raw.publish(&format!("{}none", "a/".repeat(127)), b"x", QoS::AtMostOnce, 0);
        }
        raw.ping();
        assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
    });
}

/// CVE-2025-68699, VerneMQ #756: malformed `$share` filters, then a PUBLISH that would meet them.
#[test]
fn t09_malformed_shares() {
    let filters = [
        "$share",
        "$share/",
        "$share//",
        "$share//t",
        "$share/g",
        "$share/g/",
        "$share/+/t",
        "$share/#/t",
        "$share/#",
        "$share/g/#/t",
        "$share/g/a+",
        "$share/$share/g/t",
        "$share/g/$SYS/#",
        "$share/\u{e9}/t",
    ];
    beside_a_healthy_client(&[], |broker, healthy| {
        for filter in filters {
            for version in Version::ALL {
                let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
                let mut raw = Raw::connect(broker, version, "share");
                raw.send(&packet(0x82, &[&[0, 1], properties, &text(filter.as_bytes()), &[1]]));
                match raw.read(Duration::from_secs(5)) {
                    Read::Packet(answer) if answer[0] == 0x90 => {
                        // Odd, and legal.
                        let legal = ["$share/$share/g/t", "$share/g/$SYS/#", "$share/\u{e9}/t"];
                        let granted = answer.last() < Some(&0x80);
                        assert_eq!(granted, legal.contains(&filter), "{filter}: {answer:02X?}");
                        raw.send(&packet(0xa2, &[&[0, 1], properties, &text(filter.as_bytes())]));
                        let _ = raw.read(Duration::from_secs(5));
                    }
                    Read::Packet(answer) => {
                        assert!(
                            [[0xe0, 1, 0x81], [0xe0, 1, 0x82]]
                                .contains(&answer[..].try_into().expect("three bytes")),
                            "{filter}: {answer:02X?}"
                        );
                    }
                    other => assert_eq!((other, version == Version::V5), (Read::Closed, false), "{filter}"),
                }
            }
            healthy.check();
        }
    });
}

/// CVE-2021-41039: thousands of user properties. Their number is capped where they are read, and reading them costs
/// time in proportion.
#[test]
fn t11_many_user_properties() {
    let some = |count: usize| {
        let list = [0x26, 0, 1, b'k', 0, 1, b'v'].repeat(count);
        let mut out = Vec::new();
        millrace_codec::push_varint(list.len(), &mut out).expect("short enough");
        out.extend_from_slice(&list);
        out
    };
    beside_a_healthy_client(&[], |broker, healthy| {
        let (few, enough, over, many) = (some(1), some(64), some(65), some(140_000));
        let before = cpu_ticks(broker.pid());
        for properties in [&over, &many] {
            let mut after_connect = vec![
                packet(0x30, &[&text(b"t"), properties]),
                packet(0x82, &[&[0, 1], properties, &text(b"t"), &[0]]),
            ];
            // Of UNSUBSCRIBE and acknowledgements they are not kept either; here they only have to do no harm.
            after_connect.push(packet(0x82, &[&[0, 1], properties, &text(b"t"), &[0]]));
            for bytes in after_connect {
                assert_eq!(closes(broker, Version::V5, &bytes), told(Version::V5, 0x97));
            }
            let start = wire("\"MQTT\" 05");
            for bytes in [
                packet(0x10, &[&start, &[0x02, 0, 60], properties, &text(b"a")]),
                packet(0x10, &[&start, &[0x06, 0, 60, 0], &text(b"a"), properties, &text(b"w"), &text(b"m")]),
            ] {
                let mut raw = Raw::open(broker.address());
                let _ = raw.try_send(&bytes);
                assert_eq!(raw.expect_closed(), [[0x20, 3, 0, 0x97, 0]]);
            }
            for first in [0x40, 0x50, 0x62, 0x70] {
                let mut raw = Raw::connect(broker, Version::V5, "acks");
                let _ = raw.try_send(&packet(first, &[&[0, 1, 0], properties]));
                raw.finish();
                raw.expect_closed();
            }
            healthy.check();
        }
        let used = cpu_ticks(broker.pid()) - before;
        assert!(used < 300, "{used} ticks of processor time");
        let mut raw = Raw::connect(broker, Version::V5, "fine");
        raw.subscribe("t", QoS::AtMostOnce);
        for properties in [few, enough] {
            let bytes = packet(0x30, &[&text(b"t"), &properties, b"x"]);
            raw.send(&bytes);
            raw.expect(&bytes);
        }
    });
}

/// A 3.x client that fills all that is read ahead of it before it releases anything: its PUBREL would never be seen.
#[test]
fn t13_a_client_that_releases_too_late_is_closed() {
    beside_a_healthy_client(&["limits.receive_maximum=100"], |broker, healthy| {
        let mut raw = Raw::connect(broker, Version::V311, "late");
        let mut burst = Vec::new();
        for id in 1..=3_000_u16 {
            burst.extend(packet(0x34, &[&text(b"t"), &id.to_be_bytes(), &[b'x'; 20]]));
        }
        burst.extend_from_slice(&[0x62, 2, 0, 1]);
        let _ = raw.try_send(&burst);
        let answers = raw.expect_closed();
        assert!(answers.len() <= 100 && answers.iter().all(|answer| answer[0] == 0x50), "{answers:02X?}");
        healthy.check();
    });
}

/// CVE-2023-28366: packet ids of QoS 2 that are never released.
#[test]
fn t13_qos_2_ids_are_capped() {
    beside_a_healthy_client(&["limits.receive_maximum=100"], |broker, healthy| {
        let publish = |id: u16, five: bool| {
            let id = id.to_be_bytes();
            packet(0x34, &[&text(b"t"), &id, if five { &[0] } else { &[] }])
        };
        let mut raw = Raw::connect(broker, Version::V5, "greedy-5");
        for id in 1..=100 {
            raw.send(&publish(id, true));
            assert_eq!(raw.packet()[0], 0x50);
        }
        raw.send(&publish(101, true));
        assert_eq!(raw.expect_closed(), told(Version::V5, 0x93));
        // 3.x: the broker reads no further, but still answers pings, and closes nothing.
        let mut raw = Raw::connect(broker, Version::V311, "greedy-3");
        for id in 1..=101 {
            raw.send(&publish(id, false));
        }
        for _ in 1..=100 {
            assert_eq!(raw.packet()[0], 0x50);
        }
        raw.ping();
        healthy.check();
        raw.send(&[0x62, 2, 0, 7]);
        raw.expect(&[0x70, 2, 0, 7]);
        raw.expect(&[0x50, 2, 0, 101]);
    });
}
