//! A consumer of what the broker has put into Kafka: reads a topic from its end at the start, finds this run's messages
//! in the records, and keeps an account of them, with latency from the intended send time.
//!
//! A thread of its own; each partition is fetched for itself, so that one without records delays no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use rskafka::BackoffConfig;
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::load::clock;
use crate::load::payload::Stamp;
use crate::outcome::{Latency, Sample};

/// How long Kafka may not answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of records in one answer.
const FETCH_BYTES: i32 = 8 << 20;
/// How long an answer without records may take.
const FETCH_WAIT_MS: i32 = 100;
/// Gaps in all streams together that are remembered: what comes after it was given up is counted as repeated.
const GAPS_MAX: usize = 1 << 20;
/// The longest latency that is told from longer ones, in µs.
const LATENCY_MAX_US: u64 = 120_000_000;

/// Reads while it lives.
#[derive(Debug)]
pub(super) struct Consumer {
    seen: Arc<Mutex<Seen>>,
    /// The measured seconds are now.
    measuring: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

/// What has come.
#[derive(Debug)]
pub(super) struct Seen {
    run: u32,
    size: usize,
    streams: BTreeMap<(usize, usize), Followed>,
    gaps: usize,
    /// In the measured seconds.
    pub(super) delivered: u64,
    pub(super) repeated: u64,
    pub(super) reordered: u64,
    /// Of this run, but not as it was sent.
    pub(super) foreign: u64,
    latency: Histogram<u64>,
    /// Since the last sample.
    interval: Histogram<u64>,
    last: Instant,
    /// Why nothing more comes.
    pub(super) error: String,
}

/// The messages of one stream that have come.
#[derive(Debug, Default)]
struct Followed {
    /// One above the highest sequence number.
    next: u64,
    missing: BTreeSet<u64>,
    came: u64,
}

/// What is looked at of a record's value.
#[derive(Deserialize)]
struct Value<'a> {
    #[serde(borrow)]
    payload: std::borrow::Cow<'a, str>,
}

