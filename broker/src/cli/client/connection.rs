//! One MQTT connection of the client: threads read the socket, standard input and signals into one channel;
//! the caller takes what comes next, with keep-alive and deadlines looked after here.
//!
//! Used by `publish` and `subscribe`. What the broker sends is checked by the codec and never trusted for its
//! length. Errors are one line for the user.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use millrace_codec::{
    Connect, Disconnect, MAX_HEADER_LEN, Packet, Property, PropertyBuf, QoS, ReasonCode, Version, Will,
    decode, frame_header,
};

use super::ConnectArgs;
use crate::cli::{Failure, signals};

/// Time for the broker to accept the TCP connection, and again to answer the CONNECT.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the broker to take anything of what is written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for the broker to close after a DISCONNECT, and to say why after it closed.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// Inputs that wait for the main thread.
const INPUTS_MAX: usize = 64;
/// Bytes asked of the socket at once; a packet's buffer grows with what came, not with what was promised.
const READ_BYTES: usize = 64 << 10;

/// What the threads report.
pub(super) enum Input {
    /// A whole packet from the broker.
    Packet(RawPacket),
    /// The socket has ended, and why.
    Closed(String),
    /// A line of standard input, without its end.
    Line(Vec<u8>),
    /// The end of standard input.
    Eof,
    /// Standard input cannot be read.
    Unreadable(String),
    /// SIGINT or SIGTERM.
    Interrupted,
}

/// What the caller gets to see.
pub(super) enum Next {
    /// A packet other than PINGRESP; decode it with [`RawPacket::decode`].
    Packet(RawPacket),
    /// A line of standard input.
    Line(Vec<u8>),
    /// The end of standard input.
    Eof,
    /// SIGINT or SIGTERM.
    Interrupted,
    /// The deadline has passed.
    Deadline,
}

/// The bytes of one packet.
pub(super) struct RawPacket {
    bytes: Vec<u8>,
    header_len: usize,
}

/// An open connection.
pub(super) struct Connection {
    stream: TcpStream,
    version: Version,
    inputs: Receiver<Input>,
    sender: SyncSender<Input>,
    keep_alive: Option<Duration>,
    last_sent: Instant,
    ping_sent: Option<Instant>,
    last_packet_id: u16,
    out: Vec<u8>,
    /// What the broker said in its CONNACK.
    pub(super) terms: Terms,
}

/// Limits that the broker set for this client in CONNACK; MQTT 3 has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) receive_maximum: u16,
    pub(super) maximum_packet_size: u32,
    pub(super) maximum_qos: QoS,
    pub(super) retain_available: bool,
}

impl RawPacket {
    pub(super) fn decode(&self, version: Version) -> Result<Packet<'_>, String> {
        let first = self.bytes.first().copied().unwrap_or_default();
        let body = self.bytes.get(self.header_len..).unwrap_or_default();
        decode(version, first, body).map_err(|error| format!("the broker sent a bad packet: {error}"))
    }
}

