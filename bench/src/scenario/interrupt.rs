//! Ctrl-C: the first ends the run early, with the account so far; the second ends everything at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::process::broker;

static REQUESTED: AtomicBool = AtomicBool::new(false);
/// Exit code of a program that a signal has ended, as shells have it: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// Listens to SIGINT and SIGTERM from now on.
///
/// # Errors
/// The system does not allow it.
pub(super) fn listen() -> Result<(), String> {
    let signals = Signals::new([SIGINT, SIGTERM]);
    let mut signals = signals.map_err(|error| format!("signals: {error}"))?;
    thread::spawn(move || {
        for _ in signals.forever() {
            if REQUESTED.swap(true, Ordering::Relaxed) {
                broker::kill_all();
                std::process::exit(INTERRUPTED);
            }
            eprintln!("\nending early; once more to end at once");
        }
    });
    Ok(())
}

/// Whether the user wants an end.
pub(super) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
