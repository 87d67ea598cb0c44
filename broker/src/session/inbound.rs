//! What a client has sent and not been answered for: acknowledgements owed, in order, and the QoS 2 packet ids that
//! have been received and not released. Pure state; called by `worker`, knows neither sockets nor clocks.

use millrace_codec::{QoS, ReasonCode};
use std::collections::VecDeque;

/// One acknowledgement owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owed {
    packet_id: u16,
    /// How many confirmations are outstanding (records to become durable; later also durable sessions on other
    /// cores and the owner of a retained topic).
    waiting: u16,
    reason: ReasonCode,
    /// Its client went away: it is not sent before the client has asked again.
    muted: bool,
}

/// Acknowledgements owed in the order of their PUBLISH packets [MQTT-4.6.0-2, MQTT-4.6.0-3].
#[derive(Debug, Default)]
pub struct AckQueue {
    /// Sequence of the front entry; wraps.
    first: u32,
    owed: VecDeque<Owed>,
}

impl AckQueue {
    /// How many acknowledgements are owed.
    pub fn len(&self) -> usize {
        self.owed.len()
    }

    /// Whether none is owed: then a packet that waits for nothing may be answered at once.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.owed.is_empty()
    }

    /// The sequence that the next entry will have.
    pub fn next_sequence(&self) -> u32 {
        self.first.wrapping_add(self.owed.len() as u32)
    }

    /// Owes one more, which is ready after `waiting` confirmations.
    pub fn push(&mut self, packet_id: u16, waiting: u16, reason: ReasonCode) {
        self.owed.push_back(Owed { packet_id, waiting, reason, muted: false });
    }

    /// One confirmation for the entry of this sequence. A sequence that is not owed (any more) is ignored.
    pub fn confirm(&mut self, sequence: u32) {
        let position = sequence.wrapping_sub(self.first) as usize;
        if let Some(owed) = self.owed.get_mut(position) {
            owed.waiting = owed.waiting.saturating_sub(1);
        }
    }

    /// The next acknowledgement that may be sent: packet id and reason.
    pub fn pop_ready(&mut self) -> Option<(u16, ReasonCode)> {
        loop {
            let owed = self.owed.pop_front_if(|owed| owed.waiting == 0)?;
            self.first = self.first.wrapping_add(1);
            if !owed.muted {
                return Some((owed.packet_id, owed.reason));
            }
        }
    }

    fn owes(&mut self, packet_id: u16) -> Option<&mut Owed> {
        self.owed.iter_mut().find(|owed| owed.packet_id == packet_id)
    }

    /// Forgets all of them; confirmations that are still to come are for nothing.
    fn clear(&mut self) {
        self.first = self.next_sequence();
        self.owed = VecDeque::new();
    }

    /// Sends none of them before its client has asked again: on its next connection a packet id may be in use for
    /// another message by then.
    fn mute(&mut self) {
        self.owed.iter_mut().for_each(|owed| owed.muted = true);
    }
}

/// What a PUBLISH with QoS 1 or 2 is to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A message not seen before: route it, then `take` it.
    New,
    /// A QoS 2 packet id that is known and was answered: send the PUBREC again, route nothing [MQTT-4.3.3-10].
    Repeated,
    /// A QoS 2 packet id whose PUBREC is still owed: it will be sent, route nothing.
    Pending,
    /// More unacknowledged messages than allowed: 5.0 closes with 0x93, 3.x waits.
    OverLimit,
}

/// The receiving half of a session.
#[derive(Debug)]
pub struct Inbound {
    /// Unacknowledged QoS 1 and 2 messages allowed: our receive maximum.
    limit: u16,
    /// PUBACKs owed.
    pub pubacks: AckQueue,
    /// PUBRECs owed.
    pub pubrecs: AckQueue,
    /// QoS 2 packet ids between PUBLISH and PUBREL. At most `limit`, usually a handful: searched in order.
    received: Vec<u16>,
}

impl Inbound {
    /// Nothing received yet.
    pub fn new(limit: u16) -> Inbound {
        Inbound { limit, pubacks: AckQueue::default(), pubrecs: AckQueue::default(), received: Vec::new() }
    }

