//! What a core remembers of a topic beside its route: which hooks take it, and which of the core's own filters do, so
//! that a topic met before is not matched again. Made in `publish`, used by `deliver`.

use crate::hook::{Hooks, Verdict};
use crate::session::Options;
use millrace_router::{CoreSet, FilterId, RouteCache, Routes, Subscriptions};

/// Filters remembered of one topic. More of them are found anew for each message.
const KEPT: usize = 2;

/// The filters of this core that take a topic. Right until one of them is added or removed, which changes the
/// topic's route: the cache tells (`RouteCache::get_mut`). Who subscribes to them is looked up each time.
#[derive(Clone, Copy, Debug)]
pub enum Matches {
    /// Not looked for, or too many to keep.
    Unknown,
    /// Just these.
    Known([Option<FilterId>; KEPT]),
}

impl Matches {
    fn find(subscriptions: &Subscriptions<Options>, topic: &str) -> Matches {
        let (mut found, mut count) = ([None; KEPT], 0);
        subscriptions.for_each_match(topic, |id, _| {
            if let Some(place) = found.get_mut(count) {
                *place = Some(id);
            }
            count += 1;
        });
        if count > KEPT { Matches::Unknown } else { Matches::Known(found) }
    }
}

/// One topic's entry.
#[derive(Debug)]
pub struct Seen {
    /// The hooks that take it.
    pub verdict: Verdict,
    matches: Matches,
}

impl Seen {
    /// The entry of a topic, with the cores that want it; made when the topic is met for the first time.
    #[inline]
    pub fn of<'a>(
        cache: &'a mut RouteCache<Seen>,
        routes: &Routes,
        hooks: &mut Hooks,
        topic: &str,
    ) -> (CoreSet, &'a mut Seen) {
        let new = |topic: &str| Seen { verdict: hooks.verdict(topic), matches: Matches::Unknown };
        cache.get_mut(routes, topic, new, |seen| seen.matches = Matches::Unknown)
    }

    /// The filters that take it.
    #[inline]
    pub fn matches(&mut self, subscriptions: &Subscriptions<Options>, topic: &str) -> Matches {
        if let Matches::Unknown = self.matches {
            self.matches = Matches::find(subscriptions, topic);
        }
        self.matches
    }
}
