//! Batches against Kafka's own bytes, and against rskafka's decoder.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;
use rskafka::protocol::record::{ControlBatchOrRecords, RecordBatch, RecordBatchTimestampType};
use rskafka::protocol::traits::ReadType as _;

use super::*;
use crate::log::control::ProducerId;
use crate::log::port::{Group, Item};
use crate::sender::request::TopicPartition;
use crate::{Event, EventData, EventKind, Rule, record};

const NODE: &str = "n@h";

/// Items of one group that holds these events.
fn items(events: &[Event<'_>], node: &str) -> Vec<Item> {
    let rule = Rule::new(7, "hook", EventKind::MessagePublish, "stream").expect("a rule");
    let (mut body, mut places) = (Vec::new(), Vec::new());
    for event in events {
        let at = body.len();
        entry::append_record(&mut body, &rule, event);
        places.push((at as u32, (body.len() - at) as u32, event.ts_ms));
    }
    let budget = Arc::new(AtomicUsize::new(0));
    let group = Arc::new(Group::new(1, node.into(), 1..1 + events.len() as u64, body, &budget));
    let item = |(sequence, (at, len, ts_ms))| Item {
        group: Arc::clone(&group),
        at,
        len,
        sequence,
        ts_ms,
        rule: 7,
        core: 0,
    };
    (1..).zip(places).map(item).collect()
}

fn part(producer: (i64, i16), base_sequence: i32, records: Vec<Item>) -> Part {
    Part {
        of: TopicPartition { topic: "stream".into(), partition: 0 },
        producer: ProducerId { id: producer.0, epoch: producer.1 },
        base_sequence,
        records,
        stamp_ms: None,
    }
}

fn encoded(part: &Part, compression: Compression) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out, part, compression).expect("a batch");
    out
}

