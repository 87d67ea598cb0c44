//! Command lines, the plans that they make, and how plans are cut.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use clap::Parser;

use super::args::Scenario;
use super::draft::{Draft, draft};
use super::omb;
use super::split::split;
use crate::load::plan::{Hears, Pace, Plan};
use crate::random::Random;

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    scenario: Scenario,
}

fn parse(line: &str) -> Result<Scenario, clap::Error> {
    let words = std::iter::once("bench").chain(line.split_whitespace());
    Line::try_parse_from(words).map(|line| line.scenario)
}

fn plan(line: &str) -> Result<Draft, String> {
    let scenario = parse(line).map_err(|error| error.to_string())?;
    let address = scenario.common().address()?.unwrap_or(([127, 0, 0, 1], 1).into());
    draft(&scenario, address, 77, 5)
}

#[test]
fn lines() {
    let cases = [
        ("p2p", true),
        ("conn --connections 18000 --subscribe --idle 5", true),
        ("conn --storm", true),
        ("conn --storm --ramp 100", false),
        ("conn --storm --at-once 5", false),
        ("conn --connections 0", false),
        ("conn --churn 0", false),
        ("pub --publishers 5 --topics 100 --qos 2 --retain", true),
        ("pub --topic a/b", false),
        ("pub --topic a/{i}", true),
        ("sub --filter=", false),
        ("pub --topic a{n}", false),
        ("sub --filter #", true),
        ("p2p --qos 3", false),
        ("p2p --subscribe-qos 3", false),
        ("p2p --size 23", false),
        ("p2p --size 24", true),
        ("p2p --size 300000000", false),
        ("p2p --window 0", false),
        ("p2p --window 65536", false),
        ("p2p --rate 0", false),
        ("p2p --rate inf", false),
        ("p2p --rate 0.5", true),
        ("p2p --version 3.1", true),
        ("p2p --version 5", true),
        ("p2p --version 6", false),
        ("p2p --count 5 --duration 5", false),
        ("p2p --count 5 --warmup 5", false),
        ("p2p --warmup 0", true),
        ("p2p --duration 0", false),
        ("p2p --interval 0", false),
        ("p2p --sources 251", false),
        ("p2p --processes 0", false),
        ("p2p --threads 0", false),
        ("p2p --held-filter held/x", false),
        ("p2p --rounds 0", false),
        ("fanin --same-topic --subscribers 4", true),
        ("fanout --wildcard", true),
        ("shared --group g", true),
        ("shared --group a/b", false),
        ("fleet --plain --backend 3 --commands 0 --reconnect 0", true),
        ("fleet --commands -1", false),
        ("stream --kafka 127.0.0.1:9092 --stream x", true),
        ("omb", false),
        ("omb --list", true),
        ("omb p2p-1K-1K-1K-1K --scale 0.5", true),
        ("omb p2p-1K-1K-1K-1K --scale 0", false),
        ("unknown", false),
    ];
    for (line, good) in cases {
        assert_eq!(parse(line).is_ok(), good, "{line}: {:?}", parse(line).err());
    }
}

#[test]
fn what_does_not_go_together_is_said_before_anything_runs() {
    let cases = [
        ("p2p --broker 127.0.0.1:1", Ok(())),
        ("p2p --broker [::1]:1", Ok(())),
        ("p2p --broker 192.0.2.1:1", Err("--allow-remote")),
        ("p2p --broker 192.0.2.1:1 --allow-remote", Ok(())),
        ("p2p --broker 127.0.0.1", Err("--broker 127.0.0.1")),
        ("fanin --subscribers 5 --publishers 4", Err("4 publishers cannot be divided evenly among 5")),
        ("omb p2p-1K", Err("sharedsub-50K-500-50K-50K")),
        ("fanin --processes 2", Err("--rate")),
        ("fanin --processes 2 --rate 5", Ok(())),
        ("fanin --processes 2 --count 5", Err("--rate")),
        ("fanin --processes 3 --subscribers 4", Ok(())),
        ("fanout --processes 2", Err("--rate")),
        ("shared --processes 2", Err("--rate")),
        ("p2p --processes 2 --qos 0", Ok(())),
        ("pub --processes 2 --qos 0", Ok(())),
        ("fleet --processes 2", Ok(())),
    ];
    for (line, expected) in cases {
        let processes = parse(line).expect(line).common().processes as usize;
        let result = plan(line).and_then(|draft| split(&draft, processes));
        match expected {
            Ok(()) => assert!(result.is_ok(), "{line}: {result:?}"),
            Err(text) => {
                assert!(result.as_ref().is_err_and(|error| error.contains(text)), "{line}: {result:?}");
            }
        }
    }
}

