//! How cores tell each other that there is something to do, without a lock and mostly without a system call. Atomics
//! only, so that `tests/loom` can run them under loom.
//!
//! Both are the same race: each of two threads writes one place and then reads the other's. Without a fence between the
//! two steps, on both sides, both may read what was there before, and each waits for the other for ever.

use crate::sync::{AtomicBool, AtomicU64, Ordering, fence};

/// Wakes one thread, the owner, that sleeps when it has nothing to do.
#[derive(Default)]
pub struct Bell {
    /// The owner sleeps, or is about to.
    listening: AtomicBool,
}

impl Bell {
    /// Sender: something was pushed before. Whether the owner has to be woken: only the first of many senders pays for
    /// the system call.
    #[inline]
    pub fn ring(&self) -> bool {
        fence(Ordering::SeqCst);
        // Not a swap: it would write where there is nothing to change, which loom takes for newer than the owner's word.
        self.listening.load(Ordering::Relaxed)
            && self.listening.compare_exchange(true, false, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Owner: about to sleep. It must look at everything that may be pushed once more after this.
    pub fn listen(&self) {
        self.listening.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Owner: awake; no need to wake it.
    pub fn awake(&self) {
        self.listening.store(false, Ordering::Relaxed);
    }

    /// Nobody has rung since the owner began to listen.
    #[cfg(any(test, feature = "simulation"))]
    pub fn is_listening(&self) -> bool {
        self.listening.load(Ordering::SeqCst)
    }
}

/// Who waits for room that one thread, the owner, makes: a bit for each core.
#[derive(Default)]
pub struct RoomWanted {
    cores: AtomicU64,
}

impl RoomWanted {
    /// Asks to be told. Try once more after this: there may be room by now, and then nobody would tell.
    pub fn ask(&self, core: usize) {
        self.cores.fetch_or(1 << core, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Owner: who is to be told, now that something has become free; nobody as long as `is_enough` says no.
    pub fn take(&self, is_enough: impl FnOnce() -> bool) -> u64 {
        fence(Ordering::SeqCst);
        if self.cores.load(Ordering::Relaxed) == 0 || !is_enough() {
            return 0;
        }
        self.cores.swap(0, Ordering::SeqCst)
    }

    /// Nobody waits.
    #[cfg(any(test, feature = "simulation"))]
    pub fn is_at_rest(&self) -> bool {
        self.cores.load(Ordering::SeqCst) == 0
    }
}
