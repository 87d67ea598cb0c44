//! Reads durable groups from the files, by sequence, for a sink that is not at the end of the log:
//! Kafka was down, or a start found a backlog. Blocks; one thread at a time.
//!
//! The log may be written meanwhile, by the log thread of the same process. What lies above
//! `durable` is never returned, and before a segment is read on it is asked whether a newer one
//! supersedes what was written there: a group whose sync failed may look whole in its file.

#![deny(clippy::arithmetic_side_effects)]

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::LogError;
use super::entry::Entry;
use super::file::Fs;
use super::port::Group;
use super::walk::{self, Current, Step, Walk};

/// Bytes read at once, at least: few system calls, and it stays in a core's cache.
const WINDOW: usize = 256 * 1024;

/// A place in the log, from which groups are read on.
pub(crate) struct Follow {
    walk: Walk,
    /// The sequence after what was returned, or reported as gone, last.
    next: u64,
    gaps: Vec<Range<u64>>,
}

impl Follow {
    /// For the log in `dir`. Nothing is read yet.
    pub(crate) fn open(fs: Arc<dyn Fs>, dir: PathBuf) -> Follow {
        Follow { walk: Walk::new(fs, dir, WINDOW), next: 0, gaps: Vec::new() }
    }

    /// The groups that hold the records `from..durable`, in order, each whole, so that the first
    /// may begin before `from`. Stops once `bytes_max` bytes of bodies are reached, with at least
    /// one group if there is any. Going on where the last call ended (the end of the last group, or
    /// of a later gap) costs least. Their bytes count in `budget`.
    ///
    /// Groups of controls only are left out. Of a damaged group each row of consecutive records
    /// that are still whole is a group of its own, without controls. Sequences of which no record
    /// is left are in [`Follow::take_gaps`], also if they are the last before `durable`.
    ///
    /// Every record below `durable` must be on the medium. Only groups wholly below it are returned.
    ///
    /// # Errors
    /// A file cannot be read, or is in a newer format. The same call may be made again.
    pub(crate) fn read(
        &mut self,
        from: u64,
        durable: u64,
        bytes_max: usize,
        budget: &Arc<AtomicUsize>,
    ) -> Result<Vec<Arc<Group>>, LogError> {
        if from >= durable {
            return Ok(Vec::new());
        }
        let mut batch = Batch { groups: Vec::new(), gaps: Vec::new(), bytes: 0, budget };
        let read = self.seek(from).and_then(|()| self.read_on(durable, bytes_max, &mut batch));
        if let Err(error) = read {
            // What this call found is found again.
            self.walk.leave();
            return Err(error);
        }
        self.gaps.append(&mut batch.gaps);
        Ok(batch.groups)
    }

    /// Sequences whose records are gone, by damage or retention, among those that calls of
    /// [`Follow::read`] since the last time have passed. Ascending within a call.
    pub(crate) fn take_gaps(&mut self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.gaps)
    }

    /// To where `from` is, and what is known by now of the segment it is in.
    fn seek(&mut self, from: u64) -> Result<(), LogError> {
        if self.walk.current().is_some() && from == self.next {
            return self.walk.look();
        }
        self.next = from;
        let mut found = self.walk.find(from)?;
        while let Some(number) = found {
            let at = self.walk.current().filter(|current| current.number == number);
            if at.is_some_and(|current| current.scanner.expected() <= from) {
                return self.walk.look();
            }
            if let Some(segment) = walk::open(&*self.walk.fs, &self.walk.dir, number)? {
                return self.walk.enter(number, segment);
            }
            // Deleted since the directory was listed.
            self.walk.forget(number);
            found = self.walk.find_known(from);
        }
        self.walk.leave();
        Ok(())
    }

    fn read_on(&mut self, durable: u64, bytes_max: usize, batch: &mut Batch<'_>) -> Result<(), LogError> {
        while self.next < durable && (batch.groups.is_empty() || batch.bytes < bytes_max) {
            if let Some(scanner) = self.walk.scanner() {
                // What is below `durable` was written whole: a bad group there is damage, whatever follows.
                scanner.set_thorough(true);
            }
            let expected = self.walk.current().map_or(0, |current| current.scanner.expected());
            let (at, sequences, whole) = match self.walk.step()? {
                Step::Group { at, head } => (at, head.first_sequence..head.next_sequence(), true),
                Step::Damage { bytes, sequences } => (bytes.0, sequences.0..sequences.1, false),
                Step::Moved => continue,
                Step::End => {
                    // The newest segment, as it was when `durable` was known already, has no more.
                    self.pass_to(durable, batch);
                    break;
                }
            };
            if sequences.end > durable && !sequences.is_empty() {
                if let Some(scanner) = self.walk.scanner() {
                    scanner.go_to(at, expected);
                }
                self.pass_to(sequences.start.min(durable), batch);
                break;
            }
            if whole { self.take_group(sequences, batch) } else { self.take_rows(sequences, batch) }
        }
        Ok(())
    }

    /// A group as it was written.
    fn take_group(&mut self, sequences: Range<u64>, batch: &mut Batch<'_>) {
        if sequences.end <= self.next || sequences.is_empty() {
            return;
        }
        self.pass_to(sequences.start, batch);
        let Some(current) = self.walk.current() else { return };
        self.next = sequences.end;
        batch.push(current, sequences, current.scanner.body().to_vec());
    }

    /// What is left of a damaged group.
    fn take_rows(&mut self, lost: Range<u64>, batch: &mut Batch<'_>) {
        let mut row = Row { sequences: self.next..self.next, body: Vec::new() };
        let mut rows = Vec::new();
        let Some(current) = self.walk.current() else { return };
        let mut entries = current.scanner.entries();
        let mut rest = entries.rest();
        while let Some(entry) = entries.next() {
            let len = rest.len().saturating_sub(entries.rest().len());
            let bytes = rest.get(..len).unwrap_or_default();
            rest = entries.rest();
            let Some(Entry::Record(record)) = entry else { continue };
            let sequence = record.sequence;
            if !lost.contains(&sequence) || sequence < row.sequences.end {
                continue;
            }
            if sequence > row.sequences.end || row.body.is_empty() {
                let next = Row { sequences: sequence..sequence, body: Vec::new() };
                rows.push(std::mem::replace(&mut row, next));
            }
            row.sequences.end = sequence.saturating_add(1);
            row.body.extend_from_slice(bytes);
        }
        rows.push(row);
        for row in rows.into_iter().filter(|row| !row.body.is_empty()) {
            self.pass_to(row.sequences.start, batch);
            self.next = row.sequences.end;
            if let Some(current) = self.walk.current() {
                batch.push(current, row.sequences, row.body);
            }
        }
    }

    /// What is between the last record and `sequence` is gone.
    fn pass_to(&mut self, sequence: u64, batch: &mut Batch<'_>) {
        if sequence > self.next {
            batch.gaps.push(self.next..sequence);
            self.next = sequence;
        }
    }
}

/// What one call found.
struct Batch<'a> {
    groups: Vec<Arc<Group>>,
    gaps: Vec<Range<u64>>,
    bytes: usize,
    budget: &'a Arc<AtomicUsize>,
}

impl Batch<'_> {
    fn push(&mut self, current: &Current, sequences: Range<u64>, body: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(body.len());
        let node = Arc::clone(&current.node);
        self.groups.push(Arc::new(Group::new(current.id, node, sequences, body, self.budget)));
    }
}

/// Records of a damaged group that are whole and follow each other.
struct Row {
    sequences: Range<u64>,
    body: Vec<u8>,
}
