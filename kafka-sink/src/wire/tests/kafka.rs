//! Every request against a real Kafka, at `MILLRACE_TEST_KAFKA` (host:port, no login). Topics are
//! made with names of this run and stay there.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rskafka::protocol::api_key::ApiKey;

use super::super::bodies::admin::{CreateTopic, DescribeConfigs};
use super::super::bodies::api::Api;
use super::super::bodies::bytes::{Input, Malformed, Output};
use super::super::bodies::fetch::Fetch;
use super::super::bodies::list_offsets::{End, ListOffsets};
use super::super::bodies::metadata::Metadata;
use super::super::bodies::produce::{self, Produce};
use super::super::bodies::producers::{DescribeProducers, InitProducerId};
use super::super::client::Client;
use super::super::connection::{Connection, Times, Way};
use super::{client, run};
use crate::event::{Event, EventData, EventKind};
use crate::log::control::ProducerId;
use crate::log::entry;
use crate::log::port::{Group, Item};
use crate::rule::Rule;
use crate::sender::request::{
    self, Answer, Failure, Known, Part, Produced, Request, TopicMetadata, TopicPartition,
};
use crate::target::{Compression, KafkaConfig};

const LIMIT: Duration = Duration::from_secs(20);

const NONE: i16 = 0;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC: i16 = 17;
const TOPIC_ALREADY_EXISTS: i16 = 36;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const INVALID_RECORD: i16 = 87;

/// The server, or `None` with a line about it.
fn server() -> Option<String> {
    let server = std::env::var("MILLRACE_TEST_KAFKA").ok();
    if server.is_none() {
        println!("skipped: MILLRACE_TEST_KAFKA names no Kafka");
    }
    server
}

fn name(what: &str) -> Arc<str> {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    format!("wire-{what}-{}", unix.as_nanos()).into()
}

fn connection(server: &str) -> Connection {
    let times = Times { connect: LIMIT, request: LIMIT };
    let address = server.parse().expect("HOST:PORT");
    let gate = Arc::default();
    Connection::new(Way { address, client_id: "wire-test".into(), times, message_bytes_max: 16 << 20, gate })
}

