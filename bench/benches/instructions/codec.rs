//! Our codec: a stream of packets cut and decoded, packets encoded one after the other into a buffer that has room.

use crate::packets::{self, ROUNDS};
use gungraun::{library_benchmark, library_benchmark_group};
use millrace_codec::{
    Ack, Packet, PacketType, Publish, QoS, ReasonCode, Version, decode, encode_ack, encode_publish,
    frame_header,
};
use std::hint::black_box;

/// The same packet over and over.
fn stream(packet: &Packet<'_>, version: Version) -> (Version, Vec<u8>) {
    (version, packets::bytes(packet, version).repeat(ROUNDS))
}

fn publish(qos: QoS, version: Version) -> (Version, Vec<u8>) {
    stream(&Packet::Publish(packets::publish(&packets::command(0), qos, 7)), version)
}

fn puback(version: Version) -> (Version, Vec<u8>) {
    stream(&Packet::PubAck(Ack::success(7)), version)
}

fn connect(version: Version) -> (Version, Vec<u8>) {
    stream(&packets::connect("10083618796833171", false, version), version)
}

fn subscribe(version: Version) -> (Version, Vec<u8>) {
    (version, packets::subscribe(&packets::command(0), QoS::AtLeastOnce, version).repeat(ROUNDS))
}

// For a caller that has looked at the type in the first byte.
#[library_benchmark]
#[bench::publish_q0_v3(publish(QoS::AtMostOnce, Version::V311))]
#[bench::publish_q0_v5(publish(QoS::AtMostOnce, Version::V5))]
#[bench::publish_q1_v3(publish(QoS::AtLeastOnce, Version::V311))]
#[bench::publish_q1_v5(publish(QoS::AtLeastOnce, Version::V5))]
fn decoded_publish((version, stream): (Version, Vec<u8>)) -> Vec<u8> {
    let mut rest = stream.as_slice();
    while let Ok(Some(header)) = frame_header(rest) {
        let Some((packet, after)) = rest.split_at_checked(header.total_len()) else { break };
        let Some(body) = packet.get(header.header_len..) else { break };
        assert!(black_box(&Publish::decode(version, header.first, body)).is_ok());
        rest = after;
    }
    assert!(rest.is_empty());
    stream
}

#[library_benchmark]
#[bench::publish_q1_v3(publish(QoS::AtLeastOnce, Version::V311))]
#[bench::puback_v3(puback(Version::V311))]
#[bench::puback_v5(puback(Version::V5))]
#[bench::connect_v3(connect(Version::V311))]
#[bench::connect_v5(connect(Version::V5))]
#[bench::subscribe_v3(subscribe(Version::V311))]
#[bench::subscribe_v5(subscribe(Version::V5))]
fn decoded((version, stream): (Version, Vec<u8>)) -> Vec<u8> {
    let mut rest = stream.as_slice();
    while let Ok(Some(header)) = frame_header(rest) {
        let Some((packet, after)) = rest.split_at_checked(header.total_len()) else { break };
        let Some(body) = packet.get(header.header_len..) else { break };
        assert!(black_box(&decode(version, header.first, body)).is_ok());
        rest = after;
    }
    assert!(rest.is_empty());
    stream
}

fn to_encode(qos: QoS, version: Version) -> (Publish<'static>, Version, Vec<u8>) {
    let publish = packets::publish(packets::command(0).leak(), qos, 7);
    (publish, version, Vec::with_capacity(ROUNDS * 512))
}

#[library_benchmark]
#[bench::publish_q0_v3(to_encode(QoS::AtMostOnce, Version::V311))]
#[bench::publish_q1_v3(to_encode(QoS::AtLeastOnce, Version::V311))]
#[bench::publish_q1_v5(to_encode(QoS::AtLeastOnce, Version::V5))]
fn encoded((publish, version, mut out): (Publish<'static>, Version, Vec<u8>)) -> Vec<u8> {
    for _ in 0..ROUNDS {
        assert!(encode_publish(version, black_box(&publish), &mut out).is_ok());
    }
    out
}

#[library_benchmark]
#[bench::puback_v3(Version::V311, Vec::with_capacity(ROUNDS * 8))]
fn encoded_ack(version: Version, mut out: Vec<u8>) -> Vec<u8> {
    for _ in 0..ROUNDS {
        encode_ack(PacketType::PubAck, black_box(version), black_box(7), ReasonCode::Success, &mut out);
    }
    out
}

library_benchmark_group!(name = of_codec; benchmarks = decoded_publish, decoded, encoded, encoded_ack);
