//! Log format version 1, byte by byte. All integers are little-endian; a CRC is CRC-32C.
//!
//! A log is a directory of **segments** `segment-<number, 20 digits>.mlog`; the numbers only grow.
//! A segment is a header area of [`HEADER_AREA`] bytes, groups, zeros written ahead, and, once it
//! is closed, a footer at its end. Groups begin at multiples of [`ALIGN`], so no sector that holds
//! synced bytes is ever written again. What groups hold is described in [`entry`](super::entry).
//!
//! | header, at 0 and again at 2048 | bytes | |
//! | --- | --- | --- |
//! | magic `MILLRLOG` | 0..8 | |
//! | version | 8..12 | 1. Magic, version, length and the CRC at the end stay so in every version |
//! | length | 12..16 | of this header with its CRC |
//! | segment id | 16..24 | random; seeds every CRC in the segment, so nothing of another file can pass |
//! | segment number | 24..32 | as in the file name |
//! | run | 32..36 | grows by one, synced, before the first append of each start |
//! | flags | 36..40 | bit 0: the run before this one ended cleanly |
//! | first sequence | 40..48 | of the first record this segment may hold |
//! | created | 48..56 | Unix milliseconds |
//! | previous segment id | 56..64 | 0: none |
//! | previous end | 64..72 | the sequence at which the previous run ended |
//! | supersedes from | 72..80 | records of earlier segments from this sequence on do not count; all ones: none |
//! | node | 80.. | u16 length, UTF-8 |
//! | CRC | last 4 | of all before, seeded with 0 |
//!
//! | group header | bytes | |
//! | --- | --- | --- |
//! | magic `MRGP` | 0..4 | |
//! | CRC | 4..8 | of 8..64 |
//! | segment id | 8..16 | |
//! | first sequence | 16..24 | of the first record; the next one if there is none |
//! | synced | 24..32 | every sequence below this was on the medium when this group was written |
//! | body length | 32..36 | of the entries, without the end mark |
//! | entries | 36..40 | |
//! | records | 40..44 | entries that take a sequence |
//! | run | 44..48 | |
//! | written | 48..56 | Unix milliseconds |
//! | reserved | 56..64 | 0 |
//!
//! The body follows, then the end mark (`MRGE`, the group header's CRC again), then zeros up to the
//! next multiple of [`ALIGN`].
//!
//! | footer | bytes | |
//! | --- | --- | --- |
//! | magic `MRFT` | 0..4 | |
//! | CRC | 4..8 | of 8..length |
//! | length | 8..12 | with the trailer |
//! | flags | 12..16 | bit 0: closed by a clean stop |
//! | segment id | 16..24 | |
//! | first, next sequence | 24..40 | of the records in the segment |
//! | records, groups | 40..56 | |
//! | end | 56..64 | where the groups end and the footer begins |
//! | last written | 64..72 | Unix milliseconds |
//! | streams | 72..76 | count, each: u8 length, name, first offset, next offset, records, position of the first group (u64) |
//! | trailer | last 16 | `MREN`, footer length, segment id; the file ends here |
//!
//! | file `run` | bytes | |
//! | --- | --- | --- |
//! | magic `MILLRRUN` | 0..8 | |
//! | version | 8..12 | 1 |
//! | run | 12..16 | |
//! | flags | 16..20 | bit 0: the run ended with a clean stop |
//! | segment number | 20..28 | of the newest segment |
//! | sequence | 28..36 | its first; after a clean stop the one after its last |
//! | CRC | 36..40 | of all before, seeded with 0 |

use super::bytes::{Input, from, put_at, put_str8, put_u16, put_u32, put_u64};

pub(crate) const VERSION: u32 = 1;
/// Bytes before the first group.
pub(crate) const HEADER_AREA: u64 = 4096;
/// Where the second copy of the header stands.
pub(crate) const HEADER_COPY: u64 = 2048;
/// Groups begin at multiples of this; a medium is assumed to touch no sector it does not write.
pub(crate) const ALIGN: u64 = 512;
pub(crate) const GROUP_HEADER: usize = 64;
pub(crate) const END_MARK: usize = 8;
pub(crate) const TRAILER: usize = 16;
/// Longest node name that is kept, in bytes.
pub(crate) const NODE_BYTES_MAX: usize = 1024;

