//! A batch's way: records, intent, request, answer.

use std::sync::Arc;
use std::time::Duration;

use super::notice::Notice;
use super::partition::{Batch, SEQUENCES, State, estimate};
use super::request::{Part, Request, RequestId};
use super::{Action, Now, PartRef, Pending, Sender, Tally};
use crate::log::control::{Control, Intent};
use crate::log::port::Item;
use crate::ring::AckToken;

/// Batches of several partitions travel in one request up to this estimated size.
const REQUEST_BYTES: u64 = 1 << 20;
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MOST: Duration = Duration::from_secs(3);
/// A partition that fails for so long is named.
const TOLD_AFTER: Duration = Duration::from_secs(5);

/// What of each rule and core is among these.
pub(super) fn tally(items: &[Item]) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = Vec::new();
    for item in items {
        let bytes = u64::from(item.len);
        match tallies.iter_mut().find(|one| one.core == item.core && one.rule == item.rule) {
            Some(one) => {
                one.records = one.records.saturating_add(1);
                one.bytes = one.bytes.saturating_add(bytes);
            }
            None => tallies.push(Tally { core: item.core, rule: item.rule, records: 1, bytes }),
        }
    }
    tallies
}

impl Sender {
    /// Does for a partition what can be done now.
    pub(super) fn step(&mut self, part: PartRef, now: Now) {
        if self.cluster.parked.is_some() {
            return;
        }
        let is_usable = self.topics.get(part.topic).is_some_and(super::Topic::is_usable);
        let expiration = self.settings.producer_expiration;
        let Some(partition) = self.part(part) else { return };
        let is_waiting = match partition.state {
            State::Idle => partition.queue.is_empty(),
            State::Send | State::Describe | State::Find => {
                partition.batch.as_ref().is_some_and(|batch| !batch.is_whole())
            }
            _ => true,
        };
        if is_waiting {
            return;
        }
        if partition.retry_at > now.mono {
            let at = partition.retry_at;
            return self.set_timer(part, at);
        }
        let Some(leader) = partition.leader.filter(|_| is_usable) else {
            partition.failing_since.get_or_insert(now.mono);
            return self.cluster.refresh(now);
        };
        match partition.state {
            State::Idle => self.begin(part, leader, now),
            State::Describe => self.describe(part, leader),
            State::Find => self.find(part, leader),
            State::Send => {
                let Some(batch) = &partition.batch else { return };
                let age = Duration::from_millis(now.unix_ms.saturating_sub(batch.max_ts_ms()));
                // The longer of the two would be too late: Kafka forgets by the records' own times.
                let may_be_forgotten = batch.old.is_some() || age > expiration / 2;
                if batch.unsure && !batch.verified && may_be_forgotten {
                    partition.state = State::Describe;
                    self.describe(part, leader);
                } else {
                    self.outgoing.push(part);
                }
            }
            _ => {}
        }
    }

    /// Makes the next batch of an idle partition, if it is time.
    fn begin(&mut self, part: PartRef, leader: i32, now: Now) {
        if self.last_ticket.is_some() {
            return;
        }
        let Some(producer) = self.cluster.producer else { return };
        let kafka = &self.settings.kafka;
        let (records_max, bytes_max) = (kafka.batch_records.max(1) as usize, u64::from(kafka.batch_bytes));
        let linger = kafka.linger;
        let first_sequence = u64::from(self.settings.first_sequence);
        let is_stopping = self.stopping.is_some();
        let Some(partition) = self.part(part) else { return };
        partition.failing_since = None;
        if partition.offset.is_none() && !partition.offset_asked {
            partition.state = State::AskingOffset;
            let request = Request::EndOffset { node: leader, of: partition.of.clone() };
            return self.ask(part, request);
        }
        let is_full = partition.queue.len() >= records_max || partition.queue_bytes >= bytes_max;
        let due = partition.queued_at.saturating_add(linger);
        if !is_full && !is_stopping && now.mono < due {
            return self.set_timer(part, due);
        }
        if partition.producer.is_none_or(|known| known.id != producer.id) {
            partition.producer = Some(producer);
            partition.sequence = first_sequence;
        }
        let producer = partition.producer.unwrap_or(producer);
        let items = partition.take_items(records_max, bytes_max);
        let base = partition.sequence % SEQUENCES;
        self.intend(
            part,
            Batch {
                items,
                producer,
                base,
                old: None,
                unsure: false,
                verified: false,
                stands: false,
                searched: false,
                haunted: false,
                stamp_ms: None,
                sent: false,
                corrupt: false,
                apart: false,
                blind: false,
            },
        );
    }

