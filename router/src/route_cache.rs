//! Each core's memory of the topics it sees: which cores want them, and the caller's own verdict.
//!
//! A core asks it for every PUBLISH it takes. A hit hashes the topic once, compares it, and reads
//! the versions of the shards that its route was made from; it takes no lock and asks no other core.
//! "Nobody" is remembered like any other answer: most topics of devices feed a hook only.

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::hash::Keys;
use crate::routes::{CoreSet, Routes};

/// Longer topics, in bytes, are looked up each time: they would make the bound on entries no bound
/// on memory.
const TOPIC_BYTES_MAX: usize = 512;

/// Entries looked at in search of one to give up.
const EVICTION_STEPS: usize = 8;

/// A bounded cache of look-ups in one [`Routes`], with a value `X` of the caller's beside each.
pub struct RouteCache<X> {
    keys: Keys,
    entries_max: usize,
    entries: Vec<Entry<X>>,
    /// From topic to entry.
    table: HashTable<Link>,
    /// Where the search for an entry to give up goes on.
    hand: usize,
    /// The value of a topic that is not kept.
    scratch: Option<X>,
    counts: CacheCounts,
}

/// What became of the look-ups, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// The topic was kept.
    pub hits: u64,
    /// Of these, a filter that may concern the topic had changed, and the routes were looked up again.
    pub stale: u64,
    /// Not known.
    pub misses: u64,
    /// Entries given up for a new one.
    pub evictions: u64,
    /// Topics too long to keep.
    pub uncached: u64,
}

struct Entry<X> {
    topic: Box<str>,
    tag: u32,
    /// Asked for since the hand last passed.
    used: bool,
    route: Route,
    extra: Option<X>,
}

struct Route {
    cores: CoreSet,
    /// The shards probed.
    shards: SmallVec<[u16; 8]>,
    /// The sum of their versions and that of the depths when they were.
    version_sum: u64,
}

#[derive(Clone, Copy)]
struct Link {
    tag: u32,
    entry: u32,
}

impl Link {
    fn hash(&self) -> u64 {
        spread(self.tag)
    }
}

/// The hash the table works with: bucket from the low bits, neighbours told apart by the highest.
fn spread(tag: u32) -> u64 {
    (u64::from(tag) << 32) | u64::from(tag)
}

impl<X> RouteCache<X> {
    /// An empty cache of at most `entries_max` topics (1 at least), about 110 bytes each and the
    /// topic itself. `seed` keys the hashes: secret and random in a running broker.
    pub fn new(entries_max: usize, seed: u64) -> RouteCache<X> {
        RouteCache {
            keys: Keys::new(seed),
            entries_max: entries_max.clamp(1, u32::MAX as usize),
            entries: Vec::new(),
            table: HashTable::new(),
            hand: 0,
            scratch: None,
            counts: CacheCounts::default(),
        }
    }

    /// The cores that want the topic now, and the caller's value for it, made when it is not kept.
    ///
    /// To be called with the same `routes` each time.
    pub fn get(&mut self, routes: &Routes, topic: &str, make: impl FnOnce(&str) -> X) -> (CoreSet, &X) {
        let (cores, value) = self.get_mut(routes, topic, make, |_| ());
        (cores, value)
    }

    /// As [`RouteCache::get`], for a value that depends on the filters that take the topic: `changed`
    /// is called before it is answered again if one of them may have been added or removed since.
    pub fn get_mut(
        &mut self,
        routes: &Routes,
        topic: &str,
        make: impl FnOnce(&str) -> X,
        changed: impl FnOnce(&mut X),
    ) -> (CoreSet, &mut X) {
        if topic.len() > TOPIC_BYTES_MAX {
            self.counts.uncached += 1;
            return (routes.lookup(topic), self.scratch.insert(make(topic)));
        }
        // The upper half alone is used: of a keyed hash any half is as good.
        let tag = (self.keys.text(topic) >> 32) as u32;
        let at = match self.find(tag, topic) {
            Some(at) => {
                self.refresh(at, routes, topic, changed);
                at
            }
            None => self.admit(routes, tag, topic),
        };
        match self.entries.get_mut(at) {
            Some(entry) => (entry.route.cores, entry.extra.get_or_insert_with(|| make(topic))),
            // Links lead to entries; were one wrong, its topic would be served as one not kept.
            None => (routes.lookup(topic), self.scratch.insert(make(topic))),
        }
    }

