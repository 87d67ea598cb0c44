//! A log that cannot write holds back those who feed it and nobody else, and goes on by itself.

use crate::stream;
use crate::support::{Broker, Raw, Read, left_out, process::eventually};
use millrace_codec::{QoS, Version};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const CANNOT_WRITE: &str = "the log cannot write";
/// So that little is zero-filled ahead; a record must fit twice, also into a small ring.
const SMALL_SEGMENTS: [&str; 3] = [
    "log.segment_bytes=1MiB",
    "hook.message_state.max_record_bytes=10000",
    "hook.message_command.max_record_bytes=10000",
];
const WRITES_AGAIN: &str = "the log writes again";

/// A small file system in memory on a directory.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn mount(path: &Path) -> Option<SmallDisk> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=8M", "tmpfs"]).arg(path);
        let mounted = command.output().is_ok_and(|output| output.status.success());
        mounted.then(|| SmallDisk { path: path.to_owned() })
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut file = File::create(self.ballast()).expect("room for a file");
        // Down to the last page: the log writes in steps of any size.
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("the ballast");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The broker may still have files open there: lazily.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn payload(number: u16) -> String {
    format!("{number} {}", "x".repeat(2_000))
}

/// A client that feeds the hook with one message after the other.
struct Feeder {
    raw: Raw,
    /// Sent so far; also the next packet id.
    sent: u16,
    acknowledged: u16,
}

impl Feeder {
    fn send(&mut self) {
        self.sent += 1;
        self.raw.publish("devices/feeder/state", payload(self.sent).as_bytes(), QoS::AtLeastOnce, self.sent);
    }

    fn acknowledgement(&mut self, patience: Duration) -> bool {
        match self.raw.read(patience) {
            Read::Packet(packet) => {
                self.acknowledged += 1;
                assert_eq!(packet, [0x40, 2, (self.acknowledged >> 8) as u8, self.acknowledged as u8]);
                true
            }
            Read::Silence => false,
            Read::Closed => panic!("closed"),
        }
    }

    /// PINGREQ is answered, and nothing is acknowledged before.
    fn ping(&mut self) {
        self.raw.ping();
    }
}

#[test]
fn only_those_who_feed_it_wait() {
    let mut broker = Broker::start(&[&SMALL_SEGMENTS[..], &["log.ring_bytes=64KiB"]].concat());
    broker.terminate();
    let log = broker.data().join("log");
    fs::remove_dir_all(&log).expect("the log of the first start");
    fs::create_dir(&log).expect("a directory");
    let Some(disk) = SmallDisk::mount(&log) else {
        return left_out("full_disk: mounting a tmpfs", "nothing, but run as root");
    };
    broker.restart();
    let ids = [broker.client_id_on(0, "other"), broker.client_id_on(1, "other")];
    let mut subscriber = Raw::connect(&broker, Version::V311, "subscriber");
    subscriber.subscribe("unhooked/#", QoS::AtMostOnce);
    let raw = Raw::connect(&broker, Version::V311, &broker.client_id_on(0, "feeder"));
    let mut feeder = Feeder { raw, sent: 0, acknowledged: 0 };
    feeder.send();
    assert!(feeder.acknowledgement(PATIENCE));
    disk.fill();
    // What was zero-filled ahead still takes some.
    while !broker.log().iter().any(|line| line.contains(CANNOT_WRITE)) {
        if feeder.acknowledged == feeder.sent {
            feeder.send();
        }
        feeder.acknowledgement(Duration::from_millis(100));
        assert!(feeder.sent < 2_000, "the disk does not fill");
    }
    assert_eq!(feeder.sent, feeder.acknowledged + 1);
    // The ring has room yet: more is taken, nothing acknowledged, and pings are answered.
    for _ in 0..5 {
        feeder.send();
    }
    feeder.ping();
    // What no hook takes goes out at once; its acknowledgement keeps its place behind the one that waits.
    let mut mixed = Raw::connect(&broker, Version::V311, "mixed");
    mixed.publish("devices/mixed/state", b"of mixed", QoS::AtLeastOnce, 1);
    mixed.publish("unhooked/mixed", b"not hooked", QoS::AtLeastOnce, 2);
    mixed.ping();
    assert_eq!(subscriber.expect_publish().1, b"not hooked");
    // Others, on either core, do not notice, nor does the feeder with what no hook takes.
    feeder.raw.publish("unhooked/feeder", b"from the feeder", QoS::AtMostOnce, 0);
    assert_eq!(subscriber.expect_publish().1, b"from the feeder");
    for id in &ids {
        let mut other = Raw::connect(&broker, Version::V5, id);
        other.publish("unhooked/other", id.as_bytes(), QoS::AtLeastOnce, 7);
        other.expect(&[0x40, 2, 0, 7]);
        assert_eq!(subscriber.expect_publish().1, id.as_bytes());
        other.ping();
        other.disconnect();
    }
    // Far more than the ring takes, and more than is read ahead: the client is not read any more.
    for _ in 0..60 {
        feeder.send();
    }
    // Others of that core wait with them; their pings are answered, and what they have sent before they go counts.
    let mut second = Raw::connect(&broker, Version::V311, &broker.client_id_on(0, "second"));
    second.publish("devices/second/state", b"of the second", QoS::ExactlyOnce, 1);
    second.ping();
    second.ping();
    let mut third = Raw::connect(&broker, Version::V311, &broker.client_id_on(0, "third"));
    third.publish("devices/third/state", b"of the third", QoS::AtMostOnce, 0);
    third.send(&[0xe0, 0]);
    drop(third);
    subscriber.ping();
    assert!(!broker.log().iter().any(|line| line.contains(WRITES_AGAIN)), "{:#?}", broker.log());
    disk.make_room();
    broker.wait_for_log(WRITES_AGAIN);
    while feeder.acknowledged < feeder.sent {
        assert!(feeder.acknowledgement(PATIENCE), "{} of {}", feeder.acknowledged, feeder.sent);
    }
    mixed.expect(&[0x40, 2, 0, 1]);
    mixed.expect(&[0x40, 2, 0, 2]);
    // PUBREC
    second.expect(&[0x50, 2, 0, 1]);
    let third_is_there = || {
        let stream = stream::read(broker.data());
        stream.payloads.iter().any(|payload| payload == "of the third")
    };
    assert!(eventually(PATIENCE, third_is_there), "what the third has sent is lost");
    feeder.ping();
    let stream = stream::read(broker.data());
    let (fed, mut others): (Vec<_>, Vec<_>) =
        stream.payloads.into_iter().partition(|payload| !payload.starts_with("of "));
    others.sort();
    assert_eq!(fed, (1..=feeder.sent).map(payload).collect::<Vec<_>>());
    assert_eq!(others, ["of mixed", "of the second", "of the third"]);
    assert_eq!(stream.gaps, []);
    drop(broker);
    drop(disk);
}

