//! Tests of the log as a whole, over simulated and real files.

use std::path::Path;
use std::sync::Arc;

use super::control::Control;
use super::file::Fs;
use super::reader::{From, Gap, Reader, Record};
use super::recovery::recover;
use super::sim::SimFs;
use super::writer::LogWriter;
use super::{LogConfig, LogError, Recovery};
use crate::event::{Event, EventData, EventKind};
use crate::ring::{AckToken, Batch};
use crate::rule::Rule;

mod controls;
mod damage;
mod dead_letters;
mod failures;
mod following;
mod following_model;
mod full_disk;
mod power_cut;
mod reading;
mod refused;
mod refusing;
mod sink;
mod sink_power_cut;
mod threads;

const DIR: &str = "/data/log";
const NODE: &str = "millrace@127.0.0.1";
const NOW: u64 = 1_574_751_635_845;

fn config() -> LogConfig {
    LogConfig { fill_step_bytes: 4096, reserve_bytes: 0, ..LogConfig::new(DIR, NODE) }
}

fn rule(stream: &str) -> Rule {
    Rule::new(7, "test", EventKind::MessagePublish, stream).expect("a valid name")
}

fn publish<'a>(topic: &'a str, payload: &'a [u8]) -> Event<'a> {
    let data = EventData::Publish { topic, payload, qos: 1, packet_id: 0 };
    Event { ts_ms: NOW, client_id: "lock", username: "", data }
}

/// A batch with these records: (stream, topic).
fn batch(records: &[(&str, &str)]) -> Batch {
    let mut batch = Batch::default();
    for (index, (stream, topic)) in records.iter().enumerate() {
        let token = AckToken { slot: 0, generation: 0, sequence: index as u32 };
        batch.append(&rule(stream), &publish(topic, b"payload"), Some(token));
    }
    batch
}

fn open(fs: &SimFs, config: LogConfig) -> Result<(LogWriter, Recovery), LogError> {
    let seed = fs.operations() ^ 0x5eed;
    recover(config, Arc::new(fs.clone()), NOW, seed).map(|(writer, recovery, _lock)| (writer, recovery))
}

fn topic_of(value: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(value).expect("a record's value is JSON");
    value["topic"].as_str().unwrap_or_default().to_owned()
}

/// All records of a stream from the beginning, and the gaps between them.
fn read_all(fs: &dyn FsHandle, stream: &str, from: From) -> (Vec<Record>, Vec<Gap>) {
    let mut reader = Reader::open_with(fs.handle(), Path::new(DIR), stream, from).expect("opens");
    let mut records = Vec::new();
    while reader.poll(&mut records, 7).expect("reads") > 0 {}
    (records, reader.take_gaps())
}

fn topics(fs: &SimFs, stream: &str) -> Vec<String> {
    read_all(fs, stream, From::Beginning).0.iter().map(|record| topic_of(&record.value)).collect()
}

/// Segment files in the log's directory.
fn count_segments(fs: &SimFs) -> u64 {
    fs.paths().iter().filter(|path| path.extension().is_some_and(|e| e == "mlog")).count() as u64
}

trait FsHandle {
    fn handle(&self) -> Arc<dyn Fs>;
}

impl FsHandle for SimFs {
    fn handle(&self) -> Arc<dyn Fs> {
        Arc::new(self.clone())
    }
}
