use millrace_codec::{PacketType, QoS, frame_header};

use super::super::template::Form;
use super::*;
use crate::random::Random;

const SIZE: usize = 24;

fn publisher(gate: Gate, receivers: u64, qos: u8, window: u32, streams: u32) -> Publisher {
    let mut publisher = Publisher::new(0, 0, gate, receivers, qos, window);
    let form = Form::new(Version::V311, QoS::from_number(qos).expect("a QoS"), false, SIZE);
    for number in 0..streams {
        let template = Template::new(&form, "t").expect("a template");
        publisher.streams.push(Stream::new(number, number, u64::MAX, template));
    }
    publisher
}

/// How many messages it sends now.
fn pump(publisher: &mut Publisher) -> u64 {
    publisher.pump(5, 1, SIZE, &mut Vec::new()).0
}

#[derive(Debug)]
enum Event {
    /// So many deliveries.
    Delivered(u64),
    /// PUBACK for packet identifiers.
    Acknowledged(std::ops::RangeInclusive<u16>),
    Confirmed(u32),
    /// So many seconds pass; whether the window is opened by force in the last one.
    Seconds(u32, bool),
}

#[test]
fn each_gate_opens_by_what_it_waits_for() {
    use Event::{Acknowledged, Confirmed, Delivered, Seconds};
    type Steps = &'static [(Event, u64)];
    // Gate, receivers, QoS, window; how many are sent at first, and after each event.
    let cases: [(&str, Gate, u64, u8, u32, u64, Steps); 10] = [
        (
            "deliveries",
            Gate::Deliveries,
            1,
            0,
            4,
            4,
            &[(Delivered(1), 1), (Delivered(3), 3), (Delivered(0), 0)],
        ),
        // Full until a message has come to all: three receivers, window of two.
        ("fan-out", Gate::Deliveries, 3, 0, 2, 2, &[(Delivered(2), 0), (Delivered(1), 1), (Delivered(3), 1)]),
        (
            "and acknowledgements",
            Gate::Deliveries,
            1,
            1,
            2,
            2,
            &[(Delivered(2), 0), (Acknowledged(1..=2), 2)],
        ),
        (
            "acknowledgements",
            Gate::Acknowledgements,
            0,
            1,
            3,
            3,
            &[(Acknowledged(2..=2), 1), (Acknowledged(1..=1), 1)],
        ),
        ("pings", Gate::Pings, 0, 0, 4, 4, &[(Confirmed(2), 2), (Confirmed(2), 2)]),
        ("odd pings", Gate::Pings, 0, 0, 3, 3, &[(Confirmed(2), 2)]),
        ("lost with QoS 0", Gate::Deliveries, 1, 0, 2, 2, &[(Seconds(3, true), 2), (Delivered(2), 2)]),
        (
            "late",
            Gate::Deliveries,
            1,
            0,
            2,
            2,
            &[(Seconds(3, true), 2), (Delivered(1), 1), (Seconds(1, false), 0)],
        ),
        (
            "slow with QoS 1",
            Gate::Acknowledgements,
            0,
            1,
            2,
            2,
            &[(Seconds(4, false), 0), (Seconds(1, true), 2)],
        ),
        ("pings lost", Gate::Pings, 0, 0, 2, 2, &[(Seconds(3, true), 2), (Confirmed(1), 1)]),
    ];
    for (name, gate, receivers, qos, window, at_first, steps) in cases {
        let mut publisher = publisher(gate, receivers, qos, window, 1);
        assert_eq!(pump(&mut publisher), at_first, "{name}");
        for (event, expected) in steps {
            match event {
                Delivered(many) => publisher.delivered += many,
                Acknowledged(ids) => {
                    for id in ids.clone() {
                        publisher.flight.step(PacketType::PubAck, id, 1, false);
                        publisher.acknowledged();
                    }
                }
                Confirmed(many) => assert_eq!(publisher.confirmed(), Some((5, *many)), "{name}"),
                Seconds(seconds, opened) => {
                    let opens: Vec<_> = (0..*seconds).map(|_| publisher.look()).collect();
                    assert_eq!(opens.last(), Some(opened), "{name}: {opens:?}");
                    assert!(opens.iter().rev().skip(1).all(|open| !open), "{name}: {opens:?}");
                }
            }
            assert_eq!(pump(&mut publisher), *expected, "{name}: {event:?}");
        }
    }
}

