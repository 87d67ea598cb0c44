//! The whole stream side into a real Kafka: rings, log, machine and wire, over power cuts, lost
//! answers, and the end of Kafka's sequences. What Kafka has is read back by rskafka's own client.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rskafka::client::ClientBuilder;
use rskafka::client::partition::UnknownTopicHandling;

use super::kafka::{create, metadata, name, server};
use super::proxy::proxy;
use super::{client, run};
use crate::event::{Event, EventData, EventKind};
use crate::log::file::{Fs, RealFs};
use crate::log::sim::{Losses, Random, SimFs};
use crate::log::{self, LogConfig};
use crate::ring::{AckToken, Completion, Producer};
use crate::rule::{Durability, Rule};
use crate::running::{Running, start_from};
use crate::status::HookStatus;
use crate::target::KafkaConfig;

const KEYS: u64 = 5;
const PARTITIONS: i32 = 3;
const GRACE: Duration = Duration::from_secs(60);

/// The publishers: what was acknowledged to them, and when.
#[derive(Default)]
struct Publishers {
    acknowledged: Mutex<BTreeMap<u32, Instant>>,
}

impl Completion for Publishers {
    fn durable(&self, _core: usize, tokens: Vec<AckToken>) {
        let now = Instant::now();
        let mut acknowledged = self.acknowledged.lock();
        for token in tokens {
            let before = acknowledged.insert(token.sequence, now);
            assert!(before.is_none(), "{} is acknowledged twice", token.sequence);
        }
    }

    fn room(&self, _core: usize) {}
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

/// A log, a sink and two hooks, over any number of runs.
struct Side {
    rules: Vec<Rule>,
    config: KafkaConfig,
    publishers: Arc<Publishers>,
    first_sequence: u32,
    /// Numbers of the records, which are their places in the order of all.
    next: u32,
}

struct Run {
    running: Running,
    producer: Producer,
    publishers: Arc<Publishers>,
}

impl Side {
    /// Makes the topics. The second hook's publishers wait for Kafka.
    fn new(what: &str, server: &str) -> Side {
        let rule = |id, durability| {
            let rule = Rule::new(id, "hook", EventKind::MessagePublish, &name(what)).expect("a rule");
            Rule { durability, to_kafka: true, ..rule }
        };
        let rules = vec![rule(1, Durability::Log), rule(2, Durability::Kafka)];
        run(async {
            let client = client(&[server], Duration::from_secs(20));
            for rule in &rules {
                assert_eq!(create(&client, &rule.stream, PARTITIONS).await.0, 0);
            }
            metadata(&client, &rules.iter().map(|rule| Arc::clone(&rule.stream)).collect::<Vec<_>>()).await;
        });
        let config = KafkaConfig {
            batch_records: 7,
            linger: Duration::from_millis(1),
            request_timeout: Duration::from_secs(5),
            ..KafkaConfig::new(vec![server.to_owned()])
        };
        Side { rules, config, publishers: Arc::default(), first_sequence: 0, next: 0 }
    }

    /// `None` if the power fails meanwhile.
    fn start(&self, fs: impl Fs, log: LogConfig) -> Option<Run> {
        let (log, recovery) = log::open(log, fs, unix_ms(), u64::from(self.next)).ok()?;
        assert_eq!(recovery.damage, [], "a power cut is no damage");
        let completion = Arc::clone(&self.publishers) as Arc<dyn Completion>;
        let config = Some(self.config.clone());
        let (running, producers) =
            start_from(log, 1, completion, &self.rules, config, self.first_sequence).ok()?;
        let producer = producers.into_iter().next().expect("one core");
        Some(Run { running, producer, publishers: Arc::clone(&self.publishers) })
    }

    /// One record for each hook in turn; `false` if there is no room.
    fn publish(&mut self, run: &mut Run, payload: &[u8]) -> bool {
        let number = self.next;
        let rule = &self.rules[number as usize % 2];
        let (key, topic) = (format!("key {}", u64::from(number / 2) % KEYS), format!("n/{number}"));
        let data = EventData::Publish { topic: &topic, payload, qos: 1, packet_id: 0 };
        let event = Event { ts_ms: unix_ms(), client_id: &key, username: "", data };
        let len = Producer::record_len(&event, rule);
        if !run.producer.has_room(1, len) || !run.producer.has_room_for(rule, len) {
            return false;
        }
        let token = AckToken { slot: 0, generation: 0, sequence: number };
        run.producer.append(rule, &event, Some(token));
        run.producer.flush();
        self.next += 1;
        true
    }

    fn acknowledged(&self) -> BTreeSet<u32> {
        self.publishers.acknowledged.lock().keys().copied().collect()
    }

