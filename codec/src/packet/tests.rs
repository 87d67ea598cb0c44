//! What packets say, field by field, and what encoding refuses. That bytes survive is tested in
//! `tests/`.

use super::*;
use crate::{Guilt, Properties, Property, PropertyBuf, QoS};

fn encoded(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    packet.encode(version, &mut out).expect("valid");
    out
}

fn refused(version: Version, packet: &Packet<'_>) -> Guilt {
    let mut out = b"before".to_vec();
    let error = packet.encode(version, &mut out).expect_err("not encodable");
    assert_eq!(out, b"before", "unchanged");
    error.guilt
}

const PUBLISH: Publish<'_> = Publish {
    dup: false,
    qos: QoS::AtMostOnce,
    retain: false,
    topic: "t",
    packet_id: 0,
    properties: Properties::EMPTY,
    payload: b"payload",
};

const CONNECT: Connect<'_> = Connect {
    version: Version::V311,
    clean_start: true,
    keep_alive: 60,
    client_id: "id",
    will: None,
    username: None,
    password: None,
    properties: Properties::EMPTY,
};

/// What can be copied owns no memory: decoding a packet allocates nothing.
#[test]
fn packets_own_nothing() {
    const fn copied<T: Copy>() {}
    copied::<Packet<'_>>();
    copied::<Error>();
}

#[test]
fn fields_of_a_connect() {
    let body = b"\0\x04MQTT\x04\xEE\0\x3C\0\x02id\0\x01w\0\x04gone\0\x04user\0\x04word";
    let Ok(Packet::Connect(connect)) = decode(Version::V5, 0x10, body) else { panic!("valid") };
    let will = Will {
        qos: QoS::AtLeastOnce,
        retain: true,
        topic: "w",
        payload: b"gone",
        properties: Properties::EMPTY,
    };
    let expected = Connect { will: Some(will), username: Some("user"), password: Some(b"word"), ..CONNECT };
    assert_eq!(connect, expected);
    let text = format!("{connect:?}");
    assert!(text.contains("user") && !text.contains("word\""), "{text}");
    assert!(!text.contains("119"), "no password as bytes: {text}");
}

#[test]
fn fields_of_a_publish() {
    for first in 0x30..=0x3F {
        let body = b"\0\x01t\x12\x34payload";
        let (qos, dup, retain) = (first >> 1 & 3, first & 8 != 0, first & 1 != 0);
        let decoded = decode(Version::V311, first, body);
        let Some(qos) = QoS::from_number(qos).filter(|&qos| !dup || qos != QoS::AtMostOnce) else {
            assert!(decoded.is_err(), "0x{first:02X}");
            continue;
        };
        let (packet_id, payload) = match qos {
            QoS::AtMostOnce => (0, &body[3..]),
            _ => (0x1234, &body[5..]),
        };
        let expected = Publish { dup, qos, retain, packet_id, payload, ..PUBLISH };
        assert_eq!(decoded, Ok(Packet::Publish(expected)), "0x{first:02X}");
        assert_eq!(publish_first_byte(dup, qos, retain), first);
    }
}

