//! One Kafka node (KRaft, broker and controller in one) in a folder of its own, under a guard: a shell that waits on a
//! pipe from this process, and kills the JVM and removes the folder when the pipe ends, as it does on SIGKILL too.

use crate::client::Client;
use crate::jars::Tools;
use crate::support::left_out;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(120);
/// Any 16 bytes.
const CLUSTER_ID: &str = "bWlsbHJhY2UtdGVzdC0xMg";
/// What Kafka logs when it serves.
const STARTED: &str = "Kafka Server started";

/// `$1` is the folder, what follows the command. `start` starts the JVM, anything else ends it; each is answered with
/// the process id, or 0. Signals for the whole group (Ctrl-C) are left to the pipe's end.
const GUARD: &str = r#"
trap '' INT TERM HUP
folder=$1
shift
jvm=0
finish() {
  [ "$jvm" = 0 ] && return
  kill -KILL "$jvm"
  wait "$jvm"
  jvm=0
}
while read -r word; do
  finish
  if [ "$word" = start ]; then
    "$@" < /dev/null >> "$folder/log" 2>&1 &
    jvm=$!
  fi
  echo "$jvm"
done
finish
rm -rf -- "$folder"
"#;

const LOG4J: &str = "appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{HH:mm:ss,SSS} %p %c{1} %m%n
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
logger.started.name=kafka.server.KafkaRaftServer
logger.started.level=INFO
";

/// A node; running unless [`Node::kill`] ended it.
pub struct Node {
    tools: Tools,
    libs: PathBuf,
    folder: PathBuf,
    port: u16,
    guard: Child,
    words: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Of the JVM; `None` while there is none.
    pid: Option<Pid>,
}

static SHARED: OnceLock<Option<RwLock<Node>>> = OnceLock::new();

fn the_node() -> Option<&'static RwLock<Node>> {
    let start = || {
        let mut node = Node::new(Tools::find()?);
        node.start();
        Some(RwLock::new(node))
    };
    let node = SHARED.get_or_init(start).as_ref();
    if node.is_none() {
        left_out("kafka", "a Java 17 runtime and Maven");
    }
    node
}

/// The node, running, beside other tests. `None`, said once a test, where it cannot run.
pub fn shared() -> Option<RwLockReadGuard<'static, Node>> {
    the_node().map(|node| node.read().unwrap_or_else(PoisonError::into_inner))
}

/// The node for one test alone, which may pause and kill it; it runs again afterwards.
pub fn alone() -> Option<Alone> {
    the_node().map(|node| Alone(node.write().unwrap_or_else(PoisonError::into_inner)))
}

