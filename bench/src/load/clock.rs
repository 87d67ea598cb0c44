//! Time: the monotonic clock, which all processes of a machine share, so that one can stamp what another measures; and
//! an alarm that rings at a nanosecond, since the time-outs of the poll are whole milliseconds.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline]
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Both are never negative on this clock.
    now.tv_sec as u64 * SECOND + now.tv_nsec as u64
}

/// Seconds as nanoseconds; 0 of what is negative or not a number.
pub(crate) fn ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// Wakes a poll at an exact time.
pub(super) struct Alarm {
    timer: OwnedFd,
    /// What it is set to; it may have rung since.
    at: u64,
}

impl Alarm {
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Alarm> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // Edge-triggered, so it need not be read: each time it rings is an edge, and setting it clears it.
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Alarm { timer, at: 0 })
    }

    /// Makes it ring at `at` or before; does nothing if it will anyway.
    pub(super) fn set(&mut self, at: u64, now: u64) -> io::Result<()> {
        if self.at > now && self.at <= at {
            return Ok(());
        }
        // All zero would switch it off.
        let at = at.max(1);
        let time = Timespec { tv_sec: (at / SECOND) as i64, tv_nsec: (at % SECOND) as i64 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: time };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once)?;
        self.at = at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;

    #[test]
    fn the_alarm_rings_when_it_is_set_to_and_again() {
        let mut poll = Poll::new().expect("a poll");
        let mut alarm = Alarm::new(poll.registry(), Token(7)).expect("an alarm");
        let mut events = Events::with_capacity(4);
        for microseconds in [300, 1_700, 40] {
            let now = now_ns();
            let at = now + microseconds * 1_000;
            alarm.set(at, now).expect("set");
            // A later wish does not move it.
            alarm.set(at + SECOND, now).expect("set");
            poll.poll(&mut events, Some(Duration::from_secs(5))).expect("poll");
            assert!(now_ns() >= at, "rang early");
            assert!(now_ns() < at + SECOND, "did not ring");
            assert_eq!(events.iter().map(|event| event.token()).collect::<Vec<_>>(), [Token(7)]);
        }
    }
}
