//! Valid packets out of arbitrary bytes, for property tests and for the fuzz target `round_trip`.
//!
//! Everything a version can say is reachable, nothing it cannot: what comes out must survive encoding
//! and decoding unchanged. The same bytes make the same packet.

use crate::{
    Ack, Auth, ConnAck, Connect, Disconnect, FilterBuf, Packet, PacketType, Properties, Property,
    PropertyBuf, PropertyId, PropertyPlace, Publish, QoS, ReasonCode, RetainHandling, SubAck, Subscribe,
    SubscribeOptions, UnsubAck, Unsubscribe, UnsubscribeFilterBuf, Version, Will,
};

const TEXTS: &[&str] = &["", "a", "a/b", "text", "Köln/°C", "𝄞", "\u{1}", "\u{FEFF}x", "+/#", "/"];
const TOPICS: &[&str] = &["a", "a/b", "/", "$SYS/x", "Köln/°C", "𝄞/\u{FEFF}", "devices/0042/state"];
const FILTERS: &[&str] = &["a", "#", "+/b", "$share/g/a", "$share/g/#", "not a [valid#] filter", "ü"];
const LONG: &str = match str::from_utf8(&[b'x'; 65_535]) {
    Ok(text) => text,
    Err(_) => "",
};
const BINARY: [u8; 256] = {
    let mut bytes = [0xFF; 256];
    bytes[0] = 0;
    bytes[1] = 0xC3;
    bytes
};

/// Calls `check` with a valid packet of `version` that depends on nothing but `entropy`.
pub fn with_packet<T>(version: Version, entropy: &[u8], check: impl FnOnce(&Packet<'_>) -> T) -> T {
    let mut source = Source { rest: entropy, version };
    let packet_type = loop {
        match PacketType::from_first(source.byte() << 4) {
            Some(PacketType::Auth) if version != Version::V5 => {}
            Some(packet_type) => break packet_type,
            None => break PacketType::Publish,
        }
    };
    let mut properties = PropertyBuf::new();
    source.properties(PropertyPlace::In(packet_type), &mut properties);
    let mut will_properties = PropertyBuf::new();
    source.properties(PropertyPlace::Will, &mut will_properties);
    let (mut filters, mut names, mut codes) = (FilterBuf::new(), UnsubscribeFilterBuf::new(), Vec::new());
    source.filters(&mut filters, &mut names);
    source.codes(packet_type, &mut codes);

    let lists = Lists { properties: properties.as_properties(), will: will_properties.as_properties() };
    let packet = match packet_type {
        PacketType::Subscribe => Packet::Subscribe(Subscribe {
            packet_id: source.packet_id(),
            properties: lists.properties,
            filters: filters.as_filters(),
        }),
        PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe {
            packet_id: source.packet_id(),
            properties: lists.properties,
            filters: names.as_filters(),
        }),
        PacketType::SubAck => Packet::SubAck(SubAck {
            packet_id: source.packet_id(),
            properties: lists.properties,
            codes: &codes,
        }),
        PacketType::UnsubAck => Packet::UnsubAck(UnsubAck {
            packet_id: source.packet_id(),
            properties: lists.properties,
            codes: &codes,
        }),
        _ => source.packet(packet_type, lists),
    };
    check(&packet)
}

#[derive(Clone, Copy)]
struct Lists<'a> {
    properties: Properties<'a>,
    will: Properties<'a>,
}

/// Choices, made by the bytes in turn; 0 when there are no more.
struct Source<'e> {
    rest: &'e [u8],
    version: Version,
}

