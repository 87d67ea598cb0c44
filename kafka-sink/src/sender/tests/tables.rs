//! Cases by name: every row of the error table, and what makes a batch go another way.

use super::kafka::{Meet, REFUSED};
use super::log::Offered;
use super::world::{World, settings};
use crate::sender::Settings;
use crate::sender::notice::Notice;

fn one_topic(partitions: usize) -> World {
    let mut world = World::new(1, settings(&["state"]), 0);
    world.kafka.create("state", partitions);
    world.run_for(100);
    world
}

/// What of a record is unusual.
fn record(uid: u64, ts_ms: u64, payload: usize) -> Offered {
    Offered {
        topic: "state".into(),
        key: "lock".into(),
        uid,
        ts_ms,
        core: 0,
        target: 0,
        payload,
        awaited: true,
    }
}

#[test]
fn every_code_that_passes_ends_in_one_delivery() {
    let codes = [2, 3, 5, 6, 7, 9, 13, 19, 20, 45, 56, 59, 74, -1, 999];
    for code in codes {
        for meet in [Meet::Error(code), Meet::Appended(code)] {
            let mut world = one_topic(1);
            world.kafka.meet("state", 0, [meet.clone(), meet.clone()]);
            for _ in 0..20 {
                world.offer("state", "lock");
            }
            world.drain(120_000);
            assert_eq!(world.checks.repeats + world.checks.possibly_repeated, 0, "{meet:?}");
            assert!(world.checks.retried > 0 && world.checks.dead.is_empty(), "{meet:?}");
        }
    }
}

#[test]
fn an_answer_that_does_not_come_ends_in_one_delivery() {
    for meet in [Meet::Lost, Meet::Unanswered, Meet::Late(5_000), Meet::Late(100_000)] {
        let mut world = one_topic(1);
        world.kafka.meet("state", 0, [meet.clone()]);
        for _ in 0..20 {
            world.offer("state", "lock");
        }
        world.drain(300_000);
        assert_eq!(world.checks.repeats + world.checks.possibly_repeated, 0, "{meet:?}");
    }
}

#[test]
fn one_refused_record_is_set_aside_and_all_others_go() {
    for names_offenders in [true, false] {
        let mut world = one_topic(1);
        world.kafka.topic("state").names_offenders = names_offenders;
        for index in 0..20 {
            let of = record(if index == 5 { REFUSED } else { 0 }, world.now_ms, 16);
            world.offer_as(of);
        }
        world.drain(120_000);
        assert_eq!(world.checks.dead.keys().collect::<Vec<_>>(), [&5], "named: {names_offenders}");
    }
}

#[test]
fn batches_that_are_too_large_are_halved_and_only_a_record_that_is_too_large_is_set_aside() {
    for is_segment in [false, true] {
        let mut world = one_topic(1);
        let topic = world.kafka.topic("state");
        if is_segment {
            topic.segment_bytes = 600;
        } else {
            topic.bytes_max = 600;
        }
        for index in 0..20 {
            let of = record(0, world.now_ms, if index == 7 { 1000 } else { 100 });
            world.offer_as(of);
        }
        world.drain(120_000);
        assert_eq!(world.checks.dead.keys().collect::<Vec<_>>(), [&7], "segment: {is_segment}");
    }
}

#[test]
fn times_that_kafka_refuses_become_the_time_of_sending() {
    let mut world = one_topic(1);
    world.kafka.topic("state").before_max_ms = 60_000;
    let of = record(0, world.now_ms - 3_600_000, 16);
    world.offer_as(of);
    world.drain(120_000);
    assert!(world.checks.dead.is_empty());
    let (_, records) = &world.kafka.seen("state")[0];
    assert!(records[0].ts_ms > world.now_ms - 180_000, "{records:?}");
}

#[test]
fn a_topic_that_is_refused_is_named_and_gets_on_by_itself() {
    for code in [17, 29, 31, 76] {
        let mut world = World::new(1, settings(&["state", "command"]), 0);
        world.kafka.create("state", 1);
        world.kafka.create("command", 1);
        world.run_for(100);
        world.kafka.topic("state").denied = Some(code);
        world.offer("state", "lock");
        let other = world.offer("command", "lock");
        world.run_for(90_000);
        assert!(
            world.said(|notice| matches!(notice, Notice::TopicParked { error, .. } if *error == code)),
            "{code}"
        );
        assert!(world.kafka.has_confirmed("command", other), "{code}: another topic waits for it");
        world.kafka.topic("state").denied = None;
        world.drain(120_000);
    }
}

#[test]
fn a_second_holder_parks_the_target() {
    for code in [47, 58, 90] {
        let mut world = one_topic(1);
        world.kafka.meet("state", 0, [Meet::Error(code)]);
        world.offer("state", "lock");
        world.run_for(90_000);
        assert!(world.said(|notice| matches!(notice, Notice::TargetParked { .. })), "{code}");
        assert!(world.sender.status().state.starts_with("parked"), "{code}");
        // The next process goes on.
        world.crash();
        world.drain(120_000);
    }
}

