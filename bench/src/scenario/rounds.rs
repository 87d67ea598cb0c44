//! One broker or several, one round or many: who runs when, and where the figures go.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use super::args::Scenario;
use super::draft::draft;
use super::one::{self, Run};
use super::split::split;
use super::{interrupt, omb};
use crate::outcome::Outcome;
use crate::process::broker::{self, Broker};
use crate::process::{descriptors, listening};
use crate::report;

/// A broker of the comparison.
#[derive(Debug, PartialEq)]
struct Rival {
    label: String,
    kind: Kind,
}

#[derive(Debug, PartialEq)]
enum Kind {
    /// It runs already.
    There(SocketAddr),
    /// It is started for each run.
    Command(String),
}

/// All runs of one command line.
pub(super) struct Course<'a> {
    scenario: &'a Scenario,
    rivals: Vec<Rival>,
    command: String,
}

impl<'a> Course<'a> {
    /// Checks what can be checked before anything runs.
    ///
    /// # Errors
    /// Options that do not go together, a file that cannot be written.
    pub(super) fn new(scenario: &'a Scenario) -> Result<Course<'a>, String> {
        let common = scenario.common();
        let there = common.address()?;
        let mut rivals = Vec::new();
        if let Some(address) = there {
            let label = common.label.clone().unwrap_or_else(|| address.to_string());
            rivals.push(Rival { label, kind: Kind::There(address) });
        }
        for against in &common.against {
            let mut rival = rival(against)?;
            if let (true, Some(label)) = (there.is_none() && common.against.len() == 1, &common.label) {
                rival.label.clone_from(label);
            }
            rivals.push(rival);
        }
        distinct(&mut rivals);
        if common.pid.is_some() && there.is_none() {
            return Err("--pid is of a broker that runs already; those of --against are known".to_owned());
        }
        let files = [&common.csv, &common.report, &common.json];
        for file in files.into_iter().flatten().filter(|file| file.as_path() != Path::new("-")) {
            let opened = OpenOptions::new().create(true).append(true).open(file);
            opened.map_err(|error| format!("{}: {error}", file.display()))?;
        }
        // Whatever is wrong with the plan is wrong with all of them.
        let address = there.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 1)));
        split(&draft(scenario, address, 0, 0)?, common.processes as usize)?;
        Ok(Course { scenario, rivals, command: command_line(std::env::args()) })
    }

    /// Runs everything; whether every account is good.
    ///
    /// # Errors
    /// A single run failed, or figures could not be written.
    pub(super) fn run(&self) -> Result<bool, String> {
        interrupt::listen()?;
        descriptors::raise();
        let common = self.scenario.common();
        let single = self.rivals.len() == 1 && common.rounds == 1;
        let mut outcomes: Vec<Vec<Outcome>> = self.rivals.iter().map(|_| Vec::new()).collect();
        for round in 0..common.rounds as usize {
            for turn in 0..self.rivals.len() {
                // Who is first in one round is last in the next: what the machine does over time hits all alike.
                let at = (round + turn) % self.rivals.len();
                if interrupt::requested() {
                    continue;
                }
                let outcome = match self.one(&self.rivals[at]) {
                    Ok(outcome) => outcome,
                    Err(error) if single => return Err(error),
                    Err(error) => self.failed(&self.rivals[at], error),
                };
                self.write_json(&outcome)?;
                if !single && !common.quiet {
                    eprintln!("round {}: {}", round + 1, brief(&outcome));
                }
                outcomes[at].push(outcome);
            }
        }
        self.show(&outcomes);
        let all: Vec<Outcome> = outcomes.into_iter().flatten().collect();
        self.write_files(&all)?;
        Ok(!all.is_empty() && all.iter().all(Outcome::is_good))
    }

    fn one(&self, rival: &Rival) -> Result<Outcome, String> {
        let common = self.scenario.common();
        let run = |address, pid| {
            let (scenario, label, command) = (self.scenario, rival.label.as_str(), self.command.as_str());
            one::run(&Run { scenario, address, pid, label, command })
        };
        match &rival.kind {
            Kind::There(address) => {
                let pid = common.pid.or_else(|| listening(*address).filter(|_| address.ip().is_loopback()));
                run(*address, pid)
            }
            Kind::Command(command) => {
                let version = omb::version(self.scenario);
                let broker = Broker::start(&rival.label, command, broker::free_port()?, version)?;
                let outcome = run(broker.address(), Some(broker.pid()));
                match (outcome, broker.stop()) {
                    (Ok(mut outcome), Err(ended)) => {
                        outcome.error = ended;
                        Ok(outcome)
                    }
                    (outcome, _) => outcome,
                }
            }
        }
    }

    /// What stands for a run that could not be measured.
    fn failed(&self, rival: &Rival, error: String) -> Outcome {
        eprintln!("error: {}: {error}", rival.label);
        Outcome {
            format: 1,
            label: rival.label.clone(),
            scenario: self.scenario.name().to_owned(),
            command: self.command.clone(),
            error,
            ..Outcome::default()
        }
    }

    fn show(&self, outcomes: &[Vec<Outcome>]) {
        let common = self.scenario.common();
        if common.quiet {
            return;
        }
        let text = match outcomes {
            [one] if one.len() == 1 => one.iter().map(report::summary).collect(),
            _ => {
                let labels = self.rivals.iter().map(|rival| rival.label.clone());
                let named: Vec<_> = labels.zip(outcomes.iter().cloned()).collect();
                report::rounds(&named)
            }
        };
        match common.json.as_deref() == Some(Path::new("-")) {
            true => eprint!("{text}"),
            false => print!("{text}"),
        }
    }

    fn write_json(&self, outcome: &Outcome) -> Result<(), String> {
        let Some(file) = &self.scenario.common().json else { return Ok(()) };
        let named = |error: std::io::Error| format!("{}: {error}", file.display());
        let mut line = serde_json::to_vec(outcome).map_err(|error| error.to_string())?;
        line.push(b'\n');
        if file.as_path() == Path::new("-") {
            let mut out = std::io::stdout().lock();
            return out.write_all(&line).and_then(|()| out.flush()).map_err(named);
        }
        let mut opened = OpenOptions::new().create(true).append(true).open(file).map_err(named)?;
        opened.write_all(&line).map_err(named)
    }

    fn write_files(&self, outcomes: &[Outcome]) -> Result<(), String> {
        let common = self.scenario.common();
        let write = |file: &Path, text: String| {
            fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
        };
        if let Some(file) = &common.csv {
            write(file, report::csv(outcomes))?;
        }
        if let Some(file) = &common.report {
            write(file, report::html(outcomes)?)?;
        }
        Ok(())
    }
}

