//! Cases by name, of what is rare: a stop in every state, the last epoch, topics that cannot be made,
//! memory that runs short beside a partition that does not get on.

use std::time::Duration;

use super::kafka::{Meet, REFUSED};
use super::log::Offered;
use super::world::{World, settings};
use crate::sender::Settings;
use crate::sender::notice::Notice;

fn world_of(settings: Settings) -> World {
    let mut world = World::new(1, settings, 0);
    world.kafka.create("state", 1);
    world.kafka.create("command", 1);
    world.run_for(100);
    world
}

fn one_topic() -> World {
    world_of(settings(&["state"]))
}

fn record(topic: &str, uid: u64, ts_ms: u64, payload: usize) -> Offered {
    Offered {
        topic: topic.into(),
        key: "lock".into(),
        uid,
        ts_ms,
        core: 0,
        target: 0,
        payload,
        awaited: false,
    }
}

fn stop(world: &mut World, grace_ms: u64) {
    let until = world.now().mono + Duration::from_millis(grace_ms);
    world.sender.stop(until);
}

#[test]
fn a_stop_delivers_what_is_left_and_says_when_it_is_done() {
    let mut world = one_topic();
    for _ in 0..20 {
        world.offer("state", "lock");
    }
    world.run_for(2_000);
    world.offer("state", "lock");
    while !world.log.is_idle() {
        world.run_for(1);
    }
    stop(&mut world, 10_000);
    world.run_for(0);
    assert!(!world.sender.is_done(), "the last record is not in Kafka");
    // What comes later waits for the next start, and nothing spins.
    world.run_for(5_000);
    assert!(world.sender.is_done());
    world.offer("state", "lock");
    world.run_for(5_000);
    assert!(world.sender.is_done());
    let (_, records) = &world.kafka.seen("state")[0];
    assert_eq!(records.len(), 21);
    // Nothing is left for the next.
    let batches = world.kafka.marks.batches;
    world.crash();
    world.drain(60_000);
    assert_eq!(world.kafka.marks.batches, batches + 1);
}

#[test]
fn a_stop_ends_at_once_without_kafka_and_at_its_time_if_kafka_hangs() {
    for (name, hangs) in [("down", false), ("hangs", true)] {
        let mut world = one_topic();
        for node in 1..=3 {
            if hangs {
                world.kafka.stall(node, world.now_ms + 60_000);
            } else {
                world.kafka.set_up(node, false);
            }
        }
        world.offer("state", "lock");
        world.run_for(if hangs { 1_000 } else { 40_000 });
        stop(&mut world, 10_000);
        world.run_for(2_000);
        assert_eq!(world.sender.is_done(), !hangs, "{name}");
        world.run_for(10_000);
        assert!(world.sender.is_done(), "{name}");
        world.kafka.settle(world.now_ms);
        world.crash();
        world.drain(300_000);
        assert_eq!(world.checks.repeats, 0, "{name}");
    }
}

#[test]
fn a_stop_in_whatever_state_loses_and_repeats_nothing() {
    for after_ms in 0..60 {
        for grace_ms in [0, 3, 60_000] {
            let mut world = one_topic();
            world.kafka.meet("state", 0, [Meet::Unanswered, Meet::Appended(7)]);
            for index in 0..20 {
                let of = record("state", if index == 5 { REFUSED } else { 0 }, world.now_ms, 16);
                world.offer_as(of);
            }
            world.run_for(after_ms);
            stop(&mut world, grace_ms);
            world.run_for(120_000);
            assert!(world.sender.is_done(), "after {after_ms} ms, grace {grace_ms} ms");
            world.crash();
            world.offer("state", "lock");
            world.drain(300_000);
            assert_eq!(world.checks.repeats + world.checks.possibly_repeated, 0);
            assert_eq!(world.checks.dead.len(), 1, "after {after_ms} ms, grace {grace_ms} ms");
        }
    }
}

