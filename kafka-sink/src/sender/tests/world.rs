//! The machine, its log and Kafka in one virtual time. `check` looks at everything that passes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::check::Checks;
use super::kafka::{Kafka, REFUSED, Shake};
use super::log::{Log, Offered};
use crate::log::control::TargetState;
use crate::log::sim::Random;
use crate::sender::notice::Notice;
use crate::sender::request::{Part, Request};
use crate::sender::{Action, Now, Reader, Sender, Settings};
use crate::target::KafkaConfig;

/// Virtual time begins here, in Unix milliseconds.
pub(crate) const BEGIN: u64 = 1_574_751_635_845;

/// Reads return about so much.
const READ_BYTES: usize = 4096;

pub(crate) struct World {
    pub(crate) kafka: Kafka,
    pub(crate) log: Log,
    pub(crate) sender: Sender,
    pub(crate) settings: Settings,
    pub(crate) checks: Checks,
    pub(crate) notices: Vec<Notice>,
    pub(crate) life: u64,
    /// Unix milliseconds.
    pub(crate) now_ms: u64,
    pub(crate) random: Random,
    reads: BTreeMap<(u64, u64), (Reader, u64)>,
    next_uid: u64,
    polls_at_once: u32,
    /// `MILLRACE_TRACE` is set: everything that passes is printed.
    traces: bool,
}

pub(crate) fn settings(topics: &[&str]) -> Settings {
    let mut kafka = KafkaConfig::new(vec!["node:9092".into()]);
    kafka.batch_records = 8;
    kafka.linger = Duration::from_millis(5);
    let topics = topics.iter().map(|&topic| Arc::from(topic)).collect();
    Settings { held_bytes_max: 64 << 10, ..Settings::new(kafka, topics) }
}

impl World {
    pub(crate) fn new(seed: u64, settings: Settings, first: u64) -> World {
        let mut log = Log::new(seed, first);
        let state = log.state();
        let sender = Sender::new(settings.clone(), &state, log.budget.clone());
        let mut world = World {
            kafka: Kafka::new(seed, 3),
            log,
            sender,
            settings,
            checks: Checks::default(),
            notices: Vec::new(),
            life: 0,
            now_ms: BEGIN,
            random: Random::new(seed ^ 0x3041d),
            reads: BTreeMap::new(),
            next_uid: 1,
            polls_at_once: 0,
            traces: std::env::var_os("MILLRACE_TRACE").is_some(),
        };
        world.begin_life(&state);
        world
    }

    pub(crate) fn now(&self) -> Now {
        Now { mono: Duration::from_millis(self.now_ms - BEGIN), unix_ms: self.now_ms }
    }

    /// A record of a client is offered to the log; returns what it is known by.
    pub(crate) fn offer(&mut self, topic: &str, key: &str) -> u64 {
        self.offer_as(Offered {
            topic: topic.into(),
            key: key.into(),
            uid: 0,
            ts_ms: self.now_ms,
            core: 0,
            target: 0,
            payload: 16,
            awaited: false,
        })
    }

    /// As [`World::offer`]; `of.uid` says only whether Kafka refuses it.
    pub(crate) fn offer_as(&mut self, mut of: Offered) -> u64 {
        of.uid = self.next_uid | (of.uid & REFUSED);
        self.next_uid += 1;
        let uid = of.uid;
        self.log.offer(of);
        uid
    }

    /// Something random is published.
    pub(crate) fn offer_any(&mut self, topics: &[&str], refused_one_in: u64, is_backlog: bool) {
        let random = &mut self.random;
        let topic = topics[random.below(topics.len() as u64) as usize];
        let key = if random.one_in(8) { String::new() } else { format!("lock-{}", random.below(7)) };
        let refused = refused_one_in > 0 && random.one_in(refused_one_in);
        let target = if random.one_in(20) { 7 } else { 0 };
        let old = if is_backlog { random.below(3 * 24 * 3600 * 1000) } else { 0 };
        let of = Offered {
            topic: topic.into(),
            key,
            uid: if refused { REFUSED } else { 0 },
            ts_ms: self.now_ms - old,
            core: random.below(3) as u8,
            target,
            payload: random.below(300) as usize,
            awaited: target == 0 && random.one_in(5),
        };
        self.offer_as(of);
    }

