//! The codec of rumqttc, the client that most Rust programs use, on the same bytes: as its network layer calls it,
//! through tokio's `Decoder` and `Encoder`, on a `BytesMut`. A decoded packet owns its topic (3.1.1) or a part of the
//! buffer, and is dropped; one to encode is handed over and dropped, while its sender keeps a copy that shares the
//! payload, to send it again. Ours borrows either way. rumqttc checks no topic name, and in 5.0 not even its UTF-8.

use crate::packets::{self, ROUNDS};
use bytes::{Bytes, BytesMut};
use gungraun::{library_benchmark, library_benchmark_group};
use millrace_codec::{QoS, Version};
use rumqttc::mqttbytes::{self, v4};
use rumqttc::v5::mqttbytes::{self as mqttbytes5, v5};
use std::hint::black_box;
use tokio_util::codec::{Decoder, Encoder};

const MAX_BYTES: usize = 1 << 20;

fn stream(version: Version) -> BytesMut {
    packets::publishes(ROUNDS, &packets::command(0), QoS::AtLeastOnce, version).as_slice().into()
}

#[library_benchmark]
#[bench::publish_q1_v3(stream(Version::V311))]
fn rumqttc_decoded(mut stream: BytesMut) -> BytesMut {
    let mut codec = v4::Codec { max_incoming_size: MAX_BYTES, max_outgoing_size: MAX_BYTES };
    for _ in 0..ROUNDS {
        assert!(black_box(&codec.decode(&mut stream)).is_ok());
    }
    stream
}

#[library_benchmark]
#[bench::publish_q1_v5(stream(Version::V5))]
fn rumqttc_decoded_v5(mut stream: BytesMut) -> BytesMut {
    let mut codec = v5::Codec { max_incoming_size: Some(MAX_BYTES as u32), max_outgoing_size: None };
    for _ in 0..ROUNDS {
        assert!(black_box(&codec.decode(&mut stream)).is_ok());
    }
    stream
}

/// Packets to send, and what their sender keeps.
type ToSend<P, K> = (Vec<P>, K, BytesMut);

fn v4_publishes() -> ToSend<v4::Packet, v4::Publish> {
    let mut publish = v4::Publish::new(packets::command(0), mqttbytes::QoS::AtLeastOnce, packets::PAYLOAD);
    publish.pkid = 7;
    let packets = vec![v4::Packet::Publish(publish.clone()); ROUNDS];
    (packets, publish, BytesMut::with_capacity(ROUNDS * 512))
}

#[library_benchmark]
#[bench::publish_q1_v3(v4_publishes())]
fn rumqttc_encoded((packets, kept, mut out): ToSend<v4::Packet, v4::Publish>) -> (v4::Publish, BytesMut) {
    let mut codec = v4::Codec { max_incoming_size: MAX_BYTES, max_outgoing_size: MAX_BYTES };
    for packet in packets {
        assert!(codec.encode(packet, &mut out).is_ok());
    }
    (kept, out)
}

fn v5_publishes() -> ToSend<v5::Packet, v5::Publish> {
    let payload = Bytes::copy_from_slice(&packets::PAYLOAD);
    let mut publish = v5::Publish::new(packets::command(0), mqttbytes5::QoS::AtLeastOnce, payload, None);
    publish.pkid = 7;
    let packets = vec![v5::Packet::Publish(publish.clone()); ROUNDS];
    (packets, publish, BytesMut::with_capacity(ROUNDS * 512))
}

#[library_benchmark]
#[bench::publish_q1_v5(v5_publishes())]
fn rumqttc_encoded_v5((packets, kept, mut out): ToSend<v5::Packet, v5::Publish>) -> (v5::Publish, BytesMut) {
    let mut codec = v5::Codec { max_incoming_size: None, max_outgoing_size: None };
    for packet in packets {
        assert!(codec.encode(packet, &mut out).is_ok());
    }
    (kept, out)
}

library_benchmark_group!(
    name = of_peer;
    benchmarks = rumqttc_decoded, rumqttc_decoded_v5, rumqttc_encoded, rumqttc_encoded_v5
);
