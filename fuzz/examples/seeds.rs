//! Writes the seeds of the codec's targets from the table of wire vectors:
//! `cargo run --example seeds` in `fuzz/`. Run it again when the table has grown, and commit what it
//! wrote.
//!
//! Packets above 1,000 bytes are left out: they teach the fuzzer nothing that shorter ones do not.

use std::{fs, io, path::Path};

use millrace_codec::Version;
use millrace_codec::frame_header;
use millrace_codec::vectors::all;

fn main() -> io::Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for target in ["frames", "packets_v31", "packets_v311", "packets_v5", "round_trip"] {
        let folder = seeds.join(target);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
    }
    let mut stream = Vec::new();
    for vector in all() {
        let bytes = vector.bytes();
        if bytes.len() > 1_000 {
            continue;
        }
        let packet_type = vector.packet_type().map_or("TYPE0", |packet_type| packet_type.name());
        let name: String = format!("{packet_type} {}", vector.name)
            .chars()
            .map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' })
            .collect();
        for &version in vector.versions {
            let target = match version {
                Version::V31 => "packets_v31",
                Version::V311 => "packets_v311",
                Version::V5 => "packets_v5",
            };
            if let Ok(Some(header)) = frame_header(&bytes) {
                let packet = [&[header.first], &bytes[header.header_len..]].concat();
                fs::write(seeds.join(target).join(&name), packet)?;
            }
        }
        if vector.refused().is_some() {
            // Nothing is read behind a header that is refused, so these stand alone.
            if frame_header(&bytes).is_err() {
                fs::write(seeds.join("frames").join(&name), bytes)?;
            }
            continue;
        }
        // Any bytes do here; packets are as good as others.
        let entropy = [&[vector.versions.len() as u8], &bytes[..]].concat();
        fs::write(seeds.join("round_trip").join(&name), entropy)?;
        stream.extend_from_slice(&bytes);
        if stream.len() > 400 {
            fs::write(seeds.join("frames").join(&name), &stream)?;
            stream.clear();
        }
    }
    fs::write(seeds.join("frames").join("last"), stream)
}
