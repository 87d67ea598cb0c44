//! Clients that we did not write: the tools of mosquitto. Left out where they are not installed.

#[path = "../support/mod.rs"]
mod support;

#[path = "../scenario/tool.rs"]
mod tool;

mod mosquitto;
