//! What all test programs of the broker share: the built `millrace` program as a process ([`Broker`]), a client that
//! speaks raw packets ([`Raw`]), load that is counted afterwards ([`load`]), the locks' job ([`lock`]), what the system
//! says about a process ([`process`]), and tests that need a tool which may not be installed ([`tool`], [`left_out`]).
//!
//! A test program is a directory with a `main.rs` and takes this with `#[path = "../support/mod.rs"] mod support;`.
//! Nothing here waits by sleeping: reads have deadlines, and the deadlines are generous.

#![expect(dead_code, reason = "each test program uses a part of this")]

mod broker;
pub mod load;
pub mod lock;
pub mod process;
mod raw;

pub use broker::*;
pub use raw::*;

use std::path::PathBuf;

/// Says that a test was left out because `install` is not there, and fails if the environment variable
/// `MILLRACE_TEST_REQUIRE` is `all`: where everything is meant to be installed nothing may be left out.
///
/// ```ignore
/// let Some(publish) = tool("mosquitto_pub") else { return left_out("mosquitto", "mosquitto-clients") };
/// ```
pub fn left_out(name: &str, install: &str) {
    println!("left out: {name} (install {install})");
    let required = std::env::var("MILLRACE_TEST_REQUIRE").is_ok_and(|what| what == "all");
    assert!(!required, "{name} was left out, but MILLRACE_TEST_REQUIRE=all: install {install}");
}

/// Where a program is, if it is installed.
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// The payload of a record, which must be text.
pub fn payload(record: &[u8]) -> String {
    let record: serde_json::Value = serde_json::from_slice(record).expect("JSON");
    let payload = record["payload"].as_str().expect("a payload");
    String::from_utf8(base64(payload)).expect("our payloads are text")
}

/// Standard base64.
fn base64(text: &str) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for byte in text.bytes().filter(|&byte| byte != b'=') {
        let value = digits.iter().position(|&digit| digit == byte).expect("base64") as u32;
        bits = (bits << 6 | value) & 0xfff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}
