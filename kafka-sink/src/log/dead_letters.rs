//! Records that Kafka refuses, in a file that an operator can read: `dead-letters.jsonl`, one JSON
//! object a line.
//!
//! ```text
//! {"sequence":17,"topic":"t","partition":0,"key":"k","ts":1574744434000,"error":10,"reason":"…","value":{…}}
//! ```
//!
//! `value` is the record's JSON as Kafka would have got it. The file is synced before the group with
//! the entry is written, so a record is never passed by and nowhere. A power failure between the two
//! makes the sink refuse the record again; a line that is there already is not written twice. What a
//! failed write left behind the last sync is written over; what a power failure left there is ended
//! with a newline and does not count unless it is a whole line.
//!
//! Each write is filled up with spaces to a multiple of [`ALIGN`] before its last newline, because a
//! power failure can spoil any sector that is being written.
//!
//! Beyond its limit the file becomes `dead-letters.1.jsonl`, in place of the one before. An operator may
//! move both away at any time.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::LogError;
use super::control::{Control, DeadLetter};
use super::entry;
use super::file::{File, Fs};
use super::format::{ALIGN, align};
use crate::record;

const NAME: &str = "dead-letters.jsonl";
const OLD: &str = "dead-letters.1.jsonl";
/// How much of the end of both files is searched for what an earlier run wrote. More than that in
/// one group may be written twice.
const SEARCHED_BYTES: u64 = 16 * 1024 * 1024;

pub(crate) struct DeadLetters {
    dir: PathBuf,
    bytes_max: u64,
    /// Opened when there is first something to write.
    open: Option<Open>,
    /// Opening has failed, perhaps in the sync: what the file shows need not be on the medium.
    distrust: bool,
}

struct Open {
    file: Box<dyn File>,
    /// The file up to here is on the medium.
    synced: u64,
    /// Something may stand behind `synced`.
    dirty: bool,
    /// What stands before `synced` may be a part of a line. The newline goes with the next line, as
    /// one write: a sync that fails must not leave a hole between two.
    torn: bool,
    /// What is in the files and perhaps not in an entry.
    written: BTreeSet<u64>,
}

impl DeadLetters {
    pub(crate) fn new(dir: &Path, bytes_max: u64) -> DeadLetters {
        DeadLetters { dir: dir.to_owned(), bytes_max, open: None, distrust: false }
    }

    /// Puts the records of all dead letters among `controls` into the file, but for those that are
    /// there; they are on the medium when this returns.
    ///
    /// # Errors
    /// The file layer failed. Call again with the same controls.
    pub(crate) fn write(&mut self, fs: &dyn Fs, controls: &[Control]) -> Result<(), LogError> {
        let letters = || {
            controls.iter().filter_map(|control| match control {
                Control::DeadLetter(letter) if letter.record.is_some() => Some(letter),
                _ => None,
            })
        };
        if letters().next().is_none() {
            return Ok(());
        }
        let path = self.dir.join(NAME);
        self.write_all(fs, letters()).map_err(LogError::io("write", &path))
    }

    /// The entries of these controls are on the medium, they will not come again.
    pub(crate) fn forget(&mut self, controls: &[Control]) {
        let Some(open) = &mut self.open else { return };
        for control in controls {
            if let Control::DeadLetter(letter) = control {
                open.written.remove(&letter.sequence);
            }
        }
    }

    fn write_all<'a>(
        &mut self,
        fs: &dyn Fs,
        letters: impl Iterator<Item = &'a DeadLetter>,
    ) -> io::Result<()> {
        let in_place = self.open.as_ref().map_or(Ok(true), |open| open.is_in_place(fs, &self.dir))?;
        let mut open = match self.open.take() {
            Some(open) if in_place => open,
            Some(open) => Open { written: open.written, ..self.find(fs)? },
            None => self.find(fs)?,
        };
        if open.dirty {
            if let Err(error) = open.file.set_len(open.synced) {
                self.open = Some(open);
                return Err(error);
            }
            open.dirty = false;
        }
        let mut batch = Lines::default();
        for letter in letters {
            if open.written.contains(&letter.sequence) || batch.sequences.contains(&letter.sequence) {
                continue;
            }
            let line = encode(letter);
            let end = open.synced.saturating_add(batch.bytes.len() as u64);
            if end > 0 && align(end.saturating_add(line.len() as u64)) > self.bytes_max {
                open = self.append(open, &mut batch)?;
                self.rotate(fs)?;
                open = Open { written: open.written, ..self.find(fs)? };
            }
            if batch.bytes.is_empty() && (open.torn || !open.synced.is_multiple_of(ALIGN)) {
                batch.bytes.push(b'\n');
                batch.fill_up(open.synced);
            }
            batch.bytes.extend_from_slice(&line);
            batch.sequences.insert(letter.sequence);
        }
        self.open = Some(self.append(open, &mut batch)?);
        Ok(())
    }

    /// Writes and syncs the lines. After a failure the file is still known up to its last sync.
    fn append(&mut self, mut open: Open, batch: &mut Lines) -> io::Result<Open> {
        if batch.bytes.is_empty() {
            return Ok(open);
        }
        batch.fill_up(open.synced);
        let written = open.file.write_at(&batch.bytes, open.synced).and_then(|()| open.file.sync_data());
        if let Err(error) = written {
            open.dirty = true;
            self.open = Some(open);
            return Err(error);
        }
        open.synced = open.synced.saturating_add(batch.bytes.len() as u64);
        open.written.append(&mut batch.sequences);
        open.torn = false;
        batch.bytes.clear();
        Ok(open)
    }

    fn find(&mut self, fs: &dyn Fs) -> io::Result<Open> {
        let mut open = Open::find(fs, &self.dir).inspect_err(|_| self.distrust = true)?;
        if self.distrust {
            // Perhaps twice is better than perhaps not at all.
            open.written.clear();
            open.torn = open.synced > 0;
            self.distrust = false;
        }
        Ok(open)
    }

    fn rotate(&self, fs: &dyn Fs) -> io::Result<()> {
        let (path, old) = (self.dir.join(NAME), self.dir.join(OLD));
        fs.rename(&path, &old)?;
        fs.sync_dir(&self.dir)?;
        tracing::warn!(to = %old.display(), "the dead-letter file was full and took the place of the older one");
        Ok(())
    }
}

