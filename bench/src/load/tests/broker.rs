//! A broker for tests, in this process: keeps no session, forwards at once, and does wrong what it is told to, counting
//! how often. A thread a connection; far from fast.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use millrace_codec::{
    Ack, ConnAck, Packet, Property, PropertyBuf, Publish, QoS, ReasonCode, SubAck, Version, decode,
    frame_header,
};

/// What it does wrong: every so many times, the first time included if it is 1; 0: never.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) drop: u64,
    pub(super) drop_first: u64,
    pub(super) repeat: u64,
    /// Sends a message behind the next one.
    pub(super) swap: u64,
    /// Sends a message with another payload along.
    pub(super) foreign: u64,
    pub(super) misdirect: u64,
    pub(super) refuse: u64,
    pub(super) drop_ack: u64,
    pub(super) repeat_ack: u64,
    /// Closes a publisher's connection instead of taking a message.
    pub(super) close: u64,
    pub(super) refuse_connect: u64,
    pub(super) ignore_connect: u64,
    pub(super) refuse_subscribe: u64,
    pub(super) lower_subscribe: bool,
    pub(super) rubbish: u64,
    /// Stops for 200 ms once, at the message with this number.
    pub(super) pause_at: u64,
    pub(super) receive_maximum: Option<u16>,
    pub(super) maximum_qos: Option<QoS>,
    pub(super) maximum_packet_size: Option<u32>,
    pub(super) no_retain: bool,
}

/// What it has seen and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) published: u64,
    pub(super) dropped: u64,
    pub(super) repeated: u64,
    pub(super) swapped: u64,
    pub(super) foreign: u64,
    pub(super) refused: u64,
    pub(super) acks_dropped: u64,
    pub(super) acks_repeated: u64,
    pub(super) closed: u64,
    pub(super) connects: u64,
    pub(super) connects_refused: u64,
    pub(super) subscribes: u64,
    pub(super) subscribes_refused: u64,
    pub(super) pings: u64,
    pub(super) disconnects: u64,
    /// Messages with QoS above 0 of one client that came before any of them was acknowledged.
    pub(super) most_in_flight: u64,
}

struct Peer {
    stream: TcpStream,
    version: Version,
    next_id: u16,
    /// A message that goes out behind the next.
    held: Option<(QoS, String, Vec<u8>)>,
    in_flight: u64,
}

#[derive(Default)]
struct State {
    faults: Faults,
    done: Done,
    deliveries: u64,
    acks: u64,
    peers: HashMap<u64, Peer>,
    /// `(peer, filter, QoS)`
    subscriptions: Vec<(u64, String, QoS)>,
    turn: usize,
}

