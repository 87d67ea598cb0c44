//! Bytes and nanoseconds of the indexes with a million filters each, as the allocator sees them.
//!
//! `cargo run -p millrace-router --release --example memory [FILTERS]`

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use millrace_router::{Named, Retained, RouteCache, Routes, Subscriptions};

/// The system's allocator with a count of what it handed out, each piece as glibc rounds it.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn taken(layout: Layout) -> usize {
    (layout.size() + 8).next_multiple_of(16).max(32)
}

#[expect(unsafe_code, reason = "an allocator cannot be written without; the library forbids it")]
// SAFETY: every call goes to the system's allocator with the arguments given.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(taken(layout), Ordering::Relaxed) + taken(layout);
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(taken(layout), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A scenario's device number, 17 digits.
fn device(id: usize) -> usize {
    10_083_618_796_833_171 + id * 7919
}

type MakeFilter = fn(usize) -> String;

fn main() {
    let count = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let kinds: [(&str, MakeFilter); 3] = [
        ("devices/{id}/command", |id| format!("devices/{}/command", device(id))),
        ("devices/{id}/#", |id| format!("devices/{}/#", device(id))),
        ("+/{id}", |id| format!("+/{}", device(id))),
    ];
    for (name, filter) in kinds {
        println!("{count} filters {name} of {} bytes", filter(0).len());
        routes(count, filter);
        subscriptions(count, filter);
    }
    look_ups(count);
    retained(count);
}

/// A retained message as a broker may keep it: a pointer to one piece of memory.
struct Kept(Box<(String, [u8; 100])>);

impl Named for Kept {
    fn topic(&self) -> &str {
        &self.0.0
    }
}

/// Messages of 100 bytes by topic, and what it takes to answer filters.
fn retained(count: usize) {
    println!("{count} retained messages of 100 bytes, devices/{{id}}/state and devices/{{id}}/zone in turn");
    let topic = |id: usize| {
        format!("devices/{}/{}", device(id / 2), if id.is_multiple_of(2) { "state" } else { "zone" })
    };
    let (before, started) = start();
    let kept: Vec<Kept> = (0..count).map(|id| Kept(Box::new((topic(id), [7; 100])))).collect();
    report("messages", count, before, 0, started);
    let (before, started) = start();
    let mut retained = Retained::new();
    let list = kept.capacity() * size_of::<Kept>();
    kept.into_iter().for_each(|one| drop(retained.set(one)));
    // The list that they came in has gone meanwhile.
    report("the set", count, before.saturating_sub(list), 0, started);
    for filter in ["devices/+/state", "#"] {
        let (started, mut steps, mut found) = (Instant::now(), usize::MAX, 0_usize);
        retained.scan(filter, None, &mut steps, |_| {
            found += 1;
            true
        });
        let (steps, ns) = (usize::MAX - steps, started.elapsed().as_nanos() as usize);
        println!("  {filter:<16} {found} found in {steps} steps, {} ns each step", ns / steps.max(1));
    }
}

fn report(what: &str, count: usize, before: usize, counted: usize, started: Instant) {
    let held = HELD.load(Ordering::Relaxed) - before;
    let peak = PEAK.load(Ordering::Relaxed) - before;
    println!(
        "  {what:<14} {:>4} bytes each ({} by its own count), {} at the peak; {} ns to add",
        held / count,
        counted / count,
        peak / count,
        started.elapsed().as_nanos() as usize / count
    );
}

fn start() -> (usize, Instant) {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    (before, Instant::now())
}

fn routes(count: usize, filter: MakeFilter) {
    let (before, started) = start();
    let routes = Routes::new(1);
    for id in 0..count {
        routes.add(&filter(id), id % 4, true);
    }
    report("routes", count, before, routes.heap_bytes(), started);
}

fn subscriptions(count: usize, filter: MakeFilter) {
    let (before, started) = start();
    let mut subscriptions = Subscriptions::<u32>::new(1);
    for id in 0..count {
        subscriptions.subscribe(&filter(id), id as u32, 1);
    }
    report("subscriptions", count, before, subscriptions.heap_bytes(), started);
}

/// Prints the time of each look-up, over all topics in a scattered order.
fn timed(what: &str, topics: &[String], mut look_up: impl FnMut(&str) -> u64) {
    let started = Instant::now();
    let rounds = 2_000_000;
    let mut at = 0;
    let mut found = 0;
    for _ in 0..rounds {
        at = (at + 7919) % topics.len();
        found += black_box(look_up(&topics[at]));
    }
    println!("  {what:<60} {:>4} ns ({} found)", started.elapsed().as_nanos() / rounds, found);
}

fn look_ups(count: usize) {
    let routes = Routes::new(1);
    let mut subscriptions = Subscriptions::<u32>::new(1);
    for id in 0..count {
        let filter = format!("devices/{}/command", device(id));
        routes.add(&filter, id % 4, true);
        subscriptions.subscribe(&filter, id as u32, 1);
    }
    println!("look-ups with {count} filters devices/{{id}}/command");
    let topics = |count: usize, what| {
        (0..count).map(|id| format!("devices/{}/{what}", device(id))).collect::<Vec<_>>()
    };
    let (few, all) = (topics(1000, "command"), topics(count, "command"));
    let nobody = topics(1000, "state");
    for (name, topics) in
        [("1,000 topics", &few), ("all topics", &all), ("1,000 topics nobody wants", &nobody)]
    {
        let mut cache = RouteCache::new(100_000, 1);
        for topic in topics.iter().take(100_000) {
            black_box(cache.get(&routes, topic, |_| ()));
        }
        timed(&format!("route cache, {name}"), topics, |topic| {
            u64::from(!cache.get(&routes, topic, |_| ()).0.is_empty())
        });
        timed(&format!("routes, {name}"), topics, |topic| u64::from(!routes.lookup(topic).is_empty()));
        timed(&format!("subscriptions, {name}"), topics, |topic| {
            let mut found = 0;
            subscriptions.for_each_match(topic, |_, all| found += all.len() as u64);
            found
        });
    }
}
