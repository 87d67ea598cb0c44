//! What goes over the network: against peers that misbehave, made here, and against a real Kafka.

mod driver;
mod fake;
mod faults;
mod kafka;
mod order;
mod search;

use std::future::Future;
use std::time::Duration;

use super::client::Client;
use crate::target::KafkaConfig;

/// Runs a test on a runtime as the driver has it.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let result = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test ends by itself")
    });
    runtime.shutdown_background();
    result
}

fn client(servers: &[&str], limit: Duration) -> Client {
    let mut config = KafkaConfig::new(servers.iter().map(ToString::to_string).collect());
    config.connect_timeout = limit;
    config.request_timeout = limit;
    Client::new(&config).expect("valid servers")
}
