//! What came of a request with batches, and what it means for each of them.

use std::sync::Arc;
use std::time::Duration;

use super::errors::{self, CORRUPT, NOT_LEADER, Verdict};
use super::notice::Notice;
use super::partition::{Batch, State};
use super::request::{Answer, Failure, Outcome, Produced, RequestId};
use super::{Now, PartRef, Sender};
use crate::log::control::{Control, DeadLetter};

impl Sender {
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
            Verdict::OutOfOrder if batch.blind => {
                // It is the only one on its way, so were it there, it would be known. The leader has
                // lost what came before it, how much nobody may ask: a new epoch begins with 0.
                let Some(batch) = partition.batch.take() else { return };
                self.intend_anew(part, batch);
            }
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
