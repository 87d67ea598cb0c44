//! What a core remembers of a topic beside its route: which hooks take it, and which of the core's own filters do, so
//! that a topic met before is not matched again. Made in `publish`, used by `deliver`.

use crate::hook::Verdict;
use crate::session::Options;
use millrace_router::{FilterId, Subscriptions};

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
    /// Of a topic that is met for the first time.
    pub fn new(verdict: Verdict) -> Seen {
        Seen { verdict, matches: Matches::Unknown }
    }

    /// A filter that takes the topic has come or gone.
    pub fn forget_matches(&mut self) {
        self.matches = Matches::Unknown;
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
