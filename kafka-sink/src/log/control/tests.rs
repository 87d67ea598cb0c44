//! The sum of controls: a table of short histories, and random ones.

use proptest::prelude::*;

use super::*;

pub(crate) fn partitions(from: u64, count: u32) -> Control {
    Control::Partitions(Partitions { target: KAFKA, topic: "t".into(), from, count, topic_id: [1; 16] })
}

pub(crate) fn intent(partition: u32, first: u64, last: u64) -> Control {
    Control::Intent(Intent {
        target: KAFKA,
        topic: "t".into(),
        partition,
        producer: ProducerId { id: 5, epoch: 1 },
        base_sequence: first as u32,
        count: 1,
        first,
        last,
        offset: None,
    })
}

pub(crate) fn cursor(partition: u32, next: u64) -> Control {
    Control::Cursor(Cursor { target: KAFKA, topic: "t".into(), partition, next, offset: Some(next) })
}

pub(crate) fn floor(floor: u64) -> Control {
    Control::Target(Target { target: KAFKA, cluster: "c".into(), floor, producer: None })
}

/// Any of them but a dead letter.
pub(crate) fn any_of(random: u64) -> Control {
    let (partition, at, len) = (random as u32 % 3, random >> 8 & 63, random >> 16 & 7);
    match random >> 32 & 3 {
        0 => partitions(at, partition + 1),
        1 => intent(partition, at, at + len),
        2 => cursor(partition, at),
        _ => floor(at),
    }
}

fn dead_letter() -> Control {
    Control::DeadLetter(DeadLetter {
        target: KAFKA,
        topic: "t".into(),
        partition: 0,
        sequence: 3,
        error: 10,
        text: "".into(),
        record: None,
    })
}

fn sum(controls: &[Control]) -> Targets {
    let mut targets = Targets::default();
    controls.iter().for_each(|control| targets.apply(control));
    targets
}

#[test]
fn what_is_repeated_at_the_start_of_a_segment() {
    let cases: &[(&str, &[Control], &[Control])] = &[
        ("nothing", &[], &[]),
        ("a cursor ends an intent", &[intent(0, 5, 9), cursor(0, 10)], &[cursor(0, 10)]),
        (
            "a cursor within a batch does not",
            &[intent(0, 5, 9), cursor(0, 9)],
            &[cursor(0, 9), intent(0, 5, 9)],
        ),
        (
            "an older intent, again",
            &[cursor(0, 5), intent(0, 5, 9), cursor(0, 10), intent(0, 5, 9)],
            &[cursor(0, 10)],
        ),
        ("an older cursor, again", &[cursor(0, 10), cursor(0, 5)], &[cursor(0, 10)]),
        ("the next batch", &[intent(0, 5, 9), intent(0, 12, 20)], &[intent(0, 12, 20)]),
        ("the batch before, again", &[intent(0, 12, 20), intent(0, 5, 9)], &[intent(0, 12, 20)]),
        ("a batch that was cut", &[intent(0, 5, 9), intent(0, 5, 7)], &[intent(0, 5, 7)]),
        ("partitions are told apart", &[intent(1, 5, 9), cursor(0, 10)], &[cursor(0, 10), intent(1, 5, 9)]),
        ("a dead letter says nothing by itself", &[dead_letter()], &[]),
        ("a floor does not sink", &[floor(9), floor(4)], &[floor(9)]),
        (
            "counts above the floor stay, with one below",
            &[partitions(30, 4), partitions(0, 1), partitions(10, 2), partitions(20, 3), floor(20)],
            &[floor(20), partitions(10, 2), partitions(20, 3), partitions(30, 4)],
        ),
        (
            "an old count, again",
            &[floor(20), partitions(0, 1), partitions(10, 2), partitions(20, 3), partitions(0, 1)],
            &[floor(20), partitions(10, 2), partitions(20, 3)],
        ),
        ("a count is told anew", &[partitions(5, 1), partitions(5, 2)], &[partitions(5, 2)]),
    ];
    for (name, controls, expected) in cases {
        let targets = sum(controls);
        assert_eq!(targets.controls().collect::<Vec<_>>(), *expected, "{name}");
    }
}

#[test]
fn where_a_partition_is() {
    let cases: &[(&str, &[Control], u64, bool)] = &[
        ("confirmed", &[cursor(0, 10)], 10, false),
        ("on its way", &[cursor(0, 10), intent(0, 15, 20)], 15, true),
        ("arrived", &[cursor(0, 10), intent(0, 15, 20), cursor(0, 21)], 21, false),
    ];
    for (name, controls, next, unresolved) in cases {
        let targets = sum(controls);
        let state = &targets.targets[&KAFKA].topics["t"].partitions[&0];
        assert_eq!((state.next(), state.unresolved().is_some()), (*next, *unresolved), "{name}");
    }
    assert_eq!(sum(&[]).floor(), None);
    assert_eq!(sum(&[cursor(0, 4)]).floor(), Some(0), "a target that has not told its floor");
    assert_eq!(sum(&[floor(4)]).floor(), Some(4));
}

fn any_control() -> impl Strategy<Value = Control> {
    (0u8..5, 0u32..3, 0u64..40, 0u64..10).prop_map(|(kind, partition, at, len)| match kind {
        0 => partitions(at, partition + 1),
        1 => intent(partition, at, at + len),
        2 => cursor(partition, at),
        3 => dead_letter(),
        _ => floor(at),
    })
}

proptest! {
    #[test]
    fn the_sum_makes_itself_again(history in proptest::collection::vec(any_control(), 0..40)) {
        let targets = sum(&history);
        let repeated: Vec<_> = targets.controls().collect();
        prop_assert_eq!(&sum(&repeated), &targets);
        // What a start finds twice: the repetition, then some of what led to it.
        let mut again = targets.clone();
        targets.controls().for_each(|control| again.apply(&control));
        prop_assert_eq!(again, targets);
    }
}
