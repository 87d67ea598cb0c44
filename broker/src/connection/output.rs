//! What waits to be written to one connection: small messages copied one after the other, large ones shared.
//! Filled by delivery and replies all through a turn, written once at its end. Exists only while there is something
//! to write, so an idle connection owns none.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};

/// Slices a vectored write takes at once.
const SLICES: usize = 32;
/// A buffer that grew beyond this is not kept for reuse.
const KEEP_BYTES: usize = 64 << 10;

struct Shared {
    /// The shared bytes follow after `copied[..at]`.
    at: usize,
    bytes: Bytes,
}

/// Bytes to write, in order.
#[derive(Default)]
pub struct Output {
    copied: Vec<u8>,
    sent: usize,
    shared: VecDeque<Shared>,
    shared_bytes: usize,
}

impl Output {
    /// Where small things are appended.
    #[inline]
    pub fn copied(&mut self) -> &mut Vec<u8> {
        &mut self.copied
    }

    /// Appends bytes without copying them.
    pub fn share(&mut self, bytes: Bytes) {
        self.shared_bytes += bytes.len();
        self.shared.push_back(Shared { at: self.copied.len(), bytes });
    }

    /// Bytes that wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.copied.len() - self.sent + self.shared_bytes
    }

    /// Writes until everything is out (`true`) or the socket takes no more (`false`).
    ///
    /// # Errors
    /// What the socket says, but for `WouldBlock` and `Interrupted`.
    pub fn write_to(&mut self, stream: &mut impl Write) -> io::Result<bool> {
        while self.len() > 0 {
            match self.write_once(stream) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.compact();
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn write_once(&self, stream: &mut impl Write) -> io::Result<usize> {
        if self.shared.is_empty() {
            return stream.write(&self.copied[self.sent..]);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (mut used, mut from) = (0, self.sent);
        for shared in self.shared.iter().take(SLICES / 2 - 1) {
            if from < shared.at {
                slices[used] = IoSlice::new(&self.copied[from..shared.at]);
                from = shared.at;
                used += 1;
            }
            slices[used] = IoSlice::new(&shared.bytes);
            used += 1;
        }
        if self.shared.len() < SLICES / 2 && from < self.copied.len() {
            slices[used] = IoSlice::new(&self.copied[from..]);
            used += 1;
        }
        stream.write_vectored(&slices[..used])
    }

    fn advance(&mut self, mut written: usize) {
        while written > 0 {
            let next_shared = self.shared.front().map_or(self.copied.len(), |shared| shared.at);
            let step = written.min(next_shared - self.sent);
            self.sent += step;
            written -= step;
            let Some(shared) = self.shared.front_mut().filter(|_| written > 0) else { continue };
            let step = written.min(shared.bytes.len());
            shared.bytes.advance(step);
            self.shared_bytes -= step;
            written -= step;
            if shared.bytes.is_empty() {
                self.shared.pop_front();
            }
        }
    }

    /// Drops what has been written, so that a slow reader's buffer holds what waits and no more.
    fn compact(&mut self) {
        if self.sent * 2 < self.copied.len() {
            return;
        }
        self.copied.drain(..self.sent);
        for shared in &mut self.shared {
            shared.at -= self.sent;
        }
        self.sent = 0;
    }

    /// Makes an emptied buffer ready for the next connection; `false` when it is not worth keeping.
    pub fn recycle(&mut self) -> bool {
        self.copied.clear();
        self.sent = 0;
        self.shared.clear();
        self.shared_bytes = 0;
        self.copied.capacity() <= KEEP_BYTES && self.shared.capacity() <= SLICES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes a given number of bytes a call, then blocks once.
    struct Stutter {
        steps: Vec<usize>,
        got: Vec<u8>,
    }

    impl Write for Stutter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.steps.pop() {
                None => {
                    self.got.extend_from_slice(bytes);
                    Ok(bytes.len())
                }
                Some(0) => Err(ErrorKind::WouldBlock.into()),
                Some(step) => {
                    let step = step.min(bytes.len());
                    self.got.extend_from_slice(&bytes[..step]);
                    Ok(step)
                }
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn bytes_come_out_whole_and_in_order(
            parts in proptest::collection::vec((any::<bool>(), 1usize..40), 1..60),
            steps in proptest::collection::vec(0usize..50, 0..60),
        ) {
            let mut output = Output::default();
            let mut stream = Stutter { steps, got: Vec::new() };
            let mut expected = Vec::new();
            for (n, (share, len)) in parts.into_iter().enumerate() {
                let bytes = vec![n as u8; len];
                expected.extend_from_slice(&bytes);
                if share { output.share(Bytes::from(bytes)) } else { output.copied().extend_from_slice(&bytes) }
                if n % 3 == 0 {
                    output.write_to(&mut stream).unwrap();
                }
                prop_assert_eq!(output.len() + stream.got.len(), expected.len());
            }
            while !output.write_to(&mut stream).unwrap() {}
            prop_assert_eq!(stream.got, expected);
            prop_assert!(output.recycle());
            prop_assert_eq!(output.len(), 0);
        }
    }
}
