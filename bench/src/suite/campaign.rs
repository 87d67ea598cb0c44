//! The order in which all is measured: rounds over all rows, then more rounds of those in which the machine's host did not
//! leave it alone.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;

use super::figures::rounds_of;
use super::metric::Metric;
use super::record::{Contestant, Header, Kind, Record};
use super::rows::{Row, Section};
use super::runner::Runner;

/// Seconds that a measurement takes beside its phases: broker up and down, connections, drain.
const AROUND_S: f64 = 3.0;
/// Seconds that measuring idle connections takes.
const IDLE_S: f64 = 10.0;
/// Ports are used in turn, so that none is still held by a connection of the last but one run.
const PORTS: u16 = 1000;
/// rumqttd and rmqttd take a second port beside the first.
const PORT_STEP: u16 = 4;
/// A row with percentiles gets at most so many times its rounds, to find quiet ones.
const PATIENCE: usize = 3;

/// One measurement to be done.
struct Job<'a> {
    round: usize,
    row: &'static Row,
    contestant: &'a Contestant,
}

/// A run of `results` while it measures.
pub(super) struct Campaign<'a> {
    header: &'a Header,
    runner: Runner,
    /// Gets each record as soon as it is there.
    file: File,
    base_port: u16,
    stop: Arc<AtomicBool>,
    began: Instant,
    records: Vec<Record>,
}

impl<'a> Campaign<'a> {
    pub(super) fn new(
        header: &'a Header,
        runner: Runner,
        path: &Path,
        base_port: u16,
        stop: Arc<AtomicBool>,
    ) -> Result<Campaign<'a>, String> {
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Campaign { header, runner, file, base_port, stop, began: Instant::now(), records: Vec::new() })
    }

    /// Measures everything, or until it is stopped.
    ///
    /// # Errors
    /// The file of records cannot be written. That a broker fails is in its record.
    pub(super) fn run(mut self, rows: &[&'static Row]) -> Result<Vec<Record>, String> {
        self.write(self.header)?;
        let jobs = jobs(rows, self.header);
        let total_s: f64 = jobs.iter().map(|job| estimate_s(job, self.header)).sum();
        eprintln!(
            "{} rows, {} brokers, {} measurements: about {:.0} minutes, more where the host takes time away",
            rows.len(),
            self.header.brokers.len(),
            jobs.len(),
            (total_s / 60.0).ceil()
        );
        for (number, job) in jobs.iter().enumerate() {
            self.measure(job, (number + 1, jobs.len()))?;
        }
        loop {
            let jobs = again(rows, self.header, &self.records);
            if jobs.is_empty() || self.stopped() {
                break;
            }
            eprintln!("{} measurements again: the host took time away", jobs.len());
            for (number, job) in jobs.iter().enumerate() {
                self.measure(job, (number + 1, jobs.len()))?;
            }
        }
        if self.stopped() {
            eprintln!("ended early, with {} measurements", self.records.len());
        }
        Ok(self.records)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn measure(&mut self, job: &Job<'_>, place: (usize, usize)) -> Result<(), String> {
        if self.stopped() || has_given_up(job, &self.records) {
            return Ok(());
        }
        let port = self.base_port + (self.records.len() as u16 % (PORTS / PORT_STEP)) * PORT_STEP;
        let record = self.runner.measure(job.row, job.contestant, job.round, port);
        self.write(&record)?;
        progress(job, &record, place, self.began);
        self.records.push(record);
        Ok(())
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), String> {
        let line = serde_json::to_string(line).map_err(|error| error.to_string())?;
        writeln!(self.file, "{line}").map_err(|error| format!("the file of records: {error}"))
    }
}

/// Round by round, row by row; the order of brokers moves on by one each time, so that a busy spell of the machine
/// hits all alike.
fn jobs<'a>(rows: &[&'static Row], header: &'a Header) -> Vec<Job<'a>> {
    let rounds = rows.iter().map(|row| rounds_of(row, header)).max().unwrap_or(0);
    let (mut jobs, mut turn) = (Vec::new(), 0);
    for round in 0..rounds {
        for row in rows.iter().filter(|row| round < rounds_of(row, header)) {
            let mut field: Vec<_> =
                header.brokers.iter().filter(|broker| row.field.has(broker.kind)).collect();
            if field.is_empty() {
                continue;
            }
            let count = field.len();
            field.rotate_left(turn % count);
            turn += 1;
            jobs.extend(field.into_iter().map(|contestant| Job { round, row, contestant }));
        }
    }
    jobs
}

