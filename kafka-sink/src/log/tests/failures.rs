//! A medium that refuses: failed syncs, a full disk, files of other programs and other versions.

use super::super::format::{Header, segment_name};
use super::super::sim::Fault;
use super::*;

/// Lets the next operations that change something fail.
fn fail_next(fs: &SimFs, count: u64, fault: Fault) {
    for at in 0..count {
        fs.fail_at(fs.operations() + at, fault);
    }
}

#[test]
fn a_group_whose_sync_failed_goes_again_under_the_same_numbers() {
    // The k-th operation of a group that needs no more zeros: write, sync.
    for (name, skipped, fault) in [("write", 0, Fault::Full), ("sync", 1, Fault::Io)] {
        let fs = SimFs::new(3);
        let (mut writer, _) = open(&fs, LogConfig { fill_step_bytes: 1 << 20, ..config() }).expect("opens");
        writer.append_group(NOW, &[batch(&[("s", "a"), ("r", "x")])], &[]).expect("appends");
        let mut reader = Reader::open_with(fs.handle(), DIR, "s", From::Beginning).expect("opens");
        let group = [batch(&[("s", "b"), ("s", "c")])];
        fs.fail_at(fs.operations() + skipped, fault);
        assert!(writer.append_group(NOW, &group, &[]).is_err(), "{name}");
        assert_eq!(writer.next_sequence(), 2, "{name}: nothing was accepted");
        let mut records = Vec::new();
        while reader.poll(&mut records, 10).expect("reads") > 0 {}
        writer.append_group(NOW, &group, &[]).expect("goes to a new segment");
        writer.append_group(NOW, &[batch(&[("s", "d")])], &[]).expect("appends");
        assert_eq!(writer.next_sequence(), 5, "{name}");
        while reader.poll(&mut records, 10).expect("reads") > 0 {}
        let read: Vec<_> = records.iter().map(|r| (r.offset, topic_of(&r.value))).collect();
        let expected = [(0, "a"), (1, "b"), (2, "c"), (3, "d")].map(|(o, t)| (o, t.to_owned()));
        assert_eq!(read, expected, "{name}: the reader was here all the time");
        assert_eq!(topics(&fs, "s"), ["a", "b", "c", "d"], "{name}: a reader that comes later");
        let area = fs.content(&Path::new(DIR).join(segment_name(2))).expect("a second segment");
        let header = Header::decode_area(&area).expect("a header");
        assert_eq!(header.supersedes_from, Some(2), "{name}");
        let (_, recovery) = open(&fs, config()).expect("opens");
        assert_eq!((recovery.next_sequence, recovery.damage.len()), (5, 0), "{name}");
        assert_eq!(topics(&fs, "s"), ["a", "b", "c", "d"], "{name}: after a recovery");
    }
}

#[test]
fn what_a_failed_sync_left_does_not_count_even_if_it_is_whole() {
    let fs = SimFs::new(4);
    let (mut writer, _) = open(&fs, config()).expect("opens");
    writer.append_group(NOW, &[batch(&[("s", "a")])], &[]).expect("appends");
    // Zeros, write, sync: the sync fails, the group is whole in the file.
    let group = [batch(&[("s", "b")])];
    fs.fail_at(fs.operations() + 1, Fault::Io);
    assert!(writer.append_group(NOW, &group, &[]).is_err());
    // No caller offers other records, but they show which ones count.
    writer.append_group(NOW, &[batch(&[("s", "c")])], &[]).expect("appends");
    assert_eq!(topics(&fs, "s"), ["a", "c"]);
    let (_, recovery) = open(&fs, config()).expect("opens");
    assert_eq!(recovery.next_sequence, 2);
    assert_eq!(topics(&fs, "s"), ["a", "c"], "after a recovery");
    let first = fs.content(&Path::new(DIR).join(segment_name(1))).expect("there");
    let copies = first.windows(7).filter(|bytes| bytes == b"payload").count();
    assert_eq!(copies, 1, "recovery has cut it off");
}

