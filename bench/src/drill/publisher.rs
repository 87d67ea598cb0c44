//! A publisher: sends numbered messages within a window, remembers what was acknowledged, and after a crash connects
//! again and sends what was not.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use millrace_codec::{
    Ack, Packet, PacketType, Publish, QoS, ReasonCode, Version, encode_ack, encode_publish,
};

use super::check::{Attempt, Sent};
use super::link::{Link, LinkError};
use super::message::Message;

/// Pause between attempts to connect.
const RECONNECT: Duration = Duration::from_millis(5);
/// A broker that is up and acknowledges nothing for so long is stuck.
const ACK_TIMEOUT: Duration = Duration::from_secs(60);

/// What the drill tells its publishers, and they it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Send nothing new; end when everything is acknowledged.
    pub(super) finish: AtomicBool,
    /// End at once.
    pub(super) abort: AtomicBool,
    pub(super) sent: AtomicU64,
    pub(super) acknowledged: AtomicU64,
}

/// How a publisher works.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) drill: u64,
    pub(super) number: usize,
    pub(super) address: SocketAddr,
    pub(super) version: Version,
    pub(super) qos: QoS,
    pub(super) window: usize,
    /// Messages a second at most; 0: as many as the window lets through.
    pub(super) rate: u32,
}

impl Settings {
    fn client_id(&self) -> String {
        format!("drill-{}", self.number)
    }
}

struct InFlight {
    sequence: u64,
    /// Position among the attempts.
    sent: usize,
    /// QoS 2: PUBREC came; PUBCOMP is outstanding.
    received: bool,
}

pub(super) struct Publisher {
    settings: Settings,
    shared: Arc<Shared>,
    topic: String,
    sent: Vec<Sent>,
    connection: u32,
    next_sequence: u64,
    /// To be sent again, before anything new.
    again: VecDeque<u64>,
    in_flight: VecDeque<InFlight>,
    /// When the broker last acknowledged something, or had nothing to acknowledge.
    progress: Instant,
    out: Vec<u8>,
}

impl Publisher {
    pub(super) fn new(settings: Settings, shared: Arc<Shared>) -> Publisher {
        Publisher {
            topic: format!("devices/{}/state", settings.client_id()),
            settings,
            shared,
            sent: Vec::new(),
            connection: 0,
            next_sequence: 0,
            again: VecDeque::new(),
            in_flight: VecDeque::new(),
            progress: Instant::now(),
            out: Vec::new(),
        }
    }

    /// Publishes until the drill says to finish. Returns all attempts, in their order.
    pub(super) fn run(mut self) -> Result<Vec<Sent>, String> {
        let started = Instant::now();
        while !self.shared.abort.load(Ordering::Relaxed) {
            let client_id = self.settings.client_id();
            let talk = Link::open(self.settings.address, self.settings.version, &client_id)
                .and_then(|link| self.talk(link, started));
            match talk {
                Ok(()) => break,
                Err(LinkError::Lost) => thread::sleep(RECONNECT),
                Err(LinkError::Wrong(error)) => return Err(format!("{client_id}: {error}")),
            }
        }
        Ok(self.sent)
    }

    /// Ends when everything is acknowledged after the drill said to finish.
    fn talk(&mut self, mut link: Link, started: Instant) -> Result<(), LinkError> {
        self.connection += 1;
        // What got PUBREC is kept by the broker; its PUBCOMP died with the session.
        let lost = self.in_flight.drain(..).filter(|one| !one.received).map(|one| one.sequence);
        let mut again: VecDeque<u64> = lost.collect();
        again.extend(&self.again);
        self.again = again;
        self.progress = Instant::now();
        let window = self.settings.window.min(link.receive_maximum);
        while !self.shared.abort.load(Ordering::Relaxed) {
            let finish = self.shared.finish.load(Ordering::Relaxed);
            while self.in_flight.len() < window {
                if let Some(sequence) = self.again.pop_front() {
                    self.publish(sequence)?;
                } else if !finish && self.may_send(started) {
                    self.publish(self.next_sequence)?;
                    self.next_sequence += 1;
                } else {
                    break;
                }
            }
            self.flush(&mut link)?;
            if self.in_flight.is_empty() {
                if finish {
                    return Ok(());
                }
                self.progress = Instant::now();
            } else if self.progress.elapsed() > ACK_TIMEOUT {
                let what = format!("nothing acknowledged in {} s", ACK_TIMEOUT.as_secs());
                return Err(LinkError::Wrong(what));
            }
            link.receive(|packet| self.take(packet))?;
            self.flush(&mut link)?;
        }
        Ok(())
    }

