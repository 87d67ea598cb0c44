//! What the tests of this crate share: small alphabets, so that generated filters overlap often.

use proptest::collection::vec;
use proptest::prelude::*;

/// Levels of topics: few, the empty one and one with `$` among them.
const NAMES: [&str; 5] = ["a", "b", "", "$x", "ab"];

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("a"), 2 => Just("b"), 1 => Just(""), 1 => Just("$x"), 1 => Just("ab")]
}

/// A topic of 1 to 5 levels, sometimes with `$` first.
pub(crate) fn topic() -> impl Strategy<Value = String> {
    vec(name(), 1..=5).prop_map(|levels| levels.join("/"))
}

/// A legal filter of 1 to 5 levels; nearly every other level is a wildcard.
pub(crate) fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => name(), 2 => Just("+")];
    (vec(level, 0..=4), prop_oneof![2 => Just("#"), 1 => Just("+"), 3 => name()])
        .prop_map(|(mut levels, last)| {
            levels.push(last);
            levels.join("/")
        })
        .prop_filter("a filter has a character", |filter| !filter.is_empty())
}

/// Every topic of up to three levels, for checks that want all.
pub(crate) fn all_topics() -> Vec<String> {
    let mut topics: Vec<String> = NAMES.map(String::from).to_vec();
    for _ in 0..2 {
        let longer =
            topics.iter().flat_map(|above| NAMES.map(|name| format!("{above}/{name}"))).collect::<Vec<_>>();
        topics.extend(longer);
    }
    topics.sort();
    topics.dedup();
    topics
}
