//! What the system says about a process (Linux, `/proc`).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::time::{Duration, Instant};

/// Resident memory, KiB.
pub fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

/// Open file descriptors.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("a running process").count()
}

/// Processor time used so far, user and system, in ticks of 10 ms.
pub fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    // The name, in parentheses, may contain anything; fields are counted behind it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field =
        |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok()).expect("a field");
    field(14) + field(15)
}

/// Waits until `met` is true, for at most `patience`; returns whether it was.
pub fn eventually(patience: Duration, mut met: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if met() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Lets this process, which holds the clients' ends, open at least `count` files; `false` if the system does not.
#[must_use]
pub fn allow_descriptors(count: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= count);
    enough(limit.current) || enough(limit.maximum) && setrlimit(Resource::Nofile, raised).is_ok()
}
