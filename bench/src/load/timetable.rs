//! Open loop: which stream of this thread has a message due next, and when. No clock of its own.

use super::publisher::Schedule;

/// The streams of one group in one thread, in turn.
#[derive(Debug)]
pub(super) struct Timetable {
    pub(super) schedule: Schedule,
    /// By stream number.
    pub(super) entries: Vec<Entry>,
    /// The next one: its place, and the message's number in its stream.
    at: usize,
    sequence: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Number of the stream in its group.
    pub(super) stream: u32,
    /// Index of its publisher in this thread.
    pub(super) publisher: u32,
    /// Index of the stream in its publisher.
    pub(super) index: u32,
    /// Messages it sends in all.
    pub(super) quota: u64,
}

impl Timetable {
    /// `entries` are in the order of their streams.
    pub(super) fn new(schedule: Schedule, entries: Vec<Entry>) -> Timetable {
        Timetable { schedule, entries, at: 0, sequence: 0 }
    }

    /// When the next message is due; none: there are no more.
    #[inline]
    pub(super) fn due(&self) -> Option<u64> {
        let entry = self.entries.get(self.at)?;
        Some(self.schedule.due(entry.stream, self.sequence))
    }

    /// The next message, if it is due.
    #[inline]
    pub(super) fn take(&mut self, now: u64) -> Option<Entry> {
        if self.due()? > now {
            return None;
        }
        let entry = self.entries[self.at];
        self.at += 1;
        if self.at == self.entries.len() {
            self.at = 0;
            self.sequence += 1;
            let sequence = self.sequence;
            self.entries.retain(|entry| sequence < entry.quota);
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(stream: u32, quota: u64) -> Entry {
        Entry { stream, publisher: stream, index: 0, quota }
    }

    #[test]
    fn streams_take_turns_at_even_distances() {
        let schedule = Schedule { start: 1_000, per_second: 1e6, streams: 4 };
        // Streams 0 and 2 are sent elsewhere; seven messages in all.
        let mut table = Timetable::new(schedule, vec![entry(1, 2), entry(3, 1)]);
        let mut due = Vec::new();
        while let Some(at) = table.due() {
            assert_eq!(table.take(at - 1), None);
            due.push((at, table.take(at).expect("is due").stream));
        }
        assert_eq!(due, [(2_000, 1), (4_000, 3), (6_000, 1)]);
        assert_eq!(table.take(u64::MAX), None);
    }

    #[test]
    fn a_late_turn_gets_all_that_is_due_and_keeps_the_times() {
        let schedule = Schedule { start: 0, per_second: 300.0, streams: 3 };
        let entries = (0..3).map(|stream| entry(stream, u64::MAX)).collect();
        let mut table = Timetable::new(schedule, entries);
        let taken = std::iter::from_fn(|| table.take(1_000_000_000)).count();
        assert_eq!(taken, 301);
        assert_eq!(table.due(), Some(1_003_333_333));
    }
}
