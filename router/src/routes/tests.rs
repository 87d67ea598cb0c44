use super::*;
use crate::filter::matches;
use crate::testing;
use crate::{CacheCounts, RouteCache};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What every core has added: filter, core, durable.
type Model = Vec<(String, usize, bool)>;

fn expected(model: &Model, topic: &str) -> CoreSet {
    let mut cores = CoreSet::default();
    for (_, core, durable) in model.iter().filter(|(filter, ..)| matches(filter, topic)) {
        cores.union(CoreSet { interested: 1 << core, durable: u64::from(*durable) << core });
    }
    cores
}

fn covers(set: CoreSet, needed: CoreSet) -> bool {
    set.interested & needed.interested == needed.interested && set.durable & needed.durable == needed.durable
}

#[derive(Clone, Debug)]
enum Step {
    Add(String, usize, bool),
    Remove(usize),
    SetDurable(usize, bool),
    /// Of a filter that the core may not have.
    RemoveAny(String, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let core = prop_oneof![Just(0_usize), Just(1), Just(63)];
    prop_oneof![
        6 => (testing::filter(), core.clone(), any::<bool>()).prop_map(|(f, core, durable)| Step::Add(f, core, durable)),
        4 => any::<usize>().prop_map(Step::Remove),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(at, durable)| Step::SetDurable(at, durable)),
        1 => (testing::filter(), core).prop_map(|(filter, core)| Step::RemoveAny(filter, core)),
    ]
}

impl Routes {
    fn apply(&self, step: Step, model: &mut Model, exact: bool) {
        match step {
            Step::Add(filter, core, durable) => {
                // As the contract says: once for each filter text and core.
                if !model.iter().any(|(have, at, _)| (have, *at) == (&filter, core)) {
                    self.add(&filter, core, durable);
                    model.push((filter, core, durable));
                }
            }
            Step::Remove(_) | Step::SetDurable(..) if model.is_empty() => {}
            Step::Remove(at) => {
                let (filter, core, _) = model.swap_remove(at % model.len());
                self.remove(&filter, core);
            }
            Step::SetDurable(at, durable) => {
                let at = at % model.len();
                model[at].2 = durable;
                self.set_durable(&model[at].0, model[at].1, durable);
            }
            // With colliding hashes this would be a caller's mistake that takes another's route.
            Step::RemoveAny(filter, core) => {
                if exact && !model.iter().any(|(have, at, _)| (have, *at) == (&filter, core)) {
                    self.remove(&filter, core);
                    self.set_durable(&filter, core, true);
                }
            }
        }
    }

    fn is_as_new(&self) -> bool {
        let tables_empty = self.shards.iter().all(|shard| {
            let table = shard.table.read();
            table.heap_bytes() == table.doubles.capacity() * size_of::<Double>() && table.doubles.is_empty()
        });
        tables_empty && self.is_empty() && self.depths.load().0 == Default::default()
    }
}

fn follow(routes: &Routes, exact: bool, steps: Vec<Step>, topics: &[String]) -> Result<(), TestCaseError> {
    let mut model = Model::new();
    // One cache that keeps all topics, one that must give up some.
    let mut caches = [RouteCache::new(100, 1), RouteCache::new(3, 2)];
    for step in steps {
        routes.apply(step, &mut model, exact);
        for topic in topics {
            let (found, needed) = (routes.lookup(topic), expected(&model, topic));
            prop_assert!(covers(found, needed), "{} in {:?}: {:?}", topic, model, found);
            if exact {
                prop_assert_eq!(found, needed, "{} in {:?}", topic, model);
            }
            prop_assert_eq!(found.durable & !found.interested, 0);
            for cache in &mut caches {
                let cached = cache.get(routes, topic, |_| ()).0;
                // A crossing that a collision caused may be remembered after its depth is out of use.
                prop_assert!(covers(cached, needed), "{} in {:?}: {:?}", topic, model, cached);
                prop_assert!(!exact || cached == needed, "{} in {:?}: {:?}", topic, model, cached);
            }
        }
        if exact {
            let mut filters: Vec<&String> = model.iter().map(|(filter, ..)| filter).collect();
            filters.sort();
            filters.dedup();
            prop_assert_eq!(routes.len(), filters.len());
        }
    }
    for (filter, core, _) in model {
        routes.remove(&filter, core);
    }
    prop_assert!(routes.is_as_new());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn routes_are_a_list_of_filters_and_the_naive_matcher(
        seed: u64, shards in 1_usize..20, steps in vec(step(), 0..40), topics in vec(testing::topic(), 1..8),
    ) {
        follow(&Routes::with_shards(seed, shards), true, steps, &topics)?;
    }

    /// Hashes of a few bits: what they cost is needless crossings, never a missed route, and nothing
    /// is left behind.
    #[test]
    fn collisions_cost_crossings_and_no_route(
        seed: u64, bits in 0_u32..8, high: bool, steps in vec(step(), 0..40), topics in vec(testing::topic(), 1..8),
    ) {
        let keys = if high { Keys::weak_high(seed, bits) } else { Keys::weak(seed, bits) };
        follow(&Routes::with_keys(keys, 4), false, steps, &topics)?;
    }
}

