//! What the cores read of the routes without a lock. All atomics of this crate are here, and nothing
//! else, so that `broker/tests/loom` can run them under loom.
//!
//! The rule is the same for both. A writer changes the data under a lock, then bumps the version
//! (release). A reader reads the version (acquire) *before* the data, and keeps it beside what it
//! found. If a change came to be seen late, the kept version is old, and the next look at it says so.

use crate::sync::{AtomicU64, Ordering};

/// Counts the changes to something. Only ever grows, so that the sum of several versions is the
/// same again only if each of them is.
#[derive(Default)]
pub(crate) struct Version(AtomicU64);

impl Version {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Called with the lock of the data held, after the change.
    pub(crate) fn bump(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// Words that readers may see while some are old and some are new, and that they know to be old then.
pub(crate) struct Published<const N: usize> {
    words: [AtomicU64; N],
    version: Version,
}

impl<const N: usize> Default for Published<N> {
    fn default() -> Self {
        Published { words: std::array::from_fn(|_| AtomicU64::default()), version: Version::default() }
    }
}

impl<const N: usize> Published<N> {
    /// Called with the lock of the data held.
    pub(crate) fn publish(&self, words: [u64; N]) {
        for (shared, word) in self.words.iter().zip(words) {
            shared.store(word, Ordering::Relaxed);
        }
    }

    /// What was published has to be seen.
    pub(crate) fn bump(&self) {
        self.version.bump();
    }

    /// The words and a version not newer than they are.
    pub(crate) fn load(&self) -> ([u64; N], u64) {
        let version = self.version.get();
        (std::array::from_fn(|at| self.words.get(at).map_or(0, |word| word.load(Ordering::Relaxed))), version)
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.get()
    }
}
