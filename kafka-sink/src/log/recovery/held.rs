//! What a scan finds in a segment, for its footer.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use super::super::entry::Entry;
use super::super::format::{Footer, Header, StreamIndex};
use super::super::scan::Scanner;

/// What a scanned segment holds.
pub(super) struct Held {
    first_sequence: u64,
    records: u64,
    pub(super) groups: u64,
    pub(super) last_ms: u64,
    pub(super) streams: BTreeMap<String, StreamIndex>,
}

impl Held {
    pub(super) fn new(header: &Header) -> Held {
        Held {
            first_sequence: header.first_sequence,
            records: 0,
            groups: 0,
            last_ms: header.created_ms,
            streams: BTreeMap::new(),
        }
    }

    pub(super) fn take_records(&mut self, scanner: &Scanner, position: u64) {
        for entry in scanner.entries().flatten() {
            let Entry::Record(record) = entry else { continue };
            self.records = self.records.saturating_add(1);
            if !self.streams.contains_key(record.stream) {
                let index = StreamIndex {
                    name: record.stream.to_owned(),
                    first_offset: record.offset,
                    next_offset: record.offset,
                    records: 0,
                    position,
                };
                self.streams.insert(index.name.clone(), index);
            }
            if let Some(index) = self.streams.get_mut(record.stream) {
                index.records = index.records.saturating_add(1);
                index.next_offset = index.next_offset.max(record.offset.saturating_add(1));
            }
        }
    }

    pub(super) fn footer(self, next_sequence: u64, end: u64) -> Footer {
        Footer {
            clean: false,
            first_sequence: self.first_sequence,
            next_sequence,
            records: self.records,
            groups: self.groups,
            end,
            last_ms: self.last_ms,
            streams: self.streams.into_values().collect(),
        }
    }
}
