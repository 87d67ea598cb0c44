//! Kafka goes, the broker goes, both go, under load: in Kafka is what was acknowledged, once, and in order.
//!
//! The short forms run always; the long ones are ignored by default.

use crate::feed::{self, arrives};
use crate::node::{Alone, alone};
use crate::support::{Broker, load::Load};
use millrace_codec::QoS;
use std::thread::sleep;
use std::time::Duration;

/// Messages acknowledged before anything happens.
const BEFORE: usize = 300;
/// Of each of four publishers: about 4,000 a second.
const PACE: Duration = Duration::from_millis(1);
/// Small enough for several files of the log.
const SETTINGS: [&str; 4] = [
    "log.segment_bytes=1MiB",
    "hook.message_state.max_record_bytes=100000",
    "hook.message_command.max_record_bytes=100000",
    "kafka.request_timeout=3s",
];

struct Outage {
    kafka: Alone,
    topic: &'static str,
    broker: Broker,
    load: Load,
}

impl Outage {
    fn new(topic: &'static str, settings: &[&str]) -> Option<Outage> {
        let kafka = alone()?;
        kafka.create_topic(topic, 4);
        let broker = feed::broker(&kafka, topic, &[&SETTINGS[..], settings].concat());
        Some(Outage { kafka, topic, broker, load: Load::of(QoS::AtLeastOnce, 4, PACE) })
    }

    /// Under load: what happens to Kafka. Publishers go on.
    fn with_kafka(&mut self, happens: impl FnOnce(&mut Alone)) {
        let kafka = &mut self.kafka;
        self.load.until(&mut self.broker, BEFORE, |_| happens(kafka));
    }

    /// Under load: the broker is killed, then this happens to Kafka, then the broker comes back.
    fn with_both(&mut self, happens: impl FnOnce(&mut Alone)) {
        self.load.until(&mut self.broker, BEFORE, Broker::kill);
        happens(&mut self.kafka);
        self.broker.restart();
    }

    fn check(&mut self) {
        self.load.finish(&mut self.broker, BEFORE);
        arrives(&self.load, &mut self.kafka.client(), &self.broker, self.topic);
    }
}

fn pause(time: Duration) -> impl FnOnce(&mut Alone) {
    move |kafka| {
        kafka.pause();
        sleep(time);
        kafka.resume();
    }
}

fn kill(time: Duration) -> impl FnOnce(&mut Alone) {
    move |kafka| {
        kafka.kill();
        sleep(time);
        kafka.restart();
    }
}

#[test]
fn kafka_absent_at_the_start() {
    let Some(mut outage) = Outage::new("outage_absent", &[]) else { return };
    outage.broker.kill();
    outage.kafka.kill();
    outage.broker.restart();
    outage.load.finish(&mut outage.broker, BEFORE);
    outage.broker.wait_for_log(&outage.kafka.servers());
    outage.kafka.start();
    outage.check();
}

#[test]
fn kafka_paused() {
    let Some(mut outage) = Outage::new("outage_paused", &[]) else { return };
    // Shorter and longer than a request waits.
    outage.with_kafka(pause(Duration::from_secs(1)));
    outage.with_kafka(pause(Duration::from_secs(5)));
    outage.check();
}

#[test]
fn kafka_killed() {
    let Some(mut outage) = Outage::new("outage_killed", &[]) else { return };
    outage.with_kafka(kill(Duration::from_millis(500)));
    outage.check();
}

#[test]
fn broker_killed() {
    let Some(mut outage) = Outage::new("outage_broker", &[]) else { return };
    for _ in 0..3 {
        outage.with_both(|_| {});
    }
    outage.check();
}

#[test]
fn both_at_a_time() {
    let Some(mut outage) = Outage::new("outage_both", &[]) else { return };
    // The broker comes back to a Kafka that stands still, and one that was killed.
    outage.with_both(|kafka| kafka.pause());
    outage.with_both(|kafka| kafka.resume());
    outage.with_both(|kafka| kafka.kill());
    outage.with_both(|kafka| kafka.start());
    outage.check();
}

#[test]
#[ignore = "takes a minute: cargo test -p millrace --test kafka -- --ignored --test-threads=1"]
fn kafka_paused_for_long() {
    let Some(mut outage) = Outage::new("outage_paused_long", &[]) else { return };
    outage.with_kafka(pause(Duration::from_secs(20)));
    outage.with_kafka(|_| sleep(Duration::from_secs(2)));
    outage.with_kafka(pause(Duration::from_secs(20)));
    outage.check();
}

#[test]
#[ignore = "takes two minutes: cargo test -p millrace --test kafka -- --ignored --test-threads=1"]
fn kafka_killed_again_and_again() {
    let Some(mut outage) = Outage::new("outage_killed_often", &[]) else { return };
    for round in 0..8 {
        outage.with_kafka(kill(Duration::from_millis(100 * round)));
    }
    outage.check();
}

#[test]
#[ignore = "takes a minute: cargo test -p millrace --test kafka -- --ignored --test-threads=1"]
fn broker_killed_ten_times() {
    for (topic, durability) in [("outage_ten_log", "log"), ("outage_ten_kafka", "kafka")] {
        let setting = format!("hook.message_state.durability={durability}");
        let Some(mut outage) = Outage::new(topic, &[&setting]) else { return };
        for round in 0..10 {
            outage.with_both(|_| sleep(Duration::from_millis(20 * round)));
        }
        outage.check();
    }
}

#[test]
#[ignore = "takes minutes: cargo test -p millrace --test kafka -- --ignored --test-threads=1"]
fn both_again_and_again() {
    let Some(mut outage) = Outage::new("outage_both_often", &[]) else { return };
    for round in 0..5u64 {
        outage.with_kafka(pause(Duration::from_millis(700 * round)));
        outage.with_both(pause(Duration::from_millis(100)));
        outage.with_both(|kafka| kafka.pause());
        outage.with_both(|kafka| kafka.resume());
        outage.with_both(|kafka| kafka.kill());
        outage.with_both(|kafka| kafka.start());
        outage.with_both(kill(Duration::ZERO));
    }
    outage.check();
}
