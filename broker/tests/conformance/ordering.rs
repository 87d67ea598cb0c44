//! Promise 3 across cores: messages of one publisher on one topic arrive in order at every subscriber, whichever cores
//! the two live on; and each arrives once.

use crate::support::{Broker, Raw};
use millrace_codec::{Packet, QoS, Version};
use std::collections::HashMap;
use std::sync::Barrier;
use std::thread;

const PUBLISHERS: usize = 6;
const SUBSCRIBERS: usize = 6;
const MESSAGES: usize = 400;

/// Everything is published at once by several publishers, at a QoS that depends on the publisher. Every subscriber
/// must see all of it, each publisher's in order.
fn flood(broker: &Broker, versions: [Version; 2], topic_of: fn(usize) -> String, filter: &str) {
    let start = Barrier::new(PUBLISHERS + SUBSCRIBERS);
    thread::scope(|scope| {
        for number in 0..SUBSCRIBERS {
            let start = &start;
            let id = broker.client_id_on(number, &format!("subscriber-{number}"));
            scope.spawn(move || {
                let mut raw = Raw::connect(broker, versions[number % 2], &id);
                raw.subscribe(filter, QoS::ExactlyOnce);
                start.wait();
                receive(&mut raw);
            });
        }
        for number in 0..PUBLISHERS {
            let start = &start;
            let id = broker.client_id_on(number / 2, &format!("publisher-{number}"));
            scope.spawn(move || {
                let mut raw = Raw::connect(broker, versions[number % 2], &id);
                start.wait();
                publish(&mut raw, number, &topic_of(number));
            });
        }
    });
}

fn publish(raw: &mut Raw, number: usize, topic: &str) {
    let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number % 3];
    for sequence in 0..MESSAGES {
        let payload = format!("{number} {sequence}");
        let id = sequence as u16 + 1;
        raw.publish(topic, payload.as_bytes(), qos, id);
        let [high, low] = id.to_be_bytes();
        match qos {
            // Ten at a time.
            QoS::AtMostOnce if sequence % 10 == 9 => raw.ping(),
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => raw.expect(&[0x40, 2, high, low]),
            QoS::ExactlyOnce => {
                raw.expect(&[0x50, 2, high, low]);
                raw.send(&[0x62, 2, high, low]);
                raw.expect(&[0x70, 2, high, low]);
            }
        }
    }
}

fn receive(raw: &mut Raw) {
    let mut next: HashMap<String, usize> = HashMap::new();
    let mut left = PUBLISHERS * MESSAGES;
    let mut pubrels = 0;
    while left > 0 || pubrels > 0 {
        let answer = raw.expect_packet(|packet| match packet {
            Packet::Publish(publish) => {
                let payload = std::str::from_utf8(publish.payload).expect("text");
                let (publisher, sequence) = payload.split_once(' ').expect("two numbers");
                let expected = next.entry(publisher.to_owned()).or_default();
                assert_eq!(sequence.parse(), Ok(*expected), "the next one of publisher {publisher}");
                *expected += 1;
                left -= 1;
                match publish.qos {
                    QoS::AtMostOnce => None,
                    QoS::AtLeastOnce => Some((0x40, publish.packet_id)),
                    QoS::ExactlyOnce => {
                        pubrels += 1;
                        Some((0x50, publish.packet_id))
                    }
                }
            }
            Packet::PubRel(ack) => {
                pubrels -= 1;
                Some((0x70, ack.packet_id))
            }
            other => panic!("{other:?}"),
        });
        if let Some((first, id)) = answer {
            let [high, low] = id.to_be_bytes();
            raw.send(&[first, 2, high, low]);
        }
    }
    raw.ping();
}

#[test]
fn one_topic_for_all_publishers() {
    flood(&Broker::start(&[]), [Version::V5, Version::V311], |_| "order/all".to_owned(), "order/all");
}

#[test]
fn a_topic_for_each_publisher_and_a_wildcard() {
    flood(&Broker::start(&[]), [Version::V31, Version::V5], |number| format!("order/{number}/t"), "order/#");
}

/// Records hold acknowledgements back until they are on disk; messages flow all the same.
#[test]
fn topics_of_a_hook() {
    flood(
        &Broker::start(&[]),
        [Version::V311; 2],
        |number| format!("devices/{number}/state"),
        "devices/+/state",
    );
}

/// Small rings and windows: everything that can be full is full now and then.
#[test]
fn with_everything_small() {
    let settings = [
        "log.ring_records=16",
        "log.ring_bytes=64KiB",
        "hook.message_state.max_record_bytes=1KiB",
        "hook.message_command.max_record_bytes=1KiB",
        "limits.max_inflight=3",
        "limits.receive_maximum=4",
    ];
    let broker = Broker::start(&settings);
    flood(&broker, [Version::V5, Version::V311], |number| format!("devices/{number}/state"), "devices/#");
}

/// A hundred pairs whose ids fall where they fall.
#[test]
fn many_clients_reach_each_other() {
    let broker = Broker::start(&[]);
    let mut pairs: Vec<(Raw, Raw)> = (0..100)
        .map(|number| {
            let mut lock = Raw::connect(&broker, Version::V311, &format!("lock-{number}"));
            lock.subscribe(&format!("locks/{number}/command"), QoS::AtLeastOnce);
            (lock, Raw::connect(&broker, Version::V5, &format!("back-{number}")))
        })
        .collect();
    for (number, (_, back)) in pairs.iter_mut().enumerate() {
        back.publish(&format!("locks/{number}/command"), number.to_string().as_bytes(), QoS::AtLeastOnce, 1);
    }
    for (number, (lock, back)) in pairs.iter_mut().enumerate() {
        let (topic, payload, qos, id) = lock.expect_publish();
        assert_eq!((topic, payload), (format!("locks/{number}/command"), number.to_string().into_bytes()));
        assert_eq!(qos, QoS::AtLeastOnce);
        let [high, low] = id.to_be_bytes();
        lock.send(&[0x40, 2, high, low]);
        back.expect(&[0x40, 2, 0, 1]);
        lock.ping();
    }
}

/// Rule of the core: what is published after a SUBACK was seen finds the subscription, although the publisher's core
/// remembers that nobody wanted this topic; and what is published after an UNSUBACK does not.
#[test]
fn a_publish_after_suback_arrives_and_after_unsuback_does_not() {
    let broker = Broker::start(&[]);
    for (subscriber_core, filter_of) in
        [(0, (|topic| topic) as fn(String) -> String), (1, |topic| topic), (1, |topic| format!("{topic}/#"))]
    {
        let mut subscriber = Raw::connect(&broker, Version::V311, &broker.client_id_on(subscriber_core, "s"));
        let mut publisher = Raw::connect(&broker, Version::V5, &broker.client_id_on(0, "p"));
        for round in 0..300_u16 {
            let topic = format!("known/{}", round % 7);
            let filter = filter_of(topic.clone());
            let mut publish = |text: &str| {
                publisher.publish(&topic, text.as_bytes(), QoS::AtLeastOnce, 1);
                publisher.expect_puback(1);
            };
            publish("before");
            subscriber.subscribe(&filter, QoS::AtMostOnce);
            publish("between");
            assert_eq!(subscriber.expect_publish().1, b"between", "round {round}");
            let mut unsubscribe = vec![0xa2, filter.len() as u8 + 4, 0, 9, 0, filter.len() as u8];
            unsubscribe.extend_from_slice(filter.as_bytes());
            subscriber.send(&unsubscribe);
            subscriber.expect(&[0xb0, 2, 0, 9]);
            publish("after");
        }
        subscriber.ping();
    }
}
