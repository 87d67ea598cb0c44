//! From a socket to packets: reading within a budget, cutting frames, and what happens while a packet is held because
//! it could not be admitted.

use super::{Core, Next, SlotId};
use crate::connection::Phase;
use crate::worker::close::Cause;
use millrace_codec::{
    Error, FrameHeader, Packet, PacketType, QoS, ReasonCode, Version, decode, encode_pingresp, frame_header,
};
use mio::Token;
use std::io::{ErrorKind, Read};

/// Bytes read from one connection in one turn.
const READ_BYTES: usize = 16 << 10;

/// What reading a socket came to.
enum Got {
    Bytes(usize),
    Nothing,
    End,
}

impl Core {
    pub(super) fn on_event(&mut self, token: Token, readable: bool, writable: bool, over: bool) {
        let index = token.0 as u32;
        let Some(id) = self.connections.id_at(index).filter(|&id| super::accept::token(id) == token) else {
            return;
        };
        if writable && self.connections.at(index).is_some_and(|connection| connection.output.is_some()) {
            self.flush(index);
        }
        if (readable || over) && self.connections.contains(id) {
            self.read(index, over);
        }
    }

    /// Puts a connection on the list of those that are read without an event.
    pub(super) fn read_later(&mut self, index: u32) {
        let Some(id) = self.connections.id_at(index) else { return };
        if let Some(connection) = self.connections.at_mut(index)
            && !connection.ready
        {
            connection.ready = true;
            self.ready.push_back(id);
        }
    }

