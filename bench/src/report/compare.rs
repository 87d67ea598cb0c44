//! `millrace-bench compare a.json b.json`: what changed between two recordings, and whether that is more than rounds
//! differ among themselves.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::metric::{BROKER_CPU, Better, METRICS, Metric, Spread};
use super::text::{ratio, table};
use super::verdict::{troubles, workload};
use crate::outcome::{Outcome, Settings};

/// Compare two recordings made with --json
///
/// Runs with the same scenario, settings and label are rounds of one another. Rounds of A are paired with those of B
/// that were asked the same, or most nearly the same: what differs is named. Of each figure the table has both
/// medians, their ranges, the ratio B to A, and whether that is beyond what rounds differ by among themselves.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace-bench p2p --qos 1 --json before.json    (several times, for rounds)
  millrace-bench compare before.json after.json
  millrace-bench compare --fail-above 1.05 before.json after.json

Exit code: 0; 1 if --fail-above found a pair above it; 2 if a file cannot be read, or if there is
no pair for --fail-above to judge.")]
pub(crate) struct CompareArgs {
    /// Recording to compare with: a run a line, as --json writes them; - for standard input
    #[arg(value_name = "A.json")]
    a: PathBuf,
    /// Recording that is compared
    #[arg(value_name = "B.json")]
    b: PathBuf,
    /// Fail if a pair's ratio of the broker's CPU time a message (medians, B to A) is above this
    #[arg(long, value_name = "RATIO", value_parser = above_zero)]
    fail_above: Option<f64>,
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite());
    number.ok_or_else(|| "expected a number above 0, such as 1.05".to_owned())
}

/// Ranges of so few rounds are apart by chance more often than this: no verdict then.
const CHANCE_MAX: f64 = 0.05;

/// Compares the files and prints the table; the exit code.
pub(crate) fn run(args: &CompareArgs) -> u8 {
    let read = |path: &Path| {
        let outcomes = read(path);
        outcomes.map_err(|error| eprintln!("error: {}: {error}", path.display()))
    };
    let (Ok(a), Ok(b)) = (read(&args.a), read(&args.b)) else { return 2 };
    print(&compare(&a, &b));
    let Some(limit) = args.fail_above else { return 0 };
    let ratios = cpu_ratios(&a, &b);
    if ratios.is_empty() {
        eprintln!("error: --fail-above: no pair has the broker's CPU time in both files");
        return 2;
    }
    let above: Vec<_> = ratios.iter().filter(|(_, value)| *value > limit).collect();
    for (name, value) in &above {
        print(&format!("FAILED: {name}: {BROKER_CPU} is {} of before, above {limit}\n", ratio(*value)));
    }
    u8::from(!above.is_empty())
}

/// To the standard output. Who closes it early, such as `head`, has seen enough.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Every line of a recording; an error names its line.
fn read(path: &Path) -> Result<Vec<Outcome>, String> {
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
    } else {
        text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    }
    let mut outcomes = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let outcome: Outcome =
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", index + 1))?;
        if outcome.scenario.is_empty() {
            return Err(format!("line {}: not a run of millrace-bench: it has no scenario", index + 1));
        }
        outcomes.push(outcome);
    }
    if outcomes.is_empty() { Err("no run in it".to_owned()) } else { Ok(outcomes) }
}

/// Both recordings' pairs as text: figures, what differs in what was asked, what has no counterpart.
pub(crate) fn compare(a: &[Outcome], b: &[Outcome]) -> String {
    let (a, b) = (rounds(a), rounds(b));
    let pairs = pair(&a, &b);
    let mut out = String::new();
    for &(left, right) in &pairs {
        out.push_str(&one(&a[left], &b[right]));
        out.push('\n');
    }
    let alone = |name: &str, groups: &[Vec<&Outcome>], paired: Vec<usize>| -> String {
        let alone = groups.iter().enumerate().filter(|(index, _)| !paired.contains(index));
        alone.map(|(_, group)| format!("only in {name}: {}\n", title(group[0]))).collect()
    };
    out.push_str(&alone("A", &a, pairs.iter().map(|pair| pair.0).collect()));
    out.push_str(&alone("B", &b, pairs.iter().map(|pair| pair.1).collect()));
    out
}

