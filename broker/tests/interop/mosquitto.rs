//! `mosquitto_pub` and `mosquitto_sub` in the three versions, at each QoS, with wills, wildcards and large payloads.

use crate::support::{Broker, left_out, process::eventually, tool};
use crate::tool::{PATIENCE, READY, Tool, consume, records};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::process::Command;

const LOCK: &str = "10083618796833171";
const VERSIONS: [&str; 3] = ["mqttv31", "mqttv311", "mqttv5"];

/// Runs `test` if the tools are there.
fn with_tools(test: impl FnOnce()) {
    if tool("mosquitto_pub").is_none() || tool("mosquitto_sub").is_none() {
        return left_out("mosquitto_pub", "mosquitto-clients");
    }
    test();
}

fn command(broker: &Broker, program: &str, version: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    let port = broker.address().port().to_string();
    command.args(["-h", "127.0.0.1", "-p", &port, "-V", version]).args(words);
    command
}

/// Publishes and waits until `mosquitto_pub` has what its QoS promises.
fn publish(broker: &Broker, version: &str, words: &[&str]) {
    Tool::start(command(broker, "mosquitto_pub", version, words)).succeed();
}

/// A subscriber that is there.
fn subscribe(broker: &Broker, version: &str, words: &[&str]) -> Tool {
    let mut tool = Tool::start(command(broker, "mosquitto_sub", version, &[words, &["-t", READY]].concat()));
    tool.wait_until_subscribed(broker);
    tool
}

#[test]
fn the_job() {
    with_tools(|| {
        for version in VERSIONS {
            let broker = Broker::start(&[]);
            let (state, order) = (format!("devices/{LOCK}/state"), format!("devices/{LOCK}/command"));
            let mut lock = subscribe(&broker, version, &["-i", LOCK, "-q", "1", "-t", &order]);
            publish(
                &broker,
                version,
                &["-i", "back end", "-u", "user", "-q", "1", "-t", &order, "-m", "open"],
            );
            assert_eq!(lock.line(), "open", "{version}");
            publish(&broker, version, &["-i", "other", "-q", "1", "-t", &state, "-m", "opened"]);
            let node = r#""qos":1,"node":"millrace@127.0.0.1","ts":TS"#;
            let expected = format!(
                r#"{{"client_id":"{LOCK}","username":"","from":"back end","topic":"{order}","payload":"b3Blbg==",{node}}}"#
            );
            assert_eq!(records(&broker, "message_command", 1), [expected], "{version}");
            let expected = format!(
                r#"{{"client_id":"other","username":"","topic":"{state}","payload":"b3BlbmVk",{node}}}"#
            );
            assert_eq!(records(&broker, "message_state", 1), [expected], "{version}");
        }
    });
}

/// Each QoS of the publisher with each of the subscriber, between all versions; `%q` is the QoS of the delivery.
#[test]
fn each_qos_each_way() {
    with_tools(|| {
        let broker = Broker::start(&[]);
        for receiver in VERSIONS {
            for granted in 0..=2u8 {
                let granted_text = granted.to_string();
                let words = ["-q", &granted_text, "-t", "qos/#", "-F", "%q %t %p"];
                let mut subscriber = Tool::start(command(&broker, "mosquitto_sub", receiver, &words));
                wait_for_probe(&broker, &mut subscriber);
                for sender in VERSIONS {
                    for qos in 0..=2u8 {
                        let topic = format!("qos/{sender}/{qos}");
                        publish(&broker, sender, &["-q", &qos.to_string(), "-t", &topic, "-m", "payload"]);
                        let expected = format!("{} {topic} payload", qos.min(granted));
                        assert_eq!(next_after_probes(&mut subscriber), expected, "{sender} to {receiver}");
                    }
                }
            }
        }
    });
}

const PROBE: &str = "qos/probe";

/// As `subscribe` does it, for a subscriber whose lines have a format of their own.
fn wait_for_probe(broker: &Broker, subscriber: &mut Tool) {
    let here = eventually(PATIENCE, || {
        publish(broker, "mqttv311", &["-t", PROBE, "-m", "probe"]);
        subscriber.out.try_recv().is_ok_and(|line| line.contains(PROBE))
    });
    assert!(here, "no probe arrived");
}

