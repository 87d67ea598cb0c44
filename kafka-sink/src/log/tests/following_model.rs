//! Reading by sequence beside a log that grows, rolls, fails, restarts and shrinks.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::follow::Follow;
use super::super::sim::{Fault, Random};
use super::following::{drain, follow, numbered, numbered_batch};
use super::*;

/// A follower that goes on and one that jumps, beside a log to which everything happens: what they
/// get is what was acknowledged, and only what retention took is missing.
#[test]
fn whatever_happens_to_the_log_what_was_acknowledged_is_read() {
    let (mut failures, mut gaps_met, mut restarts) = (0, 0, 0);
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let fs = SimFs::new(seed);
        let retention_bytes = if random.one_in(2) { u64::MAX } else { 30 * 1024 };
        let segment_bytes = 4096 + 512 * (4 + random.below(12));
        let config = LogConfig { segment_bytes, retention_bytes, ..config() };
        let (mut writer, _) = open(&fs, config.clone()).expect("opens");
        let mut bounds = BTreeSet::from([0]);
        let (mut steady, mut jumping) = (follow(&fs), follow(&fs));
        let mut at = 0;
        for _ in 0..80 {
            let durable = writer.next_sequence();
            let context = format!("seed {seed}, durable {durable}");
            match random.below(10) {
                0..5 => {
                    let group = [numbered_batch(durable, "s", 1 + random.below(9))];
                    while writer.append_group(NOW, &group, &[]).is_err() {
                        failures += 1;
                        at = check(&fs, &mut steady, at, durable, 1, &bounds, &mut gaps_met, &context);
                    }
                    bounds.insert(writer.next_sequence());
                }
                5 => fs.fail_at(fs.operations() + random.below(8), Fault::Io),
                6 if random.one_in(4) => {
                    restarts += 1;
                    if random.one_in(2) {
                        let _ = writer.close();
                    }
                    drop(writer);
                    writer = loop {
                        if let Ok((writer, _)) = open(&fs, config.clone()) {
                            break writer;
                        }
                    };
                    assert_eq!(writer.next_sequence(), durable, "{context}");
                }
                6..8 => {
                    let bytes_max = random.below(2000) as usize;
                    at = check(&fs, &mut steady, at, durable, bytes_max, &bounds, &mut gaps_met, &context);
                }
                _ => {
                    let from = random.below(durable + 2);
                    let to = if random.one_in(2) { durable } else { random.below(durable + 1) };
                    let bytes_max = random.below(2000) as usize;
                    check(&fs, &mut jumping, from, to, bytes_max, &bounds, &mut gaps_met, &context);
                }
            }
        }
        let durable = writer.next_sequence();
        at = check(&fs, &mut steady, at, durable, 1, &bounds, &mut gaps_met, "the end");
        assert_eq!(at, durable);
    }
    assert!(failures > 100 && gaps_met > 100 && restarts > 100, "{failures} {gaps_met} {restarts}");
}

#[expect(clippy::too_many_arguments, reason = "the model's state")]
fn check(
    fs: &SimFs,
    follow: &mut Follow,
    from: u64,
    durable: u64,
    bytes_max: usize,
    bounds: &BTreeSet<u64>,
    gaps_met: &mut usize,
    context: &str,
) -> u64 {
    let (records, gaps, end) = drain(follow, from, durable, bytes_max);
    *gaps_met += gaps.len();
    let lost: BTreeSet<u64> = gaps.iter().cloned().flatten().collect();
    let expected = numbered(from..end.max(from)).into_iter().filter(|(sequence, _)| !lost.contains(sequence));
    assert!(records.iter().cloned().eq(expected), "{context}: {records:?}, {gaps:?}");
    // As far as whole groups, or what is gone, go.
    let reached = bounds.range(..=durable).next_back().copied().unwrap_or(0).max(from);
    let reached = if lost.contains(&reached) { durable } else { reached };
    assert_eq!(end, reached, "{context}: from {from} to {durable}");
    if let Some(last) = gaps.last() {
        let (_, gone, _) = drain(&mut Follow::open(fs.handle(), PathBuf::from(DIR)), 0, durable, 1);
        assert_eq!(gone.len(), 1, "{context}: {gone:?}");
        assert!(last.end <= gone[0].end, "{context}: {gaps:?} and {gone:?}");
    }
    end.max(from)
}
