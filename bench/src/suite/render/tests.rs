//! A document from made-up runs, of which every figure is known.

use std::collections::BTreeSet;

use super::super::record::{Contestant, Sync};
use super::super::{metric::Metric, rows::Promise};
use super::*;
use crate::outcome::{Held, Latency, Outcome, Settings, Totals, Usage};

fn contestant(name: &str, kind: Kind, cores: usize) -> Contestant {
    let command = format!("'/opt/it'\\''s here/{name}' --listen {{port}} --dir '/tmp/d'");
    Contestant {
        name: name.to_owned(),
        kind,
        version: "1.0".to_owned(),
        command,
        cores,
        ..Contestant::default()
    }
}

fn header() -> Header {
    Header {
        format: 1,
        command: "millrace-bench results".to_owned(),
        started_unix_ms: 1_763_859_600_000,
        rounds: 3,
        duration_s: 5.0,
        warmup_s: 1.5,
        brokers: vec![
            contestant("relay-1", Kind::Relay, 1),
            contestant("relay-2", Kind::Relay, 2),
            contestant("millrace-1", Kind::Millrace, 1),
            contestant("millrace-2", Kind::Millrace, 2),
            contestant("millrace-1-hooks", Kind::Hooked, 1),
            contestant("other", Kind::Peer, 0),
        ],
        ..Header::default()
    }
}

fn row(name: &str) -> &'static Row {
    ROWS.iter().find(|row| row.name == name).expect("a row")
}

/// A good run with that CPU time a message and that many messages a second; latencies are 100 × the CPU time.
fn record(row: &str, broker: &str, round: usize, cpu_us: f64, rate: u64) -> Record {
    let outcome = Outcome {
        totals: Totals { seconds: 1.0, delivered: rate, ..Totals::default() },
        settings: Settings { rate: Some(rate as f64), ..Settings::default() },
        latency: Latency { counts: vec![((cpu_us * 100.0) as u64, rate)] },
        broker: Some(Usage { user_s: cpu_us * rate as f64 / 1e6, alive: true, ..Usage::default() }),
        ..Outcome::default()
    };
    Record { row: row.to_owned(), broker: broker.to_owned(), round, outcome, ..Record::default() }
}

/// Three rounds around a CPU time a message.
fn rounds(row: &str, broker: &str, cpu_us: f64, rate: u64) -> Vec<Record> {
    [1.0, 0.5, 2.0]
        .iter()
        .enumerate()
        .map(|(round, factor)| record(row, broker, round, cpu_us * factor, rate))
        .collect()
}

#[test]
fn ratios_are_of_medians_to_the_relay_with_as_many_cores() {
    let header = header();
    let cpu = [("relay-1", 1.0), ("relay-2", 2.0), ("millrace-1", 1.4), ("millrace-2", 3.2), ("other", 1.3)];
    let records: Vec<_> =
        cpu.iter().flat_map(|&(broker, us)| rounds("p2p_q0", broker, us, 1_000_000)).collect();
    let figures = Figures::new(&header, &records);
    let row = row("p2p_q0");
    let near = |value: Option<f64>, expected: f64| value.is_some_and(|value| (value - expected).abs() < 1e-9);
    for (broker, expected) in [("millrace-1", 1.4), ("millrace-2", 1.6), ("other", 1.3)] {
        let contestant = header.brokers.iter().find(|one| one.name == broker).expect("it");
        assert!(near(figures.ratio(row, contestant, Metric::CpuUs), expected), "{broker}");
    }
    let spread = figures.spread(row, "millrace-1", Metric::CpuUs).expect("figures");
    assert!(
        (spread.min - 0.7).abs() < 1e-9 && (spread.max - 2.8).abs() < 1e-9 && spread.rounds == 3,
        "{spread:?}"
    );

    let verdicts: Vec<_> = figures
        .verdicts(row)
        .into_iter()
        .map(|verdict| (verdict.broker, verdict.kept, verdict.promise))
        .collect();
    let peers = "below every peer (best: other)";
    let expected = [
        ("millrace-1", true, "at most 1.5× relay-1"),
        ("millrace-2", false, "at most 1.5× relay-2"),
        ("millrace-1", false, peers),
        ("millrace-2", false, peers),
    ];
    assert_eq!(verdicts, expected.map(|(broker, kept, text)| (broker.to_owned(), kept, text.to_owned())));
    // The other is below the better of ours; both are equally fast.
    let better = figures.better(row, &[Metric::CpuUs, Metric::Rate]);
    let better: Vec<_> =
        better.iter().map(|better| (better.broker.as_str(), better.our_name.as_str())).collect();
    assert_eq!(better, [("other", "millrace-1")]);
}

