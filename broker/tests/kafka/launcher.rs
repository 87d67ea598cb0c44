//! The Kafka of these tests itself: it serves, it comes back with its data, and it leaves nothing behind.

use crate::jars::Tools;
use crate::node::{Node, alone, shared};
use crate::support::process::eventually;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Set for the process that [`a_killed_test_leaves_no_kafka`] kills.
const VICTIM: &str = "MILLRACE_TEST_VICTIM";

#[test]
fn topics_are_made_and_missing_ones_are_not() {
    let Some(kafka) = shared() else { return };
    let mut client = kafka.client();
    assert_eq!(client.partitions("launcher_topic"), None);
    kafka.create_topic("launcher_topic", 5);
    assert_eq!(client.partitions("launcher_topic"), Some(5));
    assert_eq!(client.consume("launcher_topic"), []);
}

/// The tests' own reader, against records that Kafka's own producer wrote.
#[test]
fn records_are_read_as_they_were_written() {
    let Some(kafka) = shared() else { return };
    kafka.create_topic("launcher_read", 3);
    let lines: Vec<String> = (0..300)
        .map(|number| format!("key {}\t{number} {}", number % 20, "é".repeat(number % 100)))
        .collect();
    kafka.console_producer("launcher_read", &lines);
    let records = kafka.client().consume("launcher_read");
    let mut next = [0; 3];
    for record in &records {
        assert_eq!(record.offset, next[record.partition as usize], "{record:?}");
        next[record.partition as usize] += 1;
    }
    let mut read: Vec<String> =
        records.iter().map(|record| format!("{}\t{}", record.key(), record.value())).collect();
    let number = |line: &String| -> usize {
        let (_, value) = line.split_once('\t').expect("a key");
        value.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
    };
    read.sort_by_key(number);
    assert_eq!(read, lines);
}

#[test]
fn topics_survive_a_kill() {
    let Some(mut kafka) = alone() else { return };
    kafka.create_topic("launcher_kept", 2);
    let servers = kafka.servers();
    kafka.restart();
    assert_eq!(kafka.servers(), servers);
    assert_eq!(kafka.client().partitions("launcher_kept"), Some(2));
}

#[test]
fn a_killed_test_leaves_no_kafka() {
    if shared().is_none() {
        return;
    }
    let mut victim = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "launcher::victim", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program again");
    let out = BufReader::new(victim.stdout.take().expect("a pipe"));
    let line =
        out.lines().map_while(Result::ok).find_map(|line| line.strip_prefix("victim: ").map(str::to_owned));
    let line = line.expect("the victim starts a Kafka");
    let (pid, folder) = line.split_once(' ').expect("two words");
    let jvm = Path::new("/proc").join(pid);
    assert!(jvm.exists() && Path::new(folder).exists(), "{line}");
    victim.kill().expect("our own child");
    victim.wait().expect("our own child");
    let gone = || !jvm.exists() && !Path::new(folder).exists();
    assert!(eventually(Duration::from_secs(20), gone), "{line} is left");
}

/// Not a test: what the test above kills.
#[test]
fn victim() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let mut node = Node::new(Tools::find().expect("was there a moment ago"));
    node.spawn();
    let pid = node.pid().expect("it was started").as_raw_nonzero();
    println!("\nvictim: {pid} {}", node.folder().display());
    loop {
        std::thread::park();
    }
}
