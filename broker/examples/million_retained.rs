//! What a retained message costs when there are a million of them: bytes, CPU to keep one, and CPU to bring one to a new
//! subscriber of all. One core, as in `million_sessions`.
//!
//! `cargo run --release -p millrace --features sim --example million_retained -- [MESSAGES]` (default 1,000,000 of 100
//! bytes each; about 300 MiB).

use millrace::sim::{Client, Sim};
use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::fs;

/// Packets that go to the core in one turn.
const PACKETS: usize = 500;
const PAYLOAD: [u8; 100] = [7; 100];

fn main() -> Result<(), Box<dyn Error>> {
    let messages: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let data = std::env::temp_dir().join(format!("million-retained-{}", std::process::id()));
    let mut sim = Sim::start(&data, 11)?;
    sim.reserve(2);
    let (publisher, subscriber) = (connect(&mut sim, b"p"), connect(&mut sim, b"s"));
    let before = resident_bytes()?;

    let (mut cpu_ns, mut bytes) = (0, Vec::new());
    for first in (0..messages).step_by(PACKETS) {
        bytes.clear();
        for id in first..messages.min(first + PACKETS) {
            put_publish(id, &mut bytes);
        }
        bytes.extend_from_slice(&[0xc0, 0]);
        sim.send(publisher, &bytes);
        bytes.clear();
        while bytes.is_empty() {
            cpu_ns += turn(&mut sim);
            sim.take(publisher, &mut bytes);
        }
    }
    let held = resident_bytes()?.saturating_sub(before);
    println!("messages of 100 bytes, topics {}", topic(0));
    println!("memory                    {:>8.0} bytes a message", held as f64 / messages as f64);
    println!("kept                      {:>8.2} µs CPU a message", cpu_ns as f64 / messages as f64 / 1e3);

    let packet = topic(0).len() + PAYLOAD.len() + 5;
    let filter = b"devices/+/state";
    bytes.clear();
    bytes.extend_from_slice(&[0x82, 5 + filter.len() as u8, 0, 1, 0, filter.len() as u8]);
    bytes.extend_from_slice(filter);
    bytes.push(0);
    sim.send(subscriber, &bytes);
    let (mut cpu_ns, mut got, mut turns) = (0, 0, 0_usize);
    while got < messages * packet + 5 {
        cpu_ns += turn(&mut sim);
        turns += 1;
        bytes.clear();
        sim.take(subscriber, &mut bytes);
        got += bytes.len();
        assert!(turns < messages + 1_000, "{got} bytes came");
    }
    let per = cpu_ns as f64 / messages as f64 / 1e3;
    println!("to a subscriber of all    {per:>8.2} µs CPU a message, {} a turn", messages / turns.max(1));
    fs::remove_dir_all(data)?;
    Ok(())
}

fn topic(id: usize) -> String {
    // As long as a device's number of 17 digits makes it.
    format!("devices/{}/state", 10_083_618_796_833_171 + id * 7919)
}

fn connect(sim: &mut Sim, name: &[u8; 1]) -> Client {
    let client = sim.connect();
    sim.send(client, &[&b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01"[..], name].concat());
    turn(sim);
    let mut answer = Vec::new();
    sim.take(client, &mut answer);
    assert_eq!(answer, [0x20, 2, 0, 0]);
    client
}

fn put_publish(id: usize, bytes: &mut Vec<u8>) {
    let topic = topic(id);
    let len = 2 + topic.len() + PAYLOAD.len();
    // With the retain flag, in a length of two bytes.
    bytes.extend_from_slice(&[0x31, len as u8 | 0x80, (len >> 7) as u8, 0, topic.len() as u8]);
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&PAYLOAD);
}

/// One turn of the core; its CPU time in nanoseconds.
fn turn(sim: &mut Sim) -> u64 {
    let before = thread_cpu_ns();
    sim.turn(1);
    thread_cpu_ns() - before
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
