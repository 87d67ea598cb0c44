//! Peers that are not Kafka, or stop being it: each ends in a failure that names address and cause.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::fake::{answer, drain, fake, handshake, handshake_with, producer_id, request};
use super::{client, run};
use crate::log::control::ProducerId;
use crate::sender::request::{Answer, Failure, Request};

const LIMIT: Duration = Duration::from_millis(400);

/// What a failure says about sending.
#[derive(Debug, PartialEq)]
enum Kind {
    NotSent,
    Unknown,
    Unsupported,
}

fn parts(failure: Failure) -> (Kind, String) {
    match failure {
        Failure::NotSent(text) => (Kind::NotSent, text),
        Failure::Unknown(text) => (Kind::Unknown, text),
        Failure::Unsupported(text) => (Kind::Unsupported, text),
    }
}

/// Asks this server for a producer id, which has to fail.
fn failure(server: &str, asked: Request) -> (Kind, String) {
    let outcome = run(async { client(&[server], LIMIT).carry_out(asked).await });
    parts(outcome.expect_err("it fails"))
}

fn send(socket: &mut TcpStream, bytes: &[u8]) {
    let _ = socket.write_all(bytes);
    drain(socket);
}

type Serve = fn(TcpStream);

#[test]
fn peers_that_are_not_kafka() {
    const ALIEN: &str = "answers, but not as Kafka does (is it TLS or another service?)";
    let cases: &[(&str, Serve, &str)] = &[
        (
            "never answers",
            |mut s| {
                drain(&mut s);
            },
            "takes the connection, but has not answered in 400ms",
        ),
        ("closes at once", drop, "before it answered (is it Kafka, and without TLS?)"),
        (
            "closes after the request",
            |mut s| {
                request(&mut s);
            },
            "before it answered",
        ),
        ("HTTP", |mut s| send(&mut s, b"HTTP/1.1 400 Bad Request\r\n\r\n"), ALIEN),
        ("a TLS alert", |mut s| send(&mut s, &[0x15, 3, 3, 0, 2, 2, 0x46]), ALIEN),
        ("a length of 2 GiB", |mut s| send(&mut s, &[0x7f, 0xff, 0xff, 0xff, 0]), ALIEN),
        ("a negative length", |mut s| send(&mut s, &[0xff; 8]), ALIEN),
        ("a length of nothing", |mut s| send(&mut s, &[0; 8]), ALIEN),
        ("half a prefix", |mut s| send(&mut s, &[0, 0]), "has not answered in 400ms"),
        (
            "versions that make no sense",
            |mut s| {
                while let Some(asked) = request(&mut s) {
                    answer(&mut s, asked.correlation, &[0xff; 3]);
                }
            },
            ALIEN,
        ),
    ];
    for (name, serve, expected) in cases {
        let serve = *serve;
        let peer = fake(move |socket, _| serve(socket));
        let (kind, text) = failure(&peer.address(), Request::InitProducerId);
        assert_eq!(kind, Kind::NotSent, "{name}: {text}");
        assert!(
            text.starts_with(&format!("{} ", peer.address())) && text.contains(expected),
            "{name}: {text}"
        );
    }
}

#[test]
fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
    let (kind, text) = failure(&format!("127.0.0.1:{port}"), Request::InitProducerId);
    assert_eq!((kind, text), (Kind::NotSent, format!("127.0.0.1:{port} refuses the connection")));

    let (kind, text) = failure("no-such-host.invalid:9092", Request::InitProducerId);
    assert_eq!(kind, Kind::NotSent);
    assert!(text.starts_with("no-such-host.invalid:9092 has a name that "), "{text}");
}

#[test]
fn a_broker_that_the_cluster_does_not_name() {
    let peer = fake(|_, _| {});
    let asked = Request::EndOffset {
        node: 7,
        of: crate::sender::request::TopicPartition { topic: "t".into(), partition: 0 },
    };
    let (kind, text) = failure(&peer.address(), asked);
    assert_eq!(kind, Kind::NotSent);
    assert!(text.contains("broker 7 is not among"), "{text}");
    assert_eq!(peer.taken(), 0);
}

