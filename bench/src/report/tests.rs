//! What the views of a run must hold, on made-up runs.

use super::made_up::p2p;
use super::*;
use crate::outcome::{Outcome, Usage};
use crate::plot::markup::elements;

fn changed(change: fn(&mut Outcome)) -> Outcome {
    let mut run = p2p("millrace", 3.0, 1);
    change(&mut run);
    run
}

#[test]
fn a_summary_says_what_matters() {
    let cases: [(&str, Outcome, &[&str], &[&str]); 12] = [
        (
            "good",
            changed(|_| ()),
            &[
                "millrace: p2p, MQTT 3.1.1, QoS 1, 250 → 250, 128 B, window 8\n",
                "/s delivered",
                "p99.99",
                "µs CPU/message",
                "8,000 B/connection",
                "good: every message came once and in order",
                "closed loop: 2,000 in flight",
            ],
            &["warning", "BAD"],
        ),
        (
            "lost",
            changed(|run| (run.totals.lost, run.totals.reordered) = (1_234, 5)),
            &[
                "BAD: lost 1,234, reordered 5",
                "warning: messages were lost at QoS 1: the broker broke its promise",
            ],
            &["good", "QoS 0 allows"],
        ),
        (
            "lost at QoS 0",
            changed(|run| (run.totals.lost, run.settings.subscribe_qos) = (9, 0)),
            &["QoS 1 → 0", "BAD: lost 9", "QoS 0 allows it"],
            &["broke its promise"],
        ),
        ("stalls", changed(|run| run.totals.stalls = 7), &["BAD: stalls 7", "by force 7 times"], &["good"]),
        (
            "saturated",
            changed(|run| run.generator.saturated = true),
            &["good", "all the CPU it could get"],
            &["BAD"],
        ),
        (
            "stolen",
            changed(|run| run.stolen = Some(0.031)),
            &["good", "gave 3.10 % of its CPU time to others"],
            &["BAD"],
        ),
        ("hardly stolen", changed(|run| run.stolen = Some(0.002)), &["good"], &["to others"]),
        (
            "behind",
            changed(|run| (run.settings.rate, run.totals.behind) = (Some(10_000.0), 25_000)),
            &["10,000/s offered", "25,000 messages (25.0 % of what was asked)"],
            &["closed loop", "window 8"],
        ),
        (
            "dead",
            changed(|run| run.broker.iter_mut().for_each(|broker| broker.alive = false)),
            &["process was gone"],
            &[],
        ),
        ("no pid", changed(|run| run.broker = None), &["(--pid)"], &["  broker", "  memory"]),
        (
            "publish only",
            changed(|run| (run.totals.delivered, run.settings.subscribers) = (0, 0)),
            &["250 publishers", "/s acknowledged", "good: every message was acknowledged once"],
            &["delivered"],
        ),
        (
            "failed",
            Outcome { error: "refused".to_owned(), ..Outcome::default() },
            &["BAD", "warning: refused"],
            &["good"],
        ),
    ];
    for (name, run, holds, lacks) in cases {
        let text = summary(&run);
        for part in holds {
            assert!(text.contains(part), "{name}: {part:?} is not in\n{text}");
        }
        for part in lacks {
            assert!(!text.contains(part), "{name}: {part:?} is in\n{text}");
        }
        assert!(text.lines().all(|line| line == line.trim_end()) && text.ends_with('\n'), "{name}:\n{text}");
    }
}

