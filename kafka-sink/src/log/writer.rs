//! The machine that numbers, writes and syncs groups. No clock, no thread: `thread` drives it.
//!
//! A group either succeeds, and then its records and controls are durable, or fails, and then the
//! caller keeps the batches and offers the same ones again: they get the same sequences and offsets,
//! in a new segment whose header says that it supersedes what earlier files may hold of them.
//!
//! Every segment begins with the sum of all controls so far, so one that holds no records is not
//! needed once there is a newer one.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::bytes::clip;
use super::control::{Control, Targets};
use super::dead_letters::DeadLetters;
use super::entry::RunStart;
use super::file::Fs;
use super::format::{END_MARK, Footer, GROUP_HEADER, Header, NODE_BYTES_MAX};
use super::group::{self, Buffer, Place};
use super::mark::Mark;
use super::reserve::{Reserve, is_full};
use super::retention::{Closed, Retention};
use super::segment::{Growth, Segment};
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
    pub(crate) targets: Targets,
    pub(crate) ids: Ids,
}

/// The group that was synced last.
#[derive(Debug)]
pub(crate) struct LastGroup<'a> {
    pub(crate) segment_id: u64,
    pub(crate) node: Arc<str>,
    /// Of its records: first, and the one after the last.
    pub(crate) sequences: Range<u64>,
    /// Its entries.
    pub(crate) body: &'a [u8],
}

/// What of the buffer is the group that was synced last.
#[derive(Clone, Default)]
struct Last {
    segment_id: u64,
    sequences: Range<u64>,
    body: Range<usize>,
}

