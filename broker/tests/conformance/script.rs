//! The language of the conformance tables. A case is a text; each line is a client's letter and what it does or must
//! see. Bytes are written in the language of the codec's vectors (`millrace_codec::vectors::wire`).
//!
//! ```text
//! a connect 5          CONNECT of this version (31, 311, 5), clean, keep-alive 60 s, client id %a; accepted
//! a accepted           CONNACK, success, session present 0, whatever its properties
//! a resumed            the same with session present 1
//! a > 30 { "t" }       send bytes
//! a < 40 { 0001 }      the next packet is exactly this; after `<*` it only has to begin so
//! a <one of 40 … | 50 … the next packet is one of these
//! a sub t/# 1          SUBSCRIBE to one filter with packet id FFFE; granted
//! a pub t 1 text       PUBLISH at a QoS, and its whole acknowledgement
//! a quiet              PINGREQ, and the next packet is PINGRESP: nothing was sent to this client
//! a closed             the broker closes the connection, and says nothing before
//! a fin / a rst        end of our side; reset
//! wait 1100            milliseconds
//! broker stop          SIGTERM; the last line in which the broker lives
//! ```
//! In all of it `%a` … `%z` stand for client ids that no other run of the case has, `%/` for a topic level that no
//! other run has, and `@1` … `@9` for two bytes (packet ids) that are what they were when they were first received.

use crate::support::{Broker, RAW_DEADLINE, Raw, Read, hex};
use millrace_codec::vectors::wire;
use millrace_codec::{Version, connect_level, frame_header};
use std::collections::BTreeMap;
use std::time::Duration;

/// A name that begins with the statement it is for, and the script.
pub type Case = (&'static str, &'static str);

/// What stands for a packet id that is not known yet.
const UNKNOWN: [u8; 2] = [0xa7, 0x5d];
/// How long the broker may take to close: more than a keep-alive of 1 s.
const CLOSES: Duration = Duration::from_secs(5);

/// On which cores the clients of a case live.
#[derive(Clone, Copy, Debug)]
pub enum Placement {
    /// All on one.
    Together,
    /// `a` on one, `b` on the other, and so on.
    Apart,
}

