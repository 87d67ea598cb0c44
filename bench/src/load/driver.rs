//! Runs the rows of the comparison against a broker given by `ENGINE_PORT`, for measuring; not a test of anything.

use std::io::Write;
use std::time::Duration;

use super::plan::{Connect, Group, Hears, Pace, Phases, Plan, Publish, Subscription};
use super::*;

struct Show {
    pid: Option<u32>,
    marks: Vec<(Phase, f64, f64)>,
}

fn cpu(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<_> = stat[stat.rfind(')').map_or(0, |at| at + 1)..].split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

impl Control for Show {
    fn connected(&mut self, _: u64, _: u64) {}
    fn phase(&mut self, phase: Phase) {
        let broker = self.pid.map_or(0.0, |pid| cpu(&pid.to_string()));
        self.marks.push((phase, cpu("self"), broker));
    }
    fn sample(&mut self, _: &Sample, _: &Latency) {}
    fn interrupted(&self) -> bool {
        false
    }
}

fn number(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn plan(row: &str, port: u16) -> Plan {
    let (kind, qos) = row.split_once("_q").expect("a row");
    let qos: u8 = qos.parse().expect("a QoS");
    let group = |name: &str, count, subscribe, publish| Group {
        name: name.to_owned(),
        first: 0,
        count,
        subscribe,
        publish,
        reconnect_s: None,
    };
    let hears = |filter: &str, hears| Subscription { filter: filter.to_owned(), qos, of: 1, hears };
    let publish = |streams, topic: &str, pace, receivers: u64| Publish {
        streams,
        of: streams,
        topic: topic.to_owned(),
        qos,
        retain: false,
        size: 128,
        pace,
        receivers,
        receivers_here: receivers > 0,
    };
    let topic = "devices/{n}/state";
    let rate = |per_second| Pace::Rate { per_second, window: 64 };
    let (subscribers, filter, streams, pace) = match kind {
        "p2p" => (250, hears(topic, Hears::Same), 250, Pace::Window(8)),
        "fanin" => (1, hears("devices/+/state", Hears::All), 500, Pace::Window(4)),
        "shared" => (4, hears("$share/g/devices/+/state", Hears::Share), 500, Pace::Window(4)),
        "fanout" => (1000, hears("broadcast/0", Hears::All), 1, Pace::Window(8)),
        "pubonly" => (0, hears("none", Hears::Nobody), 500, Pace::Window(16)),
        "fleet" => (4, hears("$share/g/devices/+/state", Hears::Share), 5000, rate(8000.0)),
        "rate" => (250, hears(topic, Hears::Same), 250, rate(10000.0)),
        _ => panic!("no row {row}"),
    };
    let receivers = match kind {
        "fanout" => 1000,
        "pubonly" => 0,
        _ => 1,
    };
    let topic = if kind == "fanout" { "broadcast/{n}" } else { topic };
    Plan {
        broker: ([127, 0, 0, 1], port).into(),
        sources: (2..10).map(|last| std::net::IpAddr::from([127, 0, 0, last])).collect(),
        level: number("ENGINE_LEVEL", 4.0) as u8,
        run: std::process::id(),
        seed: 1,
        threads: number("ENGINE_THREADS", 1.0) as usize,
        connect: Connect { at_once: 256, rate: None, timeout_s: 30.0, keep_alive_s: 900, clean: true },
        groups: vec![
            group("sub", subscribers, vec![filter], None),
            group("pub", streams, Vec::new(), Some(publish(streams, topic, pace, receivers))),
        ],
        phases: Phases {
            settle_s: 0.3,
            warmup_s: number("ENGINE_WARMUP", 1.0),
            duration_s: number("ENGINE_SECONDS", 3.0),
            count: std::env::var("ENGINE_COUNT").ok().and_then(|count| count.parse().ok()),
            drain_s: 5.0,
        },
        sample_s: 1.0,
    }
}

#[test]
#[ignore = "measures a broker that the environment names"]
fn row() {
    let row = std::env::var("ENGINE_ROW").unwrap_or("p2p_q0".to_owned());
    let plan = plan(&row, number("ENGINE_PORT", 22_000.0) as u16);
    // With many threads sleeping, /proc is read while they run.
    std::thread::sleep(Duration::from_millis(10));
    let mut show =
        Show { pid: std::env::var("ENGINE_PID").ok().and_then(|pid| pid.parse().ok()), marks: vec![] };
    let tally = run(&plan, &mut show).expect("a run");
    let at = |phase| show.marks.iter().find(|mark| mark.0 == phase).expect("a phase");
    let (from, to) = (at(Phase::Measure), at(Phase::Drain));
    let totals = &tally.totals;
    let messages =
        totals.delivered.max(totals.acknowledged.min(if totals.delivered > 0 { 0 } else { u64::MAX }));
    let us = |seconds: f64| seconds * 1e6 / messages.max(1) as f64;
    let sent: u64 = tally.sent.iter().map(|sent| sent.2).sum();
    let arrived: u64 = tally.arrived.iter().map(|came| came.2).sum();
    let mut out = std::io::stdout();
    let _ = writeln!(
        out,
        "RESULT {{\"row\":\"{row}\",\"rate\":{:.0},\"own\":{:.3},\"broker\":{:.3},\"p50\":{},\"p99\":{},\"p999\":{},\"sent\":{sent},\"arrived\":{arrived}}} {totals:?} {}",
        messages as f64 / totals.seconds,
        us(to.1 - from.1),
        us(to.2 - from.2),
        tally.latency.quantile(0.5),
        tally.latency.quantile(0.99),
        tally.latency.quantile(0.999),
        tally.error,
    );
}
