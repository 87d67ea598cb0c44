//! Who is there, and what those who have gone leave behind: after many connections have closed, the memory they had
//! goes back to the system.
//!
//! Slabs and tables free what they do not need, but the C library keeps freed pages for the next storm. It gives them
//! back when it is asked to, which takes its locks for as long as it looks through its lists. So a thread of its own
//! asks, seldom, and when the leaving is over; it sleeps otherwise.

use std::io;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

/// Fewer than this leave nothing behind that is worth the search.
const EBB_MIN: usize = 256;
/// The leaving is over when so long nobody has left, or others have come for them.
const CALM: Duration = Duration::from_millis(500);

/// The connections of all cores.
#[derive(Debug, Default)]
pub(crate) struct Population {
    now: AtomicUsize,
    /// The most there have been since memory was given back.
    most: AtomicUsize,
    /// The keeper knows of the ebb.
    told: AtomicBool,
    over: AtomicBool,
    keeper: OnceLock<Thread>,
}

impl Population {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.now.load(Relaxed)
    }

    /// One more, unless there are `max`.
    pub(crate) fn enter(&self, max: usize) -> bool {
        let before = self.now.fetch_add(1, Relaxed);
        if before >= max {
            self.now.fetch_sub(1, Relaxed);
            return false;
        }
        if before >= self.most.load(Relaxed) {
            self.most.fetch_max(before + 1, Relaxed);
        }
        true
    }

    /// So many less.
    pub(crate) fn leave(&self, many: usize) {
        let now = self.now.fetch_sub(many, Relaxed) - many;
        if has_ebbed(self.most.load(Relaxed), now)
            && !self.told.load(Relaxed)
            && !self.told.swap(true, SeqCst)
            && let Some(keeper) = self.keeper.get()
        {
            keeper.unpark();
        }
    }

    fn has_ebbed(&self) -> bool {
        has_ebbed(self.most.load(SeqCst), self.now.load(SeqCst))
    }

    /// Sleeps until the end.
    fn keep(&self, give_back: impl Fn()) {
        while !self.over.load(SeqCst) {
            self.told.store(false, SeqCst);
            if !self.has_ebbed() {
                // Whoever leaves from here on finds that we have not been told.
                thread::park();
                continue;
            }
            let before = self.count();
            thread::park_timeout(CALM);
            if self.count() >= before && self.has_ebbed() {
                self.most.store(self.count(), SeqCst);
                give_back();
            }
        }
    }
}

/// Whether enough have gone: a quarter.
fn has_ebbed(most: usize, now: usize) -> bool {
    most.saturating_sub(now) >= (most / 4).max(EBB_MIN)
}

/// The thread that gives memory back; ends when dropped.
pub(crate) struct Keeper {
    population: Arc<Population>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts it, one for each population.
    ///
    /// # Errors
    /// The system gave no thread.
    pub(crate) fn start(population: Arc<Population>) -> io::Result<Keeper> {
        let kept = Arc::clone(&population);
        let thread =
            thread::Builder::new().name("millrace-memory".to_owned()).spawn(move || kept.keep(give_back))?;
        // It has one only.
        let _ = population.keeper.set(thread.thread().clone());
        Ok(Keeper { population, thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.population.over.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It cannot panic.
            let _ = thread.join();
        }
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library has no safe way to be asked")]
pub(crate) fn give_back() {
    // SAFETY: it takes a number, may be called at any time on any thread, and touches only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries have no such call.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn give_back() {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_quarter_and_at_least_some() {
        for (most, now, ebbed) in [
            (0, 0, false),
            (0, 7, false),
            (255, 0, false),
            (256, 0, true),
            (1_000, 745, false),
            (1_000, 744, true),
            (18_000, 13_501, false),
            (18_000, 13_500, true),
            (18_000, 0, true),
        ] {
            assert_eq!(has_ebbed(most, now), ebbed, "{now} of {most}");
        }
    }

    #[test]
    fn there_are_never_more_than_allowed() {
        let population = Population::default();
        let entered = (0..5).map(|_| population.enter(3)).collect::<Vec<_>>();
        assert_eq!(entered, [true, true, true, false, false]);
        population.leave(1);
        assert_eq!(population.count(), 2);
        assert!(population.enter(3) && !population.enter(3));
    }

    #[test]
    fn each_ebb_is_followed_by_one_giving_back() {
        let population = Arc::new(Population::default());
        let (sender, given) = mpsc::channel();
        let kept = Arc::clone(&population);
        let thread = thread::spawn(move || kept.keep(|| sender.send(()).expect("the test listens")));
        population.keeper.set(thread.thread().clone()).expect("the first");
        let long = Duration::from_secs(30);
        for most in [400, 300] {
            (0..most).for_each(|_| assert!(population.enter(usize::MAX)));
            (0..most).for_each(|_| population.leave(1));
            given.recv_timeout(long).expect("told");
        }
        // Few come and go, as they always do.
        (0..2_000).for_each(|_| {
            assert!(population.enter(usize::MAX));
            population.leave(1);
        });
        assert!(given.recv_timeout(2 * CALM).is_err());
        drop(Keeper { population, thread: Some(thread) });
        assert!(given.recv().is_err(), "it has ended");
    }
}
