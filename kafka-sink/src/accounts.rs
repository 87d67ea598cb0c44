//! What became of the records of each rule, by the core that took them; and how many bytes of it
//! still count against the rule's limit.
//!
//! One [`Account`] a core and rule. Each of its counters has one writer: the core what it takes,
//! the log thread what is durable, the sink what is delivered. All only grow. A core, the log
//! thread and the sink keep the accounts they use, so a message costs no lock.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;
use parking_lot::Mutex;

/// No core waits for room.
const NO_ASK: u64 = u64::MAX;

/// Records and bytes.
#[derive(Default)]
pub(crate) struct Totals {
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Totals {
    pub(crate) fn add(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// The writer's way: nobody else changes them.
    pub(crate) fn store(&self, records: u64, bytes: u64) {
        self.records.store(records, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Release);
    }

    pub(crate) fn load(&self) -> (u64, u64) {
        let bytes = self.bytes.load(Ordering::Acquire);
        (self.records.load(Ordering::Acquire), bytes)
    }
}

/// The records of one rule that one core took.
pub(crate) struct Account {
    /// Bytes are released when they are delivered, not when they are durable.
    delivers: bool,
    taken: CachePadded<Taken>,
    durable: CachePadded<Totals>,
    sink: CachePadded<Sink>,
    /// What earlier runs left; does not change once the cores run.
    backlog: Totals,
    /// Bytes that no longer count against the limit; up to `Taken::charged`.
    released: CachePadded<AtomicU64>,
    /// The core waits until `released` reaches this; [`NO_ASK`] when it does not wait.
    room_at: AtomicU64,
}

/// Written by the core.
#[derive(Default)]
struct Taken {
    records: AtomicU64,
    /// Bytes that count against the limit, backlog included.
    charged: AtomicU64,
}

/// Written by the sink.
#[derive(Default)]
struct Sink {
    delivered: Totals,
    set_aside: Totals,
    retried: AtomicU64,
    possibly_repeated: AtomicU64,
}

impl Account {
    fn new(delivers: bool) -> Account {
        Account {
            delivers,
            taken: CachePadded::default(),
            durable: CachePadded::default(),
            sink: CachePadded::default(),
            backlog: Totals::default(),
            released: CachePadded::default(),
            room_at: AtomicU64::new(NO_ASK),
        }
    }

    /// Core: a record of so many bytes is taken.
    pub(crate) fn take(&self, bytes: u64) {
        // The only writer; an atomic addition would cost a locked instruction a record.
        let records = self.taken.records.load(Ordering::Relaxed).wrapping_add(1);
        let charged = self.taken.charged.load(Ordering::Relaxed).wrapping_add(bytes);
        self.taken.records.store(records, Ordering::Relaxed);
        self.taken.charged.store(charged, Ordering::Release);
    }

    /// Bytes that count against the limit.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.charged().saturating_sub(self.released.load(Ordering::Acquire))
    }

    /// Core: asks to be told once no more than `bytes` count against the limit. Returns whether
    /// that is so already; then the ask is answered.
    pub(crate) fn ask_room(&self, bytes: u64) -> bool {
        self.room_at.store(self.charged().saturating_sub(bytes), Ordering::SeqCst);
        self.take_room()
    }

    /// Log thread: so much is durable. Returns whether the core is to be told that there is room.
    #[must_use]
    pub(crate) fn add_durable(&self, records: u64, bytes: u64) -> bool {
        self.durable.add(records, bytes);
        !self.delivers && self.release(bytes)
    }

    /// Sink: so much is delivered. Returns whether the core is to be told that there is room.
    #[must_use]
    pub(crate) fn add_delivered(&self, records: u64, bytes: u64) -> bool {
        self.sink.delivered.add(records, bytes);
        self.delivers && self.release(bytes)
    }

    /// Sink: so much is in the dead-letter file. Returns whether the core is to be told that there is room.
    #[must_use]
    pub(crate) fn add_set_aside(&self, records: u64, bytes: u64) -> bool {
        self.sink.set_aside.add(records, bytes);
        self.delivers && self.release(bytes)
    }

    fn add_backlog(&self, records: u64, bytes: u64) {
        self.backlog.add(records, bytes);
        if self.delivers {
            self.taken.charged.fetch_add(bytes, Ordering::SeqCst);
        }
    }

    fn charged(&self) -> u64 {
        self.taken.charged.load(Ordering::Acquire)
    }

    fn release(&self, bytes: u64) -> bool {
        // Never above what was charged: a record released twice must not widen the limit.
        let charged = self.charged();
        let add = |released: u64| Some(released.saturating_add(bytes).min(charged.max(released)));
        let _ = self.released.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
        self.take_room()
    }

    /// Whether the core asked for room and it is there now; an ask is answered once.
    fn take_room(&self) -> bool {
        let at = self.room_at.load(Ordering::SeqCst);
        at != NO_ASK
            && self.released.load(Ordering::SeqCst) >= at
            && self.room_at.swap(NO_ASK, Ordering::SeqCst) != NO_ASK
    }

    /// Read from the end of a record's way to its start, so that nothing is further than it can be.
    fn balance(&self) -> Balance {
        let waiting_bytes = self.waiting_bytes();
        let (set_aside, set_aside_bytes) = self.sink.set_aside.load();
        let (delivered, delivered_bytes) = self.sink.delivered.load();
        let (durable, durable_bytes) = self.durable.load();
        let (backlog, backlog_bytes) = self.backlog.load();
        let charged = self.charged();
        let not_taken = if self.delivers { backlog_bytes } else { 0 };
        Balance {
            backlog,
            backlog_bytes,
            taken: self.taken.records.load(Ordering::Acquire),
            taken_bytes: charged.saturating_sub(not_taken),
            durable,
            durable_bytes,
            delivered,
            delivered_bytes,
            set_aside,
            set_aside_bytes,
            retried: self.sink.retried.load(Ordering::Relaxed),
            possibly_repeated: self.sink.possibly_repeated.load(Ordering::Relaxed),
            waiting_bytes,
        }
    }
}

/// One look at an account, or at the sum of some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    pub(crate) backlog: u64,
    pub(crate) backlog_bytes: u64,
    pub(crate) taken: u64,
    pub(crate) taken_bytes: u64,
    pub(crate) durable: u64,
    pub(crate) durable_bytes: u64,
    pub(crate) delivered: u64,
    pub(crate) delivered_bytes: u64,
    pub(crate) set_aside: u64,
    pub(crate) set_aside_bytes: u64,
    pub(crate) retried: u64,
    pub(crate) possibly_repeated: u64,
    /// Bytes that count against the limit, in ring and log.
    pub(crate) waiting_bytes: u64,
}

