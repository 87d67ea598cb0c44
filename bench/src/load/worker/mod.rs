//! One thread of the engine: a poll, its connections, its publishers, its part of the account.
//!
//! A turn: wait; handle the packets of all events; let what the schedule asks for fall due; let each publisher that may
//! have something to do write what its pace allows; write the output of the other connections. So acknowledgements and
//! messages of one turn leave in one write, as they would from a client that works as fast as it can.
//!
//! The poll is edge-triggered. A read that fills its buffer is repeated, a shorter one has emptied the socket, and what
//! comes later is an edge of its own; only behind an event that says that the peer has closed or failed is read to the
//! end. A write that the socket refuses leaves its connection blocked until the event that says that there is room.

mod build;
mod churn;
mod connect;
mod receive;
mod timers;

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use mio::{Events, Poll, Token};

use super::account::{Once, Ordered};
use super::client::{Client, State};
use super::clock::{Alarm, now_ns};
use super::latency::Times;
use super::layout::Layout;
use super::link::{Counters, Link, Report};
use super::plan::Hears;
use super::publisher::Publisher;
use super::timetable::Timetable;
use crate::outcome::Totals;
use crate::random::Random;
use churn::Churn;
use connect::Opening;
use timers::Clockwork;

const WAKER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);
/// Events of one turn.
const EVENTS: usize = 1024;
/// Room for what one read brings.
const READ_BYTES: usize = 256 << 10;
/// How long the poll sleeps at most.
const SLEEP_MAX_NS: u64 = 100_000_000;
/// In open loop, messages due within so many ns leave together.
const SLEEP_MIN_NS: u64 = 20_000;

/// Whose stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// A publisher of this thread, by index.
    Mine(u32),
    /// Another thread, by number.
    Thread(u32),
    /// Another process.
    Elsewhere,
}

/// What clients of one group hear of the streams of another.
#[derive(Clone, Copy, Debug)]
struct Watch {
    hears: Hears,
    /// Pairs of the first client, and how many each client has.
    base: usize,
    width: usize,
    first_stream: usize,
    streams: u32,
    /// Payload bytes.
    size: usize,
    /// `$share`: where its streams begin in `once`.
    once: usize,
}

pub(super) struct Worker<'a> {
    layout: &'a Layout<'a>,
    /// Number of this thread.
    number: usize,
    links: &'a [Arc<Link>],
    reports: Sender<Report>,
    poll: Poll,
    alarm: Alarm,
    /// When what is being handled was read.
    now: u64,
    /// Messages may be sent.
    flowing: bool,
    finished: bool,
    clients: Vec<Client>,
    publishers: Vec<Publisher>,
    timetables: Vec<Timetable>,
    /// Connections with something to write.
    dirty: Vec<u32>,
    /// The buffer that a connection without output of its own is lent while it publishes. All of a turn go through it,
    /// so that it stays in the cache, as hundreds of buffers would not.
    lent: Vec<u8>,
    /// Publishers that may have something to do.
    pump: Vec<u32>,
    /// By group, then by the group whose streams are heard.
    watches: Vec<Option<Watch>>,
    ordered: Ordered,
    once: Vec<Once>,
    /// What each of `once` is: the place of its watch, and the stream.
    once_keys: Vec<(usize, usize)>,
    /// Shared messages too far ahead to be followed.
    unfollowed: u64,
    /// By stream.
    owners: Vec<Owner>,
    arrived: Vec<u64>,
    /// Deliveries of streams of this process.
    came: u64,
    /// When something last came.
    last: u64,
    /// By thread: deliveries of its streams in this turn.
    outboxes: Vec<Vec<(u32, u32)>>,
    inbox: Vec<(u32, u32)>,
    counters: Counters,
    /// Times of this interval.
    times: Times,
    connect_times: Times,
    totals: Totals,
    connections: u64,
    error: String,
    random: Random,
    opening: Opening,
    clockwork: Clockwork,
    churn: Churn,
}

