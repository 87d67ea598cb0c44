//! The thread, with a machine that writes down what it hears and does as the test says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::super::driver::{Action, DriverHandle, Looks, Machine, Source, Surroundings, start};
use super::client;
use super::fake::{Fake, answer, drain, fake, handshake, producer_id, request};
use crate::log::control::{Control, Target};
use crate::log::port::{Awaited, Group, Port};
use crate::ring::AckToken;
use crate::sender::Now;
use crate::sender::request::{Outcome, Request, RequestId};
use crate::status::KafkaStatus;

/// What the machine was told, in words.
type Heard = String;

#[derive(Default)]
struct Script {
    actions: VecDeque<Action<Scripted>>,
    polls: u32,
    deadline: Option<Duration>,
    done: bool,
}

struct Scripted {
    script: Arc<Mutex<Script>>,
    heard: Sender<Heard>,
    durable: u64,
    durable_to: u64,
    last: Option<Now>,
}

impl Scripted {
    fn hear(&self, what: String) {
        let _ = self.heard.send(what);
    }
}

impl Machine for Scripted {
    type Reader = u8;
    type Delivered = u32;
    type Notice = &'static str;

    fn poll(&mut self, now: Now, actions: &mut Vec<Action<Self>>) {
        assert!(self.last.is_none_or(|last| last.mono <= now.mono) && now.unix_ms > 1_600_000_000_000);
        self.last = Some(now);
        let mut script = self.script.lock();
        script.polls += 1;
        if script.deadline.is_some_and(|deadline| deadline <= now.mono) {
            script.deadline = None;
            self.hear("deadline".into());
        }
        actions.extend(script.actions.drain(..));
    }

    fn answer(&mut self, _: Now, id: RequestId, outcome: Outcome) {
        self.hear(format!("answer {} {}", id.0, outcome.is_ok()));
    }

    fn durable(&mut self, _: Now, ticket: u64) {
        if ticket != self.durable {
            self.durable = ticket;
            self.hear(format!("durable {ticket}"));
        }
    }

    fn group(&mut self, group: Arc<Group>) {
        self.hear(format!("group {:?}", group.sequences));
    }

    fn read_done(&mut self, _: Now, reader: u8, groups: Result<Vec<Arc<Group>>, String>) {
        self.hear(format!("read {reader} {:?}", groups.map(|groups| groups.len())));
    }

    fn awaited(&mut self, awaited: &[Awaited]) {
        self.hear(format!("awaited {:?}", awaited.iter().map(|one| one.sequence).collect::<Vec<_>>()));
    }

    fn deadline(&self) -> Option<Duration> {
        self.script.lock().deadline
    }

    fn durable_to(&mut self, sequence: u64) {
        if sequence != self.durable_to {
            self.durable_to = sequence;
            self.hear(format!("durable to {sequence}"));
        }
    }

    fn status(&self) -> Looks {
        (KafkaStatus { state: "scripted".into(), ..KafkaStatus::default() }, [(7, 3)].into())
    }

    fn stop(&mut self, _: Duration) {
        self.hear("stop".into());
    }

    fn is_done(&self) -> bool {
        self.script.lock().done
    }
}

struct Around(Sender<Heard>);

struct Files(u64);

impl Source for Files {
    fn read(&mut self, from: u64) -> Result<Vec<Arc<Group>>, String> {
        // Which of its reads this is shows that the source is kept from one to the next.
        self.0 += 1;
        Err(format!("read number {} from {from}", self.0))
    }
}

impl Surroundings<Scripted> for Around {
    fn open(&mut self, reader: u8) -> Box<dyn Source> {
        let _ = self.0.send(format!("open {reader}"));
        Box::new(Files(0))
    }

    fn delivered(&mut self, delivered: u32) {
        let _ = self.0.send(format!("delivered {delivered}"));
    }

    fn say(&mut self, notice: &'static str) {
        let _ = self.0.send(format!("say {notice}"));
    }
}

struct Rig {
    script: Arc<Mutex<Script>>,
    heard: Receiver<Heard>,
    port: Arc<Port>,
    handle: DriverHandle,
    _peer: Fake,
}

impl Rig {
    fn new() -> Rig {
        let peer = fake(|mut socket, _| {
            handshake(&mut socket);
            while let Some(asked) = request(&mut socket) {
                answer(&mut socket, asked.correlation, &producer_id(1));
            }
            drain(&mut socket);
        });
        let script = Arc::<Mutex<Script>>::default();
        let (send, heard) = channel();
        let machine = Scripted {
            script: Arc::clone(&script),
            heard: send.clone(),
            durable: 0,
            durable_to: 0,
            last: None,
        };
        let port = Arc::new(Port::new(0, 0, 1 << 20, Arc::default()));
        let client = client(&[&peer.address()], Duration::from_secs(5));
        let handle = start(machine, Around(send), client, Arc::clone(&port)).expect("a thread");
        Rig { script, heard, port, handle, _peer: peer }
    }

