//! Messages through the broker's own core, from bytes in to bytes out (`millrace::replay`). Counted are its turns,
//! from the events of a poll to the last write, without what the kernel does and without the poll and the clock.

use crate::packets::{self, ROUNDS};
use gungraun::{Callgrind, EntryPoint, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group};
use millrace::replay::{Client, Replay};
use millrace_codec::{Ack, Packet, QoS, Version};
use std::path::PathBuf;
use tempfile::TempDir;

/// Packets sent at once in the benches whose name ends with `batch`: with 200 bytes of payload they are read at once.
const BATCH: usize = 50;
/// More than a socket buffer holds.
const BUFFER: usize = 1 << 20;

/// A core with a publisher and subscribers, all connected and subscribed.
struct Scene {
    replay: Replay,
    publisher: Client,
    subscribers: Vec<Client>,
    version: Version,
    qos: QoS,
    /// Each message goes to one of the subscribers.
    shared: bool,
    topic: String,
    buffer: Vec<u8>,
    _data: TempDir,
}

struct Setting {
    qos: QoS,
    version: Version,
    subscribers: usize,
    /// They keep their sessions.
    kept: bool,
    /// They share their subscription.
    shared: bool,
    hooked: Option<&'static str>,
}

const PLAIN: Setting = Setting {
    qos: QoS::AtMostOnce,
    version: Version::V311,
    subscribers: 1,
    kept: false,
    shared: false,
    hooked: None,
};

fn scene(setting: Setting) -> Scene {
    let Setting { qos, version, subscribers, kept, shared, hooked } = setting;
    let data = tempfile::tempdir_in(scratch()).expect("a directory");
    let mut replay = Replay::start(data.path(), hooked).expect("a core");
    let publisher = replay.connect().expect("a connection");
    let subscribers = (0..subscribers).map(|_| replay.connect().expect("a connection")).collect();
    let (topic, buffer) = (packets::command(0), vec![0; BUFFER]);
    let mut scene =
        Scene { replay, publisher, subscribers, version, qos, shared, topic, buffer, _data: data };
    scene.greet(kept, shared);
    // Twice what is counted later: buffers have their size, the topic is in the cache.
    for _ in 0..2 {
        scene.round(BATCH, Replay::prepare);
    }
    scene
}

/// The environment is cleared for a bench; the log of a core needs a place all the same.
fn scratch() -> PathBuf {
    std::env::temp_dir()
}

impl Scene {
    fn greet(&mut self, kept: bool, shared: bool) {
        let topic = &self.topic;
        let filter = if shared { format!("$share/group/{topic}") } else { topic.clone() };
        let filter = packets::subscribe(&filter, self.qos, self.version);
        let version = self.version;
        let hello = |name: &str, kept| packets::bytes(&packets::connect(name, kept, version), version);
        self.publisher.send(&hello("p", false)).expect("sent");
        for (number, client) in self.subscribers.iter_mut().enumerate() {
            client.send(&hello(&format!("s{number}"), kept)).expect("sent");
            client.send(&filter).expect("sent");
        }
        for _ in 0..4 {
            self.replay.prepare().expect("a turn");
        }
        assert!(self.publisher.take(&mut self.buffer).expect("an answer") > 0, "CONNACK");
        for client in &mut self.subscribers {
            assert!(client.take(&mut self.buffer).expect("an answer") > 0, "CONNACK and SUBACK");
        }
    }

    /// `count` messages, published at once, in one turn, and acknowledged in the turns that follow as their QoS asks.
    fn round(&mut self, count: usize, turn: impl Fn(&mut Replay) -> std::io::Result<()>) {
        let messages = packets::publishes(count, &self.topic, self.qos, self.version);
        self.publisher.send(&messages).expect("sent");
        turn(&mut self.replay).expect("a turn");
        let answers = self.publisher.take(&mut self.buffer).expect("open");
        assert_eq!(
            answers,
            if self.qos == QoS::AtMostOnce { 0 } else { count * 4 },
            "bytes to the publisher"
        );
        let each = if self.shared { messages.len() / self.subscribers.len() } else { messages.len() };
        for at in 0..self.subscribers.len() {
            self.receive(at, each);
        }
        if self.qos != QoS::AtMostOnce && !self.subscribers.is_empty() {
            turn(&mut self.replay).expect("a turn");
        }
        if self.qos == QoS::ExactlyOnce {
            self.release(count, turn);
        }
    }

