//! Space that is kept for a full disk: the file `reserve`, zeros, synced.
//!
//! When the disk is full, records wait, but what the sink writes must not: what is delivered is what
//! may be deleted. So the writer gives the reserve up and writes the sink's controls into its place,
//! in small segments that follow each other: a few of them fit, whatever is drained. Records wait
//! until the reserve could be made again.

use std::io;
use std::path::{Path, PathBuf};

use super::LogError;
use super::file::Fs;

const NAME: &str = "reserve";
const NEW: &str = "reserve.new";
const CHUNK: usize = 64 * 1024;
/// While the disk is full, making the reserve again is not tried more often: it writes all of it.
const AGAIN_AFTER_MS: u64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Could not be made for another reason than a full disk, or is not wanted.
    Without,
    Standing,
    /// The disk was full.
    GivenUp,
}

pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    state: State,
    tried_ms: u64,
}

impl Reserve {
    /// Whether there is one from an earlier run. `bytes` 0: none is wanted.
    pub(crate) fn find(fs: &dyn Fs, dir: &Path, bytes: u64) -> Reserve {
        let path = dir.join(NAME);
        let found =
            bytes > 0 && fs.open(&path, false).and_then(|file| file.len()).is_ok_and(|len| len == bytes);
        let state = if found { State::Standing } else { State::Without };
        Reserve { path, bytes, state, tried_ms: 0 }
    }

    /// At the start of a run: makes it if it is not there.
    pub(crate) fn make_first(&mut self, fs: &dyn Fs, now_ms: u64) {
        if self.bytes == 0 || self.state == State::Standing {
            return;
        }
        if let Err(error) = self.make(fs, now_ms) {
            if is_full(&error) {
                self.state = State::GivenUp;
            }
            tracing::warn!(%error, "the log has no reserve for a full disk");
        }
    }

    /// Whether the disk was full and records have to wait.
    pub(crate) fn is_given_up(&self) -> bool {
        self.state == State::GivenUp
    }

    /// The longest segment that lets the one before it stand in the reserve's place as well.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.bytes / 4
    }

    /// The disk is full: gives the space back. `false` if there was none.
    pub(crate) fn give_up(&mut self, fs: &dyn Fs, now_ms: u64) -> bool {
        if self.state != State::Standing {
            return false;
        }
        if let Err(error) = fs.remove(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.path.display(), "the reserve could not be given up");
            return false;
        }
        tracing::warn!("the disk is full: records wait, delivery goes on in the reserve");
        self.state = State::GivenUp;
        self.tried_ms = now_ms;
        true
    }

    /// Makes it again after it was given up, so that records need wait no longer.
    ///
    /// # Errors
    /// There is no space for it, or it was tried a moment ago.
    pub(crate) fn restore(&mut self, fs: &dyn Fs, now_ms: u64) -> Result<(), LogError> {
        if !self.is_given_up() {
            return Ok(());
        }
        if now_ms.abs_diff(self.tried_ms) < AGAIN_AFTER_MS {
            return Err(LogError::io("make", &self.path)(io::ErrorKind::StorageFull.into()));
        }
        self.make(fs, now_ms)?;
        tracing::info!("the disk has space again");
        Ok(())
    }

    fn make(&mut self, fs: &dyn Fs, now_ms: u64) -> Result<(), LogError> {
        self.tried_ms = now_ms;
        let new = self.path.with_file_name(NEW);
        let made = remove_if_there(fs, &new).and_then(|()| self.fill(fs, &new));
        if let Err(error) = made {
            // What it takes now is what controls need.
            let _ = fs.remove(&new);
            return Err(LogError::io("make", &self.path)(error));
        }
        self.state = State::Standing;
        Ok(())
    }

    fn fill(&self, fs: &dyn Fs, new: &Path) -> io::Result<()> {
        let file = fs.create(new)?;
        let zeros = [0; CHUNK];
        let mut at = 0u64;
        while at < self.bytes {
            let len = self.bytes.saturating_sub(at).min(CHUNK as u64);
            file.write_at(zeros.get(..len as usize).unwrap_or_default(), at)?;
            at = at.saturating_add(len);
        }
        file.sync_data()?;
        fs.rename(new, &self.path)?;
        fs.sync_dir(self.path.parent().unwrap_or(Path::new("")))
    }
}

fn remove_if_there(fs: &dyn Fs, path: &Path) -> io::Result<()> {
    match fs.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether there was no space.
pub(crate) fn is_full(error: &LogError) -> bool {
    let LogError::Io { source, .. } = error else { return false };
    matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
