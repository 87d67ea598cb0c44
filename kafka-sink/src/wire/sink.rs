//! What is around the machine in the broker: the accounts that its records count in, the cores
//! whose publishers wait, the files it reads, and the operator.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::client::Client;
use super::driver::{Action, DriverHandle, Looks, Machine, Source, Surroundings};
use crate::accounts::{Accounts, Settler};
use crate::log::control::TargetState;
use crate::log::file::Fs;
use crate::log::follow::Follow;
use crate::log::port::{Awaited, Group, Port};
use crate::ring::{AckToken, Completion};
use crate::sender::notice::{Level, Notice};
use crate::sender::request::{Outcome, RequestId};
use crate::sender::{self, Now, Reader, Sender, Settings, Tally};
use crate::status::KafkaStatus;
use crate::target::KafkaConfig;

/// Bytes of groups that one read from the files brings.
const READ_BYTES: usize = 1 << 20;

/// What the sink shares with the rest of the stream side.
pub(crate) struct SinkShared {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) completion: Arc<dyn Completion>,
    /// What the log knows of the target at the start.
    pub(crate) restored: TargetState,
    /// The streams of the hooks, each once.
    pub(crate) streams: Vec<Arc<str>>,
    /// Those of hooks whose publishers wait for Kafka.
    pub(crate) confirmed_streams: Vec<Arc<str>>,
    /// The log's directory and the file layer it is on.
    pub(crate) dir: PathBuf,
    pub(crate) fs: Arc<dyn Fs>,
    /// The first sequence that is still in the log.
    pub(crate) earliest: u64,
    /// See [`Settings`].
    pub(crate) first_sequence: u32,
    pub(crate) cores: usize,
    /// Random.
    pub(crate) seed: u64,
}

/// The running sink. Dropping it asks it to stop, without waiting.
pub(crate) struct Handle {
    driver: DriverHandle,
}

/// Starts the thread `millrace-kafka`.
///
/// # Errors
/// A server's address cannot be understood, or the thread cannot be started.
pub(crate) fn start(config: KafkaConfig, port: Arc<Port>, shared: SinkShared) -> io::Result<Handle> {
    let client = Client::new(&config).map_err(io::Error::other)?;
    let settings = Settings {
        confirmed_topics: shared.confirmed_streams,
        earliest: shared.earliest,
        first_sequence: shared.first_sequence,
        seed: shared.seed,
        ..Settings::new(config, shared.streams)
    };
    let machine = Sender::new(settings, &shared.restored, Arc::clone(port.budget()));
    let desk = Desk {
        settler: Settler::new(Arc::clone(&shared.accounts)),
        accounts: shared.accounts,
        completion: shared.completion,
        tokens: (0..shared.cores).map(|_| Vec::new()).collect(),
        dir: shared.dir,
        fs: shared.fs,
        port: Arc::clone(&port),
    };
    let driver = super::driver::start(Adapter { machine, actions: Vec::new() }, desk, client, port)?;
    Ok(Handle { driver })
}

impl Handle {
    /// The target, and by rule the time of the oldest event that waits.
    pub(crate) fn status(&self) -> (KafkaStatus, BTreeMap<u32, Option<u64>>) {
        let (kafka, oldest) = self.driver.status().unwrap_or_else(|| {
            let state = "busy: it did not say how it is within a second".to_owned();
            (KafkaStatus { state, ..KafkaStatus::default() }, BTreeMap::new())
        });
        (kafka, oldest.into_iter().map(|(rule, ts_ms)| (rule, Some(ts_ms))).collect())
    }

    /// Delivers what is left, at most for `grace` and while Kafka can be reached; blocks until the
    /// thread has ended.
    pub(crate) fn stop(self, grace: Duration) {
        self.driver.stop(grace);
    }

    /// Ends it as it is; blocks until the thread has ended, which it does at once.
    pub(crate) fn abandon(self) {
        self.driver.abandon();
    }
}

/// The machine as the driver knows it.
struct Adapter {
    machine: Sender,
    actions: Vec<sender::Action>,
}

/// What the machine says of records.
enum Settled {
    Delivered(Vec<Tally>, Vec<(u8, AckToken)>),
    SetAside(Vec<Tally>, Vec<(u8, AckToken)>),
    Retried(Vec<Tally>),
    PossiblyRepeated(Vec<Tally>),
}

impl Machine for Adapter {
    type Reader = Reader;
    type Delivered = Settled;
    type Notice = Notice;

