//! Carries out the machine's requests: to which broker, with which bodies, and what the answer
//! means in the machine's words. Sends nothing twice; that is the machine's decision.

use std::sync::Arc;

use super::address::Address;
use super::bodies::admin::{CreateTopic, DescribeConfigs};
use super::bodies::api::Api;
use super::bodies::fetch::{Fetch, Header};
use super::bodies::list_offsets::{End, ListOffsets};
use super::bodies::metadata::Metadata;
use super::bodies::produce::{self, Produce};
use super::bodies::producers::{DescribeProducers, InitProducerId};
use super::connection::{Connection, Times};
use super::nodes::{Lane, Nodes};
use crate::log::control::ProducerId;
use crate::sender::request::{self, Answer, Failure, Outcome, Part, Request, TopicPartition};
use crate::target::{Compression, KafkaConfig};

/// Bytes that one round of reading back asks for.
const FETCH_BYTES: i32 = 1 << 20;
/// Rounds in a row that may bring nothing before the end is reached.
const EMPTY_ROUNDS_MAX: u32 = 3;

/// Kafka's errors that mean something here.
const OFFSET_OUT_OF_RANGE: i16 = 1;
const NOT_CONTROLLER: i16 = 41;
const OFFSET_NOT_AVAILABLE: i16 = 78;

pub(crate) struct Client {
    nodes: Nodes,
    times: Times,
    compression: Compression,
}

