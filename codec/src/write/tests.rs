//! Writing: integers, the frame around a body, and that a failure leaves no trace.

use super::*;

#[test]
fn integers_as_in_table_1_1() {
    for (value, bytes) in [
        (0, &[0x00][..]),
        (127, &[0x7F]),
        (128, &[0x80, 0x01]),
        (16_383, &[0xFF, 0x7F]),
        (16_384, &[0x80, 0x80, 0x01]),
        (2_097_151, &[0xFF, 0xFF, 0x7F]),
        (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
        (268_435_455, &[0xFF, 0xFF, 0xFF, 0x7F]),
    ] {
        let mut out = Vec::new();
        assert_eq!(push_varint(value, &mut out), Ok(()));
        assert_eq!(out, bytes, "{value}");
        assert_eq!(varint_len(value), bytes.len(), "{value}");
    }
}

#[test]
fn an_integer_too_large_writes_nothing() {
    let mut out = vec![1];
    assert!(push_varint(MAX_BODY_LEN + 1, &mut out).is_err());
    assert_eq!(out, [1]);
}

#[test]
fn the_frame_goes_round_bodies_of_any_length() {
    for len in [0, 1, 127, 128, 129, 16_383, 16_384, 20_000] {
        let content: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let mut out = b"before".to_vec();
        packet(0xE0, &mut out, |out| {
            out.extend_from_slice(&content);
            Ok(())
        })
        .expect("short enough");
        let mut expected = b"before\xE0".to_vec();
        push_varint(len, &mut expected).expect("short enough");
        expected.extend_from_slice(&content);
        assert_eq!(out, expected, "{len}");
    }
}

#[test]
fn a_failure_leaves_no_trace() {
    let mut out = b"before".to_vec();
    let result = packet(0xE0, &mut out, |out| {
        out.extend_from_slice(b"half");
        binary(&[0; 65_536], out)
    });
    assert_eq!(result.map_err(|error| error.guilt), Err(crate::Guilt::NotEncodable));
    assert_eq!(out, b"before");
}

#[test]
fn a_field_of_65_535_bytes_is_the_longest() {
    let mut out = Vec::new();
    assert_eq!(binary(&[7; 65_535], &mut out), Ok(()));
    assert_eq!((out.len(), &out[..3]), (65_537, &[0xFF, 0xFF, 7][..]));
    out.clear();
    assert!(binary(&[7; 65_536], &mut out).is_err());
    assert!(out.is_empty());
}
