//! Kafka's record batches, format 2, encoded straight from log records.
//!
//! | header | bytes | |
//! | --- | --- | --- |
//! | base offset | 0..8 | 0: the broker gives offsets |
//! | batch length | 8..12 | of all that follows |
//! | partition leader epoch | 12..16 | −1: the broker's |
//! | magic | 16 | 2 |
//! | CRC | 17..21 | CRC-32C of all that follows |
//! | attributes | 21..23 | compression; the time is the event's |
//! | last offset delta | 23..27 | |
//! | base and largest timestamp | 27..43 | the first record's, and the largest of all |
//! | producer id, epoch | 43..53 | |
//! | base sequence | 53..57 | |
//! | records | 57..61 | their number; they follow, compressed as one |
//!
//! A record: its length, attributes (0), timestamp from the base (events of several cores are not
//! in order of time: it may be negative), offset from the base, key, value, number of headers (0).
//! All but the attributes are [`varint`]s. The key is absent where the record has none; the value
//! is the event's JSON.

mod compress;
mod varint;

use crate::log::bytes::put_at;
use crate::log::entry;
use crate::record;
use crate::sender::request::Part;
use crate::target::Compression;

/// Bytes before the records.
const HEADER: usize = 61;

/// Why a batch cannot be made. Nothing that waiting could change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodeError {
    /// The log has checked its records: its bytes have changed in memory, or the place is wrong.
    #[error("the log record with sequence {0} cannot be read")]
    Unreadable(u64),
    /// Of records, or of bytes: Kafka counts both in an i32.
    #[error("a batch must have 1 to 2,147,483,647 records and bytes")]
    Size,
    /// A setting that the broker checks at its start.
    #[error("this build has no {0} compression")]
    NotBuilt(Compression),
    /// The codec's own error.
    #[cfg(any(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]
    #[error("{compression} compression failed: {cause}")]
    Compression { compression: Compression, cause: String },
}

/// Appends the batch of `part` to `out`. The same part gives the same bytes. `out` is as before
/// after an error.
///
/// # Errors
/// See [`EncodeError`].
pub(crate) fn encode(out: &mut Vec<u8>, part: &Part, compression: Compression) -> Result<(), EncodeError> {
    let start = out.len();
    let done = append(out, part, compression);
    if done.is_err() {
        out.truncate(start);
    }
    done
}

fn append(out: &mut Vec<u8>, part: &Part, compression: Compression) -> Result<(), EncodeError> {
    let count = i32::try_from(part.records.len()).ok().filter(|&count| count > 0).ok_or(EncodeError::Size)?;
    let start = out.len();
    let times = if compression == Compression::None {
        out.reserve(expected_len(part));
        out.extend_from_slice(&[0; HEADER]);
        append_records(out, part)?
    } else {
        let mut records = Vec::with_capacity(expected_len(part));
        let times = append_records(&mut records, part)?;
        out.reserve(HEADER + records.len() / 2);
        out.extend_from_slice(&[0; HEADER]);
        compress::compress(out, &records, compression)?;
        times
    };
    let batch = out.get_mut(start..).unwrap_or_default();
    let len = i32::try_from(batch.len()).map_err(|_| EncodeError::Size)? - 12;
    put_at(batch, 8, &len.to_be_bytes());
    put_at(batch, 12, &(-1i32).to_be_bytes());
    put_at(batch, 16, &[2]);
    put_at(batch, 21, &code(compression).to_be_bytes());
    put_at(batch, 23, &(count - 1).to_be_bytes());
    put_at(batch, 27, &times.base.to_be_bytes());
    put_at(batch, 35, &times.max.to_be_bytes());
    put_at(batch, 43, &part.producer.id.to_be_bytes());
    put_at(batch, 51, &part.producer.epoch.to_be_bytes());
    put_at(batch, 53, &part.base_sequence.to_be_bytes());
    put_at(batch, 57, &count.to_be_bytes());
    let crc = crc32c::crc32c(batch.get(21..).unwrap_or_default());
    put_at(batch, 17, &crc.to_be_bytes());
    Ok(())
}

/// Room for the batch, uncompressed, without reading its records: for all but very long texts and
/// texts full of escapes, for which the `Vec` grows. A payload takes 4/3 of its length, the client
/// id stands in key and value, and the entry's own 64 bytes stand for most of the JSON's names.
fn expected_len(part: &Part) -> usize {
    let records = part.records.iter().map(|item| {
        let entry = item.len as usize;
        entry.saturating_add(entry / 2).saturating_add(64).saturating_add(item.group.node.len())
    });
    records.fold(HEADER, usize::saturating_add)
}

/// Unix milliseconds.
#[derive(Clone, Copy)]
struct Times {
    base: i64,
    max: i64,
}

fn append_records(out: &mut Vec<u8>, part: &Part) -> Result<Times, EncodeError> {
    let time = |ts_ms: u64| i64::try_from(part.stamp_ms.unwrap_or(ts_ms)).unwrap_or(i64::MAX);
    let base = part.records.first().map_or(0, |item| time(item.ts_ms));
    let mut max = base;
    for (offset, item) in (0i64..).zip(&part.records) {
        let stored = entry::event(item.entry()).ok_or(EncodeError::Unreadable(item.sequence))?;
        let time = time(item.ts_ms);
        max = max.max(time);
        // None is negative, so the difference is in range.
        let frame = Frame { time: time - base, offset, key: stored.key.as_bytes() };
        append_record(out, &frame, &stored.event, &item.group.node);
    }
    Ok(Times { base, max })
}

/// What stands around the value.
struct Frame<'a> {
    time: i64,
    offset: i64,
    key: &'a [u8],
}

/// Lengths stand before what they count. The value's is known at once if no text needs an escape,
/// which writing it shows; the rare other record is written twice. So no text is read for its
/// length, and no byte is moved.
fn append_record(out: &mut Vec<u8>, frame: &Frame<'_>, event: &crate::Event<'_>, node: &str) {
    let start = out.len();
    let expected = record::unescaped_len(event, node);
    let len = append_record_with(out, frame, event, node, expected);
    if len != expected {
        out.truncate(start);
        append_record_with(out, frame, event, node, len);
    }
}

/// Appends the record with `value_len` as the value's length. Returns the length it really has.
fn append_record_with(
    out: &mut Vec<u8>,
    frame: &Frame<'_>,
    event: &crate::Event<'_>,
    node: &str,
    value_len: usize,
) -> usize {
    // A slice is at most isize::MAX bytes long, and what does not fit into i32 fails as a batch.
    let (key, value) = (frame.key.len() as i64, value_len as i64);
    // An empty key means no key, which is written as length −1.
    let key_len = if key == 0 { -1 } else { key };
    let len = 2
        + varint::len(frame.time)
        + varint::len(frame.offset)
        + varint::len(key_len)
        + frame.key.len()
        + varint::len(value)
        + value_len;
    varint::put(out, len as i64);
    out.push(0);
    varint::put(out, frame.time);
    varint::put(out, frame.offset);
    varint::put(out, key_len);
    out.extend_from_slice(frame.key);
    varint::put(out, value);
    let start = out.len();
    record::append_value(out, event, node);
    let written = out.len() - start;
    out.push(0);
    written
}

/// Kafka's code of the codec, in the lowest bits of the attributes.
fn code(compression: Compression) -> i16 {
    match compression {
        Compression::None => 0,
        Compression::Gzip => 1,
        Compression::Snappy => 2,
        Compression::Lz4 => 3,
        Compression::Zstd => 4,
    }
}

#[cfg(test)]
mod tests;
