//! Published failures of other brokers, each tried here: tests are named after the row of the list of threats that the
//! project keeps (t01 … t52), those that concern what exists so far. Each runs beside a healthy client, which must
//! notice nothing.

#[path = "../support/mod.rs"]
mod support;

mod connecting;
mod fields;
mod load;
mod packets;

use millrace_codec::{Packet, PacketType, QoS, Version};
use std::time::{Duration, Instant};
use support::{Broker, Raw};

/// A client that uses the broker as it is meant to be used.
struct Healthy {
    raw: Raw,
    next: u16,
}

impl Healthy {
    fn new(broker: &Broker) -> Healthy {
        let mut raw = Raw::connect(broker, Version::V5, "healthy");
        raw.subscribe("healthy/+", QoS::AtMostOnce);
        Healthy { raw, next: 0 }
    }

    /// Publishes to itself, and gets its message and its PUBACK within 5 s. Returns how long both took.
    fn check(&mut self) -> Duration {
        let start = Instant::now();
        self.next = self.next % 60_000 + 1;
        let number = self.next.to_be_bytes();
        self.raw.publish("healthy/t", &number, QoS::AtLeastOnce, self.next);
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(self.raw.expect_packet(|packet| match packet {
                Packet::Publish(publish) => (PacketType::Publish, publish.payload.to_vec()),
                Packet::PubAck(ack) => (PacketType::PubAck, ack.packet_id.to_be_bytes().to_vec()),
                other => panic!("{other:?}"),
            }));
        }
        seen.sort_by_key(|(packet_type, _)| *packet_type as u8);
        let expected = [PacketType::Publish, PacketType::PubAck].map(|expected| (expected, number.to_vec()));
        assert_eq!(seen, expected);
        start.elapsed()
    }
}

/// A broker and a healthy client around `attack`, after which the process must be the one that was started.
fn beside_a_healthy_client(settings: &[&str], attack: impl FnOnce(&Broker, &mut Healthy)) {
    let mut broker = Broker::start(settings);
    let mut healthy = Healthy::new(&broker);
    healthy.check();
    attack(&broker, &mut healthy);
    healthy.check();
    drop(healthy);
    let exit = broker.terminate();
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let failed = exit.log.iter().find(|line| line.contains("panicked") || line.contains("ERROR"));
    assert_eq!(failed, None, "the broker complained of itself");
}

/// Sends `bytes` as a client of `version` that is connected, and returns what it is told before it is closed.
fn closes(broker: &Broker, version: Version, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut raw = Raw::connect(broker, version, "victim");
    // The broker may close before it has taken all of it.
    let _ = raw.try_send(bytes);
    raw.expect_closed()
}

/// What a client of this version is told when it is closed for `reason`.
fn told(version: Version, reason: u8) -> Vec<Vec<u8>> {
    if version == Version::V5 { vec![vec![0xe0, 1, reason]] } else { Vec::new() }
}
