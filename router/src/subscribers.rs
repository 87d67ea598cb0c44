//! The subscribers of one filter. Used by [`crate::Subscriptions`].
//!
//! Most filters have one, a device's own command topic, and it costs no list. A list is searched
//! from the front while it is short; a longer one has a table from client to position, so that
//! taking one of ten thousand out costs no more than taking one of ten.

use hashbrown::HashTable;

use crate::walk::shrink;

/// Longer lists have a table of positions.
const SEARCHED_MAX: usize = 16;

/// One client's subscription of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriber<O> {
    /// The caller's number of the client's session.
    pub client: u32,
    /// The options of the subscription.
    pub options: O,
}

/// One subscriber or more.
pub(crate) enum Subscribers<O> {
    One(Subscriber<O>),
    Many(Box<List<O>>),
}

impl<O: Copy> Subscribers<O> {
    pub(crate) fn as_slice(&self) -> &[Subscriber<O>] {
        match self {
            Subscribers::One(only) => std::slice::from_ref(only),
            Subscribers::Many(list) => &list.all,
        }
    }

    pub(crate) fn find(&self, client: u32) -> Option<O> {
        match self {
            Subscribers::One(only) => (only.client == client).then_some(only.options),
            Subscribers::Many(list) => list.all.get(list.position(client)?).map(|found| found.options),
        }
    }

    /// Adds a subscriber or changes its options; answers the options it had.
    pub(crate) fn set(&mut self, new: Subscriber<O>) -> Option<O> {
        match self {
            Subscribers::One(only) if only.client == new.client => {
                Some(std::mem::replace(&mut only.options, new.options))
            }
            Subscribers::One(only) => {
                *self = Subscribers::Many(Box::new(List { all: vec![*only, new], positions: None }));
                None
            }
            Subscribers::Many(list) => list.set(new),
        }
    }

    /// Takes a subscriber out. The only one stays in its place: the caller drops the filter.
    pub(crate) fn remove(&mut self, client: u32) -> Removed<O> {
        match self {
            Subscribers::One(only) if only.client == client => Removed::Last(only.options),
            Subscribers::One(_) => Removed::NotThere,
            Subscribers::Many(list) => {
                let Some(options) = list.remove(client) else { return Removed::NotThere };
                if let [only] = list.all.as_slice() {
                    *self = Subscribers::One(*only);
                }
                Removed::OneOfMany(options)
            }
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Subscribers::One(_) => 0,
            Subscribers::Many(list) => {
                let positions = list.positions.as_ref().map_or(0, HashTable::allocation_size);
                size_of::<List<O>>() + list.all.capacity() * size_of::<Subscriber<O>>() + positions
            }
        }
    }
}

/// What became of [`Subscribers::remove`].
pub(crate) enum Removed<O> {
    NotThere,
    OneOfMany(O),
    Last(O),
}

/// Two subscribers or more, in the order they came until one leaves: the last then takes its place.
pub(crate) struct List<O> {
    all: Vec<Subscriber<O>>,
    /// Positions in `all`, by client.
    positions: Option<HashTable<Position>>,
}

/// The client stands beside the position so that the table grows without reading the list.
#[derive(Clone, Copy)]
struct Position {
    client: u32,
    at: u32,
}

impl Position {
    fn hash(&self) -> u64 {
        spread(self.client)
    }
}

/// Clients are numbered by the caller, not chosen by peers: spreading the bits is enough. The product
/// is turned because its high bits are the good ones and the table takes its bucket from the low.
fn spread(client: u32) -> u64 {
    u64::from(client).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32)
}

impl<O: Copy> List<O> {
    fn position(&self, client: u32) -> Option<usize> {
        match &self.positions {
            None => self.all.iter().position(|one| one.client == client),
            Some(table) => table.find(spread(client), |one| one.client == client).map(|one| one.at as usize),
        }
    }

    fn set(&mut self, new: Subscriber<O>) -> Option<O> {
        if let Some(old) = self.position(new.client).and_then(|at| self.all.get_mut(at)) {
            return Some(std::mem::replace(&mut old.options, new.options));
        }
        let position = Position { client: new.client, at: self.all.len() as u32 };
        self.all.push(new);
        match &mut self.positions {
            Some(table) => {
                table.insert_unique(position.hash(), position, Position::hash);
            }
            None if self.all.len() > SEARCHED_MAX => self.positions = Some(self.table()),
            None => {}
        }
        None
    }

    fn table(&self) -> HashTable<Position> {
        let mut table = HashTable::with_capacity(self.all.len());
        for (one, at) in self.all.iter().zip(0..) {
            let position = Position { client: one.client, at };
            table.insert_unique(position.hash(), position, Position::hash);
        }
        table
    }

    fn remove(&mut self, client: u32) -> Option<O> {
        let at = self.position(client)?;
        let removed = self.all.swap_remove(at);
        if let Some(table) = &mut self.positions {
            if let Ok(entry) = table.find_entry(spread(client), |one| one.client == client) {
                entry.remove();
            }
            let moved = self.all.get(at).map(|one| one.client);
            let moved = moved.and_then(|client| table.find_mut(spread(client), |one| one.client == client));
            if let Some(moved) = moved {
                moved.at = at as u32;
            }
            shrink(table, Position::hash);
        }
        // With room between building the table and dropping it, so that one client coming and going
        // does not do both each time.
        if self.all.len() <= SEARCHED_MAX / 2 {
            self.positions = None;
        }
        if self.all.len() < self.all.capacity() / 4 {
            self.all.shrink_to(self.all.len() * 2);
        }
        Some(removed.options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_subscriber_costs_no_list() {
        assert!(size_of::<Subscribers<u32>>() <= 16);
        assert_eq!(Subscribers::One(Subscriber { client: 1, options: 2_u32 }).heap_bytes(), 0);
    }

    #[test]
    fn a_long_list_comes_and_goes_and_gives_memory_back() {
        const CLIENTS: u32 = 10_000;
        let mut subscribers = Subscribers::One(Subscriber { client: 0, options: 0 });
        for client in 1..CLIENTS {
            assert_eq!(subscribers.set(Subscriber { client, options: client }), None);
        }
        let order: Vec<u32> = subscribers.as_slice().iter().map(|one| one.client).collect();
        assert_eq!(order, (0..CLIENTS).collect::<Vec<_>>(), "the order they came in");
        let full = subscribers.heap_bytes();
        for client in 1..CLIENTS {
            assert!(matches!(subscribers.remove(client), Removed::OneOfMany(options) if options == client));
            assert!(matches!(subscribers.remove(client), Removed::NotThere));
            assert_eq!(subscribers.find(client), None);
            assert_eq!(subscribers.as_slice().len(), (CLIENTS - client) as usize);
            if client % 1000 == 999 && client + 1 < CLIENTS {
                assert_eq!(subscribers.find(client + 1), Some(client + 1));
            }
            if client == CLIENTS - 100 {
                assert!(subscribers.heap_bytes() < full / 10);
            }
        }
        assert!(matches!(subscribers, Subscribers::One(Subscriber { client: 0, .. })));
        assert!(matches!(subscribers.remove(0), Removed::Last(0)));
    }
}
