//! A log in memory: records and controls in one order, durable after a while, lost in a power cut
//! before that.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::event::{Event, EventData, EventKind};
use crate::log::control::{Control, DeadLetter, KAFKA, TargetState, Targets};
use crate::log::entry;
use crate::log::port::{Awaited, Group};
use crate::log::sim::Random;
use crate::ring::AckToken;
use crate::rule::Rule;

/// A record as it was offered.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    pub(crate) topic: Arc<str>,
    /// Empty: none.
    pub(crate) key: String,
    pub(crate) uid: u64,
    pub(crate) ts_ms: u64,
    pub(crate) core: u8,
    pub(crate) target: u16,
    pub(crate) payload: usize,
    /// Somebody waits for Kafka.
    pub(crate) awaited: bool,
}

/// A record as it stands in the log.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    pub(crate) of: Offered,
    pub(crate) rule: u32,
    pub(crate) bytes: u64,
}

struct Stored {
    sequences: Range<u64>,
    body: Vec<u8>,
}

/// Where the log is kept, if not in memory alone.
pub(crate) trait Disk {
    /// False: the power is gone, and this may be on the medium or not.
    fn append(&mut self, body: &[u8], records: u32, controls: &[Control]) -> bool;
    /// Groups below `durable`.
    fn read(&mut self, from: u64, durable: u64, bytes: usize, budget: &Arc<AtomicUsize>) -> Vec<Arc<Group>>;
    fn set_floor(&mut self, floor: u64);
    /// A start after a power cut or a kill: the sequence that the next record gets, and the state.
    fn restart(&mut self) -> (u64, TargetState);
}

struct Writing {
    done_at: u64,
    stored: Stored,
    truths: Vec<(u64, Truth)>,
    controls: Vec<Control>,
    awaited: Vec<Awaited>,
    ticket: u64,
}

/// What became durable at once.
pub(crate) struct News {
    pub(crate) group: Option<Arc<Group>>,
    pub(crate) awaited: Vec<Awaited>,
    pub(crate) controls: Vec<Control>,
    /// The ticket that is durable once these are.
    pub(crate) ticket: u64,
}

pub(crate) struct Log {
    node: Arc<str>,
    stored: Vec<Stored>,
    /// Every durable record, by sequence.
    pub(crate) truths: BTreeMap<u64, Truth>,
    /// Every durable control, in order.
    pub(crate) controls: Vec<Control>,
    waiting: VecDeque<Offered>,
    waiting_controls: Vec<Control>,
    next_ticket: u64,
    writing: Option<Writing>,
    pub(crate) durable: u64,
    /// Records below may be gone.
    pub(crate) floor: u64,
    /// Groups that are not kept in memory for the sink, one in so many; 0: all are kept.
    pub(crate) forgets_one_in: u64,
    pub(crate) tail_bytes_max: usize,
    pub(crate) budget: Arc<AtomicUsize>,
    pub(crate) disk: Option<Box<dyn Disk>>,
    /// The disk takes nothing any more.
    pub(crate) is_off: bool,
    random: Random,
}

/// The rule of a topic's records: its id follows from the name.
pub(crate) fn rule_of(topic: &str) -> Rule {
    let id = crc32c::crc32c(topic.as_bytes());
    Rule::new(id, topic, EventKind::MessagePublish, topic).expect("a valid name")
}

impl Log {
    pub(crate) fn new(seed: u64, first: u64) -> Log {
        Log {
            node: "millrace@127.0.0.1".into(),
            stored: Vec::new(),
            truths: BTreeMap::new(),
            controls: Vec::new(),
            waiting: VecDeque::new(),
            waiting_controls: Vec::new(),
            next_ticket: 0,
            writing: None,
            durable: first,
            floor: 0,
            forgets_one_in: 0,
            tail_bytes_max: 64 << 10,
            budget: Arc::default(),
            disk: None,
            is_off: false,
            random: Random::new(seed ^ 0x0106),
        }
    }

    pub(crate) fn offer(&mut self, record: Offered) {
        self.waiting.push_back(record);
    }

    /// As [`Port::submit`](crate::log::port::Port::submit).
    pub(crate) fn submit(&mut self, controls: Vec<Control>) -> u64 {
        self.waiting_controls.extend(controls);
        self.next_ticket += 1;
        self.next_ticket - 1
    }

    pub(crate) fn set_floor(&mut self, floor: u64) {
        self.floor = floor;
        if let Some(disk) = &mut self.disk {
            disk.set_floor(floor);
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.writing.is_none() && self.waiting.is_empty() && self.waiting_controls.is_empty()
    }

    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.writing.as_ref().map(|writing| writing.done_at)
    }

