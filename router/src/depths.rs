//! The depths in use: which prefixes of a topic are worth a probe.
//!
//! A bit for each kind of filter and depth. Without them a topic of ten levels would cost twenty
//! probes; with them a broker whose filters are all `devices/{id}/command` pays for one.

use parking_lot::Mutex;

use crate::atomics::Published;
use crate::filter::MAX_LEVELS;
use crate::hash::{Child, Keys};
use crate::topic::split_level;

/// How a filter ends its literal prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Never: no wildcard. Only a topic of just that many levels can match.
    Exact,
    /// With `#`, which ends the filter too.
    Multi,
    /// With `+`; anything may follow.
    Plus,
}

/// Where a filter stands in an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// Levels of the literal prefix.
    pub(crate) depth: usize,
    /// Hash of the literal prefix.
    pub(crate) prefix: u64,
    /// Hash of the whole filter; the same as `prefix` when it is exact.
    pub(crate) filter: u64,
}

impl Place {
    /// Follows a filter from its first level to its last. `through` is told each node past the first
    /// wildcard that the filter goes through, and by which child it leaves.
    ///
    /// For a text that is not a legal filter, `#` before the end is a literal like any other.
    pub(crate) fn of<'f>(keys: &Keys, filter: &'f str, mut through: impl FnMut(u64, Child<'f>)) -> Place {
        let mut wild = None;
        let (mut hash, mut depth) = (keys.root(), 0);
        let mut rest = Some(filter);
        while let Some(text) = rest {
            let (level, next) = split_level(text);
            let child = match level {
                "+" => Child::Plus,
                "#" if next.is_none() => Child::Multi,
                _ => Child::Literal(level),
            };
            match (wild, child) {
                (Some(_), _) => through(hash, child),
                (None, Child::Literal(_)) => depth += 1,
                (None, Child::Plus) => wild = Some((Kind::Plus, hash)),
                (None, Child::Multi) => wild = Some((Kind::Multi, hash)),
            }
            hash = keys.child(hash, child);
            rest = next;
        }
        let (kind, prefix) = wild.unwrap_or((Kind::Exact, hash));
        Place { kind, depth, prefix, filter: hash }
    }

    /// The bit of this place: its depth, less one for exact filters, which have one level at least.
    fn bit(&self) -> usize {
        match self.kind {
            Kind::Exact => self.depth.saturating_sub(1),
            Kind::Multi | Kind::Plus => self.depth,
        }
    }
}

/// The bit of a depth; none beyond the deepest legal filter, so that no topic, however deep, is
/// probed more often than that.
pub(crate) fn bit(depth: usize) -> u128 {
    u32::try_from(depth).ok().and_then(|depth| 1_u128.checked_shl(depth)).unwrap_or(0)
}

/// The depths in use, one mask a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Depths {
    pub(crate) exact: u128,
    pub(crate) multi: u128,
    pub(crate) plus: u128,
}

impl Depths {
    /// Whether nothing is left: a topic need not be read further.
    pub(crate) fn is_empty(&self) -> bool {
        self.exact | self.multi | self.plus == 0
    }

    /// From a depth to the next, so that bit 0 is always that of the depth at hand: of `multi` and `plus` from the
    /// start, of `exact`, whose first bit is depth 1, from there on.
    #[inline]
    pub(crate) fn descend(&mut self, from: usize) {
        if from > 0 {
            self.exact >>= 1;
        }
        self.multi >>= 1;
        self.plus >>= 1;
    }

    /// Without the filters whose first level is a wildcard [MQTT-4.7.2-1].
    pub(crate) fn for_dollar_topics(mut self) -> Depths {
        self.multi &= !1;
        self.plus &= !1;
        self
    }
}

/// How many filters are behind each bit, so that a mask shrinks again.
pub(crate) struct DepthCounts {
    /// By kind and bit. Boxed: an index is moved about, this is 1.5 KiB.
    counts: Box<[[u32; MAX_LEVELS]; 3]>,
    masks: Depths,
}

impl Default for DepthCounts {
    fn default() -> Self {
        DepthCounts { counts: Box::new([[0; MAX_LEVELS]; 3]), masks: Depths::default() }
    }
}

impl DepthCounts {
    pub(crate) fn masks(&self) -> &Depths {
        &self.masks
    }

    /// Counts one filter; true if a mask changed.
    pub(crate) fn add(&mut self, place: &Place) -> bool {
        self.change(place, |count| count.saturating_add(1))
    }

    /// Takes one filter off; true if a mask changed.
    pub(crate) fn remove(&mut self, place: &Place) -> bool {
        self.change(place, |count| count.saturating_sub(1))
    }

    fn change(&mut self, place: &Place, step: impl FnOnce(u32) -> u32) -> bool {
        let [exact, multi, plus] = &mut *self.counts;
        let (counts, mask) = match place.kind {
            Kind::Exact => (exact, &mut self.masks.exact),
            Kind::Multi => (multi, &mut self.masks.multi),
            Kind::Plus => (plus, &mut self.masks.plus),
        };
        // A text deeper than any legal filter has no bit and matches nothing.
        let Some(count) = counts.get_mut(place.bit()) else { return false };
        *count = step(*count);
        let before = *mask;
        let this = bit(place.bit());
        *mask = if *count > 0 { before | this } else { before & !this };
        *mask != before
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
    /// The masks, each as its lower and its upper half.
    masks: Published<6>,
}

impl SharedDepths {
    pub(crate) fn add(&self, place: &Place) {
        let mut counts = self.counts.lock();
        if counts.add(place) {
            self.masks.publish(halves(counts.masks()));
            self.masks.bump();
        }
    }

    pub(crate) fn remove(&self, place: &Place) {
        let mut counts = self.counts.lock();
        if counts.remove(place) {
            self.masks.publish(halves(counts.masks()));
        }
    }

    /// The masks and a version not newer than they are.
    pub(crate) fn load(&self) -> (Depths, u64) {
        let ([exact, exact_high, multi, multi_high, plus, plus_high], version) = self.masks.load();
        let mask = |low, high| u128::from(low) | (u128::from(high) << 64);
        let (exact, multi, plus) = (mask(exact, exact_high), mask(multi, multi_high), mask(plus, plus_high));
        (Depths { exact, multi, plus }, version)
    }

    pub(crate) fn version(&self) -> u64 {
        self.masks.version()
    }
}

fn halves(depths: &Depths) -> [u64; 6] {
    let Depths { exact, multi, plus } = *depths;
    let high = |mask: u128| (mask >> 64) as u64;
    [exact as u64, high(exact), multi as u64, high(multi), plus as u64, high(plus)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Keys;

    #[test]
    fn a_hash_sign_before_the_end_is_a_literal() {
        let keys = Keys::new(1);
        let of = |filter| {
            let Place { kind, depth, .. } = Place::of(&keys, filter, |_, _| ());
            (kind, depth)
        };
        assert_eq!(of("a/#/b"), (Kind::Exact, 3));
        assert_eq!(of("a/b/#"), (Kind::Multi, 2));
        assert_eq!(of("a/+/#"), (Kind::Plus, 1));
    }

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
