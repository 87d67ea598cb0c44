//! Ports and data directories that cannot be had, and data that cannot be used.

use crate::run_fails;
use crate::support::{Broker, Raw};
use millrace_codec::Version;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn a_port_in_use_is_named_with_its_listener() {
    let broker = Broker::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let bind = format!("listener.mqtt.bind={}", broker.address());
    let address = broker.address().to_string();
    let data = directory.path().join("data");
    run_fails(&["--set", &bind, "--data", text(&data)], &["listener mqtt", &address, "in use"]);
    Raw::connect(&broker, Version::V5, "still-there").ping();
}

#[test]
fn a_data_directory_in_use_is_named_with_the_process_that_uses_it() {
    let broker = Broker::start(&[]);
    let data = text(broker.data());
    run_fails(&["--data", data], &[data, "in use", &broker.pid().to_string()]);
    Raw::connect(&broker, Version::V5, "still-there").ping();
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("written");
    for data in [file.clone(), file.join("below"), PathBuf::from("/proc/millrace-test")] {
        run_fails(&["--data", text(&data)], &["data directory", text(&data)]);
    }
}

#[test]
fn a_log_directory_that_is_a_file_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    fs::create_dir(&data).expect("made");
    let log = data.join("log");
    fs::write(&log, "").expect("written");
    run_fails(&["--data", text(&data)], &[text(&log)]);
}

#[test]
fn a_damaged_home_key_is_named_with_what_to_do() {
    for (name, bytes) in [("short", [7; 15].as_slice()), ("long", &[7; 17]), ("empty", &[])] {
        println!("{name}");
        let mut broker = Broker::start(&[]);
        assert_eq!(broker.terminate().code, Some(0));
        let key = broker.data().join("home.key");
        fs::write(&key, bytes).expect("damaged");
        run_fails(&["--data", text(broker.data())], &[text(&key), "16 bytes"]);
    }
}

/// The segment is kept as it was: a newer program can still read it.
#[test]
fn a_log_of_a_newer_format_is_refused_and_left_alone() {
    let mut broker = Broker::start(&[]);
    let mut client = Raw::connect(&broker, Version::V311, "1");
    client.publish("devices/1/state", b"{}", millrace_codec::QoS::AtLeastOnce, 1);
    client.expect(&[0x40, 2, 0, 1]);
    assert_eq!(broker.terminate().code, Some(0));
    let segment = first_segment(&broker.data().join("log"));
    let mut bytes = fs::read(&segment).expect("a segment");
    newer(&mut bytes);
    fs::write(&segment, &bytes).expect("written");
    let name = segment.file_name().and_then(|name| name.to_str()).expect("a name");
    run_fails(&["--data", text(broker.data())], &[name, "format version 2"]);
    assert_eq!(fs::read(&segment).expect("still there"), bytes);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// The newest file of the log.
fn first_segment(log: &Path) -> PathBuf {
    let files = fs::read_dir(log).expect("a log").map(|entry| entry.expect("an entry").path());
    files.filter(|path| path.extension().is_some_and(|end| end == "mlog")).min().expect("a segment")
}

/// Turns both copies of a segment's header into valid ones of the next format version.
fn newer(segment: &mut [u8]) {
    for start in [0, 2_048] {
        let header = &mut segment[start..];
        assert_eq!(&header[..8], b"MILLRLOG");
        let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
        let (version, end) = (number(8) + 1, number(12) as usize - 4);
        header[8..12].copy_from_slice(&version.to_le_bytes());
        let crc = crc32c(&header[..end]);
        header[end..end + 4].copy_from_slice(&crc.to_le_bytes());
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}
