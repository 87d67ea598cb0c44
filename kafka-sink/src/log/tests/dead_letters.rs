//! The dead-letter file: every record that is set aside stands in it once.

use std::collections::BTreeMap;

use super::super::control::{DeadLetter, KAFKA};
use super::super::entry;
use super::super::port::{Group, Item};
use super::super::sim::Fault;
use super::*;

pub(super) fn letter(sequence: u64, topic: &str) -> Control {
    let mut body = Vec::new();
    entry::append_record(&mut body, &rule("s"), &publish(topic, b"payload"));
    entry::number_record(&mut body, 0, 1, sequence, 0);
    let len = body.len() as u32;
    let group = Group::new(1, NODE.into(), sequence..sequence + 1, body, &Arc::default());
    let record = Item { group: Arc::new(group), at: 0, len, sequence, ts_ms: NOW, rule: 7, core: 0 };
    Control::DeadLetter(DeadLetter {
        target: KAFKA,
        topic: "s".into(),
        partition: 2,
        sequence,
        error: 10,
        text: "too \"large\"".into(),
        record: Some(record),
    })
}

fn content(fs: &SimFs, name: &str) -> String {
    let bytes = fs.content(&Path::new(DIR).join(name)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How often each sequence stands in the files, on a line that is whole.
pub(super) fn sequences(fs: &SimFs) -> BTreeMap<u64, u64> {
    let mut found = BTreeMap::new();
    for name in ["dead-letters.1.jsonl", "dead-letters.jsonl"] {
        for line in content(fs, name).lines() {
            if let Ok(line) = serde_json::from_str::<serde_json::Value>(line) {
                *found.entry(line["sequence"].as_u64().expect("a sequence")).or_default() += 1;
            }
        }
    }
    found
}

fn once(sequences: impl IntoIterator<Item = u64>) -> BTreeMap<u64, u64> {
    sequences.into_iter().map(|sequence| (sequence, 1)).collect()
}

#[test]
fn a_line() {
    let fs = SimFs::new(1);
    let (mut writer, _) = open(&fs, config()).expect("opens");
    assert!(fs.content(&Path::new(DIR).join("dead-letters.jsonl")).is_none(), "made when needed");
    writer.append_controls(NOW, &[letter(17, "t/ü")]).expect("appends");
    let mut expected = format!(
        "{{\"sequence\":17,\"topic\":\"s\",\"partition\":2,\"key\":\"lock\",\"ts\":{NOW},\"error\":10,\
         \"reason\":\"too \\\"large\\\"\",\"value\":{{\"client_id\":\"lock\",\"username\":\"\",\
         \"topic\":\"t/ü\",\"payload\":\"cGF5bG9hZA==\",\"qos\":1,\"node\":\"{NODE}\",\"ts\":{NOW}}}}}"
    );
    // So that no later write shares its sector.
    expected.push_str(&" ".repeat(511 - expected.len()));
    expected.push('\n');
    assert_eq!(content(&fs, "dead-letters.jsonl"), expected);
    // Read back, it is an entry without its record: nothing is written.
    let Control::DeadLetter(read) = letter(18, "t") else { panic!("a dead letter") };
    let read = DeadLetter { record: None, ..read };
    writer.append_controls(NOW, &[Control::DeadLetter(read)]).expect("appends");
    assert_eq!(content(&fs, "dead-letters.jsonl"), expected);
}

#[test]
fn once_whatever_fails_and_however_often_it_is_offered() {
    let mut failed = 0;
    for operation in 0..12 {
        let fs = SimFs::new(operation);
        let (mut writer, _) = open(&fs, config()).expect("opens");
        writer.append_controls(NOW, &[letter(1, "t")]).expect("appends");
        fs.fail_at(fs.operations() + operation, Fault::Io);
        let letters = [letter(2, "t"), letter(3, "t"), letter(3, "t")];
        while writer.append_controls(NOW, &letters).is_err() {
            failed += 1;
        }
        fs.heal();
        writer.append_controls(NOW, &[letter(4, "t")]).expect("appends");
        assert_eq!(sequences(&fs), once(1..=4), "{operation}");
        assert_eq!(sequences(&fs.restart(operation).0), once(1..=4), "{operation}");
    }
    assert!(failed >= 4, "{failed}");
}

#[test]
fn once_over_a_power_cut_at_any_operation() {
    let mut torn = 0;
    for cut in 0..16 {
        for seed in 0..50 {
            let fs = SimFs::new(seed);
            let config = LogConfig { dead_letters_bytes_max: 1024, ..config() };
            let (mut writer, _) = open(&fs, config.clone()).expect("opens");
            writer.append_controls(NOW, &[letter(1, "t")]).expect("appends");
            let long = "l".repeat(seed as usize * 20);
            fs.cut_at(fs.operations() + cut);
            let _ = writer.append_controls(NOW, &[letter(2, &long)]);
            let _ = writer.append_controls(NOW, &[letter(3, "t")]);
            let (fs, _) = fs.restart(seed);
            let kept = content(&fs, "dead-letters.jsonl");
            torn += u64::from(!kept.is_empty() && !kept.ends_with('\n'));
            let (mut writer, _) =
                open(&fs, LogConfig { dead_letters_bytes_max: 1 << 20, ..config }).expect("opens");
            // Kafka refuses them again.
            writer.append_controls(NOW, &[letter(2, &long), letter(3, "t")]).expect("appends");
            let mut found = sequences(&fs);
            // It may have gone with the older file.
            found.remove(&1);
            assert_eq!(found, once([2, 3]), "cut {cut}, seed {seed}");
        }
    }
    assert!(torn > 20, "{torn}");
}

#[test]
fn two_files_bound_their_size() {
    let fs = SimFs::new(1);
    let config = LogConfig { dead_letters_bytes_max: 2048, ..config() };
    let (mut writer, _) = open(&fs, config).expect("opens");
    for sequence in 0..50 {
        writer.append_controls(NOW, &[letter(sequence, "t")]).expect("appends");
        for name in ["dead-letters.jsonl", "dead-letters.1.jsonl"] {
            assert!(content(&fs, name).len() <= 2048);
        }
        assert_eq!(sequences(&fs).keys().next_back(), Some(&sequence));
    }
    assert!(sequences(&fs).len() >= 4);
    assert!(content(&fs, "dead-letters.1.jsonl").len() > 1500);
    // One that is longer than a file goes alone.
    writer.append_controls(NOW, &[letter(50, &"l".repeat(2000))]).expect("appends");
    assert_eq!(sequences(&fs).keys().next_back(), Some(&50));
}

#[test]
fn a_file_that_an_operator_moved_or_emptied_is_made_again() {
    let path = Path::new(DIR).join("dead-letters.jsonl");
    type Change = fn(&SimFs, &Path);
    let cases: [(&str, Change); 3] = [
        ("moved", |fs, path| fs.rename(path, &path.with_extension("old")).expect("moved")),
        ("deleted", |fs, path| fs.remove(path).expect("deleted")),
        ("emptied", |fs, path| fs.open(path, true).expect("there").set_len(0).expect("emptied")),
    ];
    for (name, change) in cases {
        let fs = SimFs::new(31);
        let (mut writer, _) = open(&fs, config()).expect("opens");
        writer.append_controls(NOW, &[letter(1, "t"), letter(2, "t")]).expect("appends");
        change(&fs, &path);
        writer.append_controls(NOW, &[letter(3, "t")]).expect("appends");
        assert_eq!(sequences(&fs), once([3]), "{name}");
        assert!(content(&fs, "dead-letters.jsonl").starts_with('{'), "{name}: no hole");
    }
}
