//! Builds a group from the cores' batches: one contiguous buffer, one write.

use super::control::{Control, Targets};
use super::entry;
use super::file::PAGE;
use super::format::{GROUP_HEADER, GroupHead, crc_seed};
use super::streams::Streams;
use crate::ring::Batch;

/// The bytes of one group, of one after the other. They begin at a page in memory, as large writes want it.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// Where the group begins.
    start: usize,
}

impl Buffer {
    /// Begins a group of `len` bytes, header and padding included; a longer one may lose its place at a page.
    fn begin(&mut self, len: usize) -> &mut Vec<u8> {
        self.bytes.clear();
        // Exact, so that the buffer does not double.
        self.bytes.reserve_exact(len.saturating_add(PAGE));
        let start = self.bytes.as_ptr().align_offset(PAGE);
        self.start = if start < PAGE { start } else { 0 };
        self.bytes.resize(self.start + GROUP_HEADER, 0);
        &mut self.bytes
    }

    /// The group.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Bytes of memory it holds.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// What a group needs to know of its place in the log.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) segment_id: u64,
    pub(crate) run: u32,
    /// Of the group's first record; everything below it is synced.
    pub(crate) next_sequence: u64,
    pub(crate) now_ms: u64,
}

impl Place {
    fn seal(self, group: &mut Buffer, entries: u32, records: u32) {
        let body_len = group.as_slice().len().saturating_sub(GROUP_HEADER);
        let head = GroupHead {
            first_sequence: self.next_sequence,
            synced: self.next_sequence,
            body_len: body_len as u32,
            entries,
            records,
            run: self.run,
            written_ms: self.now_ms,
            crc: 0,
        };
        head.seal(&mut group.bytes, group.start, self.segment_id);
    }
}

/// Bytes of the group of these batches and controls, without padding.
pub(crate) fn group_len(batches: &[Batch], controls: &[Control]) -> u64 {
    let records: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
    let controls: usize = controls.iter().map(entry::control::len).sum();
    (GROUP_HEADER + super::format::END_MARK + records + controls) as u64
}

/// Writes the group of `batches` into `group`, in place of the one before: every record numbered, in
/// the order of the batches, then `controls`. The offsets taken from `streams` wait for its commit.
/// Returns the number of records.
pub(crate) fn encode(
    group: &mut Buffer,
    batches: &[Batch],
    controls: &[Control],
    place: Place,
    streams: &mut Streams,
) -> u32 {
    let out = group.begin(super::format::align(group_len(batches, controls)) as usize);
    let seed = crc_seed(place.segment_id);
    let mut records = 0u32;
    for batch in batches {
        let mut at = out.len();
        out.extend_from_slice(&batch.bytes);
        while let Some((stream, len)) = out.get(at..).and_then(entry::record_stream) {
            let Some(offset) = streams.take_offset(stream) else { break };
            let sequence = place.next_sequence.saturating_add(u64::from(records));
            let Some(entry) = out.get_mut(at..at.saturating_add(len)) else { break };
            entry::number_record(entry, seed, place.run, sequence, offset);
            records = records.saturating_add(1);
            at += len;
        }
        debug_assert_eq!(at, out.len(), "a batch is whole records");
    }
    for control in controls {
        entry::control::append(out, place.segment_id, control);
    }
    place.seal(group, records.saturating_add(controls.len() as u32), records);
    records
}

/// Writes the first group of a segment into `group`, in place of the one before: the run, every stream's next offset, and where
/// the sink is.
pub(crate) fn encode_start(
    group: &mut Buffer,
    place: Place,
    start: entry::RunStart,
    streams: &Streams,
    targets: &Targets,
) {
    let out = group.begin(PAGE);
    entry::append_run_start(out, place.segment_id, start);
    entry::append_stream_table(out, place.segment_id, streams.table());
    let mut entries = 2u32;
    for control in targets.controls() {
        entry::control::append(out, place.segment_id, &control);
        entries = entries.saturating_add(1);
    }
    place.seal(group, entries, 0);
}
