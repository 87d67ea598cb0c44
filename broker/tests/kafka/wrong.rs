//! Servers that are no Kafka, or none that we can talk to. Needs no Kafka: each is played by the test.
//!
//! In every case the broker says what is wrong and where, serves its clients, keeps what they send in the log, stays
//! small, and stops cleanly.

use crate::feed::status;
use crate::support::{Broker, Raw, process};
use millrace_codec::{QoS, Version};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Answers each connection in its own way; returns the address.
fn server(answer: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

/// A server that answers whatever comes with these bytes, over and over as long as they are taken.
fn says(bytes: Vec<u8>, times: usize) -> String {
    server(move |mut stream| {
        let mut request = [0; 4096];
        while stream.read(&mut request).is_ok_and(|len| len > 0) {
            for _ in 0..times {
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
        }
    })
}

/// An answer to the first request: length, correlation id, and a body.
fn frame(len: i32, body: &[u8]) -> Vec<u8> {
    [&len.to_be_bytes()[..], &0i32.to_be_bytes(), body].concat()
}

#[test]
fn wrong_servers() {
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("an address").to_string()
    };
    let cases: Vec<(&str, String)> = vec![
        ("does not resolve", "no-such-host.invalid:9092".to_owned()),
        ("refuses", refused),
        ("closes at once", server(drop)),
        (
            "never answers",
            server(|mut stream| {
                let _ = stream.read_to_end(&mut Vec::new());
            }),
        ),
        ("speaks rubbish", says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), 1)),
        // What a TLS server says to bytes that are no TLS: a fatal alert, unexpected message.
        ("speaks TLS", says(vec![0x15, 0x03, 0x03, 0, 2, 2, 10], 1)),
        ("sends a length of 2 GiB", says(frame(i32::MAX, &[0; 4096]), 1)),
        ("sends gigabytes", says(frame(1 << 30, &[0; 65_536]), 16_384)),
        ("sends a negative length", says(frame(-1, &[0; 16]), 1)),
        ("sends huge counts", says(frame(14, &[0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]), 1)),
        (
            "sends half an answer",
            server(|mut stream| {
                let _ = stream.write_all(&frame(100, &[0; 20]));
                let _ = stream.read_to_end(&mut Vec::new());
            }),
        ),
    ];
    std::thread::scope(|scope| {
        for (name, address) in &cases {
            scope.spawn(move || wrong(name, address));
        }
    });
}

fn wrong(name: &str, address: &str) {
    let servers = format!("kafka.servers={address}");
    let mut broker = Broker::start(&[&servers, "kafka.connect_timeout=1s", "kafka.request_timeout=1s"]);
    let mut device = Raw::connect(&broker, Version::V311, "device");
    for packet_id in 1..=50 {
        device.publish("devices/device/state", name.as_bytes(), QoS::AtLeastOnce, packet_id);
        device.expect(&[0x40, 2, 0, packet_id as u8]);
    }
    let line = broker.wait_for_log(address);
    assert!(line.contains("WARN") || line.contains("kafka: "), "{name}: {line}");
    let says_so = || broker.log().iter().any(|line| line.contains("WARN") && line.contains(address));
    assert!(process::eventually(Duration::from_secs(20), says_so), "{name}: {:#?}", broker.log());
    let before = process::resident_kib(broker.pid());
    std::thread::sleep(Duration::from_secs(2));
    let mut other = Raw::connect(&broker, Version::V5, "other");
    other.ping();
    let after = process::resident_kib(broker.pid());
    assert!(after < before + 20_000 && after < 150_000, "{name}: {before} KiB, then {after} KiB");
    // Said, but not again and again.
    let lines = broker.log().iter().filter(|line| line.contains("WARN")).count();
    assert!(lines < 20, "{name}: {:#?}", broker.log());
    let status = status(&broker);
    assert_ne!(status["kafka"]["state"], "connected", "{name}");
    let waiting: u64 =
        status["hooks"].as_array().expect("hooks").iter().filter_map(|h| h["waiting"].as_u64()).sum();
    assert_eq!(waiting, 50, "{name}: {status:#}");
    let exit = broker.terminate();
    assert_eq!(exit.code, Some(0), "{name}: {:#?}", exit.log);
}