#[test]
fn a_full_disk_leaves_no_litter_and_ends_by_itself() {
    let fs = SimFs::new(5);
    let (mut writer, _) = open(&fs, config()).expect("opens");
    writer.append_group(NOW, &[batch(&[("s", "a")])], &[]).expect("appends");
    fail_next(&fs, 200, Fault::Full);
    let group = [batch(&[("s", "b")])];
    let mut failures = 0;
    while writer.append_group(NOW, &group, &[]).is_err() {
        failures += 1;
        assert!(failures <= 200);
    }
    assert!(failures > 20, "{failures}");
    assert_eq!(writer.stats.lock().failures, failures);
    assert_eq!(topics(&fs, "s"), ["a", "b"]);
    // Files whose removal failed as well may stay for the next start; it takes them away.
    let (_, _) = open(&fs, config()).expect("opens");
    assert_eq!(count_segments(&fs), 3, "two with records, and the new one: {:?}", fs.paths());
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let fs = SimFs::new(6);
    let (mut writer, _) = open(&fs, config()).expect("opens");
    writer.append_group(NOW, &[batch(&[("s", "a")])], &[]).expect("appends");
    let path = Path::new(DIR).join(segment_name(1));
    let mut content = fs.content(&path).expect("there");
    for at in [0, 2048] {
        content[at + 8] = 2;
        let len = u32::from_le_bytes(content[at + 12..at + 16].try_into().expect("four")) as usize;
        let crc = crc32c::crc32c(&content[at..at + len - 4]);
        content[at + len - 4..at + len].copy_from_slice(&crc.to_le_bytes());
    }
    fs.put(&path, &content);
    let error = open(&fs, config()).err().expect("refused");
    assert!(matches!(error, LogError::NewerVersion { version: 2, .. }), "{error}");
    let error = Reader::open_with(fs.handle(), DIR, "s", From::Beginning).err().expect("refused");
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(fs.content(&path), Some(content), "untouched");
}

#[test]
fn foreign_files_are_tolerated() {
    let fs = SimFs::new(7);
    for name in
        ["README", "segment-1.mlog", "segment-00000000000000000001.mlog~", ".DS_Store", "segment-.mlog"]
    {
        fs.put(&Path::new(DIR).join(name), b"not ours");
    }
    let (mut writer, recovery) = open(&fs, config()).expect("opens");
    assert!(recovery.notes.is_empty() && recovery.clean);
    writer.append_group(NOW, &[batch(&[("s", "a")])], &[]).expect("appends");
    assert_eq!(topics(&fs, "s"), ["a"]);
    assert_eq!(fs.content(&Path::new(DIR).join("README")).as_deref(), Some(&b"not ours"[..]));
}

#[test]
fn a_footer_never_speaks_for_groups_that_a_power_cut_can_take() {
    for cut in 0..12 {
        for seed in 0..40 {
            let fs = SimFs::new(seed);
            let (mut writer, _) = open(&fs, config()).expect("opens");
            writer.append_group(NOW, &[batch(&[("s", "a")])], &[]).expect("appends");
            // The group is written and the process killed before its sync.
            fs.cut_at(fs.operations() + 1);
            assert!(writer.append_group(NOW, &[batch(&[("s", "b"), ("s", "c")])], &[]).is_err());
            // The power fails during the recovery after it.
            let fs = fs.kill();
            fs.cut_at(fs.operations() + cut);
            let _ = open(&fs, config());
            let (fs, _) = fs.restart(seed);
            let (_, recovery) = open(&fs, config()).expect("opens");
            assert_eq!(recovery.damage, [], "cut {cut}, seed {seed}");
            let found = topics(&fs, "s");
            assert_eq!(found.len() as u64, recovery.next_sequence, "cut {cut}, seed {seed}: {found:?}");
        }
    }
}

#[test]
fn numbers_survive_the_segments_that_held_them() {
    let fs = SimFs::new(10);
    let (mut writer, _) = open(&fs, config()).expect("opens");
    writer.append_group(NOW, &[batch(&[("s", "a"), ("s", "b")])], &[]).expect("appends");
    let (_, _) = open(&fs, config()).expect("opens");
    Fs::remove(&fs, &Path::new(DIR).join(segment_name(1))).expect("retention takes it");
    let (mut writer, recovery) = open(&fs, config()).expect("opens");
    assert_eq!((recovery.run, recovery.next_sequence), (3, 2));
    writer.append_group(NOW, &[batch(&[("s", "c")])], &[]).expect("appends");
    let (records, _) = read_all(&fs, "s", From::Beginning);
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [2]);
}

