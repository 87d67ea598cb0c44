//! `millrace consume TOPIC`: prints the records of a stream from the log in the data directory.
//!
//! Reads the log's files only, whether a broker runs or not, and writes nothing but standard output. Only whole
//! groups are seen, so every printed record is one that was kept.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use clap::Args;
use millrace_kafka_sink::log::reader::{From as Start, Reader, Record, streams};
use millrace_kafka_sink::validate_stream_name;

use super::{Failure, SourceArgs, signals};

/// Pause before looking for new records again.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Records read at a time.
const BATCH: usize = 512;

/// Print the records of a stream from the data directory
///
/// Begins at the end and follows: it prints what comes until Ctrl-C, or -- with --max -- until so many records
/// were printed. A stream that does not exist yet is waited for. Standard output has the records' values only,
/// one a line.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace consume message_state
  millrace consume message_command --from-beginning --max 10
  millrace consume message_state --offset 1000 --json --data /var/lib/millrace")]
pub(super) struct ConsumeArgs {
    /// Stream, as in the hooks' `topic`
    #[arg(value_parser = stream)]
    topic: String,
    /// Begin with the earliest record that is still there
    #[arg(long, conflicts_with = "offset")]
    from_beginning: bool,
    /// Begin with this record; offsets count from 0 in each stream
    #[arg(long, value_name = "N")]
    offset: Option<u64>,
    /// End after so many records
    #[arg(long, value_name = "N")]
    max: Option<u64>,
    /// Print a JSON object for each record: topic, offset, ts, key, value, headers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: SourceArgs,
}

fn stream(text: &str) -> Result<String, String> {
    validate_stream_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

pub(super) fn consume(args: &ConsumeArgs) -> Result<(), Failure> {
    let dir = args.sources.load()?.config.node.log_dir();
    let (sender, stop) = mpsc::channel();
    signals::on_first(move |_| {
        // No receiver: it has ended already.
        let _ = sender.send(());
    })?;
    let known = known(&dir, &args.topic)?;
    let from = match args.offset {
        Some(offset) => Start::Offset(offset),
        // What comes to a stream that is not there yet comes after its end.
        None if args.from_beginning || !known => Start::Beginning,
        None => Start::End,
    };
    if !known {
        eprintln!("no stream {} in {} yet; waiting for it", args.topic, dir.display());
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let pause = || !matches!(stop.recv_timeout(POLL_INTERVAL), Err(RecvTimeoutError::Timeout));
    match follow(args, &dir, from, &mut out, pause) {
        Ok(()) => Ok(()),
        // Nobody reads any more (`| head`): no failure.
        Err(Problem::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Problem::Output(error)) => Err(Failure::new(format!("cannot write to standard output: {error}"))),
        Err(Problem::Log(error)) => Err(Failure::new(format!("{}: {error}", dir.display()))),
    }
}

enum Problem {
    Output(io::Error),
    Log(String),
}

fn known(dir: &Path, topic: &str) -> Result<bool, Failure> {
    let known = streams(dir).map_err(|error| Failure::new(format!("{}: {error}", dir.display())))?;
    Ok(known.iter().any(|stream| stream.name == topic))
}

/// Prints records until `--max` is reached or `pause`, called when there is nothing new, says to stop.
fn follow(
    args: &ConsumeArgs,
    dir: &Path,
    from: Start,
    out: &mut impl Write,
    mut pause: impl FnMut() -> bool,
) -> Result<(), Problem> {
    let mut left = args.max.unwrap_or(u64::MAX);
    let mut reader = Reader::open(dir, &args.topic, from).map_err(|error| Problem::Log(error.to_string()))?;
    let mut records = Vec::new();
    while left > 0 {
        records.clear();
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(BATCH);
        let read = reader.poll(&mut records, most).map_err(|error| Problem::Log(error.to_string()))?;
        for gap in reader.take_gaps() {
            eprintln!("warning: records {} to {} are gone", gap.from, gap.to.saturating_sub(1));
        }
        for record in &records {
            write_record(args, record, out).map_err(Problem::Output)?;
            left = left.saturating_sub(1);
        }
        out.flush().map_err(Problem::Output)?;
        if read == 0 && pause() {
            break;
        }
    }
    Ok(())
}

fn write_record(args: &ConsumeArgs, record: &Record, out: &mut impl Write) -> io::Result<()> {
    if args.json {
        write_json(&args.topic, record, out)?;
    } else {
        out.write_all(&record.value)?;
    }
    out.write_all(b"\n")
}

/// `{"topic":…,"offset":…,"ts":…,"key":…,"value":…,"headers":{}}`, the value as the JSON it is; should it not be
/// JSON, as a string.
fn write_json(topic: &str, record: &Record, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{{\"topic\":")?;
    serde_json::to_writer(&mut *out, topic)?;
    write!(out, ",\"offset\":{},\"ts\":{},\"key\":", record.offset, record.ts_ms)?;
    serde_json::to_writer(&mut *out, &record.key)?;
    out.write_all(b",\"value\":")?;
    if serde_json::from_slice::<serde::de::IgnoredAny>(&record.value).is_ok() {
        out.write_all(&record.value)?;
    } else {
        serde_json::to_writer(&mut *out, &String::from_utf8_lossy(&record.value))?;
    }
    out.write_all(b",\"headers\":{")?;
    for (index, (name, value)) in record.headers.iter().enumerate() {
        out.write_all(if index == 0 { b"" } else { b"," })?;
        serde_json::to_writer(&mut *out, name)?;
        out.write_all(b":")?;
        serde_json::to_writer(&mut *out, &String::from_utf8_lossy(value))?;
    }
    out.write_all(b"}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines() {
        let record = |value: &[u8], headers: &[(&str, &[u8])]| Record {
            offset: 7,
            ts_ms: 1_574_753_026_269,
            key: "a\"b".to_owned(),
            value: value.to_vec(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect(),
        };
        for (record, expected) in [
            (
                record(br#"{"client_id":"1","qos":1}"#, &[]),
                r#"{"topic":"message_state","offset":7,"ts":1574753026269,"key":"a\"b","value":{"client_id":"1","qos":1},"headers":{}}"#,
            ),
            (
                record(b"not json\xff", &[("a", b"1"), ("b", b"2")]),
                "{\"topic\":\"message_state\",\"offset\":7,\"ts\":1574753026269,\"key\":\"a\\\"b\",\"value\":\"not json\u{fffd}\",\"headers\":{\"a\":\"1\",\"b\":\"2\"}}",
            ),
        ] {
            let mut out = Vec::new();
            write_json("message_state", &record, &mut out).unwrap();
            assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
            serde_json::from_slice::<serde_json::Value>(&out).unwrap();
        }
    }

    #[test]
    fn a_stream_that_is_not_there_is_waited_for() {
        use clap::Parser;
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            args: ConsumeArgs,
        }
        let base = tempfile::tempdir().unwrap();
        let args = Line::parse_from(["consume", "message_state", "--from-beginning"]).args;
        let mut pauses = 0;
        let mut out = Vec::new();
        let result = follow(&args, &base.path().join("log"), Start::Beginning, &mut out, || {
            pauses += 1;
            pauses == 3
        });
        assert!(result.is_ok());
        assert_eq!((pauses, out), (3, Vec::new()));
    }
}
