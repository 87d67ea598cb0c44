//! The network: requests on their way, answers on their way back, and what becomes of both.

use std::sync::Arc;

use super::super::super::request::{Answer, Failure, Outcome, Request, RequestId};
use super::{Arrived, Kafka, Meet};
use crate::log::port::Group;

/// A client gives a request up after this time.
const REQUEST_TIMEOUT_MS: u64 = 30_000;

#[derive(Debug)]
pub(super) struct Flight {
    pub(super) life: u64,
    pub(super) id: RequestId,
    pub(super) request: Request,
    /// The client has had an answer or a failure, or is gone.
    pub(super) over: bool,
    /// It is not going to be carried out (any more).
    pub(super) carried_out: bool,
    pub(super) fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    Unanswered,
    Late,
    Lost,
}

#[derive(Debug)]
pub(super) enum Step {
    Execute(u64),
    Fail(u64, Failure),
    Reply(u64, Outcome),
}

impl Kafka {
    /// A request leaves process `life`.
    pub(crate) fn send(&mut self, now_ms: u64, life: u64, id: RequestId, request: Request) {
        self.now_ms = self.now_ms.max(now_ms);
        self.marks.requests += 1;
        let node = node_of(&request);
        let reachable = match node {
            Some(node) => self.nodes.get(&node).is_some_and(|node| node.up),
            None => self.nodes.values().any(|node| node.up),
        };
        let scripted = self.take_network_meet(&request);
        let mut fate = match scripted {
            Some(Meet::Lost) => Fate::Lost,
            Some(Meet::Unanswered) => Fate::Unanswered,
            Some(Meet::Late(_)) => Fate::Late,
            _ => Fate::Answered,
        };
        let dice = self.random.below(1000);
        let faults = self.faults;
        let mut bound = faults.not_sent;
        let not_sent = dice < bound;
        for (rate, of) in
            [(faults.lost, Fate::Lost), (faults.unanswered, Fate::Unanswered), (faults.late, Fate::Late)]
        {
            if dice >= bound && dice < bound + rate && scripted.is_none() {
                fate = of;
            }
            bound += rate;
        }
        let flight = self.next;
        self.flights
            .insert(flight, Flight { life, id, request, over: false, carried_out: fate == Fate::Lost, fate });
        let to = 1 + self.delay();
        if !reachable || (not_sent && scripted.is_none()) {
            self.marks.not_sent += 1;
            self.flights.entry(flight).and_modify(|flight| flight.carried_out = true);
            self.at(to, Step::Fail(flight, Failure::NotSent("node:9092: connection refused".into())));
            return;
        }
        let given_up = Failure::Unknown("node:9092: the connection ended".into());
        // A connection that breaks is noticed at once, one that hangs at the time-out.
        let breaks = if self.random.one_in(2) { to + self.delay() } else { REQUEST_TIMEOUT_MS };
        match fate {
            Fate::Answered => self.at(to, Step::Execute(flight)),
            Fate::Lost => self.at(breaks, Step::Fail(flight, given_up)),
            Fate::Unanswered => {
                self.marks.unanswered += 1;
                self.at(to, Step::Execute(flight));
                self.at(breaks + 1, Step::Fail(flight, given_up));
            }
            Fate::Late => {
                self.marks.late += 1;
                let (gives_up, executes) = match scripted {
                    Some(Meet::Late(after)) => (1000, 1000 + after),
                    _ => (breaks, breaks + 1 + self.random.below(60_000)),
                };
                self.at(gives_up, Step::Fail(flight, given_up));
                self.at(executes, Step::Execute(flight));
            }
        }
        self.at(
            REQUEST_TIMEOUT_MS,
            Step::Fail(flight, Failure::Unknown("node:9092: no answer within 30 s".into())),
        );
    }

    /// The process is gone. What it has sent is not.
    pub(crate) fn disconnect(&mut self, life: u64) {
        for flight in self.flights.values_mut().filter(|flight| flight.life == life) {
            flight.over = true;
            detach(&mut flight.request);
        }
        self.flights.retain(|_, flight| !(flight.over && flight.carried_out));
    }

