//! Filter text to value, with all matches of a topic: the index of one core or of a rule set.
//!
//! [`crate::Subscriptions`] keeps its filters here, and so does whoever has rules by filter. How
//! topics find filters is told in `walk.rs`; this module holds the texts, so that a colliding hash
//! is seen and never yields a wrong or a doubled match.
//!
//! Memory of a filter: its text once, 16 bytes for it and the value in a slot, and 9 bytes of table
//! at a load between 7/16 and 7/8. `cargo run -p millrace-router --release --example memory` measures it.

use hashbrown::HashTable;

use crate::depths::{DepthCounts, Place};
use crate::hash::Keys;
use crate::slots::Slots;
use crate::walk::{Nodes, probes, shrink, walk};

/// A map from topic filters to values that also answers which filters take a topic.
///
/// Filters are given as [`crate::Filter::text`]: legal and without `$share/{group}/`. Another text
/// is stored and found again, but may match nothing.
pub struct Index<V> {
    keys: Keys,
    depths: DepthCounts,
    terminals: Terminals,
    nodes: Nodes,
    slots: Slots<V>,
}

impl<V> Index<V> {
    /// An empty index. `seed` keys its hashes and is to be secret and random in a running broker.
    pub fn new(seed: u64) -> Index<V> {
        Index::with_keys(Keys::new(seed))
    }

    pub(crate) fn with_keys(keys: Keys) -> Index<V> {
        Index {
            keys,
            depths: DepthCounts::default(),
            terminals: Terminals::new(),
            nodes: Nodes::default(),
            slots: Slots::new(),
        }
    }

    /// Number of filters.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no filter.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stores a value; answers the one the filter had.
    pub fn insert(&mut self, filter: &str, value: V) -> Option<V> {
        if let Some(old) = self.get_mut(filter) {
            return Some(std::mem::replace(old, value));
        }
        self.insert_new(filter, value);
        None
    }

    /// The value of just this filter.
    pub fn get(&self, filter: &str) -> Option<&V> {
        self.find(filter).and_then(|id| self.slots.get(id)).map(|(_, value)| value)
    }

    /// The value of just this filter, to change.
    pub fn get_mut(&mut self, filter: &str) -> Option<&mut V> {
        let id = self.find(filter)?;
        self.slots.get_mut(id)
    }

    /// Takes a filter out and frees what it took.
    pub fn remove(&mut self, filter: &str) -> Option<V> {
        let id = self.find(filter)?;
        self.remove_id(id)
    }

    /// Calls `visit` once for each filter that takes the topic, in an order that depends on seed
    /// and history only.
    pub fn for_each_match(&self, topic: &str, mut visit: impl FnMut(&V)) {
        self.for_each_match_id(topic, |_, value| visit(value));
    }

    /// Bytes on the heap, as far as this type can know: tables, chunks, texts; without what the
    /// values own.
    pub fn heap_bytes(&self) -> usize {
        const DEPTH_COUNTS: usize = 3 * crate::MAX_LEVELS * size_of::<u32>();
        DEPTH_COUNTS + self.terminals.heap_bytes() + self.nodes.heap_bytes() + self.slots.heap_bytes()
    }

    pub(crate) fn for_each_match_id(&self, topic: &str, mut visit: impl FnMut(u32, &V)) {
        probes(&self.keys, topic, self.depths.masks(), |probe| {
            walk(&self.keys, &self.nodes, &probe, |hash, shape| {
                // The search stands for one text, so there is one filter at most.
                let is_meant = |id| self.text(id).is_some_and(|filter| shape.is_of(filter, topic));
                if let Some(id) = self.terminals.find(hash, is_meant)
                    && let Some(value) = self.value(id)
                {
                    visit(id, value);
                }
            });
        });
    }

    /// The number of a filter, its own until it is removed.
    pub(crate) fn find(&self, filter: &str) -> Option<u32> {
        let place = Place::of(&self.keys, filter, |_, _| ());
        self.terminals.find(place.filter, |id| self.text(id) == Some(filter))
    }

    /// Stores a filter that is not there yet.
    pub(crate) fn insert_new(&mut self, filter: &str, value: V) -> u32 {
        let place = Place::of(&self.keys, filter, |node, child| self.nodes.add(node, child));
        self.depths.add(&place);
        let id = self.slots.insert(filter, value);
        self.terminals.insert(place.filter, id);
        id
    }

    pub(crate) fn remove_id(&mut self, id: u32) -> Option<V> {
        let (filter, value) = self.slots.remove(id)?;
        let place = Place::of(&self.keys, &filter, |node, child| self.nodes.remove(node, child));
        self.depths.remove(&place);
        self.terminals.remove(place.filter, id);
        Some(value)
    }

    pub(crate) fn text(&self, id: u32) -> Option<&str> {
        self.slots.get(id).map(|(text, _)| text)
    }

    pub(crate) fn value(&self, id: u32) -> Option<&V> {
        self.slots.get(id).map(|(_, value)| value)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.slots.values()
    }

    pub(crate) fn value_mut(&mut self, id: u32) -> Option<&mut V> {
        self.slots.get_mut(id)
    }
}

/// Half of a filter's hash and its slot. The half is kept so that a table grows without reading the
/// texts again, and so that a slot is looked at only when the filter is most likely the one.
#[derive(Clone, Copy)]
struct Terminal {
    tag: u32,
    slot: u32,
}

/// Hash of a filter to slots, in several tables: one table of a million entries would stop its core
/// while it grows, and hold old and new at once.
struct Terminals {
    tables: Box<[HashTable<Terminal>; TABLES]>,
}

const TABLES: usize = 64;
const TABLE_BITS: u32 = TABLES.trailing_zeros();

impl Terminals {
    fn new() -> Terminals {
        Terminals { tables: Box::new([const { HashTable::new() }; TABLES]) }
    }

    /// The slot whose filter has this hash, most likely, and `is_meant`.
    #[inline]
    fn find(&self, hash: u64, is_meant: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        let is_meant = |entry: &Terminal| entry.tag == tag && is_meant(entry.slot);
        self.tables.get(table_of(tag))?.find(spread(tag), is_meant).map(|entry| entry.slot)
    }

    fn insert(&mut self, hash: u64, slot: u32) {
        let tag = tag(hash);
        if let Some(table) = self.tables.get_mut(table_of(tag)) {
            table.insert_unique(spread(tag), Terminal { tag, slot }, |entry| spread(entry.tag));
        }
    }

    fn remove(&mut self, hash: u64, slot: u32) {
        let tag = tag(hash);
        let Some(table) = self.tables.get_mut(table_of(tag)) else { return };
        if let Ok(entry) = table.find_entry(spread(tag), |entry| entry.slot == slot) {
            entry.remove();
            shrink(table, |entry| spread(entry.tag));
        }
    }

    fn heap_bytes(&self) -> usize {
        size_of_val(&*self.tables) + self.tables.iter().map(HashTable::allocation_size).sum::<usize>()
    }
}

/// The upper half of a hash.
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

fn table_of(tag: u32) -> usize {
    tag as usize % TABLES
}

/// The hash a table works with. It picks the bucket by the low bits and tells neighbours apart by
/// the highest seven: neither may be the bits that picked the table.
fn spread(tag: u32) -> u64 {
    (u64::from(tag) << 32) | u64::from(tag >> TABLE_BITS)
}

#[cfg(test)]
mod tests;
