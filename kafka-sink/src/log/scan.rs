//! Walks over the groups of one segment, for recovery and for readers: the one place that tells a
//! whole group from a damaged one, and damage from an end.
//!
//! A group is written only after the one before it was synced, and says so. Hence, a bad group
//! with a good one behind it was once good: that is **damage**, and the walk goes on behind it. A
//! bad group with nothing behind it was never finished, or is being written now: the **end**.
//!
//! Where a later segment supersedes this one, groups without records still count: what the sink put
//! there may have been confirmed, and what was not is as good as confirmed too late.
//!
//! Memory is bounded by the length of the file, whatever lengths its bytes claim.

#![deny(clippy::arithmetic_side_effects)]

use std::io;
use std::ops::Range;
use std::path::Path;

use super::LogError;
use super::entry::{Entries, Entry};
use super::file::{File, Fs};
use super::format::{
    ALIGN, BadHeader, END_MARK, Footer, GROUP_HEADER, GroupHead, HEADER_AREA, Header, TRAILER, align,
};

/// Bytes read at once, at least, unless [`Scanner::set_window`] says otherwise.
pub(crate) const WINDOW: usize = 64 * 1024;

/// An opened segment file.
pub(crate) struct SegmentFile {
    pub(crate) file: Box<dyn File>,
    pub(crate) header: Header,
    pub(crate) footer: Option<Footer>,
}

impl SegmentFile {
    /// `Ok(None)`: the header is not whole, so it is not known (yet) what this file is.
    pub(crate) fn open(fs: &dyn Fs, path: &Path, write: bool) -> Result<Option<SegmentFile>, LogError> {
        let file = fs.open(path, write).map_err(LogError::io("open", path))?;
        let mut area = vec![0; HEADER_AREA as usize];
        let read = file.read_at(&mut area, 0).map_err(LogError::io("read", path))?;
        match Header::decode_area(area.get(..read).unwrap_or_default()) {
            Ok(header) => {
                let footer = read_footer(&*file, header.id).map_err(LogError::io("read", path))?;
                Ok(Some(SegmentFile { file, header, footer }))
            }
            Err(BadHeader::Damaged) => Ok(None),
            Err(BadHeader::Newer(version)) => Err(LogError::NewerVersion { path: path.to_owned(), version }),
        }
    }
}

/// Makes up for a header that cannot be read, from the groups that can: what the file holds is
/// known again, except for the node's name. `None`: there is no group.
pub(crate) fn open_headless(file: Box<dyn File>, number: u64, node: &str) -> io::Result<Option<SegmentFile>> {
    let mut head = [0; GROUP_HEADER];
    let mut at = HEADER_AREA;
    let (id, first) = loop {
        if file.read_at(&mut head, at)? < GROUP_HEADER {
            return Ok(None);
        }
        if let Some(found) = GroupHead::decode_any(&head) {
            break found;
        }
        at = at.saturating_add(ALIGN);
    };
    let header = Header {
        id,
        number,
        run: first.run,
        previous_clean: false,
        first_sequence: first.first_sequence,
        created_ms: first.written_ms,
        previous_id: 0,
        previous_end: first.first_sequence,
        supersedes_from: None,
        node: node.to_owned(),
    };
    Ok(Some(SegmentFile { file, header, footer: None }))
}

/// The footer at the end of the file, if there is a whole one.
pub(crate) fn read_footer(file: &dyn File, id: u64) -> io::Result<Option<Footer>> {
    let file_len = file.len()?;
    let Some(trailer_at) = file_len.checked_sub(TRAILER as u64) else { return Ok(None) };
    let mut trailer = [0; TRAILER];
    if file.read_at(&mut trailer, trailer_at)? != TRAILER {
        return Ok(None);
    }
    let start = Footer::len_from_trailer(&trailer, id)
        .and_then(|len| Some((file_len.checked_sub(u64::from(len))?, len)));
    let Some((start, len)) = start else { return Ok(None) };
    let mut bytes = vec![0; len as usize];
    if file.read_at(&mut bytes, start)? != bytes.len() {
        return Ok(None);
    }
    Ok(Footer::decode(&bytes, id).filter(|footer| footer.end == start))
}

/// What the walk meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole group; its entries are in [`Scanner::entries`].
    Group { at: u64, head: GroupHead },
    /// Bytes that were good once. Entries that still are so are in [`Scanner::entries`].
    Damage { bytes: (u64, u64), sequences: (u64, u64) },
    /// Nothing whole follows (yet).
    End { at: u64 },
}