    /// Writes down what is going to be sent.
    pub(super) fn intend(&mut self, part: PartRef, batch: Batch) {
        let (target, ticket) = (self.settings.target, self.ticket());
        let Some(partition) = self.part(part) else { return };
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return };
        let intent = Intent {
            target,
            topic: Arc::clone(&partition.of.topic),
            partition: partition.of.partition.unsigned_abs(),
            producer: batch.producer,
            base_sequence: batch.base as u32,
            count: batch.items.len() as u32,
            first,
            last,
            offset: partition.offset,
        };
        partition.batch = Some(batch);
        partition.state = State::Intending { ticket };
        self.controls.push(Control::Intent(intent));
        self.on_medium.push_back((ticket, part));
    }

    /// A control of this partition is durable.
    pub(super) fn medium_has(&mut self, now: Now, part: PartRef, ticket: u64) {
        let Some(partition) = self.part(part) else { return };
        if partition.state == (State::Intending { ticket }) {
            partition.state = State::Send;
            self.make_ready(part);
        } else if partition.state == (State::SettingAside { ticket }) {
            partition.state = State::Idle;
            let Some(batch) = partition.batch.take() else { return };
            if batch.haunted {
                self.next_epoch(part, batch.producer);
            }
            self.let_go(now, part, &batch, true);
        }
    }

    /// The batch is done with, either way.
    pub(super) fn let_go(&mut self, now: Now, part: PartRef, batch: &Batch, is_set_aside: bool) {
        if let Some(topic) = self.topics.get_mut(part.topic) {
            topic.told = false;
        }
        let Some(partition) = self.part(part) else { return };
        partition.next = partition.next.max(batch.last().unwrap_or(0).saturating_add(1));
        partition.failures = 0;
        let was_failing = partition.failing_since.take();
        let was_told = std::mem::take(&mut partition.told);
        let of = partition.of.clone();
        let is_new_dirt = !std::mem::replace(&mut partition.dirty, true);
        if is_new_dirt {
            self.dirty.push(part);
        }
        if let Some(since) = was_failing.filter(|_| was_told) {
            self.say(Notice::Flows { of, after: now.mono.saturating_sub(since) });
        }
        let tokens = self.tokens(&batch.items);
        let tally = tally(&batch.items);
        self.actions.push(match is_set_aside {
            false => Action::Delivered { tally, tokens },
            true => Action::SetAside { tally, tokens },
        });
        self.cursors_soon(now);
        self.make_ready(part);
    }

    /// The publishers that waited for these, in the order of the log.
    fn tokens(&mut self, items: &[Item]) -> Vec<(u8, AckToken)> {
        if self.awaited.is_empty() {
            return Vec::new();
        }
        items.iter().filter_map(|item| self.awaited.remove(&item.sequence)).collect()
    }

    /// One request for each node, as far as sizes allow; a partition that failed goes alone.
    pub(super) fn send_outgoing(&mut self) {
        let mut parts = std::mem::take(&mut self.outgoing);
        let node_of = |sender: &mut Sender, part: PartRef| sender.part(part).and_then(|it| it.leader);
        parts.sort_by_cached_key(|&part| node_of(self, part));
        let mut parts = parts.into_iter().peekable();
        while let Some(first) = parts.next() {
            let Some(node) = node_of(self, first) else { continue };
            let mut together = vec![first];
            let alone = self.part(first).is_some_and(|it| it.failures > 0);
            let mut bytes = self.batch_bytes(first);
            while !alone
                && let Some(&next) = parts.peek()
                && node_of(self, next) == Some(node)
                && self.part(next).is_some_and(|it| it.failures == 0)
            {
                bytes = bytes.saturating_add(self.batch_bytes(next));
                if bytes > REQUEST_BYTES {
                    break;
                }
                together.extend(parts.next());
            }
            self.produce(node, together, alone);
        }
    }

    fn batch_bytes(&mut self, part: PartRef) -> u64 {
        let batch = self.part(part).and_then(|it| it.batch.as_ref());
        batch.map_or(0, |batch| batch.items.iter().map(estimate).fold(0, u64::saturating_add))
    }

    fn produce(&mut self, node: i32, refs: Vec<PartRef>, alone: bool) {
        let mut parts = Vec::with_capacity(refs.len());
        let mut sent = Vec::with_capacity(refs.len());
        let mut retried = Vec::new();
        let id = RequestId(self.next_request);
        for part in refs {
            let Some(partition) = self.part(part) else { continue };
            let Some(batch) = &mut partition.batch else { continue };
            parts.push(Part {
                of: partition.of.clone(),
                producer: batch.producer,
                base_sequence: i32::try_from(batch.base).unwrap_or(0),
                records: batch.items.clone(),
                stamp_ms: batch.stamp_ms,
            });
            if std::mem::replace(&mut batch.sent, true) {
                retried.extend(tally(&batch.items));
            }
            partition.state = State::Sending;
            partition.request = Some(id);
            sent.push(part);
        }
        if !retried.is_empty() {
            self.actions.push(Action::Retried(retried));
        }
        if !parts.is_empty() {
            self.request(Request::Produce { node, parts, alone }, Pending::Produce(sent));
        }
    }

    /// To be tried again after a pause. `is_unsure`: this attempt may have been taken.
    pub(super) fn failed(&mut self, now: Now, part: PartRef, state: State, is_unsure: bool, text: &str) {
        let is_reachable = self.cluster.is_reachable();
        let Some(partition) = self.part(part) else { return };
        partition.state = state;
        if let Some(batch) = partition.batch.as_mut().filter(|_| is_unsure) {
            batch.unsure = true;
            batch.haunted = true;
            (batch.verified, batch.stands, batch.searched) = (false, false, false);
        }
        partition.failures = partition.failures.saturating_add(1);
        let failures = partition.failures;
        let since = *partition.failing_since.get_or_insert(now.mono);
        let is_long = now.mono.saturating_sub(since) >= TOLD_AFTER;
        // While nobody answers at all, that has been said.
        if is_long && is_reachable && !std::mem::replace(&mut partition.told, true) {
            let of = partition.of.clone();
            self.say(Notice::Stuck { of, cause: text.to_owned() });
        }
        let pause = self.pause(PAUSE, PAUSE_MOST, failures.saturating_sub(1));
        let at = now.mono.saturating_add(pause);
        if let Some(partition) = self.part(part) {
            partition.retry_at = at;
        }
        self.set_timer(part, at);
        self.cluster.refresh(now);
    }
}
