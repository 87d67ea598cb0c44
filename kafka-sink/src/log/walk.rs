//! Walks over the segments of a log that may grow, roll and shrink meanwhile: what
//! [`reader`](super::reader) and [`follow`](super::follow) have in common.
//!
//! [`scan`](super::scan) knows one file; this knows which file comes after it, and what newer files
//! say of older ones. Every header is read once, and the directory is listed only when no newer
//! segment is known, so a long log costs no more for each of its segments than a short one.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LogError;
use super::file::Fs;
use super::format::{GroupHead, segment_name, segment_number};
use super::scan::{Found, Scanner, SegmentFile};

/// A place in a log.
pub(crate) struct Walk {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    /// Segments by number: those after the current one, and others that were asked for.
    known: BTreeMap<u64, Known>,
    current: Option<Current>,
    /// Bytes read at once, at least.
    window: usize,
}

/// What counts of a segment's header.
#[derive(Clone, Copy)]
struct Known {
    first_sequence: u64,
    supersedes_from: Option<u64>,
}

/// The segment that is being read.
pub(crate) struct Current {
    pub(crate) number: u64,
    pub(crate) id: u64,
    pub(crate) node: Arc<str>,
    pub(crate) scanner: Scanner,
    /// A newer segment exists: nothing more is written here.
    complete: bool,
}

/// What a step of the walk meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// As [`Found::Group`].
    Group { at: u64, head: GroupHead },
    /// As [`Found::Damage`].
    Damage { bytes: (u64, u64), sequences: (u64, u64) },
    /// Into another segment, or to a closer look at the same one.
    Moved,
    /// There is nothing more now.
    End,
}

impl Walk {
    /// At no segment yet.
    pub(crate) fn new(fs: Arc<dyn Fs>, dir: PathBuf, window: usize) -> Walk {
        Walk { fs, dir, known: BTreeMap::new(), current: None, window }
    }

    pub(crate) fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    pub(crate) fn scanner(&mut self) -> Option<&mut Scanner> {
        self.current.as_mut().map(|current| &mut current.scanner)
    }

    /// Makes a segment the current one, with what is known of it from newer ones.
    pub(crate) fn enter(&mut self, number: u64, segment: SegmentFile) -> Result<(), LogError> {
        let (id, node) = (segment.header.id, Arc::from(&*segment.header.node));
        let mut scanner = Scanner::new(segment, false);
        scanner.set_window(self.window);
        self.current = Some(Current { number, id, node, scanner, complete: false });
        self.look()
    }

    /// Goes nowhere: the next segment has to be entered.
    pub(crate) fn leave(&mut self) {
        self.current = None;
    }

    /// One step further.
    pub(crate) fn step(&mut self) -> Result<Step, LogError> {
        let Some(current) = &mut self.current else { return Ok(Step::End) };
        let number = current.number;
        let path = || self.dir.join(segment_name(number));
        match current.scanner.next().map_err(|error| LogError::io("read", &path())(error))? {
            Found::Group { at, head } => Ok(Step::Group { at, head }),
            Found::Damage { bytes, sequences } => Ok(Step::Damage { bytes, sequences }),
            Found::End { .. } => self.advance(),
        }
    }

    /// At the end of a segment: on to the next, if there is one and this is complete.
    fn advance(&mut self) -> Result<Step, LogError> {
        let Some(current) = &self.current else { return Ok(Step::End) };
        let number = current.number;
        if !current.complete {
            self.look()?;
            // The writer may have appended here between our last look and its first group there.
            let complete = self.current.as_ref().is_some_and(|current| current.complete);
            return Ok(if complete { Step::Moved } else { Step::End });
        }
        let Some((next, _, _)) = self.newer(number)? else { return Ok(Step::End) };
        match open(&*self.fs, &self.dir, next)? {
            Some(segment) => self.enter(next, segment)?,
            // Deleted just now: the next step finds another one.
            None => self.forget(next),
        }
        Ok(Step::Moved)
    }

    /// Heeds a segment that is newer than the current one, if there is one by now.
    pub(crate) fn look(&mut self) -> Result<(), LogError> {
        let Some(current) = self.current.as_ref().filter(|current| !current.complete) else { return Ok(()) };
        let newer = self.newer(current.number)?;
        if let Some((_, synced, superseded_from)) = newer
            && let Some(current) = &mut self.current
        {
            current.scanner.set_bounds(superseded_from, synced.min(superseded_from.unwrap_or(synced)));
            current.scanner.set_thorough(true);
            current.complete = true;
        }
        Ok(())
    }

    /// Of the segments after `number`: the first one's number and first sequence, and from where
    /// they supersede what is before them.
    fn newer(&mut self, number: u64) -> Result<Option<(u64, u64, Option<u64>)>, LogError> {
        let after = number.saturating_add(1);
        if self.known.range(after..).nth(1).is_none() {
            self.refresh(after)?;
        }
        let Some((&first, known)) = self.known.range(after..).next() else { return Ok(None) };
        let superseded_from = self.known.range(after..).filter_map(|(_, known)| known.supersedes_from).min();
        Ok(Some((first, known.first_sequence, superseded_from)))
    }

    /// Learns of the segments with this number and later ones.
    fn refresh(&mut self, from: u64) -> Result<(), LogError> {
        let numbers = segments(&*self.fs, &self.dir)?;
        // The newest may have been made again under the same number: its run may have ended in a
        // crash before anything else knew of it.
        self.known.pop_last();
        self.known.retain(|number, _| numbers.binary_search(number).is_ok());
        for number in numbers.into_iter().filter(|&number| number >= from) {
            if self.known.contains_key(&number) {
                continue;
            }
            if let Some(SegmentFile { header, .. }) = open(&*self.fs, &self.dir, number)? {
                let known =
                    Known { first_sequence: header.first_sequence, supersedes_from: header.supersedes_from };
                self.known.insert(number, known);
            }
        }
        Ok(())
    }

    /// The number of the segment that holds the record `sequence` if any does: the newest that
    /// begins at or before it, or the oldest. `None`: there is no segment.
    pub(crate) fn find(&mut self, sequence: u64) -> Result<Option<u64>, LogError> {
        self.refresh(0)?;
        Ok(self.find_known(sequence))
    }

    /// [`Walk::find`] among those that are known.
    pub(crate) fn find_known(&self, sequence: u64) -> Option<u64> {
        let holds = |(_, known): &(&u64, &Known)| known.first_sequence <= sequence;
        let found = self.known.iter().rev().find(holds).or_else(|| self.known.iter().next());
        found.map(|(&number, _)| number)
    }

    /// The segment is not there any more.
    pub(crate) fn forget(&mut self, number: u64) {
        self.known.remove(&number);
    }
}

/// The numbers of all segments, ascending; none if the directory is not there.
pub(crate) fn segments(fs: &dyn Fs, dir: &Path) -> Result<Vec<u64>, LogError> {
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
pub(crate) fn open(fs: &dyn Fs, dir: &Path, number: u64) -> Result<Option<SegmentFile>, LogError> {
    match SegmentFile::open(fs, &dir.join(segment_name(number)), false) {
        Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened,
    }
}
