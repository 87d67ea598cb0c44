//! One case as it is played: its clients, what they send, and what they must see (see script.rs for the language).

use crate::script::{Placement, Play, STOP, foreign};
use crate::support::{Broker, RAW_DEADLINE, Raw, Read, hex};
use millrace_codec::vectors::wire;
use millrace_codec::{Packet, PropertyBuf, Version, connect_level, decode, frame_header};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

/// What stands for a packet id that is not known yet.
const UNKNOWN: [u8; 2] = [0xa7, 0x5d];
/// How long the broker may take to close: more than a keep-alive of 1 s.
const CLOSES: Duration = Duration::from_secs(5);

fn version_of(level: u8) -> Option<Version> {
    Version::ALL.into_iter().find(|version| version.level() == level)
}

/// The clients of one case.
pub struct Stage<'a> {
    broker: &'a Broker,
    clients: BTreeMap<char, Raw>,
    /// What each has received last.
    last: BTreeMap<char, Vec<u8>>,
    /// Names of packet ids, with the client that received them.
    ids: BTreeMap<char, (char, [u8; 2])>,
    play: Play,
    /// What makes names differ from those of other tables, if all are played to one broker.
    table: String,
}

impl Stage<'_> {
    /// Nobody is connected yet.
    pub fn new(broker: &Broker, play: Play) -> Stage<'_> {
        let table = foreign().map(|_| format!("p{}", broker.pid())).unwrap_or_default();
        Stage { broker, clients: BTreeMap::new(), last: BTreeMap::new(), ids: BTreeMap::new(), play, table }
    }

    /// Plays all lines.
    ///
    /// # Errors
    /// What was seen is not what the script says.
    pub fn lines(mut self, script: &str) -> Result<(), String> {
        let lines = script.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with(['#', '+', '-'])) {
            if line == STOP {
                self.broker.signal(rustix::process::Signal::TERM);
            } else if let Some(time) = line.strip_prefix("wait ") {
                thread::sleep(duration(time));
            } else {
                self.line(line).map_err(|failure| format!("in {line:?}: {failure}"))?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let (who, rest) = line.split_once(' ').ok_or("no action")?;
        let who = who.chars().next().ok_or("no client")?;
        let (action, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let rest = self.names(who, rest.trim());
        match action {
            "connect" => self.connect(who, &rest),
            ">" => self.send(who, &rest),
            "<" => self.receive(who, &rest, true),
            "<*" => self.receive(who, &rest, false),
            "<one" => self.receive_one_of(who, rest.trim_start_matches("of ")),
            "accepted" => self.accepted(who, 0),
            "resumed" => self.accepted(who, 1),
            "has" => self.property(who, &rest, true),
            "lacks" => self.property(who, &rest, false),
            "<|" => self.receive_in_any_order(who, &rest),
            "sub" => self.subscribe(who, &rest),
            "unsub" => self.unsubscribe(who, &rest),
            "pub" => self.publish(who, &rest),
            "gets" => self.gets(who, &rest),
            "quiet" => self.send(who, "C0 00").and_then(|()| self.receive(who, "D0 00", true)),
            "refused" => self.refused(who, &rest),
            "closed" => self.closed(who),
            "bye" => self.send(who, "E0 00").and_then(|()| self.closed(who)),
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

    /// Puts names in for `%a`, `%/` and `%{}`.
    fn names(&mut self, who: char, text: &str) -> String {
        let mut parts = text.split('%');
        let mut result = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let which = part.chars().next().expect("something after %");
            if let Some(part) = part.strip_prefix("{}") {
                result.push_str(self.empty_properties(who));
                result.push_str(part);
            } else if !which.is_ascii_alphabetic() {
                let Play { number, placement, version } = self.play;
                result.push_str(&format!("{number}{placement:?}{version}{}", self.table));
                result.push_str(part);
            } else {
                result.push_str(&self.client_id(which));
                result.push_str(&part[1..]);
            }
        }
        result
    }

    fn client_id(&self, who: char) -> String {
        let Play { number, placement, version } = self.play;
        let core = match placement {
            Placement::Together => 0,
            Placement::Apart => who as usize % 2,
        };
        let prefix = format!("{who}{number}{:.1}{version}", format!("{placement:?}"));
        if foreign().is_some() {
            return format!("{prefix}{}", self.table);
        }
        self.broker.client_id_on(core, &prefix)
    }

    fn client(&mut self, who: char) -> &mut Raw {
        let address = foreign().unwrap_or_else(|| self.broker.address());
        self.clients.entry(who).or_insert_with(|| Raw::open(address))
    }

    fn connect(&mut self, who: char, text: &str) -> Result<(), String> {
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let protocol = match words.next().map(|word| if word == "V" { self.play.version } else { word }) {
            Some("31") => r#""MQIsdp" 03"#,
            Some("311") => r#""MQTT" 04"#,
            Some("5") => r#""MQTT" 05"#,
            other => panic!("no version {other:?}"),
        };
        let five = protocol.ends_with('5');
        let (mut flags, mut present, mut alive) = (2, 0, 60);
        let (mut will, mut properties) = (String::new(), String::new());
        while let Some(word) = words.next() {
            match word {
                // 3.1 has no place to say it.
                "present" => present = u8::from(!protocol.contains("MQIsdp")),
                "alive" => alive = words.next().expect("seconds").parse().expect("seconds"),
                "keep" | "expiry" => {
                    let seconds: u32 = words.next().expect("seconds").parse().expect("seconds");
                    flags &= if word == "keep" { !2 } else { !0 };
                    properties.push_str(&format!("11 {seconds:08X}"));
                }
                "will" => {
                    let topic = words.next().expect("a topic");
                    let (qos, retain) = qos_of(words.next().expect("a QoS"));
                    flags |= 0x04 | qos << 3 | retain << 5;
                    let five = if five { "{}" } else { "" };
                    will = format!(r#"{five} "{topic}" "{}""#, words.next().expect("a text"));
                }
                "with" => properties.extend(words.by_ref()),
                other => panic!("no word {other:?} of connect"),
            }
        }
        let properties = if five { format!("{{ {properties} }}") } else { String::new() };
        let id = self.client_id(who.to_ascii_lowercase());
        // A connection of the same letter that is still open stays so until the broker has answered.
        let _former = self.clients.remove(&who);
        self.send(
            who,
            &format!(r#"10 {{ {protocol} {flags:02X} {alive:04X} {properties} "{id}" {will} }}"#),
        )?;
        self.accepted(who, present)
    }

    fn accepted(&mut self, who: char, present: u8) -> Result<(), String> {
        let packet = self.packet(who, &[0x20])?;
        let accepted = packet[0] == 0x20 && packet[2..4] == [present, 0];
        accepted.then_some(()).ok_or_else(|| format!("{} has not session present {present}", hex(&packet)))
    }

    /// Puts packet ids in for the names that have one.
    fn known_ids(&self, text: &str) -> String {
        let ids = self.ids.iter();
        ids.fold(text.to_owned(), |text, (name, (_, id))| {
            text.replace(&format!("@{name}"), &hex(id).replace(' ', ""))
        })
    }

    fn send(&mut self, who: char, text: &str) -> Result<(), String> {
        let bytes = wire(&self.known_ids(text));
        // A second CONNECT changes nothing about how the first one is answered.
        if bytes.first() == Some(&0x10) && !self.clients.contains_key(&who) {
            let body = frame_header(&bytes).ok().flatten().map(|header| &bytes[header.header_len..]);
            let level = body.and_then(connect_level).and_then(version_of);
            self.client(who).version = level.unwrap_or(Version::V311);
        }
        self.client(who).try_send(&bytes).map_err(|error| format!("cannot send: {error}"))
    }

    fn receive(&mut self, who: char, text: &str, whole: bool) -> Result<(), String> {
        let packet = match self.client(who).read(RAW_DEADLINE) {
            Read::Packet(packet) => packet,
            other => return Err(format!("{other:?}")),
        };
        self.last.insert(who, packet.clone());
        self.compare(who, &packet, text, whole)
    }

    fn receive_one_of(&mut self, who: char, texts: &str) -> Result<(), String> {
        let packet = self.packet(who, &[])?;
        let mut failures = String::new();
        for text in texts.split(" | ") {
            match self.compare(who, &packet, text, true) {
                Ok(()) => return Ok(()),
                Err(failure) => failures.push_str(&failure),
            }
        }
        Err(failures)
    }

    /// Holds a packet against a text, and keeps the packet id that it gives a name to.
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
        let counting = text.find('~').map(|at| wire(&text[at + 1..at + 9]));
        let mut expected = wire(&text.replace('~', ""));
        if let Some(most) = counting {
            let at = expected.windows(4).position(|bytes| bytes == most).expect("four bytes after ~");
            if let Some(came) = packet.get(at..at + 4).filter(|came| about(&most).contains(&number(came))) {
                expected[at..at + 4].copy_from_slice(came);
            }
        }
        if new.is_some() {
            let at = expected.windows(2).position(|bytes| bytes == UNKNOWN).expect("put in above");
            let id = packet.get(at..at + 2).and_then(|bytes| <[u8; 2]>::try_from(bytes).ok());
            let id = id.filter(|id| *id != [0, 0] && !self.ids.values().any(|known| *known == (who, *id)));
            let id = id.ok_or_else(|| format!("no fresh packet id in {}", hex(packet)))?;
            expected[at..at + 2].copy_from_slice(&id);
        }
        let same = if whole { *packet == *expected } else { packet.starts_with(&expected) };
        if !same {
            return Err(format!("came {}\nnot {}", hex(packet), hex(&expected)));
        }
        if let Some(name) = new {
            let at =
                wire(&text.replace('~', "")).windows(2).position(|bytes| bytes == UNKNOWN).expect("as above");
            self.ids.insert(name, (who, [packet[at], packet[at + 1]]));
        }
        Ok(())
    }

    fn receive_in_any_order(&mut self, who: char, text: &str) -> Result<(), String> {
        let mut expected: Vec<Vec<u8>> = self.known_ids(text).split('|').map(wire).collect();
        while let Some(last) = expected.last() {
            let packet = self.packet(who, last)?;
            let at = expected.iter().position(|one| *one == packet);
            expected.remove(at.ok_or_else(|| format!("came {}\nnot one of {text}", hex(&packet)))?);
        }
        Ok(())
    }

    /// Whether a property (identifier and value, or an identifier alone) is in the last packet.
    fn property(&mut self, who: char, text: &str, wanted: bool) -> Result<(), String> {
        let last = self.last.get(&who).cloned().unwrap_or_default();
        let header = frame_header(&last).ok().flatten().ok_or("no packet yet")?;
        let properties = match decode(Version::V5, header.first, &last[header.header_len..]) {
            Ok(Packet::ConnAck(packet)) => packet.properties,
            Ok(Packet::PubAck(packet) | Packet::PubRec(packet) | Packet::PubComp(packet)) => {
                packet.properties
            }
            Ok(Packet::SubAck(packet)) => packet.properties,
            Ok(Packet::UnsubAck(packet)) => packet.properties,
            Ok(Packet::Disconnect(packet)) => packet.properties,
            other => return Err(format!("{other:?}")),
        };
        let has = properties.iter().any(|property| {
            let mut bytes = PropertyBuf::new();
            bytes.push(property).is_ok_and(|()| bytes.as_properties().raw().starts_with(&wire(text)))
        });
        (has == wanted).then_some(()).ok_or_else(|| format!("in {}", hex(&last)))
    }

    fn packet(&mut self, who: char, expected: &[u8]) -> Result<Vec<u8>, String> {
        match self.client(who).read(RAW_DEADLINE) {
            Read::Packet(packet) => {
                self.last.insert(who, packet.clone());
                Ok(packet)
            }
            other => Err(format!("{other:?} instead of {}", hex(expected))),
        }
    }

    fn subscribe(&mut self, who: char, rest: &str) -> Result<(), String> {
        let (filter, options) = rest.split_once(' ').expect("filter and QoS");
        let options = u8::from_str_radix(options, 16).expect("a digit, or two in hex");
        let five = self.empty_properties(who);
        self.send(who, &format!("82 {{ FFFE {five} \"{filter}\" {options:02X} }}"))?;
        self.receive(who, &format!("90 {{ FFFE {five} {:02X} }}", options & 3), true)
    }

    fn unsubscribe(&mut self, who: char, filter: &str) -> Result<(), String> {
        let five = self.empty_properties(who);
        self.send(who, &format!("A2 {{ FFFD {five} \"{filter}\" }}"))?;
        let code = if five.is_empty() { "" } else { "00" };
        self.receive(who, &format!("B0 {{ FFFD {five} {code} }}"), true)
    }

    fn publish(&mut self, who: char, rest: &str) -> Result<(), String> {
        let mut words = rest.splitn(3, ' ');
        let (topic, qos) = (words.next().expect("a topic"), words.next().expect("a QoS"));
        let payload = words.next().unwrap_or_default();
        let five = self.empty_properties(who);
        let (qos, retain) = qos_of(qos);
        let id = if qos == 0 { "" } else { "7777" };
        let first = 0x30 | qos << 1 | retain;
        self.send(who, &format!("{first:02X} {{ \"{topic}\" {id} {five} '{payload}' }}"))?;
        match qos {
            0 => Ok(()),
            // 0x10: nobody has a matching subscription. A server may say it.
            1 => self.receive_one_of(who, "40 { 7777 } | 40 { 7777 10 }"),
            _ => {
                self.receive_one_of(who, "50 { 7777 } | 50 { 7777 10 }")?;
                self.send(who, "62 { 7777 }")?;
                self.receive(who, "70 { 7777 }", true)
            }
        }
    }

    fn gets(&mut self, who: char, rest: &str) -> Result<(), String> {
        let mut words = rest.splitn(3, ' ');
        let (topic, flags) = (words.next().expect("a topic"), words.next().expect("a QoS"));
        let payload = words.next().unwrap_or_default();
        let five = self.empty_properties(who);
        let (qos, retain) = qos_of(flags);
        let first = 0x30 | qos << 1 | retain | u8::from(flags.contains('d')) << 3;
        let expected = |id: &str| wire(&format!("{first:02X} {{ \"{topic}\" {id} {five} '{payload}' }}"));
        let packet = self.packet(who, &expected(""))?;
        // Behind the first byte, the length (all packets here are short) and the topic with its own length.
        let id =
            packet.get(4 + topic.len()..6 + topic.len()).filter(|_| qos > 0).map(hex).unwrap_or_default();
        if packet != expected(&id) || id == "00 00" {
            return Err(format!("came {}\nnot {}", hex(&packet), hex(&expected("0000"))));
        }
        match qos {
            0 => Ok(()),
            1 => self.send(who, &format!("40 {{ {id} }}")),
            _ => {
                self.send(who, &format!("50 {{ {id} }}"))?;
                self.receive(who, &format!("62 {{ {id} }}"), true)?;
                self.send(who, &format!("70 {{ {id} }}"))
            }
        }
    }

    /// Empty properties, where this client's version has them.
    fn empty_properties(&mut self, who: char) -> &'static str {
        if self.client(who).version == Version::V5 { "{}" } else { "" }
    }

    fn refused(&mut self, who: char, reason: &str) -> Result<(), String> {
        if self.client(who).version == Version::V5 {
            self.receive(who, &format!("E0 {{ {reason} }}"), true)?;
        }
        self.closed(who)
    }

    fn closed(&mut self, who: char) -> Result<(), String> {
        let read = self.client(who).read(CLOSES);
        self.clients.remove(&who);
        (read == Read::Closed).then_some(()).ok_or_else(|| format!("{read:02X?}"))
    }
}

/// QoS and retain flag of `1r`.
fn qos_of(text: &str) -> (u8, u8) {
    let qos = text.chars().next().and_then(|digit| digit.to_digit(3)).expect("a QoS");
    (qos as u8, u8::from(text.contains('r')))
}

/// `1100`, `1100ms` or `2s`.
fn duration(text: &str) -> Duration {
    let (digits, unit) = text.split_at(text.find('m').or(text.find('s')).unwrap_or(text.len()));
    let count = digits.parse().expect("a number");
    if unit == "s" { Duration::from_secs(count) } else { Duration::from_millis(count) }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

/// What `~` allows: this number, or up to 3 less.
fn about(most: &[u8]) -> std::ops::RangeInclusive<u32> {
    number(most).saturating_sub(3)..=number(most)
}
