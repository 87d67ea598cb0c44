//! Where the simulation takes part: points at which another core or the log may go on in the middle of this core's turn,
//! as threads do, and marks on branches so rare that a test has to prove that it came by. Both are nothing at all in
//! the program: they are compiled only for tests and with the feature `simulation`.

/// A branch that a simulation has to have taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Branch {
    /// A client id that is connected connected again.
    TakeOver,
    /// A mailbox had no room for a batch.
    LaneFull,
    /// It has drained, and those who wait are told.
    LaneDrained,
    /// A batch stays with its sender until there is room.
    Overflow,
    /// Too many connections were on their way to a core.
    HandOffRefused,
    /// A packet waits for room.
    Held,
    /// It waits for the ring.
    RingFull,
    /// A QoS 2 message that was received before.
    Duplicate,
    /// Something came between the decision to sleep and the last look.
    WakeRace,
    /// A session's queue was full.
    QueueFull,
    /// A delivery to many goes on later.
    FanOutLater,
    /// A socket took less than there was.
    ShortWrite,
    /// A connection ended in the middle of a packet.
    CutPacket,
    /// A client that does not take its answers is not read any more.
    Choked,
    /// A client is back whose session has messages in flight.
    ResumedInFlight,
    /// A client id that is connected connected again, and its session is kept.
    TakeOverKept,
    /// A member of a group has given a message back.
    Redispatch,
    /// A message crossed to a member that had gone.
    MemberGone,
    /// All members of a group were away.
    AllAway,
    /// Nothing was admitted for a core's groups.
    Congested,
    /// The will of a client that stays away is published after its delay.
    WillAfterDelay,
    /// A client is back in time for its will.
    WillCancelled,
    /// A message that is to be retained waits for the core that keeps its topic.
    KeepFull,
    /// A question about retained messages waits for what lies in the lane before it.
    ScanBehind,
    /// A retained message is passed over: what is newer came live.
    ScanOvertaken,
}

impl Branch {
    /// All.
    #[cfg(test)]
    pub const ALL: [Branch; 25] = [
        Branch::TakeOver,
        Branch::LaneFull,
        Branch::LaneDrained,
        Branch::Overflow,
        Branch::HandOffRefused,
        Branch::Held,
        Branch::RingFull,
        Branch::Duplicate,
        Branch::WakeRace,
        Branch::QueueFull,
        Branch::FanOutLater,
        Branch::ShortWrite,
        Branch::CutPacket,
        Branch::Choked,
        Branch::ResumedInFlight,
        Branch::TakeOverKept,
        Branch::Redispatch,
        Branch::MemberGone,
        Branch::AllAway,
        Branch::Congested,
        Branch::WillAfterDelay,
        Branch::WillCancelled,
        Branch::KeepFull,
        Branch::ScanBehind,
        Branch::ScanOvertaken,
    ];
}

#[cfg(any(test, feature = "simulation"))]
mod switch {
    use super::Branch;
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    type Switch = Rc<dyn Fn()>;

    thread_local! {
        static SWITCH: RefCell<Option<Switch>> = const { RefCell::new(None) };
        static MARKS: Cell<u32> = const { Cell::new(0) };
    }

    /// Who is called at each point from now on; one for each thread.
    pub fn set(switch: Option<Switch>) {
        SWITCH.with(|place| *place.borrow_mut() = switch);
    }

    /// The branches taken since the last call.
    pub fn take_marks() -> u32 {
        MARKS.take()
    }

    pub(super) fn reach() {
        let switch = SWITCH.with(|place| place.borrow().clone());
        if let Some(switch) = switch {
            switch();
        }
    }

    pub(super) fn mark(branch: Branch) {
        MARKS.set(MARKS.get() | 1 << branch as u32);
    }
}

#[cfg(any(test, feature = "simulation"))]
pub use switch::{set, take_marks};

/// Others may go on here.
#[inline]
pub fn reach() {
    #[cfg(any(test, feature = "simulation"))]
    switch::reach();
}

/// This branch was taken.
#[inline]
pub fn mark(branch: Branch) {
    #[cfg(any(test, feature = "simulation"))]
    switch::mark(branch);
    #[cfg(not(any(test, feature = "simulation")))]
    let _ = branch;
}
