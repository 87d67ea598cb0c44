//! The sums hold, whoever writes and looks; room is told once, to the right core.

use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;

const RULE: u32 = 7;

fn sums(accounts: &Accounts, rule: u32) -> Balance {
    accounts.balances().remove(&rule).unwrap_or_default()
}

#[test]
fn bytes_are_released_by_what_the_rule_asks_for() {
    // Name, target, rule to Kafka, waiting bytes after durable and after delivered.
    let cases = [
        ("with a target", true, true, 100, 0),
        ("the rule stays in the log", true, false, 0, 0),
        ("no target", false, true, 0, 0),
        ("neither", false, false, 0, 0),
    ];
    for (name, target, to_kafka, durable, delivered) in cases {
        let accounts = Arc::new(Accounts::new(2, target));
        let account = accounts.account(1, RULE, to_kafka);
        account.take(60);
        account.take(40);
        assert_eq!(account.waiting_bytes(), 100, "{name}");
        let _ = account.add_durable(2, 100);
        assert_eq!(account.waiting_bytes(), durable, "{name}");
        let mut settler = Settler::new(Arc::clone(&accounts));
        settler.delivered(1, RULE, 1, 60);
        settler.set_aside(1, RULE, 1, 40);
        assert_eq!(account.waiting_bytes(), delivered, "{name}");
        let sum = sums(&accounts, RULE);
        assert_eq!((sum.taken, sum.durable, sum.delivered, sum.set_aside), (2, 2, 1, 1), "{name}");
        assert_eq!((sum.taken_bytes, sum.durable_bytes, sum.waiting()), (100, 100, 0), "{name}");
    }
}

#[test]
fn a_backlog_counts_against_the_limit_of_the_core_that_answers_for_it() {
    let accounts = Arc::new(Accounts::new(2, true));
    // Core 3 of a run with more cores.
    accounts.charge_backlog(3, RULE, 5, 500);
    let (none, all) = (accounts.account(0, RULE, true), accounts.account(1, RULE, true));
    assert_eq!((none.waiting_bytes(), all.waiting_bytes()), (0, 500));
    all.take(50);
    let sum = sums(&accounts, RULE);
    assert_eq!((sum.backlog, sum.backlog_bytes), (5, 500));
    assert_eq!((sum.taken, sum.taken_bytes, sum.waiting_bytes), (1, 50, 550));
    assert_eq!(sum.waiting(), 5);
    let mut settler = Settler::new(Arc::clone(&accounts));
    assert!(!all.ask_room(200), "not yet");
    settler.delivered(3, RULE, 3, 300);
    assert!(settler.take_due().is_empty(), "250 wait");
    settler.delivered(3, RULE, 1, 100);
    settler.delivered(3, RULE, 1, 100);
    assert_eq!(settler.take_due(), [1], "once");
    assert!(settler.take_due().is_empty());
    assert!(all.ask_room(200), "there is room already");
}

#[test]
fn what_is_released_twice_does_not_widen_the_limit() {
    let accounts = Arc::new(Accounts::new(1, true));
    let mut settler = Settler::new(Arc::clone(&accounts));
    let account = accounts.account(0, RULE, true);
    account.take(10);
    let _ = account.add_durable(1, 10);
    settler.delivered(0, RULE, 1, 10);
    settler.delivered(0, RULE, 1, 10);
    account.take(10);
    assert_eq!(account.waiting_bytes(), 10);
}

#[test]
fn removed_hooks_and_repeats_are_counted_without_a_rule() {
    let accounts = Arc::new(Accounts::new(1, true));
    let mut settler = Settler::new(Arc::clone(&accounts));
    accounts.charge_backlog(0, 99, 2, 20);
    settler.retried(0, 99, 2);
    settler.possibly_repeated(0, 99, 1);
    settler.delivered(0, 99, 2, 20);
    let sum = sums(&accounts, 99);
    assert_eq!((sum.retried, sum.possibly_repeated, sum.waiting(), sum.waiting_bytes), (2, 1, 0, 0));
}

