//! Which closed segments may go: the oldest, beyond a size or an age. With a target, only once all of
//! their records are done with, however large and old they are.

use std::collections::VecDeque;
use std::path::Path;

use super::LogError;
use super::file::Fs;
use super::format::segment_name;

/// A segment that is no longer written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) number: u64,
    /// The file's length.
    pub(crate) bytes: u64,
    /// When its last group was written, Unix milliseconds.
    pub(crate) last_ms: u64,
    /// The sequence after its last record.
    pub(crate) next_sequence: u64,
}

/// The closed segments, oldest first.
#[derive(Default)]
pub(crate) struct Retention {
    closed: VecDeque<Closed>,
    bytes: u64,
    /// Every record below this is done with; `None` while there is no target.
    floor: Option<u64>,
}

impl Retention {
    pub(crate) fn add(&mut self, segment: Closed) {
        self.bytes = self.bytes.saturating_add(segment.bytes);
        self.closed.push_back(segment);
    }

    /// Segments with records from `floor` on stay; `None`: there is no target to wait for.
    pub(crate) fn set_floor(&mut self, floor: Option<u64>) {
        self.floor = floor;
    }

    /// Takes out the oldest segment if it is too old, or if all with `open_bytes` are too much.
    /// While none is open (`None`) the newest stays: it knows which numbers were given last.
    fn take_doomed(&mut self, open_bytes: Option<u64>, bytes_max: u64, oldest_ms: u64) -> Option<Closed> {
        let first = self.closed.front()?;
        let bytes = self.bytes.saturating_add(open_bytes.unwrap_or(0));
        if bytes <= bytes_max && first.last_ms >= oldest_ms || open_bytes.is_none() && self.closed.len() == 1
        {
            return None;
        }
        if self.floor.is_some_and(|floor| first.next_sequence > floor) {
            return None;
        }
        let first = self.closed.pop_front()?;
        self.bytes = self.bytes.saturating_sub(first.bytes);
        Some(first)
    }

    /// Deletes what may go and syncs the directory. Returns how many segments went.
    ///
    /// # Errors
    /// A file could not be removed; the others wait for the next time.
    pub(crate) fn apply(
        &mut self,
        fs: &dyn Fs,
        dir: &Path,
        open_bytes: Option<u64>,
        bytes_max: u64,
        oldest_ms: u64,
    ) -> Result<u64, LogError> {
        let mut removed = 0;
        while let Some(doomed) = self.take_doomed(open_bytes, bytes_max, oldest_ms) {
            let path = dir.join(segment_name(doomed.number));
            match fs.remove(&path) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.bytes = self.bytes.saturating_add(doomed.bytes);
                    self.closed.push_front(doomed);
                    return Err(LogError::io("remove", &path)(error));
                }
            }
        }
        if removed > 0 {
            fs.sync_dir(dir).map_err(LogError::io("sync", dir))?;
        }
        Ok(removed)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.closed.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_by_size_and_by_age() {
        let fill = || {
            let mut retention = Retention::default();
            for number in 1..=4 {
                retention.add(Closed {
                    number,
                    bytes: 100,
                    last_ms: number * 1000,
                    next_sequence: number * 10,
                });
            }
            retention
        };
        let cases: &[(&str, Option<u64>, u64, u64, usize)] = &[
            ("all fit", Some(100), 500, 0, 4),
            ("one byte too many", Some(101), 500, 0, 3),
            ("only the open one is left", Some(600), 500, 0, 0),
            ("two too old", Some(100), 500, 2001, 2),
            ("exactly old enough to stay", Some(100), 500, 1000, 4),
            ("none is open", None, 0, u64::MAX, 1),
        ];
        for &(name, open, max, oldest, left) in cases {
            let mut retention = fill();
            while retention.take_doomed(open, max, oldest).is_some() {}
            assert_eq!(retention.len(), left, "{name}");
        }
    }

    #[test]
    fn what_is_not_delivered_stays() {
        // Floor, and how many of four segments with ten records each are left when all are too old.
        let cases = [(None, 0), (Some(0), 4), (Some(9), 4), (Some(10), 3), (Some(39), 1), (Some(40), 0)];
        for (floor, left) in cases {
            let mut retention = Retention::default();
            for number in 1..=4 {
                retention.add(Closed { number, bytes: 100, last_ms: 0, next_sequence: number * 10 });
            }
            retention.set_floor(floor);
            while retention.take_doomed(Some(1), 0, u64::MAX).is_some() {}
            assert_eq!(retention.len(), left, "{floor:?}");
        }
    }
}
