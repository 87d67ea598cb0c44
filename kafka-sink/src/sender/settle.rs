//! What became of a batch whose outcome is unknown: what the leader remembers of its producer, and
//! if that is nothing, whether it stands in the partition.

use super::errors::{self, Verdict};
use super::notice::Notice;
use super::partition::{Batch, SEQUENCES, State};
use super::request::{Answer, Failure, Known, Outcome, Request, RequestId};
use super::{Action, Now, PartRef, Pending, Sender, flow::tally};
use crate::log::control::ProducerId;

/// Kafka's error for an offset that is not there any more.
const OFFSET_OUT_OF_RANGE: i16 = 1;

impl Sender {
    pub(super) fn ask(&mut self, part: PartRef, request: Request) {
        let id = self.request(request, Pending::Ask(part));
        if let Some(partition) = self.part(part) {
            partition.request = Some(id);
        }
    }

    pub(super) fn describe(&mut self, part: PartRef, leader: i32) {
        let Some(partition) = self.part(part) else { return };
        let Some(batch) = &partition.batch else { return };
        let of = partition.of.clone();
        let request = Request::DescribeProducer { node: leader, of, producer: batch.producer.id };
        partition.state = State::Describing;
        self.ask(part, request);
    }

    pub(super) fn find(&mut self, part: PartRef, leader: i32) {
        let Some(partition) = self.part(part) else { return };
        let Some(batch) = &partition.batch else { return };
        let request = Request::FindBatch {
            node: leader,
            of: partition.of.clone(),
            from: partition.offset,
            producer: batch.producer,
            base_sequence: i32::try_from(batch.base).unwrap_or(0),
        };
        partition.state = State::Finding;
        self.ask(part, request);
    }

    pub(super) fn ask_answer(&mut self, now: Now, id: RequestId, part: PartRef, outcome: Outcome) {
        let Some(partition) = self.part(part).filter(|it| it.request == Some(id)) else { return };
        partition.request = None;
        let again = match partition.state {
            State::AskingOffset => State::Idle,
            State::Describing => State::Describe,
            State::Finding => State::Find,
            _ => return,
        };
        let error = match outcome {
            Ok(Answer::EndOffset { error: 0, offset }) => {
                partition.offset = Some(offset);
                partition.offset_asked = true;
                partition.state = State::Idle;
                return self.make_ready(part);
            }
            Ok(Answer::DescribeProducer { error: 0, known }) => return self.described(part, known),
            Ok(Answer::FindBatch { error: 0, found }) => return self.found(now, part, found),
            Ok(
                Answer::EndOffset { error, .. }
                | Answer::DescribeProducer { error, .. }
                | Answer::FindBatch { error, .. },
            ) => error,
            Err(Failure::Unsupported(_)) => return self.cannot_ask(part, again),
            Err(Failure::NotSent(text) | Failure::Unknown(text)) => {
                return self.failed(now, part, again, false, &text);
            }
            Ok(_) => return self.failed(now, part, again, false, "an answer to something else"),
        };
        match errors::verdict(error) {
            _ if error == OFFSET_OUT_OF_RANGE && again == State::Find => {
                // Kafka has deleted what stood there; what is left begins later.
                if partition.offset.take().is_none() {
                    return self.failed(now, part, State::Find, false, &errors::name(error));
                }
                partition.state = State::Find;
                self.make_ready(part);
            }
            Verdict::ParkTopic | Verdict::ParkTarget | Verdict::Refused => self.cannot_ask(part, again),
            _ => self.failed(now, part, again, false, &errors::name(error)),
        }
    }

    /// Reading is refused, or the broker is too old for the question.
    fn cannot_ask(&mut self, part: PartRef, what: State) {
        let Some(partition) = self.part(part) else { return };
        match what {
            State::Idle => {
                partition.offset_asked = true;
                partition.state = State::Idle;
            }
            State::Describe => partition.state = State::Find,
            _ => self.send_unverified(part, "Kafka does not let this broker read the topic (right READ), so what it may have taken cannot be told"),
        }
        self.make_ready(part);
    }

    fn send_unverified(&mut self, part: PartRef, why: &'static str) {
        let Some(partition) = self.part(part) else { return };
        partition.state = State::Send;
        let Some(batch) = &mut partition.batch else { return };
        batch.verified = true;
        batch.blind = true;
        let (records, tally) = (batch.count(), tally(&batch.items));
        let of = partition.of.clone();
        self.actions.push(Action::PossiblyRepeated(tally));
        self.say(Notice::PossiblyRepeated { of, records, why });
    }

