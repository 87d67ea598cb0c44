//! What the cores read of [`crate::Routes`] without a lock: the versions and the depths in use. All
//! atomics of this crate are here.
//!
//! The rule is the same for both. A writer changes the data under a lock, then bumps the version
//! (release). A reader reads the version (acquire) *before* the data, and keeps it beside what it
//! found. If a change came to be seen late, the kept version is old, and the next look at it says so.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::depths::{DepthCounts, Depths, Place};

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

/// [`Depths`] that all cores read and any core changes.
///
/// A bit is set before the first filter of its depth can be found and cleared after the last one
/// is gone, so a reader may probe in vain but never too little. Clearing leaves the version alone:
/// what was found with one probe more is still right.
#[derive(Default)]
pub(crate) struct SharedDepths {
    counts: Mutex<DepthCounts>,
    masks: [AtomicU64; 6],
    version: Version,
}

impl SharedDepths {
    pub(crate) fn add(&self, place: &Place) {
        let mut counts = self.counts.lock();
        if counts.add(place) {
            self.publish(counts.masks());
            self.version.bump();
        }
    }

    pub(crate) fn remove(&self, place: &Place) {
        let mut counts = self.counts.lock();
        if counts.remove(place) {
            self.publish(counts.masks());
        }
    }

    fn publish(&self, depths: &Depths) {
        let halves = [depths.exact, depths.multi, depths.plus].map(|mask| [mask as u64, (mask >> 64) as u64]);
        for (shared, half) in self.masks.iter().zip(halves.as_flattened()) {
            shared.store(*half, Ordering::Relaxed);
        }
    }

    /// The masks and a version not newer than they are.
    pub(crate) fn load(&self) -> (Depths, u64) {
        let version = self.version.get();
        let [exact, exact_high, multi, multi_high, plus, plus_high] = &self.masks;
        let mask = |low: &AtomicU64, high: &AtomicU64| {
            u128::from(low.load(Ordering::Relaxed)) | (u128::from(high.load(Ordering::Relaxed)) << 64)
        };
        let (exact, multi, plus) = (mask(exact, exact_high), mask(multi, multi_high), mask(plus, plus_high));
        (Depths { exact, multi, plus }, version)
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Keys;

    #[test]
    fn masks_follow_counts_and_only_growth_is_a_new_version() {
        let keys = Keys::new(1);
        let shared = SharedDepths::default();
        let deep = "x/".repeat(100) + "#";
        let filters = ["a", "a/b", "c/d", "a/+", deep.as_str()];
        let places = filters.map(|filter| Place::of(&keys, filter, |_, _| ()));
        for place in &places {
            shared.add(place);
        }
        let all = Depths { exact: 0b11, multi: 1 << 100, plus: 0b10 };
        assert_eq!(shared.load(), (all, 4));
        shared.remove(&places[1]);
        assert_eq!(shared.load(), (all, 4));
        shared.remove(&places[2]);
        assert_eq!(shared.load(), (Depths { exact: 0b01, ..all }, 4));
        for at in [0, 3, 4] {
            shared.remove(&places[at]);
        }
        assert_eq!(shared.load(), (Depths::default(), 4));
        shared.add(&places[0]);
        assert_eq!(shared.version(), 5);
    }
}
