//! Those who take more than their share: t18, t41.

use crate::beside_a_healthy_client;
use crate::support::process::{cpu_ticks, eventually, resident_kib, sockets};
use crate::support::{Raw, Read};
use millrace_codec::vectors::wire;
use millrace_codec::{Connect, QoS, Version};
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// CVE-2024-48077: one who sends without end starves the others.
#[test]
fn t18_a_flood_does_not_starve_others() {
    beside_a_healthy_client(&[], |broker, healthy| {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for core in 0..4 {
                let (stop, id) = (&stop, broker.client_id_on(core, &format!("flood-{core}")));
                scope.spawn(move || {
                    let mut raw = Raw::connect(broker, Version::V311, &id);
                    // Small messages to nobody, and into a hook, whose ring then is full now and then.
                    let mut chunk = wire("30 { \"flood\" 'x' }").repeat(500);
                    chunk.extend(wire("30 { \"devices/flood/state\" 78*100 }").repeat(100));
                    while !stop.load(Ordering::Relaxed) {
                        raw.send(&chunk);
                    }
                });
            }
            // Each check has its deadline of 5 s.
            for _ in 0..40 {
                healthy.check();
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}

/// One who subscribes to a flood and does not read: the broker's memory for him is limited, and no one else waits.
#[test]
fn t18_a_subscriber_who_does_not_read_stops_nobody() {
    let settings =
        ["limits.max_output_bytes=64KiB", "limits.max_queued_bytes=64KiB", "limits.write_timeout=1s"];
    beside_a_healthy_client(&settings, |broker, healthy| {
        let fds = sockets(broker.pid(), broker.address().port());
        let mut deaf: Vec<Raw> = (0..4)
            .map(|core| {
                let mut raw =
                    Raw::connect(broker, Version::V5, &broker.client_id_on(core, &format!("deaf-{core}")));
                raw.subscribe("loud", QoS::AtLeastOnce);
                raw
            })
            .collect();
        let mut loud = Raw::connect(broker, Version::V5, "loud");
        let payload = vec![b'x'; 64 << 10];
        for number in 0..600 {
            loud.publish("loud", &payload, QoS::AtLeastOnce, number + 1);
            assert_eq!(loud.packet()[0], 0x40);
            if number % 50 == 0 {
                healthy.check();
            }
        }
        // Those who took nothing for write_timeout are closed.
        assert!(
            eventually(Duration::from_secs(15), || sockets(broker.pid(), broker.address().port()) <= fds + 1),
            "still open"
        );
        healthy.check();
        deaf.clear();
    });
}

/// One who asks without end and reads no answer: the answers that wait are limited, and all come once he reads.
#[test]
fn t18_answers_that_nobody_reads_are_limited() {
    const BYTES: usize = 48 << 20;
    beside_a_healthy_client(&["limits.max_output_bytes=64KiB"], |broker, healthy| {
        let raw = Raw::connect(broker, Version::V311, "deaf");
        let before = resident_kib(broker.pid());
        let chunk = [0xc0, 0].repeat(32 << 10);
        raw.stream().set_write_timeout(Some(Duration::from_secs(1))).expect("a socket option");
        let mut sent = 0;
        while sent < BYTES {
            match raw.stream().write(&chunk[sent % 2..]) {
                Ok(len) => sent += len,
                // Not read any more.
                Err(_) => break,
            }
        }
        healthy.check();
        let grown = resident_kib(broker.pid()).saturating_sub(before);
        assert!(grown < 16 << 10, "{grown} KiB more after {sent} bytes");
        let mut answers = 0;
        let mut buffer = vec![0; 64 << 10];
        raw.stream().set_read_timeout(Some(Duration::from_secs(5))).expect("a socket option");
        while answers < sent / 2 * 2 {
            answers += raw.stream().read(&mut buffer).expect("as many answers as questions");
        }
    });
}

/// One who waits for his own PUBREL and releases without end what he has not sent.
#[test]
fn t18_releases_of_nothing_take_no_memory() {
    const RELEASES: usize = 4 << 20;
    beside_a_healthy_client(&["limits.receive_maximum=1"], |broker, healthy| {
        let mut raw = Raw::connect(broker, Version::V311, "releasing");
        raw.publish("t", b"x", QoS::ExactlyOnce, 1);
        raw.publish("t", b"x", QoS::ExactlyOnce, 2);
        raw.expect(&[0x50, 2, 0, 1]);
        let before = resident_kib(broker.pid());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let chunk = [0x62, 2, 0xff, 0xff].repeat(16 << 10);
                for _ in 0..RELEASES / (16 << 10) {
                    raw.stream().write_all(&chunk).expect("the broker takes what we send");
                }
            });
            let mut buffer = vec![0; 64 << 10];
            let mut answers = 0;
            raw.stream().set_read_timeout(Some(Duration::from_secs(5))).expect("a socket option");
            while answers < RELEASES * 4 {
                answers += raw.stream().read(&mut buffer).expect("as many answers as releases");
            }
        });
        healthy.check();
        let grown = resident_kib(broker.pid()).saturating_sub(before);
        assert!(grown < 8 << 10, "{grown} KiB more");
        raw.send(&[0x62, 2, 0, 1]);
        raw.expect(&[0x70, 2, 0, 1]);
        raw.expect(&[0x50, 2, 0, 2]);
    });
}

