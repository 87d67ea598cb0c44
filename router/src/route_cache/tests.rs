use super::*;
use crate::testing;
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Duration;

const CORE_1: CoreSet = CoreSet { interested: 0b10, durable: 0 };

fn counts(cache: &RouteCache<String>) -> [u64; 5] {
    let CacheCounts { hits, stale, misses, evictions, uncached } = cache.counts();
    [hits, stale, misses, evictions, uncached]
}

fn no_make(topic: &str) -> String {
    panic!("the value of {topic} is kept")
}

#[test]
fn nobody_is_remembered_and_only_what_concerns_a_topic_makes_it_stale() {
    let routes = Routes::new(1);
    let mut cache = RouteCache::new(10, 2);
    let verdict = |topic: &str| format!("verdict on {topic}");
    // What is done first, whether the look-up finds a stale entry, and whom it finds.
    type Change = (&'static str, Box<dyn Fn(&Routes)>, bool, CoreSet);
    let nobody = CoreSet::default();
    let add = |filter: &'static str| Box::new(move |routes: &Routes| routes.add(filter, 1, false));
    let remove = |filter: &'static str| Box::new(move |routes: &Routes| routes.remove(filter, 1));
    let changes: Vec<Change> = vec![
        ("nothing", Box::new(|_| ()), false, nobody),
        ("the first filter of this depth", add("devices/2/state"), true, nobody),
        ("another filter of this depth, in another shard", add("devices/3/state"), false, nobody),
        ("a filter deeper than the topic, a new depth", add("devices/1/state/x"), true, nobody),
        ("the topic itself", add("devices/1/state"), true, CORE_1),
        (
            "durable as it was",
            Box::new(|routes| routes.set_durable("devices/1/state", 1, false)),
            false,
            CORE_1,
        ),
        (
            "durable",
            Box::new(|routes| routes.set_durable("devices/1/state", 1, true)),
            true,
            CoreSet { durable: 2, ..CORE_1 },
        ),
        ("gone", remove("devices/1/state"), true, nobody),
        ("a wildcard", add("devices/+/state"), true, CORE_1),
        ("a wildcard beside it", add("devices/+/other"), true, CORE_1),
        ("the last of another depth", remove("devices/1/state/x"), false, CORE_1),
    ];
    assert_eq!(
        cache.get(&routes, "devices/1/state", verdict),
        (nobody, &"verdict on devices/1/state".to_owned())
    );
    for (name, change, stale, expected) in changes {
        change(&routes);
        let [hits, stale_before, misses, ..] = counts(&cache);
        let mut told = false;
        let (cores, extra) = cache.get_mut(&routes, "devices/1/state", no_make, |_| told = true);
        assert_eq!((cores, extra.as_str()), (expected, "verdict on devices/1/state"), "{name}");
        assert_eq!(told, stale, "{name}");
        assert_eq!(counts(&cache), [hits + 1, stale_before + u64::from(stale), misses, 0, 0], "{name}");
    }
}

#[test]
fn a_hit_takes_no_lock() {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let routes = Routes::with_shards(1, 8);
        routes.add("a/b", 1, false);
        routes.add("a/+", 1, false);
        let mut cache = RouteCache::new(10, 2);
        for topic in ["a/b", "a/c", "b"] {
            cache.get(&routes, topic, str::to_owned);
        }
        let locks = routes.lock_all_for_test();
        assert_eq!(cache.get(&routes, "a/b", no_make).0, CORE_1);
        assert_eq!(cache.get(&routes, "a/c", no_make).0, CORE_1);
        assert_eq!(cache.get(&routes, "b", no_make).0, CoreSet::default());
        drop(locks);
        done.send(()).expect("the test waits");
    });
    is_done.recv_timeout(Duration::from_secs(20)).expect("look-ups of kept topics wait for no lock");
}