    pub(super) fn read_ready(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(id) = self.ready.pop_front() else { return };
            if !self.connections.contains(id) {
                continue;
            }
            if let Some(connection) = self.connections.at_mut(id.index) {
                connection.ready = false;
                let over = std::mem::take(&mut connection.unread);
                self.read(id.index, over);
            }
        }
    }

    /// Reads once, up to the budget. `over`: no further event may come, so read on until nothing comes.
    pub(super) fn read(&mut self, index: u32, over: bool) {
        let Some(connection) = self.connections.at_mut(index) else { return };
        if connection.ended {
            return;
        }
        if connection.is_choked(self.shared.limits.max_output_bytes) {
            crate::seam::mark(crate::seam::Branch::Choked);
            // Goes on once the output is written.
            connection.unread = true;
            return;
        }
        let mut space = READ_BYTES;
        if connection.held {
            let first = connection.input.len();
            space = (self.shared.limits.held_bytes as usize + held_packet(connection)).saturating_sub(first);
            connection.unread = true;
            if space == 0 {
                return self.held_to_the_brim(index);
            }
        }
        let mut buffer = std::mem::take(&mut self.scratch.read);
        buffer.resize(READ_BYTES, 0);
        let space = space.min(READ_BYTES);
        let got = read_once(connection, &mut buffer[..space]);
        if let Got::Bytes(len) = got {
            let bytes = &buffer[..len];
            self.counters.bytes_received += len as u64;
            if connection.phase != Phase::Closing {
                connection.read_ms = self.now.mono_ms;
            }
            match (connection.phase, connection.held) {
                (Phase::Closing, _) => {}
                (_, true) => self.look_ahead(index, bytes),
                _ => self.on_bytes(index, bytes),
            }
            // A short read has emptied the socket, and what comes later makes an event.
            if let Some(connection) = self.connections.at_mut(index)
                && (len == space || over)
            {
                connection.unread |= over;
                self.read_later(index);
            }
        }
        self.scratch.read = buffer;
        if let Got::End = got {
            self.on_end(index);
        }
    }

    /// No more is read ahead. If a release were on its way, it would never be seen behind what is held.
    fn held_to_the_brim(&mut self, index: u32) {
        if self.waits_for_its_client(index) {
            let reason = ReasonCode::ReceiveMaximumExceeded;
            self.illegal(index, Error::protocol_as(reason, "more than receive_maximum unreleased"));
        }
    }

    /// The peer has closed or the connection broke.
    fn on_end(&mut self, index: u32) {
        let hopeless = self.waits_for_its_client(index);
        if self
            .connections
            .at(index)
            .is_some_and(|connection| !connection.held && !connection.input.is_empty())
        {
            crate::seam::mark(crate::seam::Branch::CutPacket);
        }
        let Some(connection) = self.connections.at_mut(index) else { return };
        match connection.phase {
            // Our last words are still to be written; the peer has closed its half only, perhaps.
            Phase::Closing if connection.output.is_some() => connection.ended = true,
            Phase::Connecting | Phase::Closing => self.forget(index),
            // What was sent before the end still counts, a DISCONNECT above all.
            Phase::Open if connection.held && !hopeless => connection.ended = true,
            Phase::Open => self.close(index, Cause::Ended),
        }
    }

    /// New bytes of a connection that is not held.
    pub(super) fn on_bytes(&mut self, index: u32, bytes: &[u8]) {
        let Some(connection) = self.connections.at_mut(index) else { return };
        if connection.input.is_empty() {
            let (used, next) = self.packets(index, bytes);
            self.keep(index, next, &bytes[used..]);
            return;
        }
        connection.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut connection.input);
        self.on_input(index, input);
    }

    /// Takes packets from bytes that are the connection's own already.
    fn on_input(&mut self, index: u32, mut input: Vec<u8>) {
        let (used, next) = self.packets(index, &input);
        if next == Next::Gone {
            return;
        }
        if used == input.len() {
            self.keep(index, next, &[]);
            return;
        }
        input.drain(..used);
        if let Some(connection) = self.connections.at_mut(index) {
            connection.input = input;
        }
        self.keep(index, next, &[]);
    }

    /// Keeps what could not be used yet.
    fn keep(&mut self, index: u32, next: Next, rest: &[u8]) {
        if next == Next::Gone {
            return;
        }
        let Some(connection) = self.connections.at_mut(index) else { return };
        connection.input.extend_from_slice(rest);
        if next == Next::Hold {
            self.hold(index);
        }
    }

    /// Takes one packet after the other. Returns how many bytes were used.
    fn packets(&mut self, index: u32, bytes: &[u8]) -> (usize, Next) {
        let size_max = self.shared.limits.max_packet_size as usize;
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let header = match frame_header(rest) {
                Ok(Some(header)) => header,
                Ok(None) => return (used, Next::Go),
                Err(error) => return (used, self.illegal(index, first_of_all(rest, error))),
            };
            let Some(connection) = self.connections.at(index) else { return (used, Next::Gone) };
            let (version, phase) = (connection.version, connection.phase);
            let first_is_connect = header.first >> 4 == PacketType::Connect as u8;
            if (phase == Phase::Connecting) != first_is_connect {
                // A second CONNECT [MQTT-3.1.0-2], or another packet before the first [MQTT-3.1.0-1].
                return (used, self.illegal(index, Error::protocol("CONNECT must come first and once")));
            }
            // Before anything is kept: a length is only a claim.
            if header.total_len() > size_max {
                return (used, self.illegal(index, Error::too_large("larger than max_packet_size")));
            }
            let Some(packet) = rest.get(..header.total_len()) else { return (used, Next::Go) };
            let body = &packet[header.header_len..];
            let next = match read_packet(version, header, body) {
                Ok(Packet::Connect(connect)) => self.connect(index, &connect, rest),
                Ok(packet) => self.packet(index, &packet),
                Err(error) if phase == Phase::Connecting => self.illegal_connect(index, body, error),
                Err(error) => self.illegal(index, first_of_all(rest, error)),
            };
            match next {
                Next::Go => {
                    used += header.total_len();
                    self.counters.packets_received += 1;
                }
                Next::Hold | Next::Gone => return (used, next),
            }
        }
    }

    fn packet(&mut self, index: u32, packet: &Packet<'_>) -> Next {
        match packet {
            Packet::Publish(publish) => self.publish(index, publish),
            Packet::PubAck(ack) => self.puback(index, ack),
            Packet::PubRec(ack) => self.pubrec(index, ack),
            Packet::PubRel(ack) => self.pubrel(index, ack),
            Packet::PubComp(ack) => self.pubcomp(index, ack),
            Packet::Subscribe(subscribe) => self.subscribe(index, subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(index, unsubscribe),
            Packet::PingReq => {
                self.ping(index);
                Next::Go
            }
            Packet::Disconnect(disconnect) => self.disconnect(index, disconnect),
            Packet::Auth(_) => self.illegal(index, NO_METHOD),
            _ => self.illegal(index, FROM_A_SERVER),
        }
    }

    fn ping(&mut self, index: u32) {
        if let Some(connection) = self.connections.at_mut(index) {
            encode_pingresp(Core::output(connection, index, &mut self.dirty, &mut self.outputs).copied());
        }
    }

    /// Remembers a connection whose next packet waits for room.
    fn hold(&mut self, index: u32) {
        let Some(id) = self.connections.id_at(index) else { return };
        if let Some(connection) = self.connections.at_mut(index)
            && !connection.held
        {
            connection.held = true;
            connection.scanned = held_packet(connection) as u32;
            crate::seam::mark(crate::seam::Branch::Held);
            self.counters.held += 1;
            let listed = std::mem::replace(&mut connection.listed, true);
            let input = std::mem::take(&mut connection.input);
            // Replies may lie behind the held packet already.
            let from = connection.scanned as usize;
            connection.input.extend_from_slice(&input[..from.min(input.len())]);
            if !listed {
                self.held.push(id);
                // Those that have gone leave their names behind, and nobody may ever call all of them.
                if self.held.len() > 2 * self.connections.len() + 64 {
                    self.held.retain(|&id| self.connections.contains(id));
                }
            }
            self.look_ahead(index, input.get(from..).unwrap_or_default());
        }
    }

    /// Tries a held connection again, then reads it: whatever came meanwhile made no event that was followed.
    pub(super) fn resume(&mut self, index: u32) {
        let Some(connection) = self.connections.at_mut(index) else { return };
        if !connection.held {
            return;
        }
        connection.held = false;
        connection.scanned = 0;
        let unread = std::mem::take(&mut connection.unread);
        let input = std::mem::take(&mut connection.input);
        let Some(id) = self.connections.id_at(index) else { return };
        self.on_input(index, input);
        if !self.connections.contains(id) {
            return;
        }
        let Some(connection) = self.connections.at_mut(index) else { return };
        if connection.ended {
            self.on_end(index);
        } else if unread {
            connection.unread = true;
            self.read_later(index);
        }
    }

    /// All held connections are to be tried again.
    pub(super) fn retry_all_held(&mut self) {
        for id in self.held.drain(..) {
            if self.connections.contains(id)
                && let Some(connection) = self.connections.at_mut(id.index)
            {
                connection.listed = false;
                if !std::mem::replace(&mut connection.retrying, true) {
                    self.retry.push_back(id);
                }
            }
        }
    }

    /// While a packet is held: answers PINGREQ and takes acknowledgements that need no room, ahead of it. Everything
    /// else keeps its order behind it.
    fn look_ahead(&mut self, index: u32, bytes: &[u8]) {
        let Some(connection) = self.connections.at_mut(index) else { return };
        connection.input.extend_from_slice(bytes);
        if connection.phase != Phase::Open {
            return; // behind a held CONNECT nothing has a meaning yet
        }
        let version = connection.version;
        let mut input = std::mem::take(&mut connection.input);
        let mut at = connection.scanned as usize;
        while let Some(Ok(Some(header))) = input.get(at..).map(frame_header) {
            let Some(end) = at.checked_add(header.total_len()).filter(|&end| end <= input.len()) else {
                break;
            };
            let mut released = None;
            let done = match read_packet(version, header, &input[at + header.header_len..end]) {
                Ok(Packet::PingReq) => {
                    self.ping(index);
                    true
                }
                Ok(Packet::PubAck(ack)) => self.puback(index, &ack) == Next::Go,
                Ok(Packet::PubRec(ack)) => self.pubrec(index, &ack) == Next::Go,
                Ok(Packet::PubRel(ack)) => {
                    released = self.has_received(index, ack.packet_id).then_some(ack.packet_id);
                    self.pubrel(index, &ack) == Next::Go
                }
                Ok(Packet::PubComp(ack)) => self.pubcomp(index, &ack) == Next::Go,
                // What is illegal is found when its turn comes.
                _ => false,
            };
            if self.connections.at(index).is_none_or(|connection| connection.phase != Phase::Open) {
                return; // it was a misplaced acknowledgement
            }
            if done {
                self.counters.packets_received += 1;
                input.drain(at..end);
                if let Some(packet_id) = released {
                    at -= drop_repetitions(&mut input, at, version, packet_id);
                }
            } else {
                at = end;
            }
        }
        if let Some(connection) = self.connections.at_mut(index) {
            connection.scanned = at as u32;
            connection.input = input;
        }
    }

    fn has_received(&mut self, index: u32, packet_id: u16) -> bool {
        let Some(id) = self.session_id(index) else { return false };
        let flow = self.sessions.at_mut(id.index).and_then(|session| session.flow_if_any());
        flow.is_some_and(|flow| flow.inbound.has_received(packet_id))
    }

    /// Closes for an illegal packet.
    pub(super) fn illegal(&mut self, index: u32, error: Error) -> Next {
        self.counters.illegal += 1;
        self.close(index, Cause::Illegal(error));
        Next::Gone
    }

    /// The full name of an open connection's session.
    pub(super) fn session_id(&self, index: u32) -> Option<SlotId> {
        self.sessions.id_at(self.connections.at(index)?.session)
    }
}

