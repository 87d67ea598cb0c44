//! One measurement: a fresh broker, the generator as a process of its own, and what else the machine did meanwhile.

use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use millrace_codec::Version;
use serde_json::Value;

use super::metric::SHARES;
use super::place::{self, Side};
use super::record::{Contestant, Kind, Record, Sync};
use super::rows::{Row, Section};
use crate::outcome::Outcome;
use crate::process::broker::{Broker, quoted};
use crate::process::machine::CpuTime;
use crate::process::usage::{Reading, children_cpu_s};

/// How much longer than its phases a measurement may take: 18,000 connections to a slow broker, a drain.
const EXTRA: Duration = Duration::from_secs(150);
const TICK: Duration = Duration::from_millis(10);

/// What all measurements of a run have in common.
pub(super) struct Runner {
    /// This program: it is the generator too.
    pub generator: PathBuf,
    pub duration_s: f64,
    pub warmup_s: f64,
    pub quick: bool,
    /// Millrace's program, for its status.
    pub millrace: PathBuf,
}

impl Runner {
    /// Measures; what goes wrong is in the record.
    pub(super) fn measure(&self, row: &Row, contestant: &Contestant, round: usize, port: u16) -> Record {
        let (broker, row_name) = (contestant.name.clone(), row.name.to_owned());
        let mut record = Record { row: row_name, at: row.at, broker, round, ..Record::default() };
        let data = env::temp_dir().join(format!("millrace-results-{}", process::id()));
        if let Err(error) = fresh(&data).and_then(|()| self.run(row, contestant, port, &data, &mut record)) {
            record.error = one_line(&error);
        }
        // What is left lies in the system's folder for such things.
        let _ = fs::remove_dir_all(&data);
        record
    }

    fn run(
        &self,
        row: &Row,
        contestant: &Contestant,
        port: u16,
        data: &Path,
        record: &mut Record,
    ) -> Result<(), String> {
        let args = if self.quick { row.quick } else { row.args };
        let is_v5 = args.contains("--version 5.0");
        if is_v5 && contestant.only_v3 {
            return Err("does not speak MQTT 5.0".to_owned());
        }
        let (version, name) = if is_v5 { (Version::V5, "5.0") } else { (Version::V311, "3.1.1") };
        let command = contestant.command.replace("{data}", &quoted(data)).replace("{version}", name);
        // More threads than one need more CPUs than one: then the system decides, for all of them.
        record.apart = row.section == Section::Latency && contestant.cores == 1;
        let start = || Broker::start(&contestant.name, &command, port, version);
        let broker = if record.apart { place::apart(Side::Broker, start)?? } else { start()? };
        let pid = broker.pid();
        if contestant.prime_s > 0.0 && !self.quick && !args.starts_with("conn") {
            self.generate(args, contestant, port, pid, (0.0, contestant.prime_s))?;
        }
        let (began, busy, broker_cpu, load_cpu) =
            (Instant::now(), CpuTime::now().busy_s, cpu_s(pid), children_cpu_s());
        let load = || self.generate(args, contestant, port, pid, (self.warmup_s, self.duration_s));
        let outcome = if record.apart { place::apart(Side::Generator, load)? } else { load() };
        let ours = (cpu_s(pid) - broker_cpu) + (children_cpu_s() - load_cpu);
        record.other_cores = ((CpuTime::now().busy_s - busy - ours) / began.elapsed().as_secs_f64()).max(0.0);
        record.outcome = outcome?;
        trim(&mut record.outcome, row.section);
        if contestant.kind == Kind::Hooked {
            record.sync = Some(self.sync(data)?);
        }
        broker.stop()
    }