    /// What the leader remembers of the batch's producer.
    fn described(&mut self, part: PartRef, known: Option<Known>) {
        let Some(partition) = self.part(part) else { return };
        let Some(batch) = &mut partition.batch else { return };
        let Some(known) = known else {
            partition.state = State::Find;
            return self.make_ready(part);
        };
        batch.verified = true;
        partition.state = State::Send;
        if known.epoch > batch.producer.epoch {
            let text = "Kafka knows a later epoch of this broker's producer: is a copy of its data directory in use?";
            return self.park(Some(47), text.into());
        }
        let ahead = match known.epoch < batch.producer.epoch {
            // It has not heard of ours, or lost all of it.
            true => -i64::try_from(batch.base).unwrap_or(0),
            false => ahead(batch.base, known.last_sequence),
        };
        let count = batch.count() as i64;
        batch.stands = ahead == count;
        if ahead == 0 {
            batch.unsure = false;
        } else if ahead != count {
            return self.renew_epoch(part, ahead);
        }
        // Where it stands already, the same again is answered with its offset once all replicas have it.
        self.make_ready(part);
    }

    /// The leader's sequence is one that cannot be: it has lost what it confirmed (or worse). A new
    /// epoch begins with sequence 0.
    fn renew_epoch(&mut self, part: PartRef, ahead: i64) {
        let Some(partition) = self.part(part) else { return };
        let Some(batch) = partition.batch.take() else { return };
        let of = partition.of.clone();
        let records = batch.count();
        if ahead < 0 {
            self.say(Notice::LostByKafka { of, records: ahead.unsigned_abs() });
        } else {
            self.actions.push(Action::PossiblyRepeated(tally(&batch.items)));
            let why = "the leader remembers a sequence that was never sent";
            self.say(Notice::PossiblyRepeated { of, records, why });
        }
        self.intend_anew(part, batch);
    }

    /// The batch goes with sequence 0 of the next epoch: whatever is still on its way with its
    /// old sequences is fenced.
    pub(super) fn intend_anew(&mut self, part: PartRef, batch: Batch) {
        let Some(producer) = self.next_epoch(part, batch.producer) else {
            let Some(partition) = self.part(part) else { return };
            partition.put_back(batch.items.into_iter());
            partition.state = State::Idle;
            return self.make_ready(part);
        };
        let (unsure, verified, stands, searched) = (false, false, false, false);
        let fresh = Batch {
            producer,
            base: 0,
            old: None,
            unsure,
            verified,
            stands,
            searched,
            haunted: false,
            sent: false,
            blind: false,
            ..batch
        };
        self.intend(part, fresh);
    }

    /// The epoch after that of `producer`, which the partition goes on with if it is its own. `None`
    /// after the last one: another producer is asked for.
    pub(super) fn next_epoch(&mut self, part: PartRef, producer: ProducerId) -> Option<ProducerId> {
        let next = producer.epoch.checked_add(1).map(|epoch| ProducerId { epoch, ..producer });
        let partition = self.part(part)?;
        if partition.producer.is_some_and(|known| known.id == producer.id) {
            partition.producer = next;
            partition.sequence = 0;
        }
        if next.is_none() && self.cluster.producer.is_some_and(|known| known.id == producer.id) {
            self.cluster.producer = None;
        }
        next
    }

    fn found(&mut self, now: Now, part: PartRef, found: Option<u64>) {
        if found.is_some() {
            return self.confirm(now, part, found);
        }
        let Some(partition) = self.part(part) else { return };
        let Some(batch) = &mut partition.batch else { return };
        if batch.stands {
            // Consumers cannot see it yet, and an election may still undo it.
            batch.verified = false;
            batch.searched = false;
            return self.failed(now, part, State::Describe, false, "its batch is not on all replicas yet");
        }
        partition.state = State::Send;
        batch.verified = true;
        batch.unsure = false;
        self.make_ready(part);
    }
}

/// How many of our records the leader has behind those before `base`; negative if it lacks some.
fn ahead(base: u64, last: i32) -> i64 {
    let next = (u64::from(last.unsigned_abs()) + 1) % SEQUENCES;
    let distance = (next + SEQUENCES - base % SEQUENCES) % SEQUENCES;
    let distance = distance as i64;
    if distance >= (SEQUENCES / 2) as i64 { distance - SEQUENCES as i64 } else { distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_go_round() {
        let cases = [
            (0, i32::MAX, 0),
            (0, 9, 10),
            (10, 9, 0),
            (10, 19, 10),
            (10, 4, -5),
            (2_147_483_640, i32::MAX, 8),
            (2_147_483_640, 1, 10),
            (2, 2_147_483_644, -5),
        ];
        for (base, last, expected) in cases {
            assert_eq!(ahead(base, last), expected, "{base} {last}");
        }
    }
}