/// Lines to be written together.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    sequences: BTreeSet<u64>,
}

impl Lines {
    /// Up to where the next sector begins, if the bytes go to `position`: spaces before the newline.
    fn fill_up(&mut self, position: u64) {
        let end = position.saturating_add(self.bytes.len() as u64);
        let missing = align(end).saturating_sub(end);
        if missing > 0 {
            self.bytes.pop();
            self.bytes.extend(std::iter::repeat_n(b' ', usize::try_from(missing).unwrap_or(0)));
            self.bytes.push(b'\n');
        }
    }
}

impl Open {
    /// Whether the file still has its name: an operator may have moved, deleted or emptied it.
    fn is_in_place(&self, fs: &dyn Fs, dir: &Path) -> io::Result<bool> {
        match fs.open(&dir.join(NAME), false) {
            Ok(file) => Ok(file.len()? >= self.synced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens the file or makes it, and reads what an earlier run wrote last.
    fn find(fs: &dyn Fs, dir: &Path) -> io::Result<Open> {
        let path = dir.join(NAME);
        let file = match fs.open(&path, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs.create(&path)?,
            opened => opened?,
        };
        let synced = file.len()?;
        let mut written = BTreeSet::new();
        let tail = read_tail(&*file, SEARCHED_BYTES)?;
        find_sequences(&tail, &mut written);
        let left = SEARCHED_BYTES.saturating_sub(tail.len() as u64);
        match fs.open(&dir.join(OLD), false) {
            Ok(old) => find_sequences(&read_tail(&*old, left)?, &mut written),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let torn = tail.last().is_some_and(|&last| last != b'\n');
        // A killed process may have left lines in the page cache only, and a name in the directory.
        file.sync_data()?;
        fs.sync_dir(dir)?;
        Ok(Open { file, synced, dirty: false, torn, written })
    }
}

/// At most `bytes_max` of the end of the file, from the beginning of a line on.
fn read_tail(file: &dyn File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let len = file.len()?;
    let from = len.saturating_sub(bytes_max);
    let mut tail = vec![0; usize::try_from(len.saturating_sub(from)).unwrap_or(0)];
    let read = file.read_at(&mut tail, from)?;
    tail.truncate(read);
    if from > 0 {
        let begun = tail.iter().position(|&byte| byte == b'\n').map_or(tail.len(), |at| at.saturating_add(1));
        tail.drain(..begun);
    }
    Ok(tail)
}

/// The sequences of all whole lines; the last one may lack its newline. What a power failure left of
/// a line is not one: zeros and rubbish are no text, and a part of an object is not closed.
fn find_sequences(bytes: &[u8], out: &mut BTreeSet<u64>) {
    for line in bytes.split(|&byte| byte == b'\n') {
        let sequence = (|| {
            let line = std::str::from_utf8(line).ok().map(|line| line.trim_end_matches(' '));
            let line = line.filter(|line| is_whole(line))?;
            line.strip_prefix("{\"sequence\":")?.split_once(',')?.0.parse().ok()
        })();
        out.extend::<Option<u64>>(sequence);
    }
}

/// Whether this is one object that ends where the line ends.
fn is_whole(line: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0u32, false, false);
    for byte in line.bytes() {
        match byte {
            0x00..0x20 => return false,
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth = depth.saturating_add(1),
            b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth == 0 && !in_string && line.ends_with('}')
}

fn encode(letter: &DeadLetter) -> Vec<u8> {
    let stored = letter.record.as_ref().and_then(|item| Some((entry::event(item.entry())?, item)));
    let mut out = Vec::new();
    // Writing into a `Vec` cannot fail.
    let _ = write!(out, "{{\"sequence\":{},\"topic\":", letter.sequence);
    record::write_json(&mut out, &letter.topic);
    let _ = write!(out, ",\"partition\":{},\"key\":", letter.partition);
    record::write_json(&mut out, stored.map_or("", |(stored, _)| stored.key));
    let ts_ms = stored.map_or(0, |(stored, _)| stored.event.ts_ms);
    let _ = write!(out, ",\"ts\":{ts_ms},\"error\":{},\"reason\":", letter.error);
    record::write_json(&mut out, &letter.text);
    out.extend_from_slice(b",\"value\":");
    match stored {
        Some((stored, item)) => record::write_value(&mut out, &stored.event, &item.group.node),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"}\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_line_is_whole() {
        let line = br#"{"sequence":12,"topic":"a\"}}","key":"{\\","value":{"topic":"}}","ts":4}}"#;
        let found = |bytes: &[u8]| {
            let mut out = BTreeSet::new();
            find_sequences(bytes, &mut out);
            out.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(found(line), [12]);
        for at in 0..line.len() {
            assert_eq!(found(&line[..at]), Vec::<u64>::new(), "cut at {at}");
            let mut hole = line.to_vec();
            hole[at] = 0;
            assert_eq!(found(&hole), Vec::<u64>::new(), "a hole at {at}");
        }
        let two = [&line[..30], b"\n", line, b"\n", b"\0\0\n"].concat();
        assert_eq!(found(&two), [12]);
    }
}
