//! The machine that numbers, writes and syncs groups. No clock, no thread: `thread` drives it.
//!
//! A group either succeeds, and then its records are durable, or fails, and then the caller keeps
//! the batches and offers the same ones again: they get the same sequences and offsets, in a new
//! segment whose header says that it supersedes what earlier files may hold of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::control::{Control, Targets};
use super::entry::RunStart;
use super::file::Fs;
use super::format::{Footer, Header};
use super::group::{self, Place};
use super::mark::Mark;
use super::retention::{Closed, Retention};
use super::segment::Segment;
use super::streams::Streams;
use super::{LogConfig, LogError, LogStats};
use crate::ring::Batch;

/// A source of segment ids (SplitMix64 over a random seed).
pub(crate) struct Ids(u64);

impl Ids {
    pub(crate) fn new(seed: u64) -> Ids {
        Ids(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).max(1)
    }
}

/// Where a new run takes up.
pub(crate) struct Resume {
    pub(crate) start: RunStart,
    pub(crate) next_number: u64,
    pub(crate) next_sequence: u64,
    pub(crate) previous_id: u64,
    pub(crate) streams: Streams,
    pub(crate) retention: Retention,
    pub(crate) ids: Ids,
}

/// The group written last.
pub(crate) struct LastGroup<'a> {
    pub(crate) segment_id: u64,
    pub(crate) node: Arc<str>,
    pub(crate) sequences: std::ops::Range<u64>,
    pub(crate) body: &'a [u8],
}

pub(crate) struct LogWriter {
    fs: Arc<dyn Fs>,
    config: LogConfig,
    /// `None` after a failure: the next group makes a new one.
    segment: Option<Segment>,
    at: Resume,
    /// Failed segments without records, to be removed once there is a new one.
    abandoned: Vec<PathBuf>,
    group: Vec<u8>,
    /// Segment, sequences and body length of the group written last.
    last: (u64, std::ops::Range<u64>, usize),
    targets: Targets,
    pub(crate) stats: Arc<Mutex<LogStats>>,
}

impl LogWriter {
    /// Begins the run: its first segment, with the run's number, is on the medium afterwards.
    pub(crate) fn begin(
        config: LogConfig,
        fs: Arc<dyn Fs>,
        at: Resume,
        now_ms: u64,
    ) -> Result<LogWriter, LogError> {
        let stats = Arc::new(Mutex::new(LogStats::new()));
        let mut writer = LogWriter {
            fs,
            config,
            segment: None,
            at,
            abandoned: Vec::new(),
            group: Vec::new(),
            last: (0, 0..0, 0),
            targets: Targets::default(),
            stats,
        };
        writer.new_segment(now_ms, true)?;
        Ok(writer)
    }

