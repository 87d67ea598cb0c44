use super::*;
use millrace_codec::QoS;

/// A name, what is run, what the broker does wrong, which counters then have which of its counts, and words of the
/// error.
type Case = (&'static str, Plan, Faults, fn(&Done) -> Vec<(&'static str, u64)>, &'static str);

fn v5(mut plan: Plan) -> Plan {
    plan.level = 5;
    plan
}

/// With a window that what is lost does not close.
fn wide(mut plan: Plan) -> Plan {
    publish(&mut plan).pace = Pace::Window(1_000);
    plan
}

fn retained(mut plan: Plan) -> Plan {
    publish(&mut plan).retain = true;
    plan
}

fn impatient(mut plan: Plan) -> Plan {
    plan.connect.timeout_s = 0.2;
    plan
}

fn counters() -> Vec<Case> {
    let none = Faults::default;
    vec![
        ("good", p2p(3, 1), none(), |_| vec![], ""),
        ("drop", wide(p2p(2, 0)), Faults { drop: 997, ..none() }, |done| vec![("lost", done.dropped)], ""),
        (
            "drop QoS 2",
            wide(p2p(2, 2)),
            Faults { drop: 97, ..none() },
            |done| vec![("lost", done.dropped)],
            "",
        ),
        ("repeat", p2p(2, 1), Faults { repeat: 13, ..none() }, |done| vec![("repeated", done.repeated)], ""),
        (
            "swap",
            wide(p2p(2, 1)),
            Faults { swap: 17, ..none() },
            |done| vec![("lost", done.dropped), ("reordered", done.swapped)],
            "",
        ),
        (
            "all of these",
            wide(p2p(2, 0)),
            Faults { drop: 1009, repeat: 11, swap: 7, ..none() },
            |done| vec![("lost", done.dropped), ("repeated", done.repeated), ("reordered", done.swapped)],
            "",
        ),
        ("foreign", p2p(2, 1), Faults { foreign: 19, ..none() }, |done| vec![("foreign", done.foreign)], ""),
        (
            "for another",
            p2p(2, 0),
            Faults { misdirect: 19, ..none() },
            |done| vec![("foreign", done.foreign)],
            "",
        ),
        (
            "refuse",
            v5(unheard(2, 1)),
            Faults { refuse: 23, ..none() },
            |done| vec![("refused", done.refused)],
            "a message was refused: PUBACK with Quota exceeded (0x97)",
        ),
        (
            "refuse QoS 2",
            v5(unheard(1, 2)),
            Faults { refuse: 23, ..none() },
            |done| vec![("refused", done.refused)],
            "PUBREC with Quota exceeded",
        ),
        (
            "no acknowledgement",
            wide(unheard(2, 1)),
            Faults { drop_ack: 499, ..none() },
            |done| vec![("lost", done.acks_dropped)],
            "",
        ),
        (
            "acknowledgement twice",
            unheard(2, 1),
            Faults { repeat_ack: 31, ..none() },
            |done| vec![("unexpected", done.acks_repeated)],
            "",
        ),
        (
            "PUBREC twice",
            unheard(1, 2),
            Faults { repeat_ack: 31, ..none() },
            |done| vec![("unexpected", 2 * done.acks_repeated)],
            "",
        ),
        (
            "closes",
            unheard(3, 1),
            Faults { close: 301, ..none() },
            |done| vec![("disconnects", done.closed)],
            "connection lost: ",
        ),
        (
            "rubbish",
            p2p(1, 0),
            Faults { rubbish: 50, ..none() },
            |_| vec![("disconnects", 1)],
            "sub-77-0: connection lost: protocol error (0x82): packet type 0",
        ),
        (
            "refuses some connections",
            unheard(4, 1),
            Faults { refuse_connect: 3, ..none() },
            |done| vec![("connect_failed", done.connects_refused)],
            "refused by the broker: Not authorized (0x87)",
        ),
        (
            "ignores one connection",
            impatient(unheard(4, 1)),
            Faults { ignore_connect: 4, ..none() },
            |_| vec![("connect_failed", 1)],
            "no CONNACK in 0.2 s",
        ),
    ]
}

#[test]
fn every_counter_counts_what_the_broker_did_and_nothing_else() {
    std::thread::scope(|scope| {
        for (name, plan, faults, expected, error) in counters() {
            scope.spawn(move || {
                let faulty = format!("{faults:?}") != format!("{:?}", Faults::default());
                let (tally, done, _) = load(&plan, faults);
                let tally = tally.expect(name);
                let expected: Vec<_> = expected(&done).into_iter().filter(|count| count.1 > 0).collect();
                // Messages on the way of a connection that broke are lost as well.
                let mut wrong = wrong(&plan, &tally);
                if tally.totals.disconnects > 0 {
                    wrong.retain(|count| count.0 != "lost");
                }
                assert_eq!(wrong, expected, "{name}: {done:?} {:?}", tally.totals);
                assert_eq!(expected.is_empty(), !faulty, "{name}: the broker did nothing wrong");
                assert!(
                    tally.error.contains(error) && tally.error.is_empty() == error.is_empty(),
                    "{name}: {}",
                    tally.error
                );
                assert!(!tally.sent.is_empty(), "{name}");
            });
        }
    });
}