    /// Lets `ms` pass.
    pub(crate) fn run_for(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while self.step(until) {}
        self.now_ms = until;
        self.turn();
    }

    /// Runs until everything durable is delivered; panics after `ms`.
    pub(crate) fn drain(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while !self.is_drained() {
            let next = (self.now_ms + 1000).min(until);
            while self.step(next) {}
            self.now_ms = next;
            self.turn();
            if self.log.is_off {
                self.crash();
            }
            assert!(self.now_ms < until, "it does not get on: {}", self.stuck());
        }
        self.checks.drained(&self.log, &self.kafka);
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.log.is_idle() && self.kafka.is_quiet() && self.log.floor >= self.log.durable
    }

    fn stuck(&self) -> String {
        let notices: Vec<String> = self.notices.iter().rev().take(6).map(ToString::to_string).collect();
        format!(
            "floor {} of {}, log idle {}, Kafka quiet {}, {} bytes held, status {:?}, last said {notices:#?}",
            self.log.floor,
            self.log.durable,
            self.log.is_idle(),
            self.kafka.is_quiet(),
            self.log.budget.load(std::sync::atomic::Ordering::Relaxed),
            self.sender.status()
        )
    }

    /// What happens next, up to `until`; false if nothing is left before that.
    fn step(&mut self, until: u64) -> bool {
        self.turn();
        let deadline = self.sender.deadline().map(|at| BEGIN + (at.as_micros() as u64).div_ceil(1000));
        let read = self.reads.keys().next().map(|key| key.0);
        let next = [self.kafka.next_ms(), self.log.next_ms(), read, deadline].into_iter().flatten().min();
        let Some(next) = next.filter(|&next| next <= until && !self.log.is_off) else { return false };
        if next > self.now_ms {
            self.now_ms = next;
            self.polls_at_once = 0;
        }
        self.polls_at_once += 1;
        assert!(self.polls_at_once < 10_000, "it turns round without an end: {}", self.stuck());
        let now = self.now();
        if let Some(news) = self.log.finish(self.now_ms) {
            self.checks.durable(&news.controls);
            self.sender.durable(now, news.ticket);
            self.checks.awaits(&news.awaited);
            self.sender.awaited(&news.awaited);
            if let Some(group) = news.group {
                self.sender.group(group);
            }
            self.sender.durable_to(self.log.durable);
        }
        while let Some(entry) = self.reads.first_entry().filter(|entry| entry.key().0 <= self.now_ms) {
            let (reader, from) = entry.remove();
            let fails = self.kafka.faults.not_sent > 0 && self.random.one_in(30);
            let read =
                if fails { Err("no such file".to_owned()) } else { Ok(self.log.read(from, READ_BYTES)) };
            self.sender.read_done(now, reader, read);
        }
        for (life, id, outcome) in self.kafka.run(self.now_ms) {
            if life == self.life {
                if self.traces {
                    println!("{:>8} {id:?} {outcome:?}", self.now_ms - BEGIN);
                }
                self.checks.answered(id, &outcome);
                self.sender.answer(now, id, outcome);
            }
        }
        true
    }

    /// The machine moves on, and what it wants is done.
    fn turn(&mut self) {
        let now = self.now();
        for round in 0.. {
            assert!(round < 1000, "it asks for ever");
            let mut actions = Vec::new();
            self.sender.poll(now, &mut actions);
            if actions.is_empty() {
                break;
            }
            for action in actions {
                self.act(action);
            }
        }
        self.checks.memory(&self.log, &self.settings);
        self.log.begin(self.now_ms);
    }

    fn trace(&self, action: &Action) {
        let at = self.now_ms - BEGIN;
        match action {
            Action::Request(id, Request::Produce { node, parts, .. }) => {
                for Part { of, producer, base_sequence, records, stamp_ms } in parts {
                    let records: Vec<u64> = records.iter().map(|item| item.sequence).collect();
                    println!(
                        "{at:>8} {id:?} {} {}: {} {} {base_sequence} {records:?} {stamp_ms:?} to {node}",
                        of.topic, of.partition, producer.id, producer.epoch
                    );
                }
            }
            Action::Submit(controls) => {
                for control in controls {
                    let text = format!("{control:?}");
                    println!("{at:>8} submit {}", text.get(..300).unwrap_or(&text));
                }
            }
            Action::Say(notice) => println!("{at:>8} says {notice}"),
            action => println!("{at:>8} {action:?}"),
        }
    }

