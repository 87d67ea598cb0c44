//! All that is measured, as one table: a row is a command line of this program, who runs it, and what is promised.

use super::metric::Metric;
use super::record::Kind;

/// A part of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// CPU time a message.
    Cpu,
    /// Latency at a fixed rate.
    Latency,
    /// Connections that do nothing.
    Idle,
    /// Publishes that feed a stream.
    Hooks,
    /// CPU time a message as something grows: a curve is the rows of the same title.
    Growth,
    /// The same work from more of the generator.
    Generator,
}

/// Which brokers take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    All,
    /// The relay and Millrace.
    Ours,
    /// Millrace with hooks and without.
    Hooks,
}

impl Field {
    pub(super) fn has(self, kind: Kind) -> bool {
        match self {
            Field::All => kind != Kind::Hooked,
            Field::Ours => matches!(kind, Kind::Relay | Kind::Millrace),
            Field::Hooks => matches!(kind, Kind::Millrace | Kind::Hooked),
        }
    }
}

/// What Millrace has to reach in a row, with one core and with two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Promise {
    /// At most so many times the relay's with as many cores.
    OfRelay(Metric, f64),
    /// At most so much.
    AtMost(Metric, f64),
    /// Better than every peer.
    BelowPeers(Metric),
    /// At least this share of the same without hooks.
    OfUnhooked(Metric, f64),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub name: &'static str,
    pub section: Section,
    /// What it shows, for the table's head.
    pub title: &'static str,
    pub args: &'static str,
    /// Instead of `args`, small enough for a smoke run.
    pub quick: &'static str,
    pub field: Field,
    /// Rounds below which its medians mean nothing.
    pub rounds_min: usize,
    /// Where it lies on its curve.
    pub at: u64,
    pub promises: &'static [Promise],
}

const ROW: Row = Row {
    name: "",
    section: Section::Cpu,
    title: "",
    args: "",
    quick: "",
    field: Field::All,
    rounds_min: 1,
    at: 0,
    promises: &[],
};

/// Rounds for percentiles.
const LATENCY_ROUNDS: usize = 5;

