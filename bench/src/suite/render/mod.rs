//! RESULTS.md from the figures of one run. Every number and every verdict in it is computed here; the words around
//! them say only how to read them.

use super::figures::Figures;
use super::record::{Header, Kind, Record};
use super::rows::{ROWS, Row, Section};
use crate::report::text;

mod better;
mod growth;
mod plots;
mod tables;

#[cfg(test)]
mod tests;

/// File name (without folder) and content of a graph.
pub(super) type Plot = (String, String);

/// The document and the graphs it names.
pub(super) struct Document {
    pub markdown: String,
    pub plots: Vec<Plot>,
}

/// The document; `folder` is where its graphs are, as seen from it.
///
/// # Errors
/// A graph cannot be drawn.
pub(super) fn render(header: &Header, records: &[Record], folder: &str) -> Result<Document, String> {
    let figures = Figures::new(header, records);
    let measured: Vec<&Row> = ROWS.iter().filter(|row| !figures.field(row).is_empty()).collect();
    let of = |section| measured.iter().copied().filter(|row| row.section == section).collect::<Vec<_>>();
    let mut plots = Vec::new();
    let mut out = head(header, records);

    let (cpu, latency) = (of(Section::Cpu), of(Section::Latency));
    let messages: Vec<&Row> = cpu.iter().chain(&latency).copied().collect();
    if !messages.is_empty() {
        out.push_str(&tables::glance(&figures, &messages));
        image(&mut out, folder, plots::cpu(&figures, &messages)?, &mut plots);
    }
    out.push_str(&better::promises(&figures, &measured));
    out.push_str(&better::others(&figures, &measured));
    section(&mut out, "Work as fast as it goes", CPU, &cpu, |row| tables::cpu(&figures, row));
    section(&mut out, "At a fixed rate", &latency_words(records), &latency, |row| {
        tables::latency(&figures, row)
    });
    if !latency.is_empty() {
        image(&mut out, folder, plots::latency(&figures, &latency)?, &mut plots);
    }
    let idle = of(Section::Idle);
    section(&mut out, "Idle connections", IDLE, &idle, |row| tables::idle(&figures, row));
    if !idle.is_empty() {
        image(&mut out, folder, plots::idle(&figures, &idle)?, &mut plots);
    }
    section(&mut out, "Publishes that feed a stream", HOOKS, &of(Section::Hooks), |row| {
        tables::hooks(&figures, row)
    });
    out.push_str(&growth::growth(&figures, &of(Section::Growth), folder, &mut plots)?);
    let generator = of(Section::Generator);
    section(&mut out, "The generator against itself", GENERATOR, &generator, |row| {
        tables::cpu(&figures, row)
    });
    out.push_str(&tables::agreement(&figures, &generator));
    out.push_str(&tables::failures(&figures, &measured));
    out.push_str(&tables::disturbed(&figures, &measured));
    Ok(Document { markdown: out, plots })
}

const CPU: &str = "Closed loop: each publisher has a fixed number of messages in flight and sends as soon as one has \
arrived. CPU time is the broker's own, user and system, for each message delivered (without subscribers: \
acknowledged), lowest first. Messages a second say what both processes make of this machine together; latencies would \
only say how long the windows are.";
const LATENCY: &str = "Open loop: latency counts from the moment at which a message should have been sent, whether it \
was or not, to its arrival.";
const APART: &str = " Brokers with one thread and the generator have a CPU each, as on two machines: else the scheduler \
decides from moment to moment whether they share one.";
const STOLEN: &str = " `stolen` is the share of the CPU time of all cores that the machine's host gave to other machines \
meanwhile. Of up to three times as many rounds those count from which the host, and anything else here, took the least.";
const IDLE: &str = "Resident memory from before the first connection to when all are there, divided by their number; \
what of it is still there a moment after the last has gone; how fast they came.";
const HOOKS: &str = "Every publish matches a hook with `durability = \"log\"`: it is acknowledged when `fdatasync` of the \
log has returned. The same load without hooks beside it.";
const GENERATOR: &str = "The same work from more threads and processes of the generator: a broker's CPU time a message \
that depends on who asks would say something about the generator.";

