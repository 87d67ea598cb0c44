//! Subscriptions held beside the load: few clients, many filters that nothing is published to. What a broker keeps for
//! them may cost every message; how fast it takes and drops them is measured on the way.
//!
//! Plain blocking connections, one after the other: there is one thing to measure, the broker.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use millrace_codec::{
    Connect, FilterBuf, Packet, PacketType, Properties, QoS, ReasonCode, Subscribe, SubscribeOptions,
    Unsubscribe, UnsubscribeFilterBuf, Version, decode, frame_header,
};

/// Filters of one SUBSCRIBE or UNSUBSCRIBE.
const PER_PACKET: u64 = 100;
/// Clients that have packets under way at once.
const AT_ONCE: usize = 16;
/// A broker that says nothing for so long is stuck.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What is subscribed, and how.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) address: SocketAddr,
    pub(super) version: Version,
    pub(super) qos: u8,
    pub(super) count: u64,
    /// Who hold them, in equal parts.
    pub(super) clients: u64,
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
        let (count, of) = (wanted.count, wanted.clients.clamp(1, wanted.count.max(1)));
        let client = |number| Client::open(&wanted, number, number * count / of, (number + 1) * count / of);
        let clients = (0..of).map(client).collect::<io::Result<_>>().map_err(named)?;
        let mut holding = Holding { wanted, clients };
        let seconds = holding.exchange(PacketType::SubAck).map_err(named)?;
        Ok((holding, seconds))
    }

    /// Ends them; and the seconds that it took.
    ///
    /// # Errors
    /// The broker refuses one, or has broken a connection.
    pub(super) fn end(mut self) -> Result<f64, String> {
        let seconds = self.exchange(PacketType::UnsubAck).map_err(named)?;
        for mut client in self.clients {
            // DISCONNECT; whoever is gone needs none.
            let _ = client.stream.write_all(&[0xe0, 0]);
        }
        Ok(seconds)
    }

    /// Sends all filters of all clients, and takes as many acknowledgements of that type; and the seconds that it took.
    /// The clients of a few send in turn and are a packet ahead of what they take, so that the broker has always some.
    fn exchange(&mut self, answer: PacketType) -> io::Result<f64> {
        let started = Instant::now();
        for clients in self.clients.chunks_mut(AT_ONCE) {
            let most = clients.iter().map(Client::packets).max().unwrap_or(0);
            for turn in 0..=most {
                for client in &mut *clients {
                    if turn < client.packets() {
                        client.ask(&self.wanted, turn, answer)?;
                    }
                }
                for client in &mut *clients {
                    if turn > 0 && turn <= client.packets() {
                        client.acknowledged(answer)?;
                    }
                }
            }
        }
        Ok(started.elapsed().as_secs_f64())
    }
}

fn named(error: io::Error) -> String {
    format!("held subscriptions: {error}")
}

impl Client {
    fn open(wanted: &Wanted<'_>, number: u64, first: u64, end: u64) -> io::Result<Client> {
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
            client_id: &format!("hld-{}-{number}", wanted.run),
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

    /// Packets that its filters take.
    fn packets(&self) -> u64 {
        (self.end - self.first).div_ceil(PER_PACKET)
    }

    /// Sends the packet with this number that asks for `answer`.
    fn ask(&mut self, wanted: &Wanted<'_>, number: u64, answer: PacketType) -> io::Result<()> {
        let first = self.first + number * PER_PACKET;
        let numbers = first..self.end.min(first + PER_PACKET);
        let filters = numbers.map(|number| wanted.filter.replace("{n}", &number.to_string()));
        // Any will do that is not 0 and not under way.
        let packet_id = (number % 0xffff) as u16 + 1;
        let properties = Properties::default();
        if answer == PacketType::SubAck {
            let options = SubscribeOptions::with_qos(QoS::from_number(wanted.qos).unwrap_or_default());
            let mut list = FilterBuf::new();
            for filter in filters {
                list.push(&filter, options).map_err(io::Error::other)?;
            }
            self.send(&Packet::Subscribe(Subscribe { packet_id, properties, filters: list.as_filters() }))
        } else {
            let mut list = UnsubscribeFilterBuf::new();
            for filter in filters {
                list.push(&filter).map_err(io::Error::other)?;
            }
            self.send(&Packet::Unsubscribe(Unsubscribe { packet_id, properties, filters: list.as_filters() }))
        }
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
