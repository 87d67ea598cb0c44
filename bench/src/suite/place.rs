//! Which CPU a process begins on, and stays.
//!
//! At a fixed rate, both sides sleep after every few messages. Whether the system wakes them on one CPU or on two, it
//! decides anew as it likes, and a message does not cost the same in both cases.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where one process runs while another is measured beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Broker,
    Generator,
}

/// Runs `start`; the processes and threads that it begins have a CPU of their own, another for each side. On a machine
/// with one CPU they share that.
///
/// # Errors
/// The system does not allow it.
pub(super) fn apart<T>(side: Side, start: impl FnOnce() -> T) -> Result<T, String> {
    let failed = |error| format!("a CPU of its own: {error}");
    let before = sched_getaffinity(None).map_err(failed)?;
    let mut own = CpuSet::new();
    own.set(choose(&cpus(&before), side));
    sched_setaffinity(None, &own).map_err(failed)?;
    let result = start();
    sched_setaffinity(None, &before).map_err(failed)?;
    Ok(result)
}

fn cpus(set: &CpuSet) -> Vec<usize> {
    (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
}

fn choose(cpus: &[usize], side: Side) -> usize {
    let first = cpus.first().copied().unwrap_or(0);
    match side {
        Side::Broker => first,
        Side::Generator => cpus.get(1).copied().unwrap_or(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_apart_where_there_are_cpus_for_both() {
        for (cpus, broker, generator) in [(&[0, 1][..], 0, 1), (&[3, 5, 6], 3, 5), (&[2], 2, 2), (&[], 0, 0)]
        {
            assert_eq!((choose(cpus, Side::Broker), choose(cpus, Side::Generator)), (broker, generator));
        }
    }

    #[test]
    fn what_begins_there_stays_there_and_others_do_not() {
        let before = cpus(&sched_getaffinity(None).expect("ours"));
        for side in [Side::Broker, Side::Generator] {
            let thread =
                apart(side, || std::thread::spawn(|| cpus(&sched_getaffinity(None).expect("the thread's"))));
            let own = thread.expect("allowed").join().expect("a thread");
            assert_eq!(own, [choose(&before, side)], "{side:?}");
            assert_eq!(cpus(&sched_getaffinity(None).expect("ours")), before);
        }
    }
}