    /// The connection has ended, the session stays: what was received with QoS 2 is still known
    /// [section 4.1], acknowledgements are not sent any more.
    pub fn pause(&mut self) {
        self.pubacks.clear();
        self.pubrecs.mute();
    }

    /// The client is back, and may have `limit` messages unacknowledged.
    pub fn resume(&mut self, limit: u16) {
        self.limit = limit;
    }

    /// What this PUBLISH is; changes nothing that counts, so that a packet that is not admitted can be asked about
    /// again.
    pub fn classify(&mut self, qos: QoS, packet_id: u16) -> Arrival {
        if qos == QoS::ExactlyOnce && self.received.contains(&packet_id) {
            let Some(owed) = self.pubrecs.owes(packet_id) else { return Arrival::Repeated };
            owed.muted = false;
            return Arrival::Pending;
        }
        // Refused QoS 2 messages are not received, but their PUBRECs may be owed behind others.
        if self.pubacks.len() + self.received.len().max(self.pubrecs.len()) >= usize::from(self.limit) {
            return Arrival::OverLimit;
        }
        Arrival::New
    }

    /// Takes a new message that was routed and waits for `waiting` confirmations. Returns the acknowledgement when
    /// it may be sent at once; else it comes out of the queue later.
    #[inline]
    pub fn take(&mut self, qos: QoS, packet_id: u16, waiting: u16, reason: ReasonCode) -> bool {
        if qos == QoS::ExactlyOnce && !reason.is_error() {
            self.received.push(packet_id);
        }
        let queue = self.queue_mut(qos);
        if waiting == 0 && queue.is_empty() {
            return true;
        }
        queue.push(packet_id, waiting, reason);
        false
    }

    /// The queue of acknowledgements for messages of this QoS.
    pub fn queue_mut(&mut self, qos: QoS) -> &mut AckQueue {
        if qos == QoS::ExactlyOnce { &mut self.pubrecs } else { &mut self.pubacks }
    }

    /// Whether all that the client may have under way waits for its PUBREL, and nothing for us.
    pub fn is_unreleased(&self) -> bool {
        self.pubacks.is_empty() && self.pubrecs.is_empty() && self.received.len() >= usize::from(self.limit)
    }

    /// Whether a QoS 2 message with this packet id was received and is not released.
    pub fn has_received(&self, packet_id: u16) -> bool {
        self.received.contains(&packet_id)
    }

