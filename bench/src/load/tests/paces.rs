use super::*;

#[test]
fn the_broker_s_receive_maximum_is_kept() {
    for (allowed, window, expected) in [(3, 16, 3), (65_535, 16, 16), (100, 1, 1)] {
        let mut plan = unheard(2, 1);
        plan.level = 5;
        publish(&mut plan).pace = Pace::Window(window);
        let (tally, done, _) = load(&plan, Faults { receive_maximum: Some(allowed), ..Faults::default() });
        assert_eq!(wrong(&plan, &tally.expect("a run")), [], "{done:?}");
        assert_eq!(done.most_in_flight, expected, "{allowed} {window}");
    }
}

#[test]
fn a_fixed_number_is_sent_exactly_and_ends_when_it_has_come() {
    for (plan, streams) in [(p2p(3, 0), 3), (p2p(3, 2), 3), (unheard(4, 1), 4), (unheard(2, 0), 2)] {
        for threads in [1, 2] {
            let mut plan = Plan { threads, ..plan.clone() };
            plan.phases.count = Some(1_001);
            plan.phases.drain_s = 20.0;
            let began = Instant::now();
            let (tally, done, watcher) = load(&plan, Faults::default());
            let tally = tally.expect("a run");
            let took = began.elapsed();
            let sent: Vec<u64> = tally.sent.iter().map(|sent| sent.2).collect();
            assert_eq!((sent.len(), sent.iter().sum::<u64>()), (streams, 1_001));
            assert!(sent.iter().max().expect("one") - sent.iter().min().expect("one") <= 1);
            assert_eq!((done.published, tally.totals.sent), (1_001, 1_001));
            assert_eq!(watcher.phases, [Phase::Connect, Phase::Measure, Phase::Drain]);
            // QoS 0 that nobody hears is confirmed in half windows: what is left of one is not waited for.
            let confirmed = tally.totals.acknowledged.max(tally.totals.delivered);
            assert!((1_001 - 8..=1_001).contains(&confirmed), "{:?}", tally.totals);
            assert_eq!(wrong(&plan, &tally), []);
            assert!(took < Duration::from_secs(3), "{took:?}");
        }
    }
}

#[test]
fn a_rate_is_kept_and_latency_counts_from_the_intended_time() {
    let mut plan = p2p(4, 1);
    publish(&mut plan).pace = Pace::Rate { per_second: 1_000.0, window: 1_000 };
    plan.phases = Phases { settle_s: 0.0, warmup_s: 0.2, duration_s: 1.0, count: None, drain_s: 2.0 };
    // While the broker rests for 200 ms, 200 messages fall due, each of which waits for its part of that.
    let (tally, _, watcher) = load(&plan, Faults { pause_at: 500, ..Faults::default() });
    let tally = tally.expect("a run");
    assert_eq!(wrong(&plan, &tally), [], "{}", tally.error);
    let totals = &tally.totals;
    assert!((980..=1_020).contains(&totals.sent), "{totals:?}");
    assert!(totals.behind <= 20, "{totals:?}");
    let above = |us: u64| {
        let counts = tally.latency.counts.iter().filter(|count| count.0 > us);
        counts.map(|count| count.1).sum::<u64>()
    };
    assert!((70..=200).contains(&above(100_000)), "{} waited for over 100 ms", above(100_000));
    assert!(above(50_000) >= above(100_000) + 30, "{} over 50 ms", above(50_000));
    assert_eq!(watcher.phases, [Phase::Connect, Phase::Warmup, Phase::Measure, Phase::Drain]);
}

#[test]
fn what_the_rate_asks_for_and_the_window_refuses_is_behind() {
    let mut plan = unheard(2, 1);
    publish(&mut plan).pace = Pace::Rate { per_second: 1_000.0, window: 5 };
    plan.phases = Phases { settle_s: 0.0, warmup_s: 0.0, duration_s: 0.5, count: None, drain_s: 0.1 };
    // Nothing is ever acknowledged.
    let (tally, done, watcher) = load(&plan, Faults { drop_ack: 1, ..Faults::default() });
    let tally = tally.expect("a run");
    assert_eq!((done.published, tally.totals.sent, tally.unacknowledged), (10, 10, 10));
    assert!((470..=495).contains(&tally.totals.behind), "{:?}", tally.totals);
    assert_eq!(watcher.phases, [Phase::Connect, Phase::Measure, Phase::Drain]);
}

