//! The retained messages of one core, by topic. Owned by that core alone.
//!
//! An ordered set in which everything below a topic stands right behind it: `/` sorts before all other characters. A
//! filter is answered by walking that order with jumps over what cannot match, so `devices/+/state` among a million
//! devices with ten topics each looks at two entries a device, not at ten, and a filter without wildcards at one. A walk
//! is bounded in steps and goes on behind the last topic it looked at, whatever has come and gone in between: topics
//! that were there all the time are seen once.
//!
//! The topic is part of the value and not kept a second time. Measured with a million topics whose values are pointers:
//! 20 bytes a message, those eight included (`examples/memory`).

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use crate::topic::{is_dollar, levels};

/// What has a topic.
pub trait Named {
    /// Its topic; always the same.
    fn topic(&self) -> &str;
}

/// Values by topic, one each.
pub struct Retained<V> {
    entries: BTreeSet<Entry<V>>,
}

/// A place in the order: that of a topic, or the one behind everything below it.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    behind_all_below: bool,
}

trait Placed {
    fn place(&self) -> Place<'_>;
}

struct Entry<V>(V);

impl<V: Named> Placed for Entry<V> {
    fn place(&self) -> Place<'_> {
        Place { path: self.0.topic(), behind_all_below: false }
    }
}

impl Placed for Place<'_> {
    fn place(&self) -> Place<'_> {
        *self
    }
}

impl Ord for dyn Placed + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, other) = (self.place(), other.place());
        match (one.behind_all_below, other.behind_all_below) {
            (true, false) if is_in(other.path, one.path) => Ordering::Greater,
            (false, true) if is_in(one.path, other.path) => Ordering::Less,
            _ => compare(one.path, other.path),
        }
    }
}

impl PartialOrd for dyn Placed + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Placed + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for dyn Placed + '_ {}

impl<V: Named> Ord for Entry<V> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self.0.topic(), other.0.topic())
    }
}

impl<V: Named> PartialOrd for Entry<V> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<V: Named> PartialEq for Entry<V> {
    fn eq(&self, other: &Self) -> bool {
        self.0.topic() == other.0.topic()
    }
}

impl<V: Named> Eq for Entry<V> {}

impl<'a, V: Named + 'a> Borrow<dyn Placed + 'a> for Entry<V> {
    fn borrow(&self) -> &(dyn Placed + 'a) {
        self
    }
}

/// The order of texts in which `/` comes before all other characters.
fn compare(one: &str, other: &str) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { u16::from(byte) + 1 };
    let (one, other) = (one.as_bytes(), other.as_bytes());
    match one.iter().zip(other).find(|(a, b)| a != b) {
        Some((a, b)) => rank(*a).cmp(&rank(*b)),
        None => one.len().cmp(&other.len()),
    }
}

/// Whether `path` is `top` or below it.
fn is_in(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl<V: Named> Retained<V> {
    /// None yet.
    pub const fn new() -> Retained<V> {
        Retained { entries: BTreeSet::new() }
    }

    /// Stores a value; answers the one it replaces.
    pub fn set(&mut self, value: V) -> Option<V> {
        self.entries.replace(Entry(value)).map(|entry| entry.0)
    }

    /// The value of a topic.
    pub fn get(&self, topic: &str) -> Option<&V> {
        self.entries.get::<dyn Placed>(&Place { path: topic, behind_all_below: false }).map(|entry| &entry.0)
    }

    /// Takes the value of a topic out.
    pub fn remove(&mut self, topic: &str) -> Option<V> {
        self.entries.take::<dyn Placed>(&Place { path: topic, behind_all_below: false }).map(|entry| entry.0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls `visit` for all values in the set's order from `cursor` on, until it says `false`. Answers where to go on;
    /// `None` at the end.
    pub fn walk(&self, cursor: Option<Cursor>, mut visit: impl FnMut(&V) -> bool) -> Option<Cursor> {
        let first = cursor.unwrap_or_else(Cursor::start);
        for Entry(value) in self.entries.range::<dyn Placed, _>((first.bound(), Bound::Unbounded)) {
            if !visit(value) {
                return Some(Cursor::new(value.topic(), From::Behind));
            }
        }
        None
    }

    /// Calls `visit` for the values whose topics match a filter (a legal one, without `$share`) from `cursor` on,
    /// until it says `false` or `steps`, which it counts down, have been taken: one for each entry that is looked at.
    /// Answers where to go on; `None` at the end.
    pub fn scan(
        &self,
        filter: &str,
        cursor: Option<Cursor>,
        steps: &mut usize,
        mut visit: impl FnMut(&V) -> bool,
    ) -> Option<Cursor> {
        let filter: Vec<&str> = levels(filter).collect();
        let first = cursor.unwrap_or_else(|| {
            let literal: Vec<&str> = filter.iter().take_while(|level| !is_wildcard(level)).copied().collect();
            Cursor::new(&literal.join("/"), From::At)
        });
        let mut range = self.entries.range::<dyn Placed, _>((first.bound(), Bound::Unbounded));
        // Where to go on, in texts of the set as long as possible: a cursor of its own for each step would be dear.
        let mut here = Here { path: Cow::Borrowed(first.path.as_str()), from: first.from };
        loop {
            let Entry(value) = range.next()?;
            let Some(left) = steps.checked_sub(1) else { return Some(here.cursor()) };
            *steps = left;
            let topic = value.topic();
            let (matches, step) = judge(&filter, topic);
            let goes_on = !matches || visit(value);
            here = match step {
                Step::End => return None,
                Step::Next => Here { path: Cow::Borrowed(topic), from: From::Behind },
                Step::Behind(count) => {
                    Here { path: Cow::Borrowed(first_levels(topic, count)), from: From::BehindAllBelow }
                }
                Step::At(0, level) => Here { path: Cow::Owned(level.to_owned()), from: From::At },
                Step::At(count, level) => Here {
                    path: Cow::Owned(format!("{}/{level}", first_levels(topic, count))),
                    from: From::At,
                },
            };
            if !goes_on {
                return Some(here.cursor());
            }
            // Mostly the next entry is the one that is looked for; a search is for what lies in between.
            let is_behind = |next: &Entry<V>| (&here as &dyn Placed) > (next as &dyn Placed);
            if here.from != From::Behind && range.clone().next().is_some_and(is_behind) {
                range = self.entries.range::<dyn Placed, _>((here.bound(), Bound::Unbounded));
            }
        }
    }
}

/// A place between two steps of a scan.
struct Here<'a> {
    path: Cow<'a, str>,
    from: From,
}

impl Here<'_> {
    fn cursor(&self) -> Cursor {
        Cursor::new(&self.path, self.from)
    }

    fn bound(&self) -> Bound<&dyn Placed> {
        self.from.bound(self)
    }
}

impl Placed for Here<'_> {
    fn place(&self) -> Place<'_> {
        Place { path: &self.path, behind_all_below: self.from == From::BehindAllBelow }
    }
}

