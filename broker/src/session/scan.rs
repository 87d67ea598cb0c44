//! A new subscription's walk through the retained messages, chunk by chunk, core by core. Pure state: who asks and who
//! answers is in `worker`.
//!
//! An answer must not bring a topic's older message after a newer one was delivered live. What is live reaches this core
//! only after it has been put into the lane of the core that keeps the topic, so an answer can be older than what is
//! live only if it was asked for before: topics seen live while an answer is awaited are remembered, without fail. What
//! was seen before that is remembered as long as there is room, so that a message that has come live does not come again
//! as a retained one. Messages carry a place in one order, so that a newer answer still passes.

use super::Options;
use millrace_router::{Cursor, matches};
use std::collections::VecDeque;

/// Topics remembered. If more than these come while one answer is awaited, what is left of it is asked for again.
const SEEN_MAX: usize = 256;

/// One walk.
#[derive(Debug)]
pub struct Scan {
    /// Its number on this core.
    pub number: u32,
    /// Which topics, without `$share`.
    pub filter: Box<str>,
    /// What the subscription grants.
    pub options: Options,
    /// The core that is, or is to be, asked.
    pub core: usize,
    /// Cores after this one have none of its topics.
    pub last_core: usize,
    /// Where to go on there.
    pub cursor: Option<Cursor>,
    /// An answer is awaited.
    pub asked: bool,
    /// Topics seen live, and the order of the newest; the oldest first.
    seen: VecDeque<(Box<str>, u64)>,
    /// How many of them, the last, were seen while this answer was awaited.
    fresh: usize,
    /// There were too many of them.
    overflowed: bool,
}

impl Scan {
    /// Of the topics of these cores, from the first to the last.
    pub fn new(number: u32, filter: &str, options: Options, cores: std::ops::RangeInclusive<usize>) -> Scan {
        Scan {
            number,
            filter: filter.into(),
            options,
            core: *cores.start(),
            last_core: *cores.end(),
            cursor: None,
            asked: false,
            seen: VecDeque::new(),
            fresh: 0,
            overflowed: false,
        }
    }

    /// A message that was published to be retained is delivered live.
    pub fn saw(&mut self, topic: &str, order: u64) {
        if self.overflowed || !matches(&self.filter, topic) {
            return;
        }
        // A topic that comes again moves to the end.
        let known = self.seen.iter().position(|(seen, _)| **seen == *topic);
        let mut newest = order;
        if let Some(at) = known {
            self.fresh -= usize::from(at + self.fresh >= self.seen.len());
            newest = self.seen.remove(at).map_or(order, |(_, before)| before.max(order));
        }
        if self.seen.len() == SEEN_MAX {
            if self.fresh == SEEN_MAX {
                self.overflowed = true;
                return;
            }
            self.seen.pop_front();
        }
        self.seen.push_back((topic.into(), newest));
        self.fresh += usize::from(self.asked);
    }

    /// Whether this message of an answer is to be delivered.
    pub fn admits(&mut self, topic: &str, order: u64) -> bool {
        if self.overflowed {
            return false; // asked for again
        }
        self.cursor = Some(Cursor::behind(topic));
        !self.seen.iter().any(|(seen, newest)| **seen == *topic && *newest >= order)
    }

    /// The end of an answer; `next` is where to go on at that core. Returns whether there is more to ask for.
    pub fn end(&mut self, next: Option<Cursor>) -> bool {
        self.asked = false;
        self.fresh = 0;
        if std::mem::take(&mut self.overflowed) {
            return true;
        }
        self.cursor = next;
        if self.cursor.is_some() {
            return true;
        }
        self.core += 1;
        self.core <= self.last_core
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_codec::QoS;

    fn scan() -> Scan {
        let mut scan = Scan::new(1, "a/+", Options::new(QoS::AtMostOnce, 0), 0..=1);
        scan.asked = true;
        scan
    }

    #[test]
    fn what_was_seen_live_passes_only_if_it_is_newer() {
        let mut scan = scan();
        scan.saw("a/1", 5);
        scan.saw("a/1", 4);
        scan.saw("b/1", 9);
        for (topic, order, passes) in
            [("a/1", 4, false), ("a/1", 5, false), ("a/1", 6, true), ("a/2", 1, true), ("b/1", 1, true)]
        {
            assert_eq!(scan.admits(topic, order), passes, "{topic} {order}");
        }
        assert!(scan.end(None), "the other core");
        scan.saw("a/3", 7);
        scan.asked = true;
        // Asked for after they were live: the same messages, or newer ones.
        assert!(!scan.admits("a/1", 5) && !scan.admits("a/3", 7));
        assert!(scan.admits("a/1", 8) && scan.admits("a/3", 8));
        assert!(!scan.end(None));
    }

    #[test]
    fn what_was_seen_while_an_answer_is_awaited_is_not_forgotten_for_more() {
        let mut scan = scan();
        scan.asked = false;
        (0..SEEN_MAX).for_each(|topic| scan.saw(&format!("a/{topic}"), 1));
        scan.asked = true;
        scan.saw("a/0", 2);
        (0..SEEN_MAX - 1).for_each(|topic| scan.saw(&format!("a/new {topic}"), 3));
        assert!(!scan.overflowed && scan.seen.len() == SEEN_MAX && scan.fresh == SEEN_MAX);
        assert!(!scan.admits("a/0", 2) && scan.admits("a/1", 1));
        scan.saw("a/0", 4);
        assert!(!scan.overflowed && scan.fresh == SEEN_MAX);
        scan.saw("a/one more", 5);
        assert!(scan.overflowed);
    }

    #[test]
    fn too_many_live_topics_make_it_ask_again_from_where_it_was() {
        let mut scan = scan();
        assert!(scan.admits("a/0", 1));
        for topic in 0..=SEEN_MAX {
            scan.saw(&format!("a/{topic}"), 9);
        }
        assert!(!scan.admits("a/x", 1));
        let next = Cursor::behind("a/y");
        assert!(scan.end(Some(next)));
        assert_eq!((scan.cursor.clone(), scan.core), (Some(Cursor::behind("a/0")), 0));
        scan.asked = true;
        assert!(scan.admits("a/x", 1));
    }
}
