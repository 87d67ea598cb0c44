//! Command line tools under test, ours and others', as processes: lines that they print with a deadline for each, how
//! they end, and what `consume` reads. A tool dies with its test.

use crate::support::{Broker, Raw, lock::without_time, millrace};
use millrace_codec::{QoS, Version};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long anything that must come may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Topic and payload of the message that shows a subscriber to be there.
pub const READY: &str = "ready";

/// A running tool.
pub struct Tool {
    name: String,
    pub child: Child,
    pub out: Receiver<String>,
    pub err: Receiver<String>,
}

/// How a tool ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    /// Lines of standard output that nobody has taken.
    pub out: Vec<String>,
    /// Lines of standard error that nobody has taken.
    pub err: Vec<String>,
}

impl Tool {
    pub fn start(mut command: Command) -> Tool {
        let name = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let out = lines(child.stdout.take().expect("a pipe"));
        let err = lines(child.stderr.take().expect("a pipe"));
        Tool { name, child, out, err }
    }

    /// The next line of standard output. Lines that only showed that a subscriber is there are passed over.
    pub fn line(&mut self) -> String {
        loop {
            match self.out.recv_timeout(PATIENCE) {
                Ok(line) if line == READY => {}
                Ok(line) => return line,
                Err(error) => {
                    panic!(
                        "{}: no line ({error}); it says {:?}",
                        self.name,
                        Vec::from_iter(self.err.try_iter())
                    )
                }
            }
        }
    }

    /// Waits until this subscriber of the topic `ready` gets what is published there.
    pub fn wait_until_subscribed(&mut self, broker: &Broker) {
        let mut prober = Raw::connect(broker, Version::V311, "prober");
        let deadline = Instant::now() + PATIENCE;
        loop {
            prober.publish(READY, READY.as_bytes(), QoS::AtMostOnce, 0);
            match self.out.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => return assert_eq!(line, READY, "{}", self.name),
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(error) => {
                    panic!("{}: {error}; it says {:?}", self.name, Vec::from_iter(self.err.try_iter()))
                }
            }
        }
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().expect("our own child") {
                Some(status) => break status,
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                None => panic!("{} does not end", self.name),
            }
        };
        // Both readers end with the process; their channels close then.
        Ended { code: status.code(), out: self.out.iter().collect(), err: self.err.iter().collect() }
    }

    /// Waits for its end, which must be a success, and returns what it printed.
    pub fn succeed(self) -> Vec<String> {
        let name = self.name.clone();
        let ended = self.end();
        assert_eq!(ended.code, Some(0), "{name}: {:?}", ended.err);
        ended.out
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// `millrace consume STREAM` on this broker's data directory.
pub fn consume(broker: &Broker, stream: &str, words: &[&str]) -> Tool {
    let mut command = millrace();
    command.args(["consume", stream]).args(words).arg("--data").arg(broker.data());
    Tool::start(command)
}

/// The first records of a stream, as soon as there are so many, with `TS` for the time, which must be about now.
pub fn records(broker: &Broker, stream: &str, count: usize) -> Vec<String> {
    let max = count.to_string();
    let printed = consume(broker, stream, &["--from-beginning", "--max", &max]).succeed();
    assert_eq!(printed.len(), count, "{stream}: {printed:?}");
    printed.iter().map(|record| without_time(record)).collect()
}
