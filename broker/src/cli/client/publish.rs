//! `millrace pub`: publishes one message, or each line of standard input, and waits for the acknowledgements.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use clap::Args;
use millrace_codec::{Ack, Packet, Publish, QoS};

use super::connection::{Connection, Input, Next, RawPacket, because, spawn};
use super::{ConnectArgs, qos, seconds, topic};
use crate::cli::Failure;

/// Messages on their way at a time.
const WINDOW: u16 = 20;
/// Longest payload (bytes): what fits into a packet with its topic.
const PAYLOAD_BYTES_MAX: u64 = 268_435_455;

/// Publish messages
///
/// With QoS 1 or 2 it waits until the broker has acknowledged every message. Exit code 0 if all were sent (and
/// acknowledged), 1 if not.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "\
Examples:
  millrace pub -q 1 -t devices/10083618796833171/command -m '{\"action\":\"unlock\"}'
  millrace pub -q 1 -i 10083618796833171 -t devices/10083618796833171/state -f state.json
  while sleep 1; do uptime; done | millrace pub -t load -l"
)]
#[group(id = "source", required = true, multiple = false, args = ["message", "file", "lines"])]
pub(in crate::cli) struct PublishArgs {
    /// Topic
    #[arg(short, long, value_parser = topic)]
    topic: String,
    /// Payload; an empty one with -r clears the retained message
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    message: Option<String>,
    /// Read the payload from a file, all of it
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// Publish each line of standard input, until it ends
    #[arg(short = 'l', long = "stdin-line")]
    lines: bool,
    /// QoS: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = qos)]
    qos: QoS,
    /// Ask the broker to retain the message
    #[arg(short, long)]
    retain: bool,
    /// Give up when the broker acknowledges nothing for so long while messages wait
    #[arg(short = 'W', value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    wait: Duration,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(in crate::cli) fn publish(args: &PublishArgs) -> Result<(), Failure> {
    // Read first: a missing file should not open a connection.
    let payload = match (&args.message, &args.file) {
        (Some(text), _) => Some(text.as_bytes().to_vec()),
        (None, Some(path)) => Some(read_payload(path)?),
        (None, None) => None,
    };
    let connection = Connection::open(&args.connect).map_err(Failure::new)?;
    connection.report_signals()?;
    send_all(connection, args, payload.as_deref()).map_err(Failure::new)
}

/// Publishes `payload`, or the lines of standard input, and disconnects.
fn send_all(connection: Connection, args: &PublishArgs, payload: Option<&[u8]>) -> Result<(), String> {
    let mut publisher = Publisher::new(connection, args)?;
    let sent = match payload {
        Some(payload) => publisher.send(payload),
        None => publisher.send_lines(),
    };
    let result = sent.and_then(|()| publisher.finish());
    let refused = publisher.refused.take();
    publisher.connection.disconnect();
    result.and_then(|()| refused.map_or(Ok(()), Err))
}

struct Publisher<'a> {
    args: &'a PublishArgs,
    connection: Connection,
    /// Messages by packet id, and whether PUBREC came (QoS 2).
    waiting: HashMap<u16, bool>,
    window: usize,
    last_progress: Instant,
    /// The first refusal.
    refused: Option<String>,
}

