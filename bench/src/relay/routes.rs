//! Who subscribes to what: one table for all cores, and each core's cache of the topics it has seen.
//!
//! A change makes every cache start anew. That is the least work while nobody subscribes, which is when we measure.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// A subscription's connection. The generation tells it from the next one in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub slot: u32,
    pub generation: u16,
    pub core: u8,
    pub qos: u8,
}

impl Target {
    fn is_of(self, other: Target) -> bool {
        (self.core, self.slot, self.generation) == (other.core, other.slot, other.generation)
    }
}

/// Multiply and rotate: topics are not chosen by an enemy here.
#[derive(Default)]
pub(super) struct TopicHasher(u64);

impl Hasher for TopicHasher {
    fn finish(&self) -> u64 {
        // The table takes its bucket from the low bits, which a product leaves to the first bytes alone.
        self.0.rotate_left(26)
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }
}

type Table<V> = HashMap<Box<[u8]>, V, BuildHasherDefault<TopicHasher>>;

/// Members of a `$share` group and what they subscribe to.
struct Group {
    filter: Box<[u8]>,
    members: Vec<Target>,
}

#[derive(Default)]
struct Filters {
    exact: Table<Vec<Target>>,
    wildcard: Vec<(Box<[u8]>, Target)>,
    groups: Vec<Group>,
    group_numbers: Table<usize>,
}

/// The table that all cores share.
#[derive(Default)]
pub(super) struct Routes {
    filters: RwLock<Filters>,
    version: AtomicU64,
}

