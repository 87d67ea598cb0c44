//! What has been sent to a client and not been acknowledged, and what waits behind it. Pure state; called by
//! `worker`, knows neither sockets nor clocks.
//!
//! The window is a ring indexed by packet id: ids are given out in order, so the slot of an id is its distance from
//! the oldest one. No map, no search, 16 bytes a message.
//!
//! A kept session keeps the window while its client is away. When it is back, everything in it that is not
//! acknowledged is sent again, oldest first, before anything new [MQTT-4.4.0-1, MQTT-4.6.0-1].

use crate::config::QueueFull;
use crate::delivery::Stored;
use millrace_codec::QoS;
use std::collections::VecDeque;
use std::sync::Arc;

/// Packet ids run from 1 to 65,535 [MQTT-2.2.1-3].
const IDS: u32 = 65_535;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    PubAck,
    PubRec,
    PubComp,
    Done,
}

#[derive(Debug)]
struct Slot {
    state: State,
    /// The retain flag it was sent with.
    retain: bool,
    /// Sent on the present connection, so that it counts against the receiver's maximum.
    sent: bool,
    /// The subscription identifier it was sent with; 0 for none.
    subscription_id: u32,
    /// Kept until it is acknowledged when `message.acked` wants it or the session outlives its connection.
    held: Option<Arc<Stored>>,
}

/// A message that waits for room in the window or in the socket, or for its client.
#[derive(Clone, Debug)]
pub struct Queued {
    /// The message.
    pub message: Arc<Stored>,
    /// The QoS it will be delivered with.
    pub qos: QoS,
    /// The retain flag it will be delivered with.
    pub retain: bool,
    /// The identifier of the subscription that it is for; 0 for none.
    pub subscription_id: u32,
}

/// What is to be sent again to a client that is back.
#[derive(Debug)]
pub enum Resend {
    /// PUBLISH with its old packet id and the dup flag.
    Publish(u16, Queued),
    /// PUBREL of a message that the client has received.
    PubRel(u16),
}

/// What a PUBACK or PUBCOMP did.
#[derive(Debug)]
pub enum Acked {
    /// The message is delivered; its place in the window is free. With what was kept of it.
    Released(Option<Arc<Stored>>),
    /// No such message is in flight.
    Unknown,
    /// The message waits for another packet: the client has lost count of the protocol.
    Misplaced,
}

/// What a PUBREC asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// Send PUBREL.
    SendPubRel,
    /// The receiver refused the message (5.0): it is done with.
    Refused,
    /// No such message: 5.0 answers PUBREL with 0x92.
    Unknown,
    /// The message is one of QoS 1.
    Misplaced,
}

/// Limits of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Messages.
    pub messages: u32,
    /// Bytes of the messages.
    pub bytes: u64,
    /// What becomes of one more.
    pub full: QueueFull,
}

/// The sending half of a session.
#[derive(Debug)]
pub struct Outbound {
    window: VecDeque<Slot>,
    /// The id that the next message gets.
    next_id: u16,
    /// Messages sent on the present connection and not acknowledged.
    in_flight: u16,
    limit: u16,
    /// Slots at the front of the window that need not be sent again; as many as there are, but after a resumption.
    resent: usize,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
}

impl Outbound {
    /// Nothing sent yet; at most `limit` messages unacknowledged.
    pub fn new(limit: u16) -> Outbound {
        Outbound {
            window: VecDeque::new(),
            next_id: 1,
            in_flight: 0,
            limit: limit.max(1),
            resent: 0,
            queue: VecDeque::new(),
            queued_bytes: 0,
        }
    }

