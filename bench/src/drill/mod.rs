//! `millrace-bench drill`: load, SIGKILL at random moments, restart, and a count of what the stream holds.
//!
//! It starts the broker itself and knows it by its command line, MQTT and `millrace consume` only; with `--kafka` it
//! counts what has come to Kafka.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use millrace_codec::{QoS, Version};

use crate::random::Random;
use broker::{Broker, Running};
use check::{Attempt, Sent, Verdict};
use message::Content;
use publisher::{Publisher, Settings, Shared};
use stream::{Consumer, Next};

mod broker;
mod kafka;
mod link;
mod message;
mod publisher;
mod stream;

mod check;

/// How often the drill looks whether all is well while it waits.
const TICK: Duration = Duration::from_millis(20);
/// Time for the last acknowledgements, after the last restart.
const FINISH_TIMEOUT: Duration = Duration::from_secs(120);
/// After the last record that must come, the stream has to stay quiet for so long.
const QUIET: Duration = Duration::from_secs(1);
/// One kill in so many hits the start itself, wherever recovery may be then; the others wait for acknowledgements.
const KILLS_AT_START: f64 = 0.25;
/// Time in which a started broker has to acknowledge something.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// A stream that is quiet for so long will not bring what is still missing.
const GONE: Duration = Duration::from_secs(30);

/// Kill the broker again and again under load, and count what its stream kept
///
/// Starts the broker, loads it from several publishers on topics of the default hook (devices/+/state, stream
/// message_state), kills it with SIGKILL at random moments and starts it again. Publishers connect again and send
/// what was not acknowledged. In the end the stream is read with `millrace consume` and compared. Exit code 0 only
/// if nothing that was acknowledged is missing, nothing is there twice and each publisher's messages are in order.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace-bench drill
  millrace-bench drill --kills 100 --publishers 8 --seconds-between 0.7 --qos 2
  millrace-bench drill --set log.segment_bytes=2MiB --set node.cores=4
  millrace-bench drill --kafka 127.0.0.1:9092 --rate 2000
  millrace-bench drill --broker ./target/release/millrace --data /var/tmp/drill --seed 7

The same seed kills after the same times; what the broker is doing then differs from run to run.")]
pub(crate) struct DrillArgs {
    /// Command of the broker, to which `run` and `consume` with their options are appended; it must become the
    /// broker's own process, not start one [default: the millrace beside this executable]
    #[arg(long, value_name = "CMD")]
    broker: Option<String>,
    /// How often the broker is killed
    #[arg(long, value_name = "N", default_value_t = 10)]
    kills: u32,
    /// Publishers at a time; they speak MQTT 3.1, 3.1.1 and 5.0 in turn
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    publishers: u32,
    /// Time under load before a kill, on average: each is drawn from 0 to twice of it and counts from the first
    /// acknowledgement after a start, for one kill in four from the start itself
    #[arg(long, value_name = "SECONDS", default_value_t = 1.5, value_parser = seconds)]
    seconds_between: f64,
    /// QoS of the messages: 1 or 2
    #[arg(long, default_value = "1", value_parser = qos)]
    qos: QoS,
    /// Messages that one publisher may have unacknowledged
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    window: u16,
    /// Messages a second of one publisher, at most; 0 for no limit. Without a limit the windows are always full, so
    /// that every kill finds something unacknowledged; a long drill then takes gigabytes
    #[arg(long, value_name = "N", default_value_t = 0)]
    rate: u32,
    /// Kafka servers that the broker feeds; what is counted is then what is there, in a topic of the drill's own,
    /// millrace-drill-ID, which stays. Batches are not compressed
    #[arg(long, value_name = "HOST:PORT,…")]
    kafka: Option<String>,
    /// Setting of the broker, such as log.segment_bytes=2MiB; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Data directory of the broker; kept [default: a new one, removed after a good end]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Port of the broker on 127.0.0.1 [default: a free one]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Seed of the moments at which it is killed [default: a new one, printed]
    #[arg(long)]
    seed: Option<u64>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= 86_400.0);
    number.ok_or_else(|| "expected a number of seconds above 0".to_owned())
}

