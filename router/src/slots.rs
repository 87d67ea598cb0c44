//! Filter texts and their values, by number. Used by [`crate::Index`].
//!
//! In chunks, because a vector that doubles holds up to three times what it needs while it grows
//! and stops its core to copy all of it. A freed slot is used again, the last freed first; the text
//! and the value are freed at once, the chunks when no filter is left.

/// Slots of a chunk: 40 KiB where the value takes 24 bytes.
const CHUNK: usize = 1024;

/// No slot: the end of the list of free ones.
const NONE: u32 = u32::MAX;

enum Slot<V> {
    Used { text: Box<str>, value: V },
    Free { next: u32 },
}

pub(crate) struct Slots<V> {
    chunks: Vec<Vec<Slot<V>>>,
    free: u32,
    len: usize,
    text_bytes: usize,
}

impl<V> Slots<V> {
    pub(crate) fn new() -> Slots<V> {
        Slots { chunks: Vec::new(), free: NONE, len: 0, text_bytes: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Stores a filter; its number stays its own until it is removed.
    pub(crate) fn insert(&mut self, text: &str, value: V) -> u32 {
        let used = Slot::Used { text: text.into(), value };
        self.len += 1;
        self.text_bytes += heap_size(text.len());
        let id = self.free;
        if let Some(slot) = self.slot_mut(id) {
            if let Slot::Free { next } = *slot {
                *slot = used;
                self.free = next;
            }
            return id;
        }
        self.append(used)
    }

    fn append(&mut self, used: Slot<V>) -> u32 {
        let in_chunk = match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => {
                chunk.push(used);
                chunk.len()
            }
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(used);
                self.chunks.push(chunk);
                1
            }
        };
        let id = u32::try_from((self.chunks.len() - 1) * CHUNK + in_chunk - 1).unwrap_or(NONE);
        assert!(id != NONE, "four thousand million filters in one index");
        id
    }

    pub(crate) fn get(&self, id: u32) -> Option<(&str, &V)> {
        let (chunk, slot) = place(id);
        match self.chunks.get(chunk)?.get(slot)? {
            Slot::Used { text, value } => Some((text, value)),
            Slot::Free { .. } => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut V> {
        match self.slot_mut(id)? {
            Slot::Used { value, .. } => Some(value),
            Slot::Free { .. } => None,
        }
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<(Box<str>, V)> {
        let next = self.free;
        let slot = self.slot_mut(id)?;
        if matches!(slot, Slot::Free { .. }) {
            return None;
        }
        let Slot::Used { text, value } = std::mem::replace(slot, Slot::Free { next }) else { return None };
        self.free = id;
        self.len -= 1;
        self.text_bytes -= heap_size(text.len());
        if self.len == 0 {
            *self = Slots::new();
        }
        Some((text, value))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.chunks.iter().flatten().filter_map(|slot| match slot {
            Slot::Used { value, .. } => Some(value),
            Slot::Free { .. } => None,
        })
    }

    fn slot_mut(&mut self, id: u32) -> Option<&mut Slot<V>> {
        let (chunk, slot) = place(id);
        self.chunks.get_mut(chunk)?.get_mut(slot)
    }

    /// Bytes of chunks and texts, without what the values own.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<Slot<V>>()
            + self.chunks.capacity() * size_of::<Vec<Slot<V>>>()
            + self.text_bytes
    }
}

/// Chunk and slot of a number.
fn place(id: u32) -> (usize, usize) {
    let id = id as usize;
    (id / CHUNK, id % CHUNK)
}

/// What the system's allocator takes for so many bytes: a word of its own, in steps of 16, 32 at
/// least. Nothing for nothing.
pub(crate) fn heap_size(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + 8).next_multiple_of(16).max(32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_and_used_again() {
        let mut slots = Slots::new();
        let ids: Vec<u32> = (0..3 * CHUNK as u32).map(|n| slots.insert(&format!("f/{n}"), n)).collect();
        assert_eq!(
            slots.remove(ids[5]).map(|(text, value)| (text.to_string(), value)),
            Some(("f/5".into(), 5))
        );
        assert_eq!(slots.remove(ids[5]), None);
        assert_eq!(slots.get(ids[5]), None);
        assert_eq!(slots.get(ids[6]), Some(("f/6", &6)));
        assert_eq!(slots.insert("g", 99), ids[5]);
        assert_eq!(slots.get(ids[5]), Some(("g", &99)));
        assert_eq!(slots.insert("h", 100), 3 * CHUNK as u32);
        assert_eq!(slots.len(), 3 * CHUNK + 1);
        assert_eq!(slots.get(NONE), None);
        assert_eq!(slots.get_mut(3 * CHUNK as u32 + 1), None);
    }

    #[test]
    fn nothing_is_held_when_empty() {
        let mut slots = Slots::new();
        for _ in 0..2 {
            let ids: Vec<u32> = (0..2000).map(|n| slots.insert("x/y", n)).collect();
            assert!(slots.heap_bytes() >= 2000 * (32 + size_of::<Slot<i32>>()));
            for id in ids {
                slots.remove(id);
            }
            assert_eq!((slots.len(), slots.heap_bytes()), (0, 0));
        }
    }

    #[test]
    fn texts_are_counted_as_the_allocator_does() {
        let cases = [(0, 0), (1, 32), (24, 32), (25, 48), (40, 48), (41, 64)];
        assert_eq!(cases.map(|(bytes, _)| heap_size(bytes)), cases.map(|(_, size)| size));
        let mut slots = Slots::new();
        let ids = ["a", "a filter of more than 24 bytes"].map(|text| slots.insert(text, 1_u64));
        let chunks = CHUNK * size_of::<Slot<u64>>() + slots.chunks.capacity() * size_of::<Vec<Slot<u64>>>();
        assert_eq!(slots.heap_bytes(), chunks + 32 + 48);
        slots.remove(ids[1]);
        assert_eq!(slots.heap_bytes(), chunks + 32);
        assert_eq!(slots.values().collect::<Vec<_>>(), [&1]);
    }

    #[test]
    fn a_free_slot_costs_no_tag() {
        assert_eq!(size_of::<Slot<[u64; 2]>>(), 32);
    }
}
