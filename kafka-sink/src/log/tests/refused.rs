//! What goes on while the medium refuses a part of what the log thread has to write.

use super::super::file::RealFs;
use super::dead_letters::letter;
use super::refusing::Refusing;
use super::sink::{Bench, LONG, bench, cursor, kafka_rule, wait_until};
use super::threads::token;
use super::*;
use crate::accounts::Settler;
use crate::rule::Durability;

#[test]
fn dead_letters_that_cannot_be_written_hold_up_no_record() {
    // Name, whether the file can be written before the stop.
    for (name, mended) in [("until somebody mends it", true), ("for good", false)] {
        let dir = tempfile::tempdir().expect("a directory");
        let log_dir = dir.path().join("log");
        let config = LogConfig { reserve_bytes: 0, ..LogConfig::new(&log_dir, NODE) };
        let Bench { handle, mut producers, port, collector, .. } =
            bench(1, RealFs::new(), config.clone(), 1 << 20);
        let in_the_way = log_dir.join("dead-letters.jsonl");
        std::fs::create_dir(&in_the_way).expect("made");
        let before = port.submit([letter(0, "t"), cursor(1)]);
        for sequence in 0..20 {
            producers[0].append(&rule("s"), &publish("t", b"p"), token(sequence));
            producers[0].flush();
            collector.wait_for(0, sequence as usize + 1);
        }
        wait_until("published", || port.durable() == 20);
        wait_until("the operator hears of it", || handle.stats().paused);
        let behind = port.submit([cursor(2)]);
        producers[0].append(&rule("s"), &publish("t", b"p"), token(20));
        producers[0].flush();
        collector.wait_for(0, 21);
        assert_eq!(port.durable_ticket(), before, "{name}: nothing is said to be durable that is not");
        if mended {
            std::fs::remove_dir(&in_the_way).expect("removed");
            wait_until("it is tried again", || port.durable_ticket() > behind);
            wait_until("the log goes on", || !handle.stats().paused);
            let written = std::fs::read_to_string(&in_the_way).expect("there");
            assert_eq!(written.lines().filter(|line| line.starts_with("{\"sequence\":0,")).count(), 1);
        }
        producers[0].append(&rule("s"), &publish("t", b"p"), token(21));
        drop(producers);
        assert!(handle.drain(), "{name}");
        assert_eq!(handle.stop().expect("stops").stats.records, 22, "{name}");
        assert_eq!(collector.count(0), 22, "{name}");
        let (_, recovery) = super::super::open(config, RealFs::new(), NOW, 2).expect("opens");
        assert!(recovery.clean && recovery.next_sequence == 22, "{name}: {recovery:?}");
    }
}

#[test]
fn a_core_that_asks_late_hears_of_room_while_the_disk_refuses() {
    let fs = Refusing::new(SimFs::new(21));
    let config = LogConfig { reserve_bytes: 0, ..config() };
    let Bench { handle, mut producers, accounts, collector, woken, .. } =
        bench(1, fs.clone(), config, 1 << 20);
    let hook = Rule { waiting_bytes_max: 10, ..kafka_rule(1, Durability::Log) };
    producers[0].append(&hook, &publish("t", b"p"), token(0));
    producers[0].flush();
    collector.wait_for(0, 1);
    fs.set(true);
    producers[0].append(&kafka_rule(2, Durability::Log), &publish("refused", b"p"), token(1));
    producers[0].flush();
    wait_until("it pauses", || handle.stats().paused);
    assert!(!producers[0].has_room_for(&hook, 1), "at its limit until delivered");
    // It is delivered after the core has looked and before it asks.
    let mut settler = Settler::new(accounts);
    settler.delivered(0, 1, 1, 1 << 20);
    assert_eq!(settler.take_due(), Vec::<usize>::new(), "nobody has asked yet");
    while woken[0].try_recv().is_ok() {}
    producers[0].want_room_for(&hook);
    woken[0].recv_timeout(LONG / 4).expect("room is told");
    assert!(handle.stats().paused && producers[0].has_room_for(&hook, 1));
    fs.set(false);
    collector.wait_for(0, 2);
    drop(producers);
    handle.stop().expect("stops");
}