    fn poll(&mut self, now: Now, actions: &mut Vec<Action<Self>>) {
        self.machine.poll(now, &mut self.actions);
        actions.extend(self.actions.drain(..).map(|action| match action {
            sender::Action::Request(id, request) => Action::Request(id, request),
            sender::Action::Submit(controls) => Action::Submit(controls),
            sender::Action::Read { reader, from } => Action::Read { reader, from },
            sender::Action::Delivered { tally, tokens } => {
                Action::Delivered(Settled::Delivered(tally, tokens))
            }
            sender::Action::SetAside { tally, tokens } => Action::Delivered(Settled::SetAside(tally, tokens)),
            sender::Action::Retried(tally) => Action::Delivered(Settled::Retried(tally)),
            sender::Action::PossiblyRepeated(tally) => Action::Delivered(Settled::PossiblyRepeated(tally)),
            sender::Action::Floor(floor) => Action::Floor(floor),
            sender::Action::Say(notice) => Action::Say(notice),
        }));
    }

    fn answer(&mut self, now: Now, id: RequestId, outcome: Outcome) {
        self.machine.answer(now, id, outcome);
    }

    fn durable(&mut self, now: Now, ticket: u64) {
        self.machine.durable(now, ticket);
    }

    fn group(&mut self, group: Arc<Group>) {
        self.machine.group(group);
    }

    fn durable_to(&mut self, sequence: u64) {
        self.machine.durable_to(sequence);
    }

    fn read_done(&mut self, now: Now, reader: Reader, groups: Result<Vec<Arc<Group>>, String>) {
        self.machine.read_done(now, reader, groups);
    }

    fn awaited(&mut self, awaited: &[Awaited]) {
        self.machine.awaited(awaited);
    }

    fn deadline(&self) -> Option<Duration> {
        self.machine.deadline()
    }

    fn stop(&mut self, until: Duration) {
        self.machine.stop(until);
    }

    fn is_done(&self) -> bool {
        self.machine.is_done()
    }

    fn status(&self) -> Looks {
        (self.machine.status(), self.machine.oldest())
    }
}

struct Desk {
    settler: Settler,
    accounts: Arc<Accounts>,
    completion: Arc<dyn Completion>,
    /// Gathered by core, so that each hears once.
    tokens: Vec<Vec<AckToken>>,
    dir: PathBuf,
    fs: Arc<dyn Fs>,
    port: Arc<Port>,
}

impl Desk {
    fn release(&mut self, tokens: Vec<(u8, AckToken)>) {
        for (core, token) in tokens {
            if let Some(of_core) = self.tokens.get_mut(self.accounts.home(core)) {
                of_core.push(token);
            }
        }
        for (core, tokens) in self.tokens.iter_mut().enumerate() {
            if !tokens.is_empty() {
                self.completion.durable(core, std::mem::take(tokens));
            }
        }
        for core in self.settler.take_due() {
            self.completion.room(core);
        }
    }
}

impl Surroundings<Adapter> for Desk {
    fn open(&mut self, _: Reader) -> Box<dyn Source> {
        let follow = Follow::open(Arc::clone(&self.fs), self.dir.clone());
        Box::new(Files { follow, port: Arc::clone(&self.port) })
    }

    fn delivered(&mut self, settled: Settled) {
        match settled {
            Settled::Delivered(tally, tokens) => {
                tally.iter().for_each(|it| self.settler.delivered(it.core, it.rule, it.records, it.bytes));
                self.release(tokens);
            }
            Settled::SetAside(tally, tokens) => {
                tally.iter().for_each(|it| self.settler.set_aside(it.core, it.rule, it.records, it.bytes));
                self.release(tokens);
            }
            Settled::Retried(tally) => {
                tally.iter().for_each(|it| self.settler.retried(it.core, it.rule, it.records));
            }
            Settled::PossiblyRepeated(tally) => {
                tally.iter().for_each(|it| self.settler.possibly_repeated(it.core, it.rule, it.records));
            }
        }
    }

    fn say(&mut self, notice: Notice) {
        match notice.level() {
            Level::Info => tracing::info!("kafka: {notice}"),
            Level::Warn => tracing::warn!("kafka: {notice}"),
            Level::Error => tracing::error!("kafka: {notice}"),
        }
    }
}

/// The files of the log.
struct Files {
    follow: Follow,
    port: Arc<Port>,
}

impl Source for Files {
    fn read(&mut self, from: u64) -> Result<Vec<Arc<Group>>, String> {
        let durable = self.port.durable();
        let read = self.follow.read(from, durable, READ_BYTES, self.port.budget());
        let mut groups = read.map_err(|error| error.to_string())?;
        for gap in self.follow.take_gaps() {
            tracing::error!(
                from = gap.start,
                to = gap.end,
                "records that were to go to Kafka are not in the log any more"
            );
            // What is gone is passed; where groups follow, they do that by themselves.
            let end = groups.last().map_or(from, |group| group.sequences.end);
            if gap.end > end {
                groups.push(Arc::new(self.nothing(gap)));
            }
        }
        Ok(groups)
    }
}

impl Files {
    fn nothing(&self, gap: Range<u64>) -> Group {
        Group::new(0, "".into(), gap, Vec::new(), &Arc::<AtomicUsize>::default())
    }
}
