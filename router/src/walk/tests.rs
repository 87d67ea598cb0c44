use super::*;
use crate::depths::{DepthCounts, Place};
use std::collections::HashSet;

/// Filters by hash, as an index would hold them.
struct Small {
    keys: Keys,
    depths: DepthCounts,
    nodes: Nodes,
    filters: HashSet<u64>,
}

impl Small {
    fn of(filters: &[&str]) -> Small {
        let mut small = Small {
            keys: Keys::new(3),
            depths: DepthCounts::default(),
            nodes: Nodes::default(),
            filters: HashSet::new(),
        };
        for filter in filters {
            let place = Place::of(&small.keys, filter, |node, child| small.nodes.add(node, child));
            small.depths.add(&place);
            small.filters.insert(place.filter);
        }
        small
    }

    fn remove(&mut self, filter: &str) {
        let place = Place::of(&self.keys, filter, |node, child| self.nodes.remove(node, child));
        self.depths.remove(&place);
        self.filters.remove(&place.filter);
    }

    /// Prefixes probed, hashes asked for, filters found.
    fn cost(&self, topic: &str) -> (usize, usize, usize) {
        let mut cost = (0, 0, 0);
        probes(&self.keys, topic, self.depths.masks(), |probe| {
            cost.0 += 1;
            walk(&self.keys, &self.nodes, &probe, |hash, _| {
                cost.1 += 1;
                cost.2 += usize::from(self.filters.contains(&hash));
            });
        });
        cost
    }
}

#[test]
fn probes_are_no_more_than_the_depths_in_use() {
    // Filters, topic, (prefixes probed, hashes asked for, filters found).
    type Case = (&'static [&'static str], &'static str, (usize, usize, usize));
    let cases: &[Case] = &[
        (&[], "a/b/c", (0, 0, 0)),
        (&["devices/1/command"], "devices/1/command", (1, 1, 1)),
        (&["devices/1/command"], "devices/2/command", (1, 1, 0)),
        (&["devices/1/command"], "devices/1", (0, 0, 0)),
        (&["devices/1/command"], "devices/1/command/x", (0, 0, 0)),
        (&["devices/1/command", "devices/2/command"], "devices/1/state", (1, 1, 0)),
        (&["devices/1/#"], "devices/1/state", (1, 1, 1)),
        (&["devices/1/#"], "devices/1", (1, 1, 1)),
        (&["devices/1/#"], "devices", (0, 0, 0)),
        (&["devices/+/state"], "devices/1/state", (1, 1, 1)),
        (&["devices/+/state"], "devices", (0, 0, 0)),
        (&["devices/+/state"], "other/1/state", (1, 0, 0)),
        (&["devices/+/state"], "devices/1/other", (1, 1, 0)),
        (&["#"], "$SYS/x", (0, 0, 0)),
        (&["#", "+/x", "$SYS/#"], "$SYS/x", (1, 1, 1)),
        (
            &["devices/7/command", "devices/9/#", "devices/+/state", "devices/+/+/debug"],
            "devices/7/state",
            (3, 4, 1),
        ),
    ];
    for (filters, topic, expected) in cases {
        assert_eq!(Small::of(filters).cost(topic), *expected, "{filters:?} {topic}");
    }
}

#[test]
fn a_million_siblings_need_no_node() {
    let filters: Vec<String> = (0..1000).map(|id| format!("devices/{id}/#")).collect();
    let small = Small::of(&filters.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(small.nodes.len(), 0);
    assert_eq!(small.nodes.heap_bytes(), 0);
}

#[test]
fn nodes_go_with_the_last_filter_through_them() {
    let filters = ["a/+/b", "a/+/c", "a/+/+", "a/+/#", "a/+/b/+/d", "+", "+/#"];
    let mut small = Small::of(&filters);
    // a/+   a/+/b   a/+/b/+   +
    assert_eq!(small.nodes.len(), 4);
    small.remove("a/+/b/+/d");
    assert_eq!(small.nodes.len(), 2);
    for filter in ["a/+/b", "a/+/c", "a/+/+", "a/+/#"] {
        assert_eq!(small.nodes.len(), 2, "{filter}");
        small.remove(filter);
    }
    assert_eq!(small.nodes.len(), 1);
    small.remove("+");
    small.remove("+/#");
    assert_eq!((small.nodes.len(), small.nodes.heap_bytes()), (0, 0));
    assert_eq!(*small.depths.masks(), Depths::default());
}

#[test]
fn t08_deep_topics_are_read_no_deeper_than_filters_go() {
    let slashes = "/".repeat(65_535);
    let deepest = "/".repeat(126) + "#";
    let plus = "+/".repeat(127) + "#";
    let small = Small::of(&["a/b", "/+/+", "//#", &deepest, &plus]);
    let (prefixes, asked, found) = small.cost(&slashes);
    assert_eq!(found, 3);
    assert!(prefixes <= 4 && asked < 10, "{prefixes} prefixes, {asked} hashes");
}

#[test]
fn a_shape_stands_for_one_filter_text() {
    // Filter, topic it takes; the other filters that take it must not be taken for it.
    let topic = "a/b/c";
    let filters = [
        "a/b/c", "+/b/c", "a/+/c", "a/b/+", "+/+/+", "#", "a/#", "a/b/#", "a/b/c/#", "+/#", "a/+/#",
        "+/+/c/#",
    ];
    for filter in filters {
        let small = Small::of(&[filter]);
        let mut shapes = Vec::new();
        probes(&small.keys, topic, small.depths.masks(), |probe| {
            walk(&small.keys, &small.nodes, &probe, |hash, shape| {
                if small.filters.contains(&hash) {
                    shapes.push(shape);
                }
            });
        });
        let [shape] = shapes.as_slice() else { panic!("{filter}: {shapes:?}") };
        for other in filters {
            assert_eq!(shape.is_of(other, topic), other == filter, "{filter} {other}");
        }
        for other in ["", "/", "/#", "a/b#", "a#", "a/bb/#", "x/b/#", "a/b/c/d/#", "a/b/+/#", "##", "a//#"] {
            assert!(!shape.is_of(other, topic), "{filter} {other}");
        }
    }
}

#[test]
fn an_illegal_filter_is_stored_without_harm() {
    let deep = "x/".repeat(300) + "x";
    for filter in ["a/#/b", "#/a", "a+", "##", &deep] {
        let mut small = Small::of(&[filter]);
        assert_eq!(small.cost("a/b").2, 0, "{filter}");
        small.remove(filter);
        assert_eq!(*small.depths.masks(), Depths::default(), "{filter}");
    }
}

#[test]
fn a_table_gives_back_what_it_will_not_need_soon() {
    // Entries at first, entries left, and the capacity then.
    for (filled, left, capacity) in [
        (1_000, 448, 1_792), // a quarter
        (1_000, 447, 896),
        (1_000, 100, 224),
        (1_000, 0, 0),
        (14, 1, 14), // not worth it
        (28, 1, 3),
    ] {
        let hash = |n: &u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut table = HashTable::new();
        (0..filled).for_each(|n| {
            table.insert_unique(hash(&n), n, hash);
        });
        table.retain(|n| *n < left);
        shrink(&mut table, hash);
        assert_eq!((table.len() as u64, table.capacity()), (left, capacity), "{filled} to {left}");
    }
}
