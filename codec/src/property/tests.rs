//! The table against the specification read by packet; lists against naive models.

use proptest::prelude::*;

use super::*;
use crate::{Guilt, PacketType, ReasonCode};

/// The property sections of each packet, by number.
const BY_PLACE: &[(PropertyPlace, &[u8])] = &[
    (PropertyPlace::Will, &[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]),
    (PropertyPlace::In(PacketType::Connect), &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]),
    (
        PropertyPlace::In(PacketType::ConnAck),
        &[
            0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29,
            0x2A,
        ],
    ),
    (PropertyPlace::In(PacketType::Publish), &[0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26]),
    (PropertyPlace::In(PacketType::PubAck), &[0x1F, 0x26]),
    (PropertyPlace::In(PacketType::PubRec), &[0x1F, 0x26]),
    (PropertyPlace::In(PacketType::PubRel), &[0x1F, 0x26]),
    (PropertyPlace::In(PacketType::PubComp), &[0x1F, 0x26]),
    (PropertyPlace::In(PacketType::Subscribe), &[0x0B, 0x26]),
    (PropertyPlace::In(PacketType::SubAck), &[0x1F, 0x26]),
    (PropertyPlace::In(PacketType::Unsubscribe), &[0x26]),
    (PropertyPlace::In(PacketType::UnsubAck), &[0x1F, 0x26]),
    (PropertyPlace::In(PacketType::PingReq), &[]),
    (PropertyPlace::In(PacketType::PingResp), &[]),
    (PropertyPlace::In(PacketType::Disconnect), &[0x11, 0x1C, 0x1F, 0x26]),
    (PropertyPlace::In(PacketType::Auth), &[0x15, 0x16, 0x1F, 0x26]),
];

/// One of each, with a value that is allowed.
const ONE_OF_EACH: [Property<'static>; 27] = [
    Property::PayloadFormatIndicator(true),
    Property::MessageExpiryInterval(1),
    Property::ContentType("text/plain"),
    Property::ResponseTopic("re/ply"),
    Property::CorrelationData(&[0, 0xFF]),
    Property::SubscriptionIdentifier(268_435_455),
    Property::SessionExpiryInterval(u32::MAX),
    Property::AssignedClientIdentifier("id"),
    Property::ServerKeepAlive(60),
    Property::AuthenticationMethod("SCRAM"),
    Property::AuthenticationData(b"hush"),
    Property::RequestProblemInformation(false),
    Property::WillDelayInterval(10),
    Property::RequestResponseInformation(true),
    Property::ResponseInformation("re"),
    Property::ServerReference("other"),
    Property::ReasonString("why"),
    Property::ReceiveMaximum(1),
    Property::TopicAliasMaximum(10),
    Property::TopicAlias(1),
    Property::MaximumQoS(QoS::AtLeastOnce),
    Property::RetainAvailable(false),
    Property::UserProperty("k", "v"),
    Property::MaximumPacketSize(1),
    Property::WildcardSubscriptionAvailable(false),
    Property::SubscriptionIdentifierAvailable(true),
    Property::SharedSubscriptionAvailable(false),
];