#[test]
fn qos_0_that_nobody_hears_is_confirmed_by_pings() {
    let plan = unheard(2, 0);
    let (tally, done, _) = load(&plan, Faults::default());
    let tally = tally.expect("a run");
    let sent: u64 = tally.sent.iter().map(|sent| sent.2).sum();
    assert_eq!(done.published, sent);
    // One after four messages, half a window.
    assert_eq!(done.pings, tally.sent.iter().map(|sent| sent.2 / 4).sum::<u64>());
    assert!(tally.totals.acknowledged > 0 && tally.latency.count() == tally.totals.acknowledged);
    assert_eq!(wrong(&plan, &tally), []);
}

#[test]
fn connections_that_rest_are_kept_alive_each_in_its_turn() {
    let mut plan = unheard(1, 0);
    plan.groups[0].count = 20;
    plan.groups.truncate(1);
    plan.groups[0].subscribe[0].of = 0;
    plan.connect.keep_alive_s = 1;
    plan.phases = Phases { settle_s: 0.0, warmup_s: 0.0, duration_s: 1.5, count: None, drain_s: 0.0 };
    let began = Instant::now();
    let (tally, done, watcher) = load(&plan, Faults::default());
    assert_eq!(tally.expect("a run").totals.connected, 20);
    // Twice a keep-alive each, however long a busy machine has made of it; the first and the last may come early.
    let most = 20 * (began.elapsed().as_millis() as u64 / 500 + 2);
    assert!((40..=most).contains(&done.pings), "{done:?}, at most {most}");
    assert_eq!((done.disconnects, watcher.connected), (20, Some((20, 0))));
}

#[test]
fn connections_are_opened_at_the_rate_that_was_asked_for() {
    for threads in [1, 3] {
        let mut plan = Plan { threads, ..unheard(30, 1) };
        plan.connect.rate = Some(100.0);
        plan.phases.duration_s = 0.1;
        let (tally, ..) = load(&plan, Faults::default());
        let tally = tally.expect("a run");
        let seconds = tally.totals.connect_seconds;
        assert!((0.28..3.0).contains(&seconds), "{threads}: {seconds}");
        assert_eq!((tally.totals.connected, tally.connect_latency.count()), (31, 31));
    }
}

#[test]
fn an_interrupted_run_ends_with_the_account_so_far() {
    let mut plan = p2p(2, 1);
    plan.phases.duration_s = 60.0;
    for (wait, connects) in [(300, true), (100, false)] {
        let faults = Faults { ignore_connect: u64::from(!connects) * 2, ..Faults::default() };
        let broker = Broker::start(faults);
        let plan = Plan { broker: broker.address, ..plan.clone() };
        let end = Instant::now() + Duration::from_millis(wait);
        let mut watcher = Watcher { end: Some(end), ..Watcher::default() };
        let tally = run(&plan, &mut watcher).expect("an account");
        assert!(end.elapsed() < Duration::from_secs(2));
        if connects {
            assert_eq!(wrong(&plan, &tally), []);
            assert!(tally.totals.sent > 0 && tally.totals.seconds < 1.0, "{:?}", tally.totals);
        } else {
            assert_eq!(tally.totals.connect_failed, 2);
            assert!(tally.error.contains("interrupted"), "{}", tally.error);
        }
    }
}

#[test]
fn samples_add_up_to_what_was_measured() {
    for threads in [1, 3] {
        let plan = Plan { threads, ..p2p(5, 1) };
        let (tally, _, watcher) = load(&plan, Faults::default());
        let tally = tally.expect("a run");
        let sum = |phase: &str, of: fn(&Sample) -> u64| {
            watcher.samples.iter().filter(|sample| sample.phase == phase).map(of).sum::<u64>()
        };
        let totals = &tally.totals;
        assert_eq!(sum("measure", |sample| sample.delivered), totals.delivered);
        assert_eq!(sum("measure", |sample| sample.sent), totals.sent);
        assert_eq!(sum("measure", |sample| sample.acknowledged), totals.acknowledged);
        assert_eq!(tally.latency.count(), totals.delivered);
        assert_eq!(totals.payload_delivered, totals.delivered * 40);
        let sent: u64 = tally.sent.iter().map(|sent| sent.2).sum();
        assert_eq!(
            ["warmup", "measure", "drain"].map(|phase| sum(phase, |sample| sample.sent)).iter().sum::<u64>(),
            sent
        );
        assert!((4..=6).contains(&watcher.samples.iter().filter(|one| one.phase == "measure").count()));
        assert!(watcher.samples.is_sorted_by_key(|sample| sample.at_s));
        assert!((0.19..0.3).contains(&totals.seconds), "{totals:?}");
    }
}