    /// Runs the generator and reads its document.
    fn generate(
        &self,
        args: &str,
        contestant: &Contestant,
        port: u16,
        pid: u32,
        (warmup_s, duration_s): (f64, f64),
    ) -> Result<Outcome, String> {
        let mut command = Command::new(&self.generator);
        command.args(args.split_whitespace());
        command.args(["--broker", &format!("127.0.0.1:{port}"), "--pid", &pid.to_string()]);
        command.args(["--label", &contestant.name, "--json", "-", "--quiet"]);
        if !args.starts_with("conn") {
            command.args(["--warmup", &warmup_s.to_string(), "--duration", &duration_s.to_string()]);
        }
        let limit = Duration::from_secs_f64(warmup_s + duration_s) + EXTRA;
        let (out, err) = output(command, limit)?;
        let document = out.lines().rev().find(|line| line.starts_with('{'));
        // Its exit code says only that the account is bad, which the document says as well.
        let Some(document) = document else { return Err(err) };
        serde_json::from_str(document).map_err(|error| format!("the generator's document: {error}"))
    }

    /// What the broker's status says of the log.
    fn sync(&self, data: &Path) -> Result<Sync, String> {
        let mut command = Command::new(&self.millrace);
        command.arg("status").arg("--data").arg(data).arg("--json");
        let (out, err) = output(command, EXTRA)?;
        let status: Value = serde_json::from_str(&out).map_err(|_| format!("millrace status: {err}"))?;
        let log = &status["log"];
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let times = &log["fdatasync_us"];
        Ok(Sync {
            records: number(&log["records"]),
            groups: number(&log["groups"]),
            p50_us: number(&times["p50"]),
            p99_us: number(&times["p99"]),
            max_us: number(&times["max"]),
        })
    }
}

/// Leaves out what no figure of the document is made of: a whole run's file is kept with the project.
fn trim(outcome: &mut Outcome, section: Section) {
    outcome.samples.clear();
    outcome.latency.thin(SHARES);
    outcome.connect_latency.thin(SHARES);
    if !matches!(section, Section::Latency | Section::Hooks) {
        outcome.latency.counts.clear();
    }
    if section != Section::Idle {
        outcome.connect_latency.counts.clear();
    }
}

/// Runs a command to its end; what it wrote.
fn output(mut command: Command, limit: Duration) -> Result<(String, String), String> {
    let name = Path::new(command.get_program()).display().to_string();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("{name}: {error}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // Both at once: a full pipe would hold it up.
    let (out, err) = (thread::spawn(|| all(out)), thread::spawn(|| all(err)));
    let ended = wait(&mut child, limit);
    let text = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    let (out, err) = (text(out), text(err));
    if ended { Ok((out, err)) } else { Err(format!("no end within {} s", limit.as_secs())) }
}

fn all(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    // Up to an error, which the document's absence shows.
    let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether it ended in time; if not, it is killed.
fn wait(child: &mut Child, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while let Ok(None) = child.try_wait() {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return false;
        }
        thread::sleep(TICK);
    }
    true
}

fn fresh(folder: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder).map_err(failed)
}

/// The last line that says something.
fn one_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("failed without a word");
    lines.next_back().map_or_else(|| first.to_owned(), |last| format!("{first} … {last}"))
}

fn cpu_s(pid: u32) -> f64 {
    let reading = Reading::of(&[pid]);
    reading.user_s + reading.system_s
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_to_its_end_or_ended() {
        let shell = |line: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", line]);
            command
        };
        let (out, err) = output(shell("seq 100000; echo wrong >&2; exit 3"), EXTRA).expect("an end");
        assert_eq!((out.lines().count(), err.trim()), (100_000, "wrong"));
        let error = output(shell("exec sleep 60"), Duration::from_millis(50)).expect_err("no end");
        assert!(error.contains("no end"), "{error}");
        // It is counted in ticks of 10 ms.
        let counted = (0..100).any(|_| {
            output(shell("seq 300000 >/dev/null"), EXTRA).expect("an end");
            children_cpu_s() > 0.0
        });
        assert!(counted);
    }

    #[test]
    fn a_reason_is_one_line() {
        let cases = [
            ("", "failed without a word"),
            ("port in use\n", "port in use"),
            ("ended by itself\n  first\n  cannot\n\n", "ended by itself … cannot"),
        ];
        for (text, expected) in cases {
            assert_eq!(one_line(text), expected);
        }
    }
}
