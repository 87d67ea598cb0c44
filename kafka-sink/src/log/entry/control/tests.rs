//! The sink's entries: each comes back as it was.

use proptest::prelude::*;

use super::super::super::format::crc_seed;
use super::super::Entries;
use super::*;

const ID: u64 = 99;

fn entry(control: &Control) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(&mut bytes, ID, control);
    assert_eq!(bytes.len(), len(control));
    bytes
}

fn read(bytes: &[u8]) -> Option<Control> {
    let entries: Vec<_> = Entries::new(bytes, ID).collect();
    assert_eq!(entries.len(), 1);
    match entries.into_iter().next() {
        Some(Some(Entry::Control(control))) => Some(control),
        _ => None,
    }
}

#[test]
fn the_layout() {
    let topic: Arc<str> = "t".into();
    let producer = ProducerId { id: 0x0102, epoch: -2 };
    let cases: &[(&str, Control, Vec<u8>)] = &[
        (
            "partitions",
            Control::Partitions(Partitions {
                target: 1,
                topic: Arc::clone(&topic),
                from: 7,
                count: 3,
                topic_id: [9; 16],
            }),
            [&[4, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, b't', 3, 0, 0, 0, 0][..], &[9; 16]].concat(),
        ),
        (
            "cursor, offset not known",
            Control::Cursor(Cursor {
                target: 0,
                topic: Arc::clone(&topic),
                partition: 2,
                next: 5,
                offset: None,
            }),
            [&[6, 0, 0, 1, b't', 2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0][..], &[0xff; 8]].concat(),
        ),
        (
            "intent",
            Control::Intent(Intent {
                target: 0,
                topic: Arc::clone(&topic),
                partition: 2,
                producer,
                base_sequence: 6,
                count: 2,
                first: 8,
                last: 9,
                offset: Some(4),
            }),
            [
                &[5, 0, 0, 1, b't', 2, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0xfe, 0xff][..],
                &[6, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0],
                &[4, 0, 0, 0, 0, 0, 0, 0],
            ]
            .concat(),
        ),
        (
            "dead letter",
            Control::DeadLetter(DeadLetter {
                target: 0,
                topic,
                partition: 1,
                sequence: 3,
                error: 10,
                text: "too".into(),
                record: None,
            }),
            [&[7, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, b't', 1, 0, 0, 0, 10, 0, 3][..], b"too"].concat(),
        ),
        (
            "target without a producer",
            Control::Target(Target { target: 0, cluster: "c".into(), floor: 1, producer: None }),
            [&[8, 0, 0, 1, b'c', 1, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0; 10]].concat(),
        ),
    ];
    for (name, control, expected) in cases {
        let bytes = entry(control);
        assert_eq!(&bytes[8..], expected, "{name}");
        assert_eq!(read(&bytes).as_ref(), Some(control), "{name}");
        for cut in 8..bytes.len() {
            let mut short = bytes[..cut].to_vec();
            short[4..8].copy_from_slice(&((cut - 8) as u32).to_le_bytes());
            let crc = crc32c::crc32c_append(crc_seed(ID), &short[4..]);
            short[..4].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(read(&short), None, "{name} cut at {cut}");
        }
    }
}

#[test]
fn a_partitioner_that_is_not_known_is_no_partition_count() {
    let it = Partitions { target: 0, topic: "t".into(), from: 0, count: 1, topic_id: [0; 16] };
    let mut bytes = entry(&Control::Partitions(it));
    let at = bytes.len() - 17;
    bytes[at] = 1;
    let crc = crc32c::crc32c_append(crc_seed(ID), &bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(read(&bytes), None);
}

#[test]
fn long_texts_are_clipped_at_a_character() {
    let long: Arc<str> = "ü".repeat(200).into();
    let control = Control::DeadLetter(DeadLetter {
        target: 0,
        topic: Arc::clone(&long),
        partition: 0,
        sequence: 0,
        error: 0,
        text: long,
        record: None,
    });
    let Some(Control::DeadLetter(read)) = read(&entry(&control)) else { panic!("a dead letter") };
    assert_eq!((&*read.topic, &*read.text), ("ü".repeat(127).as_str(), "ü".repeat(127).as_str()));
}

proptest! {
    #[test]
    fn every_control_comes_back(
        kind in 0u8..5, topic in "[a-z]{0,40}", text in "\\PC{0,40}", numbers in any::<[u64; 5]>(),
    ) {
        let [a, b, c, d, e] = numbers;
        let (target, partition, topic) = (a as u16, (a >> 16) as u32, Arc::<str>::from(topic));
        let producer = ProducerId { id: e as i64, epoch: (d >> 3) as i16 };
        let offset = Some(c).filter(|_| c % 2 == 0);
        let control = match kind {
            0 => Control::Partitions(Partitions {
                target, topic, from: b, count: partition, topic_id: [c as u8; 16],
            }),
            1 => Control::Intent(Intent {
                target, topic, partition, producer, base_sequence: d as u32, count: e as u32, first: b,
                last: d, offset,
            }),
            2 => Control::Cursor(Cursor { target, topic, partition, next: b, offset }),
            3 => Control::DeadLetter(DeadLetter {
                target, topic, partition, sequence: b, error: c as i16, text: text.into(), record: None,
            }),
            _ => Control::Target(Target {
                target, cluster: text.into(), floor: b, producer: Some(producer).filter(|_| e % 2 == 0),
            }),
        };
        prop_assert_eq!(read(&entry(&control)), Some(control));
    }
}
