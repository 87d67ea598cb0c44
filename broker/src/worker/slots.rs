//! A slab in fixed chunks: an index stays valid until its value is removed, and a generation tells a reused slot
//! from the one that was meant. It grows by one chunk, never by doubling and copying (at a hundred thousand
//! connections a doubling would cost their whole memory again).

/// Entries a chunk; a power of two, so that an index splits by shift and mask.
const CHUNK: usize = 256;

/// Names one value: where it is, and which of the values that have been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotId {
    /// Position in the slab.
    pub index: u32,
    /// Counts the values that have had this position.
    pub generation: u32,
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// The slab.
pub struct Slots<T> {
    chunks: Vec<Box<[Slot<T>]>>,
    free: Vec<u32>,
    len: usize,
}

impl<T> Slots<T> {
    /// An empty slab; allocates nothing.
    pub fn new() -> Slots<T> {
        Slots { chunks: Vec::new(), free: Vec::new(), len: 0 }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Stores a value.
    pub fn insert(&mut self, value: T) -> SlotId {
        if self.free.is_empty() {
            self.grow();
        }
        let index = self.free.pop().unwrap_or_default();
        let slot = &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK];
        slot.value = Some(value);
        self.len += 1;
        SlotId { index, generation: slot.generation }
    }

    fn grow(&mut self) {
        let first = (self.chunks.len() * CHUNK) as u32;
        self.chunks.push((0..CHUNK).map(|_| Slot { generation: 0, value: None }).collect());
        self.free.extend((first..first + CHUNK as u32).rev());
    }

    /// Removes and returns the value; later values there have another generation.
    pub fn remove(&mut self, index: u32) -> Option<T> {
        let slot = self.chunks.get_mut(index as usize / CHUNK)?.get_mut(index as usize % CHUNK)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
        self.len -= 1;
        Some(value)
    }

    /// The value at a position, whichever it is.
    #[inline]
    pub fn at(&self, index: u32) -> Option<&T> {
        self.chunks.get(index as usize / CHUNK)?[index as usize % CHUNK].value.as_ref()
    }

    /// The value at a position, whichever it is.
    #[inline]
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.chunks.get_mut(index as usize / CHUNK)?[index as usize % CHUNK].value.as_mut()
    }

    /// Whether exactly this value is still there.
    #[inline]
    pub fn contains(&self, id: SlotId) -> bool {
        self.id_at(id.index) == Some(id)
    }

    /// The full name of the value that is at a position now.
    #[inline]
    pub fn id_at(&self, index: u32) -> Option<SlotId> {
        let slot = &self.chunks.get(index as usize / CHUNK)?[index as usize % CHUNK];
        slot.value.as_ref().map(|_| SlotId { index, generation: slot.generation })
    }

    /// Positions of all values, in order.
    pub fn indexes(&self) -> Vec<u32> {
        let slots = self.chunks.iter().flat_map(|chunk| chunk.iter());
        slots.enumerate().filter(|(_, slot)| slot.value.is_some()).map(|(index, _)| index as u32).collect()
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_slot_has_another_generation() {
        let mut slots = Slots::new();
        let first = slots.insert("a");
        assert_eq!(slots.remove(first.index), Some("a"));
        let second = slots.insert("b");
        assert_eq!(second.index, first.index);
        assert!(!slots.contains(first) && slots.contains(second));
        assert_eq!(slots.remove(7), None);
    }

    #[test]
    fn it_grows_over_many_chunks_and_keeps_indexes() {
        let mut slots = Slots::new();
        let ids: Vec<SlotId> = (0..1_000).map(|n| slots.insert(n)).collect();
        assert!(ids.iter().enumerate().all(|(n, id)| slots.at(id.index) == Some(&n)));
        for id in ids.iter().step_by(2) {
            slots.remove(id.index);
        }
        assert_eq!((slots.len(), slots.indexes().len()), (500, 500));
        assert_eq!(slots.at(100_000), None);
    }
}
