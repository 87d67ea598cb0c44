//! Single packets on a connection of MQTT 3.1: the first byte, then the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_codec::Version;

fuzz_target!(|input: &[u8]| millrace_fuzz::one_packet(Version::V31, input));
