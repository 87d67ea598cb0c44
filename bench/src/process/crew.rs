//! The generator's processes as one: started, let go at one moment, heard, ended.

use std::io::{BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::merge::Samples;
use super::wire::{self, Event, Order};
use crate::load::plan::Plan;
use crate::load::{self, Control, Phase, Tally, clock};
use crate::outcome::{Latency, Sample};

/// How long after the last worker is ready all of them begin: time for the order to reach each.
const START_AFTER: Duration = Duration::from_millis(100);
/// How often it is looked whether the user wants an end.
const TICK: Duration = Duration::from_millis(50);
/// Time for an interrupted worker to say what it has, beyond the drain of its plan.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// Who watches all processes of a run.
pub(crate) trait Observer {
    /// The generator's processes, beside this one.
    fn started(&mut self, workers: &[u32]);
    /// All connections of all processes are ready or have failed.
    fn connected(&mut self, ready: u64, failed: u64);
    /// The first process has come to a phase.
    fn phase(&mut self, phase: Phase);
    /// An interval of all processes together.
    fn sample(&mut self, sample: &Sample);
    /// The user wants an end.
    fn interrupted(&self) -> bool;
}

/// Carries out the plans, each in a process of its own; one alone in this.
///
/// # Errors
/// A process cannot be started, ends without an account, or has nothing to measure.
pub(crate) fn run(plans: &[Plan], observer: &mut dyn Observer) -> Result<Vec<Tally>, String> {
    match plans {
        [plan] => load::run(plan, &mut Alone { observer }).map(|tally| vec![tally]),
        _ => Crew::start(plans)?.run(observer),
    }
}

/// One process: this.
struct Alone<'a> {
    observer: &'a mut dyn Observer,
}

impl Control for Alone<'_> {
    fn connected(&mut self, ready: u64, failed: u64) {
        self.observer.connected(ready, failed);
    }

    fn phase(&mut self, phase: Phase) {
        self.observer.phase(phase);
    }

    fn sample(&mut self, sample: &Sample, _latency: &Latency) {
        self.observer.sample(sample);
    }

    fn interrupted(&self) -> bool {
        self.observer.interrupted()
    }
}

/// A worker and what it was told last.
struct Worker {
    child: Child,
    orders: ChildStdin,
    connected: Option<(u64, u64)>,
    done: Option<Result<Tally, String>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Ended already, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Crew {
    workers: Vec<Worker>,
    events: Receiver<(usize, Option<Event>)>,
    /// They have been let go.
    gone: bool,
    /// At most so long after an interruption.
    end_timeout: Duration,
}

impl Crew {
    fn start(plans: &[Plan]) -> Result<Crew, String> {
        let (sender, events) = mpsc::channel();
        let workers = plans.iter().enumerate().map(|(number, plan)| start(number, plan, sender.clone()));
        let workers = workers.collect::<Result<_, String>>()?;
        let drain = plans.iter().map(|plan| plan.phases.drain_s).fold(0.0, f64::max);
        Ok(Crew { workers, events, gone: false, end_timeout: END_TIMEOUT + Duration::from_secs_f64(drain) })
    }

    fn run(mut self, observer: &mut dyn Observer) -> Result<Vec<Tally>, String> {
        let pids: Vec<_> = self.workers.iter().map(|worker| worker.child.id()).collect();
        observer.started(&pids);
        let mut samples = Samples::new(self.workers.len());
        let mut reached = Phase::Connect;
        let mut end_by = None;
        while self.workers.iter().any(|worker| worker.done.is_none()) {
            if end_by.is_none() && observer.interrupted() {
                end_by = Some(Instant::now() + self.end_timeout);
                self.tell(&Order::Stop);
            }
            if end_by.is_some_and(|end_by| Instant::now() > end_by) {
                return Err("a process of the generator does not end".to_owned());
            }
            let (number, event) = match self.events.recv_timeout(TICK) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err("the generator's processes are gone".to_owned());
                }
            };
            let made = match event {
                Some(Event::Connected { ready, failed }) => {
                    self.workers[number].connected = Some((ready, failed));
                    let mut made = samples.waits(number, true);
                    if self.go_if_all_are_ready(observer) {
                        for worker in 0..self.workers.len() {
                            made.append(&mut samples.waits(worker, false));
                        }
                    }
                    made
                }
                Some(Event::Phase(phase)) => {
                    if phase != reached && phase != Phase::Connect {
                        reached = later(reached, phase, observer);
                    }
                    samples.reached(number, phase)
                }
                Some(Event::Sample { sample, latency }) => samples.add(number, sample, latency),
                Some(Event::Done(done)) => {
                    self.workers[number].done = Some(*done);
                    // The others must not wait for one that has failed.
                    if self.go_if_all_are_ready(observer) {
                        for worker in 0..self.workers.len() {
                            samples.waits(worker, false);
                        }
                    }
                    samples.ended(number)
                }
                None if self.workers[number].done.is_none() => {
                    let status = self.workers[number].child.wait();
                    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    return Err(format!(
                        "process {number} of the generator ended without an account: {status}"
                    ));
                }
                None => Vec::new(),
            };
            for (sample, _) in &made {
                observer.sample(sample);
            }
        }
        self.workers.iter_mut().filter_map(|worker| worker.done.take()).collect()
    }

    /// Lets them go once none connects any more; whether it did.
    fn go_if_all_are_ready(&mut self, observer: &mut dyn Observer) -> bool {
        let connects = |worker: &Worker| worker.connected.is_none() && worker.done.is_none();
        if self.gone || self.workers.iter().any(connects) {
            return false;
        }
        self.gone = true;
        let all = self.workers.iter().filter_map(|worker| worker.connected);
        let (ready, failed) = all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        observer.connected(ready, failed);
        let at_ns = clock::now_ns() + START_AFTER.as_nanos() as u64;
        self.tell(&Order::Go { at_ns });
        true
    }

    fn tell(&mut self, order: &Order) {
        for worker in &mut self.workers {
            // One that is gone is noticed by the end of its output.
            let _ = wire::write(&mut worker.orders, order);
        }
    }
}

/// The phase that has been reached, once one of the workers says so; the observer hears of each once, in order.
fn later(reached: Phase, phase: Phase, observer: &mut dyn Observer) -> Phase {
    let order = |phase: Phase| phase as u8;
    if order(phase) > order(reached) {
        observer.phase(phase);
        return phase;
    }
    reached
}

fn start(number: usize, plan: &Plan, sender: Sender<(usize, Option<Event>)>) -> Result<Worker, String> {
    let failed = |error: std::io::Error| format!("process {number} of the generator: {error}");
    let program = std::env::current_exe().map_err(failed)?;
    let mut child = Command::new(program)
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (Some(mut orders), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(format!("process {number} of the generator has no standard streams"));
    };
    wire::write(&mut orders, &Order::Plan(Box::new(plan.clone()))).map_err(failed)?;
    orders.flush().map_err(failed)?;
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        loop {
            // What is not a message ends it like the end of the stream.
            let event = wire::read(&mut output).ok().flatten();
            let last = event.is_none();
            if sender.send((number, event)).is_err() || last {
                return;
            }
        }
    });
    Ok(Worker { child, orders, connected: None, done: None })
}
