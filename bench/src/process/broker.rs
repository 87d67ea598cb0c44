//! A broker as a process: started by the user's command, ready when it answers CONNECT, stopped by TERM and then KILL.
//!
//! It is the leader of a process group of its own: Ctrl-C at the terminal does not reach it, and a command that is a
//! script takes its children along when it is stopped.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use millrace_codec::{Connect, Packet, ReasonCode, Version, decode, frame_header};
use rustix::process::{Pid, Signal, kill_process_group};

use super::listener;

/// How long a broker may take until it answers CONNECT. A Java virtual machine on a busy machine needs its time.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take to end after TERM; then comes KILL.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one attempt to connect and get CONNACK.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(20);
/// Lines of the broker's output that stand in an error.
const LAST_LINES: usize = 12;

/// Brokers that run, and their directories, for [`kill_all`].
static RUNNING: Mutex<Vec<(u32, PathBuf)>> = Mutex::new(Vec::new());

/// A running broker. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Broker {
    name: String,
    child: Child,
    port: u16,
    /// Its output, and what `{dir}` stood for; removed when it ends.
    dir: PathBuf,
}

impl Broker {
    /// Starts a broker and waits until it answers a CONNECT of `version`. `{port}` in the command is replaced by the
    /// port that it has to listen on at 127.0.0.1, `{dir}` by a new directory of its own. The shell splits the command
    /// and then becomes it (`exec`).
    ///
    /// # Errors
    /// The port is taken, the command ends or does not answer in [`START_TIMEOUT`]: with the last lines that it wrote.
    pub(crate) fn start(name: &str, command: &str, port: u16, version: Version) -> Result<Broker, String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // A broker that shares its port would leave part of the load to somebody else.
        drop(TcpListener::bind(address).map_err(|error| format!("{name}: {address}: {error}"))?);
        let dir = new_dir().map_err(|error| format!("{name}: no directory for it: {error}"))?;
        let log = File::create(dir.join(LOG_FILE)).and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = log.map_err(|error| format!("{name}: {}: {error}", dir.display()))?;
        let data = dir.join("data");
        fs::create_dir_all(&data).map_err(|error| format!("{name}: {}: {error}", data.display()))?;
        let line = command
            .replace("{port}", &port.to_string())
            .replace("{dir}", &format!("'{}'", data.display().to_string().replace('\'', r"'\''")));
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("exec {line}")).process_group(0);
        let child = shell.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.map_err(|error| format!("{name}: cannot start `{line}`: {error}"))?;
        running().push((child.id(), dir.clone()));
        let mut broker = Broker { name: name.to_owned(), child, port, dir };
        broker.wait(version)?;
        Ok(broker)
    }

    /// The process that listens: the command's own, or one that it has started.
    pub(crate) fn pid(&self) -> u32 {
        listener::pid_of(self.address()).unwrap_or_else(|| self.child.id())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Ends it: TERM, and KILL if it is still there after [`STOP_TIMEOUT`].
    ///
    /// # Errors
    /// It had ended before by itself: with its status and its last lines.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("{} ended by itself: {status}{}", self.name, self.last_lines()));
        }
        self.signal(Signal::TERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(TICK);
        }
        Ok(())
    }

    fn wait(&mut self, version: Version) -> Result<(), String> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended by itself: {status}{}", self.name, self.last_lines()));
            }
            let error = match answers(self.address(), version) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if Instant::now() > deadline {
                let seconds = START_TIMEOUT.as_secs();
                let lines = self.last_lines();
                return Err(format!("{} did not answer in {seconds} s: {error}{lines}", self.name));
            }
            thread::sleep(TICK);
        }
    }

    fn last_lines(&self) -> String {
        let text = fs::read(self.dir.join(LOG_FILE)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LAST_LINES));
        last.map(|line| format!("\n  {line}")).collect()
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            // Gone already: nothing to do.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // The group's number is its own as long as its leader has not been waited for, or others of it live.
        self.signal(Signal::KILL);
        let _ = self.child.wait();
        running().retain(|(pid, _)| *pid != self.child.id());
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Kills every broker that is running, for an end that drops nothing.
pub(crate) fn kill_all() {
    for (pid, dir) in running().drain(..) {
        if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = fs::remove_dir_all(dir);
    }
}

/// The program of that name beside this one.
///
/// # Errors
/// It is not there.
pub(crate) fn program_beside(name: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
    let path = own.with_file_name(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{}: not there; build it, or name one", path.display()))
    }
}

/// A path as one word of a shell.
pub(crate) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// A port of 127.0.0.1 that nobody listens on now.
///
/// # Errors
/// There is none.
pub(crate) fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let port = listener.and_then(|listener| listener.local_addr()).map(|address| address.port());
    port.map_err(|error| format!("no free port: {error}"))
}

