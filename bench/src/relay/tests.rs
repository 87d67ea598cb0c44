//! A relay in a thread, and raw packets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::core::home;
use super::{Relay, wire};

fn start(cores: usize) -> SocketAddr {
    let relay = Relay::bind("127.0.0.1:0".parse().expect("an address"), cores).expect("a free port");
    let address = relay.address;
    // It has no end; the test's process takes it along.
    thread::spawn(move || relay.run());
    address
}

struct Client {
    stream: TcpStream,
    is_v5: bool,
    unread: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr, is_v5: bool, id: &str) -> Client {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let mut client = Client { stream, is_v5, unread: Vec::new() };
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', if is_v5 { 5 } else { 4 }, 2, 0, 60];
        // A session expiry, to be passed over.
        body.extend_from_slice(if is_v5 { &[5, 17, 0, 0, 0, 9] } else { &[] });
        body.extend_from_slice(&[0, id.len() as u8]);
        body.extend_from_slice(id.as_bytes());
        client.send(0x10, &body);
        let connack: &[u8] = if is_v5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] };
        assert_eq!(client.packet(), connack);
        client
    }

    fn send(&mut self, first: u8, body: &[u8]) {
        let mut packet = vec![first];
        wire::put_varint(&mut packet, body.len());
        packet.extend_from_slice(body);
        self.stream.write_all(&packet).expect("a write");
    }

    /// The next whole packet; empty at the end of the stream.
    fn packet(&mut self) -> Vec<u8> {
        let mut buffer = [0; 4096];
        loop {
            if let Some((_, end)) = wire::frame(&self.unread).expect("a packet") {
                return self.unread.drain(..end).collect();
            }
            match self.stream.read(&mut buffer).expect("bytes in time") {
                0 => return Vec::new(),
                count => self.unread.extend_from_slice(&buffer[..count]),
            }
        }
    }

    fn subscribe(&mut self, filter: &str, qos: u8) {
        let body = [&[0, 7][..], self.no_properties(), &text(filter), &[qos]].concat();
        self.send(0x82, &body);
        let suback: &[u8] = if self.is_v5 { &[0x90, 4, 0, 7, 0, qos] } else { &[0x90, 3, 0, 7, qos] };
        assert_eq!(self.packet(), suback);
    }

    fn unsubscribe(&mut self, filter: &str) {
        let body = [&[0, 8][..], self.no_properties(), &text(filter)].concat();
        self.send(0xa2, &body);
        let unsuback: &[u8] = if self.is_v5 { &[0xb0, 4, 0, 8, 0, 0] } else { &[0xb0, 2, 0, 8] };
        assert_eq!(self.packet(), unsuback);
    }

    /// Publishes and goes through the acknowledgements.
    fn publish(&mut self, topic: &str, qos: u8, payload: &[u8]) {
        let id: &[u8] = if qos > 0 { &[0x11, 0x22] } else { &[] };
        let body = [&text(topic), id, self.no_properties(), payload].concat();
        self.send(0x30 | qos << 1, &body);
        match qos {
            0 => {}
            1 => assert_eq!(self.packet(), [0x40, 2, 0x11, 0x22]),
            _ => {
                assert_eq!(self.packet(), [0x50, 2, 0x11, 0x22]);
                self.send(0x62, &[0x11, 0x22]);
                assert_eq!(self.packet(), [0x70, 2, 0x11, 0x22]);
            }
        }
    }

    /// Reads a PUBLISH and goes through the acknowledgements.
    fn expect(&mut self, topic: &str, qos: u8, id: u16, payload: &[u8]) {
        let id = id.to_be_bytes();
        let ids: &[u8] = if qos > 0 { &id } else { &[] };
        let body = [&text(topic), ids, self.no_properties(), payload].concat();
        let mut expected = vec![0x30 | qos << 1];
        wire::put_varint(&mut expected, body.len());
        expected.extend_from_slice(&body);
        assert_eq!(self.packet(), expected, "{topic} QoS {qos}");
        match qos {
            0 => {}
            1 => self.send(0x40, &id),
            _ => {
                self.send(0x50, &id);
                assert_eq!(self.packet(), [0x62, 2, id[0], id[1]]);
                self.send(0x70, &id);
            }
        }
    }

    /// Whatever was to come has come: PINGRESP is next.
    fn expect_nothing(&mut self) {
        self.send(0xc0, &[]);
        assert_eq!(self.packet(), [0xd0, 0]);
    }

    fn no_properties(&self) -> &'static [u8] {
        if self.is_v5 { &[0] } else { &[] }
    }
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// Client ids whose homes are the cores in turn.
fn ids(cores: usize, count: usize) -> Vec<String> {
    let of = |core| (0..).map(|n| format!("c{n}")).filter(move |id| home(id.as_bytes(), cores) == core);
    let mut each: Vec<_> = (0..cores).map(of).collect();
    (0..count).filter_map(|n| each[n % cores].next()).collect()
}