const MAGIC: &[u8; 8] = b"MILLRLOG";
const GROUP_MAGIC: &[u8; 4] = b"MRGP";
const END_MAGIC: &[u8; 4] = b"MRGE";
const FOOTER_MAGIC: &[u8; 4] = b"MRFT";
const TRAILER_MAGIC: &[u8; 4] = b"MREN";

const FLAG_CLEAN: u32 = 1;

/// The file name of segment `number`.
pub(crate) fn segment_name(number: u64) -> String {
    format!("segment-{number:020}.mlog")
}

/// The number in a segment's file name; `None` for every other file, which is not ours.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("segment-")?.strip_suffix(".mlog")?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// The start value of every CRC in the segment `id`.
pub(crate) fn crc_seed(id: u64) -> u32 {
    crc32c::crc32c(&id.to_le_bytes())
}

/// `position`, rounded up to where a group may begin.
pub(crate) fn align(position: u64) -> u64 {
    position.div_ceil(ALIGN).saturating_mul(ALIGN)
}

/// The header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) run: u32,
    pub(crate) previous_clean: bool,
    pub(crate) first_sequence: u64,
    pub(crate) created_ms: u64,
    pub(crate) previous_id: u64,
    pub(crate) previous_end: u64,
    pub(crate) supersedes_from: Option<u64>,
    pub(crate) node: String,
}

/// Why a segment's header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    /// The file was written by a newer Millrace.
    Newer(u32),
    /// Not a header, or a damaged one.
    Damaged,
}

impl Header {
    /// The whole header area, both copies.
    pub(crate) fn encode_area(&self) -> Vec<u8> {
        let mut one = Vec::with_capacity(HEADER_COPY as usize);
        one.extend_from_slice(MAGIC);
        put_u32(&mut one, VERSION);
        put_u32(&mut one, 0);
        put_u64(&mut one, self.id);
        put_u64(&mut one, self.number);
        put_u32(&mut one, self.run);
        put_u32(&mut one, if self.previous_clean { FLAG_CLEAN } else { 0 });
        put_u64(&mut one, self.first_sequence);
        put_u64(&mut one, self.created_ms);
        put_u64(&mut one, self.previous_id);
        put_u64(&mut one, self.previous_end);
        put_u64(&mut one, self.supersedes_from.unwrap_or(u64::MAX));
        let node = super::bytes::clip(&self.node, NODE_BYTES_MAX);
        put_u16(&mut one, node.len() as u16);
        one.extend_from_slice(node.as_bytes());
        let len = one.len() as u32 + 4;
        put_at(&mut one, 12, &len.to_le_bytes());
        let crc = crc32c::crc32c(&one);
        put_u32(&mut one, crc);
        let mut area = one.clone();
        area.resize(HEADER_COPY as usize, 0);
        area.extend_from_slice(&one);
        area.resize(HEADER_AREA as usize, 0);
        area
    }

    /// Reads the header area; either copy will do.
    pub(crate) fn decode_area(area: &[u8]) -> Result<Header, BadHeader> {
        let first = Header::decode(area);
        if first.is_ok() {
            return first;
        }
        match Header::decode(area.get(HEADER_COPY as usize..).unwrap_or_default()) {
            Err(BadHeader::Damaged) => first,
            second => second,
        }
    }