/// Runs every case with its clients on one core and on two, and reports all failures together.
pub fn run_all(settings: &[&str], cases: &[Case]) {
    let mut broker = Broker::start(settings);
    let mut failures = String::new();
    for (number, (name, script)) in cases.iter().enumerate() {
        for placement in [Placement::Together, Placement::Apart] {
            if let Err(failure) = run(&mut broker, number, script, placement) {
                failures.push_str(&format!("\n{name} ({placement:?}): {failure}"));
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Runs one case; a broker that it stops is started again.
pub fn run(broker: &mut Broker, number: usize, script: &str, placement: Placement) -> Result<(), String> {
    let mut stage = Stage { broker, clients: BTreeMap::new(), ids: BTreeMap::new(), number, placement };
    let mut stopped = None;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(ms) = line.strip_prefix("wait ") {
            std::thread::sleep(Duration::from_millis(ms.parse().expect("milliseconds")));
            continue;
        }
        if line == "broker stop" {
            stage.broker.signal(rustix::process::Signal::TERM);
            stopped = Some(line);
            continue;
        }
        stage.line(line).map_err(|failure| format!("in {line:?}: {failure}"))?;
    }
    let Stage { broker, clients, .. } = stage;
    drop(clients);
    if stopped.is_some() {
        let exit = broker.wait();
        if exit.code != Some(0) {
            return Err(format!("the broker ended with {exit:?}"));
        }
        broker.restart();
    }
    Ok(())
}

fn version_of(level: u8) -> Option<Version> {
    Version::ALL.into_iter().find(|version| version.level() == level)
}

struct Stage<'a> {
    broker: &'a mut Broker,
    clients: BTreeMap<char, Raw>,
    /// Names of packet ids, with the client that received them.
    ids: BTreeMap<char, (char, [u8; 2])>,
    number: usize,
    placement: Placement,
}

impl Stage<'_> {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let (who, rest) = line.split_once(' ').ok_or("no action")?;
        let who = who.chars().next().ok_or("no client")?;
        let (action, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if action == "<one" {
            let rest = self.names(rest.trim_start_matches("of "));
            return self.one_of(who, &rest);
        }
        let rest = self.names(rest.trim());
        match action {
            "connect" => self.connect(who, &rest),
            ">" => self.send(who, &rest),
            "<" => self.receive(who, &rest, true),
            "<*" => self.receive(who, &rest, false),
            "accepted" => self.accepted(who, 0),
            "resumed" => self.accepted(who, 1),
            "sub" => self.subscribe(who, &rest),
            "pub" => self.publish(who, &rest),
            "quiet" => self.send(who, "C0 00").and_then(|()| self.receive(who, "D0 00", true)),
            "closed" => self.closed(who),
            "fin" => {
                self.client(who).finish();
                Ok(())
            }
            "rst" => {
                self.client(who);
                self.clients.remove(&who).map(Raw::reset).ok_or("no such client".to_owned())
            }
            other => panic!("no action {other:?}"),
        }
    }

    /// Puts names in for `%a` and `%/`.
    fn names(&self, text: &str) -> String {
        let mut parts = text.split('%');
        let mut result = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let which = part.chars().next().expect("something after %");
            if which == '/' {
                result.push_str(&format!("{}{:?}", self.number, self.placement));
                result.push_str(part);
            } else {
                result.push_str(&self.client_id(which));
                result.push_str(&part[1..]);
            }
        }
        result
    }

    fn client_id(&self, who: char) -> String {
        let core = match self.placement {
            Placement::Together => 0,
            Placement::Apart => who as usize % 2,
        };
        self.broker.client_id_on(core, &format!("{who}{}{:.1}", self.number, format!("{:?}", self.placement)))
    }

    fn client(&mut self, who: char) -> &mut Raw {
        let address = self.broker.address();
        self.clients.entry(who).or_insert_with(|| Raw::open(address))
    }

    fn connect(&mut self, who: char, version: &str) -> Result<(), String> {
        let version = match version {
            "31" => Version::V31,
            "311" => Version::V311,
            "5" => Version::V5,
            other => panic!("no version {other:?}"),
        };
        let id = self.client_id(who.to_ascii_lowercase());
        let raw = Raw::connect(self.broker, version, &id);
        self.clients.insert(who, raw);
        Ok(())
    }

    fn send(&mut self, who: char, text: &str) -> Result<(), String> {
        let mut text = text.to_owned();
        for (name, (_, id)) in &self.ids {
            text = text.replace(&format!("@{name}"), &hex(id).replace(' ', ""));
        }
        let bytes = wire(&text);
        if bytes.first() == Some(&0x10) {
            let body = frame_header(&bytes).ok().flatten().map(|header| &bytes[header.header_len..]);
            let level = body.and_then(connect_level).and_then(version_of);
            self.client(who).version = level.unwrap_or(Version::V311);
        }
        self.client(who).try_send(&bytes).map_err(|error| format!("cannot send: {error}"))
    }

    fn receive(&mut self, who: char, text: &str, whole: bool) -> Result<(), String> {
        let packet = self.packet(who, text)?;
        self.compare(who, &packet, text, whole)
    }

    fn one_of(&mut self, who: char, texts: &str) -> Result<(), String> {
        let packet = self.packet(who, texts)?;
        let failures: Result<Vec<String>, ()> = texts
            .split(" | ")
            .map(|text| self.compare(who, &packet, text, true).map_or_else(Ok, |()| Err(())))
            .collect();
        failures.map_or(Ok(()), |failures| Err(failures.join("\n")))
    }

    fn packet(&mut self, who: char, expected: &str) -> Result<Vec<u8>, String> {
        match self.client(who).read(RAW_DEADLINE) {
            Read::Packet(packet) => Ok(packet),
            other => Err(format!("{other:?} instead of {expected}")),
        }
    }

    fn compare(&mut self, who: char, packet: &[u8], text: &str, whole: bool) -> Result<(), String> {
        let mut text = text.to_owned();
        let mut new = None;
        if let Some(at) = text.find('@') {
            let name = text[at + 1..].chars().next().expect("a name after @");
            let bytes = self.ids.get(&name).map(|known| known.1).unwrap_or_else(|| {
                new = Some(name);
                UNKNOWN
            });
            text = text.replace(&format!("@{name}"), &hex(&bytes).replace(' ', ""));
        }
        let mut expected = wire(&text);
        if let Some(name) = new {
            let at = expected.windows(2).position(|bytes| bytes == UNKNOWN).expect("put in above");
            let id = packet.get(at..at + 2).and_then(|bytes| <[u8; 2]>::try_from(bytes).ok());
            let id = id.filter(|id| *id != [0, 0] && !self.ids.values().any(|known| *known == (who, *id)));
            let id = id.ok_or_else(|| format!("no fresh packet id in {}", hex(packet)))?;
            expected[at..at + 2].copy_from_slice(&id);
            let same = if whole { *packet == *expected } else { packet.starts_with(&expected) };
            if same {
                self.ids.insert(name, (who, id));
            }
        }
        let same = if whole { *packet == *expected } else { packet.starts_with(&expected) };
        same.then_some(()).ok_or_else(|| format!("came {}\nnot {}", hex(packet), hex(&expected)))
    }

    fn accepted(&mut self, who: char, session_present: u8) -> Result<(), String> {
        match self.client(who).read(RAW_DEADLINE) {
            Read::Packet(packet) if packet[0] == 0x20 && packet[2..4] == [session_present, 0] => Ok(()),
            other => Err(format!("{other:02X?}")),
        }
    }

    fn subscribe(&mut self, who: char, rest: &str) -> Result<(), String> {
        let (filter, qos) = rest.split_once(' ').expect("filter and QoS");
        let five = self.empty_properties(who);
        self.send(who, &format!("82 {{ FFFE {five} \"{filter}\" 0{qos} }}"))?;
        self.receive(who, &format!("90 {{ FFFE {five} 0{qos} }}"), true)
    }

    fn publish(&mut self, who: char, rest: &str) -> Result<(), String> {
        let mut words = rest.splitn(3, ' ');
        let (topic, qos) = (words.next().expect("a topic"), words.next().expect("a QoS"));
        let payload = words.next().unwrap_or_default();
        let five = self.empty_properties(who);
        match qos {
            "0" => self.send(who, &format!("30 {{ \"{topic}\" {five} '{payload}' }}")),
            "1" => {
                self.send(who, &format!("32 {{ \"{topic}\" 7777 {five} '{payload}' }}"))?;
                self.receive(who, "40 { 7777 }", true)
            }
            "2" => {
                self.send(who, &format!("34 {{ \"{topic}\" 7777 {five} '{payload}' }}"))?;
                self.receive(who, "50 { 7777 }", true)?;
                self.send(who, "62 { 7777 }")?;
                self.receive(who, "70 { 7777 }", true)
            }
            other => panic!("no QoS {other:?}"),
        }
    }

    /// Empty properties, where this client's version has them.
    fn empty_properties(&mut self, who: char) -> &'static str {
        if self.client(who).version == Version::V5 { "{}" } else { "" }
    }

    fn closed(&mut self, who: char) -> Result<(), String> {
        let read = self.client(who).read(CLOSES);
        self.clients.remove(&who);
        (read == Read::Closed).then_some(()).ok_or_else(|| format!("{read:02X?}"))
    }
}