/// Whether a broker answers CONNECT with success.
///
/// # Errors
/// What it does instead.
pub(crate) fn answers(address: SocketAddr, version: Version) -> Result<(), String> {
    let connack = connack(address, version).map_err(|error| format!("{address}: {error}"))?;
    let header = frame_header(&connack).ok().flatten();
    let body = header.and_then(|header| Some((header, connack.get(header.header_len..header.total_len())?)));
    let packet = body.map(|(header, body)| decode(version, header.first, body));
    match packet {
        Some(Ok(Packet::ConnAck(connack))) if connack.reason == ReasonCode::Success => Ok(()),
        Some(Ok(Packet::ConnAck(connack))) => {
            Err(format!("{address}: CONNECT of MQTT {version} was refused: {}", connack.reason.name()))
        }
        _ => Err(format!("{address}: no CONNACK to a CONNECT of MQTT {version}")),
    }
}

/// What comes back for a CONNECT, up to a whole packet.
fn connack(address: SocketAddr, version: Version) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let connect = Connect {
        version,
        clean_start: true,
        keep_alive: 60,
        client_id: &format!("bench-ready-{}", process::id()),
        will: None,
        username: None,
        password: None,
        properties: Default::default(),
    };
    let mut out = Vec::new();
    Packet::Connect(connect).encode(version, &mut out).map_err(io::Error::other)?;
    stream.write_all(&out)?;
    let mut input = Vec::new();
    let mut part = [0; 1024];
    loop {
        let len = stream.read(&mut part)?;
        input.extend_from_slice(&part[..len]);
        let whole = frame_header(&input).map_err(io::Error::other)?;
        if len == 0 || whole.is_some_and(|header| input.len() >= header.total_len()) {
            // DISCONNECT: no will, no session.
            stream.write_all(&[0xe0, 0])?;
            return Ok(input);
        }
    }
}

const LOG_FILE: &str = "output.log";

fn new_dir() -> io::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = Path::new(&std::env::temp_dir()).join(format!("millrace-bench-{}-{number}", process::id()));
    // What stands there is of a process that had our number before.
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(&dir)?,
    }
    Ok(dir)
}

fn running() -> std::sync::MutexGuard<'static, Vec<(u32, PathBuf)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker that answers the first packet of each connection with these bytes, and its address.
    fn fake(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer);
        });
        address
    }

    #[test]
    fn only_connack_with_success_is_an_answer() {
        let cases: &[(&str, Version, &'static [u8], &str)] = &[
            ("3.1.1", Version::V311, &[0x20, 2, 0, 0], ""),
            ("5.0", Version::V5, &[0x20, 3, 0, 0, 0], ""),
            ("refused", Version::V311, &[0x20, 2, 0, 5], "refused"),
            ("refused, 5.0", Version::V5, &[0x20, 3, 0, 0x87, 0], "refused"),
            ("another packet", Version::V311, &[0xd0, 0], "no CONNACK"),
            ("half a packet", Version::V311, &[0x20, 2, 0], "no CONNACK"),
            ("nothing", Version::V311, &[], "no CONNACK"),
        ];
        for (name, version, answer, expected) in cases {
            let result = answers(fake(answer), *version);
            match &result {
                Ok(()) => assert_eq!(*expected, "", "{name}"),
                Err(error) => assert!(!expected.is_empty() && error.contains(expected), "{name}: {error}"),
            }
        }
        assert!(answers((Ipv4Addr::LOCALHOST, free_port().expect("a port")).into(), Version::V311).is_err());
    }

    #[test]
    fn a_command_that_ends_says_why_and_leaves_nothing() {
        let port = free_port().expect("a port");
        let command = "sh -c 'echo port {port}; ls -d {dir}; echo cannot open the door >&2; exit 3'";
        let error = Broker::start("door", command, port, Version::V311).expect_err("it ends");
        let dir = format!("millrace-bench-{}", process::id());
        for part in
            ["door ended by itself", "status: 3", &format!("port {port}"), &dir, "cannot open the door"]
        {
            assert!(error.contains(part), "{part} in {error}");
        }
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port");
        let error = Broker::start("door", "sleep 60", port, Version::V311).expect_err("the port is taken");
        assert!(error.contains("in use"), "{error}");
        drop(taken);
    }

    #[test]
    fn a_group_ends_with_its_leader() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("pid");
        let child = Command::new("/bin/sh")
            .arg("-c")
            .arg(format!("trap '' TERM; sleep 600 & echo $! > {}; wait", file.display()))
            .process_group(0)
            .spawn()
            .expect("a shell");
        let read = || fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<u32>().ok());
        let sleeper = loop {
            match read() {
                Some(pid) => break pid,
                None => thread::sleep(TICK),
            }
        };
        running().push((child.id(), dir.path().to_owned()));
        drop(Broker { name: "group".to_owned(), child, port: 1, dir: dir.path().to_owned() });
        let gone = |pid: u32| {
            // A zombie waits for whoever has taken it over; it runs no more.
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        while !gone(sleeper) {
            assert!(Instant::now() < deadline, "{sleeper} lives");
            thread::sleep(TICK);
        }
        assert!(!dir.path().exists());
    }
}
