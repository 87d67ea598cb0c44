//! Every invalid vector of the codec, sent to a live broker: it closes within 2 s, tells a 5.0 client why, and a
//! client beside it notices nothing.

use crate::support::{Broker, Raw, hex};
use millrace_codec::vectors::{self, Vector};
use millrace_codec::{PacketType, QoS, Version};

/// A client that must notice nothing: it publishes to itself.
struct Healthy {
    raw: Raw,
    next: u16,
}

impl Healthy {
    fn new(broker: &Broker) -> Healthy {
        let mut raw = Raw::connect(broker, Version::V5, "healthy");
        raw.subscribe("healthy", QoS::AtMostOnce);
        Healthy { raw, next: 1 }
    }

    fn check(&mut self) {
        self.next = self.next % 60_000 + 1;
        let payload = self.next.to_be_bytes();
        self.raw.publish("healthy", &payload, QoS::AtLeastOnce, self.next);
        // Its own message and the PUBACK, in whichever order.
        let mut first = self.raw.packet();
        let mut second = self.raw.packet();
        if first[0] == 0x40 {
            std::mem::swap(&mut first, &mut second);
        }
        assert!(first[0] == 0x30 && first.ends_with(&payload), "{}", hex(&first));
        assert_eq!(second, [&[0x40, 2], &payload[..]].concat());
    }
}

fn invalid() -> impl Iterator<Item = (&'static Vector, Version)> {
    let bad = vectors::all().filter(|vector| vector.refused().is_some());
    bad.flat_map(|vector| vector.versions.iter().map(move |&version| (vector, version)))
}

/// Sends one and says what is wrong with the answer.
fn after_connect(broker: &Broker, vector: &Vector, version: Version) -> Result<(), String> {
    let mut raw = Raw::connect(broker, version, "victim");
    // The broker may close before it has taken all of it.
    let _ = raw.try_send(&vector.bytes());
    let said = raw.expect_closed();
    // A CONNECT is one too many here, whatever is wrong with it beyond its header.
    let expected = match vector.packet_type() {
        Some(PacketType::Connect) => return closed_after_connect(version, &said),
        // Whatever else is wrong with them, but for flags of AUTH [MQTT-3.15.1-1].
        Some(PacketType::ConnAck | PacketType::SubAck | PacketType::UnsubAck) => 0x82,
        Some(PacketType::Auth) if vector.bytes()[0] == 0xf0 => 0x82,
        _ => vector.refused().map_or(0, |reason| reason as u8),
    };
    let told = [0xe0, 1, expected];
    match (version, said.as_slice()) {
        (Version::V5, [one]) if *one == told => Ok(()),
        (Version::V31 | Version::V311, []) => Ok(()),
        (_, said) => Err(format!("said {said:02X?}, not {told:02X?}")),
    }
}

fn closed_after_connect(version: Version, said: &[Vec<u8>]) -> Result<(), String> {
    match (version, said) {
        (Version::V5, [one]) if one[..2] == [0xe0, 1] && [0x81, 0x82].contains(&one[2]) => Ok(()),
        (Version::V31 | Version::V311, []) => Ok(()),
        (_, said) => Err(format!("said {said:02X?}")),
    }
}

#[test]
fn every_invalid_packet_after_connect() {
    let broker = Broker::start(&[]);
    let mut healthy = Healthy::new(&broker);
    let mut failures = String::new();
    for (vector, version) in invalid() {
        healthy.check();
        if let Err(failure) = after_connect(&broker, vector, version) {
            failures.push_str(&format!("\n{} [{}] {version:?}: {failure}", vector.name, vector.statement));
        }
    }
    healthy.check();
    assert!(failures.is_empty(), "{failures}");
}

/// Whether this is a CONNACK that refuses the vector, in the form of 5.0 or of 3.x, whichever fits the level that the
/// bytes speak of. 3.x has a code for few reasons.
fn refuses(connack: &[u8], vector: &Vector) -> bool {
    let reason = vector.refused();
    match *connack {
        [0x20, 2, 0, code] => {
            reason.and_then(|reason| reason.connect_return_code()).map(|own| own as u8) == Some(code)
        }
        [0x20, 3, 0, code, 0] => reason.map(|reason| reason as u8) == Some(code),
        _ => false,
    }
}

/// As the first packet: closed too; who is answered at all is answered with a refusal.
#[test]
fn every_invalid_packet_before_connect() {
    let broker = Broker::start(&[]);
    let mut healthy = Healthy::new(&broker);
    let mut failures = String::new();
    for (vector, version) in invalid() {
        healthy.check();
        let mut raw = Raw::open(broker.address());
        raw.version = version;
        let _ = raw.try_send(&vector.bytes());
        let said = raw.expect_closed();
        if said.len() > 1 || !said.iter().all(|packet| refuses(packet, vector)) {
            failures.push_str(&format!("\n{} {version:?}: said {said:02X?}", vector.name));
        }
    }
    healthy.check();
    assert!(failures.is_empty(), "{failures}");
}

/// Every byte of a packet in a segment of its own.
#[test]
fn every_valid_packet_of_a_client_byte_by_byte() {
    let broker = Broker::start(&[]);
    for version in Version::ALL {
        let mut raw = Raw::open(broker.address());
        raw.version = version;
        let mut bytes = Vec::new();
        millrace_codec::Packet::Connect(Raw::hello(version, "slow"))
            .encode(version, &mut bytes)
            .expect("a CONNECT");
        bytes.extend_from_slice(&[0xc0, 0]);
        for byte in bytes {
            raw.send(&[byte]);
        }
        assert_eq!(raw.packet()[0], 0x20);
        raw.expect(&[0xd0, 0]);
    }
}
