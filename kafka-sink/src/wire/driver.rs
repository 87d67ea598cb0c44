//! The thread between the machine, the log and the network. Each turn it takes all that has come,
//! lets the machine decide, and does what the machine says; then it sleeps until something comes
//! or the machine's deadline passes.
//!
//! Nothing here decides anything about records. Files are read on tokio's blocking threads, and
//! requests are tasks of their own: neither holds up a turn.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::client::Client;
use crate::log::control::Control;
use crate::log::port::{Awaited, Group, Port};
use crate::sender::Now;
use crate::sender::request::{Outcome, Request, RequestId};
use crate::status::KafkaStatus;

/// Groups that are handed over in a turn; more of them wait for the next.
const GROUPS_PER_TURN: usize = 64;
/// A stop takes this much longer than its grace, to write down how far it came.
const LAST_CURSORS: Duration = Duration::from_secs(2);
/// Threads that read files, compress, and wait for names to be resolved. The last may take minutes
/// for each name that cannot be, and must not hold up the others.
const BLOCKING_THREADS: usize = 64;
/// A look at the machine is worth no longer wait than this.
const LOOK: Duration = Duration::from_secs(1);
/// How long it sleeps when the machine waits for nothing.
const IDLE: Duration = Duration::from_secs(3600);

/// The target, and the time of the oldest event that waits by rule, Unix milliseconds.
pub(crate) type Looks = (KafkaStatus, BTreeMap<u32, u64>);

/// What the machine wants done, in this order.
pub(crate) enum Action<M: Machine + ?Sized> {
    /// Answered by [`Machine::answer`], once, in whatever order.
    Request(RequestId, Request),
    /// Tickets count these from 0 on.
    Submit(Vec<Control>),
    /// Read groups from the files; one read of each reader at a time.
    Read { reader: M::Reader, from: u64 },
    /// Done with these records: acknowledge, give credit back, count.
    Delivered(M::Delivered),
    /// Records below this may be deleted.
    Floor(u64),
    /// Tell the operator.
    Say(M::Notice),
}

/// The machine, as far as this thread knows it.
pub(crate) trait Machine: Send + 'static {
    /// Names one of the places in the files that are read from.
    type Reader: Copy + Ord + Send + 'static;
    type Delivered;
    type Notice;

    fn poll(&mut self, now: Now, actions: &mut Vec<Action<Self>>);
    fn answer(&mut self, now: Now, id: RequestId, outcome: Outcome);
    /// Every control with a lower ticket is durable.
    fn durable(&mut self, now: Now, ticket: u64);
    fn group(&mut self, group: Arc<Group>);
    /// Every record below this sequence is durable: in a group that was handed over, or in the files.
    fn durable_to(&mut self, sequence: u64);
    fn read_done(&mut self, now: Now, reader: Self::Reader, groups: Result<Vec<Arc<Group>>, String>);
    /// Comes before the groups with these records.
    fn awaited(&mut self, awaited: &[Awaited]);
    /// When to poll again if nothing comes, on the clock of [`Now::mono`].
    fn deadline(&self) -> Option<Duration>;
    /// Deliver what is left until this time, then write down how far it came.
    fn stop(&mut self, until: Duration);
    fn is_done(&self) -> bool;
    /// For people.
    fn status(&self) -> Looks;
}

/// What lies beside the machine: files to read, cores to tell, an operator to talk to.
pub(crate) trait Surroundings<M: Machine>: Send + 'static {
    fn open(&mut self, reader: M::Reader) -> Box<dyn Source>;
    fn delivered(&mut self, delivered: M::Delivered);
    fn say(&mut self, notice: M::Notice);
}

/// Reads groups from the files. Blocks.
pub(crate) trait Source: Send + 'static {
    /// # Errors
    /// What could not be read, with its path.
    fn read(&mut self, from: u64) -> Result<Vec<Arc<Group>>, String>;
}

/// What others leave for the thread.
struct News<R> {
    notify: Notify,
    inbox: Mutex<Inbox<R>>,
}

struct Inbox<R> {
    answers: Vec<(RequestId, Outcome)>,
    reads: Vec<ReadDone<R>>,
    stop: Option<Stop>,
    /// Who wants to look.
    looks: Vec<SyncSender<Looks>>,
}