    /// Whether one more new QoS 1 or 2 message may be sent now. The window may span more ids than are in flight when a
    /// client leaves an old one unacknowledged; the span is bounded by four times the limit.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.in_flight < self.limit
            && self.window.len() < (usize::from(self.limit) * 4).min(IDS as usize - 1)
            && self.is_caught_up()
    }

    /// Takes the next packet id for a message that is sent now. Call only after `has_room`.
    #[inline]
    pub fn send(&mut self, qos: QoS, retain: bool, subscription_id: u32, held: Option<Arc<Stored>>) -> u16 {
        let state = if qos == QoS::ExactlyOnce { State::PubRec } else { State::PubAck };
        let id = self.next_id;
        self.next_id = if id == u16::MAX { 1 } else { id + 1 };
        self.in_flight += 1;
        self.window.push_back(Slot { state, retain, sent: true, subscription_id, held });
        self.resent += 1;
        id
    }

    /// The client is back on a new connection that takes at most `limit` messages at a time [MQTT-3.3.4-9].
    pub fn resume(&mut self, limit: u16) {
        self.limit = limit.max(1);
        self.in_flight = 0;
        self.resent = 0;
        self.window.iter_mut().for_each(|slot| slot.sent = false);
        self.trim();
    }

    /// The oldest message that is to be sent again, if the client may be sent one now.
    pub fn resend(&mut self) -> Option<Resend> {
        let len = self.window.len();
        while let Some(slot) = self.window.get_mut(self.resent) {
            let id = (u32::from(self.next_id) - 1 + IDS - (len - self.resent) as u32) % IDS + 1;
            let slot = match (slot.state, &slot.held) {
                (State::PubComp, _) => {
                    self.resent += 1;
                    return Some(Resend::PubRel(id as u16));
                }
                (State::PubAck | State::PubRec, Some(_)) if self.in_flight >= self.limit => return None,
                (State::PubAck | State::PubRec, Some(_)) => slot,
                // Acknowledged, or of a session that was not meant to be kept.
                _ => {
                    slot.state = State::Done;
                    self.resent += 1;
                    continue;
                }
            };
            let qos = if slot.state == State::PubRec { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
            let (retain, subscription_id) = (slot.retain, slot.subscription_id);
            let message = slot.held.clone()?;
            slot.sent = true;
            self.in_flight += 1;
            self.resent += 1;
            return Some(Resend::Publish(id as u16, Queued { message, qos, retain, subscription_id }));
        }
        self.trim();
        None
    }

    /// Gives up a message in flight: the client takes no packet of its size [MQTT-3.1.2-25].
    pub fn give_up(&mut self, packet_id: u16) {
        if let Some(slot) = self.slot(packet_id)
            && slot.state != State::Done
        {
            let sent = slot.finish();
            self.finish(sent);
        }
    }

    fn slot(&mut self, packet_id: u16) -> Option<&mut Slot> {
        let len = self.window.len() as u32;
        // Ids counted from 0; `front` is that of the oldest slot.
        let front = (u32::from(self.next_id) + IDS - 1 - len) % IDS;
        let position = (u32::from(packet_id.checked_sub(1)?) + IDS - front) % IDS;
        self.window.get_mut(position as usize)
    }

    fn finish(&mut self, sent: bool) {
        self.in_flight = self.in_flight.saturating_sub(u16::from(sent));
        self.trim();
    }

    fn trim(&mut self) {
        while self.window.front().is_some_and(|slot| slot.state == State::Done) {
            self.window.pop_front();
            self.resent = self.resent.saturating_sub(1);
        }
    }

    fn acknowledge(&mut self, packet_id: u16, expected: State) -> Acked {
        match self.slot(packet_id) {
            Some(slot) if slot.state == expected => {
                let held = slot.held.take();
                let sent = slot.finish();
                self.finish(sent);
                Acked::Released(held)
            }
            Some(slot) if slot.state != State::Done => Acked::Misplaced,
            _ => Acked::Unknown,
        }
    }

    /// What is kept of the message that this PUBACK (`QoS::AtLeastOnce`) or PUBCOMP would release.
    pub fn held(&mut self, qos: QoS, packet_id: u16) -> Option<&Arc<Stored>> {
        let expected = if qos == QoS::ExactlyOnce { State::PubComp } else { State::PubAck };
        self.slot(packet_id).filter(|slot| slot.state == expected)?.held.as_ref()
    }

    /// PUBACK.
    pub fn puback(&mut self, packet_id: u16) -> Acked {
        self.acknowledge(packet_id, State::PubAck)
    }

    /// PUBCOMP.
    pub fn pubcomp(&mut self, packet_id: u16) -> Acked {
        self.acknowledge(packet_id, State::PubComp)
    }

    /// PUBREC; `refused` when it carries an error (5.0) [MQTT-4.3.3-4].
    pub fn pubrec(&mut self, packet_id: u16, refused: bool) -> Received {
        match self.slot(packet_id) {
            Some(slot) if slot.state == State::PubRec && refused => {
                let sent = slot.finish();
                self.finish(sent);
                Received::Refused
            }
            Some(slot) if slot.state == State::PubRec => {
                slot.state = State::PubComp;
                Received::SendPubRel
            }
            // A repeated PUBREC gets its PUBREL again.
            Some(slot) if slot.state == State::PubComp && !refused => Received::SendPubRel,
            Some(slot) if slot.state == State::PubAck => Received::Misplaced,
            _ => Received::Unknown,
        }
    }

    /// Whether messages wait: then a new one goes behind them (order).
    #[inline]
    pub fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether nothing is left that a client that is back gets again.
    pub fn is_caught_up(&self) -> bool {
        self.resent == self.window.len()
    }

    /// Whether anything waits to be sent: what a client that is back gets again, or the queue.
    #[inline]
    pub fn has_more(&self) -> bool {
        !self.is_caught_up() || self.has_queue()
    }

    /// Messages that the client has not acknowledged, or that wait for it.
    pub fn outstanding(&self) -> u32 {
        u32::from(self.in_flight) + self.queue.len() as u32
    }

    /// Messages and bytes that wait.
    pub fn queued(&self) -> (usize, usize) {
        (self.queue.len(), self.queued_bytes)
    }

    /// Appends to the queue. Returns how many messages were dropped for the limits' sake, this one perhaps.
    pub fn enqueue(&mut self, queued: Queued, limits: QueueLimits) -> u64 {
        let len = queued.message.len();
        let mut dropped = 0;
        // One message may exceed the bytes: it would never fit otherwise.
        while self.queue.len() >= limits.messages as usize || self.queued_bytes as u64 >= limits.bytes {
            dropped += 1;
            if limits.full == QueueFull::RefuseNewest || self.dequeue().is_none() {
                return dropped;
            }
        }
        self.queued_bytes += len;
        self.queue.push_back(queued);
        dropped
    }

    /// Takes out what was got as a member of a group, oldest first: all that waits, and before it, if the client has
    /// gone, QoS 1 in flight. QoS 2 in flight stays [MQTT-4.8.2-4].
    pub fn take_shared(&mut self, share: u32, gone: bool) -> Vec<Queued> {
        let mut taken = Vec::new();
        for at in 0..if gone { self.window.len() } else { 0 } {
            let Some(slot) = self.window.get_mut(at) else { break };
            let Some(held) = slot.held.as_ref().filter(|held| held.share() == share) else { continue };
            if slot.state == State::PubAck {
                let message = Arc::clone(held);
                let (qos, retain, subscription_id) = (QoS::AtLeastOnce, slot.retain, slot.subscription_id);
                taken.push(Queued { message, qos, retain, subscription_id });
                self.in_flight = self.in_flight.saturating_sub(u16::from(slot.finish()));
            }
        }
        self.trim();
        for queued in std::mem::take(&mut self.queue) {
            if queued.message.share() == share {
                self.queued_bytes -= queued.message.len();
                taken.push(queued);
            } else {
                self.queue.push_back(queued);
            }
        }
        taken
    }

    /// The message that is to be sent next.
    pub fn front(&self) -> Option<&Queued> {
        self.queue.front()
    }

    /// Takes the message that `front` showed.
    pub fn dequeue(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front()?;
        self.queued_bytes -= queued.message.len();
        if self.queue.is_empty() {
            self.queue.shrink_to(32);
        }
        Some(queued)
    }
}

