//! The line on standard error while a run goes on: rewritten in place on a terminal, else a line for each sample.

use std::io::{self, IsTerminal, Write};

use crate::load::plan::Phases;
use crate::outcome::Sample;
use crate::report::text::{count, micros, number};

/// Shows samples.
#[derive(Debug)]
pub(super) struct Progress {
    quiet: bool,
    terminal: bool,
    /// Stands before each line.
    label: String,
    /// Seconds of warm-up and measured seconds; none for a run of a fixed number.
    lasts_s: Option<f64>,
    /// When messages began to flow, as samples count.
    began_s: Option<f64>,
    errors: u64,
}

impl Progress {
    pub(super) fn new(quiet: bool, label: &str, phases: &Phases) -> Progress {
        let lasts_s = phases.count.is_none().then_some(phases.warmup_s + phases.duration_s);
        let terminal = io::stderr().is_terminal();
        Progress { quiet, terminal, label: label.to_owned(), lasts_s, began_s: None, errors: 0 }
    }

    pub(super) fn show(&mut self, sample: &Sample) {
        let line = self.line(sample);
        if self.quiet {
            return;
        }
        // Progress is for people; nobody to show it to is no failure.
        let _ = match self.terminal {
            true => write!(io::stderr(), "\r\x1b[K{line}"),
            false => writeln!(io::stderr(), "{line}"),
        };
    }

    /// Something to know beside the samples.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            let start = if self.terminal { "\r\x1b[K" } else { "" };
            let _ = writeln!(io::stderr(), "{start}{}: {text}", self.label);
        }
    }

    /// Leaves the terminal as it should be for what is printed next.
    pub(super) fn end(&self) {
        if !self.quiet && self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn line(&mut self, sample: &Sample) -> String {
        self.errors += sample.errors;
        let mut line = format!("{}: {:<7}", self.label, sample.phase);
        if sample.phase == "connect" {
            line += &format!(" {:>6.1} s", sample.at_s);
        } else {
            let began = *self.began_s.get_or_insert(sample.at_s - sample.seconds);
            line += &format!(" {:>6.1}", sample.at_s - began);
            line += &self.lasts_s.map_or(" s".to_owned(), |lasts| format!("/{lasts:.1} s"));
            let messages = if sample.delivered > 0 { sample.delivered } else { sample.acknowledged };
            let rate = if sample.seconds > 0.0 { messages as f64 / sample.seconds } else { 0.0 };
            line += &format!("  {} msg/s", number(rate));
            if messages > 0 {
                let (p50, p99) = (micros(sample.p50_us as f64), micros(sample.p99_us as f64));
                line += &format!("  p50 {p50}  p99 {p99}");
            }
        }
        line += &format!("  {} connections", count(sample.connections));
        if sample.broker_cores > 0.0 {
            line += &format!("  broker {:.2} cores", sample.broker_cores);
        }
        if self.errors > 0 {
            line += &format!("  {} errors", count(self.errors));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let phases = Phases { settle_s: 0.5, warmup_s: 1.0, duration_s: 10.0, count: None, drain_s: 1.0 };
        let mut progress = Progress::new(true, "millrace", &phases);
        let sample = |phase: &str, at_s, delivered, errors| Sample {
            at_s,
            seconds: 1.0,
            phase: phase.to_owned(),
            delivered,
            acknowledged: 7,
            p50_us: 90,
            p99_us: 1_234,
            connections: 1_000,
            errors,
            ..Sample::default()
        };
        let cases = [
            (sample("connect", 1.0, 0, 0), "millrace: connect    1.0 s  1,000 connections"),
            (
                sample("warmup", 2.6, 123_456, 0),
                "millrace: warmup     1.0/11.0 s  123,456 msg/s  p50 90.0 µs  p99 1.23 ms  1,000 connections",
            ),
            (
                sample("measure", 3.6, 0, 2),
                "millrace: measure    2.0/11.0 s  7.00 msg/s  p50 90.0 µs  p99 1.23 ms  1,000 connections  2 errors",
            ),
            (
                sample("drain", 12.6, 5, 1),
                "millrace: drain     11.0/11.0 s  5.00 msg/s  p50 90.0 µs  p99 1.23 ms  1,000 connections  3 errors",
            ),
        ];
        for (sample, expected) in cases {
            assert_eq!(progress.line(&sample), expected);
        }
    }
}
