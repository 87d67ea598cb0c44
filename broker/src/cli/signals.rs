//! SIGINT and SIGTERM: the first asks politely, the second ends the process at once.
//!
//! Called by `run`, `consume` and `sub`, each at most once in a process.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::Failure;

/// Calls `on_first` with the signal's name, on a thread of its own, when the first signal comes.
pub(super) fn on_first(on_first: impl FnOnce(&'static str) + Send + 'static) -> Result<(), Failure> {
    let install = || {
        let armed = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order the first signal finds the flag down and raises it, the second finds it up. Done in
            // the handler, so that it works whatever the threads are stuck in.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&armed))?;
            flag::register(signal, Arc::clone(&armed))?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        std::thread::Builder::new().name("millrace-signal".to_owned()).spawn(move || {
            if let Some(signal) = signals.forever().next() {
                on_first(if signal == SIGINT { "SIGINT" } else { "SIGTERM" });
            }
        })
    };
    install().map(drop).map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))
}