/// One more round of the rows with percentiles, for those brokers that have not enough quiet ones: a tail that the host
/// makes says nothing of a broker.
fn again<'a>(rows: &[&'static Row], header: &'a Header, records: &[Record]) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for row in rows.iter().filter(|row| row.section == Section::Latency && !header.quick) {
        let wanted = rounds_of(row, header);
        for contestant in header.brokers.iter().filter(|broker| row.field.has(broker.kind)) {
            let runs: Vec<_> = records.iter().filter(|one| one.is_of(row, &contestant.name)).collect();
            let quiet = runs.iter().filter(|run| run.is_quiet()).count();
            // Who always fails, fails on a quiet machine too.
            let is_able = runs.iter().any(|run| run.trouble().is_empty());
            let job = Job { round: runs.len(), row, contestant };
            let is_wanted = quiet < wanted && runs.len() < wanted * PATIENCE;
            if is_able && is_wanted && !has_given_up(&job, records) {
                jobs.push(job);
            }
        }
    }
    // The order moves on here too.
    let count = jobs.len().max(1);
    jobs.rotate_left(records.len() % count);
    jobs
}

/// A peer that has come to no result in a row once would only be waited for again.
fn has_given_up(job: &Job<'_>, records: &[Record]) -> bool {
    let is_same = |record: &&Record| record.is_of(job.row, &job.contestant.name);
    job.contestant.kind == Kind::Peer && records.iter().filter(is_same).any(|record| !record.error.is_empty())
}

fn estimate_s(job: &Job<'_>, header: &Header) -> f64 {
    match job.row.section {
        Section::Idle if !header.quick => IDLE_S,
        Section::Idle => AROUND_S,
        _ if header.quick => header.warmup_s + header.duration_s + AROUND_S / 2.0,
        _ => header.warmup_s + header.duration_s + AROUND_S + job.contestant.prime_s,
    }
}

