//! The keyed hash of a path of levels: hash of the path above, folded with one level more.
//!
//! Every index names a prefix, an inner node and a filter by such a hash, computed in one pass over
//! the text. Clients choose the texts, so the key must be secret: the process draws its seed at
//! random, tests give one. Both keys of foldhash come from it, because with its fixed
//! shared key a level could be written that makes any two paths collide.

use std::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// What comes below a node of a filter's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Child<'a> {
    /// A level to be compared.
    Literal(&'a str),
    /// `+`.
    Plus,
    /// `#`, always the last.
    Multi,
}

/// The key, and the folding done with it.
#[derive(Clone)]
pub(crate) struct Keys {
    root: u64,
    shared: SharedSeed,
    /// The bits of a hash that are kept: tests shorten hashes until they collide.
    #[cfg(test)]
    kept: u64,
}

impl Keys {
    pub(crate) fn new(seed: u64) -> Keys {
        Keys {
            root: seed,
            shared: SharedSeed::from_u64(seed),
            #[cfg(test)]
            kept: u64::MAX,
        }
    }

    /// Keys whose hashes have `bits` bits: a collision for every other path.
    #[cfg(test)]
    pub(crate) fn weak(seed: u64, bits: u32) -> Keys {
        Keys { kept: (1 << bits) - 1, ..Keys::new(seed) }
    }

    /// The same with the bits in the upper half, where the tags of [`crate::Index`] are taken.
    #[cfg(test)]
    pub(crate) fn weak_high(seed: u64, bits: u32) -> Keys {
        Keys { kept: ((1 << bits) - 1) << 32, ..Keys::new(seed) }
    }

    /// The path without levels.
    pub(crate) fn root(&self) -> u64 {
        self.root
    }

    /// One literal level below a path.
    #[inline]
    pub(crate) fn level(&self, above: u64, level: &str) -> u64 {
        self.fold(above, level.as_bytes())
    }

    /// `+` below a path. No level contains a slash, so none hashes as this token does.
    #[inline]
    pub(crate) fn plus(&self, above: u64) -> u64 {
        self.fold(above, b"/+")
    }

    /// `#` below a path.
    #[inline]
    pub(crate) fn multi(&self, above: u64) -> u64 {
        self.fold(above, b"/#")
    }

    pub(crate) fn child(&self, above: u64, child: Child<'_>) -> u64 {
        match child {
            Child::Literal(level) => self.level(above, level),
            Child::Plus => self.plus(above),
            Child::Multi => self.multi(above),
        }
    }

    /// A whole text at once, for tables that need no prefixes.
    #[inline]
    pub(crate) fn text(&self, text: &str) -> u64 {
        self.fold(self.root, text.as_bytes())
    }

    #[inline]
    fn fold(&self, above: u64, bytes: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(above, &self.shared);
        hasher.write(bytes);
        let hash = hasher.finish();
        #[cfg(test)]
        let hash = hash & self.kept;
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn paths_differ_by_level_boundaries_tokens_and_seed() {
        let keys = Keys::new(7);
        let path = |levels: &[&str]| levels.iter().fold(keys.root(), |above, level| keys.level(above, level));
        let mut seen = HashSet::new();
        for levels in [&["a"][..], &["a", ""], &["", "a"], &["aa"], &["aaa"], &["a", "a"], &[""], &["", ""]] {
            assert!(seen.insert(path(levels)), "{levels:?}");
        }
        let texts = ["", "a", "aa", "a/a"].map(|text| keys.text(text));
        assert_eq!(HashSet::from(texts).len(), 4);
        assert_ne!(keys.root(), Keys::new(8).root());
        let a = path(&["a"]);
        assert!(seen.insert(keys.plus(a)) && seen.insert(keys.multi(a)));
        assert!(seen.insert(keys.level(a, "+")) && seen.insert(keys.level(a, "#")));
        assert!(seen.insert(Keys::new(8).level(8, "a")));
    }

    #[test]
    fn a_million_paths_of_one_shape_do_not_collide() {
        let keys = Keys::new(11);
        let devices = keys.level(keys.root(), "devices");
        let hashes: HashSet<u64> = (0..1_000_000)
            .map(|id| keys.level(keys.level(devices, &format!("{id:016}")), "command"))
            .collect();
        assert_eq!(hashes.len(), 1_000_000);
    }
}
