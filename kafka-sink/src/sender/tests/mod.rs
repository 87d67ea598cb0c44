//! The machine against a model Kafka, in virtual time.
//!
//! - `kafka`: the model; `log`: a log in memory; `world`: both and the machine in one time.
//! - `check`: what must hold whatever happens.
//! - `simulation`: random histories.

mod check;
mod kafka;
mod log;
mod simulation;
mod world;