#[derive(Clone, Copy)]
enum Stop {
    /// As it is: what is not written down is found out by the next start.
    Now,
    /// Deliver for so long, then write down how far it came.
    Within(Duration),
}

struct ReadDone<R> {
    reader: R,
    /// Back for the next read.
    source: Box<dyn Source>,
    groups: Result<Vec<Arc<Group>>, String>,
}

impl<R> News<R> {
    fn leave(&self, put: impl FnOnce(&mut Inbox<R>)) {
        put(&mut self.inbox.lock());
        self.notify.notify_one();
    }
}

/// The running thread. Dropping it asks it to stop at once, without waiting for it.
pub(crate) struct DriverHandle {
    ask_to_stop: Box<dyn Fn(Stop) + Send + Sync>,
    ask_to_look: Box<dyn Fn(SyncSender<Looks>) + Send + Sync>,
    thread: Option<JoinHandle<()>>,
}

impl DriverHandle {
    /// The machine as it is now; `None` if the thread is too busy to say.
    pub(crate) fn status(&self) -> Option<Looks> {
        let (to, from) = sync_channel(1);
        (self.ask_to_look)(to);
        from.recv_timeout(LOOK).ok()
    }

    /// Lets what is under way finish, at most for `grace`; what is not confirmed by then is
    /// resolved by the next start.
    pub(crate) fn stop(self, grace: Duration) {
        self.end(Stop::Within(grace));
    }

    /// Stops at once, for a log that takes nothing more: what was to be written would be waited
    /// for in vain. The next start finds out how far it came.
    pub(crate) fn abandon(self) {
        self.end(Stop::Now);
    }

    fn end(mut self, stop: Stop) {
        (self.ask_to_stop)(stop);
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked: that ends the process.
            let _ = thread.join();
        }
    }
}

impl Drop for DriverHandle {
    fn drop(&mut self) {
        (self.ask_to_stop)(Stop::Now);
    }
}

/// Ends the process when the thread or a task of it panics: a broker whose records go nowhere
/// would go on confirming them. The next start recovers.
struct Fuse;

impl Drop for Fuse {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("millrace: the Kafka thread has failed; ending the process, the next start recovers");
            std::process::abort();
        }
    }
}

/// Spawns the thread `millrace-kafka`.
///
/// # Errors
/// The thread or its runtime cannot be made.
pub(crate) fn start<M: Machine>(
    machine: M,
    surroundings: impl Surroundings<M>,
    client: Client,
    port: Arc<Port>,
) -> io::Result<DriverHandle> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("millrace-kafka-io")
        .build()?;
    let inbox = Mutex::new(Inbox { answers: Vec::new(), reads: Vec::new(), stop: None, looks: Vec::new() });
    let news = Arc::new(News { notify: Notify::new(), inbox });
    let wake = Arc::clone(&news);
    port.set_wake(Box::new(move || wake.notify.notify_one()));
    let stop = Arc::clone(&news);
    let ask_to_stop = Box::new(move |how| stop.leave(|inbox| inbox.stop = Some(how)));
    let look = Arc::clone(&news);
    let ask_to_look = Box::new(move |to| look.leave(|inbox| inbox.looks.push(to)));
    let run = move || {
        let _fuse = Fuse;
        let driver = Driver {
            machine,
            surroundings,
            client: Arc::new(client),
            port,
            news,
            sources: BTreeMap::new(),
            awaited: Vec::new(),
            begun: None,
            stopping: None,
        };
        runtime.block_on(driver.run());
        // A name that is being resolved or a file that is being read holds up no stop. Connections
        // end by a reset, so that nothing which is unconfirmed leaves after this.
        runtime.shutdown_background();
    };
    let thread = thread::Builder::new().name("millrace-kafka".into()).spawn(run)?;
    Ok(DriverHandle { ask_to_stop, ask_to_look, thread: Some(thread) })
}

struct Driver<M: Machine, S> {
    machine: M,
    surroundings: S,
    client: Arc<Client>,
    port: Arc<Port>,
    news: Arc<News<M::Reader>>,
    /// Those that are not reading at present.
    sources: BTreeMap<M::Reader, Box<dyn Source>>,
    awaited: Vec<Awaited>,
    begun: Option<Instant>,
    /// When the grace of a stop is over.
    stopping: Option<Instant>,
}

