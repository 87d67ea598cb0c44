//! The byte stream under one connection.

#[cfg(any(test, feature = "sim"))]
use super::memory::Wire;
#[cfg(any(test, feature = "simulation"))]
use super::network::Plug;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::io::{self, Read, Write};
use std::net::Shutdown;

/// A non-blocking byte stream, registered with one core's poll at a time.
pub struct Transport(Kind);

enum Kind {
    Tcp(TcpStream),
    /// Both ends in this process; its events are not the poll's.
    #[cfg(any(test, feature = "sim"))]
    Memory(Wire),
    /// To a client of a simulation.
    #[cfg(any(test, feature = "simulation"))]
    Faulty(Plug),
}

impl Transport {
    /// Over an accepted TCP connection.
    pub fn tcp(stream: TcpStream) -> Transport {
        Transport(Kind::Tcp(stream))
    }

    /// To a client in this process.
    #[cfg(any(test, feature = "sim"))]
    pub fn memory(wire: Wire) -> Transport {
        Transport(Kind::Memory(wire))
    }

    /// To a client of a simulation.
    #[cfg(any(test, feature = "simulation"))]
    pub fn faulty(plug: Plug) -> Transport {
        Transport(Kind::Faulty(plug))
    }

    /// Registers for both directions at once and for good: events are edge-triggered, so one for writing only comes
    /// after a write that did not fit.
    ///
    /// # Errors
    /// What the system says.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.0 {
            Kind::Tcp(stream) => registry.register(stream, token, Interest::READABLE | Interest::WRITABLE),
            #[cfg(any(test, feature = "sim"))]
            Kind::Memory(wire) => {
                wire.register(token);
                Ok(())
            }
            #[cfg(any(test, feature = "simulation"))]
            Kind::Faulty(plug) => {
                plug.register(token);
                Ok(())
            }
        }
    }

    /// Takes it off this core's poll, before it moves to another core.
    ///
    /// # Errors
    /// What the system says.
    pub fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match &mut self.0 {
            Kind::Tcp(stream) => registry.deregister(stream),
            #[cfg(any(test, feature = "sim"))]
            Kind::Memory(wire) => {
                wire.deregister();
                Ok(())
            }
            #[cfg(any(test, feature = "simulation"))]
            Kind::Faulty(plug) => {
                plug.deregister();
                Ok(())
            }
        }
    }

    /// Says that no more bytes will come; the peer still gets what was written before.
    pub fn finish(&self) {
        match &self.0 {
            Kind::Tcp(stream) => {
                // An error means that the peer is gone already.
                let _ = stream.shutdown(Shutdown::Write);
            }
            #[cfg(any(test, feature = "sim"))]
            Kind::Memory(wire) => wire.finish(),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Faulty(plug) => plug.finish(),
        }
    }
}

impl Read for Transport {
    #[inline]
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Tcp(stream) => stream.read(bytes),
            #[cfg(any(test, feature = "sim"))]
            Kind::Memory(wire) => wire.read(bytes),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Faulty(plug) => plug.read(bytes),
        }
    }
}

impl Write for Transport {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Tcp(stream) => stream.write(bytes),
            #[cfg(any(test, feature = "sim"))]
            Kind::Memory(wire) => wire.write(bytes),
            #[cfg(any(test, feature = "simulation"))]
            Kind::Faulty(plug) => plug.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Tcp(stream) => stream.write_vectored(slices),
            #[cfg(any(test, feature = "sim"))]
            Kind::Memory(wire) => match slices.iter().find(|slice| !slice.is_empty()) {
                Some(first) => wire.write(first),
                None => Ok(0),
            },
            #[cfg(any(test, feature = "simulation"))]
            Kind::Faulty(plug) => match slices.iter().find(|slice| !slice.is_empty()) {
                Some(first) => plug.write(first),
                None => Ok(0),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
