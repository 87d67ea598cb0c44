//! The scenarios as commands, each with what is its own beside [`Common`].

use clap::{Args, Subcommand};

use super::options::{Common, numbered, positive, seconds};

/// A scenario with its options.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Scenario {
    Conn(Conn),
    Pub(Pub),
    Sub(Sub),
    P2p(P2p),
    Fanin(Fanin),
    Fanout(Fanout),
    Shared(Shared),
    Fleet(Fleet),
    Stream(Stream),
    Omb(Omb),
}

/// Open connections, hold them, let them go: how fast, and what memory each takes
///
/// Connections are opened at --ramp a second, or as fast as the broker answers (--at-once of them under way), held for
/// --duration and ended. CPU time is of the seconds in which they are opened; memory is shown before, while all are
/// held and after.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  millrace-bench conn --connections 18000 --subscribe
  millrace-bench conn --connections 10000 --ramp 100           a steady rate
  millrace-bench conn --connections 5000 --storm               all at once, as after a power cut
  millrace-bench conn --connections 5000 --churn 10            each ends and comes back every 10 s on average
  millrace-bench conn --connections 60000 --processes 4        past the limit of descriptors of one process")]
pub(crate) struct Conn {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = count())]
    pub(crate) connections: u32,
    /// Each subscribes to a filter of its own, devices/{n}/command
    #[arg(long)]
    pub(crate) subscribe: bool,
    /// All at once: short for --at-once as many as there are
    #[arg(long, conflicts_with_all = ["ramp", "at_once"])]
    pub(crate) storm: bool,
    /// While held, each connection ends and comes back after so many seconds on average, at random
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub(crate) churn: Option<f64>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Publish what nobody subscribes to: what taking messages costs
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  millrace-bench pub --publishers 500 --qos 1
  millrace-bench pub --publishers 200 --window 64 --topic 'devices/{n}/state'")]
pub(crate) struct Pub {
    /// Publishing clients
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count())]
    pub(crate) publishers: u32,
    /// Topics in all; publishers have them in turn [default: as many as publishers]
    #[arg(long, value_name = "N", value_parser = count())]
    pub(crate) topics: Option<u32>,
    /// Topic; {n} is its number
    #[arg(long, value_name = "TOPIC", default_value = "devices/{n}/state", value_parser = numbered)]
    pub(crate) topic: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Subscribe, hold and count what others publish
///
/// What comes is of nobody in particular, so there is no account and no latency: messages are counted, at what rate
/// they come and what they cost the broker.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  millrace-bench sub --subscribers 100 --filter 'devices/{n}/state' --duration 60")]
pub(crate) struct Sub {
    /// Subscribing clients
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count())]
    pub(crate) subscribers: u32,
    /// Filter; {n} is the client's number
    #[arg(long, value_name = "FILTER", default_value = "devices/{n}/state")]
    pub(crate) filter: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Pairs of a publisher and a subscriber, each with a topic of its own
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  millrace-bench p2p --pairs 250 --qos 1 --window 8
  millrace-bench p2p --pairs 250 --rate 10000 --report p2p.html
  millrace-bench p2p --against 'mosquitto -p {port}' --against 'millrace run --data {dir} --set listener.mqtt.bind=127.0.0.1:{port}' --rounds 5")]
pub(crate) struct P2p {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count())]
    pub(crate) pairs: u32,
    /// Topic; {n} is the pair's number
    #[arg(long, value_name = "TOPIC", default_value = "devices/{n}/state", value_parser = numbered)]
    pub(crate) topic: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Many publishers, few subscribers
///
/// With several subscribers each hears an equal part of the publishers, in blocks; with one it hears all. They hear by
/// a wildcard (devices/{block}/+/state), or with --same-topic by the one topic that all of a block publish to.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  millrace-bench fanin --publishers 500 --qos 0 --window 4
  millrace-bench fanin --publishers 5000 --subscribers 4 --rate 8000")]
pub(crate) struct Fanin {
    /// Publishing clients
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = count())]
    pub(crate) publishers: u32,
    /// Subscribing clients; publishers must be a multiple of them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) subscribers: u32,
    /// All publishers of a block publish to the same topic, instead of each to its own
    #[arg(long)]
    pub(crate) same_topic: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Few publishers, many subscribers that all hear everything
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  millrace-bench fanout --subscribers 1000 --qos 0 --window 8
  millrace-bench fanout --publishers 5 --subscribers 1000 --rate 250")]
pub(crate) struct Fanout {
    /// Publishing clients, each with a topic of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) publishers: u32,
    /// Subscribing clients; each subscribes to every topic
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = count())]
    pub(crate) subscribers: u32,
    /// With several publishers: one subscription by a wildcard instead of one for each topic
    #[arg(long)]
    pub(crate) wildcard: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Many publishers, and subscribers that share a subscription: each message goes to one of them
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  millrace-bench shared --publishers 500 --subscribers 4 --window 4")]
pub(crate) struct Shared {
    /// Publishing clients
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = count())]
    pub(crate) publishers: u32,
    /// Members of the group
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = count())]
    pub(crate) subscribers: u32,
    /// Topic; {n} is the publisher's number
    #[arg(long, value_name = "TOPIC", default_value = "devices/{n}/state", value_parser = numbered)]
    pub(crate) topic: String,
    /// Filter behind $share/NAME/; it must match what is published [default: the topic with + for {n}]
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// Name of the group, as in $share/NAME/devices/+/state
    #[arg(long, value_name = "NAME", default_value = "bench", value_parser = share_name)]
    pub(crate) group: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// A fleet of smart locks and its back end
