//! A network in memory that misbehaves as a real one may: small buffers of random size each way, reads and writes in
//! part, resets, ends of one half. Events come as from an edge-triggered epoll: for new bytes or an end, and for space
//! only after a write that did not fit. Deterministic under a seed, in one thread; for simulations.

use millrace_kafka_sink::log::sim::Random;
use mio::Token;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an event says of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Bytes, or the end of them.
    pub readable: bool,
    /// Space after a write that did not fit.
    pub writable: bool,
    /// The client has closed or reset.
    pub over: bool,
}

/// One connection.
struct Wire {
    /// The core and the name by which its events are told.
    registered: Option<(usize, Token)>,
    to_broker: VecDeque<u8>,
    to_client: VecDeque<u8>,
    room: [usize; 2],
    /// The broker's last write did not fit.
    blocked: bool,
    client_finished: bool,
    broker_finished: bool,
    reset: bool,
}

struct State {
    wires: BTreeMap<u32, Wire>,
    next: u32,
    /// What each core has not been told yet.
    events: Vec<BTreeMap<Token, Event>>,
    /// The core that runs.
    current: usize,
    random: Random,
    /// Reads and writes are whole from now on.
    good: bool,
}

/// All connections of a node.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

/// The broker's end of a connection.
pub struct Plug {
    network: Network,
    number: u32,
}

/// What a client finds at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Open.
    Open,
    /// The broker will send no more.
    Finished,
    /// The connection is gone.
    Gone,
}

