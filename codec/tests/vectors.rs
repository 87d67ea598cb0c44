//! The table of wire vectors: each as it stands, cut at every byte, and with every byte changed.

use std::collections::HashSet;

use millrace_codec::vectors::{Expect, FieldCase, Vector, all, string_cases, varint_cases, wire};
use millrace_codec::{
    Error, Guilt, Packet, PacketType, ReasonCode, Version, connect_level, decode, frame_header,
};

/// What a receiver does: the header, the header against the version, the body.
fn read(version: Version, bytes: &[u8]) -> Result<Packet<'_>, Error> {
    let header = frame_header(bytes)?.expect("a whole header");
    assert_eq!(header.total_len(), bytes.len(), "one packet, no more and no less");
    if version == Version::V5 && !header.is_minimal() {
        return Err(Error::malformed("remaining length longer than needed"));
    }
    decode(version, header.first, &bytes[header.header_len..])
}

fn encode(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    packet.encode(version, &mut out).expect("a decoded packet can be encoded");
    assert!(out.starts_with(b"before"));
    out.split_off(6)
}

/// A decoded packet, once encoded, is decoded as the same packet.
fn survives(version: Version, packet: &Packet<'_>) {
    assert_eq!(read(version, &encode(version, packet)), Ok(*packet));
}

fn each(mut check: impl FnMut(&Vector, Version, &[u8])) {
    for vector in all() {
        let bytes = vector.bytes();
        for &version in vector.versions {
            check(vector, version, &bytes);
        }
    }
}

/// All positions of a short packet; of a long one those near its ends, where its fields are.
fn positions(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(move |&at| len < 700 || at < 40 || at > len - 20)
}