fn qos(text: &str) -> Result<QoS, String> {
    match text {
        "1" => Ok(QoS::AtLeastOnce),
        "2" => Ok(QoS::ExactlyOnce),
        _ => Err("QoS is 1 or 2: at QoS 0 nothing is acknowledged".to_owned()),
    }
}

/// Runs the drill and prints its table; whether the broker has kept its promise.
pub(crate) fn run(args: &DrillArgs) -> Result<bool, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let seed = args.seed.unwrap_or(now);
    // Names this drill's messages, also among those of an earlier one with the same seed.
    let id = Random::new(now ^ u64::from(process::id())).next();
    let data = match &args.data {
        Some(data) => data.clone(),
        None => std::env::temp_dir().join(format!("millrace-drill-{id:016x}")),
    };
    fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
    let settings = [kafka_settings(args, id), args.set.clone()].concat();
    let broker = Broker::new(args.broker.as_deref(), &data, args.port, &settings)?;
    println!("{} on {}, data in {}, seed {seed}", broker.program(), broker.address, data.display());
    let verdict = Drill::new(args, &broker, id).run(Random::new(seed))?;
    print!("{}", table(&verdict));
    if verdict.is_good() && args.data.is_none() {
        remove(&data);
    } else {
        println!("kept: {}", data.display());
    }
    Ok(verdict.is_good())
}

/// The topic of the drill with this id.
fn kafka_topic(id: u64) -> String {
    format!("millrace-drill-{id:016x}")
}

fn kafka_settings(args: &DrillArgs, id: u64) -> Vec<String> {
    let Some(servers) = &args.kafka else { return Vec::new() };
    vec![
        format!("kafka.servers={servers}"),
        "kafka.create_topics=true".to_owned(),
        format!("hook.message_state.topic={}", kafka_topic(id)),
    ]
}

fn remove(data: &Path) {
    if let Err(error) = fs::remove_dir_all(data) {
        eprintln!("warning: {} could not be removed: {error}", data.display());
    }
}

fn table(verdict: &Verdict) -> String {
    let rows = [
        ("published", verdict.published),
        ("acknowledged", verdict.acknowledged),
        ("in the stream", verdict.in_stream),
        ("missing", verdict.missing),
        ("twice", verdict.twice),
        ("out of order", verdict.out_of_order),
        ("never sent or damaged", verdict.unknown),
        ("unacknowledged but there", verdict.unacknowledged_there),
    ];
    let mut text: String = rows.iter().map(|(name, count)| format!("{name:<25}{count:>12}\n")).collect();
    text.push_str(if verdict.is_good() { "good\n" } else { "FAILED\n" });
    text
}

struct Drill<'a> {
    args: &'a DrillArgs,
    broker: &'a Broker,
    id: u64,
    shared: Arc<Shared>,
    publishers: Vec<JoinHandle<Result<Vec<Sent>, String>>>,
    kills: u32,
}