impl Slot {
    /// Acknowledged, or given up. Returns whether it counted against the receiver's maximum.
    fn finish(&mut self) -> bool {
        self.state = State::Done;
        self.held = None;
        std::mem::take(&mut self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use QoS::{AtLeastOnce, ExactlyOnce};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn released(acked: &Acked) -> bool {
        matches!(acked, Acked::Released(_))
    }

    fn acked(model: &BTreeMap<u16, State>, id: u16, expected: State) -> Acked {
        match model.get(&id) {
            Some(state) if *state == expected => Acked::Released(None),
            Some(_) => Acked::Misplaced,
            None => Acked::Unknown,
        }
    }

    fn same(one: &Acked, other: &Acked) -> bool {
        std::mem::discriminant(one) == std::mem::discriminant(other)
    }

    #[test]
    fn qos_2_passes_through_its_states() {
        let mut out = Outbound::new(10);
        let id = out.send(ExactlyOnce, false, 0, None);
        assert!(matches!(out.puback(id), Acked::Misplaced));
        assert!(matches!(out.pubcomp(id), Acked::Misplaced));
        assert_eq!(out.pubrec(id, false), Received::SendPubRel);
        assert_eq!(out.pubrec(id, false), Received::SendPubRel);
        assert!(matches!(out.puback(id), Acked::Misplaced));
        assert!(released(&out.pubcomp(id)));
        assert!(matches!(out.pubcomp(id), Acked::Unknown));
        assert_eq!(out.pubrec(id, false), Received::Unknown);
    }

    #[test]
    fn an_old_message_left_unacknowledged_bounds_the_window() {
        let mut out = Outbound::new(2);
        let old = out.send(AtLeastOnce, false, 0, None);
        let mut later = 0;
        while out.has_room() {
            let id = out.send(AtLeastOnce, false, 0, None);
            assert!(released(&out.puback(id)));
            later += 1;
            assert!(later < 100);
        }
        assert_eq!(later, 7);
        assert!(released(&out.puback(old)));
        assert!(out.has_room());
        assert_eq!(out.window.len(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        /// Against a map from id to state, over the wrap of packet ids.
        #[test]
        fn the_window_agrees_with_a_map(start in 65_500u16.., steps in proptest::collection::vec((0u8..6, 0u16..40), 1..400)) {
            let mut out = Outbound::new(16);
            out.next_id = start;
            let mut model: BTreeMap<u16, State> = BTreeMap::new();
            let mut given = Vec::new();
            for (step, pick) in steps {
                let id = if given.is_empty() { pick } else { given[given.len() - 1 - usize::from(pick) % given.len()] };
                match step {
                    0 | 1 => if out.has_room() {
                        let qos = if step == 0 { AtLeastOnce } else { ExactlyOnce };
                        let id = out.send(qos, false, 0, None);
                        prop_assert!(id != 0);
                        let state = if step == 0 { State::PubAck } else { State::PubRec };
                        prop_assert_eq!(model.insert(id, state), None);
                        given.push(id);
                    },
                    2 => {
                        prop_assert!(same(&out.puback(id), &acked(&model, id, State::PubAck)));
                        if model.get(&id) == Some(&State::PubAck) { model.remove(&id); }
                    }
                    3 | 4 => {
                        let refused = step == 4;
                        let expected = match model.get(&id) {
                            Some(State::PubRec) if refused => { model.remove(&id); Received::Refused }
                            Some(State::PubRec) => { model.insert(id, State::PubComp); Received::SendPubRel }
                            Some(State::PubComp) if !refused => Received::SendPubRel,
                            Some(State::PubAck) => Received::Misplaced,
                            _ => Received::Unknown,
                        };
                        prop_assert_eq!(out.pubrec(id, refused), expected);
                    }
                    _ => {
                        prop_assert!(same(&out.pubcomp(id), &acked(&model, id, State::PubComp)));
                        if model.get(&id) == Some(&State::PubComp) { model.remove(&id); }
                    }
                }
                prop_assert_eq!(usize::from(out.in_flight), model.len());
            }
        }
    }
}