    /// Begins a group, if none is being written and there is something to write.
    pub(crate) fn begin(&mut self, now_ms: u64) {
        if self.writing.is_some() || (self.waiting.is_empty() && self.waiting_controls.is_empty()) {
            return;
        }
        let most = 1 + self.random.below(20) as usize;
        let records: Vec<Offered> = self.waiting.drain(..self.waiting.len().min(most)).collect();
        let first = self.durable;
        let mut body = Vec::new();
        let (mut truths, mut awaited) = (Vec::new(), Vec::new());
        for (index, of) in records.into_iter().enumerate() {
            let (at, sequence) = (body.len(), first + index as u64);
            let rule = rule_of(&of.topic);
            let mut payload = vec![b'x'; of.payload];
            payload.extend_from_slice(&of.uid.to_le_bytes());
            let data = EventData::Publish { topic: "devices/1", payload: &payload, qos: 1, packet_id: 0 };
            let event = Event { ts_ms: of.ts_ms, client_id: &of.key, username: "", data };
            entry::append_record(&mut body, &rule, &event);
            let entry = &mut body[at..];
            entry[48..50].copy_from_slice(&of.target.to_le_bytes());
            entry[53] = of.core;
            entry::number_record(entry, 0, 1, sequence, sequence);
            if of.awaited {
                let token = AckToken { slot: 0, generation: 0, sequence: of.uid as u32 };
                awaited.push(Awaited { sequence, core: of.core, token });
            }
            let bytes = (body.len() - at) as u64;
            truths.push((sequence, Truth { of, rule: rule.id, bytes }));
        }
        let long = if self.random.one_in(30) { 500 } else { 5 };
        self.writing = Some(Writing {
            done_at: now_ms + 1 + self.random.below(long),
            stored: Stored { sequences: first..first + truths.len() as u64, body },
            truths,
            controls: std::mem::take(&mut self.waiting_controls),
            awaited,
            ticket: self.next_ticket,
        });
    }

    /// The group is durable, once its time has come.
    pub(crate) fn finish(&mut self, now_ms: u64) -> Option<News> {
        let writing = self.writing.take_if(|writing| writing.done_at <= now_ms)?;
        if let Some(disk) = &mut self.disk
            && !disk.append(&writing.stored.body, writing.truths.len() as u32, &writing.controls)
        {
            self.is_off = true;
            self.writing = Some(Writing { done_at: u64::MAX, ..writing });
            return None;
        }
        Some(self.complete(writing))
    }

    fn complete(&mut self, writing: Writing) -> News {
        let Writing { stored, truths, controls, awaited, ticket, .. } = writing;
        self.durable = stored.sequences.end;
        self.truths.extend(truths);
        for control in &controls {
            self.controls.push(match control {
                // The record is not part of the entry, and would hold its group.
                Control::DeadLetter(letter) => {
                    Control::DeadLetter(DeadLetter { record: None, ..letter.clone() })
                }
                control => control.clone(),
            });
        }
        let forgets = self.forgets_one_in > 0 && self.random.one_in(self.forgets_one_in);
        let held = self.budget.load(std::sync::atomic::Ordering::Relaxed);
        let keeps = !forgets && held + stored.body.len() <= self.tail_bytes_max;
        let group = (keeps && !stored.sequences.is_empty()).then(|| self.group(&stored));
        if !stored.sequences.is_empty() {
            self.stored.push(stored);
        }
        News { group, awaited, controls, ticket }
    }

    fn group(&self, stored: &Stored) -> Arc<Group> {
        let (sequences, body) = (stored.sequences.clone(), stored.body.clone());
        Arc::new(Group::new(1, self.node.clone(), sequences, body, &self.budget))
    }

    /// Durable groups that hold records from `from` on; those below the floor are gone.
    pub(crate) fn read(&mut self, from: u64, bytes_max: usize) -> Vec<Arc<Group>> {
        if let Some(disk) = &mut self.disk {
            return disk.read(from, self.durable, bytes_max, &self.budget);
        }
        let mut groups: Vec<Arc<Group>> = Vec::new();
        let mut bytes = 0;
        for stored in &self.stored {
            if stored.sequences.end > from && stored.sequences.end > self.floor && bytes <= bytes_max {
                bytes += stored.body.len();
                groups.push(self.group(stored));
            }
        }
        groups
    }

    /// The process ends. What is not durable is lost, but what is being written may have made it;
    /// then these are its controls, which nobody has been told of.
    pub(crate) fn crash(&mut self) -> (Vec<Control>, TargetState) {
        self.waiting.clear();
        self.waiting_controls.clear();
        self.next_ticket = 0;
        let writing = self.writing.take();
        let Some(disk) = &mut self.disk else {
            let controls = match writing {
                Some(writing) if self.random.one_in(2) => self.complete(writing).controls,
                _ => Vec::new(),
            };
            return (controls, self.state());
        };
        let (next, state) = disk.restart();
        self.is_off = false;
        let controls = match writing {
            Some(writing) if next > self.durable => {
                assert_eq!(next, writing.stored.sequences.end, "all of a group or nothing");
                self.complete(writing).controls
            }
            // Controls alone have made it if the state is no other with them.
            Some(writing) if writing.truths.is_empty() => {
                let is_in = |targets: &Targets| targets.targets.get(&KAFKA) == Some(&state);
                let mut with = Targets::default();
                with.targets.insert(KAFKA, state.clone());
                writing.controls.iter().for_each(|control| with.apply(control));
                if is_in(&with) { writing.controls } else { Vec::new() }
            }
            _ => Vec::new(),
        };
        assert_eq!(next, self.durable, "sequences go on where they were");
        (controls, state)
    }

    /// What a start finds: the sum that a segment begins with, and what came after it.
    pub(crate) fn state(&mut self) -> TargetState {
        let mut targets = Targets::default();
        let begins = self.random.below(self.controls.len() as u64 + 1) as usize;
        for (index, control) in self.controls.iter().enumerate() {
            if index == begins {
                let sum = std::mem::take(&mut targets);
                sum.controls().for_each(|control| targets.apply(&control));
            }
            targets.apply(control);
        }
        targets.targets.remove(&KAFKA).unwrap_or_default()
    }
}