impl<V: Named> Default for Retained<V> {
    fn default() -> Retained<V> {
        Retained::new()
    }
}

/// Where a walk goes on: a place in the order, which needs no topic to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    path: String,
    from: From,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    At,
    Behind,
    BehindAllBelow,
}

impl Cursor {
    fn new(path: &str, from: From) -> Cursor {
        Cursor { path: path.to_owned(), from }
    }

    /// Behind this topic, before what is below it.
    pub fn behind(topic: &str) -> Cursor {
        Cursor::new(topic, From::Behind)
    }

    fn start() -> Cursor {
        Cursor::new("", From::At)
    }

    /// Its text and a number, from which [`Cursor::from_parts`] makes it again.
    pub fn parts(&self) -> (&str, u8) {
        (&self.path, self.from as u8)
    }

    /// The cursor of these parts.
    pub fn from_parts(path: &str, from: u8) -> Cursor {
        let from = match from {
            0 => From::At,
            1 => From::Behind,
            _ => From::BehindAllBelow,
        };
        Cursor::new(path, from)
    }

    fn bound(&self) -> Bound<&dyn Placed> {
        self.from.bound(self)
    }
}

impl From {
    fn bound(self, place: &dyn Placed) -> Bound<&dyn Placed> {
        match self {
            From::At => Bound::Included(place),
            From::Behind | From::BehindAllBelow => Bound::Excluded(place),
        }
    }
}

impl Placed for Cursor {
    fn place(&self) -> Place<'_> {
        Place { path: &self.path, behind_all_below: self.from == From::BehindAllBelow }
    }
}

fn is_wildcard(level: &str) -> bool {
    level == "+" || level == "#"
}

/// The first so many levels of a topic, as one text.
fn first_levels(topic: &str, count: usize) -> &str {
    let end = topic.match_indices('/').nth(count.saturating_sub(1)).map_or(topic.len(), |(at, _)| at);
    if count == 0 { "" } else { topic.get(..end).unwrap_or(topic) }
}

/// Where a walk goes on behind an entry.
enum Step<'f> {
    /// With what comes next.
    Next,
    /// Behind all that is below the first so many levels of its topic.
    Behind(usize),
    /// At the first so many levels of its topic and this one.
    At(usize, &'f str),
    /// Nothing more can match.
    End,
}

/// Whether a topic matches, and how to get to the next one that may.
fn judge<'f>(filter: &[&'f str], topic: &str) -> (bool, Step<'f>) {
    // The last `+` above a level: what is behind all that is below it may match again.
    let behind = |count: usize| {
        let plus = filter.iter().take(count).rposition(|level| *level == "+");
        plus.map_or(Step::End, |at| Step::Behind(at + 1))
    };
    if is_dollar(topic) && filter.first().is_some_and(|level| is_wildcard(level)) {
        return (false, Step::Behind(1)); // [MQTT-4.7.2-1]
    }
    let mut names = levels(topic);
    for (at, &level) in filter.iter().enumerate() {
        if level == "#" {
            return (true, Step::Next);
        }
        let Some(name) = names.next() else {
            // The topic ends above this level: what may match is below it, right behind it.
            return match level {
                "+" => (false, Step::Next),
                _ => (false, Step::At(at, level)),
            };
        };
        if level == "+" {
            continue;
        }
        match name.cmp(level) {
            Ordering::Equal => {}
            Ordering::Less => return (false, Step::At(at, level)),
            Ordering::Greater => return (false, behind(at)),
        }
    }
    match names.next() {
        // Deeper than the filter, and so is all that stands beside it.
        Some(_) => (false, behind(filter.len())),
        None => (true, behind(filter.len())),
    }
}

#[cfg(test)]
mod tests;
