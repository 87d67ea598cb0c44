//! Subscribing, unsubscribing and look-ups in any order: the subscriptions of a core, the global routes
//! and the cache before them against a list and the naive matcher.
//!
//! A line is a step: `s` (subscribe), `d` (the same, durable), `u` (unsubscribe), each with a client's
//! digit and a filter, or `?` and a topic. Lines that are no step are passed over.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_router::{CoreSet, Filter, RouteCache, Routes, Subscriptions, Unsubscribed, matches};

const STEPS_MAX: usize = 100;
const CORE: usize = 5;

struct Broker {
    subscriptions: Subscriptions<bool>,
    routes: Routes,
    cache: RouteCache<usize>,
    /// Filter, client, durable.
    model: Vec<(String, u32, bool)>,
}

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut broker = Broker {
        subscriptions: Subscriptions::new(7),
        routes: Routes::with_shards(7, 4),
        cache: RouteCache::new(3, 7),
        model: Vec::new(),
    };
    for line in text.lines().take(STEPS_MAX) {
        let mut rest = line.chars();
        let (step, client) = (rest.next(), rest.clone().next().and_then(|digit| digit.to_digit(10)));
        match (step, client) {
            (Some('?'), _) => broker.look_up(rest.as_str()),
            (Some('s' | 'd' | 'u'), Some(client)) => {
                let Ok(filter) = Filter::parse(rest.as_str().get(1..).unwrap_or_default()) else { continue };
                match step {
                    Some('u') => broker.unsubscribe(filter.text(), client),
                    _ => broker.subscribe(filter.text(), client, step == Some('d')),
                }
            }
            _ => {}
        }
    }
    while let Some((filter, client, _)) = broker.model.last().cloned() {
        broker.unsubscribe(&filter, client);
    }
    assert!(broker.subscriptions.is_empty() && broker.routes.is_empty());
});

impl Broker {
    fn at(&self, filter: &str, client: u32) -> Option<usize> {
        self.model.iter().position(|(have, who, _)| have == filter && *who == client)
    }

    fn any(&self, filter: &str, durable: bool) -> bool {
        self.model.iter().any(|(have, _, is)| have == filter && (*is || !durable))
    }

    fn subscribe(&mut self, filter: &str, client: u32, durable: bool) {
        let answer = self.subscriptions.subscribe(filter, client, durable);
        let replaced = self.at(filter, client).map(|at| self.model.swap_remove(at).2);
        assert_eq!(answer.replaced, replaced);
        assert_eq!(answer.first, replaced.is_none() && !self.any(filter, false));
        self.model.push((filter.to_owned(), client, durable));
        if answer.first {
            self.routes.add(filter, CORE, durable);
        } else {
            self.routes.set_durable(filter, CORE, self.any(filter, true));
        }
        assert_eq!(self.subscriptions.filter(answer.id), Some(filter));
        assert_eq!(self.subscriptions.find(filter, client), Some(durable));
    }

    fn unsubscribe(&mut self, filter: &str, client: u32) {
        let answer = self.subscriptions.unsubscribe(filter, client);
        let Some(at) = self.at(filter, client) else { return assert_eq!(answer, None) };
        let (_, _, durable) = self.model.swap_remove(at);
        let Some(Unsubscribed { options, last, .. }) = answer else { panic!("{filter} is subscribed") };
        assert_eq!((options, last), (durable, !self.any(filter, false)));
        if last {
            self.routes.remove(filter, CORE);
        } else {
            self.routes.set_durable(filter, CORE, self.any(filter, true));
        }
    }

    fn look_up(&mut self, topic: &str) {
        // A name has no wildcards; with one in it the indexes need not agree.
        if topic.contains(['+', '#']) {
            return;
        }
        let mut expected: Vec<(u32, bool)> = Vec::new();
        for (_, client, durable) in self.model.iter().filter(|(filter, ..)| matches(filter, topic)) {
            expected.push((*client, *durable));
        }
        let mut found: Vec<(u32, bool)> = Vec::new();
        self.subscriptions.for_each_match(topic, |_, all| {
            found.extend(all.iter().map(|one| (one.client, one.options)));
        });
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected);

        let bit = |is: bool| u64::from(is) << CORE;
        let cores = CoreSet {
            interested: bit(!expected.is_empty()),
            durable: bit(expected.iter().any(|(_, durable)| *durable)),
        };
        assert_eq!(self.routes.lookup(topic), cores);
        assert_eq!(self.cache.get(&self.routes, topic, str::len), (cores, &topic.len()));
    }
}
