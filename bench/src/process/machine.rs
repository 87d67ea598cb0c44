//! Where a run takes place: what stands beside its figures.

use std::fs;
use std::thread;

use super::usage::TICK_S;
use crate::outcome::Machine;

/// This machine; what cannot be found out is empty or 0.
pub(crate) fn this() -> Machine {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    Machine {
        cores: thread::available_parallelism().map_or(0, usize::from),
        cpu: value(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        memory_bytes: value(&read("/proc/meminfo"), "MemTotal")
            .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
            .map_or(0, |kib| kib * 1024),
    }
}

/// CPU seconds of all cores together since the machine began, to 10 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CpuTime {
    /// Spent on anything.
    pub(crate) busy_s: f64,
    /// Wanted, but given to other machines by the host of this one.
    pub(crate) stolen_s: f64,
}

impl CpuTime {
    pub(crate) fn now() -> CpuTime {
        CpuTime::parse(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    fn parse(stat: &str) -> CpuTime {
        let line = stat.lines().next().unwrap_or_default();
        let seconds: Vec<f64> = line
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|word| word.parse::<f64>().ok())
            .map(|ticks| ticks * TICK_S)
            .collect();
        let of = |fields: &[usize]| fields.iter().filter_map(|&field| seconds.get(field)).sum();
        // user nice system idle iowait irq softirq steal
        CpuTime { busy_s: of(&[0, 1, 2, 5, 6]), stolen_s: of(&[7]) }
    }
}

/// What stands behind `key` and a colon.
fn value(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == key))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_not_busy_and_what_is_stolen_was_not_used() {
        let cases = [
            ("cpu  10 20 30 4000 5000 1 2 3 7 7\ncpu0 1", (0.63, 0.03)),
            ("cpu  1 0 0 9", (0.01, 0.0)),
            ("", (0.0, 0.0)),
        ];
        for (stat, (busy, stolen)) in cases {
            let time = CpuTime::parse(stat);
            assert!(
                (time.busy_s - busy).abs() < 1e-9 && (time.stolen_s - stolen).abs() < 1e-9,
                "{stat}: {time:?}"
            );
        }
        assert!(CpuTime::now().busy_s > 0.0);
    }

    #[test]
    fn values() {
        let text =
            "processor\t: 0\nmodel name\t: A CPU: fast\nmodel name\t: B\nMemTotal:       16374400 kB\n";
        let cases = [
            ("model name", Some("A CPU: fast")),
            ("MemTotal", Some("16374400 kB")),
            ("model", None),
            ("", None),
        ];
        for (key, expected) in cases {
            assert_eq!(value(text, key).as_deref(), expected, "{key}");
        }
        assert!(this().cores > 0 && this().memory_bytes > 1 << 20 && !this().kernel.is_empty());
    }
}
