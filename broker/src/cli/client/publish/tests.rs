use millrace_codec::{ConnAck, Disconnect, Property, PropertyBuf, ReasonCode, Version};

use super::super::connection::Connection;
use super::super::fake::{Answers, args, broker};
use super::*;

fn ack(packet_id: u16, reason: ReasonCode) -> Ack<'static> {
    Ack { packet_id, reason, properties: Default::default() }
}

/// A broker that does what it should.
fn good(packet: &Packet<'_>, answers: &mut Answers) -> bool {
    match packet {
        Packet::Connect(_) => answers.accept(),
        Packet::Publish(publish) if publish.qos == QoS::AtLeastOnce => {
            answers.send(&Packet::PubAck(ack(publish.packet_id, ReasonCode::Success)));
        }
        Packet::Publish(publish) if publish.qos == QoS::ExactlyOnce => {
            answers.send(&Packet::PubRec(ack(publish.packet_id, ReasonCode::Success)));
        }
        Packet::PubRel(release) => {
            answers.send(&Packet::PubComp(ack(release.packet_id, ReasonCode::Success)));
        }
        _ => {}
    }
    true
}

/// Runs `pub` against a broker; gives the result and what the broker got.
fn run(
    line: &str,
    version: Version,
    rule: impl FnMut(&Packet<'_>, &mut Answers) -> bool + Send + 'static,
) -> (Result<(), String>, Vec<String>) {
    let (port, broker) = broker(version, rule);
    let args: PublishArgs = args(line, port);
    let payload = args.message.clone().unwrap().into_bytes();
    let result =
        Connection::open(&args.connect).and_then(|connection| send_all(connection, &args, Some(&payload)));
    (result, broker.join().unwrap())
}

fn names(log: &[String]) -> Vec<&str> {
    log.iter().map(|packet| packet.split('(').next().unwrap()).collect()
}

#[test]
fn a_message_and_its_acknowledgement() {
    for (text, version) in [("3.1", Version::V31), ("3.1.1", Version::V311), ("5", Version::V5)] {
        for (qos, expected) in [
            (0, vec!["Connect", "Publish", "Disconnect"]),
            (1, vec!["Connect", "Publish", "Disconnect"]),
            (2, vec!["Connect", "Publish", "PubRel", "Disconnect"]),
        ] {
            let (result, log) = run(&format!("-V {text} -q {qos} -t a/b -m hello"), version, good);
            assert_eq!(result, Ok(()), "{text} {qos}");
            assert_eq!(names(&log), expected, "{text} {qos}: {log:?}");
        }
    }
}

#[test]
fn what_is_sent() {
    let line = "-V 5 -i me -c -u user -P secret -k 7 -r -q 1 -t a/b -m hello \
                --will-topic w --will-payload gone --will-qos 2 --will-retain";
    let mut seen = 0;
    let (result, log) = run(line, Version::V5, move |packet, answers| {
        match packet {
            Packet::Connect(connect) => {
                assert_eq!((connect.client_id, connect.clean_start, connect.keep_alive), ("me", false, 7));
                assert_eq!((connect.username, connect.password), (Some("user"), Some(b"secret".as_slice())));
                assert_eq!(connect.properties.session_expiry_interval(), Some(u32::MAX));
                let will = connect.will.as_ref().unwrap();
                assert_eq!((will.topic, will.payload, will.qos), ("w", b"gone".as_slice(), QoS::ExactlyOnce));
                assert!(will.retain);
                seen += 1;
            }
            Packet::Publish(publish) => {
                assert_eq!((publish.topic, publish.payload), ("a/b", b"hello".as_slice()));
                assert!(publish.retain && !publish.dup && publish.packet_id != 0);
                assert_eq!(seen, 1);
            }
            _ => {}
        }
        good(packet, answers)
    });
    assert_eq!((result, log.len()), (Ok(()), 3));
}

#[test]
fn refusals_and_losses() {
    type Misbehave = fn(&Packet<'_>, &mut Answers) -> bool;
    let refuse: Misbehave = |packet, answers| {
        let mut properties = PropertyBuf::new();
        if answers.version() == Version::V5 {
            properties.push(Property::ReasonString("not you")).unwrap();
        }
        if let Packet::Connect(_) = packet {
            answers.send(&Packet::ConnAck(ConnAck {
                session_present: false,
                reason: ReasonCode::NotAuthorized,
                properties: properties.as_properties(),
            }));
        }
        false
    };
    let refuse_publish: Misbehave = |packet, answers| {
        match packet {
            Packet::Publish(publish) if publish.qos == QoS::AtLeastOnce => {
                answers.send(&Packet::PubAck(ack(publish.packet_id, ReasonCode::QuotaExceeded)));
            }
            Packet::Publish(publish) => {
                answers.send(&Packet::PubRec(ack(publish.packet_id, ReasonCode::QuotaExceeded)));
            }
            _ => return good(packet, answers),
        }
        true
    };
    let close_at_publish: Misbehave = |packet, answers| match packet {
        Packet::Publish(_) => false,
        _ => good(packet, answers),
    };
    let goodbye_at_publish: Misbehave = |packet, answers| match packet {
        Packet::Publish(_) => {
            answers.send(&Packet::Disconnect(Disconnect::new(ReasonCode::ServerShuttingDown)));
            false
        }
        _ => good(packet, answers),
    };
    let ignore_publish: Misbehave = |packet, answers| match packet {
        Packet::Publish(_) => true,
        _ => good(packet, answers),
    };
    let limits: Misbehave = |packet, answers| {
        if let Packet::Connect(_) = packet {
            let mut properties = PropertyBuf::new();
            for property in [
                Property::MaximumQoS(QoS::AtLeastOnce),
                Property::RetainAvailable(false),
                Property::MaximumPacketSize(20),
            ] {
                properties.push(property).unwrap();
            }
            let (session_present, reason) = (false, ReasonCode::Success);
            answers.send(&Packet::ConnAck(ConnAck {
                session_present,
                reason,
                properties: properties.as_properties(),
            }));
            return true;
        }
        good(packet, answers)
    };
    let rubbish: Misbehave = |_, answers| {
        answers.raw(&[0xff; 16]);
        true
    };
    let ping_first: Misbehave = |_, answers| {
        answers.raw(&[0x40, 0x02, 0x00, 0x01]);
        true
    };
    let cases: Vec<(&str, &str, Misbehave, &str)> = vec![
        ("connack 5", "-V 5", refuse, "refused: Not authorized: not you"),
        ("connack 3", "-V 3.1.1", refuse, "refused: Not authorized"),
        ("puback", "-V 5 -q 1", refuse_publish, "refused: Quota exceeded"),
        ("pubrec", "-V 5 -q 2", refuse_publish, "refused: Quota exceeded"),
        ("closed", "-V 5 -q 1", close_at_publish, "connection lost: the broker closed it"),
        ("goodbye", "-V 5 -q 1", goodbye_at_publish, "connection lost: the broker said Server shutting down"),
        (
            "silence",
            "-V 5 -q 1 -W 0.2",
            ignore_publish,
            "timeout: the broker acknowledged nothing for 0.2 s; 1 messages wait",
        ),
        ("qos", "-V 5 -q 2", limits, "refused: the broker takes QoS 1 at most"),
        ("retain", "-V 5 -r", limits, "refused: the broker retains no messages"),
        ("size", "-V 5", limits, "a packet of 33 bytes is more than the broker takes (20)"),
        ("rubbish", "-V 5", rubbish, "connection lost: the broker sent a bad packet: "),
        ("not a connack", "-V 3.1.1", ping_first, "the broker answered CONNECT with something else"),
    ];
    for (name, line, rule, expected) in cases {
        let version = if line.contains("-V 5") { Version::V5 } else { Version::V311 };
        let (result, _) = run(&format!("{line} -t a -m a_message_of_some_length_xx"), version, rule);
        let error = result.expect_err(name).to_lowercase();
        assert!(error.starts_with(&expected.to_lowercase()), "{name}: {error}");
    }
}

#[test]
fn nobody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let args: PublishArgs = args("-t a -m x", port);
    let error = Connection::open(&args.connect).err().unwrap();
    assert!(error.starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")), "{error}");
}

/// The window: never more than the broker's receive maximum on their way.
#[test]
fn receive_maximum_is_kept() {
    let mut open = 0;
    let (port, broker) = broker(Version::V5, move |packet, answers| {
        match packet {
            Packet::Connect(_) => {
                let mut properties = PropertyBuf::new();
                properties.push(Property::ReceiveMaximum(2)).unwrap();
                let (session_present, reason) = (false, ReasonCode::Success);
                answers.send(&Packet::ConnAck(ConnAck {
                    session_present,
                    reason,
                    properties: properties.as_properties(),
                }));
            }
            Packet::Publish(publish) => {
                open += 1;
                assert!(open <= 2);
                // Only every second one is answered at once, with the one before.
                if open == 2 {
                    for packet_id in [publish.packet_id - 1, publish.packet_id] {
                        answers.send(&Packet::PubAck(ack(packet_id, ReasonCode::Success)));
                    }
                    open = 0;
                }
            }
            _ => {}
        }
        true
    });
    let args: PublishArgs = args("-V 5 -q 1 -t a -l", port);
    let connection = Connection::open(&args.connect).unwrap();
    let mut publisher = Publisher::new(connection, &args).unwrap();
    assert_eq!(publisher.window, 2);
    for number in 0..10 {
        publisher.send(format!("{number}").as_bytes()).unwrap();
        while publisher.waiting.len() >= publisher.window {
            publisher.next().unwrap();
        }
    }
    publisher.finish().unwrap();
    publisher.connection.disconnect();
    assert_eq!(broker.join().unwrap().len(), 12);
}
