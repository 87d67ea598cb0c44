//! Tallies and samples of several processes against naive sums.

use super::*;
use crate::load::plan::{Connect, Group, Pace, Phases, Publish};
use crate::random::Random;

fn plan(receivers: &[u64]) -> Plan {
    let publish = |receivers| Publish {
        streams: 10,
        of: 10,
        topic: "t/{n}".to_owned(),
        qos: 1,
        retain: false,
        size: 24,
        pace: Pace::Window(1),
        receivers,
        receivers_here: true,
    };
    let group = |&receivers: &u64| Group {
        name: "p".to_owned(),
        first: 0,
        count: 10,
        subscribe: Vec::new(),
        publish: Some(publish(receivers)),
        reconnect_s: None,
    };
    Plan {
        broker: ([127, 0, 0, 1], 1).into(),
        sources: Vec::new(),
        level: 4,
        run: 1,
        seed: 1,
        threads: 1,
        connect: Connect { at_once: 1, rate: None, timeout_s: 1.0, keep_alive_s: 0, clean: true },
        groups: receivers.iter().map(group).collect(),
        phases: Phases { settle_s: 0.0, warmup_s: 0.0, duration_s: 1.0, count: None, drain_s: 0.0 },
        sample_s: 1.0,
    }
}

#[test]
fn lost_is_counted_by_stream() {
    let tally = |sent: &[(usize, usize, u64)], arrived: &[(usize, usize, u64)], unacknowledged| Tally {
        sent: sent.to_vec(),
        arrived: arrived.to_vec(),
        unacknowledged,
        ..Tally::default()
    };
    let plan = plan(&[1, 3, 0]);
    let cases = [
        ("all came", vec![tally(&[(0, 1, 5)], &[(0, 1, 5)], 0)], 0),
        ("sent here, came there", vec![tally(&[(0, 1, 5)], &[], 0), tally(&[], &[(0, 1, 5)], 0)], 0),
        ("two of five", vec![tally(&[(0, 1, 5)], &[(0, 1, 3)], 0)], 2),
        ("nothing came", vec![tally(&[(0, 1, 5)], &[], 0)], 5),
        (
            "to three, in two processes",
            vec![tally(&[(1, 0, 4)], &[(1, 0, 7)], 0), tally(&[], &[(1, 0, 4)], 0)],
            1,
        ),
        (
            "one too many makes up for nothing",
            vec![tally(&[(0, 1, 5), (0, 2, 5)], &[(0, 1, 6), (0, 2, 4)], 0)],
            1,
        ),
        ("nobody hears", vec![tally(&[(2, 0, 9)], &[], 2)], 2),
    ];
    for (name, tallies, expected) in cases {
        assert_eq!(super::tallies(&plan, &tallies).totals.lost, expected, "{name}");
    }
}

#[test]
fn sums_are_those_of_a_naive_count() {
    let mut random = Random::new(3);
    for _ in 0..200 {
        let mut messages = Vec::new();
        let tallies: Vec<Tally> = (0..1 + random.next() % 5)
            .map(|_| {
                let mut tally = Tally::default();
                for _ in 0..random.next() % 20 {
                    let us = random.next() % 7;
                    messages.push(us);
                    let counts = &mut tally.latency.counts;
                    match counts.binary_search_by_key(&us, |&(us, _)| us) {
                        Ok(at) => counts[at].1 += 1,
                        Err(at) => counts.insert(at, (us, 1)),
                    }
                    tally.totals.delivered += 1;
                    tally.totals.behind += us;
                }
                tally.totals.seconds = (random.next() % 10) as f64;
                tally
            })
            .collect();
        let all = super::tallies(&plan(&[1]), &tallies);
        messages.sort_unstable();
        let unfolded = all.latency.counts.iter().flat_map(|&(us, count)| (0..count).map(move |_| us));
        assert_eq!(unfolded.collect::<Vec<_>>(), messages);
        assert_eq!(all.totals.delivered, messages.len() as u64);
        assert_eq!(all.totals.behind, messages.iter().sum::<u64>());
        assert_eq!(all.totals.seconds, tallies.iter().map(|tally| tally.totals.seconds).fold(0.0, f64::max));
    }
}

fn sample(phase: &str, at_s: f64, delivered: u64, connections: u64) -> (Sample, Latency) {
    let phase = phase.to_owned();
    let sample = Sample { phase, at_s, seconds: 1.0, delivered, connections, ..Sample::default() };
    (sample, Latency { counts: vec![(delivered.max(1), delivered)] })
}

#[test]
fn samples_of_all_become_one() {
    let mut samples = Samples::new(2);
    let mut made = Vec::new();
    let mut add = |samples: &mut Samples, worker, (sample, latency)| {
        samples.add(worker, sample, latency).into_iter().map(|(sample, _)| sample).collect::<Vec<_>>()
    };
    made.extend(add(&mut samples, 0, sample("connect", 1.0, 0, 10)));
    assert!(made.is_empty(), "one of two");
    made.extend(add(&mut samples, 1, sample("connect", 1.1, 0, 5)));
    // The second is ready and waits; the first goes on connecting.
    samples.waits(1, true);
    made.extend(add(&mut samples, 0, sample("connect", 2.0, 0, 20)));
    made.extend(add(&mut samples, 0, sample("connect", 3.0, 0, 30)));
    samples.waits(1, false);
    made.extend(add(&mut samples, 0, sample("connect", 3.5, 0, 30)));
    made.extend(add(&mut samples, 1, sample("connect", 3.5, 0, 5)));
    samples.reached(0, Phase::Measure);
    made.extend(add(&mut samples, 0, sample("measure", 4.5, 3, 30)));
    samples.reached(1, Phase::Measure);
    made.extend(add(&mut samples, 1, sample("measure", 4.6, 4, 4)));
    made.extend(add(&mut samples, 1, sample("measure", 5.6, 9, 4)));
    assert_eq!(made.last().map(|sample| sample.delivered), Some(7), "the other has not given its second");
    made.extend(samples.ended(0).into_iter().map(|(sample, _)| sample));
    let seen: Vec<_> = made
        .iter()
        .map(|sample| (sample.phase.as_str(), sample.at_s, sample.delivered, sample.connections))
        .collect();
    assert_eq!(
        seen,
        [
            ("connect", 1.1, 0, 15),
            ("connect", 2.0, 0, 25),
            ("connect", 3.0, 0, 35),
            ("connect", 3.5, 0, 35),
            ("measure", 4.6, 7, 34),
            ("measure", 5.6, 9, 34),
        ]
    );
    assert_eq!(made[4].max_us, 4);
}
