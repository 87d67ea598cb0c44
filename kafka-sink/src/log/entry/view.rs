//! Records in a group whose CRCs have been checked, read as cheaply as the sink's first look needs.

#![deny(clippy::arithmetic_side_effects)]

use super::super::bytes::Input;
use super::{FLAG_KEY_IS_CLIENT_ID, PREFIX, RECORD, Stored, decode_record};

/// What the sink needs to know of a record before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View<'a> {
    pub(crate) sequence: u64,
    /// Of the event, Unix milliseconds.
    pub(crate) ts_ms: u64,
    /// Id of the rule that made it.
    pub(crate) rule: u32,
    pub(crate) target: u16,
    /// The core that took it.
    pub(crate) core: u8,
    pub(crate) stream: &'a str,
    /// The key in Kafka.
    pub(crate) key: &'a [u8],
}

/// Reads a record entry, CRC unchecked. `None`: it is of another kind, or not whole.
pub(super) fn view(entry: &[u8]) -> Option<View<'_>> {
    let mut input = Input::new(entry.get(PREFIX..)?);
    if input.u8()? != RECORD {
        return None;
    }
    let (_event, _qos, flags, _run) = (input.u8()?, input.u8()?, input.u8()?, input.u32()?);
    let (sequence, _offset, ts_ms) = (input.u64()?, input.u64()?, input.u64()?);
    let (rule, _version, target, _packet_id) = (input.u32()?, input.u32()?, input.u16()?, input.u16()?);
    let (stream, core) = (usize::from(input.u8()?), input.u8()?);
    let (key, client_id) = (usize::from(input.u16()?), usize::from(input.u16()?));
    let _user_name_from_topic = input.bytes(6)?;
    let stream = input.str(stream)?;
    let key = input.bytes(key)?;
    let key = if flags & FLAG_KEY_IS_CLIENT_ID == 0 { key } else { input.bytes(client_id)? };
    Some(View { sequence, ts_ms, rule, target, core, stream, key })
}

/// The whole record of an entry, CRC unchecked. `None`: it is of another kind, or not whole.
pub(crate) fn event(entry: &[u8]) -> Option<Stored<'_>> {
    (entry.get(PREFIX) == Some(&RECORD)).then(|| decode_record(entry)).flatten()
}

/// The records of a group's body: place and length of each entry, and what it says. Entries of other
/// kinds are stepped over; the walk ends where an entry is not whole.
pub(crate) fn records(body: &[u8]) -> Records<'_> {
    Records { body, at: 0 }
}

/// See [`records`].
pub(crate) struct Records<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = (usize, usize, View<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.at;
            let rest = self.body.get(at..)?;
            let len = u32::from_le_bytes(*rest.get(4..)?.first_chunk()?);
            let len = usize::try_from(len).ok()?.checked_add(PREFIX)?;
            let entry = rest.get(..len)?;
            self.at = at.checked_add(len)?;
            if let Some(view) = view(entry) {
                return Some((at, len, view));
            }
        }
    }
}
