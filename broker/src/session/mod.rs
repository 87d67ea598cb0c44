//! A client's session: its identity, its subscriptions, what is owed to it and by it. No I/O and no clock: `worker`
//! asks what a packet means here and carries out the answer. Lives on the client's home core only.

mod filters;
mod inbound;
mod outbound;

pub use filters::Filters;
pub use inbound::{Arrival, Inbound};
pub use outbound::{Acked, Outbound, Queued, Received};

use crate::delivery::Stored;
use crate::hook::Who;
use millrace_codec::{QoS, Version};

/// What a subscription grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Highest QoS of deliveries.
    pub qos: QoS,
    /// Not to the client that published (5.0, 3.8.3.1).
    pub no_local: bool,
    /// Keep the retain flag as it was published (5.0, 3.8.3.1).
    pub retain_as_published: bool,
}

impl Options {
    /// Two subscriptions of one client that match the same message: one copy, the better of both.
    pub fn merge(self, other: Options) -> Options {
        Options {
            qos: self.qos.max(other.qos),
            no_local: self.no_local && other.no_local,
            retain_as_published: self.retain_as_published || other.retain_as_published,
        }
    }
}

/// Messages under way, either direction. Made when the first QoS 1 or 2 message comes by: most connections of a large
/// fleet are idle.
#[derive(Debug)]
pub struct Flow {
    /// From the client.
    pub inbound: Inbound,
    /// To the client.
    pub outbound: Outbound,
}

/// One client's session.
#[derive(Debug)]
pub struct Session {
    /// Client id.
    pub client_id: Box<str>,
    /// User name of the CONNECT.
    pub username: Option<Box<str>>,
    /// Its connection's position on this core.
    pub connection: u32,
    /// The largest packet the client takes, bytes (5.0).
    pub packet_bytes_max: u32,
    /// Its subscriptions.
    pub filters: Filters,
    /// Published when the connection ends without DISCONNECT.
    pub will: Option<Box<Stored>>,
    /// Protocol version of the CONNECT.
    pub version: Version,
    /// The CONNECT asked for no session beyond its connection (5.0, 3.1.2.11.2).
    pub expires_at_once: bool,
    /// Already on the list of those whose queue waits for room in the ring.
    pub starved: bool,
    receive_limit: u16,
    send_limit: u16,
    flow: Option<Box<Flow>>,
}

// A hundred thousand locks are a hundred thousand of these: growth is a decision.
const _: () = assert!(size_of::<Session>() <= 112);

impl Session {
    /// A new session without subscriptions. `receive_limit` is our receive maximum, `send_limit` the client's.
    pub fn new(
        client_id: &str,
        username: Option<&str>,
        version: Version,
        receive_limit: u16,
        send_limit: u16,
    ) -> Session {
        Session {
            client_id: client_id.into(),
            username: username.map(Into::into),
            connection: u32::MAX,
            packet_bytes_max: u32::MAX,
            filters: Filters::new(),
            will: None,
            version,
            expires_at_once: true,
            starved: false,
            receive_limit,
            send_limit,
            flow: None,
        }
    }

    /// The identity that records carry.
    #[inline]
    pub fn who(&self) -> Who<'_> {
        Who { client_id: &self.client_id, username: self.username.as_deref().unwrap_or_default() }
    }

    /// Messages under way.
    #[inline]
    pub fn flow(&mut self) -> &mut Flow {
        let (receive, send) = (self.receive_limit, self.send_limit);
        self.flow.get_or_insert_with(|| {
            Box::new(Flow { inbound: Inbound::new(receive), outbound: Outbound::new(send) })
        })
    }

    /// Messages under way, if there ever were any.
    #[inline]
    pub fn flow_if_any(&mut self) -> Option<&mut Flow> {
        self.flow.as_deref_mut()
    }
}
