//! A stream cut into frames: headers are found the same whatever arrives with them, and nothing is read
//! beyond the packet.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_codec::{Version, decode, frame_header};

fuzz_target!(|stream: &[u8]| {
    let mut rest = stream;
    while let Ok(Some(header)) = frame_header(rest) {
        assert_eq!(frame_header(&rest[..header.header_len]), Ok(Some(header)));
        assert_eq!(frame_header(&rest[..header.header_len - 1]), Ok(None));
        let Some((packet, after)) = rest.split_at_checked(header.total_len()) else { break };
        for version in Version::ALL {
            let _ = decode(version, header.first, &packet[header.header_len..]);
        }
        rest = after;
    }
});
