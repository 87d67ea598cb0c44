//! Publishers that remember what was acknowledged, and the comparison of that with what became of it: in the log or in
//! Kafka.
//!
//! A payload is `PUBLISHER CONNECTION SEQUENCE`. Each connection sends first what the one before got no acknowledgement
//! for, then new messages; so a pair of connection and sequence is sent once, and grows from one send to the next.

use super::{Broker, Raw, Read, process::eventually};
use millrace_codec::{Packet, Publish, QoS, Version, decode, frame_header};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const PUBLISHERS: usize = 4;
const WINDOW: usize = 64;
const PATIENCE: Duration = Duration::from_secs(60);

/// One publisher's memory.
#[derive(Default)]
struct Publisher {
    connection: u32,
    next: u64,
    /// Whether each send was acknowledged, by connection and sequence.
    sent: BTreeMap<(u32, u64), bool>,
    /// Sent and not acknowledged on the connection before.
    again: VecDeque<u64>,
}

/// The load of a test.
pub struct Load {
    qos: QoS,
    publishers: Vec<Publisher>,
    /// Of each publisher between two messages; none for as fast as it goes.
    pace: Duration,
}

/// What a round of load has in common with the test that watches it.
#[derive(Default)]
struct Round {
    acknowledged: AtomicUsize,
    finish: AtomicBool,
}

/// Lets the publishers of a round end.
struct Finish<'a>(&'a Round);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.finish.store(true, Ordering::Relaxed);
    }
}

impl Load {
    pub fn new(qos: QoS) -> Load {
        Load::of(qos, PUBLISHERS, Duration::ZERO)
    }

    /// So many publishers, each with this time between two messages: client ids `publisher-0` and so on, on the topics
    /// `devices/publisher-0/state`.
    pub fn of(qos: QoS, publishers: usize, pace: Duration) -> Load {
        Load { qos, publishers: (0..publishers).map(|_| Publisher::default()).collect(), pace }
    }

    /// Publishes until `count` messages of this round are acknowledged, lets `end` do to the broker what it likes in
    /// the middle of the load, and ends when all connections have.
    pub fn until(&mut self, broker: &mut Broker, count: usize, end: impl FnOnce(&mut Broker)) {
        self.round(broker, count, |broker, _| end(broker));
    }

    /// Publishes until `count` messages are acknowledged, and then waits for the rest of the acknowledgements.
    pub fn finish(&mut self, broker: &mut Broker, count: usize) {
        self.round(broker, count, |_, round| round.finish.store(true, Ordering::Relaxed));
        assert!(
            self.publishers.iter().all(|publisher| publisher.again.is_empty()),
            "not all is acknowledged"
        );
    }

    fn round(&mut self, broker: &mut Broker, count: usize, end: impl FnOnce(&mut Broker, &Round)) {
        let (round, qos, pace) = (Round::default(), self.qos, self.pace);
        std::thread::scope(|scope| {
            // Also when something below fails: the scope is left only when all publishers have ended.
            let _finish = Finish(&round);
            for (number, publisher) in self.publishers.iter_mut().enumerate() {
                let version = Version::ALL[number % Version::ALL.len()];
                let raw = Raw::connect(broker, version, &format!("publisher-{number}"));
                let round = &round;
                scope.spawn(move || publisher.run(number, raw, qos, pace, round));
            }
            let reached = eventually(PATIENCE, || round.acknowledged.load(Ordering::Relaxed) >= count);
            assert!(reached, "{:?} of {count} acknowledged", round.acknowledged);
            end(broker, &round);
        });
    }

    /// How many messages were acknowledged.
    pub fn acknowledged(&self) -> usize {
        let publishers = self.publishers.iter();
        publishers
            .map(|publisher| publisher.sent.values().filter(|acknowledged| **acknowledged).count())
            .sum()
    }

