//! Connecting and its end: t12, t16, t17, t19, t44.

use crate::beside_a_healthy_client;
use crate::support::process::{
    allow_descriptors, anonymous_kib, eventually, resident_kib, sockets, sockets_in_words,
};
use crate::support::{Broker, Raw, Read, left_out};
use millrace_codec::vectors::wire;
use millrace_codec::{Connect, QoS, Version, Will};
use std::time::{Duration, Instant};

/// How long the broker may take to notice that clients are gone.
const SOON: Duration = Duration::from_secs(10);

/// CVE-2023-3592, CVE-2021-34431, CVE-2017-7654: what was read of a CONNECT that is refused is lost memory.
#[test]
fn t12_bad_wills_leak_nothing() {
    let long = "78*3000";
    let bad = [
        // Will retain, a will topic that is too deep, too many user properties, a broken payload, a wildcard.
        format!("10 {{ \"MQTT\" 05 26 003C {{}} \"a\" {{ 03 [{long}] }} \"w\" [{long}] }}"),
        format!("10 {{ \"MQTT\" 05 06 003C {{}} \"a\" {{ 08 [{long}] }} [2F*3000] [{long}] }}"),
        format!("10 {{ \"MQTT\" 05 06 003C {{ 26 [{long}] [{long}] }} \"a\" {{ 02 }} \"w\" [{long}] }}"),
        format!("10 {{ \"MQTT\" 04 06 003C \"a\" [2F*3000] [{long}] }}"),
        format!("10 {{ \"MQTT\" 04 06 003C \"a\" \"w/#\" [{long}] }}"),
        format!("10 {{ \"MQTT\" 04 06 003C \"\" [{long}] FFFF {long} }}"),
        format!("10 {{ \"MQTT\" 05 C6 003C {{}} \"a\" {{ 09 [{long}] }} \"w\" [{long}] \"user\" }}"),
    ];
    let bad: Vec<Vec<u8>> = bad.iter().map(|text| wire(text)).collect();
    beside_a_healthy_client(&["limits.retain_available=false"], |broker, healthy| {
        let mut round = |count: usize| {
            for number in 0..count {
                let mut raw = Raw::open(broker.address());
                raw.send(&bad[number % bad.len()]);
                let said = raw.expect_closed();
                assert!(
                    said.len() <= 1 && said.iter().all(|packet| packet[0] == 0x20 && packet[3] != 0),
                    "{said:02X?}"
                );
                raw.reset();
            }
            healthy.check();
            resident_kib(broker.pid())
        };
        let warm = round(600);
        let after = round(4_000);
        // 4,000 times 9,000 bytes are 35 MiB.
        let grown = after.saturating_sub(warm);
        assert!(grown < 6 << 10, "{grown} KiB after 4,000 refusals");
    });
}

/// CVE-2020-13849: a CONNECT that never comes, comes byte by byte, or asks for a keep-alive of hours.
#[test]
fn t16_slow_connects_and_long_keep_alives_end() {
    beside_a_healthy_client(&["limits.connect_timeout=1s", "limits.max_keep_alive=2s"], |broker, healthy| {
        let before = sockets(broker.pid(), broker.address().port());
        let mut silent: Vec<Raw> = (0..50).map(|_| Raw::open(broker.address())).collect();
        let mut slow = Raw::open(broker.address());
        let connect = wire("10 { \"MQTT\" 04 02 003C 'a and the rest never comes' }");
        for byte in &connect[..connect.len() - 1] {
            if slow.try_send(&[*byte]).is_err() || slow.read(Duration::from_millis(100)) == Read::Closed {
                break;
            }
            healthy.check();
        }
        assert_eq!(slow.read(SOON), Read::Closed);
        for raw in &mut silent {
            assert_eq!(raw.read(SOON), Read::Closed);
        }
        drop((silent, slow));
        assert!(
            eventually(SOON, || sockets(broker.pid(), broker.address().port()) <= before),
            "connections left open"
        );
        for version in Version::ALL {
            for keep_alive in [0, 65_535] {
                let id = format!("k{keep_alive}");
                let mut raw = Raw::connect_as(broker, &Connect { keep_alive, ..Raw::hello(version, &id) });
                let deadline = Instant::now() + SOON;
                while raw.read(Duration::from_millis(200)) != Read::Closed {
                    assert!(Instant::now() < deadline, "{version:?} with keep-alive {keep_alive} lives on");
                    healthy.check();
                }
            }
        }
    });
}

