//! The limits of a ring, one thread playing both sides.

use super::*;
use crate::event::{EventData, EventKind};
use crate::rule::Durability;

fn rule(id: u32, waiting_bytes_max: u64) -> Rule {
    let rule = Rule::new(id, "r", EventKind::MessagePublish, "stream").expect("a valid name");
    Rule { waiting_bytes_max, ..rule }
}

fn event(payload: &[u8]) -> Event<'_> {
    let data = EventData::Publish { topic: "t", payload, qos: 1, packet_id: 0 };
    Event { ts_ms: 1, client_id: "c", username: "", data }
}

fn new(records: usize, bytes: usize) -> (Producer, Arc<Ring>) {
    ring(0, (records, bytes), Arc::default(), Arc::new(Accounts::new(1, false)))
}

/// The log thread: takes everything and makes it durable. Returns the records.
fn drain(ring: &Ring) -> u32 {
    let mut records = 0;
    while let Some(batch) = ring.pop() {
        records += batch.records;
        ring.release(batch);
    }
    records
}

#[test]
fn a_ring_is_bounded_in_records() {
    let (mut producer, ring) = new(3, 1 << 20);
    for expected in [true, true, true, false] {
        assert_eq!(producer.has_room(1, 100), expected);
        if expected {
            producer.append(&rule(1, u64::MAX), &event(b""), None);
        }
    }
    assert!(!producer.has_room(1, 0));
    producer.flush();
    assert!(!producer.has_room(1, 0), "handed over is not durable");
    assert_eq!(drain(&ring), 3);
    assert!(producer.has_room(3, 100));
    assert!(producer.has_room(4, 100), "an empty ring takes a packet that matches more rules than it holds");
    producer.append(&rule(1, u64::MAX), &event(b""), None);
    assert!(!producer.has_room(3, 100));
}

#[test]
fn a_ring_is_bounded_in_bytes() {
    let rule = rule(1, u64::MAX);
    let len = Producer::record_len(&event(b"12345"), &rule);
    let (mut producer, ring) = new(1000, 4 * len);
    for _ in 0..4 {
        assert!(producer.has_room(1, len));
        producer.append(&rule, &event(b"12345"), None);
    }
    assert_eq!(producer.waiting(), (4, 4 * len as u64), "record_len is exact");
    assert!(!producer.has_room(1, 1));
    assert_eq!(producer.exceeded(), 0);
    producer.append(&rule, &event(b""), None);
    assert_eq!(producer.exceeded(), 1, "what cannot be refused is taken and counted");
    producer.flush();
    assert_eq!(drain(&ring), 5);
    assert!(producer.has_room(1, 100 * len), "an empty ring takes a record larger than itself");
}

#[test]
fn a_rule_has_its_own_limit() {
    let len = Producer::record_len(&event(b""), &rule(1, 0)) as u64;
    let (small, large) = (rule(1, 2 * len), rule(2, 100 * len));
    let (mut producer, ring) = new(1000, 1 << 20);
    for expected in [true, true, false] {
        assert_eq!(producer.has_room_for(&small, len as usize), expected);
        producer.append(&small, &event(b""), None);
    }
    assert_eq!(producer.exceeded(), 1);
    assert!(producer.has_room_for(&large, len as usize), "a full rule does not block another");
    assert!(producer.has_room(1, len as usize));
    producer.append(&large, &event(b""), None);
    producer.want_room_for(&small);
    producer.flush();
    assert!(!ring.take_room());
    drain(&ring);
    assert!(ring.take_room(), "told once");
    assert!(!ring.take_room());
    assert!(producer.has_room_for(&small, len as usize));
    producer.want_room_for(&small);
    assert!(ring.take_room(), "asked when there is room already");
}

#[test]
fn room_is_told_once_half_is_free() {
    let (mut producer, ring) = new(10, 1 << 20);
    for _ in 0..10 {
        producer.append(&rule(1, u64::MAX), &event(b""), None);
        producer.flush();
    }
    producer.want_room();
    producer.want_room();
    for released in 1..=10 {
        let batch = ring.pop().expect("ten batches");
        ring.release(batch);
        assert_eq!(ring.take_room(), released == 5, "{released}");
    }
    producer.want_room();
    assert!(ring.take_room(), "asked when the ring is empty");
}

#[test]
fn a_queue_without_place_keeps_the_batch_and_says_so() {
    let (mut producer, ring) = new(1 << 20, 1 << 30);
    let rule = rule(1, u64::MAX);
    for sequence in 0..BATCHES as u32 + 5 {
        let token = AckToken { slot: 0, generation: 0, sequence };
        producer.append(&rule, &event(b""), Some(token));
        producer.flush();
    }
    assert!(!producer.has_room(1, 1));
    assert!(!ring.take_room(), "not yet");
    let mut sequences = Vec::new();
    while let Some(batch) = ring.pop() {
        sequences.extend(batch.tokens.iter().map(|token| token.sequence));
        ring.release(batch);
    }
    assert_eq!(sequences.len(), BATCHES);
    assert!(ring.take_room(), "the core is woken without asking");
    producer.flush();
    assert!(producer.has_room(1, 1));
    let last = ring.pop().expect("the batch that stayed");
    sequences.extend(last.tokens.iter().map(|token| token.sequence));
    assert_eq!(last.records, 5);
    assert_eq!(sequences, (0..BATCHES as u32 + 5).collect::<Vec<_>>());
    ring.release(last);
    assert_eq!(producer.waiting(), (0, 0));
    assert!(producer.credits.iter().all(|slot| slot.account.waiting_bytes() == 0));
}

