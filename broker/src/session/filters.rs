//! The subscriptions of one session, by number. Most clients have one or two, which cost no allocation; one that holds
//! a hundred thousand unsubscribes as fast as one that holds ten.

use foldhash::fast::RandomState;
use millrace_router::FilterId;
use smallvec::SmallVec;
use std::collections::HashSet;

/// Up to this many are looked through one by one.
const SEARCHED_MAX: usize = 16;

/// The filters that a session subscribes to, in no order.
#[derive(Debug)]
pub enum Filters {
    /// At most [`SEARCHED_MAX`].
    Few(SmallVec<[FilterId; 2]>),
    /// More than half of that.
    #[expect(clippy::box_collection, reason = "a table's header would make every session larger")]
    Many(Box<HashSet<FilterId, RandomState>>),
}

impl Filters {
    /// None yet.
    pub fn new() -> Filters {
        Filters::Few(SmallVec::new())
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Filters::Few(few) => few.len(),
            Filters::Many(many) => many.len(),
        }
    }

    /// Adds one that is not among them.
    pub fn add(&mut self, filter: FilterId) {
        match self {
            Filters::Few(few) if few.len() < SEARCHED_MAX => few.push(filter),
            Filters::Few(few) => {
                let mut many: HashSet<_, _> = few.drain(..).collect();
                many.insert(filter);
                *self = Filters::Many(Box::new(many));
            }
            Filters::Many(many) => {
                many.insert(filter);
            }
        }
    }

    /// Takes one out, if it is among them.
    pub fn remove(&mut self, filter: FilterId) {
        match self {
            Filters::Few(few) => {
                if let Some(position) = few.iter().position(|held| *held == filter) {
                    few.swap_remove(position);
                }
            }
            Filters::Many(many) => {
                many.remove(&filter);
                if many.len() <= SEARCHED_MAX / 2 {
                    *self = Filters::Few(many.drain().collect());
                } else if many.capacity() > many.len() * 4 {
                    many.shrink_to(many.len() * 2);
                }
            }
        }
    }

    /// All of them, for a session that ends.
    pub fn take(&mut self) -> impl Iterator<Item = FilterId> + use<> {
        let (few, many) = match std::mem::replace(self, Filters::new()) {
            Filters::Few(few) => (Some(few), None),
            Filters::Many(many) => (None, Some(*many)),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_router::Subscriptions;
    use std::collections::BTreeSet;

    /// Numbers of filters come from the router only.
    fn ids(count: usize) -> Vec<FilterId> {
        let mut subscriptions = Subscriptions::new(1);
        (0..count).map(|n| subscriptions.subscribe(&format!("f/{n}"), 1, ()).id).collect()
    }

    fn held(filters: &mut Filters) -> BTreeSet<FilterId> {
        let all: Vec<FilterId> = filters.take().collect();
        let set: BTreeSet<FilterId> = all.iter().copied().collect();
        assert_eq!(set.len(), all.len(), "none comes twice");
        set
    }

    #[test]
    fn the_filters_are_those_added_and_not_removed() {
        // Each up and down crosses the borders between list and table another time.
        let ids = ids(3000);
        let (mut filters, mut model) = (Filters::new(), BTreeSet::new());
        for (up, down) in [(2, 1), (20, 5), (40, 50), (17, 1), (3, 12), (3000, 2990), (20, 30)] {
            for id in ids.iter().filter(|id| !model.contains(*id)).take(up).copied().collect::<Vec<_>>() {
                filters.add(id);
                model.insert(id);
            }
            for id in model.iter().copied().take(down).collect::<Vec<_>>() {
                filters.remove(id);
                model.remove(&id);
            }
            assert_eq!(filters.len(), model.len());
            filters.remove(ids[2999]);
            model.remove(&ids[2999]);
            assert_eq!(filters.len(), model.len());
        }
        assert!(model.is_empty());
        for id in &ids[..100] {
            filters.add(*id);
        }
        assert_eq!(held(&mut filters), ids[..100].iter().copied().collect());
        assert_eq!(held(&mut filters), BTreeSet::new(), "they were taken");
    }

    #[test]
    fn many_are_in_a_table_that_shrinks() {
        let ids = ids(100_000);
        let mut filters = Filters::new();
        for (n, id) in ids.iter().enumerate() {
            filters.add(*id);
            assert_eq!(matches!(filters, Filters::Few(_)), n < SEARCHED_MAX, "{n}");
        }
        for (n, id) in ids.iter().enumerate() {
            filters.remove(*id);
            let left = ids.len() - n - 1;
            match &filters {
                Filters::Few(_) => assert!(left <= SEARCHED_MAX / 2, "{left}"),
                // A table is at least half full after it shrank.
                Filters::Many(many) => assert!(many.capacity() <= (left * 4).max(SEARCHED_MAX * 4), "{left}"),
            }
        }
        assert!(matches!(filters, Filters::Few(few) if few.is_empty()));
    }
}
