//! One history: a seed makes the pressure, the clients and all that happens; then the network is made good, everybody
//! answers, and what is left is judged.

use super::actor::{Actor, EXPIRY_S, name};
use super::book::Book;
use super::copies::{inner, is_shared};
use super::world::{DIR, Pressure, STREAM, World, log_config};
use crate::config::Config;
use crate::seam;
use millrace_codec::QoS;
use millrace_kafka_sink::log::reader::{From, Reader};
use millrace_kafka_sink::log::sim::{Fault, Random, SimFs};
use millrace_kafka_sink::log::{self};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Clients.
const CLIENTS: usize = 8;

/// What one history came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Of all that happened, in its order.
    pub hash: u64,
    /// Rare branches that were taken, one bit each.
    pub marks: u32,
    /// Messages that clients sent.
    pub messages: u64,
    /// Messages that clients got.
    pub deliveries: u64,
    /// Operations of the disk that failed.
    pub faults: u64,
}

/// Says which seed it was when something panics.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("simulation: seed {} panicked; MILLRACE_SEED={} repeats it", self.0, self.0);
        }
    }
}

/// Plays the history of a seed.
///
/// # Errors
/// What is wrong, with the seed and the last events.
pub fn run(seed: u64) -> Result<Outcome, String> {
    let _named = Named(seed);
    let mut world = World::new(seed, &pressure(seed)).map_err(|error| error.to_string())?;
    seam::take_marks();
    let mut book = Book::new(CLIENTS);
    let result = play(seed, &mut world, &mut book);
    result.map_err(|what| format!("seed {seed}: {what}\nlast events:\n{}", world.last_events()))?;
    let (messages, deliveries) = (book.messages.len() as u64, book.deliveries);
    Ok(Outcome {
        hash: world.hash(),
        marks: seam::take_marks(),
        messages,
        deliveries,
        faults: world.fs.faults_met(),
    })
}

/// Everything is small, in most seeds very small.
fn pressure(seed: u64) -> Pressure {
    let mut random = Random::new(seed ^ 0x7072_6573);
    let mut config = Config::default();
    let limits = &mut config.limits;
    limits.receive_maximum = 8;
    limits.max_inflight = 2 + random.below(10) as u16;
    limits.max_output_bytes = if random.one_in(3) { 600 } else { 1 << 20 };
    limits.max_queued_messages = if random.one_in(4) { 3 } else { 100_000 };
    limits.session_expiry_max = EXPIRY_S;
    limits.held_bytes = 512 + random.below(16_000) as u32;
    Pressure {
        cores: 1 + random.below(4) as usize,
        lane: 1 + random.below(4) as usize,
        handoffs: 1 + random.below(2) as u32,
        ring_records: 1 + random.below(12) as usize,
        deliveries: if random.one_in(2) { 1 + random.below(4) as usize } else { 8_192 },
        config,
    }
}

fn play(seed: u64, world: &mut World, book: &mut Book) -> Result<(), String> {
    let mut actors: Vec<Actor> = (0..CLIENTS).map(Actor::new).collect();
    let steps = 400 + world.below(1_000);
    let crash_at = world.below(steps);
    for step in 0..steps {
        book.now_ms = world.now_ms();
        let actor = world.below(actors.len() as u64) as usize;
        actors[actor].act(world, book)?;
        for _ in 0..world.below(9) {
            world.step();
        }
        if world.one_in(150) {
            world.fs.fail_at(world.fs.operations() + world.below(10), Fault::Io);
        }
        if world.one_in(200) {
            pause(world, book, &mut actors)?;
        }
        if step == crash_at {
            let (disk, _) = world.fs.restart(step);
            check_log(disk, book, true)?;
            if world.one_in(2) {
                // Clients remember nothing either.
                world.note("crash", step, 0);
                world.crash(seed ^ step, &pressure(seed)).map_err(|error| error.to_string())?;
                book.crashed();
                actors = (0..CLIENTS).map(Actor::new).collect();
            }
        }
        if step % 64 == 0 {
            world.check_bounds()?;
        }
    }
    world.network().make_good();
    world.fs.heal();
    rest(world, book, Some(&mut actors))?;
    world.check_rest()?;
    let counters = world.counters();
    let dropped = counters.dropped_queue_full + counters.dropped_slow + counters.dropped_too_large;
    book.check(dropped == 0)?;
    check_routes(world, book)?;
    let kept = world.retained();
    book.check_kept(&kept)?;
    if world.shared().retained.count() != kept.len() {
        return Err(format!(
            "{} retained messages are counted, {} kept",
            world.shared().retained.count(),
            kept.len()
        ));
    }
    let fates = book.fates();
    for actor in &mut actors {
        actor.vanish(world, book);
    }
    rest(world, book, None)?;
    world.pass(u64::from(EXPIRY_S) * 1_000);
    rest(world, book, None)?;
    let held = world.held();
    if held.iter().any(|held| *held != [0; 4]) || !world.shared().routes.is_empty() {
        return Err(format!("everybody has gone, and cores hold {held:?}"));
    }
    let found = check_log(world.fs.kill(), book, false)?;
    book.check_recorded(&fates, &found)
}

