//! Which batches stand in a fetched record set: their headers only, to find one of ours again.

use super::HEADER;
use crate::log::control::ProducerId;

/// What identifies a batch in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// Offset of the first record.
    pub(crate) base_offset: u64,
    /// Of the last record, from the first; what compaction removed counts.
    pub(crate) last_offset_delta: u32,
    /// Id −1 stands for none.
    pub(crate) producer: ProducerId,
    /// −1 stands for none.
    pub(crate) base_sequence: i32,
    /// Bytes of the whole batch. The last batch of a record set may be cut short.
    pub(crate) len: usize,
}

impl BatchHeader {
    /// The offset behind the batch: where to fetch on.
    pub(crate) fn next_offset(&self) -> u64 {
        self.base_offset.saturating_add(u64::from(self.last_offset_delta)).saturating_add(1)
    }
}

/// The headers of the batches in a record set as Fetch answers it. A batch that is cut short is
/// among them if its header is whole; message sets older than format 2, which have no producers,
/// are passed over. Ends at the first byte that makes no sense.
pub(crate) fn read_headers(record_set: &[u8]) -> impl Iterator<Item = BatchHeader> {
    let mut rest = record_set;
    std::iter::from_fn(move || {
        loop {
            let (offset, len) = (rest.first_chunk()?, rest.get(8..)?.first_chunk()?);
            let base_offset = u64::try_from(i64::from_be_bytes(*offset)).ok()?;
            let len = usize::try_from(i32::from_be_bytes(*len)).ok()?.checked_add(12)?;
            let (batch, magic) = (rest, *rest.get(16)?);
            rest = rest.get(len..).unwrap_or_default();
            match magic {
                // Offset, length, CRC, magic and attributes are there in every version.
                0 | 1 if len >= 18 => {}
                2 if len >= HEADER => return header(batch, base_offset, len),
                _ => {
                    rest = &[];
                    return None;
                }
            }
        }
    })
}

fn header(batch: &[u8], base_offset: u64, len: usize) -> Option<BatchHeader> {
    // Shorter than a header: cut.
    let batch = batch.get(..HEADER)?;
    Some(BatchHeader {
        base_offset,
        last_offset_delta: u32::try_from(i32::from_be_bytes(*batch.get(23..)?.first_chunk()?)).ok()?,
        producer: ProducerId {
            id: i64::from_be_bytes(*batch.get(43..)?.first_chunk()?),
            epoch: i16::from_be_bytes(*batch.get(51..)?.first_chunk()?),
        },
        base_sequence: i32::from_be_bytes(*batch.get(53..)?.first_chunk()?),
        len,
    })
}
