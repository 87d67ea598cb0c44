//! The subscriptions of one core: filter to sessions with their options. Owned by that core alone.
//!
//! Sessions hold [`FilterId`]s, four bytes for a subscription; the text of a filter is here, once for
//! all its subscribers. When a filter gets its first subscriber or loses its last, the answer says
//! so, and the caller adds it to [`crate::Routes`] or removes it.
//!
//! Measured with a million filters `devices/{id}/command` or `devices/{id}/#` of one subscriber each:
//! 98 bytes a filter, of which its text of 33 (27) characters takes 48.

use crate::index::Index;
use crate::subscribers::{Removed, Subscriber, Subscribers};

/// A filter of one core, by number. Valid as long as the filter has a subscriber: afterwards the
/// number is given to another, so only a session that holds the subscription may keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterId(u32);

impl FilterId {
    /// The bare number, below the number of filters there ever were at one time.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// The answer to [`Subscriptions::subscribe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribed<O> {
    /// The filter.
    pub id: FilterId,
    /// The options of the subscription that this one replaced [MQTT-3.8.4-3].
    pub replaced: Option<O>,
    /// The filter has its first subscriber on this core: to be added to the routes.
    pub first: bool,
}

/// The answer to [`Subscriptions::unsubscribe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribed<O> {
    /// The options the subscription had.
    pub options: O,
    /// The filter; with `last`, no longer valid.
    pub id: FilterId,
    /// The filter has no subscriber left on this core: to be removed from the routes.
    pub last: bool,
}

/// The filters of one core and their subscribers. `O` is what a subscription says besides its filter
/// (QoS, no local, identifier): a few bytes.
///
/// Filters are given as [`crate::Filter::text`], legal and without `$share/{group}/`.
pub struct Subscriptions<O> {
    index: Index<Subscribers<O>>,
}

impl<O: Copy> Subscriptions<O> {
    /// No subscriptions. `seed` keys the hashes: secret and random in a running broker.
    pub fn new(seed: u64) -> Subscriptions<O> {
        Subscriptions { index: Index::new(seed) }
    }

    /// Subscribes a client, or replaces the options of its subscription of this filter.
    pub fn subscribe(&mut self, filter: &str, client: u32, options: O) -> Subscribed<O> {
        let new = Subscriber { client, options };
        match self.index.find(filter) {
            None => {
                let id = FilterId(self.index.insert_new(filter, Subscribers::One(new)));
                Subscribed { id, replaced: None, first: true }
            }
            Some(id) => {
                let replaced = self.index.value_mut(id).and_then(|subscribers| subscribers.set(new));
                Subscribed { id: FilterId(id), replaced, first: false }
            }
        }
    }

    /// Ends a client's subscription of a filter; `None` if it has none.
    pub fn unsubscribe(&mut self, filter: &str, client: u32) -> Option<Unsubscribed<O>> {
        let id = self.index.find(filter)?;
        self.unsubscribe_id(FilterId(id), client)
    }

    /// The same by number. Who needs the text for the routes asks for it before, with
    /// [`Subscriptions::filter`]: with the last subscriber it is gone.
    pub fn unsubscribe_id(&mut self, id: FilterId, client: u32) -> Option<Unsubscribed<O>> {
        match self.index.value_mut(id.0)?.remove(client) {
            Removed::NotThere => None,
            Removed::OneOfMany(options) => Some(Unsubscribed { options, id, last: false }),
            Removed::Last(options) => {
                self.index.remove_id(id.0);
                Some(Unsubscribed { options, id, last: true })
            }
        }
    }

    /// The text of a filter.
    pub fn filter(&self, id: FilterId) -> Option<&str> {
        self.index.text(id.0)
    }

    /// The number of a filter that has subscribers.
    pub fn id(&self, filter: &str) -> Option<FilterId> {
        self.index.find(filter).map(FilterId)
    }

    /// The options of a client's subscription of just this filter.
    pub fn find(&self, filter: &str, client: u32) -> Option<O> {
        self.index.get(filter)?.find(client)
    }

    /// The subscribers of a filter; empty if there is none of that number. With it a fan-out to many
    /// goes on where it stopped, as long as nothing was subscribed or unsubscribed meanwhile.
    pub fn subscribers(&self, id: FilterId) -> &[Subscriber<O>] {
        self.index.value(id.0).map_or(&[], Subscribers::as_slice)
    }

    /// Calls `visit` once for each filter that takes the topic, with its subscribers: one at least,
    /// each client once, in no promised order. A client with several matching filters comes several
    /// times, once for each.
    pub fn for_each_match(&self, topic: &str, mut visit: impl FnMut(FilterId, &[Subscriber<O>])) {
        self.index.for_each_match_id(topic, |id, subscribers| visit(FilterId(id), subscribers.as_slice()));
    }

    /// Number of filters.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no subscription.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes on the heap; walks all filters.
    pub fn heap_bytes(&self) -> usize {
        let lists = self.index.values().map(Subscribers::heap_bytes).sum::<usize>();
        self.index.heap_bytes() + lists
    }
}

#[cfg(test)]
mod tests;
