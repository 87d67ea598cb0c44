//! `millrace sub`: subscribes, and prints the messages that come.
//!
//! A message is acknowledged after it was written to standard output and flushed: what the broker counts as
//! delivered was seen.

use std::collections::HashSet;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use clap::Args;
use millrace_codec::{
    Ack, FilterBuf, Packet, Publish, QoS, ReasonCode, Subscribe, SubscribeOptions, Version,
};

use super::connection::{Connection, Next, RawPacket};
use super::{ConnectArgs, filter, qos, seconds};
use crate::cli::Failure;

/// Time for the broker to answer SUBSCRIBE, and to finish open QoS 2 exchanges at the end.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Subscribe, and print the messages that come
///
/// Prints the payload of each message and a newline. Ends with Ctrl-C, after -C messages or -W seconds, or when
/// nobody reads its output any more. Exit code 1 if the connection is refused or lost, if every filter is
/// refused, or if -W ends it before -C messages came.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "\
Examples:
  millrace sub -q 1 -i 10083618796833171 -t devices/10083618796833171/command
  millrace sub -v -t 'devices/+/state' -t 'devices/+/command'
  millrace sub -C 1 -W 5 -t devices/10083618796833171/state"
)]
pub(in crate::cli) struct SubscribeArgs {
    /// Topic filter; may be repeated
    #[arg(short, long = "topic", value_name = "FILTER", required = true, value_parser = filter)]
    topics: Vec<String>,
    /// QoS to ask for: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = qos)]
    qos: QoS,
    /// End after so many messages
    #[arg(short = 'C', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so many seconds
    #[arg(short = 'W', value_name = "SECONDS", value_parser = seconds)]
    wait: Option<Duration>,
    /// Print the topic and a space before the payload
    #[arg(short, long)]
    verbose: bool,
    /// Print no newline after the payload
    #[arg(short = 'N')]
    no_newline: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(in crate::cli) fn subscribe(args: &SubscribeArgs) -> Result<(), Failure> {
    let connection = Connection::open(&args.connect).map_err(Failure::new)?;
    connection.report_signals()?;
    print_all(connection, args, io::stdout()).map_err(Failure::new)
}

/// Subscribes, prints what comes to `out`, and disconnects.
fn print_all(connection: Connection, args: &SubscribeArgs, out: impl Write) -> Result<(), String> {
    let deadline = args.wait.map(|wait| Instant::now() + wait);
    let mut subscriber =
        Subscriber { args, connection, deadline, out, printed: 0, unreleased: HashSet::new() };
    let result = subscriber.run();
    subscriber.connection.disconnect();
    result
}

/// Why it ends, without a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// -C messages came.
    Count,
    /// -W seconds passed.
    Time,
    /// A signal.
    Interrupted,
    /// Nobody reads standard output.
    OutputClosed,
}

struct Subscriber<'a, W> {
    args: &'a SubscribeArgs,
    connection: Connection,
    deadline: Option<Instant>,
    out: W,
    printed: u64,
    /// Packet ids of QoS 2 messages that were printed and whose PUBREL has not come [MQTT-4.3.3-10].
    unreleased: HashSet<u16>,
}

