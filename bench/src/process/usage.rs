//! What processes use, from `/proc`: CPU time, memory, context switches of a process with all its threads.
//!
//! CPU time comes from the scheduler's own count of nanoseconds of each thread (`schedstat`) where the kernel has it,
//! else from `stat` in ticks of 10 ms. The share of user and system time is that of `stat` in both cases.

use std::fs;

use crate::outcome::Usage;

/// Length of a tick in `/proc/PID/stat` and `/proc/stat`: the kernel shows 100 a second to programs, whatever its own rate is.
pub(crate) const TICK_S: f64 = 0.01;
/// Where `/proc/PID/stat` has user and system time of the process itself, and of its children.
const OWN: usize = 11;
const CHILDREN: usize = 13;

/// The counters of some processes at one moment; their differences are a [`Usage`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    pub(crate) user_s: f64,
    pub(crate) system_s: f64,
    /// Sum of what the scheduler counts; none if it does not for every thread.
    scheduled_s: Option<f64>,
    voluntary: u64,
    involuntary: u64,
    threads: u64,
    pub(crate) rss: u64,
    rss_peak: u64,
    /// Processes that were there.
    alive: usize,
}

impl Reading {
    /// Of these processes together; those that are gone count nothing.
    pub(crate) fn of(pids: &[u32]) -> Reading {
        let mut all = Reading { scheduled_s: Some(0.0), ..Reading::default() };
        for one in pids.iter().filter_map(|&pid| Reading::of_one(pid)) {
            all.user_s += one.user_s;
            all.system_s += one.system_s;
            all.scheduled_s = all.scheduled_s.zip(one.scheduled_s).map(|(all, one)| all + one);
            all.voluntary += one.voluntary;
            all.involuntary += one.involuntary;
            all.threads += one.threads;
            all.rss += one.rss;
            all.rss_peak += one.rss_peak;
            all.alive += 1;
        }
        all
    }

    fn of_one(pid: u32) -> Option<Reading> {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
        let (user_s, system_s) = cpu(&read("stat")?)?;
        let status = read("status")?;
        let bytes = |key| field(&status, key).unwrap_or(0) * 1024;
        let (rss, rss_peak) = (bytes("VmRSS"), bytes("VmHWM"));
        let mut reading =
            Reading { user_s, system_s, rss, rss_peak, scheduled_s: Some(0.0), ..Reading::default() };
        for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            reading.voluntary += field(&status, "voluntary_ctxt_switches").unwrap_or(0);
            reading.involuntary += field(&status, "nonvoluntary_ctxt_switches").unwrap_or(0);
            reading.threads += 1;
            let scheduled = fs::read_to_string(thread.path().join("schedstat")).ok();
            let scheduled = scheduled.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
            let sum = reading.scheduled_s.zip(scheduled);
            reading.scheduled_s = sum.map(|(sum, ns)| sum + ns as f64 / 1e9);
        }
        reading.alive = 1;
        // A dead process that nobody has waited for has no memory.
        (rss > 0).then_some(reading)
    }

    /// CPU seconds from `before` until this reading, user and system.
    pub(crate) fn cpu_since(&self, before: &Reading) -> (f64, f64) {
        let user = (self.user_s - before.user_s).max(0.0);
        let system = (self.system_s - before.system_s).max(0.0);
        let ticks = user + system;
        // A thread that has ended takes its nanoseconds along; the ticks stay.
        let scheduled = self.scheduled_s.zip(before.scheduled_s).map(|(now, before)| now - before);
        match scheduled.filter(|_| self.threads >= before.threads) {
            Some(scheduled) if scheduled + 5.0 * TICK_S >= ticks => {
                let share = if ticks > 0.0 { user / ticks } else { 1.0 };
                (scheduled.max(0.0) * share, scheduled.max(0.0) * (1.0 - share))
            }
            _ => (user, system),
        }
    }

    /// What was used from `before` to this reading.
    pub(crate) fn since(&self, before: &Reading) -> Usage {
        let (user_s, system_s) = self.cpu_since(before);
        Usage {
            user_s,
            system_s,
            voluntary_switches: self.voluntary.saturating_sub(before.voluntary),
            involuntary_switches: self.involuntary.saturating_sub(before.involuntary),
            rss_before: 0,
            rss: self.rss,
            rss_peak: self.rss_peak,
            rss_after: 0,
            threads: self.threads,
            alive: self.alive > 0,
            saturated: false,
        }
    }

    /// Lets the peak of a process's memory count from now on, where the system allows it: it is of this run then, and not
    /// of what the process did before.
    pub(crate) fn forget_peak(pid: u32) {
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.alive > 0
    }
}