    fn may_send(&self, started: Instant) -> bool {
        let rate = self.settings.rate;
        rate == 0 || (self.next_sequence as f64) < started.elapsed().as_secs_f64() * f64::from(rate)
    }

    fn flush(&mut self, link: &mut Link) -> Result<(), LinkError> {
        if !self.out.is_empty() {
            let out = std::mem::take(&mut self.out);
            link.send(&out)?;
        }
        Ok(())
    }

    fn publish(&mut self, sequence: u64) -> Result<(), LinkError> {
        let Settings { drill, number: publisher, version, qos, .. } = self.settings;
        let attempt = Attempt { connection: self.connection, sequence };
        let payload = Message { drill, publisher, attempt }.payload();
        let publish = Publish {
            dup: false,
            qos,
            retain: false,
            topic: &self.topic,
            packet_id: packet_id(sequence),
            properties: Default::default(),
            payload: payload.as_bytes(),
        };
        encode_publish(version, &publish, &mut self.out)
            .map_err(|error| LinkError::Wrong(error.to_string()))?;
        self.in_flight.push_back(InFlight { sequence, sent: self.sent.len(), received: false });
        self.sent.push(Sent { attempt, acknowledged: false });
        self.shared.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn take(&mut self, packet: &Packet<'_>) -> Result<(), LinkError> {
        match (packet, self.settings.qos) {
            (Packet::PubAck(ack), QoS::AtLeastOnce) => {
                let at = self.find(ack)?;
                self.acknowledged(at);
                self.in_flight.remove(at);
            }
            (Packet::PubRec(ack), QoS::ExactlyOnce) => {
                let at = self.find(ack)?;
                self.acknowledged(at);
                self.in_flight[at].received = true;
                let version = self.settings.version;
                encode_ack(PacketType::PubRel, version, ack.packet_id, ReasonCode::Success, &mut self.out);
            }
            (Packet::PubComp(ack), QoS::ExactlyOnce) => {
                let at = self.find(ack)?;
                if !self.in_flight[at].received {
                    return Err(LinkError::Wrong("PUBCOMP before PUBREC".to_owned()));
                }
                self.in_flight.remove(at);
            }
            // A 5.0 broker that stops says so.
            (Packet::Disconnect(_), _) => return Err(LinkError::Lost),
            (other, _) => return Err(LinkError::Wrong(format!("unexpected packet: {other:?}"))),
        }
        Ok(())
    }

    /// The message in flight that is acknowledged.
    fn find(&self, ack: &Ack<'_>) -> Result<usize, LinkError> {
        if ack.reason.is_error() {
            return Err(LinkError::Wrong(format!("a message was refused: {}", ack.reason.name())));
        }
        let at = self.in_flight.iter().position(|one| packet_id(one.sequence) == ack.packet_id);
        at.ok_or_else(|| LinkError::Wrong(format!("acknowledgement of packet {} not sent", ack.packet_id)))
    }

    fn acknowledged(&mut self, at: usize) {
        let sent = &mut self.sent[self.in_flight[at].sent];
        if !sent.acknowledged {
            sent.acknowledged = true;
            self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        self.progress = Instant::now();
    }
}

/// Windows are far smaller than the 65,535 identifiers, so no two messages in flight share one.
fn packet_id(sequence: u64) -> u16 {
    (sequence % 65_535) as u16 + 1
}
