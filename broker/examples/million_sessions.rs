//! What a session costs when there are a million of them: bytes, connects a second, CPU a message, subscribes a second,
//! and what is left when they have gone. One core, its real frames, sessions, routes and subscriptions; the connections
//! are wires in memory, because a machine has no million descriptors to spare.
//!
//! `cargo run --release -p millrace --features sim --example million_sessions -- [SESSIONS]` (default 1,000,000, about
//! 1 GiB at most and half a minute). CPU is the thread's own, of the core's turns only; bytes are the process's resident
//! memory, without what the wires' table takes.

use millrace::sim::{self, Client, Sim};
use millrace_codec::{
    Connect, FilterBuf, Packet, Properties, Publish, QoS, Subscribe, SubscribeOptions, Unsubscribe,
    UnsubscribeFilterBuf, Version,
};
use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::fs;
use std::time::Instant;

const MIB: f64 = 1_048_576.0;
/// Of bytes that stand nowhere else in a packet, so that deliveries can be counted.
const PAYLOAD: [u8; 128] = [7; 128];
/// Clients whose packets one turn takes while they connect.
const CONNECTS: usize = 256;
/// Messages a turn.
const MESSAGES: usize = 64;
/// Messages of one measurement.
const PUBLISHED: usize = 400_000;
/// Clients that unsubscribe and subscribe again.
const RESUBSCRIBED: usize = 200_000;
/// Sizes at which the cost of a message is measured on the way up.
const STEPS: [usize; 4] = [10, 1_000, 18_000, 100_000];

struct Run {
    sim: Sim,
    clients: Vec<Client>,
    publisher: Client,
    bytes: Vec<u8>,
    got: Vec<u8>,
    cpu_ns: u64,
    now_ms: u64,
    random: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let sessions: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let data = std::env::temp_dir().join(format!("million-sessions-{}", std::process::id()));
    let mut sim = Sim::start(&data, 11)?;
    sim.reserve(sessions * 2 + 1);
    let publisher = sim.connect();
    let mut clients = vec![publisher; sessions];
    clients.clear();
    let (bytes, got) = (Vec::with_capacity(1 << 20), Vec::with_capacity(1 << 20));
    let mut run = Run { sim, clients, publisher, bytes, got, cpu_ns: 0, now_ms: 1, random: 1 };
    put_connect(usize::MAX, &mut run.bytes);
    run.sim.send(publisher, &run.bytes);
    run.turn();
    run.expect(publisher, 4);
    let before = resident_bytes()?;

    for step in STEPS.into_iter().filter(|&step| step < sessions).chain([sessions]) {
        let (from, cpu) = (run.clients.len(), run.cpu_ns);
        run.connect_up_to(step);
        if step == sessions {
            let per = (run.cpu_ns - cpu) as f64 / (step - from).max(1) as f64 / 1e3;
            println!("connect + subscribe       {per:>8.2} µs CPU, {:>9.0} a second of CPU", 1e6 / per);
            let held = resident_bytes()?.saturating_sub(before) as f64;
            println!("memory                    {:>8.0} bytes a session", held / sessions as f64);
        }
        println!("publish, {step:>9} held   {:>8.3} µs CPU, any topic", run.publish(step));
        println!("publish, {step:>9} held   {:>8.3} µs CPU, 1,000 topics", run.publish(1_000.min(step)));
    }
    let per = run.resubscribe();
    println!("unsubscribe + subscribe   {per:>8.2} µs CPU, {:>9.0} a second of CPU", 1e6 / per);
    println!("publish under reconnects  {:>8.3} µs CPU, 1,000 topics, reconnects included", run.churn());

    let cpu = run.cpu_ns;
    run.close_all();
    let per = (run.cpu_ns - cpu) as f64 / sessions as f64 / 1e3;
    println!("close                     {per:>8.2} µs CPU");
    // Deadlines that were set while they connected.
    for _ in 0..3 {
        run.now_ms += 60_000;
        run.turn();
    }
    let mib_above_start = || Ok::<_, Box<dyn Error>>(resident_bytes()?.saturating_sub(before) as f64 / MIB);
    println!("memory after all have gone {:>7.1} MiB above the start", mib_above_start()?);
    let began = Instant::now();
    sim::give_memory_back();
    let took_ms = began.elapsed().as_secs_f64() * 1e3;
    println!("once it is given back      {:>7.1} MiB, which took {took_ms:.1} ms", mib_above_start()?);
    println!("held then: connections, sessions, filters {:?}", run.sim.held());
    fs::remove_dir_all(data)?;
    Ok(())
}

impl Run {
    fn turn(&mut self) {
        let before = thread_cpu_ns();
        self.sim.turn(self.now_ms);
        self.cpu_ns += thread_cpu_ns() - before;
    }

    /// Takes what a client got and checks how much it is.
    fn expect(&mut self, client: Client, bytes: usize) {
        self.got.clear();
        let closed = self.sim.take(client, &mut self.got);
        assert!(!closed && self.got.len() == bytes, "{} bytes instead of {bytes}", self.got.len());
    }