impl Publisher<'_> {
    fn new(connection: Connection, args: &PublishArgs) -> Result<Publisher<'_>, String> {
        if args.qos > connection.terms.maximum_qos {
            let most = connection.terms.maximum_qos as u8;
            return Err(format!("refused: the broker takes QoS {most} at most"));
        }
        if args.retain && !connection.terms.retain_available {
            return Err("refused: the broker retains no messages".to_owned());
        }
        let window = usize::from(connection.terms.receive_maximum.clamp(1, WINDOW));
        Ok(Publisher {
            args,
            connection,
            waiting: HashMap::new(),
            window,
            last_progress: Instant::now(),
            refused: None,
        })
    }

    fn send(&mut self, payload: &[u8]) -> Result<(), String> {
        let packet_id = if self.args.qos == QoS::AtMostOnce { 0 } else { self.connection.next_packet_id() };
        if self.waiting.is_empty() {
            self.last_progress = Instant::now();
        }
        if packet_id != 0 {
            self.waiting.insert(packet_id, false);
        }
        self.connection.send(&Packet::Publish(Publish {
            dup: false,
            qos: self.args.qos,
            retain: self.args.retain,
            topic: &self.args.topic,
            packet_id,
            properties: Default::default(),
            payload,
        }))
    }

    /// Publishes the lines of standard input. The reading thread has a permit for each line, so that it never
    /// reads ahead of the window.
    fn send_lines(&mut self) -> Result<(), String> {
        let (permits, for_reader) = mpsc::channel();
        let to_main = self.connection.sender();
        spawn("millrace-stdin", move || read_lines(&for_reader, &to_main))?;
        let mut allowed = 0;
        loop {
            while self.waiting.len() + allowed < self.window {
                // A reader that is gone has sent its last word already.
                let _ = permits.send(());
                allowed += 1;
            }
            match self.next()? {
                Next::Line(line) => {
                    allowed = allowed.saturating_sub(1);
                    self.send(&line)?;
                }
                Next::Eof | Next::Interrupted => return Ok(()),
                _ => {}
            }
        }
    }

    /// Waits until everything is acknowledged.
    fn finish(&mut self) -> Result<(), String> {
        while !self.waiting.is_empty() {
            if let Next::Interrupted = self.next()? {
                return Err(format!("interrupted: {} messages are not acknowledged", self.waiting.len()));
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Next, String> {
        let deadline = (!self.waiting.is_empty()).then(|| self.last_progress + self.args.wait);
        let next = self.connection.next(deadline)?;
        match &next {
            Next::Packet(packet) => self.packet(packet)?,
            Next::Deadline => {
                return Err(format!(
                    "timeout: the broker acknowledged nothing for {} s; {} messages wait",
                    self.args.wait.as_secs_f64(),
                    self.waiting.len()
                ));
            }
            _ => {}
        }
        Ok(next)
    }

    fn packet(&mut self, packet: &RawPacket) -> Result<(), String> {
        match packet.decode(self.connection.version())? {
            Packet::PubAck(ack) if self.args.qos == QoS::AtLeastOnce => self.done(&ack),
            Packet::PubRec(ack) if self.args.qos == QoS::ExactlyOnce && ack.reason.is_error() => {
                self.done(&ack);
            }
            Packet::PubRec(ack) if self.args.qos == QoS::ExactlyOnce => {
                let known = self.waiting.get_mut(&ack.packet_id).map(|received| *received = true).is_some();
                let reason = self.connection.known_id(known);
                self.last_progress = Instant::now();
                let release = Ack { packet_id: ack.packet_id, reason, properties: Default::default() };
                self.connection.send(&Packet::PubRel(release))?;
            }
            Packet::PubComp(ack) if self.waiting.get(&ack.packet_id) == Some(&true) => self.done(&ack),
            // A kept session may deliver messages; they stay unacknowledged and wait for the next `sub`.
            _ => {}
        }
        Ok(())
    }

    fn done(&mut self, ack: &Ack<'_>) {
        if self.waiting.remove(&ack.packet_id).is_some() {
            self.last_progress = Instant::now();
            if ack.reason.is_error() {
                let why =
                    format!("refused: {}{}", ack.reason.name(), because(ack.properties.reason_string()));
                self.refused.get_or_insert(why);
            }
        }
    }
}

fn read_payload(path: &Path) -> Result<Vec<u8>, Failure> {
    let failure = |error: io::Error| Failure::new(format!("{} cannot be read: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(failure)?;
    let mut payload = Vec::new();
    file.take(PAYLOAD_BYTES_MAX + 1).read_to_end(&mut payload).map_err(failure)?;
    if payload.len() as u64 > PAYLOAD_BYTES_MAX {
        return Err(Failure::new(format!("{} is longer than a message can be", path.display())));
    }
    Ok(payload)
}

fn read_lines(permits: &Receiver<()>, to_main: &SyncSender<Input>) {
    let mut input = io::stdin().lock();
    while permits.recv().is_ok() {
        let mut line = Vec::new();
        let last = match (&mut input).take(PAYLOAD_BYTES_MAX + 1).read_until(b'\n', &mut line) {
            Ok(0) => Some(Input::Eof),
            Ok(_) if line.len() as u64 > PAYLOAD_BYTES_MAX => {
                Some(Input::Unreadable("a line is longer than a message can be".to_owned()))
            }
            Ok(_) => None,
            Err(error) => Some(Input::Unreadable(error.to_string())),
        };
        let is_last = last.is_some();
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if to_main.send(last.unwrap_or(Input::Line(line))).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
