//! The program for rumqttc, which is a part of this test program.

mod client;
mod context;
mod interop;
mod messages;
mod sessions;
