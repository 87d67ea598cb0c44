//! Opening connections: so many at once, or so many a second; CONNECT, CONNACK, SUBSCRIBE, SUBACK; and what goes wrong.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};

use millrace_codec::{ConnAck, QoS, ReasonCode, SubAck};
use mio::net::TcpStream;
use mio::{Interest, Token};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::*;
use crate::load::client::NONE;
use crate::load::clock::{SECOND, ns};
use crate::load::layout::qos;
use crate::load::plan::Plan;
use crate::load::template::{SUBSCRIBE_ID, connect, fill_in, subscribe};

/// The way of a thread's connections to their being ready.
pub(super) struct Opening {
    /// The next client to connect.
    next: usize,
    under_way: usize,
    at_once: usize,
    /// Ready or failed.
    settled: usize,
    ready: u64,
    /// Nanoseconds between two connections, if there is a rate, and when the next may begin.
    gap: Option<f64>,
    began: u64,
    timeout: u64,
    /// Those under way by the time they began, and some that are not any more.
    since: VecDeque<(u64, u32)>,
    pub(super) first_connect: u64,
    pub(super) last_ready: u64,
    reported: bool,
}

impl Opening {
    pub(super) fn new(plan: &Plan, number: usize, began: u64) -> Opening {
        let gap = plan.connect.rate.map(|rate| 1e9 * plan.threads as f64 / rate);
        Opening {
            next: 0,
            under_way: 0,
            at_once: plan.connect.at_once.div_ceil(plan.threads),
            settled: 0,
            ready: 0,
            // Threads open theirs in turn.
            began: began + gap.map_or(0, |gap| (gap * number as f64 / plan.threads as f64) as u64),
            gap,
            timeout: ns(plan.connect.timeout_s),
            since: VecDeque::new(),
            first_connect: 0,
            last_ready: 0,
            reported: false,
        }
    }

    /// When the next connection may begin.
    fn next_at(&self) -> u64 {
        self.began + self.gap.map_or(0, |gap| (gap * self.next as f64) as u64)
    }

    /// When there is something to do without an event.
    pub(super) fn wakes_at(&self, clients: usize) -> u64 {
        let timeout = self.since.front().map_or(u64::MAX, |&(since, _)| since + self.timeout);
        let may = self.next < clients && self.under_way < self.at_once && self.gap.is_some();
        timeout.min(if may { self.next_at() } else { u64::MAX })
    }
}