/// Clients, streams, deliveries a message, and what is offered: for each group `name×clients [hears] → topic×streams`.
fn shape(plan: &Plan) -> String {
    let groups = plan.groups.iter().map(|group| {
        let hears =
            group.subscribe.iter().map(|it| format!(" {}={:?}", it.filter, it.hears)).collect::<String>();
        let publish = group.publish.as_ref().map_or(String::new(), |publish| {
            let pace = match publish.pace {
                Pace::Window(window) => format!("w{window}"),
                Pace::Rate { per_second, window } => format!("{per_second}/s w{window}"),
            };
            format!(" > {}×{} ×{} {pace}", publish.topic, publish.streams, publish.receivers)
        });
        format!("{}×{}{hears}{publish}", group.name, group.count)
    });
    groups.collect::<Vec<_>>().join("; ")
}

#[test]
fn each_run_has_source_addresses_of_its_own() {
    let common = parse("p2p --sources 250").expect("a line").common().clone();
    let of = |run| common.sources(SocketAddr::from(([127, 0, 0, 1], 1883)), run);
    let runs = [0, 1, u32::MAX, 0x0102_0304, 0x0103_0304];
    for run in runs {
        let sources = of(run);
        assert_eq!(sources.iter().collect::<BTreeSet<_>>().len(), 250, "{run:x}");
        for source in sources {
            let IpAddr::V4(source) = source else { panic!("{source}") };
            assert!(source.is_loopback() && source.octets()[1] > 0, "{source}");
        }
    }
    assert_ne!(of(0x0102_0304), of(0x0103_0304));
    assert!(common.sources(SocketAddr::from(([192, 0, 2, 1], 1883)), 7).is_empty());
}

#[test]
fn plans() {
    let cases = [
        ("conn --connections 5", "con×5"),
        ("conn --connections 5 --subscribe", "con×5 devices/{n}/command=Nobody"),
        ("pub --publishers 5 --topics 50", "pub×5 > devices/{n}/state×50 ×0 w16"),
        ("sub --subscribers 2 --filter a/#", "sub×2 a/#=Anything"),
        ("p2p --pairs 3 --topic {i}", "sub×3 {n}=Same; pub×3 > {n}×3 ×1 w16"),
        (
            "p2p --pairs 3 --rate 30 --idle 2",
            "sub×3 devices/{n}/state=Same; pub×3 > devices/{n}/state×3 ×1 30/s w64; idl×2 devices/idle-{n}/command=Nobody",
        ),
        ("fanin --publishers 9", "sub×1 devices/+/state=All; pub×9 > devices/{n}/state×9 ×1 w16"),
        (
            "fanin --publishers 9 --same-topic",
            "sub×1 devices/all/state=All; pub×9 > devices/all/state×9 ×1 w16",
        ),
        (
            "fanin --publishers 6 --subscribers 2 --rate 10",
            "sub×2 devices/{n}/+/state=Block(3); pub×6 > devices/{n/3}/{n}/state×6 ×1 10/s w64",
        ),
        ("fanout --subscribers 7", "sub×7 broadcast/0=All; pub×1 > broadcast/0×1 ×7 w16"),
        (
            "fanout --publishers 2 --subscribers 7 --rate 10",
            "sub×7 broadcast/0=All broadcast/1=All; p0×1 > broadcast/0×1 ×7 5/s w64; p1×1 > broadcast/1×1 ×7 5/s w64",
        ),
        (
            "fanout --publishers 2 --subscribers 7 --wildcard",
            "sub×7 broadcast/+=All; pub×2 > broadcast/{n}×2 ×7 w16",
        ),
        (
            "shared --publishers 4 --group g",
            "sub×4 $share/g/devices/+/state=Share; pub×4 > devices/{n}/state×4 ×1 w16",
        ),
        (
            "fleet --locks 120",
            "bck×4 $share/backend/devices/+/state=Share; lck×120 devices/{n}/command=Same > devices/{n}/state×120 ×1 2/s w64; \
             cmd×4 > devices/{n}/command×120 ×1 0.2/s w64",
        ),
        (
            "fleet --locks 5 --plain --backend 3 --commands 0 --rate 8",
            "bck×3 devices/+/state=All; lck×5 devices/{n}/command=Nobody > devices/{n}/state×5 ×3 8/s w64",
        ),
        ("stream --publishers 2", "pub×2 > devices/{n}/state×2 ×0 w16"),
        ("omb conn-tcp-10k-100 --scale 0.5", "con×5000"),
        (
            "omb p2p-50K-50K-50K-50K --scale 0.1",
            "sub×5000 test/{n}=Same; pub×5000 > test/{n}×5000 ×1 5000/s w64",
        ),
        (
            "omb sharedsub-1K-5-1K-1K",
            "sub×5 $share/benchmark/test/#=Share; pub×1000 > test/{n}×1000 ×1 1000/s w64",
        ),
        ("omb fanout-1-1K-1-1K --scale 0.01", "sub×10 broadcast/0=All; pub×1 > broadcast/0×1 ×10 1/s w64"),
    ];
    for (line, expected) in cases {
        assert_eq!(shape(&plan(line).expect(line).plan), expected, "{line}");
    }
}

