use millrace_codec::SubAck;

use super::super::connection::Connection;
use super::super::fake::{Answers, args, broker};
use super::*;

/// QoS, packet id, DUP and payload.
type Sent = (u8, u16, bool, &'static [u8]);

fn publish(qos: QoS, packet_id: u16, dup: bool, payload: &'static [u8]) -> Packet<'static> {
    Packet::Publish(Publish {
        dup,
        qos,
        retain: false,
        topic: "a/b",
        packet_id,
        properties: Default::default(),
        payload,
    })
}

/// Runs `sub` against a broker that sends `messages` after its SUBACK with `codes`; gives the result, what was
/// printed and what the broker got after the SUBSCRIBE.
fn run(
    line: &str,
    codes: &'static [u8],
    messages: &'static [Sent],
) -> (Result<(), String>, String, Vec<String>) {
    let version = if line.contains("-V 5") { Version::V5 } else { Version::V311 };
    let (port, broker) = broker(version, move |packet: &Packet<'_>, answers: &mut Answers| {
        match packet {
            Packet::Connect(_) => answers.accept(),
            Packet::Subscribe(subscribe) => {
                let (packet_id, properties) = (subscribe.packet_id, Default::default());
                answers.send(&Packet::SubAck(SubAck { packet_id, properties, codes }));
                for (qos, packet_id, dup, payload) in messages {
                    answers.send(&publish(QoS::from_number(*qos).unwrap(), *packet_id, *dup, payload));
                }
            }
            Packet::PubRec(ack) => answers.send(&Packet::PubRel(Ack::success(ack.packet_id))),
            _ => {}
        }
        true
    });
    let args: SubscribeArgs = args(line, port);
    let mut out = Vec::new();
    let result =
        Connection::open(&args.connect).and_then(|connection| print_all(connection, &args, &mut out));
    let log = broker.join().unwrap();
    (result, String::from_utf8(out).unwrap(), log.into_iter().skip(2).collect())
}

fn names(log: &[String]) -> Vec<&str> {
    log.iter().map(|packet| packet.split('(').next().unwrap()).collect()
}

#[test]
fn messages_are_printed_and_acknowledged() {
    let cases: &[(&str, &'static [Sent], &str, &[&str])] = &[
        ("-t a/b -C 1", &[(0, 0, false, b"x")], "x\n", &["Disconnect"]),
        ("-t a/b -C 2", &[(0, 0, false, b"x"), (0, 0, false, b"")], "x\n\n", &["Disconnect"]),
        ("-t a/b -C 1 -v", &[(0, 0, false, b"x y")], "a/b x y\n", &["Disconnect"]),
        ("-t a/b -C 2 -N", &[(0, 0, false, b"x"), (0, 0, false, b"y")], "xy", &["Disconnect"]),
        ("-t a/b -q 1 -C 1", &[(1, 7, false, b"x")], "x\n", &["PubAck", "Disconnect"]),
        ("-t a/b -q 2 -C 1", &[(2, 7, false, b"x")], "x\n", &["PubRec", "PubComp", "Disconnect"]),
        ("-V 5 -t a/b -q 2 -C 1", &[(2, 7, false, b"x")], "x\n", &["PubRec", "PubComp", "Disconnect"]),
        // A repeated QoS 2 message is one message, a repeated QoS 1 message is two.
        (
            "-t a/b -q 2 -C 2",
            &[(2, 7, false, b"x"), (2, 7, true, b"x"), (2, 8, false, b"y")],
            "x\ny\n",
            &["PubRec", "PubRec", "PubRec", "PubComp", "PubComp", "PubComp", "Disconnect"],
        ),
        (
            "-t a/b -q 1 -C 2",
            &[(1, 7, false, b"x"), (1, 7, true, b"x")],
            "x\nx\n",
            &["PubAck", "PubAck", "Disconnect"],
        ),
        // What comes after the last one is neither printed nor acknowledged.
        (
            "-t a/b -q 2 -C 1",
            &[(2, 7, false, b"x"), (1, 8, false, b"y"), (2, 9, false, b"z")],
            "x\n",
            &["PubRec", "PubComp", "Disconnect"],
        ),
        ("-t a/b -W 0.2", &[(0, 0, false, b"x")], "x\n", &["Disconnect"]),
    ];
    for (line, messages, printed, expected) in cases {
        let (result, out, log) = run(line, &[2], messages);
        assert_eq!(result, Ok(()), "{line}");
        assert_eq!(out, *printed, "{line}");
        assert_eq!(names(&log), *expected, "{line}: {log:?}");
    }
}

#[test]
fn failures() {
    let cases: &[(&str, &'static [u8], &str)] = &[
        ("-V 5 -t a", &[0x87], "a: refused: Not authorized"),
        ("-t a", &[0x80], "a: refused"),
        ("-t a -t b", &[0x80, 0x80], "a: refused; b: refused"),
        ("-t a -t b", &[0x00], "the broker's SUBACK does not fit the SUBSCRIBE"),
        ("-t a -C 3 -W 0.2", &[0x00], "timeout: 0 of 3 messages came in 0.2 s"),
    ];
    for (line, codes, expected) in cases {
        let (result, out, _) = run(line, codes, &[]);
        assert_eq!(result.expect_err(line).to_lowercase(), expected.to_lowercase(), "{line}");
        assert_eq!(out, "");
    }
    // One filter of two is enough to go on.
    let (result, _, _) = run("-t a -t b -W 0.2", &[0x80, 0x01], &[]);
    assert_eq!(result, Ok(()));
}

/// A message that could not be printed is not acknowledged, and a reader that went away is no failure.
#[test]
fn output_that_fails() {
    struct Broken(io::ErrorKind);
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (kind, is_ok) in [(io::ErrorKind::BrokenPipe, true), (io::ErrorKind::StorageFull, false)] {
        let (port, broker) = broker(Version::V311, |packet, answers| {
            match packet {
                Packet::Connect(_) => answers.accept(),
                Packet::Subscribe(subscribe) => {
                    let (packet_id, properties) = (subscribe.packet_id, Default::default());
                    answers.send(&Packet::SubAck(SubAck { packet_id, properties, codes: &[1] }));
                    answers.send(&publish(QoS::AtLeastOnce, 1, false, b"x"));
                }
                _ => {}
            }
            true
        });
        let args: SubscribeArgs = args("-t a -q 1", port);
        let result = print_all(Connection::open(&args.connect).unwrap(), &args, Broken(kind));
        assert_eq!(result.is_ok(), is_ok, "{result:?}");
        assert_eq!(names(&broker.join().unwrap()), ["Connect", "Subscribe", "Disconnect"]);
    }
}

#[test]
fn keep_alive() {
    // Answered pings keep the connection; the time they take is at least the keep-alive.
    let (port, first) = broker(Version::V311, |packet, answers| {
        match packet {
            Packet::Connect(_) => answers.accept(),
            Packet::Subscribe(subscribe) => {
                let (packet_id, properties) = (subscribe.packet_id, Default::default());
                answers.send(&Packet::SubAck(SubAck { packet_id, properties, codes: &[0] }));
            }
            Packet::PingReq => answers.send(&Packet::PingResp),
            _ => {}
        }
        true
    });
    let line: SubscribeArgs = args("-t a -k 1 -W 2.5", port);
    assert_eq!(print_all(Connection::open(&line.connect).unwrap(), &line, io::sink()), Ok(()));
    assert_eq!(names(&first.join().unwrap()), ["Connect", "Subscribe", "PingReq", "PingReq", "Disconnect"]);

    // An unanswered one ends it.
    let (port, second) = broker(Version::V311, |packet, answers| {
        match packet {
            Packet::Connect(_) => answers.accept(),
            Packet::Subscribe(subscribe) => {
                let (packet_id, properties) = (subscribe.packet_id, Default::default());
                answers.send(&Packet::SubAck(SubAck { packet_id, properties, codes: &[0] }));
            }
            _ => {}
        }
        true
    });
    let line: SubscribeArgs = args("-t a -k 1 -W 5", port);
    let result = print_all(Connection::open(&line.connect).unwrap(), &line, io::sink());
    assert_eq!(result, Err("connection lost: no answer to a ping in 1 s".to_owned()));
    assert_eq!(names(&second.join().unwrap()), ["Connect", "Subscribe", "PingReq", "Disconnect"]);
}
