//! One client that publishes: its streams, what its pace allows, what is in flight. No sockets; the clock is told.

use std::collections::VecDeque;

use millrace_codec::{Packet, Version};

use super::flight::Flight;
use super::payload::Stamp;
use super::template::Template;

/// Nothing more is written into an output of so many bytes: the broker takes less than it is sent.
const OUTPUT_MAX: usize = 256 << 10;
/// The most messages with QoS 1 or 2 that can be in flight.
pub(super) const FLIGHT_MAX: u32 = 65_535;
/// Seconds without any progress until a closed window is opened by force: where something has QoS 0, and else.
const PATIENCE_QOS_0: u8 = 2;
const PATIENCE: u8 = 4;

/// What opens a window again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Deliveries to subscribers of this process.
    Deliveries,
    /// PUBACK or PUBCOMP.
    Acknowledgements,
    /// QoS 0, and nobody here hears it: a PINGREQ after each half window; PINGRESP shows that the broker has got so far.
    Pings,
    /// Nothing: messages are sent when they are due.
    Open,
}

/// When messages are due, open loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Schedule {
    /// When the first message of all is due, in ns.
    pub(super) start: u64,
    pub(super) per_second: f64,
    /// Streams of the group, in all processes.
    pub(super) streams: u64,
}

impl Schedule {
    /// When a message is due: streams in turn, spread evenly.
    #[inline]
    pub(super) fn due(&self, stream: u32, sequence: u64) -> u64 {
        let message = sequence * self.streams + u64::from(stream);
        self.start + (message as f64 * 1e9 / self.per_second) as u64
    }
}

/// One sequence of messages with a topic of its own.
#[derive(Debug)]
pub(super) struct Stream {
    /// Index among all streams of the plan.
    pub(super) index: u32,
    /// Number in its group.
    pub(super) number: u32,
    /// Number of the next message, so how many were sent.
    pub(super) sequence: u64,
    /// How many are to be sent; `u64::MAX`: no end.
    pub(super) quota: u64,
    /// How many hold it back: its client, who hears it.
    pauses: u8,
    /// Messages that were due while it paused.
    held: u32,
    /// When it last ended a pause: what was due before counts as due then.
    resumed: u64,
    pub(super) template: Template,
}

impl Stream {
    pub(super) fn new(index: u32, number: u32, quota: u64, template: Template) -> Stream {
        Stream { index, number, sequence: 0, quota, pauses: 0, held: 0, resumed: 0, template }
    }
}

#[derive(Debug)]
pub(super) struct Publisher {
    /// Index of the connection in its thread.
    pub(super) client: u32,
    pub(super) group: u16,
    pub(super) gate: Gate,
    /// Deliveries of one message that are expected in this process.
    pub(super) receivers: u64,
    pub(super) qos: u8,
    /// Messages in flight, as asked for and as the broker allows.
    pub(super) window: u32,
    /// What the broker allows (Receive Maximum).
    pub(super) receive_maximum: u32,
    pub(super) schedule: Option<Schedule>,
    pub(super) streams: Vec<Stream>,
    /// Something here has QoS 0, so what is lost is lost.
    pub(super) lossy: bool,
    /// It is in its thread's list of publishers that may have something to do.
    pub(super) queued: bool,
    /// Of all streams.
    pub(super) sent: u64,
    /// Deliveries of its messages in this process.
    pub(super) delivered: u64,
    /// Deliveries that are waited for no more.
    forgiven: u64,
    pub(super) flight: Flight,
    /// Of those in flight, acknowledgements that are waited for no more.
    forgiven_flight: u32,
    /// Messages behind which no PINGRESP came, and the pings on their way: when the last message before each was to be
    /// sent, and how many it stands for.
    unconfirmed: u32,
    since_ping: u32,
    pings: VecDeque<(u64, u32)>,
    /// Streams with a message due, in the order of time.
    due: VecDeque<u32>,
    /// The stream whose turn it is, closed loop.
    turn: usize,
    /// Progress as it was when last looked at, and seconds since it changed.
    seen: u64,
    still: u8,
}

impl Publisher {
    pub(super) fn new(
        client: u32,
        group: u16,
        gate: Gate,
        receivers: u64,
        qos: u8,
        window: u32,
    ) -> Publisher {
        let window = if qos > 0 { window.min(FLIGHT_MAX) } else { window };
        Publisher {
            client,
            group,
            gate,
            receivers,
            qos,
            window,
            receive_maximum: FLIGHT_MAX,
            schedule: None,
            streams: Vec::new(),
            lossy: qos == 0,
            queued: false,
            sent: 0,
            delivered: 0,
            forgiven: 0,
            flight: Flight::default(),
            forgiven_flight: 0,
            unconfirmed: 0,
            since_ping: 0,
            pings: VecDeque::new(),
            due: VecDeque::new(),
            turn: 0,
            seen: 0,
            still: 0,
        }
    }

    /// A message of a stream is due.
    pub(super) fn fall_due(&mut self, stream: u32) {
        self.due.push_back(stream);
    }