/// A run in a line.
fn brief(outcome: &Outcome) -> String {
    let cpu = outcome
        .broker
        .as_ref()
        .map(|usage| format!(", broker {:.3} µs CPU a message", outcome.cpu_us(usage)));
    let figures = match outcome.messages() {
        0 => format!("{} connections in {:.2} s", outcome.totals.connected, outcome.totals.connect_seconds),
        _ => format!("{:.0} messages a second{}", outcome.rate(), cpu.unwrap_or_default()),
    };
    let verdict = if outcome.is_good() { "" } else { ", NOT GOOD" };
    format!("{}: {figures}{verdict}", outcome.label)
}

/// `[NAME=]CMD`.
fn rival(text: &str) -> Result<Rival, String> {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || "-_.+".contains(letter))
    };
    let (label, command) = match text.split_once('=') {
        Some((name, command)) if is_name(name.trim()) => (name.trim().to_owned(), command),
        _ => {
            let program = text.split_whitespace().next().unwrap_or_default();
            (program.rsplit('/').next().unwrap_or_default().to_owned(), text)
        }
    };
    match command.contains("{port}") && !label.is_empty() {
        true => Ok(Rival { label, kind: Kind::Command(command.trim().to_owned()) }),
        false => Err(format!("--against '{text}': {{port}} must stand where the command takes its port")),
    }
}

/// Makes labels that are the same different, by numbers.
fn distinct(rivals: &mut [Rival]) {
    for at in 1..rivals.len() {
        let label = rivals[at].label.clone();
        let mut number = 2;
        while rivals[..at].iter().any(|other| other.label == rivals[at].label) {
            rivals[at].label = format!("{label} ({number})");
            number += 1;
        }
    }
}

/// A command line that a shell takes as it was.
fn command_line(words: impl Iterator<Item = String>) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,+@%".contains(letter);
    let quoted = words.enumerate().map(|(at, word)| match () {
        // Where the program lies is of no interest.
        () if at == 0 => "millrace-bench".to_owned(),
        () if !word.is_empty() && word.chars().all(plain) => word,
        () => format!("'{}'", word.replace('\'', r"'\''")),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rivals() {
        let cases = [
            ("mosquitto -p {port}", Some(("mosquitto", "mosquitto -p {port}"))),
            ("/usr/sbin/mosquitto -p {port}", Some(("mosquitto", "/usr/sbin/mosquitto -p {port}"))),
            (
                "tuned=millrace run --set a.bind=127.0.0.1:{port}",
                Some(("tuned", "millrace run --set a.bind=127.0.0.1:{port}")),
            ),
            (
                "millrace run --set a.bind=127.0.0.1:{port}",
                Some(("millrace", "millrace run --set a.bind=127.0.0.1:{port}")),
            ),
            ("mosquitto", None),
            ("name=", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(label, command): (&str, &str)| Rival {
                label: label.to_owned(),
                kind: Kind::Command(command.to_owned()),
            });
            assert_eq!(rival(text).ok(), expected, "{text}");
        }
        let mut rivals: Vec<_> =
            ["a {port}", "a {port}", "b {port}", "a {port}"].map(|text| rival(text).expect(text)).into();
        distinct(&mut rivals);
        assert_eq!(
            rivals.iter().map(|rival| rival.label.as_str()).collect::<Vec<_>>(),
            ["a", "a (2)", "b", "a (3)"]
        );
    }

    #[test]
    fn command_lines() {
        let words = ["/x/y/bench", "p2p", "--against", "it's {port}", "--label", "", "--rate=5", "a/b:1"];
        let expected = r"millrace-bench p2p --against 'it'\''s {port}' --label '' --rate=5 a/b:1";
        assert_eq!(command_line(words.into_iter().map(str::to_owned)), expected);
    }
}
