//! The fixed header against a naive reading of section 2.1.

use proptest::prelude::*;

use super::*;
use crate::Guilt;

#[test]
fn headers() {
    let header = |first, header_len, body_len| Ok(Some(FrameHeader { first, header_len, body_len }));
    for (name, bytes, expected) in [
        ("nothing", &[][..], Ok(None)),
        ("only a type", &[0xC0], Ok(None)),
        ("length 0", &[0xC0, 0], header(0xC0, 2, 0)),
        ("more behind", &[0xC0, 0, 0x30], header(0xC0, 2, 0)),
        ("127", &[0x30, 0x7F], header(0x30, 2, 127)),
        ("first of two", &[0x30, 0x80], Ok(None)),
        ("128", &[0x30, 0x80, 0x01], header(0x30, 3, 128)),
        ("16,383", &[0x30, 0xFF, 0x7F], header(0x30, 3, 16_383)),
        ("16,384", &[0x30, 0x80, 0x80, 0x01], header(0x30, 4, 16_384)),
        ("2,097,151", &[0x30, 0xFF, 0xFF, 0x7F], header(0x30, 4, 2_097_151)),
        ("2,097,152", &[0x30, 0x80, 0x80, 0x80, 0x01], header(0x30, 5, 2_097_152)),
        ("the most", &[0x30, 0xFF, 0xFF, 0xFF, 0x7F], header(0x30, 5, MAX_BODY_LEN)),
        ("three of four", &[0x30, 0xFF, 0xFF, 0xFF], Ok(None)),
        ("0 in four", &[0x30, 0x80, 0x80, 0x80, 0x00], header(0x30, 5, 0)),
    ] {
        assert_eq!(frame_header(bytes), expected, "{name}");
    }
}

#[test]
fn t02_a_fifth_byte_of_length_is_not_waited_for() {
    let error = frame_header(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF]).expect_err("four with continuation");
    assert_eq!(error.guilt, Guilt::Malformed);
    assert!(frame_header(&[0x30, 0x80, 0x80, 0x80, 0x80, 0x01]).is_err());
}

#[test]
fn minimal_is_what_push_varint_writes() {
    for (body_len, header_len) in [(0, 2), (127, 2), (128, 3), (16_383, 3), (16_384, 4), (2_097_152, 5)] {
        for candidate in 2..=5 {
            let header = FrameHeader { first: 0x30, header_len: candidate, body_len };
            assert_eq!(header.is_minimal(), candidate == header_len, "{body_len} in {candidate}");
        }
    }
}

/// Table 2-2, written down once more, by version.
fn flags_allowed(version: Version, packet_type: u8, flags: u8) -> bool {
    match packet_type {
        0 => false,
        1 => flags == 0 || version == Version::V31,
        3 => flags & 0b0110 != 0b0110 && (flags & 0b1000 == 0 || flags & 0b0110 != 0),
        6 | 8 | 10 => flags == 0b0010 || version == Version::V31 && flags == 0b1010,
        _ => flags == 0,
    }
}

#[test]
fn every_first_byte() {
    for first in 0..=255 {
        let (number, flags) = (first >> 4, first & 15);
        let some = Version::ALL.into_iter().any(|version| flags_allowed(version, number, flags));
        assert_eq!(frame_header(&[first]).is_ok(), some, "0x{first:02X} as a header");
        let Some(packet_type) = PacketType::from_first(first) else { continue };
        assert_eq!(packet_type as u8, number);
        for version in Version::ALL {
            let allowed = flags_allowed(version, number, flags);
            assert_eq!(check_flags(version, packet_type, first).is_ok(), allowed, "0x{first:02X} {version}");
        }
        assert!(check_flags(Version::V5, packet_type, packet_type.first_byte()).is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_header_says_what_was_written(body_len in 0_usize..=MAX_BODY_LEN, more in any::<[u8; 3]>()) {
        let mut bytes = vec![0x30];
        crate::push_varint(body_len, &mut bytes).expect("within the limit");
        let header_len = bytes.len();
        for end in 0..header_len {
            prop_assert_eq!(frame_header(&bytes[..end]), Ok(None));
        }
        bytes.extend(more);
        prop_assert_eq!(frame_header(&bytes), Ok(Some(FrameHeader { first: 0x30, header_len, body_len })));
    }

    #[test]
    fn more_bytes_never_change_a_header(bytes in prop::collection::vec(any::<u8>(), 0..8)) {
        let whole = frame_header(&bytes);
        for end in 0..bytes.len() {
            match frame_header(&bytes[..end]) {
                Ok(None) => {}
                early => prop_assert_eq!(early, whole),
            }
        }
    }
}