/// Some time in which no client does anything but show that it is there, and not all do that.
fn pause(world: &World, book: &mut Book, actors: &mut [Actor]) -> Result<(), String> {
    // A log that cannot write tries again every second, and whoever waits for it is not silent.
    world.fs.heal();
    let from_ms = world.now_ms();
    let silent = world.below(1 << CLIENTS);
    let is_silent = |client: usize| silent & 1 << client != 0;
    for _ in 0..10 + world.below(40) {
        if !world.settle() {
            return Err("cores or log do not come to rest".into());
        }
        world.pass(100);
        book.now_ms = world.now_ms();
        for (client, actor) in actors.iter_mut().enumerate() {
            if !is_silent(client) {
                actor.keep_alive(world, book)?;
            }
        }
    }
    book.pauses.push((from_ms, world.now_ms()));
    world.settle();
    for (_, actor) in actors.iter().enumerate().filter(|(client, _)| is_silent(*client)) {
        actor.is_given_up(from_ms, world, book)?;
    }
    Ok(())
}

/// Until nobody has anything to do and all deadlines of closing connections are over. Clients are all there, or none is.
fn rest(world: &World, book: &mut Book, mut actors: Option<&mut [Actor]>) -> Result<(), String> {
    let mut quiet = 0;
    for _ in 0..2_000 {
        if !world.settle() {
            return Err("cores or log do not come to rest".into());
        }
        if world.log_failed() {
            return Err("the log has failed".into());
        }
        let mut acted = false;
        for actor in actors.iter_mut().flat_map(|actors| actors.iter_mut()) {
            book.now_ms = world.now_ms();
            acted |= actor.finish(world, book)?;
        }
        if acted {
            quiet = 0;
            continue;
        }
        // Closing connections wait a second for their peer.
        world.pass(400);
        quiet += 1;
        if quiet == 5 {
            return match world.network().under_way() {
                [0, 0] => Ok(()),
                left => Err(format!("bytes that nobody takes, to the broker and to clients: {left:?}")),
            };
        }
    }
    Err("clients and broker do not come to rest".into())
}

/// What is routed, and what cores hold, is what open connections have subscribed to.
fn check_routes(world: &World, book: &Book) -> Result<(), String> {
    let cores = world.held().len();
    let mut filters: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    let mut sessions = vec![0; cores];
    for (client, party) in book.parties.iter().enumerate().filter(|(_, party)| party.link.is_some()) {
        let home = world.shared().home(&name(client));
        sessions[home] += 1;
        for filter in party.filters() {
            let core = if is_shared(filter) { world.shared().keeper(filter) } else { home };
            *filters.entry((core, inner(filter))).or_default() += 1;
        }
    }
    for (core, held) in world.held().into_iter().enumerate() {
        let expected = filters.keys().filter(|(home, _)| *home == core).count();
        if held[1] != sessions[core] || held[2] != expected {
            return Err(format!(
                "core {core} holds {held:?}, not {} sessions with {expected} filters",
                sessions[core]
            ));
        }
    }
    for topic in ["a/b", "a/c", "a/b/c", "b", "h/a", "h/b", "h/a/b", "z"] {
        let matching = filters.keys().filter(|(_, filter)| millrace_router::matches(filter, topic));
        let expected = matching.fold(0, |cores, (home, _)| cores | 1u64 << home);
        let routed = world.shared().routes.lookup(topic).interested;
        if routed != expected {
            return Err(format!("{topic} is routed to {routed:b}, wanted by {expected:b}"));
        }
    }
    Ok(())
}

