//! Against the plain matcher, with changes in between, and in steps.

use super::*;
use crate::testing;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet as Set};

#[derive(Clone, Debug, PartialEq)]
struct Value(String, u32);

impl Named for Value {
    fn topic(&self) -> &str {
        &self.0
    }
}

fn filled(topics: &[&str]) -> Retained<Value> {
    let mut retained = Retained::new();
    topics.iter().for_each(|topic| drop(retained.set(Value((*topic).to_owned(), 0))));
    retained
}

/// All matches in the order they come, and the steps it took.
fn found(retained: &Retained<Value>, filter: &str) -> (Vec<String>, usize) {
    let (mut all, mut steps) = (Vec::new(), usize::MAX);
    let end = retained.scan(filter, None, &mut steps, |value| {
        all.push(value.0.clone());
        true
    });
    assert_eq!(end, None);
    (all, usize::MAX - steps)
}

#[test]
fn what_is_below_a_topic_stands_right_behind_it() {
    let retained = filled(&["a!", "a", "a/b", "a/b/c", "a/", "a-/b", "ab", "/", "/a"]);
    let mut order = Vec::new();
    retained.walk(None, |value| {
        order.push(value.0.clone());
        true
    });
    assert_eq!(order, ["/", "/a", "a", "a/", "a/b", "a/b/c", "a!", "a-/b", "ab"]);
}

#[test]
fn all_topics_and_all_filters_agree_with_the_matcher() {
    let topics = testing::all_topics();
    let retained = filled(&topics.iter().map(String::as_str).collect::<Vec<_>>());
    let mut filters = topics.clone();
    for name in [
        "+", "#", "+/+", "a/+", "+/a", "a/#", "+/#", "+/+/#", "a/+/b", "+/a/+", "$x/#", "$x/+", "/+", "+/",
        "a/b/#",
    ] {
        filters.push(name.to_owned());
    }
    for filter in filters {
        let (all, _) = found(&retained, &filter);
        let set: Set<String> = all.iter().cloned().collect();
        assert_eq!(set.len(), all.len(), "{filter}: one came twice");
        let expected: Set<String> =
            topics.iter().filter(|topic| crate::matches(&filter, topic)).cloned().collect();
        assert_eq!(set, expected, "{filter}");
    }
}

#[test]
fn what_cannot_match_is_jumped_over() {
    let mut retained = Retained::new();
    for device in 0..1_000 {
        for kind in ["command", "config", "state", "state/battery", "zone"] {
            retained.set(Value(format!("devices/{device}/{kind}"), 0));
        }
    }
    for other in 0..5_000 {
        retained.set(Value(format!("other/{other}"), 0));
    }
    for (filter, matches, most) in [
        ("devices/7/state", 1, 1),
        ("devices/7/none", 0, 1),
        ("devices/+/state", 1_000, 3_001),
        ("devices/7/#", 5, 6),
        ("devices/+", 0, 1_001),
        ("nothing/#", 0, 1),
        ("+/7", 1, 6),
        ("#", 10_000, 10_000),
    ] {
        let (all, steps) = found(&retained, filter);
        assert_eq!(all.len(), matches, "{filter}");
        assert!(steps <= most, "{filter}: {steps} steps");
    }
}

#[test]
fn values_are_replaced_and_removed() {
    let mut retained = Retained::new();
    assert_eq!(retained.set(Value("a".to_owned(), 1)), None);
    assert_eq!(retained.set(Value("a".to_owned(), 2)), Some(Value("a".to_owned(), 1)));
    assert_eq!(retained.get("a").map(|value| value.1), Some(2));
    assert_eq!(retained.get("a/"), None);
    assert_eq!(retained.remove("b"), None);
    assert_eq!((retained.remove("a"), retained.len()), (Some(Value("a".to_owned(), 2)), 0));
    assert!(retained.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// In pieces of a few steps, with topics that come and go between them.
    #[test]
    fn a_scan_in_pieces_sees_what_was_there_all_the_time(
        topics in proptest::collection::vec(testing::topic(), 0..60),
        filter in testing::filter(),
        changes in proptest::collection::vec((testing::topic(), any::<bool>()), 0..40),
        piece in 0usize..4,
    ) {
        let mut retained = Retained::new();
        let mut there: BTreeMap<String, bool> = BTreeMap::new();
        for topic in topics {
            retained.set(Value(topic.clone(), 0));
            there.insert(topic, true);
        }
        let (mut cursor, mut seen, mut changes) = (None, Vec::new(), changes.into_iter());
        loop {
            let mut steps = piece.max(1);
            let mut taken = 0;
            let next = retained.scan(&filter, cursor.clone(), &mut steps, |value| {
                seen.push(value.0.clone());
                taken += 1;
                taken < piece
            });
            let Some(next) = next else { break };
            let (path, from) = next.parts();
            prop_assert_eq!(&Cursor::from_parts(path, from), &next);
            cursor = Some(next);
            if let Some((topic, add)) = changes.next() {
                if add {
                    retained.set(Value(topic.clone(), 1));
                    there.entry(topic).or_insert(false);
                } else {
                    retained.remove(&topic);
                    there.insert(topic, false);
                }
            }
        }
        let set: Set<&String> = seen.iter().collect();
        prop_assert_eq!(set.len(), seen.len(), "none comes twice");
        for topic in &seen {
            prop_assert!(crate::matches(&filter, topic));
        }
        for (topic, _) in there.iter().filter(|(topic, all_the_time)| **all_the_time && crate::matches(&filter, topic)) {
            prop_assert!(set.contains(topic), "{} was missed by {}", topic, filter);
        }
    }
}