#[test]
fn two_filters_of_one_core_in_one_entry_are_counted() {
    // Hashes of no bits: all filters share one entry.
    let routes = Routes::with_keys(Keys::weak(1, 0), 1);
    routes.add("a", 5, false);
    routes.add("b/+/c", 5, true);
    routes.add("c/d/#", 5, false);
    routes.add("a", 6, false);
    assert_eq!(routes.len(), 1);
    assert_eq!(routes.shards[0].table.read().doubles[0].extra, 2);
    let core =
        |core: usize, durable: bool| CoreSet { interested: 1 << core, durable: u64::from(durable) << core };
    assert_eq!(routes.lookup("a").durable, core(5, true).durable);
    // Whose it is cannot be told, so it stays.
    routes.set_durable("b/+/c", 5, false);
    routes.remove("a", 5);
    assert!(covers(routes.lookup("b/x/c"), core(5, true)));
    assert!(covers(routes.lookup("c/d/e"), core(5, true)));
    routes.remove("b/+/c", 5);
    assert!(covers(routes.lookup("c/d"), core(5, true)));
    // Alone again, it is told.
    routes.set_durable("c/d/#", 5, false);
    let mut both = core(5, false);
    both.union(core(6, false));
    assert_eq!(routes.lookup("c/d"), both);
    routes.remove("c/d/#", 5);
    assert_eq!(routes.lookup("a"), core(6, false));
    assert_eq!(routes.lookup("c/d"), CoreSet::default(), "its depth is no longer in use");
    routes.remove("a", 6);
    assert!(routes.is_as_new());
}

#[test]
fn a_filter_costs_at_most_64_bytes_and_gives_them_back() {
    const FILTERS: usize = 200_000;
    let routes = Routes::with_shards(3, 512);
    let empty = routes.heap_bytes();
    for id in 0..FILTERS {
        routes.add(&format!("devices/{id}/command"), id % 64, true);
        // Tables double: just after that, a filter costs most.
        let count = id + 1;
        if count % 5_000 == 0 {
            let each = (routes.heap_bytes() - empty) / count;
            assert!(each <= 64, "{each} bytes a filter with {count}");
        }
    }
    for id in 0..FILTERS {
        routes.remove(&format!("devices/{id}/command"), id % 64);
    }
    assert_eq!(routes.heap_bytes(), empty);
}

#[test]
#[should_panic(expected = "core 64 of at most 64")]
fn a_core_beyond_the_bitmap_is_a_bug() {
    Routes::new(1).add("a", MAX_CORES, false);
}

#[test]
fn a_route_of_no_core_is_left_alone() {
    let routes = Routes::with_shards(1, 0);
    routes.remove("a/+/b", 3);
    routes.remove("a", MAX_CORES + 7);
    routes.set_durable("a", MAX_CORES, true);
    assert!(routes.is_as_new());
    routes.add("a", 1, false);
    routes.remove("a", 2);
    routes.set_durable("a", 2, true);
    routes.set_durable("a", MAX_CORES, true);
    assert_eq!(routes.lookup("a"), CoreSet { interested: 2, durable: 0 });
}

/// One core's ends of the channels of a ring. What is told: a topic, and whether the teller's filter
/// for it is there.
struct Ends {
    core: usize,
    /// The bit of the core before.
    before: u64,
    from: mpsc::Receiver<(String, bool)>,
    to: mpsc::Sender<(String, bool)>,
    done_from: mpsc::Receiver<()>,
    done_to: mpsc::Sender<()>,
}

/// Core n tells core n + 1, which answers core n that it has looked.
fn ring(cores: usize) -> impl Iterator<Item = Ends> {
    let (mut to, from): (Vec<_>, Vec<_>) = (0..cores).map(|_| mpsc::channel()).unzip();
    let (mut done_to, done_from): (Vec<_>, Vec<_>) = (0..cores).map(|_| mpsc::channel()).unzip();
    to.rotate_left(1);
    done_to.rotate_right(1);
    let ends = from.into_iter().zip(to).zip(done_from.into_iter().zip(done_to)).enumerate();
    ends.map(move |(core, ((from, to), (done_from, done_to)))| Ends {
        core,
        before: 1 << ((core + cores - 1) % cores),
        from,
        to,
        done_from,
        done_to,
    })
}

