//! From a scenario to the plan of its load: which groups of clients, what they publish, what they hear.
//!
//! A [`Draft`] is written as if one process did it all; `split` cuts it.

use std::net::SocketAddr;

use super::args::{Conn, Fanin, Fanout, Fleet, P2p, Pub, Scenario, Shared, Stream, Sub};
use super::omb;
use super::options::Common;
use super::split::Spread;
use crate::load::plan::{Connect, Group, Hears, Pace, Phases, Plan, Publish, Subscription};

/// Connections under way at once if nothing else is said.
const AT_ONCE: u32 = 256;
/// Rest between the last connection and the first message.
const SETTLE_S: f64 = 0.5;
/// A lock tells its state so often.
const STATE_EVERY_S: f64 = 60.0;
/// Clients that send commands to locks.
const COMMANDERS: usize = 4;

/// What a run is to do, in all processes together.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) plan: Plan,
    /// By group: how it is cut.
    pub(super) spread: Vec<Spread>,
    /// Connecting is what is measured, not messages.
    pub(super) connecting: bool,
}

/// Groups as they are made.
struct Groups<'a> {
    common: &'a Common,
    groups: Vec<Group>,
    spread: Vec<Spread>,
}

/// What a group publishes, before the common options have their say.
struct Publishing<'a> {
    topic: &'a str,
    streams: usize,
    clients: usize,
    rate: Option<f64>,
    receivers: u64,
}

/// The load of a scenario.
///
/// # Errors
/// Options that do not go together.
pub(super) fn draft(scenario: &Scenario, broker: SocketAddr, run: u32, seed: u64) -> Result<Draft, String> {
    let common = scenario.common();
    let mut groups = Groups { common, groups: Vec::new(), spread: Vec::new() };
    let mut connecting = None;
    match scenario {
        Scenario::Conn(args) => {
            groups.conn(args);
            connecting = Some(args);
        }
        Scenario::Pub(args) => groups.publish(args),
        Scenario::Sub(args) => groups.subscribe(args),
        Scenario::P2p(args) => groups.p2p(args),
        Scenario::Fanin(args) => groups.fanin(args)?,
        Scenario::Fanout(args) => groups.fanout(args),
        Scenario::Shared(args) => groups.shared(args),
        Scenario::Fleet(args) => groups.fleet(args),
        Scenario::Stream(args) => groups.stream(args),
        Scenario::Omb(args) => {
            let draft = draft(&omb::scenario(args)?, broker, run, seed)?;
            return Ok(draft);
        }
    }
    if common.idle > 0 {
        let filter = nobody("devices/idle-{n}/command", 0);
        groups.add("idl", common.idle as usize, Spread::Divide, vec![filter], None);
    }
    let at_once = match connecting {
        Some(args) if args.storm => args.connections,
        _ => common.at_once.unwrap_or(AT_ONCE),
    };
    let plan = Plan {
        broker,
        sources: common.sources(broker, run),
        level: common.version().level(),
        run,
        seed,
        threads: common.threads as usize,
        connect: Connect {
            at_once: at_once as usize,
            rate: common.ramp,
            timeout_s: common.connect_timeout,
            keep_alive_s: common.keep_alive.unwrap_or(60),
            clean: true,
        },
        groups: groups.groups,
        phases: phases(common, connecting.is_some()),
        sample_s: common.interval,
    };
    Ok(Draft { plan, spread: groups.spread, connecting: connecting.is_some() })
}

fn phases(common: &Common, connecting: bool) -> Phases {
    let warmup_s = if connecting || common.count.is_some() { 0.0 } else { 1.0 };
    Phases {
        settle_s: SETTLE_S,
        warmup_s: common.warmup.unwrap_or(warmup_s),
        duration_s: common.duration.unwrap_or(10.0),
        count: common.count,
        drain_s: common.drain,
    }
}

/// A subscription to which nothing of this run comes.
fn nobody(filter: &str, qos: u8) -> Subscription {
    Subscription { filter: filter.to_owned(), qos, of: 0, hears: Hears::Nobody }
}