pub(crate) struct LogWriter {
    fs: Arc<dyn Fs>,
    config: LogConfig,
    /// `None` after a failure: the next group makes a new one.
    segment: Option<Segment>,
    at: Resume,
    /// Segments without records, to be removed once there is a newer one.
    abandoned: Vec<PathBuf>,
    group: Buffer,
    last: Last,
    node: Arc<str>,
    dead_letters: DeadLetters,
    reserve: Reserve,
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
        let reserve = Reserve::find(&*fs, &config.dir, config.reserve_bytes);
        let mut writer = LogWriter {
            segment: None,
            at,
            abandoned: Vec::new(),
            group: Buffer::default(),
            last: Last::default(),
            // As readers of the files see it.
            node: clip(&config.node, NODE_BYTES_MAX).into(),
            dead_letters: DeadLetters::new(&config.dir, config.dead_letters_bytes_max),
            reserve,
            stats: Arc::new(Mutex::new(LogStats::new())),
            fs,
            config,
        };
        if let Err(error) = writer.new_segment(now_ms, true) {
            // A start on a full disk: what waits in the log can be delivered all the same.
            if !is_full(&error) || !writer.reserve.give_up(&*writer.fs, now_ms) {
                return Err(error);
            }
            writer.abandon_segment();
            writer.new_segment(now_ms, true)?;
        }
        writer.reserve.make_first(&*writer.fs, now_ms);
        Ok(writer)
    }

    /// The sequence the next record gets.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.at.next_sequence
    }

    /// Where the sink is, as far as is on the medium.
    pub(crate) fn targets(&self) -> &Targets {
        &self.at.targets
    }

    /// What was synced last; without a body if the last attempt failed.
    pub(crate) fn last_group(&self) -> LastGroup<'_> {
        LastGroup {
            segment_id: self.last.segment_id,
            node: Arc::clone(&self.node),
            sequences: self.last.sequences.clone(),
            body: self.group.as_slice().get(self.last.body.clone()).unwrap_or_default(),
        }
    }

    /// Segments with records from `floor` on are not deleted; `None`: there is no target.
    pub(crate) fn set_floor(&mut self, floor: Option<u64>) {
        self.at.retention.set_floor(floor);
    }

    /// Appends the records of `batches` and then `controls` as one group and syncs it; on `Ok` they
    /// are durable, and the controls are part of [`LogWriter::targets`].
    ///
    /// # Errors
    /// The file layer failed, or the disk was full and has no space for the reserve yet. Nothing is
    /// acknowledged, nothing is forgotten: call again with the same batches and controls, or with
    /// the controls alone by [`LogWriter::append_controls`].
    pub(crate) fn append_group(
        &mut self,
        now_ms: u64,
        batches: &[Batch],
        controls: &[Control],
    ) -> Result<(), LogError> {
        if !batches.is_empty()
            && let Err(error) = self.reserve.restore(&*self.fs, now_ms)
        {
            // The open segment is the sink's until then.
            self.stats.lock().failures += 1;
            return Err(error);
        }
        self.append(now_ms, batches, controls)
    }

    /// Appends `controls` as a group of their own; on a full disk, in the place of the reserve.
    ///
    /// # Errors
    /// As for [`LogWriter::append_group`].
    pub(crate) fn append_controls(&mut self, now_ms: u64, controls: &[Control]) -> Result<(), LogError> {
        match self.append(now_ms, &[], controls) {
            Err(error) if is_full(&error) && self.reserve.give_up(&*self.fs, now_ms) => {
                self.append(now_ms, &[], controls)
            }
            result => result,
        }
    }

    fn append(&mut self, now_ms: u64, batches: &[Batch], controls: &[Control]) -> Result<(), LogError> {
        self.last = Last::default();
        if batches.is_empty() && controls.is_empty() {
            return Ok(());
        }
        if self.group.capacity() > self.config.group_bytes_max.saturating_mul(2) {
            // One large record does not hold its memory for ever.
            self.group = Buffer::default();
        }
        if let Err(error) = self.dead_letters.write(&*self.fs, controls) {
            // Says nothing of the segment.
            self.stats.lock().failures += 1;
            return Err(error);
        }
        let result = self.try_append(now_ms, batches, controls);
        match result {
            Ok(()) => {
                controls.iter().for_each(|control| self.at.targets.apply(control));
                self.dead_letters.forget(controls);
            }
            Err(_) => {
                self.at.streams.roll_back();
                self.abandon_segment();
                self.stats.lock().failures += 1;
            }
        }
        result
    }

    fn try_append(&mut self, now_ms: u64, batches: &[Batch], controls: &[Control]) -> Result<(), LogError> {
        let len = group::group_len(batches, controls);
        let growth = self.growth();
        match &self.segment {
            None => self.new_segment(now_ms, true)?,
            Some(segment) if !segment.has_room(len, growth.segment_bytes) => self.roll(now_ms)?,
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
        let records = group::encode(&mut self.group, batches, controls, place, &mut self.at.streams);
        let group = self.group.as_slice();
        segment.write(group, growth)?;
        let position = segment.position();
        let before = self.fs.steady_us();
        segment.sync(group.len(), records, now_ms)?;
        let sync_us = self.fs.steady_us().saturating_sub(before);
        self.at.streams.commit(position);
        let next_sequence = self.at.next_sequence.saturating_add(u64::from(records));
        let body_end = usize::try_from(len).unwrap_or(usize::MAX).saturating_sub(END_MARK);
        self.last = Last {
            segment_id: place.segment_id,
            sequences: self.at.next_sequence..next_sequence,
            body: GROUP_HEADER..body_end,
        };
        self.at.next_sequence = next_sequence;
        self.stats.lock().add_group(records, group.len(), sync_us);
        Ok(())
    }

    /// How the segment at hand grows. In the place of the reserve there is room for two small ones: an open one with
    /// records in it is closed.
    fn growth(&self) -> Growth {
        let LogConfig { fill_step_bytes, large_from_bytes, segment_bytes, .. } = self.config;
        let growth = Growth { step: fill_step_bytes, large_from: large_from_bytes, segment_bytes };
        if self.reserve.is_given_up() {
            let segment_bytes = self.reserve.segment_bytes().min(segment_bytes);
            return Growth { step: 0, segment_bytes, ..growth };
        }
        growth
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
        self.delete_old(now_ms);
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
        group::encode_start(&mut self.group, place, self.at.start, &self.at.streams, &self.at.targets);
        let segment = Segment::create(&*self.fs, &self.config.dir, header, self.group.as_slice())?;
        self.at.previous_id = segment.header.id;
        self.at.streams.start_segment();
        self.segment = Some(segment);
        // Before anything that may fail, or a full disk would gather one with each attempt.
        let fs = &self.fs;
        // One that stays is tried again: once retention has taken the segment that supersedes it,
        // what its failed sync left would count.
        self.abandoned.retain(|path| match fs.remove(path) {
            Ok(()) => false,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "an empty segment could not be removed");
                true
            }
        });
        let mark =
            Mark { run: self.at.start.run, clean: false, segment: number, sequence: self.at.next_sequence };
        mark.write(&*self.fs, &self.config.dir)
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
        if segment.records == 0 && !clean {
            self.abandoned.push(segment.path().to_owned());
        } else {
            self.at.retention.add(Closed {
                number: segment.header.number,
                bytes,
                last_ms: segment.last_ms,
                next_sequence: self.at.next_sequence,
            });
        }
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
        self.at.retention.add(Closed {
            number: segment.header.number,
            bytes: segment.len(),
            last_ms: segment.last_ms,
            next_sequence: self.at.next_sequence,
        });
    }

    /// Deletes the segments that may go; after a full disk, makes the reserve again if it can.
    pub(crate) fn retain(&mut self, now_ms: u64) {
        self.delete_old(now_ms);
        // Its failure is told where records have to wait for it.
        let _ = self.reserve.restore(&*self.fs, now_ms);
    }

    fn delete_old(&mut self, now_ms: u64) {
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
