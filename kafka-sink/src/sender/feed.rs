//! How records come from the log to their partitions.
//!
//! One reader, `Main`, follows the end of the log: from memory as long as it keeps up, else from
//! the files. What it reads waits in the partitions' queues, up to a bound on the bytes held. When
//! the bound is reached, partitions that do not get on lose their queue (it is in the log) so that
//! the others go on. Once they get on again, a second reader, `CatchUp`, brings them what they
//! missed; one scan serves all of them, and where it meets `Main` they change over.
//!
//! A batch cannot give way: it is what the partition tries to get on with. But its few records may
//! hold all groups that were read while it gathered, so they are copied out of these, and then count
//! apart, up to a second bound of the same size. A batch of an earlier run, which is read record by
//! record before anything can be done with it, is copied at once, beyond any bound: that run held
//! it in memory as well.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::notice::Notice;
use super::partition::FedBy;
use super::topic::Known;
use super::{Action, Now, PartRef, Reader, Sender, Tally};
use crate::log::control::Control;
use crate::log::entry;
use crate::log::port::{Group, Item};

/// A partition that fails for so long gives way when memory is short.
const STUCK: Duration = Duration::from_secs(2);
/// After a failed or fruitless read.
const READ_PAUSE: Duration = Duration::from_millis(200);

pub(super) struct Feed {
    /// Everything below has been brought to its partition, or noted as missed.
    pub(super) main: u64,
    pub(super) durable: u64,
    pub(super) incoming: VecDeque<Arc<Group>>,
    main_reads: bool,
    catch_up: Option<u64>,
    /// Where the read that is outstanding began.
    catch_up_reads: Option<u64>,
    retry_at: Option<Duration>,
    read_failed: bool,
    budget: Arc<AtomicUsize>,
    /// Counts records that were copied out of their groups.
    apart: Arc<AtomicUsize>,
    /// Partitions that nobody feeds.
    detached: Vec<PartRef>,
    /// Partitions whose batch of an earlier run is not read yet.
    incomplete: Option<Vec<PartRef>>,
}

impl Feed {
    pub(super) fn new(main: u64, budget: Arc<AtomicUsize>) -> Feed {
        Feed {
            main,
            durable: main,
            incoming: VecDeque::new(),
            main_reads: false,
            catch_up: None,
            catch_up_reads: None,
            retry_at: None,
            read_failed: false,
            budget,
            apart: Arc::default(),
            detached: Vec::new(),
            incomplete: None,
        }
    }

    pub(super) fn retry_at(&self) -> Option<Duration> {
        self.retry_at
    }

    /// Everything durable has been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.main >= self.durable && self.catch_up.is_none() && self.detached.is_empty()
    }

    fn held(&self) -> usize {
        self.budget.load(Ordering::Relaxed)
    }
}

impl Sender {
    pub(super) fn poll_feed(&mut self, now: Now) {
        // Which topics there are is asked first: else a backlog would be read twice.
        if !self.cluster.has_heard {
            return;
        }
        self.take_incoming(now);
        self.poll_growth(now);
        self.poll_incomplete();
        if self.feed.retry_at.is_some_and(|at| at > now.mono) {
            return;
        }
        self.feed.retry_at = None;
        let bound = self.settings.held_bytes_max;
        let is_behind = self.feed.main < self.feed.durable
            || self.feed.catch_up.is_some()
            || !self.feed.detached.is_empty();
        if is_behind && self.feed.held() >= bound / 2 {
            self.evict(now);
            if self.feed.incoming.front().is_some_and(|group| group.sequences.start > self.feed.main) {
                // They cannot be used before what the files hold has been read, and hold that up.
                self.feed.incoming.clear();
            }
        }
        self.join_catch_up(now);
        if let Some(from) = self.feed.catch_up {
            if from >= self.feed.main {
                self.leave_catch_up();
            } else if self.feed.catch_up_reads.is_none() && self.feed.held() < bound / 4 * 3 {
                self.feed.catch_up_reads = Some(from);
                self.actions.push(Action::Read { reader: Reader::CatchUp, from });
            }
        }
        if self.feed.main < self.feed.durable && !self.feed.main_reads && self.feed.held() < bound / 2 {
            self.feed.main_reads = true;
            self.actions.push(Action::Read { reader: Reader::Main, from: self.feed.main });
        }
    }

