//! Subscriptions held beside the load: few clients, many filters that nothing is published to. What a broker keeps for
//! them may cost every message; how fast it takes and drops them is measured on the way.
//!
//! Plain blocking connections, one after the other: there is one thing to measure, the broker.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use millrace_codec::{
    Connect, FilterBuf, Packet, PacketType, QoS, ReasonCode, Subscribe, SubscribeOptions, Unsubscribe,
    UnsubscribeFilterBuf, Version, decode, frame_header,
};

/// Subscriptions of one client.
const PER_CLIENT: u64 = 250_000;
/// Filters of one SUBSCRIBE or UNSUBSCRIBE.
const PER_PACKET: u64 = 100;
/// Packets sent ahead of their acknowledgement.
const AHEAD: usize = 8;
/// A broker that says nothing for so long is stuck.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What is subscribed, and how.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) address: SocketAddr,
    pub(super) version: Version,
    pub(super) qos: u8,
    pub(super) count: u64,
    /// `{n}` is the number of each.
    pub(super) filter: &'a str,
    /// For client ids.
    pub(super) run: u32,
}

/// Clients with their subscriptions; dropped, their connections break.
#[derive(Debug)]
pub(super) struct Holding<'a> {
    wanted: Wanted<'a>,
    clients: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    stream: TcpStream,
    version: Version,
    input: Vec<u8>,
    /// Numbers of its filters.
    first: u64,
    end: u64,
}

impl<'a> Holding<'a> {
    /// Makes the subscriptions; and the seconds that it took.
    ///
    /// # Errors
    /// The broker refuses one, or breaks a connection.
    pub(super) fn make(wanted: Wanted<'a>) -> Result<(Holding<'a>, f64), String> {
        let mut clients = Vec::new();
        for first in (0..wanted.count).step_by(PER_CLIENT as usize) {
            let end = wanted.count.min(first + PER_CLIENT);
            clients.push(Client::open(&wanted, first, end).map_err(named)?);
        }
        let started = Instant::now();
        for client in &mut clients {
            client.exchange(&wanted, PacketType::SubAck).map_err(named)?;
        }
        Ok((Holding { wanted, clients }, started.elapsed().as_secs_f64()))
    }

    /// Ends them; and the seconds that it took.
    ///
    /// # Errors
    /// The broker refuses one, or has broken a connection.
    pub(super) fn end(mut self) -> Result<f64, String> {
        let started = Instant::now();
        for client in &mut self.clients {
            client.exchange(&self.wanted, PacketType::UnsubAck).map_err(named)?;
        }
        let seconds = started.elapsed().as_secs_f64();
        for mut client in self.clients {
            // DISCONNECT; whoever is gone needs none.
            let _ = client.stream.write_all(&[0xe0, 0]);
        }
        Ok(seconds)
    }
}

fn named(error: io::Error) -> String {
    format!("held subscriptions: {error}")
}

impl Client {
    fn open(wanted: &Wanted<'_>, first: u64, end: u64) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&wanted.address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let version = wanted.version;
        let mut client = Client { stream, version, input: Vec::new(), first, end };
        let connect = Connect {
            version,
            clean_start: true,
            keep_alive: 0,
            client_id: &format!("hld-{}-{}", wanted.run, first / PER_CLIENT),
            will: None,
            username: None,
            password: None,
            properties: Default::default(),
        };
        client.send(&Packet::Connect(connect))?;
        client.receive(|packet| match packet {
            Packet::ConnAck(connack) if connack.reason == ReasonCode::Success => Ok(()),
            Packet::ConnAck(connack) => Err(format!("CONNECT was refused: {}", connack.reason.name())),
            other => Err(format!("{} instead of CONNACK", other.packet_type())),
        })?;
        Ok(client)
    }

    /// Sends all filters, and takes as many acknowledgements of that type.
    fn exchange(&mut self, wanted: &Wanted<'_>, answer: PacketType) -> io::Result<()> {
        let options = SubscribeOptions::with_qos(QoS::from_number(wanted.qos).unwrap_or_default());
        let mut under_way = 0;
        let mut packet_id = 0_u16;
        for first in (self.first..self.end).step_by(PER_PACKET as usize) {
            let filters = (first..self.end.min(first + PER_PACKET))
                .map(|n| wanted.filter.replace("{n}", &n.to_string()));
            packet_id = packet_id.checked_add(1).unwrap_or(1);
            let (mut subscribed, mut ended) = (FilterBuf::new(), UnsubscribeFilterBuf::new());
            for filter in filters {
                match answer {
                    PacketType::SubAck => subscribed.push(&filter, options),
                    _ => ended.push(&filter),
                }
                .map_err(io::Error::other)?;
            }
            let packet = match answer {
                PacketType::SubAck => Packet::Subscribe(Subscribe {
                    packet_id,
                    properties: Default::default(),
                    filters: subscribed.as_filters(),
                }),
                _ => Packet::Unsubscribe(Unsubscribe {
                    packet_id,
                    properties: Default::default(),
                    filters: ended.as_filters(),
                }),
            };
            self.send(&packet)?;
            under_way += 1;
            if under_way == AHEAD {
                self.acknowledged(answer)?;
                under_way -= 1;
            }
        }
        (0..under_way).try_for_each(|_| self.acknowledged(answer))
    }

    fn acknowledged(&mut self, answer: PacketType) -> io::Result<()> {
        self.receive(|packet| match packet {
            Packet::SubAck(suback) if answer == PacketType::SubAck => {
                match suback.codes.iter().find(|&&code| code >= 0x80) {
                    Some(code) => Err(format!("SUBSCRIBE was refused: {code:#04x}")),
                    None => Ok(()),
                }
            }
            Packet::UnsubAck(_) if answer == PacketType::UnsubAck => Ok(()),
            other => Err(format!("{} instead of {answer}", other.packet_type())),
        })
    }

    fn send(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let mut out = Vec::new();
        packet.encode(self.version, &mut out).map_err(io::Error::other)?;
        self.stream.write_all(&out)
    }

    /// Takes the next packet.
    fn receive(&mut self, take: impl FnOnce(&Packet<'_>) -> Result<(), String>) -> io::Result<()> {
        let mut part = [0; 4096];
        loop {
            if let Some(header) = frame_header(&self.input).map_err(io::Error::other)?
                && let Some(packet) = self.input.get(header.header_len..header.total_len())
            {
                let packet = decode(self.version, header.first, packet).map_err(io::Error::other)?;
                take(&packet).map_err(io::Error::other)?;
                self.input.drain(..header.total_len());
                return Ok(());
            }
            match self.stream.read(&mut part)? {
                0 => return Err(io::Error::other("the broker closed the connection")),
                len => self.input.extend_from_slice(&part[..len]),
            }
        }
    }
}