    /// Whether the last message of each publisher that was acknowledged is there: the others are then, too, or lost.
    pub fn has_arrived<'a>(&self, payloads: impl IntoIterator<Item = &'a str>) -> bool {
        let last = |(number, publisher): (usize, &Publisher)| {
            let (&(connection, sequence), _) =
                publisher.sent.iter().rfind(|(_, acknowledged)| **acknowledged)?;
            Some(format!("{number} {connection} {sequence}"))
        };
        let mut missing: BTreeSet<String> = self.publishers.iter().enumerate().filter_map(last).collect();
        for payload in payloads {
            missing.remove(payload);
        }
        missing.is_empty()
    }

    /// Compares with the payloads of a stream: what was acknowledged is there, everything there was sent, nothing is
    /// there twice, and each publisher's messages are in order.
    pub fn check<'a>(&self, payloads: impl IntoIterator<Item = &'a str>) {
        let mut latest = vec![(0, 0); self.publishers.len()];
        let mut missing: Vec<BTreeMap<(u32, u64), bool>> =
            self.publishers.iter().map(|publisher| publisher.sent.clone()).collect();
        for payload in payloads {
            let numbers: Vec<u64> = payload.split(' ').map(|word| word.parse().expect("a number")).collect();
            let [publisher, connection, sequence] = numbers[..] else { panic!("not ours: {payload}") };
            let (publisher, send) = (publisher as usize, (connection as u32, sequence));
            assert!(
                send > latest[publisher],
                "{payload} after {:?}: twice or out of order",
                latest[publisher]
            );
            latest[publisher] = send;
            assert!(missing[publisher].remove(&send).is_some(), "{payload} was never sent");
        }
        for (number, missing) in missing.iter().enumerate() {
            let lost: Vec<_> = missing.iter().filter(|(_, acknowledged)| **acknowledged).collect();
            assert!(lost.is_empty(), "publisher {number}: acknowledged and not in the stream: {lost:?}");
        }
    }
}

impl Publisher {
    /// Publishes until the connection ends, or, after the finish, until everything is acknowledged.
    fn run(&mut self, number: usize, mut raw: Raw, qos: QoS, pace: Duration, round: &Round) {
        self.connection += 1;
        let topic = format!("devices/publisher-{number}/state");
        // Sequences from 1: the first send is above (0, 0).
        let mut in_flight: VecDeque<u64> = VecDeque::new();
        let mut unfinished = 0;
        'connected: loop {
            let finish = round.finish.load(Ordering::Relaxed);
            while in_flight.len() < WINDOW {
                let sequence = match self.again.pop_front() {
                    Some(sequence) => sequence,
                    None if finish => break,
                    None => {
                        self.next += 1;
                        self.next
                    }
                };
                in_flight.push_back(sequence);
                self.sent.insert((self.connection, sequence), false);
                let payload = format!("{number} {} {sequence}", self.connection);
                let publish = Packet::Publish(Publish {
                    dup: false,
                    qos,
                    retain: false,
                    topic: &topic,
                    packet_id: packet_id(sequence),
                    properties: Default::default(),
                    payload: payload.as_bytes(),
                });
                if send(&mut raw, &publish).is_none() {
                    break 'connected;
                }
                if !pace.is_zero() {
                    std::thread::sleep(pace);
                    break;
                }
            }
            if finish && in_flight.is_empty() && unfinished == 0 {
                break;
            }
            // With a pace there is something to send meanwhile, as long as the window is open.
            let waits = pace.is_zero() || in_flight.len() == WINDOW || finish && self.again.is_empty();
            let bytes = match raw.read(if waits { PATIENCE } else { Duration::ZERO }) {
                Read::Packet(bytes) => bytes,
                Read::Silence if !waits => continue,
                Read::Closed => break,
                Read::Silence => panic!("publisher {number}: no acknowledgement of {in_flight:?}"),
            };
            let header = frame_header(&bytes).expect("a header").expect("a whole one");
            let packet = decode(raw.version, header.first, &bytes[header.header_len..]).expect("a packet");
            let id = match packet {
                Packet::PubAck(ack) if qos == QoS::AtLeastOnce => ack.packet_id,
                Packet::PubRec(ack) if qos == QoS::ExactlyOnce => {
                    unfinished += 1;
                    if send(&mut raw, &Packet::PubRel(millrace_codec::Ack::success(ack.packet_id))).is_none()
                    {
                        self.acknowledge(&mut in_flight, ack.packet_id, round);
                        break;
                    }
                    ack.packet_id
                }
                Packet::PubComp(_) if qos == QoS::ExactlyOnce => {
                    unfinished -= 1;
                    continue;
                }
                // The broker stops.
                Packet::Disconnect(_) => continue,
                other => panic!("publisher {number}: {other:?}"),
            };
            self.acknowledge(&mut in_flight, id, round);
        }
        in_flight.append(&mut self.again);
        self.again = in_flight;
    }

    fn acknowledge(&mut self, in_flight: &mut VecDeque<u64>, id: u16, round: &Round) {
        // Acknowledgements come in the order of publishes [MQTT-4.6.0-2].
        let sequence = in_flight.pop_front().expect("an acknowledgement of something sent");
        assert_eq!(packet_id(sequence), id, "acknowledgements out of order");
        self.sent.insert((self.connection, sequence), true);
        round.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

fn packet_id(sequence: u64) -> u16 {
    (sequence % 65_535) as u16 + 1
}

/// `None`: the connection has ended.
fn send(raw: &mut Raw, packet: &Packet<'_>) -> Option<()> {
    let mut bytes = Vec::new();
    packet.encode(raw.version, &mut bytes).expect("a packet of this version");
    raw.try_send(&bytes).ok()
}
