//! The entries of a group, format version 1. Integers are little-endian.
//!
//! Every entry: CRC u32 (of all after it, seeded with the segment id), length u32 (of all after
//! it), kind u8, its own fields. Kinds this version does not know are skipped by their length.
//!
//! | kind | | takes a sequence |
//! | --- | --- | --- |
//! | 1 | record | yes |
//! | 2 | stream table: the next offset of every stream, at the start of each segment | no |
//! | 3 | run start | no |
//! | 4 to 8 | the sink's: partition count, intent to send, cursor, dead letter, target ([`control`] has their fields) | no |
//!
//! | record | bytes | |
//! | --- | --- | --- |
//! | CRC, length, kind | 0..9 | |
//! | event | 9 | code of the event |
//! | qos | 10 | |
//! | flags | 11 | bit 0: the key is the client id; bit 1: clean start |
//! | run | 12..16 | the run that accepted it, kept by a resend |
//! | sequence | 16..24 | in the log |
//! | offset | 24..32 | in its stream |
//! | time | 32..40 | of the event, Unix milliseconds |
//! | hook id, version | 40..48 | |
//! | target | 48..50 | 0: `[kafka]`, also if there was none at the time |
//! | packet id | 50..52 | of a QoS 2 PUBLISH, else 0 |
//! | lengths | 52..64 | stream u8, core u8 (not a length: the core that took the record), key, client id, user name, from, topic u16 |
//! | texts | 64.. | in that order; filter or reason stand as topic |
//! | payload | the rest | of `client.connected`: keep-alive u16, protocol u8, address (4 or 16 bytes) |
//!
//! A core writes everything but CRC, core, run, sequence and offset, which the log thread fills in.

use std::net::IpAddr;

use super::bytes::{Input, clip, from, put_at, put_str8, put_u16, put_u32, put_u64};
use super::control::Control;
use super::format::crc_seed;
use crate::event::{Event, EventData, EventKind};
use crate::rule::Rule;

pub(crate) mod control;
mod view;

pub(crate) use view::{View, event, records};

/// Bytes of a record before its texts.
pub(crate) const RECORD_FIXED: usize = 64;
/// Where a record names its core.
const CORE_AT: usize = 53;
/// CRC and length.
const PREFIX: usize = 8;

const RECORD: u8 = 1;
const STREAM_TABLE: u8 = 2;
const RUN_START: u8 = 3;

const FLAG_KEY_IS_CLIENT_ID: u8 = 1;
const FLAG_CLEAN_START: u8 = 2;

/// The variable parts of an event: from, topic (or filter, or reason) and payload.
fn parts<'a>(event: &Event<'a>) -> (&'a str, &'a str, &'a [u8]) {
    match event.data {
        EventData::Connected { .. } => ("", "", &[]),
        EventData::Disconnected { reason } => ("", reason, &[]),
        EventData::Subscribed { filter, .. } | EventData::Unsubscribed { filter, .. } => ("", filter, &[]),
        EventData::Publish { topic, payload, .. } => ("", topic, payload),
        EventData::Deliver { from, topic, payload, .. } | EventData::Acked { from, topic, payload, .. } => {
            (from, topic, payload)
        }
    }
}

/// Texts are at most 65,535 bytes, as in MQTT.
fn text(text: &str) -> &str {
    clip(text, usize::from(u16::MAX))
}

fn stream(rule: &Rule) -> &str {
    clip(&rule.stream, usize::from(u8::MAX))
}

/// Bytes the record of `event` takes.
#[inline]
pub(crate) fn record_len(event: &Event<'_>, rule: &Rule) -> usize {
    let (from, topic, payload) = parts(event);
    let payload = match event.data {
        EventData::Connected { ip: IpAddr::V4(_), .. } => 3 + 4,
        EventData::Connected { ip: IpAddr::V6(_), .. } => 3 + 16,
        _ => payload.len(),
    };
    RECORD_FIXED
        + stream(rule).len()
        + text(event.client_id).len()
        + text(event.username).len()
        + text(from).len()
        + text(topic).len()
        + payload
}

/// [`append_measured`] for a record that was not measured.
#[cfg(test)]
pub(crate) fn append_record(out: &mut Vec<u8>, rule: &Rule, event: &Event<'_>) {
    append_measured(out, rule, event, record_len(event, rule));
}

