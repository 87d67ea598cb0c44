//! One connection: its transport, the bytes that are not parsed yet, the bytes that are not sent yet, its deadlines.
//! Owned by one core; while it is idle it owns no buffer.

mod output;

pub use output::Output;

use crate::config::Versions;
use crate::net::Transport;
use millrace_codec::Version;
use std::net::IpAddr;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Accepted; nothing but a CONNECT is taken [MQTT-3.1.0-1].
    Connecting,
    /// CONNACK sent, a session belongs to it.
    Open,
    /// The last bytes are on their way; what arrives is thrown away.
    Closing,
}

/// What is known before CONNECT only.
#[derive(Debug)]
pub struct Arrived {
    /// The peer, for the record of the connection.
    pub ip: IpAddr,
    /// When the CONNECT must be here, monotonic milliseconds.
    pub deadline_ms: u64,
    /// MQTT versions that are spoken here.
    pub versions: Versions,
}

/// One connection.
pub struct Connection {
    /// The socket.
    pub transport: Transport,
    /// Bytes that wait to be written; `None` when there are none.
    pub output: Option<Box<Output>>,
    /// Bytes read and not parsed: an incomplete packet, or from a held one on.
    pub input: Vec<u8>,
    /// Before CONNECT only.
    pub arrived: Option<Box<Arrived>>,
    /// Last time that bytes arrived.
    pub read_ms: u64,
    /// The one deadline of this connection in the timer wheel; `u64::MAX` for none.
    pub timer_ms: u64,
    /// Since when the socket has taken nothing although bytes wait; `u64::MAX` when it takes.
    pub blocked_ms: u64,
    /// Its session's position on this core, when open.
    pub session: u32,
    /// One and a half times the keep-alive in force, milliseconds; 0 for none [MQTT-3.1.2-22].
    pub silence_ms_max: u32,
    /// While held: bytes at the start of `input` that have been looked through.
    pub scanned: u32,
    /// Protocol version, after CONNECT.
    pub version: Version,
    /// Where it is in its life.
    pub phase: Phase,
    /// Something was appended to `output` this turn.
    pub dirty: bool,
    /// On the list of connections to be read without a new event.
    pub ready: bool,
    /// The packet at the start of `input` could not be admitted yet.
    pub held: bool,
    /// Already on the list of held connections.
    pub listed: bool,
    /// Already on the list of those that are to be tried again.
    pub retrying: bool,
    /// There may be bytes in the socket that no event will tell of again.
    pub unread: bool,
    /// The peer has closed while a packet was held; the connection ends once that is dealt with.
    pub ended: bool,
    /// It went on with a session that was there.
    pub resumed: bool,
}

// A hundred thousand locks are a hundred thousand of these: growth is a decision.
const _: () = assert!(size_of::<Connection>() <= 120);

impl Connection {
    /// A connection that has just been accepted or handed over.
    pub fn new(transport: Transport, arrived: Arrived, now_ms: u64) -> Connection {
        Connection {
            transport,
            output: None,
            input: Vec::new(),
            arrived: Some(Box::new(arrived)),
            read_ms: now_ms,
            timer_ms: u64::MAX,
            blocked_ms: u64::MAX,
            session: u32::MAX,
            silence_ms_max: 0,
            scanned: 0,
            version: Version::V311,
            phase: Phase::Connecting,
            dirty: false,
            ready: false,
            held: false,
            listed: false,
            retrying: false,
            unread: false,
            ended: false,
            resumed: false,
        }
    }

    /// Bytes that wait to be written.
    #[inline]
    pub fn output_len(&self) -> usize {
        self.output.as_ref().map_or(0, |output| output.len())
    }

    /// So much waits to be written that nothing more is read: deliveries stop at `output_max` by themselves, what is
    /// far beyond it are answers to a client that asks and does not listen.
    #[inline]
    pub fn is_choked(&self, output_max: u64) -> bool {
        self.phase == Phase::Open && self.output_len() as u64 > output_max.saturating_mul(2)
    }
}
