//! Where a run takes place: what stands beside its figures.

use std::fs;
use std::thread;

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

/// What stands behind `key` and a colon.
fn value(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == key))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