/// Asks until Kafka has a leader for what was just made, or a coordinator that has loaded.
async fn metadata(client: &Client, topics: &[Arc<str>]) -> request::Metadata {
    for _ in 0..100 {
        match client.carry_out(Request::Metadata { topics: topics.to_vec() }).await {
            Ok(Answer::Metadata(metadata)) => {
                let ready =
                    |topic: &TopicMetadata| topic.error == NONE && topic.leaders.iter().all(Option::is_some);
                if metadata.topics.iter().all(ready) {
                    return metadata;
                }
            }
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no leader of {topics:?}");
}

async fn producer_id(client: &Client) -> ProducerId {
    for _ in 0..100 {
        match client.carry_out(Request::InitProducerId).await {
            Ok(Answer::InitProducerId { error: NONE, producer }) => return producer,
            Ok(Answer::InitProducerId { .. }) => tokio::time::sleep(Duration::from_millis(100)).await,
            other => panic!("{other:?}"),
        }
    }
    panic!("no producer id");
}

async fn create(client: &Client, topic: &Arc<str>, partitions: i32) -> (i16, Option<String>) {
    let create = Request::CreateTopic { topic: Arc::clone(topic), partitions, replication: -1 };
    match client.carry_out(create).await {
        Ok(Answer::CreateTopic { error, text }) => (error, text),
        other => panic!("{other:?}"),
    }
}

/// A batch of `count` records with a value each, not compressed.
fn batch(producer: ProducerId, base_sequence: i32, count: u8) -> Vec<u8> {
    let mut records = Vec::new();
    for delta in 0..count {
        // Zig-zag varints: the length, attributes, both deltas, no key, one byte of value, no header.
        records.extend([14, 0, 0, delta * 2, 1, 2, b'v', 0]);
    }
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    let mut counted = vec![0, 0];
    counted.extend((i32::from(count) - 1).to_be_bytes());
    counted.extend(unix.to_be_bytes());
    counted.extend(unix.to_be_bytes());
    counted.extend(producer.id.to_be_bytes());
    counted.extend(producer.epoch.to_be_bytes());
    counted.extend(base_sequence.to_be_bytes());
    counted.extend(i32::from(count).to_be_bytes());
    counted.extend(records);
    let mut batch = vec![0; 8];
    batch.extend((counted.len() as i32 + 9).to_be_bytes());
    batch.extend([0, 0, 0, 0, 2]);
    batch.extend(crc32c::crc32c(&counted).to_be_bytes());
    batch.extend(counted);
    batch
}

fn part(topic: &Arc<str>, partition: i32, producer: ProducerId, base_sequence: i32) -> Part {
    let of = TopicPartition { topic: Arc::clone(topic), partition };
    Part { of, producer, base_sequence, records: Vec::new(), stamp_ms: None }
}

fn body(parts: &[Part], count: u8) -> Produce {
    let encoded = parts.iter().map(|part| batch(part.producer, part.base_sequence, count)).collect();
    Produce {
        parts: parts.to_vec().into(),
        encoded: Some(encoded),
        compression: Compression::None,
        timeout_ms: 10_000,
    }
}

async fn send(connection: &Connection, parts: &[Part], count: u8) -> Vec<Produced> {
    let (answers, _) = connection.ask(body(parts, count)).await.expect("an answer");
    produce::in_order(parts, answers).expect("one answer each")
}

async fn find(client: &Client, of: &Part, from: Option<u64>, base_sequence: i32) -> (i16, Option<u64>) {
    let (of, producer) = (of.of.clone(), of.producer);
    match client.carry_out(Request::FindBatch { node: 1, of, from, producer, base_sequence }).await {
        Ok(Answer::FindBatch { error, found }) => (error, found),
        other => panic!("{other:?}"),
    }
}

#[test]
fn topics() {
    let Some(server) = server() else { return };
    run(async {
        let client = client(&[&server], LIMIT);
        let (made, by_default, missing) = (name("made"), name("default"), name("missing"));
        assert_eq!(create(&client, &made, 4).await, (NONE, None));
        let (error, text) = create(&client, &made, 4).await;
        assert!(error == TOPIC_ALREADY_EXISTS && text.is_some_and(|text| text.contains(&*made)));
        let (error, text) = create(&client, &"no/topic".into(), 4).await;
        assert!(error == INVALID_TOPIC && text.is_some());
        assert_eq!(create(&client, &by_default, -1).await, (NONE, None));

        let known = metadata(&client, &[Arc::clone(&made), Arc::clone(&by_default)]).await;
        assert_eq!(known.nodes, [1]);
        assert!(known.cluster.as_deref().is_some_and(|cluster| cluster.len() > 10));
        assert_eq!(known.topics[0].leaders, [Some(1); 4]);
        assert_ne!(known.topics[0].id, known.topics[1].id);
        assert_ne!(known.topics[0].id, [0; 16]);

        let asked = Request::Metadata { topics: vec![Arc::clone(&missing), Arc::clone(&made)] };
        let Ok(Answer::Metadata(known)) = client.carry_out(asked).await else { panic!("metadata") };
        assert_eq!((known.topics[0].error, &known.topics[0].topic), (UNKNOWN_TOPIC_OR_PARTITION, &missing));
        assert_eq!(known.topics[1].error, NONE);
        let Ok(Answer::Metadata(known)) = client.carry_out(Request::Metadata { topics: vec![] }).await else {
            panic!("metadata")
        };
        assert_eq!((known.nodes, known.topics), (vec![1], vec![]));

        let asked = Request::MinInsyncReplicas { topics: vec![missing, made] };
        let answer = client.carry_out(asked).await;
        assert_eq!(answer, Ok(Answer::MinInsyncReplicas { topics: vec![None, Some(1)] }));
    });
}

/// What the sink rests on: a batch sent twice is one, a gap is refused, the leader says what it
/// remembers, and what was appended is found again.
#[test]
fn an_idempotent_producer() {
    let Some(server) = server() else { return };
    run(async {
        let client = client(&[&server], LIMIT);
        let topic = name("once");
        assert_eq!(create(&client, &topic, 2).await, (NONE, None));
        metadata(&client, &[Arc::clone(&topic)]).await;
        let producer = producer_id(&client).await;
        let connection = connection(&server);
        let at = |partition, sequence| part(&topic, partition, producer, sequence);
        let of = |partition| TopicPartition { topic: Arc::clone(&topic), partition };

        // The answer is in the order of the request, which is not that of the partitions.
        let both = [at(1, 0), at(0, 0)];
        let produced = send(&connection, &both, 3).await;
        assert_eq!(produced.iter().map(|one| (one.error, one.offset)).collect::<Vec<_>>(), [(NONE, 0); 2]);
        assert_eq!(send(&connection, &[at(0, 3)], 5).await[0].offset, 3);
        // Again, and again on a new connection.
        assert_eq!(send(&connection, &[at(0, 3)], 5).await[0].offset, 3);
        let fresh = self::connection(&server);
        assert_eq!(send(&fresh, &[at(0, 3)], 5).await[0], produced_at(3));
        assert_eq!(send(&fresh, &[at(0, 9)], 5).await[0].error, OUT_OF_ORDER_SEQUENCE_NUMBER);
        assert_eq!(send(&fresh, &[at(7, 0)], 1).await[0].error, UNKNOWN_TOPIC_OR_PARTITION);

        let end = |partition| Request::EndOffset { node: 1, of: of(partition) };
        let ended = client.carry_out(end(0)).await;
        assert_eq!(ended, Ok(Answer::EndOffset { error: NONE, offset: 8 }));
        let ended = client.carry_out(end(7)).await;
        assert_eq!(ended, Ok(Answer::EndOffset { error: UNKNOWN_TOPIC_OR_PARTITION, offset: 0 }));

        let describe =
            |partition, producer| Request::DescribeProducer { node: 1, of: of(partition), producer };
        let known = Some(Known { epoch: producer.epoch, last_sequence: 7 });
        let described = client.carry_out(describe(0, producer.id)).await;
        assert_eq!(described, Ok(Answer::DescribeProducer { error: NONE, known }));
        let described = client.carry_out(describe(0, producer.id + 1_000_000)).await;
        assert_eq!(described, Ok(Answer::DescribeProducer { error: NONE, known: None }));
        let described = client.carry_out(describe(7, producer.id)).await;
        assert_eq!(
            described,
            Ok(Answer::DescribeProducer { error: UNKNOWN_TOPIC_OR_PARTITION, known: None })
        );

        let one = at(0, 0);
        for (what, from, sequence, expected) in [
            ("from the start", None, 0, Some(0)),
            ("the second", None, 3, Some(3)),
            ("from its offset", Some(3), 3, Some(3)),
            ("from within", Some(5), 3, Some(3)),
            ("behind it", Some(8), 3, None),
            ("beyond the end", Some(100), 3, None),
            ("never sent", None, 8, None),
            ("not the first of a batch", None, 1, None),
        ] {
            assert_eq!(find(&client, &one, from, sequence).await, (NONE, expected), "{what}");
        }
        assert_eq!(find(&client, &at(7, 0), None, 0).await, (UNKNOWN_TOPIC_OR_PARTITION, None));
        let other = Part { producer: ProducerId { epoch: 1, ..producer }, ..at(0, 0) };
        assert_eq!(find(&client, &other, None, 0).await, (NONE, None), "of another epoch");
    });
}

fn produced_at(offset: u64) -> Produced {
    Produced { error: NONE, offset, offenders: Vec::new(), text: None }
}

/// A search over more than one round: 300 batches of 20 KiB stand before the one that is looked for.
#[test]
fn a_long_search() {
    let Some(server) = server() else { return };
    run(async {
        let client = client(&[&server], LIMIT);
        let topic = name("long");
        assert_eq!(create(&client, &topic, 1).await, (NONE, None));
        metadata(&client, &[Arc::clone(&topic)]).await;
        let producer = producer_id(&client).await;
        let connection = connection(&server);
        let wide = |sequence: i32| {
            let one = part(&topic, 0, producer, sequence);
            let mut request = body(std::slice::from_ref(&one), 1);
            request.encoded = Some(vec![wide_batch(producer, sequence)]);
            request
        };
        for sequence in 0..300 {
            let (answers, _) = connection.ask(wide(sequence)).await.expect("an answer");
            assert_eq!(answers[0].produced, produced_at(sequence as u64));
        }
        let one = part(&topic, 0, producer, 0);
        assert_eq!(find(&client, &one, None, 299).await, (NONE, Some(299)));
        assert_eq!(find(&client, &one, Some(150), 299).await, (NONE, Some(299)));
        assert_eq!(find(&client, &one, None, 300).await, (NONE, None));
    });
}

/// A batch of one record with 20 KiB of value.
fn wide_batch(producer: ProducerId, base_sequence: i32) -> Vec<u8> {
    const VALUE: usize = 20_000;
    let varint = |value: usize| -> [u8; 3] {
        let zig_zag = value * 2;
        [zig_zag as u8 | 0x80, (zig_zag >> 7) as u8 | 0x80, (zig_zag >> 14) as u8]
    };
    let mut record = vec![0, 0, 0, 1];
    record.extend(varint(VALUE));
    record.extend([b'w'; VALUE]);
    record.push(0);
    let mut wide = batch(producer, base_sequence, 1);
    wide.truncate(61);
    wide.extend(varint(record.len()));
    wide.extend(record);
    let length = wide.len() as i32 - 12;
    wide[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&wide[21..]);
    wide[17..21].copy_from_slice(&crc.to_be_bytes());
    wide
}

/// The records that Kafka refuses are named.
#[test]
fn offenders_are_named() {
    let Some(server) = server() else { return };
    run(async {
        let client = client(&[&server], LIMIT);
        let topic = name("compact");
        let connection = connection(&server);
        connection.ask(Compacted(Arc::clone(&topic))).await.expect("a topic");
        metadata(&client, &[Arc::clone(&topic)]).await;
        let producer = producer_id(&client).await;
        let produced = send(&connection, &[part(&topic, 0, producer, 0)], 3).await;
        assert_eq!(produced[0].error, INVALID_RECORD);
        let offenders: Vec<u32> = produced[0].offenders.iter().map(|(index, _)| *index).collect();
        assert_eq!(offenders, [0, 1, 2], "records without a key in a compacted topic");
        assert!(produced[0].offenders[0].1.as_ref().is_some_and(|text| text.contains("key")));
        assert!(produced[0].text.is_some());
    });
}

/// Makes a compacted topic, which the sink itself never does.
struct Compacted(Arc<str>);

impl Api for Compacted {
    const KEY: ApiKey = ApiKey::CreateTopics;
    const MIN: i16 = 4;
    const MAX: i16 = 4;
    type Answer = ();

    fn write(&self, out: &mut Output<'_>, _: i16) -> Result<(), &'static str> {
        out.count(1);
        out.string(&self.0);
        out.i32(1);
        out.i16(1);
        out.count(0);
        out.count(1);
        out.string("cleanup.policy");
        out.string("compact");
        out.i32(10_000);
        out.i8(0);
        Ok(())
    }

    fn read(input: &mut Input<'_>, version: i16) -> Result<(), Malformed> {
        CreateTopic::read(input, version).map(drop)
    }
}

/// A body in one version of it.
struct Pinned<A, const VERSION: i16>(A);

impl<A: Api, const VERSION: i16> Api for Pinned<A, VERSION> {
    const KEY: ApiKey = A::KEY;
    const MIN: i16 = VERSION;
    const MAX: i16 = VERSION;
    const FLEXIBLE: i16 = A::FLEXIBLE;
    type Answer = A::Answer;

    fn write(&self, out: &mut Output<'_>, version: i16) -> Result<(), &'static str> {
        assert_eq!(version, VERSION);
        self.0.write(out, version)
    }

    fn read(input: &mut Input<'_>, version: i16) -> Result<A::Answer, Malformed> {
        A::read(input, version)
    }
}

/// Asks once in each of the versions; those this Kafka does not speak are left out.
macro_rules! each_version {
    ($connection:expr, [$($version:literal)+], $body:expr, $check:expr) => {$(
        match $connection.ask(Pinned::<_, $version>($body)).await {
            Ok(answer) => $check($version, answer),
            Err(Failure::Unsupported(text)) => println!("version {}: {text}", $version),
            Err(failure) => panic!("version {}: {failure:?}", $version),
        }
    )+};
}

#[test]
fn every_version_of_every_body() {
    let Some(server) = server() else { return };
    run(async {
        let client = client(&[&server], LIMIT);
        let topic = name("versions");
        assert_eq!(create(&client, &topic, 1).await, (NONE, None));
        metadata(&client, &[Arc::clone(&topic)]).await;
        let producer = producer_id(&client).await;
        let connection = connection(&server);

        each_version!(connection, [0 1], InitProducerId, |version, (error, producer): (i16, ProducerId)| {
            assert!(error == NONE && producer.id >= 0, "version {version}");
        });
        let mut sequence = 0;
        let mut next = || {
            sequence += 2;
            body(&[part(&topic, 0, producer, sequence - 2)], 2)
        };
        each_version!(connection, [3 4 5 6 7 8], next(), |version, (answers, throttle): (Vec<produce::PartitionAnswer>, i32)| {
            assert_eq!((answers.len(), answers[0].produced.error, throttle), (1, NONE, 0), "version {version}");
        });
        let end = sequence as i64;
        let fetch = || Fetch { topic: Arc::clone(&topic), partition: 0, offset: 0, bytes_max: 1 << 20 };
        each_version!(connection, [4 5 6 7 8 9 10], fetch(), |version, (error, answers): (i16, Vec<super::super::bodies::fetch::Fetched>)| {
            assert_eq!((error, answers.len(), answers[0].error), (NONE, 1, NONE), "version {version}");
            let headers = &answers[0].headers;
            assert_eq!(answers[0].high_watermark, end, "version {version}");
            assert_eq!(headers.last().map(|header| header.next_offset), Some(end), "version {version}");
            assert_eq!(headers[1].base_sequence, 2, "version {version}");
            assert_eq!((headers[0].producer_id, headers[0].producer_epoch), (producer.id, producer.epoch));
        });
        for (ends, expected) in [(End::Latest, end), (End::Appended, end), (End::Earliest, 0)] {
            let list = || ListOffsets { topic: Arc::clone(&topic), partition: 0, end: ends };
            each_version!(connection, [1 2 3 4 5], list(), |version, answers: Vec<super::super::bodies::list_offsets::Offset>| {
                assert_eq!((answers.len(), answers[0].error, answers[0].offset), (1, NONE, expected), "version {version}");
            });
        }
        let ask = || Metadata { topics: vec![Arc::clone(&topic)] };
        each_version!(connection, [4 5 6 7 8 9 10 11 12], ask(), |version, cluster: super::super::bodies::metadata::Cluster| {
            assert_eq!(cluster.topics.len(), 1, "version {version}");
            assert_eq!(cluster.topics[0].leaders, [Some(1)], "version {version}");
            assert_eq!(cluster.topics[0].id != [0; 16], version >= 10, "version {version}");
            assert!(cluster.cluster.is_some() && cluster.brokers.len() == 1, "version {version}");
        });
        let describe = || DescribeConfigs { topics: vec![Arc::clone(&topic)] };
        each_version!(connection, [1 2], describe(), |version, answers: Vec<super::super::bodies::admin::TopicConfig>| {
            assert_eq!(answers[0].min_insync_replicas, Some(1), "version {version}");
        });
        let describe = || DescribeProducers { topic: Arc::clone(&topic), partition: 0 };
        each_version!(connection, [0], describe(), |version,
                                                    answers: Vec<
            super::super::bodies::producers::Producers,
        >| {
            let known = Known { epoch: producer.epoch, last_sequence: sequence - 1 };
            assert_eq!(answers[0].known, [(producer.id, known)], "version {version}");
        });
        let again =
            || CreateTopic { topic: Arc::clone(&topic), partitions: 1, replication: 1, timeout_ms: 5000 };
        each_version!(connection, [2 3 4], again(), |version, answers: Vec<super::super::bodies::admin::Created>| {
            assert_eq!(answers[0].error, TOPIC_ALREADY_EXISTS, "version {version}");
        });
    });
}

/// Records of one event each, as the log has them.
fn records(count: usize, payload: &[u8]) -> Vec<Item> {
    let rule = Rule::new(7, "hook", EventKind::MessagePublish, "stream").expect("a rule");
    let ts_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let data = EventData::Publish { topic: "devices/17", payload, qos: 1, packet_id: 0 };
    let event = Event { ts_ms, client_id: "device-17", username: "", data };
    let mut body = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..count {
        entry::append_record(&mut body, &rule, &event);
        ends.push(body.len() as u32);
    }
    let len = ends[0];
    let group = Arc::new(Group::new(1, "node".into(), 1..1 + count as u64, body, &Arc::default()));
    let item = |(sequence, end): (u64, u32)| Item {
        group: Arc::clone(&group),
        at: end - len,
        len,
        sequence,
        ts_ms,
        rule: 7,
        core: 0,
    };
    (1..).zip(ends).map(item).collect()
}

/// The client's own way: records of the log, encoded with each codec, several partitions in a
/// request, on the shared connection and alone.
#[test]
fn records_of_the_log_in_every_compression() {
    let Some(server) = server() else { return };
    run(async {
        let topic = name("codecs");
        for compression in Compression::ALL.into_iter().filter(|compression| compression.is_built()) {
            let mut config = KafkaConfig::new(vec![server.clone()]);
            config.compression = compression;
            let client = Client::new(&config).expect("a valid server");
            create(&client, &topic, 3).await;
            metadata(&client, &[Arc::clone(&topic)]).await;
            let producer = producer_id(&client).await;
            let parts: Vec<Part> = [2, 0, 1]
                .map(|partition| {
                    let records = records(200, &[b'p'; 100]);
                    Part { records, ..part(&topic, partition, producer, 0) }
                })
                .into();
            let mut first = Vec::new();
            for alone in [false, true] {
                let request = Request::Produce { node: 1, parts: parts.clone(), alone };
                let Ok(Answer::Produce { parts, throttle }) = client.carry_out(request).await else {
                    panic!("{compression}: no answer")
                };
                assert_eq!(throttle, Duration::ZERO);
                assert!(parts.iter().all(|one| one.error == NONE), "{compression}: {parts:?}");
                // The second time they are known already.
                first = if alone {
                    assert_eq!(parts, first);
                    parts
                } else {
                    parts
                };
            }
            assert_eq!(first.len(), 3);
            let (error, found) = find(&client, &parts[0], None, 0).await;
            assert_eq!((error, found), (NONE, Some(first[0].offset)), "{compression}");
        }
    });
}
