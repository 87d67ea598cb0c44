//! Bytes that were good once and are not: one flipped, the file cut, a sector gone.

use super::super::format::{HEADER_AREA, align, segment_name};
use super::super::mend;
use super::*;

/// Where a group begins and ends, and the topics of its records.
type Group = (u64, u64, Vec<String>);

/// A log of four groups in one segment, left open as a crash leaves it: its file's content, and
/// its groups.
fn small_log() -> (Vec<u8>, Vec<Group>) {
    let fs = SimFs::new(1);
    let (mut writer, _) = open(&fs, config()).expect("opens");
    let path = Path::new(DIR).join(segment_name(1));
    let mut groups = Vec::new();
    // The first group of a segment holds its tables.
    let mut at = align(HEADER_AREA + 1);
    while fs.content(&path).expect("there").get(at as usize).is_some() {
        at += 512;
    }
    for group in 0..4 {
        let topics: Vec<String> = (0..3).map(|index| format!("g{group}/{index}")).collect();
        let records: Vec<(&str, &str)> = topics.iter().map(|topic| ("s", topic.as_str())).collect();
        let batch = batch(&records);
        let end = at + super::super::group::group_len(std::slice::from_ref(&batch), &[]);
        writer.append_group(NOW, &[batch], &[]).expect("appends");
        groups.push((at, end, topics));
        at = align(end);
    }
    (fs.content(&path).expect("there"), groups)
}

fn with_content(content: &[u8]) -> SimFs {
    let fs = SimFs::new(2);
    fs.put(&Path::new(DIR).join(segment_name(1)), content);
    fs
}

/// `found` is in `all`, in the same order.
fn is_part_of(found: &[String], all: &[String]) -> bool {
    let mut rest = all.iter();
    found.iter().all(|topic| rest.any(|known| known == topic))
}

#[test]
fn a_flipped_byte_costs_at_most_its_own_group() {
    let (content, groups) = small_log();
    let all: Vec<String> = groups.iter().flat_map(|(_, _, topics)| topics.clone()).collect();
    let end = groups.last().map_or(0, |group| group.1) as usize;
    let mut loud = 0;
    for at in 0..end {
        let mut bad = content.clone();
        bad[at] ^= 1 << (at % 8);
        let fs = with_content(&bad);
        // The reader steps over it without a recovery,
        let before = topics(&fs, "s");
        // and after one.
        let (mut writer, recovery) = open(&fs, config()).expect("damage never keeps the log from opening");
        writer.append_group(NOW, &[batch(&[("s", "new")])], &[]).expect("appends");
        let after = topics(&fs, "s");
        assert_eq!(after.last().map(String::as_str), Some("new"), "byte {at}");
        let after = &after[..after.len() - 1];
        assert!(is_part_of(&before, &all) && is_part_of(after, &all), "byte {at}");
        for (index, (from, to, topics)) in groups.iter().enumerate() {
            let hit = (*from..*to).contains(&(at as u64));
            let last = index == groups.len() - 1;
            if !hit {
                assert!(topics.iter().all(|topic| after.contains(topic)), "byte {at}, group {index}");
            } else if !last {
                loud += 1;
                let sequences = (3 * index as u64, 3 * index as u64 + 3);
                assert_eq!(recovery.damage.len(), 1, "byte {at}: damage is loud");
                assert_eq!(recovery.damage[0].sequences, sequences, "byte {at}");
            }
        }
    }
    assert!(loud > 500, "{loud}");
}

#[test]
fn records_of_a_damaged_group_that_are_whole_are_read() {
    let (content, groups) = small_log();
    let (from, to, _) = &groups[1];
    let mut bad = content.clone();
    // In the payload of the group's last record.
    bad[(*to - 12) as usize] ^= 1;
    let fs = with_content(&bad);
    let (_, recovery) = open(&fs, config()).expect("opens");
    assert_eq!(recovery.damage.len(), 1);
    assert_eq!(recovery.damage[0].bytes.0, *from);
    let (records, gaps) = read_all(&fs, "s", From::Beginning);
    let offsets: Vec<u64> = records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]);
    assert_eq!(gaps, [Gap { from: 5, to: 6 }]);
}

#[test]
fn a_group_that_contradicts_itself_is_not_taken_for_whole() {
    let (content, groups) = small_log();
    let from = groups[1].0 as usize;
    // Where a number in the group stands, and what it is.
    let cases = [("entries", 36, 3u8), ("records", 40, 3), ("sequence of its first record", 64 + 16, 3)];
    for (name, at, value) in cases {
        let mut bad = content.clone();
        assert_eq!(bad[from + at], value, "{name}");
        bad[from + at] = value - 1;
        mend(&mut bad);
        let (_, recovery) = open(&with_content(&bad), config()).expect("opens");
        assert_eq!(recovery.damage.len(), 1, "{name}");
        assert_eq!(recovery.damage[0].sequences, (3, 6), "{name}");
    }
}

