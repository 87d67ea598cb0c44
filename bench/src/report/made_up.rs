//! Plausible runs for tests, made from a seed.

use crate::outcome::{Latency, Machine, Outcome, Sample, Settings, Totals, Usage};
use crate::random::Random;

/// A p2p run of 250 pairs at QoS 1 for 10 s, good in every respect. `cost` is the broker's CPU µs a message, which
/// also decides its rate and latency.
pub(super) fn p2p(label: &str, cost: f64, seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let mut noise = move |amount: f64| 1.0 + amount * (random.fraction() - 0.5);
    let settings = Settings {
        version: "3.1.1".to_owned(),
        qos: 1,
        subscribe_qos: 1,
        size: 128,
        publishers: 250,
        subscribers: 250,
        window: 8,
        warmup_s: 2.0,
        duration_s: 10.0,
        threads: 1,
        processes: 1,
        seed,
        ..Settings::default()
    };
    let rate = 900_000.0 / (cost + 4.0) * noise(0.02);
    let typical = 2_000.0 / rate * 1e6;
    let delivered = (rate * 10.0) as u64;
    let cpu_s = cost * noise(0.04) * delivered as f64 / 1e6;
    let samples = (0..14).map(|second| {
        let phase = ["connect", "warmup", "measure", "drain"]
            [[0, 1, 3, 13].iter().filter(|at| second >= **at).count() - 1];
        let count = if phase == "connect" || phase == "drain" { 0 } else { (rate * noise(0.1)) as u64 };
        let us = |factor: f64, noise: f64| if count == 0 { 0 } else { (typical * factor * noise) as u64 };
        Sample {
            at_s: f64::from(second + 1),
            seconds: 1.0,
            phase: phase.to_owned(),
            sent: count,
            acknowledged: count,
            delivered: count,
            p50_us: us(0.9, noise(0.1)),
            p99_us: us(2.5, noise(0.4)),
            max_us: us(6.0, noise(1.2)),
            connections: 500,
            errors: 0,
            broker_cores: if count == 0 { 0.01 } else { cost * count as f64 / 1e6 },
            broker_rss: (6e6 + 3e5 * f64::from(second)) as u64,
            generator_cores: if count == 0 { 0.01 } else { 0.9 },
        }
    });
    let samples = samples.collect();
    Outcome {
        format: 1,
        label: label.to_owned(),
        scenario: "p2p".to_owned(),
        command: "millrace-bench p2p --qos 1 --count 250 --broker 127.0.0.1:1883".to_owned(),
        started_unix_ms: 1_764_000_000_000 + seed * 60_000,
        machine: Machine {
            cores: 2,
            cpu: "Made-up CPU".to_owned(),
            kernel: "Linux 6.1".to_owned(),
            memory_bytes: 8 << 30,
        },
        settings,
        totals: Totals {
            seconds: 10.0,
            sent: delivered,
            acknowledged: delivered,
            delivered,
            connected: 500,
            connect_seconds: 0.05,
            payload_sent: 128 * delivered,
            payload_delivered: 128 * delivered,
            ..Totals::default()
        },
        latency: tailed(typical, delivered),
        connect_latency: tailed(300.0, 500),
        generator: Usage { user_s: 4.0, system_s: 4.9, threads: 1, alive: true, ..Usage::default() },
        broker: Some(Usage {
            user_s: cpu_s * 0.4,
            system_s: cpu_s * 0.6,
            voluntary_switches: delivered / 40,
            involuntary_switches: delivered / 900,
            rss_before: 5_000_000,
            rss: 9_000_000,
            rss_peak: 9_500_000,
            rss_after: 6_000_000,
            threads: 3,
            alive: true,
            ..Usage::default()
        }),
        samples,
        held: None,
        stolen: None,
        error: String::new(),
    }
}

/// A distribution around `typical` µs whose tail thins out tenfold each time the value doubles.
pub(super) fn tailed(typical: f64, count: u64) -> Latency {
    let mut counts = Vec::new();
    let (mut left, mut value) = (count, typical * 0.4);
    while left > 0 {
        // 10 % steps up to the typical value, then a constant share of what is left.
        let take = if value < typical { left / 8 } else { left * 28 / 100 };
        let take = take.clamp(1, left);
        counts.push((value as u64, take));
        (left, value) = (left - take, value * 1.1);
    }
    Latency { counts }
}