impl Routes {
    pub(super) fn subscribe(&self, filter: &[u8], target: Target) {
        let filters = &mut *self.filters.write().unwrap_or_else(PoisonError::into_inner);
        // Again on the same filter: the new QoS counts. Wildcards are not searched: that would make a fleet's
        // subscribing quadratic.
        if let Some(plain) = shared_filter(filter) {
            let new = filters.groups.len();
            let number = *filters.group_numbers.entry(filter.into()).or_insert(new);
            if number == new {
                filters.groups.push(Group { filter: plain.into(), members: Vec::new() });
            }
            replace(&mut filters.groups[number].members, target);
        } else if filter.iter().any(|byte| b"+#".contains(byte)) {
            filters.wildcard.push((filter.into(), target));
        } else if let Some(targets) = filters.exact.get_mut(filter) {
            replace(targets, target);
        } else {
            // Most filters have one subscriber: no room for more of them.
            filters.exact.insert(filter.into(), vec![target]);
        }
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn unsubscribe(&self, filter: &[u8], target: Target) {
        let filters = &mut *self.filters.write().unwrap_or_else(PoisonError::into_inner);
        if shared_filter(filter).is_some() {
            if let Some(&number) = filters.group_numbers.get(filter) {
                filters.groups[number].members.retain(|member| !member.is_of(target));
            }
        } else if filter.iter().any(|byte| b"+#".contains(byte)) {
            filters.wildcard.retain(|(held, holder)| !(holder.is_of(target) && **held == *filter));
        } else if let Some(targets) = filters.exact.get_mut(filter) {
            targets.retain(|holder| !holder.is_of(target));
            if targets.is_empty() {
                filters.exact.remove(filter);
            }
        }
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn find(&self, topic: &[u8], core: u8) -> Route {
        let filters = self.filters.read().unwrap_or_else(PoisonError::into_inner);
        let exact = filters.exact.get(topic).into_iter().flatten();
        let wildcard = filters.wildcard.iter().filter(|(filter, _)| matches(filter, topic));
        let mut route = Route::default();
        for &target in exact.chain(wildcard.map(|(_, target)| target)) {
            if target.core == core {
                route.here.push(target);
            } else if let Some((_, targets)) = route.away.iter_mut().find(|(core, _)| *core == target.core) {
                targets.push(target);
            } else {
                route.away.push((target.core, vec![target]));
            }
        }
        let groups = filters.groups.iter().enumerate().filter(|(_, group)| matches(&group.filter, topic));
        route.groups = groups.map(|(number, group)| (number, group.members.clone())).collect();
        route
    }
}

fn replace(targets: &mut Vec<Target>, target: Target) {
    match targets.iter_mut().find(|held| held.is_of(target)) {
        Some(held) => *held = target,
        None => targets.push(target),
    }
}

/// What `$share/NAME/FILTER` subscribes to.
fn shared_filter(filter: &[u8]) -> Option<&[u8]> {
    let rest = filter.strip_prefix(b"$share/")?;
    let name = rest.iter().position(|&byte| byte == b'/')?;
    Some(&rest[name + 1..])
}

fn matches(filter: &[u8], topic: &[u8]) -> bool {
    let mut wanted = filter.split(|&byte| byte == b'/');
    let mut levels = topic.split(|&byte| byte == b'/');
    loop {
        match (wanted.next(), levels.next()) {
            (Some(b"#"), _) | (None, None) => return true,
            (Some(want), Some(level)) if want == b"+" || want == level => {}
            _ => return false,
        }
    }
}

/// Who gets the messages of a topic, seen from one core.
#[derive(Default)]
pub(super) struct Route {
    pub here: Vec<Target>,
    /// By core.
    pub away: Vec<(u8, Vec<Target>)>,
    /// By number of the group.
    pub groups: Vec<(usize, Vec<Target>)>,
}

/// The topics that a core has seen.
#[derive(Default)]
pub(super) struct Cache {
    version: u64,
    numbers: Table<u32>,
    routes: Vec<Route>,
}

impl Cache {
    #[inline]
    pub(super) fn find(&mut self, topic: &[u8], routes: &Routes, core: u8) -> &Route {
        let version = routes.version.load(Ordering::SeqCst);
        if version != self.version {
            self.numbers.clear();
            self.routes.clear();
            self.version = version;
        }
        let number = match self.numbers.get(topic) {
            Some(&number) => number as usize,
            None => {
                self.routes.push(routes.find(topic, core));
                self.numbers.insert(topic.into(), self.routes.len() as u32 - 1);
                self.routes.len() - 1
            }
        };
        &self.routes[number]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_level_by_level() {
        let cases: [(&str, &str, bool); 12] = [
            ("a/b", "a/b", true),
            ("a/b", "a", false),
            ("a", "a/b", false),
            ("+", "a", true),
            ("+", "a/b", false),
            ("a/+/c", "a/b/c", true),
            ("a/+/c", "a//c", true),
            ("#", "a/b/c", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "b/a", false),
            ("+/+", "/a", true),
        ];
        for (filter, topic, expected) in cases {
            assert_eq!(matches(filter.as_bytes(), topic.as_bytes()), expected, "{filter} {topic}");
        }
    }

    /// A filter, who subscribes, and how many are then here, away and members of groups.
    type Case = (&'static [u8], Target, (usize, usize, usize));

    #[test]
    fn a_cache_sees_every_change_and_knows_its_own_core() {
        let target = |core, slot| Target { slot, generation: 0, core, qos: 1 };
        let (routes, mut cache) = (Routes::default(), Cache::default());
        let mut counts = |routes: &Routes| {
            let route = cache.find(b"a/b", routes, 0);
            let members = route.groups.iter().map(|(_, members)| members.len()).sum::<usize>();
            (route.here.len(), route.away.iter().map(|(_, away)| away.len()).sum::<usize>(), members)
        };
        assert_eq!(counts(&routes), (0, 0, 0));
        let filters: [Case; 6] = [
            (b"a/b", target(0, 1), (1, 0, 0)),
            (b"a/b", target(0, 1), (1, 0, 0)),
            (b"a/+", target(1, 1), (1, 1, 0)),
            (b"a/b", target(1, 2), (1, 2, 0)),
            (b"$share/g/a/#", target(0, 2), (1, 2, 1)),
            (b"$share/g/a/#", target(1, 3), (1, 2, 2)),
        ];
        for (filter, target, expected) in filters {
            routes.subscribe(filter, target);
            assert_eq!(counts(&routes), expected, "{}", filter.escape_ascii());
        }
        for (filter, target, _) in filters {
            routes.unsubscribe(filter, target);
        }
        assert_eq!(counts(&routes), (0, 0, 0));
        assert!(routes.filters.read().expect("a lock").exact.is_empty());
    }
}
