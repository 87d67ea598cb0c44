//! The segment that is being written.
//!
//! Used by the writer only. After any error the segment must be dropped: what a failed sync leaves
//! behind cannot be known, not even by reading it back.

use std::path::{Path, PathBuf};

use super::LogError;
use super::file::{File, Fs};
use super::format::{Footer, HEADER_AREA, Header, align, segment_name};

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// How a segment's file grows.
#[derive(Clone, Copy)]
pub(crate) struct Growth {
    /// In steps of so many bytes, ahead of the groups.
    pub(crate) step: u64,
    /// By zeros for groups below this many bytes; by space that is only allocated for large ones.
    pub(crate) large_from: usize,
    /// Up to this.
    pub(crate) segment_bytes: u64,
}

pub(crate) struct Segment {
    file: Box<dyn File>,
    path: PathBuf,
    pub(crate) header: Header,
    /// Where the next group goes.
    position: u64,
    /// The file's length; zeros from `position` on.
    filled: u64,
    /// Bytes of the first group.
    start_bytes: u64,
    pub(crate) records: u64,
    pub(crate) groups: u64,
    pub(crate) last_ms: u64,
}

impl Segment {
    /// Makes the file with its header and first group, syncs it and then its directory, so that
    /// nothing in it can be acknowledged before it is sure to be found again.
    pub(crate) fn create(
        fs: &dyn Fs,
        dir: &Path,
        header: Header,
        first_group: &[u8],
    ) -> Result<Segment, LogError> {
        let path = dir.join(segment_name(header.number));
        let file = fs.create(&path).map_err(LogError::io("create", &path))?;
        let mut start = header.encode_area();
        start.extend_from_slice(first_group);
        let len = start.len() as u64;
        let written = file.write_at(&start, 0).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Best effort: a file that stays is recognised as unfinished.
            let _ = fs.remove(&path);
            return Err(LogError::io("write", &path)(error));
        }
        if let Err(error) = fs.sync_dir(dir) {
            let _ = fs.remove(&path);
            return Err(LogError::io("sync", dir)(error));
        }
        let last_ms = header.created_ms;
        Ok(Segment {
            file,
            path,
            header,
            position: len,
            filled: len,
            start_bytes: first_group.len() as u64,
            records: 0,
            groups: 1,
            last_ms,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes the file takes on disk.
    pub(crate) fn len(&self) -> u64 {
        self.filled
    }

    /// Whether `bytes` more keep the file within `segment_bytes`, or within four times its start if
    /// that is more, so that segments never consist of their starts. The first group behind the
    /// start always has room.
    pub(crate) fn has_room(&self, bytes: u64, segment_bytes: u64) -> bool {
        let bytes_max = segment_bytes.max(HEADER_AREA.saturating_add(self.start_bytes.saturating_mul(4)));
        self.groups <= 1 || self.position.saturating_add(bytes) <= bytes_max
    }

    /// Writes a group (padded to the alignment) without syncing it.
    pub(crate) fn write(&mut self, group: &[u8], growth: Growth) -> Result<(), LogError> {
        let end = self.position.saturating_add(group.len() as u64);
        let is_large = group.len() >= growth.large_from;
        if end > self.filled {
            let step = self.filled.saturating_add(growth.step).min(growth.segment_bytes);
            let to = align(step.max(end));
            if is_large { self.allocate(to) } else { self.fill(to) }?;
        }
        let written = if is_large {
            self.file.write_large_at(group, self.position)
        } else {
            self.file.write_at(group, self.position)
        };
        written.map_err(LogError::io("write", &self.path))
    }

    /// Writes zeros ahead, so that the sync of a group need not change the file's length.
    fn fill(&mut self, to: u64) -> Result<(), LogError> {
        while self.filled < to {
            let len = (to - self.filled).min(ZEROS.len() as u64);
            let zeros = ZEROS.get(..len as usize).unwrap_or_default();
            self.file.write_at(zeros, self.filled).map_err(LogError::io("write", &self.path))?;
            self.filled += len;
        }
        Ok(())
    }

    /// Has space found ahead, which reads as zeros. The first sync of what is written there has to say in the file
    /// system's own log that it is, which beside a large group is cheaper than to write all of it twice.
    fn allocate(&mut self, to: u64) -> Result<(), LogError> {
        self.file.allocate(self.filled, to - self.filled).map_err(LogError::io("write", &self.path))?;
        self.filled = to;
        Ok(())
    }

    /// Syncs the group written last and moves behind it.
    pub(crate) fn sync(&mut self, group_len: usize, records: u32, now_ms: u64) -> Result<(), LogError> {
        self.file.sync_data().map_err(LogError::io("sync", &self.path))?;
        self.position = self.position.saturating_add(group_len as u64);
        self.records = self.records.saturating_add(u64::from(records));
        self.groups = self.groups.saturating_add(1);
        self.last_ms = self.last_ms.max(now_ms);
        Ok(())
    }

    /// Ends the segment with its footer and gives back the zeros. Returns the file's length.
    pub(crate) fn close(&mut self, footer: &Footer) -> Result<u64, LogError> {
        debug_assert!(self.position >= HEADER_AREA);
        self.filled =
            close_file(&*self.file, self.header.id, footer).map_err(LogError::io("close", &self.path))?;
        Ok(self.filled)
    }
}

/// Writes the footer where the groups end, cuts everything behind it and syncs. The groups must
/// have been synced before, or a power failure could keep the footer and not them.
pub(crate) fn close_file(file: &dyn File, id: u64, footer: &Footer) -> std::io::Result<u64> {
    let bytes = footer.encode(id);
    file.write_at(&bytes, footer.end)?;
    let len = footer.end.saturating_add(bytes.len() as u64);
    file.set_len(len)?;
    file.sync_data()?;
    Ok(len)
}
