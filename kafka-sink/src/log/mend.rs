//! Makes every CRC of a segment right, whatever its bytes say. For fuzzing only: behind a CRC that
//! is wrong no decoder is ever reached.

use super::format::{ALIGN, END_MARK, GROUP_HEADER, HEADER_AREA, HEADER_COPY, align, crc_seed};

/// Recomputes the CRCs of the header's copies, of all groups and of their entries, in place.
pub fn mend(content: &mut [u8]) {
    for copy in [0, HEADER_COPY as usize] {
        mend_header(content.get_mut(copy..).unwrap_or_default());
    }
    let mut at = HEADER_AREA;
    while let Some(group) = usize::try_from(at).ok().and_then(|at| content.get_mut(at..)) {
        if group.len() < GROUP_HEADER {
            break;
        }
        let len = if group.starts_with(b"MRGP") { mend_group(group) } else { ALIGN };
        at = at.saturating_add(align(len.max(1)));
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.get_mut(..4)) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

fn mend_header(header: &mut [u8]) {
    let Some(end) = u32_at(header, 12).and_then(|len| (len as usize).checked_sub(4)) else { return };
    if let Some(covered) = header.get(..end) {
        let crc = crc32c::crc32c(covered);
        put(header, end, crc);
    }
}

/// The group begins here; returns its length as far as it is there.
fn mend_group(group: &mut [u8]) -> u64 {
    let id = group.get(8..16).and_then(|id| id.try_into().ok()).map_or(0, u64::from_le_bytes);
    let seed = crc_seed(id);
    let crc = crc32c::crc32c_append(seed, group.get(8..GROUP_HEADER).unwrap_or_default());
    put(group, 4, crc);
    let body_end = u32_at(group, 32).map_or(0, |len| GROUP_HEADER.saturating_add(len as usize));
    if group.get(body_end..).is_some_and(|rest| rest.len() >= END_MARK) {
        put(group, body_end, u32::from_le_bytes(*b"MRGE"));
        put(group, body_end + 4, crc);
    }
    let body = group.get_mut(GROUP_HEADER..).unwrap_or_default();
    let body_len = body_end.saturating_sub(GROUP_HEADER).min(body.len());
    let mut rest = body.get_mut(..body_len).unwrap_or_default();
    while let Some(len) = u32_at(rest, 4).and_then(|len| (len as usize).checked_add(8)) {
        let Some((entry, behind)) = rest.split_at_mut_checked(len) else { break };
        let crc = crc32c::crc32c_append(seed, entry.get(4..).unwrap_or_default());
        put(entry, 0, crc);
        rest = behind;
    }
    body_end.saturating_add(END_MARK) as u64
}