    /// When something happens next.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.steps.keys().next().map(|key| key.0)
    }

    /// Nothing that was sent may still be carried out.
    pub(crate) fn is_quiet(&self) -> bool {
        self.flights.is_empty()
    }

    /// Carries out everything that is due, and returns what has arrived at the clients.
    pub(crate) fn run(&mut self, now_ms: u64) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        while let Some(entry) = self.steps.first_entry().filter(|entry| entry.key().0 <= now_ms) {
            let ((at, _), step) = entry.remove_entry();
            self.now_ms = self.now_ms.max(at);
            match step {
                Step::Execute(flight) => self.execute(flight),
                Step::Fail(flight, failure) => self.arrive(flight, Err(failure), &mut arrived),
                Step::Reply(flight, outcome) => self.arrive(flight, outcome, &mut arrived),
            }
        }
        arrived
    }

    fn arrive(&mut self, number: u64, outcome: Outcome, arrived: &mut Vec<Arrived>) {
        let Some(flight) = self.flights.get_mut(&number) else { return };
        if !std::mem::replace(&mut flight.over, true) {
            arrived.push((flight.life, flight.id, outcome));
            detach(&mut flight.request);
        }
        self.forget_flight(number);
    }

    fn execute(&mut self, number: u64) {
        let Some(flight) = self.flights.get_mut(&number).filter(|flight| !flight.carried_out) else { return };
        if let Some(node) = node_of(&flight.request) {
            let Some(node) = self.nodes.get(&node).filter(|node| node.up) else {
                flight.carried_out = true;
                let ended = Failure::Unknown("node:9092: the connection ended".into());
                self.at(1, Step::Fail(number, ended));
                return;
            };
            if node.stalled_until > self.now_ms {
                let wait = node.stalled_until - self.now_ms;
                self.at(wait, Step::Execute(number));
                return;
            }
        }
        flight.carried_out = true;
        let (request, fate, late) = (flight.request.clone(), flight.fate, flight.over);
        let outcome = self.answer(&request, late);
        if fate == Fate::Answered {
            let mut back = 1 + self.delay();
            // An answer that asks to wait is an answer.
            if let Ok(Answer::Produce { throttle, .. }) = &outcome {
                back += throttle.as_millis() as u64 / 4;
            }
            self.at(back, Step::Reply(number, outcome));
        }
        self.forget_flight(number);
    }

    /// What is late does not reach a topic that was made after it was sent: its connection is gone.
    pub(super) fn lose_late_ones(&mut self) {
        for flight in self.flights.values_mut() {
            flight.carried_out |= flight.over || flight.fate == Fate::Late;
        }
        self.flights.retain(|_, flight| !(flight.over && flight.carried_out));
    }

    fn forget_flight(&mut self, number: u64) {
        if self.flights.get(&number).is_some_and(|flight| flight.over && flight.carried_out) {
            self.flights.remove(&number);
        }
    }

    fn at(&mut self, in_ms: u64, step: Step) {
        self.next += 1;
        self.steps.insert((self.now_ms + in_ms, self.next), step);
    }

    /// Mostly short, sometimes long: answers overtake each other.
    fn delay(&mut self) -> u64 {
        if self.random.one_in(20) { self.random.below(2000) } else { self.random.below(10) }
    }

    /// The network's part of what a produced batch is to meet.
    fn take_network_meet(&mut self, request: &Request) -> Option<Meet> {
        let Request::Produce { parts, .. } = request else { return None };
        for part in parts {
            let meets = self.meets.get_mut(&part.of)?;
            if matches!(meets.front(), Some(Meet::Lost | Meet::Unanswered | Meet::Late(_))) {
                return meets.pop_front();
            }
        }
        None
    }
}

/// What its sender has given up is the network's: it does not count in the sender's memory.
fn detach(request: &mut Request) {
    let Request::Produce { parts, .. } = request else { return };
    for item in parts.iter_mut().flat_map(|part| &mut part.records) {
        let Group { segment_id, node, sequences, body, .. } = &*item.group;
        let copy = Group::new(*segment_id, node.clone(), sequences.clone(), body.clone(), &Arc::default());
        item.group = Arc::new(copy);
    }
}

fn node_of(request: &Request) -> Option<i32> {
    match request {
        Request::Produce { node, .. }
        | Request::DescribeProducer { node, .. }
        | Request::FindBatch { node, .. }
        | Request::EndOffset { node, .. } => Some(*node),
        Request::Metadata { .. }
        | Request::CreateTopic { .. }
        | Request::InitProducerId
        | Request::MinInsyncReplicas { .. } => None,
    }
}