#[test]
fn connecting_alone_has_its_own_figures() {
    let run = changed(|run| {
        run.scenario = "conn".to_owned();
        (run.settings.publishers, run.settings.subscribers, run.settings.idle) = (0, 0, 10_000);
        (run.totals.sent, run.totals.delivered, run.totals.acknowledged) = (0, 0, 0);
        (run.totals.connected, run.totals.connect_seconds) = (10_000, 0.5);
        run.broker = Some(Usage {
            user_s: 0.1,
            system_s: 0.3,
            rss_before: 1_000_000,
            rss: 9_000_000,
            alive: true,
            ..Usage::default()
        });
        run.latency.counts.clear();
        run.samples.clear();
    });
    let text = summary(&run);
    for part in [
        "conn, MQTT 3.1.1, 10,000 idle",
        "10,000 in 500 ms",
        "20,000/s",
        "40.0 µs/connection",
        "800 B/connection",
        "75.0 % in",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains("messages") && !text.contains("latency"), "{text}");
    let page = html(std::slice::from_ref(&run)).expect("a page");
    assert!(page.contains("<th>connect p99</th>") && !page.contains("<th>latency"), "{page}");
    let text = rounds(&[("millrace".to_owned(), vec![run])]);
    assert!(text.contains("connections a second") && !text.contains("messages a second"), "{text}");
}

/// A run whose rate and broker's CPU time a message are exactly these.
fn exact(per_second: u64, cost_us: f64) -> Outcome {
    let mut run = p2p("x", 3.0, 1);
    (run.totals.seconds, run.totals.delivered) = (1.0, per_second);
    run.broker = Some(Usage { user_s: cost_us * per_second as f64 / 1e6, alive: true, ..Usage::default() });
    run
}

#[test]
fn rounds_are_medians_with_ratios_to_the_first() {
    let mut bad = exact(400, 8.0);
    bad.totals.lost = 2;
    let text = rounds(&[
        ("relay".to_owned(), vec![exact(1_000, 2.0), exact(1_200, 1.0), exact(1_100, 4.0)]),
        ("millrace".to_owned(), vec![exact(500, 3.0), exact(600, 5.0)]),
        ("other".to_owned(), vec![bad]),
        ("absent".to_owned(), vec![]),
    ]);
    let row = |heading: &str, name: &str| {
        let block = text.split(heading).nth(1).unwrap_or_else(|| panic!("{heading} is not in\n{text}"));
        let line = block.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    let cases = [
        ("messages a second", "relay", "1,100 1,000..1,200 1.00×"),
        ("messages a second", "millrace", "550 500..600 0.50×"),
        ("messages a second", "other", "400 0.36×"),
        ("messages a second", "absent", "– –"),
        ("broker CPU, µs a message", "relay", "2.00 1.00..4.00 1.00×"),
        ("broker CPU, µs a message", "millrace", "4.00 3.00..5.00 2.00×"),
    ];
    for (heading, name, expected) in cases {
        assert_eq!(row(heading, name), expected, "{heading}, {name} in\n{text}");
    }
    assert!(text.contains("warning: other, round 1: BAD: lost 2"), "{text}");
    assert!(!text.contains("warning: relay"), "{text}");
    assert_eq!(rounds(&[("nobody".to_owned(), vec![])]), "no runs\n");
}

/// RFC 4180: records of fields.
fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut characters) = (false, text.chars().peekable());
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                field.push(characters.next().unwrap_or_default());
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            character => field.push(character),
        }
    }
    assert!(field.is_empty() && record.is_empty() && !quoted, "the last line is not ended");
    records
}

#[test]
fn csv_reads_back() {
    let label = "a \"quoted\", label\nof two lines";
    let runs = [p2p(label, 2.0, 1), p2p("plain", 2.0, 2), Outcome::default()];
    let records = parse_csv(&csv(&runs));
    let samples: Vec<_> =
        runs.iter().flat_map(|run| run.samples.iter().map(move |sample| (run, sample))).collect();
    assert_eq!(records.len(), 1 + samples.len());
    assert!(records.iter().all(|record| record.len() == records[0].len()), "{records:?}");
    let column = |name: &str| records[0].iter().position(|other| other == name).expect("a column");
    for (record, (run, sample)) in records[1..].iter().zip(samples) {
        let cases = [
            ("label", run.label.clone()),
            ("phase", sample.phase.clone()),
            ("at_s", sample.at_s.to_string()),
            ("rate", String::new()),
            ("delivered", sample.delivered.to_string()),
            ("max_us", sample.max_us.to_string()),
            ("broker_rss", sample.broker_rss.to_string()),
            ("generator_cores", sample.generator_cores.to_string()),
        ];
        for (name, expected) in cases {
            assert_eq!(record[column(name)], expected, "{name}");
        }
    }
}

