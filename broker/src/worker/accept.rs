//! New connections: from listeners, and from other cores whose listener took them.

use super::mailbox::Handoff;
use super::turn::LISTENERS;
use super::{Core, SlotId};
use crate::config::Versions;
use crate::connection::{Arrived, Connection};
use crate::net::Transport;
use crate::seam::{Branch, mark, reach};
use mio::{Interest, Token};
use std::io;

/// Connections accepted in one turn: as many as it takes events.
const ACCEPTS: usize = 1_024;
/// Pause after the process ran out of file descriptors.
const RETRY_MS: u64 = 100;

/// The event token of a connection.
pub fn token(id: SlotId) -> Token {
    // 64-bit targets only: generation above, position below.
    Token(((u64::from(id.generation) & 0x7fff_ffff) << 32 | u64::from(id.index)) as usize)
}

impl Core {
    /// Puts the listeners on the poll.
    pub(super) fn register_listeners(&mut self) -> io::Result<()> {
        for (position, listener) in self.listeners.iter_mut().enumerate() {
            self.registry.register(&mut listener.socket, Token(LISTENERS + position), Interest::READABLE)?;
        }
        Ok(())
    }

    /// Takes new connections, up to this turn's budget.
    pub(super) fn accept(&mut self) {
        if !self.accepting || self.accept_again_ms != u64::MAX {
            return;
        }
        let mut left = ACCEPTS;
        for position in 0..self.listeners.len() {
            while left > 0 {
                match self.listeners[position].socket.accept() {
                    Ok((stream, peer)) => {
                        left -= 1;
                        let versions = self.listeners[position].versions;
                        self.arrive(Transport::tcp(stream), peer.ip(), versions);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error)
                        if matches!(
                            error.kind(),
                            io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                        ) =>
                    {
                        left -= 1;
                    }
                    Err(error) => {
                        // Out of descriptors or memory: the connection stays in the backlog.
                        tracing::warn!(%error, "cannot accept connections; trying again every {RETRY_MS} ms");
                        self.accept_again_ms = self.now.mono_ms + RETRY_MS;
                        return;
                    }
                }
            }
        }
        self.accepting = left == 0;
    }

    /// A connection that somebody has opened.
    pub(super) fn arrive(&mut self, transport: Transport, ip: std::net::IpAddr, versions: Versions) {
        if !self.shared.connections.enter(self.shared.connections_max) {
            self.counters.turned_away += 1;
            return;
        }
        self.counters.accepted += 1;
        let deadline_ms = self.now.mono_ms + self.shared.limits.connect_timeout.as_millis() as u64;
        self.open(transport, Arrived { ip, deadline_ms, versions });
    }

    fn open(&mut self, transport: Transport, arrived: Arrived) -> Option<u32> {
        let deadline_ms = arrived.deadline_ms;
        let id = self.connections.insert(Connection::new(transport, arrived, self.now.mono_ms));
        let connection = self.connections.at_mut(id.index)?;
        if let Err(error) = connection.transport.register(&self.registry, token(id)) {
            tracing::warn!(%error, "cannot watch a new connection");
            self.forget(id.index);
            return None;
        }
        self.arm(id.index, deadline_ms);
        Some(id.index)
    }

    /// Sends a connection to its home core, with the bytes that were read so far. `false`: not now, the core is busy.
    pub(super) fn hand_off(&mut self, index: u32, home: usize, bytes: &[u8]) -> bool {
        let mailbox = &self.shared.mailboxes[home];
        if !mailbox.begin_handoff() {
            mark(Branch::HandOffRefused);
            reach();
            mailbox.want_room(self.me);
            // It may have taken all of them in between, and then nobody would tell us.
            if !mailbox.begin_handoff() {
                return false;
            }
        }
        let Some(mut connection) = self.connections.remove(index) else { return true };
        let arrived = connection.arrived.take();
        if connection.transport.deregister(&self.registry).is_err() || arrived.is_none() {
            self.shared.mailboxes[home].end_handoff();
            self.shared.connections.leave(1);
            return true;
        }
        if let Some(arrived) = arrived {
            self.shared.mailboxes[home].control(super::Control::Adopt(Box::new(Handoff {
                transport: connection.transport,
                bytes: bytes.to_vec(),
                ip: arrived.ip,
                deadline_ms: arrived.deadline_ms,
            })));
        }
        true
    }

    /// A connection whose home this core is. It is built anew here, in this core's memory.
    pub(super) fn adopt(&mut self, handoff: Handoff) {
        self.shared.mailboxes[self.me].end_handoff();
        let Handoff { transport, bytes, ip, deadline_ms } = handoff;
        if self.stop.is_some() {
            self.shared.connections.leave(1);
            return;
        }
        // Its version was judged where it arrived.
        let arrived = Arrived { ip, deadline_ms, versions: Versions::ALL };
        let Some(index) = self.open(transport, arrived) else { return };
        // Carried bytes first; registering makes an event for whatever the socket holds.
        self.on_bytes(index, &bytes);
    }
}
