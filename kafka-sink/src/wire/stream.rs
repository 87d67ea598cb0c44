//! The stream under rskafka's messenger. It can be killed from outside, notices what it carries
//! if that is not Kafka's framing, and remembers why it ended.
//!
//! Killing matters: a messenger that is dropped leaves its socket open until its parts are gone,
//! and what waits in the kernel would still be appended by Kafka later.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::address::describe;

/// Length of the prefix that says how long a message is.
const PREFIX: usize = 4;

pub(super) struct Stream {
    shared: Arc<Mutex<State>>,
}

/// Ends the stream, and tells whether and why it has ended.
#[derive(Clone)]
pub(super) struct Switch {
    shared: Arc<Mutex<State>>,
}

struct State {
    /// `None` once it has ended.
    socket: Option<TcpStream>,
    /// Why it ended; set once.
    cause: Option<String>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// A message's prefix, held back so that it leaves with the message.
    held: Vec<u8>,
    framing: Framing,
}

/// Follows the incoming messages from length to length.
struct Framing {
    message_bytes_max: usize,
    prefix: [u8; PREFIX],
    /// How much of `prefix` has come.
    have: usize,
    /// Bytes of the message still to come.
    left: usize,
}

impl Framing {
    /// Whether what came can be Kafka's.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((&byte, after)) = bytes.split_first() {
            if self.left > 0 {
                let skip = self.left.min(bytes.len());
                self.left = self.left.saturating_sub(skip);
                bytes = bytes.get(skip..).unwrap_or_default();
                continue;
            }
            bytes = after;
            if let Some(place) = self.prefix.get_mut(self.have) {
                *place = byte;
            }
            self.have = self.have.saturating_add(1);
            if self.have == PREFIX {
                self.have = 0;
                let length = i32::from_be_bytes(self.prefix);
                match usize::try_from(length) {
                    // Every answer begins with four bytes that name its request.
                    Ok(length) if (PREFIX..=self.message_bytes_max).contains(&length) => self.left = length,
                    _ => return false,
                }
            }
        }
        true
    }
}

impl State {
    fn end(&mut self, cause: impl FnOnce() -> String) {
        self.cause.get_or_insert_with(cause);
        self.held.clear();
        self.socket = None;
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    fn ended(&self) -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionAborted, self.cause.clone().unwrap_or_default())
    }

    fn fail<T>(&mut self, error: &io::Error) -> Poll<io::Result<T>> {
        self.end(|| describe(error));
        Poll::Ready(Err(self.ended()))
    }

    /// Sends the prefix held back, with `bytes` behind it; how many of `bytes` left.
    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let Some(socket) = &mut self.socket else { return Poll::Ready(Err(self.ended())) };
            let socket = Pin::new(socket);
            let sent = if self.held.is_empty() {
                socket.poll_write(cx, bytes)
            } else {
                socket.poll_write_vectored(cx, &[IoSlice::new(&self.held), IoSlice::new(bytes)])
            };
            let sent = match sent {
                Poll::Ready(Ok(sent)) => sent,
                Poll::Ready(Err(error)) => return self.fail(&error),
                Poll::Pending => {
                    self.writer = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            };
            if sent == 0 && !(self.held.is_empty() && bytes.is_empty()) {
                return self.fail(&io::ErrorKind::BrokenPipe.into());
            }
            let of_held = sent.min(self.held.len());
            self.held.drain(..of_held);
            let of_bytes = sent.saturating_sub(of_held);
            // Nothing of `bytes` left, but something of the prefix did: 0 would read as the end.
            if self.held.is_empty() && (of_bytes > 0 || bytes.is_empty()) {
                return Poll::Ready(Ok(of_bytes));
            }
        }
    }
}

impl Stream {
    /// The stream takes messages up to `message_bytes_max`; a longer one ends it.
    pub(super) fn new(socket: TcpStream, message_bytes_max: usize) -> (Stream, Switch) {
        let framing = Framing { message_bytes_max, prefix: [0; PREFIX], have: 0, left: 0 };
        let shared = Arc::new(Mutex::new(State {
            socket: Some(socket),
            cause: None,
            reader: None,
            writer: None,
            held: Vec::with_capacity(PREFIX),
            framing,
        }));
        (Stream { shared: Arc::clone(&shared) }, Switch { shared })
    }
}

impl Switch {
    /// Ends the stream at once: what waits in the kernel is thrown away, the broker sees a reset,
    /// nothing can be read or written any more. The first cause stays.
    pub(super) fn kill(&self, cause: impl FnOnce() -> String) {
        let mut state = self.shared.lock();
        if let Some(socket) = &state.socket {
            // Closing with a linger of zero resets. If it cannot be set, the close ends it all the same.
            let _ = socket.set_zero_linger();
        }
        state.end(cause);
    }

    /// Whether the stream has ended, by us or by the broker.
    pub(super) fn is_off(&self) -> bool {
        self.shared.lock().socket.is_none()
    }

    /// Why it ended, if it has.
    pub(super) fn cause(&self) -> Option<String> {
        self.shared.lock().cause.clone()
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.shared.lock();
        let Some(socket) = &mut state.socket else { return Poll::Ready(Err(state.ended())) };
        state.reader = Some(cx.waker().clone());
        let before = buf.filled().len();
        match ready!(Pin::new(socket).poll_read(cx, buf)) {
            Err(error) => state.fail(&error),
            Ok(()) if buf.filled().len() == before => {
                state.end(|| "has closed the connection".to_owned());
                Poll::Ready(Ok(()))
            }
            Ok(()) => {
                if state.framing.take(buf.filled().get(before..).unwrap_or_default()) {
                    return Poll::Ready(Ok(()));
                }
                let cause = "answers, but not as Kafka does (is it TLS or another service?)";
                state.end(|| cause.to_owned());
                Poll::Ready(Err(state.ended()))
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let state = &mut *self.shared.lock();
        if state.socket.is_some() && state.held.is_empty() && bytes.len() == PREFIX {
            state.held.extend_from_slice(bytes);
            return Poll::Ready(Ok(PREFIX));
        }
        state.poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.shared.lock();
        if state.held.is_empty() {
            return Poll::Ready(if state.socket.is_some() { Ok(()) } else { Err(state.ended()) });
        }
        state.poll_send(cx, &[]).map_ok(|_| ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.lock().end(|| "closed by us".to_owned());
        Poll::Ready(Ok(()))
    }
}
