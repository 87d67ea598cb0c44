//! Valid packets made from arbitrary bytes survive encoding and decoding. The first byte chooses the
//! version.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_codec::vectors::with_packet;
use millrace_codec::{Version, decode, frame_header};

fuzz_target!(|input: &[u8]| {
    let Some((&choice, entropy)) = input.split_first() else { return };
    let version = Version::ALL[usize::from(choice) % Version::ALL.len()];
    with_packet(version, entropy, |packet| {
        let mut out = Vec::new();
        packet.encode(version, &mut out).expect("a valid packet");
        let header = frame_header(&out).expect("a header").expect("all of it");
        assert_eq!(header.total_len(), out.len());
        assert_eq!(decode(version, header.first, &out[header.header_len..]), Ok(*packet));
    });
});
