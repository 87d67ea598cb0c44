//! A file system that has no space for records with a certain text, and space for all else.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::file::{DirEntry, File, Fs};
use super::super::sim::SimFs;

/// What it refuses to write.
pub(super) const REFUSED: &[u8] = b"refused";

#[derive(Clone)]
pub(super) struct Refusing {
    inner: SimFs,
    on: Arc<AtomicBool>,
}

impl Refusing {
    pub(super) fn new(inner: SimFs) -> Refusing {
        Refusing { inner, on: Arc::default() }
    }

    pub(super) fn set(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }

    fn wrap(&self, inner: io::Result<Box<dyn File>>) -> io::Result<Box<dyn File>> {
        Ok(Box::new(RefusingFile { inner: inner?, on: Arc::clone(&self.on) }))
    }
}

struct RefusingFile {
    inner: Box<dyn File>,
    on: Arc<AtomicBool>,
}

impl File for RefusingFile {
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        if self.on.load(Ordering::SeqCst) && bytes.windows(REFUSED.len()).any(|window| window == REFUSED) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inner.write_at(bytes, position)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn allocate(&self, from: u64, len: u64) -> io::Result<()> {
        self.inner.allocate(from, len)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}

impl Fs for Refusing {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.wrap(self.inner.create(path))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn File>> {
        self.wrap(self.inner.open(path, write))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send>>> {
        self.inner.lock(path)
    }

    fn steady_us(&self) -> u64 {
        self.inner.steady_us()
    }
}
