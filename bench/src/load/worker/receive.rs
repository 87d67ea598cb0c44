//! What comes from the broker: packets, acknowledgements, and messages into the account.

use std::io::{ErrorKind, Read};

use millrace_codec::{
    Ack, FrameHeader, Packet, PacketType, Publish, QoS, ReasonCode, decode, encode_ack, frame_header,
};

use super::*;
use crate::load::account::Arrival;
use crate::load::client::NONE;
use crate::load::flight::Step;
use crate::load::payload::Stamp;

/// A packet may be so much longer than a payload of ours.
const PACKET_MAX: usize = 16 << 20;

impl Worker<'_> {
    /// Reads what has come; to the end if the peer has closed.
    pub(super) fn readable(&mut self, at: usize, buffer: &mut Vec<u8>, to_the_end: bool) {
        loop {
            let client = &mut self.clients[at];
            let Some(socket) = &mut client.socket else { return };
            let have = client.input.len();
            if buffer.len() < have + READ_BYTES / 2 {
                buffer.resize(have + READ_BYTES, 0);
            }
            if have > 0 {
                buffer[..have].copy_from_slice(&client.input);
            }
            let got = match socket.read(&mut buffer[have..]) {
                Ok(0) => return self.lost(at, "closed by the broker"),
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.lost(at, &error.to_string()),
            };
            client.input.clear();
            self.now = now_ns();
            let whole = have + got == buffer.len();
            match self.packets(at, &buffer[..have + got]) {
                Ok(used) if used < have + got => {
                    self.clients[at].input.extend_from_slice(&buffer[used..have + got]);
                }
                Ok(_) => {}
                Err(why) => return self.lost(at, &why),
            }
            if !whole && !to_the_end {
                return;
            }
        }
    }

    /// Handles all whole packets; returns how many bytes they are.
    fn packets(&mut self, at: usize, bytes: &[u8]) -> Result<usize, String> {
        let mut used = 0;
        while let Some(header) = frame_header(&bytes[used..]).map_err(|error| error.to_string())? {
            let Some(packet) = bytes.get(used..used + header.total_len()) else {
                if header.body_len > PACKET_MAX {
                    return Err(format!("a packet of {} bytes", header.total_len()));
                }
                break;
            };
            self.packet(at, header, &packet[header.header_len..])?;
            used += header.total_len();
        }
        Ok(used)
    }

    #[inline]
    fn packet(&mut self, at: usize, header: FrameHeader, body: &[u8]) -> Result<(), String> {
        let version = self.layout.version;
        if PacketType::from_first(header.first) == Some(PacketType::Publish) {
            let publish = Publish::decode(version, header.first, body).map_err(|error| error.to_string())?;
            return self.publish(at, &publish);
        }
        let packet = decode(version, header.first, body).map_err(|error| error.to_string())?;
        match packet {
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubComp(ack) => {
                self.acknowledge(at, packet.packet_type(), &ack);
                Ok(())
            }
            Packet::PubRel(ack) => {
                self.answer(at, PacketType::PubComp, ack.packet_id);
                Ok(())
            }
            _ => self.other(at, &packet),
        }
    }

    /// What comes seldom.
    fn other(&mut self, at: usize, packet: &Packet<'_>) -> Result<(), String> {
        match packet {
            Packet::PingResp => {
                self.confirm(at);
                Ok(())
            }
            Packet::ConnAck(connack) => self.connack(at, connack),
            Packet::SubAck(suback) => self.suback(at, suback),
            Packet::Disconnect(disconnect) => {
                let why =
                    disconnect.properties.reason_string().map_or(String::new(), |why| format!(": {why}"));
                Err(format!("DISCONNECT from the broker: {}{why}", disconnect.reason))
            }
            other => Err(format!("{} from the broker", other.packet_type())),
        }
    }

    #[inline]
    fn answer(&mut self, at: usize, packet_type: PacketType, packet_id: u16) {
        let output = &mut self.clients[at].output;
        encode_ack(packet_type, self.layout.version, packet_id, ReasonCode::Success, output);
        self.mark(at);
    }

    #[inline]
    fn publish(&mut self, at: usize, publish: &Publish<'_>) -> Result<(), String> {
        match publish.qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.answer(at, PacketType::PubAck, publish.packet_id),
            QoS::ExactlyOnce => self.answer(at, PacketType::PubRec, publish.packet_id),
        }
        if self.clients[at].state == State::Greeted {
            return Err("PUBLISH before CONNACK".to_owned());
        }
        if self.message(at, publish.payload).is_none() {
            self.stray(at, publish.payload.len());
        }
        Ok(())
    }

    /// Counts a message that is not of this run, or not for this client: some take anything.
    #[cold]
    fn stray(&mut self, at: usize, len: usize) {
        let group = &self.layout.plan.groups[usize::from(self.clients[at].group)];
        if group.subscribe.iter().any(|subscription| subscription.hears == Hears::Anything) {
            self.counters.delivered += 1;
            self.counters.payload_delivered += len as u64;
        } else {
            self.totals.foreign += 1;
        }
    }

    /// Enters a message into the account; none: it is not one of ours, or not for this client.
    #[inline]
    fn message(&mut self, at: usize, payload: &[u8]) -> Option<()> {
        let stamp = Stamp::read(payload)?;
        let client = &self.clients[at];
        let plan = self.layout.plan;
        let groups = plan.groups.len();
        let group = usize::from(stamp.group);
        if stamp.run != plan.run || group >= groups {
            return None;
        }
        let watch = self.watches[usize::from(client.group) * groups + group].as_ref()?;
        let stream = stamp.stream;
        let offset = match watch.hears {
            Hears::Same => (stream == client.number).then_some(0)?,
            Hears::All | Hears::Share => stream,
            Hears::Block(width) => {
                (stream / width as u32 == client.number).then_some(stream % width as u32)?
            }
            Hears::Nobody | Hears::Anything => return None,
        };
        if stream >= watch.streams || payload.len() != watch.size {
            return None;
        }
        let pair = watch.base + client.slot as usize * watch.width + offset as usize;
        let index = watch.first_stream + stream as usize;
        let arrival = if watch.hears == Hears::Share {
            match self.once[watch.once + stream as usize].arrive(stamp.sequence) {
                None => {
                    self.unfollowed += 1;
                    return Some(());
                }
                Some(false) => Arrival::Again,
                Some(true) if self.ordered.is_behind(pair, stamp.sequence) => Arrival::Late,
                Some(true) => Arrival::InOrder,
            }
        } else {
            let arrival = self.ordered.arrive(pair, stamp.sequence);
            self.arrived[index] += u64::from(arrival != Arrival::Again);
            arrival
        };
        match arrival {
            Arrival::InOrder => {}
            Arrival::Late => self.totals.reordered += 1,
            Arrival::Again => {
                self.totals.repeated += 1;
                return Some(());
            }
        }
        self.counters.delivered += 1;
        self.counters.payload_delivered += payload.len() as u64;
        self.times.record(self.now.saturating_sub(stamp.sent_ns), 1);
        self.last = self.now;
        self.delivered(index);
        Some(())
    }

    /// Tells the publisher of a stream that a message came.
    #[inline]
    fn delivered(&mut self, stream: usize) {
        match self.owners[stream] {
            Owner::Mine(publisher) => {
                self.came += 1;
                self.publishers[publisher as usize].delivered += 1;
                self.mark_publisher(publisher);
            }
            Owner::Thread(thread) => {
                self.came += 1;
                let outbox = &mut self.outboxes[thread as usize];
                match outbox.last_mut() {
                    Some((last, many)) if *last == stream as u32 => *many += 1,
                    _ => outbox.push((stream as u32, 1)),
                }
            }
            Owner::Elsewhere => {}
        }
    }

    #[inline]
    fn acknowledge(&mut self, at: usize, packet_type: PacketType, ack: &Ack<'_>) {
        let index = self.clients[at].publisher;
        let Some(publisher) = self.publishers.get_mut(index as usize) else {
            self.totals.unexpected += 1;
            return;
        };
        let refused = ack.reason.is_error();
        match publisher.flight.step(packet_type, ack.packet_id, publisher.qos, refused) {
            Step::Done(sent_ns) => {
                publisher.acknowledged();
                let group = usize::from(publisher.group);
                self.counters.acknowledged += 1;
                self.last = self.now;
                if refused {
                    self.refused(at, packet_type, ack.reason);
                }
                if self.heard_by_nobody(group) {
                    self.times.record(self.now.saturating_sub(sent_ns), 1);
                }
                self.mark_publisher(index);
            }
            Step::Release => self.answer(at, PacketType::PubRel, ack.packet_id),
            Step::ReleaseAgain => {
                self.totals.unexpected += 1;
                self.answer(at, PacketType::PubRel, ack.packet_id);
            }
            Step::Unexpected => self.totals.unexpected += 1,
        }
    }

    #[cold]
    fn refused(&mut self, at: usize, packet_type: PacketType, reason: ReasonCode) {
        self.totals.refused += 1;
        self.counters.errors += 1;
        let name = self.name(at);
        self.note(|| format!("{name}: a message was refused: {packet_type} with {reason}"));
    }

    fn heard_by_nobody(&self, group: usize) -> bool {
        self.layout.plan.groups[group].publish.as_ref().is_some_and(|publish| publish.receivers == 0)
    }

    /// PINGRESP: all that was sent before its PINGREQ has arrived.
    fn confirm(&mut self, at: usize) {
        let index = self.clients[at].publisher;
        if index == NONE {
            return;
        }
        let publisher = &mut self.publishers[index as usize];
        let Some((sent_ns, many)) = publisher.confirmed() else { return };
        let group = usize::from(publisher.group);
        self.last = self.now;
        if self.heard_by_nobody(group) {
            self.counters.acknowledged += u64::from(many);
            self.times.record(self.now.saturating_sub(sent_ns), u64::from(many));
        }
        self.mark_publisher(index);
    }
}
