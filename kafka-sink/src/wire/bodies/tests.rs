//! Bodies without a peer: answers that are cut, changed or rubbish, and the order of batches.

use std::sync::Arc;

use super::admin::{CreateTopic, DescribeConfigs};
use super::api::Api;
use super::bytes::{Input, Malformed, Output};
use super::fetch::{Fetch, headers};
use super::list_offsets::ListOffsets;
use super::metadata::Metadata;
use super::produce::{PartitionAnswer, Produce, in_order};
use super::producers::{DescribeProducers, InitProducerId};
use crate::log::control::ProducerId;
use crate::sender::request::{Part, Produced, TopicPartition};

/// xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Bytes that often look like counts and lengths: most of an answer is zeros, small numbers and ones.
fn rubbish(random: &mut Random) -> Vec<u8> {
    let len = random.next() % 200;
    let byte = |random: &mut Random| match random.next() % 8 {
        0..4 => 0,
        4..6 => (random.next() % 4) as u8,
        6 => 0xff,
        _ => random.next() as u8,
    };
    (0..len).map(|_| byte(random)).collect()
}

/// Reads rubbish in every version; what is read never reaches beyond the message.
fn read_rubbish<A: Api>(seed: u64) {
    let mut random = Random(seed);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let bytes = rubbish(&mut random);
        for version in A::MIN..=A::MAX {
            let mut input = Input::new(&bytes, version >= A::FLEXIBLE);
            match A::read(&mut input, version) {
                Ok(_) => taken += 1,
                Err(Malformed(why)) => {
                    assert!(!why.is_empty());
                    refused += 1;
                }
            }
        }
    }
    // Both happen, or the rubbish tests nothing.
    assert!(taken > 0 && refused > 0, "{:?}: {taken} taken, {refused} refused", A::KEY);
}

#[test]
fn rubbish_is_refused_or_read_within_bounds() {
    read_rubbish::<InitProducerId>(1);
    read_rubbish::<Produce>(2);
    read_rubbish::<Fetch>(3);
    read_rubbish::<ListOffsets>(4);
    read_rubbish::<Metadata>(5);
    read_rubbish::<CreateTopic>(6);
    read_rubbish::<DescribeConfigs>(7);
    read_rubbish::<DescribeProducers>(8);
}

#[test]
fn counts_are_not_believed() {
    for (name, flexible, bytes) in [
        ("2^31 - 1", false, &[0x7f, 0xff, 0xff, 0xff, 0, 0][..]),
        ("2^32 - 1", true, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]),
    ] {
        let list = Input::new(bytes, flexible).list(Input::i8);
        assert_eq!(list, Err(Malformed("it ends too early")), "{name}");
    }
    let negative = Input::new(&[0xff, 0xff, 0xff, 0xfe], false).list(Input::i8);
    assert_eq!(negative, Err(Malformed("a length is negative")));
    assert_eq!(Input::new(&[0xff; 4], false).list(Input::i8), Ok(vec![]), "null");
    assert_eq!(Input::new(&[0], true).list(Input::i8), Ok(vec![]), "null");
    let endless = Input::new(&[0xff; 8], true).list(Input::i8);
    assert_eq!(endless, Err(Malformed("a varint is too long")));
}

/// Each broker is an address that may be tried, and compared with the others.
#[test]
fn a_cluster_of_a_million_brokers_is_not_believed() {
    let cluster = |brokers: i32| {
        let mut bytes = vec![0; 4];
        bytes.extend(brokers.to_be_bytes());
        for id in 0..brokers {
            bytes.extend(id.to_be_bytes());
            bytes.extend([0, 1, b'h', 0, 0, 0, 9, 0xff, 0xff]);
        }
        bytes.extend([0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0]);
        let read = Metadata::read(&mut Input::new(&bytes, false), 4);
        read.map(|cluster| cluster.brokers.len())
    };
    assert_eq!(cluster(2048), Ok(2048));
    assert_eq!(cluster(1_000_000), Err(Malformed("it names too many brokers")));
}

#[test]
fn texts_and_counts_lead_back() {
    let long = "é".repeat(300);
    for flexible in [false, true] {
        let mut bytes = Vec::new();
        let mut out = Output::new(&mut bytes, flexible);
        out.count(2);
        out.string("");
        out.string(&long);
        out.null_string();
        out.end();
        let mut input = Input::new(&bytes, flexible);
        assert_eq!(input.list(Input::string), Ok(vec!["", &*long]));
        assert_eq!(input.nullable_string(), Ok(None));
        input.end().expect("the end");
        assert_eq!(input.len(), 0);
    }
}

