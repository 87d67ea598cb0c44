//! Reads one stream of a log, for `millrace consume`: another process, read-only, while the broker
//! runs or not.
//!
//! Goes up to the last complete group, steps over damage and over what retention has deleted (and
//! says which offsets are missing), and heeds "supersedes from". Takes no lock and writes nothing.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LogError;
use super::entry::Entry;
use super::file::{Fs, RealFs};
use super::scan::{Found, Scanner, SegmentFile, WINDOW};
use super::walk::{Step, Walk, open, segments};
use crate::record;

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The earliest record that is still there.
    Beginning,
    /// What is appended after the reader was opened.
    End,
    /// The record with this offset; later ones if it is gone.
    Offset(u64),
}

/// A record of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the stream, from 0; stable over restarts and retention.
    pub offset: u64,
    /// The time of the event in Unix milliseconds.
    pub ts_ms: u64,
    /// The record's key: the client id.
    pub key: String,
    /// The JSON value.
    pub value: Vec<u8>,
    /// Headers; none so far.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// A stream of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its name.
    pub name: String,
    /// The offset of the earliest record that is still there.
    pub earliest: u64,
    /// The offset the next record will get.
    pub next: u64,
}

/// A gap in a stream: records `from..to` are gone, deleted by retention or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first offset that is missing.
    pub from: u64,
    /// The offset of the next record that is there.
    pub to: u64,
}

/// After so many polls without news, look for good groups behind what cannot be read.
const THOROUGH_EVERY: u32 = 64;

/// Reads a stream.
pub struct Reader {
    walk: Walk,
    stream: String,
    from: From,
    /// The offset of the next record, once known.
    next: Option<u64>,
    /// Records read and not yet handed out.
    pending: VecDeque<Record>,
    gaps: Vec<Gap>,
    idle: u32,
}

impl Reader {
    /// Opens a stream of the log in `dir`. Neither needs to exist yet.
    ///
    /// # Errors
    /// The directory cannot be read, or holds a newer format.
    pub fn open(dir: impl Into<PathBuf>, stream: &str, from: From) -> Result<Reader, LogError> {
        Reader::open_with(Arc::new(RealFs::new()), dir, stream, from)
    }

    /// [`Reader::open`] on another file layer.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_with(
        fs: Arc<dyn Fs>,
        dir: impl Into<PathBuf>,
        stream: &str,
        from: From,
    ) -> Result<Reader, LogError> {
        let mut reader = Reader {
            walk: Walk::new(fs, dir.into(), WINDOW),
            stream: stream.to_owned(),
            from,
            next: None,
            pending: VecDeque::new(),
            gaps: Vec::new(),
            idle: 0,
        };
        reader.find_start()?;
        if reader.walk.current().is_none() && from == From::End {
            // Nothing is there yet, so everything will come after the end.
            reader.from = From::Beginning;
        }
        Ok(reader)
    }

    /// Appends up to `max` further records to `out` and says how many. 0: nothing new now; ask
    /// again later. Never waits.
    ///
    /// # Errors
    /// A file cannot be read, or is in a newer format.
    pub fn poll(&mut self, out: &mut Vec<Record>, max: usize) -> Result<usize, LogError> {
        let mut count = 0;
        loop {
            while count < max
                && let Some(record) = self.pending.pop_front()
            {
                out.push(record);
                count = count.saturating_add(1);
            }
            if count == max || !self.read_on()? {
                return Ok(count);
            }
        }
    }

    /// Gaps met since the last call, oldest first.
    pub fn take_gaps(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.gaps)
    }

    /// The offset of the next record, once it is known.
    pub fn next_offset(&self) -> Option<u64> {
        self.pending.front().map(|record| record.offset).or(self.next)
    }

    /// Reads one group further; `false` if there is nothing more now.
    fn read_on(&mut self) -> Result<bool, LogError> {
        if self.walk.current().is_none() {
            self.find_start()?;
        }
        if self.walk.current().is_none() {
            return Ok(false);
        }
        match self.walk.step()? {
            Step::Group { .. } | Step::Damage { .. } => {
                self.idle = 0;
                self.take_records();
                Ok(true)
            }
            Step::Moved => Ok(true),
            Step::End => {
                self.idle = self.idle.wrapping_add(1);
                let thorough = self.idle.is_multiple_of(THOROUGH_EVERY);
                if let Some(scanner) = self.walk.scanner() {
                    scanner.set_thorough(thorough);
                }
                Ok(false)
            }
        }
    }

    fn take_records(&mut self) {
        let Some(current) = self.walk.current() else { return };
        for entry in current.scanner.entries().flatten() {
            let Entry::Record(stored) = entry else { continue };
            let wanted = self.next.unwrap_or(0);
            if stored.stream != self.stream || stored.offset < wanted {
                continue;
            }
            if self.next.is_some() && stored.offset > wanted {
                self.gaps.push(Gap { from: wanted, to: stored.offset });
            }
            self.next = Some(stored.offset.saturating_add(1));
            let mut value = Vec::new();
            record::write_value(&mut value, &stored.event, &current.node);
            self.pending.push_back(Record {
                offset: stored.offset,
                ts_ms: stored.event.ts_ms,
                key: stored.key.to_owned(),
                value,
                headers: Vec::new(),
            });
        }
    }

    /// Opens the segment to begin with, if there is one yet.
    fn find_start(&mut self) -> Result<(), LogError> {
        let (fs, dir) = (&*self.walk.fs, &*self.walk.dir);
        let numbers = segments(fs, dir)?;
        let found = match self.from {
            From::Beginning => open_first(fs, dir, &numbers)?,
            From::End => open_last(fs, dir, &numbers)?,
            From::Offset(offset) => {
                self.next = Some(offset);
                self.find_offset(&numbers, offset)?
            }
        };
        let Some((number, segment)) = found else { return Ok(()) };
        self.walk.enter(number, segment)?;
        if self.from == From::End {
            self.skip_to_end()?;
        }
        Ok(())
    }

    /// The newest segment that begins at or before `offset`, or the oldest.
    fn find_offset(&self, numbers: &[u64], offset: u64) -> Result<Option<(u64, SegmentFile)>, LogError> {
        let (fs, dir) = (&*self.walk.fs, &*self.walk.dir);
        for (index, &number) in numbers.iter().enumerate().rev() {
            let Some(segment) = open(fs, dir, number)? else { continue };
            let table = read_table(segment).map_err(LogError::io("read", dir))?;
            let begins = table.map(|table| {
                table.into_iter().find(|(name, _)| *name == self.stream).map_or(0, |(_, next)| next)
            });
            if index == 0 || begins.is_some_and(|begins| begins <= offset) {
                return Ok(open(fs, dir, number)?.map(|segment| (number, segment)));
            }
        }
        Ok(None)
    }

    /// Reads over what is there, remembering only the stream's next offset.
    fn skip_to_end(&mut self) -> Result<(), LogError> {
        let dir = self.walk.dir.clone();
        let Some(scanner) = self.walk.scanner() else { return Ok(()) };
        let mut next = 0;
        loop {
            let found = scanner.next().map_err(LogError::io("read", &dir))?;
            if matches!(found, Found::End { .. }) {
                break;
            }
            for entry in scanner.entries().flatten() {
                match entry {
                    Entry::Record(stored) if stored.stream == self.stream => {
                        next = next.max(stored.offset.saturating_add(1));
                    }
                    Entry::StreamTable(table) => {
                        let known = table.into_iter().find(|(name, _)| *name == self.stream);
                        next = next.max(known.map_or(0, |(_, next)| next));
                    }
                    _ => {}
                }
            }
        }
        self.next = Some(next);
        Ok(())
    }
}

