//! How the broker stops: cleanly at the first signal, at once at the second.

use crate::support::{Broker, Raw, Read};
use crate::tool::{PATIENCE, records};
use millrace_codec::{Packet, QoS, ReasonCode, Version};
use rustix::process::Signal;

/// Exit code of a shell's child that SIGTERM ended.
const TERMINATED: i32 = 128 + 15;

#[test]
fn clean_at_the_first_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut broker = Broker::start(&[]);
        let mut old = Raw::connect(&broker, Version::V311, "old");
        let mut new = Raw::connect(&broker, Version::V5, "new");
        // Taken in before the stop, not waited for: the record must be there all the same.
        for packet_id in 1..=100 {
            old.publish("devices/old/state", b"last words", QoS::AtLeastOnce, packet_id);
        }
        old.expect(&[0x40, 2, 0, 1]);
        broker.signal(signal);
        new.expect_packet(|packet| match packet {
            Packet::Disconnect(disconnect) => assert_eq!(disconnect.reason, ReasonCode::ServerShuttingDown),
            other => panic!("not a DISCONNECT: {other:?}"),
        });
        new.expect_closed();
        // What the broker answers and what it records before it closes may differ in the last of them, one way only.
        let mut acknowledged = 1;
        loop {
            match old.read(PATIENCE) {
                Read::Packet(packet) => {
                    acknowledged += 1;
                    assert_eq!(packet, [0x40, 2, 0, acknowledged as u8]);
                }
                Read::Closed => break,
                Read::Silence => panic!("not closed"),
            }
        }
        let exit = broker.wait();
        assert_eq!(exit.code, Some(0), "{:?}", exit.log);
        assert!(exit.log.iter().any(|line| line.ends_with("stopped")), "{:?}", exit.log);
        records(&broker, "message_state", acknowledged);
        broker.restart();
        let torn = broker.log().into_iter().find(|line| line.contains("WARN"));
        assert_eq!(torn, None);
    }
}

/// A second signal does not wait for clients that do not close. The clean stop may win the race against it; then once
/// more.
#[test]
fn at_once_at_the_second_signal() {
    for attempt in 1..=10 {
        let mut broker = Broker::start(&[]);
        let _open: Vec<Raw> =
            (0..8).map(|number| Raw::connect(&broker, Version::V5, &number.to_string())).collect();
        broker.signal(Signal::TERM);
        broker.wait_for_log("stopping; a second signal stops at once");
        broker.signal(Signal::TERM);
        let exit = broker.wait();
        match exit.code {
            Some(TERMINATED) => {
                assert!(!exit.log.iter().any(|line| line.ends_with("stopped")), "{:?}", exit.log);
                return;
            }
            Some(0) if attempt < 10 => {}
            other => panic!("{other:?}: {:?}", exit.log),
        }
    }
}
