//! `millrace-bench results`: the one command that makes RESULTS.md, tables and graphs, from one run against the
//! relay, Millrace and every installed peer.
//!
//! Rows are data ([`rows`]); [`campaign`] says what is measured when; [`runner`] measures one row against one broker by
//! starting this program as a child; [`record`] is what is kept of it; [`figures`] are medians, ratios and verdicts;
//! [`render`] writes them down.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use rustix::process::{Resource, getrlimit};

use campaign::Campaign;
use figures::Figures;
use record::{Header, Kind, Record};
use rows::{ROWS, Row};
use runner::Runner;

mod campaign;
mod contestants;
mod figures;
mod metric;
mod place;
mod record;
mod render;
mod rows;
mod runner;

/// Measure Millrace beside the bare relay and every installed peer, and write RESULTS.md
///
/// Every measurement gets a broker of its own, freshly started; rounds go over all rows, and the order of brokers
/// moves on by one each time. A peer that has come to no result in a row is not tried in it again. Rows with
/// percentiles are measured again, up to three times as often, until there are enough rounds in which the host of a
/// virtual machine left it alone; those count. All runs go to `results/runs.jsonl` beside the document, line by line,
/// from which `--from` renders again without measuring. Nothing else should run on the machine: what does is measured
/// and named.
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
    let stop = interrupt()?;
    let runner = Runner {
        generator: env::current_exe().map_err(|error| format!("this program's own path: {error}"))?,
        duration_s: header.duration_s,
        warmup_s: header.warmup_s,
        quick: args.quick,
        millrace: contestants::millrace(args.millrace.as_deref())?,
    };
    let path = folder(args)?.join("runs.jsonl");
    let records = Campaign::new(&header, runner, &path, args.base_port, stop)?.run(&rows)?;
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