#[test]
fn damage_at_the_end_of_a_segment_that_failed_is_loud() {
    let fs = SimFs::new(11);
    let (mut writer, _) = open(&fs, config()).expect("opens");
    writer.append_group(NOW, &[batch(&[("s", "a")])], &[]).expect("appends");
    let group = [batch(&[("s", "b")])];
    fail_next(&fs, 1, Fault::Io);
    assert!(writer.append_group(NOW, &group, &[]).is_err());
    writer.append_group(NOW, &group, &[]).expect("appends");
    let path = Path::new(DIR).join(segment_name(1));
    let mut content = fs.content(&path).expect("there");
    let at = content.windows(7).position(|bytes| bytes == b"payload").expect("the payload of a");
    content[at] ^= 1;
    // Nothing behind it in this file tells.
    content.truncate(at.next_multiple_of(512));
    fs.put(&path, &content);
    // The second segment begins at sequence 1, so sequence 0 was on the medium.
    let (_, recovery) = open(&fs, config()).expect("opens");
    assert_eq!(recovery.damage.len(), 1, "{recovery:?}");
    assert_eq!(recovery.damage[0].sequences, (0, 1));
    assert_eq!(topics(&fs, "s"), ["b"]);
}

#[test]
fn failed_segments_without_records_are_removed() {
    let fs = SimFs::new(12);
    let (mut writer, _) = open(&fs, config()).expect("opens");
    let group = [batch(&[("s", "a")])];
    // Zeros, group, sync; later a segment is made (4), the file `run` written (5) and the segment
    // before removed (1) first.
    for sync in [2, 12, 12, 12, 12] {
        fs.fail_at(fs.operations() + sync, Fault::Io);
        assert!(writer.append_group(NOW, &group, &[]).is_err());
        assert_eq!(count_segments(&fs), 1, "{:?}", fs.paths());
    }
    writer.append_group(NOW, &group, &[]).expect("appends");
    assert_eq!(fs.faults_met(), 5);
    assert_eq!(topics(&fs, "s"), ["a"]);
    assert_eq!(count_segments(&fs), 1, "{:?}", fs.paths());
}

#[test]
fn retention_spares_the_newest_segment_while_none_is_open() {
    let fs = SimFs::new(14);
    let config = LogConfig { retention_bytes: 1, ..config() };
    let (mut writer, _) = open(&fs, config.clone()).expect("opens");
    writer.append_group(NOW, &[batch(&[("s", "a")])], &[]).expect("appends");
    fail_next(&fs, 1, Fault::Io);
    assert!(writer.append_group(NOW, &[batch(&[("s", "b")])], &[]).is_err());
    writer.retain(NOW);
    // It is all that knows which sequences were given.
    assert_eq!(topics(&fs, "s").first().map(String::as_str), Some("a"));
    drop(writer);
    let (_, recovery) = open(&fs, config).expect("opens");
    assert_eq!((recovery.run, recovery.damage), (2, vec![]));
    assert!(recovery.next_sequence >= 1);
}

#[test]
fn one_writer_at_a_time() {
    let fs = SimFs::new(8);
    let first = recover(config(), Arc::new(fs.clone()), NOW, 1).expect("opens");
    let second = recover(config(), Arc::new(fs.clone()), NOW, 2);
    assert!(matches!(second.err(), Some(LogError::Locked { .. })));
    drop(first);
    assert!(recover(config(), Arc::new(fs), NOW, 3).is_ok());
}

#[test]
fn starts_that_write_nothing_leave_one_file() {
    let fs = SimFs::new(9);
    let (mut writer, _) = open(&fs, config()).expect("opens");
    writer.append_group(NOW, &[batch(&[("s", "a")])], &[]).expect("appends");
    for run in 2..20 {
        let (_, recovery) = open(&fs, config()).expect("opens");
        assert_eq!((recovery.run, recovery.next_sequence, recovery.segments), (run, 1, 1));
    }
    assert_eq!(count_segments(&fs), 2, "{:?}", fs.paths());
}

