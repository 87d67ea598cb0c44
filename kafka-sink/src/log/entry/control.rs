//! The bytes of the sink's entries, kinds 4 to 8.
//!
//! | kind | fields |
//! | --- | --- |
//! | 4 partition count | from sequence u64, target u16, stream str8, partitions u32, partitioner u8 (0: murmur2), topic id 16 bytes |
//! | 5 intent to send | target u16, stream str8, partition u32, producer id i64, epoch i16, base sequence u32, count u32, first and last log sequence u64, Kafka offset u64 |
//! | 6 cursor | target u16, stream str8, partition u32, next log sequence u64, Kafka offset u64 |
//! | 7 dead letter | log sequence u64, target u16, stream str8, partition u32, Kafka's error i16, text str8 |
//! | 8 target | target u16, cluster str8, floor u64, producer u8 (0: none; its id and epoch are 0), producer id i64, epoch i16 |
//!
//! A str8 is a u8 length and UTF-8; a longer text is clipped. A Kafka offset of all ones is not known.

#![deny(clippy::arithmetic_side_effects)]

use std::sync::Arc;

use super::super::bytes::{Input, clip, put_str8, put_u16, put_u32, put_u64};
use super::super::control::{Control, Cursor, DeadLetter, Intent, Partitions, ProducerId, Target};
use super::{Entry, PREFIX, append_control};

pub(super) const PARTITIONS: u8 = 4;
pub(super) const INTENT: u8 = 5;
pub(super) const CURSOR: u8 = 6;
pub(super) const DEAD_LETTER: u8 = 7;
pub(super) const TARGET: u8 = 8;

/// The partitioner murmur2 of the key, the only one there is.
const MURMUR2: u8 = 0;
const UNKNOWN_OFFSET: u64 = u64::MAX;

/// Appends the entry of `control` for the segment `id`.
pub(crate) fn append(out: &mut Vec<u8>, id: u64, control: &Control) {
    append_control(out, id, kind(control), |out| put_fields(out, control));
}

/// Bytes [`append`] appends.
pub(crate) fn len(control: &Control) -> usize {
    let str8 = |text: &str| clip(text, usize::from(u8::MAX)).len().saturating_add(1);
    let fields = match control {
        Control::Partitions(it) => str8(&it.topic).saturating_add(8 + 2 + 4 + 1 + 16),
        Control::Intent(it) => str8(&it.topic).saturating_add(2 + 4 + 8 + 2 + 4 + 4 + 8 + 8 + 8),
        Control::Cursor(it) => str8(&it.topic).saturating_add(2 + 4 + 8 + 8),
        Control::DeadLetter(it) => {
            str8(&it.topic).saturating_add(str8(&it.text)).saturating_add(8 + 2 + 4 + 2)
        }
        Control::Target(it) => str8(&it.cluster).saturating_add(2 + 8 + 1 + 8 + 2),
    };
    fields.saturating_add(PREFIX).saturating_add(1)
}

fn kind(control: &Control) -> u8 {
    match control {
        Control::Partitions(_) => PARTITIONS,
        Control::Intent(_) => INTENT,
        Control::Cursor(_) => CURSOR,
        Control::DeadLetter(_) => DEAD_LETTER,
        Control::Target(_) => TARGET,
    }
}

