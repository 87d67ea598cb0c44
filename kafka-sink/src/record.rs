//! The JSON value of an event, byte for byte what consumers parse.
//!
//! Written by the log's reader and by the way into Kafka; [`value_len`] is asked by the cores
//! before an event may reach a ring. Field order is part of the format and never changes. Strings
//! are escaped as `serde_json` escapes them; a payload is standard padded base64.

use std::io::Write as _;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::sync::LazyLock;

use base64::Engine as _;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use base64::engine::general_purpose::PAD;

use crate::event::{Event, EventData};

/// What stands before a number, and before a text: literals, whose length and bytes the compiler knows.
macro_rules! number {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
macro_rules! text {
    ($name:literal) => {
        concat!(",\"", $name, "\":\"")
    };
}

/// Appends the JSON value of `event` to `out`. `node` is the `name@host` of the broker that saw it.
pub fn write_value(out: &mut Vec<u8>, event: &Event<'_>, node: &str) {
    out.reserve(unescaped_len(event, node));
    append_value(out, event, node);
}

/// [`write_value`] where there is room already.
pub(crate) fn append_value(out: &mut Vec<u8>, event: &Event<'_>, node: &str) {
    out.extend_from_slice(b"{\"client_id\":\"");
    write_string(out, event.client_id);
    write_text(out, text!("username"), event.username);
    match event.data {
        EventData::Connected { keepalive, proto_ver, clean_start, ip } => {
            write_origin(out, node, event.ts_ms);
            write_number(out, number!("keepalive"), u64::from(keepalive));
            write_number(out, number!("proto_ver"), u64::from(proto_ver));
            write_name(out, number!("clean_start"));
            out.extend_from_slice(if clean_start { b"true" } else { b"false" });
            write_name(out, text!("ip"));
            // Writing into a `Vec` cannot fail.
            let _ = write!(out, "{ip}\"");
        }
        EventData::Disconnected { reason } => {
            write_text(out, text!("reason"), reason);
            write_origin(out, node, event.ts_ms);
        }
        EventData::Subscribed { filter, qos } | EventData::Unsubscribed { filter, qos } => {
            write_text(out, text!("topic"), filter);
            write_number(out, number!("qos"), u64::from(qos));
            write_origin(out, node, event.ts_ms);
        }
        EventData::Publish { topic, payload, qos, .. } => {
            write_message(out, topic, payload, qos);
            write_origin(out, node, event.ts_ms);
        }
        EventData::Deliver { from, topic, payload, qos } | EventData::Acked { from, topic, payload, qos } => {
            write_text(out, text!("from"), from);
            write_message(out, topic, payload, qos);
            write_origin(out, node, event.ts_ms);
        }
    }
    out.push(b'}');
}

/// Length in bytes of what [`write_value`] writes: exact, so that the door refuses exactly what
/// is larger than a rule's `max_record_bytes`. Reads the strings, not the payload.
pub fn value_len(event: &Event<'_>, node: &str) -> usize {
    json_len(event, node, escaped_len)
}

/// [`value_len`] if no text needs an escape, and less than it otherwise. Reads no text.
pub(crate) fn unescaped_len(event: &Event<'_>, node: &str) -> usize {
    json_len(event, node, str::len)
}

fn json_len(event: &Event<'_>, node: &str, string_len: impl Fn(&str) -> usize) -> usize {
    // {"client_id":" and }; a quote behind each of client id, user name and node.
    let common = 15
        + string_len(event.client_id)
        + 3
        + text!("username").len()
        + string_len(event.username)
        + text!("node").len()
        + string_len(node)
        + number!("ts").len()
        + digits(event.ts_ms);
    let message = |topic, payload: &[u8], qos: u8| {
        // Saturating: a slice is at most isize::MAX bytes long, its base64 may not fit.
        base64_len(payload)
            .saturating_add(text!("topic").len() + string_len(topic) + 1)
            .saturating_add(text!("payload").len() + 1)
            .saturating_add(number!("qos").len() + digits(u64::from(qos)))
    };
    let own = match event.data {
        EventData::Connected { keepalive, proto_ver, clean_start, ip } => {
            number!("keepalive").len()
                + digits(u64::from(keepalive))
                + number!("proto_ver").len()
                + digits(u64::from(proto_ver))
                + number!("clean_start").len()
                + if clean_start { 4 } else { 5 }
                + text!("ip").len()
                + 1
                + ip.to_string().len()
        }
        EventData::Disconnected { reason } => text!("reason").len() + string_len(reason) + 1,
        EventData::Subscribed { filter, qos } | EventData::Unsubscribed { filter, qos } => {
            text!("topic").len() + string_len(filter) + 1 + number!("qos").len() + digits(u64::from(qos))
        }
        EventData::Publish { topic, payload, qos, .. } => message(topic, payload, qos),
        EventData::Deliver { from, topic, payload, qos } | EventData::Acked { from, topic, payload, qos } => {
            message(topic, payload, qos).saturating_add(text!("from").len() + string_len(from) + 1)
        }
    };
    common.saturating_add(own)
}

fn write_message(out: &mut Vec<u8>, topic: &str, payload: &[u8], qos: u8) {
    write_text(out, text!("topic"), topic);
    write_name(out, text!("payload"));
    write_base64(out, payload);
    out.push(b'"');
    write_number(out, number!("qos"), u64::from(qos));
}

fn write_origin(out: &mut Vec<u8>, node: &str, ts_ms: u64) {
    write_text(out, text!("node"), node);
    write_number(out, number!("ts"), ts_ms);
}

#[inline]
fn write_text(out: &mut Vec<u8>, field: &str, value: &str) {
    write_name(out, field);
    write_string(out, value);
}

#[inline]
fn write_number(out: &mut Vec<u8>, field: &str, value: u64) {
    write_name(out, field);
    write_digits(out, value);
}

/// Inlined, a literal is a few stores instead of a call of memcpy.
#[inline(always)]
fn write_name(out: &mut Vec<u8>, field: &str) {
    out.extend_from_slice(field.as_bytes());
}

fn write_base64(out: &mut Vec<u8>, payload: &[u8]) {
    let start = out.len();
    out.resize(start.saturating_add(base64_len(payload)), 0);
    // It has exactly the length that it needs.
    let _ = BASE64.encode_slice(payload, out.get_mut(start..).unwrap_or_default());
}

fn base64_len(payload: &[u8]) -> usize {
    payload.len().div_ceil(3).saturating_mul(4)
}

/// Standard, padded; with the vector instructions that the processor turns out to have.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static BASE64: LazyLock<base64::engine::Simd> = LazyLock::new(|| base64::engine::Simd::standard(PAD));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static BASE64: base64::engine::GeneralPurpose = base64::engine::general_purpose::STANDARD;

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

/// Whether any byte needs an escape: eight bytes at a time, by the tests for a zero byte and for a
/// byte below a bound that need no loop over the bytes of a word.
fn needs_escape(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
    const CONTROLS_END: u64 = u64::from_ne_bytes([0x20; 8]);
    const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
    let found = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        let quote = (word ^ QUOTES).wrapping_sub(ONES);
        let backslash = (word ^ BACKSLASHES).wrapping_sub(ONES);
        let control = word.wrapping_sub(CONTROLS_END);
        // A borrow out of a byte comes from one that is found anyway.
        (quote | backslash | control) & !word & HIGH_BITS
    };
    let (words, tail) = text.as_chunks::<8>();
    // The last word again covers the tail.
    let tail_found = match text.last_chunk::<8>() {
        Some(last) => found(last),
        None => u64::from(tail.iter().any(|&byte| !matches!(escape(byte), Escape::None))),
    };
    words.iter().fold(tail_found, |all, word| all | found(word)) != 0
}