///
/// Every lock publishes its state to devices/{n}/state once a minute and subscribes to devices/{n}/command; the back
/// end hears all states by a shared subscription and sends commands; locks lose their connection and come back.
/// --rate sets the states of all locks a second instead of the minute.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  millrace-bench fleet --locks 10000
  millrace-bench fleet --locks 5000 --rate 8000 --commands 0 --reconnect 0      states only, at a fixed rate
  millrace-bench fleet --locks 5000 --plain --backend 3                         three systems that each hear everything")]
pub(crate) struct Fleet {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = count())]
    pub(crate) locks: u32,
    /// Subscribers of the back end [default: 4, with --plain 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) backend: Option<u32>,
    /// The back end subscribes without $share, so that each of its subscribers hears every state
    #[arg(long)]
    pub(crate) plain: bool,
    /// Commands a second to all locks together; 0 for none [default: a tenth of the states]
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub(crate) commands: Option<f64>,
    /// A lock's connection ends and comes back after so many seconds on average; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600.0, value_parser = seconds)]
    pub(crate) reconnect: f64,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// From PUBLISH to a consumer of Kafka: latency end to end, and whether every message came once
///
/// The broker must put what is published to devices/{n}/state into the Kafka topic, as the value that its hooks write:
/// JSON with the payload in base64. A consumer of our own reads the topic from its end at the start.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  millrace-bench stream --kafka 127.0.0.1:9092 --publishers 100 --rate 5000")]
pub(crate) struct Stream {
    /// Publishing clients
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count())]
    pub(crate) publishers: u32,
    /// Servers of Kafka
    #[arg(long, value_name = "HOST:PORT,…", default_value = "127.0.0.1:9092")]
    pub(crate) kafka: String,
    /// Topic of Kafka that the broker writes to; it must be there
    #[arg(long, value_name = "TOPIC", default_value = "message_state")]
    pub(crate) stream: String,
    /// Topic that is published to; {n} is the publisher's number
    #[arg(long, value_name = "TOPIC", default_value = "devices/{n}/state", value_parser = numbered)]
    pub(crate) topic: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// A named scenario of the Open MQTT Benchmark Suite, scaled to this machine
///
/// Numbers of clients, topics and rates are multiplied by --scale; sizes, QoS and keep alive stay. The suite asks for
/// 16 bytes of payload: it gets 24, which the account needs, unless --size says more. It holds each for 30 minutes;
/// here --duration does, 60 s by default.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  millrace-bench omb --list
  millrace-bench omb p2p-1K-1K-1K-1K
  millrace-bench omb sharedsub-50K-500-50K-50K --scale 0.1 --duration 30")]
pub(crate) struct Omb {
    /// Which; case does not matter
    #[arg(required_unless_present = "list")]
    pub(crate) name: Option<String>,
    /// Print the names and what they are
    #[arg(long)]
    pub(crate) list: bool,
    /// Factor for clients, topics and rates
    #[arg(long, value_name = "F", default_value_t = 1.0, value_parser = scale)]
    pub(crate) scale: f64,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Scenario {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Scenario::Conn(_) => "conn",
            Scenario::Pub(_) => "pub",
            Scenario::Sub(_) => "sub",
            Scenario::P2p(_) => "p2p",
            Scenario::Fanin(_) => "fanin",
            Scenario::Fanout(_) => "fanout",
            Scenario::Shared(_) => "shared",
            Scenario::Fleet(_) => "fleet",
            Scenario::Stream(_) => "stream",
            Scenario::Omb(_) => "omb",
        }
    }

    pub(crate) fn common(&self) -> &Common {
        match self {
            Scenario::Conn(args) => &args.common,
            Scenario::Pub(args) => &args.common,
            Scenario::Sub(args) => &args.common,
            Scenario::P2p(args) => &args.common,
            Scenario::Fanin(args) => &args.common,
            Scenario::Fanout(args) => &args.common,
            Scenario::Shared(args) => &args.common,
            Scenario::Fleet(args) => &args.common,
            Scenario::Stream(args) => &args.common,
            Scenario::Omb(args) => &args.common,
        }
    }
}

/// Clients, topics: numbers that fit 32 bits and are not 0.
fn count() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=10_000_000)
}

fn scale(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| (1e-6..=1e3).contains(number));
    number.ok_or_else(|| "expected a factor from 0.000001 to 1,000".to_owned())
}

fn share_name(text: &str) -> Result<String, String> {
    match text.is_empty() || text.contains(['/', '+', '#']) {
        true => Err("a group's name has no /, + or # [MQTT-4.8.2-2]".to_owned()),
        false => Ok(text.to_owned()),
    }
}