/// See above; ends when it is dropped.
pub(super) struct Broker {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
    end: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Broker {
    pub(super) fn start(faults: Faults) -> Broker {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { faults, ..State::default() }));
        let end = Arc::new(AtomicBool::new(false));
        let (shared, ended) = (state.clone(), end.clone());
        let thread = thread::spawn(move || {
            let mut threads = Vec::new();
            for (id, stream) in (0..).zip(listener.incoming()) {
                if ended.load(SeqCst) {
                    break;
                }
                let (state, ended) = (shared.clone(), ended.clone());
                threads.push(thread::spawn(move || serve(id, stream.expect("a connection"), &state, &ended)));
            }
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        });
        Broker { address, state, end, thread: Some(thread) }
    }

    /// What it has done; what it still holds back counts as dropped.
    pub(super) fn done(&self) -> Done {
        let state = self.state.lock().expect("no panic");
        let held = state.peers.values().filter(|peer| peer.held.is_some()).count() as u64;
        let mut done = state.done.clone();
        done.dropped += held;
        done.swapped -= held;
        done
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn hits(every: u64, number: u64) -> bool {
    every > 0 && number % every == 0
}

fn serve(id: u64, mut stream: TcpStream, state: &Mutex<State>, end: &AtomicBool) {
    stream.set_nodelay(true).expect("an option");
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("an option");
    let (mut input, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    let mut version = None;
    'connection: while !end.load(SeqCst) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => input.extend_from_slice(&buffer[..len]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        }
        let mut state = state.lock().expect("no panic");
        let mut used = 0;
        while let Some(header) = frame_header(&input[used..]).expect("MQTT") {
            let Some(packet) = input.get(used..used + header.total_len()) else { break };
            used += header.total_len();
            let packet = decode(version.unwrap_or(Version::V311), header.first, &packet[header.header_len..]);
            let packet = packet.expect("a packet of the engine is good");
            if let Packet::Connect(connect) = packet {
                version = Some(connect.version);
                let stream = stream.try_clone().expect("a socket");
                let peer = Peer { stream, version: connect.version, next_id: 0, held: None, in_flight: 0 };
                state.peers.insert(id, peer);
            }
            if !state.take(id, &packet) {
                state.leave(id);
                break 'connection;
            }
        }
        input.drain(..used);
        if let Some(peer) = state.peers.get_mut(&id) {
            peer.in_flight = 0;
        }
    }
    state.lock().map(|mut state: MutexGuard<'_, State>| state.leave(id)).expect("no panic");
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

impl State {
    fn leave(&mut self, id: u64) {
        self.subscriptions.retain(|subscription| subscription.0 != id);
        if self.peers.remove(&id).is_some_and(|peer| peer.held.is_some()) {
            self.done.dropped += 1;
            self.done.swapped -= 1;
        }
    }

    fn send(&mut self, id: u64, packet: &Packet<'_>) {
        if let Some(peer) = self.peers.get_mut(&id) {
            let mut out = Vec::new();
            packet.encode(peer.version, &mut out).expect("a packet");
            let _ = peer.stream.write_all(&out);
        }
    }

    /// Handles a packet; false: the connection ends.
    fn take(&mut self, id: u64, packet: &Packet<'_>) -> bool {
        match packet {
            Packet::Connect(_) => return self.connect(id),
            Packet::Subscribe(subscribe) => {
                self.done.subscribes += 1;
                let refused = hits(self.faults.refuse_subscribe, self.done.subscribes);
                self.done.subscribes_refused += u64::from(refused);
                let mut codes = Vec::new();
                for (filter, options) in subscribe.filters {
                    let lower = if self.faults.lower_subscribe { QoS::AtMostOnce } else { options.qos };
                    codes.push(if refused { 0x80 } else { lower as u8 });
                    self.subscriptions.push((id, filter.to_owned(), options.qos));
                }
                let packet_id = subscribe.packet_id;
                let properties = Default::default();
                self.send(id, &Packet::SubAck(SubAck { packet_id, properties, codes: &codes }));
            }
            Packet::Publish(publish) => return self.publish(id, publish),
            Packet::PubRec(ack) => self.send(id, &Packet::PubRel(Ack::success(ack.packet_id))),
            Packet::PubRel(ack) => self.send(id, &Packet::PubComp(Ack::success(ack.packet_id))),
            Packet::PubAck(_) | Packet::PubComp(_) => {}
            Packet::PingReq => {
                self.done.pings += 1;
                self.send(id, &Packet::PingResp);
            }
            Packet::Disconnect(_) => {
                self.done.disconnects += 1;
                return false;
            }
            other => panic!("{other:?} from the engine"),
        }
        true
    }

    fn connect(&mut self, id: u64) -> bool {
        self.done.connects += 1;
        if hits(self.faults.ignore_connect, self.done.connects) {
            return true;
        }
        let refused = hits(self.faults.refuse_connect, self.done.connects);
        self.done.connects_refused += u64::from(refused);
        let reason = if refused { ReasonCode::NotAuthorized } else { ReasonCode::Success };
        let mut properties = PropertyBuf::new();
        let faults = &self.faults;
        let all = [
            faults.receive_maximum.map(Property::ReceiveMaximum),
            faults.maximum_qos.map(Property::MaximumQoS),
            faults.maximum_packet_size.map(Property::MaximumPacketSize),
            faults.no_retain.then_some(Property::RetainAvailable(false)),
        ];
        all.into_iter().flatten().for_each(|property| properties.push(property).expect("a property"));
        let properties = properties.as_properties();
        self.send(id, &Packet::ConnAck(ConnAck { session_present: false, reason, properties }));
        !refused
    }

    fn publish(&mut self, id: u64, publish: &Publish<'_>) -> bool {
        let number = self.done.published + 1;
        if hits(self.faults.close, number) {
            self.done.closed += 1;
            return false;
        }
        self.done.published = number;
        if self.faults.pause_at == number {
            thread::sleep(Duration::from_millis(200));
        }
        if publish.qos != QoS::AtMostOnce {
            let peer = self.peers.get_mut(&id).expect("is connected");
            peer.in_flight += 1;
            self.done.most_in_flight = self.done.most_in_flight.max(peer.in_flight);
        }
        let refused = hits(self.faults.refuse, number);
        self.done.refused += u64::from(refused);
        if !refused {
            self.forward(publish);
        }
        if publish.qos != QoS::AtMostOnce {
            self.acks += 1;
            let reason = if refused { ReasonCode::QuotaExceeded } else { ReasonCode::Success };
            let ack = Ack { reason, ..Ack::success(publish.packet_id) };
            let ack = if publish.qos == QoS::AtLeastOnce { Packet::PubAck(ack) } else { Packet::PubRec(ack) };
            if hits(self.faults.drop_ack, self.acks) {
                self.done.acks_dropped += 1;
                return true;
            }
            self.send(id, &ack);
            if hits(self.faults.repeat_ack, self.acks) {
                self.done.acks_repeated += 1;
                self.send(id, &ack);
            }
        }
        true
    }

    fn forward(&mut self, publish: &Publish<'_>) {
        let mut receivers: Vec<(u64, QoS)> = Vec::new();
        let mut shared = Vec::new();
        for (id, filter, qos) in &self.subscriptions {
            match filter.strip_prefix("$share/g/") {
                None if matches(filter, publish.topic) => receivers.push((*id, *qos)),
                Some(filter) if matches(filter, publish.topic) => shared.push((*id, *qos)),
                _ => {}
            }
        }
        if !shared.is_empty() {
            self.turn += 1;
            receivers.push(shared[self.turn % shared.len()]);
        }
        for (id, qos) in receivers {
            self.deliver(id, qos.min(publish.qos), publish.topic, publish.payload);
        }
    }

    /// Delivers a message, or does what it is told to instead.
    fn deliver(&mut self, id: u64, qos: QoS, topic: &str, payload: &[u8]) {
        self.deliveries += 1;
        let number = self.deliveries;
        let faults = self.faults.clone();
        if hits(faults.drop, number) || number <= faults.drop_first {
            self.done.dropped += 1;
            return;
        }
        let peer = self.peers.get_mut(&id).expect("is connected");
        if hits(faults.swap, number) && peer.held.is_none() {
            self.done.swapped += 1;
            peer.held = Some((qos, topic.to_owned(), payload.to_vec()));
            return;
        }
        let held = peer.held.take();
        self.transmit(id, qos, topic, payload);
        if hits(faults.repeat, number) {
            self.done.repeated += 1;
            self.transmit(id, qos, topic, payload);
        }
        if hits(faults.foreign, number) {
            // Too short, of another length, of another run, and what is no message of ours at all.
            let longer = [payload, b"x"].concat();
            let mut other = payload.to_vec();
            other[8] ^= 1;
            for payload in [&payload[..payload.len() - 1], &longer, &other, b"hello"] {
                self.done.foreign += 1;
                self.transmit(id, qos, topic, payload);
            }
        }
        if hits(faults.misdirect, number) {
            self.done.foreign += 1;
            let other = *self.peers.keys().find(|&&other| other != id).expect("another");
            self.transmit(other, QoS::AtMostOnce, topic, payload);
        }
        if hits(faults.rubbish, number) {
            let _ = self.peers.get_mut(&id).map(|peer| peer.stream.write_all(&[0, 0]));
        }
        if let Some((qos, topic, payload)) = held {
            self.transmit(id, qos, &topic, &payload);
        }
    }

    fn transmit(&mut self, id: u64, qos: QoS, topic: &str, payload: &[u8]) {
        let peer = self.peers.get_mut(&id).expect("is connected");
        peer.next_id = peer.next_id % 60_000 + 1;
        let packet_id = if qos == QoS::AtMostOnce { 0 } else { peer.next_id };
        let properties = Default::default();
        let publish = Publish { dup: false, qos, retain: false, topic, packet_id, properties, payload };
        self.send(id, &Packet::Publish(publish));
    }
}

/// Filters of the tests: a single level may be `+`.
fn matches(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (None, None) => return true,
            (Some(level), Some(name)) if level == "+" || level == name => {}
            _ => return false,
        }
    }
}