/// Appends `text` as a JSON string.
pub(crate) fn write_json(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_string(out, text);
}

/// Appends the text and the quote behind it.
fn write_string(out: &mut Vec<u8>, text: &str) {
    if needs_escape(text.as_bytes()) {
        write_escaped(out, text);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
}

#[cold]
fn write_escaped(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
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

/// Length of the text with its escapes.
fn escaped_len(text: &str) -> usize {
    if !needs_escape(text.as_bytes()) {
        return text.len();
    }
    let more: usize = text
        .bytes()
        .map(|byte| match escape(byte) {
            Escape::None => 0,
            Escape::Short(_) => 1,
            Escape::Unicode => 5,
        })
        .sum();
    text.len() + more
}

fn write_digits(out: &mut Vec<u8>, number: u64) {
    if let Ok(digit @ 0..10) = u8::try_from(number) {
        out.push(b'0' + digit);
        return;
    }
    // u64::MAX has 20 digits.
    let mut buffer = [0u8; 24];
    let mut rest = number;
    for eight in buffer.as_chunks_mut().0.iter_mut().rev() {
        *eight = eight_digits(rest % 100_000_000);
        rest /= 100_000_000;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(buffer.get(buffer.len() - digits(number)..).unwrap_or_default());
}

/// The digits of a number below 10^8, in ASCII, without a division for each: first both halves side
/// by side in one word, then their halves, then the digits. `x * 10486 >> 20` is `x / 100` for
/// every x below 10,000, `x * 103 >> 10` is `x / 10` for every x below 100.
fn eight_digits(number: u64) -> [u8; 8] {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | ((twos - tens * 10) << 8);
    (ones | 0x3030_3030_3030_3030).to_le_bytes()
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests;
