//! The log thread with a sink at its port: groups, controls, awaited tokens, credits, the stop.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::super::LogHandle;
use super::super::control::{Control, Cursor, KAFKA};
use super::super::entry;
use super::super::file::Fs;
use super::super::port::{Group, Port};
use super::super::sim::Fault;
use super::refusing::{REFUSED, Refusing};
use super::threads::{Collector, collector, token};
use super::*;
use crate::accounts::{Accounts, Settler};
use crate::ring::{Completion, Producer, Waker};
use crate::rule::Durability;

/// A running log with a port, and what stands at its ends.
pub(super) struct Bench {
    pub(super) handle: LogHandle,
    pub(super) producers: Vec<Producer>,
    pub(super) port: Arc<Port>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) collector: Arc<Collector>,
    pub(super) woken: Vec<mpsc::Receiver<()>>,
}

pub(super) const LONG: Duration = Duration::from_secs(20);

pub(super) fn bench(cores: usize, fs: impl Fs, config: LogConfig, tail_bytes_max: usize) -> Bench {
    let (log, _) = super::super::open(config, fs, NOW, 1).expect("opens");
    let waker = Arc::<Waker>::default();
    let next = log.next_sequence();
    let port = Arc::new(Port::new(next, 0, tail_bytes_max, Arc::clone(&waker)));
    let accounts = Arc::new(Accounts::new(cores, true));
    let (collector, woken) = collector(cores);
    let completion: Arc<dyn Completion> = Arc::clone(&collector) as _;
    let (handle, producers) =
        log.start_with(cores, completion, &accounts, waker, Some(Arc::clone(&port))).expect("starts");
    Bench { handle, producers, port, accounts, collector, woken }
}

pub(super) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not after 20 s");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(super) fn cursor(next: u64) -> Control {
    Control::Cursor(Cursor { target: KAFKA, topic: "s".into(), partition: 0, next, offset: None })
}

/// A rule whose records go to Kafka.
pub(super) fn kafka_rule(id: u32, durability: Durability) -> Rule {
    Rule { id, durability, to_kafka: true, ..rule("s") }
}

/// Sequences and cores of the group's records, which must be what the group says.
fn check(group: &Group) -> Vec<(u64, u8)> {
    let records: Vec<_> =
        entry::records(&group.body).map(|(_, _, view)| (view.sequence, view.core)).collect();
    let sequences: Vec<u64> = records.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(sequences, group.sequences.clone().collect::<Vec<_>>());
    assert_eq!(&*group.node, NODE);
    records
}

#[test]
fn controls_wake_the_log_and_their_tickets_tell_when_they_are_durable() {
    let fs = SimFs::new(1);
    let Bench { handle, producers, port, .. } = bench(1, fs, config(), 1 << 20);
    for next in 0..50 {
        let ticket = port.submit([cursor(next), cursor(next + 1)]);
        assert_eq!(ticket, next, "one ticket for each hand-over");
        wait_until("the control is durable", || port.durable_ticket() > ticket);
    }
    assert_eq!(handle.stats().groups, 50, "groups of controls only");
    assert_eq!((handle.stats().records, port.durable()), (0, 0));
    assert!(port.take_group().is_none(), "without records there is nothing to deliver");
    drop(producers);
    assert_eq!(handle.stop().expect("stops").next_sequence, 0);
}

#[test]
fn controls_and_records_of_many_threads_share_their_groups() {
    const COUNT: u64 = 2000;
    let Bench { handle, producers, port, collector, .. } = bench(2, SimFs::new(2), config(), 64 << 20);
    std::thread::scope(|scope| {
        for mut producer in producers {
            scope.spawn(move || {
                for sequence in 0..COUNT {
                    producer.append(&rule("s"), &publish("t", b"p"), token(sequence as u32));
                    producer.flush();
                }
            });
        }
        scope.spawn(|| {
            let mut seen = 0;
            for next in 0..COUNT {
                let ticket = port.submit([cursor(next)]);
                let durable = port.durable_ticket();
                assert!(durable >= seen && durable <= ticket + 1, "{seen} {durable} {ticket}");
                seen = durable;
            }
        });
    });
    wait_until("all controls are durable", || port.durable_ticket() == COUNT);
    let summary = handle.stop().expect("stops");
    assert_eq!((summary.stats.records, port.durable()), (2 * COUNT, 2 * COUNT));
    assert!(summary.stats.groups <= 2 * COUNT, "they do not take a group each");
    let mut next = 0;
    let mut of_core = [0, 0];
    while let Some(group) = port.take_group() {
        assert_eq!(group.sequences.start, next, "no gaps in a tail that is large enough");
        check(&group).iter().for_each(|(_, core)| of_core[usize::from(*core)] += 1);
        next = group.sequences.end;
    }
    assert_eq!((next, of_core), (2 * COUNT, [COUNT, COUNT]));
    assert_eq!((collector.count(0), collector.count(1)), (COUNT as usize, COUNT as usize));
}