/// CVE-2023-5632: a busy loop on a socket that is closed on one side.
#[test]
fn t41_half_closed_sockets_cost_nothing() {
    beside_a_healthy_client(&["limits.receive_maximum=2"], |broker, healthy| {
        let fds = sockets(broker.pid(), broker.address().port());
        let mut kept = Vec::new();
        for finish in [true, false] {
            for round in 0..5 {
                let id = |state: &str| format!("{finish}-{state}-{round}");
                // Before CONNECT, in the middle of it, refused, connected, in the middle of a packet, saying goodbye.
                let silent = Raw::open(broker.address());
                let mut partial = Raw::open(broker.address());
                partial.send(&[0x10, 0x20, 0, 4]);
                let mut refused = Raw::open(broker.address());
                refused.send(&wire("10 { \"MQTT\" 04 00 003C \"\" }"));
                let open = Raw::connect(broker, Version::V5, &id("open"));
                let mut cut = Raw::connect(broker, Version::V5, &id("cut"));
                cut.send(&[0x30, 0x20, 0, 4]);
                let mut goodbye = Raw::connect(broker, Version::V5, &id("goodbye"));
                goodbye.send(&[0xe0, 0]);
                // Closed by the broker, with bytes behind that nobody will read.
                let mut illegal = Raw::connect(broker, Version::V5, &id("illegal"));
                illegal.send(&[0xd0, 0, 0xc0, 0, 0xc0, 0]);
                // Over its receive maximum, so that it is not read further.
                let mut held = Raw::connect(broker, Version::V311, &id("held"));
                for packet_id in 1..=3 {
                    held.publish("t", b"x", QoS::ExactlyOnce, packet_id);
                }
                let all = [silent, partial, refused, open, cut, goodbye, illegal, held];
                if finish {
                    all.iter().for_each(Raw::finish);
                }
                kept.extend(all);
            }
        }
        healthy.check();
        // Whatever had to be done is done; a second of idleness must cost next to none.
        let mut idle = u64::MAX;
        let quiet = eventually(Duration::from_secs(10), || {
            let before = cpu_ticks(broker.pid());
            std::thread::sleep(Duration::from_secs(1));
            idle = cpu_ticks(broker.pid()) - before;
            idle < 30
        });
        assert!(quiet, "{idle} ticks of processor time in a second of idleness");
        kept.into_iter().for_each(Raw::reset);
        assert!(
            eventually(Duration::from_secs(15), || sockets(broker.pid(), broker.address().port()) <= fds),
            "connections left open"
        );
    });
}

/// A client that is held and goes away is noticed, with FIN as with RST, and its place is free again.
#[test]
fn t41_a_held_client_that_goes_is_forgotten() {
    beside_a_healthy_client(&["limits.receive_maximum=2"], |broker, _| {
        let fds = sockets(broker.pid(), broker.address().port());
        for reset in [false, true] {
            let clients: Vec<Raw> = (0..20)
                .map(|number| {
                    let id = format!("held-{number}");
                    let mut raw = Raw::connect(broker, Version::V311, &id);
                    for packet_id in 1..=3 {
                        raw.publish("t", b"x", QoS::ExactlyOnce, packet_id);
                    }
                    raw.expect(&[0x50, 2, 0, 1]);
                    raw.expect(&[0x50, 2, 0, 2]);
                    raw.ping();
                    raw
                })
                .collect();
            let mut kept = Vec::new();
            for client in clients {
                if reset {
                    client.reset();
                } else {
                    client.finish();
                    kept.push(client);
                }
            }
            let gone =
                eventually(Duration::from_secs(10), || sockets(broker.pid(), broker.address().port()) <= fds);
            assert!(gone, "descriptors left open (reset: {reset})");
        }
    });
}

/// A client that is held and falls silent meets its keep-alive like any other: it is the one who has to speak.
#[test]
fn t41_a_held_client_that_falls_silent_is_closed() {
    beside_a_healthy_client(&["limits.receive_maximum=1"], |broker, _| {
        let mut raw =
            Raw::connect_as(broker, &Connect { keep_alive: 1, ..Raw::hello(Version::V311, "silent") });
        raw.publish("t", b"x", QoS::ExactlyOnce, 1);
        raw.publish("t", b"x", QoS::ExactlyOnce, 2);
        raw.expect(&[0x50, 2, 0, 1]);
        assert_eq!(raw.read(Duration::from_secs(10)), Read::Closed);
    });
}
