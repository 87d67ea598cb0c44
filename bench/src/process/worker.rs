//! One of several processes of the generator: a hidden command that gets its plan on standard input and speaks of what
//! it does on standard output. It ends when its parent does.

use std::io::{self, BufReader};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::descriptors;
use super::wire::{self, Event, Order};
use crate::load::{self, Control, Phase, clock};
use crate::outcome::{Latency, Sample};

/// Exit code of a worker whose parent is gone. Nobody is there to read it.
const ORPHAN: i32 = 3;

/// Carries out the plan that comes on standard input.
pub(crate) fn run() -> ExitCode {
    // Ctrl-C at the terminal reaches every process; the parent tells us when to stop.
    let ignored = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Without this a worker ends with the others, and its part of the account is missing.
        let _ = signal_hook::flag::register(signal, Arc::clone(&ignored));
    }
    descriptors::raise();
    let mut input = BufReader::new(io::stdin());
    let plan = match wire::read(&mut input) {
        Ok(Some(Order::Plan(plan))) => plan,
        other => {
            eprintln!("error: a worker is started by millrace-bench itself, with a plan: {other:?}");
            return ExitCode::from(2);
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, go) = mpsc::channel();
    let told = Arc::clone(&stop);
    thread::spawn(move || {
        loop {
            match wire::read(&mut input) {
                Ok(Some(Order::Go { at_ns })) => {
                    // The plan may be done already.
                    let _ = sender.send(at_ns);
                }
                Ok(Some(Order::Stop)) => {
                    told.store(true, Ordering::Relaxed);
                    let _ = sender.send(0);
                }
                _ => process::exit(ORPHAN),
            }
        }
    });
    let done = load::run(&plan, &mut Teller { stop, go });
    tell(&Event::Done(Box::new(done)));
    ExitCode::SUCCESS
}

/// Tells the parent.
struct Teller {
    stop: Arc<AtomicBool>,
    go: Receiver<u64>,
}

impl Control for Teller {
    fn connected(&mut self, ready: u64, failed: u64) {
        tell(&Event::Connected { ready, failed });
        // The sender lives as long as the process.
        let at_ns = self.go.recv().unwrap_or_default();
        thread::sleep(Duration::from_nanos(at_ns.saturating_sub(clock::now_ns())));
    }

    fn phase(&mut self, phase: Phase) {
        tell(&Event::Phase(phase));
    }

    fn sample(&mut self, sample: &Sample, latency: &Latency) {
        tell(&Event::Sample { sample: sample.clone(), latency: latency.clone() });
    }

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn tell(event: &Event) {
    if wire::write(io::stdout().lock(), event).is_err() {
        process::exit(ORPHAN);
    }
}