    /// Takes what one subscriber got and acknowledges it.
    fn receive(&mut self, at: usize, expected: usize) {
        let client = &mut self.subscribers[at];
        let len = client.take(&mut self.buffer).expect("open");
        assert_eq!(len, expected, "bytes to subscriber {at}");
        let mut answers = Vec::new();
        let mut rest = &self.buffer[..len];
        while let Some(header) = millrace_codec::frame_header(rest).expect("a frame") {
            let (packet, after) = rest.split_at(header.total_len());
            let decoded = millrace_codec::decode(self.version, header.first, &packet[header.header_len..]);
            let Ok(Packet::Publish(publish)) = decoded else { panic!("not a PUBLISH: {decoded:?}") };
            let ack = Ack::success(publish.packet_id);
            match publish.qos {
                QoS::AtMostOnce => {}
                QoS::AtLeastOnce => answers.extend(packets::bytes(&Packet::PubAck(ack), self.version)),
                QoS::ExactlyOnce => answers.extend(packets::bytes(&Packet::PubRec(ack), self.version)),
            }
            rest = after;
        }
        client.send(&answers).expect("sent");
    }

    /// The second half of QoS 2, on both sides.
    fn release(&mut self, count: usize, turn: impl Fn(&mut Replay) -> std::io::Result<()>) {
        for id in (1..).take(count) {
            self.publisher
                .send(&packets::bytes(&Packet::PubRel(Ack::success(id)), self.version))
                .expect("sent");
        }
        for client in &mut self.subscribers {
            let len = client.take(&mut self.buffer).expect("open");
            assert_eq!(len, count * 4, "PUBRELs");
            let completes: Vec<u8> =
                self.buffer[..len].chunks(4).flat_map(|rel| [0x70, 2, rel[2], rel[3]]).collect();
            client.send(&completes).expect("sent");
        }
        turn(&mut self.replay).expect("a turn");
        assert_eq!(self.publisher.take(&mut self.buffer).expect("open"), count * 4, "PUBCOMPs");
    }
}

const Q1: QoS = QoS::AtLeastOnce;
const Q2: QoS = QoS::ExactlyOnce;

fn turns() -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.entry_point(EntryPoint::Custom("*Replay*counted*".into()));
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

#[library_benchmark(config = turns())]
#[bench::q0(scene(PLAIN))]
#[bench::q1(scene(Setting { qos: Q1, ..PLAIN }))]
#[bench::q2(scene(Setting { qos: Q2, ..PLAIN }))]
#[bench::q1_v5(scene(Setting { qos: Q1, version: Version::V5, ..PLAIN }))]
#[bench::q1_kept(scene(Setting { qos: Q1, kept: true, ..PLAIN }))]
#[bench::q1_shared(scene(Setting { qos: Q1, subscribers: 2, shared: true, ..PLAIN }))]
#[bench::q0_unwanted(scene(Setting { subscribers: 0, ..PLAIN }))]
#[bench::q1_unwanted(scene(Setting { qos: Q1, subscribers: 0, ..PLAIN }))]
#[bench::q1_hooked(scene(Setting { qos: Q1, subscribers: 0, hooked: Some("devices/+/command"), ..PLAIN }))]
fn batch(mut scene: Scene) -> Scene {
    for _ in 0..ROUNDS / BATCH {
        scene.round(BATCH, Replay::turn);
    }
    scene
}

#[library_benchmark(config = turns())]
#[bench::q0(scene(PLAIN))]
#[bench::q1(scene(Setting { qos: Q1, ..PLAIN }))]
#[bench::q2(scene(Setting { qos: Q2, ..PLAIN }))]
fn one_by_one(mut scene: Scene) -> Scene {
    for _ in 0..ROUNDS {
        scene.round(1, Replay::turn);
    }
    scene
}

#[library_benchmark(config = turns())]
#[bench::q0(scene(Setting { subscribers: ROUNDS, ..PLAIN }))]
#[bench::q1(scene(Setting { qos: Q1, subscribers: ROUNDS, ..PLAIN }))]
fn fanned_out(mut scene: Scene) -> Scene {
    scene.round(1, Replay::turn);
    scene
}

library_benchmark_group!(name = of_session; benchmarks = batch, one_by_one, fanned_out);
