//! The whole as the broker starts and stops it.

use super::*;
use crate::event::{Event, EventData, EventKind};
use crate::log::sim::SimFs;
use crate::log::{self, LogConfig};
use crate::ring::AckToken;

mod begin;

const NOW: u64 = 1_574_751_635_845;

struct Deaf;

impl Completion for Deaf {
    fn durable(&self, _core: usize, _tokens: Vec<AckToken>) {}
    fn room(&self, _core: usize) {}
}

fn open(fs: &SimFs) -> Log {
    let config = LogConfig { fill_step_bytes: 4096, ..LogConfig::new("/data/log", "millrace@127.0.0.1") };
    log::open(config, fs.clone(), NOW, 1).expect("opens").0
}

fn rules() -> Vec<Rule> {
    let rule = |id, name: &str, stream: &str| {
        let rule = Rule::new(id, name, EventKind::MessagePublish, stream).expect("a valid name");
        Rule { to_kafka: true, ..rule }
    };
    vec![rule(8, "states", "message_state"), rule(5, "more", "message_state"), rule(6, "others", "other")]
}

fn append(producer: &mut Producer, rule: &Rule, count: u32) {
    let data = EventData::Publish { topic: "t", payload: b"p", qos: 1, packet_id: 0 };
    for _ in 0..count {
        producer.append(rule, &Event { ts_ms: NOW, client_id: "lock", username: "", data }, None);
    }
    producer.flush();
}

fn hooks(status: &Status) -> Vec<(&str, &str, u64, u64)> {
    status.hooks.iter().map(|hook| (&*hook.name, &*hook.stream, hook.taken, hook.durable)).collect()
}

#[test]
fn without_a_target_records_are_released_when_they_are_durable() {
    let fs = SimFs::new(1);
    let rules = rules();
    let (running, mut producers) = start(open(&fs), 2, Arc::new(Deaf), &rules, None).expect("starts");
    let observer = running.observer();
    append(&mut producers[0], &rules[0], 3);
    append(&mut producers[1], &rules[0], 2);
    append(&mut producers[1], &rules[2], 4);
    drop(producers);
    let summary = running.stop(Duration::from_secs(5)).expect("stops");
    assert_eq!((summary.stats.records, observer.stats().records), (9, 9));
    let status = observer.status();
    let expected =
        [("states", "message_state", 5, 5), ("more", "message_state", 0, 0), ("others", "other", 4, 4)];
    assert_eq!(hooks(&status), expected, "in the order of the rules");
    assert!(status.kafka.is_none());
    assert!(status.hooks.iter().all(|hook| (hook.waiting, hook.waiting_bytes, hook.delivered) == (0, 0, 0)));
}

#[test]
fn with_a_target_records_wait_until_they_are_delivered() {
    let fs = SimFs::new(2);
    let rules = rules();
    let kafka = KafkaConfig::new(vec!["127.0.0.1:1".into()]);
    let (running, mut producers) = start(open(&fs), 1, Arc::new(Deaf), &rules, Some(kafka)).expect("starts");
    let observer = running.observer();
    assert!(observer.status().kafka.is_some());
    append(&mut producers[0], &rules[1], 3);
    drop(producers);
    running.stop(Duration::ZERO).expect("stops");
    let status = observer.status();
    let hook = &status.hooks[1];
    assert_eq!((hook.taken, hook.durable, hook.delivered, hook.waiting), (3, 3, 0, 3));
    assert!(hook.waiting_bytes > 0);
}

#[test]
fn a_stop_that_cannot_write_says_so() {
    let fs = SimFs::new(3);
    let rules = rules();
    let (running, mut producers) = start(open(&fs), 1, Arc::new(Deaf), &rules, None).expect("starts");
    fs.cut_at(fs.operations());
    append(&mut producers[0], &rules[0], 3);
    drop(producers);
    let error = running.stop(Duration::from_secs(5)).expect_err("nothing can be written");
    assert!(matches!(error, LogError::Unwritten { records: 3, .. }), "{error}");
}

#[test]
fn dropping_it_lets_go_of_the_log() {
    let fs = SimFs::new(4);
    let (running, producers) = start(open(&fs), 1, Arc::new(Deaf), &rules(), None).expect("starts");
    drop(producers);
    drop(running);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    let config = LogConfig::new("/data/log", "millrace@127.0.0.1");
    while log::open(config.clone(), fs.clone(), NOW, 2).is_err() {
        assert!(std::time::Instant::now() < until, "its lock is held");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_is_looked_at_from_other_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    fn sent<T: Send>() {}
    shared::<Observer>();
    sent::<Running>();
    sent::<Producer>();
}

#[test]
fn dropping_it_ends_the_sink_whoever_still_looks() {
    let fs = SimFs::new(5);
    let kafka = KafkaConfig::new(vec!["127.0.0.1:1".into()]);
    // Held by the log thread and by the sink's.
    let completion = Arc::new(Deaf);
    let (running, producers) =
        start(open(&fs), 1, Arc::clone(&completion) as _, &rules(), Some(kafka)).expect("starts");
    let observer = running.observer();
    assert!(observer.status().kafka.is_some());
    drop(producers);
    drop(running);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while Arc::strong_count(&completion) > 1 {
        assert!(std::time::Instant::now() < until, "a thread is left");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(observer.status().kafka.is_none());
}