    fn act(&mut self, action: Action) {
        if self.traces {
            self.trace(&action);
        }
        match action {
            Action::Request(id, request) => {
                self.checks.request(id, &request, &self.log);
                self.kafka.send(self.now_ms, self.life, id, request);
            }
            Action::Submit(controls) => {
                self.log.submit(controls);
            }
            Action::Read { reader, from } => {
                let at = self.now_ms + self.random.below(20);
                let nth = self.random.next_u64();
                self.reads.insert((at, nth), (reader, from));
            }
            Action::Delivered { tally, tokens } => {
                self.checks.released(&tally);
                self.checks.tokens(&tokens, &self.log, &self.kafka);
            }
            Action::SetAside { tally, tokens } => {
                self.checks.released(&tally);
                self.checks.tokens(&tokens, &self.log, &self.kafka);
            }
            Action::Retried(tally) => self.checks.retried += tally.iter().map(|t| t.records).sum::<u64>(),
            Action::PossiblyRepeated(tally) => {
                self.checks.repeats_counted += tally.iter().map(|t| t.records).sum::<u64>();
            }
            Action::Floor(floor) => {
                self.checks.floor(floor, &self.log, &self.kafka);
                self.log.set_floor(floor);
            }
            Action::Say(notice) => {
                self.checks.said(&notice);
                self.notices.push(notice);
            }
        }
    }

    /// The process ends at once, and another takes up from what was durable.
    pub(crate) fn crash(&mut self) {
        if self.traces {
            println!("{:>8} crash", self.now_ms - BEGIN);
        }
        self.kafka.disconnect(self.life);
        self.reads.clear();
        let (controls, state) = self.log.crash();
        self.checks.durable(&controls);
        self.life += 1;
        self.settings.seed = self.random.next_u64();
        self.settings.earliest = self.log.floor;
        self.sender = Sender::new(self.settings.clone(), &state, self.log.budget.clone());
        self.begin_life(&state);
    }

    fn begin_life(&mut self, state: &TargetState) {
        // What the log says of the floor holds from the start.
        if state.floor() > self.log.floor {
            self.checks.floor(state.floor(), &self.log, &self.kafka);
            self.log.set_floor(state.floor());
        }
        self.checks.begin_life(state, &self.log, self.settings.floor.max(self.settings.earliest));
        self.sender.durable_to(self.log.durable);
    }

    /// A log with records from before there was a target, and a machine that finds them.
    pub(crate) fn with_backlog(mut self, topic: &str, records: usize, settings: Settings) -> World {
        for _ in 0..records {
            self.offer(topic, "lock");
        }
        while !self.log.is_idle() {
            self.log.begin(self.now_ms);
            self.now_ms += 1000;
            let _ = self.log.finish(self.now_ms);
        }
        let state = TargetState::default();
        self.sender = Sender::new(settings.clone(), &state, self.log.budget.clone());
        self.settings = settings;
        self.checks = Checks::default();
        self.begin_life(&state);
        self
    }

    /// Keeps the log on a disk, from the beginning.
    pub(crate) fn keep_on(&mut self, disk: Box<dyn super::log::Disk>) {
        self.log.disk = Some(disk);
    }

    /// A history: traffic, faults and crashes, then peace until everything is delivered.
    pub(crate) fn history(&mut self, topics: &[&str], may: Shake, crashes: u64, refused_one_in: u64) {
        for _ in 0..=crashes {
            for _ in 0..4 + self.random.below(12) {
                let is_backlog = self.random.one_in(3);
                for _ in 0..self.random.below(25) {
                    self.offer_any(topics, refused_one_in, is_backlog);
                }
                if self.random.one_in(3) {
                    self.kafka.shake(self.now_ms, may);
                }
                let long = if self.random.one_in(4) { 20_000 } else { 200 };
                let ms = self.random.below(long);
                self.run_for(ms);
            }
            if self.life < crashes || self.log.is_off {
                self.crash();
            }
        }
        self.kafka.faults = super::kafka::Faults::default();
        self.kafka.settle(self.now_ms);
        self.drain(3_600_000);
    }

    /// Whether something was said that `is` about.
    pub(crate) fn said(&self, is: impl Fn(&Notice) -> bool) -> bool {
        self.notices.iter().any(is)
    }
}
