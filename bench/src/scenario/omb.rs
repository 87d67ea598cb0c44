//! The Open MQTT Benchmark Suite: its named cases, as <https://github.com/emqx/mqttbs> documents them.
//!
//! The name says it: `fanout-5-1000-5-250K` has 5 publishers, 1,000 subscribers, 5 topics and 250,000 deliveries a
//! second. All have QoS 1, payloads of 16 bytes, keep alive 300 and a clean session; MQTT 3.1.1, where a subscription is
//! shared 5.0. The basic set is for one small machine, the enterprise set for a large one.

use std::fmt::Write;

use millrace_codec::Version;

use super::args::{Conn, Fanout, Omb, P2p, Scenario, Shared};
use super::options::Common;
use crate::load::payload;

/// Bytes of payload that the suite asks for.
const SIZE: usize = 16;
const KEEP_ALIVE_S: u16 = 300;
/// How long we hold a case if nothing is said.
const DURATION_S: f64 = 60.0;

/// A case of the suite.
struct Case {
    name: &'static str,
    kind: Kind,
    text: &'static str,
}

/// Numbers of clients, and rates a second, before they are scaled.
enum Kind {
    Conn {
        connections: u32,
        ramp: f64,
    },
    /// Each publisher has a topic that every subscriber subscribes to.
    Fanout {
        publishers: u32,
        subscribers: u32,
        rate: f64,
    },
    P2p {
        pairs: u32,
        rate: f64,
    },
    Shared {
        publishers: u32,
        subscribers: u32,
        rate: f64,
    },
}

const CASES: [Case; 7] = [
    Case {
        name: "conn-tcp-10K-100",
        kind: Kind::Conn { connections: 10_000, ramp: 100.0 },
        text: "10,000 connections, 100 a second, held",
    },
    Case {
        name: "fanout-1-1K-1-1K",
        kind: Kind::Fanout { publishers: 1, subscribers: 1_000, rate: 1.0 },
        text: "1 publisher, 1 message a second, to 1,000 subscribers",
    },
    Case {
        name: "fanout-5-1000-5-250K",
        kind: Kind::Fanout { publishers: 5, subscribers: 1_000, rate: 250.0 },
        text: "5 publishers, 50 messages a second each, to 1,000 subscribers of all 5 topics",
    },
    Case {
        name: "p2p-1K-1K-1K-1K",
        kind: Kind::P2p { pairs: 1_000, rate: 1_000.0 },
        text: "1,000 pairs, 1 message a second each",
    },
    Case {
        name: "p2p-50K-50K-50K-50K",
        kind: Kind::P2p { pairs: 50_000, rate: 50_000.0 },
        text: "50,000 pairs, 1 message a second each",
    },
    Case {
        name: "sharedsub-1K-5-1K-1K",
        kind: Kind::Shared { publishers: 1_000, subscribers: 5, rate: 1_000.0 },
        text: "1,000 publishers, 1 message a second each, to 5 subscribers that share",
    },
    Case {
        name: "sharedsub-50K-500-50K-50K",
        kind: Kind::Shared { publishers: 50_000, subscribers: 500, rate: 50_000.0 },
        text: "50,000 publishers, 1 message a second each, to 500 subscribers that share",
    },
];

/// The names, a line each.
pub(super) fn list() -> String {
    let mut out = String::new();
    for case in &CASES {
        // A String takes everything.
        let _ = writeln!(out, "{:<27}{}", case.name, case.text);
    }
    out
}

/// The case's name as the suite writes it; as the user does if there is none.
pub(super) fn name(args: &Omb) -> &str {
    let name = args.name.as_deref().unwrap_or_default();
    CASES.iter().find(|case| case.name.eq_ignore_ascii_case(name)).map_or(name, |case| case.name)
}

/// The version of MQTT that a scenario speaks.
pub(super) fn version(scenario: &Scenario) -> Version {
    match scenario {
        Scenario::Omb(args) => match self::scenario(args) {
            Ok(scenario) => scenario.common().version(),
            Err(_) => args.common.version(),
        },
        _ => scenario.common().version(),
    }
}

/// A case as the scenario that it is. Options given by the user win over the suite's.
///
/// # Errors
/// There is no such case.
pub(super) fn scenario(args: &Omb) -> Result<Scenario, String> {
    let name = args.name.as_deref().unwrap_or_default();
    let case = CASES.iter().find(|case| case.name.eq_ignore_ascii_case(name));
    let case = case.ok_or_else(|| format!("the suite has no case {name}; these are known:\n{}", list()))?;
    let scaled = |count: u32| ((f64::from(count) * args.scale).round() as u32).max(1);
    let common = |version, rate: Option<f64>, ramp: Option<f64>| {
        let mut common = args.common.clone();
        common.version.get_or_insert(version);
        common.qos.get_or_insert(1);
        common.size.get_or_insert(SIZE.max(payload::BYTES) as u64);
        common.keep_alive.get_or_insert(KEEP_ALIVE_S);
        if common.count.is_none() {
            common.duration.get_or_insert(DURATION_S);
        }
        common.rate = common.rate.or(rate.map(|rate| rate * args.scale));
        common.ramp = common.ramp.or(ramp.map(|ramp| ramp * args.scale));
        common
    };
    let plain = |rate: Option<f64>, ramp: Option<f64>| -> Common { common(Version::V311, rate, ramp) };
    let topic = "test/{n}".to_owned();
    Ok(match case.kind {
        Kind::Conn { connections, ramp } => Scenario::Conn(Conn {
            connections: scaled(connections),
            subscribe: false,
            storm: false,
            churn: None,
            common: plain(None, Some(ramp)),
        }),
        Kind::Fanout { publishers, subscribers, rate } => Scenario::Fanout(Fanout {
            // The deliveries a second are the product of both: scaling both would scale them twice.
            publishers,
            subscribers: scaled(subscribers),
            wildcard: false,
            common: {
                let mut common = plain(None, None);
                common.rate = common.rate.or(Some(rate));
                common
            },
        }),
        Kind::P2p { pairs, rate } => {
            Scenario::P2p(P2p { pairs: scaled(pairs), topic, common: plain(Some(rate), None) })
        }
        Kind::Shared { publishers, subscribers, rate } => Scenario::Shared(Shared {
            publishers: scaled(publishers),
            subscribers: scaled(subscribers),
            topic,
            filter: Some("test/#".to_owned()),
            group: "benchmark".to_owned(),
            common: common(Version::V5, Some(rate), None),
        }),
    })
}
