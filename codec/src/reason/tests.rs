//! The table of reason codes against the same table of the specification, read the other way round: by
//! packet.

use super::*;

/// Sections 3.2.2.2, 3.4.2.1 to 3.7.2.1, 3.9.3, 3.11.3, 3.14.2.1 and 3.15.2.1. 0x8C in DISCONNECT is from
/// section 2.4 alone.
const BY_PACKET: &[(PacketType, &[u8])] = &[
    (
        PacketType::ConnAck,
        &[
            0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97,
            0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
        ],
    ),
    (PacketType::PubAck, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
    (PacketType::PubRec, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
    (PacketType::PubRel, &[0x00, 0x92]),
    (PacketType::PubComp, &[0x00, 0x92]),
    (PacketType::SubAck, &[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2]),
    (PacketType::UnsubAck, &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91]),
    (
        PacketType::Disconnect,
        &[
            0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94,
            0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
        ],
    ),
    (PacketType::Auth, &[0x00, 0x18, 0x19]),
];

#[test]
fn each_packet_has_the_codes_of_its_section() {
    for type_number in 1..=15 {
        let packet = PacketType::from_first(type_number << 4).expect("a type");
        let codes = BY_PACKET.iter().find(|(of, _)| *of == packet).map_or(&[][..], |(_, codes)| codes);
        for number in 0..=255 {
            let allowed = ReasonCode::from_number(number).is_some_and(|reason| reason.allowed_in(packet));
            assert_eq!(allowed, codes.contains(&number), "0x{number:02X} in {packet}");
        }
    }
}

#[test]
fn numbers_and_names() {
    let mut names = std::collections::HashSet::new();
    for &reason in ReasonCode::ALL {
        assert_eq!(ReasonCode::from_number(reason as u8), Some(reason));
        assert!(names.insert(reason.name()), "{reason} twice");
        assert_eq!(reason.is_error(), u8::from(reason) >= 0x80);
    }
    assert_eq!(ReasonCode::ALL.len(), 43);
    assert_eq!(ReasonCode::SessionTakenOver.to_string(), "Session taken over (0x8E)");
}

#[test]
fn return_codes_of_3x_and_back() {
    for number in 0..=255 {
        let code = ConnectReturnCode::from_number(number);
        assert_eq!(code.is_some(), number <= 5, "{number}");
        if let Some(code) = code {
            assert_eq!(code as u8, number);
            assert_eq!(code.reason().connect_return_code(), Some(code));
        }
    }
    for (reason, number) in [
        (ReasonCode::Banned, Some(5)),
        (ReasonCode::ServerBusy, Some(3)),
        (ReasonCode::ConnectionRateExceeded, Some(3)),
        (ReasonCode::BadAuthenticationMethod, Some(4)),
        (ReasonCode::MalformedPacket, None),
        (ReasonCode::ProtocolError, None),
        (ReasonCode::PacketTooLarge, None),
        (ReasonCode::TopicNameInvalid, None),
    ] {
        assert_eq!(reason.connect_return_code().map(|code| code as u8), number, "{reason}");
    }
}