impl Client {
    /// # Errors
    /// A server that is not `HOST:PORT`, or none at all.
    pub(crate) fn new(config: &KafkaConfig) -> Result<Client, String> {
        let servers: Vec<Address> =
            config.servers.iter().map(|server| server.parse()).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err("no server is configured".to_owned());
        }
        let times = Times { connect: config.connect_timeout, request: config.request_timeout };
        let nodes = Nodes::new(servers, config.client_id.as_str().into(), times);
        Ok(Client { nodes, times, compression: config.compression })
    }

    /// Carries out one request.
    pub(crate) async fn carry_out(&self, request: Request) -> Outcome {
        match request {
            Request::Metadata { topics } => self.metadata(topics).await,
            Request::CreateTopic { topic, partitions, replication } => {
                self.create_topic(topic, partitions, replication).await
            }
            Request::InitProducerId => {
                let (_, (error, producer)) = self.any(|| InitProducerId).await?;
                Ok(Answer::InitProducerId { error, producer })
            }
            Request::Produce { node, parts, alone } => self.produce(node, parts, alone).await,
            Request::DescribeProducer { node, of, producer } => {
                self.describe_producer(node, of, producer).await
            }
            Request::FindBatch { node, of, from, producer, base_sequence } => {
                let broker = self.nodes.node(node, Lane::Questions)?;
                Search { broker, of, producer, base_sequence }.run(from).await
            }
            Request::EndOffset { node, of } => {
                let broker = self.nodes.node(node, Lane::Questions)?;
                let (error, offset) = offset(&broker, &of, End::Latest).await?;
                Ok(Answer::EndOffset { error, offset })
            }
            Request::MinInsyncReplicas { topics } => self.min_insync_replicas(topics).await,
        }
    }

    /// Asks one broker after the other until one can be reached, beginning with the one that
    /// answered last.
    async fn any<A: Api>(&self, request: impl Fn() -> A) -> Result<(Arc<Connection>, A::Answer), Failure> {
        let mut causes = Vec::new();
        for broker in self.nodes.any() {
            match broker.ask(request()).await {
                Ok(answer) => return Ok((broker, answer)),
                Err(Failure::NotSent(cause)) => causes.push(cause),
                Err(failure) => {
                    self.nodes.pass_on();
                    return Err(failure);
                }
            }
            self.nodes.pass_on();
        }
        Err(Failure::NotSent(causes.join("; ")))
    }

    async fn metadata(&self, topics: Vec<Arc<str>>) -> Outcome {
        let (broker, cluster) = self.any(|| Metadata { topics: topics.clone() }).await?;
        self.nodes.learn(&cluster.brokers);
        let mut found = cluster.topics;
        let mut ordered = Vec::with_capacity(topics.len());
        for topic in &topics {
            match found.iter().position(|one| one.topic == *topic) {
                Some(at) => ordered.push(found.swap_remove(at)),
                None => return Err(broker.distrust(&format!("does not answer for topic {topic}")).await),
            }
        }
        Ok(Answer::Metadata(request::Metadata {
            cluster: cluster.cluster.filter(|cluster| !cluster.is_empty()),
            nodes: cluster.brokers.iter().map(|broker| broker.id).collect(),
            topics: ordered,
        }))
    }

    async fn create_topic(&self, topic: Arc<str>, partitions: i32, replication: i16) -> Outcome {
        let timeout_ms = self.broker_timeout_ms();
        let create = || CreateTopic { topic: Arc::clone(&topic), partitions, replication, timeout_ms };
        let (broker, answers) = self.any(create).await?;
        let Some(created) = answers.into_iter().find(|answer| answer.topic == topic) else {
            return Err(broker.distrust(&format!("does not answer for topic {topic}")).await);
        };
        if created.error == NOT_CONTROLLER {
            self.nodes.pass_on();
        }
        Ok(Answer::CreateTopic { error: created.error, text: created.text })
    }

    async fn produce(&self, node: i32, parts: Vec<Part>, alone: bool) -> Outcome {
        let lane = match parts.first() {
            Some(part) if alone => Lane::Alone(part.of.clone()),
            _ => Lane::Batches,
        };
        let broker = self.nodes.node(node, lane)?;
        let (parts, compression): (Arc<[Part]>, _) = (parts.into(), self.compression);
        let mut encoded = None;
        if matches!(compression, Compression::Gzip | Compression::Zstd) {
            // These take milliseconds a batch, and this thread has the other connections to serve.
            let parts = Arc::clone(&parts);
            let work = move || produce::encode(&parts, compression);
            let done = tokio::task::spawn_blocking(work).await.ok().flatten();
            let unreadable = || Failure::NotSent("a record of the log cannot be encoded".to_owned());
            encoded = Some(done.ok_or_else(unreadable)?);
        }
        let timeout_ms = self.broker_timeout_ms();
        let request = Produce { parts: Arc::clone(&parts), encoded, compression, timeout_ms };
        let (answers, throttle_ms) = broker.ask(request).await?;
        let throttle = broker.mute(throttle_ms);
        match produce::in_order(&parts, answers) {
            Ok(parts) => Ok(Answer::Produce { parts, throttle }),
            Err(what) => Err(broker.distrust(&what).await),
        }
    }

    async fn describe_producer(&self, node: i32, of: TopicPartition, producer: i64) -> Outcome {
        let broker = self.nodes.node(node, Lane::Questions)?;
        let ask = DescribeProducers { topic: Arc::clone(&of.topic), partition: of.partition };
        let answers = broker.ask(ask).await?;
        let answer = answers.into_iter().find(|one| one.topic == of.topic && one.partition == of.partition);
        let Some(answer) = answer else { return Err(other_partition(&broker, &of).await) };
        let known = answer.known.into_iter().find(|(id, _)| *id == producer).map(|(_, known)| known);
        Ok(Answer::DescribeProducer { error: answer.error, known })
    }

    async fn min_insync_replicas(&self, topics: Vec<Arc<str>>) -> Outcome {
        let (_, found) = self.any(|| DescribeConfigs { topics: topics.clone() }).await?;
        let of = |topic: &Arc<str>| found.iter().find(|one| one.topic == *topic)?.min_insync_replicas;
        Ok(Answer::MinInsyncReplicas { topics: topics.iter().map(of).collect() })
    }

    /// How long a broker may take by its own clock: less than we wait, so that its own "timed
    /// out", after which the connection goes on, comes before our end of the connection.
    fn broker_timeout_ms(&self) -> i32 {
        let limit = self.times.request;
        i32::try_from((limit - limit / 4).as_millis()).unwrap_or(i32::MAX)
    }
}

async fn other_partition(broker: &Connection, of: &TopicPartition) -> Failure {
    broker.distrust(&format!("does not answer for partition {} of topic {}", of.partition, of.topic)).await
}