impl Drill<'_> {
    fn new<'a>(args: &'a DrillArgs, broker: &'a Broker, id: u64) -> Drill<'a> {
        Drill { args, broker, id, shared: Arc::default(), publishers: Vec::new(), kills: 0 }
    }

    fn run(mut self, random: Random) -> Result<Verdict, String> {
        let result = self.load_and_kill(random);
        if result.is_err() {
            self.shared.abort.store(true, Ordering::Relaxed);
        }
        // Publishers first: what one of them has met explains a failure best.
        let sent = self.join()?;
        let _running = result?;
        let stream = self.read_stream(&sent)?;
        Ok(check::check(&sent, &stream))
    }

    /// The load with its crashes, up to the last acknowledgement; the broker is still running then.
    fn load_and_kill(&mut self, mut random: Random) -> Result<Running, String> {
        let mut running = self.broker.start()?;
        self.start_publishers();
        for number in 1..=self.args.kills + 1 {
            let at_start = random.fraction() < KILLS_AT_START;
            let wait = Duration::from_secs_f64(2.0 * self.args.seconds_between * random.fraction());
            if !at_start {
                self.await_load(&mut running)?;
            }
            self.watch(&mut running, Instant::now() + wait, false)?;
            if number > self.args.kills {
                break;
            }
            drop(running);
            self.kills = number;
            self.progress(true);
            running = self.broker.start()?;
        }
        self.shared.finish.store(true, Ordering::Relaxed);
        self.watch(&mut running, Instant::now() + FINISH_TIMEOUT, true)?;
        self.progress(true);
        Ok(running)
    }

    fn start_publishers(&mut self) {
        for number in 0..self.args.publishers as usize {
            let settings = Settings {
                drill: self.id,
                number,
                address: self.broker.address,
                version: Version::ALL[number % Version::ALL.len()],
                qos: self.args.qos,
                window: usize::from(self.args.window),
                rate: self.args.rate,
            };
            let publisher = Publisher::new(settings, Arc::clone(&self.shared));
            self.publishers.push(thread::spawn(move || publisher.run()));
        }
    }

    /// Waits until something is acknowledged that was not before.
    fn await_load(&self, running: &mut Running) -> Result<(), String> {
        let acknowledged = || self.shared.acknowledged.load(Ordering::Relaxed);
        let (before, started) = (acknowledged(), Instant::now());
        while acknowledged() == before {
            if started.elapsed() > START_TIMEOUT {
                return Err(format!("nothing acknowledged {} s after a start", START_TIMEOUT.as_secs()));
            }
            self.watch(running, Instant::now() + TICK, false)?;
        }
        Ok(())
    }

    /// Waits until `until`, or until all publishers have finished; an error if the broker or one of them gives up.
    fn watch(&self, running: &mut Running, until: Instant, finishing: bool) -> Result<(), String> {
        loop {
            if let Ok(Some(status)) = running.0.try_wait() {
                return Err(self.broker.ended(status));
            }
            let done = self.publishers.iter().filter(|publisher| publisher.is_finished()).count();
            match finishing {
                true if done == self.publishers.len() => return Ok(()),
                false if done > 0 => return Err("a publisher gave up".to_owned()),
                _ => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return match finishing {
                    true => Err(format!("not all is acknowledged after {} s", FINISH_TIMEOUT.as_secs())),
                    false => Ok(()),
                };
            }
            thread::sleep(left.min(TICK));
            self.progress(false);
        }
    }

    /// A line on standard error: rewritten in place on a terminal, else one for each kill.
    fn progress(&self, important: bool) {
        let terminal = std::io::stderr().is_terminal();
        if !terminal && !important {
            return;
        }
        let (sent, acknowledged) = (&self.shared.sent, &self.shared.acknowledged);
        let (sent, acknowledged) = (sent.load(Ordering::Relaxed), acknowledged.load(Ordering::Relaxed));
        let end = if terminal && !important { "\r" } else { "\n" };
        let mut out = std::io::stderr();
        // Progress is for people; nobody to show it to is no failure.
        let _ = write!(
            out,
            "killed {} of {} times, {sent} sent, {acknowledged} acknowledged{end}",
            self.kills, self.args.kills
        );
    }

    fn join(&mut self) -> Result<Vec<Vec<Sent>>, String> {
        let joined = self.publishers.drain(..).map(JoinHandle::join);
        joined.map(|result| result.unwrap_or_else(|_| Err("a publisher panicked".to_owned()))).collect()
    }

    /// This drill's records. Everything is acknowledged by now, so the last attempt of each publisher must come; after
    /// it only what should not be there can.
    fn read_stream(&self, sent: &[Vec<Sent>]) -> Result<Vec<Option<(usize, Attempt)>>, String> {
        let mut last: Vec<_> = sent.iter().map(|sent| sent.last().map(|last| last.attempt)).collect();
        let mut consumer = match &self.args.kafka {
            Some(servers) => Consumer::of_kafka(servers, &kafka_topic(self.id)),
            None => Consumer::of_log(self.broker)?,
        };
        let mut records = Vec::new();
        loop {
            let wait = if last.iter().all(Option::is_none) { QUIET } else { GONE };
            match consumer.next(wait)? {
                Next::Quiet => return Ok(records),
                Next::Payload(None) => records.push(None),
                Next::Payload(Some(payload)) => match message::content(self.id, &payload) {
                    Content::Foreign => {}
                    Content::Damaged => records.push(None),
                    Content::Ours(publisher, attempt) => {
                        records.push(Some((publisher, attempt)));
                        if let Some(last) = last.get_mut(publisher).filter(|last| **last == Some(attempt)) {
                            *last = None;
                        }
                    }
                },
            }
        }
    }
}