/// Three runs with two records each; the last one ends by its stop if `clean`.
fn three_runs(clean: bool) -> (SimFs, [std::path::PathBuf; 3]) {
    let fs = SimFs::new(11);
    for run in 1..=3 {
        let (mut writer, recovery) = open(&fs, config()).expect("opens");
        assert_eq!((recovery.run, recovery.next_sequence), (run, 2 * u64::from(run - 1)));
        writer.append_group(NOW, &[batch(&[("s", "a"), ("r", "x")])], &[]).expect("appends");
        if clean {
            writer.close().expect("closes");
        }
    }
    (fs, [1, 2, 3].map(|number| Path::new(DIR).join(segment_name(number))))
}

#[test]
fn a_newest_segment_that_is_gone_is_missed_and_its_numbers_are_not_given_again() {
    let ways: [(&str, Option<&[u8]>); 3] =
        [("removed", None), ("cut to nothing", Some(b"")), ("zeros", Some(&[0; 9000]))];
    for clean in [true, false] {
        for (name, left) in ways {
            let (fs, segments) = three_runs(clean);
            match left {
                None => fs.remove(&segments[2]).expect("removed"),
                Some(content) => fs.put(&segments[2], content),
            }
            let (mut writer, recovery) = open(&fs, config()).expect("opens");
            let next = recovery.next_sequence;
            assert_eq!((recovery.run, recovery.clean), (4, false), "{name}");
            assert_eq!(next == 6, clean, "{name}: known exactly after a clean stop only");
            assert!(next >= 6, "{name}");
            assert_eq!(recovery.damage.len(), 1, "{name}: it is loud");
            assert_eq!(recovery.damage[0].sequences, (4, next), "{name}");
            assert_eq!(recovery.damage[0].file, segment_name(3), "{name}");
            writer.append_group(NOW, &[batch(&[("s", "new")])], &[]).expect("appends");
            assert!(
                fs.content(&Path::new(DIR).join(segment_name(4))).is_some(),
                "{name}: numbers of files too"
            );
            let (records, gaps) = read_all(&fs, "s", From::Beginning);
            let offset = records.last().map_or(0, |record| record.offset);
            assert!(offset >= 3, "{name}: the lost record had offset 2");
            assert_eq!(gaps, [Gap { from: 2, to: offset }], "{name}: readers are told");
            drop(writer);
            let (_, recovery) = open(&fs, config()).expect("opens");
            assert_eq!((recovery.run, recovery.next_sequence), (5, next + 1), "{name}");
            assert_eq!(recovery.damage, [], "{name}: told once");
        }
    }
}

#[test]
fn all_segments_may_be_gone() {
    let (fs, segments) = three_runs(true);
    for path in &segments {
        let _ = fs.remove(path);
    }
    let (_, recovery) = open(&fs, config()).expect("opens");
    assert_eq!((recovery.run, recovery.next_sequence, recovery.clean), (4, 6, false));
    assert_eq!(recovery.damage[0].sequences, (0, 6));
}

#[test]
fn a_segment_cut_after_a_clean_stop_is_missed() {
    let (fs, segments) = three_runs(true);
    let content = fs.content(&segments[2]).expect("there");
    // The header and the tables stay.
    fs.put(&segments[2], &content[..4096 + 512]);
    let (_, recovery) = open(&fs, config()).expect("opens");
    assert_eq!((recovery.run, recovery.next_sequence, recovery.clean), (4, 6, false));
    assert_eq!(recovery.damage[0].sequences, (4, 6));
}

#[test]
fn a_damaged_run_file_is_named_and_made_anew() {
    let (fs, segments) = three_runs(false);
    let path = Path::new(DIR).join("run");
    let mut content = fs.content(&path).expect("there");
    content[20] ^= 1;
    fs.put(&path, &content);
    let (_, recovery) = open(&fs, config()).expect("opens");
    assert_eq!((recovery.run, recovery.next_sequence, recovery.notes.len()), (4, 6, 1));
    // The fourth run's segment; the third holds records and is still there.
    fs.remove(&Path::new(DIR).join(segment_name(4))).expect("removed");
    let (_, recovery) = open(&fs, config()).expect("opens");
    assert_eq!((recovery.run, recovery.damage.len()), (5, 1), "{}", segments[2].display());
}
