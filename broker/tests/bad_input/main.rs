//! Starts that cannot succeed: each says in one clear line why, names the place, and ends with the right exit code
//! (1 for a failure, 2 for wrong usage). Nothing is left running.

#[path = "../support/mod.rs"]
mod support;

mod command_line;
mod data_directory;
mod settings;

use std::process::Command;
use std::time::{Duration, Instant};

/// Runs a command that must end by itself, soon. Returns the exit code and what it printed on standard error.
fn fails(command: &mut Command) -> (i32, Vec<String>) {
    let mut child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the built program can be started");
    let deadline = Instant::now() + Duration::from_secs(30);
    while child.try_wait().expect("our own child").is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            let output = child.wait_with_output().expect("our own child");
            panic!("it serves, or hangs: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("our own child");
    let lines = String::from_utf8(output.stderr).expect("text").lines().map(str::to_owned).collect();
    (output.status.code().expect("an exit code, not a signal"), lines)
}

/// `millrace run` on a free port, which must fail with exit code 1 and exactly one line that begins with `error: `
/// and contains all of `parts`.
fn run_fails(arguments: &[&str], parts: &[&str]) {
    let mut command = support::millrace();
    command.args(["run", "--set", "listener.mqtt.bind=127.0.0.1:0"]).args(arguments);
    let (code, lines) = fails(&mut command);
    let printed = lines.join("\n");
    assert_eq!(code, 1, "exit code of {arguments:?}; printed:\n{printed}");
    let errors: Vec<_> = lines.iter().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "one line for {arguments:?}; printed:\n{printed}");
    for part in parts {
        assert!(errors[0].contains(part), "no {part:?} for {arguments:?}; printed:\n{printed}");
    }
    assert!(!printed.contains("panicked") && !printed.contains("RUST_BACKTRACE"), "a panic:\n{printed}");
}
