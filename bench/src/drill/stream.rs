//! The stream as a consumer sees it, its records turned into payloads: `millrace consume --json` as a child process, or
//! what is in Kafka.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::broker::{Broker, Running};
use super::kafka;

/// The stream that the default hook on `devices/+/state` fills.
const STREAM: &str = "message_state";

/// A reader of the stream.
pub(super) struct Consumer {
    /// `millrace consume`, if that is it.
    child: Option<Running>,
    /// Each a JSON object with one record's payload. An error is the last.
    lines: Receiver<Result<Vec<u8>, String>>,
}

/// What came of waiting for a record.
pub(super) enum Next {
    /// The payload of the record; `None` if the line is not one of a published message.
    Payload(Option<Vec<u8>>),
    /// Nothing came in time.
    Quiet,
}

impl Consumer {
    /// Reads the log from the beginning.
    pub(super) fn of_log(broker: &Broker) -> Result<Consumer, String> {
        let args = ["consume", STREAM, "--from-beginning", "--json"];
        let mut command = broker.command(&args);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start `{} consume`: {error}", broker.program()))?;
        let Some(stdout) = child.stdout.take() else { return Err("no standard output".to_owned()) };
        let (sender, lines) = mpsc::sync_channel(1024);
        thread::spawn(move || read_lines(stdout, &sender));
        Ok(Consumer { child: Some(Running(child)), lines })
    }

    /// Reads the topic from the beginning.
    pub(super) fn of_kafka(servers: &str, topic: &str) -> Consumer {
        let servers = servers.split(',').map(|server| server.trim().to_owned()).collect();
        let topic = topic.to_owned();
        let (sender, lines) = mpsc::sync_channel(1024);
        thread::spawn(move || kafka::read(servers, &topic, &sender));
        Consumer { child: None, lines }
    }

    /// Waits for the next record.
    pub(super) fn next(&mut self, wait: Duration) -> Result<Next, String> {
        match self.lines.recv_timeout(wait) {
            Ok(line) => line.map(|line| Next::Payload(payload(&line))),
            Err(RecvTimeoutError::Timeout) => Ok(Next::Quiet),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.as_mut().map(|child| child.0.wait());
                Err(format!("the stream's reader ended by itself: {status:?}"))
            }
        }
    }
}

fn read_lines(stdout: ChildStdout, lines: &mpsc::SyncSender<Result<Vec<u8>, String>>) {
    for line in BufReader::new(stdout).split(b'\n') {
        // Whoever reads the channel learns of the end by its closing.
        if !line.is_ok_and(|line| lines.send(Ok(line)).is_ok()) {
            return;
        }
    }
}

/// The payload in a line: the first `"payload"`, since what stands before it in a record of this drill is names made of
/// letters, digits and `-`.
fn payload(line: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(line).ok()?;
    let (_, rest) = text.split_once(r#""payload":""#)?;
    let (base64, _) = rest.split_once('"')?;
    decode_base64(base64)
}

/// Standard base64 with its padding; `None` if it is anything else.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let value = |byte: u8| {
        Some(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for byte in digits.bytes() {
        bits = bits << 6 | u32::from(value(byte)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    // What is left over is padding, and zero.
    (bits == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64() {
        let cases: &[(&str, Option<&[u8]>)] = &[
            ("", Some(b"")),
            ("Zg==", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9vYg==", Some(b"foob")),
            ("Zm9vYmE=", Some(b"fooba")),
            ("Zm9vYmFy", Some(b"foobar")),
            ("+/+/", Some(&[0xfb, 0xff, 0xbf])),
            ("AP8A", Some(&[0, 0xff, 0])),
            ("Zg", None),
            ("Zg=", None),
            ("Zh==", None),
            ("Z===", None),
            ("Zm-v", None),
            ("Zm9v\n", None),
        ];
        for (text, expected) in cases {
            assert_eq!(decode_base64(text).as_deref(), *expected, "{text}");
        }
    }

    #[test]
    fn lines() {
        let cases: &[(&str, Option<&[u8]>)] = &[
            (
                r#"{"topic":"message_state","offset":0,"ts":1,"key":"drill-0","value":{"client_id":"drill-0","username":"","topic":"devices/drill-0/state","payload":"Zm9v","qos":1,"node":"n@h","ts":1},"headers":{}}"#,
                Some(b"foo"),
            ),
            (r#"{"value":{"payload":"Zm9"}}"#, None),
            (r#"{"value":{}}"#, None),
            (r#"{"value":{"payload":"Zm9v"#, None),
            ("", None),
        ];
        for (line, expected) in cases {
            assert_eq!(payload(line.as_bytes()).as_deref(), *expected, "{line}");
        }
    }
}
