//! What earlier runs left undelivered, charged to its hooks before the cores start: a hook that is
//! at its limit when the broker stops is at its limit when it starts again.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::accounts::Accounts;
use crate::log::LogError;
use crate::log::control::{KAFKA, PartitionState, TargetState, TopicState};
use crate::log::entry::{self, View};
use crate::log::port::Group;
use crate::partition;

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// Charges every record in `from..to` that `restored` does not know as delivered. `read` gives the
/// next groups that hold records from a sequence on, in order; none at the end. Also returns the
/// time of each rule's oldest event, Unix milliseconds.
///
/// # Errors
/// Those of `read`.
pub(crate) fn charge(
    accounts: &Accounts,
    restored: &TargetState,
    from: u64,
    to: u64,
    mut read: impl FnMut(u64) -> Result<Vec<Arc<Group>>, LogError>,
) -> Result<(Backlog, BTreeMap<u32, u64>), LogError> {
    let topics: BTreeMap<&str, Topic<'_>> =
        restored.topics.iter().map(|(name, state)| (&**name, Topic::new(state))).collect();
    let mut sums: BTreeMap<(u8, u32), Backlog> = BTreeMap::new();
    let mut oldest: BTreeMap<u32, u64> = BTreeMap::new();
    let mut position = from;
    while position < to {
        let groups = read(position)?;
        let Some(end) = groups.iter().map(|group| group.sequences.end).max().filter(|&end| end > position)
        else {
            break;
        };
        for group in groups {
            for (_, len, view) in entry::records(&group.body) {
                let done = |topic: &Topic<'_>| topic.is_done(&view);
                if view.target != KAFKA
                    || !(position..to).contains(&view.sequence)
                    || topics.get(view.stream).is_some_and(done)
                {
                    continue;
                }
                sums.entry((view.core, view.rule)).or_default().add(1, len as u64);
                let known = oldest.entry(view.rule).or_insert(view.ts_ms);
                *known = view.ts_ms.min(*known);
            }
        }
        position = end;
    }
    let mut total = Backlog::default();
    for ((core, rule), sum) in sums {
        accounts.charge_backlog(core, rule, sum.records, sum.bytes);
        total.add(sum.records, sum.bytes);
    }
    Ok((total, oldest))
}

impl Backlog {
    fn add(&mut self, records: u64, bytes: u64) {
        self.records = self.records.saturating_add(records);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// A topic, and the first sequence that no cursor of it has passed.
struct Topic<'a> {
    state: &'a TopicState,
    undone_from: u64,
}

impl<'a> Topic<'a> {
    fn new(state: &'a TopicState) -> Topic<'a> {
        let undone_from = state.partitions.values().map(PartitionState::next).max().unwrap_or(0);
        Topic { state, undone_from }
    }

    /// Whether the record is below its partition's cursor.
    fn is_done(&self, view: &View<'_>) -> bool {
        // Most of a backlog lies behind every cursor: no need to hash its keys.
        if view.sequence >= self.undone_from {
            return false;
        }
        let Some(count) = self.state.counts.iter().rev().find(|count| count.from <= view.sequence) else {
            return false;
        };
        let partition = partition::of(view.sequence, view.key, count.count);
        self.state.partitions.get(&partition).is_some_and(|state| view.sequence < state.next())
    }
}

#[cfg(test)]
mod tests;
