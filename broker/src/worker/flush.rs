//! Writing: each connection that has something to say is written once, at the end of the turn.

use super::Core;
use crate::connection::Phase;
use crate::worker::close::Cause;

impl Core {
    /// Writes all connections that were appended to in this turn.
    pub(super) fn flush_dirty(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for index in dirty.drain(..) {
            // A position may be another connection's by now; its flag tells whether it has something to write.
            if let Some(connection) = self.connections.at_mut(index)
                && std::mem::take(&mut connection.dirty)
                && connection.blocked_ms == u64::MAX
            {
                self.flush(index);
            }
        }
        if self.dirty.is_empty() {
            self.dirty = dirty;
        }
    }

    /// Writes as much as the socket takes.
    pub(super) fn flush(&mut self, index: u32) {
        let now = self.now.mono_ms;
        let Some(connection) = self.connections.at_mut(index) else { return };
        let Some(output) = &mut connection.output else { return };
        let before = output.len();
        match output.write_to(&mut connection.transport) {
            Ok(true) => {
                self.counters.bytes_sent += before as u64;
                connection.blocked_ms = u64::MAX;
                Core::take_back(connection, &mut self.outputs);
                match connection.phase {
                    Phase::Closing if connection.ended => self.forget(index),
                    Phase::Closing => connection.transport.finish(),
                    _ => {
                        if connection.unread && !connection.held {
                            self.read_later(index);
                        }
                        self.pump(index);
                    }
                }
            }
            Ok(false) => {
                crate::seam::mark(crate::seam::Branch::ShortWrite);
                let left = output.len();
                self.counters.bytes_sent += (before - left) as u64;
                // An event comes when there is space again. The time-out counts from the last progress.
                if connection.blocked_ms == u64::MAX || left < before {
                    connection.blocked_ms = now;
                    let timeout = self.shared.limits.write_timeout.as_millis() as u64;
                    self.arm(index, now + timeout);
                }
                // It has not been read while it was choked.
                let output_max = self.shared.limits.max_output_bytes;
                if let Some(connection) = self.connections.at(index)
                    && connection.unread
                    && !connection.held
                    && !connection.is_choked(output_max)
                {
                    self.read_later(index);
                }
            }
            Err(_) => match connection.phase {
                Phase::Open => {
                    // Nothing more can be written; what the client has sent before is worth reading.
                    connection.output = None;
                    connection.blocked_ms = u64::MAX;
                    self.read(index, true);
                    if self.connections.at(index).is_some_and(|connection| connection.phase == Phase::Open) {
                        self.close(index, Cause::Ended);
                    }
                }
                _ => self.forget(index),
            },
        }
    }
}
