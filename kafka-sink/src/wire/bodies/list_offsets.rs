//! Where a partition begins and ends.

use std::sync::Arc;

use rskafka::protocol::api_key::ApiKey;

use super::api::Api;
use super::bytes::{Input, Malformed, Output};

/// Which end of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Behind the last record that is on all replicas.
    Latest,
    /// Behind the last record of the leader's own log, whoever else has it. Kafka tells this to a
    /// client that calls itself a debugging replica, with the rights of any other.
    Appended,
    Earliest,
}

/// The offset at an end of a partition.
pub(crate) struct ListOffsets {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) end: End,
}

pub(crate) struct Offset {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) error: i16,
    pub(crate) offset: i64,
}

impl Api for ListOffsets {
    const KEY: ApiKey = ApiKey::ListOffsets;
    const MIN: i16 = 1;
    const MAX: i16 = 5;
    type Answer = Vec<Offset>;

    fn write(&self, out: &mut Output<'_>, version: i16) -> Result<(), &'static str> {
        out.i32(match self.end {
            End::Latest | End::Earliest => -1, // not a replica
            End::Appended => -2,
        });
        if version >= 2 {
            out.i8(0); // read uncommitted
        }
        out.count(1);
        out.string(&self.topic);
        out.count(1);
        out.i32(self.partition);
        if version >= 4 {
            out.i32(-1); // whatever the leader's epoch
        }
        out.i64(match self.end {
            End::Latest | End::Appended => -1,
            End::Earliest => -2,
        });
        Ok(())
    }

    fn read(input: &mut Input<'_>, version: i16) -> Result<Vec<Offset>, Malformed> {
        if version >= 2 {
            input.i32()?; // throttle
        }
        let topics = input.list(|input| {
            let topic = Arc::<str>::from(input.string()?);
            input.list(|input| {
                let (partition, error) = (input.i32()?, input.i16()?);
                input.i64()?; // time
                let offset = input.i64()?;
                if version >= 4 {
                    input.i32()?; // the leader's epoch
                }
                Ok(Offset { topic: Arc::clone(&topic), partition, error, offset })
            })
        })?;
        Ok(topics.into_iter().flatten().collect())
    }
}
