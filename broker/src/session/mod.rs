//! A client's session: its identity, its subscriptions, what is owed to it and by it. No I/O and no clock: `worker`
//! asks what a packet means here and carries out the answer. Lives on the client's home core only.
//!
//! A session whose expiry is not 0 outlives its connection: it is *away* then, its subscriptions stay, and what they
//! bring waits in its queue until the client is back or the expiry has passed.

mod aliases;
mod filters;
mod inbound;
mod outbound;
mod scan;

pub use aliases::{Given, Taken};
pub use filters::Filters;
pub use inbound::{Arrival, Inbound};
pub use outbound::{Acked, Outbound, QueueLimits, Queued, Received, Resend};
pub use scan::Scan;

use crate::delivery::Stored;
use crate::hook::Who;
use millrace_codec::{QoS, Version};
use std::collections::VecDeque;

/// What a subscription grants, in four bytes: the index of a core keeps them by the million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options(u32);

impl Options {
    const QOS: u32 = 0b11;
    const NO_LOCAL: u32 = 1 << 2;
    const RETAIN_AS_PUBLISHED: u32 = 1 << 3;
    /// An identifier has at most 28 bits (5.0, 3.8.2.1.2), which is what is left.
    const ID_SHIFT: u32 = 4;

    /// The highest QoS of deliveries and the subscription's identifier, 0 for none.
    pub fn new(qos: QoS, subscription_id: u32) -> Options {
        Options(qos as u32 | subscription_id << Options::ID_SHIFT)
    }

    /// Not to the client that published (5.0, 3.8.3.1).
    pub fn with_no_local(self, no_local: bool) -> Options {
        Options(if no_local { self.0 | Options::NO_LOCAL } else { self.0 & !Options::NO_LOCAL })
    }

    /// Keeps the retain flag as it was published (5.0, 3.8.3.1).
    pub fn with_retain_as_published(self, keep: bool) -> Options {
        let bit = Options::RETAIN_AS_PUBLISHED;
        Options(if keep { self.0 | bit } else { self.0 & !bit })
    }

    /// Highest QoS of deliveries.
    #[inline]
    pub fn qos(self) -> QoS {
        match self.0 & Options::QOS {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        }
    }

    /// Not to the client that published.
    #[inline]
    pub fn no_local(self) -> bool {
        self.0 & Options::NO_LOCAL != 0
    }

    /// Keeps the retain flag as it was published.
    #[inline]
    pub fn retain_as_published(self) -> bool {
        self.0 & Options::RETAIN_AS_PUBLISHED != 0
    }

    /// The subscription's identifier; 0 for none.
    #[inline]
    pub fn subscription_id(self) -> u32 {
        self.0 >> Options::ID_SHIFT
    }

