//! The connections of a core, and what waits to be written to them at the end of a turn.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::io::{self, ErrorKind, Write};
use std::mem;

use mio::net::TcpStream;

use super::routes::{Target, TopicHasher};
use super::wire::{Close, Publish};

/// Output buffers above this many bytes are given back once they are empty.
const KEEP: usize = 1 << 20;

pub(super) struct Connection {
    pub stream: TcpStream,
    pub is_v5: bool,
    is_dirty: bool,
    /// The socket takes no more for now; its next writable event goes on.
    is_blocked: bool,
    last_id: u16,
    written: usize,
    /// The beginning of a packet whose end has not come.
    pub unread: Vec<u8>,
    output: Vec<u8>,
    /// What it subscribes to, to forget it all when it goes.
    pub filters: Filters,
}

/// The filters of a connection. Most have one, and an idle connection is counted in bytes; a few have a million, and
/// then each has to be found at once.
pub(super) enum Filters {
    Few(Vec<Box<[u8]>>),
    Many(HashSet<Box<[u8]>, BuildHasherDefault<TopicHasher>>),
}

/// Filters of a connection beyond which they are looked up by hash.
const FEW: usize = 16;

impl Filters {
    pub(super) fn add(&mut self, filter: &[u8]) {
        match self {
            Filters::Many(filters) => {
                filters.insert(filter.into());
            }
            Filters::Few(filters) if filters.iter().any(|held| **held == *filter) => {}
            Filters::Few(filters) if filters.len() < FEW => {
                if filters.is_empty() {
                    filters.reserve_exact(1);
                }
                filters.push(filter.into());
            }
            Filters::Few(filters) => {
                let mut many: HashSet<_, _> = filters.drain(..).collect();
                many.insert(filter.into());
                *self = Filters::Many(many);
            }
        }
    }

    pub(super) fn remove(&mut self, filter: &[u8]) {
        match self {
            Filters::Few(filters) => filters.retain(|held| **held != *filter),
            Filters::Many(filters) => {
                filters.remove(filter);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let (few, many) = match self {
            Filters::Few(filters) => (Some(filters), None),
            Filters::Many(filters) => (None, Some(filters)),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten()).map(|filter| &**filter)
    }
}

#[derive(Default)]
struct Slot {
    generation: u16,
    connection: Option<Connection>,
}

#[derive(Default)]
pub(super) struct Connections {
    slots: Vec<Slot>,
    free: Vec<u32>,
    dirty: Vec<u32>,
}

impl Connections {
    pub(super) fn add(&mut self, stream: TcpStream) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        self.slots[slot as usize].connection = Some(Connection {
            stream,
            is_v5: false,
            is_dirty: false,
            is_blocked: false,
            last_id: 0,
            written: 0,
            unread: Vec::new(),
            output: Vec::new(),
            filters: Filters::Few(Vec::new()),
        });
        slot
    }

    pub(super) fn get(&mut self, slot: u32) -> Option<&mut Connection> {
        self.slots[slot as usize].connection.as_mut()
    }

    /// The connection as the routes name it, at QoS 0.
    pub(super) fn target(&self, slot: u32, core: u8) -> Target {
        Target { slot, generation: self.slots[slot as usize].generation, core, qos: 0 }
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Connection> {
        let connection = self.slots[slot as usize].connection.take()?;
        self.slots[slot as usize].generation = self.slots[slot as usize].generation.wrapping_add(1);
        self.free.push(slot);
        Some(connection)
    }

    /// The output of a connection, to be written at the end of the turn.
    #[inline]
    pub(super) fn output(&mut self, slot: u32) -> Result<&mut Vec<u8>, Close> {
        let connection = self.slots[slot as usize].connection.as_mut().ok_or(Close)?;
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(slot);
        }
        Ok(&mut connection.output)
    }

    #[inline]
    pub(super) fn deliver(&mut self, target: Target, publish: &Publish<'_>) {
        let slot = &mut self.slots[target.slot as usize];
        // A message may be under way to a subscriber that has gone.
        let Some(connection) = slot.connection.as_mut().filter(|_| slot.generation == target.generation)
        else {
            return;
        };
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(target.slot);
        }
        publish.put(&mut connection.output, target.qos, &mut connection.last_id);
    }

    /// The socket takes something again.
    pub(super) fn writable(&mut self, slot: u32) {
        if let Some(connection) = self.get(slot)
            && mem::take(&mut connection.is_blocked)
        {
            connection.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        for slot in self.dirty.drain(..) {
            if let Some(connection) = self.slots[slot as usize].connection.as_mut() {
                connection.is_dirty = false;
                connection.flush();
            }
        }
    }
}

impl Connection {
    fn flush(&mut self) {
        if self.is_blocked {
            return;
        }
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_blocked = true;
                    return;
                }
                // The peer is gone; reading will find out and close.
                Err(_) => break,
            }
        }
        self.written = 0;
        self.output.clear();
        if self.output.capacity() > KEEP {
            self.output = Vec::new();
        }
    }
}

/// Reads once; `None`: nothing is there for now. 0 bytes: the peer has closed, or is gone.
pub(super) fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Option<usize> {
    loop {
        match io::Read::read(stream, buffer) {
            Ok(count) => return Some(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(_) => return Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_filters_and_many_are_the_same_to_those_who_hold_them() {
        for count in [1, FEW, FEW + 1, 1_000] {
            let names: Vec<_> = (0..count).map(|number| format!("held/{number}")).collect();
            let mut filters = Filters::Few(Vec::new());
            for name in names.iter().chain(&names) {
                filters.add(name.as_bytes());
            }
            let mut held: Vec<_> = filters.iter().collect();
            held.sort_unstable();
            let mut expected: Vec<_> = names.iter().map(String::as_bytes).collect();
            expected.sort_unstable();
            assert_eq!(held, expected);
            for name in &names {
                filters.remove(name.as_bytes());
            }
            assert_eq!(filters.iter().count(), 0, "{count}");
        }
    }
}
