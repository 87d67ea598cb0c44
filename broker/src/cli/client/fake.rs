//! A scripted broker for the tests of `pub` and `sub`: takes one connection, notes what comes, answers by rule.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::{Args, Parser};
use millrace_codec::{ConnAck, Packet, ReasonCode, Version, decode, frame_header};

/// What the broker does with a packet: answers, or `false` to close the connection.
pub(super) type Rule<'a> = dyn FnMut(&Packet<'_>, &mut Answers) -> bool + Send + 'a;

/// Packets to send.
pub(super) struct Answers {
    version: Version,
    bytes: Vec<u8>,
}

impl Answers {
    pub(super) fn send(&mut self, packet: &Packet<'_>) {
        packet.encode(self.version, &mut self.bytes).unwrap();
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn accept(&mut self) {
        self.send(&Packet::ConnAck(ConnAck {
            session_present: false,
            reason: ReasonCode::Success,
            properties: Default::default(),
        }));
    }
}

/// Starts the broker; gives its port, and when it is joined the debug forms of the packets it got.
pub(super) fn broker(
    version: Version,
    mut rule: impl FnMut(&Packet<'_>, &mut Answers) -> bool + Send + 'static,
) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        serve(stream, version, &mut rule)
    });
    (port, thread)
}

fn serve(mut stream: TcpStream, version: Version, rule: &mut Rule<'_>) -> Vec<String> {
    let mut log = Vec::new();
    let mut buffer = Vec::new();
    loop {
        while let Some(header) = frame_header(&buffer).unwrap() {
            if buffer.len() < header.total_len() {
                break;
            }
            let packet =
                decode(version, header.first, &buffer[header.header_len..header.total_len()]).unwrap();
            log.push(format!("{packet:?}"));
            let mut answers = Answers { version, bytes: Vec::new() };
            let stays = rule(&packet, &mut answers);
            if stream.write_all(&answers.bytes).is_err() || !stays {
                return log;
            }
            buffer.drain(..header.total_len());
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return log,
            Ok(len) => buffer.extend_from_slice(&chunk[..len]),
        }
    }
}

/// The arguments of a command line, with the fake broker's port.
pub(super) fn args<T: Args>(line: &str, port: u16) -> T {
    #[derive(Parser)]
    #[command(disable_help_flag = true)]
    struct Line<T: Args> {
        #[command(flatten)]
        args: T,
    }
    let port = port.to_string();
    let words = ["x", "-p", &port].into_iter().chain(line.split_whitespace());
    Line::<T>::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}")).args
}