fn title(run: &Outcome) -> String {
    if run.label.is_empty() { workload(run) } else { format!("{}: {}", run.label, workload(run)) }
}

/// Runs that were asked the same, in the order of their first.
fn rounds(runs: &[Outcome]) -> Vec<Vec<&Outcome>> {
    let mut groups: Vec<Vec<&Outcome>> = Vec::new();
    for run in runs {
        let same = |group: &&mut Vec<&Outcome>| {
            let first = group[0];
            first.scenario == run.scenario && first.label == run.label && differences(first, run).is_empty()
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups
}

/// Groups of the same scenario, each at most once, those with the fewest differences first.
fn pair(a: &[Vec<&Outcome>], b: &[Vec<&Outcome>]) -> Vec<(usize, usize)> {
    let mut candidates = Vec::new();
    for (left, one) in a.iter().enumerate() {
        for (right, other) in b.iter().enumerate() {
            let (one, other) = (one[0], other[0]);
            if one.scenario == other.scenario {
                // Another name for the broker is less of a difference than any setting.
                let differences = 2 * differences(one, other).len() + usize::from(one.label != other.label);
                candidates.push((differences, left, right));
            }
        }
    }
    candidates.sort_unstable();
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (_, left, right) in candidates {
        if pairs.iter().all(|pair| pair.0 != left && pair.1 != right) {
            pairs.push((left, right));
        }
    }
    pairs.sort_unstable();
    pairs
}

/// Settings that are not the same, as `name: one → other`. Seeds may differ from round to round.
fn differences(one: &Outcome, other: &Outcome) -> Vec<String> {
    let json = |settings: &Settings| serde_json::to_value(settings).unwrap_or_default();
    let (one, other) = (json(&one.settings), json(&other.settings));
    let Some(fields) = one.as_object() else { return Vec::new() };
    let differing =
        fields.iter().filter(|(name, value)| name.as_str() != "seed" && other[name.as_str()] != **value);
    differing
        .map(|(name, value)| format!("{name}: {value} → {}", other[name.as_str()]).replace('"', ""))
        .collect()
}

fn one(a: &[&Outcome], b: &[&Outcome]) -> String {
    let mut out = title(a[0]);
    if a[0].label != b[0].label {
        out.push_str(&format!("  →  {}", b[0].label));
    }
    out.push_str(&format!("   (rounds: {} and {})\n", a.len(), b.len()));
    for difference in differences(a[0], b[0]) {
        out.push_str(&format!("  differs: {difference}\n"));
    }
    let cell = |text: &str| text.to_owned();
    let mut rows =
        vec![vec![cell(""), cell("A"), cell("min..max"), cell("B"), cell("min..max"), cell("ratio")]];
    let mut verdicts = vec![String::new()];
    for metric in METRICS {
        let (Some(left), Some(right)) = (Spread::of_rounds(metric, a), Spread::of_rounds(metric, b)) else {
            continue;
        };
        rows.push(vec![
            format!("  {}", metric.name),
            (metric.show)(left.median),
            left.range(metric),
            (metric.show)(right.median),
            right.range(metric),
            ratio(right.median / left.median),
        ]);
        verdicts.push(verdict(metric, &left, &right));
    }
    let lines = table(&rows);
    // The table has trimmed its lines' ends; what follows stands in a column of its own.
    let width = lines.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    for (line, verdict) in lines.lines().zip(verdicts) {
        out.push_str(format!("{line:<width$}  {verdict}").trim_end());
        out.push('\n');
    }
    for (name, runs) in [("A", a), ("B", b)] {
        for (index, run) in runs.iter().enumerate() {
            for words in troubles(run) {
                out.push_str(&format!("  warning: {name}, round {}: {words}\n", index + 1));
            }
        }
    }
    out
}

/// Whether the difference is beyond what rounds differ by: their ranges do not overlap, and there are enough rounds
/// that chance would hardly do that.
fn verdict(metric: &Metric, a: &Spread, b: &Spread) -> String {
    if a.rounds.min(b.rounds) < 2 {
        return "one round: spread unknown".to_owned();
    }
    if a.min <= b.max && b.min <= a.max {
        return "within noise".to_owned();
    }
    let chance = chance(a.rounds, b.rounds);
    if chance > CHANCE_MAX {
        return format!("apart, but of so few rounds in 1 of {:.0} by chance", 1.0 / chance);
    }
    let better = (b.median < a.median) == (metric.better == Better::Less);
    if better { "better, beyond noise".to_owned() } else { "WORSE, beyond noise".to_owned() }
}

/// How likely the ranges of so many rounds of the same thing do not overlap: all of one side are below all of the
/// other in 2 of the ways to mix them.
fn chance(one: usize, other: usize) -> f64 {
    let ways: f64 = (1..=one).map(|k| (other + k) as f64 / k as f64).product();
    2.0 / ways
}

/// Of each pair that has it: its name, and the ratio of the broker's CPU time a message.
fn cpu_ratios(a: &[Outcome], b: &[Outcome]) -> Vec<(String, f64)> {
    let (a, b) = (rounds(a), rounds(b));
    let metric = METRICS.iter().find(|metric| metric.name == BROKER_CPU);
    let ratio = |&(left, right): &(usize, usize)| {
        let (one, other) = (Spread::of_rounds(metric?, &a[left])?, Spread::of_rounds(metric?, &b[right])?);
        Some((title(a[left][0]), other.median / one.median))
    };
    pair(&a, &b).iter().filter_map(ratio).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::made_up::p2p;

    /// `label/QoS/size` of several runs; a label `conn:…` makes it another scenario.
    fn runs(text: &str) -> Vec<Outcome> {
        let one = |(seed, word): (usize, &str)| {
            let parts: Vec<&str> = word.split('/').collect();
            let mut run = p2p(parts[0], 3.0, seed as u64);
            if let Some(label) = parts[0].strip_prefix("conn:") {
                (run.label, run.scenario) = (label.to_owned(), "conn".to_owned());
            }
            (run.settings.qos, run.settings.size) =
                (parts[1].parse().expect("a QoS"), parts[2].parse().expect("a size"));
            run
        };
        text.split_whitespace().enumerate().map(one).collect()
    }

    #[test]
    fn pairs_are_the_runs_that_were_asked_most_nearly_the_same() {
        /// Groups of A and B by number, and how many settings differ.
        type Pair = (usize, usize, usize);
        let cases: [(&str, &str, &str, &[Pair]); 9] = [
            ("same", "m/1/128", "m/1/128", &[(0, 0, 0)]),
            ("rounds", "m/1/128 m/1/128 m/0/128", "m/0/128 m/1/128", &[(0, 1, 0), (1, 0, 0)]),
            ("labels first", "r/1/128 m/1/128", "m/1/128 r/1/128", &[(0, 1, 0), (1, 0, 0)]),
            ("another label", "r/1/128", "m/1/128", &[(0, 0, 0)]),
            ("another size", "m/1/128", "m/1/256", &[(0, 0, 1)]),
            ("the nearest", "m/1/128", "m/0/256 m/1/256", &[(0, 1, 1)]),
            ("label before setting", "m/1/128", "m/1/256 r/1/128", &[(0, 1, 0)]),
            ("another scenario", "m/1/128", "conn:m/1/128", &[]),
            ("each once", "m/1/128 r/1/128", "m/1/128", &[(0, 0, 0)]),
        ];
        for (name, a, b, expected) in cases {
            let (a, b) = (runs(a), runs(b));
            let (a, b) = (rounds(&a), rounds(&b));
            let found: Vec<_> = pair(&a, &b)
                .into_iter()
                .map(|(left, right)| (left, right, differences(a[left][0], b[right][0]).len()))
                .collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn differences_and_leftovers_are_named() {
        let (a, b) = (runs("m/1/128 m/1/128 conn:m/1/128"), runs("n/1/4096 p/1/128"));
        let text = compare(&a, &b);
        for part in ["m: p2p", "→  p", "(rounds: 2 and 1)", "only in A: m: conn", "only in B: n: p2p"] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        let mut saturated = a[0].clone();
        (saturated.generator.saturated, saturated.totals.lost) = (true, 3);
        let text = compare(&a[..1], &[a[0].clone(), saturated]);
        assert_eq!(text.matches("  warning: B, round 2: ").count(), 3, "{text}");
        assert!(text.contains("BAD: lost 3") && !text.contains("round 1:"), "{text}");
        let text = compare(&a[..1], &b[..1]);
        assert!(text.contains("  differs: size: 128 → 4096\n") && !text.contains("seed"), "{text}");
    }

    #[test]
    fn a_difference_counts_beyond_what_rounds_differ_by() {
        let spread = |values: &[f64]| Spread {
            median: values[values.len() / 2],
            min: values[0],
            max: values[values.len() - 1],
            rounds: values.len(),
        };
        let (less, more) = (&METRICS[1], &METRICS[0]);
        assert!(less.better == Better::Less && more.better == Better::More);
        let five = [1.0, 1.1, 1.2, 1.3, 1.4];
        let cases: [(&Metric, &[f64], &[f64], &str); 8] = [
            (less, &[1.0], &[2.0, 2.1], "one round"),
            (less, &five, &[1.4, 1.5, 1.6, 1.7, 1.8], "within noise"),
            (less, &five, &[0.5, 1.0, 1.2, 1.3, 2.0], "within noise"),
            (less, &five, &[1.5, 1.6, 1.7, 1.8, 1.9], "WORSE, beyond noise"),
            (more, &five, &[1.5, 1.6, 1.7, 1.8, 1.9], "better, beyond noise"),
            (less, &five, &[0.5, 0.6, 0.7, 0.8, 0.9], "better, beyond noise"),
            (less, &five[..2], &[1.5, 1.6], "in 1 of 3 by chance"),
            (less, &five[..3], &[1.5, 1.6, 1.7], "in 1 of 10 by chance"),
        ];
        for (metric, a, b, expected) in cases {
            let found = verdict(metric, &spread(a), &spread(b));
            assert!(found.contains(expected), "{a:?}, {b:?}: {found}");
        }
        // Of four rounds each: 2 of the 70 ways to deal eight.
        assert!((chance(4, 4) - 2.0 / 70.0).abs() < 1e-12);
    }

    #[test]
    fn exit_codes() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).expect("a file");
            path
        };
        let line = |run: &Outcome| serde_json::to_string(run).expect("JSON") + "\n";
        let run = p2p("m", 3.0, 1);
        let with_cost = |factor: f64| {
            let mut run = run.clone();
            run.broker.iter_mut().for_each(|usage| {
                (usage.user_s, usage.system_s) = (usage.user_s * factor, usage.system_s * factor);
            });
            line(&run)
        };
        let no_pid = Outcome { broker: None, ..run.clone() };
        let a = file("a", &format!("\n{}\n{}", line(&run), line(&run)));
        let cases = [
            ("same", with_cost(1.0), None, 0),
            ("worse, nobody asked", with_cost(2.0), None, 0),
            ("a little worse", with_cost(1.04), Some(1.05), 0),
            ("worse", with_cost(1.06), Some(1.05), 1),
            ("better", with_cost(0.5), Some(1.05), 0),
            ("nothing to judge", line(&no_pid), Some(1.05), 2),
            ("no JSON", "{".to_owned(), None, 2),
            ("another document", "{\"a\":1}".to_owned(), None, 2),
            ("empty", "\n".to_owned(), None, 2),
        ];
        for (name, text, fail_above, expected) in cases {
            let args = CompareArgs { a: a.clone(), b: file("b", &text), fail_above };
            assert_eq!(super::run(&args), expected, "{name}");
        }
        let absent = CompareArgs { a, b: directory.path().join("absent"), fail_above: None };
        assert_eq!(super::run(&absent), 2);
        let second = file("c", &format!("{}broken", line(&run)));
        assert!(read(&second).expect_err("broken").starts_with("line 2: "));
    }
}
