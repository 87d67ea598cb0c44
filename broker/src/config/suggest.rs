//! The nearest known name for one that is not known.
//!
//! Called when a key, an event or a choice is not recognised. Names come from files, so the work is bounded:
//! a name much longer than any known one has no neighbour.

/// A name longer than this (in characters) is near to nothing.
const LONGEST: usize = 64;

/// The nearest of `known`, if it is near enough to be a slip: at most a third of the letters differ.
/// On a tie the first.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.chars().take(LONGEST + 1).map(|c| c.to_ascii_lowercase()).collect();
    if name.len() > LONGEST {
        return None;
    }
    let scored = known.into_iter().map(|candidate| (distance(&name, candidate), candidate));
    let (best, candidate) = scored.min_by_key(|(distance, _)| *distance)?;
    let allowed = (candidate.len() / 3).max(1);
    (best <= allowed).then_some(candidate)
}

/// `; did you mean x?`, or nothing.
pub(super) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(known) => format!("; did you mean {known}?"),
        None => String::new(),
    }
}

/// Letters to insert, delete, change or swap with their neighbour to get from one to the other
/// (optimal string alignment).
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let mut cost = (last[j + 1] + 1).min(row[j] + 1).min(last[j] + usize::from(from != to));
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        (before_last, last) = (last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names() {
        let known = ["max_inflight", "max_queued_bytes", "bind", "on", "topic", "filter"];
        for (name, expected) in [
            ("max_inflght", Some("max_inflight")),
            ("max_infligth", Some("max_inflight")),
            ("MAX_INFLIGHT", Some("max_inflight")),
            ("maxinflight", Some("max_inflight")),
            ("max_queue_bytes", Some("max_queued_bytes")),
            ("bnid", Some("bind")),
            ("no", Some("on")),
            ("filters", Some("filter")),
            ("port", None),
            ("", None),
            ("something_else_entirely", None),
            ("é", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name:?}");
        }
        assert_eq!(nearest(&"a".repeat(1_000_000), known), None);
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("abc", "abd", 1),
            ("abc", "ab", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(&a.chars().collect::<Vec<_>>(), b), expected, "{a} {b}");
        }
    }
}
