//! Readers: where they begin, and what they see while the log grows, rolls, restarts and shrinks.

use proptest::prelude::*;

use super::super::file::File;
use super::super::format::Header;
use super::super::format::segment_name;
use super::super::reader::{StreamInfo, streams_with};
use super::super::scan::{Found, Scanner, SegmentFile};
use super::*;

fn append(writer: &mut LogWriter, stream: &str, topics: std::ops::Range<u64>) {
    for topic in topics {
        writer.append_group(NOW, &[batch(&[(stream, &topic.to_string())])], &[]).expect("appends");
    }
}

fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 4096 + 512 * 5, ..config() }
}

fn offsets(fs: &SimFs, stream: &str, from: From) -> Vec<u64> {
    read_all(fs, stream, from).0.iter().map(|record| record.offset).collect()
}

#[test]
fn a_reader_waits_for_the_directory_and_for_the_stream() {
    for from in [From::Beginning, From::End, From::Offset(0)] {
        let fs = SimFs::new(1);
        let mut reader = Reader::open_with(fs.handle(), DIR, "later", from).expect("opens");
        let mut records = Vec::new();
        assert_eq!(reader.poll(&mut records, 10).expect("waits"), 0);
        let (mut writer, _) = open(&fs, config()).expect("opens");
        append(&mut writer, "other", 0..3);
        assert_eq!(reader.poll(&mut records, 10).expect("waits"), 0);
        append(&mut writer, "later", 0..2);
        assert_eq!(reader.poll(&mut records, 10).expect("reads"), 2, "{from:?}");
        assert_eq!(records[0].offset, 0);
        assert_eq!((records[0].key.as_str(), records[0].ts_ms), ("lock", NOW));
        assert_eq!(
            String::from_utf8_lossy(&records[1].value),
            r#"{"client_id":"lock","username":"","topic":"1","payload":"cGF5bG9hZA==","qos":1,"node":"millrace@127.0.0.1","ts":1574751635845}"#
        );
    }
}

#[test]
fn where_a_reader_begins() {
    let fs = SimFs::new(2);
    let (mut writer, _) = open(&fs, small_segments()).expect("opens");
    append(&mut writer, "s", 0..10);
    append(&mut writer, "r", 0..10);
    append(&mut writer, "s", 10..20);
    let cases: &[(From, std::ops::Range<u64>)] = &[
        (From::Beginning, 0..20),
        (From::Offset(0), 0..20),
        (From::Offset(7), 7..20),
        (From::Offset(10), 10..20),
        (From::Offset(19), 19..20),
        (From::Offset(20), 20..20),
        (From::Offset(u64::MAX), 0..0),
        (From::End, 20..20),
    ];
    for (from, expected) in cases {
        assert_eq!(offsets(&fs, "s", *from), expected.clone().collect::<Vec<_>>(), "{from:?}");
        let mut reader = Reader::open_with(fs.handle(), DIR, "s", *from).expect("opens");
        let mut one_by_one = Vec::new();
        while reader.poll(&mut one_by_one, 1).expect("reads") == 1 {}
        assert_eq!(one_by_one.len(), expected.clone().count(), "{from:?}, one by one");
        assert_eq!(reader.take_gaps(), [], "{from:?}");
    }
    let info = |name: &str, next| StreamInfo { name: name.to_owned(), earliest: 0, next };
    assert_eq!(streams_with(&fs, Path::new(DIR)).expect("reads"), [info("r", 10), info("s", 20)]);
}

#[test]
fn retention_takes_the_oldest_and_offsets_stay() {
    for clean in [false, true] {
        retention_and_restart(clean);
    }
}