    /// What [`Action::Read`] asked for: groups in order, at least one if there is any that is
    /// durable. A group may begin later than asked: what is missing is gone.
    pub(crate) fn read_done(&mut self, now: Now, reader: Reader, read: Result<Vec<Arc<Group>>, String>) {
        let from = match reader {
            Reader::Main => {
                self.feed.main_reads = false;
                Some(self.feed.main)
            }
            Reader::CatchUp => self.feed.catch_up_reads.take(),
        };
        let groups = match read {
            Ok(groups) if !groups.is_empty() => groups,
            fruitless => {
                self.feed.retry_at = Some(now.mono.saturating_add(READ_PAUSE));
                if let Err(cause) = fruitless
                    && !std::mem::replace(&mut self.feed.read_failed, true)
                {
                    self.say(Notice::ReadFailed { cause });
                }
                return;
            }
        };
        self.feed.read_failed = false;
        // A partition has joined that needs more than was asked for: all of it is read again.
        if reader == Reader::CatchUp && self.feed.catch_up != from {
            return;
        }
        for group in groups {
            match reader {
                Reader::Main => self.take_group(now, &group),
                Reader::CatchUp if group.sequences.start < self.feed.main => {
                    self.dispatch(now, Reader::CatchUp, &group);
                    self.feed.catch_up = Some(group.sequences.end.min(self.feed.main));
                }
                Reader::CatchUp => self.feed.catch_up = Some(self.feed.main),
            }
        }
    }

    fn take_incoming(&mut self, now: Now) {
        while let Some(group) = self.feed.incoming.front() {
            if group.sequences.start > self.feed.main {
                // What lies before it did not stay in memory; the files have it.
                return;
            }
            if let Some(group) = self.feed.incoming.pop_front() {
                self.take_group(now, &group);
            }
        }
    }

    fn take_group(&mut self, now: Now, group: &Arc<Group>) {
        if group.sequences.end > self.feed.main {
            self.dispatch(now, Reader::Main, group);
            self.feed.main = group.sequences.end;
            self.cursors_soon(now);
        }
    }

    fn dispatch(&mut self, now: Now, reader: Reader, group: &Arc<Group>) {
        let fed_by = match reader {
            Reader::Main => FedBy::Main,
            Reader::CatchUp => FedBy::CatchUp,
        };
        let from = match reader {
            Reader::Main => self.feed.main,
            Reader::CatchUp => 0,
        };
        let mut last = None;
        for (at, len, record) in entry::records(&group.body) {
            if record.target != self.settings.target || record.sequence < from {
                continue;
            }
            // Records of one topic often follow each other.
            let index = match last {
                Some(last) if self.is_topic(last, record.stream) => last,
                _ => self.topic_index_or_ask(now, record.stream),
            };
            last = Some(index);
            let Some(topic) = self.topics.get_mut(index) else { continue };
            let Some(partition) = topic.partition_of(record.sequence, record.key) else {
                if topic.pending.is_none_or(|(sequence, ..)| sequence > record.sequence) {
                    topic.pending = Some((record.sequence, record.ts_ms, record.rule));
                }
                continue;
            };
            let Some(to) = topic.partitions.get_mut(partition) else { continue };
            if to.fed_by == fed_by {
                let item = Item {
                    group: Arc::clone(group),
                    at: at as u32,
                    len: len as u32,
                    sequence: record.sequence,
                    ts_ms: record.ts_ms,
                    rule: record.rule,
                    core: record.core,
                };
                let (core, rule, bytes) = (item.core, item.rule, u64::from(item.len));
                if to.push(item, now.mono, &self.feed.apart) {
                    self.actions.push(Action::PossiblyRepeated(vec![Tally {
                        core,
                        rule,
                        records: 1,
                        bytes,
                    }]));
                }
                if !std::mem::replace(&mut to.is_ready, true) {
                    self.ready.push_back(PartRef { topic: index, partition });
                }
            }
        }
    }

    fn is_topic(&self, index: usize, name: &str) -> bool {
        self.topics.get(index).is_some_and(|topic| &*topic.name == name)
    }

    /// A topic that no hook of today names is left of an earlier configuration.
    fn topic_index_or_ask(&mut self, now: Now, name: &str) -> usize {
        let index = self.topic_index(name);
        if self.topics.get(index).is_some_and(|topic| topic.known == Known::Unknown) {
            self.cluster.refresh(now);
        }
        index
    }

