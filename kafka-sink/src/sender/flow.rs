//! A batch's way: records, intent, request, answer.

use std::sync::Arc;
use std::time::Duration;

use super::errors::{self, CORRUPT, NOT_LEADER, Verdict};
use super::notice::Notice;
use super::partition::{Batch, SEQUENCES, State, estimate};
use super::request::{Answer, Failure, Outcome, Part, Produced, Request, RequestId};
use super::{Action, Now, PartRef, Pending, Sender, Tally};
use crate::log::control::{Control, DeadLetter, Intent};
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
    fn let_go(&mut self, now: Now, part: PartRef, batch: &Batch, is_set_aside: bool) {
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

    pub(super) fn produce_answer(&mut self, now: Now, id: RequestId, parts: Vec<PartRef>, outcome: Outcome) {
        match outcome {
            Ok(Answer::Produce { parts: produced, .. }) if produced.len() == parts.len() => {
                for (part, produced) in parts.into_iter().zip(produced) {
                    self.produced(now, id, part, produced);
                }
            }
            Ok(_) => self.all_failed(now, id, &parts, true, "an answer to something else"),
            Err(Failure::NotSent(text)) => self.all_failed(now, id, &parts, false, &text),
            Err(Failure::Unknown(text)) => self.all_failed(now, id, &parts, true, &text),
            Err(Failure::Unsupported(text)) => {
                self.all_failed(now, id, &parts, false, &text);
                self.park(None, text);
            }
        }
    }

    fn all_failed(&mut self, now: Now, id: RequestId, parts: &[PartRef], is_unsure: bool, text: &str) {
        for &part in parts {
            let Some(partition) = self.part(part).filter(|it| it.request == Some(id)) else { continue };
            partition.request = None;
            self.failed(now, part, State::Send, is_unsure, text);
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

    /// What came of one batch.
    fn produced(&mut self, now: Now, id: RequestId, part: PartRef, answer: Produced) {
        let Some(partition) = self.part(part).filter(|it| it.request == Some(id)) else { return };
        partition.request = None;
        let Some(batch) = &mut partition.batch else { return };
        let verdict = errors::verdict(answer.error);
        match verdict {
            Verdict::Done => {
                // A duplicate that is older than what the leader remembers has no offset.
                let offset = (answer.error == 0).then_some(answer.offset);
                self.confirm(now, part, offset);
            }
            Verdict::Again => {
                let is_again = answer.error == CORRUPT && std::mem::replace(&mut batch.corrupt, true);
                if answer.error == NOT_LEADER {
                    batch.doubt();
                }
                let name = errors::name(answer.error);
                if is_again && !std::mem::replace(&mut partition.told, true) {
                    let of = partition.of.clone();
                    self.say(Notice::Stuck { of, cause: name.clone() });
                }
                self.failed(now, part, State::Send, false, &name);
            }
            Verdict::Unsure => self.failed(now, part, State::Send, true, &errors::name(answer.error)),
            Verdict::OutOfOrder => {
                self.failed(now, part, State::Describe, true, &errors::name(answer.error));
            }
            Verdict::Timestamp if batch.stamp_ms.is_none() => {
                batch.stamp_ms = Some(now.unix_ms);
                partition.state = State::Send;
                self.make_ready(part);
            }
            Verdict::Refused | Verdict::Timestamp => self.refused(part, answer),
            Verdict::ParkTopic => {
                self.failed(now, part, State::Send, false, &errors::name(answer.error));
                self.park_topic(now, part.topic, answer.error);
            }
            Verdict::ParkTarget => {
                self.failed(now, part, State::Send, false, &errors::name(answer.error));
                let text = "another process writes with this broker's producer, or its rights are gone";
                self.park(Some(answer.error), text.into());
            }
        }
    }

    pub(super) fn confirm(&mut self, now: Now, part: PartRef, base_offset: Option<u64>) {
        let Some(partition) = self.part(part) else { return };
        partition.state = State::Idle;
        partition.retry_at = Duration::ZERO;
        let Some(batch) = partition.batch.take() else { return };
        if let Some(base_offset) = base_offset {
            partition.offset = Some(base_offset.saturating_add(batch.count()));
        }
        if partition.producer == Some(batch.producer) {
            partition.sequence = partition.sequence.saturating_add(batch.count());
        }
        self.let_go(now, part, &batch, false);
    }

    /// Its records are refused. Where no attempt was taken, the bounds may change: halved, until the
    /// one that is refused is alone, which is set aside.
    fn refused(&mut self, part: PartRef, answer: Produced) {
        let (target, ticket) = (self.settings.target, self.ticket());
        let Some(partition) = self.part(part) else { return };
        let Some(batch) = &mut partition.batch else { return };
        if batch.unsure && !(batch.verified && batch.searched) {
            // An earlier attempt may have been taken: that comes first. If nobody may look, it was
            // counted as possibly repeated.
            batch.searched = batch.verified;
            partition.state = if batch.verified { State::Find } else { State::Describe };
            return self.make_ready(part);
        }
        if batch.items.len() > 1 {
            let named = answer.offenders.first().map(|&(index, _)| index as usize);
            let at = match named {
                Some(0) => 1,
                Some(index) if index < batch.items.len() => index,
                _ => batch.items.len() / 2,
            };
            let Some(mut batch) = partition.batch.take() else { return };
            let rest = batch.items.split_off(at);
            partition.put_back(rest.into_iter());
            if batch.haunted {
                return self.intend_anew(part, batch);
            }
            return self.intend(part, Batch { old: None, sent: false, ..batch });
        }
        let Some(item) = batch.items.first().cloned() else { return };
        let text = answer.offenders.into_iter().find_map(|(_, text)| text).or(answer.text);
        let letter = DeadLetter {
            target,
            topic: Arc::clone(&partition.of.topic),
            partition: partition.of.partition.unsigned_abs(),
            sequence: item.sequence,
            error: answer.error,
            text: text.clone().unwrap_or_default().into(),
            record: Some(item.clone()),
        };
        let mut cursor = partition.cursor(target);
        cursor.next = item.sequence.saturating_add(1);
        let of = partition.of.clone();
        partition.state = State::SettingAside { ticket };
        self.controls.push(Control::DeadLetter(letter));
        self.controls.push(Control::Cursor(cursor));
        self.on_medium.push_back((ticket, part));
        self.say(Notice::SetAside { of, sequence: item.sequence, error: answer.error, text });
    }
}
