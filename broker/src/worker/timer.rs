//! The timer wheel of a core: one pending deadline a connection at most, re-armed lazily (a packet that arrives does
//! not touch the wheel; when the deadline fires, the connection says when it wants to be asked again).

use super::slots::SlotId;

/// Resolution, milliseconds.
const TICK_MS: u64 = 128;
/// One turn of the wheel is 65.5 s; later deadlines are met again each turn.
const SLOTS: usize = 512;

#[derive(Clone, Copy)]
struct Entry {
    tick: u64,
    id: SlotId,
}

/// Deadlines on the monotonic clock.
pub struct Wheel {
    slots: Box<[Vec<Entry>]>,
    occupied: [u64; SLOTS / 64],
    /// All ticks up to this one have fired.
    done: u64,
}

impl Wheel {
    /// An empty wheel.
    pub fn new(now_ms: u64) -> Wheel {
        Wheel {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            occupied: [0; SLOTS / 64],
            done: now_ms / TICK_MS,
        }
    }

    /// Fires `id` at the first tick that is not before the deadline.
    pub fn insert(&mut self, deadline_ms: u64, id: SlotId) {
        let tick = (deadline_ms / TICK_MS + 1).max(self.done + 1);
        self.put(Entry { tick, id });
    }

    fn put(&mut self, entry: Entry) {
        let slot = entry.tick as usize % SLOTS;
        self.slots[slot].push(entry);
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    /// Moves everything that is due to `fired`.
    #[inline]
    pub fn expire(&mut self, now_ms: u64, fired: &mut Vec<SlotId>) {
        let until = now_ms / TICK_MS;
        if until > self.done {
            self.expire_until(until, fired);
        }
    }

    fn expire_until(&mut self, until: u64, fired: &mut Vec<SlotId>) {
        // After a long sleep one turn over all slots is enough.
        let steps = until.saturating_sub(self.done).min(SLOTS as u64);
        for step in 1..=steps {
            let slot = (until - steps + step) as usize % SLOTS;
            if self.occupied[slot / 64] & (1 << (slot % 64)) == 0 {
                continue;
            }
            let entries = &mut self.slots[slot];
            entries.retain(|entry| {
                let due = entry.tick <= until;
                if due {
                    fired.push(entry.id);
                }
                !due
            });
            if entries.is_empty() {
                // Give back what a storm of connections made large.
                entries.shrink_to(64);
                self.occupied[slot / 64] &= !(1 << (slot % 64));
            }
        }
        self.done = until;
    }

    /// When to look again: the next tick whose slot has an entry (perhaps one of a later turn of the wheel).
    pub fn next_ms(&self) -> Option<u64> {
        if self.occupied.iter().all(|&word| word == 0) {
            return None;
        }
        let mut ahead = 1;
        while ahead <= SLOTS as u64 {
            let slot = (self.done + ahead) as usize % SLOTS;
            let rest = self.occupied[slot / 64] >> (slot % 64);
            if rest != 0 {
                return Some((self.done + ahead + u64::from(rest.trailing_zeros())) * TICK_MS);
            }
            ahead += 64 - (slot % 64) as u64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u32) -> SlotId {
        SlotId { index, generation: 0 }
    }

    #[test]
    fn deadlines_fire_once_never_early_and_at_most_a_tick_late() {
        let deadlines = [0u64, 1, 127, 128, 1_000, 10_000, 65_535, 65_536, 70_000, 200_000, 5_400_000];
        let mut wheel = Wheel::new(0);
        for (n, &deadline) in deadlines.iter().enumerate() {
            wheel.insert(deadline, id(n as u32));
        }
        let mut seen = vec![None; deadlines.len()];
        let mut now = 0;
        while let Some(next) = wheel.next_ms() {
            assert!(next > now, "next {next} is not after {now}");
            now = next;
            let mut fired = Vec::new();
            wheel.expire(now, &mut fired);
            for one in fired {
                assert_eq!(seen[one.index as usize].replace(now), None);
            }
        }
        for (n, &deadline) in deadlines.iter().enumerate() {
            let at = seen[n].expect("fired");
            assert!(at >= deadline && at <= deadline + TICK_MS, "{deadline} fired at {at}");
        }
    }

    #[test]
    fn a_long_sleep_misses_nothing() {
        let mut wheel = Wheel::new(1_000_000);
        for n in 0..2_000 {
            wheel.insert(1_000_000 + u64::from(n) * 77, id(n));
        }
        let mut fired = Vec::new();
        wheel.expire(100_000_000, &mut fired);
        assert_eq!(fired.len(), 2_000);
        assert_eq!(wheel.next_ms(), None);
    }
}
