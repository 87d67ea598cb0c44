//! What is seen of a run from outside the engine: the processes' CPU time and memory at the edges of its phases and at
//! each sample.

use std::time::Instant;

use super::interrupt;
use super::kafka::Consumer;
use super::progress::Progress;
use crate::load::Phase;
use crate::outcome::{Sample, Usage};
use crate::process::crew::Observer;
use crate::process::machine::CpuTime;
use crate::process::usage::Reading;

/// CPU seconds of a generator, per second and thread, above which it may be what is measured.
const SATURATED: f64 = 0.95;

/// A process, or several that count as one.
#[derive(Debug)]
struct Watched {
    pids: Vec<u32>,
    /// When the run, and when what is measured, began and ended.
    first: Reading,
    from: Option<Reading>,
    to: Option<Reading>,
    /// At the last sample.
    last: Reading,
}

/// Watches a run.
#[derive(Debug)]
pub(super) struct Watch {
    generator: Watched,
    broker: Option<Watched>,
    /// Connecting is what is measured.
    connecting: bool,
    progress: Progress,
    kafka: Option<Consumer>,
    pub(super) samples: Vec<Sample>,
    last: Instant,
    /// When what is measured began, and what the host had taken until then.
    from: Option<(Instant, CpuTime)>,
    measured_s: f64,
    stolen_s: f64,
}

impl Watched {
    fn new(pids: Vec<u32>) -> Watched {
        let first = Reading::of(&pids);
        Watched { pids, first, from: None, to: None, last: first }
    }

    fn read(&self) -> Reading {
        Reading::of(&self.pids)
    }

    /// Cores in use since the last time.
    fn cores(&mut self, seconds: f64) -> (f64, u64) {
        let now = self.read();
        let (user, system) = now.cpu_since(&self.last);
        self.last = now;
        (if seconds > 0.0 { (user + system) / seconds } else { 0.0 }, now.rss)
    }

    fn usage(&self) -> Usage {
        let now = self.read();
        let from = self.from.unwrap_or(self.first);
        let to = self.to.unwrap_or(now);
        // Memory of both moments, the peak of the end.
        let mut usage = to.since(&from);
        usage.rss_before = self.first.rss;
        usage.rss_peak = now.since(&from).rss_peak.max(usage.rss_peak);
        usage.alive = now.is_alive();
        usage
    }
}

impl Watch {
    pub(super) fn new(
        broker: Option<u32>,
        connecting: bool,
        progress: Progress,
        kafka: Option<Consumer>,
    ) -> Watch {
        if let Some(pid) = broker {
            Reading::forget_peak(pid);
        }
        Watch {
            generator: Watched::new(vec![std::process::id()]),
            broker: broker.map(|pid| Watched::new(vec![pid])),
            connecting,
            progress,
            kafka,
            samples: Vec::new(),
            last: Instant::now(),
            from: None,
            measured_s: 0.0,
            stolen_s: 0.0,
        }
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(super) fn kafka(&mut self) -> Option<Consumer> {
        self.kafka.take()
    }

    /// Resident bytes of the broker now.
    pub(super) fn broker_rss(&self) -> u64 {
        self.broker.as_ref().map_or(0, |broker| broker.read().rss)
    }

    pub(super) fn broker_usage(&self) -> Option<Usage> {
        self.broker.as_ref().map(Watched::usage)
    }

    /// What the generator used, which had so many threads that make load, on so many cores.
    pub(super) fn generator_usage(&self, threads: usize, cores: usize) -> Usage {
        let mut usage = self.generator.usage();
        let could = self.measured_s * threads.min(cores.max(1)) as f64;
        usage.saturated = could > 0.0 && usage.user_s + usage.system_s > SATURATED * could;
        usage
    }

    /// Share of the CPU time of so many cores that the host gave to other machines.
    pub(super) fn stolen(&self, cores: usize) -> Option<f64> {
        let could = self.measured_s * cores as f64;
        (could > 0.0).then(|| self.stolen_s / could)
    }

    fn begin(&mut self) {
        self.from = Some((Instant::now(), CpuTime::now()));
        for watched in self.broker.iter_mut().chain([&mut self.generator]) {
            watched.from = Some(watched.read());
        }
    }

    fn finish(&mut self) {
        for watched in self.broker.iter_mut().chain([&mut self.generator]) {
            watched.to = Some(watched.read());
        }
        if let Some((from, before)) = self.from {
            self.measured_s = from.elapsed().as_secs_f64();
            self.stolen_s = CpuTime::now().stolen_s - before.stolen_s;
        }
    }

    /// Memory at the end of the measured seconds, where CPU time was measured before.
    fn weigh(&mut self) {
        for watched in self.broker.iter_mut().chain([&mut self.generator]) {
            let now = watched.read();
            if let Some(to) = &mut watched.to {
                to.rss = now.rss;
            }
        }
    }
}

impl Observer for Watch {
    fn started(&mut self, workers: &[u32]) {
        let pids = workers.iter().copied().chain([std::process::id()]).collect();
        self.generator = Watched::new(pids);
        if self.connecting {
            self.begin();
        }
    }

    fn connected(&mut self, ready: u64, failed: u64) {
        if self.connecting {
            self.finish();
        }
        if failed > 0 {
            self.progress.say(&format!("{ready} connections are ready, {failed} failed"));
        }
    }

    fn phase(&mut self, phase: Phase) {
        if let Some(kafka) = &self.kafka {
            kafka.measure(phase == Phase::Measure);
        }
        match (phase, self.connecting) {
            (Phase::Connect, true) => self.begin(),
            (Phase::Measure, false) => self.begin(),
            (Phase::Drain, false) => self.finish(),
            (Phase::Drain, true) => self.weigh(),
            _ => {}
        }
    }

    fn sample(&mut self, sample: &Sample) {
        let mut sample = sample.clone();
        let seconds = self.last.elapsed().as_secs_f64();
        self.last = Instant::now();
        (sample.generator_cores, _) = self.generator.cores(seconds);
        if let Some(broker) = &mut self.broker {
            (sample.broker_cores, sample.broker_rss) = broker.cores(seconds);
        }
        if let Some(kafka) = &self.kafka {
            kafka.fill(&mut sample);
        }
        self.progress.show(&sample);
        self.samples.push(sample);
    }

    fn interrupted(&self) -> bool {
        interrupt::requested()
    }
}