#[test]
fn a_core_that_ends_hands_over_what_it_has() {
    let (mut producer, ring) = new(1 << 20, 1 << 30);
    for _ in 0..BATCHES {
        producer.append(&rule(1, u64::MAX), &event(b""), None);
        producer.flush();
    }
    producer.append(&rule(1, u64::MAX), &event(b""), None);
    let core = std::thread::spawn(move || drop(producer));
    let mut records = 0;
    while records < BATCHES as u32 + 1 {
        records += drain(&ring);
        std::thread::yield_now();
    }
    core.join().expect("ends");
    assert!(ring.is_empty());
}

#[test]
fn buffers_come_back_and_large_ones_do_not() {
    let (mut producer, ring) = new(100, 1 << 30);
    producer.append(&rule(1, u64::MAX), &event(&[0; 1000]), None);
    producer.flush();
    drain(&ring);
    assert_eq!(ring.kept.len(), 1);
    producer.append(&rule(1, u64::MAX), &event(&vec![0; 2 << 20]), None);
    assert!(ring.kept.is_empty() && producer.batch.bytes.capacity() >= 1000, "used again");
    drain(&ring);
    assert!(ring.kept.is_empty());
    producer.flush();
    assert!(ring.is_empty(), "a turn without records hands nothing over");
}

#[test]
fn a_large_batch_is_handed_over_before_the_turn_ends() {
    let (mut producer, ring) = new(1 << 20, 1 << 30);
    let rule = rule(1, u64::MAX);
    let len = Producer::record_len(&event(&[0; 100]), &rule);
    for appended in 1..=3 * BATCH_BYTES / len {
        producer.append(&rule, &event(&[0; 100]), None);
        let of_a_batch = BATCH_BYTES.div_ceil(len);
        assert_eq!(ring.queue.len(), appended / of_a_batch, "after {appended} records");
    }
    producer.flush();
    assert_eq!(drain(&ring) as usize, 3 * BATCH_BYTES / len);
    // While the queue takes nothing, the end of a turn tries again, not each record.
    for _ in 0..=BATCHES {
        producer.append(&rule, &event(b""), None);
        producer.flush();
    }
    assert!(!producer.has_room(1, 0));
    for _ in 0..2 * BATCH_BYTES / len {
        producer.append(&rule, &event(&[0; 100]), None);
    }
    assert!(producer.batch.bytes.len() > BATCH_BYTES);
    assert_eq!(drain(&ring) as usize, BATCHES);
}

#[test]
fn a_batch_that_waits_for_a_place_is_called_for_however_large_it_is() {
    let (mut producer, ring) = new(10 * BATCHES, 1 << 20);
    let rule = rule(1, u64::MAX);
    for _ in 0..BATCHES {
        producer.append(&rule, &event(b""), None);
        producer.flush();
    }
    // More than half of the ring, in one turn.
    for _ in 0..6 * BATCHES {
        producer.append(&rule, &event(b""), None);
    }
    producer.flush();
    assert!(!producer.has_room(1, 0), "there was no place for the batch");
    assert_eq!(drain(&ring), BATCHES as u32);
    assert!(ring.take_room(), "nothing else would make an idle core flush it");
    assert!(!ring.take_room(), "told once");
    producer.flush();
    assert_eq!(drain(&ring), 6 * BATCHES as u32);
}

#[test]
fn a_record_that_needs_more_than_half_is_told_when_it_fits() {
    let rule = rule(1, 1000);
    let (mut producer, ring) = new(100, 1000);
    producer.append(&rule, &event(&[0; 200]), None);
    producer.flush();
    for by_rule in [true, false] {
        let fits = if by_rule { producer.has_room_for(&rule, 800) } else { producer.has_room(1, 800) };
        assert!(!fits);
        if by_rule {
            producer.want_room_for(&rule);
        } else {
            producer.want_room();
        }
        assert!(!ring.take_room(), "half is free, but it would be refused again: {by_rule}");
    }
    assert!(!producer.has_room_for(&rule, 5000), "larger than the limit: only when nothing waits");
    producer.want_room_for(&rule);
    assert!(!ring.take_room());
    drain(&ring);
    assert!(ring.take_room());
    assert!(producer.has_room(1, 800) && producer.has_room_for(&rule, 5000));
}

#[test]
fn a_token_waits_for_what_the_rule_asks() {
    let token = |sequence| Some(AckToken { slot: 0, generation: 0, sequence });
    // Name, target, rule to Kafka, durability, whether it waits for Kafka.
    let cases = [
        ("kafka", true, true, Durability::Kafka, true),
        ("log", true, true, Durability::Log, false),
        ("no target", false, true, Durability::Kafka, false),
        ("the rule stays in the log", true, false, Durability::Kafka, false),
    ];
    for (name, target, to_kafka, durability, waits) in cases {
        let accounts = Arc::new(Accounts::new(4, target));
        let (mut producer, ring) = ring(3, (100, 1 << 20), Arc::default(), accounts);
        let rule = Rule { durability, to_kafka, ..rule(1, u64::MAX) };
        producer.append(&rule, &event(b""), None);
        producer.append(&rule, &event(b""), token(5));
        producer.flush();
        let batch = ring.pop().expect("a batch");
        let expected = AckToken { slot: 0, generation: 0, sequence: 5 };
        let (durable, awaited) = if waits { (vec![], vec![(1, expected)]) } else { (vec![expected], vec![]) };
        assert_eq!((batch.tokens.clone(), batch.awaited.clone()), (durable, awaited), "{name}");
        let cores: Vec<u8> = entry::records(&batch.bytes).map(|(_, _, view)| view.core).collect();
        assert_eq!(cores, [3, 3], "{name}");
    }
}