#[test]
fn a_broker_that_is_too_old_parks_the_target_until_the_next_start() {
    for name in ["Metadata", "InitProducerId", "Produce"] {
        let mut world = World::new(1, settings(&["state"]), 0);
        world.kafka.create("state", 1);
        world.kafka.unsupported = Some(name);
        world.offer("state", "lock");
        world.run_for(60_000);
        assert!(world.said(|notice| matches!(notice, Notice::TargetParked { error: None, .. })), "{name}");
        let requests = world.kafka.marks.requests;
        world.run_for(600_000);
        assert_eq!(world.kafka.marks.requests, requests, "{name}: nothing more is asked");
        world.kafka.unsupported = None;
        world.crash();
        world.drain(60_000);
        assert_eq!(world.checks.repeats + world.checks.possibly_repeated, 0, "{name}");
    }
    // Without DescribeProducers the partition is searched at once.
    let mut world = one_topic();
    world.kafka.describes = false;
    world.kafka.meet("state", 0, [Meet::Late(60_000)]);
    world.offer("state", "lock");
    world.run_for(800);
    world.crash();
    world.drain(300_000);
    assert_eq!(world.checks.repeats + world.checks.possibly_repeated, 0);
    assert!(world.kafka.marks.searched > 0);
}

#[test]
fn one_replica_is_named_where_publishers_wait_for_kafka() {
    for (confirmed, min_insync, named) in
        [(true, Some(1), true), (false, Some(1), false), (true, Some(2), false), (true, None, false)]
    {
        let mut settings = settings(&["state"]);
        settings.confirmed_topics = if confirmed { vec!["state".into()] } else { Vec::new() };
        let mut world = World::new(1, settings, 0);
        world.kafka.create("state", 1);
        world.kafka.min_insync = min_insync;
        world.run_for(1_000);
        assert_eq!(world.said(|notice| matches!(notice, Notice::OneReplica { .. })), named);
        assert_eq!(world.sender.status().topics[0].min_insync_replicas, min_insync);
    }
}

#[test]
fn after_the_last_epoch_comes_another_producer() {
    let mut world = one_topic();
    world.kafka.first_epoch = i16::MAX;
    // The producer of the start has epoch 0.
    world.crash();
    world.run_for(1_000);
    for _ in 0..20 {
        world.offer("state", "lock");
    }
    world.drain(60_000);
    world.kafka.first_epoch = 0;
    world.kafka.lose("state", 0, 1);
    for _ in 0..20 {
        world.offer("state", "lock");
    }
    world.drain(60_000);
    assert!(world.said(|notice| matches!(notice, Notice::LostByKafka { .. })));
    assert_eq!(world.checks.repeats, 0);
}

#[test]
fn a_record_alone_that_is_refused_is_set_aside_with_its_code() {
    for code in [10, 18, 43, 44, 87] {
        let mut world = one_topic();
        world.kafka.meet("state", 0, [Meet::Error(code)]);
        let of = record("state", REFUSED, world.now_ms, 16);
        world.offer_as(of);
        world.run_for(2_000);
        world.offer("state", "lock");
        world.drain(60_000);
        let is_named = |notice: &Notice| matches!(notice, Notice::SetAside { error, .. } if *error == code);
        assert!(world.said(is_named), "{code}");
        assert_eq!(world.checks.dead.len(), 1, "{code}");
    }
}

#[test]
fn a_topic_that_cannot_be_made_is_named_once_and_tried_again() {
    let mut settings = settings(&["state"]);
    settings.kafka.create_topics = true;
    let mut world = World::new(1, settings, 0);
    world.kafka.create_errors.extend([44, 44, 44]);
    world.offer("state", "lock");
    world.run_for(5_000);
    let state = world.sender.status().topics[0].state.clone();
    assert!(state.starts_with("cannot be created: POLICY_VIOLATION"), "{state}");
    world.drain(60_000);
    let said = world.notices.iter().filter(|notice| matches!(notice, Notice::NotCreated { .. })).count();
    assert_eq!(said, 1);
}

#[test]
fn a_partition_that_lost_records_and_may_not_be_read_gets_on() {
    let mut world = one_topic();
    world.kafka.topic("state").readable = false;
    for _ in 0..20 {
        world.offer("state", "lock");
    }
    world.drain(60_000);
    world.kafka.lose("state", 0, 1);
    for _ in 0..20 {
        world.offer("state", "lock");
    }
    world.drain(60_000);
    assert!(world.checks.repeats <= world.checks.possibly_repeated);
}