fn retention_and_restart(clean: bool) {
    let fs = SimFs::new(3);
    let config = LogConfig { retention_bytes: 20 * 1024, ..small_segments() };
    let (mut writer, _) = open(&fs, config.clone()).expect("opens");
    append(&mut writer, "early", 0..2);
    let mut slow = Reader::open_with(fs.handle(), DIR, "s", From::Beginning).expect("opens");
    append(&mut writer, "s", 0..2);
    let mut records = Vec::new();
    assert_eq!(slow.poll(&mut records, 1).expect("reads"), 1);
    append(&mut writer, "s", 2..60);
    let left = offsets(&fs, "s", From::Beginning);
    let earliest = left[0];
    assert!(earliest > 20, "{left:?}");
    assert_eq!(left, (earliest..60).collect::<Vec<_>>());
    // A reader that is behind skips to what is there and says so.
    while slow.poll(&mut records, 5).expect("reads") > 0 {}
    let gaps = slow.take_gaps();
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].to, earliest);
    let (_, gaps) = read_all(&fs, "s", From::Offset(5));
    assert_eq!(gaps, [Gap { from: 5, to: earliest }]);
    // A stream that has no records left keeps its numbering, over a restart too.
    if clean {
        writer.close().expect("closes");
    }
    let (mut writer, _) = open(&fs, config).expect("opens");
    append(&mut writer, "early", 2..3);
    append(&mut writer, "s", 60..61);
    assert_eq!(offsets(&fs, "early", From::Beginning), [2]);
    let infos = streams_with(&fs, Path::new(DIR)).expect("reads");
    let expected = [("early", 2, 3), ("s", earliest, 61)].map(|(n, e, x)| (n.to_owned(), e, x));
    let infos: Vec<_> = infos.into_iter().map(|info| (info.name, info.earliest, info.next)).collect();
    assert_eq!(infos[0], expected[0]);
    assert_eq!((&infos[1].0, infos[1].2), (&expected[1].0, 61));
    assert!(infos[1].1 >= earliest);
}

#[test]
fn retention_by_age_spares_the_open_segment() {
    let fs = SimFs::new(4);
    let (mut writer, _) = open(&fs, small_segments()).expect("opens");
    append(&mut writer, "s", 0..30);
    let week = 7 * 24 * 3600 * 1000;
    writer.retain(NOW + week);
    assert_eq!(offsets(&fs, "s", From::Beginning).len(), 30, "exactly a week old");
    writer.retain(NOW + week + 1);
    let left = offsets(&fs, "s", From::Beginning);
    assert!(!left.is_empty() && left.len() < 10, "{left:?}");
    assert_eq!(count_segments(&fs), 1);
}

