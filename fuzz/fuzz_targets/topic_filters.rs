//! Topic filters of any text: parsed or refused as the specification's plain words say, and matched the
//! same by the naive matcher, the index of a core and the global routes. The first line is the filter,
//! the rest the topic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_router::{Filter, Index, MAX_FILTER_BYTES, MAX_LEVELS, Routes, matches, topic};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (full, name) = text.split_once('\n').unwrap_or((text, ""));
    let parsed = Filter::parse(full);
    assert_eq!(parsed.is_ok(), is_legal(full), "{parsed:?}");
    // Also for texts that are no filter: no panic, and the same answer whoever gives it.
    let naive = matches(full, name);
    let Ok(filter) = parsed else { return };

    assert!(full.ends_with(filter.text()));
    assert_eq!(filter.share_group().is_some(), filter.text().len() < full.len());
    let alone = Filter::parse(filter.text()).expect("the filter of a shared subscription stands alone");
    assert_eq!((alone.text(), alone.share_group()), (filter.text(), None));
    let prefix = filter.literal_prefix().unwrap_or_default();
    assert!(filter.text().starts_with(prefix) && !prefix.contains(['+', '#']));
    assert_eq!(filter.has_wildcard(), filter.text().contains(['+', '#']));

    // A name has no wildcards; with one in it the indexes need not agree.
    if name.contains(['+', '#']) {
        return;
    }
    let takes = matches(filter.text(), name);
    assert!(filter.share_group().is_some() || takes == naive);
    let mut index = Index::new(1);
    index.insert(filter.text(), ());
    let mut found = 0;
    index.for_each_match(name, |()| found += 1);
    assert_eq!(found, usize::from(takes));
    let routes = Routes::with_shards(1, 1);
    routes.add(filter.text(), 0, true);
    assert_eq!(!routes.lookup(name).is_empty(), takes);
});

/// The rules as sections 4.7 and 4.8.2 put them, with no care for speed.
fn is_legal(full: &str) -> bool {
    if full.is_empty() || full.len() > MAX_FILTER_BYTES || full.contains('\0') {
        return false;
    }
    let mut levels: Vec<&str> = topic::levels(full).collect();
    if levels[0] == "$share" {
        let group = levels.get(1).copied().unwrap_or_default();
        if levels.len() < 3 || group.is_empty() || group.contains(['+', '#']) {
            return false;
        }
        levels.drain(..2);
        if levels == [""] || levels[0] == "$share" {
            return false;
        }
    }
    let last = levels.len() - 1;
    let level_is_legal = |(at, level): (usize, &&str)| match *level {
        "+" => true,
        "#" => at == last,
        _ => !level.contains(['+', '#']),
    };
    levels.len() <= MAX_LEVELS && levels.iter().enumerate().all(level_is_legal)
}