impl Ends {
    /// Adds a filter and tells the next core, which must find it at once, uncached and cached; then
    /// removes it and tells again. Meanwhile churns a filter in the same shards, and depths come into
    /// use and go out of it. A core that fails drops its channels, and the others end too.
    fn run(&self, routes: &Routes, rounds: usize) {
        let shapes = ["x/{}", "x/{}/#", "x/+/{}", "+/{}/y/z", "x/{}/y/z/+/v", "#", "x/{}/1/2/3/4/5/6"];
        let topics = ["x/{}", "x/{}/q", "x/q/{}", "x/{}/y/z", "x/{}/y/z/u/v", "{}", "x/{}/1/2/3/4/5/6"];
        let core = self.core;
        let mut cache = RouteCache::new(16, core as u64);
        for round in 0..rounds {
            let number = (round * 7 + round / 5 + core) % shapes.len();
            let id = format!("{core}-{}", round % 3);
            let (filter, topic) = (shapes[number].replace("{}", &id), topics[number].replace("{}", &id));
            for there in [true, false] {
                if there {
                    routes.add(&filter, core, round % 2 == 0);
                } else {
                    routes.remove(&filter, core);
                }
                self.to.send((topic.clone(), there)).expect("the next core is there");
                self.look(routes, &mut cache);
                self.done_from.recv().expect("the next core is there");
            }
        }
        let CacheCounts { hits, stale, .. } = cache.counts();
        assert!(stale > 0 && hits >= stale, "{:?}", cache.counts());
    }

    /// Looks for what the core before says.
    fn look(&self, routes: &Routes, cache: &mut RouteCache<()>) {
        const CHURN: &str = "x/+/y/z";
        routes.add(CHURN, self.core, true);
        let (topic, there) = self.from.recv().expect("the core before is there");
        let uncached = routes.lookup(&topic).interested & self.before != 0;
        let cached = cache.get(routes, &topic, |_| ()).0.interested & self.before != 0;
        // The churned filter of the core before may be there or not.
        if there || !matches(CHURN, &topic) {
            assert_eq!((uncached, cached), (there, there), "{topic}");
        }
        routes.remove(CHURN, self.core);
        self.done_to.send(()).expect("the core before is there");
    }
}

#[test]
fn what_was_added_before_a_message_is_seen_after_it() {
    let routes = Routes::with_shards(17, 2);
    std::thread::scope(|scope| {
        for ends in ring(4) {
            let routes = &routes;
            scope.spawn(move || ends.run(routes, 2000));
        }
    });
    assert!(routes.is_as_new());
}

#[test]
fn churn_never_hides_a_filter_that_stays() {
    let routes = Routes::with_shards(23, 1);
    routes.add("a/b", 0, false);
    routes.add("a/+", 1, true);
    routes.add("a/b/#", 2, false);
    let stays = CoreSet { interested: 0b111, durable: 0b010 };
    std::thread::scope(|scope| {
        for core in [8, 9] {
            let routes = &routes;
            scope.spawn(move || {
                for round in 0..20_000 {
                    let filter = ["a/b", "a/+", "a/b/#", "#", "+/b", "a/b/c", "a/+/+/d"][round % 7];
                    routes.add(filter, core, round % 2 == 0);
                    routes.set_durable(filter, core, round % 3 == 0);
                    routes.remove(filter, core);
                }
            });
        }
        let mut cache = RouteCache::new(8, 4);
        for round in 0..40_000 {
            let found =
                if round % 2 == 0 { routes.lookup("a/b") } else { cache.get(&routes, "a/b", |_| ()).0 };
            assert!(covers(found, stays), "{found:?}");
        }
        assert_eq!(cache.counts().misses, 1);
    });
    assert_eq!(routes.lookup("a/b"), stays);
    assert_eq!(routes.len(), 3);
}

/// A reader that never stops asking, so that it also asks between the steps of a change: what it keeps
/// from there must not outlive the change. It says which state it has checked; the writer waits for it.
#[test]
fn what_a_reader_keeps_from_amid_a_change_is_soon_stale() {
    let routes = Routes::with_shards(29, 1);
    let (state, checked) = (AtomicU64::new(0), AtomicU64::new(0));
    const DONE: u64 = u64::MAX;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let begin = Instant::now();
            for round in 1..=40_000 {
                // Odd states have the filter.
                if round % 2 == 1 {
                    routes.add("a/+", 3, true);
                } else {
                    routes.remove("a/+", 3);
                }
                state.store(round, Ordering::Release);
                while checked.load(Ordering::Acquire) != round && !checked_failed(&checked) {
                    std::thread::yield_now();
                }
                if round % 2 == 0 && begin.elapsed() > Duration::from_secs(1) || checked_failed(&checked) {
                    break;
                }
            }
            state.store(DONE, Ordering::Release);
        });
        let mut cache = RouteCache::new(8, 4);
        loop {
            let now = state.load(Ordering::Acquire);
            let found = cache.get(&routes, "a/b", |_| ()).0.interested != 0;
            if now == DONE {
                break;
            }
            if now != checked.load(Ordering::Relaxed) {
                let right = found == (now % 2 == 1);
                checked.store(if right { now } else { DONE }, Ordering::Release);
                assert!(right, "state {now}: {found}");
            }
        }
        assert!(cache.counts().stale > 10);
    });
    assert!(routes.is_as_new());
}

/// The reader above has found a mistake and gone.
fn checked_failed(checked: &AtomicU64) -> bool {
    checked.load(Ordering::Acquire) == u64::MAX
}

#[test]
fn routes_with_a_filter_are_not_empty() {
    let routes = Routes::new(1);
    assert!(routes.is_empty());
    routes.add("a/+", 3, false);
    assert!(!routes.is_empty());
    routes.remove("a/+", 3);
    assert!(routes.is_empty());
}
