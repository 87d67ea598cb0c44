//! What a scenario needs: topics and clients of its own.

use super::client::{Client, Message, Options};
use crate::scenarios::Version;
use rumqttc::v5::mqttbytes::QoS as QoS5;
use rumqttc::v5::mqttbytes::v5::Filter;
use std::net::SocketAddr;
use std::time::Duration;

/// What must not come would have come in this time.
pub const QUIET: Duration = Duration::from_millis(500);
/// For what is due after a second.
pub const TWO_SECONDS: Duration = Duration::from_millis(2500);

/// What a scenario needs: topics and clients of its own.
pub struct Context {
    pub server: SocketAddr,
    pub version: Version,
    pub name: String,
}

impl Context {
    pub fn topic(&self, end: &str) -> String {
        format!("interop/rust{}/{}/{end}", std::process::id(), self.name)
    }

    pub async fn connected(&self, name: &str, options: Options) -> Client {
        let id = format!("rust{}/{}/{name}", std::process::id(), self.name);
        Client::connect(self.server, self.version, &id, options).await
    }

    pub async fn clean(&self, name: &str) -> Client {
        self.connected(name, Options::default()).await
    }

    /// A client whose session is kept for so many seconds (5.0), or for ever.
    pub async fn kept(&self, name: &str, seconds: u32) -> Client {
        self.connected(name, Options { kept: Some(seconds), ..Options::default() }).await
    }

    /// A publisher, and a subscriber of `filter` at QoS 1.
    pub async fn pair(&self, filter: &str) -> (Client, Client) {
        let (publisher, mut subscriber) = (self.clean("p").await, self.clean("s").await);
        subscriber.subscribe(&self.topic(filter), 1).await;
        (publisher, subscriber)
    }

    pub fn filter(&self, end: &str) -> Filter {
        Filter::new(self.topic(end), QoS5::AtLeastOnce)
    }
}

pub async fn disconnect(clients: impl IntoIterator<Item = Client>) {
    for client in clients {
        client.disconnect().await;
    }
}

pub fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

pub fn flags(messages: &[Message]) -> Vec<bool> {
    messages.iter().map(|message| message.retain).collect()
}
