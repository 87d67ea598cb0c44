//! Reading a partition back, as far as the headers of its batches.

use std::sync::Arc;

use rskafka::protocol::api_key::ApiKey;

use super::api::Api;
use super::bytes::{Input, Malformed, Output};

/// One round, from `offset` on.
pub(crate) struct Fetch {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// A first batch that is longer comes whole all the same.
    pub(crate) bytes_max: i32,
}

pub(crate) struct Fetched {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) error: i16,
    pub(crate) high_watermark: i64,
    pub(crate) headers: Vec<Header>,
}

/// What the header of a batch says of who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) base_offset: i64,
    /// The offset after the batch's last record.
    pub(crate) next_offset: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
}

impl Api for Fetch {
    const KEY: ApiKey = ApiKey::Fetch;
    const MIN: i16 = 4;
    /// From 11 on a replica that does not lead would answer too, and it may lack what is looked for.
    const MAX: i16 = 10;
    /// The error of the request as a whole, and the partitions.
    type Answer = (i16, Vec<Fetched>);

    fn write(&self, out: &mut Output<'_>, version: i16) -> Result<(), &'static str> {
        out.i32(-1); // not a replica
        out.i32(500); // ms to wait for the first byte
        out.i32(1);
        out.i32(self.bytes_max);
        out.i8(0); // read uncommitted
        if version >= 7 {
            out.i32(0); // no session
            out.i32(-1);
        }
        out.count(1);
        out.string(&self.topic);
        out.count(1);
        out.i32(self.partition);
        if version >= 9 {
            out.i32(-1); // whatever the leader's epoch
        }
        out.i64(self.offset);
        if version >= 5 {
            out.i64(-1); // a replica's start
        }
        out.i32(self.bytes_max);
        if version >= 7 {
            out.count(0); // nothing to forget
        }
        Ok(())
    }

    fn read(input: &mut Input<'_>, version: i16) -> Result<Self::Answer, Malformed> {
        input.i32()?; // throttle
        let mut error = 0;
        if version >= 7 {
            error = input.i16()?;
            input.i32()?; // session
        }
        let topics = input.list(|input| {
            let topic = Arc::<str>::from(input.string()?);
            input.list(|input| partition(input, Arc::clone(&topic), version))
        })?;
        Ok((error, topics.into_iter().flatten().collect()))
    }
}

fn partition(input: &mut Input<'_>, topic: Arc<str>, version: i16) -> Result<Fetched, Malformed> {
    let (partition, error, high_watermark) = (input.i32()?, input.i16()?, input.i64()?);
    input.i64()?; // last stable offset
    if version >= 5 {
        input.i64()?; // start of the partition
    }
    input.skip_list(|input| {
        input.i64()?;
        input.i64()
    })?; // aborted transactions
    let headers = headers(input.bytes()?)?;
    Ok(Fetched { topic, partition, error, high_watermark, headers })
}

/// Bytes of a batch that its length does not count.
const BEFORE_LENGTH: usize = 12;
/// Length that the header of a batch counts at least.
const HEADER: usize = 61 - BEFORE_LENGTH;
/// The same of a message of formats 0 and 1: CRC, magic, attributes, key's and value's length.
const OLD_HEADER: usize = 14;

/// The headers of batches one behind the other. The last may be cut short: what is left of it
/// still counts if its header is whole.
pub(super) fn headers(bytes: &[u8]) -> Result<Vec<Header>, Malformed> {
    const ODD: Malformed = Malformed("the length of a batch is wrong");
    let mut input = Input::new(bytes, false);
    let mut headers = Vec::new();
    while input.len() >= BEFORE_LENGTH + OLD_HEADER {
        let base_offset = input.i64()?;
        let length = usize::try_from(input.i32()?).map_err(|_| ODD)?;
        if length < OLD_HEADER {
            return Err(ODD);
        }
        let body = input.take(length.min(input.len()))?;
        let mut batch = Input::new(body, false);
        batch.i32()?; // the leader's epoch, or a CRC
        let magic = batch.i8()?;
        if magic < 2 {
            let next_offset = base_offset.saturating_add(1);
            headers.push(Header {
                base_offset,
                next_offset,
                producer_id: -1,
                producer_epoch: -1,
                base_sequence: -1,
            });
            continue;
        }
        if length < HEADER {
            return Err(ODD);
        }
        if body.len() < HEADER {
            break;
        }
        batch.take(4 + 2)?; // CRC, attributes
        let last_offset_delta = batch.i32()?;
        batch.take(8 + 8)?; // times
        headers.push(Header {
            base_offset,
            next_offset: base_offset.saturating_add(i64::from(last_offset_delta)).saturating_add(1),
            producer_id: batch.i64()?,
            producer_epoch: batch.i16()?,
            base_sequence: batch.i32()?,
        });
    }
    Ok(headers)
}