/// What was acknowledged is in the log once, and nothing is there twice. `crashed`: as found by a restart.
fn check_log(disk: SimFs, book: &Book, crashed: bool) -> Result<BTreeSet<u64>, String> {
    if crashed {
        log::open(log_config(), disk.clone(), 0, 1).map_err(|error| error.to_string())?;
    }
    let mut reader =
        Reader::open_with(Arc::new(disk), DIR, STREAM, From::Beginning).map_err(|error| error.to_string())?;
    let mut records = Vec::new();
    while reader.poll(&mut records, 1_000).map_err(|error| error.to_string())? > 0 {}
    let mut found: BTreeMap<u64, u32> = BTreeMap::new();
    let mut order: BTreeMap<_, u64> = BTreeMap::new();
    for record in &records {
        let number = number_of(&record.value).ok_or("a record that cannot be read")?;
        let message = book.messages.get(number as usize).ok_or("a record of nothing that was sent")?;
        let last = order.entry((message.link, message.topic, message.qos as u8, message.will)).or_default();
        if *last > number {
            return Err(format!("message {number} is in the log behind {last}"));
        }
        *last = number;
        *found.entry(number).or_default() += 1;
    }
    if let Some((number, count)) = found.iter().find(|(_, count)| **count > 1) {
        return Err(format!("message {number} is in the log {count} times"));
    }
    for (number, message) in book.messages.iter().enumerate() {
        let there = found.contains_key(&(number as u64));
        if !message.topic.starts_with("h/") {
            if there {
                return Err(format!("message {number} on {} is in the log", message.topic));
            }
        } else if message.acknowledged && message.qos != QoS::AtMostOnce && !there {
            return Err(format!("message {number} was acknowledged and is not in the log"));
        }
    }
    Ok(found.into_keys().collect())
}

/// The number at the start of a record's payload, which is in base64.
fn number_of(value: &[u8]) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(value).ok()?;
    let (mut number, mut bits, mut held) = (0u64, 0u32, 0u32);
    for letter in value.get("payload")?.as_str()?.bytes() {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            match (bits >> held & 0xff) as u8 {
                digit @ b'0'..=b'9' => number = number * 10 + u64::from(digit - b'0'),
                b':' => return Some(number),
                _ => return None,
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::Branch;

    fn setting(name: &str) -> Option<u64> {
        std::env::var(name).ok().map(|text| text.parse().expect("a number"))
    }

    /// `MILLRACE_SEEDS` sets the number of histories, `MILLRACE_SEED` repeats one.
    #[test]
    fn whole_nodes_keep_their_promises() {
        let seeds = match setting("MILLRACE_SEED") {
            Some(seed) => seed..seed + 1,
            None => 0..setting("MILLRACE_SEEDS").unwrap_or(500),
        };
        let all = seeds.end - seeds.start >= 500;
        let mut sum = Outcome { hash: 0, marks: 0, messages: 0, deliveries: 0, faults: 0 };
        for seed in seeds {
            let outcome = run(seed).unwrap_or_else(|failure| panic!("{failure}"));
            if seed % 10 == 0 {
                assert_eq!(run(seed).expect("as before"), outcome, "seed {seed} is not deterministic");
            }
            sum.hash = sum.hash.rotate_left(1) ^ outcome.hash;
            sum.marks |= outcome.marks;
            sum.messages += outcome.messages;
            sum.deliveries += outcome.deliveries;
            sum.faults += outcome.faults;
        }
        println!("{sum:?}");
        if all {
            // Answers that pile up for a client that asks and does not listen are rarer than 500 histories.
            for branch in Branch::ALL.into_iter().filter(|branch| *branch != Branch::Choked) {
                assert!(sum.marks & 1 << branch as u32 != 0, "no history came by {branch:?}");
            }
            assert!(sum.deliveries > sum.messages && sum.faults > 0, "{sum:?}: hardly anything happened");
        }
    }
}