impl Balance {
    /// Records in the log that are neither delivered nor set aside.
    pub(crate) fn waiting(&self) -> u64 {
        self.backlog
            .saturating_add(self.durable)
            .saturating_sub(self.delivered)
            .saturating_sub(self.set_aside)
    }
}

impl AddAssign for Balance {
    fn add_assign(&mut self, other: Balance) {
        for (sum, part) in [
            (&mut self.backlog, other.backlog),
            (&mut self.backlog_bytes, other.backlog_bytes),
            (&mut self.taken, other.taken),
            (&mut self.taken_bytes, other.taken_bytes),
            (&mut self.durable, other.durable),
            (&mut self.durable_bytes, other.durable_bytes),
            (&mut self.delivered, other.delivered),
            (&mut self.delivered_bytes, other.delivered_bytes),
            (&mut self.set_aside, other.set_aside),
            (&mut self.set_aside_bytes, other.set_aside_bytes),
            (&mut self.retried, other.retried),
            (&mut self.possibly_repeated, other.possibly_repeated),
            (&mut self.waiting_bytes, other.waiting_bytes),
        ] {
            *sum = sum.saturating_add(part);
        }
    }
}

/// The accounts of all cores and rules.
pub(crate) struct Accounts {
    cores: usize,
    /// There is a target: the records of rules that go to Kafka are released when delivered.
    target: bool,
    accounts: Mutex<BTreeMap<(usize, u32), Arc<Account>>>,
}

