//! What all scenarios understand: which broker, how much of what, how long, and where the figures go.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::Args;
use millrace_codec::Version;

use crate::load::payload;

/// Where a broker is if nothing else is said.
const DEFAULT_BROKER: &str = "127.0.0.1:1883";
/// The largest payload: what MQTT can carry, less room for a topic.
const SIZE_MAX: u64 = 268_000_000;

/// Options of every scenario. What is `None` has a default that the scenario may choose.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Common {
    /// The broker to load [default: 127.0.0.1:1883, unless --against starts one]
    ///
    /// Only addresses of this machine's loopback are loaded unless --allow-remote is given.
    #[arg(long, value_name = "HOST:PORT", help_heading = "Broker")]
    pub(crate) broker: Option<String>,
    /// Load a broker that is not on the loopback. Make sure that it is yours: a load test looks like an attack
    #[arg(long, help_heading = "Broker")]
    pub(crate) allow_remote: bool,
    /// Start this broker, run, stop it; {port} is replaced by a free port of 127.0.0.1, {dir} by a new directory.
    /// Repeatable: brokers are run in turn and compared, the first (or --broker) is what ratios refer to
    ///
    /// A name may stand before it: --against 'tuned=millrace run --set listener.mqtt.bind=127.0.0.1:{port} --data {dir}'.
    /// The broker is killed if it has not ended 10 s after SIGTERM.
    #[arg(long, value_name = "[NAME=]CMD", help_heading = "Broker", verbatim_doc_comment)]
    pub(crate) against: Vec<String>,
    /// How often each broker is run; with several brokers they take turns, each round in another order
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000), help_heading = "Broker")]
    pub(crate) rounds: u32,
    /// The broker's process, whose CPU time and memory are shown [default: whoever listens at its address, if local and
    /// ours to look into]
    #[arg(long, value_name = "PID", help_heading = "Broker")]
    pub(crate) pid: Option<u32>,
    /// Name of the broker in tables and files [default: its address, or the program of --against]
    #[arg(long, value_name = "TEXT", help_heading = "Broker")]
    pub(crate) label: Option<String>,

    /// Version of MQTT: 3.1, 3.1.1 or 5.0 [default: 3.1.1]
    #[arg(long, value_name = "V", value_parser = version, help_heading = "Messages")]
    pub(crate) version: Option<Version>,
    /// QoS that is published with [default: 1]
    #[arg(long, value_name = "0-2", value_parser = clap::value_parser!(u8).range(0..=2), help_heading = "Messages")]
    pub(crate) qos: Option<u8>,
    /// QoS that is subscribed with [default: as --qos]
    #[arg(long, value_name = "0-2", value_parser = clap::value_parser!(u8).range(0..=2), help_heading = "Messages")]
    pub(crate) subscribe_qos: Option<u8>,
    /// Payload bytes, of which the first 24 are for the account [default: 128]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(payload::BYTES as u64..=SIZE_MAX), help_heading = "Messages")]
    pub(crate) size: Option<u64>,
    /// Publish with the RETAIN flag
    #[arg(long, help_heading = "Messages")]
    pub(crate) retain: bool,
    /// Messages of one publisher under way at once [default: 16, with --rate 64]
    ///
    /// Without --rate it is what makes the load: the next message goes out when one has arrived, as fast as the broker
    /// can. Latency then says how long the broker's queue is, not how fast it would be under your load.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_535), help_heading = "Messages")]
    pub(crate) window: Option<u32>,
    /// Messages a second of all publishers together, sent at their times whatever the broker does. Latency counts from
    /// the intended time, so that a broker that stops is not forgiven what could not be sent meanwhile
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Messages")]
    pub(crate) rate: Option<f64>,

    /// Seconds of load that are not measured [default: 1]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Course")]
    pub(crate) warmup: Option<f64>,
    /// Measured seconds [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = positive, help_heading = "Course")]
    pub(crate) duration: Option<f64>,
    /// A number of messages in all instead of a duration; there is no warm-up then
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["duration", "warmup"], help_heading = "Course")]
    pub(crate) count: Option<u64>,
    /// At most so many seconds are waited, at the end, for what is still under way
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds, help_heading = "Course")]
    pub(crate) drain: f64,
    /// Seed of everything that is random [default: a new one; it is in the output]
    #[arg(long, value_name = "N", help_heading = "Course")]
    pub(crate) seed: Option<u64>,

    /// New connections a second [default: as fast as the broker answers]
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Connections")]
    pub(crate) ramp: Option<f64>,
    /// Connections under way at once [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Connections")]
    pub(crate) at_once: Option<u32>,
    /// Source addresses that connections are spread over, others in 127.0.0.0/8 for each run; one has about 28,000
    /// ports. Only for a broker on the IPv4 loopback, elsewhere the system chooses
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(0..=250), help_heading = "Connections")]
    pub(crate) sources: u32,
    /// Seconds after which a connection without CONNACK (and SUBACK) has failed
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = positive, help_heading = "Connections")]
    pub(crate) connect_timeout: f64,
    /// Keep alive in seconds; 0 switches it off [default: 60]
    #[arg(long, value_name = "SECONDS", help_heading = "Connections")]
    pub(crate) keep_alive: Option<u16>,
    /// Further connections that do nothing, each with one subscription
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Connections")]
    pub(crate) idle: u32,
    /// Further subscriptions that few clients hold, on filters that nothing is published to. How fast they are made and
    /// ended is measured, too
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=20_000_000), help_heading = "Connections")]
    pub(crate) held_subscriptions: u32,
    /// Clients that hold them in equal parts; brokers limit the subscriptions of one [default: one for each 1,000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Connections")]
    pub(crate) held_clients: Option<u32>,
    /// Filter of the held subscriptions; {i} is the number of each
    #[arg(long, value_name = "FILTER", default_value = "held/{i}/command", value_parser = numbered, help_heading = "Connections")]
    pub(crate) held_filter: String,

    /// Threads of each process of the generator
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256), help_heading = "Generator")]
    pub(crate) threads: u32,
    /// Processes of the generator: each has file descriptors of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256), help_heading = "Generator")]
    pub(crate) processes: u32,

    /// Append a JSON document with all figures, one a line; - is the standard output, the table then goes to the
    /// standard error
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) json: Option<PathBuf>,
    /// Write a line for each interval of each run
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) csv: Option<PathBuf>,
    /// Write one self-contained page with graphs
    #[arg(long, value_name = "FILE.html", help_heading = "Output")]
    pub(crate) report: Option<PathBuf>,
    /// Seconds between samples
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = interval, help_heading = "Output")]
    pub(crate) interval: f64,
    /// No progress and no table; errors are still shown
    #[arg(long, short, help_heading = "Output")]
    pub(crate) quiet: bool,
}