    /// Gives the machine something to do and wakes the thread, as the log does.
    fn act(&self, actions: impl IntoIterator<Item = Action<Scripted>>) {
        self.script.lock().actions.extend(actions);
        self.port.publish(None, [], 0, 0);
    }

    #[track_caller]
    fn hears(&self, expected: &[&str]) {
        for expected in expected {
            let heard = self.heard.recv_timeout(Duration::from_secs(5)).expect("something to hear");
            assert_eq!(heard, *expected);
        }
    }

    fn publish(&self, first: u64, awaited: bool) {
        let group = Group::new(1, "node".into(), first..first + 1, vec![0; 8], self.port.budget());
        let token = AckToken { slot: 0, generation: 0, sequence: 0 };
        let awaited = awaited.then_some(Awaited { sequence: first, core: 0, token });
        self.port.publish(Some(Arc::new(group)), awaited, first + 1, 0);
    }
}

#[test]
fn actions_are_carried_out_in_order_and_answered() {
    let rig = Rig::new();
    let target = Target { target: 0, cluster: "c".into(), floor: 0, producer: None };
    rig.act([
        Action::Say("hello"),
        Action::Delivered(3),
        Action::Submit(vec![Control::Target(target.clone())]),
        Action::Floor(9),
        Action::Read { reader: 2, from: 40 },
        Action::Say("done"),
    ]);
    rig.hears(&["say hello", "delivered 3", "open 2", "say done", "read 2 Err(\"read number 1 from 40\")"]);
    let (controls, ticket) = rig.port.take_controls();
    assert_eq!((controls, ticket, rig.port.floor()), (vec![Control::Target(target)], 1, 9));
    rig.port.publish(None, [], 0, ticket);
    rig.hears(&["durable 1"]);
    rig.act([Action::Read { reader: 2, from: 41 }]);
    rig.hears(&["read 2 Err(\"read number 2 from 41\")"]);
    rig.act([Action::Request(RequestId(7), Request::InitProducerId)]);
    rig.hears(&["answer 7 true"]);
    let of = crate::sender::request::TopicPartition { topic: "t".into(), partition: 0 };
    rig.act([Action::Request(RequestId(8), Request::EndOffset { node: 5, of })]);
    rig.hears(&["answer 8 false"]);
}

#[test]
fn groups_come_behind_what_is_awaited_and_before_it_is_said_how_far_they_go() {
    let rig = Rig::new();
    rig.publish(0, true);
    rig.hears(&["awaited [0]", "group 0..1", "durable to 1"]);
    rig.publish(1, true);
    rig.hears(&["awaited [1]", "group 1..2", "durable to 2"]);
    for first in 2..300 {
        rig.publish(first, false);
    }
    let (mut next, mut durable) = (2, 2);
    while durable < 300 {
        let heard = rig.heard.recv_timeout(Duration::from_secs(5)).expect("something to hear");
        if heard == format!("group {next}..{}", next + 1) {
            next += 1;
        } else {
            durable = heard.strip_prefix("durable to ").and_then(|at| at.parse().ok()).expect("how far");
            assert!(durable <= next, "{durable} is said before the group of {next} came");
        }
    }
    assert_eq!(next, 300);
}

#[test]
fn others_may_look() {
    let rig = Rig::new();
    let (kafka, oldest) = rig.handle.status().expect("an answer");
    assert_eq!((kafka.state.as_str(), oldest.get(&7)), ("scripted", Some(&3)));
}

#[test]
fn a_deadline_wakes_it_and_nothing_else_does() {
    let rig = Rig::new();
    rig.script.lock().deadline = Some(Duration::from_millis(300));
    rig.act([]);
    rig.hears(&["deadline"]);
    // One at the start, one for the wake, one for the deadline; a timer may be early by a tick.
    let polls = rig.script.lock().polls;
    assert!(polls <= 5, "{polls} turns");
}

#[test]
fn stops_when_the_machine_is_done_or_the_grace_is_over() {
    let rig = Rig::new();
    let begun = Instant::now();
    let script = Arc::clone(&rig.script);
    let waker = Arc::clone(&rig.port);
    let finish = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        script.lock().done = true;
        waker.publish(None, [], 0, 0);
    });
    let heard = rig.heard;
    rig.handle.stop(Duration::from_secs(20));
    finish.join().expect("no panic");
    assert_eq!(heard.recv().as_deref(), Ok("stop"));
    assert!(begun.elapsed() >= Duration::from_millis(100) && begun.elapsed() < Duration::from_secs(10));

    let rig = Rig::new();
    let begun = Instant::now();
    // Two seconds more are for the last cursors.
    rig.handle.stop(Duration::from_millis(150));
    assert!(begun.elapsed() >= Duration::from_millis(150) && begun.elapsed() < Duration::from_secs(10));
}

/// Whoever drops it does not wait, and nothing that is of no use any more goes on for long.
#[test]
fn dropping_it_ends_the_thread_at_once() {
    let Rig { heard, handle, .. } = Rig::new();
    let begun = Instant::now();
    drop(handle);
    while heard.recv_timeout(Duration::from_secs(10)).is_ok() {}
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