    /// Reads both topics; every record at most once, those of a key in order. Which there are.
    fn in_kafka(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        for rule in &self.rules {
            let mut last: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
            for (key, value) in (0..PARTITIONS).flat_map(|partition| read(&rule.stream, partition)) {
                let value: serde_json::Value = serde_json::from_slice(&value).expect("JSON");
                let topic = value["topic"].as_str().expect("a topic");
                let number = topic.strip_prefix("n/").and_then(|text| text.parse().ok()).expect("a number");
                assert!(found.insert(number), "{number} is in Kafka twice");
                let before = last.insert(key, number);
                assert!(before.is_none_or(|before| before < number), "{number} stands behind {before:?}");
            }
        }
        found
    }
}

impl Run {
    /// As the power fails: nothing is said to anybody, and both threads are gone afterwards.
    fn vanish(self) {
        let Run { running, producer, publishers } = self;
        drop(producer);
        drop(running);
        let until = Instant::now() + Duration::from_secs(20);
        // This test has two, and each thread has more.
        while Arc::strong_count(&publishers) > 2 {
            assert!(Instant::now() < until, "a thread is left");
            sleep(Duration::from_millis(1));
        }
    }

    /// Delivers everything and ends; what the hooks counted.
    fn finish(self) -> Vec<HookStatus> {
        let Run { running, producer, .. } = self;
        drop(producer);
        let observer = running.observer();
        // A stop does not wait for a Kafka that it has not reached yet.
        let until = Instant::now() + GRACE;
        while observer.status().hooks.iter().any(|hook| hook.waiting > 0) {
            assert!(Instant::now() < until, "{:?}", observer.status());
            sleep(Duration::from_millis(10));
        }
        running.stop(GRACE).expect("stops");
        let hooks = observer.status().hooks;
        for hook in &hooks {
            assert_eq!((hook.waiting, hook.set_aside, hook.possibly_repeated), (0, 0, 0), "{hook:?}");
        }
        hooks
    }
}

/// The lock of the log goes a moment after all else of an earlier run.
fn restart(start: impl Fn() -> Option<Run>) -> Run {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match start() {
            Some(run) => return run,
            None => assert!(Instant::now() < until, "it does not start"),
        }
        sleep(Duration::from_millis(5));
    }
}

/// Keys and values of a partition, from its start to its end.
fn read(topic: &str, partition: i32) -> Vec<(Vec<u8>, Vec<u8>)> {
    run(async {
        let client = ClientBuilder::new(vec![server()]).build().await.expect("Kafka answers");
        let of = client.partition_client(topic, partition, UnknownTopicHandling::Retry).await;
        let of = of.expect("the partition");
        let (mut records, mut offset) = (Vec::new(), 0);
        loop {
            let (found, end) = of.fetch_records(offset, 1..1 << 20, 100).await.expect("records");
            // A batch comes whole, also if it begins before what was asked for.
            for one in found {
                if one.offset < offset {
                    continue;
                }
                offset = one.offset + 1;
                let (key, value) = (one.record.key.expect("a key"), one.record.value.expect("a value"));
                records.push((key, value));
            }
            if offset >= end {
                assert_eq!(records.len() as i64, end, "offsets without records");
                return records;
            }
        }
    })
}

fn table(rows: &[(&str, u64)]) {
    for (name, count) in rows {
        println!("| {name:<44} | {count:>8} |");
    }
}

/// The power fails at operations of the medium chosen at random, also while a run begins; the next
/// run finds what was synced and any part of the rest, the same Kafka, and new traffic.
#[test]
#[ignore = "needs a Kafka; see `kafka`"]
fn power_cuts() {
    const CUTS: u64 = 25;
    let mut side = Side::new("cuts", &server());
    let mut random = Random::new(unix_ms());
    let mut fs = SimFs::new(random.next_u64());
    let log = || LogConfig {
        segment_bytes: 64 << 10,
        fill_step_bytes: 16 << 10,
        reserve_bytes: 0,
        ..LogConfig::new("/data/log", "millrace@test")
    };
    let (mut begins, mut lost, mut killed) = (0, Losses::default(), 0);
    for _ in 0..CUTS {
        // Some fall into the start, most into the traffic.
        let operations = if random.one_in(4) { 60 } else { 3000 };
        fs.cut_at(fs.operations() + random.below(operations));
        match side.start(fs.clone(), log()) {
            None => begins += 1,
            Some(mut run) => {
                let until = Instant::now() + Duration::from_secs(3);
                while !fs.is_off() && Instant::now() < until {
                    for _ in 0..random.below(20) {
                        side.publish(&mut run, b"p");
                    }
                    sleep(Duration::from_micros(random.below(2000)));
                }
                fs.cut_at(fs.operations());
                run.vanish();
            }
        }
        if random.one_in(5) {
            fs = fs.kill();
            killed += 1;
        } else {
            let (after, losses) = fs.restart(random.next_u64());
            lost.sectors += losses.sectors;
            lost.torn += losses.torn;
            fs = after;
        }
    }
    let acknowledged = side.acknowledged();
    fs.cut_at(u64::MAX);
    let mut run = side.start(fs, log()).expect("nothing fails any more");
    while !side.publish(&mut run, b"last") {
        sleep(Duration::from_millis(1));
    }
    let hooks = run.finish();
    let found = side.in_kafka();
    let missing: Vec<&u32> = acknowledged.difference(&found).collect();
    assert!(missing.is_empty(), "acknowledged and not in Kafka: {missing:?}");
    assert!(found.contains(&(side.next - 1)), "the last one is there");
    table(&[
        ("power cuts", CUTS - killed),
        ("kills of the process alone", killed),
        ("of both, before the run had begun", begins),
        ("unsynced sectors lost", lost.sectors),
        ("unsynced sectors torn", lost.torn),
        ("records published", side.next.into()),
        ("acknowledged before the cuts", acknowledged.len() as u64),
        ("in Kafka, each once", found.len() as u64),
        ("of the last run's, sent again", hooks.iter().map(|hook| hook.retried).sum()),
    ]);
}

