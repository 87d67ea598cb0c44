//! Headers and footers: what is written is read, and nothing else is.

use super::*;

fn header() -> Header {
    Header {
        id: 0x1122_3344_5566_7788,
        number: 9,
        run: 3,
        previous_clean: true,
        first_sequence: 1000,
        created_ms: 1_574_751_635_845,
        previous_id: 5,
        previous_end: 900,
        supersedes_from: Some(1000),
        node: "millrace@127.0.0.1".to_owned(),
    }
}

#[test]
fn a_header_survives_the_loss_of_either_copy() {
    for header in [header(), Header { supersedes_from: None, previous_clean: false, ..header() }] {
        let area = header.encode_area();
        assert_eq!(area.len() as u64, HEADER_AREA);
        for lost in [0..0, 0..512, 2048..2560, 512..2048, 2560..4096] {
            let mut area = area.clone();
            area[lost.clone()].fill(0xaa);
            assert_eq!(Header::decode_area(&area), Ok(header.clone()), "{lost:?}");
        }
        let mut area = area.clone();
        area[..2560].fill(0);
        assert_eq!(Header::decode_area(&area), Err(BadHeader::Damaged));
    }
    for len in 0..200 {
        assert_eq!(Header::decode_area(&header().encode_area()[..len.min(80)]), Err(BadHeader::Damaged));
    }
}

#[test]
fn a_long_node_name_is_clipped_at_a_character() {
    let header = Header { node: "ü".repeat(2000), ..header() };
    let read = Header::decode_area(&header.encode_area()).expect("a header");
    assert_eq!(read.node, "ü".repeat(NODE_BYTES_MAX / 2));
}

#[test]
fn a_footer_is_read_as_written_and_no_flipped_bit_passes() {
    let stream = |name: &str| StreamIndex {
        name: name.to_owned(),
        first_offset: 1,
        next_offset: 5,
        records: 4,
        position: 4608,
    };
    let footer = Footer {
        clean: true,
        first_sequence: 1,
        next_sequence: 9,
        records: 8,
        groups: 3,
        end: 8192,
        last_ms: 77,
        streams: vec![stream("a"), stream("message_state")],
    };
    let bytes = footer.encode(42);
    let trailer = &bytes[bytes.len() - TRAILER..];
    assert_eq!(Footer::len_from_trailer(trailer, 42), Some(bytes.len() as u32));
    assert_eq!(Footer::len_from_trailer(trailer, 43), None);
    assert_eq!(Footer::decode(&bytes, 42), Some(footer));
    assert_eq!(Footer::decode(&bytes, 43), None);
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Footer::decode(&bad, 42), None, "bit {bit}");
    }
}

#[test]
fn file_names() {
    assert_eq!(segment_number(&segment_name(0)), Some(0));
    assert_eq!(segment_number(&segment_name(u64::MAX)), Some(u64::MAX));
    for name in [
        "segment-1.mlog",
        "segment-00000000000000000001",
        "segment-0000000000000000000x.mlog",
        "segment-99999999999999999999.mlog",
        "segment-+0000000000000000001.mlog",
        "lock",
        "",
    ] {
        assert_eq!(segment_number(name), None, "{name}");
    }
}
