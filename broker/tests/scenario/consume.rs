//! `millrace consume`: where it begins, where it ends, what it prints, and that it follows.

use crate::support::{Broker, Raw, lock::without_time};
use crate::tool::{PATIENCE, Tool, consume};
use millrace_codec::{QoS, Version};

fn publish(client: &mut Raw, payloads: std::ops::Range<u8>) {
    for number in payloads {
        client.publish("devices/lock/state", &[number], QoS::AtLeastOnce, u16::from(number) + 1);
        client.expect(&[0x40, 2, 0, number + 1]);
    }
}

fn record(number: u8) -> String {
    // One byte in base64.
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (high, low) =
        (digits[usize::from(number >> 2)] as char, digits[usize::from(number & 3) << 4] as char);
    format!(
        r#"{{"client_id":"lock","username":"","topic":"devices/lock/state","payload":"{high}{low}==","qos":1,"node":"millrace@127.0.0.1","ts":TS}}"#
    )
}

fn printed(tool: Tool) -> Vec<String> {
    tool.succeed().iter().map(|line| without_time(line)).collect()
}

#[test]
fn beginnings_and_ends() {
    let mut broker = Broker::start(&[]);
    publish(&mut Raw::connect(&broker, Version::V311, "lock"), 0..10);
    let cases: &[(&str, &[&str], std::ops::Range<u8>)] = &[
        ("from the beginning", &["--from-beginning", "--max", "10"], 0..10),
        ("the first ones", &["--from-beginning", "--max", "3"], 0..3),
        ("none", &["--from-beginning", "--max", "0"], 0..0),
        ("from an offset", &["--offset", "7", "--max", "3"], 7..10),
        ("the first offset", &["--offset", "0", "--max", "1"], 0..1),
        ("the last offset", &["--offset", "9", "--max", "1"], 9..10),
    ];
    for running in [true, false] {
        for (name, words, numbers) in cases {
            let expected: Vec<String> = numbers.clone().map(record).collect();
            let seen = printed(consume(&broker, "message_state", words));
            assert_eq!(seen, expected, "{name}, broker running: {running}");
        }
        if running {
            assert_eq!(broker.terminate().code, Some(0));
        }
    }
}

#[test]
fn a_line_of_json() {
    let broker = Broker::start(&[]);
    publish(&mut Raw::connect(&broker, Version::V311, "lock"), 0..3);
    let words = ["--offset", "2", "--max", "1", "--json"];
    let lines = consume(&broker, "message_state", &words).succeed();
    let line = without_time(&lines[0]);
    let (before, rest) = line.split_once(r#""ts":"#).expect("the time of the record");
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    assert_eq!(before, r#"{"topic":"message_state","offset":2,"#);
    assert_eq!(after, format!(r#","key":"lock","value":{},"headers":{{}}}}"#, record(2)));
    serde_json::from_str::<serde_json::Value>(&lines[0]).expect("JSON");
}

/// Without `--from-beginning` only what comes; and it goes on over a crash and a restart of the broker.
#[test]
fn it_follows() {
    let mut broker = Broker::start(&[]);
    publish(&mut Raw::connect(&broker, Version::V311, "lock"), 0..3);
    // Offset 3 is the end; that it reads on from there shows with the first record.
    let mut follower = consume(&broker, "message_state", &["--offset", "3"]);
    publish(&mut Raw::connect(&broker, Version::V311, "lock"), 3..5);
    assert_eq!(without_time(&follower.line()), record(3));
    assert_eq!(without_time(&follower.line()), record(4));
    broker.restart();
    publish(&mut Raw::connect(&broker, Version::V311, "lock"), 5..7);
    assert_eq!(without_time(&follower.line()), record(5));
    assert_eq!(without_time(&follower.line()), record(6));
}

fn waited_for(words: &[&str]) {
    let broker = Broker::start(&[]);
    let mut waiting = consume(&broker, "message_state", words);
    let said = waiting.err.recv_timeout(PATIENCE).expect("it says that it waits");
    assert!(said.contains("no stream message_state") && said.contains("waiting"), "{said}");
    publish(&mut Raw::connect(&broker, Version::V311, "lock"), 0..2);
    assert_eq!(without_time(&waiting.line()), record(0));
    assert_eq!(printed(waiting), [record(1)]);
}

#[test]
fn an_unknown_stream_is_waited_for() {
    waited_for(&["--from-beginning", "--max", "2"]);
}

#[test]
fn the_first_record_of_an_unknown_stream_comes() {
    waited_for(&["--max", "2"]);
}