#[test]
fn peers_that_stop_being_kafka() {
    let cases: &[(&str, Serve, &str)] = &[
        (
            "silence",
            |mut s| {
                drain(&mut s);
            },
            "has not answered in 400ms",
        ),
        (
            "closes",
            |mut s| {
                request(&mut s);
            },
            "has closed the connection",
        ),
        (
            "half an answer",
            |mut s| {
                request(&mut s);
                send(&mut s, &[0, 0, 0, 20, 0, 0]);
            },
            "has not answered in 400ms",
        ),
        (
            "a later length of 2 GiB",
            |mut s| {
                request(&mut s);
                send(&mut s, &[0x7f, 0xff, 0xff, 0xff]);
            },
            "not as Kafka does",
        ),
        (
            "too short",
            |mut s| {
                while let Some(asked) = request(&mut s) {
                    answer(&mut s, asked.correlation, &[0; 15]);
                }
            },
            "it ends too early",
        ),
        (
            "too long",
            |mut s| {
                while let Some(asked) = request(&mut s) {
                    answer(&mut s, asked.correlation, &[0; 17]);
                }
            },
            "cannot be read",
        ),
        (
            "of another request",
            |mut s| {
                while let Some(asked) = request(&mut s) {
                    answer(&mut s, asked.correlation + 1000, &producer_id(1));
                }
            },
            "has not answered in 400ms",
        ),
    ];
    for (name, serve, expected) in cases {
        let serve = *serve;
        let peer = fake(move |mut socket, _| {
            if handshake(&mut socket) {
                serve(socket);
            }
        });
        let (kind, text) = failure(&peer.address(), Request::InitProducerId);
        assert_eq!(kind, Kind::Unknown, "{name}: {text}");
        assert!(
            text.starts_with(&format!("{} ", peer.address())) && text.contains(expected),
            "{name}: {text}"
        );
    }
}

/// A count of two thousand million brokers is not believed.
#[test]
fn huge_counts() {
    let peer = fake(|mut socket, _| {
        handshake(&mut socket);
        while let Some(asked) = request(&mut socket) {
            let mut body = vec![0; 4];
            body.extend(i32::MAX.to_be_bytes());
            answer(&mut socket, asked.correlation, &body);
        }
    });
    let (kind, text) = failure(&peer.address(), Request::Metadata { topics: vec!["t".into()] });
    assert_eq!(kind, Kind::Unknown);
    assert!(text.contains("it ends too early"), "{text}");
}

#[test]
fn a_request_that_the_peer_does_not_speak() {
    let peer = fake(|mut socket, _| {
        handshake_with(&mut socket, &[(18, 0, 3), (22, 7, 9)]);
        drain(&mut socket);
    });
    for asked in [Request::InitProducerId, Request::Metadata { topics: Vec::new() }] {
        let (kind, text) = failure(&peer.address(), asked);
        assert_eq!(kind, Kind::Unsupported, "{text}");
        assert!(text.contains("speaks no version of "), "{text}");
    }
}

/// The peer sees a reset, and nothing after the request that it did not answer.
#[test]
fn a_time_out_kills_the_connection() {
    let (seen, see) = mpsc::channel();
    let peer = fake(move |mut socket, number| {
        handshake(&mut socket);
        let asked = request(&mut socket).expect("a request");
        if number == 0 {
            seen.send(drain(&mut socket)).expect("the test listens");
        } else {
            answer(&mut socket, asked.correlation, &producer_id(5));
            drain(&mut socket);
        }
    });
    run(async {
        let client = client(&[&peer.address()], LIMIT);
        let late = client.carry_out(Request::InitProducerId).await.expect_err("no answer");
        assert_eq!(parts(late).0, Kind::Unknown);
        let fresh = client.carry_out(Request::InitProducerId).await;
        assert_eq!(fresh, Ok(Answer::InitProducerId { error: 0, producer: ProducerId { id: 5, epoch: 0 } }));
    });
    let (bytes, reset) = see.recv_timeout(Duration::from_secs(5)).expect("the first connection ended");
    assert_eq!((bytes, reset), (0, true));
}