    /// The sequence the next record gets.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.at.next_sequence
    }

    /// Appends the records of `batches` as one group and syncs it; on `Ok` they are durable.
    ///
    /// # Errors
    /// The file layer failed. Nothing is acknowledged, nothing is forgotten: call again with the
    /// same batches.
    pub(crate) fn append_group(
        &mut self,
        now_ms: u64,
        batches: &[Batch],
        _controls: &[Control],
    ) -> Result<(), LogError> {
        let result = self.try_append(now_ms, batches);
        if result.is_err() {
            self.at.streams.roll_back();
            self.abandon_segment();
            self.stats.lock().failures += 1;
        }
        result
    }

    pub(crate) fn append_controls(&mut self, now_ms: u64, controls: &[Control]) -> Result<(), LogError> {
        self.append_group(now_ms, &[], controls)
    }

    pub(crate) fn last_group(&self) -> LastGroup<'_> {
        let (segment_id, sequences, body) = self.last.clone();
        let from = super::format::GROUP_HEADER;
        let body = self.group.get(from..from.saturating_add(body)).unwrap_or_default();
        LastGroup { segment_id, node: self.config.node.as_str().into(), sequences, body }
    }

    pub(crate) fn targets(&self) -> &Targets {
        &self.targets
    }

    pub(crate) fn set_floor(&mut self, _floor: Option<u64>) {}

    fn try_append(&mut self, now_ms: u64, batches: &[Batch]) -> Result<(), LogError> {
        if self.group.capacity() > 2 * self.config.group_bytes_max {
            // One large record does not hold its memory for ever.
            self.group = Vec::new();
        }
        let len = group::group_len(batches);
        match &self.segment {
            None => self.new_segment(now_ms, true)?,
            Some(segment) if !segment.has_room(len, self.config.segment_bytes) => self.roll(now_ms)?,
            Some(_) => {}
        }
        // Without a segment `new_segment` has failed and we are not here.
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let place = Place {
            segment_id: segment.header.id,
            run: self.at.start.run,
            next_sequence: self.at.next_sequence,
            now_ms,
        };
        let records = group::encode_records(&mut self.group, batches, place, &mut self.at.streams);
        segment.write(&self.group, self.config.fill_step_bytes, self.config.segment_bytes)?;
        let position = segment.position();
        let before = self.fs.steady_us();
        segment.sync(self.group.len(), records, now_ms)?;
        let sync_us = self.fs.steady_us().saturating_sub(before);
        self.at.streams.commit(position);
        let body = batches.iter().map(|batch| batch.bytes.len()).sum();
        let next = self.at.next_sequence.saturating_add(u64::from(records));
        self.last = (place.segment_id, self.at.next_sequence..next, body);
        self.at.next_sequence = self.at.next_sequence.saturating_add(u64::from(records));
        self.stats.lock().add_group(records, self.group.len(), sync_us);
        Ok(())
    }

    /// Closes the full segment and begins the next.
    fn roll(&mut self, now_ms: u64) -> Result<(), LogError> {
        let closed = self.close_segment(false);
        if let Err(error) = &closed {
            // Its records are synced; recovery will find that the footer is missing.
            tracing::warn!(%error, "a full segment of the log could not be closed");
            self.abandon_segment();
        }
        self.new_segment(now_ms, closed.is_err())?;
        self.retain(now_ms);
        Ok(())
    }

    /// `superseding`: whatever earlier files hold of records not yet synced does not count.
    fn new_segment(&mut self, now_ms: u64, superseding: bool) -> Result<(), LogError> {
        // A number is used once, even if its file could not be made.
        let number = self.at.next_number;
        self.at.next_number = number.saturating_add(1);
        let header = Header {
            id: self.at.ids.next(),
            number,
            run: self.at.start.run,
            previous_clean: self.at.start.previous_clean,
            first_sequence: self.at.next_sequence,
            created_ms: now_ms,
            previous_id: self.at.previous_id,
            previous_end: self.at.start.previous_end,
            supersedes_from: superseding.then_some(self.at.next_sequence),
            node: self.config.node.clone(),
        };
        let place =
            Place { segment_id: header.id, run: header.run, next_sequence: self.at.next_sequence, now_ms };
        group::encode_start(&mut self.group, place, self.at.start, &self.at.streams);
        let segment = Segment::create(&*self.fs, &self.config.dir, header, &self.group)?;
        self.at.previous_id = segment.header.id;
        self.at.streams.start_segment();
        self.segment = Some(segment);
        let mark =
            Mark { run: self.at.start.run, clean: false, segment: number, sequence: self.at.next_sequence };
        mark.write(&*self.fs, &self.config.dir)?;
        for path in self.abandoned.drain(..) {
            if let Err(error) = self.fs.remove(&path) {
                tracing::warn!(%error, path = %path.display(), "an empty segment could not be removed");
            }
        }
        Ok(())
    }

    fn close_segment(&mut self, clean: bool) -> Result<(), LogError> {
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let footer = Footer {
            clean,
            first_sequence: segment.header.first_sequence,
            next_sequence: self.at.next_sequence,
            records: segment.records,
            groups: segment.groups,
            end: segment.position(),
            last_ms: segment.last_ms,
            streams: self.at.streams.index(),
        };
        let bytes = segment.close(&footer)?;
        let closed = Closed { number: segment.header.number, bytes, last_ms: segment.last_ms };
        self.at.retention.add(closed);
        self.segment = None;
        Ok(())
    }

    /// Lets go of a segment after a failure. It is neither written nor read again in this run.
    fn abandon_segment(&mut self) {
        let Some(segment) = self.segment.take() else { return };
        if segment.records == 0 {
            // Not removed yet: it may be the only file that knows of this run.
            self.abandoned.push(segment.path().to_owned());
            return;
        }
        let closed = Closed { number: segment.header.number, bytes: segment.len(), last_ms: segment.last_ms };
        self.at.retention.add(closed);
    }

    /// Deletes the segments that may go.
    pub(crate) fn retain(&mut self, now_ms: u64) {
        let age = u64::try_from(self.config.retention_time.as_millis()).unwrap_or(u64::MAX);
        let open_bytes = self.segment.as_ref().map(Segment::len);
        let removed = self.at.retention.apply(
            &*self.fs,
            &self.config.dir,
            open_bytes,
            self.config.retention_bytes,
            now_ms.saturating_sub(age),
        );
        match removed {
            Ok(0) => {}
            Ok(segments) => tracing::info!(segments, "old segments of the log deleted"),
            Err(error) => tracing::warn!(%error, "an old segment of the log could not be deleted"),
        }
    }

    /// Ends the run cleanly.
    ///
    /// # Errors
    /// The footer could not be written. Every record is safe; the next start will scan.
    pub(crate) fn close(&mut self) -> Result<(), LogError> {
        let number = self.segment.as_ref().map(|segment| segment.header.number);
        self.close_segment(true)?;
        let Some(segment) = number else { return Ok(()) };
        let mark = Mark { run: self.at.start.run, clean: true, segment, sequence: self.at.next_sequence };
        if let Err(error) = mark.write(&*self.fs, &self.config.dir) {
            // The footer says the same; the mark would only speak if it were lost.
            tracing::warn!(%error, "the end of the run could not be marked");
        }
        Ok(())
    }

    /// How often [`LogWriter::retain`] should be called.
    pub(crate) const RETAIN_EVERY: Duration = Duration::from_secs(60);
}
