//! Writes the seeds of `log_recovery`: segments as the log writes them, with every event and
//! every entry of the way into Kafka.
//! `cargo run --example log_seeds` in `fuzz/`. Run it again when the format has changed, and commit what
//! it wrote.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use millrace_kafka_sink::log::open;
use millrace_kafka_sink::log::sim::SimFs;
use millrace_kafka_sink::{AckToken, Completion, Event, EventData, EventKind, LogConfig, Rule};

struct Deaf;

impl Completion for Deaf {
    fn durable(&self, _core: usize, _tokens: Vec<AckToken>) {}
    fn room(&self, _core: usize) {}
}

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/log_recovery");
    fs::create_dir_all(&folder)?;
    let log = SimFs::new(1);
    let mut all = Vec::new();
    for (run, segment_bytes) in [(1, 5 * 1024), (2, 1 << 20)] {
        write_run(&log, run, segment_bytes).map_err(io::Error::other)?;
    }
    for path in log.paths() {
        let Some(content) = log.content(&path).filter(|_| path.extension().is_some()) else { continue };
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        fs::write(folder.join(format!("{name}-raw")), [&[0], &content[..]].concat())?;
        fs::write(folder.join(format!("{name}-mended")), [&[1], &content[..]].concat())?;
        // As a crash leaves it: without the footer.
        let open = &content[..content.len() / 512 * 512];
        fs::write(folder.join(format!("{name}-cut")), [&[1], open].concat())?;
        all.extend_from_slice(&content);
    }
    fs::write(folder.join("three-segments"), [&[5], &all[..]].concat())
}

fn write_run(
    log: &SimFs,
    run: u64,
    segment_bytes: u64,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let config = LogConfig { segment_bytes, fill_step_bytes: 512, reserve_bytes: 0, ..LogConfig::new("/log", "n@h") };
    let (mut opened, _) = open(config, log.clone(), run, run)?;
    opened.write_samples()?;
    let (handle, mut producers) = opened.start(1, Arc::new(Deaf))?;
    let events = [
        EventData::Connected { keepalive: 60, proto_ver: 5, clean_start: true, ip: [127, 0, 0, 1].into() },
        EventData::Connected { keepalive: 0, proto_ver: 4, clean_start: false, ip: [1u16; 8].into() },
        EventData::Disconnected { reason: "normal" },
        EventData::Subscribed { filter: "a/+", qos: 1 },
        EventData::Unsubscribed { filter: "a/+", qos: 1 },
        EventData::Publish { topic: "a/b", payload: b"payload", qos: 2, packet_id: 7 },
        EventData::Deliver { from: "p", topic: "a/b", payload: b"payload", qos: 0 },
        EventData::Acked { from: "p", topic: "a/b", payload: b"", qos: 1 },
    ];
    for producer in &mut producers {
        for (index, data) in events.into_iter().enumerate() {
            let stream = if index % 2 == 0 { "state" } else { "other" };
            let rule = Rule::new(1, "r", EventKind::MessagePublish, stream)?;
            producer.append(&rule, &Event { ts_ms: 1, client_id: "c", username: "u", data }, None);
            if index % 3 == 0 {
                producer.flush();
                // One group after the other, so that the seeds are the same each time.
                while producer.waiting() != (0, 0) {
                    std::thread::yield_now();
                }
            }
        }
        producer.flush();
    }
    handle.stop()?;
    Ok(())
}