/// Said of packets that no client has a reason to send.
const FROM_A_SERVER: Error = Error::protocol("a packet that only servers send");
/// Said of AUTH.
const NO_METHOD: Error = Error::protocol("AUTH without an authentication method");

/// What is wrong with a packet before whatever else is: a client may not send it. (PINGRESP carries nothing that could
/// be wrong apart from that.)
#[cold]
fn first_of_all(packet: &[u8], error: Error) -> Error {
    match packet.first().copied().and_then(PacketType::from_first) {
        Some(PacketType::ConnAck | PacketType::SubAck | PacketType::UnsubAck) => FROM_A_SERVER,
        // Enhanced authentication begins with a method in CONNECT, and there are none (section 4.12). Flags are worse
        // [MQTT-3.15.1-1].
        Some(PacketType::Auth) if packet.first() == Some(&PacketType::Auth.first_byte()) => NO_METHOD,
        _ => error,
    }
}

/// A PUBREL was taken ahead of held packets: a repetition of its PUBLISH among them, in the first `len` bytes, would be
/// a new message now. Its sender has the PUBREC that it would bring. Returns how many bytes went.
///
/// A packet id is released once, so this is asked for as often as messages may be unreleased, whatever a client sends.
fn drop_repetitions(input: &mut Vec<u8>, len: usize, version: Version, packet_id: u16) -> usize {
    let (mut at, mut gone) = (0, 0);
    while let Some(Ok(Some(header))) = input.get(at..len - gone).map(frame_header) {
        let Some(end) = at.checked_add(header.total_len()).filter(|&end| end <= len - gone) else { break };
        match read_packet(version, header, &input[at + header.header_len..end]) {
            Ok(Packet::Publish(publish))
                if publish.qos == QoS::ExactlyOnce && publish.packet_id == packet_id =>
            {
                input.drain(at..end);
                gone += end - at;
            }
            _ => at = end,
        }
    }
    gone
}

