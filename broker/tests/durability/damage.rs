//! A data directory that was cut or damaged behind the broker's back: it starts, says so, and what is whole is there.

use crate::stream;
use crate::support::{Broker, Raw};
use millrace_codec::{QoS, Version};
use std::fs;
use std::path::{Path, PathBuf};

/// Records before the damage, each in a group of its own.
const RECORDS: u16 = 20;

/// What was done to the files, and what must come of it.
struct Case {
    name: &'static str,
    /// Changes the bytes of the last segment with records; gets where its groups begin.
    change: fn(&mut Vec<u8>, &[usize]),
    /// A line of the log must contain this.
    says: &'static str,
    /// Records that are gone.
    gone: std::ops::Range<u16>,
}

const CASES: &[Case] = &[
    Case {
        name: "cut within the last group",
        change: |bytes, groups| bytes.truncate(groups[groups.len() - 1] + 80),
        says: "of an unfinished write",
        gone: RECORDS - 1..RECORDS,
    },
    Case {
        name: "a bit of the last group has changed",
        change: |bytes, groups| bytes[groups[groups.len() - 1] + 90] ^= 1,
        says: "of an unfinished write",
        gone: RECORDS - 1..RECORDS,
    },
    Case {
        name: "a bit of a group in the middle has changed",
        change: |bytes, groups| bytes[groups[groups.len() - 10] + 90] ^= 1,
        says: "damaged",
        gone: RECORDS - 10..RECORDS - 9,
    },
    Case {
        name: "the head of a group in the middle is zero",
        change: |bytes, groups| bytes[groups[groups.len() - 10]..][..64].fill(0),
        says: "damaged",
        gone: RECORDS - 10..RECORDS - 9,
    },
    Case {
        name: "rubbish behind the last group",
        change: |bytes, groups| bytes[groups[groups.len() - 1] + 512..][..3_000].fill(0xa5),
        says: "of an unfinished write",
        gone: 0..0,
    },
];

fn publish(broker: &Broker, numbers: std::ops::Range<u16>) {
    let mut client = Raw::connect(broker, Version::V311, "lock");
    for number in numbers {
        client.publish("devices/lock/state", number.to_string().as_bytes(), QoS::AtLeastOnce, number + 1);
        client.expect(&[0x40, 2, 0, number as u8 + 1]);
    }
}

/// The newest segment with records, and where its groups begin.
fn last_segment(data: &Path) -> (PathBuf, Vec<usize>) {
    let entries = fs::read_dir(data.join("log")).expect("a log").map(|entry| entry.expect("an entry").path());
    let mut segments: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "mlog")).collect();
    segments.sort();
    for path in segments.into_iter().rev() {
        let bytes = fs::read(&path).expect("readable");
        let groups: Vec<usize> =
            (0..bytes.len()).step_by(512).filter(|&at| bytes[at..].starts_with(b"MRGP")).collect();
        // The first one begins the segment and holds no record.
        if groups.len() > 1 {
            return (path, groups);
        }
    }
    panic!("no segment with records");
}

#[test]
fn damaged_by_hand() {
    for Case { name, change, says, gone } in CASES {
        let mut broker = Broker::start(&[]);
        publish(&broker, 0..RECORDS);
        broker.kill();
        let (path, groups) = last_segment(broker.data());
        assert!(groups.len() > usize::from(RECORDS), "{name}: {groups:?}");
        let mut bytes = fs::read(&path).expect("readable");
        change(&mut bytes, &groups);
        fs::write(&path, bytes).expect("writable");
        broker.restart();
        let log = broker.log();
        assert!(log.iter().any(|line| line.contains("WARN") && line.contains(says)), "{name}: {log:#?}");
        publish(&broker, RECORDS..RECORDS + 2);
        let stream = stream::read(broker.data());
        let expected =
            (0..RECORDS + 2).filter(|number| !gone.contains(number)).map(|number| number.to_string());
        assert_eq!(stream.payloads, expected.collect::<Vec<_>>(), "{name}");
        let offsets = &stream.offsets;
        assert!(offsets.is_sorted_by(|a, b| a < b), "{name}: offsets repeat: {offsets:?}");
        // A second start has nothing left to mend.
        broker.restart();
        let again = stream::read(broker.data());
        assert_eq!((again.payloads, again.offsets), (stream.payloads, stream.offsets), "{name}");
    }
}

/// A segment that is gone or empty takes its own records with it, and nothing else.
#[test]
fn a_lost_segment() {
    type Loss = fn(&Path);
    let losses: &[(&str, &str, Loss)] = &[
        // Nothing is left that could tell of it.
        ("deleted", "", |path| fs::remove_file(path).expect("deleted")),
        ("empty", "never finished, removed", |path| fs::write(path, b"").expect("written")),
        ("without its header", "has no readable header; moved to", |path| {
            let mut bytes = fs::read(path).expect("readable");
            bytes[..4096].fill(0);
            fs::write(path, bytes).expect("written");
        }),
    ];
    for (name, says, lose) in losses {
        let mut broker = Broker::start(&[]);
        publish(&broker, 0..5);
        broker.restart();
        publish(&broker, 5..10);
        broker.kill();
        let (path, _) = last_segment(broker.data());
        lose(&path);
        broker.restart();
        publish(&broker, 10..12);
        let stream = stream::read(broker.data());
        let kept: Vec<&str> = stream.payloads.iter().map(String::as_str).collect();
        assert_eq!(kept, ["0", "1", "2", "3", "4", "10", "11"], "{name}");
        let log = broker.log();
        assert!(says.is_empty() || log.iter().any(|line| line.contains(says)), "{name}: {log:#?}");
    }
}
