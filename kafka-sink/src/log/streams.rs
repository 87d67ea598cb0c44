//! The offsets of every stream: what the next record of each gets, and what the open segment
//! holds of each. Owned by the writer; a group's offsets count only once the group is synced.

use std::collections::HashMap;

use super::format::StreamIndex;

#[derive(Default)]
pub(crate) struct Streams {
    list: Vec<Stream>,
    by_name: HashMap<Box<str>, usize>,
    /// Records of one stream often follow each other.
    last: usize,
    /// Streams with records in the group at hand.
    touched: Vec<usize>,
}

struct Stream {
    name: Box<str>,
    next: u64,
    /// Records in the group at hand.
    pending: u64,
    /// In the open segment: records, and where the first group with one begins.
    records: u64,
    position: u64,
}

impl Streams {
    /// The offset of the next record of the stream with these bytes as its name, in the group at hand; `None` if
    /// they are no text.
    pub(crate) fn take_offset(&mut self, name: &[u8]) -> Option<u64> {
        let at = match self.list.get(self.last) {
            Some(stream) if stream.name.as_bytes() == name => self.last,
            _ => self.find_or_add(std::str::from_utf8(name).ok()?),
        };
        self.last = at;
        let stream = self.list.get_mut(at)?;
        if stream.pending == 0 {
            self.touched.push(at);
        }
        let offset = stream.next.saturating_add(stream.pending);
        stream.pending += 1;
        Some(offset)
    }

    /// The group at hand, which begins at `position`, is on the medium.
    pub(crate) fn commit(&mut self, position: u64) {
        for at in self.touched.drain(..) {
            if let Some(stream) = self.list.get_mut(at) {
                if stream.records == 0 {
                    stream.position = position;
                }
                stream.next = stream.next.saturating_add(stream.pending);
                stream.records = stream.records.saturating_add(stream.pending);
                stream.pending = 0;
            }
        }
    }

    /// The group at hand failed; its offsets will be given again.
    pub(crate) fn roll_back(&mut self) {
        for at in self.touched.drain(..) {
            if let Some(stream) = self.list.get_mut(at) {
                stream.pending = 0;
            }
        }
    }

    /// A new segment begins, which holds nothing yet.
    pub(crate) fn start_segment(&mut self) {
        for stream in &mut self.list {
            stream.records = 0;
        }
    }

    /// Recovery: the next offset of `name` is at least `next`.
    pub(crate) fn raise(&mut self, name: &str, next: u64) {
        let at = self.find_or_add(name);
        if let Some(stream) = self.list.get_mut(at) {
            stream.next = stream.next.max(next);
        }
    }

    /// Recovery: leaves `count` offsets of every stream out, which lost records may have had.
    pub(crate) fn skip(&mut self, count: u64) {
        for stream in &mut self.list {
            stream.next = stream.next.saturating_add(count);
        }
    }

    /// Every stream with its next offset.
    pub(crate) fn table(&self) -> impl ExactSizeIterator<Item = (&str, u64)> {
        self.list.iter().map(|stream| (&*stream.name, stream.next))
    }

    /// What the open segment holds of each stream, for its footer.
    pub(crate) fn index(&self) -> Vec<StreamIndex> {
        let held = self.list.iter().filter(|stream| stream.records > 0);
        held.map(|stream| StreamIndex {
            name: stream.name.to_string(),
            first_offset: stream.next.saturating_sub(stream.records),
            next_offset: stream.next,
            records: stream.records,
            position: stream.position,
        })
        .collect()
    }

    fn find_or_add(&mut self, name: &str) -> usize {
        if let Some(&at) = self.by_name.get(name) {
            return at;
        }
        let at = self.list.len();
        self.list.push(Stream { name: name.into(), next: 0, pending: 0, records: 0, position: 0 });
        self.by_name.insert(name.into(), at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_only_once_committed() {
        let mut streams = Streams::default();
        streams.raise("a", 7);
        streams.raise("a", 3);
        let take = |streams: &mut Streams, name: &str| streams.take_offset(name.as_bytes());
        assert_eq!(["a", "b", "a"].map(|name| take(&mut streams, name)), [Some(7), Some(0), Some(8)]);
        streams.roll_back();
        assert_eq!(["b", "a"].map(|name| take(&mut streams, name)), [Some(0), Some(7)]);
        streams.commit(4096);
        assert_eq!(streams.table().collect::<Vec<_>>(), [("a", 8), ("b", 1)]);
        assert_eq!(take(&mut streams, "a"), Some(8));
        streams.commit(8192);
        let index = streams.index();
        assert_eq!(index.len(), 2);
        assert_eq!(
            (index[0].first_offset, index[0].next_offset, index[0].records, index[0].position),
            (7, 9, 2, 4096)
        );
        streams.start_segment();
        assert!(streams.index().is_empty());
        assert_eq!(take(&mut streams, "a"), Some(9));
        assert_eq!(streams.take_offset(b"\xff"), None);
    }
}