#[test]
fn a_full_cache_gives_up_one_entry_and_keeps_those_in_use() {
    let routes = Routes::new(1);
    routes.add("hot/+", 1, false);
    let mut cache = RouteCache::new(16, 2);
    for round in 0..1000 {
        for hot in ["hot/1", "hot/2", "hot/3"] {
            assert_eq!(cache.get(&routes, hot, str::to_owned).0, CORE_1);
        }
        assert_eq!(cache.get(&routes, &format!("once/{round}"), str::to_owned).0, CoreSet::default());
        assert!(cache.len() <= 16 && cache.table.len() == cache.entries.len());
    }
    assert_eq!(cache.len(), 16);
    // Three look-ups of hot topics a round, all but the first known.
    assert_eq!(counts(&cache), [3 * 999, 0, 3 + 1000, 3 + 1000 - 16, 0]);
}

#[test]
fn when_all_are_in_use_the_search_still_ends() {
    let routes = Routes::new(1);
    let mut cache = RouteCache::new(100, 2);
    for topic in (0..100).chain(0..100) {
        cache.get(&routes, &topic.to_string(), str::to_owned);
    }
    cache.get(&routes, "one more", str::to_owned);
    assert_eq!(counts(&cache), [100, 0, 101, 1, 0]);
    assert_eq!(cache.entries.iter().filter(|entry| entry.used).count(), 100 - EVICTION_STEPS);
}

#[test]
fn t08_long_topics_are_answered_and_not_kept() {
    let routes = Routes::new(1);
    routes.add("#", 1, false);
    let mut cache = RouteCache::new(10, 2);
    let kept = "x".repeat(TOPIC_BYTES_MAX);
    let long = format!("{kept}x");
    let deep = "/".repeat(65_535);
    for topic in [&kept, &long, &deep] {
        for _ in 0..2 {
            assert_eq!(
                cache.get(&routes, topic, |topic| topic.len().to_string()),
                (CORE_1, &topic.len().to_string())
            );
        }
    }
    assert_eq!((cache.len(), counts(&cache)), (1, [1, 0, 1, 0, 4]));
}

#[test]
fn extra_values_are_made_again_when_invalid_and_routes_kept() {
    let routes = Routes::new(1);
    let mut cache = RouteCache::new(10, 2);
    for generation in 0..3 {
        for topic in ["a", "b"] {
            for _ in 0..2 {
                let (_, extra) = cache.get(&routes, topic, |topic| format!("{topic}{generation}"));
                assert_eq!(*extra, format!("{topic}{generation}"));
            }
        }
        cache.invalidate_extra();
    }
    assert_eq!(counts(&cache), [10, 0, 2, 0, 0]);
    let mut smallest = RouteCache::new(0, 2);
    assert!(smallest.is_empty());
    for topic in ["a", "b", "b", "a"] {
        assert_eq!(smallest.get(&routes, topic, str::to_owned).1, topic);
    }
    assert_eq!(counts(&smallest), [1, 0, 3, 2, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is kept or given up, the answer and the value are those of the topic asked for.
    #[test]
    fn cached_is_looked_up(
        seed: u64, entries in 1_usize..20, weak: bool,
        asked in vec((testing::topic(), proptest::option::weighted(0.2, testing::filter())), 0..200),
    ) {
        let routes = Routes::with_shards(seed, 4);
        let mut cache = RouteCache::new(entries, seed);
        if weak {
            cache.keys = Keys::weak_high(seed, 2);
        }
        let mut added = std::collections::HashSet::new();
        for (topic, filter) in asked {
            if let Some(filter) = filter {
                if added.remove(&filter) {
                    routes.remove(&filter, 3);
                } else {
                    routes.add(&filter, 3, true);
                    added.insert(filter);
                }
            }
            let (cores, extra) = cache.get(&routes, &topic, str::to_owned);
            prop_assert_eq!(extra, &topic);
            prop_assert_eq!(cores, routes.lookup(&topic));
            prop_assert!(cache.len() <= entries && cache.table.len() == cache.len());
        }
    }
}
