//! One core: a poll, the connections that are at home here, and what a turn does with them.

use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::connection::{self, Connections};
use super::mail::{Batch, Mail, Mailbox, Moved};
use super::routes::{Cache, Routes};
use super::wire::{self, Close, Fields, Publish};

pub(super) const LISTENER: Token = Token(usize::MAX - 1);
pub(super) const WAKE: Token = Token(usize::MAX - 2);

/// Bytes of the buffer that all connections of a core are read into.
const BUFFER: usize = 256 << 10;
/// Room that a read has at least.
const ROOM: usize = 4096;
const EVENTS: usize = 1024;

/// What cores have in common.
pub(super) struct Shared {
    pub routes: Routes,
    pub mailboxes: Vec<Mailbox>,
}

pub(super) struct Core {
    me: usize,
    shared: Arc<Shared>,
    poll: Poll,
    listener: TcpListener,
    cache: Cache,
    connections: Connections,
    /// For each other core, what it will get at the end of the turn.
    away: Vec<Batch>,
    /// For each shared group, whose turn it is.
    turns: Vec<usize>,
    buffer: Vec<u8>,
}

/// How it goes on with a connection whose bytes were looked at.
enum Next {
    /// So many bytes are used up.
    Stay(usize),
    Close,
    /// Its home is there.
    Move(usize),
}

/// A packet that ends more than itself.
enum End {
    Close,
    Move(usize),
}

impl From<Close> for End {
    fn from(_: Close) -> End {
        End::Close
    }
}

impl Core {
    pub(super) fn new(me: usize, poll: Poll, listener: TcpListener, shared: Arc<Shared>) -> Core {
        let cores = shared.mailboxes.len();
        Core {
            me,
            shared,
            poll,
            listener,
            cache: Cache::default(),
            connections: Connections::default(),
            away: (0..cores).map(|_| Batch::default()).collect(),
            turns: Vec::new(),
            buffer: vec![0; BUFFER],
        }
    }

