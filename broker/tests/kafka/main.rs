//! The way into a real Apache Kafka: what the broker acknowledged is read back from Kafka and counted, through missing
//! topics, outages on both sides, wrong servers and refusals.
//!
//! One Kafka serves the whole test program ([`node`]); it is started once, from Maven Central's jars ([`jars`]), and dies
//! with the program however that ends. Without Java 17 or Maven the tests that need it say `left out: kafka`.
//! Records are read back by a small client of this test's own ([`client`]), which shares no code with the broker, and
//! where it matters by Kafka's own console consumer.
//!
//! What takes minutes is ignored by default: `cargo test -p millrace --test kafka -- --ignored --test-threads=1`.

#[path = "../support/mod.rs"]
mod support;

mod client;
mod jars;
mod node;

mod feed;

mod launcher;

mod beside;
mod job;
mod outages;
mod promises;
mod topics;
mod volume;
mod wrong;