/// CPU seconds of all children of this process that have ended and been waited for, and of theirs.
pub(crate) fn children_cpu_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").ok();
    stat.and_then(|stat| cpu_at(&stat, CHILDREN)).map_or(0.0, |(user, system)| user + system)
}

/// User and system seconds of a process itself.
fn cpu(stat: &str) -> Option<(f64, f64)> {
    cpu_at(stat, OWN)
}

/// Two fields of `/proc/PID/stat`, counted behind the name of the command, which may hold anything, also `)`.
fn cpu_at(stat: &str, first: usize) -> Option<(f64, f64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(first).map(|word| word.parse::<u64>().ok());
    let (user, system) = (fields.next()??, fields.next()??);
    Some((user as f64 * TICK_S, system as f64 * TICK_S))
}

/// The number in the line `key: number` of a `status`.
fn field(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn fields_of_stat() {
        let tail =
            "S 1 2 3 0 -1 4194304 95 0 0 0 250 51 7 8 20 0 4 0 2513059 3133440 350 18446744073709551615";
        let cases = [
            (format!("29012 (cat) {tail}"), Some((2.5, 0.51))),
            (format!("29012 (a) b (c) 9 9) {tail}"), Some((2.5, 0.51))),
            ("29012 (cat) S 1 2".to_owned(), None),
            ("29012 cat S".to_owned(), None),
            (String::new(), None),
        ];
        for (text, expected) in cases {
            assert_eq!(cpu(&text), expected, "{text}");
        }
    }

    #[test]
    fn fields_of_status() {
        let status = "Name:\tVmRSS\nVmHWM:\t    1540 kB\nVmRSS:\t    1530 kB\nThreads:\t3\n\
            voluntary_ctxt_switches:\t11\nnonvoluntary_ctxt_switches:\t2\n";
        let cases = [
            ("VmRSS", Some(1530)),
            ("VmHWM", Some(1540)),
            ("voluntary_ctxt_switches", Some(11)),
            ("nonvoluntary_ctxt_switches", Some(2)),
            ("Vm", None),
            ("Name", None),
        ];
        for (key, expected) in cases {
            assert_eq!(field(status, key), expected, "{key}");
        }
    }

    #[test]
    fn cpu_time_is_the_schedulers_unless_a_thread_has_taken_it_along() {
        let at = |user_s, system_s, scheduled_s, threads| Reading {
            user_s,
            system_s,
            scheduled_s,
            threads,
            ..Reading::default()
        };
        let before = at(1.0, 1.0, Some(2.0), 3);
        let cases = [
            ("nanoseconds", at(1.03, 1.01, Some(2.044), 3), (0.033, 0.011)),
            ("no ticks yet", at(1.0, 1.0, Some(2.004), 3), (0.004, 0.0)),
            ("a thread ended", at(1.03, 1.01, Some(1.5), 2), (0.03, 0.01)),
            ("one ended, one began", at(2.0, 1.0, Some(2.1), 3), (1.0, 0.0)),
            ("not counted", at(1.03, 1.01, None, 3), (0.03, 0.01)),
        ];
        for (name, now, (user, system)) in cases {
            let (got_user, got_system) = now.cpu_since(&before);
            assert!(
                (got_user - user).abs() < 1e-9 && (got_system - system).abs() < 1e-9,
                "{name}: {got_user} {got_system}"
            );
        }
    }

    #[test]
    fn our_own_usage_grows_with_what_we_do() {
        let ours = [std::process::id()];
        let before = Reading::of(&ours);
        let until = Instant::now() + Duration::from_secs(5);
        let memory = vec![1_u8; 16 << 20];
        let used = loop {
            let used = Reading::of(&ours).since(&before);
            if used.user_s + used.system_s > 0.1 || Instant::now() > until {
                break used;
            }
            std::hint::black_box(memory.iter().map(|&byte| u64::from(byte)).sum::<u64>());
        };
        assert!(used.user_s + used.system_s > 0.1 && used.alive && used.threads >= 1, "{used:?}");
        assert!(used.rss >= 16 << 20 && used.rss_peak >= used.rss, "{used:?}");
        drop(memory);
        Reading::forget_peak(ours[0]);
        let later = Reading::of(&ours);
        assert!(later.rss_peak < used.rss_peak, "{later:?}");
        let nobody = Reading::of(&[u32::MAX]);
        assert!(!nobody.is_alive() && nobody.rss == 0, "{nobody:?}");
    }
}
