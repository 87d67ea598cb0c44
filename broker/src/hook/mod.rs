//! Hooks: which events become records, and for which streams. A core asks for the verdict on a topic once (the answer
//! lives beside the topic's route in its cache), reserves room for the records of a packet before anything happens,
//! and appends them when the packet is admitted. What becomes of the records is `millrace-kafka-sink`'s affair.

mod table;

pub use table::{HookTable, Verdict};

use crate::sys::RESERVED;
use crate::time::Now;
use millrace_kafka_sink::{AckToken, Durability, Event, EventData, Producer, Rule, value_len};
use std::sync::Arc;
use table::{Positions, SetId, Sets};

/// More than the names, punctuation and node name of any record's JSON.
const FRAME_BYTES: usize = 4_096;

/// The identity part of a record.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    /// Client id.
    pub client_id: &'a str,
    /// User name, `""` when there is none.
    pub username: &'a str,
}

/// The rules that take one event, found before it is admitted.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken(SetId);

impl Taken {
    /// Whether no rule takes it.
    #[inline]
    pub fn is_none(self) -> bool {
        self.0 == SetId::NONE
    }
}

/// What a rule set says of an event that is about to be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// All records fit.
    Free,
    /// Not now; `Completion::room` will tell when to try again.
    Full,
    /// A record would be larger than its rule allows; this never changes.
    TooLarge,
}

/// The hooks of one core.
pub struct Hooks {
    table: Arc<HookTable>,
    sets: Sets,
    producer: Producer,
    node: Arc<str>,
    /// Whose records the last question found room for, until the next question or append.
    admitted: Option<Taken>,
    /// Those records: their rules, and the bytes they take.
    records: Vec<(u16, usize)>,
}

impl Hooks {
    /// The hooks of the core that owns `producer`.
    pub fn new(table: Arc<HookTable>, producer: Producer, node: Arc<str>) -> Hooks {
        Hooks { table, sets: Sets::default(), producer, node, admitted: None, records: Vec::new() }
    }

    /// Which rules take messages on this topic; none takes the broker's own.
    pub fn verdict(&mut self, topic: &str) -> Verdict {
        if topic.starts_with(RESERVED) {
            return Verdict::default();
        }
        self.table.verdict(topic, &mut self.sets)
    }

    /// Whether rules on deliveries or acknowledgements exist at all: then receivers' cores need the publisher.
    #[inline]
    pub fn follows_messages(&self) -> bool {
        self.table.follows_messages()
    }

    /// The rules that take an event without a topic of its own (clients), or with a filter for one (sessions).
    pub fn taken(&mut self, data: &EventData<'_>) -> Taken {
        Taken(self.table.set_for(data, &mut self.sets))
    }

    /// The rules that take a publish on a topic with this verdict.
    #[inline]
    pub fn publish(verdict: Verdict) -> Taken {
        Taken(verdict.publish)
    }

    /// The rules that take a delivery on a topic with this verdict.
    #[inline]
    pub fn deliver(verdict: Verdict) -> Taken {
        Taken(verdict.deliver)
    }

    /// The rules that take an acknowledgement on a topic with this verdict.
    #[inline]
    pub fn acked(verdict: Verdict) -> Taken {
        Taken(verdict.acked)
    }

    /// Whether the records of this event fit now. Stays true until this core appends: a core is the only producer
    /// of its ring.
    pub fn room(&mut self, taken: Taken, now: Now, who: Who<'_>, data: EventData<'_>) -> Room {
        if taken.is_none() {
            return Room::Free;
        }
        self.admitted = None;
        self.records.clear();
        let event = event(now, who, data);
        let (mut bytes, mut found) = (0, Positions::new());
        for &position in self.table.resolve(taken.0, &event.data, &self.sets, &mut found) {
            let Some(rule) = self.table.rule(position) else { continue };
            let len = Producer::record_len(&event, rule);
            // The exact length of the value costs a walk over all texts. Escapes make a text at most six times as
            // long, so an event that takes few bytes on the ring cannot make a value that is too large.
            let limit = rule.max_record_bytes as usize;
            if len.saturating_mul(6) + FRAME_BYTES > limit && value_len(&event, &self.node) > limit {
                return Room::TooLarge;
            }
            if !self.producer.has_room_for(rule, len) {
                self.producer.want_room_for(rule);
                return Room::Full;
            }
            self.records.push((position, len));
            bytes += len;
        }
        if !self.producer.has_room(self.records.len(), bytes) {
            self.producer.want_room();
            return Room::Full;
        }
        self.admitted = Some(taken);
        Room::Free
    }