#[test]
fn a_sink_that_does_not_read_leaves_gaps_and_no_more_than_the_tail() {
    const TAIL: usize = 10_000;
    let bench = bench(1, SimFs::new(3), config(), TAIL);
    let Bench { handle, mut producers, port, collector, .. } = bench;
    let append = |producer: &mut Producer, from: u32, to: u32| {
        for sequence in from..to {
            producer.append(&rule("s"), &publish("t", b"p"), token(sequence));
            producer.flush();
            collector.wait_for(0, sequence as usize + 1);
        }
        wait_until("published", || port.durable() == u64::from(to));
    };
    append(&mut producers[0], 0, 300);
    assert!(port.held_bytes() <= TAIL && port.held_bytes() > TAIL / 2, "{}", port.held_bytes());
    let first = port.take_group().expect("the tail's first");
    assert_eq!(check(&first), [(0, 0)]);
    let mut next = 1;
    while let Some(group) = port.take_group() {
        assert_eq!(group.sequences.start, next);
        next = group.sequences.end;
    }
    assert!(next < 300, "the rest is in the files only");
    append(&mut producers[0], 300, 301);
    let after = port.take_group().expect("there is room again");
    assert_eq!(after.sequences, 300..301, "after a gap");
    drop((first, after));
    assert_eq!(port.held_bytes(), 0);
    drop(producers);
    handle.stop().expect("stops");
}

#[test]
fn awaited_tokens_go_to_the_sink_no_later_than_their_group_and_to_nobody_else() {
    const COUNT: u32 = 3000;
    let Bench { handle, producers, port, collector, .. } = bench(2, SimFs::new(4), config(), 64 << 20);
    let rules = [kafka_rule(1, Durability::Kafka), kafka_rule(2, Durability::Log)];
    std::thread::scope(|scope| {
        for mut producer in producers {
            let rules = &rules;
            scope.spawn(move || {
                for sequence in 0..COUNT {
                    let rule = &rules[sequence as usize % 2];
                    producer.append(rule, &publish("t", b"p"), token(sequence));
                    if sequence % 5 == 0 {
                        producer.flush();
                    }
                }
            });
        }
        scope.spawn(|| {
            let (mut met, mut new) = (Vec::new(), Vec::new());
            let mut next = 0;
            let mut expected = [0u32, 0];
            let until = Instant::now() + LONG;
            while next < u64::from(2 * COUNT) {
                assert!(Instant::now() < until, "stuck at {next}");
                let Some(group) = port.take_group() else {
                    std::thread::yield_now();
                    continue;
                };
                port.take_awaited(&mut new);
                met.append(&mut new);
                let known: BTreeSet<u64> = met.iter().map(|awaited| awaited.sequence).collect();
                for (_, _, view) in entry::records(&group.body).filter(|(_, _, view)| view.rule == 1) {
                    assert!(known.contains(&view.sequence), "{} is awaited", view.sequence);
                }
                next = group.sequences.end;
                for awaited in met.iter().filter(|awaited| awaited.sequence < next) {
                    let core = usize::from(awaited.core);
                    assert_eq!(awaited.token.sequence, expected[core], "in the core's order");
                    expected[core] += 2;
                }
                met.retain(|awaited| awaited.sequence >= next);
            }
            assert_eq!(expected, [COUNT, COUNT]);
        });
    });
    handle.stop().expect("stops");
    for core in 0..2 {
        let tokens: Vec<u32> = collector.tokens[core].lock().iter().map(|token| token.sequence).collect();
        assert_eq!(tokens, (1..COUNT).step_by(2).collect::<Vec<_>>(), "only those of the log's own rule");
    }
}