pub(crate) struct Scanner {
    pub(crate) file: Box<dyn File>,
    id: u64,
    position: u64,
    /// The sequence of the next record.
    expected: u64,
    /// Records from here on do not count: a later segment supersedes them.
    superseded_from: Option<u64>,
    /// From the footer: where the groups end, and the sequence after the last record.
    closed: Option<(u64, u64)>,
    /// From the next segment: all sequences below this were synced here.
    synced: u64,
    /// Look for good groups behind a bad one. Off while another process may be writing it.
    thorough: bool,
    window: Window,
    body: Range<usize>,
}

impl Scanner {
    /// At the first group. `thorough` as for [`Scanner::set_thorough`].
    pub(crate) fn new(segment: SegmentFile, thorough: bool) -> Scanner {
        let SegmentFile { file, header, footer } = segment;
        Scanner {
            file,
            id: header.id,
            position: HEADER_AREA,
            expected: header.first_sequence,
            superseded_from: None,
            closed: footer.map(|footer| (footer.end, footer.next_sequence)),
            synced: 0,
            thorough,
            window: Window::new(),
            body: 0..0,
        }
    }

    /// Whether to look for good groups far behind a bad one (reads the rest of the file).
    pub(crate) fn set_thorough(&mut self, thorough: bool) {
        self.thorough = thorough;
    }

    /// What is known from later segments: they supersede records from here on; and all below
    /// `synced` were once whole.
    pub(crate) fn set_bounds(&mut self, superseded_from: Option<u64>, synced: u64) {
        self.superseded_from = superseded_from;
        self.synced = synced;
    }

    /// Bytes to read at once, at least.
    pub(crate) fn set_window(&mut self, bytes: usize) {
        self.window.bytes_min = bytes;
    }

    /// Goes on at `position`, where the next record has the sequence `expected`.
    pub(crate) fn go_to(&mut self, position: u64, expected: u64) {
        self.position = position;
        self.expected = expected;
        self.body = 0..0;
    }

    /// The sequence of the next record.
    pub(crate) fn expected(&self) -> u64 {
        self.expected
    }