/// Decodes a packet and, which only its version can tell, judges the form of its length.
#[inline]
fn read_packet(version: Version, header: FrameHeader, body: &[u8]) -> Result<Packet<'_>, Error> {
    let packet = decode(version, header.first, body)?;
    let version = match &packet {
        Packet::Connect(connect) => connect.version,
        _ => version,
    };
    if version == Version::V5 && !header.is_minimal() {
        return Err(Error::malformed("remaining length longer than needed")); // [MQTT-1.5.5-1]
    }
    Ok(packet)
}

/// Length of the packet at the start of a held connection's input.
fn held_packet(connection: &crate::connection::Connection) -> usize {
    frame_header(&connection.input).ok().flatten().map_or(0, |header| header.total_len())
}

fn read_once(connection: &mut crate::connection::Connection, buffer: &mut [u8]) -> Got {
    loop {
        match connection.transport.read(buffer) {
            Ok(0) => return Got::End,
            Ok(len) => return Got::Bytes(len),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Got::Nothing,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Got::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(first: u8, packet_id: u8) -> Vec<u8> {
        vec![first, 6, 0, 1, b't', 0, packet_id, b'x']
    }

    /// Found by the simulation: released ahead of it, a repetition would have been a new message.
    #[test]
    fn a_release_takes_the_held_repetitions_with_it_and_nothing_else() {
        let (again, other, once) = (publish(0x3c, 7), publish(0x3c, 8), publish(0x32, 7));
        let mut input = [once.clone(), again.clone(), other.clone(), again.clone(), again.clone()].concat();
        let scanned = 4 * again.len();
        let gone = drop_repetitions(&mut input, scanned, Version::V311, 7);
        // The last is behind the release: a new message.
        assert_eq!((gone, input), (2 * again.len(), [once, other, again].concat()));
    }
}
