//! The byte stream under one connection.

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::io::{self, Read, Write};
use std::net::Shutdown;

/// A non-blocking byte stream, registered with one core's poll at a time.
pub struct Transport(TcpStream);

impl Transport {
    /// Over an accepted TCP connection.
    pub fn tcp(stream: TcpStream) -> Transport {
        Transport(stream)
    }

    /// Registers for both directions at once and for good: events are edge-triggered, so one for writing only comes
    /// after a write that did not fit.
    ///
    /// # Errors
    /// What the system says.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.0, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Takes it off this core's poll, before it moves to another core.
    ///
    /// # Errors
    /// What the system says.
    pub fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.0)
    }

    /// Says that no more bytes will come; the peer still gets what was written before.
    pub fn finish(&self) {
        // An error means that the peer is gone already.
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

impl Read for Transport {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
