//! From a topic to the hashes of all filters that take it. The one algorithm behind [`crate::Index`]
//! and [`crate::Routes`].
//!
//! Each filter is stored in a hash table under the hash of its path (`hash.rs`). There is no tree
//! with child lists: a node *is* the hash of the path to it, so a child is found by folding one
//! level more, and a million siblings are a million entries of one table, not a node with a
//! million children. An example, with the filters
//!
//! ```text
//! devices/7/command    devices/9/#    devices/+/state    devices/+/+/debug
//! ```
//!
//! 1. Literal prefixes. `Depths` says: exact filters end at depth 3, `#` follows a prefix of depth 2,
//!    `+` one of depth 1. For the topic `devices/7/state` that makes three probes ([`probes`]):
//!    `devices` (for `+`), `devices/7` (for `#`), `devices/7/state` (exact).
//! 2. Below a prefix ([`walk`]). Exact and `#` are one look-up each: of the prefix's hash itself, and
//!    of that folded with `#`. With `+` a search begins at the node `devices/+`. `Nodes` counts the
//!    filters that leave a node by a literal, by `+`, by `#`, and the search takes only ways that
//!    exist: here `devices/+/state` (found) and `devices/+/+` (a node, but the topic ends there).
//!
//! `Nodes` has no entry for literal prefixes, so `devices/{id}/#` a million times costs no node.
//! The search takes no path twice and keeps its open branches in a list of at most one branch a
//! level: no recursion, and a topic of 65,535 levels is not read beyond the deepest bit in use.

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::depths::{Depths, bit};
use crate::hash::{Child, Keys};
use crate::topic::{is_dollar, split_level};

/// A prefix of the topic below which filters may match.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe<'t> {
    /// Hash of the prefix.
    pub(crate) hash: u64,
    /// Its levels.
    depth: usize,
    /// What follows it in the topic; `None` when the prefix is all of it.
    rest: Option<&'t str>,
    exact: bool,
    multi: bool,
    plus: bool,
}

/// Calls `visit` for each prefix of the topic that the depths in use ask for, shortest first.
#[inline]
pub(crate) fn probes<'t>(keys: &Keys, topic: &'t str, depths: &Depths, mut visit: impl FnMut(Probe<'t>)) {
    let mut depths = if is_dollar(topic) { depths.for_dollar_topics() } else { *depths };
    let (mut hash, mut depth, mut rest) = (keys.root(), 0, Some(topic));
    loop {
        let at_end = rest.is_none();
        let probe = Probe {
            hash,
            depth,
            rest,
            exact: at_end && depths.exact & 1 != 0,
            multi: depths.multi & 1 != 0,
            plus: !at_end && depths.plus & 1 != 0,
        };
        if probe.exact || probe.multi || probe.plus {
            visit(probe);
        }
        let Some(text) = rest else { return };
        depths.descend(depth);
        if depths.is_empty() {
            return;
        }
        depth += 1;
        let (level, next) = split_level(text);
        hash = keys.level(hash, level);
        rest = next;
    }
}

/// How a search came to a filter: together with the topic it says the filter's very text, so that
/// the holder of the texts can tell the filter meant from one whose hash collides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The levels at which the filter has `+`.
    plus: u128,
    /// The level at which the filter has `#`.
    multi: Option<usize>,
}

impl Shape {
    /// Whether `filter` is the text that this search of `topic` stands for.
    #[inline]
    pub(crate) fn is_of(&self, filter: &str, topic: &str) -> bool {
        if self.plus == 0 && self.multi.is_none() {
            filter == topic
        } else {
            self.is_of_wildcards(filter, topic)
        }
    }

    fn is_of_wildcards(&self, filter: &str, topic: &str) -> bool {
        if let (0, Some(depth)) = (self.plus, self.multi) {
            return is_multi_at(depth, filter, topic);
        }
        let (mut wanted, mut given) = (Some(filter), Some(topic));
        let mut depth = 0;
        loop {
            if self.multi == Some(depth) {
                return wanted == Some("#");
            }
            let (Some(pattern), Some(name)) = (wanted, given) else {
                return wanted.is_none() && given.is_none() && self.multi.is_none();
            };
            let (level, wanted_next) = split_level(pattern);
            let (name, given_next) = split_level(name);
            let expected = if self.plus & bit(depth) != 0 { "+" } else { name };
            if level != expected {
                return false;
            }
            (wanted, given) = (wanted_next, given_next);
            depth += 1;
        }
    }
}

