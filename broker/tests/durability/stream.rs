//! The payloads in a stream, read from the log's files as any consumer reads them.

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
        let value: serde_json::Value = serde_json::from_slice(&record.value).expect("JSON");
        let payload = value["payload"].as_str().expect("a payload");
        stream.payloads.push(String::from_utf8(decode(payload)).expect("our payloads are text"));
        stream.offsets.push(record.offset);
    }
    stream
}

/// Standard base64.
fn decode(text: &str) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for byte in text.bytes().filter(|&byte| byte != b'=') {
        let value = digits.iter().position(|&digit| digit == byte).expect("base64") as u32;
        bits = (bits << 6 | value) & 0xfff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}