fn disconnected<'a>(client_id: &'a str, reason: &'a str, ts_ms: u64) -> Event<'a> {
    Event { ts_ms, client_id, username: "", data: EventData::Disconnected { reason } }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same records by `MemoryRecords.withIdempotentRecords` of kafka-clients 4.3.1.
#[test]
fn bytes_as_kafka_writes_them() {
    let one = items(&[disconnected("lock-1", "normal", 1574753026269)], NODE);
    let back_and_forth = items(
        &[
            disconnected("a", "normal", 1000),
            disconnected("b", "timeout", 400),
            disconnected("", "kicked", 90_000),
            disconnected("é€", "normal", 1000),
        ],
        NODE,
    );
    let cases: &[(&str, Part, &str)] = &[
        ("one record", part((4711, 3), i32::MAX, one), include_str!("vectors/one.hex")),
        (
            "times back and forth, no key",
            part((0, 0), 0, back_and_forth),
            include_str!("vectors/back_and_forth.hex"),
        ),
    ];
    for (name, part, expected) in cases {
        assert_eq!(hex(&encoded(part, Compression::None)), expected.trim(), "{name}");
    }
}

fn decoded(bytes: &[u8]) -> RecordBatch {
    let mut cursor = Cursor::new(bytes);
    let batch = RecordBatch::read(&mut cursor).expect("rskafka reads the batch");
    assert_eq!(cursor.position(), bytes.len() as u64, "nothing left over");
    batch
}

/// Holds a decoded batch against the events it was made of.
fn check(bytes: &[u8], part: &Part, events: &[Event<'_>], node: &str) {
    let batch = decoded(bytes);
    let time = |event: &Event<'_>| i64::try_from(part.stamp_ms.unwrap_or(event.ts_ms)).unwrap_or(i64::MAX);
    assert_eq!((batch.producer_id, batch.producer_epoch), (part.producer.id, part.producer.epoch));
    assert_eq!(batch.base_sequence, part.base_sequence);
    assert_eq!((batch.base_offset, batch.partition_leader_epoch), (0, -1));
    assert_eq!(batch.last_offset_delta as usize, events.len() - 1);
    assert_eq!(batch.first_timestamp, time(&events[0]));
    assert_eq!(Some(batch.max_timestamp), events.iter().map(time).max());
    assert_eq!(batch.timestamp_type, RecordBatchTimestampType::CreateTime);
    assert!(!batch.is_transactional);
    let ControlBatchOrRecords::Records(records) = batch.records else { panic!("records") };
    assert_eq!(records.len(), events.len());
    for ((index, record), event) in records.iter().enumerate().zip(events) {
        let mut value = Vec::new();
        record::write_value(&mut value, event, node);
        assert_eq!(record.value.as_ref(), Some(&value), "record {index}");
        let key = (!event.client_id.is_empty()).then(|| event.client_id.as_bytes().to_vec());
        assert_eq!(record.key, key, "record {index}");
        assert_eq!(record.offset_delta as usize, index);
        assert_eq!(batch.first_timestamp + record.timestamp_delta, time(event), "record {index}");
        assert!(record.headers.is_empty());
    }
}

#[test]
fn a_stamp_replaces_all_times_but_those_in_the_json() {
    let events = [disconnected("a", "normal", 5), disconnected("b", "normal", u64::MAX)];
    let mut part = part((1, 0), 0, items(&events, NODE));
    check(&encoded(&part, Compression::None), &part, &events, NODE);
    part.stamp_ms = Some(1_574_753_026_269);
    check(&encoded(&part, Compression::None), &part, &events, NODE);
}

#[test]
fn room_is_made_once() {
    let payload = [0x55; 200];
    for len in [0, 1, 200] {
        let data = EventData::Acked {
            from: "10083618796833171",
            topic: "devices/10083618796833171/state",
            payload: &payload[..len],
            qos: 1,
        };
        let event =
            Event { ts_ms: 1_574_753_026_269, client_id: "10083618796833171", username: "someone", data };
        let part = part((1, 0), 0, items(&[event; 100], "millrace@127.0.0.1"));
        let batch = encoded(&part, Compression::None);
        assert!(batch.len() <= expected_len(&part), "{} > {}", batch.len(), expected_len(&part));
        assert!(batch.len() * 2 >= expected_len(&part), "{} of {}", batch.len(), expected_len(&part));
    }
}

#[test]
fn what_cannot_be_encoded_leaves_the_buffer_as_it_was() {
    let mut broken = items(&[disconnected("a", "normal", 5), disconnected("b", "normal", 6)], NODE);
    broken[1].len -= 1;
    broken[1].at += 1;
    let cases = [
        ("no records", part((1, 0), 0, Vec::new()), EncodeError::Size),
        ("a broken record", part((1, 0), 0, broken), EncodeError::Unreadable(2)),
    ];
    for (name, part, expected) in cases {
        for compression in Compression::ALL.into_iter().filter(|compression| compression.is_built()) {
            let mut out = b"before".to_vec();
            assert_eq!(encode(&mut out, &part, compression), Err(expected.clone()), "{name}");
            assert_eq!(out, b"before", "{name}");
        }
    }
}

#[test]
fn a_codec_that_is_not_built_is_named() {
    let part = part((1, 0), 0, items(&[disconnected("a", "normal", 5)], NODE));
    for compression in Compression::ALL {
        let done = encode(&mut Vec::new(), &part, compression);
        assert_eq!(done.is_ok(), compression.is_built(), "{compression}");
        if let Err(error) = done {
            assert_eq!(error.to_string(), format!("this build has no {compression} compression"));
        }
    }
}

/// What stands behind the header of a compressed batch, unpacked by another way than it was packed.
fn unpacked(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut out = Vec::new();
    match compression {
        Compression::None => out.extend_from_slice(bytes),
        #[cfg(feature = "gzip")]
        Compression::Gzip => {
            flate2::bufread::GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
        }
        #[cfg(feature = "snappy")]
        Compression::Snappy => {
            let mut rest =
                bytes.strip_prefix(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01").expect("snappy-java's header");
            while let Some((len, tail)) = rest.split_first_chunk::<4>() {
                let (block, tail) = tail.split_at(u32::from_be_bytes(*len) as usize);
                let block = snap::raw::Decoder::new().decompress_vec(block).expect("a snappy block");
                assert!(block.len() <= 32 * 1024);
                out.extend(block);
                rest = tail;
            }
        }
        #[cfg(feature = "lz4")]
        Compression::Lz4 => {
            // Version 1, independent blocks, no checksums, no content size; blocks of 64 KiB.
            assert_eq!(bytes[..6], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40], "the frame's header");
            lz4_flex::frame::FrameDecoder::new(bytes).read_to_end(&mut out).expect("lz4");
        }
        #[cfg(feature = "zstd")]
        Compression::Zstd => {
            out = zstd::stream::decode_all(bytes).expect("zstd");
        }
        #[cfg(not(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd")))]
        missing => unreachable!("{missing} is not built"),
    }
    out
}

#[test]
fn each_codec_frames_as_kafka_expects() {
    let payload = (0..40_000u32).map(|n| ((n * n) >> 7) as u8).collect::<Vec<_>>();
    let data = EventData::Publish { topic: "a/b", payload: &payload, qos: 1, packet_id: 0 };
    let events = [Event { ts_ms: 9, client_id: "c", username: "", data }; 5];
    let part = part((1, 0), 0, items(&events, NODE));
    let plain = encoded(&part, Compression::None);
    for compression in Compression::ALL.into_iter().filter(|compression| compression.is_built()) {
        let batch = encoded(&part, compression);
        assert_eq!(batch[21..23], code(compression).to_be_bytes(), "{compression}");
        assert_eq!(batch[23..HEADER], plain[23..HEADER], "{compression}");
        assert_eq!(batch[17..21], crc32c::crc32c(&batch[21..]).to_be_bytes(), "{compression}");
        assert!(unpacked(compression, &batch[HEADER..]) == plain[HEADER..], "{compression}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z0-9/]{0,70}",
        1 => any::<String>(),
        1 => "[\\x00-\\x1f\"\\\\a]{0,200}",
    ]
}

#[derive(Clone, Debug)]
struct Made {
    kind: u8,
    ts_ms: u64,
    texts: [String; 4],
    payload: Vec<u8>,
    qos: u8,
}

impl Made {
    fn event(&self) -> Event<'_> {
        let [client_id, username, from, topic] = self.texts.each_ref().map(String::as_str);
        let (payload, qos) = (&self.payload[..], self.qos);
        let data = match self.kind {
            0 => EventData::Connected {
                keepalive: 60,
                proto_ver: 5,
                clean_start: qos == 0,
                ip: std::net::IpAddr::from([u16::from(qos); 8]),
            },
            1 => EventData::Disconnected { reason: topic },
            2 => EventData::Subscribed { filter: topic, qos },
            3 => EventData::Unsubscribed { filter: topic, qos },
            4 => EventData::Publish { topic, payload, qos, packet_id: 0 },
            5 => EventData::Deliver { from, topic, payload, qos },
            _ => EventData::Acked { from, topic, payload, qos },
        };
        Event { ts_ms: self.ts_ms, client_id, username, data }
    }
}

fn made() -> impl Strategy<Value = Made> {
    let ts_ms = prop_oneof![1_574_753_026_000u64..1_574_753_028_000, any::<u64>()];
    let payload = proptest::collection::vec(any::<u8>(), 0..700);
    (0u8..7, ts_ms, [text(), text(), text(), text()], payload, 0u8..3)
        .prop_map(|(kind, ts_ms, texts, payload, qos)| Made { kind, ts_ms, texts, payload, qos })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn rskafka_reads_what_was_written(
        made in proptest::collection::vec(made(), 1..40), node in text(), producer in any::<(i64, i16)>(),
        base_sequence in 0..=i32::MAX, before in 0usize..9, stamp_ms in any::<Option<u64>>(),
    ) {
        let events = made.iter().map(Made::event).collect::<Vec<_>>();
        let mut part = part(producer, base_sequence, items(&events, &node));
        part.stamp_ms = stamp_ms;
        let mut out = vec![0xaa; before];
        encode(&mut out, &part, Compression::None).expect("a batch");
        check(&out[before..], &part, &events, &node);
    }
}