pub struct Alone(RwLockWriteGuard<'static, Node>);

impl Deref for Alone {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}

impl DerefMut for Alone {
    fn deref_mut(&mut self) -> &mut Node {
        &mut self.0
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        match self.0.pid {
            Some(_) => self.0.resume(),
            // A start that fails while a test fails would end the whole program.
            None if std::thread::panicking() => self.0.spawn(),
            None => self.0.start(),
        }
    }
}

impl Node {
    /// A formatted node on free ports that does not run yet.
    pub fn new(tools: Tools) -> Node {
        let libs = tools.libs();
        let folder = tempfile::Builder::new().prefix("millrace-kafka-").tempdir().expect("a folder").keep();
        let [port, controller] = free_ports();
        let file = folder.join("server.properties");
        std::fs::write(&file, properties(port, controller, &folder.join("data").display().to_string()))
            .expect("written");
        std::fs::write(folder.join("log4j2.properties"), LOG4J).expect("written");
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(&folder)
            .arg(&tools.java)
            .args(["-Xms128m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg(format!("-Dlog4j2.configurationFile={}", folder.join("log4j2.properties").display()))
            .arg("-cp")
            .arg(libs.join("*"))
            .arg("kafka.Kafka")
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let (words, answers) =
            (guard.stdin.take().expect("a pipe"), BufReader::new(guard.stdout.take().expect("a pipe")));
        let node = Node { tools, libs, folder, port, guard, words, answers, pid: None };
        let config = file.display().to_string();
        node.tool(&["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", &config], "");
        node
    }

    /// Starts the JVM and does not wait for more.
    pub fn spawn(&mut self) {
        self.pid = Pid::from_raw(self.ask("start"));
        assert!(self.pid.is_some(), "the JVM has no process id");
    }

    /// Starts the JVM and waits until it serves.
    pub fn start(&mut self) {
        let read = self.log().len();
        self.spawn();
        let deadline = Instant::now() + START;
        while !self.log().get(read..).is_some_and(|log| log.contains(STARTED)) {
            assert!(Instant::now() < deadline && self.runs(), "Kafka does not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// `host:port` for clients.
    pub fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where its data and log are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The JVM's process id.
    pub fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// A client of its own.
    pub fn client(&self) -> Client {
        Client::new(self.port)
    }

    /// Makes a topic and waits until it has leaders.
    pub fn create_topic(&self, name: &str, partitions: i32) {
        self.client().create_topic(name, partitions, &[]);
    }

    /// SIGSTOP: connections stay, nothing answers.
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    /// SIGKILL. The data stays.
    pub fn kill(&mut self) {
        assert_eq!(self.ask("kill"), 0);
        self.pid = None;
    }

    /// Starts it again on its data and port, killing it first if it still runs.
    pub fn restart(&mut self) {
        if self.pid.is_some() {
            self.kill();
        }
        self.start();
    }

    /// What Kafka's own console consumer prints of these topics (a regular expression): `KEY<TAB>VALUE` for each
    /// record, as soon as there are `count`.
    pub fn console_consumer(&self, topics: &str, count: usize) -> Vec<String> {
        let (servers, count_text) = (self.servers(), count.to_string());
        let words = [
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            "--bootstrap-server",
            &servers,
            "--include",
            topics,
            "--from-beginning",
            "--max-messages",
            &count_text,
            "--timeout-ms",
            "60000",
            "--formatter-property",
            "print.key=true",
        ];
        let printed = self.tool(&words, "");
        let lines: Vec<String> = printed.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), count, "{topics}: {lines:?}");
        lines
    }

    /// Lets Kafka's own console producer write lines of the form `KEY<TAB>VALUE`.
    pub fn console_producer(&self, topic: &str, lines: &[String]) {
        let servers = self.servers();
        let words = [
            "org.apache.kafka.tools.ConsoleProducer",
            "--bootstrap-server",
            &servers,
            "--topic",
            topic,
            "--reader-property",
            "parse.key=true",
        ];
        self.tool(&words, &(lines.join("\n") + "\n"));
    }

    /// Runs one of Kafka's tools with this input, shorter than a pipe holds; it must succeed. What it prints.
    fn tool(&self, words: &[&str], input: &str) -> String {
        let mut child = Command::new(&self.tools.java)
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=ERROR", "-cp"])
            .arg(self.libs.join("*"))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Java can be started");
        let written = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("our own child");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {out}{err}");
        written.expect("the tool reads its input");
        out
    }

    fn runs(&self) -> bool {
        self.pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
    }

    fn signal(&self, signal: Signal) {
        let pid = self.pid.expect("the node was killed by this test");
        kill_process(pid, signal).expect("a signal to our own child");
    }

    fn ask(&mut self, word: &str) -> i32 {
        writeln!(self.words, "{word}").expect("the guard listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the guard answers");
        answer.trim().parse().unwrap_or_else(|_| panic!("the guard says {answer:?}"))
    }

    fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The shared one is in a static and ends by the pipe's end; here the same is done in order.
        let _ = self.ask("kill");
        let _ = std::fs::remove_dir_all(&self.folder);
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

/// Ports that were free a moment ago.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

fn properties(port: u16, controller: u16, data: &str) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions=3
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
log.segment.bytes=67108864
log.cleaner.enable=false
num.network.threads=2
num.io.threads=4
"
    )
}