impl<M: Machine, S: Surroundings<M>> Driver<M, S> {
    async fn run(mut self) {
        let mut actions = Vec::new();
        loop {
            let now = self.now();
            let more = self.take_news(now);
            self.machine.poll(now, &mut actions);
            for action in actions.drain(..) {
                self.carry_out(action);
            }
            if let Some(over) = self.stopping
                && (self.machine.is_done() || Instant::now() >= over)
            {
                return;
            }
            // Requests and connections get their turn also while news come without a pause.
            tokio::task::yield_now().await;
            if !more {
                let _ = timeout_at(self.wake_at(), self.news.notify.notified()).await;
            }
        }
    }

    fn now(&mut self) -> Now {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: begun.elapsed(), unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
    }

    fn wake_at(&self) -> Instant {
        let idle = Instant::now() + IDLE;
        let deadline = self.begun.zip(self.machine.deadline());
        let deadline = deadline.and_then(|(begun, deadline)| begun.checked_add(deadline));
        [deadline, self.stopping].into_iter().flatten().fold(idle, Instant::min)
    }

    /// Hands the machine what has come; whether there is more.
    fn take_news(&mut self, now: Now) -> bool {
        let Inbox { answers, reads, stop, looks } = {
            let mut inbox = self.news.inbox.lock();
            let empty = Inbox { answers: Vec::new(), reads: Vec::new(), stop: None, looks: Vec::new() };
            std::mem::replace(&mut *inbox, empty)
        };
        if let Some(stop) = stop {
            let (grace, more) = match stop {
                Stop::Now => (Duration::ZERO, Duration::ZERO),
                Stop::Within(grace) => (grace, LAST_CURSORS),
            };
            self.stopping = Some(Instant::now() + grace + more);
            self.machine.stop(now.mono.saturating_add(grace));
        }
        self.machine.durable(now, self.port.durable_ticket());
        for (id, outcome) in answers {
            self.machine.answer(now, id, outcome);
        }
        for ReadDone { reader, source, groups } in reads {
            self.sources.insert(reader, source);
            self.machine.read_done(now, reader, groups);
        }
        let more = self.take_groups();
        for look in looks {
            // Whoever asked may have stopped waiting.
            let _ = look.try_send(self.machine.status());
        }
        more
    }

    fn take_groups(&mut self) -> bool {
        // Before the groups: what is durable by now is among them, or did not stay in memory.
        let durable = self.port.durable();
        let mut groups = Vec::new();
        while groups.len() < GROUPS_PER_TURN
            && let Some(group) = self.port.take_group()
        {
            groups.push(group);
        }
        // After the groups were taken, so that it holds all that is awaited in them.
        self.port.take_awaited(&mut self.awaited);
        if !self.awaited.is_empty() {
            self.machine.awaited(&self.awaited);
            self.awaited.clear();
        }
        let more = groups.len() == GROUPS_PER_TURN;
        for group in groups {
            self.machine.group(group);
        }
        if !more {
            self.machine.durable_to(durable);
        }
        more
    }

    fn carry_out(&mut self, action: Action<M>) {
        match action {
            Action::Request(id, request) => {
                let (client, news) = (Arc::clone(&self.client), Arc::clone(&self.news));
                tokio::spawn(async move {
                    let _fuse = Fuse;
                    let outcome = client.carry_out(request).await;
                    news.leave(|inbox| inbox.answers.push((id, outcome)));
                });
            }
            Action::Submit(controls) => {
                self.port.submit(controls);
            }
            Action::Read { reader, from } => self.read(reader, from),
            Action::Delivered(delivered) => self.surroundings.delivered(delivered),
            Action::Floor(floor) => self.port.set_floor(floor),
            Action::Say(notice) => self.surroundings.say(notice),
        }
    }

    fn read(&mut self, reader: M::Reader, from: u64) {
        let mut source = self.sources.remove(&reader).unwrap_or_else(|| self.surroundings.open(reader));
        let news = Arc::clone(&self.news);
        tokio::task::spawn_blocking(move || {
            let _fuse = Fuse;
            let groups = source.read(from);
            news.leave(|inbox| inbox.reads.push(ReadDone { reader, source, groups }));
        });
    }
}
