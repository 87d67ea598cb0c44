//! Clients that we did not write: the tools of mosquitto, and programs in `clients/` that put one library each through
//! the same scenarios ([`scenarios`]). What is not installed is left out.
//!
//! Libraries of Go and Java take longest to build and are ignored by default; `run-all.sh` beside this runs everything.
//! With `MILLRACE_TEST_BROKER=HOST:PORT` the programs run against that broker instead of one of their own, which shows
//! whether a scenario that fails is one that other brokers pass.

#[path = "../support/mod.rs"]
mod support;

#[path = "../scenario/tool.rs"]
mod tool;

mod mosquitto;

mod program;
mod scenarios;

mod go;
mod java;
mod node;
mod python;
#[path = "clients/rust/mod.rs"]
mod rust;
