//! `millrace-bench results`: the one command that makes RESULTS.md, tables and graphs, from one run against the
//! relay, Millrace and every installed peer.
//!
//! Rows are data ([`rows`]); [`runner`] measures one of them against one broker by starting this program as a child;
//! [`record`] is what is kept of it; [`figures`] are medians, ratios and verdicts; [`render`] writes them down.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use rustix::process::{Resource, getrlimit};

use figures::Figures;
use record::{Contestant, Header, Kind, Record};
use rows::{Field, ROWS, Row, Section};
use runner::Runner;

mod contestants;
mod figures;
mod metric;
mod record;
mod render;
mod rows;
mod runner;

/// Seconds that a measurement takes beside its phases: broker up and down, connections, drain.
const AROUND_S: f64 = 3.0;
/// Seconds that measuring idle connections takes.
const IDLE_S: f64 = 10.0;
/// Ports are used in turn, so that none is still held by a connection of the last but one run.
const PORTS: u16 = 1000;
/// rumqttd and rmqttd take a second port beside the first.
const PORT_STEP: u16 = 4;

/// Measure Millrace beside the bare relay and every installed peer, and write RESULTS.md
///
/// Every measurement gets a broker of its own, freshly started; rounds go over all rows, and the order of brokers
/// moves on by one each time. A peer that has come to no result in a row is not tried in it again. All runs go to `results/runs.jsonl` beside the document, line by line, from which
/// `--from` renders again without measuring. Nothing else should run on the machine: what does is measured and named.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace-bench peers install && millrace-bench results
  millrace-bench results --rounds 5 --only p2p_q1,rate_q1 --brokers relay-1,millrace-1,mosquitto --out /tmp/r/R.md
  millrace-bench results --from bench/results/runs.jsonl
  millrace-bench results --quick --out /tmp/r/RESULTS.md")]
pub(crate) struct ResultsArgs {
    /// The document; graphs and runs go into the folder `results` beside it
    #[arg(long, value_name = "FILE", default_value = "bench/RESULTS.md")]
    out: PathBuf,
    /// Render what an earlier run has written, and measure nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rounds", "duration", "quick", "only", "brokers"])]
    from: Option<PathBuf>,
    /// Where peers are installed [default: the folder of `millrace-bench peers`]
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Millrace's program [default: the millrace beside this executable]
    #[arg(long, value_name = "FILE")]
    millrace: Option<PathBuf>,
    /// Rounds over all rows; those with percentiles get at least 5
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Measured seconds of a measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    duration: f64,
    /// Seconds of load before them
    #[arg(long, value_name = "SECONDS", default_value_t = 1.5, value_parser = seconds)]
    warmup: f64,
    /// Only these rows, or rows that begin so
    #[arg(long, value_name = "ROW,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Only these brokers, such as relay-1, millrace-2, mosquitto
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    brokers: Vec<String>,
    /// First of the ports at 127.0.0.1 that brokers are given in turn
    #[arg(long, value_name = "PORT", default_value_t = 24_000, value_parser = clap::value_parser!(u16).range(1024..=64_000))]
    base_port: u16,
    /// A smoke run of a minute or two: few clients, half a second, one round, no peers unless named
    #[arg(long)]
    quick: bool,
    /// Print rows and brokers, and measure nothing
    #[arg(long)]
    list: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3_600.0).contains(&seconds) => Ok(seconds),
        _ => Err("seconds from 0.1 to 3600".to_owned()),
    }
}

/// One measurement to be done.
struct Job<'a> {
    round: usize,
    row: &'static Row,
    contestant: &'a Contestant,
}