#[test]
fn a_hook_at_its_limit_waits_for_kafka_while_another_goes_on() {
    let Bench { handle, mut producers, port, accounts, woken, .. } =
        bench(1, SimFs::new(5), config(), 64 << 20);
    let event = publish("t", b"payload");
    let len = Producer::record_len(&event, &rule("s"));
    let full = Rule { waiting_bytes_max: 10 * len as u64, ..kafka_rule(1, Durability::Log) };
    let free = Rule { waiting_bytes_max: 10 * len as u64, ..kafka_rule(2, Durability::Log) };
    let producer = &mut producers[0];
    let mut settler = Settler::new(Arc::clone(&accounts));
    for _ in 0..10 {
        assert!(producer.has_room_for(&full, len));
        producer.append(&full, &event, None);
    }
    for count in 1..=100u64 {
        producer.append(&free, &event, None);
        producer.flush();
        wait_until("durable", || port.durable() == 10 + count);
        settler.delivered(0, 2, 1, len as u64);
        assert!(producer.has_room_for(&free, 10 * len), "what is delivered is released");
    }
    assert!(!producer.has_room_for(&full, len), "durable is not delivered");
    producer.want_room_for(&full);
    settler.delivered(0, 1, 4, 4 * len as u64);
    assert!(settler.take_due().is_empty() && woken[0].try_recv().is_err(), "less than half");
    settler.set_aside(0, 1, 1, len as u64);
    assert_eq!(settler.take_due(), [0]);
    assert!(producer.has_room_for(&full, 5 * len) && !producer.has_room_for(&full, 6 * len));
    producer.want_room_for(&full);
    settler.delivered(0, 1, 1, len as u64);
    settler.take_due();
    drop(producers);
    handle.stop().expect("stops");
}

#[test]
fn an_ask_that_is_answered_at_once_comes_from_the_log_thread() {
    let Bench { handle, mut producers, woken, .. } = bench(1, SimFs::new(6), config(), 1 << 20);
    producers[0].want_room_for(&kafka_rule(1, Durability::Log));
    woken[0].recv_timeout(LONG).expect("there is room already");
    drop(producers);
    handle.stop().expect("stops");
}

#[test]
fn what_the_medium_refused_is_durable_once_it_does_not() {
    let fs = SimFs::new(7);
    let Bench { handle, mut producers, port, collector, .. } = bench(1, fs.clone(), config(), 1 << 20);
    let at = fs.operations();
    for operation in at..at + 12 {
        fs.fail_at(operation, Fault::Full);
    }
    producers[0].append(&rule("s"), &publish("t", b"p"), token(0));
    producers[0].flush();
    wait_until("it pauses", || handle.stats().paused);
    let tickets: Vec<u64> = (0..10).map(|next| port.submit([cursor(next)])).collect();
    wait_until("the controls are durable", || port.durable_ticket() > tickets[9]);
    collector.wait_for(0, 1);
    wait_until("it says that it goes on", || !handle.stats().paused);
    assert_eq!(port.take_group().map(|group| check(&group)), Some(vec![(0, 0)]));
    drop(producers);
    handle.stop().expect("stops");
}

#[test]
fn controls_go_through_while_records_are_refused() {
    let fs = Refusing::new(SimFs::new(11));
    let Bench { handle, mut producers, port, collector, .. } = bench(1, fs.clone(), config(), 1 << 20);
    let append = |producer: &mut Producer, sequence: u32| {
        producer.append(&rule("s"), &publish("t", REFUSED), token(sequence));
        producer.flush();
    };
    append(&mut producers[0], 0);
    collector.wait_for(0, 1);
    fs.set(true);
    // Taken together with a group that is refused, and while the log waits to try again.
    let with_records = port.submit([cursor(0)]);
    append(&mut producers[0], 1);
    wait_until("the first control is durable", || port.durable_ticket() > with_records);
    wait_until("it pauses", || handle.stats().paused);
    for next in 1..20 {
        let ticket = port.submit([cursor(next)]);
        let begin = Instant::now();
        wait_until("the next is durable", || port.durable_ticket() > ticket);
        assert!(begin.elapsed() < Duration::from_secs(10), "it does not wait for the records");
    }
    assert!(handle.stats().paused);
    assert_eq!((collector.count(0), port.durable()), (1, 1), "the record is not durable");
    fs.set(false);
    collector.wait_for(0, 2);
    wait_until("published", || port.durable() == 2);
    let groups = [port.take_group(), port.take_group(), port.take_group()];
    let sequences: Vec<u64> =
        groups.iter().flatten().flat_map(|group| check(group)).map(|(sequence, _)| sequence).collect();
    assert_eq!(sequences, [0, 1]);
    drop(producers);
    handle.stop().expect("stops");
}

