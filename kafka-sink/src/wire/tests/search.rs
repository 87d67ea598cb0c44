//! Looking for a batch in a partition whose last records are not on all replicas, which one broker
//! alone cannot show.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use super::fake::{answer, fake, handshake, request};
use super::{client, run};
use crate::log::control::ProducerId;
use crate::sender::request::{Answer, Request, TopicPartition};

const LIMIT: Duration = Duration::from_secs(5);

/// The end of an answer about partition 0 of topic `t`.
fn of_partition(before: &[u8], rest: &[&[u8]]) -> Vec<u8> {
    let mut body = before.to_vec();
    body.extend([0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0]);
    rest.iter().for_each(|bytes| body.extend(*bytes));
    body
}

/// A broker whose log ends at `appended`, and of which the records below `visible` are on all replicas.
fn serve(mut socket: TcpStream, port: u16, appended: u64, visible: u64) {
    handshake(&mut socket);
    while let Some(asked) = request(&mut socket) {
        let body = match asked.key {
            3 => {
                let mut body = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 9];
                body.extend(b"127.0.0.1");
                body.extend(i32::from(port).to_be_bytes());
                // No rack, no cluster id, controller 1, no topics.
                body.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0]);
                body
            }
            2 => {
                let end = appended.to_be_bytes();
                of_partition(&[0; 4], &[&[0; 2], &[0xff; 8], &end, &[0; 4]])
            }
            1 => {
                assert!(asked.version <= 10, "replicas that do not lead answer from version 11 on");
                let end = visible.to_be_bytes();
                of_partition(&[0; 10], &[&[0; 2], &end, &end, &[0; 8], &[0; 8]])
            }
            key => panic!("nobody asks for {key}"),
        };
        answer(&mut socket, asked.correlation, &body);
    }
}

#[test]
fn what_not_all_replicas_have_may_still_be_found() {
    for (name, appended, visible, from, expected) in [
        ("all of it can be read", 8, 8, 8, 0),
        ("the last batch is on the leader only", 9, 8, 8, 78),
        ("the leader has just started and does not know what is confirmed", 8, 3, 8, 78),
    ] {
        let port = Arc::<AtomicU16>::default();
        let own = Arc::clone(&port);
        let peer = fake(move |socket, _| serve(socket, own.load(Ordering::SeqCst), appended, visible));
        port.store(peer.port, Ordering::SeqCst);
        run(async {
            let client = client(&[&peer.address()], LIMIT);
            client.carry_out(Request::Metadata { topics: Vec::new() }).await.expect("a broker");
            let of = TopicPartition { topic: "t".into(), partition: 0 };
            let producer = ProducerId { id: 1, epoch: 0 };
            let asked = Request::FindBatch { node: 1, of, from: Some(from), producer, base_sequence: 8 };
            let answer = client.carry_out(asked).await;
            assert_eq!(answer, Ok(Answer::FindBatch { error: expected, found: None }), "{name}");
        });
    }
}
