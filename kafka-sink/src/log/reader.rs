//! Reads one stream of a log, for `millrace consume`: another process, read-only.

use std::path::{Path, PathBuf};

use super::LogError;

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

/// Reads a stream.
pub struct Reader {
    dir: PathBuf,
}

impl Reader {
    /// Opens a stream of the log in `dir`. Neither needs to exist yet.
    ///
    /// # Errors
    /// The directory cannot be read, or holds a newer format.
    pub fn open(dir: impl Into<PathBuf>, stream: &str, from: From) -> Result<Reader, LogError> {
        let _ = (stream, from);
        Ok(Reader { dir: dir.into() })
    }

    /// Appends up to `max` further records to `out` and says how many. 0: nothing new now; ask
    /// again later. Never waits.
    ///
    /// # Errors
    /// A file cannot be read, or is in a newer format.
    pub fn poll(&mut self, out: &mut Vec<Record>, max: usize) -> Result<usize, LogError> {
        let _ = (out, max, &self.dir);
        Ok(0)
    }

    /// Gaps met since the last call, oldest first.
    pub fn take_gaps(&mut self) -> Vec<Gap> {
        Vec::new()
    }
}

/// The streams of the log in `dir`, by name.
///
/// # Errors
/// A file cannot be read, or is in a newer format.
pub fn streams(dir: &Path) -> Result<Vec<StreamInfo>, LogError> {
    let _ = dir;
    Ok(Vec::new())
}
