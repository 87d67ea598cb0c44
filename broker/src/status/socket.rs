//! How `millrace status` reaches the broker: a Unix socket in the data directory, for its owner alone. Whoever
//! connects gets one JSON document and the end; nothing is read from them.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};
use tracing::warn;

use super::Report;

/// The socket's name in the data directory.
const NAME: &str = "status.sock";
/// Its name until it is ready.
const FRESH: &str = "status.new";
/// A client that has not taken its document by then is left.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// A broker that has not answered by then is given up by the client.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer answers (bytes) are something else.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// After a failed accept, such as without free descriptors.
const PAUSE: Duration = Duration::from_millis(100);

const LISTENER: Token = Token(0);
const END: Token = Token(1);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there.
    #[error("no broker runs on the data directory {} (nobody answers on {NAME} in it)", .0.display())]
    NotRunning(PathBuf),
    /// The socket cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Where the broker on this data directory answers.
pub fn path(data: &Path) -> PathBuf {
    data.join(NAME)
}

/// Asks the broker that runs on `data`: a [`Report`] as JSON.
///
/// # Errors
/// See [`AskError`].
pub fn ask(data: &Path) -> Result<String, AskError> {
    let path = path(data);
    let read = || {
        let stream = UnixStream::connect(&path)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut answer = String::new();
        stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
        // A broker that is just ending takes the connection and says nothing.
        if answer.is_empty() { Err(ErrorKind::ConnectionReset.into()) } else { Ok(answer) }
    };
    read().map_err(|source: io::Error| match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => {
            AskError::NotRunning(data.to_owned())
        }
        _ => AskError::Io { path: path.clone(), source },
    })
}

/// Answers for the broker on `data`, whose lock the caller holds, as long as `inside` runs, on the thread
/// `millrace-status`. Without a socket there is a warning and no answer.
pub fn answer_while<R>(data: &Path, report: impl Fn() -> Report + Send, inside: impl FnOnce() -> R) -> R {
    let path = path(data);
    let server = match Server::bind(data) {
        Ok(server) => server,
        Err(error) => {
            warn!("{}: {error}; `millrace status` will find no broker", path.display());
            return inside();
        }
    };
    let Server { poll, listener, _watched, waker } = server;
    let ended = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        let ended = &ended;
        let _end = End { ended, waker: &waker };
        let thread = thread::Builder::new().name("millrace-status".to_owned());
        if let Err(error) = thread.spawn_scoped(scope, move || run(poll, &listener, ended, report)) {
            warn!("millrace-status: {error}; `millrace status` will find no broker");
        }
        inside()
    });
    // What cannot be removed is replaced by the next start.
    let _ = fs::remove_file(path);
    result
}

/// Ends the thread, however `inside` ends.
struct End<'a> {
    ended: &'a AtomicBool,
    waker: &'a Waker,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // The waker's descriptor is open: it cannot fail.
        let _ = self.waker.wake();
    }
}

struct Server {
    poll: Poll,
    listener: UnixListener,
    /// The listener as the poll knows it: there before anybody is told that the broker runs, as all that it opens.
    _watched: mio::net::UnixListener,
    waker: Waker,
}

impl Server {
    fn bind(data: &Path) -> io::Result<Server> {
        let (path, fresh) = (path(data), data.join(FRESH));
        // What an earlier broker left; anything else at these places is not ours to remove.
        for old in [&path, &fresh] {
            match fs::symlink_metadata(old) {
                Ok(found) if !found.file_type().is_socket() => {
                    return Err(io::Error::new(ErrorKind::AlreadyExists, "is there, and is no socket"));
                }
                Ok(_) => fs::remove_file(old)?,
                Err(_) => {}
            }
        }
        let listener = UnixListener::bind(&fresh)?;
        // Nobody can connect under its own name before the mode is right.
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
        fs::rename(&fresh, &path)?;
        listener.set_nonblocking(true)?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), END)?;
        let mut watched = mio::net::UnixListener::from_std(listener.try_clone()?);
        poll.registry().register(&mut watched, LISTENER, Interest::READABLE)?;
        Ok(Server { poll, listener, _watched: watched, waker })
    }
}