impl Connection {
    /// Connects and waits for the CONNACK.
    pub(super) fn open(args: &ConnectArgs) -> Result<Connection, String> {
        let stream = connect_tcp(&args.host, args.port)?;
        let describe = |error: io::Error| format!("{}:{}: {error}", args.host, args.port);
        stream.set_nodelay(true).map_err(describe)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT)).map_err(describe)?;
        let (sender, inputs) = mpsc::sync_channel(INPUTS_MAX);
        let reader = stream.try_clone().map_err(describe)?;
        let to_main = sender.clone();
        spawn("millrace-read", move || read_packets(reader, &to_main))?;
        let mut connection = Connection {
            stream,
            version: args.protocol_version,
            inputs,
            sender,
            keep_alive: None,
            last_sent: Instant::now(),
            ping_sent: None,
            last_packet_id: 0,
            out: Vec::new(),
            terms: Terms {
                receive_maximum: u16::MAX,
                maximum_packet_size: u32::MAX,
                maximum_qos: QoS::ExactlyOnce,
                retain_available: true,
            },
        };
        connection.connect(args)?;
        Ok(connection)
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// The reason of a PUBREL or PUBCOMP. MQTT 3 has none there, and answers whether the id is known or not
    /// [MQTT-4.3.3-2].
    pub(super) fn known_id(&self, known: bool) -> ReasonCode {
        if known || self.version != Version::V5 {
            ReasonCode::Success
        } else {
            ReasonCode::PacketIdentifierNotFound
        }
    }

    /// For a thread that has something to report.
    pub(super) fn sender(&self) -> SyncSender<Input> {
        self.sender.clone()
    }

    /// Makes SIGINT and SIGTERM come as [`Next::Interrupted`]. Once in a process.
    pub(super) fn report_signals(&self) -> Result<(), Failure> {
        let to_main = self.sender();
        signals::on_first(move |_| {
            // No receiver: the connection has ended already.
            let _ = to_main.send(Input::Interrupted);
        })
    }

    pub(super) fn send(&mut self, packet: &Packet<'_>) -> Result<(), String> {
        self.out.clear();
        packet.encode(self.version, &mut self.out).map_err(|error| format!("cannot be sent: {error}"))?;
        if self.out.len() as u64 > u64::from(self.terms.maximum_packet_size) {
            let most = self.terms.maximum_packet_size;
            return Err(format!(
                "a packet of {} bytes is more than the broker takes ({most})",
                self.out.len()
            ));
        }
        self.last_sent = Instant::now();
        self.stream.write_all(&self.out).map_err(|error| self.lost(&error))
    }

    /// A packet id that was not used for the longest time; never 0. Callers have far fewer than 65,535 open.
    pub(super) fn next_packet_id(&mut self) -> u16 {
        self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
        self.last_packet_id
    }

    /// Waits for what comes next, and for no longer than `deadline`. Sends pings meanwhile.
    pub(super) fn next(&mut self, deadline: Option<Instant>) -> Result<Next, String> {
        loop {
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(Next::Deadline);
            }
            let ping_due = self.keep_alive(now)?;
            let wake = [deadline, ping_due].into_iter().flatten().min();
            let input = match wake {
                Some(wake) => self.inputs.recv_timeout(wake.saturating_duration_since(now)),
                None => self.inputs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match input {
                Ok(Input::Packet(packet)) => match packet.decode(self.version)? {
                    Packet::PingResp => self.ping_sent = None,
                    Packet::Disconnect(disconnect) => return Err(disconnected(&disconnect)),
                    _ => return Ok(Next::Packet(packet)),
                },
                Ok(Input::Closed(why)) => return Err(format!("connection lost: {why}")),
                Ok(Input::Line(line)) => return Ok(Next::Line(line)),
                Ok(Input::Eof) => return Ok(Next::Eof),
                Ok(Input::Unreadable(why)) => return Err(format!("cannot read standard input: {why}")),
                Ok(Input::Interrupted) => return Ok(Next::Interrupted),
                Err(RecvTimeoutError::Timeout) => {}
                // Not while `self.sender` lives.
                Err(RecvTimeoutError::Disconnected) => return Err("connection lost".to_owned()),
            }
        }
    }

    /// Says goodbye, and waits for the broker to close: closing first, with something of it unread, would reset
    /// the connection and could take the DISCONNECT with it. A broker that is gone already does not matter.
    pub(super) fn disconnect(mut self) {
        let said = self.send(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
        if said.is_err() || self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let until = Instant::now() + GOODBYE_TIMEOUT;
        while let Ok(input) = self.inputs.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if let Input::Closed(_) = input {
                return;
            }
        }
    }

    fn connect(&mut self, args: &ConnectArgs) -> Result<(), String> {
        let mut properties = PropertyBuf::new();
        if self.version == Version::V5 && args.keep_session {
            // 0xFFFFFFFF: the session does not expire [MQTT-3.1.2.11.2], as without clean session in 3.1.1.
            let never = Property::SessionExpiryInterval(u32::MAX);
            properties.push(never).map_err(|error| error.to_string())?;
        }
        let random_id = format!("millrace-{:08x}", std::process::id());
        let no_id = if self.version == Version::V31 { random_id.as_str() } else { "" };
        let will = args.will_topic.as_ref().map(|topic| Will {
            qos: args.will_qos,
            retain: args.will_retain,
            topic,
            payload: args.will_payload.as_deref().unwrap_or_default().as_bytes(),
            properties: Default::default(),
        });
        self.send(&Packet::Connect(Connect {
            version: self.version,
            clean_start: !args.keep_session,
            keep_alive: args.keepalive,
            client_id: args.id.as_deref().unwrap_or(no_id),
            will,
            username: args.username.as_deref(),
            password: args.password.as_deref().map(str::as_bytes),
            properties: properties.as_properties(),
        }))?;
        let answer = match self.next(Some(Instant::now() + CONNECT_TIMEOUT))? {
            Next::Packet(packet) => packet,
            Next::Interrupted => return Err("interrupted".to_owned()),
            _ => return Err(format!("timeout: no CONNACK in {} s", CONNECT_TIMEOUT.as_secs())),
        };
        let Packet::ConnAck(ack) = answer.decode(self.version)? else {
            return Err("the broker answered CONNECT with something else".to_owned());
        };
        if ack.reason.is_error() {
            return Err(format!("refused: {}{}", ack.reason.name(), because(ack.properties.reason_string())));
        }
        if args.keep_session && ack.properties.session_expiry_interval() == Some(0) {
            eprintln!("warning: the broker keeps no session when the connection ends");
        }
        self.terms = Terms {
            receive_maximum: ack.properties.receive_maximum().unwrap_or(u16::MAX),
            maximum_packet_size: ack.properties.maximum_packet_size().unwrap_or(u32::MAX),
            maximum_qos: ack.properties.maximum_qos().unwrap_or(QoS::ExactlyOnce),
            retain_available: ack.properties.retain_available().unwrap_or(true),
        };
        let keep_alive = ack.properties.server_keep_alive().unwrap_or(args.keepalive);
        self.keep_alive = (keep_alive > 0).then(|| Duration::from_secs(u64::from(keep_alive)));
        Ok(())
    }

    /// Pings when nothing was sent for the keep-alive, and fails when a ping stays unanswered as long. Gives the
    /// time of the next look [MQTT-3.1.2-20].
    fn keep_alive(&mut self, now: Instant) -> Result<Option<Instant>, String> {
        let Some(keep_alive) = self.keep_alive else { return Ok(None) };
        if let Some(sent) = self.ping_sent {
            if now >= sent + keep_alive {
                return Err(format!("connection lost: no answer to a ping in {} s", keep_alive.as_secs()));
            }
            // Traffic of ours since the ping does not answer it, but keeps the broker content.
            return Ok(Some((sent + keep_alive).min(self.last_sent + keep_alive).max(now + keep_alive / 10)));
        }
        if now >= self.last_sent + keep_alive {
            self.send(&Packet::PingReq)?;
            self.ping_sent = Some(now);
            return Ok(Some(now + keep_alive));
        }
        Ok(Some(self.last_sent + keep_alive))
    }

    /// A failed write; a DISCONNECT or CONNACK that the broker sent before says more than "broken pipe".
    fn lost(&self, error: &io::Error) -> String {
        let give_up = Instant::now() + GOODBYE_TIMEOUT;
        while let Ok(input) = self.inputs.recv_timeout(give_up.saturating_duration_since(Instant::now())) {
            match input {
                Input::Packet(packet) => {
                    if let Ok(Packet::Disconnect(disconnect)) = packet.decode(self.version) {
                        return disconnected(&disconnect);
                    }
                }
                Input::Closed(why) => return format!("connection lost: {why}"),
                _ => {}
            }
        }
        format!("connection lost: {error}")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The reading thread has the socket as well; this ends both.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    spawned.map(drop).map_err(|error| format!("cannot start a thread: {error}"))
}

