//! `$delayed/SECONDS/TOPIC`: a PUBLISH is acknowledged now, and published to TOPIC so many seconds later in its
//! publisher's name. It waits in the memory of the publisher's core, in order of time.

use super::seen::Seen;
use super::{Core, Next, Parked, SlotId};
use crate::delivery::{Message, Stored};
use crate::hook::{Hooks, Room, Verdict};
use crate::sys::is_reserved;
use millrace_codec::{Error, Publish, QoS, ReasonCode, Version};
use millrace_kafka_sink::EventData;
use std::collections::BTreeMap;

/// What topics begin with that mean this.
pub(super) const PREFIX: &str = "$delayed/";
/// Messages published in one turn.
const RELEASES: usize = 256;
/// How soon it is tried again when there was no room.
const AGAIN_MS: u64 = 10;

/// Messages of one core that are published later.
#[derive(Default)]
pub(super) struct Delayed {
    /// By time, and in the order in which they came.
    waiting: BTreeMap<(u64, u64), Parked>,
    bytes: u64,
    number: u64,
    /// There was no room; not before this time again.
    again_ms: u64,
}

/// The delay and the topic.
fn parse(topic: &str, max_seconds: u32) -> Option<(u32, &str)> {
    let (seconds, topic) = topic.strip_prefix(PREFIX)?.split_once('/')?;
    if !seconds.bytes().all(|byte| byte.is_ascii_digit()) {
        return None; // a sign
    }
    let seconds: u32 = seconds.parse().ok()?;
    let is_allowed = (1..=max_seconds).contains(&seconds)
        && !topic.is_empty()
        && !topic.starts_with(PREFIX)
        && !is_reserved(topic);
    is_allowed.then_some((seconds, topic))
}

impl Core {
    /// Whether a PUBLISH on this topic waits.
    #[inline]
    pub(super) fn is_delayed(&self, topic: &str) -> bool {
        self.shared.modules.delayed.enabled && topic.starts_with(PREFIX)
    }

    /// Takes a new message that is to be published later.
    #[cold]
    pub(super) fn delay(&mut self, index: u32, id: SlotId, publish: &Publish<'_>) -> Next {
        let limits = self.shared.modules.delayed.clone();
        let Some(session) = self.sessions.at(id.index) else { return Next::Gone };
        let v5 = session.version == Version::V5;
        let Some((seconds, topic)) = parse(publish.topic, limits.max_seconds) else {
            // 3.x has no code for it [MQTT-3.3.5-2 of 3.1.1].
            let reason = if v5 { ReasonCode::TopicNameInvalid } else { ReasonCode::Success };
            self.answer(index, id, publish, 0, reason);
            return Next::Go;
        };
        let message = Message {
            topic,
            from: &session.client_id,
            properties: publish.properties.raw(),
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            verdict: Verdict::default(),
            order: 0,
            share: 0,
        };
        // Its expiry counts from when it is published, as it stands there.
        let message = Stored::new(&message, 0);
        let len = message.len() as u64;
        let full = self.delayed.waiting.len() >= limits.max_messages as usize
            || self.delayed.bytes + len > limits.max_bytes;
        if full {
            self.counters.delayed_refused += 1;
            if !v5 && publish.qos != QoS::AtMostOnce {
                // An acknowledgement would be a promise.
                let error =
                    Error::protocol_as(ReasonCode::QuotaExceeded, "as many delayed messages as there may be");
                return self.illegal(index, error);
            }
            self.answer(index, id, publish, 0, ReasonCode::QuotaExceeded);
            return Next::Go;
        }
        let parked =
            Parked { client_id: session.client_id.clone(), username: session.username.clone(), message };
        let due_ms = self.now.mono_ms + u64::from(seconds) * 1_000;
        self.delayed.number += 1;
        self.delayed.bytes += len;
        self.delayed.waiting.insert((due_ms, self.delayed.number), parked);
        self.answer(index, id, publish, 0, ReasonCode::Success);
        Next::Go
    }

    /// When the next message is to be published.
    pub(super) fn delayed_ms(&self) -> Option<u64> {
        let first = self.delayed.waiting.first_key_value();
        first.map(|((due_ms, _), _)| (*due_ms).max(self.delayed.again_ms))
    }

    /// Publishes messages whose time has come, as far as there is room.
    pub(super) fn release_delayed(&mut self) {
        let now_ms = self.now.mono_ms;
        for _ in 0..RELEASES {
            if self.delayed_ms().is_none_or(|at| at > now_ms) {
                return;
            }
            if !self.has_room_for_delayed() {
                self.delayed.again_ms = now_ms + AGAIN_MS;
                return;
            }
            let Some((_, parked)) = self.delayed.waiting.pop_first() else { return };
            self.delayed.bytes -= parked.message.len() as u64;
            self.parked.push_back(parked);
            self.publish_parked();
        }
    }

    /// Whether the first message can be published now: with its records, to all cores that want it.
    fn has_room_for_delayed(&mut self) -> bool {
        // One that is to be retained and cannot be yet goes first.
        let Some((_, parked)) = self.delayed.waiting.first_key_value() else { return false };
        if !self.parked.is_empty() {
            return false;
        }
        let Message { topic, payload, qos, .. } = parked.message.message();
        let (cores, seen) = Seen::of(&mut self.cache, &self.shared.routes, &mut self.hooks, topic);
        let taken = Hooks::publish(seen.verdict);
        let event = EventData::Publish { topic, payload, qos: qos as u8, packet_id: 0 };
        let room = self.hooks.room(taken, self.now, parked.who(), event);
        room != Room::Full && self.has_room(cores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_and_topics() {
        let cases: &[(&str, Option<(u32, &str)>)] = &[
            ("$delayed/1/t", Some((1, "t"))),
            ("$delayed/600/a/b", Some((600, "a/b"))),
            ("$delayed/601/t", None),
            ("$delayed/5//", Some((5, "/"))),
            ("$delayed/0/t", None),
            ("$delayed/+1/t", None),
            ("$delayed/-1/t", None),
            ("$delayed//t", None),
            ("$delayed/1/", None),
            ("$delayed/1", None),
            ("$delayed/1.5/t", None),
            ("$delayed/99999999999/t", None),
            ("$delayed/1/$SYS/t", None),
            ("$delayed/1/$delayed/1/t", None),
        ];
        for (topic, expected) in cases {
            assert_eq!(parse(topic, 600), *expected, "{topic}");
        }
    }
}