/// Whether something was measured in every row that has to be (no: some broker of ours failed everywhere).
pub(crate) fn run(args: &ResultsArgs) -> Result<bool, String> {
    if let Some(from) = &args.from {
        let (header, records) = record::read(from)?;
        return write(args, &header, &records);
    }
    let header = header(args)?;
    let rows = chosen_rows(args)?;
    if args.list {
        for row in rows {
            println!("{:<14} {}", row.name, if args.quick { row.quick } else { row.args });
        }
        for broker in &header.brokers {
            println!("{:<18} {}  {}", broker.name, broker.version, broker.command);
        }
        return Ok(true);
    }
    let jobs = jobs(&rows, &header);
    let total_s: f64 = jobs.iter().map(|job| estimate_s(job, &header)).sum();
    eprintln!(
        "{} rows, {} brokers, {} measurements: about {:.0} minutes",
        rows.len(),
        header.brokers.len(),
        jobs.len(),
        (total_s / 60.0).ceil()
    );
    let stop = interrupt()?;
    let folder = folder(args)?;
    let path = folder.join("runs.jsonl");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::create(&path).map_err(failed)?;
    let mut write_line = |line: serde_json::Result<String>| match line {
        Ok(line) => writeln!(file, "{line}").map_err(failed),
        Err(error) => Err(error.to_string()),
    };
    write_line(serde_json::to_string(&header))?;
    let runner = Runner {
        generator: env::current_exe().map_err(|error| format!("this program's own path: {error}"))?,
        duration_s: header.duration_s,
        warmup_s: header.warmup_s,
        quick: args.quick,
        millrace: contestants::millrace(args.millrace.as_deref())?,
    };
    let (mut records, began) = (Vec::new(), Instant::now());
    for (number, job) in jobs.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            eprintln!("ended early: {number} of {} measurements", jobs.len());
            break;
        }
        if has_given_up(job, &records) {
            continue;
        }
        let port = args.base_port + (number as u16 % (PORTS / PORT_STEP)) * PORT_STEP;
        let record = runner.measure(job.row, job.contestant, job.round, port);
        write_line(serde_json::to_string(&record))?;
        progress(job, &record, (number + 1, jobs.len()), began);
        records.push(record);
    }
    write(args, &header, &records)
}

fn header(args: &ResultsArgs) -> Result<Header, String> {
    let mut brokers = contestants::all(args.millrace.as_deref(), args.peers.as_deref())?;
    for name in &args.brokers {
        if !brokers.iter().any(|broker| broker.name == *name) {
            let names: Vec<_> = brokers.iter().map(|broker| broker.name.as_str()).collect();
            return Err(format!("no broker `{name}`; there are {}", names.join(", ")));
        }
    }
    // A smoke run shows that all parts work; peers would make it long.
    brokers.retain(|broker| match args.brokers.is_empty() {
        true => !args.quick || broker.kind != Kind::Peer,
        false => args.brokers.contains(&broker.name),
    });
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Header {
        format: 1,
        command: env::args().skip(1).fold("millrace-bench".to_owned(), |line, word| format!("{line} {word}")),
        started_unix_ms: started.as_millis() as u64,
        machine: crate::process::machine::this(),
        descriptors: getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX),
        rounds: if args.quick { 1 } else { args.rounds.into() },
        duration_s: if args.quick { 0.5 } else { args.duration },
        warmup_s: if args.quick { 0.2 } else { args.warmup },
        quick: args.quick,
        brokers,
    })
}

fn chosen_rows(args: &ResultsArgs) -> Result<Vec<&'static Row>, String> {
    for name in &args.only {
        if !ROWS.iter().any(|row| row.name.starts_with(name.as_str())) {
            let mut names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
            names.dedup();
            return Err(format!("no row `{name}`; there are {}", names.join(", ")));
        }
    }
    let wanted = |row: &&Row| {
        let only = args.only.is_empty() || args.only.iter().any(|name| row.name.starts_with(name.as_str()));
        only && (!args.quick || !row.quick.is_empty())
    };
    Ok(ROWS.iter().filter(wanted).collect())
}