impl Network {
    /// No connections yet.
    pub fn new(seed: u64, cores: usize) -> Network {
        Network(Arc::new(Mutex::new(State {
            wires: BTreeMap::new(),
            next: 0,
            events: (0..cores).map(|_| BTreeMap::new()).collect(),
            current: 0,
            random: Random::new(seed),
            good: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This core runs now. Returns the one that ran before.
    pub fn enter(&self, core: usize) -> usize {
        std::mem::replace(&mut self.state().current, core)
    }

    /// Everything fits and comes whole from now on.
    pub fn make_good(&self) {
        let mut state = self.state();
        state.good = true;
        let State { wires, .. } = &mut *state;
        wires.values_mut().for_each(|wire| wire.room = [1 << 20; 2]);
        let all: Vec<u32> = state.wires.keys().copied().collect();
        all.into_iter().for_each(|number| state.space(number));
    }

    /// A new connection: the broker's end, and the number of the client's.
    pub fn connect(&self) -> (Plug, u32) {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        let mut room = [1 << 20; 2];
        if !state.good {
            for room in &mut room {
                let scale = state.random.below(11);
                *room = 8 + state.random.below(1 << (3 + scale)) as usize;
            }
        }
        state.wires.insert(
            number,
            Wire {
                registered: None,
                to_broker: VecDeque::new(),
                to_client: VecDeque::new(),
                room,
                blocked: false,
                client_finished: false,
                broker_finished: false,
                reset: false,
            },
        );
        (Plug { network: self.clone(), number }, number)
    }

    /// The client sends. Returns how many bytes fitted.
    pub fn send(&self, number: u32, bytes: &[u8]) -> usize {
        let mut state = self.state();
        let part = state.part(bytes.len());
        let Some(wire) = state.wires.get_mut(&number) else { return bytes.len() };
        if wire.reset || wire.client_finished {
            return bytes.len();
        }
        let len = part.min(wire.room[0].saturating_sub(wire.to_broker.len()));
        wire.to_broker.extend(bytes.iter().take(len));
        if len > 0 {
            state.tell(number, Event { readable: true, ..Event::default() });
        }
        len
    }

    /// The client reads some of what there is.
    pub fn take(&self, number: u32, into: &mut Vec<u8>) -> Line {
        let mut state = self.state();
        let part = state.part(1 << 16);
        let Some(wire) = state.wires.get_mut(&number) else { return Line::Gone };
        if wire.reset {
            return Line::Gone;
        }
        let len = part.min(wire.to_client.len());
        into.extend(wire.to_client.drain(..len));
        let finished = wire.broker_finished && wire.to_client.is_empty();
        state.space(number);
        if finished { Line::Finished } else { Line::Open }
    }

    /// The client says that it sends no more; it still reads.
    pub fn finish(&self, number: u32) {
        let mut state = self.state();
        let Some(wire) = state.wires.get_mut(&number) else { return };
        wire.client_finished = true;
        state.tell(number, Event { readable: true, over: true, ..Event::default() });
    }

    /// The connection breaks: nothing that is under way arrives, either way.
    pub fn reset(&self, number: u32) {
        let mut state = self.state();
        let Some(wire) = state.wires.get_mut(&number) else { return };
        wire.reset = true;
        wire.to_broker.clear();
        wire.to_client.clear();
        state.tell(number, Event { readable: true, writable: true, over: true });
        state.tidy(number);
    }

    /// Whether a connection was reset and the broker has let go of it.
    pub fn is_gone(&self, number: u32) -> bool {
        !self.state().wires.contains_key(&number)
    }

    /// Whether the broker has closed a connection.
    pub fn is_closed(&self, number: u32) -> bool {
        self.state().wires.get(&number).is_none_or(|wire| wire.broker_finished || wire.reset)
    }

    /// Whether the broker could not write all that it had.
    pub fn is_full(&self, number: u32) -> bool {
        self.state().wires.get(&number).is_some_and(|wire| wire.blocked)
    }

    /// What this core has not been told yet.
    pub fn events(&self, core: usize) -> Vec<(Token, Event)> {
        std::mem::take(&mut self.state().events[core]).into_iter().collect()
    }

    /// Whether there are events for this core.
    pub fn has_events(&self, core: usize) -> bool {
        !self.state().events[core].is_empty()
    }

    /// Bytes that nobody has taken, at the broker's door and at the clients'.
    pub fn under_way(&self) -> [usize; 2] {
        let state = self.state();
        let sum = |of: fn(&Wire) -> usize| state.wires.values().map(of).sum();
        [sum(|wire| wire.to_broker.len()), sum(|wire| wire.to_client.len())]
    }
}

impl State {
    /// So many of `len` bytes go at once.
    fn part(&mut self, len: usize) -> usize {
        if self.good || len < 2 || self.random.one_in(2) {
            return len;
        }
        1 + self.random.below(len.min(200) as u64) as usize % len
    }

    fn tell(&mut self, number: u32, event: Event) {
        let Some((core, token)) = self.wires.get(&number).and_then(|wire| wire.registered) else { return };
        let told = self.events[core].entry(token).or_default();
        told.readable |= event.readable;
        told.writable |= event.writable;
        told.over |= event.over;
    }

    /// There may be space again.
    fn space(&mut self, number: u32) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        if wire.blocked && wire.to_client.len() < wire.room[1] {
            wire.blocked = false;
            self.tell(number, Event { writable: true, ..Event::default() });
        }
    }

    /// Forgets a connection that nobody holds.
    fn tidy(&mut self, number: u32) {
        if self.wires.get(&number).is_some_and(|wire| wire.reset && wire.broker_finished) {
            self.wires.remove(&number);
        }
    }
}

impl Plug {
    /// Names it to the core that runs; what is there already makes an event.
    pub fn register(&self, token: Token) {
        let mut state = self.network.state();
        let core = state.current;
        let Some(wire) = state.wires.get_mut(&self.number) else { return };
        wire.registered = Some((core, token));
        let over = wire.reset || wire.client_finished;
        let event = Event { readable: over || !wire.to_broker.is_empty(), writable: true, over };
        state.tell(self.number, event);
    }

    /// No more events.
    pub fn deregister(&self) {
        let mut state = self.network.state();
        let registered = state.wires.get_mut(&self.number).and_then(|wire| wire.registered.take());
        if let Some((core, token)) = registered {
            state.events[core].remove(&token);
        }
    }

    /// The broker says that it will send no more.
    pub fn finish(&self) {
        if let Some(wire) = self.network.state().wires.get_mut(&self.number) {
            wire.broker_finished = true;
        }
    }

    /// As a read of a non-blocking socket; less than there is only if the buffer is small.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing, `ConnectionReset`.
    pub fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut state = self.network.state();
        let Some(wire) = state.wires.get_mut(&self.number) else { return Ok(0) };
        if wire.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let len = wire.to_broker.len().min(bytes.len());
        if len == 0 {
            return if wire.client_finished { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        for (place, byte) in bytes.iter_mut().zip(wire.to_broker.drain(..len)) {
            *place = byte;
        }
        Ok(len)
    }

    /// As a write to a non-blocking socket.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room, `ConnectionReset`.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.network.state();
        let part = state.part(bytes.len());
        let Some(wire) = state.wires.get_mut(&self.number) else { return Err(ErrorKind::BrokenPipe.into()) };
        if wire.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let room = wire.room[1].saturating_sub(wire.to_client.len());
        if room == 0 && !bytes.is_empty() {
            wire.blocked = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = part.min(room);
        wire.to_client.extend(&bytes[..len]);
        Ok(len)
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        self.deregister();
        let mut state = self.network.state();
        if let Some(wire) = state.wires.get_mut(&self.number) {
            wire.broker_finished = true;
            // Unread input makes a close a reset, which may overtake what was written.
            if !wire.to_broker.is_empty() {
                wire.reset = true;
                wire.to_client.clear();
            }
        }
        state.tidy(self.number);
    }
}
