//! The verdict: what was sent and acknowledged, against what is in the stream. Pure; it can do nothing but count.
//!
//! A message is sent once on each connection at most; after a crash what was not acknowledged is sent again on the
//! next one. So `(connection, sequence)` names one attempt, the attempts of a publisher are in order when these pairs
//! grow, and of each attempt the stream may hold one record: exactly one if it was acknowledged.

use std::collections::{HashMap, HashSet};

/// One attempt of one publisher to send one message. The order of attempts is the order of these fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Attempt {
    /// The publisher's connection, from 1.
    pub(super) connection: u32,
    /// The message's number with this publisher, from 0.
    pub(super) sequence: u64,
}

/// What a publisher knows of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) attempt: Attempt,
    pub(super) acknowledged: bool,
}

/// The counts of a drill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Attempts to send.
    pub(super) published: u64,
    /// Those that the broker acknowledged.
    pub(super) acknowledged: u64,
    /// Records of this drill.
    pub(super) in_stream: u64,
    /// Acknowledged, and not there.
    pub(super) missing: u64,
    /// Records beyond the first one of an attempt.
    pub(super) twice: u64,
    /// Records that stand behind a later one of the same publisher.
    pub(super) out_of_order: u64,
    /// There although not acknowledged: allowed, for the crash came between record and acknowledgement.
    pub(super) unacknowledged_there: u64,
    /// Records of what nobody sent, or with a damaged payload.
    pub(super) unknown: u64,
}

impl Verdict {
    /// Whether the broker has kept its promise.
    pub(super) fn is_good(&self) -> bool {
        self.missing == 0 && self.twice == 0 && self.out_of_order == 0 && self.unknown == 0
    }
}

