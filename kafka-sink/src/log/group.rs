//! Builds a group from the cores' batches: one contiguous buffer, one write.

use super::control::{Control, Targets};
use super::entry;
use super::format::{GROUP_HEADER, GroupHead, crc_seed};
use super::streams::Streams;
use crate::ring::Batch;

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
    fn seal(self, group: &mut Vec<u8>, entries: u32, records: u32) {
        let head = GroupHead {
            first_sequence: self.next_sequence,
            synced: self.next_sequence,
            body_len: group.len().saturating_sub(GROUP_HEADER) as u32,
            entries,
            records,
            run: self.run,
            written_ms: self.now_ms,
            crc: 0,
        };
        head.seal(group, self.segment_id);
    }
}

/// Bytes of the group of these batches and controls, without padding.
pub(crate) fn group_len(batches: &[Batch], controls: &[Control]) -> u64 {
    let records: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
    let controls: usize = controls.iter().map(entry::control::len).sum();
    (GROUP_HEADER + super::format::END_MARK + records + controls) as u64
}

/// Writes the group of `batches` into `group`, which is cleared first: every record numbered, in
/// the order of the batches, then `controls`. The offsets taken from `streams` wait for its commit.
/// Returns the number of records.
pub(crate) fn encode(
    group: &mut Vec<u8>,
    batches: &[Batch],
    controls: &[Control],
    place: Place,
    streams: &mut Streams,
) -> u32 {
    group.clear();
    // With the padding; exact, so that the buffer does not double.
    group.reserve_exact(super::format::align(group_len(batches, controls)) as usize);
    group.resize(GROUP_HEADER, 0);
    let seed = crc_seed(place.segment_id);
    let mut records = 0u32;
    for batch in batches {
        let mut at = group.len();
        group.extend_from_slice(&batch.bytes);
        while let Some((stream, len)) = group.get(at..).and_then(entry::record_stream) {
            let Some(offset) = streams.take_offset(stream) else { break };
            let sequence = place.next_sequence.saturating_add(u64::from(records));
            let Some(entry) = group.get_mut(at..at.saturating_add(len)) else { break };
            entry::number_record(entry, seed, place.run, sequence, offset);
            records = records.saturating_add(1);
            at += len;
        }
        debug_assert_eq!(at, group.len(), "a batch is whole records");
    }
    for control in controls {
        entry::control::append(group, place.segment_id, control);
    }
    place.seal(group, records.saturating_add(controls.len() as u32), records);
    records
}

/// Writes the first group of a segment into `group`: the run, every stream's next offset, and where
/// the sink is.
pub(crate) fn encode_start(
    group: &mut Vec<u8>,
    place: Place,
    start: entry::RunStart,
    streams: &Streams,
    targets: &Targets,
) {
    group.clear();
    group.resize(GROUP_HEADER, 0);
    entry::append_run_start(group, place.segment_id, start);
    entry::append_stream_table(group, place.segment_id, streams.table());
    let mut entries = 2u32;
    for control in targets.controls() {
        entry::control::append(group, place.segment_id, &control);
        entries = entries.saturating_add(1);
    }
    place.seal(group, entries, 0);
}