const CPU: &[Promise] = &[Promise::OfRelay(Metric::CpuUs, 1.5), Promise::BelowPeers(Metric::CpuUs)];
const LATENCY: &[Promise] = &[
    Promise::OfRelay(Metric::CpuUs, 1.5),
    Promise::OfRelay(Metric::P50, 1.3),
    Promise::OfRelay(Metric::P99, 1.3),
    Promise::OfRelay(Metric::P999, 1.3),
    Promise::BelowPeers(Metric::CpuUs),
];
const IDLE: &[Promise] = &[Promise::AtMost(Metric::BytesPerConnection, 800.0)];

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "p2p_q0",
        title: "250 publishers, each to one subscriber, QoS 0, 8 in flight",
        args: "p2p --pairs 250 --qos 0 --window 8",
        quick: "p2p --pairs 20 --qos 0 --window 8",
        promises: CPU,
        ..ROW
    },
    Row {
        name: "p2p_q1",
        title: "250 publishers, each to one subscriber, QoS 1, 8 in flight",
        args: "p2p --pairs 250 --qos 1 --window 8",
        quick: "p2p --pairs 20 --qos 1 --window 8",
        promises: CPU,
        ..ROW
    },
    Row {
        name: "p2p_q2",
        title: "250 publishers, each to one subscriber, QoS 2, 8 in flight",
        args: "p2p --pairs 250 --qos 2 --window 8",
        quick: "p2p --pairs 20 --qos 2 --window 8",
        promises: CPU,
        ..ROW
    },
    Row {
        name: "fanin_q0",
        title: "500 publishers to one subscriber with a wildcard, QoS 0, 4 in flight",
        args: "fanin --publishers 500 --subscribers 1 --qos 0 --window 4",
        quick: "fanin --publishers 20 --subscribers 1 --qos 0 --window 4",
        promises: CPU,
        ..ROW
    },
    Row {
        name: "fanin_q1",
        title: "500 publishers to one subscriber with a wildcard, QoS 1, 4 in flight",
        args: "fanin --publishers 500 --subscribers 1 --qos 1 --window 4",
        quick: "fanin --publishers 20 --subscribers 1 --qos 1 --window 4",
        promises: CPU,
        ..ROW
    },
    Row {
        name: "fanout_q0",
        title: "One publisher to 1,000 subscribers, QoS 0, 8 in flight",
        args: "fanout --publishers 1 --subscribers 1000 --qos 0 --window 8",
        quick: "fanout --publishers 1 --subscribers 50 --qos 0 --window 8",
        promises: CPU,
        ..ROW
    },
    Row {
        name: "fanout_q1",
        title: "One publisher to 1,000 subscribers, QoS 1, 8 in flight",
        args: "fanout --publishers 1 --subscribers 1000 --qos 1 --window 8",
        quick: "fanout --publishers 1 --subscribers 50 --qos 1 --window 8",
        promises: CPU,
        ..ROW
    },
    Row {
        name: "pubonly_q1",
        title: "500 publishers, no subscriber, QoS 1, 16 in flight",
        args: "pub --publishers 500 --qos 1 --window 16",
        quick: "pub --publishers 20 --qos 1 --window 16",
        promises: CPU,
        ..ROW
    },
    Row {
        name: "rate_q1",
        section: Section::Latency,
        title: "250 pairs at 10,000 messages a second in all, QoS 1",
        args: "p2p --pairs 250 --qos 1 --window 64 --rate 10000",
        quick: "p2p --pairs 20 --qos 1 --window 64 --rate 1000",
        rounds_min: LATENCY_ROUNDS,
        promises: LATENCY,
        ..ROW
    },
    Row {
        name: "fleet_q1",
        section: Section::Latency,
        title: "5,000 publishers to 4 subscribers (each hears a quarter) at 8,000 messages a second in all, QoS 1",
        args: "fanin --publishers 5000 --subscribers 4 --qos 1 --window 64 --rate 8000",
        quick: "fanin --publishers 200 --subscribers 4 --qos 1 --window 64 --rate 1000",
        rounds_min: LATENCY_ROUNDS,
        promises: LATENCY,
        ..ROW
    },
    Row {
        name: "idle_10k",
        section: Section::Idle,
        title: "10,000 connections with one subscription each, MQTT 3.1.1",
        args: "conn --connections 10000 --subscribe --processes 2 --duration 2",
        quick: "conn --connections 300 --subscribe --duration 0.3",
        promises: IDLE,
        ..ROW
    },
    Row {
        name: "idle_10k_v5",
        section: Section::Idle,
        title: "10,000 connections with one subscription each, MQTT 5.0",
        args: "conn --connections 10000 --subscribe --processes 2 --duration 2 --version 5.0",
        quick: "conn --connections 300 --subscribe --duration 0.3 --version 5.0",
        promises: IDLE,
        ..ROW
    },
    Row {
        name: "idle_18k",
        section: Section::Idle,
        title: "18,000 connections with one subscription each, MQTT 3.1.1",
        args: "conn --connections 18000 --subscribe --processes 2 --duration 2",
        quick: "",
        promises: IDLE,
        ..ROW
    },
    Row {
        name: "idle_18k_v5",
        section: Section::Idle,
        title: "18,000 connections with one subscription each, MQTT 5.0",
        args: "conn --connections 18000 --subscribe --processes 2 --duration 2 --version 5.0",
        quick: "",
        promises: IDLE,
        ..ROW
    },
    Row {
        name: "hooks_q1",
        section: Section::Hooks,
        title: "200 publishers on devices/{n}/state, QoS 1, 64 in flight, acknowledged when the record is synced",
        args: "pub --publishers 200 --qos 1 --window 64 --topic devices/{n}/state",
        quick: "pub --publishers 20 --qos 1 --window 64 --topic devices/{n}/state",
        field: Field::Hooks,
        promises: &[Promise::OfUnhooked(Metric::Rate, 0.5)],
        ..ROW
    },
    growth("connections", CONNECTIONS, 10, "p2p --pairs 5 --qos 1 --window 8"),
    growth("connections", CONNECTIONS, 1_000, "p2p --pairs 500 --qos 1 --window 8"),
    growth("connections", CONNECTIONS, 18_000, "p2p --pairs 9000 --qos 1 --window 8"),
    growth("beside_idle", BESIDE, 10, "p2p --pairs 250 --qos 1 --window 8 --idle 10"),
    growth("beside_idle", BESIDE, 1_000, "p2p --pairs 250 --qos 1 --window 8 --idle 1000"),
    growth("beside_idle", BESIDE, 17_000, "p2p --pairs 250 --qos 1 --window 8 --idle 17000"),
    growth("subscriptions", HELD, 10, "p2p --pairs 250 --qos 1 --window 8 --held-subscriptions 10"),
    growth(
        "subscriptions",
        HELD,
        1_000_000,
        "p2p --pairs 250 --qos 1 --window 8 --held-subscriptions 1000000",
    ),
    growth(
        "reconnects",
        RECONNECTS,
        5,
        "fleet --locks 5000 --plain --rate 8000 --commands 0 --reconnect 1000",
    ),
    growth(
        "reconnects",
        RECONNECTS,
        500,
        "fleet --locks 5000 --plain --rate 8000 --commands 0 --reconnect 10",
    ),
    Row {
        name: "threads_2",
        section: Section::Generator,
        title: "p2p_q1 from two threads of the generator",
        args: "p2p --pairs 250 --qos 1 --window 8 --threads 2",
        quick: "p2p --pairs 20 --qos 1 --window 8 --threads 2",
        field: Field::Ours,
        ..ROW
    },
    Row {
        name: "processes_2",
        section: Section::Generator,
        title: "p2p_q1 from two processes of the generator",
        args: "p2p --pairs 250 --qos 1 --window 8 --processes 2",
        quick: "p2p --pairs 20 --qos 1 --window 8 --processes 2",
        field: Field::Ours,
        ..ROW
    },
];