    /// A topic that has grown changes over once all that was spread by the old count is delivered.
    fn poll_growth(&mut self, now: Now) {
        for index in 0..self.topics.len() {
            let Some(topic) = self.topics.get_mut(index) else { continue };
            let Some((from, count)) = topic.growth else { continue };
            let is_through = topic.partitions.iter().all(|partition| {
                partition.is_drained() && (partition.fed_by == FedBy::Main || partition.position >= from)
            });
            if !is_through || self.feed.main < from {
                continue;
            }
            topic.growth = None;
            topic.counts.push((from, count));
            let (position, fed_by) = match topic.pending.take() {
                Some(_) => (from, FedBy::Nobody),
                None => (from, FedBy::Main),
            };
            for partition in &mut topic.partitions {
                partition.position = partition.position.max(from);
                partition.fed_by = fed_by;
            }
            topic.add_partitions(count, position, fed_by);
            let entry = topic.partitions_entry(self.settings.target);
            self.controls.extend(entry.map(Control::Partitions));
            self.list_detached(index);
            // The new partitions have no leader yet.
            self.cluster.refresh(now);
        }
    }

    /// A batch of an earlier run whose records are not in the log any more (damage) is given up.
    fn poll_incomplete(&mut self) {
        if self.feed.incomplete.is_none() {
            let is_incomplete = |&(_, partition): &(PartRef, &super::Partition)| {
                partition.batch.as_ref().is_some_and(|batch| !batch.is_whole())
            };
            self.feed.incomplete = Some(self.parts().filter(is_incomplete).map(|(part, _)| part).collect());
        }
        let Some(parts) = self.feed.incomplete.as_mut().map(std::mem::take) else { return };
        let (main, catch_up) = (self.feed.main, self.feed.catch_up.unwrap_or(0));
        let mut left = Vec::new();
        for part in parts {
            let Some(partition) = self.part(part) else { continue };
            let position = match partition.fed_by {
                FedBy::Main => main,
                FedBy::CatchUp => catch_up.max(partition.position),
                FedBy::Nobody => partition.position,
            };
            match &partition.batch {
                Some(batch) if batch.is_broken(position) => {
                    self.give_batch_up(part, "their intent names records that the log no longer has");
                }
                Some(batch) if !batch.is_whole() => left.push(part),
                _ => {}
            }
        }
        self.feed.incomplete = Some(left);
    }

    /// Memory is short: what does not get on gives way.
    fn evict(&mut self, now: Now) {
        let is_in_the_way =
            |&(_, partition): &(PartRef, &super::Partition)| partition.is_stuck(now.mono, STUCK);
        let parts: Vec<PartRef> = self.parts().filter(is_in_the_way).map(|(part, _)| part).collect();
        let (apart, bound) = (Arc::clone(&self.feed.apart), self.settings.held_bytes_max);
        for part in parts {
            let Some(partition) = self.part(part) else { continue };
            if apart.load(Ordering::Relaxed) < bound {
                partition.set_apart(&apart);
            }
            if partition.fed_by != FedBy::Nobody && !partition.queue.is_empty() {
                partition.drop_queue();
                self.feed.detached.push(part);
            }
        }
    }

    /// Notes the partitions of a topic that nobody feeds.
    pub(super) fn list_detached(&mut self, index: usize) {
        let Some(topic) = self.topics.get(index) else { return };
        for (partition, is) in topic.partitions.iter().enumerate() {
            let part = PartRef { topic: index, partition };
            if is.fed_by == FedBy::Nobody && !self.feed.detached.contains(&part) {
                self.feed.detached.push(part);
            }
        }
    }

    /// Partitions that get on again are brought what they missed.
    fn join_catch_up(&mut self, now: Now) {
        let main = self.feed.main;
        for part in std::mem::take(&mut self.feed.detached) {
            let is_usable = self.topics.get(part.topic).is_some_and(super::Topic::is_usable);
            let Some(partition) = self.part(part) else { continue };
            if is_usable && partition.batch.is_none() && partition.leader.is_some() {
                // It gave way while it had no leader, and has nothing to try but what it missed.
                partition.failing_since = None;
            }
            if partition.position >= main {
                partition.fed_by = FedBy::Main;
            } else if is_usable && !partition.is_stuck(now.mono, Duration::ZERO) {
                partition.fed_by = FedBy::CatchUp;
                let from = partition.position;
                self.feed.catch_up = Some(self.feed.catch_up.map_or(from, |at| at.min(from)));
            } else {
                self.feed.detached.push(part);
            }
        }
    }

    /// `CatchUp` has met `Main`.
    fn leave_catch_up(&mut self) {
        self.feed.catch_up = None;
        for partition in self.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            if partition.fed_by == FedBy::CatchUp {
                partition.fed_by = FedBy::Main;
            }
        }
    }
}