/// What waits unsent in the kernel is thrown away: the peer that did not read gets a reset.
#[test]
fn unsent_bytes_do_not_arrive_later() {
    let (seen, see) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let peer = fake(move |mut socket, _| {
        handshake(&mut socket);
        wait.lock().expect("one connection").recv().expect("the word to read");
        seen.send(drain(&mut socket)).expect("the test listens");
    });
    run(async {
        // Names of topics make a request of 16 MiB, far above what the kernels hold.
        let name = "t".repeat(16 << 10);
        let topics = (0..1024).map(|index| format!("{name}{index}").into()).collect();
        let client = client(&[&peer.address()], LIMIT);
        let late = client.carry_out(Request::Metadata { topics }).await.expect_err("nobody reads");
        assert_eq!(parts(late).0, Kind::Unknown);
    });
    go.send(()).expect("the peer waits");
    let (bytes, reset) = see.recv_timeout(Duration::from_secs(5)).expect("the connection ended");
    assert!(reset && bytes < 16 << 20, "{bytes} bytes, reset: {reset}");
}

/// Kafka closes what is idle for ten minutes; that is no failure of the next request.
#[test]
fn an_idle_close_is_no_failure() {
    let peer = fake(|mut socket, number| {
        handshake(&mut socket);
        let asked = request(&mut socket).expect("a request");
        answer(&mut socket, asked.correlation, &producer_id(number as i64));
    });
    run(async {
        let client = client(&[&peer.address()], LIMIT);
        for id in 0..5 {
            let producer = ProducerId { id, epoch: 0 };
            let answer = client.carry_out(Request::InitProducerId).await;
            assert_eq!(answer, Ok(Answer::InitProducerId { error: 0, producer }));
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    });
    assert_eq!(peer.taken(), 5);
}

/// Many who want an address that does not answer wait for one attempt, not for one each.
#[test]
fn one_attempt_for_all_who_wait() {
    let peer = fake(|mut socket, _| {
        drain(&mut socket);
    });
    let begun = Instant::now();
    run(async {
        let client = std::sync::Arc::new(client(&[&peer.address()], LIMIT));
        let asks: Vec<_> = (0..20)
            .map(|_| {
                let client = std::sync::Arc::clone(&client);
                tokio::spawn(async move { client.carry_out(Request::InitProducerId).await })
            })
            .collect();
        for ask in asks {
            let (kind, text) = parts(ask.await.expect("no panic").expect_err("no answer"));
            assert!(kind == Kind::NotSent && text.contains("has not answered"), "{text}");
        }
    });
    assert_eq!(peer.taken(), 1);
    assert!(begun.elapsed() < 3 * LIMIT, "{:?}", begun.elapsed());
}

/// Any broker will do: those that cannot be reached are passed over, and not begun with again.
#[test]
fn the_next_broker_is_asked() {
    let peer = fake(|mut socket, _| {
        handshake(&mut socket);
        while let Some(asked) = request(&mut socket) {
            answer(&mut socket, asked.correlation, &producer_id(1));
        }
    });
    let silent = fake(|mut socket, _| {
        drain(&mut socket);
    });
    run(async {
        let client = client(&[&silent.address(), &format!("localhost:{}", peer.port)], LIMIT);
        for _ in 0..3 {
            client.carry_out(Request::InitProducerId).await.expect("the second answers");
        }
    });
    sleep(Duration::from_millis(20));
    assert_eq!((silent.taken(), peer.taken()), (1, 1));
}
