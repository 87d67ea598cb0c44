//! One MQTT connection over a blocking socket: packets out, packets in. It knows nothing of what is sent.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use millrace_codec::{Connect, Packet, ReasonCode, Version, decode, frame_header};

/// How long a read waits: after so long a publisher looks at its other business.
const READ_TIMEOUT: Duration = Duration::from_millis(20);
/// A broker that takes nothing for so long is stuck.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for CONNACK.
const CONNACK_TIMEOUT: Duration = Duration::from_secs(60);
const READ_BYTES: usize = 64 << 10;

/// Why a connection is of no more use.
#[derive(Debug)]
pub(super) enum LinkError {
    /// It broke, as it does when the broker is killed.
    Lost,
    /// The broker did something that it should not have done.
    Wrong(String),
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> LinkError {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                LinkError::Wrong(format!("the broker took nothing for {} s", WRITE_TIMEOUT.as_secs()))
            }
            _ => LinkError::Lost,
        }
    }
}

pub(super) struct Link {
    stream: TcpStream,
    version: Version,
    input: Vec<u8>,
    /// Messages that may be unacknowledged, as the broker says.
    pub(super) receive_maximum: usize,
}

impl Link {
    /// Connects with a clean session and waits for CONNACK.
    pub(super) fn open(address: SocketAddr, version: Version, client_id: &str) -> Result<Link, LinkError> {
        // Nobody listens while the broker is down: no different from a connection that breaks.
        let stream =
            TcpStream::connect_timeout(&address, Duration::from_secs(5)).map_err(|_| LinkError::Lost)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let mut link = Link { stream, version, input: Vec::new(), receive_maximum: usize::from(u16::MAX) };
        let connect = Connect {
            version,
            clean_start: true,
            keep_alive: 0,
            client_id,
            will: None,
            username: None,
            password: None,
            properties: Default::default(),
        };
        let mut out = Vec::new();
        Packet::Connect(connect).encode(version, &mut out).map_err(wrong)?;
        link.send(&out)?;
        let deadline = Instant::now() + CONNACK_TIMEOUT;
        let mut accepted = None;
        while accepted.is_none() {
            if Instant::now() > deadline {
                return Err(LinkError::Wrong(format!("no CONNACK in {} s", CONNACK_TIMEOUT.as_secs())));
            }
            link.receive(|packet| {
                let Packet::ConnAck(connack) = packet else {
                    return Err(LinkError::Wrong("a packet before CONNACK".to_owned()));
                };
                if connack.reason != ReasonCode::Success {
                    return Err(LinkError::Wrong(format!("CONNECT was refused: {}", connack.reason.name())));
                }
                accepted = Some(connack.properties.receive_maximum().unwrap_or(u16::MAX));
                Ok(())
            })?;
        }
        link.receive_maximum = accepted.map_or(1, usize::from);
        Ok(link)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Reads once and gives every whole packet to `take`; returns without any after a short while.
    pub(super) fn receive(
        &mut self,
        mut take: impl FnMut(&Packet<'_>) -> Result<(), LinkError>,
    ) -> Result<(), LinkError> {
        let mut buffer = [0; READ_BYTES];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(LinkError::Lost),
            Ok(len) => self.input.extend_from_slice(&buffer[..len]),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => return Ok(()),
                _ => return Err(LinkError::Lost),
            },
        }
        let mut used = 0;
        while let Some(header) = frame_header(&self.input[used..]).map_err(wrong)? {
            let Some(packet) = self.input.get(used..used + header.total_len()) else { break };
            take(&decode(self.version, header.first, &packet[header.header_len..]).map_err(wrong)?)?;
            used += header.total_len();
        }
        self.input.drain(..used);
        Ok(())
    }
}

fn wrong(error: millrace_codec::Error) -> LinkError {
    LinkError::Wrong(format!("not MQTT: {error}"))
}
