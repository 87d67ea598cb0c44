//! Starts over what earlier runs left, read back from the files.

use super::*;
use crate::log::control::{Cursor, Partitions};

fn kafka(start: Start) -> Option<KafkaConfig> {
    Some(KafkaConfig { start, ..KafkaConfig::new(vec!["127.0.0.1:1".into()]) })
}

/// A run that takes `count` records of the first rule on each of `cores` cores, and ends.
fn run(fs: &SimFs, cores: usize, count: u32, kafka: Option<KafkaConfig>) -> Status {
    let rules = rules();
    let (running, mut producers) = start(open(fs), cores, Arc::new(Deaf), &rules, kafka).expect("starts");
    let observer = running.observer();
    let before = observer.status();
    for producer in &mut producers {
        append(producer, &rules[0], count);
    }
    drop(producers);
    running.stop(Duration::ZERO).expect("stops");
    let hook = &observer.status().hooks[0];
    assert_eq!((hook.taken, hook.durable), (u64::from(count) * cores as u64, hook.taken));
    before
}

#[test]
fn the_first_start_with_a_target_decides_what_is_its_work() {
    // Name, where it begins, backlog of the first start with a target, and of the next.
    let cases = [("earliest", Start::Earliest, 20, 25), ("latest", Start::Latest, 0, 5)];
    for (name, begins, first, second) in cases {
        let fs = SimFs::new(11);
        run(&fs, 2, 10, None);
        let status = run(&fs, 1, 5, kafka(begins));
        assert_eq!((status.hooks[0].backlog, status.hooks[0].waiting), (first, first), "{name}");
        // The setting has no say any more: neither way.
        for start in [Start::Latest, Start::Earliest] {
            let status = run(&fs, 1, 0, kafka(start));
            assert_eq!((status.hooks[0].backlog, status.hooks[0].waiting), (second, second), "{name}");
        }
        // What is logged while there is no target belongs to it as well.
        run(&fs, 1, 7, None);
        let status = run(&fs, 1, 0, kafka(begins));
        assert_eq!(status.hooks[0].backlog, second + 7, "{name}");
        assert!(status.hooks[0].waiting_bytes > 0, "{name}");
    }
}

#[test]
fn where_a_target_begins_is_durable_before_anything_else() {
    let fs = SimFs::new(12);
    run(&fs, 1, 10, None);
    let mut log = open(&fs);
    begin(&mut log, Start::Latest, 0).expect("written");
    fs.cut_at(fs.operations());
    drop(log);
    let (fs, _) = fs.restart(1);
    assert_eq!(open(&fs).target().floor(), 10);
}

#[test]
fn a_hook_that_was_full_is_full_again_and_removed_hooks_are_named() {
    let fs = SimFs::new(13);
    // Three cores; the next run has two, so that core 0 answers for two of them.
    run(&fs, 3, 10, kafka(Start::Earliest));
    let mut rules = rules();
    for rule in &mut rules {
        rule.waiting_bytes_max = 1500;
    }
    let (running, producers) =
        start(open(&fs), 2, Arc::new(Deaf), &rules, kafka(Start::Earliest)).expect("starts");
    let status = running.status();
    assert_eq!((status.hooks[0].backlog, status.hooks.len()), (30, 3));
    let room: Vec<bool> = producers.iter().map(|producer| producer.has_room_for(&rules[0], 100)).collect();
    assert_eq!(room, [false, true], "{}", status.hooks[0].waiting_bytes);
    drop(producers);
    running.stop(Duration::ZERO).expect("stops");
    rules.remove(0);
    let (running, producers) =
        start(open(&fs), 2, Arc::new(Deaf), &rules, kafka(Start::Earliest)).expect("starts");
    let status = running.status();
    let last = status.hooks.last().expect("one more");
    assert_eq!((status.hooks.len(), &*last.name, last.backlog, last.waiting), (3, REMOVED, 30, 30));
    drop(producers);
    running.stop(Duration::ZERO).expect("stops");
}

#[test]
fn what_cursors_have_passed_is_no_backlog() {
    let fs = SimFs::new(14);
    run(&fs, 1, 10, kafka(Start::Earliest));
    let mut log = open(&fs);
    let topic: Arc<str> = "message_state".into();
    let count = Partitions { target: KAFKA, topic: Arc::clone(&topic), from: 0, count: 1, topic_id: [0; 16] };
    let cursor = Cursor { target: KAFKA, topic, partition: 0, next: 6, offset: None };
    log.write_control(Control::Partitions(count)).expect("written");
    log.write_control(Control::Cursor(cursor)).expect("written");
    drop(log);
    let status = run(&fs, 1, 0, kafka(Start::Earliest));
    assert_eq!((status.hooks[0].backlog, status.hooks[0].waiting), (4, 4));
}

#[test]
fn what_was_deleted_while_there_was_no_target_is_named() {
    let fs = SimFs::new(15);
    let small = |days: u64| {
        let config = LogConfig {
            fill_step_bytes: 4096,
            segment_bytes: 16 * 1024,
            retention_bytes: 16 * 1024,
            ..LogConfig::new("/data/log", "millrace@127.0.0.1")
        };
        log::open(config, fs.clone(), NOW + days, 1 + days).expect("opens").0
    };
    let rules = rules();
    let run = |log: Log, count, kafka| {
        let (running, mut producers) = start(log, 1, Arc::new(Deaf), &rules, kafka).expect("starts");
        for _ in 0..count {
            append(&mut producers[0], &rules[0], 1);
            while producers[0].waiting() != (0, 0) {
                std::thread::yield_now();
            }
        }
        drop(producers);
        running.stop(Duration::ZERO).expect("stops");
    };
    let earliest = |log: &mut Log| {
        let mut follow = Follow::open(Arc::clone(log.fs()), log.dir().to_owned());
        let groups = follow.read(0, log.next_sequence(), 1, &Arc::default()).expect("reads");
        groups[0].sequences.start
    };
    run(small(1), 100, kafka(Start::Earliest));
    let mut log = small(2);
    assert_eq!(
        (earliest(&mut log), gone(&log.target(), 0)),
        (0, None),
        "the target keeps what it has not got"
    );
    run(log, 100, None);
    let mut log = small(3);
    let first = earliest(&mut log);
    assert!(first > 0, "without a target nothing waits for it");
    assert_eq!(gone(&log.target(), first), Some(0..first));
    // It goes on with what is there.
    let (running, producers) = start(log, 1, Arc::new(Deaf), &rules, kafka(Start::Earliest)).expect("starts");
    assert_eq!(running.status().hooks[0].backlog, 200 - first);
    drop(producers);
    running.stop(Duration::ZERO).expect("stops");
}
