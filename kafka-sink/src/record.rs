//! The JSON value of an event, byte for byte what consumers parse.
//!
//! Written by the log's reader and by the way into Kafka; [`value_len`] is asked by the cores
//! before an event may reach a ring. Field order is part of the format and never changes. Strings
//! are escaped as `serde_json` escapes them; a payload is standard padded base64.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::event::{Event, EventData};

/// Appends the JSON value of `event` to `out`. `node` is the `name@host` of the broker that saw it.
pub fn write_value(out: &mut Vec<u8>, event: &Event<'_>, node: &str) {
    out.reserve(value_len(event, node));
    out.extend_from_slice(b"{\"client_id\":");
    write_string(out, event.client_id);
    write_text(out, "username", event.username);
    match event.data {
        EventData::Connected { keepalive, proto_ver, clean_start, ip } => {
            write_origin(out, node, event.ts_ms);
            write_number(out, "keepalive", u64::from(keepalive));
            write_number(out, "proto_ver", u64::from(proto_ver));
            out.extend_from_slice(b",\"clean_start\":");
            out.extend_from_slice(if clean_start { b"true" } else { b"false" });
            // Writing into a `Vec` cannot fail.
            let _ = write!(out, ",\"ip\":\"{ip}\"");
        }
        EventData::Disconnected { reason } => {
            write_text(out, "reason", reason);
            write_origin(out, node, event.ts_ms);
        }
        EventData::Subscribed { filter, qos } | EventData::Unsubscribed { filter, qos } => {
            write_text(out, "topic", filter);
            write_number(out, "qos", u64::from(qos));
            write_origin(out, node, event.ts_ms);
        }
        EventData::Publish { topic, payload, qos, .. } => {
            write_message(out, topic, payload, qos);
            write_origin(out, node, event.ts_ms);
        }
        EventData::Deliver { from, topic, payload, qos } | EventData::Acked { from, topic, payload, qos } => {
            write_text(out, "from", from);
            write_message(out, topic, payload, qos);
            write_origin(out, node, event.ts_ms);
        }
    }
    out.push(b'}');
}

/// Length in bytes of what [`write_value`] writes: exact, so that the door refuses exactly what
/// is larger than a rule's `max_record_bytes`. Reads the strings, not the payload.
pub fn value_len(event: &Event<'_>, node: &str) -> usize {
    // {"client_id": ,"username": ,"node": ,"ts": }
    let common = 13
        + string_len(event.client_id)
        + field_len("username", string_len(event.username))
        + field_len("node", string_len(node))
        + field_len("ts", digits(event.ts_ms))
        + 1;
    let message = |topic, payload: &[u8], qos: u8| {
        // Saturating: a slice is at most isize::MAX bytes long, its base64 may not fit.
        let encoded = payload.len().div_ceil(3).saturating_mul(4);
        field_len("topic", string_len(topic))
            .saturating_add(field_len("payload", 2).saturating_add(encoded))
            .saturating_add(field_len("qos", digits(u64::from(qos))))
    };
    let own = match event.data {
        EventData::Connected { keepalive, proto_ver, clean_start, ip } => {
            field_len("keepalive", digits(u64::from(keepalive)))
                + field_len("proto_ver", digits(u64::from(proto_ver)))
                + field_len("clean_start", if clean_start { 4 } else { 5 })
                + field_len("ip", 2 + ip.to_string().len())
        }
        EventData::Disconnected { reason } => field_len("reason", string_len(reason)),
        EventData::Subscribed { filter, qos } | EventData::Unsubscribed { filter, qos } => {
            field_len("topic", string_len(filter)) + field_len("qos", digits(u64::from(qos)))
        }
        EventData::Publish { topic, payload, qos, .. } => message(topic, payload, qos),
        EventData::Deliver { from, topic, payload, qos } | EventData::Acked { from, topic, payload, qos } => {
            field_len("from", string_len(from)).saturating_add(message(topic, payload, qos))
        }
    };
    common.saturating_add(own)
}

fn write_message(out: &mut Vec<u8>, topic: &str, payload: &[u8], qos: u8) {
    write_text(out, "topic", topic);
    out.extend_from_slice(b",\"payload\":\"");
    write_base64(out, payload);
    out.push(b'"');
    write_number(out, "qos", u64::from(qos));
}

fn write_origin(out: &mut Vec<u8>, node: &str, ts_ms: u64) {
    write_text(out, "node", node);
    write_number(out, "ts", ts_ms);
}

fn write_text(out: &mut Vec<u8>, name: &str, value: &str) {
    write_name(out, name);
    write_string(out, value);
}

fn write_number(out: &mut Vec<u8>, name: &str, value: u64) {
    write_name(out, name);
    let _ = write!(out, "{value}");
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn write_base64(out: &mut Vec<u8>, payload: &[u8]) {
    // A multiple of three, so that only the last chunk is padded.
    let mut buffer = [0u8; 1024];
    for chunk in payload.chunks(768) {
        if let Ok(written) = STANDARD.encode_slice(chunk, &mut buffer) {
            out.extend_from_slice(buffer.get(..written).unwrap_or_default());
        }
    }
}

/// How a byte stands in a JSON string: as it is, after a backslash, or as `\u00xx`.
#[derive(Clone, Copy)]
enum Escape {
    None,
    Short(u8),
    Unicode,
}

fn escape(byte: u8) -> Escape {
    match byte {
        b'"' | b'\\' => Escape::Short(byte),
        0x08 => Escape::Short(b'b'),
        0x09 => Escape::Short(b't'),
        0x0a => Escape::Short(b'n'),
        0x0c => Escape::Short(b'f'),
        0x0d => Escape::Short(b'r'),
        0x00..0x20 => Escape::Unicode,
        _ => Escape::None,
    }
}

/// Appends `text` as a JSON string.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    if string_len(text) == text.len() + 2 {
        out.extend_from_slice(text.as_bytes());
    } else {
        for &byte in text.as_bytes() {
            match escape(byte) {
                Escape::None => out.push(byte),
                Escape::Short(letter) => out.extend_from_slice(&[b'\\', letter]),
                Escape::Unicode => {
                    let low = HEX.get(usize::from(byte & 0x0f)).copied().unwrap_or(b'0');
                    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), low]);
                }
            }
        }
    }
    out.push(b'"');
}

/// Length of the string with its quotes and escapes.
fn string_len(text: &str) -> usize {
    let more: usize = text
        .bytes()
        .map(|byte| match escape(byte) {
            Escape::None => 0,
            Escape::Short(_) => 1,
            Escape::Unicode => 5,
        })
        .sum();
    text.len() + 2 + more
}

/// Length of `,"name":` and a value of `value` bytes.
fn field_len(name: &str, value: usize) -> usize {
    name.len() + 4 + value
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests;
