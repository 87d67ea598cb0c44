//! Which session a client id has on this core. The id itself is in the session, once; here is a hash of it. In several
//! tables: one table of a million entries would stop its core while it grows, and hold old and new at once. A table
//! that a storm left nearly empty shrinks.

use super::slots::Slots;
use crate::session::Session;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

const TABLES: usize = 64;
/// Tables up to this many entries are not worth shrinking.
const SMALL: usize = 16;

/// Half of the hash is kept, so that a table grows without looking at sessions.
#[derive(Clone, Copy)]
struct Entry {
    tag: u32,
    session: u32,
}

impl Entry {
    fn hash(&self) -> u64 {
        spread(self.tag)
    }
}

/// The hash a table works with: bucket from the low bits, neighbours told apart by the highest.
fn spread(tag: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(tag)
}

/// Client ids of one core.
pub struct Clients {
    hasher: RandomState,
    tables: Box<[HashTable<Entry>]>,
}

impl Clients {
    /// None yet.
    pub fn new() -> Clients {
        Clients { hasher: RandomState::default(), tables: (0..TABLES).map(|_| HashTable::new()).collect() }
    }

    fn place(&self, client_id: &str) -> (usize, u32) {
        let hash = self.hasher.hash_one(client_id);
        (hash as usize % TABLES, (hash >> 32) as u32)
    }

    /// The position of the session of this client.
    pub fn get(&self, sessions: &Slots<Session>, client_id: &str) -> Option<u32> {
        let (table, tag) = self.place(client_id);
        let is_it = |entry: &Entry| {
            entry.tag == tag
                && sessions.at(entry.session).is_some_and(|session| *session.client_id == *client_id)
        };
        self.tables[table].find(spread(tag), is_it).map(|entry| entry.session)
    }

    /// A session that has just begun; no other has this client id.
    pub fn insert(&mut self, client_id: &str, session: u32) {
        let (table, tag) = self.place(client_id);
        self.tables[table].insert_unique(spread(tag), Entry { tag, session }, Entry::hash);
    }

    /// A session that ends.
    pub fn remove(&mut self, client_id: &str, session: u32) {
        let (table, tag) = self.place(client_id);
        let table = &mut self.tables[table];
        if let Ok(entry) = table.find_entry(spread(tag), |entry| entry.session == session) {
            entry.remove();
        }
        if table.is_empty() {
            *table = HashTable::new();
        } else if table.capacity() > SMALL && table.len() < table.capacity() / 4 {
            table.shrink_to(table.len() * 2, Entry::hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_codec::Version;

    #[test]
    fn clients_are_found_by_their_whole_id_and_tables_shrink() {
        const N: u32 = 50_000;
        let (mut clients, mut sessions) = (Clients::new(), Slots::new());
        let name = |n: u32| format!("lock-{n}");
        let positions: Vec<u32> = (0..N)
            .map(|n| {
                let session = Session::new(&name(n), None, Version::V311, 1, 1);
                let position = sessions.insert(session).index;
                clients.insert(&name(n), position);
                position
            })
            .collect();
        assert!((0..N).all(|n| clients.get(&sessions, &name(n)) == Some(positions[n as usize])));
        assert_eq!(clients.get(&sessions, "lock-"), None);
        for n in 0..N {
            clients.remove(&name(n), positions[n as usize]);
            sessions.remove(positions[n as usize]);
            assert_eq!(clients.get(&sessions, &name(n)), None);
        }
        assert_eq!(clients.tables.iter().map(HashTable::allocation_size).sum::<usize>(), 0);
    }
}