#[test]
fn messages_come_at_the_lower_qos_in_both_versions_across_cores() {
    for (cores, is_v5) in [(1, false), (1, true), (2, false), (2, true), (3, true)] {
        let address = start(cores);
        let ids = ids(cores, 4);
        let mut clients: Vec<_> = ids.iter().map(|id| Client::connect(address, is_v5, id)).collect();
        let mut publisher = clients.remove(0);
        // One subscriber on another core, one with a wildcard, one on the publisher's core where there are up to three.
        let subscribed = [(0, "a/b", 2), (1, "a/+", 1), (2, "#", 0)];
        for (at, filter, qos) in subscribed {
            clients[at].subscribe(filter, qos);
        }
        let mut last_ids = [0; 3];
        for (number, qos) in [0, 1, 2, 2, 1].into_iter().enumerate() {
            let payload = [b'p', number as u8];
            publisher.publish("a/b", qos, &payload);
            for (at, _, granted) in subscribed {
                let qos = qos.min(granted);
                last_ids[at] += u16::from(qos > 0);
                clients[at].expect("a/b", qos, last_ids[at], &payload);
            }
        }
        clients[1].unsubscribe("a/+");
        publisher.publish("a/b", 1, b"once more");
        clients[0].expect("a/b", 1, last_ids[0] + 1, b"once more");
        clients[2].expect("a/b", 0, 0, b"once more");
        clients[1].expect_nothing();
    }
}

#[test]
fn shared_subscribers_take_turns_and_the_rest_goes_on_without_one_that_left() {
    for cores in [1, 2] {
        let address = start(cores);
        let ids = ids(cores, 4);
        let mut clients: Vec<_> = ids.iter().map(|id| Client::connect(address, false, id)).collect();
        let mut publisher = clients.remove(0);
        for client in &mut clients {
            client.subscribe("$share/g/s/+", 1);
        }
        for number in 0..9 {
            publisher.publish("s/1", 1, &[number]);
        }
        // Turns begin with the second member; a core that got none would make its client wait here for ever.
        for (at, numbers) in [(1, [0, 3, 6]), (2, [1, 4, 7]), (0, [2, 5, 8])] {
            for (index, number) in numbers.into_iter().enumerate() {
                clients[at].expect("s/1", 1, index as u16 + 1, &[number]);
            }
        }
        let mut gone = clients.remove(1);
        gone.send(0xe0, &[]);
        assert!(gone.packet().is_empty(), "DISCONNECT closes");
        for number in 0..4 {
            publisher.publish("s/2", 1, &[number]);
        }
        let mut seen: Vec<u8> = Vec::new();
        for client in &mut clients {
            for _ in 0..2 {
                let packet = client.packet();
                seen.extend(packet.last());
            }
            client.expect_nothing();
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3]);
    }
}

#[test]
fn a_message_larger_than_the_buffer_and_many_in_pieces_arrive() {
    for cores in [1, 2] {
        let address = start(cores);
        let ids = ids(cores, 2);
        let mut publisher = Client::connect(address, false, &ids[0]);
        let mut subscriber = Client::connect(address, false, &ids[1]);
        subscriber.subscribe("t", 1);
        let large = vec![7; 700_000];
        publisher.publish("t", 1, &large);
        subscriber.expect("t", 1, 1, &large);
        // A stream of QoS 0 messages, cut where no packet ends.
        let one = [&[0x30, 8][..], &text("t"), b"hello"].concat();
        let stream = one.repeat(10_000);
        for piece in stream.chunks(7_919) {
            publisher.stream.write_all(piece).expect("a write");
        }
        for _ in 0..10_000 {
            assert_eq!(subscriber.packet(), one);
        }
    }
}

#[test]
fn nonsense_closes_one_connection_and_hurts_nobody() {
    let address = start(2);
    let nonsense: [&[u8]; 7] = [
        &[0x10, 2, 0, 9],
        &[0x30, 0],
        &[0x32, 3, 0, 1, b't'],
        &[0x82, 4, 0, 1, 0, 0],
        &[0x62, 1, 0],
        &[0xff, 0x80, 0x80, 0x80, 0x80, 0],
        &[0x00, 0],
    ];
    let mut witness = Client::connect(address, true, "witness");
    for bytes in nonsense {
        let mut client = Client::connect(address, true, "nonsense");
        client.stream.write_all(bytes).expect("a write");
        assert!(client.packet().is_empty(), "{bytes:?}");
    }
    witness.expect_nothing();
}

#[test]
fn a_port_in_use_is_an_error() {
    let address = start(2);
    assert!(Relay::bind(address, 2).is_err());
    assert!(Relay::bind(address, 1).is_err());
}