impl Groups<'_> {
    fn add(
        &mut self,
        name: &str,
        count: usize,
        spread: Spread,
        subscribe: Vec<Subscription>,
        publish: Option<Publish>,
    ) {
        let name = name.to_owned();
        self.groups.push(Group { name, first: 0, count, subscribe, publish, reconnect_s: None });
        self.spread.push(spread);
    }

    fn publishing(&self, publishing: &Publishing<'_>) -> Option<Publish> {
        let common = self.common;
        let pace = match publishing.rate {
            Some(per_second) => Pace::Rate { per_second, window: common.window.unwrap_or(64) },
            None => Pace::Window(common.window()),
        };
        Some(Publish {
            streams: publishing.streams,
            of: publishing.clients,
            topic: publishing.topic.to_owned(),
            qos: common.qos(),
            retain: common.retain,
            size: common.size(),
            pace,
            receivers: publishing.receivers,
            receivers_here: true,
        })
    }

    fn hearing(&self, filter: String, of: usize, hears: Hears) -> Subscription {
        Subscription { filter, qos: self.common.subscribe_qos(), of, hears }
    }

    fn conn(&mut self, args: &Conn) {
        let filters = match args.subscribe {
            true => vec![nobody("devices/{n}/command", self.common.subscribe_qos())],
            false => Vec::new(),
        };
        self.add("con", args.connections as usize, Spread::Divide, filters, None);
        self.groups[0].reconnect_s = args.churn;
    }

    fn publish(&mut self, args: &Pub) {
        let clients = args.publishers as usize;
        let streams = args.topics.map_or(clients, |topics| topics as usize);
        let topic = &args.topic;
        let publish =
            self.publishing(&Publishing { topic, streams, clients, rate: self.common.rate, receivers: 0 });
        self.add("pub", clients, Spread::Divide, Vec::new(), publish);
    }

    fn subscribe(&mut self, args: &Sub) {
        let filter = self.hearing(args.filter.clone(), 0, Hears::Anything);
        self.add("sub", args.subscribers as usize, Spread::Divide, vec![filter], None);
    }

    fn p2p(&mut self, args: &P2p) {
        let clients = args.pairs as usize;
        let filter = self.hearing(args.topic.clone(), 1, Hears::Same);
        self.add("sub", clients, Spread::Divide, vec![filter], None);
        let rate = self.common.rate;
        let publishing = Publishing { topic: &args.topic, streams: clients, clients, rate, receivers: 1 };
        let publish = self.publishing(&publishing);
        self.add("pub", clients, Spread::Divide, Vec::new(), publish);
    }

    /// Subscriber `n` hears the `n`th block of publishers. With one block the topics are those of the other scenarios.
    fn fanin(&mut self, args: &Fanin) -> Result<(), String> {
        let (clients, blocks) = (args.publishers as usize, args.subscribers as usize);
        if !clients.is_multiple_of(blocks) {
            return Err(format!("{clients} publishers cannot be divided evenly among {blocks} subscribers"));
        }
        let width = clients / blocks;
        let (own, heard) = if args.same_topic { ("all", "all") } else { ("{n}", "+") };
        let (topic, filter, hears) = match blocks {
            1 => (format!("devices/{own}/state"), format!("devices/{heard}/state"), Hears::All),
            _ => (
                format!("devices/{{n/{width}}}/{own}/state"),
                format!("devices/{{n}}/{heard}/state"),
                Hears::Block(width),
            ),
        };
        let filter = self.hearing(filter, 1, hears);
        self.add("sub", blocks, if blocks == 1 { Spread::On(0) } else { Spread::Divide }, vec![filter], None);
        let rate = self.common.rate;
        let publish =
            self.publishing(&Publishing { topic: &topic, streams: clients, clients, rate, receivers: 1 });
        let spread = if blocks == 1 { Spread::Divide } else { Spread::Blocks(width) };
        self.add("pub", clients, spread, Vec::new(), publish);
        Ok(())
    }

    /// With several topics each is a group of one publisher, so that a subscriber's subscriptions each hear one.
    fn fanout(&mut self, args: &Fanout) {
        let (publishers, receivers) = (args.publishers as usize, u64::from(args.subscribers));
        let groups = if args.wildcard { 1 } else { publishers };
        let clients = publishers / groups;
        let filter =
            |group| if args.wildcard { "broadcast/+".to_owned() } else { format!("broadcast/{group}") };
        let filters = (0..groups).map(|group| self.hearing(filter(group), 1 + group, Hears::All)).collect();
        self.add("sub", args.subscribers as usize, Spread::Divide, filters, None);
        for group in 0..groups {
            let topic = if args.wildcard { "broadcast/{n}".to_owned() } else { filter(group) };
            let rate = self.common.rate.map(|rate| rate / groups as f64);
            let publishing = Publishing { topic: &topic, streams: clients, clients, rate, receivers };
            let publish = self.publishing(&publishing);
            self.add(&numbered("pub", group, groups), clients, Spread::On(0), Vec::new(), publish);
        }
    }

    fn shared(&mut self, args: &Shared) {
        let filter = args.filter.clone().unwrap_or_else(|| args.topic.replace("{n}", "+"));
        let filter = self.hearing(format!("$share/{}/{filter}", args.group), 1, Hears::Share);
        self.add("sub", args.subscribers as usize, Spread::On(0), vec![filter], None);
        let (clients, topic) = (args.publishers as usize, &args.topic);
        let rate = self.common.rate;
        let publish = self.publishing(&Publishing { topic, streams: clients, clients, rate, receivers: 1 });
        self.add("pub", clients, Spread::Divide, Vec::new(), publish);
    }

    fn fleet(&mut self, args: &Fleet) {
        let locks = args.locks as usize;
        let backend = args.backend.unwrap_or(if args.plain { 1 } else { 4 }) as usize;
        let states = self.common.rate.unwrap_or(locks as f64 / STATE_EVERY_S);
        let commands = args.commands.unwrap_or(states / 10.0);
        let (filter, hears, receivers) = match args.plain {
            true => ("devices/+/state", Hears::All, backend as u64),
            false => ("$share/backend/devices/+/state", Hears::Share, 1),
        };
        let filter = self.hearing(filter.to_owned(), 1, hears);
        self.add("bck", backend, Spread::On(0), vec![filter], None);
        let command = match commands > 0.0 {
            true => self.hearing("devices/{n}/command".to_owned(), 2, Hears::Same),
            false => nobody("devices/{n}/command", self.common.subscribe_qos()),
        };
        let topic = "devices/{n}/state";
        let publishing = Publishing { topic, streams: locks, clients: locks, rate: Some(states), receivers };
        let publish = self.publishing(&publishing);
        self.add("lck", locks, Spread::Divide, vec![command], publish);
        self.groups[1].reconnect_s = (args.reconnect > 0.0).then_some(args.reconnect);
        if commands > 0.0 {
            let (topic, clients) = ("devices/{n}/command", COMMANDERS.min(locks));
            let publishing =
                Publishing { topic, streams: locks, clients, rate: Some(commands), receivers: 1 };
            let publish = self.publishing(&publishing);
            self.add("cmd", clients, Spread::On(0), Vec::new(), publish);
        }
    }

    fn stream(&mut self, args: &Stream) {
        let (clients, topic) = (args.publishers as usize, &args.topic);
        let rate = self.common.rate;
        let publish = self.publishing(&Publishing { topic, streams: clients, clients, rate, receivers: 0 });
        self.add("pub", clients, Spread::Divide, Vec::new(), publish);
    }
}

/// A group's name: its own if it is alone, else a letter and its number. Client ids of MQTT 3.1 have at most 23 bytes, and
/// the run and the client's number take up to 19.
fn numbered(name: &str, number: usize, of: usize) -> String {
    if of == 1 { name.to_owned() } else { format!("{}{number}", &name[..1]) }
}