/// Error code and offset of an end of a partition.
async fn offset(broker: &Connection, of: &TopicPartition, end: End) -> Result<(i16, u64), Failure> {
    let ask = ListOffsets { topic: Arc::clone(&of.topic), partition: of.partition, end };
    let answers = broker.ask(ask).await?;
    let answer = answers.into_iter().find(|one| one.topic == of.topic && one.partition == of.partition);
    let Some(answer) = answer else { return Err(other_partition(broker, of).await) };
    match u64::try_from(answer.offset) {
        Ok(offset) => Ok((answer.error, offset)),
        Err(_) if answer.error != 0 => Ok((answer.error, 0)),
        Err(_) => Err(broker.distrust("answers with a negative offset").await),
    }
}

/// Looks for one batch in the headers of a partition.
struct Search {
    broker: Arc<Connection>,
    of: TopicPartition,
    producer: ProducerId,
    base_sequence: i32,
}

/// One round of a search.
struct Round {
    error: i16,
    high_watermark: i64,
    headers: Vec<Header>,
}

impl Search {
    async fn run(&self, from: Option<u64>) -> Outcome {
        let not_found = |error| Ok(Answer::FindBatch { error, found: None });
        // What the leader has appended and not all replicas have yet cannot be read. "Not found"
        // says something only once everything that stood there at the beginning can be.
        let appended = match offset(&self.broker, &self.of, End::Appended).await? {
            (0, offset) => i64::try_from(offset).unwrap_or(i64::MAX),
            (error, _) => return not_found(error),
        };
        let mut at = match from {
            Some(from) => i64::try_from(from).unwrap_or(i64::MAX),
            None => match self.earliest().await? {
                (0, offset) => offset,
                (error, _) => return not_found(error),
            },
        };
        let mut end = None;
        let mut empty = 0u32;
        loop {
            let round = self.fetch(at).await?;
            if round.error == OFFSET_OUT_OF_RANGE && end.is_none() {
                // Below the start: retention went past `at`, so the rest is looked through. Behind
                // the end: nothing stands there.
                match self.earliest().await? {
                    (0, earliest) if earliest > at => at = earliest,
                    (error, _) => return not_found(error),
                }
                empty = empty.saturating_add(1);
                if empty > EMPTY_ROUNDS_MAX {
                    return not_found(OFFSET_OUT_OF_RANGE);
                }
                continue;
            }
            if round.error != 0 {
                return not_found(round.error);
            }
            let end = *end.get_or_insert(round.high_watermark);
            let before = at;
            for header in &round.headers {
                if header.producer_id == self.producer.id
                    && header.producer_epoch == self.producer.epoch
                    && header.base_sequence == self.base_sequence
                {
                    let found = u64::try_from(header.base_offset).ok();
                    return Ok(Answer::FindBatch { error: 0, found });
                }
                at = at.max(header.next_offset);
            }
            if at >= end {
                return not_found(if end < appended { OFFSET_NOT_AVAILABLE } else { 0 });
            }
            empty = if at > before { 0 } else { empty.saturating_add(1) };
            if empty > EMPTY_ROUNDS_MAX {
                let what = format!(
                    "gives nothing of partition {} of topic {} from offset {at} on, which ends at {end}",
                    self.of.partition, self.of.topic
                );
                return Err(self.broker.distrust(&what).await);
            }
        }
    }

    async fn earliest(&self) -> Result<(i16, i64), Failure> {
        let (error, offset) = offset(&self.broker, &self.of, End::Earliest).await?;
        Ok((error, i64::try_from(offset).unwrap_or(i64::MAX)))
    }

    async fn fetch(&self, offset: i64) -> Result<Round, Failure> {
        let (topic, partition) = (Arc::clone(&self.of.topic), self.of.partition);
        let (error, answers) =
            self.broker.ask(Fetch { topic, partition, offset, bytes_max: FETCH_BYTES }).await?;
        if error != 0 {
            return Ok(Round { error, high_watermark: 0, headers: Vec::new() });
        }
        let mut answers = answers.into_iter();
        let found = answers.find(|one| one.topic == self.of.topic && one.partition == self.of.partition);
        let Some(found) = found else { return Err(other_partition(&self.broker, &self.of).await) };
        let (error, high_watermark) = (found.error, found.high_watermark);
        Ok(Round { error, high_watermark, headers: found.headers })
    }
}
