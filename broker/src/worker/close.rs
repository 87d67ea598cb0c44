//! How a connection ends: why, what the client is told, what becomes of its session, and the deadlines that end it.

use super::{Core, Next};
use crate::connection::Phase;
use millrace_codec::{Disconnect, Error, Guilt, Packet, Property, PropertyBuf, ReasonCode, Version};

/// How long the last bytes to a client may take.
const LINGER_MS: u64 = 1_000;

/// More than a DISCONNECT has beside its reason string.
const DISCONNECT_BYTES: usize = 16;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The client sent DISCONNECT.
    Goodbye,
    /// The client sent DISCONNECT and wants its will published (5.0, 0x04).
    GoodbyeWithWill,
    /// The peer closed, or the connection broke.
    Ended,
    /// Nothing came for one and a half times the keep-alive [MQTT-3.1.2-22].
    KeepAlive,
    /// The client took nothing off us for too long.
    NotReading,
    /// The same client id connected again [MQTT-3.1.4-3].
    TakenOver,
    /// An illegal packet.
    Illegal(Error),
    /// The broker stops.
    ServerShutdown,
}

impl Cause {
    /// The word in the record of `client.disconnected`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Cause::Goodbye | Cause::GoodbyeWithWill => "normal",
            Cause::Ended | Cause::NotReading => "closed",
            Cause::KeepAlive => "keepalive_timeout",
            Cause::TakenOver => "taken_over",
            Cause::ServerShutdown => "server_shutdown",
            Cause::Illegal(error) => match (error.guilt, error.reason) {
                (_, ReasonCode::NotAuthorized) => "not_authorized",
                (_, ReasonCode::QuotaExceeded | ReasonCode::ReceiveMaximumExceeded) => "quota",
                (Guilt::Malformed, _) => "malformed",
                _ => "protocol_error",
            },
        }
    }

    /// What a 5.0 client is told in DISCONNECT; `None` when it is not there to hear it.
    fn told(self) -> Option<ReasonCode> {
        match self {
            Cause::Goodbye | Cause::GoodbyeWithWill | Cause::Ended | Cause::NotReading => None,
            Cause::KeepAlive => Some(ReasonCode::KeepAliveTimeout),
            Cause::TakenOver => Some(ReasonCode::SessionTakenOver),
            Cause::ServerShutdown => Some(ReasonCode::ServerShuttingDown),
            Cause::Illegal(error) => Some(error.reason),
        }
    }
}

impl Core {
    /// DISCONNECT from the client.
    pub(super) fn disconnect(&mut self, index: u32, disconnect: &Disconnect<'_>) -> Next {
        let properties = &disconnect.properties;
        if let Some(asked) = properties.session_expiry_interval()
            && let Some(id) = self.session_id(index)
            && let Some(session) = self.sessions.at_mut(id.index)
        {
            if asked > 0 && !session.is_kept() {
                // Not a valid DISCONNECT (5.0, 3.14.2.2.2): the will goes out.
                return self.illegal(index, Error::protocol("a session expiry after a CONNECT without one"));
            }
            session.expiry_s = asked.min(self.shared.limits.session_expiry_max);
        }
        self.counters.packets_received += 1;
        let cause = match disconnect.reason {
            ReasonCode::Success => Cause::Goodbye,
            // Every other reason means that the connection did not end well: the will goes out [MQTT-3.14.4-3].
            _ => Cause::GoodbyeWithWill,
        };
        self.close(index, cause);
        Next::Gone
    }