#[test]
fn what_cannot_be_measured_is_said_and_why() {
    let none = Faults::default;
    let cases: [(&str, Plan, Faults, &str); 9] = [
        (
            "refused",
            p2p(1, 1),
            Faults { refuse_connect: 1, ..none() },
            "refused by the broker: Not authorized",
        ),
        ("refused in 5.0", v5(p2p(1, 1)), Faults { refuse_connect: 1, ..none() }, "Not authorized (0x87)"),
        (
            "no subscription",
            p2p(1, 1),
            Faults { refuse_subscribe: 1, ..none() },
            "refused: Unspecified error (0x80)",
        ),
        (
            "less QoS",
            p2p(1, 1),
            Faults { lower_subscribe: true, ..none() },
            "granted with QoS 0 instead of 1",
        ),
        ("silence", impatient(p2p(1, 1)), Faults { ignore_connect: 1, ..none() }, "no CONNACK in 0.2 s"),
        ("QoS", v5(unheard(1, 2)), Faults { maximum_qos: Some(QoS::AtLeastOnce), ..none() }, "at most QoS 1"),
        (
            "size",
            v5(unheard(1, 0)),
            Faults { maximum_packet_size: Some(30), ..none() },
            "of at most 30 bytes",
        ),
        ("retain", v5(retained(unheard(1, 0))), Faults { no_retain: true, ..none() }, "no retained messages"),
        (
            "half",
            v5(p2p(1, 2)),
            Faults { lower_subscribe: true, ..none() },
            "granted with QoS 0 instead of 2",
        ),
    ];
    for (name, mut plan, faults, error) in cases {
        // The publisher of these is refused, its idle neighbour is not.
        plan.groups.retain(|group| group.count > 0);
        let (tally, _, _) = load(&plan, faults);
        let said = match tally {
            Err(said) => said,
            Ok(tally) => {
                assert!(tally.totals.connect_failed > 0, "{name}");
                tally.error
            }
        };
        assert!(said.contains(error), "{name}: {said}");
    }
    let nobody = Plan { broker: ([127, 0, 0, 1], 1).into(), ..p2p(1, 0) };
    let said = run(&nobody, &mut Watcher::default()).expect_err("nobody listens");
    assert!(said.contains("no connection to 127.0.0.1:1: Connection refused"), "{said}");
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let change = |change: fn(&mut Plan)| {
        let mut plan = p2p(2, 1);
        change(&mut plan);
        plan
    };
    let cases = [
        (change(|plan| plan.level = 6), "protocol level 6"),
        (change(|plan| plan.threads = 0), "at least one thread"),
        (change(|plan| plan.connect.at_once = 0), "at least one connection"),
        (change(|plan| plan.connect.rate = Some(0.0)), "rate of connections"),
        (change(|plan| publish(plan).size = 23), "at least 24 bytes"),
        (change(|plan| publish(plan).qos = 3), "QoS 3"),
        (change(|plan| publish(plan).pace = Pace::Window(0)), "window of at least 1"),
        (change(|plan| publish(plan).pace = Pace::Rate { per_second: f64::NAN, window: 1 }), "rate above 0"),
        (change(|plan| publish(plan).topic = "t".repeat(70_000)), "PUBLISH to"),
        (change(|plan| plan.groups[0].subscribe[0].of = 0), "does not publish"),
        (change(|plan| plan.groups[0].subscribe[0].of = 9), "does not publish"),
        (
            change(|plan| {
                let again = plan.groups[0].subscribe[0].clone();
                plan.groups[0].subscribe.push(again);
            }),
            "by two subscriptions",
        ),
        (change(|plan| plan.groups[0].count = 50_000_000), "file descriptors"),
        (
            change(|plan| {
                plan.groups[0].subscribe[0].hears = Hears::All;
                plan.groups[0].count = 10_000;
                publish(plan).streams = 10_000;
            }),
            "pairs of subscriber and stream",
        ),
        (change(|plan| plan.sources = vec!["::1".parse().expect("an address")]), "family"),
    ];
    for (plan, error) in cases {
        let said = run(&plan, &mut Watcher::default()).expect_err(error);
        assert!(said.contains(error), "{error}: {said}");
    }
}

#[test]
fn a_window_that_waits_for_what_was_lost_is_opened_again_and_counted() {
    let mut plan = p2p(1, 0);
    publish(&mut plan).pace = Pace::Window(1);
    plan.phases.duration_s = 3.5;
    let (tally, done, _) = load(&plan, Faults { drop_first: 1, ..Faults::default() });
    let tally = tally.expect("a run");
    assert_eq!(wrong(&plan, &tally), [("lost", 1), ("stalls", 1)], "{:?}", tally.totals);
    assert_eq!(done.dropped, 1);
    assert!(tally.totals.delivered > 100, "it went on: {:?}", tally.totals);
    assert!(tally.error.contains("pub-77-0: what its window waits for did not come"));
}