/// How to read latencies: an older run was not measured as one of today.
fn latency_words(records: &[Record]) -> String {
    let apart = if records.iter().any(|record| record.apart) { APART } else { "" };
    let stolen = if records.iter().any(|record| record.outcome.stolen.is_some()) { STOLEN } else { "" };
    [LATENCY, apart, stolen].concat()
}

fn head(header: &Header, records: &[Record]) -> String {
    let machine = &header.machine;
    let mut out = String::from("# Results\n\n");
    if header.quick {
        out.push_str("**A smoke run: the figures mean nothing.**\n\n");
    }
    out.push_str(&format!(
        "Made by one command, `{}`, from one run of {} measurements, begun {}. Every figure here is its output; all runs \
         are in `results/runs.jsonl`, from which `millrace-bench results --from` makes this page again.\n\n",
        header.command,
        text::count(records.len() as u64),
        text::moment(header.started_unix_ms),
    ));
    out.push_str(&format!(
        "- **Machine**: {} × {}, {} of memory, Linux {}, {} open files a process. Load and broker share it.\n",
        machine.cores,
        machine.cpu,
        text::bytes(machine.memory_bytes as f64),
        machine.kernel,
        text::count(header.descriptors),
    ));
    out.push_str(&format!(
        "- **Rounds**: {} (rows with percentiles at least as many as they say), {} s each after {} s of warm-up; 128-byte \
         payloads and MQTT 3.1.1 unless the row says otherwise. A fresh broker for each measurement, the order of brokers \
         moves on by one each time. Figures are medians, `min..max` beside them. A run in which a message was lost, \
         repeated, out of order or late is not counted, and [named](#what-failed).\n",
        header.rounds, header.duration_s, header.warmup_s,
    ));
    out.push_str(
        "- **relay**: `millrace-bench relay`, which passes messages on with the least work imaginable, keeps no session \
         and checks nothing: what kernel and loopback alone cost on as many cores. Ratios are to it, within this run; \
         figures of different runs, or machines, say little beside each other.\n\n",
    );
    out.push_str("| broker | version | threads | command |\n|---|---|---:|---|\n");
    for broker in &header.brokers {
        let cores = if broker.cores == 0 { "its own choice".to_owned() } else { broker.cores.to_string() };
        let command = without_folders(&broker.command).replace('|', "\\|");
        out.push_str(&format!("| {} | {} | {cores} | `{command}` |\n", broker.name, broker.version));
    }
    let hooked = header.brokers.iter().any(|broker| broker.kind == Kind::Hooked);
    out.push_str(if hooked { "\nHooks are off except where the name says so.\n" } else { "" });
    out
}

/// A command with its quoted paths cut to their last names: where they were says nothing elsewhere.
fn without_folders(command: &str) -> String {
    // An apostrophe in a path is quoted as '\''.
    let mut parts = command.replace(r"'\''", "").split('\'').map(str::to_owned).collect::<Vec<_>>();
    for path in parts.iter_mut().skip(1).step_by(2) {
        *path = path.rsplit('/').next().unwrap_or_default().to_owned();
    }
    parts.concat()
}

/// A heading, how to read it, and a part for each row.
fn section(out: &mut String, title: &str, words: &str, rows: &[&Row], part: impl Fn(&Row) -> String) {
    if rows.is_empty() {
        return;
    }
    out.push_str(&format!("\n## {title}\n\n{words}\n"));
    for row in rows {
        out.push_str(&format!("\n### {}\n\n{}.\n\n", row.name, row.title));
        out.push_str(&part(row));
    }
}

/// Names a graph, if there is one, and keeps it.
fn image(out: &mut String, folder: &str, plot: Option<Plot>, plots: &mut Vec<Plot>) {
    if let Some(plot) = plot {
        let name = &plot.0;
        out.push_str(&format!("\n![{name}]({folder}/{name})\n"));
        plots.push(plot);
    }
}