impl Common {
    pub(crate) fn version(&self) -> Version {
        self.version.unwrap_or(Version::V311)
    }

    pub(crate) fn qos(&self) -> u8 {
        self.qos.unwrap_or(1)
    }

    pub(crate) fn subscribe_qos(&self) -> u8 {
        self.subscribe_qos.unwrap_or(self.qos())
    }

    pub(crate) fn size(&self) -> usize {
        usize::try_from(self.size.unwrap_or(128)).unwrap_or(usize::MAX)
    }

    pub(crate) fn window(&self) -> u32 {
        self.window.unwrap_or(if self.rate.is_some() { 64 } else { 16 })
    }

    /// Clients that hold further subscriptions.
    pub(crate) fn held_clients(&self) -> u32 {
        let subscriptions = self.held_subscriptions;
        self.held_clients.unwrap_or(subscriptions.div_ceil(1_000)).min(subscriptions)
    }

    /// The broker's address, if one is given or none is started.
    ///
    /// # Errors
    /// It has no address, or not one that may be loaded.
    pub(crate) fn address(&self) -> Result<Option<SocketAddr>, String> {
        let text = match &self.broker {
            Some(text) => text,
            None if !self.against.is_empty() => return Ok(None),
            None => DEFAULT_BROKER,
        };
        let mut found = text.to_socket_addrs().map_err(|error| format!("--broker {text}: {error}"))?;
        let address = found.next().ok_or_else(|| format!("--broker {text}: no address"))?;
        if !address.ip().is_loopback() && !self.allow_remote {
            return Err(format!(
                "{address} is not on this machine's loopback; give --allow-remote if the broker is yours to load"
            ));
        }
        Ok(Some(address))
    }

    /// Source addresses for connections to `broker` of the run with that number.
    ///
    /// Each run has its own, as far as chance goes: the ports of an earlier one may be closing for a minute yet, and where
    /// most of an address's ports are taken the system takes long to find a free one.
    pub(crate) fn sources(&self, broker: SocketAddr, run: u32) -> Vec<IpAddr> {
        match broker.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => {
                let [high, low, ..] = run.to_be_bytes();
                // Not 127.0.*, where services of the system may be.
                let high = high.clamp(1, 254);
                (0..self.sources).map(|n| Ipv4Addr::new(127, high, low, 2 + n as u8).into()).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn version(text: &str) -> Result<Version, String> {
    match text {
        "3.1" | "3" => Ok(Version::V31),
        "3.1.1" | "4" => Ok(Version::V311),
        "5.0" | "5" => Ok(Version::V5),
        _ => Err("3.1, 3.1.1 and 5.0 are known".to_owned()),
    }
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= 1e9);
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number >= 0.0 && *number <= 1e9);
    number.ok_or_else(|| "expected a number, 0 or above".to_owned())
}

fn interval(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| (0.01..=3_600.0).contains(number));
    number.ok_or_else(|| "expected a number of seconds from 0.01 to 3,600".to_owned())
}

/// A topic or filter in which the number stands as a level of its own, so that numbers cannot run into each other.
pub(super) fn numbered(text: &str) -> Result<String, String> {
    let text = filter(text)?;
    match text.split('/').any(|level| level == "{n}") {
        true => Ok(text),
        false => Err("{i} must be one of its levels, as in a/{i}/b".to_owned()),
    }
}

/// What people write as plans have it.
pub(super) fn filter(text: &str) -> Result<String, String> {
    match text.is_empty() {
        false => Ok(text.replace("{i}", "{n}")),
        true => Err("a topic or filter has at least one character [MQTT-4.7.3-1]".to_owned()),
    }
}
