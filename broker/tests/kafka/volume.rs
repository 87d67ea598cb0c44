//! Many clients, partitions and topics; each compression; a quota.

use crate::client::Reader;
use crate::feed::{self, arrives, hook, payloads, settled};
use crate::node::shared;
use crate::support::{Raw, load::Load};
use millrace_codec::{QoS, Version};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[test]
fn many_clients_partitions_and_topics() {
    let Some(kafka) = shared() else { return };
    let topics = [("volume_16", 16), ("volume_1", 1), ("volume_5", 5)];
    let mut settings = Vec::new();
    for (topic, partitions) in topics {
        kafka.create_topic(topic, partitions);
        if topic != "volume_16" {
            for setting in ["on=message.publish", "filter=devices/+/state", &format!("topic={topic}")] {
                settings.push(format!("hook.{topic}.{setting}"));
            }
        }
    }
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut broker = feed::broker(&kafka, "volume_16", &settings);
    let mut load = Load::of(QoS::AtLeastOnce, 100, Duration::from_millis(5));
    load.finish(&mut broker, 10_000);
    let mut client = kafka.client();
    for (topic, partitions) in topics {
        let reader = arrives(&load, &mut client, &broker, topic);
        // A client's records are in one partition, and the clients are spread.
        let mut partition_of = BTreeMap::new();
        for record in &reader.records {
            let partition = *partition_of.entry(record.key()).or_insert(record.partition);
            assert_eq!(partition, record.partition, "{topic}: {}", record.key());
        }
        let used: std::collections::BTreeSet<i32> = partition_of.values().copied().collect();
        assert_eq!(partition_of.len(), 100, "{topic}");
        assert!(used.len() > partitions as usize * 3 / 4, "{topic}: {used:?}");
    }
}

/// Java's partitioner, as whoever writes to the same topics has it: vectors printed by kafka-clients 4.3.1.
#[test]
fn keys_go_where_java_puts_them() {
    let Some(kafka) = shared() else { return };
    kafka.create_topic("volume_java", 16);
    let broker = feed::broker(&kafka, "volume_java", &["hook.message_state.filter=#"]);
    let keys = [
        ("a", 12),
        ("ab", 10),
        ("abc", 11),
        ("21", 12),
        ("foobar", 14),
        ("a-little-bit-long-string", 0),
        ("device/17/temp", 3),
        ("é€", 1),
    ];
    for (key, _) in keys {
        let mut device = Raw::connect(&broker, Version::V311, key);
        device.publish("topic", b"", QoS::AtLeastOnce, 1);
        device.expect(&[0x40, 2, 0, 1]);
    }
    settled(&broker);
    let records = kafka.client().consume("volume_java");
    assert_eq!(records.len(), keys.len());
    for (key, partition) in keys {
        let found = records.iter().find(|record| record.key() == key).expect("a record");
        assert_eq!(found.partition, partition, "{key}");
    }
}

/// Each codec is in the batches' headers, and Kafka's own consumer reads every record back.
#[test]
fn each_compression() {
    let Some(kafka) = shared() else { return };
    let mut client = kafka.client();
    let codecs = [("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)];
    let mut expected = Vec::new();
    for (name, codec) in codecs {
        let topic = format!("volume_codec_{name}");
        kafka.create_topic(&topic, 1);
        let broker = feed::broker(&kafka, &topic, &[&format!("kafka.compression={name}")]);
        let mut device = Raw::connect(&broker, Version::V311, name);
        for number in 1..=200u16 {
            let payload = format!("{name} {number} {}", "compressible ".repeat(usize::from(number)));
            device.publish("devices/device/state", payload.as_bytes(), QoS::AtLeastOnce, number);
            expected.push(payload);
        }
        for _ in 0..200 {
            device.packet();
        }
        settled(&broker);
        let mut reader = Reader::new(&topic);
        reader.read(&mut client);
        assert!(reader.batches.iter().all(|batch| batch.codec == codec), "{name}: {:?}", reader.batches);
        assert_eq!(reader.batches.iter().map(|batch| batch.records).sum::<i32>(), 200, "{name}");
    }
    let lines = kafka.console_consumer("volume_codec_.*", expected.len());
    let mut read = BTreeMap::<String, Vec<String>>::new();
    for line in &lines {
        let (key, value) = line.split_once('\t').expect("a key");
        read.entry(key.to_owned()).or_default().push(crate::support::payload(value.as_bytes()));
    }
    for (name, payloads) in
        expected.chunks(200).map(|chunk| (chunk[0].split(' ').next().expect("a word"), chunk))
    {
        assert_eq!(read[name], payloads, "{name}");
    }
}

/// A quota makes Kafka answer late and mute the connection; nothing is sent again for it.
#[test]
fn a_quota_slows_and_repeats_nothing() {
    let Some(kafka) = shared() else { return };
    let mut client = kafka.client();
    kafka.create_topic("volume_quota", 2);
    client.set_producer_quota("volume-quota", 100_000.0);
    let settings = ["kafka.client_id=volume-quota", "kafka.batch_records=50", "kafka.request_timeout=5s"];
    let broker = feed::broker(&kafka, "volume_quota", &settings);
    let mut expected = Vec::new();
    let begun = Instant::now();
    for device in ["one", "two"] {
        let mut raw = Raw::connect(&broker, Version::V311, device);
        for number in 1..=800u16 {
            let payload = format!("{device} {number} {}", "x".repeat(700));
            raw.publish("devices/device/state", payload.as_bytes(), QoS::AtLeastOnce, number);
            expected.push(payload);
        }
        for _ in 0..800 {
            raw.packet();
        }
    }
    let status = settled(&broker);
    // 1.7 MB at 100 kB a second; Kafka lets the first seconds' worth pass. Without the quota it is one second.
    assert!(begun.elapsed() > Duration::from_secs(5), "{:?}: nothing was throttled", begun.elapsed());
    let mut found = payloads(&client.consume("volume_quota"));
    found.sort_by_key(|payload| payload.starts_with("two"));
    assert_eq!(found.len(), expected.len());
    assert_eq!(found, expected);
    let hook = hook(&status, "message_state");
    assert_eq!((feed::count(&hook, "retried"), feed::count(&hook, "possibly_repeated")), (0, 0), "{hook:#}");
}
