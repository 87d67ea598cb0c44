//! Reading by sequence: from anywhere, over failures, damage and what is gone.

#![expect(clippy::single_range_in_vec_init, reason = "a list of gaps with one in it")]

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::entry::{Entries, Entry};
use super::super::file::RealFs;
use super::super::follow::Follow;
use super::super::format::{HEADER_AREA, align, segment_name};
use super::super::port::Group;
use super::super::sim::Fault;
use super::*;

pub(super) fn follow(fs: &SimFs) -> Follow {
    Follow::open(fs.handle(), PathBuf::from(DIR))
}

/// The records of a group: (sequence, topic). They are what the group says it holds.
fn records_of(group: &Group) -> Vec<(u64, String)> {
    let records: Vec<(u64, String)> = Entries::new(&group.body, group.segment_id)
        .filter_map(|entry| match entry.expect("whole") {
            Entry::Record(stored) => match stored.event.data {
                EventData::Publish { topic, .. } => Some((stored.sequence, topic.to_owned())),
                other => panic!("{other:?}"),
            },
            _ => None,
        })
        .collect();
    assert!(records.iter().map(|(sequence, _)| *sequence).eq(group.sequences.clone()));
    assert_eq!(&*group.node, NODE);
    records
}

/// Everything that is read `from..durable`, in calls of `bytes_max`: groups and gaps, which follow
/// each other without holes and overlaps. Returns where it ended.
pub(super) fn drain(
    follow: &mut Follow,
    from: u64,
    durable: u64,
    bytes_max: usize,
) -> (Vec<(u64, String)>, Vec<Range<u64>>, u64) {
    let budget = Arc::new(AtomicUsize::new(0));
    let (mut records, mut gaps, mut at) = (Vec::new(), Vec::new(), from);
    loop {
        let groups = follow.read(at, durable, bytes_max, &budget).expect("reads");
        let mut holes = follow.take_gaps();
        let held: usize = groups.iter().map(|group| group.body.len()).sum();
        assert_eq!(budget.load(Ordering::Relaxed), held);
        let last = groups.last().map_or(0, |group| group.body.len());
        // What is left of a damaged group comes together.
        assert!(held - last < bytes_max.max(1) || !holes.is_empty(), "{held} bytes at once");
        let mut parts: Vec<Range<u64>> = groups.iter().map(|group| group.sequences.clone()).collect();
        parts.append(&mut holes.clone());
        parts.sort_by_key(|part| part.start);
        let before = at;
        for part in parts {
            assert!(part.start <= at && part.end > at, "{part:?} at {at}");
            assert!(part.start == at || at == before, "only the first may begin earlier");
            at = part.end;
        }
        for group in &groups {
            records.extend(records_of(group).into_iter().filter(|(sequence, _)| *sequence >= from));
        }
        gaps.append(&mut holes);
        if at == before {
            break;
        }
    }
    assert_eq!(budget.load(Ordering::Relaxed), 0);
    assert!(at <= durable.max(from));
    (records, gaps, at)
}

pub(super) fn numbered(range: Range<u64>) -> Vec<(u64, String)> {
    range.map(|sequence| (sequence, sequence.to_string())).collect()
}

/// Appends one group with these sequences, whose topics say their sequence.
fn append(writer: &mut LogWriter, stream: &str, records: u64) {
    let group = numbered_batch(writer.next_sequence(), stream, records);
    writer.append_group(NOW, &[group], &[]).expect("appends");
}

pub(super) fn numbered_batch(first: u64, stream: &str, records: u64) -> Batch {
    let mut batch = Batch::default();
    for sequence in first..first + records {
        batch.append(&rule(stream), &publish(&sequence.to_string(), b"payload"), None);
    }
    batch
}

fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 4096 + 512 * 5, ..config() }
}

#[test]
fn from_anywhere_up_to_what_is_durable() {
    let fs = SimFs::new(1);
    let (mut writer, _) = open(&fs, small_segments()).expect("opens");
    for _ in 0..20 {
        append(&mut writer, "s", 3);
    }
    assert!(count_segments(&fs) > 3);
    // Where it begins, what is durable, and what comes.
    let cases: &[(&str, u64, u64, Range<u64>)] = &[
        ("everything", 0, 60, 0..60),
        ("the middle of a group", 4, 60, 4..60),
        ("the start of a group", 6, 60, 6..60),
        ("the middle of a segment", 31, 60, 31..60),
        ("the last record", 59, 60, 59..60),
        ("at durable", 60, 60, 0..0),
        ("behind durable", 70, 60, 0..0),
        ("up to the middle of a group", 0, 31, 0..30),
        ("less than a group", 30, 32, 0..0),
        ("within one group, to its end", 31, 33, 31..33),
        ("one group", 30, 33, 30..33),
    ];
    let mut moving = follow(&fs);
    for (name, from, durable, expected) in cases {
        for bytes_max in [0, 1, 500, usize::MAX] {
            for follow in [&mut follow(&fs), &mut moving] {
                let (records, gaps, _) = drain(follow, *from, *durable, bytes_max);
                assert_eq!(records, numbered(expected.clone()), "{name}");
                assert_eq!(gaps, [], "{name}");
            }
        }
    }
}