/// Appends the record of `event`, whose [`record_len`] is `len`; CRC, core, run, sequence and offset are left zero.
pub(crate) fn append_measured(out: &mut Vec<u8>, rule: &Rule, event: &Event<'_>, len: usize) {
    let (from, topic, payload) = parts(event);
    let (from, topic) = (text(from), text(topic));
    let (stream, client_id, username) = (stream(rule), text(event.client_id), text(event.username));
    let (qos, packet_id, flags) = match event.data {
        EventData::Connected { clean_start: true, .. } => (0, 0, FLAG_CLEAN_START),
        EventData::Connected { .. } | EventData::Disconnected { .. } => (0, 0, 0),
        EventData::Subscribed { qos, .. } | EventData::Unsubscribed { qos, .. } => (qos, 0, 0),
        EventData::Publish { qos, packet_id, .. } => (qos, packet_id, 0),
        EventData::Deliver { qos, .. } | EventData::Acked { qos, .. } => (qos, 0, 0),
    };
    debug_assert_eq!(len, record_len(event, rule));
    out.reserve(len);
    let mut head = [0u8; RECORD_FIXED];
    // The length is below 2^32: the broker refuses records over `max_record_bytes`, a u32.
    head[4..8].copy_from_slice(&((len - PREFIX) as u32).to_le_bytes());
    head[8] = RECORD;
    head[9] = event.kind().code();
    head[10] = qos;
    head[11] = flags | FLAG_KEY_IS_CLIENT_ID;
    head[32..40].copy_from_slice(&event.ts_ms.to_le_bytes());
    head[40..44].copy_from_slice(&rule.id.to_le_bytes());
    head[44..48].copy_from_slice(&rule.version.to_le_bytes());
    head[50..52].copy_from_slice(&packet_id.to_le_bytes());
    head[52] = stream.len() as u8;
    head[56..58].copy_from_slice(&(client_id.len() as u16).to_le_bytes());
    head[58..60].copy_from_slice(&(username.len() as u16).to_le_bytes());
    head[60..62].copy_from_slice(&(from.len() as u16).to_le_bytes());
    head[62..64].copy_from_slice(&(topic.len() as u16).to_le_bytes());
    out.extend_from_slice(&head);
    for text in [stream, client_id, username, from, topic] {
        out.extend_from_slice(text.as_bytes());
    }
    if let EventData::Connected { keepalive, proto_ver, ip, .. } = event.data {
        put_u16(out, keepalive);
        out.push(proto_ver);
        match ip {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
    } else {
        out.extend_from_slice(payload);
    }
}

/// The name of the stream of a record that a core has encoded, and the length of the whole entry.
pub(crate) fn record_stream(entry: &[u8]) -> Option<(&[u8], usize)> {
    let mut input = Input::new(entry.get(4..)?);
    let len = usize::try_from(input.u32()?).ok()?.checked_add(PREFIX)?;
    let name = usize::from(*entry.get(52)?);
    let name = entry.get(RECORD_FIXED..RECORD_FIXED.checked_add(name)?)?;
    Some((name, len))
}

/// Says which core took the record. Call it before [`number_record`], whose CRC covers it.
pub(crate) fn set_core(entry: &mut [u8], core: u8) {
    put_at(entry, CORE_AT, &[core]);
}

/// Fills in what only the log thread knows, and the CRC.
pub(crate) fn number_record(entry: &mut [u8], seed: u32, run: u32, sequence: u64, offset: u64) {
    put_at(entry, 12, &run.to_le_bytes());
    put_at(entry, 16, &sequence.to_le_bytes());
    put_at(entry, 24, &offset.to_le_bytes());
    let crc = crc32c::crc32c_append(seed, from(entry, 4));
    put_at(entry, 0, &crc.to_le_bytes());
}

/// Appends a control entry of `kind` whose fields `fields` writes.
fn append_control(out: &mut Vec<u8>, id: u64, kind: u8, fields: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_u64(out, 0);
    out.push(kind);
    fields(out);
    let len = (out.len() - start - PREFIX) as u32;
    put_at(out, start + 4, &len.to_le_bytes());
    let crc = crc32c::crc32c_append(crc_seed(id), from(out, start + 4));
    put_at(out, start, &crc.to_le_bytes());
}

/// Appends the next offset of every stream.
pub(crate) fn append_stream_table<'a>(
    out: &mut Vec<u8>,
    id: u64,
    streams: impl ExactSizeIterator<Item = (&'a str, u64)>,
) {
    append_control(out, id, STREAM_TABLE, |out| {
        put_u32(out, streams.len() as u32);
        for (name, next_offset) in streams {
            put_str8(out, name);
            put_u64(out, next_offset);
        }
    });
}

/// Appends the start of a run.
pub(crate) fn append_run_start(out: &mut Vec<u8>, id: u64, start: RunStart) {
    append_control(out, id, RUN_START, |out| {
        put_u32(out, start.run);
        put_u64(out, start.started_ms);
        put_u64(out, start.previous_end);
        out.push(u8::from(start.previous_clean));
    });
}

/// The entry that begins a run, and is repeated at the start of each of its segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunStart {
    pub(crate) run: u32,
    pub(crate) started_ms: u64,
    /// The sequence at which the run before ended.
    pub(crate) previous_end: u64,
    pub(crate) previous_clean: bool,
}

