//! Compression of a batch's records, as Kafka's consumers expect each codec to be framed.

use super::EncodeError;
use crate::target::Compression;

/// Appends `records` to `out`, compressed. `out` has undefined bytes at its end after an error.
pub(crate) fn compress(
    out: &mut Vec<u8>,
    records: &[u8],
    compression: Compression,
) -> Result<(), EncodeError> {
    if !compression.is_built() {
        return Err(EncodeError::NotBuilt(compression));
    }
    match compression {
        Compression::None => out.extend_from_slice(records),
        #[cfg(feature = "gzip")]
        Compression::Gzip => gzip(out, records).map_err(failed(compression))?,
        #[cfg(feature = "snappy")]
        Compression::Snappy => snappy(out, records).map_err(failed(compression))?,
        #[cfg(feature = "lz4")]
        Compression::Lz4 => lz4(out, records).map_err(failed(compression))?,
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd(out, records).map_err(failed(compression))?,
        #[cfg(not(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd")))]
        _ => {}
    }
    Ok(())
}

#[cfg(any(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]
fn failed<E: std::fmt::Display>(compression: Compression) -> impl FnOnce(E) -> EncodeError {
    move |error| EncodeError::Compression { compression, cause: error.to_string() }
}

/// One member at zlib's default level, as in Kafka's Java client.
#[cfg(feature = "gzip")]
fn gzip(out: &mut Vec<u8>, records: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
    encoder.write_all(records)?;
    encoder.finish()?;
    Ok(())
}

/// In the frame of snappy-java, blocks of 32 KiB: what the Java client writes. Most consumers take
/// a bare snappy block too, but all take this.
#[cfg(feature = "snappy")]
fn snappy(out: &mut Vec<u8>, records: &[u8]) -> Result<(), snap::Error> {
    /// Magic, version 1, readable by version 1.
    const FRAME: &[u8; 16] = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01";
    const BLOCK: usize = 32 * 1024;
    out.extend_from_slice(FRAME);
    let mut encoder = snap::raw::Encoder::new();
    let mut scratch = vec![0; snap::raw::max_compress_len(records.len().min(BLOCK))];
    for block in records.chunks(BLOCK) {
        let len = encoder.compress(block, &mut scratch)?;
        out.extend_from_slice(&(len as u32).to_be_bytes());
        out.extend_from_slice(scratch.get(..len).unwrap_or_default());
    }
    Ok(())
}

/// Kafka's Java client reads independent blocks only, and writes them with 64 KiB.
#[cfg(feature = "lz4")]
fn lz4(out: &mut Vec<u8>, records: &[u8]) -> std::io::Result<()> {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write as _;
    let frame = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(frame, out);
    encoder.write_all(records)?;
    encoder.finish()?;
    Ok(())
}

/// One frame at zstd's default level, as in Kafka's Java client.
#[cfg(feature = "zstd")]
fn zstd(out: &mut Vec<u8>, records: &[u8]) -> std::io::Result<()> {
    out.extend_from_slice(&zstd::bulk::compress(records, zstd::DEFAULT_COMPRESSION_LEVEL)?);
    Ok(())
}
