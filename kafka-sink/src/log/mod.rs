//! The durable log: one directory, one order, whatever the number of cores.
//!
//! [`open`] recovers what an earlier run left, before any thread starts; [`Log::start`] spawns
//! the log thread and hands out one [`Producer`](crate::Producer) a core; [`LogHandle::stop`] ends
//! it cleanly. The parts in the order of a record's way:
//!
//! - `entry`, `format`, `bytes`: the layout on disk.
//! - `file`: the file layer, with the real one and, for tests, `sim`.
//! - `group`, `segment`, `mark`, `writer`: the machine that numbers, writes and syncs. No clock, no thread.
//! - `control`: where the way into Kafka is, kept in the log; `dead_letters`: what Kafka refused;
//!   `reserve`: space for both on a full disk.
//! - `retention`: which segments may go.
//! - `port`, `follow`: the way to the sink, from memory and from files.
//! - `handle`, `thread`: the only place with a clock and a thread.
//! - `scan`, `recovery`: what a start finds.
//! - `walk`: from segment to segment, while the log is written.
//! - `follow`: the log for a sink that is behind. `reader`: `millrace consume`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

pub(crate) mod bytes;
pub(crate) mod control;
pub(crate) mod entry;
mod format;

pub mod file;
#[cfg(any(test, feature = "sim"))]
pub mod sim;

#[cfg(any(test, feature = "sim"))]
mod mend;
#[cfg(any(test, feature = "sim"))]
pub use mend::mend;

mod dead_letters;
mod group;
mod mark;
mod reserve;
mod segment;
mod streams;
mod writer;

mod retention;

mod handle;
pub(crate) mod port;
#[cfg(any(test, feature = "sim"))]
pub mod stepped;
mod thread;
mod worker;

mod recovery;
mod scan;

pub(crate) mod follow;
mod walk;

pub mod reader;

use control::{Control, TargetState};
use file::Fs;
pub use handle::LogHandle;
use writer::LogWriter;

/// Where the log lives and how much it may take.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// The log's own directory; made with mode 0700 if it is not there.
    pub dir: PathBuf,
    /// `name@host` of this broker, as it stands in every record's JSON.
    pub node: String,
    /// A segment is closed when the next group would make it longer than this.
    pub segment_bytes: u64,
    /// Oldest segments are deleted while all together are longer than this.
    pub retention_bytes: u64,
    /// Segments whose last record was written longer ago than this are deleted.
    pub retention_time: Duration,
    /// Most bytes of one core that may be accepted and not yet durable; at most 1 GiB.
    pub ring_bytes: usize,
    /// Most records of one core that may be accepted and not yet durable.
    pub ring_records: usize,
    /// A group takes no further batch once it is this large; at most 1 GiB.
    pub group_bytes_max: usize,
    /// Zeros are written ahead of the data in steps of this size.
    pub fill_step_bytes: u64,
    /// Groups of so many bytes and more are large: they have space allocated ahead of them instead, and go past the
    /// page cache.
    pub large_from_bytes: usize,
    /// Space that is kept free for the sink's entries on a full disk; 0: none.
    pub reserve_bytes: u64,
    /// A file of dead letters takes no further one that would make it longer; there are two files.
    pub dead_letters_bytes_max: u64,
}

impl LogConfig {
    /// The defaults, for a directory and a node.
    pub fn new(dir: impl Into<PathBuf>, node: impl Into<String>) -> LogConfig {
        const MIB: u64 = 1024 * 1024;
        LogConfig {
            dir: dir.into(),
            node: node.into(),
            segment_bytes: 64 * MIB,
            retention_bytes: 1024 * MIB,
            retention_time: Duration::from_secs(7 * 24 * 3600),
            ring_bytes: 8 * MIB as usize,
            ring_records: 65_536,
            group_bytes_max: 4 * MIB as usize,
            fill_step_bytes: 4 * MIB,
            large_from_bytes: 256 * 1024,
            reserve_bytes: 4 * MIB,
            dead_letters_bytes_max: 64 * MIB,
        }
    }
}

/// Why the log cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file layer failed.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was being done, for example `write`.
        what: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A segment was written by a newer Millrace.
    #[error("{} is in log format version {version}; this program knows version 1", path.display())]
    NewerVersion {
        /// The segment.
        path: PathBuf,
        /// Its format version.
        version: u32,
    },
    /// Another process writes this log.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The log's directory.
        path: PathBuf,
    },
    /// The log thread could not be started.
    #[error("cannot start the log thread: {0}")]
    Thread(io::Error),
    /// The sink's thread could not be started.
    #[error("cannot start the way into Kafka: {0}")]
    Sink(io::Error),
    /// The log thread has ended by itself; a bug in our own invariants.
    #[error("the log thread has ended unexpectedly")]
    ThreadEnded,
    /// At the stop, records that nobody was told are durable could not be written.
    #[error("{records} records could not be written before the stop: {last}")]
    Unwritten {
        /// How many.
        records: u64,
        /// The last failure.
        last: Box<LogError>,
    },
}

impl LogError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
        let path = path.to_owned();
        move |source| LogError::Io { what, path, source }
    }
}

