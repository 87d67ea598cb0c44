//! One partition of the model: its log, and what its leader remembers of producers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::log::control::ProducerId;
use crate::sender::request::Known;

pub(crate) const OUT_OF_RANGE: i16 = 1;
pub(crate) const OUT_OF_ORDER: i16 = 45;
pub(crate) const INVALID_EPOCH: i16 = 47;
pub(crate) const NOT_AVAILABLE: i16 = 78;

/// Batches a leader remembers of each producer.
const CACHED: usize = 5;

/// A record as a consumer would tell it from all others: its place in the log and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) sequence: u64,
    pub(crate) uid: u64,
    pub(crate) ts_ms: u64,
    /// Which append of all partitions it was.
    pub(crate) nth: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) offset: u64,
    pub(crate) producer: ProducerId,
    pub(crate) base_sequence: i32,
    pub(crate) records: Vec<Record>,
}

impl Batch {
    fn last_sequence(&self) -> i32 {
        advance(self.base_sequence, self.records.len() - 1)
    }

    fn end(&self) -> u64 {
        self.offset + self.records.len() as u64
    }

    fn remembered(&self) -> Remembered {
        Remembered { first: self.base_sequence, last: self.last_sequence(), offset: self.offset }
    }
}

/// `by` sequences on, modulo 2^31.
pub(crate) fn advance(sequence: i32, by: usize) -> i32 {
    ((sequence as u64 + by as u64) % (1 << 31)) as i32
}

#[derive(Clone, Copy, Debug)]
struct Remembered {
    first: i32,
    last: i32,
    offset: u64,
}

#[derive(Clone, Debug)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Remembered>,
    /// Largest time of its last batch's records, which is what expiry goes by.
    ts_ms: u64,
}

/// What became of a batch that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    New(u64),
    Duplicate(u64),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Partition {
    pub(crate) leader: Option<i32>,
    /// The leader before, which a broker that lags behind still names.
    pub(crate) former: Option<i32>,
    pub(crate) log: Vec<Batch>,
    /// The first offset there is.
    start: u64,
    /// Offsets below are on all replicas: consumers see them, and elections keep them.
    watermark: u64,
    producers: BTreeMap<i64, Producer>,
    /// Producers it knew once, has forgotten, and has had nothing of since.
    pub(crate) forgotten: BTreeSet<i64>,
    /// Confirmed, and lost in an unclean election.
    pub(crate) lost: Vec<Record>,
}

impl Partition {
    pub(crate) fn new(leader: i32) -> Partition {
        Partition { leader: Some(leader), former: Some(leader), ..Partition::default() }
    }

    /// The offset of the next record.
    pub(crate) fn end(&self) -> u64 {
        self.log.last().map_or(self.start, Batch::end)
    }

    pub(crate) fn watermark(&self) -> u64 {
        self.watermark
    }

    pub(crate) fn knows(&self, producer: i64) -> bool {
        self.producers.contains_key(&producer)
    }

    /// Every replica has everything.
    pub(crate) fn replicate(&mut self) {
        self.watermark = self.end();
    }

    /// As `ProducerStateManager` and `ProducerAppendInfo` judge. What is appended is above the
    /// watermark until [`Partition::replicate`].
    pub(crate) fn append(
        &mut self,
        producer: ProducerId,
        base: i32,
        records: Vec<Record>,
    ) -> Result<Appended, i16> {
        let last = advance(base, records.len() - 1);
        if let Some(known) = self.producers.get(&producer.id) {
            if known.epoch == producer.epoch
                && let Some(same) = known.batches.iter().find(|b| (b.first, b.last) == (base, last))
            {
                return Ok(Appended::Duplicate(same.offset));
            }
            if producer.epoch < known.epoch {
                return Err(INVALID_EPOCH);
            }
            let expected = match known.batches.back() {
                Some(newest) if producer.epoch == known.epoch => advance(newest.last, 1),
                _ => 0,
            };
            if base != expected {
                return Err(OUT_OF_ORDER);
            }
        }
        let batch = Batch { offset: self.end(), producer, base_sequence: base, records };
        let offset = batch.offset;
        self.forgotten.remove(&producer.id);
        self.remember(&batch);
        self.log.push(batch);
        Ok(Appended::New(offset))
    }