    fn next_random(&mut self, below: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.random >> 33) as usize) % below
    }

    fn connect_up_to(&mut self, sessions: usize) {
        while self.clients.len() < sessions {
            let from = self.clients.len();
            let until = sessions.min(from + CONNECTS);
            for id in from..until {
                let client = self.open(id);
                self.clients.push(client);
            }
            self.turn();
            for at in from..until {
                self.expect(self.clients[at], 4 + 5);
            }
        }
    }

    fn open(&mut self, id: usize) -> Client {
        let client = self.sim.connect();
        self.bytes.clear();
        put_connect(id, &mut self.bytes);
        put_subscribe(id, &mut self.bytes);
        self.sim.send(client, &self.bytes);
        client
    }

    /// QoS 1 to the commands of random clients below `topics`. Microseconds a message.
    fn publish(&mut self, topics: usize) -> f64 {
        let cpu = self.cpu_ns;
        let mut receivers = Vec::with_capacity(MESSAGES);
        for _ in 0..PUBLISHED / MESSAGES {
            self.bytes.clear();
            receivers.clear();
            for _ in 0..MESSAGES {
                let id = self.next_random(topics);
                put_publish(id, &mut self.bytes);
                receivers.push(self.clients[id]);
            }
            self.sim.send(self.publisher, &self.bytes);
            self.turn();
            self.expect(self.publisher, 4 * MESSAGES);
            let mut delivered = 0;
            for &receiver in &receivers {
                self.got.clear();
                self.sim.take(receiver, &mut self.got);
                delivered += self.got.iter().filter(|&&byte| byte == PAYLOAD[0]).count() / PAYLOAD.len();
            }
            assert_eq!(delivered, MESSAGES, "a message was lost or came twice");
        }
        (self.cpu_ns - cpu) as f64 / PUBLISHED as f64 / 1e3
    }

    /// Microseconds for one client's UNSUBSCRIBE and SUBSCRIBE.
    fn resubscribe(&mut self) -> f64 {
        let (cpu, sessions) = (self.cpu_ns, self.clients.len());
        for _ in 0..RESUBSCRIBED / CONNECTS {
            let from = self.next_random(sessions.saturating_sub(CONNECTS).max(1));
            let chosen = from..sessions.min(from + CONNECTS);
            for id in chosen.clone() {
                self.bytes.clear();
                put_unsubscribe(id, &mut self.bytes);
                put_subscribe(id, &mut self.bytes);
                self.sim.send(self.clients[id], &self.bytes);
            }
            self.turn();
            for id in chosen {
                self.expect(self.clients[id], 4 + 5);
            }
        }
        (self.cpu_ns - cpu) as f64 / (RESUBSCRIBED / CONNECTS * CONNECTS.min(sessions)) as f64 / 1e3
    }

    /// Messages to 1,000 topics while one client a turn goes and comes back: does the cache of routes stay warm?
    fn churn(&mut self) -> f64 {
        let (mut cpu, sessions, mut messages) = (0, self.clients.len(), 0);
        for turn in 0..PUBLISHED / MESSAGES / 4 {
            let id = self.next_random(sessions);
            self.sim.close(self.clients[id]);
            self.turn();
            self.clients[id] = self.open(id);
            self.turn();
            self.expect(self.clients[id], 4 + 5);
            let before = self.cpu_ns;
            self.bytes.clear();
            let first = turn * MESSAGES % 1_000.min(sessions);
            let ids: Vec<usize> = (0..MESSAGES).map(|n| (first + n) % 1_000.min(sessions)).collect();
            for &id in &ids {
                put_publish(id, &mut self.bytes);
            }
            self.sim.send(self.publisher, &self.bytes);
            self.turn();
            self.expect(self.publisher, 4 * MESSAGES);
            for id in ids {
                self.got.clear();
                self.sim.take(self.clients[id], &mut self.got);
            }
            cpu += self.cpu_ns - before;
            messages += MESSAGES;
        }
        cpu as f64 / messages as f64 / 1e3
    }

    fn close_all(&mut self) {
        while !self.clients.is_empty() {
            let rest = self.clients.len().saturating_sub(CONNECTS);
            for client in self.clients.drain(rest..) {
                self.sim.close(client);
            }
            self.turn();
        }
    }
}

fn put(packet: &Packet<'_>, bytes: &mut Vec<u8>) {
    packet.encode(Version::V311, bytes).expect("a packet of 3.1.1");
}

fn put_connect(id: usize, bytes: &mut Vec<u8>) {
    let connect = Connect {
        version: Version::V311,
        clean_start: true,
        keep_alive: 60,
        client_id: &format!("lock-{id}"),
        will: None,
        username: None,
        password: None,
        properties: Properties::EMPTY,
    };
    put(&Packet::Connect(connect), bytes);
}

fn command(id: usize) -> String {
    format!("devices/{id}/command")
}

fn put_subscribe(id: usize, bytes: &mut Vec<u8>) {
    let mut filters = FilterBuf::new();
    filters.push(&command(id), SubscribeOptions::with_qos(QoS::AtMostOnce)).expect("a short filter");
    let filters = filters.as_filters();
    put(&Packet::Subscribe(Subscribe { packet_id: 1, properties: Properties::EMPTY, filters }), bytes);
}

fn put_unsubscribe(id: usize, bytes: &mut Vec<u8>) {
    let mut filters = UnsubscribeFilterBuf::new();
    filters.push(&command(id)).expect("a short filter");
    let filters = filters.as_filters();
    put(&Packet::Unsubscribe(Unsubscribe { packet_id: 2, properties: Properties::EMPTY, filters }), bytes);
}

/// QoS 1, with [`PAYLOAD`].
fn put_publish(id: usize, bytes: &mut Vec<u8>) {
    let publish = Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: &command(id),
        packet_id: 1,
        properties: Properties::EMPTY,
        payload: &PAYLOAD,
    };
    put(&Packet::Publish(publish), bytes);
}

fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn resident_bytes() -> Result<usize, Box<dyn Error>> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split(' ').nth(1).ok_or("no resident pages in statm")?.parse()?;
    Ok(pages * rustix::param::page_size())
}
