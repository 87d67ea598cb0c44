//! The payloads in a stream, read from the log's files as any consumer reads them.

use crate::support::{load::Load, payload};
use millrace_kafka_sink::log::reader::{From, Gap, Reader};
use std::path::Path;

/// What is in a stream.
#[derive(Debug, Default)]
pub struct Stream {
    pub payloads: Vec<String>,
    pub offsets: Vec<u64>,
    pub gaps: Vec<Gap>,
}

/// The stream `message_state` in this data directory, up to its end at present.
pub fn read(data: &Path) -> Stream {
    let mut stream = Stream::default();
    let mut reader =
        Reader::open(data.join("log"), "message_state", From::Beginning).expect("a readable log");
    let mut records = Vec::new();
    // A reader looks behind what it cannot read only after a while without news.
    let mut quiet = 0;
    while quiet < 200 {
        match reader.poll(&mut records, 1_000).expect("a readable log") {
            0 => quiet += 1,
            _ => quiet = 0,
        }
        stream.gaps.extend(reader.take_gaps());
    }
    for record in records {
        stream.payloads.push(payload(&record.value));
        stream.offsets.push(record.offset);
    }
    stream
}

/// Compares the stream of this data directory with what its publishers remember.
pub fn check(load: &Load, data: &Path) {
    let stream = read(data);
    assert_eq!(stream.gaps, []);
    load.check(stream.payloads.iter().map(String::as_str));
}
