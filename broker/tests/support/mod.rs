//! What all test programs of the broker share: the built `millrace` program as a process ([`Broker`]), a client that
//! speaks raw packets ([`Raw`]), what the system says about a process ([`process`]), and tests that need a tool which
//! may not be installed ([`tool`], [`left_out`]).
//!
//! A test program is a directory with a `main.rs` and takes this with `#[path = "../support/mod.rs"] mod support;`.
//! Nothing here waits by sleeping: reads have deadlines, and the deadlines are generous.

#![expect(dead_code, reason = "each test program uses a part of this")]

mod broker;
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