/// Whether a filter is made of the first `depth` levels of the topic and `#`.
fn is_multi_at(depth: usize, filter: &str, topic: &str) -> bool {
    let Some(above) = filter.strip_suffix('#') else { return false };
    let Some(stem) = above.strip_suffix('/') else { return above.is_empty() && depth == 0 };
    let Some(below) = topic.strip_prefix(stem) else { return false };
    let slashes = stem.bytes().filter(|&byte| byte == b'/').count();
    (below.is_empty() || below.starts_with('/')) && slashes + 1 == depth
}

/// An open branch of a search: a node and the topic's levels below it.
struct Branch<'t> {
    hash: u64,
    depth: usize,
    rest: Option<&'t str>,
    plus: u128,
}

/// Calls `found` with the hash of each filter with the probed prefix that takes the topic. A filter
/// of that hash need not exist.
#[inline]
pub(crate) fn walk(keys: &Keys, nodes: &Nodes, probe: &Probe<'_>, mut found: impl FnMut(u64, Shape)) {
    if probe.exact {
        found(probe.hash, Shape { plus: 0, multi: None });
    }
    if probe.multi {
        found(keys.multi(probe.hash), Shape { plus: 0, multi: Some(probe.depth) });
    }
    if let (true, Some(text)) = (probe.plus, probe.rest) {
        let (_, rest) = split_level(text);
        let hash = keys.plus(probe.hash);
        search(keys, nodes, Branch { hash, depth: probe.depth + 1, rest, plus: bit(probe.depth) }, found);
    }
}

fn search(keys: &Keys, nodes: &Nodes, start: Branch<'_>, mut found: impl FnMut(u64, Shape)) {
    let mut open: SmallVec<[Branch<'_>; 8]> = SmallVec::new();
    open.push(start);
    while let Some(Branch { hash, depth, rest, plus }) = open.pop() {
        let node = nodes.get(hash);
        if rest.is_none() {
            found(hash, Shape { plus, multi: None });
        }
        let Some(node) = node else { continue };
        // Also at the end of the topic: `sport/#` takes `sport`.
        if node.multi > 0 {
            found(keys.multi(hash), Shape { plus, multi: Some(depth) });
        }
        let Some(text) = rest else { continue };
        let (level, rest) = split_level(text);
        if node.literal > 0 {
            open.push(Branch { hash: keys.level(hash, level), depth: depth + 1, rest, plus });
        }
        if node.plus > 0 {
            open.push(Branch { hash: keys.plus(hash), depth: depth + 1, rest, plus: plus | bit(depth) });
        }
    }
}

/// A node past the first wildcard, and how many filters leave it by each kind of child.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    hash: u64,
    literal: u32,
    plus: u32,
    multi: u32,
}

impl Node {
    fn count_mut(&mut self, child: Child<'_>) -> &mut u32 {
        match child {
            Child::Literal(_) => &mut self.literal,
            Child::Plus => &mut self.plus,
            Child::Multi => &mut self.multi,
        }
    }

    fn is_unused(&self) -> bool {
        self.literal == 0 && self.plus == 0 && self.multi == 0
    }
}

/// The nodes past first wildcards, by hash. Two paths whose hashes collide share a node and its
/// counts: a search may then try a way in vain, but misses none.
#[derive(Default)]
pub(crate) struct Nodes {
    table: HashTable<Node>,
}

impl Nodes {
    fn get(&self, hash: u64) -> Option<&Node> {
        self.table.find(hash, |node| node.hash == hash)
    }

    /// One filter more leaves the node by this child.
    pub(crate) fn add(&mut self, hash: u64, child: Child<'_>) {
        let entry = self.table.entry(hash, |node| node.hash == hash, |node| node.hash);
        let node = entry.or_insert(Node { hash, literal: 0, plus: 0, multi: 0 }).into_mut();
        let count = node.count_mut(child);
        *count = count.saturating_add(1);
    }

    /// One filter less.
    pub(crate) fn remove(&mut self, hash: u64, child: Child<'_>) {
        let Ok(mut entry) = self.table.find_entry(hash, |node| node.hash == hash) else { return };
        let node = entry.get_mut();
        let count = node.count_mut(child);
        *count = count.saturating_sub(1);
        if node.is_unused() {
            entry.remove();
            shrink(&mut self.table, |node| node.hash);
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.table.allocation_size()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

/// Gives memory back once a table is less than a quarter full: what churn needs again soon is kept.
pub(crate) fn shrink<T>(table: &mut HashTable<T>, hash: impl Fn(&T) -> u64) {
    const SMALL: usize = 16;
    if table.is_empty() {
        *table = HashTable::new();
    } else if table.capacity() > SMALL && table.len() < table.capacity() / 4 {
        table.shrink_to(table.len() * 2, hash);
    }
}

#[cfg(test)]
mod tests;
