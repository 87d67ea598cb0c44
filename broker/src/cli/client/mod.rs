//! A small MQTT client: `millrace pub` and `millrace sub`, with the option names of mosquitto's tools.
//!
//! For trying the broker out and for scripts; one connection, blocking sockets, no reconnecting. It knows the
//! broker only by its address. The command line calls [`publish`] and [`subscribe`].

use std::time::Duration;

use clap::{ArgAction, Args};
use millrace_codec::{QoS, Version, is_valid_topic_name};
use millrace_router::Filter;

mod connection;
mod publish;
mod subscribe;

#[cfg(test)]
mod fake;

pub(super) use publish::{PublishArgs, publish};
pub(super) use subscribe::{SubscribeArgs, subscribe};

/// What both commands take: where to connect, and as whom.
#[derive(Debug, Args)]
struct ConnectArgs {
    /// Host name or address of the broker
    #[arg(short = 'h', long, default_value = "127.0.0.1")]
    host: String,
    /// Port of the broker
    #[arg(short, long, default_value_t = 1883, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Client id; without it the broker gives one (MQTT 3.1: a random one)
    #[arg(short = 'i', long, value_name = "ID")]
    id: Option<String>,
    /// User name
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// Password; visible to other users of this machine
    #[arg(short = 'P', long, requires = "username")]
    password: Option<String>,
    /// Version of MQTT: 3.1, 3.1.1 or 5
    #[arg(short = 'V', long, value_name = "VERSION", default_value = "3.1.1", value_parser = version)]
    protocol_version: Version,
    /// Keep-alive in seconds, 0 for none
    #[arg(short = 'k', long, value_name = "SECONDS", default_value_t = 60)]
    keepalive: u16,
    /// Keep the session: resume the one there is, and let it wait when the connection ends
    #[arg(short = 'c', long, requires = "id")]
    keep_session: bool,
    /// Topic of the will, which the broker publishes if the connection breaks
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    will_topic: Option<String>,
    /// Payload of the will
    #[arg(long, value_name = "TEXT", requires = "will_topic")]
    will_payload: Option<String>,
    /// QoS of the will
    #[arg(long, value_name = "QOS", default_value = "0", value_parser = qos, requires = "will_topic")]
    will_qos: QoS,
    /// Retain the will
    #[arg(long, requires = "will_topic")]
    will_retain: bool,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

fn version(text: &str) -> Result<Version, String> {
    match text {
        "3.1" | "31" | "mqttv31" => Ok(Version::V31),
        "3.1.1" | "311" | "mqttv311" => Ok(Version::V311),
        "5" | "5.0" | "mqttv5" => Ok(Version::V5),
        _ => Err("the versions are 3.1, 3.1.1 and 5".to_owned()),
    }
}

fn qos(text: &str) -> Result<QoS, String> {
    let number = text.parse().ok().and_then(QoS::from_number);
    number.ok_or_else(|| "QoS is 0, 1 or 2".to_owned())
}

fn topic(text: &str) -> Result<String, String> {
    if is_valid_topic_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a topic to publish to is not empty and has no + and #".to_owned())
    }
}

fn filter(text: &str) -> Result<String, String> {
    Filter::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Seconds, with or without a fraction, more than none.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // A deadline is made of it, so it must not run over.
    time.filter(|time| time.as_secs() <= u64::from(u32::MAX))
        .ok_or_else(|| "expected a number of seconds above 0".to_owned())
}
