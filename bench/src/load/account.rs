//! What came, exactly: lost, repeated, out of order. No sockets, no clock.
//!
//! [`Ordered`] is for streams that come whole to a subscriber: traffic in order costs eight bytes a pair of subscriber
//! and stream, whatever is missing a range. [`Once`] is for streams that come to any of several subscribers (`$share`):
//! a bit a message, of which a prefix that came whole takes nothing.

use std::collections::{BTreeMap, VecDeque};

/// Ranges of missing messages that one thread remembers.
const GAPS_MAX: usize = 1 << 20;

/// How far ahead of the first message that is missing a stream is followed: messages, 64 a word.
const WORDS_MAX: usize = 1 << 20;

/// What a message is to its subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It came for the first time, and nothing later before it.
    InOrder,
    /// It came for the first time, behind a later one.
    Late,
    /// It was there already (or is one of those that were forgotten, see [`Ordered::forgotten`]).
    Again,
}

/// The streams that come to subscribers in order, by pair.
#[derive(Debug, Default)]
pub(crate) struct Ordered {
    /// By pair: the number that comes next.
    next: Vec<u64>,
    /// What was skipped: the first by pair, to the number behind the last.
    gaps: BTreeMap<(usize, u64), u64>,
    /// Messages that would have to be remembered as missing and are not: should they come late, they count as
    /// repeated, and as lost.
    pub(super) forgotten: u64,
}

impl Ordered {
    pub(crate) fn new(pairs: usize) -> Ordered {
        // Zeroed memory is not touched before it is used.
        Ordered { next: vec![0; pairs], ..Ordered::default() }
    }

    #[inline]
    pub(crate) fn arrive(&mut self, pair: usize, sequence: u64) -> Arrival {
        match self.next.get_mut(pair) {
            Some(next) if *next == sequence => {
                *next += 1;
                Arrival::InOrder
            }
            _ => self.out_of_order(pair, sequence),
        }
    }

    /// Whether a message is behind one that came before; the caller knows whether it came already.
    #[inline]
    pub(super) fn is_behind(&mut self, pair: usize, sequence: u64) -> bool {
        let behind = sequence < self.next[pair];
        if !behind {
            self.next[pair] = sequence + 1;
        }
        behind
    }

    #[cold]
    fn out_of_order(&mut self, pair: usize, sequence: u64) -> Arrival {
        let next = self.next[pair];
        if sequence > next {
            self.next[pair] = sequence + 1;
            self.remember(pair, next, sequence);
            return Arrival::InOrder;
        }
        let before = self.gaps.range(..=(pair, sequence)).next_back();
        let Some((&(of, start), &end)) = before else { return Arrival::Again };
        if of != pair || sequence >= end {
            return Arrival::Again;
        }
        self.gaps.remove(&(pair, start));
        self.remember(pair, start, sequence);
        self.remember(pair, sequence + 1, end);
        Arrival::Late
    }

    fn remember(&mut self, pair: usize, start: u64, end: u64) {
        if start == end {
        } else if self.gaps.len() < GAPS_MAX {
            self.gaps.insert((pair, start), end);
        } else {
            self.forgotten += end - start;
        }
    }
}

/// Which messages of one stream came to any subscriber.
#[derive(Clone, Debug, Default)]
pub(super) struct Once {
    /// Words before the first of `words`: all of their messages came.
    base: u64,
    words: VecDeque<u64>,
    came: u64,
}

impl Once {
    /// Whether it came for the first time; none: it is too far ahead to be followed, so it counts as lost.
    #[inline]
    pub(super) fn arrive(&mut self, sequence: u64) -> Option<bool> {
        let (word, bit) = (sequence / 64, 1 << (sequence % 64));
        let Some(at) = word.checked_sub(self.base) else { return Some(false) };
        let at = at as usize;
        if at >= self.words.len() {
            if at >= WORDS_MAX {
                return None;
            }
            self.words.resize(at + 1, 0);
        }
        let first = self.words[at] & bit == 0;
        self.words[at] |= bit;
        self.came += u64::from(first);
        while self.words.front() == Some(&u64::MAX) {
            self.words.pop_front();
            self.base += 1;
        }
        Some(first)
    }

    /// Distinct messages that came.
    pub(super) fn came(&self) -> u64 {
        self.came
    }

    /// Adds what came to another thread; returns how many came to both.
    pub(super) fn merge(&mut self, other: &Once) -> u64 {
        let end = |once: &Once| once.base + once.words.len() as u64;
        let words = self.base.min(other.base)..end(self).max(end(other));
        let merged: VecDeque<u64> = words.clone().map(|word| self.word(word) | other.word(word)).collect();
        let count: u64 = merged.iter().map(|word| u64::from(word.count_ones())).sum();
        let (base, sum) = (words.start, self.came + other.came);
        *self = Once { base, words: merged, came: base * 64 + count };
        sum - self.came
    }

    fn word(&self, word: u64) -> u64 {
        match word.checked_sub(self.base) {
            None => u64::MAX,
            Some(at) => self.words.get(at as usize).copied().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests;