#[test]
fn a_run_that_lost_something_is_not_counted_but_named() {
    let header = header();
    let mut records = rounds("rate_q1", "other", 0.1, 10_000);
    records.extend(rounds("rate_q1", "millrace-1", 1.0, 10_000));
    let wrongs: [fn(&mut Record); 3] = [
        |record| record.outcome.totals.lost = 7,
        |record| record.outcome.totals.behind = 101,
        |record| record.error = "did not | answer".to_owned(),
    ];
    for (record, wrong) in records.iter_mut().zip(wrongs) {
        wrong(record);
    }
    // One in a hundred late is in time.
    records[3].outcome.totals.behind = 100;
    let document = render(&header, &records, "results").expect("a document");
    for line in [
        "| other | rate_q1 | 1 of 3 | 7 lost |",
        "| other | rate_q1 | 1 of 3 | 101 behind the rate |",
        "| other | rate_q1 | 1 of 3 | did not   answer |",
        "| other | failed | – | – | failed |",
    ] {
        assert!(document.markdown.contains(line), "{line} in {}", document.markdown);
    }
    assert!(
        document.markdown.contains("In none of those measured here"),
        "a broker that fails is not better"
    );
    assert!(!document.markdown.contains("| millrace-1 | rate_q1 | 1 of 3"), "{}", document.markdown);
}

#[test]
fn the_rounds_count_from_which_the_host_took_the_least() {
    let header = header();
    let mut records = Vec::new();
    for (round, (us, stolen)) in
        [(9.0, 0.04), (1.0, 0.001), (8.0, 0.02), (2.0, 0.0), (3.0, 0.0), (5.0, 0.003), (4.0, 0.001)]
            .into_iter()
            .enumerate()
    {
        let mut record = record("rate_q1", "relay-1", round, us, 10_000);
        record.outcome.stolen = Some(stolen);
        records.push(record);
    }
    // A neighbour on this machine is as bad.
    records[4].other_cores = 0.5;
    // Whatever is wrong with a run counts for more than that it was quiet.
    records[3].outcome.totals.lost = 1;
    let figures = Figures::new(&header, &records);
    let spread = figures.spread(row("rate_q1"), "relay-1", Metric::P99).expect("figures");
    assert_eq!((spread.rounds, spread.min, spread.median, spread.max), (5, 100.0, 500.0, 900.0));
    let document = render(&header, &records, "results").expect("a document");
    assert!(document.markdown.contains("| 0.3 % | 0.1 %..4.0 % |"), "{}", document.markdown);
}

#[test]
fn a_run_of_before_is_not_said_to_be_measured_as_one_of_today() {
    let header = header();
    let before = record("rate_q1", "relay-1", 0, 1.0, 10_000);
    let mut today = Record { apart: true, ..before.clone() };
    today.outcome.stolen = Some(0.001);
    for (run, expected) in [(before, false), (today, true)] {
        let text = render(&header, &[run], "results").expect("a document").markdown;
        for words in [APART, STOLEN, "| stolen | min..max |"] {
            assert_eq!(text.contains(words), expected, "{words} in {text}");
        }
    }
}

#[test]
fn hooks_are_compared_with_the_same_without() {
    let header = header();
    let sync = Sync { records: 900, groups: 90, p50_us: 400, p99_us: 2_000, max_us: 9_000 };
    for (rate, kept) in [(50_000, true), (49_999, false)] {
        let mut records = vec![record("hooks_q1", "millrace-1", 0, 1.0, 100_000)];
        records.push(Record {
            sync: Some(sync.clone()),
            ..record("hooks_q1", "millrace-1-hooks", 0, 2.0, rate)
        });
        let figures = Figures::new(&header, &records);
        let verdicts = figures.verdicts(row("hooks_q1"));
        assert_eq!(verdicts.iter().map(|verdict| verdict.kept).collect::<Vec<_>>(), [kept], "{rate}");
        let document = render(&header, &records, "results").expect("a document");
        let line = "| millrace-1-hooks | 10.0 | 400 µs | 2.00 ms | 9.00 ms |";
        assert!(document.markdown.contains(line), "{}", document.markdown);
    }
}