impl Accounts {
    /// For `cores` cores, at least one.
    pub(crate) fn new(cores: usize, target: bool) -> Accounts {
        Accounts { cores: cores.max(1), target, accounts: Mutex::default() }
    }

    /// Whether records of rules that go to Kafka are released when they are delivered.
    pub(crate) fn target(&self) -> bool {
        self.target
    }

    /// The core that answers for the records of `core`: an earlier run may have had more of them.
    pub(crate) fn home(&self, core: u8) -> usize {
        usize::from(core).checked_rem(self.cores).unwrap_or(0)
    }

    /// The account of a rule on a core; made if it is not there. Takes a lock: keep it.
    pub(crate) fn account(&self, core: usize, rule: u32, to_kafka: bool) -> Arc<Account> {
        let new = || Arc::new(Account::new(self.target && to_kafka));
        Arc::clone(self.accounts.lock().entry((core, rule)).or_insert_with(new))
    }

    /// Charges what earlier runs left to the rule that made it. Before the cores run only.
    pub(crate) fn charge_backlog(&self, core: u8, rule: u32, records: u64, bytes: u64) {
        self.account(self.home(core), rule, true).add_backlog(records, bytes);
    }

    /// The sum over the cores of each rule that has an account.
    pub(crate) fn balances(&self) -> BTreeMap<u32, Balance> {
        let mut balances: BTreeMap<u32, Balance> = BTreeMap::new();
        for (&(_, rule), account) in &*self.accounts.lock() {
            *balances.entry(rule).or_default() += account.balance();
        }
        balances
    }
}

/// The sink's way to the accounts: keeps those it has met, and the cores that are to hear of room.
pub(crate) struct Settler {
    accounts: Arc<Accounts>,
    /// By the record's core byte and rule.
    met: BTreeMap<(u8, u32), Arc<Account>>,
    due: Vec<usize>,
}

impl Settler {
    pub(crate) fn new(accounts: Arc<Accounts>) -> Settler {
        Settler { accounts, met: BTreeMap::new(), due: Vec::new() }
    }

    /// Records with this core and rule are confirmed by Kafka.
    pub(crate) fn delivered(&mut self, core: u8, rule: u32, records: u64, bytes: u64) {
        if self.account(core, rule).add_delivered(records, bytes) {
            self.tell(core);
        }
    }

    /// Records with this core and rule are in the dead-letter file.
    pub(crate) fn set_aside(&mut self, core: u8, rule: u32, records: u64, bytes: u64) {
        if self.account(core, rule).add_set_aside(records, bytes) {
            self.tell(core);
        }
    }

    /// Records with this core and rule were sent again.
    pub(crate) fn retried(&mut self, core: u8, rule: u32, records: u64) {
        self.account(core, rule).sink.retried.fetch_add(records, Ordering::Relaxed);
    }

    /// Records with this core and rule may be in Kafka twice.
    pub(crate) fn possibly_repeated(&mut self, core: u8, rule: u32, records: u64) {
        self.account(core, rule).sink.possibly_repeated.fetch_add(records, Ordering::Relaxed);
    }

    /// The cores to call [`Completion::room`](crate::Completion::room) for, each once.
    pub(crate) fn take_due(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.due)
    }

    fn account(&mut self, core: u8, rule: u32) -> &Account {
        let Settler { accounts, met, .. } = self;
        met.entry((core, rule)).or_insert_with(|| accounts.account(accounts.home(core), rule, true))
    }

    fn tell(&mut self, core: u8) {
        let core = self.accounts.home(core);
        if !self.due.contains(&core) {
            self.due.push(core);
        }
    }
}

#[cfg(test)]
mod tests;