impl Worker<'_> {
    /// Works until it is told to finish.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut buffer = vec![0; READ_BYTES];
        while !self.finished {
            self.sleep(&mut events);
            for event in &events {
                match event.token() {
                    WAKER => self.take_orders(),
                    ALARM => {}
                    Token(at) => {
                        if event.is_writable() {
                            self.writable(at);
                        }
                        if event.is_readable() || event.is_read_closed() || event.is_error() {
                            self.readable(at, &mut buffer, event.is_read_closed() || event.is_error());
                        }
                    }
                }
            }
            self.now = now_ns();
            self.turn();
        }
        self.finish();
    }

    /// Waits for events, at most until the next thing to do.
    fn sleep(&mut self, events: &mut Events) {
        let mut wait = self.clockwork.next.saturating_sub(self.now).min(SLEEP_MAX_NS);
        if self.may_open() {
            wait = 0;
        }
        if self.flowing
            && let Some(due) = self.timetables.iter().filter_map(Timetable::due).min()
        {
            // Nothing that a descriptor of its own could refuse.
            let _ = self.alarm.set(due.max(self.now + SLEEP_MIN_NS), self.now);
        }
        if self.links.len() > 1 && !self.links[self.number].may_sleep() {
            wait = 0;
        }
        // The poll counts in milliseconds and rounds up.
        if let Err(error) = self.poll.poll(events, Some(Duration::from_nanos(wait)))
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            self.note(|| format!("waiting for events: {error}"));
        }
    }

    /// All of a turn that follows the events.
    fn turn(&mut self) {
        if self.links.len() > 1 {
            self.take_deliveries();
        }
        if self.now >= self.clockwork.next {
            self.timers();
        }
        self.open_more();
        if self.flowing {
            self.fall_due();
            for at in 0..self.pump.len() {
                self.pump_one(self.pump[at] as usize);
            }
            self.pump.clear();
        }
        for at in 0..self.dirty.len() {
            self.flush(self.dirty[at] as usize);
        }
        self.dirty.clear();
        for (link, outbox) in self.links.iter().zip(&mut self.outboxes) {
            if !outbox.is_empty() {
                link.deliver(outbox);
            }
        }
        if self.clockwork.watched {
            self.show_progress();
        }
    }

    /// Lets a publisher write what its pace allows.
    #[inline]
    fn pump_one(&mut self, at: usize) {
        let publisher = &mut self.publishers[at];
        publisher.queued = false;
        let client = &mut self.clients[publisher.client as usize];
        if !client.is_ready() {
            return;
        }
        let plan = self.layout.plan;
        let size =
            plan.groups[usize::from(publisher.group)].publish.as_ref().map_or(0, |publish| publish.size);
        let lend = client.output.is_empty();
        if lend {
            std::mem::swap(&mut self.lent, &mut client.output);
        }
        let (messages, bytes) = publisher.pump(self.now, plan.run, size, &mut client.output);
        self.counters.sent += messages;
        self.counters.payload_sent += bytes;
        let at = publisher.client as usize;
        if !lend {
            return self.mark(at);
        }
        self.flush(at);
        let client = &mut self.clients[at];
        // What the socket did not take stays with the connection, and so does the buffer.
        if client.output.is_empty() {
            std::mem::swap(&mut self.lent, &mut client.output);
        }
    }

    #[inline]
    fn mark(&mut self, at: usize) {
        let client = &mut self.clients[at];
        if !client.dirty {
            client.dirty = true;
            self.dirty.push(at as u32);
        }
    }

    #[inline]
    fn mark_publisher(&mut self, at: u32) {
        let publisher = &mut self.publishers[at as usize];
        if !publisher.queued {
            publisher.queued = true;
            self.pump.push(at);
        }
    }

    /// Writes what a connection has to write, unless its socket is full.
    #[inline]
    fn flush(&mut self, at: usize) {
        let client = &mut self.clients[at];
        if client.blocked || client.state == State::Connecting {
            client.dirty = false;
        } else if let Err(error) = client.flush() {
            self.lost(at, &error.to_string());
        }
    }

    fn take_deliveries(&mut self) {
        let mut inbox = std::mem::take(&mut self.inbox);
        self.links[self.number].take_deliveries(&mut inbox);
        for (stream, many) in inbox.drain(..) {
            if let Owner::Mine(publisher) = self.owners[stream as usize] {
                self.publishers[publisher as usize].delivered += u64::from(many);
                self.mark_publisher(publisher);
            }
        }
        self.inbox = inbox;
    }

    /// Keeps the first thing that went wrong.
    fn note(&mut self, error: impl FnOnce() -> String) {
        if self.error.is_empty() {
            self.error = error();
        }
    }

    /// A client as errors name it.
    fn name(&self, at: usize) -> String {
        let client = &self.clients[at];
        let plan = self.layout.plan;
        format!("{}-{}-{}", plan.groups[usize::from(client.group)].name, plan.run, client.number)
    }
}