#[test]
fn a_missing_topic_holds_up_no_other_and_is_made_if_that_is_wanted() {
    for creates in [false, true] {
        let mut settings = settings(&["state", "command"]);
        settings.kafka.create_topics = creates;
        let mut world = World::new(1, settings, 0);
        world.kafka.create("command", 2);
        world.offer("state", "lock");
        let other = world.offer("command", "lock");
        world.run_for(30_000);
        assert!(world.kafka.has_confirmed("command", other));
        assert!(world.said(|notice| matches!(notice, Notice::Missing { .. })));
        assert_eq!(world.kafka.topics.contains_key("state"), creates);
        if !creates {
            world.kafka.create("state", 1);
        }
        world.drain(120_000);
    }
}

#[test]
fn the_sequence_goes_round() {
    let mut settings = settings(&["state"]);
    settings.first_sequence = (1 << 31) - 10;
    let mut world = World::new(1, settings, 0);
    world.kafka.create("state", 1);
    for crash in [false, true] {
        for _ in 0..30 {
            world.offer("state", "lock");
        }
        world.kafka.meet("state", 0, [Meet::Unanswered, Meet::Appended(7)]);
        world.run_for(100);
        if crash {
            world.crash();
        }
        world.drain(300_000);
        assert_eq!(world.checks.repeats, 0);
    }
}

#[test]
fn a_topic_grows_once_all_before_is_delivered() {
    let mut world = one_topic(2);
    for index in 0..40 {
        world.offer("state", &format!("lock-{}", index % 20));
    }
    world.run_for(50);
    world.kafka.grow("state", 5);
    world.run_for(60_000);
    for index in 0..40 {
        world.offer("state", &format!("lock-{}", index % 20));
    }
    world.drain(120_000);
    assert!(world.said(|notice| matches!(notice, Notice::Grown { was: 2, is: 5, .. })));
    let used = world.kafka.seen("state").iter().filter(|(_, records)| !records.is_empty()).count();
    assert!(used > 2, "{used}");
}

#[test]
fn another_topic_or_cluster_of_the_same_name_is_named_and_delivery_goes_on() {
    for (name, is_cluster) in [("topic", false), ("cluster", true)] {
        for crash in [false, true] {
            let mut world = one_topic(2);
            for index in 0..20 {
                world.offer("state", &format!("lock-{index}"));
            }
            world.drain(60_000);
            if is_cluster {
                world.kafka.replace();
            } else {
                world.kafka.recreate("state", None);
            }
            if crash {
                world.crash();
            }
            world.run_for(60_000);
            for index in 0..20 {
                world.offer("state", &format!("lock-{index}"));
            }
            world.drain(60_000);
            let is_named = world.said(|notice| match notice {
                Notice::OtherCluster { .. } => is_cluster,
                Notice::Recreated { .. } => !is_cluster,
                _ => false,
            });
            assert!(is_named, "{name}, crash: {crash}");
            assert_eq!(world.checks.possibly_repeated, 0, "{name}: nothing was on its way");
        }
    }
}

/// What is decided about a record's partition stays: it waits until there is one of that number again.
#[test]
fn a_topic_made_anew_with_fewer_partitions_is_named_and_waited_for() {
    for crash in [false, true] {
        let mut world = one_topic(4);
        world.offer("state", "lock");
        world.drain(60_000);
        world.kafka.recreate("state", Some(2));
        if crash {
            world.crash();
        }
        world.run_for(60_000);
        let uids: Vec<u64> = (0..20).map(|index| world.offer("state", &format!("lock-{index}"))).collect();
        world.run_for(60_000);
        assert!(
            world.said(|notice| matches!(notice, Notice::Shrunk { was: 4, is: 2, .. })),
            "crash: {crash}"
        );
        assert!(!uids.iter().any(|&uid| world.kafka.has_confirmed("state", uid)), "crash: {crash}");
        world.kafka.grow("state", 4);
        world.drain(120_000);
        assert!(uids.iter().all(|&uid| world.kafka.has_confirmed("state", uid)), "crash: {crash}");
    }
}

#[test]
fn a_target_that_starts_with_the_latest_leaves_out_what_was_there() {
    for floor in [0, 20] {
        let earliest = settings(&["state"]);
        let settings = Settings { floor, ..earliest.clone() };
        // As if the target were configured after these.
        let mut world = World::new(1, earliest, 0).with_backlog("state", 20, settings);
        world.kafka.create("state", 1);
        world.offer("state", "lock");
        world.drain(60_000);
        let (_, records) = &world.kafka.seen("state")[0];
        assert_eq!(records.len() as u64, 21 - floor);
    }
}

#[test]
fn while_kafka_is_down_memory_is_bounded_and_everything_goes_afterwards() {
    let mut world = one_topic(3);
    for node in 1..=3 {
        world.kafka.set_up(node, false);
    }
    for index in 0..3000 {
        let key = format!("lock-{}", index % 50);
        world.offer_as(Offered { key, payload: 200, awaited: false, ..record(0, world.now_ms, 0) });
        world.run_for(10);
    }
    assert!(world.said(|notice| matches!(notice, Notice::Unreachable { .. })));
    world.kafka.settle(world.now_ms);
    world.drain(300_000);
    // Half a megabyte waited, the bound is 64 KiB.
    assert!(world.checks.held_most < 128 << 10, "{} bytes", world.checks.held_most);
}
