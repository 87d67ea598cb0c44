//! The `millrace` program as a user meets it: exit codes, what it prints, how it stops.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LOCK: &str = "10083618796833171";

fn millrace(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.args(words).env_remove("MILLRACE_LOG").env("RUST_BACKTRACE", "0");
    command
}

fn output(words: &[&str]) -> Output {
    millrace(words).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A running broker on a port of its own; killed when dropped.
struct Broker {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    port: String,
    lines: Vec<String>,
}

impl Broker {
    fn start(data: &Path, more: &[&str]) -> Broker {
        let data = data.to_str().unwrap();
        let mut words =
            vec!["run", "--data", data, "--set", "listener.mqtt.bind=127.0.0.1:0", "--set", "node.cores=1"];
        words.extend(more);
        let mut child = millrace(&words).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut broker = Broker { child, stderr, port: String::new(), lines: Vec::new() };
        broker.read_until("listener mqtt: mqtt on 127.0.0.1:");
        let line = broker.lines.last().unwrap().trim_end();
        broker.port = line.rsplit(':').next().unwrap().to_owned();
        broker
    }

    fn read_until(&mut self, part: &str) {
        loop {
            let mut line = String::new();
            assert!(
                self.stderr.read_line(&mut line).unwrap() > 0,
                "no line with {part:?} in {:?}",
                self.lines
            );
            let found = line.contains(part);
            self.lines.push(line);
            if found {
                return;
            }
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Runs `pub` or `sub` against this broker.
    fn client(&self, command: &str, words: &[&str]) -> Command {
        let mut all = vec![command, "-p", &self.port];
        all.extend(words);
        millrace(&all)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(child: &mut Child) -> Option<i32> {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    panic!("it did not end");
}

/// The job itself, and what it leaves in the streams, is in `scenario`.
#[test]
fn default_hooks_and_a_counting_sub() {
    let base = tempfile::tempdir().unwrap();
    let broker = Broker::start(base.path(), &[]);
    for name in ["message_state", "message_command"] {
        assert!(broker.lines.iter().any(|line| line.contains(&format!("goes to stream {name} in "))));
    }
    let command_topic = format!("devices/{LOCK}/command");
    let lock = broker.client("sub", &["-q", "1", "-i", LOCK, "-t", &command_topic, "-C", "1", "-W", "10"]);
    let mut lock = { lock }.stdout(Stdio::piped()).spawn().unwrap();
    // The subscription is in force once a command arrives; until then the back end repeats it.
    let until = Instant::now() + Duration::from_secs(10);
    while lock.try_wait().unwrap().is_none() && Instant::now() < until {
        let sent = broker.client("pub", &["-q", "1", "-t", &command_topic, "-m", "unlock"]).output().unwrap();
        assert!(sent.status.success(), "{sent:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let printed = lock.wait_with_output().unwrap();
    assert_eq!((printed.status.code(), text(&printed.stdout).as_str()), (Some(0), "unlock\n"));
}

#[test]
fn consume_follows() {
    let base = tempfile::tempdir().unwrap();
    let broker = Broker::start(base.path(), &[]);
    let data = base.path().to_str().unwrap();
    let publish = |payload: &str| {
        let status = broker.client("pub", &["-q", "1", "-t", "devices/a/state", "-m", payload]).status();
        assert!(status.unwrap().success());
    };
    // Begins at the end of what there is.
    publish("before");
    let mut consume = millrace(&["consume", "message_state", "--data", data, "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(consume.stdout.take().unwrap()).lines();
    std::thread::sleep(Duration::from_millis(500));
    publish("after");
    let line = lines.next().unwrap().unwrap();
    assert!(line.starts_with("{\"topic\":\"message_state\",\"offset\":1,"), "{line}");
    let id = consume.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    assert_eq!(wait(&mut consume), Some(0));

    // A reader that goes away ends it quietly at the next record.
    let mut consume = millrace(&["consume", "message_state", "--data", data, "--from-beginning"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(consume.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    publish("again");
    assert_eq!(wait(&mut consume), Some(0));
    assert_eq!(text(&consume.wait_with_output().unwrap().stderr), "");
}

#[test]
fn one_broker_for_a_data_directory() {
    let base = tempfile::tempdir().unwrap();
    let broker = Broker::start(base.path(), &[]);
    let data = base.path().to_str().unwrap();
    let second = output(&["run", "--data", data, "--set", "listener.mqtt.bind=127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    let said = text(&second.stderr);
    assert!(said.contains(&format!("is in use by another broker (process {})", broker.child.id())), "{said}");
    let other = tempfile::tempdir().unwrap();
    let bind = format!("listener.mqtt.bind=127.0.0.1:{}", broker.port);
    let taken = output(&["run", "--data", other.path().to_str().unwrap(), "--set", &bind]);
    assert_eq!(taken.status.code(), Some(1));
    let last = text(&taken.stderr).lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("error: listener mqtt: "), "{last}");
}

/// A broker that was killed leaves its socket: nobody answers, and the next one takes the place.
#[test]
fn status_while_a_broker_runs() {
    let base = tempfile::tempdir().unwrap();
    let data = base.path().to_str().unwrap();
    for _ in 0..2 {
        let mut broker = Broker::start(base.path(), &["--set", "node.status_every=50ms"]);
        broker.read_until("status: 0 connections; log: 0 records in ");
        let page = output(&["status", "--data", data]);
        assert_eq!(page.status.code(), Some(0), "{page:?}");
        let page = text(&page.stdout);
        let first = format!(
            "millrace@127.0.0.1 (millrace {}, process {}), up ",
            env!("CARGO_PKG_VERSION"),
            broker.child.id()
        );
        assert!(page.starts_with(&first), "{page}");
        for part in ["connections  0\n", "\nkafka        none: records stay in the log\n", "\nmessage_state "]
        {
            assert!(page.contains(part), "{part:?} in {page}");
        }
        broker.child.kill().unwrap();
        wait(&mut broker.child);
        assert!(base.path().join("status.sock").exists());
        let nobody = output(&["status", "--data", data]);
        assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
        assert!(
            text(&nobody.stderr).starts_with("error: no broker runs on the data directory "),
            "{nobody:?}"
        );
    }
    // It watches until the broker ends.
    let mut broker = Broker::start(base.path(), &[]);
    let mut watch = millrace(&["status", "--watch", "--json", "--data", data])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(watch.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"version\":\"") && line.ends_with("}\n"), "{line}");
    broker.signal("TERM");
    assert_eq!(wait(&mut broker.child), Some(0));
    assert!(!base.path().join("status.sock").exists());
    assert_eq!(wait(&mut watch), Some(1));
}

#[test]
fn stop_signals() {
    let base = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(base.path(), &[]);
    broker.signal("INT");
    broker.read_until("SIGINT: stopping");
    assert_eq!(wait(&mut broker.child), Some(0));
    // `sub` says goodbye and ends with 0.
    let broker = Broker::start(base.path(), &[]);
    let mut subscriber =
        broker.client("sub", &["-t", "a", "-q", "1", "-V", "5"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(subscriber.stdout.take().unwrap());
    // The subscription is in force once a message arrives; until then it is repeated.
    let arrived = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..200 {
                if !arrived.load(Ordering::SeqCst) {
                    broker.client("pub", &["-t", "a", "-m", "x"]).status().unwrap();
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        });
        out.read_line(&mut line).unwrap();
        arrived.store(true, Ordering::SeqCst);
    });
    assert_eq!(line, "x\n");
    let id = subscriber.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    assert_eq!(wait(&mut subscriber), Some(0));
}

/// Of three bytes.
fn base64(text: &str) -> String {
    let bits = text.bytes().fold(0_usize, |bits, byte| bits << 8 | usize::from(byte));
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    [18, 12, 6, 0].map(|shift| char::from(alphabet[bits >> shift & 63])).iter().collect()
}

/// Lines of standard input at every QoS, more than fit into the window, in order.
#[test]
fn lines_of_standard_input() {
    let base = tempfile::tempdir().unwrap();
    let broker = Broker::start(base.path(), &[]);
    let data = base.path().to_str().unwrap();
    let mut offset = 0;
    for qos in ["0", "1", "2"] {
        let mut publish = broker
            .client("pub", &["-q", qos, "-t", "devices/a/state", "-l"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = publish.stdin.take().unwrap();
        for number in 0..100 {
            writeln!(stdin, "{number:03}").unwrap();
        }
        // The last line has no end; an empty line is an empty message.
        write!(stdin, "\nlast").unwrap();
        drop(stdin);
        assert_eq!(wait(&mut publish), Some(0));
        let from = offset.to_string();
        let read = output(&["consume", "message_state", "--offset", &from, "--max", "102", "--data", data]);
        let payloads: Vec<_> = text(&read.stdout)
            .lines()
            .map(|line| line.split("\"payload\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned())
            .collect();
        let numbers = (0..100).map(|number| base64(&format!("{number:03}")));
        let expected: Vec<_> = numbers.chain([String::new(), "bGFzdA==".to_owned()]).collect();
        assert_eq!(payloads, expected, "QoS {qos}");
        offset += 102;
    }
}

#[test]
fn exit_codes_and_messages() {
    let base = tempfile::tempdir().unwrap();
    let bad = base.path().join("bad.toml");
    std::fs::write(&bad, "[limits]\nmax_inflght = 3\nmax_queued_bytes = true\n").unwrap();
    let bad = bad.to_str().unwrap();
    let conf = base.path().join("bridge.conf");
    std::fs::write(&conf, "bridge.kafka.servers = 127.0.0.1:9092\nbridge.kafka.pool = 1\n").unwrap();
    let conf = conf.to_str().unwrap();
    let problems = [
        format!("error: {bad}:2: limits.max_inflght: unknown key; did you mean limits.max_inflight?"),
        format!(
            "error: {bad}:3: limits.max_queued_bytes: expected a size in bytes such as \"64KiB\", found a boolean"
        ),
    ];
    let problems = problems.join("\n");
    let refused = "error: cannot connect to 127.0.0.1:1: Connection refused (os error 111)";
    let warned = format!("warning: {conf}:2: unknown key \"bridge.kafka.pool\", ignored");
    let nowhere = base.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    let nobody = format!(
        "error: no broker runs on the data directory {nowhere} (nobody answers on status.sock in it)"
    );
    let cases: &[(&[&str], i32, &str, &str)] = &[
        (&["check"], 0, "The configuration is valid.", ""),
        (&["check", "--config", bad], 1, "", &problems),
        (&["run", "--config", bad], 1, "", &problems),
        (&["consume", "x", "--config", bad], 1, "", &problems),
        (&["check", "--bridge-conf", conf], 0, "The configuration is valid.", &warned),
        (
            &["check", "--bridge-conf", conf, "--set", "hook.message_state.durability=kafka"],
            0,
            "The conf",
            &warned,
        ),
        (
            &["check", "--set", "hook.message_state.durability=kafka"],
            1,
            "",
            "error: default: hook.message_state.",
        ),
        (&["status", "--data", nowhere], 1, "", &nobody),
        (&["status", "--json", "--watch", "--data", nowhere], 1, "", &nobody),
        (&["check", "--config", "/nonexistent"], 1, "", "error: /nonexistent: cannot be read: "),
        (&["config"], 0, "# Millrace configuration", ""),
        (&["config", "--keys"], 0, "node.name\n", ""),
        (&["--version"], 0, "millrace ", ""),
        (&["--help"], 0, "Millrace is an MQTT broker", ""),
        (&["pub", "--help"], 0, "Publish messages", ""),
        (&["pub", "-p", "1", "-t", "a", "-m", "x"], 1, "", refused),
        (&["sub", "-p", "1", "-t", "a"], 1, "", refused),
        (&["pub", "-t", "a", "-f", "/nonexistent"], 1, "", "error: /nonexistent cannot be read: "),
        (&["pub", "-t", "a"], 2, "", "error: "),
        (&["nonsense"], 2, "", "error: "),
        (&["run", "--log", "loud"], 2, "", "error: invalid value 'loud' for '--log <FILTER>'"),
    ];
    for (words, code, stdout, stderr) in cases {
        let output = output(words);
        assert_eq!(output.status.code(), Some(*code), "{words:?}: {output:?}");
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(out.starts_with(stdout) && out.is_empty() == stdout.is_empty(), "{words:?}: {out}");
        assert!(
            err.starts_with(stderr) && (*code != 0 || err.is_empty() == stderr.is_empty()),
            "{words:?}: {err}"
        );
    }
    let summary = text(&output(&["check", "--bridge-conf", conf]).stdout);
    for line in [
        "\nkafka 127.0.0.1:9092 (start earliest)\n",
        "\nhook message_state: message.publish on devices/+/state to Kafka topic message_state\n",
    ] {
        assert!(summary.contains(line), "{line:?} in {summary}");
    }
    // The printed configuration is one.
    let printed = base.path().join("printed.toml");
    std::fs::write(&printed, output(&["config"]).stdout).unwrap();
    assert_eq!(output(&["check", "--config", printed.to_str().unwrap()]).stdout, output(&["check"]).stdout);
}
