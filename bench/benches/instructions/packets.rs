//! The packets that all benches use: topics of the fleet of locks, payloads of 200 bytes.

use millrace_codec::{
    Connect, FilterBuf, Packet, Properties, Publish, QoS, Subscribe, SubscribeOptions, Version,
};

/// How often a bench does its work.
pub const ROUNDS: usize = 100;

/// A topic of 33 bytes.
pub fn command(id: usize) -> String {
    format!("devices/{}/command", 10_083_618_796_833_171 + id * 7_919)
}

/// A message of 200 bytes.
pub const PAYLOAD: [u8; 200] = [b'p'; 200];

pub fn publish(topic: &str, qos: QoS, packet_id: u16) -> Publish<'_> {
    let packet_id = if qos == QoS::AtMostOnce { 0 } else { packet_id };
    Publish {
        dup: false,
        qos,
        retain: false,
        topic,
        packet_id,
        properties: Properties::EMPTY,
        payload: &PAYLOAD,
    }
}

pub fn connect(client_id: &str, kept: bool, version: Version) -> Packet<'_> {
    Packet::Connect(Connect {
        version,
        clean_start: !kept,
        keep_alive: 60,
        properties: Properties::EMPTY,
        client_id,
        will: None,
        username: None,
        password: None,
    })
}

pub fn subscribe(filter: &str, qos: QoS, version: Version) -> Vec<u8> {
    let options = SubscribeOptions { qos, ..SubscribeOptions::default() };
    let mut filters = FilterBuf::new();
    filters.push(filter, options).expect("a filter");
    let packet = Packet::Subscribe(Subscribe {
        packet_id: 1,
        properties: Properties::EMPTY,
        filters: filters.as_filters(),
    });
    bytes(&packet, version)
}

pub fn bytes(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut out = Vec::new();
    packet.encode(version, &mut out).expect("a packet that can be encoded");
    out
}

/// PUBLISH packets one after the other, with packet identifiers from 1 on.
pub fn publishes(count: usize, topic: &str, qos: QoS, version: Version) -> Vec<u8> {
    let packets = (1..).take(count).map(|id| bytes(&Packet::Publish(publish(topic, qos, id)), version));
    packets.collect::<Vec<_>>().concat()
}