    /// The entries of what [`Scanner::next`] found last.
    pub(crate) fn entries(&self) -> Entries<'_> {
        Entries::new(self.body(), self.id)
    }

    /// Their bytes.
    pub(crate) fn body(&self) -> &[u8] {
        self.window.bytes.get(self.body.clone()).unwrap_or_default()
    }

    /// The next thing. After [`Found::End`] it may be called again: there may be more by then.
    pub(crate) fn next(&mut self) -> io::Result<Found> {
        self.body = 0..0;
        let at = self.position;
        if self.closed.is_some_and(|(end, _)| at >= end) {
            return Ok(Found::End { at });
        }
        let superseded = self.superseded_from.is_some_and(|from| self.expected >= from);
        let mut head = None;
        // What was read ahead may have been written since: a bad group is looked at afresh.
        for fresh in [false, true] {
            if fresh {
                self.window.clear();
                self.body = 0..0;
            }
            head = self.read_head(at)?.filter(|head| !superseded || head.records == 0);
            if let Some(head) = head
                && self.read_body(at, head)?
            {
                return Ok(self.take_group(at, head));
            }
        }
        if superseded {
            self.body = 0..0;
            self.window.clear();
            return Ok(Found::End { at });
        }
        let found = self.after_bad_group(at, head)?;
        if matches!(found, Found::End { .. }) {
            // What was read here may be written by now.
            self.window.clear();
        }
        Ok(found)
    }

    fn take_group(&mut self, at: u64, head: GroupHead) -> Found {
        self.position = align(at.saturating_add(head.len()));
        self.expected = head.next_sequence();
        Found::Group { at, head }
    }

    fn read_head(&mut self, at: u64) -> io::Result<Option<GroupHead>> {
        let Some(range) = self.window.read(&*self.file, at, GROUP_HEADER as u64)? else {
            return Ok(None);
        };
        let head = GroupHead::decode(self.window.bytes.get(range).unwrap_or_default(), self.id);
        Ok(head.filter(|head| head.first_sequence >= self.expected && head.synced >= self.expected))
    }

    /// Makes the group's body current; whether all of it is right.
    fn read_body(&mut self, at: u64, head: GroupHead) -> io::Result<bool> {
        let Some(range) = self.window.read(&*self.file, at, head.len())? else { return Ok(false) };
        self.body = range.start.saturating_add(GROUP_HEADER)..range.end.saturating_sub(END_MARK);
        let mark = self.window.bytes.get(self.body.end..range.end).unwrap_or_default();
        if !head.is_end_mark(mark) {
            return Ok(false);
        }
        let (mut entries, mut records) = (0u32, 0u32);
        for entry in self.entries() {
            match entry {
                None => return Ok(false),
                Some(Entry::Record(record)) => {
                    if record.sequence != head.first_sequence.saturating_add(u64::from(records)) {
                        return Ok(false);
                    }
                    records = records.saturating_add(1);
                }
                Some(_) => {}
            }
            entries = entries.saturating_add(1);
        }
        Ok(entries == head.entries && records == head.records)
    }

    fn after_bad_group(&mut self, at: u64, head: Option<GroupHead>) -> io::Result<Found> {
        let damage = |scanner: &mut Scanner, to: u64, sequence: u64| {
            let sequences = (scanner.expected, sequence);
            scanner.position = to;
            scanner.expected = sequence;
            Ok(Found::Damage { bytes: (at, to), sequences })
        };
        let body = self.body.clone();
        if let Some((next_at, next)) = self.find_good_head(at, head)? {
            // Only now is it known that this one was finished: perhaps since it was looked at.
            self.window.clear();
            if let Some(head) = self.read_head(at)?
                && self.read_body(at, head)?
            {
                return Ok(self.take_group(at, head));
            }
            // Looking for it has moved the window.
            self.restore_body(at, head, &body)?;
            return damage(self, next_at, next.first_sequence);
        }
        self.restore_body(at, head, &body)?;
        if let Some((end, next_sequence)) = self.closed {
            return damage(self, end, next_sequence.max(self.expected));
        }
        if self.synced > self.expected {
            let end = align(self.file.len()?).max(at);
            return damage(self, end, self.synced);
        }
        self.body = 0..0;
        Ok(Found::End { at })
    }

    /// The first group behind `at` that proves that what stood at `at` had been synced.
    fn find_good_head(&mut self, at: u64, bad: Option<GroupHead>) -> io::Result<Option<(u64, GroupHead)>> {
        if let Some(bad) = bad {
            let next = align(at.saturating_add(bad.len()));
            if let Some(head) = self.read_head(next)? {
                return Ok(Some((next, head)));
            }
        }
        if !self.thorough && self.closed.is_none() {
            return Ok(None);
        }
        let end = match self.closed {
            Some((end, _)) => end,
            None => self.file.len()?,
        };
        let mut next = at.saturating_add(ALIGN);
        while next < end {
            if let Some(head) = self.read_head(next)? {
                return Ok(Some((next, head)));
            }
            next = next.saturating_add(ALIGN);
        }
        Ok(None)
    }

    /// Makes the body of a damaged group current again, as far as its header tells where it is.
    fn restore_body(&mut self, at: u64, head: Option<GroupHead>, was: &Range<usize>) -> io::Result<()> {
        self.body = 0..0;
        if let Some(head) = head
            && !was.is_empty()
            && let Some(range) = self.window.read(&*self.file, at, head.len())?
        {
            self.body = range.start.saturating_add(GROUP_HEADER)..range.end.saturating_sub(END_MARK);
        }
        Ok(())
    }
}

/// The part of the file that was read last.
struct Window {
    start: u64,
    bytes: Vec<u8>,
    /// Bytes read at once, at least.
    bytes_min: usize,
}

impl Window {
    fn new() -> Window {
        Window { start: 0, bytes: Vec::new(), bytes_min: WINDOW }
    }

    fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Where in `bytes` the file's `len` bytes at `position` are; `None` if the file ends before.
    fn read(&mut self, file: &dyn File, position: u64, len: u64) -> io::Result<Option<Range<usize>>> {
        if let Some(range) = self.find(position, len) {
            return Ok(Some(range));
        }
        let left = file.len()?.saturating_sub(position);
        if len > left {
            return Ok(None);
        }
        let wanted = left.min(len.max(self.bytes_min as u64));
        // Fits: the bytes are there, in a file that is no larger than memory can address.
        let Ok(wanted) = usize::try_from(wanted) else { return Ok(None) };
        self.bytes.clear();
        self.bytes.resize(wanted, 0);
        self.start = position;
        let read = file.read_at(&mut self.bytes, position)?;
        self.bytes.truncate(read);
        Ok(self.find(position, len))
    }

    fn find(&self, position: u64, len: u64) -> Option<Range<usize>> {
        let from = usize::try_from(position.checked_sub(self.start)?).ok()?;
        let to = from.checked_add(usize::try_from(len).ok()?)?;
        (to <= self.bytes.len()).then_some(from..to)
    }
}
