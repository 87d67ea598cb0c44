//! The job that the broker exists for, done as its users do it: with the built program, its `pub`, `sub` and `consume`
//! as processes of their own, and records compared byte for byte with what consumers already parse.

#[path = "../support/mod.rs"]
mod support;

mod tool;

mod bridge_conf;
mod consume;
mod events;
mod job;
mod stop;
mod target;