/// `: text`, or nothing.
pub(super) fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn disconnected(disconnect: &Disconnect<'_>) -> String {
    let reason = disconnect.reason.name();
    format!("connection lost: the broker said {reason}{}", because(disconnect.properties.reason_string()))
}

fn connect_tcp(host: &str, port: u16) -> Result<TcpStream, String> {
    let addresses = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("{host}: the address is not found: {error}"))?;
    let mut last = format!("{host}: no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = format!("cannot connect to {address}: {error}"),
        }
    }
    Err(last)
}

/// The reading thread: cuts the stream into packets until it ends or nobody wants them.
fn read_packets(mut stream: impl Read, to_main: &SyncSender<Input>) {
    let mut buffer = Vec::new();
    let mut chunk = vec![0; READ_BYTES];
    loop {
        let ended = match stream.read(&mut chunk) {
            Ok(0) => Some("the broker closed it".to_owned()),
            Ok(len) => {
                buffer.extend_from_slice(chunk.get(..len).unwrap_or_default());
                match cut_packets(&mut buffer, to_main) {
                    Ok(true) => None,
                    Ok(false) => return,
                    Err(why) => Some(why),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = ended {
            let _ = to_main.send(Input::Closed(why));
            return;
        }
    }
}

/// Sends the whole packets at the front of `buffer` on. False: nobody takes them any more.
fn cut_packets(buffer: &mut Vec<u8>, to_main: &SyncSender<Input>) -> Result<bool, String> {
    let mut start = 0;
    loop {
        let rest = buffer.get(start..).unwrap_or_default();
        let header = frame_header(rest.get(..MAX_HEADER_LEN).unwrap_or(rest))
            .map_err(|error| format!("the broker sent a bad packet: {error}"))?;
        let packet = header.and_then(|header| Some((header.header_len, rest.get(..header.total_len())?)));
        let Some((header_len, bytes)) = packet else { break };
        let len = bytes.len();
        if to_main.send(Input::Packet(RawPacket { bytes: bytes.to_vec(), header_len })).is_err() {
            return Ok(false);
        }
        start += len;
    }
    buffer.drain(..start);
    Ok(true)
}