/// CVE-2025-56352, CVE-2025-63235: a refused CONNECT leaves its socket open.
#[test]
fn t17_refusals_close_their_sockets() {
    let refused = [
        wire("10 { \"MQTT\" 05 26 003C {} \"a\" {} \"w\" \"m\" }"),
        wire("10 { \"MQTT\" 04 00 003C \"\" }"),
        wire("10 { \"MQTT\" 03 02 003C \"a\" }"),
        wire("10 { \"MQTT\" 05 02 003C { 15 \"x\" } \"a\" }"),
        wire("10 { \"HTTP\" 05 02 003C {} \"a\" }"),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    beside_a_healthy_client(&["limits.retain_available=false"], |broker, healthy| {
        let before = sockets(broker.pid(), broker.address().port());
        for number in 0..20_000 {
            let mut raw = Raw::open(broker.address());
            raw.send(&refused[number % refused.len()]);
            // The broker closes first; the reset only spares this machine's ports their time of waiting.
            raw.expect_closed();
            raw.reset();
            if number % 1_000 == 0 {
                healthy.check();
            }
        }
        assert!(
            eventually(SOON, || sockets(broker.pid(), broker.address().port()) <= before),
            "connections left open"
        );
    });
}

/// The same when the refused client neither reads nor closes.
#[test]
fn t17_refused_clients_that_stay_are_dropped() {
    beside_a_healthy_client(&[], |broker, healthy| {
        let before = sockets(broker.pid(), broker.address().port());
        let stay: Vec<Raw> = (0..200)
            .map(|_| {
                let mut raw = Raw::open(broker.address());
                raw.send(&wire("10 { \"MQTT\" 04 00 003C \"\" }"));
                raw
            })
            .collect();
        assert!(
            eventually(SOON, || sockets(broker.pid(), broker.address().port()) <= before),
            "connections left open"
        );
        healthy.check();
        drop(stay);
    });
}

/// More connections than allowed: turned away at the door, and nobody inside notices.
#[test]
fn t17_connections_over_the_limit_are_closed() {
    beside_a_healthy_client(&["limits.max_connections=10"], |broker, healthy| {
        let inside: Vec<Raw> =
            (0..9).map(|number| Raw::connect(broker, Version::V5, &format!("inside-{number}"))).collect();
        for _ in 0..100 {
            let mut raw = Raw::open(broker.address());
            let _ = raw.try_send(&wire("10 { \"MQTT\" 04 02 003C \"outside\" }"));
            assert_eq!(raw.expect_closed(), Vec::<Vec<u8>>::new());
        }
        healthy.check();
        drop(inside);
        let again = || {
            let mut raw = Raw::open(broker.address());
            let _ = raw.try_send(&wire("10 { \"MQTT\" 04 02 003C \"outside\" }"));
            matches!(raw.read(Duration::from_secs(2)), Read::Packet(_))
        };
        assert!(eventually(SOON, again), "nobody gets in although all are gone");
    });
}

/// CVE-2026-22040: one client id that connects, subscribes, publishes, unsubscribes and is taken over by itself.
#[test]
fn t19_reconnect_churn_on_one_client_id() {
    beside_a_healthy_client(&[], |broker, healthy| {
        let before = sockets(broker.pid(), broker.address().port());
        std::thread::scope(|scope| {
            for thread in 0..3_usize {
                scope.spawn(move || (0..150).for_each(|round| one_life(broker, thread * 7 + round)));
            }
            for _ in 0..50 {
                healthy.check();
            }
        });
        assert!(
            eventually(SOON, || sockets(broker.pid(), broker.address().port()) <= before),
            "connections left open, of {before} before:\n{}",
            sockets_in_words(broker.pid(), broker.address().port())
        );
        // The id is as good as new, and no subscription of an earlier life is left.
        let mut raw = Raw::connect(broker, Version::V5, "churn");
        raw.publish("churn/t", b"x", QoS::AtLeastOnce, 1);
        raw.expect_puback(1);
        raw.subscribe("churn/#", QoS::AtMostOnce);
        raw.ping();
    });
}

/// One connection of the churn; it may be taken over at any moment.
fn one_life(broker: &Broker, number: usize) {
    let will = Will {
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "churn/will",
        payload: b"gone",
        properties: Default::default(),
    };
    let version = Version::ALL[number % 3];
    let mut raw = Raw::open(broker.address());
    raw.version = version;
    let mut bytes = Vec::new();
    let connect = Connect { will: Some(will), ..Raw::hello(version, "churn") };
    millrace_codec::Packet::Connect(connect).encode(version, &mut bytes).expect("a CONNECT");
    let five = if version == Version::V5 { "{}" } else { "" };
    for text in [
        format!("82 {{ 0001 {five} \"churn/#\" 01 \"churn/t\" 00 }}"),
        format!("32 {{ \"churn/t\" 0002 {five} 'x' }}"),
        format!("A2 {{ 0003 {five} \"churn/#\" }}"),
    ] {
        bytes.extend_from_slice(&wire(&text));
    }
    if number.is_multiple_of(4) {
        bytes.extend_from_slice(&[0xe0, 0]);
    }
    let _ = raw.try_send(&bytes);
    match number % 5 {
        0 => {}
        1 => raw.reset(),
        // As far as it comes: CONNACK, SUBACK, messages, or a take-over.
        _ => {
            let _ =
                (0..3).take_while(|_| matches!(raw.read(Duration::from_secs(5)), Read::Packet(_))).count();
        }
    }
}

/// mosquitto #2830: a burst of connections takes memory that never comes back.
#[test]
fn t44_a_connect_burst_leaves_no_memory_behind() {
    const CLIENTS: usize = 2_000;
    const FILTERS: usize = 50;
    // Enough that what threads keep for themselves, some MiB of pages with a little in each, is less than half.
    const MANY_FILTERS: usize = 120;
    if !allow_descriptors(CLIENTS as u64 + 500) {
        return left_out("connect burst", "a limit of open files of 2,500");
    }
    beside_a_healthy_client(&[], |broker, healthy| {
        let (fds, memory) = (sockets(broker.pid(), broker.address().port()), anonymous_kib(broker.pid()));
        // What it needs while they are there, and right after.
        let mut storm = |filters: usize| {
            let mut clients: Vec<Raw> = (0..CLIENTS)
                .map(|number| {
                    let mut raw = Raw::open(broker.address());
                    let texts: String = (0..filters)
                        .map(|filter| format!("\"devices/{number}/command/{filter}\" 01 "))
                        .collect();
                    raw.send(&wire(&format!(
                        "10 {{ \"MQTT\" 04 02 003C \"{number}\" }} 82 {{ 0001 {texts} }}"
                    )));
                    raw
                })
                .collect();
            for raw in &mut clients {
                raw.expect(&[0x20, 2, 0, 0]);
                raw.expect(&[[0x90, 2 + filters as u8, 0, 1].as_slice(), &vec![1; filters]].concat());
            }
            healthy.check();
            let held = anonymous_kib(broker.pid());
            clients.into_iter().for_each(Raw::reset);
            assert!(
                eventually(SOON, || sockets(broker.pid(), broker.address().port()) <= fds),
                "connections left open"
            );
            healthy.check();
            (held, anonymous_kib(broker.pid()))
        };
        let (_, first) = storm(FILTERS);
        let (_, last) = [FILTERS; 3].map(&mut storm)[2];
        assert!(first.saturating_sub(memory) < 16 << 10, "{memory} KiB became {first}");
        assert!(last.saturating_sub(first) < 4 << 10, "{first} KiB became {last}");
        // What a storm leaves behind for ever is a constant: a large one tells it from a share.
        let (held, _) = storm(MANY_FILTERS);
        let grown = |now: u64| now.saturating_sub(memory);
        assert!(grown(held) > 8 << 10, "{memory} KiB became {held}: too little to tell");
        // Freed is not given back yet; most of it is soon after they have gone.
        let given_back = || grown(anonymous_kib(broker.pid())) < grown(held) / 2;
        assert!(
            eventually(SOON, given_back),
            "{memory} KiB became {held} with them and {} without",
            anonymous_kib(broker.pid())
        );
    });
}
