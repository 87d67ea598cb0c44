//! Order and time on one connection.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::super::address::Address;
use super::super::bodies::producers::InitProducerId;
use super::super::connection::{Connection, Times, Way};
use super::fake::{Fake, answer, drain, fake, handshake, producer_id, request};
use super::run;
use crate::sender::request::Failure;

const LIMIT: Duration = Duration::from_millis(400);

fn connection(peer: &Fake) -> Arc<Connection> {
    let times = Times { connect: LIMIT, request: LIMIT };
    let address: Address = peer.address().parse().expect("an address");
    let client_id = "test".into();
    let way = Way { address, client_id, times, message_bytes_max: 1 << 20, gate: Arc::default() };
    Arc::new(Connection::new(way))
}

async fn ask(connection: &Arc<Connection>) -> Result<i64, Failure> {
    connection.ask(InitProducerId).await.map(|(_, producer)| producer.id)
}

/// Reads requests as they stand in the stream, however many come at once.
fn requests(socket: &mut TcpStream, count: usize) -> Vec<i32> {
    use std::io::Read;
    let mut correlations = Vec::new();
    for _ in 0..count {
        let mut prefix = [0; 4];
        socket.read_exact(&mut prefix).expect("a prefix");
        let mut message = vec![0; i32::from_be_bytes(prefix) as usize];
        socket.read_exact(&mut message).expect("a message");
        correlations.push(i32::from_be_bytes(message[4..8].try_into().expect("four bytes")));
    }
    correlations
}

#[test]
fn requests_leave_in_order_and_answers_find_them_in_any() {
    let (seen, see) = mpsc::channel();
    let peer = fake(move |mut socket, _| {
        handshake(&mut socket);
        let correlations = requests(&mut socket, 8);
        for correlation in correlations.iter().rev() {
            answer(&mut socket, *correlation, &producer_id(i64::from(*correlation)));
        }
        seen.send(correlations).expect("the test listens");
        drain(&mut socket);
    });
    run(async {
        let connection = connection(&peer);
        let asks: Vec<_> = (0..8)
            .map(|_| {
                let connection = Arc::clone(&connection);
                tokio::spawn(async move { ask(&connection).await })
            })
            .collect();
        let mut answers = Vec::new();
        for ask in asks {
            answers.push(ask.await.expect("no panic").expect("an answer"));
        }
        let correlations = see.recv().expect("the peer's order");
        assert!(correlations.is_sorted(), "{correlations:?}");
        // The n-th that was asked is the n-th on the wire, and has its own answer.
        assert_eq!(answers, correlations.into_iter().map(i64::from).collect::<Vec<_>>());
    });
}

/// Of what waits for the connection when one comes to nothing, what has left is unknown.
#[test]
fn what_is_under_way_ends_together() {
    let peer = fake(|mut socket, _| {
        handshake(&mut socket);
        let first = requests(&mut socket, 3)[0];
        answer(&mut socket, first, &[1]);
        drain(&mut socket);
    });
    run(async {
        let connection = connection(&peer);
        let asks: Vec<_> = (0..3)
            .map(|_| {
                let connection = Arc::clone(&connection);
                tokio::spawn(async move { ask(&connection).await })
            })
            .collect();
        for ask in asks {
            match ask.await.expect("no panic") {
                Err(Failure::Unknown(text)) => assert!(text.contains("cannot be read"), "{text}"),
                other => panic!("{other:?}"),
            }
        }
        assert!(connection.is_closed());
    });
}

/// The prefix is held back until the message is there.
#[test]
fn a_request_leaves_in_one_piece() {
    let peer = fake(|mut socket, _| {
        handshake(&mut socket);
        while let Some(asked) = request(&mut socket) {
            let whole = i64::from(asked.first_read == asked.len);
            answer(&mut socket, asked.correlation, &producer_id(whole));
        }
    });
    run(async {
        let connection = connection(&peer);
        for _ in 0..20 {
            assert_eq!(ask(&connection).await, Ok(1));
        }
    });
}

#[test]
fn a_throttle_pauses_and_prolongs() {
    let peer = fake(|mut socket, _| {
        handshake(&mut socket);
        let first = requests(&mut socket, 1)[0];
        // Later than the limit allows without a throttle.
        sleep(LIMIT + LIMIT / 2);
        answer(&mut socket, first, &producer_id(1));
        let second = requests(&mut socket, 1)[0];
        answer(&mut socket, second, &producer_id(2));
        drain(&mut socket);
    });
    run(async {
        let connection = connection(&peer);
        let under_way = {
            let connection = Arc::clone(&connection);
            tokio::spawn(async move { ask(&connection).await })
        };
        tokio::time::sleep(LIMIT / 4).await;
        assert_eq!(connection.mute(-1), Duration::ZERO);
        assert_eq!(connection.mute(i32::MAX), Duration::from_secs(60));
        // What was asked before is waited for beyond its own time.
        assert_eq!(under_way.await.expect("no panic"), Ok(1));
    });
    let peer = fake(|mut socket, _| {
        handshake(&mut socket);
        while let Some(asked) = request(&mut socket) {
            answer(&mut socket, asked.correlation, &producer_id(3));
        }
    });
    run(async {
        let connection = connection(&peer);
        assert_eq!(ask(&connection).await, Ok(3));
        let begun = Instant::now();
        assert_eq!(connection.mute(150), Duration::from_millis(150));
        assert_eq!(ask(&connection).await, Ok(3));
        assert!(begun.elapsed() >= Duration::from_millis(150), "{:?}", begun.elapsed());
        assert_eq!(peer.taken(), 1);
    });
}