#[test]
fn the_sink_may_go_on_between_drain_and_stop() {
    let Bench { handle, mut producers, port, collector, .. } = bench(2, SimFs::new(8), config(), 1 << 20);
    for producer in &mut producers {
        for sequence in 0..100 {
            producer.append(&rule("s"), &publish("t", b"p"), token(sequence));
        }
    }
    // A sink that never stops submitting does not hold up the drain.
    let done = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let sink = scope.spawn(|| {
            let mut last = 0;
            while !done.load(Ordering::SeqCst) {
                last = port.submit([cursor(last)]);
                std::thread::yield_now();
            }
            last
        });
        drop(producers);
        assert!(handle.drain(), "all is durable");
        done.store(true, Ordering::SeqCst);
        sink.join().expect("ends well")
    });
    assert_eq!((collector.count(0), collector.count(1), port.durable()), (100, 100, 200));
    let last = last.max(port.submit([cursor(1000)]));
    let summary = handle.stop().expect("stops");
    assert_eq!(summary.stats.records, 200);
    assert!(port.durable_ticket() > last, "what was left at the stop is written");
}

#[test]
fn a_drain_that_cannot_come_about_does_not_wait_for_ever() {
    let fs = SimFs::new(9);
    let Bench { handle, mut producers, port, .. } = bench(1, fs.clone(), config(), 1 << 20);
    fs.cut_at(fs.operations());
    producers[0].append(&rule("s"), &publish("t", b"p"), token(0));
    port.submit([cursor(0)]);
    drop(producers);
    assert!(!handle.drain());
    let error = handle.stop().expect_err("one record was not written");
    assert!(matches!(error, LogError::Unwritten { records: 1, .. }), "{error}");
    assert_eq!(port.durable_ticket(), 0);
}

#[test]
fn controls_that_are_refused_hold_up_no_drain() {
    // Name, whether a record stands behind them when the cores have ended.
    for (name, with_record) in [("a record behind them", true), ("nothing behind them", false)] {
        let fs = SimFs::new(13);
        let Bench { handle, mut producers, port, .. } = bench(1, fs.clone(), config(), 1 << 20);
        fs.cut_at(fs.operations());
        port.submit([cursor(0)]);
        wait_until("it pauses for the control alone", || handle.stats().paused);
        if with_record {
            producers[0].append(&rule("s"), &publish("t", b"p"), token(0));
        }
        drop(producers);
        assert_eq!(handle.drain(), !with_record, "{name}");
        let unwritten = matches!(handle.stop(), Err(LogError::Unwritten { records: 1, .. }));
        assert_eq!((unwritten, port.durable_ticket()), (with_record, 0), "{name}");
    }
}

#[test]
fn controls_that_cannot_be_written_do_not_hold_up_a_stop() {
    let fs = SimFs::new(10);
    let Bench { handle, producers, port, .. } = bench(1, fs.clone(), config(), 1 << 20);
    drop(producers);
    assert!(handle.drain());
    fs.cut_at(fs.operations());
    port.submit([cursor(0)]);
    let begin = Instant::now();
    // Without a footer the next start scans.
    let _ = handle.stop();
    assert!(begin.elapsed() < LONG);
    assert_eq!(port.durable_ticket(), 0);
}

#[test]
fn controls_come_back_in_the_order_in_which_they_were_handed_over() {
    let fs = SimFs::new(12);
    // Small segments, so that their sum goes from one to the next many times.
    let config = LogConfig { segment_bytes: 16 * 1024, ..config() };
    let Bench { handle, mut producers, port, .. } = bench(1, fs.clone(), config.clone(), 1 << 20);
    let mut last = 0;
    for next in 0..500 {
        producers[0].append(&rule("s"), &publish("t", b"p"), None);
        producers[0].flush();
        last = port.submit([cursor(next), cursor(next + 1000)]);
    }
    wait_until("all is durable", || port.durable_ticket() > last && port.durable() == 500);
    // The power goes: what the tickets told must be there, without a clean end.
    let (after, _) = fs.restart(1);
    let (writer, _) = super::open(&after, config).expect("opens");
    let topics = &writer.targets().targets.get(&KAFKA).expect("known").topics;
    let state = topics.values().flat_map(|topic| topic.partitions.values()).next().expect("one partition");
    assert_eq!(state.cursor.as_ref().map(|cursor| cursor.next), Some(1499));
    drop(producers);
    let _ = handle.stop();
}
