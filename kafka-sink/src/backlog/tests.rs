//! What counts as undelivered, over groups as the files give them.

use std::ops::Range;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::event::{Event, EventData, EventKind};
use crate::log::control::{Cursor, Intent, Partitions, ProducerId};
use crate::partition::of_key;
use crate::rule::Rule;

const STREAM: &str = "state";

/// Records with the clients' names as keys, one sequence each; core 1, rule 7.
fn group(sequences: Range<u64>, client: impl Fn(u64) -> String) -> Arc<Group> {
    let mut body = Vec::new();
    let rule = Rule::new(7, "r", EventKind::MessagePublish, STREAM).expect("a valid name");
    for sequence in sequences.clone() {
        let (client_id, at) = (client(sequence), body.len());
        let data = EventData::Publish { topic: "t", payload: b"p", qos: 1, packet_id: 0 };
        entry::append_record(
            &mut body,
            &rule,
            &Event { ts_ms: 1, client_id: &client_id, username: "", data },
        );
        entry::set_core(&mut body[at..], 1);
        entry::number_record(&mut body[at..], 0, 1, sequence, 0);
    }
    Arc::new(Group::new(1, "n@h".into(), sequences, body, &Arc::<AtomicUsize>::default()))
}

fn cursor(partition: u32, next: u64) -> (u32, PartitionState) {
    let cursor = Cursor { target: KAFKA, topic: STREAM.into(), partition, next, offset: None };
    (partition, PartitionState { cursor: Some(cursor), intent: None })
}

fn count(from: u64, count: u32) -> Partitions {
    Partitions { target: KAFKA, topic: STREAM.into(), from, count, topic_id: [0; 16] }
}

fn state(counts: Vec<Partitions>, partitions: Vec<(u32, PartitionState)>) -> TargetState {
    let topic = TopicState { counts, partitions: partitions.into_iter().collect() };
    TargetState { target: None, topics: [(Arc::from(STREAM), topic)].into() }
}

fn client(sequence: u64) -> String {
    format!("lock{}", sequence % 3)
}

/// Ten groups of ten records. Returns the backlog and which sequences each `read` was asked for.
fn run(accounts: &Accounts, state: &TargetState, from: u64, to: u64) -> (Backlog, Vec<u64>) {
    let mut asked = Vec::new();
    let read = |position: u64| {
        asked.push(position);
        let first = position / 10;
        Ok((first..(first + 3).min(10))
            .map(|group_at| group(group_at * 10..group_at * 10 + 10, client))
            .collect())
    };
    let (backlog, oldest) = charge(accounts, state, from, to, read).expect("reads");
    assert_eq!(oldest.contains_key(&7), backlog.records > 0, "{oldest:?}");
    (backlog, asked)
}

#[test]
fn what_is_below_a_cursor_is_not_charged() {
    let of = |sequence: u64| of_key(client(sequence).as_bytes(), 4);
    let undone = |next: &dyn Fn(u32) -> u64, from: u64| {
        (from..100).filter(|&sequence| sequence >= next(of(sequence))).count() as u64
    };
    let none = TargetState::default();
    let intent = |first| Intent {
        target: KAFKA,
        topic: STREAM.into(),
        partition: of(0),
        producer: ProducerId { id: 1, epoch: 0 },
        base_sequence: 0,
        count: 5,
        first,
        last: first + 20,
        offset: None,
    };
    let (at, before) = cursor(of(0), 20);
    let sent = PartitionState { intent: Some(intent(50)), ..before };
    let cases: Vec<(&str, TargetState, u64, u64)> = vec![
        ("nothing is known", none.clone(), 0, 100),
        ("in the middle of a group", none, 33, 67),
        ("no count is known yet", state(vec![], vec![]), 0, 100),
        ("a topic without cursors", state(vec![count(0, 4)], vec![]), 0, 100),
        (
            "one partition is at the end",
            state(vec![count(0, 4)], vec![cursor(of(0), 100)]),
            0,
            undone(&|partition| if partition == of(0) { 100 } else { 0 }, 0),
        ),
        (
            "an intent says where the partition is",
            state(vec![count(0, 4)], vec![(at, sent)]),
            10,
            undone(&|partition| if partition == of(0) { 50 } else { 0 }, 10),
        ),
        (
            "the count holds from later on only",
            state(vec![count(60, 4)], (0..4).map(|partition| cursor(partition, 80)).collect()),
            0,
            60 + 20,
        ),
    ];
    for (name, state, from, expected) in cases {
        let accounts = Accounts::new(1, true);
        let (backlog, asked) = run(&accounts, &state, from, 100);
        assert_eq!(backlog.records, expected, "{name}");
        assert_eq!(asked.first(), Some(&from), "{name}");
        let sum = accounts.balances().remove(&7).unwrap_or_default();
        assert_eq!((sum.backlog, sum.backlog_bytes), (expected, backlog.bytes), "{name}");
        assert_eq!((sum.waiting(), sum.waiting_bytes), (expected, backlog.bytes), "{name}");
    }
}

#[test]
fn records_without_a_key_are_looked_for_where_they_went() {
    let state = state(vec![count(0, 4)], vec![cursor(2, 100)]);
    let accounts = Accounts::new(1, true);
    let read = |from| Ok(if from < 100 { vec![group(0..100, |_| String::new())] } else { Vec::new() });
    let backlog = charge(&accounts, &state, 0, 100, read).expect("reads");
    let undone = (0..100).filter(|&sequence| crate::partition::of_sequence(sequence, 4) != 2).count();
    assert_eq!(backlog.0.records, undone as u64);
}

#[test]
fn only_what_is_asked_for_is_charged_and_an_end_without_groups_ends() {
    let accounts = Accounts::new(1, true);
    assert_eq!(run(&accounts, &TargetState::default(), 15, 25).0.records, 10);
    let mut reads = 0;
    let none = |_| {
        reads += 1;
        Ok(Vec::new())
    };
    let (backlog, _) = charge(&accounts, &TargetState::default(), 0, 100, none).expect("reads");
    assert_eq!((backlog, reads), (Backlog::default(), 1), "the rest is gone");
    let (backlog, asked) = run(&accounts, &TargetState::default(), 100, 100);
    assert_eq!((backlog, asked), (Backlog::default(), vec![]));
}