#[test]
fn fields_of_a_subscribe() {
    let body = b"\x12\x34\0\0\x03a/#\x01\0\x01b\x2E";
    let Ok(Packet::Subscribe(subscribe)) = decode(Version::V5, 0x82, body) else { panic!("valid") };
    let all = SubscribeOptions {
        qos: QoS::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    let expected = [("a/#", SubscribeOptions::with_qos(QoS::AtLeastOnce)), ("b", all)];
    assert_eq!(subscribe.filters.iter().collect::<Vec<_>>(), expected);
    assert_eq!((subscribe.packet_id, subscribe.filters.len()), (0x1234, 2));
    assert!(!subscribe.filters.is_empty());
    assert!(Filters::default().is_empty() && Filters::default().iter().next().is_none());
}

#[test]
fn every_byte_of_subscribe_options() {
    for byte in 0..=255 {
        let body = [0, 1, 0, 0, 1, b'a', byte];
        let valid = byte & 3 != 3 && byte >> 4 & 3 != 3 && byte < 0x40;
        let decoded = decode(Version::V5, 0x82, &body);
        assert_eq!(decoded.is_ok(), valid, "0x{byte:02X}");
        if let Ok(Packet::Subscribe(subscribe)) = decoded {
            assert_eq!(subscribe.filters.iter().map(|(_, options)| options.to_byte()).next(), Some(byte));
        }
        let body = [0, 1, 0, 1, b'a', byte];
        let decoded = decode(Version::V311, 0x82, &body);
        assert_eq!(decoded.is_ok(), byte <= 2, "0x{byte:02X} in 3.1.1");
    }
}

#[test]
fn acknowledgements_in_their_shortest_form() {
    use ReasonCode::{PacketIdentifierNotFound, Success};
    for (packet_type, version, reason, expected) in [
        (PacketType::PubAck, Version::V5, Success, &[0x40, 2, 0x12, 0x34][..]),
        (PacketType::PubRel, Version::V5, Success, &[0x62, 2, 0x12, 0x34]),
        (PacketType::PubComp, Version::V5, PacketIdentifierNotFound, &[0x70, 3, 0x12, 0x34, 0x92]),
        (PacketType::PubComp, Version::V311, PacketIdentifierNotFound, &[0x70, 2, 0x12, 0x34]),
        (PacketType::PubRec, Version::V31, Success, &[0x50, 2, 0x12, 0x34]),
    ] {
        let mut out = Vec::new();
        encode_ack(packet_type, version, 0x1234, reason, &mut out);
        assert_eq!(out, expected, "{packet_type} {version}");
    }
    let mut out = Vec::new();
    encode_pingresp(&mut out);
    assert_eq!(out, [0xD0, 0]);
}

#[test]
fn what_3x_has_no_place_for_is_left_out() {
    let mut list = PropertyBuf::new();
    list.push(Property::UserProperty("k", "v")).expect("short");
    let properties = list.as_properties();
    let ack = Ack { packet_id: 1, reason: ReasonCode::NotAuthorized, properties };
    let publish = Publish { properties, ..PUBLISH };
    let mut filters = FilterBuf::new();
    let options = SubscribeOptions { no_local: true, ..SubscribeOptions::with_qos(QoS::AtLeastOnce) };
    filters.push("a", options).expect("short");
    let subscribe = Subscribe { packet_id: 1, properties, filters: filters.as_filters() };
    for (name, packet, expected) in [
        ("PUBACK", Packet::PubAck(ack), &b"\x40\x02\0\x01"[..]),
        ("PUBLISH", Packet::Publish(publish), b"\x30\x0A\0\x01tpayload"),
        ("SUBSCRIBE", Packet::Subscribe(subscribe), b"\x82\x06\0\x01\0\x01a\x01"),
        (
            "SUBACK",
            Packet::SubAck(SubAck { packet_id: 1, properties, codes: &[2, 0x87] }),
            b"\x90\x04\0\x01\x02\x80",
        ),
        ("UNSUBACK", Packet::UnsubAck(UnsubAck { packet_id: 1, properties, codes: &[0] }), b"\xB0\x02\0\x01"),
        (
            "CONNACK",
            Packet::ConnAck(ConnAck { session_present: false, reason: ReasonCode::Banned, properties }),
            b"\x20\x02\0\x05",
        ),
        ("DISCONNECT", Packet::Disconnect(Disconnect { reason: ReasonCode::Success, properties }), b"\xE0\0"),
    ] {
        assert_eq!(encoded(Version::V311, &packet), expected, "{name}");
    }
}

#[test]
fn a_session_is_present_only_where_that_can_be_said() {
    for (version, reason, flag) in [
        (Version::V31, ReasonCode::Success, 0),
        (Version::V311, ReasonCode::Success, 1),
        (Version::V5, ReasonCode::Success, 1),
        (Version::V311, ReasonCode::NotAuthorized, 0),
        (Version::V5, ReasonCode::NotAuthorized, 0),
    ] {
        let properties = Properties::EMPTY;
        let packet = Packet::ConnAck(ConnAck { session_present: true, reason, properties });
        assert_eq!(encoded(version, &packet)[2], flag, "{version} {reason}");
    }
}

#[test]
fn what_cannot_be_encoded_is_refused_and_leaves_no_trace() {
    let long = "x".repeat(65_536);
    let huge = vec![0; crate::MAX_BODY_LEN - 2];
    let properties = Properties::EMPTY;
    let will = Will { qos: QoS::AtMostOnce, retain: false, topic: "w", payload: b"", properties };
    let malformed = ReasonCode::MalformedPacket;
    for (name, version, packet, guilt) in [
        ("topic", Version::V5, Packet::Publish(Publish { topic: &long, ..PUBLISH }), Guilt::NotEncodable),
        ("no topic", Version::V31, Packet::Publish(Publish { topic: "", ..PUBLISH }), Guilt::NotEncodable),
        ("payload", Version::V311, Packet::Publish(Publish { payload: &huge, ..PUBLISH }), Guilt::TooLarge),
        (
            "client id",
            Version::V311,
            Packet::Connect(Connect { client_id: &long, ..CONNECT }),
            Guilt::NotEncodable,
        ),
        (
            "user name",
            Version::V311,
            Packet::Connect(Connect { username: Some(&long), ..CONNECT }),
            Guilt::NotEncodable,
        ),
        (
            "password alone",
            Version::V311,
            Packet::Connect(Connect { password: Some(b""), ..CONNECT }),
            Guilt::NotEncodable,
        ),
        (
            "will message",
            Version::V311,
            Packet::Connect(Connect { will: Some(Will { payload: long.as_bytes(), ..will }), ..CONNECT }),
            Guilt::NotEncodable,
        ),
        (
            "CONNACK of 5.0",
            Version::V311,
            Packet::ConnAck(ConnAck { session_present: false, reason: malformed, properties }),
            Guilt::NotEncodable,
        ),
        (
            "DISCONNECT of 5.0",
            Version::V311,
            Packet::Disconnect(Disconnect::new(malformed)),
            Guilt::NotEncodable,
        ),
        (
            "AUTH",
            Version::V311,
            Packet::Auth(Auth { reason: ReasonCode::Success, properties }),
            Guilt::NotEncodable,
        ),
    ] {
        assert_eq!(refused(version, &packet), guilt, "{name}");
    }
    let mut filters = FilterBuf::new();
    assert!(filters.push(&long, SubscribeOptions::default()).is_err() && filters.as_filters().is_empty());
    let mut names = UnsubscribeFilterBuf::new();
    assert!(names.push(&long).is_err() && names.as_filters().is_empty());
}

#[test]
fn a_payload_of_the_greatest_length() {
    let payload = vec![7; crate::MAX_BODY_LEN - 3];
    let out = encoded(Version::V311, &Packet::Publish(Publish { payload: &payload, ..PUBLISH }));
    assert_eq!(out.len(), crate::MAX_BODY_LEN + 5);
    assert_eq!(out[..5], [0x30, 0xFF, 0xFF, 0xFF, 0x7F]);
}

/// CONNECT is read and written in its own version, whatever the connection's is.
#[test]
fn connect_decides_its_version_itself() {
    for own in Version::ALL {
        let connect = Packet::Connect(Connect { version: own, ..CONNECT });
        for other in Version::ALL {
            let bytes = encoded(other, &connect);
            assert_eq!(bytes, encoded(own, &connect));
            assert_eq!(decode(other, bytes[0], &bytes[2..]), Ok(connect));
        }
    }
}