fn put_fields(out: &mut Vec<u8>, control: &Control) {
    match control {
        Control::Partitions(it) => {
            put_u64(out, it.from);
            put_u16(out, it.target);
            put_str8(out, &it.topic);
            put_u32(out, it.count);
            out.push(MURMUR2);
            out.extend_from_slice(&it.topic_id);
        }
        Control::Intent(it) => {
            put_u16(out, it.target);
            put_str8(out, &it.topic);
            put_u32(out, it.partition);
            put_producer(out, it.producer);
            put_u32(out, it.base_sequence);
            put_u32(out, it.count);
            put_u64(out, it.first);
            put_u64(out, it.last);
            put_u64(out, it.offset.unwrap_or(UNKNOWN_OFFSET));
        }
        Control::Cursor(it) => {
            put_u16(out, it.target);
            put_str8(out, &it.topic);
            put_u32(out, it.partition);
            put_u64(out, it.next);
            put_u64(out, it.offset.unwrap_or(UNKNOWN_OFFSET));
        }
        Control::DeadLetter(it) => {
            put_u64(out, it.sequence);
            put_u16(out, it.target);
            put_str8(out, &it.topic);
            put_u32(out, it.partition);
            out.extend_from_slice(&it.error.to_le_bytes());
            put_str8(out, &it.text);
        }
        Control::Target(it) => {
            put_u16(out, it.target);
            put_str8(out, &it.cluster);
            put_u64(out, it.floor);
            out.push(u8::from(it.producer.is_some()));
            put_producer(out, it.producer.unwrap_or(ProducerId { id: 0, epoch: 0 }));
        }
    }
}

fn put_producer(out: &mut Vec<u8>, producer: ProducerId) {
    out.extend_from_slice(&producer.id.to_le_bytes());
    out.extend_from_slice(&producer.epoch.to_le_bytes());
}

/// Reads the fields of a control of `kind`; `None` if they are not right.
pub(super) fn decode<'a>(kind: u8, mut input: Input<'_>) -> Option<Entry<'a>> {
    let control = match kind {
        PARTITIONS => Control::Partitions(partitions(&mut input)?),
        INTENT => Control::Intent(intent(&mut input)?),
        CURSOR => Control::Cursor(cursor(&mut input)?),
        DEAD_LETTER => Control::DeadLetter(dead_letter(&mut input)?),
        TARGET => Control::Target(target(&mut input)?),
        _ => return Some(Entry::Unknown),
    };
    Some(Entry::Control(control))
}

fn partitions(input: &mut Input<'_>) -> Option<Partitions> {
    let (from, target, topic, count) = (input.u64()?, input.u16()?, text(input)?, input.u32()?);
    if input.u8()? != MURMUR2 {
        return None;
    }
    Some(Partitions { target, topic, from, count, topic_id: input.array()? })
}

fn intent(input: &mut Input<'_>) -> Option<Intent> {
    Some(Intent {
        target: input.u16()?,
        topic: text(input)?,
        partition: input.u32()?,
        producer: producer(input)?,
        base_sequence: input.u32()?,
        count: input.u32()?,
        first: input.u64()?,
        last: input.u64()?,
        offset: offset(input)?,
    })
}

fn cursor(input: &mut Input<'_>) -> Option<Cursor> {
    Some(Cursor {
        target: input.u16()?,
        topic: text(input)?,
        partition: input.u32()?,
        next: input.u64()?,
        offset: offset(input)?,
    })
}

fn dead_letter(input: &mut Input<'_>) -> Option<DeadLetter> {
    let sequence = input.u64()?;
    Some(DeadLetter {
        sequence,
        target: input.u16()?,
        topic: text(input)?,
        partition: input.u32()?,
        error: input.array().map(i16::from_le_bytes)?,
        text: text(input)?,
        record: None,
    })
}

fn target(input: &mut Input<'_>) -> Option<Target> {
    let (target, cluster, floor) = (input.u16()?, text(input)?, input.u64()?);
    let known = input.u8()? != 0;
    let producer = producer(input)?;
    Some(Target { target, cluster, floor, producer: known.then_some(producer) })
}

fn text(input: &mut Input<'_>) -> Option<Arc<str>> {
    input.str8().map(Arc::from)
}

fn producer(input: &mut Input<'_>) -> Option<ProducerId> {
    Some(ProducerId {
        id: input.array().map(i64::from_le_bytes)?,
        epoch: input.array().map(i16::from_le_bytes)?,
    })
}

#[expect(clippy::option_option, reason = "the outer one: the bytes ended; the inner one: not known")]
fn offset(input: &mut Input<'_>) -> Option<Option<u64>> {
    input.u64().map(|offset| Some(offset).filter(|&offset| offset != UNKNOWN_OFFSET))
}

#[cfg(test)]
mod tests;
