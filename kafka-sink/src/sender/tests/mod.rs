//! The machine against a model Kafka, in virtual time.
//!
//! - `kafka`: the model; `log`: a log in memory; `world`: both and the machine in one time.
//! - `check`: what must hold whatever happens.
//! - `simulation`: random histories; `tables`, `cases`: cases by name.

mod cases;
mod check;
pub(crate) mod kafka;
pub(crate) mod log;
mod simulation;
mod tables;
pub(crate) mod world;