    /// Ends a connection, and its session if that is not kept. The client is told why if there is a way to tell it.
    pub(super) fn close(&mut self, index: u32, cause: Cause) {
        let Some(connection) = self.connections.at(index) else { return };
        let (phase, version, session) = (connection.phase, connection.version, connection.session);
        let takes = self.sessions.at(session).map_or(u32::MAX, |session| session.packet_bytes_max);
        if phase == Phase::Open {
            self.leave_session(session, cause);
        }
        let told = cause.told().filter(|_| phase == Phase::Open && version == Version::V5);
        let Some(reason) = told else {
            // An answer that was made before (CONNACK of a refusal, PUBACK) still goes out.
            return self.linger(index);
        };
        if let Some(connection) = self.connections.at_mut(index) {
            let out = Core::output(connection, index, &mut self.dirty, &mut self.outputs).copied();
            let mut said = PropertyBuf::new();
            let mut reason = reason;
            if reason == ReasonCode::ServerShuttingDown
                && let Some(reference) = &self.shared.server_reference
            {
                reason = ReasonCode::UseAnotherServer;
                // Fails only for texts over 65,535 bytes.
                let _ = said.push(Property::ServerReference(reference));
            }
            if let Cause::Illegal(error) = cause
                && self.shared.limits.reason_strings
                && takes as usize > error.what.len() + DISCONNECT_BYTES
            {
                let _ = said.push(Property::ReasonString(error.what)); // [MQTT-3.14.2-3]
            }
            let start = out.len();
            // Fails only for packets over 256 MB.
            let _ = Packet::Disconnect(Disconnect { reason, properties: said.as_properties() })
                .encode(version, out);
            if out.len() - start > takes as usize {
                out.truncate(start); // [MQTT-3.1.2-24]
            }
        }
        self.linger(index);
    }

    /// Writes what is left, says that nothing more will come, and waits a little for the peer to close: closing at
    /// once with unread input would reset the connection and take our last words with it.
    pub(super) fn linger(&mut self, index: u32) {
        let Some(connection) = self.connections.at_mut(index) else { return };
        connection.phase = Phase::Closing;
        connection.session = u32::MAX;
        connection.input = Vec::new();
        connection.held = false;
        if connection.output.is_none() {
            return self.forget(index);
        }
        connection.silence_ms_max = 0;
        connection.blocked_ms = u64::MAX;
        connection.read_ms = self.now.mono_ms;
        self.arm(index, self.now.mono_ms + LINGER_MS);
        // Shut down after the write, at the end of the turn.
    }

    /// Drops a connection; its session, if it has one, is dealt with already.
    pub(super) fn forget(&mut self, index: u32) {
        let Some(mut connection) = self.connections.remove(index) else { return };
        Core::take_back(&mut connection, &mut self.outputs);
        self.shared.connections.leave(1);
    }

    /// The connection's deadline has come, or was only the earliest that it could be.
    pub(super) fn on_timer(&mut self, index: u32) {
        let now = self.now.mono_ms;
        let output_max = self.shared.limits.max_output_bytes;
        let write_timeout = self.shared.limits.write_timeout.as_millis() as u64;
        let its_turn = self.waits_for_its_client(index);
        let Some(connection) = self.connections.at_mut(index) else { return };
        if connection.timer_ms > now {
            return; // an older entry of the wheel
        }
        connection.timer_ms = u64::MAX;
        let mut next = u64::MAX;
        match connection.phase {
            Phase::Closing => {
                if connection.read_ms + LINGER_MS <= now {
                    return self.forget(index);
                }
                next = connection.read_ms + LINGER_MS;
            }
            Phase::Connecting => {
                let deadline = connection.arrived.as_ref().map_or(0, |arrived| arrived.deadline_ms);
                if deadline <= now {
                    self.counters.timed_out += 1;
                    return self.forget(index);
                }
                next = deadline;
            }
            Phase::Open => {
                if connection.blocked_ms != u64::MAX {
                    if connection.blocked_ms + write_timeout <= now {
                        self.counters.timed_out += 1;
                        return self.close(index, Cause::NotReading);
                    }
                    next = connection.blocked_ms + write_timeout;
                }
                if connection.silence_ms_max > 0 {
                    // While it is us that a client waits for, its silence proves nothing, nor does what is unread yet.
                    let unheard =
                        connection.held && !its_turn || connection.is_choked(output_max) || connection.ready;
                    let since = if unheard { now } else { connection.read_ms };
                    let deadline = since + u64::from(connection.silence_ms_max);
                    if deadline <= now {
                        self.counters.timed_out += 1;
                        return self.close(index, Cause::KeepAlive);
                    }
                    next = next.min(deadline);
                }
            }
        }
        if next != u64::MAX {
            self.arm(index, next);
        }
    }
}
