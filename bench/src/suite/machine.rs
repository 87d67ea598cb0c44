//! What machine this is, from `/proc`.

use std::fs;
use std::thread;

use crate::outcome::Machine;

pub(super) fn this() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    Machine {
        cores: thread::available_parallelism().map_or(0, usize::from),
        cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "CPU".to_owned()),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        memory_bytes: kilobytes(&field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default()) * 1024,
    }
}

/// The text behind `key:` in the first line that has it.
fn field(text: &str, key: &str) -> Option<String> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
}

fn kilobytes(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let cpu = "processor\t: 0\nmodel name\t: A CPU: fast\nmodel name\t: B\n";
        assert_eq!(field(cpu, "model name").as_deref(), Some("A CPU: fast"));
        assert_eq!(field(cpu, "model"), None);
        assert_eq!(kilobytes("24600000 kB"), 24_600_000);
        let here = this();
        assert!(here.cores > 0 && here.memory_bytes > 1 << 20 && !here.kernel.is_empty(), "{here:?}");
    }
}
