//! Any bytes as an answer of Kafka: it is read or refused, in memory that its length bounds. The first
//! byte is the kind of the request, the second its version.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_kafka_sink::read_answer;

fuzz_target!(|input: &[u8]| {
    let [kind, version, answer @ ..] = input else { return };
    if read_answer(*kind, *version, answer) && let Some(cut) = answer.len().checked_sub(1) {
        // An answer is read to its end, so no part of one is an answer.
        assert!(!read_answer(*kind, *version, &answer[..cut]), "a byte of no meaning");
    }
});
