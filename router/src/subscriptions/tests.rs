use super::*;
use crate::filter::matches;
use crate::testing;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashMap;

#[derive(Clone, Debug)]
enum Step {
    Subscribe(String, u32, u8),
    Unsubscribe(String, u32),
    /// Of the subscription at this place of the model, by number.
    UnsubscribeId(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (testing::filter(), 0_u32..4, any::<u8>()).prop_map(|(f, client, o)| Step::Subscribe(f, client, o)),
        1 => (testing::filter(), 0_u32..4).prop_map(|(filter, client)| Step::Unsubscribe(filter, client)),
        3 => any::<usize>().prop_map(Step::UnsubscribeId),
    ]
}

/// A subscription of the model: what a session would hold.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    filter: String,
    client: u32,
    options: u8,
    id: FilterId,
}

#[derive(Default)]
struct Model(Vec<Held>);

impl Model {
    fn at(&self, filter: &str, client: u32) -> Option<usize> {
        self.0.iter().position(|held| held.filter == filter && held.client == client)
    }

    fn has(&self, filter: &str) -> bool {
        self.0.iter().any(|held| held.filter == filter)
    }

    fn subscribe(&mut self, subscriptions: &mut Subscriptions<u8>, filter: String, client: u32, options: u8) {
        let answer = subscriptions.subscribe(&filter, client, options);
        let replaced = self.at(&filter, client).map(|at| self.0.swap_remove(at));
        assert_eq!(answer.replaced, replaced.as_ref().map(|held| held.options), "{filter}");
        assert_eq!(answer.first, replaced.is_none() && !self.has(&filter), "{filter}");
        let known = replaced.as_ref().or(self.0.iter().find(|held| held.filter == filter));
        assert!(known.is_none_or(|held| held.id == answer.id), "{filter}: one number as long as it is held");
        self.0.push(Held { filter, client, options, id: answer.id });
    }

    fn gone(&mut self, at: Option<usize>, answer: Option<Unsubscribed<u8>>) {
        let held = at.map(|at| self.0.swap_remove(at));
        let expected = held.map(|held| {
            let last = !self.has(&held.filter);
            Unsubscribed { options: held.options, id: held.id, last }
        });
        assert_eq!(answer, expected);
    }

    fn check(&self, subscriptions: &Subscriptions<u8>, topics: &[String]) {
        let mut numbers = HashMap::new();
        for held in &self.0 {
            assert_eq!(subscriptions.filter(held.id), Some(held.filter.as_str()));
            assert_eq!(subscriptions.id(&held.filter), Some(held.id));
            assert_eq!(subscriptions.find(&held.filter, held.client), Some(held.options));
            assert_eq!(*numbers.entry(held.id).or_insert(&held.filter), &held.filter);
        }
        assert_eq!(subscriptions.len(), numbers.len());
        for topic in topics {
            let (mut found, mut filters) = (Vec::new(), Vec::new());
            subscriptions.for_each_match(topic, |id, all| {
                assert_eq!(all, subscriptions.subscribers(id));
                filters.push(id);
                found.extend(all.iter().map(|one| (id, one.client, one.options)));
            });
            let taking = self.0.iter().filter(|held| matches(&held.filter, topic));
            let mut expected: Vec<_> = taking.map(|held| (held.id, held.client, held.options)).collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{topic} in {:?}", self.0);
            let visited = filters.len();
            filters.sort_unstable();
            filters.dedup();
            assert_eq!(filters.len(), visited, "each filter once");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn subscriptions_are_a_list(
        seed: u64, weak: bool, steps in vec(step(), 0..50), topics in vec(testing::topic(), 1..6),
    ) {
        let keys = if weak { crate::hash::Keys::weak_high(seed, 3) } else { crate::hash::Keys::new(seed) };
        let mut subscriptions = Subscriptions { index: Index::with_keys(keys) };
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Subscribe(filter, client, options) => {
                    model.subscribe(&mut subscriptions, filter, client, options);
                }
                Step::Unsubscribe(filter, client) => {
                    let at = model.at(&filter, client);
                    model.gone(at, subscriptions.unsubscribe(&filter, client));
                }
                Step::UnsubscribeId(_) if model.0.is_empty() => {}
                Step::UnsubscribeId(at) => {
                    let at = at % model.0.len();
                    let Held { id, client, .. } = model.0[at];
                    model.gone(Some(at), subscriptions.unsubscribe_id(id, client));
                    prop_assert_eq!(subscriptions.unsubscribe_id(id, client), None);
                }
            }
            model.check(&subscriptions, &topics);
        }
        while let Some(Held { filter, client, .. }) = model.0.last().cloned() {
            model.gone(Some(model.0.len() - 1), subscriptions.unsubscribe(&filter, client));
        }
        prop_assert!(subscriptions.is_empty());
        prop_assert_eq!(subscriptions.heap_bytes(), Subscriptions::<u8>::new(0).heap_bytes());
    }

    /// Few filters with many clients: lists long enough for a table of positions, and short again.
    #[test]
    fn crowds_come_and_go(
        seed: u64, steps in vec((0_usize..3, 0_u32..40, any::<u8>(), 0_u32..100), 0..400), bias in 20_u32..80,
    ) {
        let mut subscriptions = Subscriptions::new(seed);
        let mut model = Model::default();
        for (filter, client, options, dice) in steps {
            let filter = ["a/b", "a/+", "#"][filter];
            if dice < bias {
                model.subscribe(&mut subscriptions, filter.into(), client, options);
            } else {
                let at = model.at(filter, client);
                model.gone(at, subscriptions.unsubscribe(filter, client));
            }
        }
        model.check(&subscriptions, &["a/b".into(), "a/c".into(), "b".into(), "$b".into()]);
    }
}

#[test]
fn t10_shared_and_plain_of_one_filter_are_the_callers_to_tell_apart() {
    // The index takes filters without their group; a share keeps its members elsewhere, so that
    // unsubscribing one never touches the other.
    let mut subscriptions = Subscriptions::new(1);
    let plain = crate::Filter::parse("a/+").expect("legal");
    let shared = crate::Filter::parse("$share/g/a/+").expect("legal");
    assert_eq!(plain.text(), shared.text());
    subscriptions.subscribe(plain.text(), 1, ());
    assert_eq!(subscriptions.unsubscribe(shared.full(), 1), None);
    assert_eq!(subscriptions.find("a/+", 1), Some(()));
}

#[test]
fn a_number_is_given_again_only_when_the_filter_is_gone() {
    let mut subscriptions = Subscriptions::new(1);
    let a = subscriptions.subscribe("a", 1, 'x').id;
    let b = subscriptions.subscribe("b", 1, 'y').id;
    assert_ne!(a, b);
    assert_eq!(subscriptions.subscribe("a", 2, 'z'), Subscribed { id: a, replaced: None, first: false });
    let gone = subscriptions.unsubscribe_id(a, 1);
    assert_eq!(gone, Some(Unsubscribed { options: 'x', id: a, last: false }));
    assert_ne!(subscriptions.subscribe("c", 1, 'x').id, a);
    let gone = subscriptions.unsubscribe_id(a, 2);
    assert_eq!(gone, Some(Unsubscribed { options: 'z', id: a, last: true }));
    assert_eq!((subscriptions.filter(a), subscriptions.subscribers(a)), (None, &[][..]));
    assert_eq!(subscriptions.unsubscribe_id(a, 2), None);
    assert_eq!(subscriptions.subscribe("d", 9, 'x').id.get(), a.get());
    assert_eq!(subscriptions.subscribers(a), [Subscriber { client: 9, options: 'x' }]);
}