#[test]
fn memory_and_growth_have_their_tables() {
    let header = header();
    let mut idle = record("idle_10k", "millrace-1", 0, 1.0, 1);
    idle.outcome.totals = Totals { connected: 10_000, connect_seconds: 0.5, ..Totals::default() };
    let memory = Usage {
        rss_before: 1_000_000,
        rss: 9_000_000,
        rss_after: 2_000_000,
        alive: true,
        ..Usage::default()
    };
    idle.outcome.broker = Some(memory);
    let held = Held {
        subscriptions: 1_000_000,
        subscribe_s: 2.0,
        unsubscribe_s: 4.0,
        rss_before: 1,
        rss: 100_000_001,
    };
    let place = |at, broker: &str, us| Record { at, ..record("subscriptions", broker, 0, us, 1_000) };
    let mut many = place(1_000_000, "millrace-1", 1.3);
    many.outcome.held = Some(held);
    let records = [
        idle,
        place(10, "relay-1", 1.0),
        place(1_000_000, "relay-1", 1.1),
        place(10, "millrace-1", 1.0),
        many,
    ];
    let document = render(&header, &records, "results").expect("a document");
    for line in [
        "| millrace-1 | 800 | 800..800 | 100 | 20,000 | 20,000..20,000 |",
        "| relay-1 | 1.00 | 1.10 | 1.10× | yes |",
        "| millrace-1 | 1.00 | 1.30 | 1.30× | **no**, and the relay's is |",
        "Making and ending 1,000,000 of them",
        "| millrace-1 | 500,000 | 500,000..500,000 | 250,000 | 250,000..250,000 | 100 | 100..100 |",
        "![subscriptions.svg](results/subscriptions.svg)",
        "1 of 1 comparisons are met",
    ] {
        assert!(document.markdown.contains(line), "{line} in {}", document.markdown);
    }
    let names: Vec<_> = document.plots.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["idle.svg", "subscriptions.svg"]);
}

#[test]
fn other_load_is_named() {
    let header = header();
    let mut records = rounds("p2p_q0", "relay-1", 1.0, 1_000);
    let quiet = render(&header, &records, "results").expect("a document").markdown;
    assert!(quiet.contains("In none of 3 measurements"), "{quiet}");
    for (record, other) in records.iter_mut().zip([0.1, 0.11, 0.5]) {
        record.other_cores = other;
    }
    let busy = render(&header, &records, "results").expect("a document").markdown;
    assert!(busy.contains("| p2p_q0 | 2 of 3 | 0.30 | 0.50 |"), "{busy}");
}

#[test]
fn every_section_of_a_whole_run_is_there_and_no_graph_is_missing() {
    let mut header = header();
    let mut records = Vec::new();
    for row in ROWS {
        for (number, broker) in header.brokers.iter().enumerate() {
            if row.field.has(broker.kind) {
                let of_row = rounds(row.name, &broker.name, 1.0 + number as f64, 1_000);
                records.extend(of_row.into_iter().map(|record| Record { at: row.at, ..record }));
            }
        }
    }
    for quick in [false, true] {
        header.quick = quick;
        let document = render(&header, &records, "results").expect("a document");
        for row in ROWS {
            assert!(document.markdown.contains(&format!("\n### {}\n", row.name)), "{}", row.name);
        }
        assert_eq!(document.markdown.contains("A smoke run"), quick);
        assert!(document.markdown.contains("| `other --listen {port} --dir d` |"), "{}", document.markdown);
        let shown = document.markdown.matches("](results/").count();
        assert!(shown == document.plots.len() && shown >= 5, "{shown} of {}", document.plots.len());
        let names: BTreeSet<_> = document.plots.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), document.plots.len(), "no graph overwrites another");
        for (name, svg) in &document.plots {
            assert!(
                document.markdown.contains(&format!("(results/{name})")) && svg.starts_with("<svg"),
                "{name}"
            );
        }
        // Tables are whole: as many cells in each line as in its head.
        for block in document.markdown.split("\n\n").filter(|block| block.starts_with('|')) {
            let cells: Vec<_> = block.lines().take_while(|line| line.starts_with('|')).collect();
            let of = |line: &str| line.matches('|').count() - line.matches("\\|").count();
            assert!(cells.iter().all(|line| of(line) == of(cells[0])), "{block}");
        }
    }
}

#[test]
fn nothing_measured_is_a_document_too_and_promises_name_metrics_that_rows_have() {
    let document = render(&header(), &[], "results").expect("a document");
    assert!(document.markdown.contains("0 measurements") && document.plots.is_empty());
    for row in ROWS {
        let metrics: Vec<_> = row
            .promises
            .iter()
            .map(|promise| match *promise {
                Promise::OfRelay(metric, _) | Promise::AtMost(metric, _) => metric,
                Promise::BelowPeers(metric) | Promise::OfUnhooked(metric, _) => metric,
            })
            .collect();
        let has_latency = row.section == Section::Latency;
        let percentiles = [Metric::P50, Metric::P99, Metric::P999];
        assert!(has_latency || !metrics.iter().any(|metric| percentiles.contains(metric)), "{}", row.name);
        let has_memory = row.section == Section::Idle;
        assert!(has_memory || !metrics.contains(&Metric::BytesPerConnection), "{}", row.name);
    }
}
