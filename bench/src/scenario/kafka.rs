//! A consumer of what the broker has put into Kafka: reads a topic from its end at the start, finds this run's messages
//! in the records, and keeps an account of them, with latency from the intended send time.
//!
//! A thread of its own; each partition is fetched for itself, so that one without records delays no other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::kafka::{connect, fetch, in_time};
use crate::load::account::{Arrival, Ordered};
use crate::load::clock;
use crate::load::latency::Times;
use crate::load::payload::Stamp;
use crate::outcome::{Latency, Sample};

/// How long Kafka may not answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads while it lives.
#[derive(Debug)]
pub(super) struct Consumer {
    seen: Arc<Mutex<Seen>>,
    /// The measured seconds are now.
    measuring: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

/// Whose messages are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) run: u32,
    /// The group that publishes, and its streams.
    pub(super) group: usize,
    pub(super) streams: usize,
    /// Payload bytes.
    pub(super) size: usize,
}

/// What has come.
#[derive(Debug)]
pub(super) struct Seen {
    wanted: Wanted,
    ordered: Ordered,
    /// Distinct messages, by stream.
    came: Vec<u64>,
    /// In the measured seconds.
    pub(super) delivered: u64,
    pub(super) repeated: u64,
    pub(super) reordered: u64,
    /// Of this run, but not as it was sent.
    pub(super) foreign: u64,
    times: Times,
    /// Since the last sample.
    interval: Times,
    last: Instant,
    /// Why nothing more comes.
    pub(super) error: String,
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
    pub(super) fn start(servers: &str, topic: &str, wanted: Wanted) -> Result<Consumer, String> {
        let servers: Vec<_> = servers.split(',').map(|server| server.trim().to_owned()).collect();
        let consumer = Consumer {
            seen: Arc::new(Mutex::new(Seen::new(wanted))),
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
        let interval = std::mem::replace(&mut seen.interval, Times::new()).latency();
        sample.delivered = interval.count();
        (sample.p50_us, sample.p99_us) = (interval.quantile(0.5), interval.quantile(0.99));
        sample.max_us = interval.max();
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
    fn new(wanted: Wanted) -> Seen {
        Seen {
            wanted,
            ordered: Ordered::new(wanted.streams),
            came: vec![0; wanted.streams],
            delivered: 0,
            repeated: 0,
            reordered: 0,
            foreign: 0,
            times: Times::new(),
            interval: Times::new(),
            last: Instant::now(),
            error: String::new(),
        }
    }

    /// Takes a record's value, at `now_ns` of the monotonic clock. What is not of this run is nobody's business here:
    /// a topic may have other writers.
    fn take(&mut self, value: &[u8], now_ns: u64, measuring: bool) {
        let Ok(value) = serde_json::from_slice::<Value<'_>>(value) else { return };
        let Ok(payload) = STANDARD.decode(value.payload.as_bytes()) else { return };
        let Some(stamp) = Stamp::read(&payload).filter(|stamp| stamp.run == self.wanted.run) else { return };
        let stream = stamp.stream as usize;
        let is_whole = payload.len() == self.wanted.size && usize::from(stamp.group) == self.wanted.group;
        let Some(came) = self.came.get_mut(stream).filter(|_| is_whole) else {
            self.foreign += 1;
            return;
        };
        self.last = Instant::now();
        match self.ordered.arrive(stream, stamp.sequence) {
            Arrival::InOrder => {}
            Arrival::Late => self.reordered += 1,
            Arrival::Again => {
                self.repeated += 1;
                return;
            }
        }
        *came += 1;
        let ns = now_ns.saturating_sub(stamp.sent_ns);
        self.interval.record(ns, 1);
        if measuring {
            self.delivered += 1;
            self.times.record(ns, 1);
        }
    }

    fn came(&self) -> u64 {
        self.came.iter().sum()
    }

    /// Distinct messages of a stream.
    pub(super) fn arrived(&self, group: usize, stream: usize) -> u64 {
        let came = self.came.get(stream).filter(|_| group == self.wanted.group);
        came.copied().unwrap_or(0)
    }

    pub(super) fn latency(&self) -> Latency {
        self.times.latency()
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
    let client = connect(servers, ANSWER_TIMEOUT).await?;
    let topics = in_time(ANSWER_TIMEOUT, client.list_topics()).await?;
    let found = topics.into_iter().find(|found| found.name == topic);
    let found = found.ok_or_else(|| format!("there is no topic {topic}"))?;
    let mut readers = JoinSet::new();
    for number in found.partitions {
        let partition = client.partition_client(topic, number, UnknownTopicHandling::Retry);
        let partition = in_time(ANSWER_TIMEOUT, partition).await?;
        let next = in_time(ANSWER_TIMEOUT, partition.get_offset(OffsetAt::Latest)).await?;
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
        let records = fetch(&partition, next, ANSWER_TIMEOUT).await?;
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
        let mut seen = Seen::new(Wanted { run: 7, group: 0, streams: 4, size: 40 });
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
        assert_eq!([0, 1, 3, 9].map(|stream| seen.arrived(0, stream)), [5, 0, 1, 0]);
        assert_eq!(seen.arrived(1, 0), 0);
        assert_eq!((seen.delivered, seen.latency().counts), (6, vec![(2_000, 6)]));
        for other in [record(8, 0, 9, 40), b"not JSON".to_vec(), br#"{"payload":"??"}"#.to_vec(), Vec::new()]
        {
            seen.take(&other, 3_000_000, true);
        }
        assert_eq!((seen.came(), seen.foreign), (6, 0));
        seen.take(&record(7, 0, 9, 41), 3_000_000, true);
        seen.take(&record(7, 4, 0, 40), 3_000_000, true);
        assert_eq!((seen.came(), seen.foreign), (6, 2));
    }
}
