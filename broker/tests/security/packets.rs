//! Frames and packet types: t01, t02, t04, t15.

use crate::support::process::resident_kib;
use crate::support::{Raw, Read};
use crate::{beside_a_healthy_client, closes, told};
use millrace_codec::vectors::{self, wire};
use millrace_codec::{Version, frame_header};
use std::time::Duration;

/// CVE-2017-7651, CVE-2023-0809: memory taken on the word of the remaining length.
#[test]
fn t01_a_length_is_only_a_claim() {
    beside_a_healthy_client(
        &["limits.connect_timeout=2s", "limits.max_packet_size=256MiB"],
        |broker, healthy| {
            let before = resident_kib(broker.pid());
            let mut liars: Vec<Raw> = (0..200)
                .map(|number| {
                    let mut raw = match number % 2 {
                        0 => Raw::open(broker.address()),
                        _ => Raw::connect(broker, Version::V311, &format!("liar-{number}")),
                    };
                    // CONNECT and PUBLISH of 256 MiB less a little.
                    raw.send(if number % 2 == 0 {
                        &[0x10, 0xf0, 0xff, 0xff, 0x7f]
                    } else {
                        &[0x30, 0xf0, 0xff, 0xff, 0x7f]
                    });
                    raw
                })
                .collect();
            for _ in 0..20 {
                for liar in &mut liars {
                    let _ = liar.try_send(b"MQTT");
                }
                healthy.check();
            }
            let grown = resident_kib(broker.pid()).saturating_sub(before);
            assert!(grown < 16 << 10, "{grown} KiB for 200 claims of 256 MiB");
            // Those that did not finish their CONNECT in time are closed however they trickle.
            for liar in liars.iter_mut().step_by(2) {
                assert_eq!(liar.read(Duration::from_secs(10)), Read::Closed);
            }
        },
    );
}

/// The default limit closes at the header, before anything is kept.
#[test]
fn t01_a_packet_over_the_limit_is_closed_at_its_header() {
    beside_a_healthy_client(&[], |broker, _| {
        for version in Version::ALL {
            let said = closes(broker, version, &[0x30, 0xff, 0xff, 0xff, 0x7f]);
            assert_eq!(said, told(version, 0x95), "{version:?}");
        }
        let mut raw = Raw::open(broker.address());
        raw.send(&[0x10, 0xff, 0xff, 0xff, 0x7f]);
        assert_eq!(raw.expect_closed(), Vec::<Vec<u8>>::new());
    });
}

/// CVE-2026-21888: variable byte integers over four bytes, in every place one stands.
#[test]
fn t02_integers_of_five_bytes() {
    let after = |name: &'static str, text: &'static str| (name, text);
    let cases = [
        after("remaining_length", "30 8080808001"),
        after("remaining_length_that_goes_on", "C0 FFFFFFFFFF"),
        after("publish_properties", "30 { \"t\" 8080808000 }"),
        after("puback_properties", "40 { 0001 00 8080808000 }"),
        after("pubrec_properties", "50 { 0001 00 FFFFFFFF7F }"),
        after("pubrel_properties", "62 { 0001 00 8080808000 }"),
        after("pubcomp_properties", "70 { 0001 00 8080808000 }"),
        after("subscribe_properties", "82 { 0001 8080808000 \"t\" 00 }"),
        after("unsubscribe_properties", "A2 { 0001 8080808000 \"t\" }"),
        after("disconnect_properties", "E0 { 00 8080808000 }"),
        after("auth_properties", "F0 { 18 8080808000 }"),
        after("subscription_identifier", "82 { 0001 { 0B 8080808001 } \"t\" 00 }"),
        after("property_identifier", "30 { \"t\" { A380808000 0001 } }"),
    ];
    beside_a_healthy_client(&[], |broker, healthy| {
        for (name, text) in cases {
            let expected = match name {
                // Whatever is in it.
                "auth_properties" => told(Version::V5, 0x82),
                _ => told(Version::V5, 0x81),
            };
            assert_eq!(closes(broker, Version::V5, &wire(text)), expected, "{name}");
            healthy.check();
        }
        for (name, text) in [
            ("connect_remaining_length", "10 8080808001"),
            ("connect_properties", "10 { \"MQTT\" 05 02 003C 8080808000 \"a\" }"),
            ("will_properties", "10 { \"MQTT\" 05 06 003C {} \"a\" 8080808000 \"w\" \"m\" }"),
        ] {
            let mut raw = Raw::open(broker.address());
            raw.send(&wire(text));
            for packet in raw.expect_closed() {
                assert_eq!(packet[..4], [0x20, 3, 0, 0x81], "{name}");
            }
        }
    });
}

