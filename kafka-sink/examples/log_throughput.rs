//! What the log costs: nanoseconds to append on a core, records a second through real files.
//!
//! `cargo run --release -p millrace-kafka-sink --example log_throughput -- [DIR] [RECORDS] [PAYLOAD_BYTES]`

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millrace_kafka_sink::log::file::RealFs;
use millrace_kafka_sink::{
    AckToken, Completion, Event, EventData, EventKind, LogConfig, Producer, Rule, log,
};

struct Count {
    durable: AtomicU64,
    core: std::thread::Thread,
}

impl Completion for Count {
    fn durable(&self, _core: usize, tokens: Vec<AckToken>) {
        self.durable.fetch_add(tokens.len() as u64, Ordering::SeqCst);
    }

    fn room(&self, _core: usize) {
        self.core.unpark();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().unwrap_or_else(|| "/tmp/millrace-log-throughput".into()));
    let records: u64 = arguments.next().map_or(Ok(2_000_000), |text| text.parse())?;
    let payload_len: usize = arguments.next().map_or(Ok(150), |text| text.parse())?;
    let (opened, recovery) = log::open(LogConfig::new(&dir, "bench@localhost"), RealFs::new(), 0, 1)?;
    println!("run {} begins at sequence {}", recovery.run, recovery.next_sequence);
    let count = Arc::new(Count { durable: AtomicU64::new(0), core: std::thread::current() });
    let (handle, mut producers) = opened.start(1, Arc::clone(&count) as Arc<dyn Completion>)?;
    let rule = Rule::new(1, "state", EventKind::MessagePublish, "message_state")?;
    let payload = vec![b'x'; payload_len];
    let event = Event {
        ts_ms: 1_574_753_026_269,
        client_id: "10083618796833171",
        username: "",
        data: EventData::Publish {
            topic: "devices/10083618796833171/state",
            payload: &payload,
            qos: 1,
            packet_id: 0,
        },
    };
    let len = Producer::record_len(&event, &rule);
    let begin = Instant::now();
    let mut appending = Duration::ZERO;
    for producer in &mut producers {
        let mut done = 0;
        while done < records {
            let turn = 256.min(records - done);
            while !producer.has_room(turn as usize, len * turn as usize) {
                producer.want_room();
                std::thread::park_timeout(Duration::from_secs(1));
            }
            let start = Instant::now();
            for sequence in 0..turn {
                if producer.has_room(1, len) && producer.has_room_for(&rule, len) {
                    let token = AckToken { slot: 0, generation: 0, sequence: sequence as u32 };
                    producer.append(&rule, &event, Some(token));
                    done += 1;
                }
            }
            producer.flush();
            appending += start.elapsed();
        }
    }
    let summary = handle.stop()?;
    let elapsed = begin.elapsed();
    let (p50, p99, max) = summary.stats.sync_p50_p99_max_us();
    println!("record: {len} bytes; appending: {} ns a record", appending.as_nanos() as u64 / records);
    println!(
        "{records} records in {elapsed:.2?}: {:.0} a second, {} groups; fdatasync p50 {p50} p99 {p99} max {max} µs",
        records as f64 / elapsed.as_secs_f64(),
        summary.stats.groups
    );
    println!("acknowledged: {}", count.durable.load(Ordering::SeqCst));
    Ok(())
}
