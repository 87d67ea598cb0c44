//! One connection: its socket, what it still has to write, half a packet read. Idle ones have no buffers.

use std::io::{ErrorKind, Write};

use mio::net::TcpStream;

/// Where a connection is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not opened yet, or between two connections.
    Closed,
    Connecting,
    /// CONNECT is sent.
    Greeted,
    /// SUBSCRIBE is sent.
    Subscribing,
    Ready,
    /// Ready, and on its way out: holds back what it would send and what would be sent to it.
    Leaving,
    /// DISCONNECT is sent; the broker closes.
    Left,
    /// Failed or lost: not opened again.
    Dead,
}

/// Index of no publisher.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: Option<TcpStream>,
    pub(super) state: State,
    /// It is in its thread's list of connections with something to write.
    pub(super) dirty: bool,
    /// The socket took no more; an event says when it does.
    pub(super) blocked: bool,
    pub(super) group: u16,
    /// Number in its group.
    pub(super) number: u32,
    /// Place among the clients of its group in this thread.
    pub(super) slot: u32,
    /// Index among the publishers of its thread, or `NONE`.
    pub(super) publisher: u32,
    /// Bytes of `output` that are written.
    written: u32,
    pub(super) output: Vec<u8>,
    /// The start of a packet that has not come whole.
    pub(super) input: Vec<u8>,
    /// When it began to connect; while it leaves, when it began to.
    pub(super) since: u64,
}

impl Client {
    pub(super) fn new(group: u16, number: u32, slot: u32) -> Client {
        Client {
            socket: None,
            state: State::Closed,
            dirty: false,
            blocked: false,
            group,
            number,
            slot,
            publisher: NONE,
            written: 0,
            output: Vec::new(),
            input: Vec::new(),
            since: 0,
        }
    }

    /// Whether messages may be sent.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready | State::Leaving)
    }

    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.state, State::Connecting | State::Greeted | State::Subscribing)
    }

    /// Writes what there is; true: all of it.
    #[inline]
    pub(super) fn flush(&mut self) -> std::io::Result<bool> {
        self.dirty = false;
        let Some(socket) = &mut self.socket else { return Ok(true) };
        while let Some(rest) = self.output.get(self.written as usize..).filter(|rest| !rest.is_empty()) {
            match socket.write(rest) {
                Ok(written) => self.written += written as u32,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        self.blocked = false;
        Ok(true)
    }

    /// Closes the socket and forgets what was under way.
    pub(super) fn close(&mut self, state: State) {
        self.socket = None;
        self.state = state;
        self.blocked = false;
        self.written = 0;
        self.output.clear();
        self.input.clear();
    }

    /// Gives the buffers' memory back.
    pub(super) fn shrink(&mut self) {
        self.output = Vec::new();
        self.input = Vec::new();
    }
}
