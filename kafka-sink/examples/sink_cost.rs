//! What the way from the ring into Kafka costs: CPU µs a record of each thread, encoding included.
//!
//! `cargo run --release -p millrace-kafka-sink --example sink_cost -- SERVERS TOPIC [RECORDS] [BATCH_RECORDS] [DIR]`
//!
//! The topic must exist. DIR is made and left behind; give a fresh one. Linux only: reads `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_kafka_sink::log::file::RealFs;
use millrace_kafka_sink::{
    AckToken, Completion, Event, EventData, EventKind, KafkaConfig, LogConfig, Producer, Rule, Running, log,
    start,
};

/// As many clients send in turn.
const CLIENTS: usize = 1009;
const PAYLOAD_BYTES: usize = 200;
/// Delivered before the clock starts: connections, partition counts, buffers at their size.
const WARM_UP: u64 = 2000;

struct Unpark(std::thread::Thread);

impl Completion for Unpark {
    fn durable(&self, _core: usize, _tokens: Vec<AckToken>) {}

    fn room(&self, _core: usize) {
        self.0.unpark();
    }
}

/// The one core: appends records of many clients as fast as there is room.
struct Core {
    producer: Producer,
    rule: Rule,
    /// Client id and topic.
    clients: Vec<(String, String)>,
    payload: Vec<u8>,
    done: u64,
}

impl Core {
    fn append(&mut self, records: u64) {
        let end = self.done + records;
        while self.done < end {
            for _ in 0..256.min(end - self.done) {
                if !self.append_one() {
                    break;
                }
            }
            self.producer.flush();
        }
    }

    /// Waits and returns false if there is no room.
    fn append_one(&mut self) -> bool {
        let (client_id, topic) = &self.clients[self.done as usize % self.clients.len()];
        let data = EventData::Publish { topic, payload: &self.payload, qos: 1, packet_id: 0 };
        let event = Event { ts_ms: 1_574_753_026_269 + self.done / 10, client_id, username: "", data };
        let len = Producer::record_len(&event, &self.rule);
        if !self.producer.has_room(1, len) || !self.producer.has_room_for(&self.rule, len) {
            self.producer.flush();
            self.producer.want_room();
            self.producer.want_room_for(&self.rule);
            std::thread::park_timeout(Duration::from_millis(5));
            return false;
        }
        self.producer.append(&self.rule, &event, None);
        self.done += 1;
        true
    }
}

fn wait_delivered(running: &Running, records: u64) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let status = running.status();
        let delivered = status.hooks.first().map_or(0, |hook| hook.delivered);
        if delivered >= records {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{delivered} of {records} delivered after 120 s: {status:?}"));
        }
        // A look costs the sink a walk over what it holds.
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// CPU time of each live thread so far in µs, by name.
fn thread_us() -> std::io::Result<BTreeMap<String, f64>> {
    let mut found = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        // A thread may end meanwhile.
        let (Ok(name), Ok(stat)) =
            (fs::read_to_string(task.join("comm")), fs::read_to_string(task.join("schedstat")))
        else {
            continue;
        };
        let ns: f64 = stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0.0);
        *found.entry(name.trim().to_owned()).or_default() += ns / 1000.0;
    }
    Ok(found)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(servers), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: sink_cost SERVERS TOPIC [RECORDS] [BATCH_RECORDS] [DIR]".into());
    };
    let records: u64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let batch_records: u32 = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    let dir = PathBuf::from(arguments.next().unwrap_or_else(|| "/tmp/millrace-sink-cost".into()));

    let (opened, _) = log::open(LogConfig::new(&dir, "millrace@127.0.0.1"), RealFs::new(), 0, 1)?;
    let mut rule = Rule::new(1, "state", EventKind::MessagePublish, &topic)?;
    rule.to_kafka = true;
    let mut kafka = KafkaConfig::new(servers.split(',').map(str::to_owned).collect());
    kafka.batch_records = batch_records;
    let completion: Arc<dyn Completion> = Arc::new(Unpark(std::thread::current()));
    let (running, producers) = start(opened, 1, completion, std::slice::from_ref(&rule), Some(kafka))?;
    let producer = producers.into_iter().next().ok_or("one producer for one core")?;
    let client = |n: usize| {
        let id = format!("100836187968{n:05}");
        let topic = format!("devices/{id}/state");
        (id, topic)
    };
    let payload =
        b"{\"battery\":83.4,\"lock_state\":1}".iter().copied().cycle().take(PAYLOAD_BYTES).collect();
    let mut core = Core { producer, rule, clients: (0..CLIENTS).map(client).collect(), payload, done: 0 };

    core.append(WARM_UP);
    wait_delivered(&running, WARM_UP)?;
    let (before, begin) = (thread_us()?, Instant::now());
    core.append(records);
    wait_delivered(&running, WARM_UP + records)?;
    let (after, elapsed) = (thread_us()?, begin.elapsed());
    let status = running.status();
    drop(core);
    running.stop(Duration::from_secs(10))?;

    println!("{records} records in {elapsed:.2?}: {:.0} a second", records as f64 / elapsed.as_secs_f64());
    let mut sum = 0.0;
    for (name, us) in &after {
        let us = (us - before.get(name).unwrap_or(&0.0)) / records as f64;
        sum += us;
        println!("{name}: {us:.3} CPU µs a record");
    }
    println!("all: {sum:.3} CPU µs a record, at most {batch_records} records a batch");
    println!("retried {}", status.hooks.first().map_or(0, |hook| hook.retried));
    Ok(())
}
