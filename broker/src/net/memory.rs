//! Connections without sockets: both ends in one process, for a core that is driven turn by turn (`worker/sim.rs`).
//! They behave as a core sees TCP: a stream of bytes each way with bounded room, events that come once for each change,
//! either end may close. A wire on which nothing is under way owns no buffer, so a million of them fit.

use mio::Token;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an event says of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    /// The token that the connection was registered with.
    pub token: Token,
    /// There are bytes to read, or the end of them.
    pub readable: bool,
    /// There is room again after a write that did not fit.
    pub writable: bool,
    /// The client has closed.
    pub over: bool,
}

/// What is under way on one wire.
#[derive(Default)]
struct Traffic {
    to_broker: Vec<u8>,
    to_client: Vec<u8>,
    /// A write did not fit: the next `take` makes an event.
    blocked: bool,
    client_closed: bool,
    broker_closed: bool,
}

#[derive(Default)]
struct State {
    /// Registered tokens by wire.
    tokens: Vec<Option<Token>>,
    busy: HashMap<u32, Traffic>,
    changed: Vec<(u32, bool)>,
}

/// All wires of one core.
pub struct Wires {
    /// Bytes that fit on a wire, each way.
    room: usize,
    state: Mutex<State>,
}

/// The core's end of a wire.
pub struct Wire {
    wires: Arc<Wires>,
    number: u32,
}

impl Wires {
    /// No wires yet; each takes `room` bytes each way until the other end reads.
    pub fn new(room: usize) -> Arc<Wires> {
        Arc::new(Wires { room, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory for this many wires, taken now: what comes later is then the core's.
    pub fn reserve(&self, wires: usize) {
        let mut state = self.state();
        // Written to, or the system would give the pages later.
        state.tokens.resize(wires, Some(Token(0)));
        state.tokens.clear();
    }

    /// A new connection: the core's end and the number by which the client's end is named.
    pub fn connect(self: &Arc<Wires>) -> (Wire, u32) {
        let mut state = self.state();
        let number = state.tokens.len() as u32;
        state.tokens.push(None);
        (Wire { wires: Arc::clone(self), number }, number)
    }

    /// The client sends. Returns how many bytes fitted; none once the core has closed.
    pub fn send(&self, wire: u32, bytes: &[u8]) -> usize {
        let mut state = self.state();
        let traffic = state.busy.entry(wire).or_default();
        let room = if traffic.broker_closed { 0 } else { self.room - traffic.to_broker.len() };
        let sent = room.min(bytes.len());
        traffic.to_broker.extend_from_slice(&bytes[..sent]);
        state.changed.push((wire, false));
        sent
    }

    /// The client reads all there is. Returns whether the core has closed its end.
    pub fn take(&self, wire: u32, into: &mut Vec<u8>) -> bool {
        let mut state = self.state();
        let Some(traffic) = state.busy.get_mut(&wire) else { return false };
        into.append(&mut traffic.to_client);
        let (closed, blocked) = (traffic.broker_closed, std::mem::take(&mut traffic.blocked));
        if blocked {
            state.changed.push((wire, true));
        }
        state.tidy(wire);
        closed
    }

    /// The client closes; what it has sent before can still be read.
    pub fn close(&self, wire: u32) {
        let mut state = self.state();
        state.busy.entry(wire).or_default().client_closed = true;
        state.changed.push((wire, false));
    }

    /// What has happened since the last call.
    pub fn happened(&self) -> Vec<Happened> {
        let mut state = self.state();
        let changed = std::mem::take(&mut state.changed);
        let event = |(wire, writable): (u32, bool)| {
            let token = (*state.tokens.get(wire as usize)?)?;
            let over = state.busy.get(&wire).is_some_and(|traffic| traffic.client_closed);
            Some(Happened { token, readable: !writable, writable, over })
        };
        changed.into_iter().filter_map(event).collect()
    }
}

impl State {
    /// Forgets what is empty.
    fn tidy(&mut self, wire: u32) {
        let idle = |traffic: &Traffic| {
            traffic.to_broker.is_empty()
                && traffic.to_client.is_empty()
                && !traffic.blocked
                && traffic.client_closed == traffic.broker_closed
        };
        if self.busy.get(&wire).is_some_and(idle) {
            self.busy.remove(&wire);
        }
    }
}

impl Wire {
    /// Names it in events; what is there already makes one.
    pub fn register(&self, token: Token) {
        let mut state = self.wires.state();
        if let Some(place) = state.tokens.get_mut(self.number as usize) {
            *place = Some(token);
        }
        if state.busy.contains_key(&self.number) {
            state.changed.push((self.number, false));
        }
    }

    /// No more events.
    pub fn deregister(&self) {
        if let Some(place) = self.wires.state().tokens.get_mut(self.number as usize) {
            *place = None;
        }
    }

    /// The core says that it will send no more.
    pub fn finish(&self) {
        self.wires.state().busy.entry(self.number).or_default().broker_closed = true;
    }

    /// As a read of a non-blocking socket.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing.
    pub fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut state = self.wires.state();
        let Some(traffic) = state.busy.get_mut(&self.number) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let len = traffic.to_broker.len().min(bytes.len());
        if len == 0 {
            return if traffic.client_closed { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        bytes[..len].copy_from_slice(&traffic.to_broker[..len]);
        traffic.to_broker.drain(..len);
        state.tidy(self.number);
        Ok(len)
    }

    /// As a write to a non-blocking socket.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room, `BrokenPipe` when the client has closed.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.wires.state();
        let traffic = state.busy.entry(self.number).or_default();
        if traffic.client_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = self.wires.room - traffic.to_client.len();
        if room == 0 && !bytes.is_empty() {
            traffic.blocked = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let sent = room.min(bytes.len());
        traffic.to_client.extend_from_slice(&bytes[..sent]);
        Ok(sent)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.deregister();
        let mut state = self.wires.state();
        state.busy.entry(self.number).or_default().broker_closed = true;
        state.tidy(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_behaves_as_a_socket_does() {
        let wires = Wires::new(4);
        let (wire, number) = wires.connect();
        let mut buffer = [0; 8];
        assert_eq!(wires.send(number, b"abcdef"), 4);
        wire.register(Token(9));
        let event = Happened { token: Token(9), readable: true, writable: false, over: false };
        assert_eq!(wires.happened(), [event, event]);
        assert_eq!(wire.read(&mut buffer).expect("bytes"), 4);
        assert_eq!(wire.read(&mut buffer).expect_err("nothing").kind(), io::ErrorKind::WouldBlock);
        assert_eq!(wire.write(b"12345").expect("some"), 4);
        assert_eq!(wire.write(b"5").expect_err("full").kind(), io::ErrorKind::WouldBlock);
        let mut got = Vec::new();
        assert!(!wires.take(number, &mut got));
        assert_eq!((got.as_slice(), wires.happened().len()), (&b"1234"[..], 1));
        assert!(wires.state().busy.is_empty(), "an idle wire owns nothing");
        assert_eq!(wires.send(number, b"x"), 1);
        wires.close(number);
        assert!(wires.happened().iter().all(|event| event.over));
        assert_eq!(wire.read(&mut buffer).expect("sent before"), 1);
        assert_eq!(wire.read(&mut buffer).expect("the end"), 0);
        assert_eq!(wire.write(b"6").expect_err("gone").kind(), io::ErrorKind::BrokenPipe);
        drop(wire);
        assert!(wires.state().busy.is_empty());
    }
}