    /// PUBREL: forgets the packet id. `false` when it was not known (5.0: PUBCOMP with 0x92).
    pub fn release(&mut self, packet_id: u16) -> bool {
        let position = self.received.iter().position(|&known| known == packet_id);
        if let Some(position) = position {
            self.received.swap_remove(position);
        }
        position.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use QoS::{AtLeastOnce, ExactlyOnce};

    #[test]
    fn acknowledgements_leave_in_the_order_of_their_publishes() {
        let mut inbound = Inbound::new(10);
        let first = inbound.pubacks.next_sequence();
        assert!(!inbound.take(AtLeastOnce, 1, 2, ReasonCode::Success));
        // Waits for nothing itself, but goes behind the first.
        assert!(!inbound.take(AtLeastOnce, 2, 0, ReasonCode::Success));
        inbound.pubacks.confirm(first);
        assert_eq!(inbound.pubacks.pop_ready(), None);
        inbound.pubacks.confirm(first);
        assert_eq!(inbound.pubacks.pop_ready(), Some((1, ReasonCode::Success)));
        assert_eq!(inbound.pubacks.pop_ready(), Some((2, ReasonCode::Success)));
        assert_eq!(inbound.pubacks.pop_ready(), None);
        assert!(inbound.take(AtLeastOnce, 3, 0, ReasonCode::Success));
    }

    #[test]
    fn confirmations_of_what_is_gone_change_nothing() {
        let mut queue = AckQueue { first: u32::MAX, owed: VecDeque::new() };
        queue.push(7, 1, ReasonCode::Success);
        queue.push(8, 1, ReasonCode::Success);
        queue.confirm(u32::MAX - 1);
        queue.confirm(1);
        assert_eq!(queue.pop_ready(), None);
        queue.confirm(0); // the second entry: the sequence wrapped
        assert_eq!(queue.pop_ready(), None);
        queue.confirm(u32::MAX);
        assert_eq!(queue.pop_ready(), Some((7, ReasonCode::Success)));
        assert_eq!(queue.pop_ready(), Some((8, ReasonCode::Success)));
    }

    #[test]
    fn a_qos_2_message_is_new_once() {
        let mut inbound = Inbound::new(10);
        assert_eq!(inbound.classify(ExactlyOnce, 5), Arrival::New);
        let sequence = inbound.pubrecs.next_sequence();
        inbound.take(ExactlyOnce, 5, 1, ReasonCode::Success);
        assert_eq!(inbound.classify(ExactlyOnce, 5), Arrival::Pending);
        inbound.pubrecs.confirm(sequence);
        assert!(inbound.pubrecs.pop_ready().is_some());
        assert_eq!(inbound.classify(ExactlyOnce, 5), Arrival::Repeated);
        assert!(inbound.release(5));
        assert!(!inbound.release(5));
        assert_eq!(inbound.classify(ExactlyOnce, 5), Arrival::New);
    }

    #[test]
    fn a_session_that_pauses_answers_only_what_is_asked_again() {
        let mut inbound = Inbound::new(10);
        inbound.take(AtLeastOnce, 1, 1, ReasonCode::Success);
        let first = inbound.pubrecs.next_sequence();
        for id in [5, 6] {
            inbound.take(ExactlyOnce, id, 1, ReasonCode::Success);
        }
        let puback = inbound.pubacks.next_sequence().wrapping_sub(1);
        inbound.pause();
        inbound.resume(10);
        // The QoS 1 message will be sent again and is a new one; its old confirmation is nobody's.
        inbound.take(AtLeastOnce, 1, 1, ReasonCode::Success);
        inbound.pubacks.confirm(puback);
        assert_eq!(inbound.pubacks.pop_ready(), None);
        assert_eq!(inbound.classify(ExactlyOnce, 6), Arrival::Pending);
        inbound.pubrecs.confirm(first);
        inbound.pubrecs.confirm(first.wrapping_add(1));
        assert_eq!(inbound.pubrecs.pop_ready(), Some((6, ReasonCode::Success)));
        assert_eq!(inbound.pubrecs.pop_ready(), None);
        // Became durable while the client was away: answered when it asks.
        assert_eq!(inbound.classify(ExactlyOnce, 5), Arrival::Repeated);
    }

    #[test]
    fn a_refused_qos_2_message_leaves_no_packet_id() {
        let mut inbound = Inbound::new(10);
        assert!(inbound.take(ExactlyOnce, 5, 0, ReasonCode::QuotaExceeded));
        assert_eq!(inbound.classify(ExactlyOnce, 5), Arrival::New);
    }

    #[test]
    fn refusals_that_are_owed_count() {
        let mut inbound = Inbound::new(3);
        inbound.take(ExactlyOnce, 1, 1, ReasonCode::Success);
        inbound.take(ExactlyOnce, 2, 0, ReasonCode::NotAuthorized);
        assert_eq!(inbound.classify(ExactlyOnce, 2), Arrival::New);
        inbound.take(ExactlyOnce, 2, 0, ReasonCode::NotAuthorized);
        assert_eq!(inbound.classify(ExactlyOnce, 2), Arrival::OverLimit);
    }

    #[test]
    fn t13_unreleased_ids_and_owed_acknowledgements_share_one_limit() {
        let mut inbound = Inbound::new(3);
        inbound.take(ExactlyOnce, 1, 0, ReasonCode::Success);
        inbound.take(ExactlyOnce, 2, 0, ReasonCode::Success);
        inbound.take(AtLeastOnce, 3, 1, ReasonCode::Success);
        assert_eq!(inbound.classify(AtLeastOnce, 4), Arrival::OverLimit);
        assert_eq!(inbound.classify(ExactlyOnce, 4), Arrival::OverLimit);
        // A repeat of a known id is no new message.
        assert_eq!(inbound.classify(ExactlyOnce, 2), Arrival::Repeated);
        inbound.release(1);
        assert_eq!(inbound.classify(ExactlyOnce, 4), Arrival::New);
    }
}