    fn decode(bytes: &[u8]) -> Result<Header, BadHeader> {
        let mut input = Input::new(bytes);
        let start = (|| Some((input.array::<8>()?, input.u32()?, input.u32()?)))();
        let Some((magic, version, len)) = start else { return Err(BadHeader::Damaged) };
        if &magic != MAGIC {
            return Err(BadHeader::Damaged);
        }
        let len = len as usize;
        let Some((body, crc)) = len.checked_sub(4).and_then(|at| bytes.get(..at).zip(bytes.get(at..len)))
        else {
            return Err(BadHeader::Damaged);
        };
        if crc32c::crc32c(body).to_le_bytes() != *crc {
            return Err(BadHeader::Damaged);
        }
        if version > VERSION {
            return Err(BadHeader::Newer(version));
        }
        Header::decode_fields(Input::new(body.get(16..).unwrap_or_default())).ok_or(BadHeader::Damaged)
    }

    fn decode_fields(mut input: Input<'_>) -> Option<Header> {
        let id = input.u64()?;
        let number = input.u64()?;
        let run = input.u32()?;
        let flags = input.u32()?;
        let first_sequence = input.u64()?;
        let created_ms = input.u64()?;
        let previous_id = input.u64()?;
        let previous_end = input.u64()?;
        let supersedes_from = Some(input.u64()?).filter(|&from| from != u64::MAX);
        let node_len = usize::from(input.u16()?);
        let node = input.str(node_len)?.to_owned();
        Some(Header {
            id,
            number,
            run,
            previous_clean: flags & FLAG_CLEAN != 0,
            first_sequence,
            created_ms,
            previous_id,
            previous_end,
            supersedes_from,
            node,
        })
    }
}

/// The header of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct GroupHead {
    pub(crate) first_sequence: u64,
    pub(crate) synced: u64,
    pub(crate) body_len: u32,
    pub(crate) entries: u32,
    pub(crate) records: u32,
    pub(crate) run: u32,
    pub(crate) written_ms: u64,
    pub(crate) crc: u32,
}

impl GroupHead {
    /// Fills the first [`GROUP_HEADER`] bytes of the group, which is `bytes` from `start` on, and appends the end mark
    /// and the padding.
    pub(crate) fn seal(&self, bytes: &mut Vec<u8>, start: usize, id: u64) {
        let mut head = Vec::with_capacity(GROUP_HEADER);
        head.extend_from_slice(GROUP_MAGIC);
        put_u32(&mut head, 0);
        put_u64(&mut head, id);
        put_u64(&mut head, self.first_sequence);
        put_u64(&mut head, self.synced);
        put_u32(&mut head, self.body_len);
        put_u32(&mut head, self.entries);
        put_u32(&mut head, self.records);
        put_u32(&mut head, self.run);
        put_u64(&mut head, self.written_ms);
        put_u64(&mut head, 0);
        let crc = crc32c::crc32c_append(crc_seed(id), from(&head, 8));
        put_at(&mut head, 4, &crc.to_le_bytes());
        put_at(bytes, start, &head);
        bytes.extend_from_slice(END_MAGIC);
        put_u32(bytes, crc);
        let len = align(bytes.len().saturating_sub(start) as u64) as usize;
        bytes.resize(start.saturating_add(len), 0);
    }

    /// Reads a group header of the segment `id`; `None` if this is none.
    pub(crate) fn decode(bytes: &[u8], id: u64) -> Option<GroupHead> {
        let bytes = bytes.get(..GROUP_HEADER)?;
        let mut input = Input::new(bytes);
        if &input.array::<4>()? != GROUP_MAGIC {
            return None;
        }
        let crc = input.u32()?;
        if crc != crc32c::crc32c_append(crc_seed(id), bytes.get(8..)?) || input.u64()? != id {
            return None;
        }
        Some(GroupHead {
            first_sequence: input.u64()?,
            synced: input.u64()?,
            body_len: input.u32()?,
            entries: input.u32()?,
            records: input.u32()?,
            run: input.u32()?,
            written_ms: input.u64()?,
            crc,
        })
    }

    /// Reads a group header of whatever segment: its id, and the header.
    pub(crate) fn decode_any(bytes: &[u8]) -> Option<(u64, GroupHead)> {
        let id = Input::new(bytes.get(8..)?).u64()?;
        Some((id, GroupHead::decode(bytes, id)?))
    }

