//! One lock, the back end and the business systems, in each version of MQTT.

use crate::support::{Broker, lock::*, millrace};
use crate::tool::{READY, Tool, records};
use rustix::process::{Pid, Signal, kill_process};

/// `pub` or `sub` for this broker.
fn client(broker: &Broker, command: &str, words: &[&str]) -> Tool {
    let mut line = millrace();
    line.args([command, "-p", &broker.address().port().to_string()]).args(words);
    Tool::start(line)
}

/// A subscriber that is there: it must be, or what is published next may pass it by.
fn subscribed(broker: &Broker, words: &[&str]) -> Tool {
    let mut tool = client(broker, "sub", &[words, &["-t", READY]].concat());
    tool.wait_until_subscribed(broker);
    tool
}

/// Ctrl-C, and a good end.
fn interrupt(tool: Tool) {
    let pid = Pid::from_child(&tool.child);
    kill_process(pid, Signal::INT).expect("a signal to our own child");
    tool.succeed();
}

fn the_job(version: &str) {
    let broker = Broker::start(&[]);
    let (state, command) = (format!("devices/{LOCK}/state"), format!("devices/{LOCK}/command"));
    // An order to a lock that is not there is not on record.
    client(&broker, "pub", &["-V", version, "-q", "1", "-t", &command, "-m", "too early"]).succeed();
    let mut lock = subscribed(&broker, &["-V", version, "-q", "1", "-i", LOCK, "-t", &command]);
    let order = ["-V", version, "-i", "BACK_END", "-q", "1", "-t", &command, "-m", COMMAND];
    client(&broker, "pub", &order).succeed();
    assert_eq!(lock.line(), COMMAND);
    assert_eq!(records(&broker, "message_command", 1), [COMMAND_RECORD]);
    interrupt(lock);
    client(&broker, "pub", &["-V", version, "-i", LOCK, "-q", "1", "-t", &state, "-m", STATE]).succeed();
    // Three systems read both directions, each for itself.
    for _ in 0..3 {
        assert_eq!(records(&broker, "message_state", 1), [STATE_RECORD]);
        assert_eq!(records(&broker, "message_command", 1), [COMMAND_RECORD]);
    }
}

#[test]
fn the_job_in_3_1() {
    the_job("3.1");
}

#[test]
fn the_job_in_3_1_1() {
    the_job("3.1.1");
}

#[test]
fn the_job_in_5_0() {
    the_job("5");
}

/// `qos` of a publish is the publisher's, of an acknowledged message the delivered one; a QoS 0 delivery is never
/// acknowledged.
#[test]
fn qos_in_records() {
    let broker = Broker::start(&[]);
    let (state, command) = (format!("devices/{LOCK}/state"), format!("devices/{LOCK}/command"));
    let mut lock = subscribed(&broker, &["-q", "2", "-i", LOCK, "-t", &command]);
    for qos in ["0", "1", "2"] {
        client(&broker, "pub", &["-i", "BACK_END", "-q", qos, "-t", &command, "-m", qos]).succeed();
        assert_eq!(lock.line(), qos);
        client(&broker, "pub", &["-i", LOCK, "-q", qos, "-t", &state, "-m", qos]).succeed();
        // `pub` with the lock's id has ended the lock's session; it comes back.
        drop(lock);
        lock = subscribed(&broker, &["-q", "2", "-i", LOCK, "-t", &command]);
    }
    let qos_of = |record: &String| record.split_once(r#""qos":"#).map(|(_, rest)| rest[..1].to_owned());
    let seen = |stream, count| records(&broker, stream, count).iter().filter_map(qos_of).collect::<Vec<_>>();
    assert_eq!(seen("message_state", 3), ["0", "1", "2"]);
    assert_eq!(seen("message_command", 2), ["1", "2"]);
}