    /// Forgets the caller's values, for when what they were made from has changed; keeps the routes.
    /// Time is linear in the number of entries.
    pub fn invalidate_extra(&mut self) {
        self.scratch = None;
        for entry in &mut self.entries {
            entry.extra = None;
        }
    }

    /// Topics kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no topic is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What became of the look-ups.
    pub fn counts(&self) -> CacheCounts {
        self.counts
    }

    fn find(&self, tag: u32, topic: &str) -> Option<usize> {
        let is_topic = |link: &Link| {
            link.tag == tag
                && self.entries.get(link.entry as usize).is_some_and(|entry| *entry.topic == *topic)
        };
        self.table.find(spread(tag), is_topic).map(|link| link.entry as usize)
    }

    /// Brings a kept topic up to date if a shard it was looked up in, or the depths, have changed.
    fn refresh(&mut self, at: usize, routes: &Routes, topic: &str, changed: impl FnOnce(&mut X)) {
        let Some(entry) = self.entries.get_mut(at) else { return };
        entry.used = true;
        self.counts.hits += 1;
        if routes.version_sum(&entry.route.shards) != entry.route.version_sum {
            self.counts.stale += 1;
            entry.route = Route::look_up(routes, topic);
            entry.extra.as_mut().map(changed);
        }
    }

    /// Keeps a topic not kept yet. It counts as asked for only when asked for again, so that topics
    /// seen once do not push out those in use.
    fn admit(&mut self, routes: &Routes, tag: u32, topic: &str) -> usize {
        self.counts.misses += 1;
        let route = Route::look_up(routes, topic);
        let entry = Entry { topic: topic.into(), tag, used: false, route, extra: None };
        let at = if self.entries.len() < self.entries_max { self.push(entry) } else { self.replace(entry) };
        let link = Link { tag, entry: at as u32 };
        self.table.insert_unique(link.hash(), link, Link::hash);
        at
    }

    fn push(&mut self, entry: Entry<X>) -> usize {
        if self.entries.len() == self.entries.capacity() {
            // Doubling by hand, so that it ends at the bound.
            let room = self.entries_max - self.entries.len();
            self.entries.reserve_exact(self.entries.len().max(16).min(room));
        }
        self.entries.push(entry);
        self.entries.len() - 1
    }

    /// Puts an entry in the place of one not asked for lately ("second chance"), found in a bounded
    /// number of steps: if all were, the last one looked at goes.
    fn replace(&mut self, entry: Entry<X>) -> usize {
        self.counts.evictions += 1;
        let mut at = self.hand;
        for _ in 0..EVICTION_STEPS {
            at = self.hand;
            self.hand = if at + 1 < self.entries.len() { at + 1 } else { 0 };
            let Some(looked_at) = self.entries.get_mut(at) else { continue };
            if !std::mem::take(&mut looked_at.used) {
                break;
            }
        }
        if let Some(place) = self.entries.get_mut(at) {
            let old = std::mem::replace(place, entry);
            let link = self.table.find_entry(spread(old.tag), |link| link.entry as usize == at);
            if let Ok(link) = link {
                link.remove();
            }
        }
        at
    }
}

impl Route {
    fn look_up(routes: &Routes, topic: &str) -> Route {
        let mut shards = SmallVec::new();
        let mut version_sum = 0_u64;
        let (cores, depths_version) = routes.lookup_seen(topic, |shard, version| {
            shards.push(shard);
            version_sum = version_sum.wrapping_add(version);
        });
        Route { cores, shards, version_sum: version_sum.wrapping_add(depths_version) }
    }
}

#[cfg(test)]
mod tests;
