//! What the drill publishes: a payload that says who sent it in which attempt, and of which every byte can be checked.

use super::check::Attempt;

/// Payloads end with up to this many dots, so that records differ in length.
const PADDING_MAX: u64 = 300;

/// The drill, publisher and attempt that a payload stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    /// Which drill: its records are told from others in the same stream.
    pub(super) drill: u64,
    pub(super) publisher: usize,
    pub(super) attempt: Attempt,
}

/// What a record's payload is to this drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// One of its messages.
    Ours(usize, Attempt),
    /// One of its messages, not as it was sent.
    Damaged,
    /// Somebody else's.
    Foreign,
}

impl Message {
    pub(super) fn payload(&self) -> String {
        let Attempt { connection, sequence } = self.attempt;
        let padding = ".".repeat((sequence.wrapping_mul(0x9e37_79b9) % PADDING_MAX) as usize);
        format!("{}{} {connection} {sequence} {padding}", prefix(self.drill), self.publisher)
    }
}

fn prefix(drill: u64) -> String {
    format!("drill {drill:016x} ")
}

/// Reads a payload back.
pub(super) fn content(drill: u64, payload: &[u8]) -> Content {
    let Some(rest) = payload.strip_prefix(prefix(drill).as_bytes()) else { return Content::Foreign };
    let parse = || {
        let mut words = str::from_utf8(rest).ok()?.split(' ');
        let publisher = words.next()?.parse().ok()?;
        let connection = words.next()?.parse().ok()?;
        let sequence = words.next()?.parse().ok()?;
        Some(Message { drill, publisher, attempt: Attempt { connection, sequence } })
    };
    match parse() {
        Some(message) if message.payload().as_bytes() == payload => {
            Content::Ours(message.publisher, message.attempt)
        }
        _ => Content::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_shows() {
        for sequence in [0, 1, 299, 300, 1_000_000] {
            let attempt = Attempt { connection: 3, sequence };
            let payload = Message { drill: 5, publisher: 2, attempt }.payload();
            assert_eq!(content(5, payload.as_bytes()), Content::Ours(2, attempt));
            assert_eq!(content(6, payload.as_bytes()), Content::Foreign);
            for at in 0..payload.len() {
                let mut bytes = payload.clone().into_bytes();
                bytes[at] = b'x';
                assert_ne!(content(5, &bytes), Content::Ours(2, attempt), "{at} of {payload}");
                assert_ne!(
                    content(5, &payload.as_bytes()[..at]),
                    Content::Ours(2, attempt),
                    "{at} of {payload}"
                );
            }
        }
    }
}
