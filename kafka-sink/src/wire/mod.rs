//! The way to Kafka over the network: the only place that knows rskafka and tokio.
//!
//! - `address`, `stream`, `connection`, `nodes`: sockets, from one to all.
//! - `bodies`: what is said over them.
//! - `client`: carries out the machine's requests.
//! - `driver`: the thread on which all of it runs, between the machine, the log and the network.
//! - `sink`: what is around the machine in the broker: accounts, cores, files.
//!
//! rskafka gives the messenger, which frames requests and pairs answers with them. Sockets,
//! time-outs, bodies and everything that is sent again are our own.

mod address;
mod bodies;
pub(crate) mod client;
mod connection;
pub(crate) mod driver;
mod nodes;
mod sink;
mod stream;

#[cfg(feature = "sim")]
pub use bodies::any::read_answer;
pub(crate) use sink::{Handle, SinkShared, start};

#[cfg(test)]
mod tests;