#[test]
fn the_suites_parameters() {
    for name in omb::list().lines().map(|line| line.split(' ').next().expect("a name").to_owned()) {
        let plan = plan(&format!("omb {name}")).expect("a plan").plan;
        assert_eq!((plan.connect.keep_alive_s, plan.connect.clean), (300, true), "{name}");
        assert_eq!(plan.level, if name.starts_with("sharedsub") { 5 } else { 4 }, "{name}");
        for publish in plan.groups.iter().filter_map(|group| group.publish.as_ref()) {
            assert_eq!((publish.qos, publish.size, publish.retain), (1, 24, false), "{name}");
        }
    }
    assert_eq!(plan("omb conn-tcp-10K-100").expect("a plan").plan.connect.rate, Some(100.0));
    let own = plan("omb p2p-1K-1K-1K-1K --qos 2 --size 100 --rate 5 --version 5.0 --keep-alive 9")
        .expect("a plan")
        .plan;
    let publish = own.groups[1].publish.as_ref().expect("it publishes");
    assert_eq!((own.level, own.connect.keep_alive_s, publish.qos, publish.size), (5, 9, 2, 100));
    assert!(matches!(publish.pace, Pace::Rate { per_second: 5.0, .. }));
}

/// Who hears whom, by names: every subscription of every client with what it hears.
fn clients(plan: &Plan) -> BTreeMap<(usize, usize), usize> {
    let mut found = BTreeMap::new();
    for (index, group) in plan.groups.iter().enumerate() {
        for number in group.first..group.first + group.count {
            *found.entry((index, number)).or_insert(0) += 1;
        }
    }
    found
}

#[test]
fn every_client_is_in_one_process_and_pairs_and_groups_stay_together() {
    let mut random = Random::new(11);
    let lines = [
        "p2p --pairs N",
        "fanin --publishers N --rate 100",
        "fanin --publishers N0 --subscribers 10",
        "fanout --subscribers N --publishers 3 --rate 10",
        "shared --publishers N --rate 10",
        "fleet --locks N",
        "conn --connections N --ramp 100 --subscribe",
        "pub --publishers N --topics 1000 --idle 7",
    ];
    for case in 0..400 {
        let count = 3 + random.next() % 50;
        let processes = 1 + random.next() % 9;
        let line = lines[case % lines.len()].replace('N', &count.to_string());
        let draft = plan(&line).expect("a plan");
        let plans = split(&draft, processes as usize).expect("parts");
        let name = format!("{line} in {processes}");
        // None has nothing to do if that can be helped.
        let all: usize = draft.plan.groups.iter().map(|group| group.count).sum();
        assert_eq!(plans.len(), all.min(processes as usize), "{name}");
        let mut found = BTreeMap::new();
        for plan in &plans {
            found.extend(clients(plan));
            for (group, whole) in plan.groups.iter().zip(&draft.plan.groups) {
                check_part(&name, plan, group, whole);
            }
        }
        assert_eq!(found, clients(&draft.plan), "{name}");
        assert_eq!(found.len(), plans.iter().map(|plan| clients(plan).len()).sum::<usize>(), "{name}");
        let rate = plans.iter().filter_map(|plan| plan.connect.rate).sum::<f64>();
        assert!((rate - draft.plan.connect.rate.unwrap_or(0.0)).abs() < 1e-9, "{name}");
    }
}

fn check_part(name: &str, plan: &Plan, group: &crate::load::plan::Group, whole: &crate::load::plan::Group) {
    // What counts for all processes together is the same in each.
    assert_eq!(group.subscribe, whole.subscribe, "{name}");
    let global = |publish: &crate::load::plan::Publish| {
        (publish.streams, publish.of, publish.topic.clone(), publish.receivers, publish.pace)
    };
    assert_eq!(group.publish.as_ref().map(global), whole.publish.as_ref().map(global), "{name}");
    for subscription in &group.subscribe {
        let of = &plan.groups[subscription.of];
        let here = of.publish.as_ref().is_some_and(|publish| publish.receivers_here);
        match subscription.hears {
            Hears::Share => {
                assert!(group.count == 0 || group.count == whole.count, "{name}: a divided group");
            }
            // One process has everything; of several each has its pairs.
            Hears::Same if here && group.count < whole.count => {
                assert_eq!((group.first, group.count), (of.first, of.count), "{name}");
            }
            Hears::Block(width) => {
                assert!(here, "{name}");
                assert_eq!((group.first * width, group.count * width), (of.first, of.count), "{name}");
            }
            Hears::All if here && of.count > 0 => {
                assert_eq!(group.count, whole.count, "{name}: deliveries elsewhere");
            }
            _ => {}
        }
    }
}

#[test]
fn help_shows_what_is_to_be_written() {
    use clap::CommandFactory;
    // What clap takes for a new line would tear texts and examples apart.
    for command in Line::command().get_subcommands_mut() {
        let help = command.render_long_help().to_string();
        let name = command.get_name().to_owned();
        assert!(!help.contains("devices/\n"), "{name}: {help}");
        assert!(help.contains("held/{i}/command"), "{name}: {help}");
    }
}