#[test]
fn every_vector_is_decoded_as_the_table_says() {
    let mut failures = Vec::new();
    each(|vector, version, bytes| {
        let name = (vector.name, vector.statement, version);
        match (read(version, bytes), vector.expect) {
            (Ok(packet), Expect::Packet) => {
                if encode(version, &packet) != bytes {
                    failures.push(format!("{name:?}: encoded differently: {packet:?}"));
                }
            }
            (Ok(packet), Expect::PacketAs(canonical)) => {
                if encode(version, &packet) != wire(canonical) || wire(canonical) == bytes {
                    failures.push(format!("{name:?}: encoded differently: {packet:?}"));
                }
                survives(version, &packet);
            }
            (Err(error), Expect::Refused(reason)) if error.reason == reason => {
                assert!(error.reason.is_error());
            }
            (result, expect) => failures.push(format!("{name:?}: {result:?}, not {expect:?}")),
        }
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_table_is_wide_and_its_names_are_unique() {
    let mut names = HashSet::new();
    let mut refused = HashSet::new();
    let mut accepted = HashSet::new();
    for vector in all() {
        assert!(names.insert((vector.packet_type(), vector.name)), "twice: {}", vector.name);
        let covered = if vector.refused().is_some() { &mut refused } else { &mut accepted };
        covered.extend(vector.versions.iter().map(|&version| (vector.packet_type(), version)));
    }
    for version in Version::ALL {
        for number in 1..=15 {
            let packet_type = PacketType::from_first(number << 4);
            if packet_type != Some(PacketType::Auth) || version == Version::V5 {
                assert!(accepted.contains(&(packet_type, version)), "none valid: {packet_type:?} {version}");
            }
            assert!(refused.contains(&(packet_type, version)), "none invalid: {packet_type:?} {version}");
        }
    }
}

#[test]
fn t04_a_stream_cut_at_any_byte_is_never_a_packet() {
    each(|vector, _, bytes| {
        for at in positions(bytes.len()) {
            match frame_header(&bytes[..at]) {
                Ok(Some(header)) => assert!(header.total_len() > at, "{}", vector.name),
                Ok(None) => assert!(at < 5, "{}", vector.name),
                Err(error) => assert_eq!(Some(error.reason), vector.refused(), "{}", vector.name),
            }
        }
    });
}

#[test]
fn t04_a_body_cut_at_any_byte_is_a_packet_only_where_that_is_legal() {
    each(|vector, version, bytes| {
        let Ok(Some(header)) = frame_header(bytes) else { return };
        let body = &bytes[header.header_len..];
        let whole = decode(version, header.first, body).ok();
        for at in positions(body.len()) {
            let Ok(packet) = decode(version, header.first, &body[..at]) else { continue };
            survives(version, &packet);
            if let Some(whole) = whole {
                assert!(legal_cut(version, body.len(), &whole, at, &packet), "{} at {at}", vector.name);
            }
        }
    });
}

/// Where the specification lets a packet end early.
fn legal_cut(version: Version, len: usize, whole: &Packet<'_>, at: usize, cut: &Packet<'_>) -> bool {
    let v5 = version == Version::V5;
    match (whole, cut) {
        (Packet::Publish(whole), Packet::Publish(cut)) => {
            at >= len - whole.payload.len() && whole.payload.starts_with(cut.payload)
        }
        (Packet::PubAck(_), _)
        | (Packet::PubRec(_), _)
        | (Packet::PubRel(_), _)
        | (Packet::PubComp(_), _) => v5 && (at == 2 || at == 3),
        (Packet::Disconnect(_), _) => v5 && at < 2,
        (Packet::Auth(_), _) => at == 0,
        (Packet::Subscribe(whole), Packet::Subscribe(cut)) => {
            cut.properties == whole.properties
                && cut.filters.len() < whole.filters.len()
                && whole.filters.iter().zip(cut.filters.iter()).all(|(a, b)| a == b)
        }
        (Packet::Unsubscribe(whole), Packet::Unsubscribe(cut)) => {
            cut.properties == whole.properties
                && cut.filters.len() < whole.filters.len()
                && whole.filters.iter().zip(cut.filters.iter()).all(|(a, b)| a == b)
        }
        (Packet::SubAck(whole), Packet::SubAck(cut)) => whole.codes.starts_with(cut.codes),
        (Packet::UnsubAck(whole), Packet::UnsubAck(cut)) => whole.codes.starts_with(cut.codes),
        // 3.1 lets the user name and password be missing.
        (Packet::Connect(whole), Packet::Connect(cut)) => {
            version == Version::V31 && cut.will == whole.will && cut.client_id == whole.client_id
        }
        _ => false,
    }
}

#[test]
fn every_byte_changed_is_refused_or_a_packet_that_survives() {
    each(|_, version, bytes| {
        let mut changed = bytes.to_vec();
        for at in positions(bytes.len()) {
            let old = bytes[at];
            let flips = (0..8).map(|bit| old ^ 1 << bit);
            for new in flips.chain([0, 0x7F, 0x80, 0xFF, b'+', old.wrapping_add(1), old.wrapping_sub(1)]) {
                changed[at] = new;
                let Ok(Some(header)) = frame_header(&changed) else { continue };
                let body = &changed[header.header_len..];
                let body = &body[..body.len().min(header.body_len)];
                // Short ones as every version, long ones as their own.
                for version in Version::ALL.into_iter().filter(|&v| v == version || bytes.len() < 700) {
                    if let Ok(packet) = decode(version, header.first, body) {
                        survives(connect_version(&packet).unwrap_or(version), &packet);
                    }
                }
            }
            changed[at] = old;
        }
    });
}

fn connect_version(packet: &Packet<'_>) -> Option<Version> {
    match packet {
        Packet::Connect(connect) => Some(connect.version),
        _ => None,
    }
}

fn check_fields(cases: Vec<FieldCase>) {
    for FieldCase { name, version, bytes, valid } in cases {
        let result = frame_header(&bytes)
            .and_then(|header| decode(version, bytes[0], &bytes[header.expect("whole").header_len..]));
        match result {
            Ok(packet) => {
                assert!(valid, "accepted: {name}: {packet:?}");
                assert_eq!(encode(version, &packet), bytes, "{name}");
            }
            Err(error) => {
                assert!(!valid, "refused: {name}: {error}");
                let id = name.starts_with("CONNECT client identifier");
                let reason =
                    if id { ReasonCode::ClientIdentifierNotValid } else { ReasonCode::MalformedPacket };
                assert_eq!(error.reason, reason, "{name}: {error}");
                assert_eq!(error.guilt, Guilt::Malformed, "{name}: {error}");
            }
        }
    }
}

#[test]
fn t05_code_points_in_every_string_field() {
    check_fields(string_cases());
}

#[test]
fn t02_five_byte_integers_in_every_place() {
    let cases = varint_cases();
    // A frame header does not wait for the byte that would make it worse.
    for case in cases.iter().filter(|case| case.name.contains("remaining length")) {
        assert!(frame_header(&case.bytes[..5]).is_err(), "{}", case.name);
        assert_eq!(frame_header(&case.bytes[..4]), Ok(None), "{}", case.name);
    }
    check_fields(cases);
}

#[test]
fn a_refused_connect_still_tells_its_level() {
    for (wire_text, level) in [
        (r#"{ "MQTT" 06 }"#, Some(6)),
        (r#"{ "MQTT" 84 02 003C "a" }"#, Some(0x84)),
        (r#"{ "MQIsdp" 03 02 }"#, Some(3)),
        (r#"{ "MQTT" 05 03 }"#, Some(5)),
        (r#"{ "MQTX" 05 03 }"#, None),
        (r#"{ "MQTT" }"#, None),
        ("{}", None),
    ] {
        assert_eq!(connect_level(&wire(wire_text)[1..]), level, "{wire_text}");
    }
}