    /// Appends all that may be sent now; returns how many messages and payload bytes.
    #[inline]
    pub(super) fn pump(&mut self, now: u64, run: u32, size: usize, out: &mut Vec<u8>) -> (u64, u64) {
        let before = self.sent;
        while out.len() <= OUTPUT_MAX && self.has_room() {
            let Some(at) = self.next_stream() else { break };
            let stream = &mut self.streams[at];
            let sent_ns = match &self.schedule {
                Some(schedule) => schedule.due(stream.number, stream.sequence).max(stream.resumed),
                None => now,
            };
            let packet_id = if self.qos > 0 { self.flight.start(sent_ns) } else { 0 };
            let (group, sequence) = (self.group, stream.sequence);
            let stamp = Stamp { sent_ns, run, group, stream: stream.number, sequence };
            stream.template.write(packet_id, stamp, out);
            stream.sequence += 1;
            self.sent += 1;
            if self.gate == Gate::Pings {
                self.count_ping(sent_ns, out);
            }
        }
        let messages = self.sent - before;
        (messages, messages * size as u64)
    }

    /// Whether the window lets another message through.
    #[inline]
    fn has_room(&self) -> bool {
        if self.qos > 0 {
            let flight = self.flight.count();
            if flight - self.forgiven_flight >= self.window || flight >= self.receive_maximum {
                return false;
            }
        }
        match self.gate {
            Gate::Deliveries => self.open() <= (u64::from(self.window) - 1) * self.receivers,
            Gate::Pings => self.unconfirmed < self.window,
            Gate::Acknowledgements | Gate::Open => true,
        }
    }

    /// Deliveries that are waited for.
    fn open(&self) -> u64 {
        self.expected().saturating_sub(self.delivered + self.forgiven)
    }

    fn next_stream(&mut self) -> Option<usize> {
        if self.schedule.is_some() {
            loop {
                let at = self.due.pop_front()? as usize;
                let stream = &mut self.streams[at];
                if stream.pauses == 0 {
                    return Some(at);
                }
                stream.held += 1;
            }
        }
        for _ in 0..self.streams.len() {
            let at = self.turn;
            self.turn = if at + 1 < self.streams.len() { at + 1 } else { 0 };
            let stream = &self.streams[at];
            if stream.pauses == 0 && stream.sequence < stream.quota {
                return Some(at);
            }
        }
        None
    }

    fn count_ping(&mut self, sent_ns: u64, out: &mut Vec<u8>) {
        self.unconfirmed += 1;
        self.since_ping += 1;
        if self.since_ping >= self.window.div_ceil(2) {
            self.pings.push_back((sent_ns, self.since_ping));
            self.since_ping = 0;
            write_ping(out);
        }
    }

    /// A PINGREQ that keeps the connection alive is on its way.
    pub(super) fn pinged(&mut self) {
        if self.gate == Gate::Pings {
            self.pings.push_back((0, 0));
        }
    }

    /// A PINGRESP came: how many messages it confirms, and when the last of them was to be sent.
    pub(super) fn confirmed(&mut self) -> Option<(u64, u32)> {
        let (sent_ns, many) = self.pings.pop_front().filter(|&(_, many)| many > 0)?;
        self.unconfirmed -= many;
        Some((sent_ns, many))
    }

    /// One acknowledgement less is outstanding.
    #[inline]
    pub(super) fn acknowledged(&mut self) {
        self.forgiven_flight = self.forgiven_flight.min(self.flight.count());
    }

    /// Holds a stream back until it is resumed as often; what falls due is kept.
    pub(super) fn pause(&mut self, at: usize) {
        self.streams[at].pauses += 1;
    }

    pub(super) fn resume(&mut self, at: usize, now: u64) {
        let stream = &mut self.streams[at];
        stream.pauses -= 1;
        if stream.pauses == 0 {
            stream.resumed = now;
            let held = std::mem::take(&mut stream.held);
            self.due.extend(std::iter::repeat_n(at as u32, held as usize));
        }
    }

    /// Messages that the rate asked for and that were not sent.
    pub(super) fn behind(&self) -> u64 {
        self.due.len() as u64 + self.streams.iter().map(|stream| u64::from(stream.held)).sum::<u64>()
    }

    /// Messages that are still to be sent; none of those without an end.
    pub(super) fn unsent(&self) -> u64 {
        let ends = self.streams.iter().filter(|stream| stream.quota != u64::MAX);
        ends.map(|stream| stream.quota.saturating_sub(stream.sequence)).sum()
    }

    /// Messages not acknowledged, by whatever acknowledges them here.
    pub(super) fn unacknowledged(&self) -> u64 {
        u64::from(self.flight.count()) + u64::from(self.unconfirmed - self.since_ping)
    }

    /// Deliveries in this process that are expected of what was sent.
    pub(super) fn expected(&self) -> u64 {
        self.sent * self.receivers
    }

    /// To be called each second: a message that was lost would keep a window shut for good. Returns whether it had to
    /// be opened by force.
    pub(super) fn look(&mut self) -> bool {
        // What was given up may have come after all.
        self.forgiven = self.forgiven.min(self.expected().saturating_sub(self.delivered));
        let progress = self.delivered + self.sent - self.unacknowledged();
        let more = self.streams.iter().any(|stream| stream.pauses == 0 && stream.sequence < stream.quota);
        let stuck = self.schedule.is_none() && more && !self.has_room() && progress == self.seen;
        self.seen = progress;
        self.still = if stuck { self.still + 1 } else { 0 };
        if self.still < if self.lossy { PATIENCE_QOS_0 } else { PATIENCE } {
            return false;
        }
        self.still = 0;
        self.forgiven += self.open();
        self.forgiven_flight = self.flight.count();
        self.unconfirmed = self.since_ping;
        self.pings.clear();
        true
    }
}

/// Appends a PINGREQ.
pub(super) fn write_ping(out: &mut Vec<u8>) {
    // Has no field that could be too long.
    let _ = Packet::PingReq.encode(Version::V311, out);
}

#[cfg(test)]
mod tests;
