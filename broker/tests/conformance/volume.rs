//! Much at once: bursts behind CONNECT, readers who pause, floods of records, and a stop in the middle of it.

use crate::support::process::allow_descriptors;
use crate::support::{Broker, Raw, Read, left_out};
use millrace_codec::{Packet, QoS, Version};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The bytes of one client's life so far: CONNECT and QoS 1 publishes 1 to `count`, in one write.
fn burst(version: Version, id: &str, topic: &str, count: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    Packet::Connect(Raw::hello(version, id)).encode(version, &mut bytes).expect("a CONNECT");
    for packet_id in 1..=count {
        let publish = millrace_codec::Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: false,
            topic,
            packet_id,
            properties: Default::default(),
            payload: &packet_id.to_be_bytes(),
        };
        Packet::Publish(publish).encode(version, &mut bytes).expect("a PUBLISH");
    }
    bytes
}

/// What follows CONNECT at once moves to the home core with it, also what no buffer held yet. On a topic of a hook a
/// 3.x client runs into its receive maximum, waits for the disk and goes on.
#[test]
fn a_burst_behind_connect() {
    const COUNT: u16 = 5_000;
    let broker = Broker::start(&[]);
    for (version, topic, settings) in [
        (Version::V311, "burst/t", "no record"),
        (Version::V5, "burst/t", "no record"),
        (Version::V311, "devices/burst/state", "a record each"),
        (Version::V31, "devices/burst/state", "a record each"),
    ] {
        for core in 0..2 {
            let mut watcher = Raw::connect(&broker, Version::V5, &broker.client_id_on(core + 1, "watcher"));
            watcher.subscribe(topic, QoS::AtMostOnce);
            let mut raw = Raw::open(broker.address());
            raw.version = version;
            raw.send(&burst(version, &broker.client_id_on(core, "burst"), topic, COUNT));
            assert_eq!(raw.packet()[0], 0x20);
            for id in 1..=COUNT {
                let [high, low] = id.to_be_bytes();
                assert_eq!(raw.packet(), [0x40, 2, high, low], "{version:?} on core {core}, {settings}");
            }
            for id in 1..=COUNT {
                assert_eq!(watcher.expect_publish().1, id.to_be_bytes(), "order at the subscriber");
            }
            raw.ping();
        }
    }
}

/// A subscriber who stops reading for a while loses QoS 0 messages, but what comes is whole and in order; copied
/// frames and shared ones alike.
#[test]
fn a_reader_who_pauses_gets_whole_packets_in_order() {
    const COUNT: u32 = 4_000;
    let broker = Broker::start(&["limits.max_output_bytes=256KiB"]);
    for (name, len) in [("copied", 1_000), ("shared", 20_000)] {
        for core in 0..2 {
            let mut reader = Raw::connect(&broker, Version::V5, &broker.client_id_on(core, name));
            reader.subscribe("pause", QoS::AtMostOnce);
            let mut writer = Raw::connect(&broker, Version::V311, &broker.client_id_on(0, "writer"));
            let mut payload = vec![b'x'; len];
            for number in 0..COUNT {
                payload[..4].copy_from_slice(&number.to_be_bytes());
                writer.publish("pause", &payload, QoS::AtMostOnce, 0);
            }
            writer.ping();
            let mut next = 0;
            let mut seen = 0;
            reader.send(&[0xc0, 0]);
            loop {
                let number = reader.expect_packet(|packet| match packet {
                    Packet::Publish(publish) => {
                        assert_eq!(publish.payload.len(), len);
                        assert!(publish.payload[4..].iter().all(|&byte| byte == b'x'), "not what was sent");
                        Some(u32::from_be_bytes(publish.payload[..4].try_into().expect("4 bytes")))
                    }
                    Packet::PingResp => None,
                    other => panic!("{other:?}"),
                });
                let Some(number) = number else { break };
                assert!(number >= next, "{number} after {next}");
                next = number + 1;
                seen += 1;
            }
            assert!(seen >= 100, "{name}: only {seen} of {COUNT}");
            writer.publish("pause", &vec![b'x'; len], QoS::AtMostOnce, 0);
            assert_eq!(reader.expect_publish().1.len(), len, "it goes on afterwards");
        }
    }
}

/// A clean stop in the middle of traffic: 5.0 clients are told, everybody is closed, and the exit code is 0.
#[test]
fn a_stop_under_load_is_clean() {
    let mut broker = Broker::start(&[]);
    let mut idle: Vec<Raw> = (0..200)
        .map(|number| Raw::connect(&broker, Version::ALL[number % 3], &format!("idle-{number}")))
        .collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..3 {
            let (stop, id) = (&stop, format!("busy-{number}"));
            let mut raw = Raw::connect(&broker, Version::V311, &id);
            scope.spawn(move || {
                let mut id = 0;
                while !stop.load(Ordering::Relaxed) {
                    id = id % 1_000 + 1;
                    let mut bytes = Vec::new();
                    millrace_codec::encode_publish(
                        Version::V311,
                        &millrace_codec::Publish {
                            dup: false,
                            qos: QoS::AtLeastOnce,
                            retain: false,
                            topic: "devices/busy/state",
                            packet_id: id,
                            properties: Default::default(),
                            payload: b"{}",
                        },
                        &mut bytes,
                    )
                    .expect("a PUBLISH");
                    if raw.try_send(&bytes).is_err()
                        || !matches!(raw.read(Duration::from_secs(10)), Read::Packet(_))
                    {
                        return;
                    }
                }
            });
        }
        let exit = broker.terminate();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(exit.code, Some(0), "{exit:?}");
    });
    for raw in &mut idle {
        let said = raw.expect_closed();
        let expected: &[&[u8]] = if raw.version == Version::V5 { &[&[0xe0, 1, 0x8b]] } else { &[] };
        assert_eq!(said, expected);
    }
}