/// Sequences pass 2^31 in every partition of every run, answers get lost on the way and runs end
/// while batches are under way.
#[test]
#[ignore = "needs a Kafka; see `kafka`"]
fn sequences_wrap_while_answers_are_lost() {
    const RUNS: u64 = 4;
    let between = proxy(&server(), unix_ms());
    let mut side = Side::new("wrap", &server());
    side.config.servers = vec![format!("127.0.0.1:{}", between.port)];
    side.first_sequence = (1 << 31) - 10;
    let dir = tempfile::tempdir().expect("a directory");
    let log = LogConfig::new(dir.path().join("log"), "millrace@test");
    let mut retried = 0;
    for round in 1..=RUNS {
        let mut run = restart(|| side.start(RealFs::new(), log.clone()));
        between.loses_one_in.store(10, Ordering::Relaxed);
        for _ in 0..500 {
            while !side.publish(&mut run, b"p") {
                sleep(Duration::from_millis(1));
            }
            sleep(Duration::from_millis(1));
        }
        if round < RUNS {
            sleep(Duration::from_millis(500));
            retried += run.running.status().hooks.iter().map(|hook| hook.retried).sum::<u64>();
            run.vanish();
        } else {
            between.loses_one_in.store(0, Ordering::Relaxed);
            retried += run.finish().iter().map(|hook| hook.retried).sum::<u64>();
        }
    }
    let lost = between.lost.load(Ordering::Relaxed);
    table(&[
        ("runs, each across 2^31 in every partition", RUNS),
        ("answers lost", lost),
        ("records sent again", retried),
        ("records published", side.next.into()),
        ("in Kafka, each once", side.in_kafka().len() as u64),
    ]);
    assert_eq!(side.in_kafka().len(), side.next as usize, "on files that stay, every record arrives");
    // Publishers of earlier runs are gone with them; those of the last have heard of everything.
    let of_last = side.acknowledged().iter().filter(|&&number| number >= side.next - 500).count();
    assert_eq!(of_last, 500);
    assert!(lost >= 10 && retried > 0, "{lost} answers lost, {retried} records sent again");
}

/// From the ring to Kafka's confirmation, one request at a time: a request in two segments without
/// TCP_NODELAY would wait 40 ms for the first one's acknowledgement.
#[test]
#[ignore = "needs a Kafka; see `kafka`"]
fn no_request_waits_for_the_acknowledgement_of_a_segment() {
    const ROUNDS: usize = 60;
    let mut side = Side::new("latency", &server());
    side.config.linger = Duration::ZERO;
    side.rules[0].durability = Durability::Kafka;
    let log = LogConfig { reserve_bytes: 0, ..LogConfig::new("/data/log", "millrace@test") };
    let mut run = side.start(SimFs::new(1), log).expect("starts");
    let mut rows = Vec::new();
    for kilobytes in [1, 8, 16, 32, 64] {
        let payload = vec![b'p'; kilobytes << 10];
        let mut times: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let number = side.next;
                let begun = Instant::now();
                assert!(side.publish(&mut run, &payload), "room");
                loop {
                    if let Some(at) = side.publishers.acknowledged.lock().get(&number) {
                        break *at - begun;
                    }
                    assert!(begun.elapsed() < GRACE, "no acknowledgement of {number}");
                    sleep(Duration::from_micros(100));
                }
            })
            // The first ones meet partitions that have not begun.
            .skip(10)
            .collect();
        times.sort();
        let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("| {kilobytes:>2} KiB | p50 {:>7.2?} | p99 {:>7.2?} |", p50, p99);
        rows.push((kilobytes, p50));
    }
    run.finish();
    assert!(rows.iter().all(|(_, p50)| *p50 < Duration::from_millis(10)), "{rows:?}");
}