#[test]
fn a_window_is_never_exceeded_whatever_comes_in_which_order() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let window = 1 + (random.next() % 20) as u32;
        let allowed = 1 + (random.next() % 20) as u32;
        let mut publisher = publisher(Gate::Deliveries, 2, 1, window, 3);
        publisher.receive_maximum = allowed;
        let mut flying: Vec<u16> = Vec::new();
        for _ in 0..500 {
            let mut out = Vec::new();
            let before = publisher.sent;
            publisher.pump(5, 1, SIZE, &mut out);
            let mut rest = &out[..];
            while let Some(header) = frame_header(rest).expect("packets") {
                let body = &rest[header.header_len..header.total_len()];
                flying.push(u16::from_be_bytes([body[3], body[4]]));
                rest = &rest[header.total_len()..];
            }
            assert_eq!(publisher.flight.count() as usize, flying.len());
            assert!(flying.len() <= window.min(allowed) as usize);
            // Not one message is begun while a whole window waits for deliveries.
            assert!(
                publisher.sent == before
                    || publisher.sent * 2 - publisher.delivered <= u64::from(window) * 2 + 1
            );
            for _ in 0..random.next() % 5 {
                if !flying.is_empty() {
                    let id = flying.swap_remove((random.next() % flying.len() as u64) as usize);
                    publisher.flight.step(PacketType::PubAck, id, 1, false);
                    publisher.acknowledged();
                }
            }
            let open = publisher.sent * 2 - publisher.delivered;
            publisher.delivered += (random.next() % 5).min(open);
        }
        assert!(publisher.sent > 20, "seed {seed}");
        let sent: Vec<u64> = publisher.streams.iter().map(|stream| stream.sequence).collect();
        assert!(sent.iter().max().expect("one") - sent.iter().min().expect("one") <= 1, "in turn: {sent:?}");
    }
}

#[test]
fn what_falls_due_in_a_pause_is_sent_behind_it_and_counts_from_its_end() {
    let mut publisher = publisher(Gate::Open, 0, 0, 1, 2);
    publisher.schedule = Some(Schedule { start: 0, per_second: 1e9, streams: 2 });
    let sent = |publisher: &mut Publisher| {
        let mut out = Vec::new();
        publisher.pump(0, 1, SIZE, &mut out);
        let packets = out.chunks(out.len().max(1).min(5 + SIZE)).filter(|packet| !packet.is_empty());
        let stamps = packets.map(|packet| Stamp::read(&packet[5..]).expect("a stamp"));
        stamps.map(|stamp| (stamp.stream, stamp.sequence, stamp.sent_ns)).collect::<Vec<_>>()
    };
    (0..2).for_each(|stream| publisher.fall_due(stream));
    // Both its client and the one who hears it hold stream 1 back.
    publisher.pause(1);
    publisher.pause(1);
    assert_eq!(sent(&mut publisher), [(0, 0, 0)]);
    (0..2).for_each(|stream| publisher.fall_due(stream));
    publisher.resume(1, 50);
    assert_eq!((sent(&mut publisher), publisher.behind()), (vec![(0, 1, 2)], 2));
    publisher.resume(1, 100);
    assert_eq!((sent(&mut publisher), publisher.behind()), (vec![(1, 0, 100), (1, 1, 100)], 0));
}

#[test]
fn an_output_that_the_broker_does_not_take_ends_the_sending() {
    let mut publisher = publisher(Gate::Acknowledgements, 0, 1, 60_000, 1);
    let mut out = Vec::new();
    publisher.pump(5, 1, SIZE, &mut out);
    assert!((OUTPUT_MAX..OUTPUT_MAX + 100).contains(&out.len()));
    let before = publisher.sent;
    assert_eq!(publisher.pump(5, 1, SIZE, &mut out).0, 0);
    out.clear();
    assert!(publisher.pump(5, 1, SIZE, &mut out).0 > 0 && publisher.sent > before);
}
