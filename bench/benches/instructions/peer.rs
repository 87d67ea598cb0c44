//! The codec of rumqttc, the client that most Rust programs use, on the same bytes: as its network layer calls it, on
//! a `BytesMut` that packets are split off from and written to. What it leaves of a packet owns its topic (3.1.1) and
//! shares the buffer; ours borrows both. It checks no topic name, and in 5.0 not even its UTF-8.

use crate::packets::{self, ROUNDS};
use bytes::{Bytes, BytesMut};
use gungraun::{library_benchmark, library_benchmark_group};
use millrace_codec::{QoS, Version};
use rumqttc::mqttbytes::{self, v4};
use rumqttc::v5::mqttbytes::{self as mqttbytes5, v5};
use std::hint::black_box;

const MAX_BYTES: usize = 1 << 20;

fn stream(version: Version) -> BytesMut {
    packets::publishes(ROUNDS, &packets::command(0), QoS::AtLeastOnce, version).as_slice().into()
}

#[library_benchmark]
#[bench::publish_q1_v3(stream(Version::V311))]
fn rumqttc_decoded(mut stream: BytesMut) -> BytesMut {
    for _ in 0..ROUNDS {
        black_box(&v4::Packet::read(&mut stream, MAX_BYTES).expect("a packet"));
    }
    stream
}

#[library_benchmark]
#[bench::publish_q1_v5(stream(Version::V5))]
fn rumqttc_decoded_v5(mut stream: BytesMut) -> BytesMut {
    for _ in 0..ROUNDS {
        black_box(&v5::Packet::read(&mut stream, Some(MAX_BYTES as u32)).expect("a packet"));
    }
    stream
}

fn v4_publish() -> (v4::Publish, BytesMut) {
    let mut publish = v4::Publish::new(packets::command(0), mqttbytes::QoS::AtLeastOnce, packets::PAYLOAD);
    publish.pkid = 7;
    (publish, BytesMut::with_capacity(ROUNDS * 512))
}

#[library_benchmark]
#[bench::publish_q1_v3(v4_publish())]
fn rumqttc_encoded((publish, mut out): (v4::Publish, BytesMut)) -> BytesMut {
    for _ in 0..ROUNDS {
        black_box(&publish).write(&mut out).expect("a packet");
    }
    out
}

fn v5_publish() -> (v5::Publish, BytesMut) {
    let payload = Bytes::from_static(&packets::PAYLOAD);
    let mut publish = v5::Publish::new(packets::command(0), mqttbytes5::QoS::AtLeastOnce, payload, None);
    publish.pkid = 7;
    (publish, BytesMut::with_capacity(ROUNDS * 512))
}

#[library_benchmark]
#[bench::publish_q1_v5(v5_publish())]
fn rumqttc_encoded_v5((publish, mut out): (v5::Publish, BytesMut)) -> BytesMut {
    for _ in 0..ROUNDS {
        black_box(&publish).write(&mut out).expect("a packet");
    }
    out
}

library_benchmark_group!(
    name = of_peer;
    benchmarks = rumqttc_decoded, rumqttc_decoded_v5, rumqttc_encoded, rumqttc_encoded_v5
);