/// What a start found; damage and notes are for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Recovery {
    /// The number of this run.
    pub run: u32,
    /// The sequence the next record will get.
    pub next_sequence: u64,
    /// Segments kept from earlier runs.
    pub segments: usize,
    /// The run before this one ended by [`LogHandle::stop`] (also true for a new log).
    pub clean: bool,
    /// Bytes of an unfinished write that were cut off, none of them acknowledged by a medium that keeps what it synced.
    pub torn_bytes: u64,
    /// Damage to records that were on the medium once; what is left of it was copied to the `quarantine` directory.
    pub damage: Vec<Damage>,
    /// Further remarks.
    pub notes: Vec<String>,
}

/// A damaged part of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment's file name.
    pub file: String,
    /// The damaged bytes: from, to. Both 0 if they are gone, with the file or the end of it.
    pub bytes: (u64, u64),
    /// The sequences that stood there: first, and the one after the last. Records among them that are still whole remain readable.
    pub sequences: (u64, u64),
}

/// What the log has done since it was started.
#[derive(Clone, Debug)]
pub struct LogStats {
    /// Records made durable.
    pub records: u64,
    /// Groups, each with one sync.
    pub groups: u64,
    /// Bytes written, padding included.
    pub bytes: u64,
    /// Failed attempts to write a group.
    pub failures: u64,
    /// The log cannot write at present and tries again every second.
    pub paused: bool,
    /// How long `fdatasync` took, in microseconds.
    pub sync_us: Histogram<u64>,
}

impl LogStats {
    #[expect(clippy::expect_used, reason = "the bounds are constants, and valid")]
    fn new() -> LogStats {
        // 1 µs to 60 s at two digits, 20 KiB.
        let sync_us = Histogram::new_with_bounds(1, 60_000_000, 2).expect("constant bounds are valid");
        LogStats { records: 0, groups: 0, bytes: 0, failures: 0, paused: false, sync_us }
    }

    fn add_group(&mut self, records: u32, bytes: usize, sync_us: u64) {
        self.records = self.records.saturating_add(u64::from(records));
        self.groups = self.groups.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.sync_us.saturating_record(sync_us);
    }

    /// `fdatasync` in microseconds: median, 99th percentile, maximum.
    pub fn sync_p50_p99_max_us(&self) -> (u64, u64, u64) {
        (self.sync_us.value_at_quantile(0.5), self.sync_us.value_at_quantile(0.99), self.sync_us.max())
    }
}

/// What a stopped log leaves behind.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Totals of the run.
    pub stats: LogStats,
    /// The sequence the next run begins with.
    pub next_sequence: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bytes == (0, 0) {
            return write!(
                f,
                "{}: the file, or the end of it, is gone (sequences {} up to {} are not given again)",
                self.file, self.sequences.0, self.sequences.1
            );
        }
        write!(
            f,
            "{}: bytes {} up to {} are damaged (sequences {} up to {}); a copy is in the quarantine directory",
            self.file, self.bytes.0, self.bytes.1, self.sequences.0, self.sequences.1
        )
    }
}

/// An opened log, recovered and ready to be started.
pub struct Log {
    writer: LogWriter,
    ring_bytes: usize,
    ring_records: usize,
    group_bytes_max: usize,
    /// When it was opened, Unix milliseconds.
    now_ms: u64,
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    lock: Box<dyn Send>,
}

/// Opens the log in `config.dir`, recovers what an earlier run left and begins a new run, whose
/// number is on the medium when this returns. `now_ms` is the time in Unix milliseconds, `seed` is
/// random (segment ids are made from it).
///
/// # Errors
/// The directory cannot be read or written, is in use, or holds a newer format.
pub fn open(config: LogConfig, fs: impl Fs, now_ms: u64, seed: u64) -> Result<(Log, Recovery), LogError> {
    // A group's length is a u32: one full ring on top of an almost full group still fits.
    const BYTES_MAX: usize = 1 << 30;
    let (ring_bytes, ring_records) = (config.ring_bytes.min(BYTES_MAX), config.ring_records);
    let group_bytes_max = config.group_bytes_max.min(BYTES_MAX);
    let (fs, dir): (Arc<dyn Fs>, _) = (Arc::new(fs), config.dir.clone());
    let (writer, recovery, lock) = recovery::recover(config, Arc::clone(&fs), now_ms, seed)?;
    Ok((Log { writer, ring_bytes, ring_records, group_bytes_max, now_ms, fs, dir, lock }, recovery))
}

impl Log {
    /// What is known of the target, as far as is on the medium.
    pub(crate) fn target(&self) -> TargetState {
        self.writer.targets().targets.get(&control::KAFKA).cloned().unwrap_or_default()
    }

    /// The sequence the next record gets.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.writer.next_sequence()
    }

    /// Writes a control before the log is started; it is durable on `Ok`.
    pub(crate) fn write_control(&mut self, control: Control) -> Result<(), LogError> {
        self.writer.append_group(self.now_ms, &[], &[control])
    }

    /// Writes an entry of each kind that the way into Kafka makes. For the seeds of fuzzing only.
    ///
    /// # Errors
    /// The file layer failed.
    #[cfg(feature = "sim")]
    pub fn write_samples(&mut self) -> Result<(), LogError> {
        self.writer.append_group(self.now_ms, &[], &control::samples())
    }

    pub(crate) fn fs(&self) -> &Arc<dyn Fs> {
        &self.fs
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

#[cfg(test)]
mod tests;
