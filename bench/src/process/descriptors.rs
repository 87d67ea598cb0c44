//! File descriptors: how many connections one process may have, and how to have more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a process needs beside its connections: polls, timers, standard streams, files.
const RESERVE: u64 = 64;

/// Raises the limit of this process, and so of those that it starts, to the hard one.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    // If it may not be raised, what is there is what counts.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Whether so many connections, in the process that has the most of them, are possible.
///
/// # Errors
/// They are not: with the number of processes that would do for `all` connections.
pub(crate) fn check(most: usize, all: usize) -> Result<(), String> {
    check_against(getrlimit(Resource::Nofile).current, most, all)
}

fn check_against(limit: Option<u64>, most: usize, all: usize) -> Result<(), String> {
    let Some(limit) = limit else { return Ok(()) };
    if most as u64 + RESERVE <= limit {
        return Ok(());
    }
    let room = limit.saturating_sub(RESERVE);
    let way_out = match room {
        0 => "raise the hard limit (ulimit -Hn)".to_owned(),
        _ => format!(
            "give --processes {} or more, or raise the hard limit (ulimit -Hn)",
            (all as u64).div_ceil(room)
        ),
    };
    Err(format!(
        "{most} connections in one process need more file descriptors than its limit of {limit}: {way_out}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let cases = [
            (Some(1_024), 960, 960, None),
            (Some(1_024), 961, 961, Some("--processes 2 ")),
            (Some(20_000), 60_000, 60_000, Some("--processes 4 ")),
            (Some(20_000), 20_000, 40_000, Some("--processes 3 ")),
            (Some(64), 1, 1, Some("raise the hard limit")),
            (None, 1_000_000, 1_000_000, None),
        ];
        for (limit, most, all, expected) in cases {
            let result = check_against(limit, most, all);
            match expected {
                None => assert_eq!(result, Ok(()), "{limit:?} {most}"),
                Some(text) => assert!(result.as_ref().is_err_and(|error| error.contains(text)), "{result:?}"),
            }
        }
    }

    #[test]
    fn the_limit_is_raised() {
        raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
