//! What the packet targets have in common.

use millrace_codec::{
    Packet, Properties, PropertyBuf, Version, connect_level, decode, encode_publish, frame_header,
    is_valid_topic_name,
};

/// One packet: its first byte and its body. If it is one, all of it can be read, and encoding it gives
/// the same packet again, in as few bytes or fewer.
pub fn one_packet(version: Version, input: &[u8]) {
    let Some((&first, body)) = input.split_first() else { return };
    let Ok(packet) = decode(version, first, body) else { return };
    let version = match packet {
        Packet::Connect(connect) => connect.version,
        _ => version,
    };
    read_all(version, &packet, body);

    let mut out = Vec::new();
    packet.encode(version, &mut out).expect("a decoded packet can be encoded");
    let header = frame_header(&out).expect("a header").expect("all of it");
    assert_eq!(header.total_len(), out.len());
    assert!(header.is_minimal());
    assert!(header.body_len <= body.len());
    let again = decode(version, header.first, &out[header.header_len..]);
    assert_eq!(again, Ok(packet));
}

/// Reads every field, so that what was taken for valid is seen to be readable.
fn read_all(version: Version, packet: &Packet<'_>, body: &[u8]) {
    match packet {
        Packet::Connect(connect) => {
            assert_eq!(connect_level(body), Some(connect.version.level()));
            read_properties(version, connect.properties);
            if let Some(will) = connect.will {
                assert!(is_valid_topic_name(will.topic));
                read_properties(version, will.properties);
            }
        }
        Packet::ConnAck(connack) => read_properties(version, connack.properties),
        Packet::Publish(publish) => {
            assert!(is_valid_topic_name(publish.topic) || publish.properties.topic_alias().is_some());
            read_properties(version, publish.properties);
            let mut out = Vec::new();
            let id_at = encode_publish(version, publish, &mut out).expect("a decoded packet");
            let id = id_at.map_or(0, |at| u16::from_be_bytes([out[at], out[at + 1]]));
            assert_eq!(id, publish.packet_id);
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            assert_ne!(ack.packet_id, 0);
            read_properties(version, ack.properties);
        }
        Packet::Subscribe(subscribe) => {
            assert_eq!(subscribe.filters.iter().count(), subscribe.filters.len());
            assert!(!subscribe.filters.is_empty());
            assert!(subscribe.filters.iter().all(|(filter, _)| !filter.is_empty()));
            read_properties(version, subscribe.properties);
        }
        Packet::SubAck(suback) => read_properties(version, suback.properties),
        Packet::Unsubscribe(unsubscribe) => {
            assert_eq!(unsubscribe.filters.iter().count(), unsubscribe.filters.len());
            assert!(!unsubscribe.filters.is_empty());
            assert!(unsubscribe.filters.iter().all(|filter| !filter.is_empty()));
            read_properties(version, unsubscribe.properties);
        }
        Packet::UnsubAck(unsuback) => read_properties(version, unsuback.properties),
        Packet::PingReq | Packet::PingResp => assert!(body.is_empty()),
        Packet::Disconnect(disconnect) => read_properties(version, disconnect.properties),
        Packet::Auth(auth) => read_properties(version, auth.properties),
    }
}

/// A list read property by property and written again is the same list.
fn read_properties(version: Version, properties: Properties<'_>) {
    assert!(version == Version::V5 || properties.is_empty());
    let mut again = PropertyBuf::new();
    for property in properties {
        assert!(properties.contains(property.id()));
        again.push(property).expect("a decoded property");
    }
    assert_eq!(again.as_properties(), properties);
    let mut copied = PropertyBuf::new();
    copied.push_where(properties, |_| true);
    assert_eq!(copied, again);
}
