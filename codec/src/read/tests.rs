//! The reader against the section each field comes from; that it never reaches beyond its bytes.

use proptest::prelude::*;

use super::*;
use crate::Guilt;

#[test]
fn variable_byte_integers() {
    for (name, bytes, expected) in [
        ("0", &[0x00][..], Ok(0)),
        ("127", &[0x7F], Ok(127)),
        ("128", &[0x80, 0x01], Ok(128)),
        ("the most", &[0xFF, 0xFF, 0xFF, 0x7F], Ok(268_435_455)),
        ("nothing", &[], Err("packet ends inside a field")),
        ("cut", &[0x80], Err("packet ends inside a field")),
        ("0 in two", &[0x80, 0x00], Err("variable byte integer longer than needed")),
        ("127 in two", &[0xFF, 0x00], Err("variable byte integer longer than needed")),
        ("128 in four", &[0x80, 0x81, 0x80, 0x00], Err("variable byte integer longer than needed")),
        ("five", &[0x80, 0x80, 0x80, 0x80, 0x01], Err("variable byte integer of more than four bytes")),
    ] {
        assert_eq!(Reader::new(bytes).varint().map_err(|error| error.what), expected, "{name}");
    }
}

#[test]
fn a_packet_identifier_is_not_0() {
    assert_eq!(Reader::new(&[0, 1]).packet_id(), Ok(1));
    let error = Reader::new(&[0, 0]).packet_id().expect_err("0");
    assert_eq!(error.guilt, Guilt::ProtocolError);
}

#[test]
fn nothing_may_be_left() {
    let mut reader = Reader::new(&[7]);
    assert!(reader.finish().is_err());
    assert_eq!(reader.u8(), Ok(7));
    assert_eq!(reader.finish(), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What a field takes and what is left are the bytes there were; a field that does not fit takes
    /// nothing.
    #[test]
    fn fields_are_cut_off_the_front(bytes in prop::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..12)) {
        let mut reader = Reader::new(&bytes);
        let fits = bytes.len() >= 2 && {
            bytes.len() - 2 >= usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))
        };
        match reader.binary() {
            Ok(field) => {
                prop_assert!(fits);
                prop_assert_eq!(field, &bytes[2..2 + field.len()]);
                prop_assert_eq!(reader.rest(), &bytes[2 + field.len()..]);
            }
            Err(_) => prop_assert!(!fits),
        }
        let mut reader = Reader::new(&bytes);
        let naive = bytes.get(..4).map(|four| four.iter().fold(0, |n, &byte| n << 8 | u32::from(byte)));
        prop_assert_eq!(reader.u32().ok(), naive);
        prop_assert_eq!(reader.rest().len(), bytes.len() - if naive.is_some() { 4 } else { 0 });
    }

    #[test]
    fn integers_come_back(value in 0_u32..=268_435_455) {
        let mut bytes = Vec::new();
        crate::push_varint(value as usize, &mut bytes).expect("within the limit");
        prop_assert_eq!(bytes.len(), crate::varint_len(value as usize));
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.varint(), Ok(value));
        prop_assert!(reader.is_empty());
    }
}