/// The records of UNSUBSCRIBE are let in like all others: a client that goes on and on waits when the ring is full.
#[test]
fn unsubscribing_waits_for_room() {
    let settings = [
        &SMALL_SEGMENTS[..],
        &["log.ring_bytes=64KiB", "hook.gone.on=session.unsubscribed", "hook.gone.topic=gone"],
        &["hook.gone.max_record_bytes=10000"],
    ];
    let mut broker = Broker::start(&settings.concat());
    broker.terminate();
    let log = broker.data().join("log");
    fs::remove_dir_all(&log).expect("the log of the first start");
    fs::create_dir(&log).expect("a directory");
    let Some(disk) = SmallDisk::mount(&log) else {
        return left_out("full_disk: mounting a tmpfs", "nothing, but run as root");
    };
    broker.restart();
    disk.fill();
    let mut raw = Raw::connect(&broker, Version::V311, "undecided");
    let filter = "f".repeat(1_000);
    let mut unsubscribe = vec![0xa2, 0xec, 7, 0, 1, 3, 0xe8];
    unsubscribe.extend_from_slice(filter.as_bytes());
    let waits = (0..10_000).any(|_| {
        raw.subscribe(&filter, QoS::AtMostOnce);
        raw.send(&unsubscribe);
        // Long enough for a log that can write.
        raw.read(Duration::from_secs(2)) == Read::Silence
    });
    assert!(waits, "the ring takes whatever comes");
    raw.ping();
    disk.make_room();
    broker.wait_for_log(WRITES_AGAIN);
    raw.expect(&[0xb0, 2, 0, 1]);
    drop(broker);
    drop(disk);
}

/// Stopped while the disk is full: it says what it could not write and does not hang; nothing of that was
/// acknowledged.
#[test]
fn stopped_while_it_cannot_write() {
    let mut broker = Broker::start(&SMALL_SEGMENTS);
    broker.terminate();
    let log = broker.data().join("log");
    fs::remove_dir_all(&log).expect("the log of the first start");
    fs::create_dir(&log).expect("a directory");
    let Some(disk) = SmallDisk::mount(&log) else {
        return left_out("full_disk: mounting a tmpfs", "nothing, but run as root");
    };
    broker.restart();
    let mut feeder = Feeder { raw: Raw::connect(&broker, Version::V311, "feeder"), sent: 0, acknowledged: 0 };
    disk.fill();
    while !broker.log().iter().any(|line| line.contains(CANNOT_WRITE)) {
        if feeder.acknowledged == feeder.sent {
            feeder.send();
        }
        feeder.acknowledgement(Duration::from_millis(100));
        assert!(feeder.sent < 2_000, "the disk does not fill");
    }
    let exit = broker.terminate();
    assert_eq!(exit.code, Some(1), "{:?}", exit.log);
    assert!(exit.log.iter().any(|line| line.contains("could not be written")), "{:?}", exit.log);
    disk.make_room();
    broker.restart();
    let stream = stream::read(broker.data());
    let expected: Vec<String> = (1..=feeder.acknowledged).map(payload).collect();
    assert_eq!(stream.payloads[..expected.len()], expected[..]);
    assert!(stream.payloads.len() <= usize::from(feeder.sent));
    drop(broker);
    drop(disk);
}
