//! What a message of ours carries: by whom and when it was sent, and which one it is. Read back exactly at the
//! subscriber, or in a record of Kafka.
//!
//! Little-endian: 8 bytes intended send time, 4 run, 4 stream, 6 sequence, 2 group; then filler up to the size.

/// Bytes of a [`Stamp`], so the smallest payload.
pub(crate) const BYTES: usize = 24;

/// What comes behind the stamp.
pub(crate) const FILLER: u8 = b'x';

/// Sequence numbers have 48 bits: a million messages a second for nine years.
const SEQUENCE_BITS: u32 = 48;

/// The head of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// When it was to be sent, in nanoseconds of the monotonic clock (`clock::now_ns`).
    pub sent_ns: u64,
    /// The run's number, as in its plan.
    pub run: u32,
    /// Index of the publishing group in the plan.
    pub group: u16,
    /// Number of the stream in its group.
    pub stream: u32,
    /// Number of the message in its stream, from 0; below 2^48.
    pub sequence: u64,
}

impl Stamp {
    #[inline]
    pub(crate) fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&self.sent_ns.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.run.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.stream.to_le_bytes());
        let last = self.sequence | u64::from(self.group) << SEQUENCE_BITS;
        bytes[16..].copy_from_slice(&last.to_le_bytes());
        bytes
    }

    /// The stamp at the start of a payload; none of what is too short to have one. Whether it is one of ours is the
    /// caller's to see, by run, group, stream and the payload's length.
    #[inline]
    pub(crate) fn read(payload: &[u8]) -> Option<Stamp> {
        let bytes: &[u8; BYTES] = payload.first_chunk()?;
        let word = |at: usize| bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let (sent_ns, middle, last) = (word(0), word(8), word(16));
        Some(Stamp {
            sent_ns,
            run: middle as u32,
            stream: (middle >> 32) as u32,
            group: (last >> SEQUENCE_BITS) as u16,
            sequence: last & ((1 << SEQUENCE_BITS) - 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn what_is_written_is_read_back() {
        let mut random = Random::new(5);
        let edge = |random: &mut Random| match random.next() % 3 {
            0 => 0,
            1 => u64::MAX,
            _ => random.next(),
        };
        for _ in 0..10_000 {
            let stamp = Stamp {
                sent_ns: edge(&mut random),
                run: edge(&mut random) as u32,
                group: edge(&mut random) as u16,
                stream: edge(&mut random) as u32,
                sequence: edge(&mut random) >> 16,
            };
            let mut payload = stamp.to_bytes().to_vec();
            payload.resize(BYTES + (random.next() % 50) as usize, FILLER);
            assert_eq!(Stamp::read(&payload), Some(stamp));
            assert_eq!(Stamp::read(&payload[..BYTES - 1]), None);
        }
    }
}