#[test]
fn an_older_group_in_the_place_of_a_newer_one_does_not_count() {
    let (mut content, groups) = small_log();
    let (from, to) = (groups[0].0 as usize, groups[1].0 as usize);
    let place = groups[2].0 as usize;
    content.copy_within(from..to, place);
    let fs = with_content(&content);
    let (_, recovery) = open(&fs, config()).expect("opens");
    assert_eq!((recovery.damage.len(), recovery.next_sequence), (1, 12));
    assert_eq!(recovery.damage[0].sequences, (6, 9));
    let (records, gaps) = read_all(&fs, "s", From::Beginning);
    assert_eq!((records.len(), gaps), (9, vec![Gap { from: 6, to: 9 }]));
}

#[test]
fn damage_is_copied_with_a_report_and_named() {
    let (mut content, groups) = small_log();
    let (from, _, _) = groups[1];
    content[from as usize..from as usize + 512].fill(0);
    let fs = with_content(&content);
    let (_, recovery) = open(&fs, config()).expect("opens");
    let quarantine = Path::new(DIR).join("quarantine");
    let stem = format!("{}-at-{from}", segment_name(1));
    let copy = fs.content(&quarantine.join(format!("{stem}.damaged"))).expect("a copy");
    assert_eq!(copy, content[from as usize..groups[2].0 as usize]);
    let report = fs.content(&quarantine.join(format!("{stem}.txt"))).expect("a report");
    let report = String::from_utf8(report).expect("text");
    assert!(report.contains("sequences: 3 up to 6"), "{report}");
    let line = recovery.damage[0].to_string();
    assert!(line.contains("sequences 3 up to 6"), "{line}");
    // The segment is closed now; the next start does not report it again.
    let (_, recovery) = open(&fs, config()).expect("opens");
    assert_eq!(recovery.damage, []);
}

#[test]
fn a_file_cut_at_any_byte_keeps_the_groups_before_the_cut() {
    let (content, groups) = small_log();
    let end = groups.last().map_or(0, |group| group.1) as usize;
    for cut in 0..end {
        let fs = with_content(&content[..cut]);
        let (mut writer, recovery) = open(&fs, config()).expect("opens");
        let whole = groups.iter().filter(|(_, to, _)| *to <= cut as u64).count() as u64;
        if cut as u64 >= HEADER_AREA {
            assert_eq!(recovery.next_sequence, 3 * whole, "cut at {cut}");
        }
        writer.append_group(NOW, &[batch(&[("s", "new")])], &[]).expect("appends");
        let found = topics(&fs, "s");
        assert_eq!(found.len() as u64, if cut < 2048 { 1 } else { 3 * whole + 1 }, "cut at {cut}");
    }
}

#[test]
fn a_closed_segment_tells_damage_at_its_very_end() {
    let fs = SimFs::new(1);
    let (mut writer, _) = open(&fs, config()).expect("opens");
    writer.append_group(NOW, &[batch(&[("s", "a")])], &[]).expect("appends");
    writer.append_group(NOW, &[batch(&[("s", "b")])], &[]).expect("appends");
    writer.close().expect("closes");
    let path = Path::new(DIR).join(segment_name(1));
    let mut content = fs.content(&path).expect("there");
    let at = content.windows(7).rposition(|bytes| bytes == b"payload").expect("the last payload");
    content[at] ^= 1;
    fs.put(&path, &content);
    let (mut writer, recovery) = open(&fs, config()).expect("opens");
    assert_eq!(recovery.next_sequence, 2, "the footer knows what was there");
    writer.append_group(NOW, &[batch(&[("s", "c")])], &[]).expect("appends");
    let (records, gaps) = read_all(&fs, "s", From::Beginning);
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(gaps, [Gap { from: 1, to: 2 }]);
}

#[test]
fn a_segment_without_a_readable_header_is_set_aside_and_its_numbers_are_not_given_again() {
    let (mut content, _) = small_log();
    content[8] ^= 1;
    content[2048 + 8] ^= 1;
    let fs = with_content(&content);
    let (mut writer, recovery) = open(&fs, config()).expect("opens");
    assert_eq!(recovery.damage[0].sequences, (0, 12), "{recovery:?}");
    assert_eq!((recovery.run, recovery.next_sequence), (2, 12));
    let kept = fs.content(&Path::new(DIR).join("quarantine").join(segment_name(1)));
    assert_eq!(kept, Some(content));
    writer.append_group(NOW, &[batch(&[("s", "new")])], &[]).expect("appends");
    let (records, _) = read_all(&fs, "s", From::Beginning);
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [12]);
}

#[test]
fn a_file_that_was_never_finished_is_removed_and_a_foreign_one_is_set_aside() {
    let (content, groups) = small_log();
    let mut unfinished = content[..groups[0].0 as usize].to_vec();
    unfinished[..4096].fill(0);
    let cases: &[(&str, &[u8], bool)] = &[
        ("empty", b"", false),
        ("zeros", &[0; 9000], false),
        ("tables without a header", &unfinished, false),
        ("something else", b"hello", true),
    ];
    for (name, content, set_aside) in cases {
        let fs = with_content(content);
        let (_, recovery) = open(&fs, config()).expect("opens");
        assert_eq!((recovery.damage.len(), recovery.notes.len()), (0, 1), "{name}: {recovery:?}");
        let kept = fs.content(&Path::new(DIR).join("quarantine").join(segment_name(1)));
        assert_eq!(kept.is_some(), *set_aside, "{name}");
        assert_eq!(fs.content(&Path::new(DIR).join(segment_name(1))), None, "{name}");
    }
}
