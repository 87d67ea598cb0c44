//! One connection to one broker, made when it is needed and made again when it has ended. What
//! must not hold up each other takes connections of its own: Kafka works on one request of a
//! connection at a time.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use rskafka::messenger::{Messenger, RequestError, SyncVersionsError};
use tokio::io::BufReader;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::address::{Address, Search};
use super::bodies::api::{Api, Ask, Reply};
use super::stream::{Stream, Switch};
use crate::sender::request::Failure;

/// Answers are read from the kernel in pieces of this size.
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// The longest throttle that is believed; Kafka's own are bounded by its quota window, 11 s.
const THROTTLE_MAX: Duration = Duration::from_secs(60);

/// The times of all connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) connect: Duration,
    pub(super) request: Duration,
}

/// How a connection is made.
pub(super) struct Way {
    pub(super) address: Address,
    pub(super) client_id: Arc<str>,
    pub(super) times: Times,
    /// The longest answer that is taken.
    pub(super) message_bytes_max: usize,
    /// Taken while a connection to this address is being made, by any.
    pub(super) gate: Arc<Gate>,
}

/// One attempt at an address at a time; those who waited for it share its failure.
#[derive(Default)]
pub(super) struct Gate {
    attempt: tokio::sync::Mutex<Search>,
    failed: Mutex<(u64, String)>,
}

/// A connection, open or not.
pub(super) struct Connection {
    way: Way,
    /// Held from the look at the connection to the first poll of a request: the order of the
    /// requests on the wire is the order in which they took it.
    open: tokio::sync::Mutex<Option<Arc<Open>>>,
    /// Of the connection that was opened last.
    switch: Mutex<Option<Switch>>,
    /// Until when Kafka has asked us to be silent.
    muted: Mutex<Option<Instant>>,
}

struct Open {
    messenger: Messenger<BufReader<Stream>>,
    switch: Switch,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.switch.kill(|| "closed by us".to_owned());
    }
}

impl Connection {
    pub(super) fn new(way: Way) -> Connection {
        Connection {
            way,
            open: tokio::sync::Mutex::default(),
            switch: Mutex::default(),
            muted: Mutex::default(),
        }
    }

    /// Whether nothing would be lost by forgetting it.
    pub(super) fn is_closed(&self) -> bool {
        self.open.try_lock().is_ok_and(|open| open.as_ref().is_none_or(|open| open.switch.is_off()))
    }