    fn remember(&mut self, batch: &Batch) {
        let fresh = Producer { epoch: batch.producer.epoch, batches: VecDeque::new(), ts_ms: 0 };
        let known = self.producers.entry(batch.producer.id).or_insert(fresh);
        if known.epoch != batch.producer.epoch {
            known.epoch = batch.producer.epoch;
            known.batches.clear();
        }
        known.batches.push_back(batch.remembered());
        if known.batches.len() > CACHED {
            known.batches.pop_front();
        }
        known.ts_ms = batch.records.iter().map(|record| record.ts_ms).max().unwrap_or(0);
    }

    pub(crate) fn describe(&self, producer: i64) -> Option<Known> {
        let known = self.producers.get(&producer)?;
        let newest = known.batches.back()?;
        Some(Known { epoch: known.epoch, last_sequence: newest.last })
    }

    /// What a replica says that does not lead: it may lack what is not on all of them, and forgets
    /// producers at another time than the leader.
    pub(crate) fn describe_as_follower(&self, producer: i64) -> Option<Known> {
        let replicated = self.log.iter().filter(|batch| batch.end() <= self.watermark);
        let newest = replicated.rev().find(|batch| batch.producer.id == producer)?;
        Some(Known { epoch: newest.producer.epoch, last_sequence: newest.last_sequence() })
    }

    /// Looks through the headers of what consumers can see.
    pub(crate) fn find(
        &self,
        from: Option<u64>,
        producer: ProducerId,
        base: i32,
    ) -> Result<Option<u64>, i16> {
        let from = from.unwrap_or(self.start);
        if from < self.start || from > self.end() {
            return Err(OUT_OF_RANGE);
        }
        // A fetch that begins within a batch returns the whole batch.
        let mut seen = self.log.iter().filter(|b| b.end() > from && b.end() <= self.watermark);
        let found = seen.find(|b| b.producer == producer && b.base_sequence == base);
        match found {
            // It may be among what nobody can read yet.
            None if self.watermark < self.end() => Err(NOT_AVAILABLE),
            found => Ok(found.map(|batch| batch.offset)),
        }
    }

    /// The leader starts again: of each producer it remembers the last batch only.
    pub(crate) fn restart(&mut self) {
        for known in self.producers.values_mut() {
            while known.batches.len() > 1 {
                known.batches.pop_front();
            }
        }
    }

    /// An election in which replicas lacked everything from `end` on. Below the watermark that is
    /// an unclean one.
    pub(crate) fn truncate(&mut self, end: u64) {
        while let Some(batch) = self.log.pop_if(|batch| batch.offset >= end) {
            if batch.end() <= self.watermark {
                self.lost.extend(&batch.records);
            }
        }
        self.watermark = self.watermark.min(self.end());
        self.producers.clear();
        for batch in std::mem::take(&mut self.log) {
            if !self.forgotten.contains(&batch.producer.id) {
                self.remember(&batch);
            }
            self.log.push(batch);
        }
        self.restart();
    }

    /// Offsets at which batches begin, for [`Partition::truncate`].
    pub(crate) fn boundary(&self, batches_back: usize) -> u64 {
        let at = self.log.len().saturating_sub(batches_back);
        self.log.get(at).map_or(self.end(), |batch| batch.offset)
    }

    /// Producers whose last batch's records are all older than `before_ms` are forgotten, also where
    /// that batch is not on all replicas yet.
    pub(crate) fn expire(&mut self, before_ms: u64) -> usize {
        let old = self.producers.iter().filter(|(_, known)| known.ts_ms < before_ms);
        let expired: Vec<i64> = old.map(|(id, _)| *id).collect();
        for id in &expired {
            self.producers.remove(id);
            self.forgotten.insert(*id);
        }
        expired.len()
    }

    /// What a consumer of the whole partition has seen.
    pub(crate) fn seen(&self) -> impl Iterator<Item = Record> + '_ {
        self.log.iter().flat_map(|batch| batch.records.iter().copied())
    }

    /// Whether a record with this content is on all replicas, or was before an unclean election.
    pub(crate) fn has_confirmed(&self, uid: u64) -> bool {
        let confirmed = self.log.iter().rev().filter(|batch| batch.end() <= self.watermark);
        confirmed.flat_map(|batch| &batch.records).chain(&self.lost).any(|record| record.uid == uid)
    }

    pub(crate) fn set_leader(&mut self, leader: Option<i32>) {
        if let Some(former) = self.leader {
            self.former = Some(former);
        }
        self.leader = leader;
    }
}
