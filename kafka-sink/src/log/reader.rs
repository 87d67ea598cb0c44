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
use super::format::{Header, segment_name, segment_number};
use super::scan::{Found, Scanner, SegmentFile};
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
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    stream: String,
    from: From,
    /// The offset of the next record, once known.
    next: Option<u64>,
    current: Option<Current>,
    /// Records read and not yet handed out.
    pending: VecDeque<Record>,
    gaps: Vec<Gap>,
    idle: u32,
}

struct Current {
    number: u64,
    node: String,
    scanner: Scanner,
    /// A newer segment exists: nothing more is written here.
    complete: bool,
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
            fs,
            dir: dir.into(),
            stream: stream.to_owned(),
            from,
            next: None,
            current: None,
            pending: VecDeque::new(),
            gaps: Vec::new(),
            idle: 0,
        };
        reader.find_start()?;
        if reader.current.is_none() && from == From::End {
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
        if self.current.is_none() {
            self.find_start()?;
        }
        let Some(current) = &mut self.current else { return Ok(false) };
        let path = || self.dir.join(segment_name(current.number));
        match current.scanner.next().map_err(|error| LogError::io("read", &path())(error))? {
            Found::Group { .. } | Found::Damage { .. } => {
                self.idle = 0;
                self.take_records();
                Ok(true)
            }
            Found::End { .. } => self.advance(),
        }
    }

    fn take_records(&mut self) {
        let Some(current) = &self.current else { return };
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

    /// At the end of a segment: on to the next, if there is one and this is complete.
    fn advance(&mut self) -> Result<bool, LogError> {
        let Some(current) = &mut self.current else { return Ok(false) };
        let newer = newer_headers(&*self.fs, &self.dir, current.number)?;
        let Some((number, _)) = newer.first() else {
            self.idle = self.idle.wrapping_add(1);
            current.scanner.set_thorough(self.idle.is_multiple_of(THOROUGH_EVERY));
            return Ok(false);
        };
        if !current.complete {
            // The writer may have appended here between our last look and its first group there.
            current.complete(&newer);
            return Ok(true);
        }
        let number = *number;
        if let Some(segment) = open(&*self.fs, &self.dir, number)? {
            self.enter(number, segment)?;
        }
        // If it was deleted just now, the next look finds another one.
        Ok(true)
    }

    /// Makes a segment the current one, with what is known of it from newer ones.
    fn enter(&mut self, number: u64, segment: SegmentFile) -> Result<(), LogError> {
        let node = segment.header.node.clone();
        let mut current = Current { number, node, scanner: Scanner::new(segment, false), complete: false };
        let newer = newer_headers(&*self.fs, &self.dir, number)?;
        if !newer.is_empty() {
            current.complete(&newer);
        }
        self.current = Some(current);
        Ok(())
    }

    /// Opens the segment to begin with, if there is one yet.
    fn find_start(&mut self) -> Result<(), LogError> {
        let numbers = segments(&*self.fs, &self.dir)?;
        let found = match self.from {
            From::Beginning => open_first(&*self.fs, &self.dir, &numbers)?,
            From::End => open_last(&*self.fs, &self.dir, &numbers)?,
            From::Offset(offset) => {
                self.next = Some(offset);
                self.find_offset(&numbers, offset)?
            }
        };
        let Some((number, segment)) = found else { return Ok(()) };
        self.enter(number, segment)?;
        if self.from == From::End {
            self.skip_to_end()?;
        }
        Ok(())
    }

    /// The newest segment that begins at or before `offset`, or the oldest.
    fn find_offset(&self, numbers: &[u64], offset: u64) -> Result<Option<(u64, SegmentFile)>, LogError> {
        for (index, &number) in numbers.iter().enumerate().rev() {
            let Some(segment) = open(&*self.fs, &self.dir, number)? else { continue };
            let table = read_table(segment).map_err(LogError::io("read", &self.dir))?;
            let begins = table.map(|table| {
                table.into_iter().find(|(name, _)| *name == self.stream).map_or(0, |(_, next)| next)
            });
            if index == 0 || begins.is_some_and(|begins| begins <= offset) {
                return Ok(open(&*self.fs, &self.dir, number)?.map(|segment| (number, segment)));
            }
        }
        Ok(None)
    }

    /// Reads over what is there, remembering only the stream's next offset.
    fn skip_to_end(&mut self) -> Result<(), LogError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let mut next = 0;
        loop {
            let found = current.scanner.next().map_err(LogError::io("read", &self.dir))?;
            if matches!(found, Found::End { .. }) {
                break;
            }
            for entry in current.scanner.entries().flatten() {
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

impl Current {
    /// Nothing more is written here: newer segments, whose headers these are, say what counts.
    fn complete(&mut self, newer: &[(u64, Header)]) {
        let superseded_from = newer.iter().filter_map(|(_, header)| header.supersedes_from).min();
        let synced = newer.first().map_or(0, |(_, header)| header.first_sequence);
        self.scanner.set_bounds(superseded_from, synced.min(superseded_from.unwrap_or(synced)));
        self.scanner.set_thorough(true);
        self.complete = true;
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

/// The numbers of all segments, ascending; none if the directory is not there.
fn segments(fs: &dyn Fs, dir: &Path) -> Result<Vec<u64>, LogError> {
    let entries = match fs.list(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LogError::io("list", dir)(error)),
    };
    let mut numbers: Vec<u64> = entries.iter().filter_map(|entry| segment_number(&entry.name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// `None` if the segment is gone, or is being made at this moment.
fn open(fs: &dyn Fs, dir: &Path, number: u64) -> Result<Option<SegmentFile>, LogError> {
    match SegmentFile::open(fs, &dir.join(segment_name(number)), false) {
        Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened,
    }
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

/// The headers of all segments after `number`, ascending.
fn newer_headers(fs: &dyn Fs, dir: &Path, number: u64) -> Result<Vec<(u64, Header)>, LogError> {
    let mut headers = Vec::new();
    for newer in segments(fs, dir)?.into_iter().filter(|&newer| newer > number) {
        headers.extend(open(fs, dir, newer)?.map(|segment| (newer, segment.header)));
    }
    Ok(headers)
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
