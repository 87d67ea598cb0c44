//! Packets made from arbitrary bytes survive encoding and decoding, and arbitrary bytes never become a
//! packet that does not.

use millrace_codec::vectors::with_packet;
use millrace_codec::{
    FrameHeader, Packet, Properties, Publish, QoS, Version, decode, encode_publish, frame_header,
    publish_first_byte,
};
use proptest::prelude::*;

fn version() -> impl Strategy<Value = Version> {
    prop::sample::select(&Version::ALL[..])
}

fn whole(bytes: &[u8]) -> (FrameHeader, &[u8]) {
    let header = frame_header(bytes).expect("valid").expect("complete");
    assert_eq!(header.total_len(), bytes.len());
    assert!(header.is_minimal());
    (header, &bytes[header.header_len..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn decoding_is_the_inverse_of_encoding(
        version in version(),
        entropy in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        with_packet(version, &entropy, |packet| {
            let mut out = Vec::new();
            packet.encode(version, &mut out).expect("a valid packet");
            let (header, body) = whole(&out);
            prop_assert_eq!(decode(version, header.first, body), Ok(*packet));
            Ok(())
        })?;
    }

    #[test]
    fn packets_one_behind_the_other_are_found_again(
        version in version(),
        entropies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6),
    ) {
        let mut stream = Vec::new();
        let mut ends = Vec::new();
        for entropy in &entropies {
            with_packet(version, entropy, |packet| packet.encode(version, &mut stream)).expect("valid");
            ends.push(stream.len());
        }
        let mut at = 0;
        for end in ends {
            let header = frame_header(&stream[at..]).expect("valid").expect("complete");
            at += header.total_len();
            prop_assert_eq!(at, end);
        }
    }

    #[test]
    fn what_is_decoded_from_anything_survives(
        version in version(),
        first in any::<u8>(),
        body in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..5], 0..40),
    ) {
        if let Ok(packet) = decode(version, first, &body) {
            let version = if let Packet::Connect(connect) = packet { connect.version } else { version };
            let mut out = Vec::new();
            packet.encode(version, &mut out).expect("a decoded packet");
            let (header, again) = whole(&out);
            prop_assert_eq!(decode(version, header.first, again), Ok(packet));
        }
    }

    #[test]
    fn one_encoding_serves_all_receivers(
        version in version(),
        topic in "[a-z/]{1,40}",
        payload in prop::collection::vec(any::<u8>(), 0..300),
        id in 1_u16..,
        (dup, retain, qos_2) in any::<(bool, bool, bool)>(),
    ) {
        let qos = if qos_2 { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
        let shared = Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: &topic,
            packet_id: 0,
            properties: Properties::EMPTY,
            payload: &payload,
        };
        let mut out = b"another packet".to_vec();
        let start = out.len();
        let id_at = encode_publish(version, &shared, &mut out).expect("valid").expect("QoS 1");
        out[start] = publish_first_byte(dup, qos, retain);
        out[start + id_at..start + id_at + 2].copy_from_slice(&id.to_be_bytes());
        let (header, body) = whole(&out[start..]);
        let expected = Publish { dup, qos, retain, packet_id: id, ..shared };
        prop_assert_eq!(decode(version, header.first, body), Ok(Packet::Publish(expected)));
    }
}
