use std::collections::HashSet;

use super::*;
use crate::random::Random;

/// What a network that may do anything makes of messages 0 to `count`.
fn mistreated(random: &mut Random, count: u64) -> Vec<u64> {
    let mut messages: Vec<u64> = Vec::new();
    for sequence in 0..count {
        match random.next() % 20 {
            0 => {}
            1 => messages.extend([sequence, sequence]),
            2 => {
                let back = (random.next() % 9) as usize;
                let at = messages.len().saturating_sub(back);
                messages.insert(at, sequence);
            }
            3 => {
                let again = messages.get((random.next() % count) as usize).copied();
                messages.push(sequence);
                messages.extend(again);
            }
            _ => messages.push(sequence),
        }
    }
    messages
}

/// The same by remembering everything.
#[derive(Default)]
struct Naive {
    came: HashSet<u64>,
    highest: Option<u64>,
}

impl Naive {
    fn arrive(&mut self, sequence: u64) -> Arrival {
        let behind = self.highest.is_some_and(|highest| sequence < highest);
        self.highest = self.highest.max(Some(sequence));
        match (self.came.insert(sequence), behind) {
            (false, _) => Arrival::Again,
            (true, true) => Arrival::Late,
            (true, false) => Arrival::InOrder,
        }
    }
}

#[test]
fn ordered_agrees_with_a_model_that_remembers_everything() {
    let mut seen = HashSet::new();
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut ordered = Ordered::new(3);
        let mut models: [Naive; 3] = Default::default();
        let mut rest: Vec<_> = (0..3).map(|_| mistreated(&mut random, 200).into_iter()).collect();
        while rest.iter().any(|messages| messages.len() > 0) {
            let pair = (random.next() % 3) as usize;
            let Some(sequence) = rest[pair].next() else { continue };
            let arrival = ordered.arrive(pair, sequence);
            assert_eq!(arrival, models[pair].arrive(sequence), "seed {seed}, {pair}: {sequence}");
            seen.insert(format!("{arrival:?}"));
        }
        assert_eq!(ordered.forgotten, 0);
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn in_order_nothing_is_kept_and_what_is_too_much_is_said() {
    let mut ordered = Ordered::new(1);
    for sequence in 0..1_000 {
        assert_eq!(ordered.arrive(0, sequence), Arrival::InOrder);
    }
    assert!(ordered.gaps.is_empty());
    // Every other message is missing, until no more can be remembered.
    let start = 1_000;
    for gap in 0..GAPS_MAX as u64 + 5 {
        ordered.arrive(0, start + gap * 2 + 1);
    }
    assert_eq!((ordered.gaps.len(), ordered.forgotten), (GAPS_MAX, 5));
    assert_eq!(ordered.arrive(0, start), Arrival::Late);
    assert_eq!(ordered.arrive(0, start + 2 * GAPS_MAX as u64), Arrival::Again);
}

#[test]
fn once_agrees_with_a_set_whatever_comes_to_whom() {
    let mut repeats_across = 0;
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let members = 1 + (random.next() % 3) as usize;
        let (mut sets, mut onces) = (vec![HashSet::new(); members], vec![Once::default(); members]);
        for sequence in mistreated(&mut random, 700) {
            let member = (random.next() % members as u64) as usize;
            let first = sets[member].insert(sequence);
            assert_eq!(onces[member].arrive(sequence), Some(first), "seed {seed}: {sequence}");
        }
        let all: HashSet<u64> = sets.iter().flatten().copied().collect();
        let sum: usize = sets.iter().map(HashSet::len).sum();
        let mut merged = Once::default();
        let across: u64 = onces.iter().map(|once| merged.merge(once)).sum();
        assert_eq!((merged.came(), across), (all.len() as u64, (sum - all.len()) as u64), "seed {seed}");
        repeats_across += across;
    }
    assert!(repeats_across > 0);
}

#[test]
fn once_keeps_nothing_of_what_came_whole() {
    let mut once = Once::default();
    for sequence in 0..100_000 {
        once.arrive(sequence);
    }
    assert!(once.words.len() <= 1);
    assert_eq!(once.arrive(5), Some(false));
    let too_far = (once.base + WORDS_MAX as u64) * 64;
    assert_eq!((once.arrive(too_far), once.arrive(too_far - 1)), (None, Some(true)));
}
