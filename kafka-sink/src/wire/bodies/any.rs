//! Any bytes as an answer, for fuzzing only.

use super::admin::{CreateTopic, DescribeConfigs};
use super::api::Api;
use super::bytes::Input;
use super::fetch::Fetch;
use super::list_offsets::ListOffsets;
use super::metadata::Metadata;
use super::produce::Produce;
use super::producers::{DescribeProducers, InitProducerId};

/// Reads `bytes` as the answer to a request of one of the kinds that the sink makes, in one of the
/// versions that it speaks. Returns whether it is one, and all of it was read.
pub fn read_answer(kind: u8, version: u8, bytes: &[u8]) -> bool {
    match kind % 8 {
        0 => read::<CreateTopic>(version, bytes),
        1 => read::<DescribeConfigs>(version, bytes),
        2 => read::<Fetch>(version, bytes),
        3 => read::<ListOffsets>(version, bytes),
        4 => read::<Metadata>(version, bytes),
        5 => read::<Produce>(version, bytes),
        6 => read::<DescribeProducers>(version, bytes),
        _ => read::<InitProducerId>(version, bytes),
    }
}

fn read<A: Api>(version: u8, bytes: &[u8]) -> bool {
    let versions = A::MAX.saturating_sub(A::MIN).saturating_add(1);
    let version = A::MIN.saturating_add(i16::from(version).checked_rem(versions).unwrap_or(0));
    let mut input = Input::new(bytes, version >= A::FLEXIBLE);
    A::read(&mut input, version).is_ok() && input.len() == 0
}