/// One step of a record's way, on one of two cores: bytes that go on from where they are.
#[derive(Clone, Copy, Debug)]
enum Step {
    Take(usize, u64),
    Durable(usize),
    Deliver(usize),
    SetAside(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let core = 0..2usize;
    prop_oneof![
        (core.clone(), 1..1000u64).prop_map(|(core, bytes)| Step::Take(core, bytes)),
        core.clone().prop_map(Step::Durable),
        core.clone().prop_map(Step::Deliver),
        core.prop_map(Step::SetAside),
    ]
}

proptest! {
    #[test]
    fn the_sums_hold_after_every_step(
        backlog in prop::collection::vec(1..1000u64, 0..5),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let accounts = Arc::new(Accounts::new(2, true));
        let mut settler = Settler::new(Arc::clone(&accounts));
        let (mut ring, mut log) = <([Vec<u64>; 2], [Vec<u64>; 2])>::default();
        for &bytes in &backlog {
            accounts.charge_backlog(1, RULE, 1, bytes);
            log[1].push(bytes);
        }
        for step in steps {
            match step {
                Step::Take(core, bytes) => {
                    accounts.account(core, RULE, true).take(bytes);
                    ring[core].push(bytes);
                }
                Step::Durable(core) => {
                    let bytes: u64 = ring[core].iter().sum();
                    let _ = accounts.account(core, RULE, true).add_durable(ring[core].len() as u64, bytes);
                    log[core].append(&mut ring[core]);
                }
                Step::Deliver(core) => {
                    if let Some(bytes) = log[core].pop() {
                        settler.delivered(core as u8, RULE, 1, bytes);
                    }
                }
                Step::SetAside(core) => {
                    if let Some(bytes) = log[core].pop() {
                        settler.set_aside(core as u8, RULE, 1, bytes);
                    }
                }
            }
            let sum = sums(&accounts, RULE);
            let in_ring = ring.iter().map(Vec::len).sum::<usize>() as u64;
            let in_log = log.iter().map(Vec::len).sum::<usize>() as u64;
            prop_assert_eq!(sum.taken, sum.durable + in_ring);
            prop_assert_eq!(sum.backlog + sum.durable, sum.delivered + sum.set_aside + in_log);
            prop_assert_eq!(sum.waiting(), in_log);
            let bytes: u64 = ring.iter().chain(&log).flatten().sum();
            prop_assert_eq!(sum.waiting_bytes, bytes);
        }
    }
}

#[test]
fn looks_from_another_thread_never_see_more_delivered_than_taken() {
    const RECORDS: u64 = 50_000;
    let accounts = Arc::new(Accounts::new(1, true));
    let done = AtomicBool::new(false);
    let (to_log, from_core) = std::sync::mpsc::channel::<u64>();
    let (to_sink, from_log) = std::sync::mpsc::channel::<u64>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let account = accounts.account(0, RULE, true);
            for bytes in 0..RECORDS {
                account.take(bytes);
                to_log.send(bytes).expect("the log listens");
            }
            drop(to_log);
        });
        scope.spawn(|| {
            let account = accounts.account(0, RULE, true);
            for bytes in from_core {
                assert!(!account.add_durable(1, bytes), "released when delivered");
                to_sink.send(bytes).expect("the sink listens");
            }
            drop(to_sink);
        });
        scope.spawn(|| {
            let mut settler = Settler::new(Arc::clone(&accounts));
            for bytes in from_log {
                if bytes % 100 == 0 {
                    settler.set_aside(0, RULE, 1, bytes);
                } else {
                    settler.delivered(0, RULE, 1, bytes);
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut looks = 0;
        while !done.load(Ordering::SeqCst) {
            let sum = sums(&accounts, RULE);
            assert!(sum.delivered + sum.set_aside <= sum.durable && sum.durable <= sum.taken, "{sum:?}");
            assert!(sum.delivered_bytes + sum.set_aside_bytes <= sum.durable_bytes, "{sum:?}");
            assert!(sum.durable_bytes <= sum.taken_bytes, "{sum:?}");
            looks += 1;
        }
        assert!(looks > 0);
    });
    let sum = sums(&accounts, RULE);
    assert_eq!((sum.taken, sum.durable, sum.delivered + sum.set_aside), (RECORDS, RECORDS, RECORDS));
    assert_eq!((sum.waiting_bytes, sum.set_aside), (0, RECORDS / 100));
}
