//! Wakes the log thread, at the price of a system call only when it sleeps.

use crate::sync::{AtomicBool, Ordering, fence};
use std::sync::OnceLock;
use std::thread::Thread;

/// Shared by the log thread and all that have news for it.
#[derive(Default)]
pub(crate) struct Waker {
    sleeping: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Waker {
    /// Called once by the log thread, before it sleeps for the first time.
    pub(crate) fn register(&self) {
        let _ = self.thread.set(std::thread::current());
    }

    /// The log thread says it is about to sleep. It must look at everything that may wake it once
    /// more after this.
    pub(crate) fn going_to_sleep(&self) {
        #[cfg(any(test, feature = "sim"))]
        seam::reach();
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub(crate) fn awake(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }

    /// Nobody has woken the log since it said that it would sleep.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn is_asleep(&self) -> bool {
        self.sleeping.load(Ordering::SeqCst)
    }

    pub(crate) fn wake(&self) {
        // Pairs with `going_to_sleep`: either we see the flag, or the sleeper sees our push.
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed)
            && self.sleeping.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

/// A point at which a simulation may let the cores go on: between the log's last look at the rings and its sleep.
#[cfg(any(test, feature = "sim"))]
pub(crate) mod seam {
    use std::cell::RefCell;
    use std::rc::Rc;

    pub(crate) type Switch = Rc<dyn Fn()>;

    thread_local! {
        static SWITCH: RefCell<Option<Switch>> = const { RefCell::new(None) };
    }

    pub(crate) fn set(switch: Option<Switch>) {
        SWITCH.with(|place| *place.borrow_mut() = switch);
    }

    pub(super) fn reach() {
        let switch = SWITCH.with(|place| place.borrow().clone());
        if let Some(switch) = switch {
            switch();
        }
    }
}