    /// Appends the records of an admitted event. Returns how many confirmations an acknowledgement must wait for:
    /// each comes back with `token`. Also for events that cannot be refused: then without asking for room.
    pub fn append(
        &mut self,
        taken: Taken,
        now: Now,
        who: Who<'_>,
        data: EventData<'_>,
        token: Option<AckToken>,
    ) -> u16 {
        if taken.is_none() {
            return 0;
        }
        let event = event(now, who, data);
        let token_for = |rule: &Rule| token.filter(|_| rule.durability != Durability::Memory);
        let mut waiting = 0;
        // Whoever appends without having asked, or in spite of the answer, is counted.
        if self.admitted.take() == Some(taken) {
            for &(position, bytes) in &self.records {
                let Some(rule) = self.table.rule(position) else { continue };
                let token = token_for(rule);
                waiting += u16::from(token.is_some());
                self.producer.append_admitted(rule, &event, bytes, token);
            }
            return waiting;
        }
        let mut found = Positions::new();
        for &position in self.table.resolve(taken.0, &event.data, &self.sets, &mut found) {
            let Some(rule) = self.table.rule(position) else { continue };
            let token = token_for(rule);
            waiting += u16::from(token.is_some());
            self.producer.append(rule, &event, token);
        }
        waiting
    }

    /// Appends the records of an event that nobody is made to wait for (any more). Returns how many events were left
    /// out, 0 or 1: one whose record is larger than its rule allows.
    pub fn record(&mut self, taken: Taken, now: Now, who: Who<'_>, data: EventData<'_>) -> u64 {
        let too_large = self.room(taken, now, who, data) == Room::TooLarge;
        if !too_large {
            self.append(taken, now, who, data, None);
        }
        u64::from(too_large)
    }

    /// Hands the records of this turn to the log thread.
    #[inline]
    pub fn flush(&mut self) {
        self.producer.flush();
    }
}

fn event<'a>(now: Now, who: Who<'a>, data: EventData<'a>) -> Event<'a> {
    Event { ts_ms: now.unix_ms, client_id: who.client_id, username: who.username, data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_kafka_sink::{Completion, EventKind, LogConfig, Rule, log};

    struct Nobody;

    impl Completion for Nobody {
        fn durable(&self, _core: usize, _tokens: Vec<AckToken>) {}
        fn room(&self, _core: usize) {}
    }

    /// The publisher waits for each record that is more than accepted, whether the disk or Kafka confirms it.
    #[test]
    fn confirmations_to_wait_for() {
        use Durability::{Kafka, Log, Memory};
        let cases: &[(&[Durability], u16)] =
            &[(&[Memory], 0), (&[Log], 1), (&[Kafka], 1), (&[Memory, Log, Kafka], 2), (&[Kafka, Kafka], 2)];
        for (durabilities, expected) in cases {
            let directory = tempfile::tempdir().expect("a directory");
            let settings = LogConfig::new(directory.path().join("log"), "millrace@test");
            let (log, _) = log::open(settings, log::file::RealFs::new(), 1, 1).expect("a new log");
            let rule = |(index, &durability): (usize, &Durability)| {
                let name = format!("rule{index}");
                let rule =
                    Rule::new(Rule::id_of(&name), &name, EventKind::ClientDisconnected, "s").expect("a rule");
                Rule { durability, to_kafka: true, ..rule }
            };
            let rules: Vec<Rule> = durabilities.iter().enumerate().map(rule).collect();
            let (running, mut producers) =
                millrace_kafka_sink::start(log, 1, Arc::new(Nobody), &rules, None).expect("started");
            let producer = producers.pop().expect("one core");
            let mut hooks = Hooks::new(Arc::new(HookTable::new(rules)), producer, "n".into());
            let data = EventData::Disconnected { reason: "end" };
            let taken = hooks.taken(&data);
            let token = AckToken { slot: 0, generation: 0, sequence: 0 };
            let (now, who) = (Now::default(), Who { client_id: "c", username: "" });
            assert_eq!(hooks.append(taken, now, who, data, Some(token)), *expected, "{durabilities:?}");
            assert_eq!(hooks.append(taken, now, who, data, None), 0, "{durabilities:?}");
            drop(hooks);
            running.stop(std::time::Duration::ZERO).expect("stopped");
        }
    }
}
