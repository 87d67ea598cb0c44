//! Scenarios from the command line to the figures, against a broker: the command in `MILLRACE_BENCH_BROKER` (with
//! `{port}`, and `{dir}` if it keeps data), else the tool's own relay.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_millrace-bench");

/// The command of the broker.
fn broker() -> String {
    let relay = || format!("relay='{BENCH}' relay --bind 127.0.0.1:{{port}}");
    env::var("MILLRACE_BENCH_BROKER").unwrap_or_else(|_| relay())
}

fn bench(line: &str, broker: &str) -> Output {
    let mut command = Command::new(BENCH);
    command.args(line.split_whitespace()).args(["--against", broker]).stdin(Stdio::null());
    command.output().expect("the tool runs")
}

fn documents(output: &Output) -> Vec<Value> {
    let text = str::from_utf8(&output.stdout).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn number(document: &Value, path: &str) -> f64 {
    document.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path} in {document}"))
}

#[test]
fn every_scenario_has_a_good_account() {
    let broker = broker();
    // Line, and what must be at least so much.
    let cases: &[(&str, &[(&str, f64)])] = &[
        ("p2p --pairs 5 --duration 0.3", &[("/totals/delivered", 10.0), ("/totals/connected", 10.0)]),
        (
            "p2p --pairs 6 --duration 0.3 --processes 3 --qos 2",
            &[("/totals/delivered", 10.0), ("/settings/processes", 3.0)],
        ),
        (
            "p2p --pairs 6 --count 1000 --threads 2 --qos 0",
            &[("/totals/sent", 1_000.0), ("/totals/delivered", 1_000.0)],
        ),
        (
            "p2p --pairs 5 --rate 500 --duration 1 --version 5.0 --idle 20",
            &[("/totals/delivered", 450.0), ("/settings/idle", 20.0)],
        ),
        (
            "p2p --pairs 5 --duration 0.3 --version 3.1 --size 24 --subscribe-qos 0",
            &[("/totals/delivered", 10.0)],
        ),
        ("pub --publishers 5 --topics 20 --duration 0.3", &[("/totals/acknowledged", 10.0)]),
        ("fanin --publishers 8 --duration 0.3", &[("/totals/delivered", 10.0)]),
        ("fanin --publishers 8 --subscribers 2 --processes 2 --duration 0.3", &[("/totals/delivered", 10.0)]),
        ("fanin --publishers 8 --processes 2 --rate 200 --duration 0.5", &[("/totals/delivered", 90.0)]),
        ("fanout --subscribers 20 --publishers 2 --duration 0.3", &[("/totals/delivered", 100.0)]),
        ("fanout --subscribers 20 --processes 2 --rate 100 --duration 0.5", &[("/totals/delivered", 900.0)]),
        (
            "conn --connections 50 --subscribe --duration 0.2",
            &[("/totals/connected", 50.0), ("/broker/rss", 1.0)],
        ),
        ("conn --connections 50 --storm --processes 2 --duration 0.2", &[("/totals/connected", 50.0)]),
        ("conn --connections 50 --churn 0.2 --duration 1", &[("/totals/connected", 80.0)]),
        (
            "fleet --locks 50 --plain --rate 200 --reconnect 1 --duration 1",
            &[("/totals/delivered", 190.0), ("/totals/connected", 60.0)],
        ),
        (
            "omb p2p-1K-1K-1K-1K --scale 0.05 --duration 1",
            &[("/totals/delivered", 45.0), ("/settings/size", 24.0)],
        ),
    ];
    for (line, at_least) in cases {
        let output = bench(
            &format!("{line} --warmup 0.1 --json - --quiet").replace("--warmup 0.1", warmup(line)),
            &broker,
        );
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{line}: {errors}");
        let documents = documents(&output);
        assert_eq!(documents.len(), 1, "{line}");
        let totals = &documents[0]["totals"];
        for fault in ["lost", "repeated", "reordered", "foreign", "disconnects", "connect_failed"] {
            assert_eq!(totals[fault], 0, "{line}: {fault}");
        }
        for &(path, least) in *at_least {
            assert!(number(&documents[0], path) >= least, "{line}: {path} of {}", documents[0]);
        }
        assert_eq!(documents[0]["broker"]["alive"], true, "{line}");
    }
}

/// A run of a fixed number has no warm-up.
fn warmup(line: &str) -> &'static str {
    if line.contains("--count") { "" } else { "--warmup 0.1" }
}

