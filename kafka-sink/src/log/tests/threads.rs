//! The log thread with real files: producers on threads of their own, acknowledgements, limits.

use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::super::file::RealFs;
use super::super::sim::Fault;
use super::*;
use crate::ring::{Completion, Producer};

/// Collects what is reported and tells the cores by a channel.
pub(super) struct Collector {
    pub(super) tokens: Vec<Mutex<Vec<AckToken>>>,
    pub(super) room: Vec<Mutex<mpsc::Sender<()>>>,
}

pub(super) fn collector(cores: usize) -> (Arc<Collector>, Vec<mpsc::Receiver<()>>) {
    let (room, woken): (Vec<_>, Vec<_>) = (0..cores).map(|_| mpsc::channel()).unzip();
    let tokens = (0..cores).map(|_| Mutex::default()).collect();
    (Arc::new(Collector { tokens, room: room.into_iter().map(Mutex::new).collect() }), woken)
}

impl Completion for Collector {
    fn durable(&self, core: usize, tokens: Vec<AckToken>) {
        assert!(!tokens.is_empty());
        self.tokens[core].lock().extend(tokens);
    }

    fn room(&self, core: usize) {
        // The core may have ended.
        let _ = self.room[core].lock().send(());
    }
}

impl Collector {
    pub(super) fn count(&self, core: usize) -> usize {
        self.tokens[core].lock().len()
    }

