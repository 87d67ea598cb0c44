//! The language in which the vectors are written.
//!
//! ```text
//! 10 003C       bytes in hex, any number of pairs together
//! 61*300        the byte 0x61 three hundred times
//! 'abc'         the bytes of the text
//! "abc"         the text with its two bytes of length before it
//! [ ... ]       anything with two bytes of length before it
//! { ... }       anything with a variable byte integer of length before it
//! ```
//! So `30 { "a/b" 'payload' }` is a PUBLISH with QoS 0.

use std::iter::Peekable;
use std::str::Chars;

/// The bytes of a text in this language.
///
/// # Panics
/// If the text is not in the language: that is a mistake in a test.
#[must_use]
pub fn wire(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    let end = sequence(&mut chars, &mut out);
    assert!(end.is_none(), "unmatched {end:?} in {text:?}");
    out
}

/// Reads up to the end of the text or of the group, whose closing bracket it returns.
fn sequence(chars: &mut Peekable<Chars<'_>>, out: &mut Vec<u8>) -> Option<char> {
    while let Some(char) = chars.next() {
        match char {
            ' ' | '\n' => {}
            '"' => length_16(until(chars, '"').as_bytes(), out),
            '\'' => out.extend_from_slice(until(chars, '\'').as_bytes()),
            '[' => length_16(&group(chars, ']'), out),
            '{' => {
                let body = group(chars, '}');
                let pushed = crate::push_varint(body.len(), out);
                assert!(pushed.is_ok(), "group too long");
                out.extend_from_slice(&body);
            }
            ']' | '}' => return Some(char),
            high => hex(high, chars, out),
        }
    }
    None
}

fn group(chars: &mut Peekable<Chars<'_>>, close: char) -> Vec<u8> {
    let mut body = Vec::new();
    let end = sequence(chars, &mut body);
    assert_eq!(end, Some(close), "group not closed");
    body
}

fn until(chars: &mut Peekable<Chars<'_>>, close: char) -> String {
    chars.by_ref().take_while(|&char| char != close).collect()
}

fn length_16(bytes: &[u8], out: &mut Vec<u8>) {
    let pushed = crate::write::binary(bytes, out);
    assert!(pushed.is_ok(), "group too long");
}

fn hex(high: char, chars: &mut Peekable<Chars<'_>>, out: &mut Vec<u8>) {
    let pair: String = [Some(high), chars.next()].into_iter().flatten().collect();
    let byte = u8::from_str_radix(&pair, 16);
    assert!(byte.is_ok(), "not hex: {pair:?}");
    let mut count = String::new();
    if chars.next_if_eq(&'*').is_some() {
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            count.push(digit);
        }
    }
    let count = if count.is_empty() { 1 } else { count.parse().unwrap_or(0) };
    out.extend(std::iter::repeat_n(byte.unwrap_or(0), count));
}