/// More receivers than a core serves in one turn: the delivery goes on in later turns, and what was published after
/// it does not overtake it.
#[test]
fn a_message_for_more_than_a_turn_can_serve() {
    const CLIENTS: usize = 8_500;
    if !allow_descriptors(CLIENTS as u64 + 500) {
        return left_out("fan-out to 8,500 clients", "a limit of open files of 9,000");
    }
    let broker = Broker::start_on_one_core(&[]);
    let mut clients: Vec<Raw> = (0..CLIENTS)
        .map(|number| {
            let mut raw = Raw::open(broker.address());
            let mut bytes = burst(Version::V311, &format!("{number}"), "", 0);
            // A third of them at each QoS.
            bytes.extend_from_slice(&[0x82, 8, 0, 1, 0, 3, b'a', b'l', b'l', (number % 3) as u8]);
            raw.send(&bytes);
            raw
        })
        .collect();
    for (number, raw) in clients.iter_mut().enumerate() {
        raw.expect(&[0x20, 2, 0, 0]);
        raw.expect(&[0x90, 3, 0, 1, (number % 3) as u8]);
    }
    let mut publisher = Raw::connect(&broker, Version::V5, "publisher");
    publisher.subscribe("+", QoS::AtMostOnce);
    let mut bytes = Vec::new();
    for (topic, payload) in [("all", "1"), ("own", "2"), ("all", "3"), ("all", "4")] {
        bytes.extend_from_slice(&[0x34, 9, 0, 3]);
        bytes.extend_from_slice(topic.as_bytes());
        bytes.extend_from_slice(&[0, payload.as_bytes()[0], 0]);
        bytes.extend_from_slice(payload.as_bytes());
    }
    publisher.send(&bytes);
    let mut own = Vec::new();
    while own.len() < 4 {
        publisher.expect_packet(|packet| match packet {
            Packet::Publish(publish) => own.push(publish.payload[0]),
            Packet::PubRec(_) => {}
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(own, b"1234");
    for (number, raw) in clients.iter_mut().enumerate() {
        for payload in [b"1", b"3", b"4"] {
            let (topic, seen, qos, _) = raw.expect_publish();
            assert_eq!(
                (topic.as_str(), seen.as_slice(), qos as usize),
                ("all", &payload[..], number % 3),
                "{number}"
            );
        }
    }
    clients.into_iter().for_each(Raw::reset);
    publisher.disconnect();
}

/// Topics that a core has forgotten are looked up again.
#[test]
fn more_topics_than_a_core_remembers() {
    const TOPICS: usize = 70_000;
    let broker = Broker::start(&[]);
    for core in 0..2 {
        let mut subscriber = Raw::connect(&broker, Version::V5, &broker.client_id_on(core, "s"));
        subscriber.subscribe("t/+/x", QoS::AtMostOnce);
        let mut publisher = Raw::connect(&broker, Version::V311, &broker.client_id_on(0, "p"));
        for chunk in (0..TOPICS).collect::<Vec<_>>().chunks(500).chain([&[0, 1, 2][..]]) {
            let mut bytes = Vec::new();
            for number in chunk {
                let topic = format!("t/{number}/{}", if number % 10 == 0 { "x" } else { "y" });
                bytes.extend_from_slice(&[0x30, topic.len() as u8 + 2, 0, topic.len() as u8]);
                bytes.extend_from_slice(topic.as_bytes());
            }
            publisher.send(&bytes);
            for number in chunk.iter().filter(|number| *number % 10 == 0) {
                assert_eq!(subscriber.expect_publish().0, format!("t/{number}/x"));
            }
        }
        subscriber.ping();
    }
}

/// Those who publish and those who receive share a ring that is always full: the receivers get their part of it, and
/// their queues stay short.
#[test]
fn receivers_whose_deliveries_are_recorded_are_not_starved_by_publishers() {
    const PUBLISHERS: u16 = 4;
    const EACH: u16 = 3_000;
    let broker = Broker::start_on_one_core(&[
        // Odd: a message fits whose delivery does not.
        "log.ring_records=65",
        "limits.max_queued_messages=50",
        "hook.published.on=message.publish",
        "hook.published.topic=published",
        "hook.published.filter=fed/#",
        "hook.delivered.on=message.deliver",
        "hook.delivered.topic=delivered",
        "hook.delivered.filter=fed/#",
    ]);
    let mut receiver = Raw::connect(&broker, Version::V311, "receiver");
    receiver.subscribe("fed/#", QoS::AtMostOnce);
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let broker = &broker;
            scope.spawn(move || {
                let id = format!("publisher-{publisher}");
                let mut raw = Raw::open(broker.address());
                raw.send(&burst(Version::V311, &id, &format!("fed/{publisher}"), EACH));
                assert_eq!(raw.packet()[0], 0x20);
                for id in 1..=EACH {
                    let [high, low] = id.to_be_bytes();
                    raw.expect(&[0x40, 2, high, low]);
                }
            });
        }
        let mut next = vec![1; usize::from(PUBLISHERS)];
        for _ in 0..PUBLISHERS * EACH {
            let (topic, payload, ..) = receiver.expect_publish();
            let publisher: usize = topic["fed/".len()..].parse().expect("a number");
            assert_eq!(payload, u16::to_be_bytes(next[publisher]), "of publisher {publisher}");
            next[publisher] += 1;
        }
    });
}
