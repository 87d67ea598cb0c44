//! What can happen in the broker that a rule may turn into a record.
//!
//! Built by the cores, borrowed from the packet at hand, and encoded at once by
//! [`Producer::append`](crate::Producer::append). The log's reader builds the same type from a
//! stored record, so that one piece of code writes the JSON. Nothing here allocates.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The kind of an event, as a rule names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// A CONNECT was accepted.
    ClientConnected,
    /// The connection of a client ended.
    ClientDisconnected,
    /// A subscription was granted.
    SessionSubscribed,
    /// A subscription was removed.
    SessionUnsubscribed,
    /// A PUBLISH was taken from a client, whatever is subscribed to it.
    MessagePublish,
    /// A message was sent to a client.
    MessageDeliver,
    /// A receiving client acknowledged a message (QoS 1 PUBACK, QoS 2 PUBCOMP).
    MessageAcked,
}

impl EventKind {
    /// Every kind, in the order of their codes in the log.
    pub const ALL: [EventKind; 7] = [
        EventKind::ClientConnected,
        EventKind::ClientDisconnected,
        EventKind::SessionSubscribed,
        EventKind::SessionUnsubscribed,
        EventKind::MessagePublish,
        EventKind::MessageDeliver,
        EventKind::MessageAcked,
    ];

    /// The name in configuration files, for example `message.publish`.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::ClientConnected => "client.connected",
            EventKind::ClientDisconnected => "client.disconnected",
            EventKind::SessionSubscribed => "session.subscribed",
            EventKind::SessionUnsubscribed => "session.unsubscribed",
            EventKind::MessagePublish => "message.publish",
            EventKind::MessageDeliver => "message.deliver",
            EventKind::MessageAcked => "message.acked",
        }
    }

    /// The code in a log record (format version 1); never reassigned.
    pub(crate) fn code(self) -> u8 {
        match self {
            EventKind::ClientConnected => 1,
            EventKind::ClientDisconnected => 2,
            EventKind::SessionSubscribed => 3,
            EventKind::SessionUnsubscribed => 4,
            EventKind::MessagePublish => 5,
            EventKind::MessageDeliver => 6,
            EventKind::MessageAcked => 7,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<EventKind> {
        EventKind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of an [`EventKind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown event {0:?}; known are client.connected, client.disconnected, session.subscribed, session.unsubscribed, message.publish, message.deliver and message.acked"
)]
pub struct UnknownEvent(String);

impl FromStr for EventKind {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = EventKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        named.ok_or_else(|| UnknownEvent(text.chars().take(64).collect()))
    }
}

/// One event, as the core sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    /// When it happened, in Unix milliseconds.
    pub ts_ms: u64,
    /// The client the event is about: the publisher of `Publish`, the receiver of `Deliver` and `Acked`.
    pub client_id: &'a str,
    /// Its user name, `""` when it gave none.
    pub username: &'a str,
    /// What happened.
    pub data: EventData<'a>,
}

/// The part of an event that depends on its kind.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields carry the names of the record's JSON fields")]
pub enum EventData<'a> {
    /// `client.connected`; `keepalive` in force in seconds, `proto_ver` 3, 4 or 5.
    Connected { keepalive: u16, proto_ver: u8, clean_start: bool, ip: IpAddr },
    /// `client.disconnected`; `reason` one of the words documented for the record.
    Disconnected { reason: &'a str },
    /// `session.subscribed`; `qos` as granted.
    Subscribed { filter: &'a str, qos: u8 },
    /// `session.unsubscribed`; `qos` as it was.
    Unsubscribed { filter: &'a str, qos: u8 },
    /// `message.publish`; `packet_id` is that of a QoS 2 PUBLISH, else 0.
    Publish { topic: &'a str, payload: &'a [u8], qos: u8, packet_id: u16 },
    /// `message.deliver`; `from` is the publisher's client id, `qos` the delivered one.
    Deliver { from: &'a str, topic: &'a str, payload: &'a [u8], qos: u8 },
    /// `message.acked`; the same fields as `Deliver`.
    Acked { from: &'a str, topic: &'a str, payload: &'a [u8], qos: u8 },
}

impl Event<'_> {
    /// The kind a rule names in `on`.
    pub fn kind(&self) -> EventKind {
        match self.data {
            EventData::Connected { .. } => EventKind::ClientConnected,
            EventData::Disconnected { .. } => EventKind::ClientDisconnected,
            EventData::Subscribed { .. } => EventKind::SessionSubscribed,
            EventData::Unsubscribed { .. } => EventKind::SessionUnsubscribed,
            EventData::Publish { .. } => EventKind::MessagePublish,
            EventData::Deliver { .. } => EventKind::MessageDeliver,
            EventData::Acked { .. } => EventKind::MessageAcked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back_to_their_kind() {
        for (index, kind) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.as_str().parse::<EventKind>(), Ok(kind));
            assert_eq!(EventKind::from_code(kind.code()), Some(kind));
            assert_eq!(usize::from(kind.code()), index + 1);
        }
        assert_eq!(EventKind::from_code(0), None);
        assert_eq!(EventKind::from_code(8), None);
        for wrong in ["", "message", "message.Publish", "message.publish "] {
            assert!(wrong.parse::<EventKind>().is_err(), "{wrong:?}");
        }
    }
}