#[test]
fn what_is_not_there_is_named() {
    let empty = SimFs::new(2);
    assert_eq!(drain(&mut follow(&empty), 0, 0, 1), (vec![], vec![], 0));
    let fs = SimFs::new(2);
    let config = LogConfig { retention_bytes: 20 * 1024, ..small_segments() };
    let (mut writer, _) = open(&fs, config).expect("opens");
    assert_eq!(drain(&mut follow(&fs), 0, 0, 1), (vec![], vec![], 0), "nothing but the tables");
    let mut slow = follow(&fs);
    append(&mut writer, "s", 2);
    append(&mut writer, "s", 2);
    let (records, _, _) = drain(&mut slow, 0, 2, 1);
    assert_eq!(records, numbered(0..2));
    for _ in 0..40 {
        append(&mut writer, "s", 2);
    }
    let (records, gaps, _) = drain(&mut follow(&fs), 1, 84, 1000);
    let earliest = records[0].0;
    assert!(earliest > 20);
    assert_eq!((records, gaps), (numbered(earliest..84), vec![1..earliest]), "before the earliest");
    let (records, gaps, _) = drain(&mut slow, 2, 84, 1000);
    let kept = records[0].0;
    assert_eq!(kept, 2, "what is open can be read although it is deleted");
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].end - gaps[0].start + records.len() as u64, 82);
    assert_eq!(records.last(), Some(&(83, "83".to_owned())));
}

#[test]
fn a_group_that_failed_is_not_read_from_where_it_failed() {
    let fs = SimFs::new(3);
    let (mut writer, _) = open(&fs, LogConfig { fill_step_bytes: 1 << 20, ..config() }).expect("opens");
    append(&mut writer, "s", 2);
    let mut early = follow(&fs);
    assert_eq!(drain(&mut early, 0, 2, 1).0, numbered(0..2));
    // Write, sync: the sync fails, the group is whole in the file.
    fs.fail_at(fs.operations() + 1, Fault::Io);
    let mut other = Batch::default();
    for topic in ["x", "y", "z"] {
        other.append(&rule("s"), &publish(topic, b"payload"), None);
    }
    assert!(writer.append_group(NOW, &[other], &[]).is_err());
    assert_eq!(drain(&mut early, 2, writer.next_sequence(), 1).0, []);
    append(&mut writer, "s", 2);
    append(&mut writer, "s", 2);
    assert_eq!(drain(&mut early, 2, 6, 1), (numbered(2..6), vec![], 6), "one that was there");
    assert_eq!(drain(&mut follow(&fs), 1, 6, 1), (numbered(1..6), vec![], 6), "one that comes later");
}

/// Four groups of three records in one segment without a footer; where each begins and ends.
fn damaged(fs: &SimFs, more: bool) -> (Vec<u8>, Vec<(u64, u64)>, LogWriter) {
    let config = LogConfig { fill_step_bytes: 1 << 20, ..config() };
    let (mut writer, _) = open(fs, config).expect("opens");
    let path = Path::new(DIR).join(segment_name(1));
    let mut at = fs.content(&path).expect("there").len() as u64;
    assert!(at > HEADER_AREA);
    let mut groups = Vec::new();
    for group in 0..4 {
        let batch = numbered_batch(3 * group, "s", 3);
        let end = at + super::super::group::group_len(std::slice::from_ref(&batch), &[]);
        writer.append_group(NOW, &[batch], &[]).expect("appends");
        groups.push((at, end));
        at = align(end);
    }
    if more {
        // A second segment, after a failure.
        fs.fail_at(fs.operations() + 1, Fault::Io);
        assert!(writer.append_group(NOW, &[numbered_batch(12, "s", 3)], &[]).is_err());
        append(&mut writer, "s", 3);
    }
    (fs.content(&path).expect("there"), groups, writer)
}

#[test]
fn a_flipped_byte_costs_at_most_its_own_group() {
    for more in [false, true] {
        let original = SimFs::new(5);
        let (content, groups, _writer) = damaged(&original, more);
        let durable = if more { 15 } else { 12 };
        let (first, last) = (groups[0].0, groups[3].1);
        for at in (first..last).step_by(7) {
            let mut bad = content.clone();
            bad[at as usize] ^= 1 << (at % 8);
            original.put(&Path::new(DIR).join(segment_name(1)), &bad);
            let (records, gaps, end) = drain(&mut follow(&original), 0, durable, 1);
            assert_eq!(end, durable, "byte {at}: nothing is waited for that will not come");
            let hit = groups.iter().position(|(from, to)| (*from..*to).contains(&at));
            let lost: Vec<u64> = gaps.iter().cloned().flatten().collect();
            let hit = hit.map_or(0..0, |group| 3 * group as u64..3 * group as u64 + 3);
            assert!(lost.iter().all(|sequence| hit.contains(sequence)), "byte {at}: {gaps:?}");
            let kept: Vec<_> = numbered(0..durable);
            let kept: Vec<_> = kept.into_iter().filter(|(sequence, _)| !lost.contains(sequence)).collect();
            assert_eq!(records, kept, "byte {at}");
        }
    }
}

