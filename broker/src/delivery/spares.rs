//! Stored messages that nobody holds any more, kept for the next ones: in the steady state a message that waits for an
//! acknowledgement costs no allocation.

use super::{Message, Stored};
use std::sync::Arc;

/// Spares that one core keeps.
const SPARES: usize = 1_024;
/// The most bytes of a message that is kept as a spare. So all spares of a core are about a MiB.
const ROOM_BYTES: usize = 1 << 10;

/// One core's spares.
#[derive(Default)]
pub struct Spares(Vec<Arc<Stored>>);

impl Spares {
    /// Copies a message that begins to wait at this time.
    pub fn store(&mut self, message: &Message<'_>, now_ms: u64) -> Arc<Stored> {
        if let Some(mut spare) = self.0.pop()
            && let Some(stored) = Arc::get_mut(&mut spare)
        {
            stored.replace(message, now_ms);
            return spare;
        }
        Arc::new(Stored::new(message, now_ms))
    }

    /// Takes a message that somebody does not hold any more.
    pub fn give_back(&mut self, stored: Arc<Stored>) {
        if Arc::strong_count(&stored) == 1 && self.0.len() < SPARES && stored.room() <= ROOM_BYTES {
            self.0.push(stored);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::Verdict;
    use millrace_codec::QoS;

    #[test]
    fn a_spare_becomes_the_next_message_unless_somebody_holds_it() {
        let mut spares = Spares::default();
        let payload = [7; 3_000];
        let of = |topic, len| Message {
            topic,
            from: "p",
            properties: &[],
            payload: &payload[..len],
            qos: QoS::AtLeastOnce,
            retain: false,
            verdict: Verdict::default(),
            order: 0,
            share: 0,
        };
        // What is stored, its room, and whether it is a spare afterwards.
        let cases = [
            ("a new one", "a/b", 100, 104, true),
            ("a shorter one in the same room", "c", 90, 104, true),
            ("one that is too long for the room", "c", 110, 112, true),
            ("one that is far too short for it", "d", 10, 12, true),
            ("an empty one", "", 0, 12, true),
            ("a huge one", "e", 3_000, 3_002, false),
        ];
        for (name, topic, len, room, kept) in cases {
            let stored = spares.store(&of(topic, len), 5);
            let message = stored.message();
            assert_eq!((message.topic, message.from, message.payload.len()), (topic, "p", len), "{name}");
            assert_eq!((stored.len(), stored.room()), (topic.len() + 1 + len, room), "{name}");
            let held = Arc::clone(&stored);
            spares.give_back(stored);
            assert!(spares.0.is_empty(), "{name}: somebody holds it");
            spares.give_back(held);
            assert_eq!(spares.0.len(), usize::from(kept), "{name}");
        }
        for _ in 0..2 * SPARES {
            spares.give_back(Arc::new(Stored::new(&of("a", 1), 0)));
        }
        assert_eq!(spares.0.len(), SPARES);
    }
}
