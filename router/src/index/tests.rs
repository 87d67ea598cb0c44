use super::*;
use crate::filter::matches;
use crate::testing;
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Insert(String, u32),
    Remove(String),
    /// Removes the filter stored at this place of the model.
    RemoveStored(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (testing::filter(), any::<u32>()).prop_map(|(filter, value)| Step::Insert(filter, value)),
        1 => testing::filter().prop_map(Step::Remove),
        3 => any::<usize>().prop_map(Step::RemoveStored),
    ]
}

/// The same steps on the index and on a list of filters, compared after each.
fn follow(mut index: Index<u32>, steps: Vec<Step>, topics: &[String]) -> Result<(), TestCaseError> {
    let mut model: Vec<(String, u32)> = Vec::new();
    let at = |model: &Vec<(String, u32)>, filter: &str| model.iter().position(|(stored, _)| stored == filter);
    for step in steps {
        match step {
            Step::Insert(filter, value) => {
                let old = at(&model, &filter).map(|at| model.swap_remove(at).1);
                prop_assert_eq!(index.insert(&filter, value), old);
                model.push((filter, value));
            }
            Step::Remove(filter) => {
                let old = at(&model, &filter).map(|at| model.swap_remove(at).1);
                prop_assert_eq!(index.remove(&filter), old);
                prop_assert_eq!(index.get(&filter), None);
            }
            Step::RemoveStored(_) if model.is_empty() => {}
            Step::RemoveStored(at) => {
                let (filter, value) = model.swap_remove(at % model.len());
                prop_assert_eq!(index.remove(&filter), Some(value));
            }
        }
        prop_assert_eq!(index.len(), model.len());
        for (filter, value) in &model {
            prop_assert_eq!(index.get(filter), Some(value));
        }
        for topic in topics {
            let mut found = Vec::new();
            index.for_each_match(topic, |value| found.push(*value));
            let mut expected: Vec<u32> =
                model.iter().filter(|(filter, _)| matches(filter, topic)).map(|(_, value)| *value).collect();
            found.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(found, expected, "{} in {:?}", topic, model);
        }
    }
    for (filter, _) in model {
        index.remove(&filter);
    }
    prop_assert_eq!(index.heap_bytes(), Index::<u32>::new(0).heap_bytes());
    prop_assert_eq!(*index.depths.masks(), crate::depths::Depths::default());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn index_is_a_list_of_filters_and_the_naive_matcher(
        seed: u64, steps in vec(step(), 0..40), topics in vec(testing::topic(), 1..8),
    ) {
        follow(Index::new(seed), steps, &topics)?;
    }

    /// With hashes of a few bits nearly everything collides, and still nothing is missed, doubled or wrong.
    #[test]
    fn index_survives_collisions(
        seed: u64, bits in 0_u32..8, high: bool, steps in vec(step(), 0..40), topics in vec(testing::topic(), 1..8),
    ) {
        let keys = if high { Keys::weak_high(seed, bits) } else { Keys::weak(seed, bits) };
        follow(Index::with_keys(keys), steps, &topics)?;
    }
}

#[test]
fn a_change_in_place_and_every_topic_of_three_levels() {
    let filters =
        ["#", "+/#", "a", "a/#", "a/+", "a/b", "a/+/b", "+/b/+", "+/+/+", "$x/#", "$x/+", "/+/a", "a//"];
    let mut index = Index::new(5);
    for filter in filters {
        assert_eq!(index.insert(filter, String::new()), None);
        index.get_mut(filter).expect(filter).push_str(filter);
    }
    assert_eq!(index.insert("a/b", "new".into()), Some("a/b".into()));
    assert_eq!(index.insert("a/b", "a/b".into()), Some("new".into()));
    for topic in testing::all_topics() {
        let mut found = Vec::new();
        index.for_each_match(&topic, |filter| found.push(filter.clone()));
        found.sort();
        let mut expected: Vec<&str> = filters.into_iter().filter(|filter| matches(filter, &topic)).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{topic}");
    }
}

#[test]
fn many_filters_cost_few_bytes_and_give_them_back() {
    const FILTERS: usize = 100_000;
    let kinds: [fn(usize) -> String; 3] = [
        |id| format!("devices/{:016}/command", id * 7919),
        |id| format!("devices/{:016}/#", id * 7919),
        |id| format!("+/{:016}", id * 7919),
    ];
    for kind in kinds {
        let mut index: Index<[u64; 2]> = Index::new(9);
        let empty = index.heap_bytes();
        let filters: Vec<String> = (0..FILTERS).map(kind).collect();
        let texts: usize = filters.iter().map(|filter| crate::slots::heap_size(filter.len())).sum();
        for filter in &filters {
            index.insert(filter, [0; 2]);
        }
        let beside_text = (index.heap_bytes() - empty - texts) / FILTERS;
        assert!(beside_text <= 32 + 18, "{} takes {beside_text} bytes beside its text and value", filters[1]);
        for (at, filter) in filters.iter().enumerate() {
            index.remove(filter);
            // Slots stay until the index is empty; texts and tables go.
            if at == FILTERS * 9 / 10 {
                assert!(
                    index.heap_bytes() < empty + FILTERS * 34 + texts / 5,
                    "{}",
                    index.heap_bytes() - empty
                );
            }
        }
        assert_eq!(index.heap_bytes(), empty);
    }
}

#[test]
fn filters_are_spread_over_all_tables() {
    let (keys, mut terminals) = (Keys::new(4), Terminals::new());
    let mut empty_tags = 0;
    for slot in 0..6_400 {
        let hash = keys.text(&format!("devices/{slot}/command"));
        terminals.insert(hash, slot);
        empty_tags += u32::from(spread(tag(hash)) >> 57 == 0);
    }
    assert!(terminals.tables.iter().all(|table| (50..200).contains(&table.len())));
    assert!(empty_tags < 200, "neighbours in a table are not told apart");
}

#[test]
fn the_bytes_are_those_that_the_parts_take() {
    let mut index = Index::new(1);
    assert!(index.is_empty() && index.values().next().is_none());
    let tables = 64 * size_of::<HashTable<Terminal>>();
    assert_eq!(index.heap_bytes(), 3 * 128 * 4 + tables);
    for n in 0..10_000_u32 {
        index.insert(&format!("+/{n}/+"), n);
    }
    assert!(!index.is_empty());
    assert_eq!(index.values().sum::<u32>(), 9_999 * 5_000);
    // Entries of the tables with a byte of their own each, at a load between 7/16 and 7/8.
    let terminals = index.terminals.heap_bytes() - tables;
    assert!((10_000 * 9..10_000 * 25).contains(&terminals), "{terminals}");
    let parts = [index.terminals.heap_bytes(), index.nodes.heap_bytes(), index.slots.heap_bytes()];
    assert!(parts.iter().all(|part| *part > 90_000), "{parts:?}");
    assert_eq!(index.heap_bytes(), 3 * 128 * 4 + parts.iter().sum::<usize>());
}