/// Partitions in any order; anything but 0 to n - 1 is no topic.
#[test]
fn partitions_of_a_topic() {
    for (name, indexes, good) in [
        ("in order", &[0, 1, 2][..], true),
        ("backwards", &[2, 1, 0], true),
        ("none", &[], true),
        ("a gap", &[0, 2], false),
        ("negative", &[-1], false),
        ("far off", &[i32::MAX], false),
    ] {
        let mut body = vec![0; 4 + 4]; // throttle, brokers
        body.extend([0xff, 0xff, 0, 0, 0, 1]); // no name, controller
        body.extend([0, 0, 0, 1, 0, 0, 0, 1, b't', 0]); // one topic, no error, its name
        body.extend((indexes.len() as i32).to_be_bytes());
        for index in indexes {
            body.extend([0, 0]);
            body.extend(index.to_be_bytes());
            body.extend(7i32.to_be_bytes());
            body.extend([0; 8]); // replicas, in sync
        }
        let read = Metadata::read(&mut Input::new(&body, false), 4);
        match read {
            Ok(cluster) => {
                assert!(good, "{name}");
                assert_eq!(cluster.topics[0].leaders, vec![Some(7); indexes.len()], "{name}");
            }
            Err(Malformed(why)) => assert!(!good, "{name}: {why}"),
        }
    }
}

fn part(topic: &str, partition: i32) -> Part {
    let of = TopicPartition { topic: topic.into(), partition };
    let producer = ProducerId { id: 1, epoch: 0 };
    Part { of, producer, base_sequence: 0, records: Vec::new(), stamp_ms: None }
}

#[test]
fn answers_are_put_back_into_order() {
    let parts = [part("b", 1), part("a", 0), part("b", 0)];
    let all = [("a", 0), ("b", 0), ("b", 1)];
    type Case<'a> = (&'a str, &'a [(&'a str, i32)], Result<&'a [u64], &'a str>);
    let cases: [Case<'_>; 5] = [
        ("whole", &all, Ok(&[2, 0, 1])),
        ("one is missing", &all[..2], Err("does not answer for partition 1 of topic b")),
        ("one is double", &[all[0], all[0]], Err("answers twice for partition 0 of topic a")),
        (
            "one too many",
            &[all[0], all[1], all[2], ("c", 0)],
            Err("partition 0 of topic c, which was not asked"),
        ),
        ("none", &[], Err("does not answer for partition 1 of topic b")),
    ];
    for (name, answers, expected) in cases {
        let answer = |(offset, (topic, partition)): (usize, &(&str, i32))| PartitionAnswer {
            topic: Arc::from(*topic),
            partition: *partition,
            produced: Produced { error: 0, offset: offset as u64, offenders: Vec::new(), text: None },
        };
        let ordered = in_order(&parts, answers.iter().enumerate().map(answer).collect());
        match (ordered, expected) {
            (Ok(ordered), Ok(expected)) => {
                let offsets: Vec<u64> = ordered.iter().map(|one| one.offset).collect();
                assert_eq!(offsets, expected, "{name}");
            }
            (Err(what), Err(expected)) => assert!(what.contains(expected), "{name}: {what}"),
            (ordered, _) => panic!("{name}: {ordered:?}"),
        }
    }
}

/// The header of a batch of `count` records at `offset`, with `body` bytes behind it.
fn header(offset: i64, count: i32, body: usize) -> Vec<u8> {
    let mut batch = offset.to_be_bytes().to_vec();
    batch.extend((49 + body as i32).to_be_bytes());
    batch.extend([0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
    batch.extend((count - 1).to_be_bytes());
    batch.extend([0; 16]);
    batch.extend(77i64.to_be_bytes());
    batch.extend([0, 3]);
    batch.extend(5i32.to_be_bytes());
    batch.extend(count.to_be_bytes());
    batch.resize(61 + body, 0xaa);
    batch
}

#[test]
fn headers_of_what_was_fetched() {
    let two = [header(10, 5, 100), header(15, 1, 0)].concat();
    let old = [&20i64.to_be_bytes()[..], &[0, 0, 0, 14, 0, 0, 0, 0, 1], &[0; 9]].concat();
    let next =
        |bytes: &[u8]| headers(bytes).map(|all| all.iter().map(|one| one.next_offset).collect::<Vec<_>>());
    assert_eq!(next(&two), Ok(vec![15, 16]));
    assert_eq!(next(&[&two[..], &old].concat()), Ok(vec![15, 16, 21]), "a message of an old format");
    for cut in 0..two.len() {
        // The last one counts once its header is whole.
        let whole = usize::from(cut >= 61) + usize::from(cut >= 161 + 61);
        assert_eq!(next(&two[..cut]), Ok([15, 16][..whole].to_vec()), "cut at {cut}");
    }
    let one = headers(&two).expect("headers")[0];
    assert_eq!((one.base_offset, one.producer_id, one.producer_epoch, one.base_sequence), (10, 77, 3, 5));
    let mut short = two.clone();
    short[11] = 3;
    assert_eq!(next(&short), Err(Malformed("the length of a batch is wrong")));
    let mut negative = two;
    negative[8] = 0xff;
    assert_eq!(next(&negative), Err(Malformed("the length of a batch is wrong")));
}
