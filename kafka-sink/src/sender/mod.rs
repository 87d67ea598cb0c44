//! The machine between the log and Kafka. No I/O, no clock.

pub(crate) mod request;