/// Two topics in one log, most records of the first; of the second, batches that span many groups.
fn sparse() -> World {
    let mut settings = settings(&["state", "command"]);
    settings.kafka.batch_records = 64;
    settings.kafka.linger = Duration::from_secs(2);
    let mut world = world_of(settings);
    world.offer("state", "lock");
    world.drain(60_000);
    world
}

/// One record every 10 ms; returns the last of `command`.
fn traffic(world: &mut World, records: usize) -> u64 {
    let mut last = 0;
    for index in 0..records {
        let topic = if index % 8 == 0 { "state" } else { "command" };
        let uid = world.offer_as(record(topic, 0, world.now_ms, 200));
        last = if topic == "command" { uid } else { last };
        world.run_for(10);
    }
    last
}

#[test]
fn a_partition_that_does_not_get_on_holds_up_no_other_though_memory_is_short() {
    // Not enough replicas; no leader.
    for is_refused in [true, false] {
        let mut world = sparse();
        if is_refused {
            world.kafka.topic("state").denied = Some(19);
        } else {
            world.kafka.topic("state").partitions[0].set_leader(None);
        }
        let last = traffic(&mut world, 2_000);
        world.run_for(30_000);
        assert!(world.kafka.has_confirmed("command", last), "refused: {is_refused}");
        assert!(world.said(|notice| matches!(notice, Notice::Stuck { .. })) || !is_refused);
        world.kafka.topic("state").denied = None;
        world.kafka.settle(world.now_ms);
        world.drain(300_000);
        assert_eq!(world.checks.repeats + world.checks.possibly_repeated, 0);
    }
}

#[test]
fn a_start_reads_a_batch_whose_groups_are_more_than_memory_may_hold() {
    let mut world = sparse();
    world.kafka.topic("state").denied = Some(19);
    traffic(&mut world, 195);
    world.run_for(1_000);
    world.kafka.topic("state").denied = None;
    // Less than the batch spans.
    world.settings.held_bytes_max = 32 << 10;
    world.log.tail_bytes_max = 32 << 10;
    world.crash();
    world.drain(300_000);
    assert_eq!(world.checks.repeats + world.checks.possibly_repeated, 0);
}

#[test]
fn what_a_replica_says_that_does_not_lead_is_not_believed() {
    let mut world = one_topic();
    world.offer("state", "lock");
    world.drain(60_000);
    // Appended by the leader alone, and two days old.
    world.kafka.meet("state", 0, [Meet::Appended(7)]);
    world.offer_as(record("state", 0, world.now_ms - 2 * 24 * 3_600_000, 16));
    while world.kafka.topic("state").partitions[0].end() < 2 {
        world.run_for(1);
    }
    // Another replica leads, has all of it, and has forgotten who wrote it; metadata lag behind.
    let partition = &mut world.kafka.topic("state").partitions[0];
    partition.set_leader(Some(2));
    partition.expire(u64::MAX);
    world.kafka.faults.stale = 1000;
    world.run_for(5_000);
    world.kafka.faults.stale = 0;
    world.drain(300_000);
    assert_eq!(world.checks.repeats + world.checks.possibly_repeated, 0);
    assert!(world.kafka.marks.described_by_follower > 0);
}

#[test]
fn the_oldest_of_each_rule_is_told_whatever_the_order_of_times() {
    let mut world = world_of(settings(&["state", "command"]));
    let now = world.now_ms;
    for topic in ["state", "command"] {
        world.kafka.topic(topic).denied = Some(19);
    }
    // Ages in the order of the log, by turns and in rows.
    let ages = [("state", 30), ("state", 10), ("command", 20), ("state", 50), ("state", 40), ("command", 5)];
    for (topic, age) in ages {
        world.offer_as(record(topic, 0, now - age, 16));
    }
    world.run_for(1_000);
    let rule = |topic| super::log::rule_of(topic).id;
    let expected = [(rule("state"), now - 50), (rule("command"), now - 20)];
    assert_eq!(world.sender.oldest(), expected.into());
    for topic in ["state", "command"] {
        world.kafka.topic(topic).denied = None;
    }
    world.drain(60_000);
    assert_eq!(world.sender.oldest(), [].into());
}