    /// Sends a request and waits for its answer. A request that comes to nothing ends the
    /// connection, and so all others that are under way on it.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub(super) async fn ask<A: Api>(&self, request: A) -> Result<A::Answer, Failure> {
        // Seen before the wait: whoever waits while an attempt fails takes part in the failure.
        let failures = self.way.gate.failed.lock().0;
        let (open, mut asked) = {
            let mut slot = self.open.lock().await;
            let opened = self.opened(&mut slot, failures).await;
            let open = opened.map_err(|cause| Failure::NotSent(self.named(&cause)))?;
            while let Some(until) = self.muted_until() {
                sleep_until(until).await;
            }
            if open.switch.is_off() {
                let cause = open.switch.cause().unwrap_or_default();
                return Err(Failure::NotSent(self.named(&cause)));
            }
            let mut asked = Box::pin({
                let open = Arc::clone(&open);
                async move { open.messenger.request(Ask(request)).await }
            });
            // The first poll puts it on the wire, behind those that were before.
            match poll_fn(|cx| Poll::Ready(asked.as_mut().poll(cx))).await {
                Poll::Ready(answer) => return self.answered(&open, answer),
                Poll::Pending => (open, asked),
            }
        };
        let mut deadline = Instant::now() + self.way.times.request;
        loop {
            if let Ok(answer) = timeout_at(deadline, &mut asked).await {
                return self.answered(&open, answer);
            }
            // A throttle that was asked for meanwhile holds up what was sent before it was known.
            let extended = self.muted.lock().map(|until| until + self.way.times.request);
            match extended.filter(|&extended| extended > Instant::now()) {
                Some(extended) => deadline = extended,
                None => break,
            }
        }
        let cause = format!("has not answered in {:?}", self.way.times.request);
        open.switch.kill(|| cause.clone());
        Err(Failure::Unknown(self.named(&cause)))
    }

    /// Kafka asks for silence on this connection.
    pub(super) fn mute(&self, throttle_ms: i32) -> Duration {
        let throttle = Duration::from_millis(u64::try_from(throttle_ms).unwrap_or(0)).min(THROTTLE_MAX);
        if !throttle.is_zero() {
            let until = Instant::now() + throttle;
            let mut muted = self.muted.lock();
            *muted = Some(muted.map_or(until, |before| before.max(until)));
        }
        throttle
    }

    fn muted_until(&self) -> Option<Instant> {
        self.muted.lock().filter(|&until| until > Instant::now())
    }

    /// Ends the connection: an answer that was whole makes no sense. At once, also while another
    /// request waits for the end of a throttle.
    pub(super) fn distrust(&self, what: &str) -> Failure {
        if let Some(switch) = self.switch.lock().take() {
            switch.kill(|| what.to_owned());
        }
        Failure::Unknown(self.named(what))
    }

    fn named(&self, cause: &str) -> String {
        format!("{} {cause}", self.way.address)
    }

    fn answered<A: Api>(
        &self,
        open: &Open,
        answer: Result<Reply<A>, RequestError>,
    ) -> Result<A::Answer, Failure> {
        let error = match answer {
            Ok(Reply(answer)) => return Ok(answer),
            Err(RequestError::NoVersionMatch { api_key }) => {
                let cause = format!(
                    "speaks no version of {api_key:?} that this program does (is it too old, or a controller's port?)"
                );
                return Err(Failure::Unsupported(self.named(&cause)));
            }
            // Our own encoding failed; nothing has left.
            Err(RequestError::WriteError(error)) => {
                return Err(Failure::NotSent(self.named(&format!("was sent nothing: {error}"))));
            }
            Err(error) => error,
        };
        let cause = open.switch.cause().unwrap_or_else(|| format!("answers what cannot be read: {error}"));
        open.switch.kill(|| cause.clone());
        Err(Failure::Unknown(self.named(&cause)))
    }

    /// The connection, made if there is none that lives.
    async fn opened(&self, slot: &mut Option<Arc<Open>>, failures: u64) -> Result<Arc<Open>, String> {
        if let Some(open) = slot.as_ref().filter(|open| !open.switch.is_off()) {
            return Ok(Arc::clone(open));
        }
        *slot = None;
        let mut attempt = self.way.gate.attempt.lock().await;
        {
            let failed = self.way.gate.failed.lock();
            if failed.0 != failures {
                return Err(failed.1.clone());
            }
        }
        let made = self.connect(&mut attempt).await;
        if let Err(cause) = &made {
            let mut failed = self.way.gate.failed.lock();
            *failed = (failed.0.wrapping_add(1), cause.clone());
        }
        let open = Arc::new(made?);
        *self.switch.lock() = Some(open.switch.clone());
        *slot = Some(Arc::clone(&open));
        Ok(open)
    }

    async fn connect(&self, search: &mut Search) -> Result<Open, String> {
        let limit = self.way.times.connect;
        let begun = Instant::now();
        let socket = self.way.address.connect(search, limit).await?;
        let (stream, switch) = Stream::new(socket, self.way.message_bytes_max);
        let stream = BufReader::with_capacity(READ_BUFFER_BYTES, stream);
        let messenger = Messenger::new(stream, self.way.message_bytes_max, Arc::clone(&self.way.client_id));
        let mut open = Open { messenger, switch };
        let left = limit.saturating_sub(begun.elapsed());
        let synced = timeout(left, open.messenger.sync_versions()).await;
        match synced {
            Ok(Ok(())) => Ok(open),
            Err(_) => Err(format!("takes the connection, but has not answered in {limit:?}")),
            Ok(Err(error)) => Err(refusal(&open.switch, &error)),
        }
    }
}

/// Why a peer that took the connection is none that can be used.
fn refusal(switch: &Switch, error: &SyncVersionsError) -> String {
    match (switch.cause(), error) {
        (Some(cause), _) if cause.starts_with("has ") => {
            format!("{cause} before it answered (is it Kafka, and without TLS?)")
        }
        (Some(cause), _) => cause,
        (None, SyncVersionsError::NoWorkingVersion) => {
            "answers, but not as Kafka does (is it TLS or another service?)".to_owned()
        }
        (None, error) => format!("answers what cannot be read: {error}"),
    }
}