/// Runs whose every text tries to get out of where it stands.
fn hostile() -> Vec<Outcome> {
    let evil = "\"'></td></svg><script>alert(1)</script><img src=http://x/ onerror=alert(1)>&amp";
    let mut run = p2p(evil, 3.0, 1);
    run.totals.lost = 1;
    run.samples[6].errors = 4;
    (run.scenario, run.command, run.error) = (evil.to_owned(), evil.to_owned(), evil.to_owned());
    run.settings.version = evil.to_owned();
    (run.machine.cpu, run.machine.kernel) = (evil.to_owned(), evil.to_owned());
    run.samples.iter_mut().for_each(|sample| sample.phase.push_str(evil));
    vec![run.clone(), run]
}

#[test]
fn a_page_is_complete_in_itself_and_small() {
    let several = |labels: &[&str], rounds: u64| -> Vec<Outcome> {
        labels.iter().flat_map(|label| (0..rounds).map(|seed| p2p(label, 3.0, seed))).collect()
    };
    let mut long = p2p("an hour", 3.0, 1);
    long.samples = long.samples.iter().cycle().take(3_600).cloned().collect();
    // The last number is the page's size at most, in KiB.
    let cases = [
        ("one run", several(&["a"], 1), 32),
        ("three brokers", several(&["a", "b", "c"], 1), 48),
        ("rounds of one", several(&["a"], 5), 72),
        ("rounds of several", several(&["a", "b", "c"], 5), 160),
        ("an hour", vec![long], 48),
        ("nothing in it", vec![Outcome::default()], 16),
        ("hostile", hostile(), 64),
    ];
    for (name, runs, kib_max) in cases {
        let page = html(&runs).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.len() < kib_max << 10, "{name}: {} bytes", page.len());
        let elements = elements(&page).unwrap_or_else(|error| panic!("{name}: {error}"));
        let count = |tag: &str| elements.iter().filter(|(name, _)| name == tag).count();
        assert_eq!((count("script"), count("style"), count("img")), (1, 1, 0), "{name}");
        for (tag, attributes) in &elements {
            for (attribute, value) in attributes {
                let fetches = match attribute.as_str() {
                    "src" | "srcset" | "data" | "action" => true,
                    "href" => !value.starts_with('#'),
                    attribute => attribute.starts_with("on") || value.contains("url("),
                };
                assert!(!fetches, "{name}: <{tag} {attribute}=\"{value}\">");
            }
        }
        let is_plain = !page.contains("http://") && !page.contains("https://") && !page.contains("@import");
        assert!(is_plain || name == "hostile", "{name}");
        assert!(!page.contains("NaN") && !page.contains("inf "), "{name}");
    }
    assert_eq!(html(&[]), Err("no run to report".to_owned()));
}

#[test]
fn a_page_shows_every_run_and_its_graphs() {
    let mut other = p2p("beta", 6.0, 2);
    other.settings.qos = 2;
    let runs = [p2p("alpha", 3.0, 1), p2p("beta", 6.0, 2), other];
    let page = html(&runs).expect("a page");
    let elements = elements(&page).expect("markup");
    let graphs = elements.iter().filter(|(name, _)| name == "svg").count();
    // Two kinds of work; rate, latency, quantiles, CPU and memory each.
    assert_eq!((graphs, page.matches("<section").count()), (10, 2));
    for text in [
        "QoS 2 → 1",
        "<i class=\"s0\"></i>alpha",
        "<i class=\"s1\"></i>beta",
        "Made-up CPU",
        runs[0].command.as_str(),
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert_eq!(page.matches("<summary>beta: settings").count(), 2);
}
