//! Typed access to single properties of a list.
//!
//! Each getter looks at the list of present properties first, so what is not there costs one test.

use super::table::{self, PropertyId, Raw};
use super::{Properties, Property};
use crate::QoS;
use crate::read::Reader;

impl<'a> Properties<'a> {
    /// The first property with this identifier.
    #[must_use]
    pub fn get(&self, id: PropertyId) -> Option<Property<'a>> {
        if !self.contains(id) {
            return None;
        }
        let mut reader = Reader::new(self.bytes);
        while let Ok((found, raw)) = table::read(&mut reader) {
            if found == id {
                return Property::from_raw(id, raw);
            }
        }
        None
    }

    /// All user properties, in the order of the wire, which is to be kept when forwarding
    /// ([MQTT-3.3.2-18]).
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let list = if self.contains(PropertyId::UserProperty) { *self } else { Self::EMPTY };
        list.iter().filter_map(|property| match property {
            Property::UserProperty(name, value) => Some((name, value)),
            _ => None,
        })
    }

    /// All subscription identifiers. A PUBLISH from a client to the server must have none
    /// ([MQTT-3.3.4-6]); decoding does not know the direction, so the server checks this itself.
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = u32> + use<'a> {
        let mut reader =
            Reader::new(if self.contains(PropertyId::SubscriptionIdentifier) { self.bytes } else { &[] });
        std::iter::from_fn(move || {
            loop {
                if let (PropertyId::SubscriptionIdentifier, Raw::Varint(id)) =
                    table::read(&mut reader).ok()?
                {
                    return Some(id);
                }
            }
        })
    }
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $variant:ident -> $type:ty;)*) => {
        impl<'a> Properties<'a> {
            $(
                $(#[$doc])*
                #[inline]
                #[must_use]
                pub fn $name(&self) -> Option<$type> {
                    match self.get(PropertyId::$variant)? {
                        Property::$variant(value) => Some(value),
                        _ => None,
                    }
                }
            )*
        }
    };
}

getters! {
    /// Whether the payload is UTF-8 text (section 3.3.2.3.2). That it is, nobody has checked.
    payload_format_indicator: PayloadFormatIndicator -> bool;
    /// Lifetime of the message in seconds (section 3.3.2.3.3); absent: it does not expire.
    message_expiry_interval: MessageExpiryInterval -> u32;
    /// Content type (section 3.3.2.3.9).
    content_type: ContentType -> &'a str;
    /// Response topic, a valid topic name (section 3.3.2.3.5).
    response_topic: ResponseTopic -> &'a str;
    /// Correlation data (section 3.3.2.3.6).
    correlation_data: CorrelationData -> &'a [u8];
    /// The first subscription identifier (sections 3.3.2.3.8 and 3.8.2.1.2), 1 to 268,435,455.
    subscription_identifier: SubscriptionIdentifier -> u32;
    /// Session expiry in seconds (section 3.1.2.11.2), 0xFFFFFFFF: never; absent: 0.
    session_expiry_interval: SessionExpiryInterval -> u32;
    /// The client identifier the server chose (section 3.2.2.3.7).
    assigned_client_identifier: AssignedClientIdentifier -> &'a str;
    /// The server's keep alive in seconds (section 3.2.2.3.14).
    server_keep_alive: ServerKeepAlive -> u16;
    /// Authentication method (section 3.1.2.11.9).
    authentication_method: AuthenticationMethod -> &'a str;
    /// Authentication data (section 3.1.2.11.10); only there with a method.
    authentication_data: AuthenticationData -> &'a [u8];
    /// Request problem information (section 3.1.2.11.7); absent: true.
    request_problem_information: RequestProblemInformation -> bool;
    /// Will delay in seconds (section 3.1.3.2.2); absent: 0.
    will_delay_interval: WillDelayInterval -> u32;
    /// Request response information (section 3.1.2.11.6); absent: false.
    request_response_information: RequestResponseInformation -> bool;
    /// Response information (section 3.2.2.3.15).
    response_information: ResponseInformation -> &'a str;
    /// Server reference (section 4.11).
    server_reference: ServerReference -> &'a str;
    /// Reason string, for people (section 2.2.2.2).
    reason_string: ReasonString -> &'a str;
    /// Receive maximum (section 3.1.2.11.3), at least 1; absent: 65,535.
    receive_maximum: ReceiveMaximum -> u16;
    /// Topic alias maximum (section 3.1.2.11.5); absent: 0.
    topic_alias_maximum: TopicAliasMaximum -> u16;
    /// Topic alias (section 3.3.2.3.4), at least 1. Whether it is within the maximum that was agreed
    /// is the caller's to check ([MQTT-3.3.2-9]).
    topic_alias: TopicAlias -> u16;
    /// Maximum QoS, 0 or 1 (section 3.2.2.3.4); absent: 2.
    maximum_qos: MaximumQoS -> QoS;
    /// Retain available (section 3.2.2.3.5); absent: true.
    retain_available: RetainAvailable -> bool;
    /// Maximum packet size in bytes (section 3.1.2.11.4), at least 1; absent: no limit.
    maximum_packet_size: MaximumPacketSize -> u32;
    /// Wildcard subscription available (section 3.2.2.3.11); absent: true.
    wildcard_subscription_available: WildcardSubscriptionAvailable -> bool;
    /// Subscription identifier available (section 3.2.2.3.12); absent: true.
    subscription_identifier_available: SubscriptionIdentifierAvailable -> bool;
    /// Shared subscription available (section 3.2.2.3.13); absent: true.
    shared_subscription_available: SharedSubscriptionAvailable -> bool;
}