    /// The sequence after the group's last record.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.first_sequence.saturating_add(u64::from(self.records))
    }

    /// Bytes of header, body and end mark.
    pub(crate) fn len(&self) -> u64 {
        (GROUP_HEADER + END_MARK) as u64 + u64::from(self.body_len)
    }

    pub(crate) fn is_end_mark(&self, bytes: &[u8]) -> bool {
        let mut input = Input::new(bytes);
        input.array::<4>().as_ref() == Some(END_MAGIC) && input.u32() == Some(self.crc)
    }
}

/// What a footer says of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamIndex {
    pub(crate) name: String,
    pub(crate) first_offset: u64,
    pub(crate) next_offset: u64,
    pub(crate) records: u64,
    /// Where the first group with a record of this stream begins.
    pub(crate) position: u64,
}

/// The footer of a closed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) clean: bool,
    pub(crate) first_sequence: u64,
    pub(crate) next_sequence: u64,
    pub(crate) records: u64,
    pub(crate) groups: u64,
    pub(crate) end: u64,
    pub(crate) last_ms: u64,
    pub(crate) streams: Vec<StreamIndex>,
}

impl Footer {
    pub(crate) fn encode(&self, id: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(FOOTER_MAGIC);
        put_u64(&mut out, 0);
        put_u32(&mut out, if self.clean { FLAG_CLEAN } else { 0 });
        put_u64(&mut out, id);
        put_u64(&mut out, self.first_sequence);
        put_u64(&mut out, self.next_sequence);
        put_u64(&mut out, self.records);
        put_u64(&mut out, self.groups);
        put_u64(&mut out, self.end);
        put_u64(&mut out, self.last_ms);
        put_u32(&mut out, self.streams.len() as u32);
        for stream in &self.streams {
            put_str8(&mut out, &stream.name);
            put_u64(&mut out, stream.first_offset);
            put_u64(&mut out, stream.next_offset);
            put_u64(&mut out, stream.records);
            put_u64(&mut out, stream.position);
        }
        let len = (out.len() + TRAILER) as u32;
        out.extend_from_slice(TRAILER_MAGIC);
        put_u32(&mut out, len);
        put_u64(&mut out, id);
        put_at(&mut out, 8, &len.to_le_bytes());
        let crc = crc32c::crc32c_append(crc_seed(id), from(&out, 8));
        put_at(&mut out, 4, &crc.to_le_bytes());
        out
    }

    /// The length of the footer that ends in this trailer.
    pub(crate) fn len_from_trailer(trailer: &[u8], id: u64) -> Option<u32> {
        let mut input = Input::new(trailer);
        if &input.array::<4>()? != TRAILER_MAGIC {
            return None;
        }
        let len = input.u32()?;
        (input.u64()? == id).then_some(len)
    }

    /// Reads a whole footer, trailer included.
    pub(crate) fn decode(bytes: &[u8], id: u64) -> Option<Footer> {
        let mut input = Input::new(bytes);
        if &input.array::<4>()? != FOOTER_MAGIC {
            return None;
        }
        let crc = input.u32()?;
        if crc != crc32c::crc32c_append(crc_seed(id), bytes.get(8..)?) {
            return None;
        }
        if usize::try_from(input.u32()?).ok()? != bytes.len() {
            return None;
        }
        let clean = input.u32()? & FLAG_CLEAN != 0;
        if input.u64()? != id {
            return None;
        }
        let mut footer = Footer {
            clean,
            first_sequence: input.u64()?,
            next_sequence: input.u64()?,
            records: input.u64()?,
            groups: input.u64()?,
            end: input.u64()?,
            last_ms: input.u64()?,
            streams: Vec::new(),
        };
        for _ in 0..input.u32()? {
            let name = input.str8()?.to_owned();
            let [first_offset, next_offset, records, position] =
                [input.u64()?, input.u64()?, input.u64()?, input.u64()?];
            footer.streams.push(StreamIndex { name, first_offset, next_offset, records, position });
        }
        Some(footer)
    }
}

#[cfg(test)]
mod tests;