impl Source<'_> {
    fn packet<'a>(&mut self, packet_type: PacketType, lists: Lists<'a>) -> Packet<'a> {
        match packet_type {
            PacketType::Connect => Packet::Connect(self.connect(lists)),
            PacketType::ConnAck => {
                let reason = self.reason(packet_type);
                let may_have_session = reason == ReasonCode::Success && self.version != Version::V31;
                let session_present = self.flag() && may_have_session;
                Packet::ConnAck(ConnAck { session_present, reason, properties: lists.properties })
            }
            PacketType::PubAck => Packet::PubAck(self.ack(packet_type, lists)),
            PacketType::PubRec => Packet::PubRec(self.ack(packet_type, lists)),
            PacketType::PubRel => Packet::PubRel(self.ack(packet_type, lists)),
            PacketType::PubComp => Packet::PubComp(self.ack(packet_type, lists)),
            PacketType::PingReq => Packet::PingReq,
            PacketType::PingResp => Packet::PingResp,
            PacketType::Disconnect => Packet::Disconnect(Disconnect {
                reason: self.reason(packet_type),
                properties: lists.properties,
            }),
            PacketType::Auth => Packet::Auth(self.auth(lists)),
            _ => Packet::Publish(self.publish(lists)),
        }
    }

    fn connect<'a>(&mut self, lists: Lists<'a>) -> Connect<'a> {
        let username = self.flag().then(|| self.name());
        let may_have_password = username.is_some() || self.version == Version::V5;
        Connect {
            version: self.version,
            clean_start: self.flag(),
            keep_alive: self.two(),
            client_id: self.name(),
            will: self.flag().then(|| Will {
                qos: self.qos(),
                retain: self.flag(),
                topic: self.pick(TOPICS),
                payload: self.binary(),
                properties: lists.will,
            }),
            username,
            password: (self.flag() && may_have_password).then(|| self.binary()),
            properties: lists.properties,
        }
    }

    fn publish<'a>(&mut self, lists: Lists<'a>) -> Publish<'a> {
        let qos = self.qos();
        let with_id = qos != QoS::AtMostOnce;
        let by_alias = lists.properties.contains(PropertyId::TopicAlias) && self.flag();
        Publish {
            dup: self.flag() && with_id,
            qos,
            retain: self.flag(),
            topic: if by_alias { "" } else { self.pick(TOPICS) },
            packet_id: if with_id { self.packet_id() } else { 0 },
            properties: lists.properties,
            payload: if self.flag() { LONG.as_bytes() } else { self.binary() },
        }
    }

    fn ack<'a>(&mut self, packet_type: PacketType, lists: Lists<'a>) -> Ack<'a> {
        Ack { packet_id: self.packet_id(), reason: self.reason(packet_type), properties: lists.properties }
    }

    /// Without a method only the short form is left.
    fn auth<'a>(&mut self, lists: Lists<'a>) -> Auth<'a> {
        if lists.properties.contains(PropertyId::AuthenticationMethod) {
            Auth { reason: self.reason(PacketType::Auth), properties: lists.properties }
        } else {
            Auth { reason: ReasonCode::Success, properties: Properties::EMPTY }
        }
    }

    fn reason(&mut self, packet_type: PacketType) -> ReasonCode {
        let all = ReasonCode::ALL.iter().copied();
        let choices: Vec<_> = match (self.version, packet_type) {
            (Version::V5, _) => all.filter(|reason| reason.allowed_in(packet_type)).collect(),
            // Those that CONNACK of 3.x has a number of its own for.
            (_, PacketType::ConnAck) => all
                .filter(|&reason| reason.connect_return_code().is_some_and(|code| code.reason() == reason))
                .collect(),
            _ => Vec::new(),
        };
        let index = usize::from(self.byte()).checked_rem(choices.len());
        index.and_then(|index| choices.get(index).copied()).unwrap_or(ReasonCode::Success)
    }

    fn properties(&mut self, place: PropertyPlace, list: &mut PropertyBuf) {
        if self.version != Version::V5 {
            return;
        }
        for &id in PropertyId::ALL.iter().filter(|id| id.allowed_in(place)) {
            let mask = if id.may_repeat_in(place) { 3 } else { 1 };
            for _ in 0..self.byte() & mask {
                if id == PropertyId::AuthenticationData
                    && !list.as_properties().contains(PropertyId::AuthenticationMethod)
                {
                    continue;
                }
                let pushed = list.push(self.property(id));
                assert!(pushed.is_ok(), "{id:?} {pushed:?}");
            }
        }
    }

    fn property(&mut self, id: PropertyId) -> Property<'static> {
        match id {
            PropertyId::PayloadFormatIndicator => Property::PayloadFormatIndicator(self.flag()),
            PropertyId::MessageExpiryInterval => Property::MessageExpiryInterval(self.four()),
            PropertyId::ContentType => Property::ContentType(self.text()),
            PropertyId::ResponseTopic => Property::ResponseTopic(self.pick(TOPICS)),
            PropertyId::CorrelationData => Property::CorrelationData(self.binary()),
            PropertyId::SubscriptionIdentifier => Property::SubscriptionIdentifier((self.four() >> 4).max(1)),
            PropertyId::SessionExpiryInterval => Property::SessionExpiryInterval(self.four()),
            PropertyId::AssignedClientIdentifier => Property::AssignedClientIdentifier(self.text()),
            PropertyId::ServerKeepAlive => Property::ServerKeepAlive(self.two()),
            PropertyId::AuthenticationMethod => Property::AuthenticationMethod(self.text()),
            PropertyId::AuthenticationData => Property::AuthenticationData(self.binary()),
            PropertyId::RequestProblemInformation => Property::RequestProblemInformation(self.flag()),
            PropertyId::WillDelayInterval => Property::WillDelayInterval(self.four()),
            PropertyId::RequestResponseInformation => Property::RequestResponseInformation(self.flag()),
            PropertyId::ResponseInformation => Property::ResponseInformation(self.text()),
            PropertyId::ServerReference => Property::ServerReference(self.text()),
            PropertyId::ReasonString => Property::ReasonString(self.text()),
            PropertyId::ReceiveMaximum => Property::ReceiveMaximum(self.packet_id()),
            PropertyId::TopicAliasMaximum => Property::TopicAliasMaximum(self.two()),
            PropertyId::TopicAlias => Property::TopicAlias(self.packet_id()),
            PropertyId::MaximumQoS => Property::MaximumQoS(self.qos().min(QoS::AtLeastOnce)),
            PropertyId::RetainAvailable => Property::RetainAvailable(self.flag()),
            PropertyId::UserProperty => Property::UserProperty(self.text(), self.text()),
            PropertyId::MaximumPacketSize => Property::MaximumPacketSize(self.four().max(1)),
            PropertyId::WildcardSubscriptionAvailable => Property::WildcardSubscriptionAvailable(self.flag()),
            PropertyId::SubscriptionIdentifierAvailable => {
                Property::SubscriptionIdentifierAvailable(self.flag())
            }
            PropertyId::SharedSubscriptionAvailable => Property::SharedSubscriptionAvailable(self.flag()),
        }
    }

    fn filters(&mut self, filters: &mut FilterBuf, names: &mut UnsubscribeFilterBuf) {
        for _ in 0..=self.byte() % 5 {
            let filter: &str = self.pick(FILTERS);
            let qos = self.qos();
            let options = if self.version == Version::V5 {
                let [send, if_new, never] =
                    [RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend];
                SubscribeOptions {
                    qos,
                    no_local: self.flag() && !filter.starts_with("$share/"),
                    retain_as_published: self.flag(),
                    retain_handling: self.pick(&[send, if_new, never]),
                }
            } else {
                SubscribeOptions::with_qos(qos)
            };
            let pushed = filters.push(filter, options).and(names.push(filter));
            assert!(pushed.is_ok(), "{pushed:?}");
        }
    }

    fn codes(&mut self, packet_type: PacketType, codes: &mut Vec<u8>) {
        for _ in 0..=self.byte() % 5 {
            match (self.version, packet_type) {
                (Version::V5, PacketType::SubAck | PacketType::UnsubAck) => {
                    codes.push(self.reason(packet_type) as u8);
                }
                (_, PacketType::SubAck) => codes.push(self.pick(&[0, 1, 2, 0x80])),
                _ => {}
            }
        }
    }

    fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((&byte, rest)) => {
                self.rest = rest;
                byte
            }
            None => 0,
        }
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    fn two(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn four(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    fn packet_id(&mut self) -> u16 {
        self.two().max(1)
    }

    fn qos(&mut self) -> QoS {
        self.pick(&QoS::ALL)
    }

    fn text(&mut self) -> &'static str {
        match self.byte() {
            0xFF => LONG,
            0xF0.. => LONG.get(..usize::from(self.byte())).unwrap_or(""),
            _ => self.pick(TEXTS),
        }
    }

    /// A text without control characters.
    fn name(&mut self) -> &'static str {
        Some(self.text()).filter(|text| !text.contains('\u{1}')).unwrap_or("\u{FEFF}")
    }

    fn binary(&mut self) -> &'static [u8] {
        static BYTES: [u8; 256] = BINARY;
        BYTES.get(..usize::from(self.byte())).unwrap_or(&[])
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = usize::from(self.byte()).checked_rem(choices.len()).unwrap_or(0);
        // `choices` is never empty and the remainder always within it.
        #[expect(clippy::indexing_slicing, reason = "test data; every list has an entry")]
        choices[index]
    }
}