/// Compares `sent`, by publisher and in the order of sending, with the records, in the order of the stream: publisher
/// and attempt of each, or `None` for one that cannot be read.
pub(super) fn check(sent: &[Vec<Sent>], stream: &[Option<(usize, Attempt)>]) -> Verdict {
    let mut verdict = Verdict::default();
    let known: Vec<HashMap<Attempt, bool>> =
        sent.iter().map(|all| all.iter().map(|sent| (sent.attempt, sent.acknowledged)).collect()).collect();
    for acknowledged in known.iter().flat_map(HashMap::values) {
        verdict.published += 1;
        verdict.acknowledged += u64::from(*acknowledged);
    }
    let mut seen = vec![HashSet::new(); sent.len()];
    let mut latest: Vec<Option<Attempt>> = vec![None; sent.len()];
    for record in stream {
        verdict.in_stream += 1;
        let Some((publisher, attempt)) = *record else {
            verdict.unknown += 1;
            continue;
        };
        let Some(acknowledged) = known.get(publisher).and_then(|known| known.get(&attempt)) else {
            verdict.unknown += 1;
            continue;
        };
        if !seen[publisher].insert(attempt) {
            verdict.twice += 1;
            continue;
        }
        verdict.unacknowledged_there += u64::from(!acknowledged);
        if latest[publisher].is_some_and(|latest| attempt < latest) {
            verdict.out_of_order += 1;
        }
        latest[publisher] = latest[publisher].max(Some(attempt));
    }
    for (known, seen) in known.iter().zip(&seen) {
        let lost = |(attempt, acknowledged): &(&Attempt, &bool)| **acknowledged && !seen.contains(*attempt);
        verdict.missing += known.iter().filter(lost).count() as u64;
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1.0+` is message 0 on connection 1, acknowledged; `1.0-` the same without acknowledgement. Publishers are
    /// separated by `|`.
    fn sent(text: &str) -> Vec<Vec<Sent>> {
        let one = |word: &str| {
            let (attempt, end) = word.split_at(word.len() - 1);
            Sent { attempt: attempt_of(attempt), acknowledged: end == "+" }
        };
        text.split('|').map(|publisher| publisher.split_whitespace().map(one).collect()).collect()
    }

    fn attempt_of(text: &str) -> Attempt {
        let (connection, sequence) = text.split_once('.').unwrap();
        Attempt { connection: connection.parse().unwrap(), sequence: sequence.parse().unwrap() }
    }

    /// `a1.0` is the record of publisher 0, `b1.0` of publisher 1; `?` one that cannot be read.
    fn stream(text: &str) -> Vec<Option<(usize, Attempt)>> {
        let one = |word: &str| {
            let (publisher, attempt) = word.split_at(1);
            (word != "?").then(|| (usize::from(publisher.as_bytes()[0] - b'a'), attempt_of(attempt)))
        };
        text.split_whitespace().map(one).collect()
    }

    #[test]
    fn verdicts() {
        let zero = Verdict::default();
        let cases: &[(&str, &str, &str, Verdict)] = &[
            ("nothing", "", "", zero),
            (
                "all there",
                "1.0+ 1.1+ 1.2+",
                "a1.0 a1.1 a1.2",
                Verdict { published: 3, acknowledged: 3, in_stream: 3, ..zero },
            ),
            (
                "one missing",
                "1.0+ 1.1+ 1.2+",
                "a1.0 a1.2",
                Verdict { published: 3, acknowledged: 3, in_stream: 2, missing: 1, ..zero },
            ),
            (
                "the last one missing",
                "1.0+ 1.1+",
                "a1.0",
                Verdict { published: 2, acknowledged: 2, in_stream: 1, missing: 1, ..zero },
            ),
            (
                "one doubled",
                "1.0+ 1.1+",
                "a1.0 a1.1 a1.0",
                Verdict { published: 2, acknowledged: 2, in_stream: 3, twice: 1, ..zero },
            ),
            (
                "an unacknowledged one doubled",
                "1.0- 2.0+",
                "a1.0 a1.0 a2.0",
                Verdict {
                    published: 2,
                    acknowledged: 1,
                    in_stream: 3,
                    twice: 1,
                    unacknowledged_there: 1,
                    ..zero
                },
            ),
            (
                "two swapped",
                "1.0+ 1.1+ 1.2+",
                "a1.1 a1.0 a1.2",
                Verdict { published: 3, acknowledged: 3, in_stream: 3, out_of_order: 1, ..zero },
            ),
            (
                "one far too late",
                "1.0+ 1.1+ 1.2+",
                "a1.1 a1.2 a1.0",
                Verdict { published: 3, acknowledged: 3, in_stream: 3, out_of_order: 1, ..zero },
            ),
            (
                "an old attempt behind a new one",
                "1.0- 2.0+",
                "a2.0 a1.0",
                Verdict {
                    published: 2,
                    acknowledged: 1,
                    in_stream: 2,
                    out_of_order: 1,
                    unacknowledged_there: 1,
                    ..zero
                },
            ),
            (
                "unacknowledged and not there, sent again",
                "1.0+ 1.1- 2.1+",
                "a1.0 a2.1",
                Verdict { published: 3, acknowledged: 2, in_stream: 2, ..zero },
            ),
            (
                "unacknowledged and there, sent again",
                "1.0+ 1.1- 2.1+",
                "a1.0 a1.1 a2.1",
                Verdict { published: 3, acknowledged: 2, in_stream: 3, unacknowledged_there: 1, ..zero },
            ),
            (
                "an attempt does not stand for another",
                "1.0+ 2.0-",
                "a2.0",
                Verdict {
                    published: 2,
                    acknowledged: 1,
                    in_stream: 1,
                    missing: 1,
                    unacknowledged_there: 1,
                    ..zero
                },
            ),
            (
                "publishers have no order among each other",
                "1.0+ 1.1+|1.0+ 1.1+",
                "b1.0 b1.1 a1.0 a1.1",
                Verdict { published: 4, acknowledged: 4, in_stream: 4, ..zero },
            ),
            (
                "a publisher does not stand for another",
                "1.0+|1.0+",
                "a1.0 a1.0",
                Verdict { published: 2, acknowledged: 2, in_stream: 2, missing: 1, twice: 1, ..zero },
            ),
            (
                "never sent, no such publisher, damaged",
                "1.0+",
                "a1.0 a1.1 c1.0 ?",
                Verdict { published: 1, acknowledged: 1, in_stream: 4, unknown: 3, ..zero },
            ),
        ];
        for (name, was_sent, in_stream, expected) in cases {
            let verdict = check(&sent(was_sent), &stream(in_stream));
            assert_eq!(verdict, *expected, "{name}");
        }
    }

    #[test]
    fn only_what_is_promised_counts() {
        let good = Verdict {
            published: 9,
            acknowledged: 5,
            in_stream: 7,
            unacknowledged_there: 2,
            ..Default::default()
        };
        assert!(good.is_good());
        for (name, bad) in [
            ("missing", Verdict { missing: 1, ..good }),
            ("twice", Verdict { twice: 1, ..good }),
            ("out of order", Verdict { out_of_order: 1, ..good }),
            ("unknown", Verdict { unknown: 1, ..good }),
        ] {
            assert!(!bad.is_good(), "{name}");
        }
    }
}
