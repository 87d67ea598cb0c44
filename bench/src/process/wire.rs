//! What the generator's processes say to each other: JSON, one document a line, over a worker's standard streams.

use std::io::{self, BufRead, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::load::plan::Plan;
use crate::load::{Phase, Tally};
use crate::outcome::{Latency, Sample};

/// To a worker. The end of the stream, too, says something: the parent is gone.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Order {
    /// The first: what to do.
    Plan(Box<Plan>),
    /// Messages may flow from this moment of the monotonic clock on.
    Go { at_ns: u64 },
    /// End early.
    Stop,
}

/// From a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Event {
    /// Its connections are ready or have failed; it waits for [`Order::Go`].
    Connected {
        ready: u64,
        failed: u64,
    },
    Phase(Phase),
    Sample {
        sample: Sample,
        latency: Latency,
    },
    /// The last: what came of it.
    Done(Box<Result<Tally, String>>),
}

pub(super) fn write<T: Serialize>(mut to: impl Write, message: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// The next message; none at the end of the stream.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = String::new();
    match from.read_line(&mut line)? {
        0 => Ok(None),
        _ => Ok(Some(serde_json::from_str(&line)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_pass_through_a_stream() {
        let sample = Sample { phase: "measure".to_owned(), delivered: 5, ..Sample::default() };
        let mut stream = Vec::new();
        write(&mut stream, &Order::Go { at_ns: u64::MAX }).expect("written");
        write(&mut stream, &Order::Stop).expect("written");
        let latency = Latency { counts: vec![(1, 2)] };
        write(&mut stream, &Event::Sample { sample: sample.clone(), latency }).expect("written");
        let failed = Err("a line\nand another".to_owned());
        write(&mut stream, &Event::Done(Box::new(failed))).expect("written");
        let mut input = stream.as_slice();
        assert_eq!(read::<Order>(&mut input).expect("read"), Some(Order::Go { at_ns: u64::MAX }));
        assert_eq!(read::<Order>(&mut input).expect("read"), Some(Order::Stop));
        match read::<Event>(&mut input).expect("read") {
            Some(Event::Sample { sample: read, latency }) => assert_eq!((read, latency.count()), (sample, 2)),
            other => panic!("{other:?}"),
        }
        match read::<Event>(&mut input).expect("read") {
            Some(Event::Done(done)) => assert_eq!(done.err().as_deref(), Some("a line\nand another")),
            other => panic!("{other:?}"),
        }
        assert!(read::<Order>(&mut input).expect("the end").is_none());
        assert!(read::<Order>(&mut b"garbage\n".as_slice()).is_err());
    }
}