    /// Goes on for ever.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let shared = Arc::clone(&self.shared);
        let alone = shared.mailboxes.len() == 1;
        let mailbox = &shared.mailboxes[self.me];
        let mut mail =
            Mail { moved: Vec::new(), batches: self.away.iter().map(|_| Batch::default()).collect() };
        loop {
            let timeout = if alone || mailbox.fall_asleep() { None } else { Some(Duration::ZERO) };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            mailbox.awake();
            for event in &events {
                match event.token() {
                    WAKE => {}
                    LISTENER => self.accept(),
                    Token(slot) => {
                        if event.is_writable() {
                            self.connections.writable(slot as u32);
                        }
                        if event.is_readable() || event.is_error() {
                            self.readable(slot as u32);
                        }
                    }
                }
            }
            if !alone {
                if mailbox.read(&mut mail) {
                    self.deliver(&mut mail);
                }
                self.send();
            }
            self.connections.flush();
        }
    }

    fn accept(&mut self) {
        // Any error, out of descriptors too, leaves the rest until the next connection comes.
        while let Ok((stream, _)) = self.listener.accept() {
            // Without it some packets are late; the connection works all the same.
            let _ = stream.set_nodelay(true);
            self.adopt(stream);
        }
    }

    fn adopt(&mut self, stream: TcpStream) -> u32 {
        let slot = self.connections.add(stream);
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Some(connection) = self.connections.get(slot)
            && self.poll.registry().register(&mut connection.stream, Token(slot as usize), both).is_err()
        {
            self.connections.remove(slot);
        }
        slot
    }

    fn readable(&mut self, slot: u32) {
        let mut buffer = mem::take(&mut self.buffer);
        while let Some(connection) = self.connections.get(slot) {
            let have = connection.unread.len();
            if have + ROOM > buffer.len() {
                buffer.resize(have * 2 + ROOM, 0);
            }
            let Some(got) = connection::read(&mut connection.stream, &mut buffer[have..]) else { break };
            buffer[..have].copy_from_slice(&connection.unread);
            connection.unread.clear();
            if got == 0 {
                self.close(slot);
                break;
            }
            self.take(slot, &buffer[..have + got]);
            // Less than there was room for: the socket is empty, and what comes next is an event of its own.
            if have + got < buffer.len() {
                break;
            }
        }
        self.buffer = buffer;
    }

    /// Handles all whole packets of a connection, keeps the rest, closes or moves it.
    fn take(&mut self, slot: u32, bytes: &[u8]) {
        match self.packets(slot, bytes) {
            Next::Stay(used) => {
                if used < bytes.len()
                    && let Some(connection) = self.connections.get(slot)
                {
                    connection.unread.extend_from_slice(&bytes[used..]);
                }
            }
            Next::Close => self.close(slot),
            Next::Move(home) => {
                if let Some(mut connection) = self.connections.remove(slot)
                    && self.poll.registry().deregister(&mut connection.stream).is_ok()
                {
                    let moved = Moved { stream: connection.stream, bytes: bytes.to_vec() };
                    self.shared.mailboxes[home].hand_over(moved);
                }
            }
        }
    }

    fn packets(&mut self, slot: u32, bytes: &[u8]) -> Next {
        let mut used = 0;
        loop {
            match wire::frame(&bytes[used..]) {
                Ok(None) => return Next::Stay(used),
                Err(Close) => return Next::Close,
                Ok(Some((body, end))) => match self.packet(slot, &bytes[used..used + end], body) {
                    Ok(()) => used += end,
                    Err(End::Close) => return Next::Close,
                    Err(End::Move(home)) => return Next::Move(home),
                },
            }
        }
    }

    #[inline]
    fn packet(&mut self, slot: u32, frame: &[u8], body: usize) -> Result<(), End> {
        match frame[0] >> 4 {
            wire::PUBLISH => self.publish(slot, Publish::read(frame, body)?)?,
            kind @ (wire::PUBREC | wire::PUBREL) => {
                let id = Fields(&frame[body..]).u16()?.to_be_bytes();
                let first = if kind == wire::PUBREC { 0x62 } else { 0x70 };
                self.connections.output(slot)?.extend_from_slice(&[first, 2, id[0], id[1]]);
            }
            wire::PUBACK | wire::PUBCOMP => {}
            wire::PINGREQ => self.connections.output(slot)?.extend_from_slice(&[0xd0, 0]),
            wire::CONNECT => self.connect(slot, Fields(&frame[body..]))?,
            wire::SUBSCRIBE => self.subscribe(slot, Fields(&frame[body..]))?,
            wire::UNSUBSCRIBE => self.unsubscribe(slot, Fields(&frame[body..]))?,
            // DISCONNECT, and what no client sends.
            _ => return Err(End::Close),
        }
        Ok(())
    }

    #[inline]
    fn publish(&mut self, slot: u32, publish: Publish<'_>) -> Result<(), Close> {
        let route = self.cache.find(publish.topic(), &self.shared.routes, self.me as u8);
        for &target in &route.here {
            self.connections.deliver(target, &publish);
        }
        for (core, targets) in &route.away {
            self.away[usize::from(*core)].push(&publish, targets);
        }
        for (group, members) in &route.groups {
            if members.is_empty() {
                continue;
            }
            if self.turns.len() <= *group {
                self.turns.resize(*group + 1, 0);
            }
            let turn = &mut self.turns[*group];
            *turn = if *turn + 1 < members.len() { *turn + 1 } else { 0 };
            let member = members[*turn];
            if usize::from(member.core) == self.me {
                self.connections.deliver(member, &publish);
            } else {
                self.away[usize::from(member.core)].push(&publish, &[member]);
            }
        }
        if publish.qos() > 0 {
            let first = if publish.qos() == 1 { 0x40 } else { 0x50 };
            let answer = [first, 2, publish.frame[publish.topic_end], publish.frame[publish.topic_end + 1]];
            self.connections.output(slot)?.extend_from_slice(&answer);
        }
        Ok(())
    }

    fn connect(&mut self, slot: u32, mut fields: Fields<'_>) -> Result<(), End> {
        fields.text()?;
        let is_v5 = fields.byte()? == 5;
        // Connect flags, keep-alive.
        fields.bytes(3)?;
        if is_v5 {
            fields.properties()?;
        }
        let home = home(fields.text()?, self.away.len());
        if home != self.me {
            return Err(End::Move(home));
        }
        self.connections.get(slot).ok_or(Close)?.is_v5 = is_v5;
        let answer: &[u8] = if is_v5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] };
        self.connections.output(slot)?.extend_from_slice(answer);
        Ok(())
    }

    fn subscribe(&mut self, slot: u32, mut fields: Fields<'_>) -> Result<(), Close> {
        let id = fields.bytes(2)?;
        let is_v5 = self.connections.get(slot).ok_or(Close)?.is_v5;
        if is_v5 {
            fields.properties()?;
        }
        let mut target = self.connections.target(slot, self.me as u8);
        let mut granted = Vec::new();
        while !fields.0.is_empty() {
            let filter = fields.text()?;
            target.qos = fields.byte()? & 3;
            self.shared.routes.subscribe(filter, target);
            self.connections.get(slot).ok_or(Close)?.filters.add(filter);
            granted.push(target.qos);
        }
        self.answer(slot, 0x90, id, is_v5, &granted)
    }

    fn unsubscribe(&mut self, slot: u32, mut fields: Fields<'_>) -> Result<(), Close> {
        let id = fields.bytes(2)?;
        let is_v5 = self.connections.get(slot).ok_or(Close)?.is_v5;
        if is_v5 {
            fields.properties()?;
        }
        let target = self.connections.target(slot, self.me as u8);
        let mut codes = Vec::new();
        while !fields.0.is_empty() {
            let filter = fields.text()?;
            self.shared.routes.unsubscribe(filter, target);
            self.connections.get(slot).ok_or(Close)?.filters.remove(filter);
            codes.push(0);
        }
        // 3.x has no codes in UNSUBACK.
        self.answer(slot, 0xb0, id, is_v5, if is_v5 { &codes } else { &[] })
    }

    /// SUBACK or UNSUBACK.
    fn answer(&mut self, slot: u32, first: u8, id: &[u8], is_v5: bool, codes: &[u8]) -> Result<(), Close> {
        let output = self.connections.output(slot)?;
        output.push(first);
        wire::put_varint(output, 2 + usize::from(is_v5) + codes.len());
        output.extend_from_slice(id);
        if is_v5 {
            output.push(0);
        }
        output.extend_from_slice(codes);
        Ok(())
    }

    fn close(&mut self, slot: u32) {
        let target = self.connections.target(slot, self.me as u8);
        if let Some(connection) = self.connections.remove(slot) {
            for filter in connection.filters.iter() {
                self.shared.routes.unsubscribe(filter, target);
            }
        }
    }

    /// Takes in what came from other cores, and empties it.
    fn deliver(&mut self, mail: &mut Mail) {
        for batch in &mut mail.batches {
            for (publish, targets) in batch.iter() {
                for &target in targets {
                    self.connections.deliver(target, &publish);
                }
            }
            batch.clear();
        }
        for moved in mail.moved.drain(..) {
            let slot = self.adopt(moved.stream);
            self.take(slot, &moved.bytes);
        }
    }

    fn send(&mut self) {
        for (core, batch) in self.away.iter_mut().enumerate() {
            if !batch.is_empty() {
                self.shared.mailboxes[core].send(self.me, batch);
            }
        }
    }
}

/// Where a client lives.
pub(super) fn home(client_id: &[u8], cores: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    hasher.write(client_id);
    (hasher.finish() % cores as u64) as usize
}
