//! The machine against a model Kafka, in virtual time.

mod kafka;
