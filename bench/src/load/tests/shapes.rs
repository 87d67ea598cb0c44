use super::*;

fn hears(filter: &str, qos: u8, hears: Hears) -> Subscription {
    Subscription { filter: filter.to_owned(), qos, of: 1, hears }
}

#[test]
fn every_shape_arrives_whole_in_all_versions_qos_and_threads() {
    for threads in [1, 3] {
        for (qos, level) in [(0, 3), (1, 4), (2, 5), (0, 5), (1, 5), (2, 4)] {
            let shapes = [
                ("p2p", plan(6, hears("p/{n}/{run}", qos, Hears::Same), 6, qos, 1)),
                ("fan-in", plan(1, hears("p/+/{run}", qos, Hears::All), 6, qos, 1)),
                ("fan-out", plan(7, hears("p/0/{run}", qos, Hears::All), 1, qos, 7)),
                ("all to all", plan(3, hears("p/+/77", qos, Hears::All), 2, qos, 3)),
                ("shared", plan(4, hears("$share/g/p/+/{run}", qos, Hears::Share), 5, qos, 1)),
            ];
            for (name, mut plan) in shapes {
                let name = format!("{name}, {threads} threads, QoS {qos}, level {level}");
                plan.level = level;
                plan.threads = threads;
                plan.phases.count = Some(300);
                let (tally, done, watcher) = load(&plan, Faults::default());
                let tally = tally.expect(&name);
                assert_eq!(wrong(&plan, &tally), [], "{name}: {:?}", tally.totals);
                assert_eq!((done.published, tally.error.as_str()), (300, ""), "{name}");
                let clients: usize = plan.groups.iter().map(|group| group.count).sum();
                assert_eq!(watcher.connected, Some((clients as u64, 0)), "{name}");
                assert_eq!(tally.totals.acknowledged, if qos == 0 { 0 } else { 300 }, "{name}");
                let receivers = publish(&mut plan).receivers;
                assert_eq!(tally.totals.delivered, 300 * receivers, "{name}");
            }
        }
    }
}

#[test]
fn blocks_of_streams_and_several_streams_a_client() {
    for threads in [1, 2] {
        // Two subscribers of three streams each, which are sent by two clients, odd and even.
        let mut plan = plan(2, hears("b{n}/+/{run}", 1, Hears::Block(3)), 6, 1, 1);
        plan.threads = threads;
        plan.phases.count = Some(600);
        plan.groups[1].count = 2;
        // The broker of the tests gives everything to whom the topic names: block 0 only.
        *publish(&mut plan) =
            Publish { of: 2, topic: "b0/{n}/{run}".to_owned(), ..publish(&mut plan).clone() };
        let (tally, ..) = load(&plan, Faults::default());
        let tally = tally.expect("a run");
        let streams: Vec<_> = tally.sent.iter().map(|&(_, stream, sent)| (stream, sent)).collect();
        // Streams 3 to 5 came to subscriber 0, whose they are not, so only the others count.
        assert_eq!(
            tally.totals.foreign,
            streams.iter().filter(|sent| sent.0 > 2).map(|sent| sent.1).sum::<u64>()
        );
        assert!(
            tally.totals.foreign > 0 && tally.arrived.iter().all(|came| came.1 < 3),
            "{:?}",
            tally.totals
        );
        assert_eq!(streams.iter().map(|sent| sent.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    }
}

#[test]
fn those_who_leave_and_come_back_lose_nothing() {
    for threads in [1, 2] {
        for (qos, pace) in
            [(0, Pace::Window(4)), (1, Pace::Window(4)), (2, Pace::Rate { per_second: 3_000.0, window: 20 })]
        {
            let mut plan = p2p(6, qos);
            plan.threads = threads;
            publish(&mut plan).pace = pace;
            plan.groups[0].reconnect_s = Some(0.1);
            plan.groups[1].reconnect_s = Some(0.2);
            plan.phases.duration_s = 1.0;
            plan.phases.drain_s = 3.0;
            let (tally, done, _) = load(&plan, Faults::default());
            let tally = tally.expect("a run");
            assert_eq!(wrong(&plan, &tally), [], "QoS {qos}: {:?}", tally.totals);
            let connected = tally.totals.connected;
            assert!(connected > 12 + 20, "{connected}");
            // Who is on the way back when the run ends does not get ready.
            assert!((connected..=connected + 12).contains(&done.connects) && done.subscribes > 6, "{done:?}");
            assert!(tally.totals.delivered > 100, "{:?}", tally.totals);
        }
    }
}

#[test]
fn publishers_and_subscribers_of_different_processes_fit_together() {
    let whole = p2p(2, 1);
    let broker = Broker::start(Faults::default());
    let part = |keep: usize| {
        let mut part = Plan { broker: broker.address, ..whole.clone() };
        part.groups[1 - keep].count = 0;
        publish(&mut part).receivers_here = false;
        part.phases.drain_s = 3.0;
        part
    };
    let (subscribers, publishers) = (part(0), part(1));
    std::thread::scope(|scope| {
        let heard = scope.spawn(|| run(&subscribers, &mut Watcher::default()).expect("a run"));
        std::thread::sleep(Duration::from_millis(50));
        let sent = run(&publishers, &mut Watcher::default()).expect("a run");
        let heard = heard.join().expect("no panic");
        let count = |list: &[(usize, usize, u64)]| list.iter().map(|one| one.2).sum::<u64>();
        assert!(count(&sent.sent) > 100 && sent.totals.acknowledged > 0);
        assert_eq!((count(&heard.arrived), count(&heard.sent)), (count(&sent.sent), 0));
        // The clock is the machine's, so times across processes mean something.
        assert!(heard.latency.count() > 0 && heard.latency.max() < 5_000_000, "{:?}", heard.latency);
        assert_eq!(sent.latency.count(), 0);
    });
}
