//! What a Kafka that is broken, or an outage, may not do to us: threads, sockets and time are bounded.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::super::address::{Address, Search};
use super::super::bodies::produce;
use super::super::bodies::producers::InitProducerId;
use super::super::connection::{Connection, Times, Way};
use super::fake::{Asked, answer, drain, fake, handshake, producer_id, request};
use super::kafka::records;
use super::{client, run};
use crate::log::control::ProducerId;
use crate::sender::request::{Failure, Part, Request, TopicPartition};
use crate::target::Compression;

const LIMIT: Duration = Duration::from_millis(400);
const METADATA: i16 = 3;

/// Answers Metadata, version 4: one broker with this port, and no topics.
fn answer_metadata(socket: &mut TcpStream, asked: &Asked, port: u16) {
    let mut body = vec![0; 4];
    body.extend(1i32.to_be_bytes());
    body.extend(1i32.to_be_bytes());
    body.extend(9i16.to_be_bytes());
    body.extend(b"127.0.0.1");
    body.extend(i32::from(port).to_be_bytes());
    body.extend((-1i16).to_be_bytes());
    body.extend([0, 1, b'c']);
    body.extend(1i32.to_be_bytes());
    body.extend(0i32.to_be_bytes());
    answer(socket, asked.correlation, &body);
}

fn part(partition: i32) -> Part {
    Part {
        of: TopicPartition { topic: "t".into(), partition },
        producer: ProducerId { id: 1, epoch: 0 },
        base_sequence: 0,
        records: records(1, b"p"),
        stamp_ms: None,
    }
}

/// After an outage every partition has failed and goes alone; that is not a socket for each.
#[test]
fn a_thousand_partitions_that_failed_share_a_few_connections() {
    let peer = fake(|mut socket, number| {
        let port = socket.local_addr().expect("its address").port();
        handshake(&mut socket);
        if number == 0 {
            let asked = request(&mut socket).expect("a request");
            assert_eq!(asked.key, METADATA);
            answer_metadata(&mut socket, &asked, port);
        }
        drain(&mut socket);
    });
    run(async {
        let client = Arc::new(client(&[&peer.address()], LIMIT));
        client.carry_out(Request::Metadata { topics: Vec::new() }).await.expect("one broker");
        let send = |partition| {
            let client = Arc::clone(&client);
            let request = Request::Produce { node: 1, parts: vec![part(partition)], alone: true };
            tokio::spawn(async move { client.carry_out(request).await })
        };
        let sent: Vec<_> = (0..1000).map(send).collect();
        for outcome in sent {
            let outcome = outcome.await.expect("no panic");
            assert!(matches!(outcome, Err(Failure::Unknown(_))), "{outcome:?}");
        }
    });
    assert_eq!(peer.taken(), 1 + 8);
}

/// A search for a name that takes minutes keeps one thread, however often it is tried again.
#[test]
fn a_name_is_searched_once_at_a_time() {
    let searches = Arc::<AtomicUsize>::default();
    let (go, wait) = mpsc::channel::<()>();
    let mut wait = Some(wait);
    run(async {
        let mut search = Search::default();
        let mut resolve = || {
            let (searches, wait) = (Arc::clone(&searches), wait.take());
            move || {
                searches.fetch_add(1, Ordering::SeqCst);
                if let Some(wait) = wait {
                    wait.recv().expect("the word to answer");
                }
                Ok(vec![([127, 0, 0, 1], 9092).into()])
            }
        };
        for _ in 0..3 {
            let deadline = tokio::time::Instant::now() + Duration::from_millis(20);
            assert!(search.run(deadline, resolve()).await.is_none());
        }
        assert_eq!(searches.load(Ordering::SeqCst), 1);
        go.send(()).expect("it waits");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        let found = search.run(deadline, resolve()).await.expect("in time").expect("an address");
        assert_eq!((found.len(), searches.load(Ordering::SeqCst)), (1, 1));
        // What was found is not kept: addresses change.
        search.run(deadline, resolve()).await.expect("in time").expect("an address");
        assert_eq!(searches.load(Ordering::SeqCst), 2);
        let failed = search.run(deadline, || Err(io::ErrorKind::NotFound.into())).await.expect("in time");
        assert!(failed.is_err());
    });
}

/// An answer that makes no sense ends the connection at once, also while others wait on it for the
/// end of a throttle; they have not been sent.
#[test]
fn distrust_does_not_wait_for_a_throttle() {
    let peer = fake(|mut socket, _| {
        handshake(&mut socket);
        while let Some(asked) = request(&mut socket) {
            answer(&mut socket, asked.correlation, &producer_id(1));
        }
    });
    run(async {
        let times = Times { connect: LIMIT, request: LIMIT };
        let address: Address = peer.address().parse().expect("an address");
        let way = Way {
            address,
            client_id: "test".into(),
            times,
            message_bytes_max: 1 << 20,
            gate: Arc::default(),
        };
        let connection = Arc::new(Connection::new(way));
        connection.ask(InitProducerId).await.expect("an answer");
        connection.mute(1000);
        let waits = {
            let connection = Arc::clone(&connection);
            tokio::spawn(async move { connection.ask(InitProducerId).await })
        };
        tokio::time::sleep(Duration::from_millis(50)).await;
        let begun = Instant::now();
        let failure = connection.distrust("answers nonsense");
        assert!(matches!(failure, Failure::Unknown(_)), "{failure:?}");
        let elapsed = begun.elapsed();
        assert!(elapsed < Duration::from_millis(50), "{elapsed:?}");
        let outcome = waits.await.expect("no panic");
        assert!(matches!(outcome, Err(Failure::NotSent(_))), "{outcome:?}");
    });
}

/// What encoding costs on the thread that serves all connections; beyond a millisecond it must not
/// be done there. Prints, and fails only where it is out of all proportion.
#[test]
fn encoding_of_large_batches() {
    for compression in Compression::ALL.into_iter().filter(|compression| compression.is_built()) {
        let parts = [Part { records: records(1500, &[b'p'; 200]), ..part(0) }];
        let mut times: Vec<Duration> = (0..9)
            .map(|_| {
                let begun = Instant::now();
                let encoded = produce::encode(&parts, compression).expect("readable records");
                assert_eq!(encoded.len(), 1);
                begun.elapsed()
            })
            .collect();
        times.sort();
        println!("{compression}: 1500 records of 200 bytes in {:?}", times[4]);
    }
}
