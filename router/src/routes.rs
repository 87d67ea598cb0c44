//! Which cores want a topic: one table for the whole broker, read and changed by every core.
//!
//! A core adds a filter when its [`crate::Subscriptions`] get their first subscriber of it, removes
//! it with the last, and asks through its own [`crate::RouteCache`], which in the steady state takes
//! no lock. No text is kept: a filter is the 64-bit keyed hash of its path (`walk.rs`), 25 bytes at
//! a table load between 7/16 and 7/8: 50 bytes each, measured with a million.
//!
//! Everything below one literal prefix is in one shard, chosen by the hash of the prefix, so a topic
//! touches only the shards of its own prefixes, and a change makes stale only what touched its shard.
//!
//! Filters whose hashes collide share an entry: a topic of one then also crosses to the cores of the
//! other. If both are on one core, the entry counts them, so that removing one keeps the other.

use hashbrown::HashTable;
use parking_lot::RwLock;
use smallvec::SmallVec;

use crate::atomics::Version;
use crate::depths::{Place, SharedDepths};
use crate::hash::{Child, Keys};
use crate::walk::{Nodes, probes, shrink, walk};

/// The most cores a [`CoreSet`] can tell apart.
pub const MAX_CORES: usize = 64;

const SHARDS: usize = 4096;
const SHARDS_MAX: usize = 1 << 16;

/// Bitmaps of cores: bit n is core n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreSet {
    /// Cores with a subscriber.
    pub interested: u64,
    /// Cores with a subscriber whose session is durable, at QoS 1 or 2: an acknowledgement waits for
    /// these. A subset of `interested`.
    pub durable: u64,
}

impl CoreSet {
    /// Whether nobody wants the topic.
    pub fn is_empty(&self) -> bool {
        self.interested == 0
    }

    fn union(&mut self, other: CoreSet) {
        self.interested |= other.interested;
        self.durable |= other.durable;
    }
}

/// The filters of all cores.
pub struct Routes {
    keys: Keys,
    depths: SharedDepths,
    shards: Box<[Shard]>,
}

#[derive(Default)]
struct Shard {
    version: Version,
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    filters: HashTable<Route>,
    nodes: Nodes,
    /// Filters of one core that share an entry with another of that core: as good as always empty.
    doubles: Vec<Double>,
}

struct Route {
    hash: u64,
    cores: CoreSet,
}

struct Double {
    hash: u64,
    core: usize,
    /// Filters beyond the first.
    extra: u32,
}

impl Double {
    fn is(&self, hash: u64, core: usize) -> bool {
        self.hash == hash && self.core == core
    }
}

impl Routes {
    /// No routes, in 4,096 shards. `seed` keys the hashes: secret and random in a running broker.
    pub fn new(seed: u64) -> Routes {
        Routes::with_shards(seed, SHARDS)
    }

    /// With a number of shards, rounded up to a power of two, at most 65,536.
    pub fn with_shards(seed: u64, shards: usize) -> Routes {
        Routes::with_keys(Keys::new(seed), shards)
    }

    pub(crate) fn with_keys(keys: Keys, shards: usize) -> Routes {
        let shards = shards.clamp(1, SHARDS_MAX).next_power_of_two();
        Routes {
            keys,
            depths: SharedDepths::default(),
            shards: std::iter::repeat_with(Shard::default).take(shards).collect(),
        }
    }

    /// Adds a filter for a core; `durable` as in [`CoreSet`].
    ///
    /// To be called once when the core gets its first subscriber of this filter text
    /// ([`crate::Subscribed::first`]). A look-up that begins after this returned finds it.
    ///
    /// # Panics
    /// If `core` is not below [`MAX_CORES`].
    pub fn add(&self, filter: &str, core: usize, durable: bool) {
        assert!(core < MAX_CORES, "core {core} of at most {MAX_CORES}");
        let (place, way) = self.trace(filter);
        let Some(shard) = self.shard(shard_of(place.prefix, self.shards.len())) else { return };
        let mut table = shard.table.write();
        self.depths.add(&place);
        for (node, child) in way {
            table.nodes.add(node, child);
        }
        table.add(place.filter, core, durable);
        shard.version.bump();
    }

    /// Says anew whether the core has a durable subscriber of a filter that it added.
    /// Without effect if it did not, or if nothing changes.
    pub fn set_durable(&self, filter: &str, core: usize, durable: bool) {
        let place = Place::of(&self.keys, filter, |_, _| ());
        let Some(shard) = self.shard(shard_of(place.prefix, self.shards.len())) else { return };
        let mut table = shard.table.write();
        if table.set_durable(place.filter, core, durable) {
            shard.version.bump();
        }
    }

    /// Takes a filter off for a core, once for each [`Routes::add`] of that text
    /// ([`crate::Unsubscribed::last`]). Without effect if the core has none.
    pub fn remove(&self, filter: &str, core: usize) {
        let (place, way) = self.trace(filter);
        let Some(shard) = self.shard(shard_of(place.prefix, self.shards.len())) else { return };
        let mut table = shard.table.write();
        if !table.remove(place.filter, core) {
            return;
        }
        for (node, child) in way {
            table.nodes.remove(node, child);
        }
        self.depths.remove(&place);
        shard.version.bump();
    }

