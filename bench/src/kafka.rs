//! Reading Kafka: what the drill's reader and the consumer of `stream` have in common. Of the records' meaning it knows
//! nothing.

use std::time::Duration;

use rskafka::BackoffConfig;
use rskafka::client::error::Error;
use rskafka::client::partition::PartitionClient;
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::RecordAndOffset;

/// Bytes of records in one answer.
const FETCH_BYTES: i32 = 8 << 20;
/// How long an answer without records may take.
const FETCH_WAIT_MS: i32 = 100;

/// # Errors
/// No server answers within `limit`.
pub(crate) async fn connect(servers: Vec<String>, limit: Duration) -> Result<Client, String> {
    // Tried again often: a reader waits for a Kafka that is killed and started by tests.
    let backoff = BackoffConfig {
        max_backoff: Duration::from_secs(1),
        deadline: Some(limit),
        ..BackoffConfig::default()
    };
    in_time(limit, ClientBuilder::new(servers).backoff_config(backoff).build()).await
}

/// The records from an offset on, as many as one answer brings; none if none come soon.
///
/// # Errors
/// Kafka refuses, or does not answer within `limit`.
pub(crate) async fn fetch(
    partition: &PartitionClient,
    offset: i64,
    limit: Duration,
) -> Result<Vec<RecordAndOffset>, String> {
    let (records, _) = in_time(limit, partition.fetch_records(offset, 1..FETCH_BYTES, FETCH_WAIT_MS)).await?;
    Ok(records)
}

/// The library waits for an answer for ever; this does not.
///
/// # Errors
/// What Kafka says, or that it says nothing.
pub(crate) async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, String> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer in {} s", limit.as_secs())),
    }
}
