//! The log thread: clock and sleep for the [`Worker`]. The only place in the log with either.

use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::worker::{Next, Now, Worker};
use super::{LogError, Summary};
use crate::ring::Waker;

/// Runs the log until it has been stopped.
///
/// # Errors
/// The last records could not be written.
pub(super) fn run(mut worker: Worker, waker: &Waker) -> Result<Summary, LogError> {
    waker.register();
    let started = Instant::now();
    loop {
        let now = Now { mono: started.elapsed(), unix_ms: unix_ms() };
        match worker.step(now)? {
            Next::Again => {}
            Next::Sleep(at_most) => {
                thread::park_timeout(at_most);
                worker.awake();
            }
            Next::End => return Ok(worker.end()),
        }
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