/// A record as it stands in the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stored<'a> {
    pub(crate) run: u32,
    pub(crate) sequence: u64,
    pub(crate) offset: u64,
    pub(crate) stream: &'a str,
    pub(crate) key: &'a str,
    pub(crate) event: Event<'a>,
}

/// An entry read back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry<'a> {
    Record(Stored<'a>),
    StreamTable(Vec<(&'a str, u64)>),
    RunStart(RunStart),
    Control(Control),
    /// Of a kind this version does not know.
    Unknown,
}

/// Walks over the entries of a body. `None` stands for one whose CRC or fields are wrong; the
/// walk goes on behind it where its length still leads to another entry, and ends otherwise.
pub(crate) struct Entries<'a> {
    rest: &'a [u8],
    seed: u32,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(body: &'a [u8], id: u64) -> Entries<'a> {
        Entries { rest: body, seed: crc_seed(id) }
    }

    /// The bytes of the entries that are still to come.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Option<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut input = Input::new(self.rest);
        let split = (|| {
            let crc = input.u32()?;
            let len = usize::try_from(input.u32()?).ok()?.checked_add(PREFIX)?;
            Some((crc, self.rest.split_at_checked(len)?))
        })();
        let Some((crc, (entry, rest))) = split else {
            self.rest = &[];
            return Some(None);
        };
        self.rest = rest;
        let covered = entry.get(4..).unwrap_or_default();
        if crc32c::crc32c_append(self.seed, covered) != crc {
            return Some(None);
        }
        Some(decode(entry))
    }
}

fn decode(entry: &[u8]) -> Option<Entry<'_>> {
    let mut input = Input::new(entry.get(PREFIX..)?);
    let kind = input.u8()?;
    match kind {
        RECORD => decode_record(entry).map(Entry::Record),
        STREAM_TABLE => {
            let mut streams = Vec::new();
            for _ in 0..input.u32()? {
                streams.push((input.str8()?, input.u64()?));
            }
            Some(Entry::StreamTable(streams))
        }
        RUN_START => Some(Entry::RunStart(RunStart {
            run: input.u32()?,
            started_ms: input.u64()?,
            previous_end: input.u64()?,
            previous_clean: input.u8()? != 0,
        })),
        _ => control::decode(kind, input),
    }
}

/// Reads a record entry without its CRC, which has been checked.
fn decode_record(entry: &[u8]) -> Option<Stored<'_>> {
    let mut input = Input::new(entry.get(PREFIX + 1..)?);
    let kind = EventKind::from_code(input.u8()?)?;
    let (qos, flags) = (input.u8()?, input.u8()?);
    let run = input.u32()?;
    let (sequence, offset, ts_ms) = (input.u64()?, input.u64()?, input.u64()?);
    let _hook = (input.u32()?, input.u32()?);
    let _target = input.u16()?;
    let packet_id = input.u16()?;
    let stream_len = usize::from(input.u8()?);
    let _core = input.u8()?;
    let mut lens = [0usize; 5];
    for len in &mut lens {
        *len = usize::from(input.u16()?);
    }
    let [key, client_id, username, from, topic] = lens;
    // Checked for UTF-8 as one, which is cheaper than one by one; a place in the middle of a
    // character makes no text.
    let mut texts = input.str([stream_len, key, client_id, username, from, topic].iter().sum())?;
    let mut text = |len| {
        let (text, rest) = texts.split_at_checked(len)?;
        texts = rest;
        Some(text)
    };
    let stream = text(stream_len)?;
    let key = text(key)?;
    let client_id = text(client_id)?;
    let username = text(username)?;
    let from = text(from)?;
    let topic = text(topic)?;
    let payload = input.rest();
    let data = match kind {
        EventKind::ClientConnected => decode_connected(payload, flags & FLAG_CLEAN_START != 0)?,
        EventKind::ClientDisconnected => EventData::Disconnected { reason: topic },
        EventKind::SessionSubscribed => EventData::Subscribed { filter: topic, qos },
        EventKind::SessionUnsubscribed => EventData::Unsubscribed { filter: topic, qos },
        EventKind::MessagePublish => EventData::Publish { topic, payload, qos, packet_id },
        EventKind::MessageDeliver => EventData::Deliver { from, topic, payload, qos },
        EventKind::MessageAcked => EventData::Acked { from, topic, payload, qos },
    };
    let key = if flags & FLAG_KEY_IS_CLIENT_ID != 0 { client_id } else { key };
    Some(Stored { run, sequence, offset, stream, key, event: Event { ts_ms, client_id, username, data } })
}

fn decode_connected(bytes: &[u8], clean_start: bool) -> Option<EventData<'static>> {
    let mut input = Input::new(bytes);
    let keepalive = input.u16()?;
    let proto_ver = input.u8()?;
    let address = input.rest();
    let ip = match address.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
        _ => return None,
    };
    Some(EventData::Connected { keepalive, proto_ver, clean_start, ip })
}

#[cfg(test)]
mod tests;