/// NanoMQ #2268, #2270: a packet that ends in the middle of a field. The length in the header is made to match, so
/// that the decoder sees the cut and does not wait for the rest.
#[test]
fn t04_every_valid_packet_cut_at_every_byte() {
    let cut = |bytes: &[u8], len: usize| {
        let mut short = vec![bytes[0]];
        millrace_codec::push_varint(len, &mut short).expect("shorter than it was");
        let header = frame_header(bytes).expect("valid").expect("whole");
        short.extend_from_slice(&bytes[header.header_len..header.header_len + len]);
        short
    };
    beside_a_healthy_client(&[], |broker, healthy| {
        for vector in vectors::all().filter(|vector| vector.refused().is_none()) {
            let bytes = vector.bytes();
            let Some(header) = frame_header(&bytes).expect("valid") else { continue };
            if header.body_len > 60 {
                continue;
            }
            let version = *vector.versions.last().expect("at least one");
            let connect = bytes[0] >> 4 == 1;
            for len in 0..header.body_len {
                let mut raw = match connect {
                    true => Raw::open(broker.address()),
                    false => Raw::connect(broker, version, "victim"),
                };
                let _ = raw.try_send(&cut(&bytes, len));
                // Some shortened packets are valid ones. The end is what counts.
                raw.finish();
                raw.expect_closed();
            }
            healthy.check();
        }
    });
}

/// A connection that ends in the middle of a packet is closed like any other.
#[test]
fn t04_connections_that_end_within_a_packet() {
    beside_a_healthy_client(&[], |broker, _| {
        let connect = wire("10 { \"MQTT\" 05 06 003C {} \"cut\" {} \"w\" \"gone\" }");
        for len in 0..connect.len() {
            let mut raw = Raw::open(broker.address());
            raw.send(&connect[..len]);
            raw.finish();
            assert_eq!(raw.expect_closed(), Vec::<Vec<u8>>::new(), "after {len} bytes");
        }
    });
}

/// CVE-2021-28166: packets that only servers send, and packets at the wrong time.
#[test]
fn t15_every_type_in_every_state() {
    beside_a_healthy_client(&[], |broker, healthy| {
        for version in Version::ALL {
            for first in (0..=0xff_u8).step_by(1) {
                // With no body, and with one that is long enough for most types.
                for body in [&[][..], &[0, 1], &[0, 1, 0], &[0, 1, b'a', 0]] {
                    let mut packet = vec![first, body.len() as u8];
                    packet.extend_from_slice(body);
                    if matches!(first, 0xc0 | 0xe0) || first >> 4 == 3 && first & 6 != 6 {
                        continue;
                    }
                    if first % 16 < 3 {
                        let mut raw = Raw::open(broker.address());
                        let _ = raw.try_send(&packet);
                        raw.finish();
                        raw.expect_closed();
                    }
                    let mut raw = Raw::connect(broker, version, "victim");
                    let _ = raw.try_send(&packet);
                    raw.finish();
                    raw.expect_closed();
                }
            }
            healthy.check();
        }
        let only_servers = ["20 { 0000 }", "90 { 0001 00 }", "B0 { 0001 }", "D0 00"];
        for version in [Version::V31, Version::V311] {
            for text in only_servers {
                assert_eq!(closes(broker, version, &wire(text)), told(version, 0), "{text}");
            }
        }
    });
}
