//! Any bytes as a segment of the log: readers and recovery end without a panic, in bounded memory, and
//! what recovery has made of them it finds again.
//!
//! The first byte says whether the CRCs are made right first, without which little would be reached, and
//! how many segments the rest is cut into.

#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use millrace_kafka_sink::LogConfig;
use millrace_kafka_sink::log::file::Fs;
use millrace_kafka_sink::log::reader::{From, Reader, streams_with};
use millrace_kafka_sink::log::sim::SimFs;
use millrace_kafka_sink::log::{mend, open};

const DIR: &str = "/log";

fuzz_target!(|input: &[u8]| {
    let Some((&mode, content)) = input.split_first() else { return };
    let fs = SimFs::new(1);
    let segments = 1 + usize::from(mode >> 1) % 3;
    for (index, part) in content.chunks(content.len().div_ceil(segments).max(1)).enumerate() {
        let mut part = part.to_vec();
        if mode & 1 == 1 {
            mend(&mut part);
        }
        fs.put(&Path::new(DIR).join(format!("segment-{:020}.mlog", index + 1)), &part);
    }
    read(&fs);
    let config = || LogConfig { fill_step_bytes: 512, reserve_bytes: 0, ..LogConfig::new(DIR, "fuzz@localhost") };
    // Nothing but a newer format and a medium that fails may keep a log from opening.
    let Ok((first, report)) = open(config(), fs.clone(), 1, 1) else { return };
    drop(first);
    read(&fs);
    let (_second, again) = open(config(), fs.clone(), 2, 2).expect("what recovery has made opens");
    assert_eq!(again.run, report.run.saturating_add(1));
    assert_eq!(again.next_sequence, report.next_sequence);
    assert_eq!((again.damage.len(), again.torn_bytes), (0, 0), "{again:?}");
});

/// Reads every stream from its beginning, its end and in between.
fn read(fs: &SimFs) {
    let handle: Arc<dyn Fs> = Arc::new(fs.clone());
    let known = streams_with(fs, Path::new(DIR)).unwrap_or_default();
    let names = known.iter().map(|stream| (stream.name.as_str(), stream.next / 2)).chain([("state", 1)]);
    for (name, middle) in names.take(8) {
        for from in [From::Beginning, From::End, From::Offset(middle)] {
            let Ok(mut reader) = Reader::open_with(Arc::clone(&handle), DIR, name, from) else { continue };
            let mut records = Vec::new();
            let mut last = None;
            while reader.poll(&mut records, 5).is_ok_and(|count| count > 0) {
                for record in records.drain(..) {
                    assert!(last < Some(record.offset), "offsets grow");
                    last = Some(record.offset);
                }
            }
        }
    }
}