fn progress(job: &Job<'_>, record: &Record, (done, all): (usize, usize), began: Instant) {
    let spent = began.elapsed().as_secs_f64() / 60.0;
    let figure = |metric: Metric| {
        metric.of(record).map_or(String::new(), |value| format!("  {} {}", metric.show(value), metric.name()))
    };
    let trouble = record.trouble();
    let figures = match job.row.section {
        Section::Idle => [Metric::BytesPerConnection, Metric::ConnectsPerSecond].map(figure).concat(),
        Section::Latency => [Metric::CpuUs, Metric::P99, Metric::Stolen].map(figure).concat(),
        _ => [Metric::CpuUs, Metric::Rate].map(figure).concat(),
    };
    let trouble = if trouble.is_empty() { trouble } else { format!("  FAILED: {trouble}") };
    eprintln!(
        "[{done}/{all}, {spent:.0} min] round {} {:<12} {:<18}{figures}{trouble}",
        job.round + 1,
        job.row.name,
        job.contestant.name,
    );
}

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;

    fn broker(name: &str, kind: Kind) -> Contestant {
        Contestant { name: name.to_owned(), kind, ..Contestant::default() }
    }

    fn three() -> Header {
        let brokers = vec![broker("r", Kind::Relay), broker("m", Kind::Millrace), broker("p", Kind::Peer)];
        Header { rounds: 3, brokers, ..Header::default() }
    }

    fn row(name: &str) -> &'static Row {
        ROWS.iter().find(|row| row.name == name).expect("a row")
    }

    fn record(row: &Row, broker: &str) -> Record {
        Record { row: row.name.to_owned(), at: row.at, broker: broker.to_owned(), ..Record::default() }
    }

    #[test]
    fn every_round_has_every_row_and_the_order_of_brokers_moves_on() {
        let header = three();
        let rows = [row("p2p_q0"), row("rate_q1")];
        let jobs = jobs(&rows, &header);
        let of = |name: &str| jobs.iter().filter(|job| job.row.name == name).count();
        // Percentiles have five rounds of their own.
        assert_eq!((of("p2p_q0"), of("rate_q1")), (9, 15));
        let order: String = jobs.iter().map(|job| job.contestant.name.as_str()).collect();
        assert_eq!(order, "rmpmprprmrmpmprprmrmpmpr");
        assert!(jobs.is_sorted_by_key(|job| job.round));
        let quick = Header { quick: true, ..three() };
        assert_eq!(super::jobs(&rows, &quick).len(), 6);
    }

    #[test]
    fn only_a_peer_without_a_result_is_given_up() {
        let (header, row) = (three(), &ROWS[0]);
        for (at, error, expected) in [(2, "no end", true), (2, "", false), (1, "no end", false)] {
            let contestant = &header.brokers[at];
            let record = Record { error: error.to_owned(), ..record(row, &contestant.name) };
            let job = Job { round: 1, row, contestant };
            assert_eq!(has_given_up(&job, &[record]), expected, "{} {error}", contestant.name);
            assert!(!has_given_up(&job, &[]));
        }
    }

    #[test]
    fn who_has_been_given_up_is_not_asked_again() {
        let row = row("rate_q1");
        for (kind, expected) in [(Kind::Peer, 0), (Kind::Millrace, 1)] {
            let header = Header { brokers: vec![broker("b", kind)], ..three() };
            // It had a figure before; nothing would ever be added to its rounds.
            let failed = Record { error: "no end".to_owned(), ..record(row, "b") };
            let records = [record(row, "b"), failed];
            assert_eq!(again(&[row], &header, &records).len(), expected, "{kind:?}");
        }
    }

    #[test]
    fn percentiles_are_measured_again_until_there_are_enough_quiet_rounds() {
        let rows = [row("p2p_q0"), row("rate_q1")];
        let header = Header { brokers: vec![broker("m", Kind::Millrace)], ..three() };
        let runs = |quiet: usize, stolen: usize, bad: usize| {
            let run = |row: &Row, stolen, lost| {
                let mut run = record(row, "m");
                run.outcome.stolen = Some(stolen);
                run.outcome.totals.lost = lost;
                run
            };
            let mut runs = vec![run(rows[0], 0.5, 0)];
            runs.extend((0..quiet).map(|_| run(rows[1], 0.0, 0)));
            runs.extend((0..stolen).map(|_| run(rows[1], 0.1, 0)));
            runs.extend((0..bad).map(|_| run(rows[1], 0.0, 1)));
            runs
        };
        let cases = [
            ("quiet", (5, 0, 0), 0),
            ("one is missing", (4, 1, 0), 1),
            ("a failed one is none", (4, 0, 1), 1),
            ("all fail", (0, 0, 5), 0),
            ("enough", (5, 9, 0), 0),
            ("never quiet", (1, 14, 0), 0),
            ("not yet given up", (1, 13, 0), 1),
        ];
        for (name, (quiet, stolen, bad), expected) in cases {
            let jobs = again(&rows, &header, &runs(quiet, stolen, bad));
            assert_eq!(jobs.len(), expected, "{name}");
            assert!(jobs.iter().all(|job| job.row.name == "rate_q1"), "{name}");
            assert!(
                again(&rows, &Header { quick: true, ..header.clone() }, &runs(quiet, stolen, bad)).is_empty()
            );
        }
    }
}