fn list(properties: &[Property<'_>]) -> PropertyBuf {
    let mut list = PropertyBuf::new();
    for &property in properties {
        list.push(property).expect("short enough");
    }
    list
}

#[test]
fn each_place_has_the_properties_of_its_section() {
    assert_eq!(PropertyId::ALL.len(), 27);
    for &(place, numbers) in BY_PLACE {
        for number in 0..=255 {
            let allowed = PropertyId::from_number(number).is_some_and(|id| id.allowed_in(place));
            assert_eq!(allowed, numbers.contains(&number), "0x{number:02X} in {place:?}");
        }
    }
}

#[test]
fn every_property_in_every_place_alone_and_twice() {
    for &(place, numbers) in BY_PLACE {
        for property in ONE_OF_EACH {
            // Data needs a method, which then has to be allowed itself.
            let with_method = property.id() == PropertyId::AuthenticationData;
            let before = if with_method { &[Property::AuthenticationMethod("M")][..] } else { &[] };
            let once = list(&[before, &[property]].concat());
            let twice = list(&[before, &[property, property]].concat());
            let name = format!("{property:?} in {place:?}");

            let allowed = numbers.contains(&(property.id() as u8));
            let parsed = Properties::parse(once.as_properties().raw(), place);
            match parsed {
                Ok(parsed) => {
                    assert!(allowed, "{name}");
                    assert_eq!(parsed, once.as_properties(), "{name}");
                    assert_eq!(parsed.get(property.id()), Some(property), "{name}");
                }
                Err(error) => {
                    assert!(!allowed, "{name}: {error}");
                    assert_eq!(error.reason, ReasonCode::MalformedPacket, "{name}");
                }
            }
            let repeated = Properties::parse(twice.as_properties().raw(), place);
            let may_repeat = property.id() == PropertyId::UserProperty
                || property.id() == PropertyId::SubscriptionIdentifier
                    && place == PropertyPlace::In(PacketType::Publish);
            match (allowed, may_repeat) {
                (false, _) => assert!(repeated.is_err(), "{name} twice"),
                (true, true) => assert!(repeated.is_ok(), "{name} twice"),
                (true, false) => {
                    assert_eq!(repeated.map_err(|e| e.guilt), Err(Guilt::ProtocolError), "{name} twice");
                }
            }
        }
    }
}

#[test]
fn getters_find_their_own_property_and_no_other() {
    let all = list(&ONE_OF_EACH);
    let p = all.as_properties();
    assert_eq!(p.payload_format_indicator(), Some(true));
    assert_eq!(p.message_expiry_interval(), Some(1));
    assert_eq!(p.content_type(), Some("text/plain"));
    assert_eq!(p.response_topic(), Some("re/ply"));
    assert_eq!(p.correlation_data(), Some(&[0, 0xFF][..]));
    assert_eq!(p.subscription_identifier(), Some(268_435_455));
    assert_eq!(p.session_expiry_interval(), Some(u32::MAX));
    assert_eq!(p.assigned_client_identifier(), Some("id"));
    assert_eq!(p.server_keep_alive(), Some(60));
    assert_eq!(p.authentication_method(), Some("SCRAM"));
    assert_eq!(p.authentication_data(), Some(&b"hush"[..]));
    assert_eq!(p.request_problem_information(), Some(false));
    assert_eq!(p.will_delay_interval(), Some(10));
    assert_eq!(p.request_response_information(), Some(true));
    assert_eq!(p.response_information(), Some("re"));
    assert_eq!(p.server_reference(), Some("other"));
    assert_eq!(p.reason_string(), Some("why"));
    assert_eq!(p.receive_maximum(), Some(1));
    assert_eq!(p.topic_alias_maximum(), Some(10));
    assert_eq!(p.topic_alias(), Some(1));
    assert_eq!(p.maximum_qos(), Some(QoS::AtLeastOnce));
    assert_eq!(p.retain_available(), Some(false));
    assert_eq!(p.user_properties().collect::<Vec<_>>(), [("k", "v")]);
    assert_eq!(p.maximum_packet_size(), Some(1));
    assert_eq!(p.wildcard_subscription_available(), Some(false));
    assert_eq!(p.subscription_identifier_available(), Some(true));
    assert_eq!(p.shared_subscription_available(), Some(false));
    for &id in PropertyId::ALL {
        assert!(p.contains(id));
        assert_eq!(Properties::EMPTY.get(id), None);
        assert!(!Properties::EMPTY.contains(id));
    }
    assert_eq!(Properties::EMPTY.user_properties().count(), 0);
    assert_eq!(Properties::EMPTY.subscription_identifiers().count(), 0);
}

#[test]
fn secrets_stay_out_of_debug() {
    let all = list(&ONE_OF_EACH);
    for text in [format!("{all:?}"), format!("{:?}", all.as_properties())] {
        assert!(text.contains("AuthenticationData(4 bytes)"), "{text}");
        assert!(text.contains("UserProperty(\"k\", \"v\")"), "{text}");
        assert!(!text.contains("hush") && !text.contains("104"), "{text}");
    }
}

#[test]
fn what_the_wire_cannot_say_is_not_pushed() {
    let long = "x".repeat(65_536);
    let mut buf = list(&[Property::TopicAlias(7)]);
    let before = buf.clone();
    for property in [
        Property::ReasonString(&long),
        Property::CorrelationData(long.as_bytes()),
        Property::UserProperty(&long, ""),
        Property::UserProperty("", &long),
        Property::SubscriptionIdentifier(268_435_456),
        Property::MaximumQoS(QoS::ExactlyOnce),
    ] {
        assert_eq!(buf.push(property).map_err(|error| error.guilt), Err(Guilt::NotEncodable));
        assert_eq!(buf, before);
    }
    buf.clear();
    assert_eq!(buf.as_properties(), Properties::EMPTY);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn lists_against_a_vector(
        chosen in prop::collection::vec(prop::sample::select(&ONE_OF_EACH[..]), 0..12),
        kept in any::<u64>(),
    ) {
        let built = list(&chosen);
        let view = built.as_properties();
        prop_assert_eq!(view.iter().collect::<Vec<_>>(), chosen.clone());
        for &id in PropertyId::ALL {
            let naive = chosen.iter().copied().find(|property| property.id() == id);
            prop_assert_eq!(view.get(id), naive);
            prop_assert_eq!(view.contains(id), naive.is_some());
        }
        let ids = chosen.iter().filter(|property| property.id() == PropertyId::SubscriptionIdentifier);
        prop_assert_eq!(view.subscription_identifiers().count(), ids.count());

        let keep = |id: PropertyId| kept & id.bit() != 0;
        let mut filtered = PropertyBuf::new();
        filtered.push_where(view, keep);
        let naive: Vec<_> = chosen.iter().copied().filter(|property| keep(property.id())).collect();
        prop_assert_eq!(filtered, list(&naive));
    }

    /// Whatever passes validation is readable to its last byte, and no byte more.
    #[test]
    fn what_is_valid_is_read_whole(
        place in prop::sample::select(BY_PLACE),
        bytes in prop::collection::vec(prop_oneof![0_u8..0x2B, 0_u8..3, any::<u8>()], 0..24),
    ) {
        if let Ok(properties) = Properties::parse(&bytes, place.0) {
            prop_assert_eq!(properties.raw(), &bytes[..]);
            let read: Vec<_> = properties.iter().collect();
            let again = list(&read);
            prop_assert_eq!(again.as_properties(), properties);
        }
    }
}