#[test]
fn what_is_whole_in_a_damaged_group_is_read_on_both_sides() {
    let fs = SimFs::new(6);
    let (content, groups, mut writer) = damaged(&fs, false);
    let mut bad = content.clone();
    // In the payload of the second of three records.
    let topics = content[groups[1].0 as usize..].windows(8).position(|bytes| bytes == b"4payload");
    bad[groups[1].0 as usize + topics.expect("there") + 2] ^= 1;
    // Through a handle, so that the writer's file stays.
    super::super::file::Fs::open(&fs, &Path::new(DIR).join(segment_name(1)), true)
        .and_then(|file| file.write_at(&bad, 0))
        .expect("writes");
    let mut early = follow(&fs);
    let (records, gaps, _) = drain(&mut early, 0, 12, 1);
    assert_eq!(gaps, [4..5]);
    assert_eq!(records.len(), 11);
    for from in [3, 4, 5] {
        assert_eq!(drain(&mut follow(&fs), from, 12, 1).0.len() as u64, if from == 3 { 8 } else { 7 });
    }
    append(&mut writer, "s", 3);
    assert_eq!(drain(&mut early, 12, 15, 1), (numbered(12..15), vec![], 15), "and on it goes");
}

#[test]
fn damage_at_the_end_is_passed_and_what_comes_behind_it_read() {
    let fs = SimFs::new(7);
    let (mut bad, groups, mut writer) = damaged(&fs, false);
    bad[groups[3].0 as usize + 9] ^= 1;
    super::super::file::Fs::open(&fs, &Path::new(DIR).join(segment_name(1)), true)
        .and_then(|file| file.write_at(&bad, 0))
        .expect("writes");
    let mut early = follow(&fs);
    assert_eq!(drain(&mut early, 0, 12, usize::MAX), (numbered(0..9), vec![9..12], 12));
    append(&mut writer, "s", 3);
    assert_eq!(drain(&mut early, 12, 15, 1), (numbered(12..15), vec![], 15));
}

/// A log of real files with this many groups of 100 records, about 25 KB each.
fn real_log(dir: &Path, groups: u64) -> u64 {
    let config = LogConfig { retention_bytes: u64::MAX, ..LogConfig::new(dir, NODE) };
    let (mut writer, _, _lock) = recover(config, Arc::new(RealFs::new()), NOW, 1).expect("opens");
    let payload = [b'x'; 150];
    for _ in 0..groups {
        let mut batch = Batch::default();
        for sequence in writer.next_sequence()..writer.next_sequence() + 100 {
            batch.append(&rule("message_state"), &publish(&sequence.to_string(), &payload), None);
        }
        writer.append_group(NOW, &[batch], &[]).expect("appends");
    }
    writer.next_sequence()
}

#[test]
fn over_real_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let durable = real_log(dir.path(), 40);
    for (from, bytes_max) in [(0, 1), (0, 100_000), (1234, 1 << 20), (durable - 1, 1)] {
        let mut follow = Follow::open(Arc::new(RealFs::new()), dir.path().to_owned());
        let (records, gaps, end) = drain(&mut follow, from, durable, bytes_max);
        assert_eq!((records, gaps, end), (numbered(from..durable), vec![], durable));
    }
}

/// Not a test: `cargo test --release -p millrace-kafka-sink -- --ignored --nocapture how_fast`.
#[test]
#[ignore = "a measurement"]
fn how_fast_a_backlog_is_read() {
    let groups = std::env::var("FOLLOW_GROUPS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let dir = tempfile::tempdir().expect("a directory");
    let durable = real_log(dir.path(), groups);
    let budget = Arc::new(AtomicUsize::new(0));
    for round in 0..3 {
        let mut follow = Follow::open(Arc::new(RealFs::new()), dir.path().to_owned());
        let start = std::time::Instant::now();
        let (mut at, mut bytes) = (0, 0);
        while at < durable {
            let groups = follow.read(at, durable, 4 << 20, &budget).expect("reads");
            at = groups.last().map_or(durable, |group| group.sequences.end);
            bytes += groups.iter().map(|group| group.body.len()).sum::<usize>();
        }
        let took = start.elapsed();
        let mbs = bytes as f64 / took.as_secs_f64() / 1e6;
        println!("round {round}: {durable} records, {} MB in {took:.2?}: {mbs:.0} MB/s", bytes / 1_000_000);
    }
}