impl<W: Write> Subscriber<'_, W> {
    fn run(&mut self) -> Result<(), String> {
        let packet_id = self.send_subscribe()?;
        let mut answer_until = Some(Instant::now() + ANSWER_TIMEOUT);
        let end = loop {
            let until = [answer_until, self.deadline].into_iter().flatten().min();
            match self.connection.next(until)? {
                Next::Packet(packet) => {
                    if self.check_suback(&packet, packet_id)? {
                        answer_until = None;
                    }
                    if let Some(end) = self.packet(&packet, true)? {
                        break end;
                    }
                }
                Next::Interrupted => break End::Interrupted,
                Next::Deadline if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                    break End::Time;
                }
                Next::Deadline => {
                    return Err(format!("timeout: no SUBACK in {} s", ANSWER_TIMEOUT.as_secs()));
                }
                Next::Line(_) | Next::Eof => {}
            }
        };
        if end == End::Count {
            self.finish_exchanges()?;
        }
        match (end, self.args.count, self.args.wait) {
            (End::Time, Some(count), Some(wait)) => {
                Err(format!("timeout: {} of {count} messages came in {} s", self.printed, wait.as_secs_f64()))
            }
            _ => Ok(()),
        }
    }

    fn send_subscribe(&mut self) -> Result<u16, String> {
        let mut filters = FilterBuf::new();
        for filter in &self.args.topics {
            let options = SubscribeOptions::with_qos(self.args.qos);
            filters.push(filter, options).map_err(|error| format!("{filter}: {error}"))?;
        }
        let packet_id = self.connection.next_packet_id();
        let filters = filters.as_filters();
        self.connection.send(&Packet::Subscribe(Subscribe {
            packet_id,
            properties: Default::default(),
            filters,
        }))?;
        Ok(packet_id)
    }

    /// Whether `packet` is our SUBACK. Names refused filters; fails if all are.
    fn check_suback(&self, packet: &RawPacket, packet_id: u16) -> Result<bool, String> {
        let Packet::SubAck(ack) = packet.decode(self.connection.version())? else { return Ok(false) };
        if ack.packet_id != packet_id || ack.codes.len() != self.args.topics.len() {
            return Err("the broker's SUBACK does not fit the SUBSCRIBE".to_owned());
        }
        let mut refused = Vec::new();
        for (filter, code) in self.args.topics.iter().zip(ack.codes).filter(|(_, code)| **code >= 0x80) {
            let reason = ReasonCode::from_number(*code).filter(|_| self.connection.version() == Version::V5);
            refused.push(format!(
                "{filter}: refused{}",
                reason.map(|r| format!(": {}", r.name())).unwrap_or_default()
            ));
        }
        if refused.len() == self.args.topics.len() {
            return Err(refused.join("; "));
        }
        for line in refused {
            eprintln!("warning: {line}");
        }
        Ok(true)
    }

    /// Answers a packet; prints it if it is a message and `print`.
    fn packet(&mut self, packet: &RawPacket, print: bool) -> Result<Option<End>, String> {
        match packet.decode(self.connection.version())? {
            Packet::Publish(publish) => self.message(&publish, print),
            Packet::PubRel(ack) => {
                let known = self.unreleased.remove(&ack.packet_id);
                let reason = self.connection.known_id(known);
                let ack = Ack { packet_id: ack.packet_id, reason, properties: Default::default() };
                self.connection.send(&Packet::PubComp(ack))?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn message(&mut self, publish: &Publish<'_>, print: bool) -> Result<Option<End>, String> {
        let is_new = publish.qos != QoS::ExactlyOnce || !self.unreleased.contains(&publish.packet_id);
        if is_new {
            if !print {
                // Left for the next time, if the session is kept.
                return Ok(None);
            }
            if let Err(error) = self.write(publish) {
                return match error.kind() {
                    io::ErrorKind::BrokenPipe => Ok(Some(End::OutputClosed)),
                    _ => Err(format!("cannot write to standard output: {error}")),
                };
            }
            self.printed += 1;
        }
        let ack = Ack::success(publish.packet_id);
        match publish.qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.connection.send(&Packet::PubAck(ack))?,
            QoS::ExactlyOnce => {
                self.unreleased.insert(publish.packet_id);
                self.connection.send(&Packet::PubRec(ack))?;
            }
        }
        Ok(self.args.count.filter(|count| self.printed >= *count).map(|_| End::Count))
    }

    fn write(&mut self, publish: &Publish<'_>) -> io::Result<()> {
        let mut line = Vec::with_capacity(publish.topic.len() + publish.payload.len() + 2);
        if self.args.verbose {
            line.extend_from_slice(publish.topic.as_bytes());
            line.push(b' ');
        }
        line.extend_from_slice(publish.payload);
        if !self.args.no_newline {
            line.push(b'\n');
        }
        self.out.write_all(&line)?;
        self.out.flush()
    }

    /// Waits for the PUBREL of what was printed, so that the broker sees the delivery complete.
    fn finish_exchanges(&mut self) -> Result<(), String> {
        let until = Instant::now() + ANSWER_TIMEOUT;
        while !self.unreleased.is_empty() {
            match self.connection.next(Some(until))? {
                Next::Packet(packet) => {
                    self.packet(&packet, false)?;
                }
                Next::Deadline | Next::Interrupted => break,
                Next::Line(_) | Next::Eof => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