const CONNECTIONS: &str = "Connections, all of them in pairs that send at QoS 1, 8 in flight";
const BESIDE: &str =
    "Idle connections with a subscription each, beside 250 pairs that send at QoS 1, 8 in flight";
const HELD: &str = "Subscriptions held, beside 250 pairs that send at QoS 1, 8 in flight";
const RECONNECTS: &str = "Reconnects a second of 5,000 locks that send 8,000 messages a second at QoS 1; each drops \
routes that were looked up";

const fn growth(name: &'static str, title: &'static str, at: u64, args: &'static str) -> Row {
    Row { name, section: Section::Growth, title, args, at, field: Field::Ours, ..ROW }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_are_told_apart_and_curves_rise() {
        let mut seen = BTreeSet::new();
        for row in ROWS {
            assert!(seen.insert((row.name, row.at)), "{} {} twice", row.name, row.at);
            assert!(!row.args.is_empty() && !row.title.ends_with('.'), "{}", row.name);
            assert!((row.at > 0) == (row.section == Section::Growth), "{}: a place on a curve", row.name);
        }
        for pair in ROWS.windows(2) {
            assert!(pair[0].name != pair[1].name || pair[0].at < pair[1].at, "{}", pair[0].name);
        }
        let names = |rows: &[Row]| rows.iter().map(|row| row.name).collect::<BTreeSet<_>>().len();
        let runs = ROWS.chunk_by(|one, next| one.name == next.name).count();
        assert_eq!(names(ROWS), runs, "rows of a curve stand together");
    }
}