    /// Two subscriptions of one client that match the same message: one copy, the better of both. Of two identifiers
    /// one is left.
    pub fn merge(self, other: Options) -> Options {
        Options::new(self.qos().max(other.qos()), self.subscription_id().max(other.subscription_id()))
            .with_no_local(self.no_local() && other.no_local())
            .with_retain_as_published(self.retain_as_published() || other.retain_as_published())
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

/// What is published in a client's name when its connection ends without DISCONNECT.
#[derive(Debug)]
pub struct Will {
    /// The message.
    pub message: Stored,
    /// How long after the end of the connection, seconds, if the session lasts so long (5.0, 3.1.3.2.2).
    pub delay_s: u32,
}

/// A session's part in a shared subscription.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Its number on this core, not 0.
    pub number: u32,
    /// The subscription, `$share/{group}/{filter}`.
    pub full: Box<str>,
    /// What it grants.
    pub options: Options,
    /// The group's position and generation on the core that keeps it, once that has taken the session in.
    pub group: Option<(u32, u32)>,
    /// Messages that have come for it; wraps.
    pub taken: u32,
}

/// What few sessions have.
#[derive(Debug)]
pub struct Extra {
    /// Shared subscriptions.
    pub memberships: Vec<Membership>,
    /// Their groups are to be told at the end of the turn what it has to do.
    pub load_changed: bool,
    /// Walks through the retained messages for its new subscriptions; the first one is under way.
    pub scans: VecDeque<Scan>,
    /// Topic aliases that the client has set on this connection.
    pub taken: Taken,
    /// Topic aliases that the broker has set on this connection.
    pub given: Given,
    /// While away: when the session ends, monotonic milliseconds; `u64::MAX` for never.
    pub expires_ms: u64,
    /// While away: when the will goes out; `u64::MAX` for never.
    pub will_ms: u64,
    /// The one deadline of this session in the timer wheel; `u64::MAX` for none.
    pub timer_ms: u64,
}

impl Default for Extra {
    fn default() -> Extra {
        Extra {
            memberships: Vec::new(),
            load_changed: false,
            scans: VecDeque::new(),
            taken: Taken::default(),
            given: Given::default(),
            expires_ms: u64::MAX,
            will_ms: u64::MAX,
            timer_ms: u64::MAX,
        }
    }
}

/// One client's session.
#[derive(Debug)]
pub struct Session {
    /// Client id.
    pub client_id: Box<str>,
    /// User name of the last CONNECT.
    pub username: Option<Box<str>>,
    /// Its connection's position on this core; `u32::MAX` while the client is away.
    pub connection: u32,
    /// The largest packet the client takes, bytes (5.0).
    pub packet_bytes_max: u32,
    /// Seconds that the session outlives its connection; 0: not at all, `u32::MAX`: for ever (5.0, 3.1.2.11.2).
    pub expiry_s: u32,
    /// Its subscriptions.
    pub filters: Filters,
    /// Published when the connection ends without DISCONNECT.
    pub will: Option<Box<Will>>,
    /// Protocol version of the last CONNECT.
    pub version: Version,
    /// Already on the list of those whose queue waits for room in the ring.
    pub starved: bool,
    receive_limit: u16,
    send_limit: u16,
    flow: Option<Box<Flow>>,
    extra: Option<Box<Extra>>,
}

// A hundred thousand locks are a hundred thousand of these: growth is a decision.
const _: () = assert!(size_of::<Session>() <= 120);

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
            expiry_s: 0,
            filters: Filters::new(),
            will: None,
            version,
            starved: false,
            receive_limit,
            send_limit,
            flow: None,
            extra: None,
        }
    }

    /// The client is back: what it says of itself anew. What is under way stays.
    pub fn resume(&mut self, username: Option<&str>, version: Version, receive_limit: u16, send_limit: u16) {
        self.username = username.map(Into::into);
        self.version = version;
        (self.receive_limit, self.send_limit) = (receive_limit, send_limit);
        if let Some(flow) = &mut self.flow {
            flow.inbound.resume(receive_limit);
            flow.outbound.resume(send_limit);
        }
        if let Some(extra) = &mut self.extra {
            (extra.expires_ms, extra.will_ms) = (u64::MAX, u64::MAX);
        }
    }

    /// The connection has ended at this time, the session stays. The will goes out later if it is still there.
    /// Returns when the session has something to do by itself; its connection is for the caller to take off.
    pub fn pause(&mut self, now_ms: u64) -> u64 {
        let after = |seconds: u32| match seconds {
            u32::MAX => u64::MAX,
            _ => now_ms.saturating_add(u64::from(seconds) * 1_000),
        };
        if let Some(flow) = &mut self.flow {
            flow.inbound.pause();
        }
        let (expires_ms, delay_s) = (after(self.expiry_s), self.will.as_ref().map(|will| will.delay_s));
        let extra = self.extra();
        (extra.taken, extra.given) = (Taken::default(), Given::default());
        extra.expires_ms = expires_ms;
        extra.will_ms = delay_s.map_or(u64::MAX, |delay_s| after(delay_s).min(expires_ms));
        extra.expires_ms.min(extra.will_ms)
    }

    /// Whether the session outlives its connection.
    #[inline]
    pub fn is_kept(&self) -> bool {
        self.expiry_s > 0
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

    /// How many subscriptions it has, shared ones included.
    pub fn subscriptions(&self) -> usize {
        self.filters.len() + self.extra.as_ref().map_or(0, |extra| extra.memberships.len())
    }

    /// What few sessions have.
    pub fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// The same, if it has any of it.
    #[inline]
    pub fn extra_if_any(&mut self) -> Option<&mut Extra> {
        self.extra.as_deref_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_what_was_put_in() {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for (no_local, retain) in [(false, false), (true, false), (false, true), (true, true)] {
                for id in [0, 1, 127, 268_435_455] {
                    let options =
                        Options::new(qos, id).with_no_local(no_local).with_retain_as_published(retain);
                    assert_eq!((options.qos(), options.subscription_id()), (qos, id));
                    assert_eq!((options.no_local(), options.retain_as_published()), (no_local, retain));
                    let plain = Options::new(QoS::AtLeastOnce, 0);
                    let merged = plain.merge(options);
                    assert_eq!((merged.qos(), merged.subscription_id()), (qos.max(QoS::AtLeastOnce), id));
                    assert_eq!((merged.no_local(), merged.retain_as_published()), (false, retain));
                }
            }
        }
    }
}
