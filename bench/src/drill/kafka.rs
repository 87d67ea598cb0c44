//! The stream as it is in Kafka: a reader of its own, from the first record of every partition on.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use rskafka::client::Client;
use rskafka::client::partition::{PartitionClient, UnknownTopicHandling};

use crate::kafka::{connect, fetch, in_time};

/// How long Kafka may not answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the topic may take to appear: the broker makes it when it has a record for it.
const TOPIC_TIMEOUT: Duration = Duration::from_secs(120);

/// Reads `topic` until nobody listens: the values of its records, those of one partition in their order. An error is the
/// last that is sent.
pub(super) fn read(servers: Vec<String>, topic: &str, values: &SyncSender<Result<Vec<u8>, String>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(follow(servers.clone(), topic, values)));
    if let Err(error) = result {
        // Nobody listens: the drill has ended.
        let _ = values.send(Err(format!("Kafka at {}: {error}", servers.join(","))));
    }
}

async fn follow(
    servers: Vec<String>,
    topic: &str,
    values: &SyncSender<Result<Vec<u8>, String>>,
) -> Result<(), String> {
    let client = connect(servers, ANSWER_TIMEOUT).await?;
    let mut partitions = partitions(&client, topic).await?;
    loop {
        for (partition, next) in partitions.values_mut() {
            for record in fetch(partition, *next, ANSWER_TIMEOUT).await? {
                *next = record.offset.saturating_add(1);
                if values.send(Ok(record.record.value.unwrap_or_default())).is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// The topic's partitions with the offset at which each goes on, once it is there.
async fn partitions(client: &Client, topic: &str) -> Result<BTreeMap<i32, (PartitionClient, i64)>, String> {
    let started = Instant::now();
    loop {
        let topics = in_time(ANSWER_TIMEOUT, client.list_topics()).await?;
        if let Some(found) = topics.into_iter().find(|found| found.name == topic) {
            let mut partitions = BTreeMap::new();
            for number in found.partitions {
                let partition = client.partition_client(topic, number, UnknownTopicHandling::Retry);
                partitions.insert(number, (in_time(ANSWER_TIMEOUT, partition).await?, 0));
            }
            return Ok(partitions);
        }
        if started.elapsed() > TOPIC_TIMEOUT {
            return Err(format!("there is no topic {topic} after {} s", TOPIC_TIMEOUT.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
