//! What the system says about a process (Linux, `/proc`).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::time::{Duration, Instant};

/// Resident memory, KiB.
pub fn resident_kib(pid: u32) -> u64 {
    kib(pid, "VmRSS:")
}

/// Resident memory without what is of files, such as the program itself, KiB.
pub fn anonymous_kib(pid: u32) -> u64 {
    kib(pid, "RssAnon:")
}

fn kib(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line with this name");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

/// Sockets that a broker has open, and connections to its port that it has not accepted yet. Not its files: the log
/// opens and closes some whenever it likes.
pub fn sockets(pid: u32, port: u16) -> usize {
    let is_socket = |link: std::io::Result<std::path::PathBuf>| {
        link.is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("a running process").flatten();
    let accepted = descriptors.filter(|entry| is_socket(fs::read_link(entry.path()))).count();
    let table = fs::read_to_string("/proc/net/tcp").expect("the table of TCP connections");
    accepted + table.lines().filter(|line| is_unaccepted(line, port)).count()
}

/// What [`sockets`] counts, for the message of a test that found too many: the broker's, and all at its port with their
/// state, what is queued to be sent and to be read, their timers and their inode.
pub fn sockets_in_words(pid: u32, port: u16) -> String {
    let mut lines = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).expect("a running process").flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        lines.push(format!("{} -> {}", entry.file_name().to_string_lossy(), target.display()));
    }
    lines.sort();
    let table = fs::read_to_string("/proc/net/tcp").expect("the table of TCP connections");
    lines.extend(table.lines().filter(|line| line.contains(&format!(":{port:04X} "))).map(str::to_owned));
    lines.join("\n")
}

/// Established, half open or closed by its client, at this local port, and of no process yet (inode 0).
fn is_unaccepted(line: &str, port: u16) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (Some(local), Some(state), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9)) else {
        return false;
    };
    local.ends_with(&format!(":{port:04X}")) && matches!(*state, "01" | "03" | "08") && *inode == "0"
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