    /// The cores that want a topic, looked up in the shards. [`crate::RouteCache`] remembers it.
    pub fn lookup(&self, topic: &str) -> CoreSet {
        self.lookup_seen(topic, |_, _| ()).0
    }

    /// As [`Routes::lookup`]; `seen` is told each shard that was probed, with its version. Answers the
    /// version of the depths too.
    pub(crate) fn lookup_seen(&self, topic: &str, mut seen: impl FnMut(u16, u64)) -> (CoreSet, u64) {
        let (depths, version) = self.depths.load();
        let mut cores = CoreSet::default();
        probes(&self.keys, topic, &depths, |probe| {
            let number = shard_of(probe.hash, self.shards.len());
            let Some(shard) = self.shard(number) else { return };
            let table = shard.table.read();
            seen(number, shard.version.get());
            walk(&self.keys, &table.nodes, &probe, |hash, _| {
                if let Some(route) = table.filters.find(hash, |route| route.hash == hash) {
                    cores.union(route.cores);
                }
            });
        });
        (cores, version)
    }

    /// The sum of the versions of the depths and of these shards: the same as long as nothing changed.
    pub(crate) fn version_sum(&self, shards: &[u16]) -> u64 {
        let versions =
            shards.iter().filter_map(|number| self.shard(*number)).map(|shard| shard.version.get());
        versions.fold(self.depths.version(), u64::wrapping_add)
    }

    /// Number of filters with at least one core; walks all shards.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.table.read().filters.len()).sum()
    }

    /// Whether there is no filter at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on the heap; walks all shards.
    pub fn heap_bytes(&self) -> usize {
        let shards = self.shards.iter().map(|shard| shard.table.read().heap_bytes()).sum::<usize>();
        size_of_val(&*self.shards) + shards
    }

    /// Where a filter stands, and the nodes it goes through.
    fn trace<'f>(&self, filter: &'f str) -> (Place, SmallVec<[(u64, Child<'f>); 8]>) {
        let mut way = SmallVec::new();
        let place = Place::of(&self.keys, filter, |node, child| way.push((node, child)));
        (place, way)
    }

    #[cfg(test)]
    pub(crate) fn lock_all_for_test(&self) -> impl Sized {
        self.shards.iter().map(|shard| shard.table.write()).collect::<Vec<_>>()
    }

    fn shard(&self, number: u16) -> Option<&Shard> {
        self.shards.get(usize::from(number))
    }
}

/// The shard of a prefix. Its bits are from the middle of the hash: the tables within use both ends.
fn shard_of(prefix: u64, shards: usize) -> u16 {
    ((prefix >> 32) as usize & (shards - 1)) as u16
}

impl Table {
    fn add(&mut self, hash: u64, core: usize, durable: bool) {
        let entry = self.filters.entry(hash, |route| route.hash == hash, |route| route.hash);
        let route = entry.or_insert(Route { hash, cores: CoreSet::default() }).into_mut();
        let bit = 1 << core;
        let twice = route.cores.interested & bit != 0;
        route.cores.union(CoreSet { interested: bit, durable: if durable { bit } else { 0 } });
        if twice {
            match self.doubles.iter_mut().find(|double| double.is(hash, core)) {
                Some(double) => double.extra += 1,
                None => self.doubles.push(Double { hash, core, extra: 1 }),
            }
        }
    }

    /// True if a bit changed. Of filters that share an entry on one core it is not known which are
    /// durable, so the bit then stays set: a core may be waited for needlessly, never too little.
    fn set_durable(&mut self, hash: u64, core: usize, durable: bool) -> bool {
        let shared = self.doubles.iter().any(|double| double.is(hash, core));
        let Some(route) = self.filters.find_mut(hash, |route| route.hash == hash) else { return false };
        let bit = route.cores.interested & 1_u64.checked_shl(core as u32).unwrap_or(0);
        let before = route.cores.durable;
        if durable {
            route.cores.durable |= bit;
        } else if !shared {
            route.cores.durable &= !bit;
        }
        route.cores.durable != before
    }

    /// False if the core has no filter of this hash.
    fn remove(&mut self, hash: u64, core: usize) -> bool {
        let Ok(mut entry) = self.filters.find_entry(hash, |route| route.hash == hash) else { return false };
        let cores = &mut entry.get_mut().cores;
        let bit = cores.interested & 1_u64.checked_shl(core as u32).unwrap_or(0);
        if bit == 0 {
            return false;
        }
        if let Some(at) = self.doubles.iter().position(|double| double.is(hash, core)) {
            let mut double = self.doubles.swap_remove(at);
            double.extra -= 1;
            if double.extra > 0 {
                self.doubles.push(double);
            }
            return true;
        }
        cores.interested &= !bit;
        cores.durable &= !bit;
        if cores.is_empty() {
            entry.remove();
            shrink(&mut self.filters, |route| route.hash);
        }
        true
    }

    fn heap_bytes(&self) -> usize {
        self.filters.allocation_size()
            + self.nodes.heap_bytes()
            + self.doubles.capacity() * size_of::<Double>()
    }
}

#[cfg(test)]
mod tests;
