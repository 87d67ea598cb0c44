//! Producer ids: taking a fresh one, and what a leader remembers of one.

use std::sync::Arc;

use rskafka::protocol::api_key::ApiKey;

use super::api::Api;
use super::bytes::{Input, Malformed, Output};
use crate::log::control::ProducerId;
use crate::sender::request::Known;

/// Takes a fresh producer id, for no transactions.
pub(crate) struct InitProducerId;

impl Api for InitProducerId {
    const KEY: ApiKey = ApiKey::InitProducerId;
    const MIN: i16 = 0;
    const MAX: i16 = 1;
    type Answer = (i16, ProducerId);

    fn write(&self, out: &mut Output<'_>, _: i16) -> Result<(), &'static str> {
        out.null_string();
        // The time-out of transactions, of which there are none; the broker checks it all the same.
        out.i32(60_000);
        Ok(())
    }

    fn read(input: &mut Input<'_>, _: i16) -> Result<Self::Answer, Malformed> {
        input.i32()?; // throttle
        let error = input.i16()?;
        Ok((error, ProducerId { id: input.i64()?, epoch: input.i16()? }))
    }
}

/// The producers that the leader of a partition remembers. Needs the right to read the topic.
pub(crate) struct DescribeProducers {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

/// What is remembered in one partition.
pub(crate) struct Producers {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) error: i16,
    pub(crate) known: Vec<(i64, Known)>,
}

impl Api for DescribeProducers {
    const KEY: ApiKey = ApiKey::DescribeProducers;
    const MIN: i16 = 0;
    const MAX: i16 = 0;
    const FLEXIBLE: i16 = 0;
    type Answer = Vec<Producers>;

    fn write(&self, out: &mut Output<'_>, _: i16) -> Result<(), &'static str> {
        out.count(1);
        out.string(&self.topic);
        out.count(1);
        out.i32(self.partition);
        out.end();
        out.end();
        Ok(())
    }

    fn read(input: &mut Input<'_>, _: i16) -> Result<Self::Answer, Malformed> {
        input.i32()?; // throttle
        let topics = input.list(|input| {
            let topic = Arc::<str>::from(input.string()?);
            let partitions = input.list(|input| {
                let (partition, error) = (input.i32()?, input.i16()?);
                input.nullable_string()?;
                let known = input.list(producer)?;
                input.end()?;
                Ok(Producers { topic: Arc::clone(&topic), partition, error, known })
            })?;
            input.end()?;
            Ok(partitions)
        })?;
        input.end()?;
        Ok(topics.into_iter().flatten().collect())
    }
}

fn producer(input: &mut Input<'_>) -> Result<(i64, Known), Malformed> {
    let id = input.i64()?;
    let epoch = i16::try_from(input.i32()?).map_err(|_| Malformed("an epoch is out of range"))?;
    let last_sequence = input.i32()?;
    input.i64()?; // last time
    input.i32()?; // coordinator's epoch
    input.i64()?; // start of a transaction
    input.end()?;
    Ok((id, Known { epoch, last_sequence }))
}
