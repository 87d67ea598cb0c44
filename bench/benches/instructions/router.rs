//! Topics matched: in a core's route cache, and looked up among many filters in the global routes and in a core's
//! subscriptions.

use crate::packets::{self, ROUNDS};
use gungraun::{library_benchmark, library_benchmark_group};
use millrace_router::{RouteCache, Routes, Subscriptions};
use std::hint::black_box;

const SEED: u64 = 7;
/// Filters that a topic is looked up among, unless `MILLRACE_BUDGET_FILTERS` says otherwise: more take longer to put in
/// under valgrind than CI has time for.
const FILTERS: usize = 20_000;

fn filters() -> usize {
    std::env::var("MILLRACE_BUDGET_FILTERS").ok().and_then(|count| count.parse().ok()).unwrap_or(FILTERS)
}

/// `devices/{id}/command`
fn exact(id: usize) -> String {
    packets::command(id)
}

/// `devices/{id}/#`
fn multi(id: usize) -> String {
    packets::command(id).replace("command", "#")
}

/// Topics from all over the filters.
fn topics() -> Vec<String> {
    let count = filters();
    (0..ROUNDS).map(|round| packets::command(round * (count / ROUNDS))).collect()
}

fn routes(filter: fn(usize) -> String) -> (Routes, Vec<String>) {
    let routes = Routes::new(SEED);
    for id in 0..filters() {
        routes.add(&filter(id), id % 4, false);
    }
    (routes, topics())
}

#[library_benchmark]
#[bench::exact(routes(exact))]
#[bench::multi(routes(multi))]
fn looked_up((routes, topics): (Routes, Vec<String>)) -> (Routes, Vec<String>) {
    for topic in &topics {
        assert!(!black_box(routes.lookup(black_box(topic))).is_empty());
    }
    (routes, topics)
}

fn subscriptions(filter: fn(usize) -> String) -> (Subscriptions<u32>, Vec<String>) {
    let mut subscriptions = Subscriptions::new(SEED);
    for id in 0..filters() {
        subscriptions.subscribe(&filter(id), id as u32, 1);
    }
    (subscriptions, topics())
}

#[library_benchmark]
#[bench::exact(subscriptions(exact))]
#[bench::multi(subscriptions(multi))]
fn subscribed(
    (subscriptions, topics): (Subscriptions<u32>, Vec<String>),
) -> (Subscriptions<u32>, Vec<String>) {
    for topic in &topics {
        let mut found = 0;
        subscriptions.for_each_match(black_box(topic), |_, all| found += all.len());
        assert_eq!(found, 1);
    }
    (subscriptions, topics)
}

fn cache(known: bool) -> (Routes, RouteCache<()>, Vec<String>) {
    let routes = Routes::new(SEED);
    let mut cache = RouteCache::new(65_536, SEED);
    let topics = (0..ROUNDS).map(packets::command).collect::<Vec<_>>();
    for topic in &topics {
        routes.add(topic, 0, false);
    }
    // Others first, so that the cache has its size in either case.
    for id in ROUNDS..2 * ROUNDS {
        cache.get(&routes, &packets::command(id), |_| ());
    }
    for topic in topics.iter().filter(|_| known) {
        cache.get(&routes, topic, |_| ());
    }
    (routes, cache, topics)
}

type Cached = (Routes, RouteCache<()>, Vec<String>);

#[library_benchmark]
#[bench::hit(cache(true))]
#[bench::miss(cache(false))]
fn cached((routes, mut cache, topics): Cached) -> Cached {
    for topic in &topics {
        assert!(!black_box(cache.get(&routes, black_box(topic), |_| ())).0.is_empty());
    }
    (routes, cache, topics)
}

library_benchmark_group!(name = of_router; benchmarks = cached, looked_up, subscribed);
