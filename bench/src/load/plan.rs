//! What the generator has to do: the contract between scenarios, which know what a fleet is, and the load engine,
//! which knows how to be fast. A plan is data: it goes to the generator's processes as JSON.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// All that one process of the generator has to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub broker: SocketAddr,
    /// Connections are spread over these source addresses in turn; empty: the system chooses.
    pub sources: Vec<IpAddr>,
    /// Protocol level: 3, 4 or 5.
    pub level: u8,
    /// Stands in every payload and every client id, so that runs do not take each other's messages for their own.
    pub run: u32,
    pub seed: u64,
    /// Threads of this process, each with a poll of its own.
    pub threads: usize,
    pub connect: Connect,
    /// Groups of clients; those that subscribe connect before those that publish.
    pub groups: Vec<Group>,
    pub phases: Phases,
    /// Seconds between samples.
    #[serde(default = "one_second")]
    pub sample_s: f64,
}

fn one_second() -> f64 {
    1.0
}

/// How connections are opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Connect {
    /// Connections under way at once, in this process.
    pub at_once: usize,
    /// New connections a second in this process, open loop; none: as fast as the broker answers.
    pub rate: Option<f64>,
    /// Seconds until a connection that is not ready has failed.
    pub timeout_s: f64,
    /// Seconds; PINGREQ is sent in time. 0: no keep-alive.
    pub keep_alive_s: u16,
    pub clean: bool,
}

/// When what happens. Messages flow in warm-up and measured seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Phases {
    /// Rest after the last connection is ready.
    pub settle_s: f64,
    pub warmup_s: f64,
    pub duration_s: f64,
    /// A fixed number of messages in all instead of a duration, without warm-up.
    pub count: Option<u64>,
    /// At most so long is waited, after the end, for what is still under way (it ends early when all has come).
    pub drain_s: f64,
}

/// Clients that all do the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// For client ids (`{name}-{run}-{n}`) and errors.
    pub name: String,
    /// Numbers of its clients in this process: `first..first + count`.
    pub first: usize,
    pub count: usize,
    /// Each client subscribes to these once it is connected. `{n}` is its number, `{run}` the run.
    pub subscribe: Vec<Subscription>,
    pub publish: Option<Publish>,
    /// Mean seconds after which a client ends its connection and opens it again; exponential, by the seed.
    pub reconnect_s: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    /// `{n}` is the client's number, `{n/5}` that divided by 5, `{run}` the run.
    pub filter: String,
    pub qos: u8,
    /// Index, in the plan's groups, of the group whose streams come to it.
    pub of: usize,
    pub hears: Hears,
}

/// Which streams of the publishing group come to a subscription: what the account expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hears {
    /// None of this run: an idle client.
    Nobody,
    /// The stream with the same number as the subscriber.
    Same,
    /// Every stream.
    All,
    /// Every stream, each message at one member only (`$share`); all members are in one process.
    Share,
    /// The streams whose number divided by this many is the subscriber's number (fan-in to several).
    Block(usize),
    /// Whatever comes, of anybody: each message counts as delivered, and is in no account.
    Anything,
}

impl Hears {
    /// Whether it is streams of this run that come to the subscription.
    pub(crate) fn is_of_this_run(self) -> bool {
        !matches!(self, Hears::Nobody | Hears::Anything)
    }
}

/// What the clients of a group publish: streams, each with a topic and a sequence of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Publish {
    /// Streams of this group in all processes; stream `n` is sent by client `n % of`. Usually as many as clients.
    pub streams: usize,
    /// Clients of this group in all processes.
    pub of: usize,
    /// `{n}` is the stream's number, `{n/5}` that divided by 5, `{run}` the run.
    pub topic: String,
    pub qos: u8,
    pub retain: bool,
    /// Payload bytes, at least `payload::BYTES`.
    pub size: usize,
    pub pace: Pace,
    /// Times one message is expected at subscribers of the whole run; 0: nobody's there, acknowledgements count.
    pub receivers: u64,
    /// Deliveries come to this process, so they open the window. Otherwise acknowledgements do (QoS 0 then needs a rate).
    pub receivers_here: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Pace {
    /// Closed loop: so many messages of one client in flight.
    Window(u32),
    /// Open loop: so many messages a second of all streams in all processes, streams in turn, spread evenly; at most
    /// `window` unacknowledged a client. Latency counts from the intended time.
    Rate { per_second: f64, window: u32 },
}
