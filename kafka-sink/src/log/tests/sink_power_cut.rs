//! The log on a medium, the machine, and a model Kafka in one time. The power fails, or the process
//! is killed, at operations of random histories; what starts again meets the same Kafka, with
//! requests still on their way and new traffic. Each record is in Kafka once.
//!
//! `MILLRACE_SEEDS` sets the number of histories (default 60), `MILLRACE_SEED` picks one.

use std::sync::atomic::AtomicUsize;

use super::super::control::{KAFKA, TargetState};
use super::super::follow::Follow;
use super::super::port::Group;
use super::super::sim::Random;
use super::*;
use crate::sender::tests::kafka::{Faults, Shake};
use crate::sender::tests::log::Disk;
use crate::sender::tests::world::{World, settings};

const TOPICS: [&str; 3] = ["state", "command", "connected"];

struct Medium {
    fs: SimFs,
    config: LogConfig,
    writer: Option<LogWriter>,
    follow: Follow,
    floor: u64,
    cuts_left: u64,
    random: Random,
}

impl Medium {
    fn new(seed: u64) -> Medium {
        let mut random = Random::new(seed ^ 0x0d15c);
        let config = LogConfig {
            segment_bytes: 4096 + 512 * (2 + random.below(20)),
            fill_step_bytes: 512 * (1 + random.below(12)),
            large_from_bytes: 512 * random.below(12) as usize,
            retention_bytes: 64 * 1024,
            ..config()
        };
        let fs = SimFs::new(seed);
        let (writer, _) = open(&fs, config.clone()).expect("an empty medium opens");
        let follow = Follow::open(fs.handle(), DIR.into());
        let cuts_left = 2 + random.below(5);
        let mut medium = Medium { fs, config, writer: Some(writer), follow, floor: 0, cuts_left, random };
        medium.plan_cut();
        medium
    }

    fn plan_cut(&mut self) {
        let at = self.fs.operations() + self.random.below(300);
        self.fs.cut_at(at);
    }
}

impl Disk for Medium {
    fn append(&mut self, body: &[u8], records: u32, controls: &[Control]) -> bool {
        let mut batch = Batch::default();
        batch.bytes = body.to_vec();
        batch.records = records;
        let Some(writer) = &mut self.writer else { return false };
        let batches = if records == 0 { Vec::new() } else { vec![batch] };
        let is_kept = writer.append_group(NOW, &batches, controls).is_ok();
        if is_kept {
            writer.set_floor(Some(self.floor));
            writer.retain(NOW);
        }
        is_kept
    }

    fn read(&mut self, from: u64, durable: u64, bytes: usize, budget: &Arc<AtomicUsize>) -> Vec<Arc<Group>> {
        self.follow.read(from, durable, bytes, budget).unwrap_or_default()
    }

    fn set_floor(&mut self, floor: u64) {
        self.floor = floor;
    }

    fn restart(&mut self) -> (u64, TargetState) {
        self.writer = None;
        for attempt in 0.. {
            self.fs = if self.random.one_in(3) {
                self.fs.kill()
            } else {
                self.fs.restart(self.random.next_u64()).0
            };
            assert!(attempt < 10, "a start that nothing cuts fails");
            match self.cuts_left.checked_sub(1) {
                Some(left) => {
                    self.cuts_left = left;
                    self.plan_cut();
                }
                None => self.fs.cut_at(u64::MAX),
            }
            if let Ok((writer, recovery)) = open(&self.fs, self.config.clone()) {
                assert_eq!(recovery.damage, [], "a power cut is no damage");
                let state = writer.targets().targets.get(&KAFKA).cloned().unwrap_or_default();
                self.writer = Some(writer);
                self.follow = Follow::open(self.fs.handle(), DIR.into());
                return (recovery.next_sequence, state);
            }
        }
        unreachable!("it fails or returns");
    }
}

#[test]
fn each_record_is_in_kafka_once_wherever_the_power_fails() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("MILLRACE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MILLRACE_SEEDS").unwrap_or(60),
    };
    let (mut records, mut lives, mut requests, mut late, mut retried) = (0, 0, 0, 0, 0);
    for seed in seeds.clone() {
        println!("history {seed}");
        let mut settings = settings(&TOPICS);
        settings.seed = seed;
        let mut world = World::new(seed, settings, 0);
        for (index, topic) in TOPICS.iter().enumerate() {
            world.kafka.create(topic, 1 + (seed as usize + index) % 3);
        }
        world.kafka.faults = Faults::some(&mut world.random);
        world.log.forgets_one_in = seed % 4;
        world.keep_on(Box::new(Medium::new(seed)));
        world.history(&TOPICS, Shake { forgets: true, ..Shake::default() }, 1 + seed % 4, 40);
        assert_eq!(world.checks.repeats, 0);
        records += world.log.truths.len();
        lives += world.life;
        requests += world.kafka.marks.requests;
        late += world.kafka.marks.late_appended;
        retried += world.checks.retried;
    }
    let rows: &[(&str, u64)] = &[
        ("histories (seeds)", seeds.count() as u64),
        ("restarts", lives),
        ("records found in Kafka, once each", records as u64),
        ("requests", requests),
        ("batches appended after they were given up", late),
        ("records sent again", retried),
    ];
    for (name, count) in rows {
        println!("| {name:<42} | {count:>9} |");
    }
}