fn run(mut poll: Poll, listener: &UnixListener, ended: &AtomicBool, report: impl Fn() -> Report) {
    let mut events = Events::with_capacity(4);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return warn!("millrace-status: {error}; `millrace status` gets no answer from here on");
            }
            _ => {}
        }
        // Until there is nobody: events come once.
        loop {
            if ended.load(Ordering::SeqCst) {
                return;
            }
            match listener.accept() {
                Ok((client, _)) => {
                    // Who does not read gets nothing.
                    let _ = answer(client, &report());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }
}

fn answer(mut client: UnixStream, report: &Report) -> io::Result<()> {
    client.set_nonblocking(false)?;
    let mut document = serde_json::to_vec(report)?;
    document.push(b'\n');
    let deadline = Instant::now() + WRITE_TIMEOUT;
    let mut rest = document.as_slice();
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        client.set_write_timeout(Some(left))?;
        let (part, _) = rest.split_at(rest.len().min(PART_BYTES));
        let written = client.write(part)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Written at a time: the kernel's time-out counts anew for each larger piece.
const PART_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::About;

    fn report() -> Report {
        Report { process: 7, ..Report::default() }
    }

    #[test]
    fn asked_and_answered() {
        let data = tempfile::tempdir().expect("a directory");
        let data = data.path();
        let nobody = ask(data).expect_err("nobody").to_string();
        assert!(nobody.starts_with("no broker runs on the data directory "), "{nobody}");
        for _ in 0..2 {
            answer_while(data, report, || {
                for _ in 0..3 {
                    let answer = ask(data).expect("an answer");
                    assert_eq!(serde_json::from_str::<Report>(&answer).expect("a report"), report());
                    assert!(answer.ends_with("}\n") && answer.lines().count() == 1);
                }
                let mode = fs::metadata(path(data)).expect("there").permissions().mode();
                assert_eq!(mode & 0o777, 0o600);
            });
            assert!(matches!(ask(data), Err(AskError::NotRunning(_))));
            assert!(!path(data).exists());
        }
        // A broker that was killed leaves its socket.
        drop(UnixListener::bind(path(data)).expect("bound"));
        drop(UnixListener::bind(data.join(FRESH)).expect("bound"));
        assert!(matches!(ask(data), Err(AskError::NotRunning(_))));
        answer_while(data, report, || ask(data).expect("an answer"));
    }

    /// What is no socket stays, and a path that is too long is a warning: the broker runs without.
    #[test]
    fn places_that_cannot_be_used() {
        let base = tempfile::tempdir().expect("a directory");
        let deep = base.path().join("d".repeat(120));
        let taken = base.path().join("taken");
        for data in [&deep, &taken] {
            fs::create_dir(data).expect("made");
        }
        fs::write(taken.join(NAME), "mine").expect("written");
        for data in [deep, taken.clone(), base.path().join("missing")] {
            assert_eq!(answer_while(&data, report, || 5), 5);
            assert!(ask(&data).is_err());
        }
        assert_eq!(fs::read(taken.join(NAME)).expect("still there"), b"mine");
    }

    /// A client that never reads is left after a while; one behind it is answered, and the end waits for one at most.
    #[test]
    fn clients_that_do_not_read() {
        let data = tempfile::tempdir().expect("a directory");
        let data = data.path();
        let about = About { node: "x".repeat(4 << 20), ..About::default() };
        let large = || Report { about: about.clone(), ..Report::default() };
        let silent = answer_while(data, large, || {
            let silent = UnixStream::connect(path(data)).expect("connected");
            assert!(ask(data).expect("an answer").len() > 4 << 20);
            let many = (0..20).map(|_| UnixStream::connect(path(data)).expect("connected"));
            (silent, many.collect::<Vec<_>>(), Instant::now())
        });
        assert!(silent.2.elapsed() < 3 * WRITE_TIMEOUT, "{:?}", silent.2.elapsed());
    }
}