#[test]
fn several_brokers_take_turns_and_all_files_are_written() {
    let broker = broker();
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (json, csv, page) = (path("a.json"), path("a.csv"), path("a.html"));
    let line = format!(
        "p2p --pairs 2 --duration 0.2 --warmup 0 --rounds 2 --interval 0.1 --json {json} --csv {csv} --report {page}"
    );
    let mut command = Command::new(BENCH);
    command.args(line.split_whitespace()).args(["--against", &broker, "--against", &broker]);
    let output = command.stdin(Stdio::null()).output().expect("the tool runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("ratio"), "a table of both");
    let text = fs::read_to_string(json).expect("documents");
    let labels: Vec<_> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("a document")["label"]
                .as_str()
                .expect("text")
                .to_owned()
        })
        .collect();
    let (one, other) = (labels[0].clone(), labels[1].clone());
    assert_ne!(one, other);
    assert_eq!(labels, [one.clone(), other.clone(), other, one], "who was first is last");
    assert!(fs::read_to_string(csv).expect("lines").lines().count() > 8);
    assert!(fs::read_to_string(page).expect("a page").contains("</html>"));
}

#[test]
fn exit_codes() {
    let cases = [
        ("p2p --qos 3", 2),
        ("p2p --broker 192.0.2.1:1883", 2),
        ("p2p --against nobody", 2),
        ("fanin --processes 2 --broker 127.0.0.1:1", 2),
        ("p2p --pairs 1 --broker 127.0.0.1:1 --quiet", 1),
        ("p2p --pairs 1 --quiet --against false=false --against also={port}", 2),
        ("stream --publishers 1 --broker 127.0.0.1:1 --kafka 127.0.0.1:1 --quiet", 1),
        ("omb --list", 0),
    ];
    for (line, code) in cases {
        let output =
            Command::new(BENCH).args(line.split_whitespace()).stdin(Stdio::null()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stderr.is_empty(), code == 0, "{line}: errors are said");
    }
    let output = bench("p2p --pairs 1 --quiet", "sh -c 'exit 7; echo {port}'");
    assert_eq!(output.status.code(), Some(1), "a broker that ends");
    assert!(String::from_utf8_lossy(&output.stderr).contains("status: 7"));
}

#[test]
fn an_interrupted_run_gives_its_account_and_leaves_nothing_behind() {
    let broker = broker();
    let line = "p2p --pairs 4 --processes 2 --duration 60 --interval 0.1 --json -";
    let mut command = Command::new(BENCH);
    command.args(line.split_whitespace()).args(["--against", &broker]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn().expect("the tool runs");
    let pid = child.id();
    let started = Instant::now();
    // The broker and two workers.
    while children(pid).len() < 3 {
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", children(pid));
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_secs(3));
    let those = children(pid);
    let killed = Command::new("kill").args(["-INT", &pid.to_string()]).status().expect("kill");
    assert!(killed.success());
    let output = child.wait_with_output().expect("it ends");
    assert!(started.elapsed() < Duration::from_secs(50), "it ended early");
    assert_eq!(output.status.code(), Some(1));
    let documents = documents(&output);
    assert!(documents[0]["error"].as_str().expect("text").contains("ended early"), "{}", documents[0]);
    assert!(number(&documents[0], "/totals/delivered") > 0.0 && number(&documents[0], "/totals/lost") == 0.0);
    for child in those {
        assert!(!is_running(child), "{child} of {line}");
    }
}

#[test]
fn workers_end_with_their_parent() {
    let broker = broker();
    let line = "p2p --pairs 4 --processes 2 --duration 60 --quiet";
    // What a killed parent leaves lying goes with the test.
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(BENCH);
    command.env("TMPDIR", dir.path());
    command.args(line.split_whitespace()).args(["--against", &broker]).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the tool runs");
    let started = Instant::now();
    while children(child.id()).len() < 3 {
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", children(child.id()));
        thread::sleep(Duration::from_millis(20));
    }
    let those = children(child.id());
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    let (workers, brokers): (Vec<_>, Vec<_>) = those.into_iter().partition(|&pid| is_worker(pid));
    // A parent that is killed cannot end its broker; this test does.
    for pid in &brokers {
        let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    }
    let started = Instant::now();
    while workers.iter().any(|&pid| is_running(pid)) {
        assert!(started.elapsed() < Duration::from_secs(10), "{workers:?} run on");
        thread::sleep(Duration::from_millis(20));
    }
}

fn children(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|&pid| field(pid, 1) == Some(parent.to_string())).collect()
}

fn is_running(pid: u32) -> bool {
    field(pid, 0).is_some_and(|state| state != "Z" && state != "X")
}

fn is_worker(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|&byte| byte == 0).nth(1) == Some(b"worker") || field(pid, 0).is_some_and(|state| state == "Z")
}

/// A field of `/proc/PID/stat` behind the name: 0 is the state, 1 the parent.
fn field(pid: u32, number: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(number).map(str::to_owned)
}
