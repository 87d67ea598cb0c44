//! The file layer under the log: what it needs of a file system, and the real one.
//!
//! Everything the log does to files goes through [`Fs`], so that a test can cut the power at any
//! operation (see the module `sim`). All calls block; only the log thread and readers make them.

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;

use rustix::fs::{FallocateFlags, OFlags, fallocate, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// A directory entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The file's name; names that are not UTF-8 are left out of listings, they are not ours.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
}

/// A file system.
pub trait Fs: Send + Sync + 'static {
    /// Creates `path` for reading and writing, mode 0600; fails if it exists.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens `path` for reading, and for writing if `write`.
    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn File>>;
    /// Creates the directory and those above it, mode 0700; no error if it is there.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Renames a file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in the directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// The files of a directory, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    /// Locks the file `path` (made if needed) against other processes until the guard is dropped;
    /// `None` if another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send>>>;
    /// A steady clock in microseconds, for measuring how long a sync took.
    fn steady_us(&self) -> u64;
}

/// An open file. Positions are absolute; there is no cursor.
#[expect(clippy::len_without_is_empty, reason = "a file's length, not a container's")]
pub trait File: Send {
    /// Writes all of `bytes` at `position`.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// [`File::write_at`] for a large write that hardly anybody reads again soon: past the page cache, if the file
    /// system can and `bytes` and `position` begin and end where it wants them (at a [`PAGE`] in memory, at a multiple
    /// of the medium's sector in the file). Readers see it like any other write, and it needs a sync like any other.
    fn write_large_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.write_at(bytes, position)
    }
    /// Reads up to the buffer's length; fewer bytes only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// `fdatasync`: content and the metadata needed to read it back.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Extends the file, which ends at `from`, by `len` bytes that read as zeros and have their space on the medium.
    fn allocate(&self, from: u64, len: u64) -> io::Result<()>;
    /// The file's length.
    fn len(&self) -> io::Result<u64>;
}

/// Where bytes should begin in memory that [`File::write_large_at`] writes.
pub const PAGE: usize = 4096;

/// The operating system's files.
#[derive(Clone, Copy, Debug)]
pub struct RealFs {
    start: Instant,
}

impl RealFs {
    /// The file system of this machine.
    pub fn new() -> RealFs {
        RealFs { start: Instant::now() }
    }
}

impl Default for RealFs {
    fn default() -> RealFs {
        RealFs::new()
    }
}

impl Fs for RealFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(RealFile::new(file)))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn File>> {
        let file = fs::OpenOptions::new().read(true).write(write).open(path)?;
        Ok(Box::new(RealFile::new(file)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() => entries.push(DirEntry { name, len: metadata.len() }),
                Ok(_) => {}
                // Removed since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send>>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn steady_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// How writes to a file go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Cached,
    /// `O_DIRECT` is set.
    Direct,
    /// The file system cannot do otherwise, or not with our sectors.
    OnlyCached,
}

/// An open file of the operating system.
struct RealFile {
    file: fs::File,
    way: Cell<Way>,
}

impl RealFile {
    fn new(file: fs::File) -> RealFile {
        RealFile { file, way: Cell::new(Way::Cached) }
    }

    /// Sets or clears `O_DIRECT`, which holds for all that is read and written from then on.
    fn set_direct(&self, direct: bool) -> io::Result<()> {
        let flags = fcntl_getfl(&self.file)?;
        fcntl_setfl(&self.file, if direct { flags | OFlags::DIRECT } else { flags - OFlags::DIRECT })?;
        self.way.set(if direct { Way::Direct } else { Way::Cached });
        Ok(())
    }

    /// For everything but large writes: the page cache takes it in any place and length.
    fn go_cached(&self) -> io::Result<()> {
        if self.way.get() == Way::Direct { self.set_direct(false) } else { Ok(()) }
    }

    /// Whether the bytes went past the cache. If not, nothing was written.
    fn write_direct_at(&self, bytes: &[u8], position: u64) -> io::Result<bool> {
        let in_place = bytes.as_ptr().align_offset(PAGE) == 0;
        if !in_place || self.way.get() == Way::OnlyCached {
            return Ok(false);
        }
        let result = match self.way.get() {
            Way::Direct => Ok(()),
            _ => self.set_direct(true),
        };
        let written = match result.and_then(|()| FileExt::write_at(&self.file, bytes, position)) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.go_cached()?;
                self.way.set(Way::OnlyCached);
                return Ok(false);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            result => result?,
        };
        if written < bytes.len() {
            // Where the kernel stopped, perhaps in the middle of a sector, the cache goes on.
            let rest = bytes.get(written..).unwrap_or_default();
            self.write_at(rest, position.saturating_add(written as u64))?;
        }
        Ok(true)
    }
}

impl File for RealFile {
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.go_cached()?;
        self.file.write_all_at(bytes, position)
    }

    fn write_large_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        if self.write_direct_at(bytes, position)? { Ok(()) } else { self.write_at(bytes, position) }
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.go_cached()?;
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = position.saturating_add(done as u64);
            match FileExt::read_at(&self.file, rest, at) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, from: u64, len: u64) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::empty(), from, len) {
            // A file system that cannot finds the space when it is written to.
            Err(Errno::OPNOTSUPP) => self.set_len(from.saturating_add(len)),
            result => Ok(result?),
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocated_space_is_there_and_reads_as_zeros() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = RealFs::new().create(&directory.path().join("file")).expect("a file");
        file.write_at(b"abc", 0).expect("written");
        file.allocate(3, 1 << 20).expect("allocated");
        file.sync_data().expect("synced");
        assert_eq!(file.len().expect("a length"), 3 + (1 << 20));
        let mut bytes = vec![1; 100];
        assert_eq!(file.read_at(&mut bytes, 1).expect("read"), 100);
        assert_eq!((&bytes[..2], bytes[2..].iter().all(|byte| *byte == 0)), (&b"bc"[..], true));
    }

    /// Past the cache or not, in any order: what is read is what was written.
    #[test]
    fn large_writes_stand_beside_small_ones() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = RealFs::new().create(&directory.path().join("file")).expect("a file");
        let memory = vec![b'l'; (1 << 20) + PAGE];
        let start = memory.as_ptr().align_offset(PAGE);
        let in_place = &memory[start..start + (1 << 20)];
        let mut expected = vec![0; 8 << 20];
        file.allocate(0, expected.len() as u64).expect("allocated");
        let large: [(&str, &[u8], usize); 5] = [
            ("in place", in_place, 512),
            ("over the end of a large one", in_place, 1 << 20),
            ("not at a page in memory", &in_place[1..], 3 << 20),
            ("not at a sector in the file", in_place, (4 << 20) + 100),
            ("in place again", in_place, 6 << 20),
        ];
        for (name, bytes, at) in large {
            file.write_large_at(bytes, at as u64).expect(name);
            expected[at..at + bytes.len()].copy_from_slice(bytes);
            file.write_at(b"small", at as u64 + 10).expect(name);
            expected[at + 10..at + 15].copy_from_slice(b"small");
            let mut read = vec![0; expected.len()];
            assert_eq!(file.read_at(&mut read, 0).expect(name), read.len());
            assert!(read == expected, "{name}");
        }
        file.sync_data().expect("synced");
        let by_another = fs::read(directory.path().join("file")).expect("read");
        assert!(by_another == expected);
    }
}
