//! Batches to their partitions. They are encoded straight from the log's records into the
//! request; where they are compressed, into buffers of their own beforehand.

use std::collections::BTreeMap;
use std::sync::Arc;

use rskafka::protocol::api_key::ApiKey;

use super::api::Api;
use super::bytes::{Input, Malformed, Output};
use crate::batch;
use crate::sender::request::{Part, Produced};
use crate::target::Compression;

/// One batch for each of some partitions, acks=all.
pub(crate) struct Produce {
    pub(crate) parts: Arc<[Part]>,
    /// The batches of `parts`, where they were encoded before.
    pub(crate) encoded: Option<Vec<Vec<u8>>>,
    pub(crate) compression: Compression,
    /// How long the leader waits for its replicas.
    pub(crate) timeout_ms: i32,
}

/// What came of the batch of one partition.
pub(crate) struct PartitionAnswer {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) produced: Produced,
}

const UNREADABLE: &str = "a record of the log cannot be encoded";

/// Encodes the batches of `parts`, one buffer each. `None` if a record cannot be read.
pub(crate) fn encode(parts: &[Part], compression: Compression) -> Option<Vec<Vec<u8>>> {
    let encode = |part| {
        let mut batch = Vec::new();
        batch::encode(&mut batch, part, compression).ok().map(|()| batch)
    };
    parts.iter().map(encode).collect()
}

impl Produce {
    /// Length and batch; the length is known afterwards.
    fn batch(&self, out: &mut Vec<u8>, index: usize, part: &Part) -> Option<()> {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        match &self.encoded {
            Some(encoded) => out.extend_from_slice(encoded.get(index)?),
            None => batch::encode(out, part, self.compression).ok()?,
        }
        let len = i32::try_from(out.len().checked_sub(at)?.checked_sub(4)?).ok()?;
        out.get_mut(at..at.checked_add(4)?)?.copy_from_slice(&len.to_be_bytes());
        Some(())
    }
}

impl Api for Produce {
    const KEY: ApiKey = ApiKey::Produce;
    // 3: the first with today's batches. 8: the first that names the records refused.
    const MIN: i16 = 3;
    const MAX: i16 = 8;
    type Answer = (Vec<PartitionAnswer>, i32);

    fn write(&self, out: &mut Output<'_>, _: i16) -> Result<(), &'static str> {
        out.null_string(); // transaction
        out.i16(-1); // acks=all
        out.i32(self.timeout_ms);
        let mut topics: BTreeMap<&str, Vec<(usize, &Part)>> = BTreeMap::new();
        for (index, part) in self.parts.iter().enumerate() {
            topics.entry(&part.of.topic).or_default().push((index, part));
        }
        out.count(topics.len());
        for (topic, parts) in topics {
            out.string(topic);
            out.count(parts.len());
            for (index, part) in parts {
                out.i32(part.of.partition);
                self.batch(out.out, index, part).ok_or(UNREADABLE)?;
            }
        }
        Ok(())
    }

    fn read(input: &mut Input<'_>, version: i16) -> Result<Self::Answer, Malformed> {
        let topics = input.list(|input| {
            let topic = Arc::<str>::from(input.string()?);
            input.list(|input| {
                let partition = input.i32()?;
                Ok(PartitionAnswer {
                    topic: Arc::clone(&topic),
                    partition,
                    produced: produced(input, version)?,
                })
            })
        })?;
        let throttle_ms = input.i32()?;
        Ok((topics.into_iter().flatten().collect(), throttle_ms))
    }
}

fn produced(input: &mut Input<'_>, version: i16) -> Result<Produced, Malformed> {
    let (error, offset) = (input.i16()?, input.i64()?);
    input.i64()?; // time of the append
    if version >= 5 {
        input.i64()?; // start of the partition
    }
    let (mut offenders, mut text) = (Vec::new(), None);
    if version >= 8 {
        offenders = input.list(|input| {
            let index = u32::try_from(input.i32()?).map_err(|_| Malformed("a record's index is negative"))?;
            Ok((index, input.nullable_string()?.map(str::to_owned)))
        })?;
        text = input.nullable_string()?.map(str::to_owned);
    }
    // -1 stands beside an error.
    Ok(Produced { error, offset: u64::try_from(offset).unwrap_or(0), offenders, text })
}

/// The answers in the order of the parts; each part has to have exactly one.
///
/// # Errors
/// What is wrong with the answer.
pub(crate) fn in_order(parts: &[Part], answers: Vec<PartitionAnswer>) -> Result<Vec<Produced>, String> {
    let mut found: BTreeMap<(Arc<str>, i32), Produced> = BTreeMap::new();
    for answer in answers {
        let key = (answer.topic, answer.partition);
        if found.insert(key.clone(), answer.produced).is_some() {
            return Err(format!("answers twice for partition {} of topic {}", key.1, key.0));
        }
    }
    let mut ordered = Vec::with_capacity(parts.len());
    for part in parts {
        let produced = found.remove(&(Arc::clone(&part.of.topic), part.of.partition));
        ordered.push(produced.ok_or_else(|| {
            format!("does not answer for partition {} of topic {}", part.of.partition, part.of.topic)
        })?);
    }
    match found.keys().next() {
        None => Ok(ordered),
        Some((topic, partition)) => {
            Err(format!("answers for partition {partition} of topic {topic}, which was not asked"))
        }
    }
}
