//! What a run of `results` writes down beside RESULTS.md, from which the document can be made again: JSON lines, a
//! [`Header`] and then a [`Record`] for each measurement.

use std::cmp::Ordering;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::rows::Row;
use crate::outcome::{Machine, Outcome};

/// Behind by more than this share of what the rate asked for, a broker has not kept up.
const BEHIND: f64 = 0.01;
/// Share of the machine's CPU time that its host may take in a quiet round. At this share the 99th
/// percentile is free of what it takes, the 99.9th is not.
const QUIET: f64 = 0.002;
/// CPU used by others on this machine beyond which a measurement was disturbed, in cores.
pub(super) const DISTURBED: f64 = 0.1;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Header {
    /// Version of this file: 1.
    pub format: u32,
    /// The command line that repeats it.
    pub command: String,
    pub started_unix_ms: u64,
    pub machine: Machine,
    /// Files a process may have open.
    pub descriptors: u64,
    pub rounds: usize,
    pub duration_s: f64,
    pub warmup_s: f64,
    /// A smoke run: its figures mean nothing.
    pub quick: bool,
    pub brokers: Vec<Contestant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Relay,
    Millrace,
    /// Millrace with a hook on what is published.
    Hooked,
    #[default]
    Peer,
}

/// A broker that is measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Contestant {
    pub name: String,
    pub kind: Kind,
    pub version: String,
    /// `{port}`, `{data}` (an empty folder) and `{version}` (of MQTT) are filled in.
    pub command: String,
    /// Threads it serves clients with; 0: its own choice.
    pub cores: usize,
    /// Seconds of the same load before what is measured, for those that compile themselves meanwhile.
    pub prime_s: f64,
    /// It does not speak MQTT 5.0.
    pub only_v3: bool,
}

/// One measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    pub row: String,
    /// Where on its curve.
    pub at: u64,
    pub broker: String,
    pub round: usize,
    /// Broker and generator had a CPU each.
    pub apart: bool,
    /// CPU that anything else on this machine used meanwhile, in cores.
    pub other_cores: f64,
    /// How long the log's `fdatasync` took, in µs, of a broker with hooks.
    pub sync: Option<Sync>,
    /// Why there is no outcome.
    pub error: String,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sync {
    pub records: u64,
    /// Each written and synced as one.
    pub groups: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

impl Record {
    pub(super) fn is_of(&self, row: &Row, broker: &str) -> bool {
        (self.row.as_str(), self.at, self.broker.as_str()) == (row.name, row.at, broker)
    }

    /// Something else on this machine used it meanwhile.
    pub(super) fn is_disturbed(&self) -> bool {
        self.other_cores > DISTURBED
    }

    /// A good run that others left alone, here and on the host.
    pub(super) fn is_quiet(&self) -> bool {
        self.trouble().is_empty() && !self.is_disturbed() && self.outcome.stolen.unwrap_or(0.0) <= QUIET
    }

    /// The quieter first.
    pub(super) fn by_quiet(&self, other: &Record) -> Ordering {
        let stolen = |record: &Record| record.outcome.stolen.unwrap_or(0.0);
        let both = self.is_disturbed().cmp(&other.is_disturbed());
        both.then_with(|| stolen(self).total_cmp(&stolen(other)))
    }

    /// What was wrong, in words; empty: all came once, in order, and in time.
    pub(super) fn trouble(&self) -> String {
        if !self.error.is_empty() {
            return self.error.clone();
        }
        let totals = &self.outcome.totals;
        let counts = [
            (totals.lost, "lost"),
            (totals.repeated, "repeated"),
            (totals.reordered, "reordered"),
            (totals.foreign, "foreign"),
            (totals.stalls, "stalls"),
            (totals.refused, "refused"),
            (totals.unexpected, "unexpected"),
            (totals.disconnects, "disconnects"),
            (totals.connect_failed, "failed to connect"),
        ];
        let mut words: Vec<_> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let asked = self.outcome.settings.rate.unwrap_or(0.0) * totals.seconds;
        if totals.behind as f64 > asked * BEHIND {
            words.push(format!("{} behind the rate", totals.behind));
        }
        if self.outcome.broker.as_ref().is_some_and(|usage| !usage.alive) {
            words.push("the broker ended".to_owned());
        }
        if !self.outcome.error.is_empty() {
            words.push(self.outcome.error.clone());
        }
        words.join(", ")
    }
}

/// Reads such a file.
///
/// # Errors
/// It is not there, or not such a file; the text says which line.
pub(super) fn read(path: &Path) -> Result<(Header, Vec<Record>), String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut lines = text.lines().enumerate();
    let wrong = |line: usize, error: serde_json::Error| format!("{}:{}: {error}", path.display(), line + 1);
    let (_, first) = lines.next().ok_or_else(|| format!("{}: empty", path.display()))?;
    let header: Header = serde_json::from_str(first).map_err(|error| wrong(0, error))?;
    if header.format != 1 {
        return Err(format!("{}: not a file of `results` that this version knows", path.display()));
    }
    let records =
        lines.map(|(number, line)| serde_json::from_str(line).map_err(|error| wrong(number, error)));
    Ok((header, records.collect::<Result<_, _>>()?))
}
