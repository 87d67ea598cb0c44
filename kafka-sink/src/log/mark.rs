//! The file `run`: what the newest segment cannot say of itself, that it was there.
//!
//! Written anew (beside, synced, renamed) whenever there is a new segment, before it takes a record,
//! and at a clean stop. A start that does not find what the file names knows that records are lost,
//! and which numbers it must not give again. What the file says is never more than what was done: an
//! older one, left by a crash, is heeded with the same right.

#![deny(clippy::arithmetic_side_effects)]

use std::io;
use std::path::Path;

use super::LogError;
use super::bytes::{Input, put_u32, put_u64};
use super::file::Fs;

const NAME: &str = "run";
const NEW: &str = "run.new";
const MAGIC: &[u8; 8] = b"MILLRRUN";
const VERSION: u32 = 1;
const LEN: usize = 40;
const FLAG_CLEAN: u32 = 1;

/// More sequences than any segment takes: as many records fill 256 GiB. Sequences and offsets are
/// 64 bits wide, so they may be skipped.
const SEGMENT_RECORDS: u64 = 1 << 32;

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) run: u32,
    /// The run ended with its stop.
    pub(crate) clean: bool,
    /// The newest segment's number.
    pub(crate) segment: u64,
    /// Its first sequence; after a clean stop the sequence after its last record.
    pub(crate) sequence: u64,
}

impl Mark {
    /// No record can have had this sequence or a later one; for when the segment is gone.
    pub(crate) fn beyond(&self) -> u64 {
        if self.clean { self.sequence } else { self.sequence.saturating_add(SEGMENT_RECORDS) }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LEN);
        out.extend_from_slice(MAGIC);
        put_u32(&mut out, VERSION);
        put_u32(&mut out, self.run);
        put_u32(&mut out, if self.clean { FLAG_CLEAN } else { 0 });
        put_u64(&mut out, self.segment);
        put_u64(&mut out, self.sequence);
        let crc = crc32c::crc32c(&out);
        put_u32(&mut out, crc);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Mark> {
        let (body, crc) = bytes.split_at_checked(LEN.checked_sub(4)?)?;
        if crc32c::crc32c(body).to_le_bytes() != *crc {
            return None;
        }
        let mut input = Input::new(body);
        if &input.array::<8>()? != MAGIC || input.u32()? != VERSION {
            return None;
        }
        Some(Mark {
            run: input.u32()?,
            clean: input.u32()? & FLAG_CLEAN != 0,
            segment: input.u64()?,
            sequence: input.u64()?,
        })
    }

    /// Makes the file say this; it does when this returns.
    pub(crate) fn write(&self, fs: &dyn Fs, dir: &Path) -> Result<(), LogError> {
        let (new, path) = (dir.join(NEW), dir.join(NAME));
        let written = match fs.remove(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs.create(&new).and_then(|file| {
                file.write_at(&self.encode(), 0)?;
                file.sync_data()?;
                fs.rename(&new, &path)?;
                fs.sync_dir(dir)
            }),
        };
        written.map_err(LogError::io("write", &path))
    }

    /// What the file says; `None` if there is none, and `Err` with why if it cannot be understood.
    pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<Option<Mark>, String> {
        let path = dir.join(NAME);
        let read = fs.open(&path, false).and_then(|file| {
            let mut bytes = [0; LEN];
            let read = file.read_at(&mut bytes, 0)?;
            Ok(bytes.get(..read).and_then(Mark::decode))
        });
        match read {
            Ok(Some(mark)) => Ok(Some(mark)),
            Ok(None) => Err(format!("{} is damaged; it is written anew", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
        }
    }
}