impl Worker<'_> {
    pub(super) fn may_open(&self) -> bool {
        self.opening.next < self.clients.len()
            && self.opening.under_way < self.opening.at_once
            && self.opening.next_at() <= self.now
    }

    pub(super) fn open_more(&mut self) {
        while self.may_open() {
            let at = self.opening.next;
            self.opening.next += 1;
            self.open(at);
        }
        if self.opening.settled == self.clients.len() && !self.opening.reported {
            self.opening.reported = true;
            let ready = self.opening.ready;
            let failed = self.clients.len() as u64 - ready;
            self.report(Report::Connected { ready, failed });
        }
    }

    /// No more connections are opened: those that were not have failed.
    pub(super) fn stop_opening(&mut self) {
        if self.opening.settled == self.clients.len() {
            return;
        }
        let rest = self.clients.len() - self.opening.next;
        self.opening.next = self.clients.len();
        self.opening.settled += rest;
        self.totals.connect_failed += rest as u64;
        for at in 0..self.clients.len() {
            if self.clients[at].is_under_way() {
                self.failed(at, "interrupted");
            }
        }
    }

    /// Opens a connection; its CONNECT waits in its output.
    pub(super) fn open(&mut self, at: usize) {
        let now = now_ns();
        if self.opening.first_connect == 0 {
            self.opening.first_connect = now;
        }
        self.opening.under_way += 1;
        let client = &mut self.clients[at];
        client.since = now;
        client.state = State::Connecting;
        self.opening.since.push_back((now, at as u32));
        self.clockwork.next = self.clockwork.next.min(now + self.opening.timeout);
        let plan = self.layout.plan;
        let source = plan.sources.get((at * plan.threads + self.number) % plan.sources.len().max(1));
        match open_socket(plan.broker, source.copied()) {
            Ok(mut socket) => {
                let interest = Interest::READABLE | Interest::WRITABLE;
                if let Err(error) = self.poll.registry().register(&mut socket, Token(at), interest) {
                    return self.failed(at, &error.to_string());
                }
                self.clients[at].socket = Some(socket);
            }
            Err(error) => return self.failed(at, &explain(&error)),
        }
        let (id, setup) = (self.name(at), &plan.connect);
        let output = &mut self.clients[at].output;
        if let Err(error) = connect(self.layout.version, &id, setup.clean, setup.keep_alive_s, output) {
            self.failed(at, &format!("CONNECT: {error}"));
        }
    }

    /// The socket has room.
    pub(super) fn writable(&mut self, at: usize) {
        let client = &mut self.clients[at];
        if client.state == State::Connecting {
            let Some(socket) = &client.socket else { return };
            match (socket.take_error(), socket.peer_addr()) {
                (Ok(None), Ok(_)) => client.state = State::Greeted,
                // Not yet.
                (Ok(None), Err(error)) if error.kind() == io::ErrorKind::NotConnected => return,
                (Ok(Some(error)) | Err(error), _) | (_, Err(error)) => {
                    return self.failed(at, &explain(&error));
                }
            }
        } else if !client.blocked {
            return;
        }
        match client.flush() {
            Ok(true) => {
                if client.publisher != NONE {
                    let publisher = client.publisher;
                    self.mark_publisher(publisher);
                }
            }
            Ok(false) => {}
            Err(error) => self.lost(at, &error.to_string()),
        }
    }

    pub(super) fn connack(&mut self, at: usize, connack: &ConnAck<'_>) -> Result<(), String> {
        if self.clients[at].state != State::Greeted {
            return Err("CONNACK a second time".to_owned());
        }
        if connack.reason != ReasonCode::Success {
            let properties = &connack.properties;
            let why = properties.reason_string().map_or(String::new(), |why| format!(": {why}"));
            return Err(format!("refused by the broker: {}{why}", connack.reason));
        }
        self.heed(at, connack)?;
        let plan = self.layout.plan;
        let client = &mut self.clients[at];
        let group = &plan.groups[usize::from(client.group)];
        if group.subscribe.is_empty() {
            self.ready(at);
            return Ok(());
        }
        client.state = State::Subscribing;
        let number = client.number as usize;
        let filters = group.subscribe.iter().map(|subscription| {
            let qos = QoS::from_number(subscription.qos).unwrap_or_default();
            (fill_in(&subscription.filter, number, plan.run), qos)
        });
        let subscribed = subscribe(self.layout.version, filters, &mut client.output);
        subscribed.map_err(|error| format!("SUBSCRIBE: {error}"))?;
        self.mark(at);
        Ok(())
    }

    /// What the broker allows in 5.0. What the plan needs and it does not take ends the connection: another load than
    /// the one asked for would be measured.
    fn heed(&mut self, at: usize, connack: &ConnAck<'_>) -> Result<(), String> {
        let properties = &connack.properties;
        if let Some(seconds) = properties.server_keep_alive().filter(|&seconds| seconds > 0) {
            self.clockwork.keep_alive(seconds, self.now);
        }
        let index = self.clients[at].publisher;
        let Some(publisher) = self.publishers.get_mut(index as usize) else { return Ok(()) };
        publisher.receive_maximum = u32::from(properties.receive_maximum().unwrap_or(u16::MAX));
        let plan = self.layout.plan;
        let Some(publish) = &plan.groups[usize::from(publisher.group)].publish else { return Ok(()) };
        let qos = qos(publish.qos)?;
        let longest = publisher.streams.iter().map(|stream| stream.template.len()).max().unwrap_or(0);
        let most = properties.maximum_qos().unwrap_or(QoS::ExactlyOnce);
        if qos > most {
            return Err(format!("the broker takes at most QoS {} (Maximum QoS of its CONNACK)", most as u8));
        }
        if publish.retain && properties.retain_available() == Some(false) {
            return Err("the broker keeps no retained messages (Retain Available of its CONNACK)".to_owned());
        }
        match properties.maximum_packet_size() {
            Some(most) if longest > most as usize => Err(format!(
                "the broker takes packets of at most {most} bytes (Maximum Packet Size of its CONNACK), not of {longest}"
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn suback(&mut self, at: usize, suback: &SubAck<'_>) -> Result<(), String> {
        let group = &self.layout.plan.groups[usize::from(self.clients[at].group)];
        let expected = self.clients[at].state == State::Subscribing && suback.packet_id == SUBSCRIBE_ID;
        if !expected || suback.codes.len() != group.subscribe.len() {
            return Err("a SUBACK that no SUBSCRIBE waits for".to_owned());
        }
        for (subscription, &code) in group.subscribe.iter().zip(suback.codes) {
            let filter = &subscription.filter;
            if code >= 0x80 {
                let why = ReasonCode::from_number(code).map_or("unknown reason", ReasonCode::name);
                return Err(format!("subscription to {filter:?} refused: {why} (0x{code:02X})"));
            }
            if code != subscription.qos {
                let asked = subscription.qos;
                return Err(format!("subscription to {filter:?} granted with QoS {code} instead of {asked}"));
            }
        }
        self.ready(at);
        Ok(())
    }

    fn ready(&mut self, at: usize) {
        let now = now_ns();
        let client = &mut self.clients[at];
        client.state = State::Ready;
        self.connect_times.record(now - client.since, 1);
        let group = &self.layout.plan.groups[usize::from(client.group)];
        let idle = group.publish.is_none()
            && group.subscribe.iter().all(|subscription| subscription.hears == Hears::Nobody);
        if idle {
            client.shrink();
        }
        self.connections += 1;
        self.totals.connected += 1;
        self.opening.under_way -= 1;
        self.opening.last_ready = now;
        if self.opening.settled < self.clients.len() {
            self.opening.settled += 1;
            self.opening.ready += 1;
        } else {
            self.back(at);
        }
    }

    /// A connection is of no more use. Whether it was ready decides what it counts as.
    #[cold]
    pub(super) fn lost(&mut self, at: usize, why: &str) {
        match self.clients[at].state {
            State::Ready | State::Leaving => {
                self.totals.disconnects += 1;
                self.counters.errors += 1;
                self.connections -= 1;
                let name = self.name(at);
                self.note(|| format!("{name}: connection lost: {why}"));
                self.clients[at].close(State::Dead);
            }
            State::Connecting | State::Greeted | State::Subscribing => self.failed(at, why),
            State::Left => self.gone(at),
            State::Closed | State::Dead => {}
        }
    }

    /// A connection did not get ready.
    #[cold]
    pub(super) fn failed(&mut self, at: usize, why: &str) {
        self.totals.connect_failed += 1;
        self.counters.errors += 1;
        self.opening.under_way -= 1;
        let (name, broker) = (self.name(at), self.layout.plan.broker);
        self.note(|| format!("{name}: no connection to {broker}: {why}"));
        if self.opening.settled < self.clients.len() {
            self.clients[at].close(State::Dead);
            self.opening.settled += 1;
        } else {
            self.clients[at].close(State::Closed);
            self.churn.plan(at, self.now + SECOND);
            self.clockwork.next = self.clockwork.next.min(self.now + SECOND);
        }
    }

    /// Ends what has been under way for too long.
    pub(super) fn time_out(&mut self) {
        while let Some(&(since, at)) = self.opening.since.front() {
            let client = &self.clients[at as usize];
            let there = client.is_under_way() && client.since == since;
            if there && since + self.opening.timeout > self.now {
                return;
            }
            self.opening.since.pop_front();
            if there {
                let seconds = self.layout.plan.connect.timeout_s;
                let what = match client.state {
                    State::Connecting => "no answer to the TCP connection",
                    State::Greeted => "no CONNACK",
                    _ => "no SUBACK",
                };
                self.failed(at as usize, &format!("{what} in {seconds} s"));
            }
        }
    }
}

fn open_socket(broker: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(broker), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&broker.into()) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// The cause, and the way out where there is one.
fn explain(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => format!("{error}: raise the limit of file descriptors, or use more processes"),
        Some(Errno::ADDRNOTAVAIL | Errno::ADDRINUSE) => {
            format!("{error}: no free local port; use more source addresses")
        }
        _ => error.to_string(),
    }
}
