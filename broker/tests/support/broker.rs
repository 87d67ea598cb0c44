//! The built program as a process of its own, with a data directory of its own, that dies with the test.

use rustix::process::{Pid, Signal, kill_process};
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a start or a clean stop may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the line with the address of the listener `mqtt` contains.
const LISTENS: &str = "listener mqtt: mqtt on ";

/// The program without arguments: for other commands than `run`, and for starts that are meant to fail.
pub fn millrace() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.env_remove("MILLRACE_LOG").stdin(Stdio::null());
    command
}

/// How a broker ended.
#[derive(Debug)]
pub struct Exit {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// All lines it has printed on standard error since it was started.
    pub log: Vec<String>,
}

/// Lines printed so far, and whether more may come.
#[derive(Default)]
struct Printed {
    lines: Vec<String>,
    ended: bool,
}

#[derive(Default)]
struct Log {
    printed: Mutex<Printed>,
    more: Condvar,
}

/// A running broker with two cores on a free port of 127.0.0.1.
pub struct Broker {
    data: PathBuf,
    /// Deleted at the end.
    _temporary: TempDir,
    settings: Vec<String>,
    running: Option<Running>,
}

struct Running {
    child: Child,
    address: SocketAddr,
    log: Arc<Log>,
    reader: JoinHandle<()>,
}

impl Broker {
    /// Starts `millrace run` with `--set` for each of `settings` (`"limits.max_packet_size=1000"`), on top of
    /// `node.cores=2` and a free port; waits until it listens. Items that begin with `--` are passed as they are
    /// (`"--bridge-conf=FILE"`, `"--log=debug"`).
    pub fn start(settings: &[&str]) -> Broker {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let data = temporary.path().join("data");
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let mut broker = Broker { data, _temporary: temporary, settings, running: None };
        broker.run();
        broker
    }

    /// The same on one core, for tests in which crossing between cores would only be noise.
    pub fn start_on_one_core(settings: &[&str]) -> Broker {
        let settings: Vec<&str> = std::iter::once("node.cores=1").chain(settings.iter().copied()).collect();
        Broker::start(&settings)
    }

    fn run(&mut self) {
        let mut command = millrace();
        command.arg("run").arg("--data").arg(&self.data);
        let presets = ["listener.mqtt.bind=127.0.0.1:0", "node.cores=2"];
        for setting in presets.into_iter().chain(self.settings.iter().map(String::as_str)) {
            if setting.starts_with("--") {
                command.arg(setting);
            } else {
                command.arg("--set").arg(setting);
            }
        }
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built program can be started");
        let log = Arc::new(Log::default());
        let stderr = child.stderr.take().expect("a pipe");
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    log.printed.lock().expect("no panic").lines.push(line);
                    log.more.notify_all();
                }
                log.printed.lock().expect("no panic").ended = true;
                log.more.notify_all();
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        self.running = Some(Running { child, address, log, reader });
        // From here on Drop ends it, also when it never listens.
        let line = self.wait_for_log(LISTENS);
        let address = line.split(LISTENS).nth(1).and_then(|rest| rest.trim().parse().ok());
        self.running_mut().address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the broker was stopped by this test")
    }

    fn running_mut(&mut self) -> &mut Running {
        self.running.as_mut().expect("the broker was stopped by this test")
    }

    /// Where it listens. Another port after every start.
    pub fn address(&self) -> SocketAddr {
        self.running().address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.running().child.id()
    }

    /// Its data directory; stays until the `Broker` is dropped, however often the process ends.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A client id that begins with `prefix` and lives on this core: computed as the broker does, from the key in its
    /// data directory. Needs the default of two cores.
    pub fn client_id_on(&self, core: usize, prefix: &str) -> String {
        let key = std::fs::read(self.data.join("home.key")).expect("made at the start");
        let key: [u8; 16] = key.try_into().expect("16 bytes");
        let lives_there = |id: &String| {
            let mut hasher = SipHasher13::new_with_key(&key);
            hasher.write(id.as_bytes());
            (hasher.finish() % 256) as usize % 2 == core % 2
        };
        (0..).map(|number| format!("{prefix}-{number}")).find(lives_there).expect("every second one")
    }

    /// What this process has printed so far.
    pub fn log(&self) -> Vec<String> {
        self.running.as_ref().map_or_else(Vec::new, Running::lines)
    }

    /// Waits until a line that contains `text` has been printed by this process, and returns it.
    pub fn wait_for_log(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let log = &self.running().log;
        let mut printed = log.printed.lock().expect("no panic");
        loop {
            if let Some(line) = printed.lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if printed.ended || left.is_zero() {
                let lines = printed.lines.join("\n");
                drop(printed);
                panic!("no line with {text:?}; printed:\n{lines}");
            }
            printed = log.more.wait_timeout(printed, left).expect("no panic").0;
        }
    }

    /// Sends SIGKILL and waits for the end. The data stays.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Sends SIGTERM, waits for the end and returns the exit code and everything that was printed. The data stays.
    pub fn terminate(&mut self) -> Exit {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Sends a signal and returns at once.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.running().child);
        kill_process(pid, signal).expect("a signal to our own child");
    }

    /// Waits for the end of the process, however it comes.
    pub fn wait(&mut self) -> Exit {
        let mut running = self.running.take().expect("the broker was stopped by this test");
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match running.child.try_wait().expect("our own child") {
                Some(status) => break status,
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                None => {
                    let lines = running.lines().join("\n");
                    self.running = Some(running);
                    panic!("the broker does not end; printed:\n{lines}");
                }
            }
        };
        let Running { log, reader, .. } = running;
        let _ = reader.join();
        let log = std::mem::take(&mut log.printed.lock().expect("no panic").lines);
        Exit { code: status.code(), log }
    }

    /// The same with other settings than before.
    pub fn restart_with(&mut self, settings: &[&str]) {
        self.settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        self.restart();
    }

    /// Starts it again on the same data, killing it first (SIGKILL) if it still runs. [`Broker::address`] changes.
    pub fn restart(&mut self) {
        if self.running.is_some() {
            self.kill();
        }
        self.run();
    }
}

impl Running {
    fn lines(&self) -> Vec<String> {
        self.log.printed.lock().expect("no panic").lines.clone()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let died = running.child.try_wait().ok().flatten();
        let _ = running.child.kill();
        let _ = running.child.wait();
        let Running { log, reader, .. } = running;
        let _ = reader.join();
        if std::thread::panicking() {
            let lines = log.printed.lock().map(|printed| printed.lines.join("\n")).unwrap_or_default();
            eprintln!("--- the broker printed:\n{lines}\n---");
            if let Some(status) = died {
                eprintln!("--- and had ended before the test did: {status}");
            }
        }
    }
}