fn next_after_probes(subscriber: &mut Tool) -> String {
    loop {
        let line = subscriber.line();
        if !line.contains(PROBE) {
            return line;
        }
    }
}

#[test]
fn wills() {
    with_tools(|| {
        let broker = Broker::start(&[]);
        for version in VERSIONS {
            let mut watcher = subscribe(&broker, version, &["-q", "1", "-t", "devices/+/state"]);
            let topic = format!("devices/{version}/state");
            // When interrupted, mosquitto_sub says goodbye; in 5.0 with reason 0x04, which asks for the will.
            let at_goodbye = (version == "mqttv5").then_some("gone");
            for (signal, expected) in [(Signal::INT, at_goodbye), (Signal::KILL, Some("gone"))] {
                let will = ["--will-topic", &topic, "--will-payload", "gone", "--will-qos", "1"];
                let words = [&["-i", version, "-t", "nothing"][..], &will].concat();
                let client = subscribe(&broker, version, &words);
                let pid = Pid::from_child(&client.child);
                kill_process(pid, signal).expect("a signal to our own child");
                client.end();
                // Behind the will, if there is one.
                publish(&broker, version, &["-i", version, "-q", "1", "-t", &topic, "-m", "back"]);
                let seen: Vec<String> = expected.iter().map(|_| watcher.line()).collect();
                assert_eq!(seen, Vec::from_iter(expected), "{version} {signal:?}");
                assert_eq!(watcher.line(), "back", "{version} {signal:?}");
            }
        }
        // A will is recorded like a message: four of them and six others.
        let seen = records(&broker, "message_state", 10);
        assert_eq!(
            seen.iter().filter(|record| record.contains(r#""payload":"Z29uZQ==""#)).count(),
            4,
            "{seen:#?}"
        );
    });
}

#[test]
fn wildcards() {
    with_tools(|| {
        let broker = Broker::start(&[]);
        let cases: &[(&str, &[&str])] = &[
            ("a/+/c", &["a/b/c", "a//c"]),
            ("a/#", &["a", "a/b", "a/b/c", "a//c", "a/b/c/d"]),
            ("+/+", &["a/b", "/a"]),
            ("#", &["a", "a/b", "a/b/c", "a//c", "a/b/c/d", "/a", "b"]),
            ("a/b", &["a/b"]),
        ];
        for version in VERSIONS {
            for (filter, expected) in cases {
                let mut subscriber = subscribe(&broker, version, &["-q", "1", "-t", filter]);
                for topic in ["a", "a/b", "a/b/c", "a//c", "a/b/c/d", "/a", "b", "$own/b"] {
                    publish(&broker, version, &["-q", "1", "-t", topic, "-m", topic]);
                }
                publish(&broker, version, &["-q", "1", "-t", READY, "-m", "end"]);
                // Overlapping with `ready`, `#` brings the last one once all the same.
                let mut seen = Vec::new();
                while seen.last().is_none_or(|last| last != "end") {
                    seen.push(subscriber.line());
                }
                seen.pop();
                assert_eq!(seen, *expected, "{version} {filter}");
            }
        }
    });
}

/// Longer than any buffer on the way, and equal to the byte.
#[test]
fn a_large_payload() {
    with_tools(|| {
        let broker = Broker::start(&[]);
        let mut text = String::new();
        while text.len() < 500_000 {
            text.push_str(&format!("{:x},", text.len().wrapping_mul(0x9e37_79b9)));
        }
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("written");
        let path = file.path().to_str().expect("a name in ASCII");
        for version in VERSIONS {
            for qos in ["0", "1", "2"] {
                let mut subscriber = subscribe(&broker, version, &["-q", qos, "-t", "devices/+/state"]);
                publish(&broker, version, &["-q", qos, "-t", "devices/large/state", "-f", path]);
                assert!(subscriber.line() == text, "{version} QoS {qos}: another payload");
            }
        }
        let printed = consume(&broker, "message_state", &["--from-beginning", "--max", "9"]).succeed();
        let lens: Vec<usize> = printed.iter().map(String::len).collect();
        assert!(
            lens.iter().all(|&len| len > text.len() / 3 * 4 && len < text.len() / 3 * 4 + 300),
            "{lens:?}"
        );
    });
}
