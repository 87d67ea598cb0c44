//! A slab in fixed chunks: an index stays valid until its value is removed, and a generation tells a reused slot
//! from the one that was meant. It grows by one chunk, never by doubling and copying (at a hundred thousand
//! connections a doubling would cost their whole memory again), and gives chunks back that have become empty: the
//! lowest free positions are taken first, so that what a storm made large empties from its end.

/// Entries a chunk; a power of two, so that an index splits by shift and mask.
const CHUNK: usize = 256;
/// No slot: the end of a chunk's list of free ones.
const NONE: u16 = u16::MAX;

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
    /// The free slot of this chunk behind this one, while it is free itself.
    next: u16,
    value: Option<T>,
}

struct Chunk<T> {
    /// None at all while the chunk is given back.
    slots: Box<[Slot<T>]>,
    free: u16,
    used: u16,
    /// Above all generations that this chunk gave before it was given back.
    first_generation: u32,
}

impl<T> Chunk<T> {
    fn given_back(first_generation: u32) -> Chunk<T> {
        Chunk { slots: Box::default(), free: 0, used: 0, first_generation }
    }

    fn fill(&mut self) {
        let generation = self.first_generation;
        let next = |at: usize| if at + 1 < CHUNK { at as u16 + 1 } else { NONE };
        self.slots = (0..CHUNK).map(|at| Slot { generation, next: next(at), value: None }).collect();
        self.free = 0;
    }

    fn is_given_back(&self) -> bool {
        self.slots.is_empty()
    }
}

/// The slab.
pub struct Slots<T> {
    chunks: Vec<Chunk<T>>,
    /// All chunks below this one are full.
    open: usize,
    /// Chunks that are there and empty: one is kept, so that a value that comes and goes costs no allocation.
    empty: usize,
    len: usize,
}

impl<T> Slots<T> {
    /// An empty slab; allocates nothing.
    pub fn new() -> Slots<T> {
        Slots { chunks: Vec::new(), open: 0, empty: 0, len: 0 }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Stores a value.
    pub fn insert(&mut self, value: T) -> SlotId {
        while self.chunks.get(self.open).is_some_and(|chunk| chunk.free == NONE) {
            self.open += 1;
        }
        if self.open == self.chunks.len() {
            self.chunks.push(Chunk::given_back(0));
        }
        let chunk = &mut self.chunks[self.open];
        if chunk.is_given_back() {
            chunk.fill();
        } else if chunk.used == 0 {
            self.empty -= 1;
        }
        let at = usize::from(chunk.free);
        let slot = &mut chunk.slots[at];
        chunk.free = slot.next;
        chunk.used += 1;
        slot.value = Some(value);
        self.len += 1;
        SlotId { index: (self.open * CHUNK + at) as u32, generation: slot.generation }
    }

    /// Removes and returns the value; later values there have another generation.
    pub fn remove(&mut self, index: u32) -> Option<T> {
        let (number, at) = (index as usize / CHUNK, index as usize % CHUNK);
        let chunk = self.chunks.get_mut(number)?;
        let slot = chunk.slots.get_mut(at)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.next = chunk.free;
        chunk.free = at as u16;
        chunk.used -= 1;
        self.len -= 1;
        self.open = self.open.min(number);
        if chunk.used == 0 {
            self.empty += 1;
            self.give_back(number);
        }
        Some(value)
    }

    /// Keeps one empty chunk, the lowest.
    fn give_back(&mut self, emptied: usize) {
        while self.empty > 1 {
            let is_empty = |chunk: &Chunk<T>| !chunk.is_given_back() && chunk.used == 0;
            let last = self.chunks.iter().rposition(is_empty).unwrap_or(emptied);
            let chunk = &mut self.chunks[last];
            let newest = chunk.slots.iter().map(|slot| slot.generation).max().unwrap_or_default();
            *chunk = Chunk::given_back(newest);
            self.empty -= 1;
        }
    }

    /// The value at a position, whichever it is.
    #[inline]
    pub fn at(&self, index: u32) -> Option<&T> {
        self.slot(index)?.value.as_ref()
    }

    /// The value at a position, whichever it is.
    #[inline]
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        let chunk = self.chunks.get_mut(index as usize / CHUNK)?;
        chunk.slots.get_mut(index as usize % CHUNK)?.value.as_mut()
    }

    /// Whether exactly this value is still there.
    #[inline]
    pub fn contains(&self, id: SlotId) -> bool {
        self.id_at(id.index) == Some(id)
    }

    /// The full name of the value that is at a position now.
    #[inline]
    pub fn id_at(&self, index: u32) -> Option<SlotId> {
        let slot = self.slot(index)?;
        slot.value.as_ref().map(|_| SlotId { index, generation: slot.generation })
    }

    #[inline]
    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        self.chunks.get(index as usize / CHUNK)?.slots.get(index as usize % CHUNK)
    }

    /// Positions of all values, in order.
    pub fn indexes(&self) -> Vec<u32> {
        let used = |(number, chunk): (usize, &Chunk<T>)| {
            let slots = chunk.slots.iter().enumerate().filter(|(_, slot)| slot.value.is_some());
            slots.map(|(at, _)| (number * CHUNK + at) as u32).collect::<Vec<_>>()
        };
        self.chunks.iter().enumerate().flat_map(used).collect()
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

    #[test]
    fn a_storm_gives_its_chunks_back_and_names_stay_unique() {
        let mut slots = Slots::new();
        let mut names = std::collections::HashSet::new();
        for storm in 0..3 {
            let ids: Vec<SlotId> = (0..10 * CHUNK).map(|n| slots.insert(n)).collect();
            assert!(ids.iter().all(|id| names.insert(*id)), "a name was given twice in storm {storm}");
            // In an order in which chunks empty late.
            for id in (0..CHUNK).flat_map(|at| ids.iter().skip(at).step_by(CHUNK)) {
                assert!(slots.remove(id.index).is_some());
            }
            let there = slots.chunks.iter().filter(|chunk| !chunk.is_given_back()).count();
            assert_eq!((slots.len(), there, slots.empty), (0, 1, 1), "storm {storm}");
            assert!(ids.iter().all(|&id| !slots.contains(id)));
        }
    }

    #[test]
    fn the_lowest_chunk_with_room_is_filled_first() {
        let mut slots = Slots::new();
        let ids: Vec<SlotId> = (0..3 * CHUNK).map(|n| slots.insert(n)).collect();
        slots.remove(ids[2 * CHUNK + 5].index);
        slots.remove(ids[7].index);
        assert_eq!(slots.insert(0).index, 7);
        assert_eq!(slots.insert(0).index as usize, 2 * CHUNK + 5);
        assert_eq!(slots.insert(0).index as usize, 3 * CHUNK);
    }
}