/// The streams of the log in `dir`, by name.
///
/// # Errors
/// A file cannot be read, or is in a newer format.
pub fn streams(dir: &Path) -> Result<Vec<StreamInfo>, LogError> {
    streams_with(&RealFs::new(), dir)
}

/// [`streams`] on another file layer.
///
/// # Errors
/// As [`streams`].
pub fn streams_with(fs: &dyn Fs, dir: &Path) -> Result<Vec<StreamInfo>, LogError> {
    let numbers = segments(fs, dir)?;
    let mut infos: Vec<StreamInfo> = Vec::new();
    let Some((_, newest)) = open_last(fs, dir, &numbers)? else { return Ok(infos) };
    let mut raise = |name: &str, next: u64| match infos.iter_mut().find(|info| info.name == name) {
        Some(info) => info.next = info.next.max(next),
        None => infos.push(StreamInfo { name: name.to_owned(), earliest: 0, next }),
    };
    let mut scanner = Scanner::new(newest, true);
    while !matches!(scanner.next().map_err(LogError::io("read", dir))?, Found::End { .. }) {
        for entry in scanner.entries().flatten() {
            match entry {
                Entry::Record(stored) => raise(stored.stream, stored.offset.saturating_add(1)),
                Entry::StreamTable(table) => table.into_iter().for_each(|(name, next)| raise(name, next)),
                _ => {}
            }
        }
    }
    if let Some((_, oldest)) = open_first(fs, dir, &numbers)? {
        let table = read_table(oldest).map_err(LogError::io("read", dir))?;
        for (name, begins) in table.unwrap_or_default() {
            if let Some(info) = infos.iter_mut().find(|info| info.name == name) {
                info.earliest = begins;
            }
        }
    }
    infos.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(infos)
}

fn open_first(fs: &dyn Fs, dir: &Path, numbers: &[u64]) -> Result<Option<(u64, SegmentFile)>, LogError> {
    for &number in numbers {
        if let Some(segment) = open(fs, dir, number)? {
            return Ok(Some((number, segment)));
        }
    }
    Ok(None)
}

fn open_last(fs: &dyn Fs, dir: &Path, numbers: &[u64]) -> Result<Option<(u64, SegmentFile)>, LogError> {
    for &number in numbers.iter().rev() {
        if let Some(segment) = open(fs, dir, number)? {
            return Ok(Some((number, segment)));
        }
    }
    Ok(None)
}

/// The stream table at the start of a segment; `None` if it cannot be read.
fn read_table(segment: SegmentFile) -> io::Result<Option<Vec<(String, u64)>>> {
    let mut scanner = Scanner::new(segment, false);
    if !matches!(scanner.next()?, Found::Group { .. }) {
        return Ok(None);
    }
    let table = scanner.entries().flatten().find_map(|entry| match entry {
        Entry::StreamTable(table) => {
            Some(table.into_iter().map(|(name, next)| (name.to_owned(), next)).collect())
        }
        _ => None,
    });
    Ok(table)
}
