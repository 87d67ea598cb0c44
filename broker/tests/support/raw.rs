//! A blocking client that speaks raw packets: it sends whatever it is told to, and every read has a deadline.

use super::Broker;
use millrace_codec::{Connect, Packet, Properties, QoS, Version, decode, frame_header};
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a packet that must come may take.
pub const RAW_DEADLINE: Duration = Duration::from_secs(5);
/// How long the broker may take to close.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// A whole packet, fixed header included.
    Packet(Vec<u8>),
    /// The broker has closed or reset the connection.
    Closed,
    /// Nothing until the deadline.
    Silence,
}

/// One TCP connection to a broker.
pub struct Raw {
    stream: TcpStream,
    /// Bytes read and not taken yet.
    buffer: Vec<u8>,
    /// Version in which packets are read and written.
    pub version: Version,
    /// Sent to us as CONNACK, if [`Raw::connect`] made this.
    pub connack: Vec<u8>,
}

impl Raw {
    /// A TCP connection on which nothing has been said. Packets are read as 3.1.1 until `version` is set.
    pub fn open(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).expect("the broker accepts connections");
        stream.set_nodelay(true).expect("a socket option");
        stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a socket option");
        Raw { stream, buffer: Vec::new(), version: Version::V311, connack: Vec::new() }
    }

    /// Connects with a clean session and a keep-alive of 60 s; the CONNACK must accept it.
    pub fn connect(broker: &Broker, version: Version, client_id: &str) -> Raw {
        Raw::connect_as(broker, &Raw::hello(version, client_id))
    }

    /// Connects with this CONNECT; the CONNACK must accept it and is kept in `connack`.
    pub fn connect_as(broker: &Broker, connect: &Connect<'_>) -> Raw {
        let mut raw = Raw::open(broker.address());
        raw.version = connect.version;
        raw.send_packet(&Packet::Connect(*connect));
        raw.connack = raw.packet();
        assert_eq!(raw.connack.first(), Some(&0x20), "not a CONNACK: {}", hex(&raw.connack));
        let code = raw.connack.get(3).copied();
        assert_eq!(code, Some(0), "{} was refused: {}", connect.client_id, hex(&raw.connack));
        raw
    }

    /// The CONNECT of [`Raw::connect`], to be changed by struct update.
    pub fn hello(version: Version, client_id: &str) -> Connect<'_> {
        Connect {
            version,
            clean_start: true,
            keep_alive: 60,
            client_id,
            will: None,
            username: None,
            password: None,
            properties: Properties::default(),
        }
    }

    /// Sends bytes as they are. The broker must take them.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker takes what we send");
    }

    /// Sends bytes to a broker that may close meanwhile.
    ///
    /// # Errors
    /// It has closed.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a packet in this connection's version.
    pub fn send_packet(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.encode(self.version, &mut bytes).expect("a packet of this version");
        self.send(&bytes);
    }

    /// Sends a PUBLISH; `packet_id` counts for QoS 1 and 2 only. Does not wait for an acknowledgement.
    pub fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS, packet_id: u16) {
        self.send_publish(topic, payload, qos, packet_id, false);
    }

    /// The same with QoS 1 and the retain flag.
    pub fn publish_retained(&mut self, topic: &str, payload: &[u8], packet_id: u16) {
        self.send_publish(topic, payload, QoS::AtLeastOnce, packet_id, true);
    }

    fn send_publish(&mut self, topic: &str, payload: &[u8], qos: QoS, packet_id: u16, retain: bool) {
        self.send_packet(&Packet::Publish(millrace_codec::Publish {
            dup: false,
            qos,
            retain,
            topic,
            packet_id,
            properties: Properties::default(),
            payload,
        }));
    }

    /// Subscribes to one filter with packet id 65,535 and waits for its SUBACK, which must grant the QoS. Nothing
    /// else may come before.
    pub fn subscribe(&mut self, filter: &str, qos: QoS) {
        let mut body = vec![0xff, 0xff];
        if self.version == Version::V5 {
            body.push(0);
        }
        body.extend_from_slice(&(filter.len() as u16).to_be_bytes());
        body.extend_from_slice(filter.as_bytes());
        body.push(qos as u8);
        let mut bytes = vec![0x82];
        millrace_codec::push_varint(body.len(), &mut bytes).expect("a short packet");
        bytes.extend_from_slice(&body);
        self.send(&bytes);
        let answer = self.packet();
        assert_eq!(answer.first(), Some(&0x90), "not a SUBACK: {}", hex(&answer));
        assert_eq!(answer.last(), Some(&(qos as u8)), "{filter} was not granted: {}", hex(&answer));
    }

    /// The next packet, decoded; fails if none comes within 5 s. What is needed of it is copied by `look`.
    pub fn expect_packet<T>(&mut self, look: impl FnOnce(&Packet<'_>) -> T) -> T {
        let bytes = self.packet();
        let header = frame_header(&bytes).expect("a header").expect("a whole header");
        match decode(self.version, header.first, &bytes[header.header_len..]) {
            Ok(packet) => look(&packet),
            Err(error) => panic!("{error}: {}", hex(&bytes)),
        }
    }

    /// The next packet, which must be a PUBLISH: topic, payload, QoS and packet id (0 for QoS 0).
    pub fn expect_publish(&mut self) -> (String, Vec<u8>, QoS, u16) {
        self.expect_packet(|packet| match packet {
            Packet::Publish(publish) => {
                (publish.topic.to_owned(), publish.payload.to_vec(), publish.qos, publish.packet_id)
            }
            other => panic!("not a PUBLISH: {other:?}"),
        })
    }

    /// The bytes of the next packet; fails if none comes within 5 s.
    pub fn packet(&mut self) -> Vec<u8> {
        match self.read(RAW_DEADLINE) {
            Read::Packet(packet) => packet,
            other => panic!("no packet, but {other:?}"),
        }
    }

    /// The next packet must be exactly these bytes.
    pub fn expect(&mut self, expected: &[u8]) {
        let packet = self.packet();
        assert_eq!(hex(&packet), hex(expected));
    }

    /// The next packet must be the PUBACK of this id, whether or not anybody has subscribed.
    pub fn expect_puback(&mut self, packet_id: u16) {
        let ([high, low], packet) = (packet_id.to_be_bytes(), self.packet());
        assert!(
            packet == [0x40, 2, high, low] || packet == [0x40, 3, high, low, 0x10],
            "not the PUBACK of {packet_id}: {}",
            hex(&packet)
        );
    }

    /// PINGREQ and its answer: everything sent before has been dealt with by this connection's core, and nothing was
    /// sent to us meanwhile.
    pub fn ping(&mut self) {
        self.send(&[0xc0, 0]);
        self.expect(&[0xd0, 0]);
    }

    /// The broker must close within 2 s; packets that come before are thrown away. Returns them.
    pub fn expect_closed(&mut self) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + CLOSE_DEADLINE;
        let mut last = Vec::new();
        loop {
            match self.read(deadline.saturating_duration_since(Instant::now())) {
                Read::Packet(packet) => last.push(packet),
                Read::Closed => return last,
                Read::Silence => panic!("not closed within {CLOSE_DEADLINE:?}; came: {last:02X?}"),
            }
        }
    }

    /// Nothing may come for this long, and the connection must stay open. Prefer [`Raw::ping`], or a message sent
    /// after the one that must not come.
    pub fn expect_silence(&mut self, time: Duration) {
        let read = self.read(time);
        assert_eq!(read, Read::Silence);
    }

    /// What comes next, for at most `patience`.
    pub fn read(&mut self, patience: Duration) -> Read {
        let deadline = Instant::now() + patience;
        loop {
            let header = frame_header(&self.buffer).expect("the broker sends whole headers");
            if let Some(header) = header.filter(|header| header.total_len() <= self.buffer.len()) {
                return Read::Packet(self.buffer.drain(..header.total_len()).collect());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // A time-out of 0 would mean none.
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).expect("a socket option");
            let mut bytes = [0; 16 << 10];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Read::Closed,
                Ok(len) => self.buffer.extend_from_slice(&bytes[..len]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut if left.is_zero() => return Read::Silence,
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return Read::Closed,
                },
            }
        }
    }

    /// Sends DISCONNECT and waits until the broker has closed.
    pub fn disconnect(mut self) {
        self.send(&[0xe0, 0]);
        self.expect_closed();
    }

    /// Says that we send no more; the broker's side stays open (FIN).
    pub fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("an open socket");
    }

    /// Resets the connection (RST).
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("a socket option");
    }

    /// The socket, for what is rarely needed.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

/// `20 02 00 00`
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{}{byte:02X}", if text.is_empty() { "" } else { " " });
        text
    })
}
