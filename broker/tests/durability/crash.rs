//! The process ends in the middle of the load, in every way it can.

use crate::stream::check;
use crate::support::{Broker, load::Load};
use millrace_codec::QoS;

/// Acknowledged before each end.
const MESSAGES: usize = 1_000;

fn killed(qos: QoS) {
    // Small segments, so that there are several of them. A record must fit twice.
    let mut broker = Broker::start(&[
        "log.segment_bytes=1MiB",
        "hook.message_state.max_record_bytes=100000",
        "hook.message_command.max_record_bytes=100000",
    ]);
    let mut load = Load::new(qos);
    for _ in 0..3 {
        load.until(&mut broker, MESSAGES, Broker::kill);
        // What a crash leaves is readable before any recovery, too.
        check(&load, broker.data());
        broker.restart();
        check(&load, broker.data());
    }
    load.finish(&mut broker, MESSAGES);
    broker.kill();
    check(&load, broker.data());
}

#[test]
fn killed_under_qos_1() {
    killed(QoS::AtLeastOnce);
}

#[test]
fn killed_under_qos_2() {
    killed(QoS::ExactlyOnce);
}

#[test]
fn stopped_under_load() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut broker = Broker::start(&[]);
        let mut load = Load::new(qos);
        load.until(&mut broker, MESSAGES, |broker| {
            let exit = broker.terminate();
            assert_eq!(exit.code, Some(0), "{:?}", exit.log);
        });
        check(&load, broker.data());
        broker.restart();
        // Nothing is torn, so recovery has nothing to say.
        let warnings: Vec<String> = broker.log().into_iter().filter(|line| line.contains("WARN")).collect();
        assert!(warnings.is_empty(), "{warnings:?}");
        load.finish(&mut broker, MESSAGES);
        check(&load, broker.data());
    }
}

/// A crash while the broker recovers from a crash: whatever the moment, the next start works.
#[test]
fn killed_while_it_starts() {
    let mut broker = Broker::start(&[]);
    let mut load = Load::new(QoS::AtLeastOnce);
    load.until(&mut broker, MESSAGES, Broker::kill);
    for number in 0..20 {
        let mut command = crate::support::millrace();
        command
            .args(["run", "--set", "listener.mqtt.bind=127.0.0.1:0", "--log=off", "--data"])
            .arg(broker.data());
        let mut child = command.spawn().expect("the built program can be started");
        // The moments are meant to differ; none of them has to be met.
        std::thread::sleep(std::time::Duration::from_millis(number));
        child.kill().expect("our own child");
        child.wait().expect("our own child");
        check(&load, broker.data());
    }
    broker.restart();
    load.finish(&mut broker, MESSAGES);
    check(&load, broker.data());
}