/// Round by round, row by row; the order of brokers moves on by one each time, so that a busy spell of the machine
/// hits all alike.
fn jobs<'a>(rows: &[&'static Row], header: &'a Header) -> Vec<Job<'a>> {
    let rounds_of = |row: &Row| if header.quick { 1 } else { row.rounds_min.max(header.rounds) };
    let rounds = rows.iter().map(|row| rounds_of(row)).max().unwrap_or(0);
    let (mut jobs, mut turn) = (Vec::new(), 0);
    for round in 0..rounds {
        for row in rows.iter().filter(|row| round < rounds_of(row)) {
            let mut field: Vec<_> =
                header.brokers.iter().filter(|broker| takes_part(row.field, broker.kind)).collect();
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

fn takes_part(field: Field, kind: Kind) -> bool {
    match field {
        Field::All => kind != Kind::Hooked,
        Field::Ours => matches!(kind, Kind::Relay | Kind::Millrace),
        Field::Hooks => matches!(kind, Kind::Millrace | Kind::Hooked),
    }
}

/// A peer that has come to no result in a row once would only be waited for again.
fn has_given_up(job: &Job<'_>, records: &[Record]) -> bool {
    let is_same = |record: &&Record| {
        (record.row.as_str(), record.at, record.broker.as_str())
            == (job.row.name, job.row.at, job.contestant.name.as_str())
    };
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
    let spent = began.elapsed().as_secs_f64();
    let left = spent / done as f64 * (all - done) as f64 / 60.0;
    let figure = |metric: metric::Metric| {
        metric.of(record).map_or(String::new(), |value| format!("  {} {}", metric.show(value), metric.name()))
    };
    let trouble = record.trouble();
    let figures = match job.row.section {
        Section::Idle => {
            [metric::Metric::BytesPerConnection, metric::Metric::ConnectsPerSecond].map(figure).concat()
        }
        _ => [metric::Metric::CpuUs, metric::Metric::Rate].map(figure).concat(),
    };
    let trouble = if trouble.is_empty() { trouble } else { format!("  FAILED: {trouble}") };
    eprintln!(
        "[{done}/{all}, {left:.0} min left] round {} {:<12} {:<18}{figures}{trouble}",
        job.round + 1,
        job.row.name,
        job.contestant.name,
    );
}

/// Set by Ctrl-C: what has been measured until then is written down. A second one ends at once.
fn interrupt() -> Result<Arc<AtomicBool>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| format!("signals: {error}"))?;
    }
    Ok(stop)
}

fn folder(args: &ResultsArgs) -> Result<PathBuf, String> {
    let folder = args.out.parent().unwrap_or(Path::new("")).join("results");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// Writes document and graphs; whether Millrace has figures in every row that was measured.
fn write(args: &ResultsArgs, header: &Header, records: &[Record]) -> Result<bool, String> {
    let document = render::render(header, records, "results")?;
    let folder = folder(args)?;
    let put = |path: PathBuf, text: &str| {
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    for (name, svg) in &document.plots {
        put(folder.join(name), svg)?;
    }
    put(args.out.clone(), &document.markdown)?;
    eprintln!("{} and {} graphs in {}", args.out.display(), document.plots.len(), folder.display());
    let figures = Figures::new(header, records);
    let is_ours = |kind| matches!(kind, Kind::Millrace | Kind::Hooked);
    let failed = |row: &&Row| {
        let ours = figures.field(row).into_iter().filter(|broker| is_ours(broker.kind));
        ours.into_iter()
            .any(|broker| figures.records(row, &broker.name).iter().all(|run| !run.trouble().is_empty()))
    };
    Ok(!ROWS.iter().any(|row| failed(&row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(name: &str, kind: Kind) -> Contestant {
        Contestant { name: name.to_owned(), kind, ..Contestant::default() }
    }

    fn three() -> Header {
        let brokers = vec![broker("r", Kind::Relay), broker("m", Kind::Millrace), broker("p", Kind::Peer)];
        Header { rounds: 3, brokers, ..Header::default() }
    }

    #[test]
    fn every_round_has_every_row_and_the_order_of_brokers_moves_on() {
        let header = three();
        let rows: Vec<_> = ROWS.iter().filter(|row| ["p2p_q0", "rate_q1"].contains(&row.name)).collect();
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
            let record = Record {
                row: row.name.to_owned(),
                broker: contestant.name.clone(),
                error: error.to_owned(),
                ..Record::default()
            };
            let job = Job { round: 1, row, contestant };
            assert_eq!(has_given_up(&job, &[record]), expected, "{} {error}", contestant.name);
            assert!(!has_given_up(&job, &[]));
        }
    }
}