#[test]
fn a_half_written_group_is_not_read_until_it_is_whole() {
    let fs = SimFs::new(5);
    let (mut writer, _) = open(&fs, config()).expect("opens");
    append(&mut writer, "s", 0..1);
    let path = Path::new(DIR).join(segment_name(1));
    let before = fs.content(&path).expect("there");
    append(&mut writer, "s", 1..2);
    let whole = fs.content(&path).expect("there");
    let end = whole.iter().rposition(|&byte| byte != 0).expect("not empty") + 1;
    let start = (0..end).find(|&at| before.get(at) != whole.get(at)).expect("they differ");
    for written in start..end {
        let mut partial = before.clone();
        partial.resize(whole.len(), 0);
        partial[..written].copy_from_slice(&whole[..written]);
        let fs = SimFs::new(6);
        fs.put(&path, &partial);
        let mut reader = Reader::open_with(fs.handle(), DIR, "s", From::Beginning).expect("opens");
        let mut records = Vec::new();
        for _ in 0..3 {
            reader.poll(&mut records, 10).expect("reads");
        }
        assert_eq!(records.len(), 1, "{written}");
        // The rest is written through another handle to the same file.
        let file = super::super::file::Fs::open(&fs, &path, true).expect("opens");
        file.write_at(&whole, 0).expect("writes");
        reader.poll(&mut records, 10).expect("reads");
        assert_eq!((records.len(), reader.take_gaps().len()), (2, 0), "{written}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u8>),
    FailedSync,
    Restart { clean: bool },
    Poll(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => proptest::collection::vec(0u8..3, 1..6).prop_map(Step::Append),
        1 => Just(Step::FailedSync),
        1 => any::<bool>().prop_map(|clean| Step::Restart { clean }),
        4 => (1usize..9).prop_map(Step::Poll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A reader that is there all the time and one that comes at the end see the same, each record
    /// once and in order, whatever the log does meanwhile.
    #[test]
    fn a_reader_beside_a_growing_log(steps in proptest::collection::vec(step(), 1..50), segment in 5u64..20) {
        const STREAMS: [&str; 3] = ["a", "b", "c"];
        let fs = SimFs::new(segment);
        let config = LogConfig { segment_bytes: 4096 + 512 * segment, ..config() };
        let (mut writer, _) = open(&fs, config.clone()).expect("opens");
        let mut reader = Reader::open_with(fs.handle(), DIR, "a", From::Beginning).expect("opens");
        let mut seen = Vec::new();
        let mut model: [Vec<String>; 3] = Default::default();
        let mut count = 0;
        for step in steps {
            match step {
                Step::Append(streams) => {
                    let mut group = Batch::default();
                    for stream in streams {
                        let topic = count.to_string();
                        count += 1;
                        group.append(&rule(STREAMS[usize::from(stream)]), &publish(&topic, b"p"), None);
                        model[usize::from(stream)].push(topic);
                    }
                    while writer.append_group(NOW, std::slice::from_ref(&group), &[]).is_err() {
                        reader.poll(&mut seen, 3).expect("reads");
                    }
                }
                Step::FailedSync => fs.fail_at(fs.operations() + 2, super::super::sim::Fault::Io),
                Step::Restart { clean } => {
                    if clean {
                        let _ = writer.close();
                    }
                    writer = loop {
                        if let Ok((writer, _)) = open(&fs, config.clone()) {
                            break writer;
                        }
                    };
                }
                Step::Poll(max) => {
                    let read = reader.poll(&mut seen, max).expect("reads");
                    prop_assert!(read <= max);
                }
            }
        }
        while reader.poll(&mut seen, 3).expect("reads") > 0 {}
        prop_assert_eq!(reader.take_gaps(), []);
        let seen: Vec<String> = seen.iter().map(|record| topic_of(&record.value)).collect();
        prop_assert_eq!(&seen, &model[0]);
        for (stream, expected) in STREAMS.iter().zip(&model) {
            prop_assert_eq!(&topics(&fs, stream), expected);
            let (records, gaps) = read_all(&fs, stream, From::Offset(expected.len() as u64 / 2));
            prop_assert_eq!(records.len(), expected.len() - expected.len() / 2);
            prop_assert_eq!(gaps, []);
        }
    }
}

/// A file that another process writes on while it is read: the first `reads` see it as it was.
struct Growing {
    before: Vec<u8>,
    after: Vec<u8>,
    reads: std::sync::atomic::AtomicUsize,
}

impl File for Growing {
    fn write_at(&self, _: &[u8], _: u64) -> std::io::Result<()> {
        unreachable!("a reader writes nothing")
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> std::io::Result<usize> {
        use std::sync::atomic::Ordering;
        let left = self.reads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let content = if left.is_ok() { &self.before } else { &self.after };
        let rest = &content[content.len().min(position as usize)..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _: u64) -> std::io::Result<()> {
        unreachable!("a reader writes nothing")
    }

    fn allocate(&self, _: u64, _: u64) -> std::io::Result<()> {
        unreachable!("a reader writes nothing")
    }

    fn len(&self) -> std::io::Result<u64> {
        Ok(self.after.len() as u64)
    }
}

#[test]
fn groups_that_are_written_while_a_reader_looks_are_not_damage() {
    let fs = SimFs::new(7);
    let config = LogConfig { fill_step_bytes: 1 << 20, ..config() };
    let (mut writer, _) = open(&fs, config).expect("opens");
    append(&mut writer, "s", 0..1);
    let path = Path::new(DIR).join(segment_name(1));
    let before = fs.content(&path).expect("there");
    // Longer than what is read at once.
    let large = vec![b'x'; 150_000];
    for _ in 0..2 {
        let mut batch = Batch::default();
        batch.append(&rule("s"), &publish("t", &large), None);
        writer.append_group(NOW, &[batch], &[]).expect("appends");
    }
    let after = fs.content(&path).expect("there");
    let header = Header::decode_area(&after).expect("a header");
    let start = (0..after.len()).find(|&at| before[at] != after[at]).expect("they differ");
    for (thorough, written) in [(true, 0), (true, 64), (true, 100_000), (false, 64), (false, 100_000)] {
        for reads in 0..30 {
            let mut before = before.clone();
            before[start..start + written].copy_from_slice(&after[start..start + written]);
            let file = Box::new(Growing { before, after: after.clone(), reads: reads.into() });
            let segment = SegmentFile { file, header: header.clone(), footer: None };
            let mut scanner = Scanner::new(segment, thorough);
            let mut groups = 0;
            for _ in 0..60 {
                match scanner.next().expect("reads") {
                    Found::Group { .. } => groups += 1,
                    Found::Damage { bytes, .. } => panic!("{thorough} {written} {reads}: {bytes:?}"),
                    Found::End { .. } => {}
                }
            }
            // The tables, and three.
            assert_eq!(groups, 4, "{thorough} {written} {reads}");
        }
    }
}