impl Consumer {
    /// Starts reading `topic` at its end; returns when it does.
    ///
    /// # Errors
    /// Kafka does not answer, or there is no such topic.
    pub(super) fn start(servers: &str, topic: &str, run: u32, size: usize) -> Result<Consumer, String> {
        let servers: Vec<_> = servers.split(',').map(|server| server.trim().to_owned()).collect();
        let consumer = Consumer {
            seen: Arc::new(Mutex::new(Seen::new(run, size)?)),
            measuring: Arc::default(),
            ended: Arc::default(),
        };
        let (sender, ready) = mpsc::sync_channel(1);
        let shared =
            (Arc::clone(&consumer.seen), Arc::clone(&consumer.measuring), Arc::clone(&consumer.ended));
        let (topic, named) = (topic.to_owned(), format!("Kafka at {}", servers.join(",")));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let result = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
                runtime.block_on(follow(servers, &topic, &sender, &shared.0, &shared.1, &shared.2))
            });
            if let Err(error) = result {
                lock(&shared.0).error.clone_from(&error);
                // Whoever waits for the start learns it here, everybody later from what was seen.
                let _ = sender.try_send(Err(error));
            }
        });
        match ready.recv() {
            Ok(Ok(())) => Ok(consumer),
            Ok(Err(error)) => Err(format!("{named}: {error}")),
            Err(_) => Err(format!("{named}: the consumer is gone")),
        }
    }

    pub(super) fn measure(&self, measuring: bool) {
        self.measuring.store(measuring, Ordering::Relaxed);
    }

    /// Gives a sample what came in its interval.
    pub(super) fn fill(&self, sample: &mut Sample) {
        let mut seen = lock(&self.seen);
        sample.delivered = seen.interval.len();
        sample.p50_us = seen.interval.value_at_quantile(0.5);
        sample.p99_us = seen.interval.value_at_quantile(0.99);
        sample.max_us = seen.interval.max();
        seen.interval.reset();
    }

    /// Waits until so many messages have come, at most `drain`, or as long as more come.
    pub(super) fn wait(&self, expected: u64, drain: Duration) {
        let started = Instant::now();
        loop {
            let (came, last, failed) = {
                let seen = lock(&self.seen);
                (seen.came(), seen.last, !seen.error.is_empty())
            };
            if came >= expected
                || failed
                || started.max(last).elapsed() > drain
                || super::interrupt::requested()
            {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the reading, and says what has come.
    pub(super) fn finish(self) -> Arc<Mutex<Seen>> {
        self.ended.store(true, Ordering::Relaxed);
        Arc::clone(&self.seen)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

pub(super) fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    fn new(run: u32, size: usize) -> Result<Seen, String> {
        let histogram =
            || Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).map_err(|error| error.to_string());
        Ok(Seen {
            run,
            size,
            streams: BTreeMap::new(),
            gaps: 0,
            delivered: 0,
            repeated: 0,
            reordered: 0,
            foreign: 0,
            latency: histogram()?,
            interval: histogram()?,
            last: Instant::now(),
            error: String::new(),
        })
    }

    /// Takes a record's value, at `now_ns` of the monotonic clock. What is not of this run is nobody's business here:
    /// a topic may have other writers.
    fn take(&mut self, value: &[u8], now_ns: u64, measuring: bool) {
        let Ok(value) = serde_json::from_slice::<Value<'_>>(value) else { return };
        let Ok(payload) = STANDARD.decode(value.payload.as_bytes()) else { return };
        let Some(stamp) = Stamp::read(&payload).filter(|stamp| stamp.run == self.run) else { return };
        if payload.len() != self.size {
            self.foreign += 1;
            return;
        }
        self.last = Instant::now();
        let followed = self.streams.entry((usize::from(stamp.group), stamp.stream as usize)).or_default();
        let sequence = stamp.sequence;
        if sequence >= followed.next {
            let room = GAPS_MAX.saturating_sub(self.gaps) as u64;
            let missing = (followed.next..sequence).take(usize::try_from(room).unwrap_or(usize::MAX));
            let before = followed.missing.len();
            followed.missing.extend(missing);
            self.gaps += followed.missing.len() - before;
            followed.next = sequence + 1;
        } else if followed.missing.remove(&sequence) {
            self.gaps -= 1;
            self.reordered += 1;
        } else {
            self.repeated += 1;
            return;
        }
        followed.came += 1;
        let us = (now_ns.saturating_sub(stamp.sent_ns) / 1_000).clamp(1, LATENCY_MAX_US);
        self.interval.saturating_record(us);
        if measuring {
            self.delivered += 1;
            self.latency.saturating_record(us);
        }
    }

    fn came(&self) -> u64 {
        self.streams.values().map(|followed| followed.came).sum()
    }

    /// Distinct messages by stream: `(group, stream, how many)`.
    pub(super) fn arrived(&self) -> Vec<(usize, usize, u64)> {
        self.streams.iter().map(|(&(group, stream), followed)| (group, stream, followed.came)).collect()
    }

    pub(super) fn latency(&self) -> Latency {
        let counts = self.latency.iter_recorded();
        Latency {
            counts: counts.map(|at| (at.value_iterated_to(), at.count_since_last_iteration())).collect(),
        }
    }
}

async fn follow(
    servers: Vec<String>,
    topic: &str,
    ready: &SyncSender<Result<(), String>>,
    seen: &Arc<Mutex<Seen>>,
    measuring: &Arc<AtomicBool>,
    ended: &Arc<AtomicBool>,
) -> Result<(), String> {
    let backoff = BackoffConfig { deadline: Some(ANSWER_TIMEOUT), ..BackoffConfig::default() };
    let client = in_time(ClientBuilder::new(servers).backoff_config(backoff).build()).await?;
    let topics = in_time(client.list_topics()).await?;
    let found = topics.into_iter().find(|found| found.name == topic);
    let found = found.ok_or_else(|| format!("there is no topic {topic}"))?;
    let mut readers = JoinSet::new();
    for number in found.partitions {
        let partition = client.partition_client(topic, number, UnknownTopicHandling::Retry);
        let partition = in_time(partition).await?;
        let next = in_time(partition.get_offset(OffsetAt::Latest)).await?;
        readers.spawn(read(partition, next, Arc::clone(seen), Arc::clone(measuring), Arc::clone(ended)));
    }
    if ready.send(Ok(())).is_err() {
        return Ok(());
    }
    while let Some(reader) = readers.join_next().await {
        reader.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// Reads one partition until nobody wants more.
async fn read(
    partition: PartitionClient,
    mut next: i64,
    seen: Arc<Mutex<Seen>>,
    measuring: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
) -> Result<(), String> {
    while !ended.load(Ordering::Relaxed) {
        let (records, _) = in_time(partition.fetch_records(next, 1..FETCH_BYTES, FETCH_WAIT_MS)).await?;
        let now_ns = clock::now_ns();
        let mut seen = lock(&seen);
        for record in records {
            next = record.offset.saturating_add(1);
            let value = record.record.value.unwrap_or_default();
            seen.take(&value, now_ns, measuring.load(Ordering::Relaxed));
        }
    }
    Ok(())
}

/// The library waits for an answer for ever; this does not.
async fn in_time<T>(
    answer: impl Future<Output = Result<T, rskafka::client::error::Error>>,
) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer in {} s", ANSWER_TIMEOUT.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(run: u32, stream: u32, sequence: u64, size: usize) -> Vec<u8> {
        let stamp = Stamp { sent_ns: 1_000_000, run, group: 0, stream, sequence };
        let mut payload = stamp.to_bytes().to_vec();
        payload.resize(size, b'x');
        let payload = STANDARD.encode(payload);
        format!(r#"{{"client_id":"a\"b","username":"","topic":"devices/1/state","payload":"{payload}","qos":1,"node":"n@h","ts":5}}"#)
            .into_bytes()
    }

    #[test]
    fn the_account_of_what_came() {
        let mut seen = Seen::new(7, 40).expect("histograms");
        // Name, stream, sequence, and then: came, repeated, reordered.
        let steps = [
            ("first", 0, 0, (1, 0, 0)),
            ("second", 0, 1, (2, 0, 0)),
            ("again", 0, 0, (2, 1, 0)),
            ("a gap of two", 0, 4, (3, 1, 0)),
            ("another stream", 3, 0, (4, 1, 0)),
            ("fills the gap", 0, 2, (5, 1, 1)),
            ("and again", 0, 2, (5, 2, 1)),
            ("goes on", 0, 5, (6, 2, 1)),
        ];
        for (name, stream, sequence, expected) in steps {
            seen.take(&record(7, stream, sequence, 40), 3_000_000, true);
            assert_eq!((seen.came(), seen.repeated, seen.reordered), expected, "{name}");
        }
        assert_eq!(seen.arrived(), [(0, 0, 5), (0, 3, 1)]);
        assert_eq!((seen.delivered, seen.latency().counts), (6, vec![(2_000, 6)]));
        assert_eq!(seen.gaps, 1);
        for other in [record(8, 0, 9, 40), b"not JSON".to_vec(), br#"{"payload":"??"}"#.to_vec(), Vec::new()]
        {
            seen.take(&other, 3_000_000, true);
        }
        assert_eq!((seen.came(), seen.foreign), (6, 0));
        seen.take(&record(7, 0, 9, 41), 3_000_000, true);
        assert_eq!((seen.came(), seen.foreign), (6, 1));
    }
}