    pub(super) fn wait_for(&self, core: usize, count: usize) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.count(core) < count {
            assert!(Instant::now() < until, "{} of {count} after 20 s", self.count(core));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

pub(super) fn token(sequence: u32) -> Option<AckToken> {
    Some(AckToken { slot: 1, generation: 2, sequence })
}

/// A core: appends `count` records to its own stream, waiting for room where there is none.
fn produce(mut producer: Producer, woken: mpsc::Receiver<()>, stream: &str, count: u32) -> u64 {
    let rule = rule(stream);
    let mut waits = 0;
    for sequence in 0..count {
        let topic = format!("{stream}/{sequence}");
        let event = publish(&topic, &[b'x'; 200]);
        let len = Producer::record_len(&event, &rule);
        while !producer.has_room(1, len) || !producer.has_room_for(&rule, len) {
            waits += 1;
            producer.flush();
            producer.want_room();
            woken.recv_timeout(Duration::from_secs(20)).expect("room comes");
        }
        producer.append(&rule, &event, token(sequence));
        if sequence % 7 == 0 {
            producer.flush();
        }
    }
    assert_eq!(producer.exceeded(), 0);
    producer.flush();
    waits
}

#[test]
fn two_cores_append_and_every_record_is_acknowledged_and_read() {
    const COUNT: u32 = 20_000;
    let dir = tempfile::tempdir().expect("a directory");
    let log_dir = dir.path().join("log");
    let config = LogConfig {
        segment_bytes: 2 << 20,
        fill_step_bytes: 1 << 20,
        ring_bytes: 256 << 10,
        ..LogConfig::new(&log_dir, NODE)
    };
    let (log, recovery) = super::super::open(config.clone(), RealFs::new(), NOW, 1).expect("opens");
    assert_eq!((recovery.run, recovery.clean), (1, true));
    let (collector, woken) = collector(2);
    let completion: Arc<dyn Completion> = Arc::clone(&collector) as _;
    let (handle, producers) = log.start(2, completion).expect("starts");
    let waits: u64 = std::thread::scope(|scope| {
        let cores: Vec<_> = producers
            .into_iter()
            .zip(woken)
            .zip(["left", "right"])
            .map(|((producer, woken), stream)| scope.spawn(move || produce(producer, woken, stream, COUNT)))
            .collect();
        cores.into_iter().map(|core| core.join().expect("a core ends well")).sum()
    });
    assert!(waits > 0, "the rings are small enough to fill");
    let summary = handle.stop().expect("a clean stop");
    assert_eq!(summary.next_sequence, u64::from(2 * COUNT));
    assert_eq!(summary.stats.records, u64::from(2 * COUNT));
    assert_eq!(summary.stats.sync_us.len(), summary.stats.groups);
    for (core, stream) in ["left", "right"].into_iter().enumerate() {
        let sequences: Vec<u32> = collector.tokens[core].lock().iter().map(|t| t.sequence).collect();
        assert_eq!(sequences, (0..COUNT).collect::<Vec<_>>(), "in order, once");
        let mut reader = Reader::open(&log_dir, stream, From::Beginning).expect("opens");
        let mut records = Vec::new();
        while reader.poll(&mut records, 1000).expect("reads") > 0 {}
        assert_eq!(records.len() as u32, COUNT);
        for (index, record) in records.iter().enumerate() {
            assert_eq!(record.offset, index as u64);
            if index % 1000 == 0 {
                assert_eq!(topic_of(&record.value), format!("{stream}/{index}"));
            }
        }
    }
    let files: Vec<_> = std::fs::read_dir(&log_dir).expect("lists").flatten().collect();
    assert!(files.len() > 4, "it rolled");
    for file in files {
        assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    let mode = std::fs::metadata(&log_dir).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let (_log, recovery) = super::super::open(config, RealFs::new(), NOW, 2).expect("opens again");
    assert_eq!((recovery.run, recovery.clean, recovery.next_sequence), (2, true, u64::from(2 * COUNT)));
}

#[test]
fn the_lock_keeps_a_second_broker_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = |seed| super::super::open(LogConfig::new(dir.path(), NODE), RealFs::new(), NOW, seed);
    let (log, _) = open(1).expect("opens");
    assert!(matches!(open(2).err(), Some(LogError::Locked { .. })));
    let (collector, _woken) = collector(1);
    let (handle, _producers) = log.start(1, collector).expect("starts");
    assert!(matches!(open(3).err(), Some(LogError::Locked { .. })), "held by the thread");
    handle.stop().expect("stops");
    assert!(open(4).is_ok());
}

#[test]
fn a_record_alone_is_acknowledged_and_the_thread_sleeps_between() {
    let fs = SimFs::new(1);
    let (log, _) = super::super::open(config(), fs.clone(), NOW, 1).expect("opens");
    let (collector, _woken) = collector(1);
    let (handle, mut producers) =
        log.start(1, Arc::clone(&collector) as Arc<dyn Completion>).expect("starts");
    for sequence in 0..200 {
        producers[0].append(&rule("s"), &publish("t", b"p"), token(sequence));
        producers[0].flush();
        collector.wait_for(0, sequence as usize + 1);
    }
    assert_eq!(producers[0].waiting(), (0, 0));
    assert_eq!(handle.stats().groups, 200);
    handle.stop().expect("stops");
}

#[test]
fn a_medium_that_refuses_pauses_the_log_and_nothing_is_lost() {
    let fs = SimFs::new(2);
    let (log, _) =
        super::super::open(LogConfig { ring_records: 20, ..config() }, fs.clone(), NOW, 1).expect("opens");
    let (collector, woken) = collector(1);
    let (handle, mut producers) =
        log.start(1, Arc::clone(&collector) as Arc<dyn Completion>).expect("starts");
    let mut producer = producers.remove(0);
    let at = fs.operations();
    for operation in at..at + 12 {
        fs.fail_at(operation, Fault::Full);
    }
    let mut accepted = 0;
    while producer.has_room(1, 100) {
        producer.append(&rule("s"), &publish(&accepted.to_string(), b"p"), token(accepted));
        producer.flush();
        accepted += 1;
    }
    assert_eq!(accepted, 20, "the ring is the limit");
    producer.want_room();
    let until = Instant::now() + Duration::from_secs(5);
    while !handle.stats().paused {
        assert!(Instant::now() < until, "it says that it is paused");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(collector.count(0), 0, "nothing is acknowledged");
    woken[0].recv_timeout(Duration::from_secs(20)).expect("room, by itself");
    collector.wait_for(0, 20);
    let summary = handle.stop().expect("stops");
    assert!(!summary.stats.paused);
    assert!(summary.stats.failures >= 3);
    let expected: Vec<String> = (0..20).map(|n: u32| n.to_string()).collect();
    assert_eq!(topics(&fs, "s"), expected);
}

#[test]
fn a_stop_while_the_medium_refuses_says_what_was_not_written() {
    let fs = SimFs::new(3);
    let (log, _) = super::super::open(config(), fs.clone(), NOW, 1).expect("opens");
    let (collector, _woken) = collector(1);
    let (handle, mut producers) =
        log.start(1, Arc::clone(&collector) as Arc<dyn Completion>).expect("starts");
    fs.cut_at(fs.operations());
    for sequence in 0..3 {
        producers[0].append(&rule("s"), &publish("t", b"p"), token(sequence));
    }
    producers[0].flush();
    let error = handle.stop().expect_err("nothing can be written");
    assert!(matches!(error, LogError::Unwritten { records: 3, .. }), "{error}");
    assert_eq!(collector.count(0), 0);
}
